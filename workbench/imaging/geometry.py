"""Geometry: where slices lie in the patient, and whether they make one regular grid.

Slices are ordered by their position along the normal, never by a number or a name, and their
distance comes from positions, never from SliceThickness (DICOM PS3.3, C.7.6.2.1.1). Tolerances,
with whose practice they follow:

=========================  ==========================  ==========================================
what                       refused beyond              as
=========================  ==========================  ==========================================
distance between slices    1 % of it, or 0.01 mm       highdicom (1 %); ITK, as its users set it
cosines between slices     0.001                       dicom2nifti
length, angle of cosines   0.01                        stored to two decimals at least
shear (gantry tilt)        0.001 rad, and 0.01 mm      highdicom
slices beside their line   1 % of a pixel + 0.01 mm    0.01 mm is what DS stores of most positions
positions that are equal   0.01 mm                     3D Slicer's epsilon
=========================  ==========================  ==========================================
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.imaging.volume_error import VolumeError

EVEN = 0.01
"""Share of the distance between slices, or other steps of a grid, by which one may differ."""
SAME_MM = 0.01
"""Positions that differ by less are one position."""
SAME_COSINE = 1e-3
UNIT = 1e-2
"""How far cosines may be from unit length and from a right angle."""
SHEAR = 1e-3
"""Shear (rad) that is no gantry tilt."""
FURTHEST = 1e9
"""Numbers (mm) beyond this are no place."""
SHOWN = 12
"""Gaps that an error lists."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Grid:
    """Say where the voxels of a stack of slices lie in the patient.

    A voxel of column i, row j and slice k lies at ``affine @ (i, j, k, 1)``. Coordinates along
    the axes are those of the patient, turned: a point is x * row + y * column + z * normal, so
    that for transverse slices x, y and z are the patient's own.

    Parameters
    ----------
    shape
        Slices, rows and columns (1).
    affine
        Voxel to patient, shape (4, 4), mm, LPS (x to the left, y to the back, z to the head).
    orientation
        Cosines of a row and of a column, 6 numbers (DICOM PS3.3, C.7.6.2.1.1).
    spacing
        Distance of slices, rows and columns (mm).
    shear
        By how much the slices shift along a row and along a column, 2 numbers (mm a mm).
    """

    shape: tuple[int, int, int]
    affine: Floats
    orientation: Floats
    spacing: tuple[float, float, float]
    shear: tuple[float, float] = (0.0, 0.0)

    @property
    def normal(self) -> Floats:
        """Unit vector from slice to slice."""
        return np.cross(self.orientation[:3], self.orientation[3:])

    @property
    def tilt_deg(self) -> float:
        """Angle between the line of the slices and their normal."""
        return float(np.degrees(np.arctan(np.hypot(*self.shear))))

    @property
    def is_sheared(self) -> bool:
        """Whether the line of the slices leaves their normal by more than the tolerance."""
        shear = float(np.hypot(*self.shear))
        return shear > SHEAR and shear * self.spacing[0] * (self.shape[0] - 1) > SAME_MM

    def coordinates(self) -> dict[str, Floats]:
        """Return the position of slices, rows and columns along their axes (mm)."""
        axes = {
            "z": self.normal,
            "y": self.orientation[3:],
            "x": self.orientation[:3],
        }
        origin = self.affine[:3, 3]
        return {
            name: origin @ axis + step * np.arange(size)
            for (name, axis), step, size in zip(axes.items(), self.spacing, self.shape, strict=True)
        }


def place_slices(
    position: Floats,
    orientation: Floats,
    spacing: Floats,
    size: Integers,
    *,
    slices: int = 3,
    tilt: str = "refuse",
) -> tuple[Grid, Integers]:
    """Order images by their position along the normal, and say where they lie.

    Parameters
    ----------
    position
        ImagePositionPatient, shape (images, 3), mm, LPS.
    orientation
        ImageOrientationPatient, shape (images, 6).
    spacing
        PixelSpacing: between rows and between columns, shape (images, 2), mm.
    size
        Rows and columns, shape (images, 2).
    slices
        Fewest positions that make a volume.
    tilt
        "refuse" a sheared stack, or "resample" to keep its shear in the grid.

    Returns
    -------
    Grid
        Where the voxels lie.
    numpy.ndarray, shape (images,)
        Slice of each image; several images may lie at one position.

    Raises
    ------
    VolumeError
        If the images do not make one regular grid.

    Examples
    --------
    >>> z = np.array([[0, 0, 6.0], [0, 0, 2.0], [0, 0, 4.0]])
    >>> one = np.ones((3, 1))
    >>> grid, order = place_slices(
    ...     z, one * [1.0, 0, 0, 0, 1, 0], one * [0.5, 0.5], (one * [64, 64]).astype(int)
    ... )
    >>> grid.spacing, order.tolist()
    ((2.0, 0.5, 0.5), [2, 0, 1])
    """
    _check_alike(position, orientation, spacing, size)
    # Medians, unlike sums, do not depend on the order of the images.
    cosines = _unit(np.median(orientation, axis=0))
    down, across = (float(v) for v in np.median(spacing, axis=0))
    row, column = cosines[:3], cosines[3:]
    normal = np.cross(row, column)
    normal /= np.linalg.norm(normal)
    along = position @ normal
    order = np.argsort(along, kind="stable")
    starts = np.diff(along[order], prepend=-np.inf) > SAME_MM
    place = np.empty(len(along), dtype=np.int64)
    place[order] = np.cumsum(starts) - 1
    count = int(starts.sum())
    if count < max(slices, 2):
        reason = "single_image" if count == 1 else "too_few_slices"
        raise VolumeError(reason, f"{count} of at least {max(slices, 2)} positions")
    planes = np.bincount(place[order], along[order]) / np.bincount(place)
    step = _check_even(planes)
    beside = position @ np.stack([row, column], axis=1)
    shear = _check_line(along[order], beside[order], min(down, across), tilt)
    first = np.median(position[place == 0], axis=0)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * across, column * down
    affine[:3, 2] = step * (normal + shear[0] * row + shear[1] * column)
    affine[:3, 3] = first
    shape = (count, int(size[0, 0]), int(size[0, 1]))
    return Grid(shape, affine, cosines, (step, down, across), shear), place


