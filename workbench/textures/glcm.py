"""GLCM: how often two grey levels stand beside each other (IBSI reference manual, LFYI).

Neighbours at Chebyshev distance 1, counted in both directions (Haralick 1973,
https://doi.org/10.1109/TSMC.1973.4309314). Only the pairs that occur are held, so that the cost
does not grow with the square of the number of levels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.textures.neighbourhood import (
    Features,
    Levels,
    Offset,
    Walk,
    average,
    count,
    entropy,
    groups,
    ratio,
)


def measure_glcm(levels: Levels, aggregation: str) -> Features:
    """Return the features of the grey level co-occurrence matrix.

    Parameters
    ----------
    levels : ndarray of int64, shape (z, y, x)
        From 1 up; 0 outside the region.
    aggregation : str
        One of `AGGREGATIONS`.

    Returns
    -------
    dict of str to float
        By the tags of the IBSI reference tables; NaN where no two voxels of the region are
        neighbours, and correlations where all levels are equal.

    Examples
    --------
    >>> features = measure_glcm(np.array([[[1, 1, 2]]]), "3D_comb")
    >>> features["cm_joint_max"], features["cm_contrast"]
    (0.5, 0.5)
    """
    highest = int(levels.max(initial=0))
    tables = (_table(group, highest) for group in groups(levels, aggregation))
    measured = [_measure(*table, highest) for table in tables if table[2].size]
    return average(measured) if measured else dict.fromkeys(_TAGS, float("nan"))


def _table(
    group: list[tuple[Walk, Offset]], highest: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the pairs of levels of one half of the matrix, and their shares."""
    codes = []
    for line, offset in group:
        here = line.flat[line.inside]
        there = line.flat[line.inside + line.step(offset)]
        pairs = there > 0
        codes.append(here[pairs] * (highest + 1) + there[pairs])
    found, counts = count(np.concatenate(codes))
    first, second = np.divmod(found, highest + 1)
    share = counts / (2 * counts.sum())
    i, j = np.concatenate([first, second]), np.concatenate([second, first])
    # A pair and its mirror image are one cell of the symmetric matrix.
    cells, cell = np.unique(i * (highest + 1) + j, return_inverse=True)
    p = _sums(cell, np.concatenate([share, share]))
    i, j = np.divmod(cells, highest + 1)
    return i.astype(np.float64), j.astype(np.float64), p


def _measure(
    i: NDArray[np.float64], j: NDArray[np.float64], p: NDArray[np.float64], highest: int
) -> Features:
    apart, total = np.abs(i - j), i + j
    single, difference, sums = (_sums(x.astype(np.int64), p) for x in (i, apart, total))
    mean = float(i @ p)
    variance = float((i - mean) ** 2 @ p)
    centred = total - 2 * mean
    difference_mean, unlike = float(apart @ p), apart > 0
    joint, alone = entropy(p), entropy(single)
    # Both entropies that compare with independence are twice that of one level: p is symmetric.
    independent = 2 * alone
    values = (
        p.max(),
        mean,
        variance,
        joint,
        difference_mean,
        (apart - difference_mean) ** 2 @ p,
        entropy(difference),
        total @ p,
        centred**2 @ p,
        entropy(sums),
        p @ p,
        apart**2 @ p,
        difference_mean,
        (1 / (1 + apart)) @ p,
        (1 / (1 + apart / highest)) @ p,
        (1 / (1 + apart**2)) @ p,
        (1 / (1 + (apart / highest) ** 2)) @ p,
        (1 / apart[unlike] ** 2) @ p[unlike],
        ratio(float((i * j) @ p) - mean**2, variance),
        (i * j) @ p,
        centred**2 @ p,
        centred**3 @ p,
        centred**4 @ p,
        ratio(joint - independent, alone),
        np.sqrt(max(0.0, 1 - np.exp(-2 * (independent - joint)))),
    )
    return dict(zip(_TAGS, map(float, values), strict=True))


def _sums(numbers: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.bincount(numbers, weights), np.float64)


_TAGS = tuple(
    f"cm_{tag}"
    for tag in (
        "joint_max", "joint_avg", "joint_var", "joint_entr", "diff_avg", "diff_var", "diff_entr",
        "sum_avg", "sum_var", "sum_entr", "energy", "contrast", "dissimilarity", "inv_diff",
        "inv_diff_norm", "inv_diff_mom", "inv_diff_mom_norm", "inv_var", "corr", "auto_corr",
        "clust_tend", "clust_shade", "clust_prom", "info_corr1", "info_corr2",
    )
)  # fmt: skip
