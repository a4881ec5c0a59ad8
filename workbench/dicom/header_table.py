"""Header table: values found in many headers as columns, made of all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.dicom.attributes import ATTRIBUTES, REQUIRED
from workbench.dicom.character_sets import decode_text

NUMBER_BYTES = {"US": 2, "FD": 8}
"""VR of a number that is stored binary -> its bytes."""
CHARACTER_SET = [a.keyword for a in ATTRIBUTES].index("SpecificCharacterSet")
"""Which of the attributes says how the texts are to be decoded."""


def tabulate(
    values: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int32],
    wanted: NDArray[np.int64],
) -> tuple[pl.DataFrame, NDArray[np.bool_]]:
    """Return the values of many headers as a table.

    Parameters
    ----------
    values : uint8
        The values of all headers.
    starts : int64, n x m
        Where the value of each of the m wanted attributes starts.
    lengths : int32, n x m
        How long it is; -1 if it is absent.
    wanted : int64, m
        Which of `ATTRIBUTES`, ascending; `CHARACTER_SET` among them.

    Returns
    -------
    polars.DataFrame
        The columns of `STORED_SCHEMA` that hold these attributes.
    bool, n
        Which headers are not doubtful. The others' rows mean nothing.
    """
    from workbench.dicom.header_values import (
        STRANGE,
        gather_numbers,
        gather_texts,
        locate_texts,
    )

    starts, lengths = np.ascontiguousarray(starts.T), np.ascontiguousarray(lengths.T)
    attributes = [ATTRIBUTES[i] for i in wanted]
    texts = [(i, k) for i, a in enumerate(attributes) if not a.binary for k in range(len(a.names))]
    names = [attributes[i].names[k] for i, k in texts]
    columns = np.array([(i, k, attributes[i].values) for i, k in texts], np.int64)
    rows = starts.shape[1]
    places = np.zeros((len(columns), rows, 2), np.int64)
    kinds = np.zeros((len(columns), rows), np.uint8)
    locate_texts(values, starts, lengths, columns, places, kinds)
    good = ~(kinds[columns[:, 2] > 0] == STRANGE).any(axis=0)
    required = [c for c, (i, _) in enumerate(texts) if attributes[i].keyword in REQUIRED]
    good &= (places[required, :, 1] > 0).all(axis=0)
    data = np.empty(int(places[:, :, 1].sum()), np.uint8)
    offsets = np.empty(kinds.size + 1, np.int64)
    valid = np.empty(kinds.size, np.bool_)
    gather_texts(values, columns, places, kinds, data, offsets, valid)
    whole = _texts(data, offsets, valid)
    table = {n: whole.slice(c * rows, rows) for c, n in enumerate(names)}
    _add_strange(table, names, values, places, kinds == STRANGE)
    words = np.empty(rows, np.uint64)
    exists = np.empty(rows, np.bool_)
    for i, attribute in enumerate(attributes):
        if attribute.binary:
            size = NUMBER_BYTES[attribute.vr]
            gather_numbers(values, starts, lengths, i, size, words, exists)
            number = words.view(np.float64) if attribute.vr == "FD" else words.astype(np.int64)
            table[attribute.keyword] = pl.Series(number.copy()).set(pl.Series(~exists), None)
    return pl.DataFrame({n: table[n].alias(n) for a in attributes for n in a.names}), good


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
    names: Sequence[str],
    values: NDArray[np.uint8],
    places: NDArray[np.int64],
    strange: NDArray[np.bool_],
) -> None:
    """Decode what is not ASCII; each value once, for there are few that differ."""
    declared: Sequence[str | None] = []
    known: dict[tuple[bytes, str], str | None] = {}
    character_set = names.index("SpecificCharacterSet")
    # The character set before those that need it.
    found = np.flatnonzero(strange.any(axis=1)).tolist()
    for c in sorted(found, key=lambda c: c != character_set):
        cells = np.flatnonzero(strange[c])
        if not declared and c != character_set:
            declared = table["SpecificCharacterSet"].to_list()
        texts = []
        for j in cells.tolist():
            start, length = places[c, j].tolist()
            key = values[start : start + length].tobytes(), (declared or {j: ""})[j] or ""
            if key not in known:
                known[key] = decode_text(*key) or None
            texts.append(known[key])
        table[names[c]] = table[names[c]].scatter(cells, texts)
