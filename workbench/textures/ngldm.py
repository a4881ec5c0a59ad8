"""NGLDM: how many neighbours are like a voxel (IBSI reference manual, REK0).

Neighbours at Chebyshev distance 1 whose level differs by `coarseness` at most (Sun and Wee 1983,
https://doi.org/10.1016/0734-189X(83)90032-4). PyRadiomics calls the table GLDM.
"""

from __future__ import annotations

import numpy as np

from workbench.textures.emphasis import measure_emphasis
from workbench.textures.neighbourhood import Features, Levels, average, half_offsets, parts, walk


def measure_ngldm(levels: Levels, dimension: str, coarseness: int = 0) -> Features:
    """Return the features of the neighbouring grey level dependence matrix.

    Parameters
    ----------
    levels : ndarray of int64, shape (z, y, x)
        From 1 up; 0 outside the region.
    dimension : str
        One of `DIMENSIONS`.
    coarseness : int
        Levels by which a dependent neighbour may differ.

    Returns
    -------
    dict of str to float
        By the tags of the IBSI reference tables. A voxel counts as its own neighbour.

    Examples
    --------
    >>> measure_ngldm(np.array([[[1, 1, 4]]]), "3D")["ngl_hde"]  # counts 2, 2 and 1
    3.0
    """
    planar = dimension != "3D"
    measured = [_measure(part, coarseness, planar=planar) for part in parts(levels, dimension)]
    return average(measured) if measured else dict.fromkeys(_TAGS, float("nan"))


def _measure(levels: Levels, coarseness: int, *, planar: bool) -> Features:
    line = walk(levels)
    level = line.flat[line.inside]
    like = np.ones(level.size, np.int64)
    for offset in half_offsets(planar):
        for step in (line.step(offset), -line.step(offset)):
            beside = line.flat[line.inside + step]
            like += (beside > 0) & (np.abs(beside - level) <= coarseness)
    return measure_emphasis(level, like, level.size, _TAGS)


_TAGS = tuple(
    f"ngl_{tag}"
    for tag in (
        "lde", "hde", "lgce", "hgce", "ldlge", "ldhge", "hdlge", "hdhge", "glnu", "glnu_norm",
        "dcnu", "dcnu_norm", "dc_perc", "gl_var", "dc_var", "dc_entr", "dc_energy",
    )
)  # fmt: skip
