"""Shifting: stored values made values in one pass where only an offset lies between them."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def shift_cells(cells: NDArray[np.uint16], mask: np.uint16, offset: np.uint16) -> None:
    """Keep the bits of a mask in each cell, and add an offset, in place.

    NumPy takes one pass over the memory for each of the two.

    Parameters
    ----------
    cells : uint16, n
        Stored values; filled with the bits of the values.
    mask, offset : uint16
        Bits that are stored, and what is added modulo 2**16: two's complement.

    Examples
    --------
    >>> cells = np.array([0, 1024, 0xF000 + 4095], np.uint16)
    >>> shift_cells(cells, np.uint16(4095), np.uint16(2**16 - 1024))
    >>> cells.view(np.int16).tolist()
    [-1024, 0, 3071]
    """
    for i in range(len(cells)):
        cells[i] = (cells[i] & mask) + offset
