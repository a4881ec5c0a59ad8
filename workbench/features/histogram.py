"""Histogram: how often each level occurs (IBSI reference manual, ZVCW)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.features.intensity import describe
from workbench.textures.neighbourhood import Features, entropy


def measure_histogram(levels: NDArray[np.int64]) -> Features:
    """Return the features of the intensity histogram.

    Parameters
    ----------
    levels : ndarray of int64, shape (n,)
        From 1 up, at least one.

    Returns
    -------
    dict of str to float
        By the tags of the IBSI reference tables. NaN: gradients of a histogram of one level. Of
        several modes that nearest to the mean counts, then the lower one.

    Examples
    --------
    >>> features = measure_histogram(np.array([1, 1, 1, 2, 3]))
    >>> features["ih_mode"], features["ih_max_grad"], features["ih_min_grad"]
    (1.0, 0.0, -2.0)
    """
    counts = np.bincount(levels)[1:].astype(np.float64)
    statistics = describe(levels.astype(np.float64))
    shares = counts / levels.size
    modes = np.flatnonzero(counts == counts.max()) + 1
    mode = modes[np.argmin(np.abs(modes - statistics["mean"]))]
    slope = np.gradient(counts) if counts.size > 1 else np.array([np.nan])
    steepest, deepest = int(slope.argmax()), int(slope.argmin())
    known = counts.size > 1
    return {f"ih_{tag}": value for tag, value in statistics.items()} | {
        "ih_mode": float(mode),
        "ih_entropy": entropy(shares),
        "ih_uniformity": float(shares @ shares),
        "ih_max_grad": float(slope[steepest]),
        "ih_max_grad_g": float(steepest + 1) if known else float("nan"),
        "ih_min_grad": float(slope[deepest]),
        "ih_min_grad_g": float(deepest + 1) if known else float("nan"),
    }
