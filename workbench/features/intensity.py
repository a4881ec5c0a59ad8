"""Intensity: statistics of the values in a region, and its peaks.

Source: IBSI reference manual, UHIW (statistics) and 9ST6 (local intensity).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.features.region import Region
from workbench.textures.neighbourhood import Features, ratio

PEAK_MM = (3 / (4 * np.pi)) ** (1 / 3) * 10
"""Radius of a sphere of 1 ml."""


def measure_intensity(values: NDArray[np.float64]) -> Features:
    """Return statistics of the values of a region.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        Finite, at least one.

    Returns
    -------
    dict of str to float
        By the tags of the IBSI reference tables. NaN: coefficients whose denominator is 0.
        Skewness and kurtosis of equal values are 0, as the manual says.

    Examples
    --------
    >>> features = measure_intensity(np.array([1.0, 2.0, 3.0, 4.0]))
    >>> features["stat_mean"], features["stat_var"], features["stat_energy"]
    (2.5, 1.25, 30.0)
    """
    return {f"stat_{tag}": value for tag, value in describe(values).items()} | {
        "stat_energy": float(values @ values),
        "stat_rms": float(np.sqrt(values @ values / values.size)),
    }


def describe(values: NDArray[np.float64]) -> Features:
    """Return the statistics that values and levels have in common.

    Examples
    --------
    >>> describe(np.array([1.0, 1.0, 4.0]))["range"]
    3.0
    """
    mean, variance = float(values.mean()), float(values.var())
    low, high = float(values.min()), float(values.max())
    if low == high:
        mean, variance = low, 0.0
    centred = values - mean
    p10, p25, median, p75, p90 = (float(p) for p in np.percentile(values, [10, 25, 50, 75, 90]))
    middle = values[(values >= p10) & (values <= p90)]
    cubes, fourths = float((centred**3).mean()), float((centred**4).mean())
    return {
        "mean": mean,
        "var": variance,
        "skew": cubes / variance**1.5 if variance > 0 else 0.0,
        "kurt": fourths / variance**2 - 3 if variance > 0 else 0.0,
        "median": median,
        "min": low,
        "p10": p10,
        "p90": p90,
        "max": high,
        "iqr": p75 - p25,
        "range": high - low,
        "mad": float(np.abs(centred).mean()),
        # Of two values far apart, none lies between their percentiles.
        "rmad": float(np.abs(middle - middle.mean()).mean()) if middle.size else float("nan"),
        "medad": float(np.abs(values - median).mean()),
        "cov": ratio(np.sqrt(variance), mean),
        "qcod": ratio(p75 - p25, p75 + p25),
    }


def measure_local_intensity(region: Region) -> Features:
    """Return the peaks: the mean of a sphere of 1 ml, about the largest value and anywhere.

    Voxels count with their centre in the sphere, also those outside of the region; what lies
    beside the volume, or is NaN, does not.

    Parameters
    ----------
    region
        With what lies around it.

    Returns
    -------
    dict of str to float
        By the tags of the IBSI reference tables.
    """
    from scipy.signal import oaconvolve

    reach = [int(np.floor(PEAK_MM / s + 1e-9)) for s in region.spacing]
    offsets = np.meshgrid(
        *(np.arange(-r, r + 1) * s for r, s in zip(reach, region.spacing, strict=True)),
        indexing="ij",
    )
    sphere = (sum(o**2 for o in offsets) <= PEAK_MM**2 * (1 + 1e-9)).astype(np.float64)
    there = np.isfinite(region.values)
    # About their mean, so that what rounding leaves of the transform is small.
    centre = float(region.values[region.chosen].mean())
    centred = np.where(there, region.values - centre, 0.0)
    total = oaconvolve(centred, sphere, mode="same")
    voxels = np.rint(oaconvolve(there.astype(np.float64), sphere, mode="same"))
    means = (total[region.chosen] / voxels[region.chosen]) + centre
    values = region.values[region.chosen]
    return {
        "loc_peak_loc": float(means[values == values.max()].max()),
        "loc_peak_glob": float(means.max()),
    }
