"""Surface: how far the borders of two masks lie from each other, in mm.

The surface of a mask is those of its voxels that have a face in common with a voxel outside of it
(the mask less its erosion by a cross), each at its centre; what lies beside the volume is outside.
So have it MONAI and SimpleITK. Source: Taha and Hanbury 2015, section 4.5; Heimann 2009,
https://doi.org/10.1109/TMI.2009.2013851.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.errors import UsageError

Points = NDArray[np.float64]
Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class SurfaceDistances:
    """Hold distances from each point of one surface to the nearest of another.

    Parameters
    ----------
    to_reference, to_mask : ndarray of float64, shape (n,) and (m,)
        From the mask's surface to that of the reference, and back, in mm.
    """

    to_reference: NDArray[np.float64]
    to_mask: NDArray[np.float64]

    @property
    def average(self) -> float:
        """Average symmetric surface distance: the mean over the points of both, in mm."""
        return float(np.concatenate([self.to_reference, self.to_mask]).mean())

    @property
    def hausdorff(self) -> float:
        """Largest of all distances, in mm."""
        return float(max(self.to_reference.max(), self.to_mask.max()))

    def percentile(self, q: float) -> float:
        """Return the larger of the percentiles of both directions, in mm.

        Values between two distances are linear (R-7). Others take the percentile of both
        directions together, which is never larger.
        """
        if not 0 < q <= 100:
            raise UsageError("There is no such percentile", where="q", todo="Pass 0 < q <= 100")
        return float(max(np.percentile(self.to_reference, q), np.percentile(self.to_mask, q)))


def measure_surface_distances(
    mask: NDArray[np.bool_], reference: NDArray[np.bool_], spacing: Spacing
) -> SurfaceDistances:
    """Measure the distances between two surfaces.

    Parameters
    ----------
    mask, reference : ndarray of bool, shape (z, y, x)
        Of one shape, neither empty.
    spacing : (float, float, float)
        Distance between slices, rows and columns in mm.

    Raises
    ------
    UsageError
        If one of them is empty.

    Examples
    --------
    >>> first, second = np.zeros((2, 1, 1, 9), bool)
    >>> first[..., 0] = second[..., 4] = True
    >>> measure_surface_distances(first, second, (1.0, 1.0, 0.5)).hausdorff
    2.0
    """
    if not (mask.any() and reference.any()):
        raise UsageError("An empty mask has no surface", todo="Leave out empty masks")
    points, others = (surface_points(m, spacing) for m in (mask, reference))
    return SurfaceDistances(nearest(points, others), nearest(others, points))


def surface_points(mask: NDArray[np.bool_], spacing: Spacing) -> Points:
    """Return the centres of the voxels on the surface, in mm.

    Examples
    --------
    >>> len(surface_points(np.ones((3, 3, 3), bool), (1.0, 1.0, 1.0)))
    26
    """
    padded = np.pad(mask, 1)
    within: NDArray[np.bool_] = padded.copy()
    for axis in range(3):
        for step in (1, -1):
            within &= np.roll(padded, step, axis)
    on_surface = (padded & ~within)[1:-1, 1:-1, 1:-1]
    return np.asarray(np.argwhere(on_surface) * np.array(spacing), np.float64)


def nearest(points: Points, others: Points) -> NDArray[np.float64]:
    """Return the distance of each point to the nearest of others."""
    from scipy.spatial import KDTree

    distances, _ = KDTree(others).query(points)
    return np.asarray(distances, np.float64)
