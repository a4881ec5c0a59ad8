"""Surface Dice: the part of two surfaces that lies within a tolerance of the other.

The surface is that of marching cubes: each corner between eight voxels holds the area of the
triangles there, and lies at the corner (Nikolov 2018, arXiv:1809.04430).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from workbench.errors import UsageError
from workbench.overlap.surface import Points, Spacing, nearest

_BITS = 2 ** np.arange(8).reshape(2, 2, 2)


def measure_surface_dice(
    mask: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    spacing: Spacing,
    tolerance_mm: float,
) -> float:
    """Return the area of both surfaces within the tolerance of the other, over all their area.

    Parameters
    ----------
    mask, reference : ndarray of bool, shape (z, y, x)
        Of one shape, neither empty.
    spacing : (float, float, float)
        Distance between slices, rows and columns in mm.
    tolerance_mm : float
        Distance that does not count: how far two experts differ.

    Raises
    ------
    UsageError
        If one of them is empty.

    Examples
    --------
    >>> mask = np.ones((2, 2, 2), bool)
    >>> measure_surface_dice(mask, mask, (1.0, 1.0, 1.0), 0.0)
    1.0
    """
    if not (mask.any() and reference.any()):
        raise UsageError("An empty mask has no surface", todo="Leave out empty masks")
    (points, areas), (others, other_areas) = (_elements(m, spacing) for m in (mask, reference))
    within = areas[nearest(points, others) <= tolerance_mm].sum()
    within += other_areas[nearest(others, points) <= tolerance_mm].sum()
    return float(within / (areas.sum() + other_areas.sum()))


def _elements(mask: NDArray[np.bool_], spacing: Spacing) -> tuple[Points, NDArray[np.float64]]:
    """Return place (mm) and area (mm2) of the surface at each corner between voxels."""
    padded = np.pad(mask, 1).astype(np.uint8)
    z, y, x = (n - 1 for n in padded.shape)
    code = np.zeros((z, y, x), np.uint8)
    for k, j, i in np.ndindex(2, 2, 2):
        code |= padded[k : k + z, j : j + y, i : i + x] * np.uint8(_BITS[k, j, i])
    there = (code > 0) & (code < 255)
    return np.argwhere(there) * np.array(spacing), _areas(spacing)[code[there]]


@lru_cache(maxsize=64)
def _areas(spacing: Spacing) -> NDArray[np.float64]:
    """Return the area of the surface between eight voxels, for each of their 256 states."""
    from skimage.measure import marching_cubes, mesh_surface_area

    areas = np.zeros(256)
    for state in range(1, 255):
        cube = ((_BITS & state) > 0).astype(np.float32)
        points, triangles, _, _ = marching_cubes(cube, 0.5, spacing=spacing)  # type: ignore[no-untyped-call]
        areas[state] = mesh_surface_area(points, triangles)  # type: ignore[no-untyped-call]
    return areas
