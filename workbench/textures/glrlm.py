"""GLRLM: runs of equal grey levels along a direction (IBSI reference manual, TP0I).

Source of the features: Galloway 1975, https://doi.org/10.1016/S0146-664X(75)80008-6.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.textures.emphasis import measure_emphasis
from workbench.textures.neighbourhood import Features, Levels, Walk, average, groups


def measure_glrlm(levels: Levels, aggregation: str) -> Features:
    """Return the features of the grey level run length matrix.

    Parameters
    ----------
    levels : ndarray of int64, shape (z, y, x)
        From 1 up; 0 outside the region.
    aggregation : str
        One of `AGGREGATIONS`.

    Returns
    -------
    dict of str to float
        By the tags of the IBSI reference tables.

    Examples
    --------
    >>> features = measure_glrlm(np.array([[[3, 3, 3]]]), "3D_avg")
    >>> round(features["rlm_lre"], 3)  # one run of three in one direction, three of one in twelve
    1.615
    """
    measured = []
    for group in groups(levels, aggregation):
        runs = [find_runs(line, line.step(offset)) for line, offset in group]
        level, length = (np.concatenate(part) for part in zip(*runs, strict=True))
        voxels = sum(line.inside.size for line, _ in group)
        measured.append(measure_emphasis(level, length, voxels, _TAGS))
    return average(measured) if measured else dict.fromkeys(_TAGS, float("nan"))


def find_runs(line: Walk, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return level and length of each run in one direction.

    Examples
    --------
    >>> from workbench.textures.neighbourhood import walk
    >>> [part.tolist() for part in find_runs(walk(np.array([[[1, 1, 2]]])), 1)]
    [[1, 2], [2, 1]]
    """
    flat, inside = line.flat, line.inside
    starts = inside[flat[inside - step] != flat[inside]]
    level = flat[starts]
    length = np.ones(len(starts), np.int64)
    running, end = np.arange(len(starts)), starts
    while running.size:
        end = end + step
        goes_on = flat[end] == level[running]
        running, end = running[goes_on], end[goes_on]
        length[running] += 1
    return level, length


_TAGS = tuple(
    f"rlm_{tag}"
    for tag in (
        "sre", "lre", "lgre", "hgre", "srlge", "srhge", "lrlge", "lrhge", "glnu", "glnu_norm",
        "rlnu", "rlnu_norm", "r_perc", "gl_var", "rl_var", "rl_entr",
    )
)  # fmt: skip
