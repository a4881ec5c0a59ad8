"""Shapes: bodies of known form, painted into a grid with the part of each voxel they cover."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Point = Sequence[float] | npt.NDArray[np.float64]


@dataclass
class Grid:
    """Say where the voxels of a volume lie in a patient, mm, LPS.

    Parameters
    ----------
    x, y : ndarray, shape (columns,) and (rows,)
        Centres of the pixels; x to the patient's left, y to the back.
    z : ndarray, shape (slices,)
        Height of the anatomy in each slice, to the head. Where the patient breathes, it is not
        the height of the slice.
    spacing : (float, float, float)
        Voxel along z, y and x.
    """

    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]
    z: npt.NDArray[np.float64]
    spacing: tuple[float, float, float]
    axes: tuple[Floats, Floats, Floats] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.axes = (
            self.z.astype(np.float32)[:, None, None],
            self.y.astype(np.float32)[None, :, None],
            self.x.astype(np.float32)[None, None, :],
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns."""
        return len(self.z), len(self.y), len(self.x)

    def box(self, low: Point, high: Point) -> tuple[slice, slice, slice] | None:
        """Return the voxels between two corners (x, y, z), with one more around; None if none."""
        parts = []
        for axis, line in ((2, self.z), (1, self.y), (0, self.x)):
            margin = self.spacing[2 - axis]
            inside = np.flatnonzero((line >= low[axis] - margin) & (line <= high[axis] + margin))
            if not len(inside):
                return None
            parts.append(slice(int(inside[0]), int(inside[-1]) + 1))
        return parts[0], parts[1], parts[2]

    def within(self, box: tuple[slice, slice, slice]) -> tuple[Floats, Floats, Floats]:
        """Return z, y and x of a box, shaped to be combined."""
        z, y, x = self.axes
        return z[box[0]], y[:, box[1]], x[:, :, box[2]]


def blend(volume: Floats, part: Floats | float, hu: Floats | float) -> None:
    """Put a tissue into the part of each voxel that it covers; changes the volume."""
    volume += part * (hu - volume)


def edge(distance: Floats, width: float) -> Floats:
    """Return the part covered by a body whose surface is this far away, mm, negative inside.

    Examples
    --------
    >>> edge(np.float32([-5, 0, 1, 5]), 4).tolist()
    [1.0, 0.5, 0.25, 0.0]
    """
    return np.asarray(np.clip(0.5 - distance / np.float32(width), 0, 1), dtype=np.float32)


def gauge(
    x: Floats, y: Floats, radii: tuple[Floats | float, Floats | float], power: float
) -> Floats:
    """Return the gauge of a superellipse: 1 on it, below 1 inside, growing with the distance."""
    across = np.abs(x / radii[0]) ** np.float32(power)
    along = np.abs(y / radii[1]) ** np.float32(power)
    total = across + along
    return np.asarray(np.maximum(total, 1e-9) ** np.float32(1 / power), dtype=np.float32)


def ellipsoid(  # noqa: PLR0917
    grid: Grid, volume: Floats, centre: Point, radii: Point, hu: float, part: float = 1.0
) -> None:
    """Paint an ellipsoid.

    Parameters
    ----------
    grid, volume
        What is painted.
    centre, radii
        x, y and z, mm.
    hu
        Its tissue.
    part
        How much of it replaces what was there.
    """
    box = grid.box([c - r for c, r in zip(centre, radii, strict=True)],
                   [c + r for c, r in zip(centre, radii, strict=True)])  # fmt: skip
    if box is None:
        return
    z, y, x = grid.within(box)
    distance = ellipsoid_distance(x, y, z, centre, radii)
    blend(volume[box], part * edge(distance, grid.spacing[2]), hu)


def ellipsoid_distance(x: Floats, y: Floats, z: Floats, centre: Point, radii: Point) -> Floats:
    """Return roughly how far points lie from an ellipsoid, mm; negative inside."""
    parts = [(p - c) / r for p, c, r in zip((x, y, z), centre, radii, strict=True)]
    size = np.sqrt(np.maximum(parts[0] ** 2 + parts[1] ** 2 + parts[2] ** 2, 1e-9))
    slopes = [p / r for p, r in zip(parts, radii, strict=True)]
    steep = np.sqrt(slopes[0] ** 2 + slopes[1] ** 2 + slopes[2] ** 2) + 1e-9
    return np.asarray(size * (size - 1) / steep, dtype=np.float32)


def capsule(
    grid: Grid, volume: Floats, ends: tuple[Point, Point], radii: tuple[float, float], hu: float
) -> None:
    """Paint a tube with round ends, whose radius may change along it.

    A tube that is thinner than a voxel covers less of it.

    Parameters
    ----------
    grid, volume
        What is painted.
    ends
        Both ends of its axis: x, y and z, mm.
    radii
        At both ends, mm.
    hu
        Its tissue.
    """
    first, last = np.asarray(ends[0], float), np.asarray(ends[1], float)
    wide = max(radii)
    reach = np.maximum(wide, np.array(grid.spacing[::-1]) / 2)
    box = grid.box(np.minimum(first, last) - reach, np.maximum(first, last) + reach)
    if box is None:
        return
    z, y, x = grid.within(box)
    axis = (last - first).astype(np.float32)
    length = max(float(axis @ axis), 1e-6)
    px, py, pz = (p - np.float32(f) for p, f in zip((x, y, z), first, strict=True))
    along = np.clip((px * axis[0] + py * axis[1] + pz * axis[2]) / np.float32(length), 0, 1)
    dx, dy, dz = px - along * axis[0], py - along * axis[1], pz - along * axis[2]
    distance = np.sqrt(dx * dx + dy * dy + dz * dz) + np.float32(1e-6)
    # A voxel is as wide as its sides are along the way to the axis.
    sides = np.array(grid.spacing, np.float32)
    width = (np.abs(dx) * sides[2] + np.abs(dy) * sides[1] + np.abs(dz) * sides[0]) / distance
    width = np.maximum(width, sides[2])
    radius = np.float32(radii[0]) + along * np.float32(radii[1] - radii[0])
    thin = np.minimum(2 * radius / width, 1)
    covered = np.clip(0.5 + (np.maximum(radius, width / 2) - distance) / width, 0, 1) * thin
    blend(volume[box], covered, hu)
