"""NGTDM: how a voxel differs from the mean of its neighbours (IBSI reference manual, IPET).

Source of the features: Amadasun and King 1989, https://doi.org/10.1109/21.44046.
"""

from __future__ import annotations

import numpy as np

from workbench.textures.neighbourhood import Features, Levels, average, half_offsets, parts, walk

ROWS = 512
"""Levels whose pairs with all others are held at once."""
COARSEST = 1e6
"""Coarseness where no voxel differs from its neighbours (the manual's convention)."""


def measure_ngtdm(levels: Levels, dimension: str) -> Features:
    """Return the features of the neighbourhood grey tone difference matrix.

    Voxels without a neighbour in the region are not counted.

    Parameters
    ----------
    levels : ndarray of int64, shape (z, y, x)
        From 1 up; 0 outside the region.
    dimension : str
        One of `DIMENSIONS`.

    Returns
    -------
    dict of str to float
        By the tags of the IBSI reference tables; NaN where no two voxels are neighbours.

    Examples
    --------
    >>> measure_ngtdm(np.array([[[1, 1, 4]]]), "3D")["ngt_complexity"]
    4.0
    """
    planar = dimension != "3D"
    measured = [_measure(part, planar=planar) for part in parts(levels, dimension)]
    return average(measured) if measured else dict.fromkeys(_TAGS, float("nan"))


def _measure(levels: Levels, *, planar: bool) -> Features:
    line = walk(levels)
    total, neighbours = (np.zeros(line.inside.size, np.int64) for _ in range(2))
    for offset in half_offsets(planar):
        for step in (line.step(offset), -line.step(offset)):
            beside = line.flat[line.inside + step]
            total += beside
            neighbours += beside > 0
    counted = neighbours > 0
    if not counted.any():
        return dict.fromkeys(_TAGS, float("nan"))
    level = line.flat[line.inside][counted]
    apart = np.abs(level - total[counted] / neighbours[counted])
    voxels = np.bincount(level)
    there = np.flatnonzero(voxels)
    i, n, s = there.astype(np.float64), voxels[there], np.bincount(level, apart)[there]
    p = n / n.sum()
    rough = float(p @ s)
    grey, contrast, busy, complexity, strength = len(i), 0.0, 0.0, 0.0, 0.0
    # Pairs of levels, some rows at a time: there may be as many levels as voxels.
    for start in range(0, grey, ROWS):
        rows = slice(start, start + ROWS)
        between, both = i[rows, None] - i, p[rows, None] + p
        contrast += float(p[rows] @ between**2 @ p)
        busy += float(np.abs((i * p)[rows, None] - i * p).sum())
        complexity += float((np.abs(between) * ((p * s)[rows, None] + p * s) / both).sum())
        strength += float((both * between**2).sum())
    contrast *= s.sum() / n.sum()
    values = (
        1 / rough if rough > 0 else COARSEST,
        contrast / (grey * (grey - 1)) if grey > 1 else 0.0,
        rough / busy if busy > 0 else 0.0,
        complexity / n.sum(),
        strength / s.sum() if s.sum() > 0 else 0.0,
    )
    return dict(zip(_TAGS, map(float, values), strict=True))


_TAGS = ("ngt_coarseness", "ngt_contrast", "ngt_busyness", "ngt_complexity", "ngt_strength")
