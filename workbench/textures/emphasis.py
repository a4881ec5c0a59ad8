"""Emphasis: the features that runs, zones and dependences of grey levels have in common.

Each is a table of grey level by size (of a run, a zone, a distance, a count), and is weighted
alike (IBSI reference manual, TP0I, 9SAK, VMDZ and REK0).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.textures.neighbourhood import Features, count, entropy

ORDER = (
    "small", "large", "low", "high", "small_low", "small_high", "large_low", "large_high",
    "level_nonuniformity", "level_nonuniformity_normalised", "size_nonuniformity",
    "size_nonuniformity_normalised", "percentage", "level_variance", "size_variance", "entropy",
    "energy",
)  # fmt: skip
"""What `measure_emphasis` returns, in the manual's order."""


def measure_emphasis(
    levels: NDArray[np.int64], sizes: NDArray[np.int64], voxels: int, tags: tuple[str, ...]
) -> Features:
    """Return the features of a table of grey level by size.

    Parameters
    ----------
    levels, sizes : ndarray of int64
        Of each run, zone or voxel; both from 1 up.
    voxels : int
        Voxels that could have been one each.
    tags : tuple of str
        Names in the order of `ORDER`; a shorter tuple leaves out the last.

    Returns
    -------
    dict of str to float
        By `tags`; NaN where the table is empty.

    Examples
    --------
    >>> zones = measure_emphasis(np.array([1, 2]), np.array([1, 3]), 4, ORDER)
    >>> zones["large"], zones["percentage"], zones["entropy"]
    (5.0, 0.5, 1.0)
    """
    if not levels.size:
        return dict.fromkeys(tags, float("nan"))
    width = int(sizes.max()) + 1
    cells, counts = count(levels * width + sizes)
    level, size = np.divmod(cells, width)
    total = counts.sum()
    p = counts / total
    by_level, by_size = (np.bincount(x, p) for x in (level, size))
    i, j = level.astype(np.float64) ** 2, size.astype(np.float64) ** 2
    level_mean, size_mean = level @ p, size @ p
    values = (
        p @ (1 / j),
        p @ j,
        p @ (1 / i),
        p @ i,
        p @ (1 / (i * j)),
        p @ (i / j),
        p @ (j / i),
        p @ (i * j),
        by_level @ by_level * total,
        by_level @ by_level,
        by_size @ by_size * total,
        by_size @ by_size,
        total / voxels,
        p @ (level - level_mean) ** 2,
        p @ (size - size_mean) ** 2,
        entropy(p),
        p @ p,
    )
    return dict(zip(tags, map(float, values), strict=False))
