"""Columns: numbers of the recipe as Arrow columns, without a Python object a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_DIGITS = np.frombuffer(b"".join(b"%04d" % i for i in range(10_000)), "<u4")


def numbered(prefix: str, numbers: npt.NDArray[np.int64]) -> pa.Array:
    """Return a prefix and eight digits for each number.

    Parameters
    ----------
    prefix
        ASCII text of four letters, or a multiple of four.
    numbers : (n,)
        Below 10⁸.

    Examples
    --------
    >>> import numpy as np
    >>> numbered("NOR-", np.array([7, 12345678])).to_pylist()
    ['NOR-00000007', 'NOR-12345678']
    """
    words = np.frombuffer(prefix.encode("ascii"), "<u4")
    text = np.empty((len(numbers), len(words) + 2), "<u4")
    text[:, :-2] = words
    high = numbers // 10_000
    text[:, -2] = _DIGITS[high]
    text[:, -1] = _DIGITS[numbers - high * 10_000]
    ends = np.arange(len(numbers) + 1, dtype=np.int32) * (4 * text.shape[1])
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.string(), len(numbers), buffers)


def named(
    codes: npt.NDArray[Any], names: pa.Array, missing: npt.NDArray[np.bool_] | None = None
) -> pa.Array:
    """Return names by their codes; a code below 0, or `missing`, is null."""
    if missing is None and codes.dtype.kind == "i":
        missing = codes < 0
    held = pa.array(codes.astype(np.int16, copy=False), mask=missing)
    return pa.DictionaryArray.from_arrays(held, names)


def numeric(values: npt.NDArray[np.float32]) -> pa.Array:
    """Return numbers; NaN is null."""
    return pa.array(values, from_pandas=True)


def timed(seconds: npt.NDArray[np.int64], missing: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Return times from seconds since 1970-01-01, without zone."""
    return pa.array((seconds * 1_000_000).view("datetime64[us]"), mask=missing)


def texts(values: Sequence[str]) -> pa.Array:
    """Return the names that codes stand for."""
    return pa.array(values, pa.string())