def _check_alike(position: Floats, orientation: Floats, spacing: Floats, size: Integers) -> None:
    stored = np.concatenate([position, orientation, spacing], axis=1)
    lacking = int(np.isnan(stored).any(axis=1).sum())
    if lacking:
        raise VolumeError("no_position", f"{lacking} of {len(stored)} images")
    if not (np.abs(stored) < FURTHEST).all() or (spacing <= 0).any():
        raise VolumeError("bad_geometry", "a position, an orientation or a spacing")
    different = np.abs(orientation - orientation[0]).max(axis=1) > SAME_COSINE
    if different.any():
        detail = f"{int(different.sum())} of {len(different)} images differ from the first"
        raise VolumeError("mixed_orientation", detail)
    if (size != size[0]).any():
        found = sorted({f"{r} x {c}" for r, c in size.tolist()})
        raise VolumeError("mixed_sizes", ", ".join(found[:SHOWN]))
    if not np.allclose(spacing, spacing[0], rtol=SAME_COSINE, atol=0):
        raise VolumeError("mixed_spacing", f"{len(np.unique(spacing, axis=0))} spacings")


def _unit(orientation: Floats) -> Floats:
    """Return the cosines with unit length."""
    row, column = orientation[:3], orientation[3:]
    lengths = float(np.linalg.norm(row)), float(np.linalg.norm(column))
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(float(row @ column))) > UNIT:
        raise VolumeError("bad_geometry", "the cosines are not at right angles")
    return np.concatenate([row / lengths[0], column / lengths[1]])


def _check_even(planes: Floats) -> float:
    """Return the distance between slices (mm), if it is one."""
    gaps = np.diff(planes)
    usual = float(gaps.mean())
    if np.abs(gaps - usual).max() <= max(SAME_MM, EVEN * usual):
        return usual
    smallest = float(gaps.min())
    steps = np.rint(gaps / smallest)
    missing = int((steps - 1).sum())
    off = np.abs(gaps - steps * smallest)
    if (off <= np.maximum(SAME_MM, EVEN * gaps)).all() and 0 < missing <= len(planes):
        holes = [
            f"{int(s) - 1} after slice {k + 1} (gap {g:g} mm)"
            for k, (s, g) in enumerate(zip(steps, gaps.round(3), strict=True))
            if s > 1
        ]
        detail = f"{', '.join(holes[:SHOWN])} of {len(planes)}, else {smallest:.4g} mm apart"
        raise VolumeError("missing_slices", detail)
    values, counts = np.unique(gaps.round(3), return_counts=True)
    listed = [f"{v:g} mm ({n}x)" for v, n in zip(values, counts, strict=True)]
    more = ", …" if len(listed) > SHOWN else ""
    raise VolumeError("uneven_spacing", f"gaps {', '.join(listed[:SHOWN])}{more}")


def _check_line(along: Floats, beside: Floats, pixel: float, tilt: str) -> tuple[float, float]:
    """Return how the slices shift along rows and columns (mm a mm), if they lie on a line."""
    centred = along - along.mean()
    slope = centred @ (beside - beside.mean(axis=0)) / (centred @ centred)
    residual = beside - beside.mean(axis=0) - centred[:, None] * slope
    worst = float(np.abs(residual).max())
    if worst > SAME_MM + EVEN * pixel:
        raise VolumeError("not_aligned", f"up to {worst:.3g} mm beside their line")
    shear = float(np.hypot(*slope))
    if shear > SHEAR and shear * float(np.ptp(along)) > SAME_MM and tilt != "resample":
        detail = f"{np.degrees(np.arctan(shear)):.2f} degrees from the normal of the slices"
        raise VolumeError("gantry_tilt", detail)
    return float(slope[0]), float(slope[1])
