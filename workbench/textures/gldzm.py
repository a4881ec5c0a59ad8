"""GLDZM: how far zones of equal grey level lie from the border (IBSI reference manual, VMDZ).

Source of the features: Thibault 2014, https://doi.org/10.1109/TBME.2013.2284600.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.textures.emphasis import measure_emphasis
from workbench.textures.neighbourhood import Features, Levels, average
from workbench.textures.zones import label_zones, levels_of_zones


def measure_gldzm(levels: Levels, mask: NDArray[np.bool_], dimension: str) -> Features:
    """Return the features of the grey level distance zone matrix.

    Parameters
    ----------
    levels : ndarray of int64, shape (z, y, x)
        From 1 up; 0 outside the region.
    mask : ndarray of bool, shape (z, y, x)
        From whose border distances are counted: the region before voxels were left out of it for
        their intensity.
    dimension : str
        One of `DIMENSIONS`.

    Returns
    -------
    dict of str to float
        By the tags of the IBSI reference tables.

    Examples
    --------
    >>> block = np.ones((3, 3, 3), np.int64)
    >>> block[1, 1, 1] = 2
    >>> measure_gldzm(block, block > 0, "3D")["dzm_lde"]  # zones at distance 1 and 2
    2.5
    """
    distances = border_distance(mask, dimension)
    slices = dimension == "2D"
    pieces = [slice(k, k + 1) for k in range(len(levels))] if slices else [slice(None)]
    measured = []
    for piece in pieces:
        part = levels[piece]
        if not part.any():
            continue
        zones = label_zones(part, dimension)
        inside = zones > 0
        nearest = np.full(int(zones.max()) + 1, np.iinfo(np.int64).max)
        np.minimum.at(nearest, zones[inside], distances[piece][inside])
        voxels = int(np.count_nonzero(part))
        measured.append(measure_emphasis(levels_of_zones(part, zones), nearest[1:], voxels, _TAGS))
    return average(measured) if measured else dict.fromkeys(_TAGS, float("nan"))


def border_distance(mask: NDArray[np.bool_], dimension: str) -> NDArray[np.int64]:
    """Return how many steps through faces each voxel is from outside the mask; 1 at the border.

    Examples
    --------
    >>> border_distance(np.ones((1, 1, 3), bool), "3D").tolist()
    [[[1, 1, 1]]]
    >>> border_distance(np.ones((1, 3, 3), bool), "2D").tolist()
    [[[1, 1, 1], [1, 2, 1], [1, 1, 1]]]
    """
    from scipy.ndimage import distance_transform_cdt

    padded = np.pad(mask, 1)
    if dimension == "3D":
        steps = distance_transform_cdt(padded, metric="taxicab")
    else:
        steps = np.stack([distance_transform_cdt(plane, metric="taxicab") for plane in padded])
    return np.asarray(steps, np.int64)[1:-1, 1:-1, 1:-1]


_TAGS = tuple(
    f"dzm_{tag}"
    for tag in (
        "sde", "lde", "lgze", "hgze", "sdlge", "sdhge", "ldlge", "ldhge", "glnu", "glnu_norm",
        "zdnu", "zdnu_norm", "z_perc", "gl_var", "zd_var", "zd_entr",
    )
)  # fmt: skip
