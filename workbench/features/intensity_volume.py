"""Intensity-volume histogram: which part of a region reaches a value (IBSI manual, P88C)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.features.settings import Settings
from workbench.textures.neighbourhood import Features

FINEST = 2**20
"""Steps of 1 that a range of whole numbers may have."""


def measure_intensity_volume(values: NDArray[np.float64], settings: Settings) -> Features:
    """Return the features of the intensity-volume histogram.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Finite, at least one.
    settings
        `volume_bins` for arbitrary units: values are then numbers of bins. `volume_bin_width` for
        continuous values: they become centres of bins. With neither, values are taken as they
        are: whole numbers in steps of 1, others in the steps that occur. A finite `value_range`
        is the range that fractions are taken of; else it is that of the region.

    Returns
    -------
    dict of str to float
        By the tags of the IBSI reference tables. NaN: of equal values all but the intensities.

    Examples
    --------
    >>> features = measure_intensity_volume(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), Settings())
    >>> features["ivh_v90"], features["ivh_i90"]
    (0.2, 2.0)
    """
    grid, level, low, high = _grid(values, settings)
    counts = np.bincount(level, minlength=grid.size)
    # Part of the volume that reaches each step, and none of it that goes beyond the last.
    reached = np.append(counts[::-1].cumsum()[::-1], 0) / values.size
    step = grid[1] - grid[0] if grid.size > 1 else 1.0
    steps = np.append(grid, grid[-1] + step)
    features = {}
    for x in (10, 90):
        at = np.flatnonzero(steps >= low + x / 100 * (high - low) - 1e-9 * step)
        volume = reached[at[0]] if at.size else 0.0
        features[f"ivh_v{x}"] = float(volume) if high > low else float("nan")
        features[f"ivh_i{x}"] = float(steps[np.flatnonzero(reached <= x / 100 + 1e-12)[0]])
    return features | {
        "ivh_diff_v10_v90": features["ivh_v10"] - features["ivh_v90"],
        "ivh_diff_i10_i90": features["ivh_i10"] - features["ivh_i90"],
    }


def _grid(
    values: NDArray[np.float64], settings: Settings
) -> tuple[NDArray[np.float64], NDArray[np.int64], float, float]:
    """Return the steps, the step of each value, and the ends of the range."""
    low, high = float(values.min()), float(values.max())
    bins, width = settings.volume_bins, settings.volume_bin_width
    if bins is not None:
        share = (values - low) / (high - low) if high > low else np.zeros_like(values)
        level = np.minimum(np.floor(bins * share).astype(np.int64), bins - 1)
        return np.arange(1.0, bins + 1), level, 1.0, float(bins) if high > low else 1.0
    least, most = settings.value_range or (low, high)
    low, high = (least if np.isfinite(least) else low), (most if np.isfinite(most) else high)
    if width is not None:
        level = np.floor((values - low) / width).astype(np.int64)
        grid = low + (np.arange(level.max() + 1) + 0.5) * width
        # Fractions are taken between the centres of the first and the last bin.
        return grid, level, float(grid[0]), max(high - width / 2, float(grid[-1]))
    whole = (values == np.floor(values)).all() and low == np.floor(low)
    if whole and values.max() - low < FINEST:
        level = (values - low).astype(np.int64)
        return low + np.arange(level.max() + 1.0), level, low, high
    grid, inverse = np.unique(values, return_inverse=True)
    return grid, inverse, low, high
