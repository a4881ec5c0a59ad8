"""Zones: connected voxels of one grey level, in a volume (26 neighbours) or a slice (8)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.textures.neighbourhood import Levels


def label_zones(levels: Levels, dimension: str) -> NDArray[np.int64]:
    """Return the number of the zone of each voxel, from 1 up; 0 outside the region.

    Parameters
    ----------
    levels : ndarray of int64, shape (z, y, x)
    dimension : str
        "3D", or zones that keep to their slice.

    Examples
    --------
    >>> label_zones(np.array([[[1, 1, 2, 1]]]), "3D").tolist()
    [[[1, 1, 2, 3]]]
    >>> label_zones(np.array([[[1]], [[1]]]), "2D").ravel().tolist()
    [1, 2]
    """
    from skimage.measure import label

    if dimension == "3D":
        return np.asarray(label(levels, background=0, connectivity=3), np.int64)  # type: ignore[no-untyped-call]
    # Empty slices between them keep zones from growing into the next.
    apart = np.zeros((2 * len(levels), *levels.shape[1:]), levels.dtype)
    apart[::2] = levels
    return np.asarray(label(apart, background=0, connectivity=3), np.int64)[::2]  # type: ignore[no-untyped-call]


def levels_of_zones(levels: Levels, zones: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the grey level of each zone, in the order of their numbers."""
    of_zone = np.zeros(int(zones.max(initial=0)) + 1, np.int64)
    of_zone[zones] = levels
    return of_zone[1:]
