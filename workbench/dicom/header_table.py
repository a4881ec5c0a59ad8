"""Header table: values found in many headers as columns, made of all of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.dicom.attributes import ATTRIBUTES, REQUIRED, STORED_SCHEMA
from workbench.dicom.character_sets import decode_text

NUMBER_BYTES = {"US": 2, "FD": 8}
"""VR of a number that is stored binary -> its bytes."""
_TEXTS = [(i, k) for i, a in enumerate(ATTRIBUTES) if not a.binary for k in range(len(a.names))]
_COLUMNS = np.array([(i, k, ATTRIBUTES[i].values) for i, k in _TEXTS], np.int64)
_NAMES = [ATTRIBUTES[i].names[k] for i, k in _TEXTS]
_CHARACTER_SET = _NAMES.index("SpecificCharacterSet")
_STRICT = np.array([ATTRIBUTES[i].values > 0 for i, _ in _TEXTS])
_REQUIRED = [_NAMES.index(keyword) for keyword in REQUIRED]


def tabulate(
    values: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int32]
) -> tuple[pl.DataFrame, NDArray[np.bool_]]:
    """Return the values of many headers as a table.

    Parameters
    ----------
    values : uint8
        The values of all headers.
    starts : int64, n x m
        Where the value of each of the m `ATTRIBUTES` starts.
    lengths : int32, n x m
        How long it is; -1 if it is absent.

    Returns
    -------
    polars.DataFrame
        The columns of `STORED_SCHEMA`, without the headers that are doubtful.
    bool, n
        Which headers are not.
    """
    from workbench.dicom.header_values import (
        STRANGE,
        gather_numbers,
        gather_texts,
        locate_texts,
    )

    starts, lengths = np.ascontiguousarray(starts.T), np.ascontiguousarray(lengths.T)
    places = np.zeros((len(_COLUMNS), starts.shape[1], 2), np.int64)
    kinds = np.zeros((len(_COLUMNS), starts.shape[1]), np.uint8)
    locate_texts(values, starts, lengths, _COLUMNS, places, kinds)
    good = ~(kinds[_STRICT] == STRANGE).any(axis=0) & (places[_REQUIRED, :, 1] > 0).all(axis=0)
    if not good.all():
        starts, lengths = (
            np.ascontiguousarray(starts[:, good]),
            np.ascontiguousarray(lengths[:, good]),
        )
        places, kinds = np.ascontiguousarray(places[:, good]), np.ascontiguousarray(kinds[:, good])
    rows = starts.shape[1]
    data = np.empty(int(places[:, :, 1].sum()), np.uint8)
    offsets = np.empty(kinds.size + 1, np.int64)
    valid = np.empty(kinds.size, np.bool_)
    gather_texts(values, _COLUMNS, places, kinds, data, offsets, valid)
    texts = _texts(data, offsets, valid)
    table = {n: texts.slice(c * rows, rows) for c, n in enumerate(_NAMES)}
    _add_strange(table, values, places, kinds == STRANGE)
    words = np.empty(rows, np.uint64)
    exists = np.empty(rows, np.bool_)
    for i, attribute in enumerate(ATTRIBUTES):
        if attribute.binary:
            size = NUMBER_BYTES[attribute.vr]
            gather_numbers(values, starts, lengths, i, size, words, exists)
            number = words.view(np.float64) if attribute.vr == "FD" else words.astype(np.int64)
            series = pl.Series(number.copy())
            table[attribute.keyword] = series.set(pl.Series(~exists), None)
    return pl.DataFrame({n: table[n].alias(n) for n in STORED_SCHEMA}), good


def _texts(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], valid: NDArray[np.bool_]
) -> pl.Series:
    import pyarrow as pa

    mask = pa.py_buffer(np.packbits(valid, bitorder="little"))
    buffers = [mask, pa.py_buffer(offsets), pa.py_buffer(data)]
    array = pa.Array.from_buffers(pa.large_string(), len(valid), buffers)
    return pl.Series(pl.from_arrow(array))


def _add_strange(
    table: dict[str, Any],
    values: NDArray[np.uint8],
    places: NDArray[np.int64],
    strange: NDArray[np.bool_],
) -> None:
    """Decode what is not ASCII; each value once, for there are few that differ."""
    declared: Sequence[str | None] = []
    known: dict[tuple[bytes, str], str | None] = {}
    for c in _strange_columns(strange):
        cells = np.flatnonzero(strange[c])
        if not declared and c != _CHARACTER_SET:
            declared = table["SpecificCharacterSet"].to_list()
        texts = []
        for j in cells.tolist():
            start, length = places[c, j].tolist()
            key = values[start : start + length].tobytes(), (declared or {j: ""})[j] or ""
            if key not in known:
                known[key] = decode_text(*key) or None
            texts.append(known[key])
        table[_NAMES[c]] = table[_NAMES[c]].scatter(cells, texts)


def _strange_columns(strange: NDArray[np.bool_]) -> Iterator[int]:
    """Return the columns to decode, the character set before those that need it."""
    yield from sorted(
        np.flatnonzero(strange.any(axis=1)).tolist(), key=lambda c: c != _CHARACTER_SET
    )
