"""Discretise: values made levels from 1 up (IBSI reference manual, 4R0B)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.errors import UsageError
from workbench.features.settings import Settings

MOST = 2**20
"""Levels beyond this are a mistake of the bin width."""


def discretise(values: NDArray[np.float64], settings: Settings) -> NDArray[np.int64]:
    """Return the level of each value.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Finite values of the region.
    settings
        `bins` (K15C) or `bin_width` (Q3RU); with neither, values are levels already.

    Returns
    -------
    ndarray of int64, shape (n,)
        From 1 up.

    Raises
    ------
    UsageError
        If values are no levels and no bins are given, lie below the first bin, or would fall
        into more than 2**20 bins.

    Examples
    --------
    >>> discretise(np.array([0.0, 24.0, 25.0, 60.0]), Settings(bin_width=25)).tolist()
    [1, 1, 2, 3]
    >>> discretise(np.array([0.0, 24.0, 25.0, 60.0]), Settings(bins=2)).tolist()
    [1, 1, 1, 2]
    """
    low, high = values.min(), values.max()
    if settings.bins is not None:
        if high == low:
            return np.ones(values.size, np.int64)
        share = (values - low) / (high - low)
        level = np.floor(settings.bins * share).astype(np.int64) + 1
        return np.asarray(np.minimum(level, settings.bins))
    if settings.bin_width is not None:
        first = _first_edge(float(low), settings)
        if (high - first) / settings.bin_width > MOST:
            raise _many()
        return np.floor((values - first) / settings.bin_width).astype(np.int64) + 1
    if low < 1 or (values != np.floor(values)).any():
        raise UsageError(
            "The values are no levels",
            where="bins, bin_width",
            todo="Pass a number of bins, or their width, such as bin_width=25 for CT",
        )
    if high > MOST:
        raise _many()
    return values.astype(np.int64)


def _first_edge(low: float, settings: Settings) -> float:
    first = settings.lowest
    if first is None and settings.value_range is not None:
        first = settings.value_range[0] if np.isfinite(settings.value_range[0]) else None
    first = low if first is None else first
    if low < first:
        raise UsageError(
            "Values lie below the first bin",
            where="lowest",
            todo="Begin lower, or leave these voxels out with value_range",
        )
    return first


def _many() -> UsageError:
    return UsageError(
        f"There would be more than {MOST:,} levels", where="bin_width", todo="Pass wider bins"
    )
