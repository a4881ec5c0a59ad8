"""Region: the voxels that features are measured of, cut out of a volume and made ready.

Source: IBSI reference manual, sections "Interpolation" (VTM2), "Re-segmentation" (IFQH).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.features.settings import INTERPOLATIONS, Settings

Box = tuple[slice, slice, slice]
Spacing = tuple[float, float, float]
REACH_MM = 6.3
"""Border that is kept around a region: a sphere of 1 ml has a radius of 6.2 mm."""
REACH_VOXELS = 24
"""Voxels that a cubic spline needs around a value: beyond, one weighs less than 1e-13."""
HALF = 0.5 - 1e-6
"""Part of a resampled voxel that must be inside the mask; less what rounding may take."""


@dataclass(frozen=True)
class Region:
    """Hold a region with what lies around it.

    Parameters
    ----------
    values : ndarray of float64, shape (z, y, x)
        In the units of the volume.
    shape : ndarray of bool, shape (z, y, x)
        The region as it was drawn: the morphological mask.
    chosen : ndarray of bool, shape (z, y, x)
        Its voxels that were not left out for their value: the intensity mask.
    spacing : (float, float, float)
        Distance between slices, rows and columns in mm.
    """

    values: NDArray[np.float64]
    shape: NDArray[np.bool_]
    chosen: NDArray[np.bool_]
    spacing: Spacing

    def crop(self) -> Region:
        """Return the region without what lies around it."""
        where = np.argwhere(self.shape)
        box = tuple(
            slice(int(a), int(b) + 1)
            for a, b in zip(where.min(axis=0), where.max(axis=0), strict=True)
        )
        return Region(self.values[box], self.shape[box], self.chosen[box], self.spacing)


def cut_region(
    values: NDArray[Any], mask: NDArray[np.bool_], box: Box, spacing: Spacing, settings: Settings
) -> Region:
    """Cut a region out of a volume, resample it, and leave out what its values exclude.

    Parameters
    ----------
    values : ndarray, shape (z, y, x)
        The whole volume; anything that can be cut, so that a lazy one is read in part.
    mask : ndarray of bool, shape (z, y, x)
    box : tuple of slice
        That holds the mask.
    spacing : (float, float, float)
        Distance between slices, rows and columns in mm.
    settings
        How.

    Returns
    -------
    Region
        Possibly without any voxel, where resampling or `settings` left none.
    """
    target = _target(spacing, settings)
    resampled = not np.allclose(target, spacing, rtol=1e-9)
    reach = [
        int(np.ceil(REACH_MM / s)) + (REACH_VOXELS if resampled else 1)
        for s in np.minimum(spacing, target)
    ]
    z, y, x = (
        slice(max(b.start - r, 0), min(b.stop + r, n))
        for b, r, n in zip(box, reach, mask.shape, strict=True)
    )
    wide = z, y, x
    cut = np.asarray(values[wide], np.float64)
    inside = mask[wide]
    if resampled:
        order = INTERPOLATIONS[settings.interpolation]
        steps, starts, sizes = _grid(wide, mask.shape, spacing, target)
        cut = _sample(cut, steps, starts, sizes, order)
        inside = _sample(inside.astype(np.float64), steps, starts, sizes, 1) >= HALF
        if settings.round_values:
            cut = np.rint(cut)
    return Region(cut, inside, _choose(cut, inside, settings), target)


def _target(spacing: Spacing, settings: Settings) -> Spacing:
    wanted = settings.spacing_mm or (None, None, None)
    z, y, x = (w or s for w, s in zip(wanted, spacing, strict=True))
    return z, y, x


def _grid(
    box: Box, shape: Sequence[int], spacing: Spacing, target: Spacing
) -> tuple[list[float], list[float], tuple[int, ...]]:
    """Return step, first place in the box and number of the new voxels of each axis.

    The centres of both whole grids coincide, and the new one is as large or larger.
    """
    steps, starts, sizes = [], [], []
    for part, count, old, new in zip(box, shape, spacing, target, strict=True):
        step = new / old
        total = int(np.ceil(round(count / step, 6)))
        first = 0.5 * (count - 1) - 0.5 * (total - 1) * step
        low = max(int(np.ceil((part.start - 0.5 - first) / step)), 0)
        high = min(int(np.floor((part.stop - 0.5 - first) / step)), total - 1)
        steps.append(step)
        starts.append(first + low * step - part.start)
        sizes.append(max(high - low + 1, 0))
    return steps, starts, tuple(sizes)


def _sample(
    values: NDArray[np.float64],
    steps: list[float],
    starts: list[float],
    sizes: tuple[int, ...],
    order: int,
) -> NDArray[np.float64]:
    from scipy.ndimage import affine_transform

    sampled = affine_transform(values, steps, starts, sizes, order=order, mode="nearest")
    return np.asarray(sampled, np.float64)


def _choose(
    values: NDArray[np.float64], inside: NDArray[np.bool_], settings: Settings
) -> NDArray[np.bool_]:
    chosen = inside.copy()
    found = values[inside]
    kept = np.ones(found.size, np.bool_)
    if settings.value_range is not None:
        # NaN stays, so that it is told rather than left out.
        kept &= ~((found < settings.value_range[0]) | (found > settings.value_range[1]))
    if settings.outlier_sd is not None and found.size:
        kept &= ~(np.abs(found - found.mean()) > settings.outlier_sd * found.std())
    chosen[inside] = kept
    return chosen
