"""GLSZM: sizes of zones of equal grey level (IBSI reference manual, 9SAK; Thibault 2014)."""

from __future__ import annotations

import numpy as np

from workbench.textures.emphasis import measure_emphasis
from workbench.textures.neighbourhood import Features, Levels, average, parts
from workbench.textures.zones import label_zones, levels_of_zones


def measure_glszm(levels: Levels, dimension: str) -> Features:
    """Return the features of the grey level size zone matrix.

    Parameters
    ----------
    levels : ndarray of int64, shape (z, y, x)
        From 1 up; 0 outside the region.
    dimension : str
        One of `DIMENSIONS`.

    Returns
    -------
    dict of str to float
        By the tags of the IBSI reference tables.

    Examples
    --------
    >>> measure_glszm(np.array([[[3, 3, 3]]]), "3D")["szm_lze"]
    9.0
    """
    measured = []
    for part in parts(levels, dimension):
        zones = label_zones(part, dimension)
        sizes = np.bincount(zones.ravel())[1:]
        voxels = int(np.count_nonzero(part))
        measured.append(measure_emphasis(levels_of_zones(part, zones), sizes, voxels, _TAGS))
    return average(measured) if measured else dict.fromkeys(_TAGS, float("nan"))


_TAGS = tuple(
    f"szm_{tag}"
    for tag in (
        "sze", "lze", "lgze", "hgze", "szlge", "szhge", "lzlge", "lzhge", "glnu", "glnu_norm",
        "zsnu", "zsnu_norm", "z_perc", "gl_var", "zs_var", "zs_entr",
    )
)  # fmt: skip
