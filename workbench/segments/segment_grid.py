"""Segment grid: frames of a SEG on the voxels of a volume, one for one or nearest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ImageError
from workbench.segments.contours import find_planes, plane_spacing

ON_VOXEL = 0.1
"""Part of a voxel that a frame's corners may lie off the voxels of the volume."""


@dataclass(frozen=True)
class Placement:
    """Say where the pixels of a frame lie among the voxels of the volume.

    Parameters
    ----------
    k : int
        Slice.
    corner : (int, int)
        Row and column of the frame's first pixel, after turning.
    turned, upside_down, mirrored : bool
        Whether rows and columns are exchanged; then rows, then columns, reversed.
    """

    k: int
    corner: tuple[int, int]
    turned: bool
    upside_down: bool
    mirrored: bool

    def put(self, mask: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return a frame as a slice of the volume; what lies beside it is cut off."""
        mask = mask.T if self.turned else mask
        mask = mask[:: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1]
        placed = np.zeros(shape, np.bool_)
        to = [slice(max(c, 0), max(c + n, 0)) for c, n in zip(self.corner, mask.shape, strict=True)]
        source = [slice(max(-c, 0), max(s - c, 0)) for c, s in zip(self.corner, shape, strict=True)]
        placed[tuple(to)] = mask[tuple(source)]
        return placed


def place(
    affines: NDArray[np.float64], size: tuple[int, int], volume: NDArray[np.float64]
) -> list[Placement] | None:
    """Return where frames lie on the volume's own voxels, or None if on another grid.

    Parameters
    ----------
    affines : ndarray, shape (frames, 4, 4)
        As of `SegmentFrames`.
    size : (int, int)
        Rows and columns of a frame.
    volume : ndarray, shape (4, 4)
        From voxel (x, y, z) of the volume to mm.
    """
    rows, columns = size
    to_voxel = np.linalg.inv(volume) @ affines
    steps = np.rint(to_voxel[:, :3, :2])
    extent = np.array([max(columns - 1, 1), max(rows - 1, 1)])
    drift = np.abs((to_voxel[:, :3, :2] - steps) * extent).max()
    first = to_voxel[:, :3, 3]
    one_each = (np.abs(steps).sum(axis=1) == 1).all() and (np.abs(steps).sum(axis=2) <= 1).all()
    if drift > ON_VOXEL or np.abs(first - np.rint(first)).max() > ON_VOXEL:
        return None
    if not one_each or steps[:, 2].any():
        return None
    placements = []
    for step, origin in zip(steps.astype(int), np.rint(first).astype(int), strict=True):
        turned = step[0, 0] == 0
        high, wide = (columns, rows) if turned else (rows, columns)
        mirrored = step[0].sum() < 0
        upside_down = step[1].sum() < 0
        corner = (origin[1] - upside_down * (high - 1), origin[0] - mirrored * (wide - 1))
        placements.append(
            Placement(
                int(origin[2]),
                (int(corner[0]), int(corner[1])),
                bool(turned),
                bool(upside_down),
                bool(mirrored),
            )
        )
    return placements


def count_outside(
    affines: NDArray[np.float64],
    size: tuple[int, int],
    volume: NDArray[np.float64],
    shape: tuple[int, int, int],
) -> int:
    """Return how many frames lie outside of the volume, wholly or in part.

    Parameters
    ----------
    affines, size, volume
        As of `place`.
    shape : (int, int, int)
        Slices, rows and columns of the volume.
    """
    rows, columns = size
    corners = np.array([[c, r, 0, 1] for c in (0, columns - 1) for r in (0, rows - 1)]).T
    voxels = (np.linalg.inv(volume) @ affines @ corners)[:, :3]
    last = np.array(shape[::-1])[:, None] - 0.5
    tolerance = ON_VOXEL
    beyond = (voxels < -0.5 - tolerance) | (voxels > last + tolerance)
    return int(beyond.any(axis=(1, 2)).sum())


def sample(
    frames: NDArray[np.bool_],
    affines: NDArray[np.float64],
    volume: NDArray[np.float64],
    shape: tuple[int, int, int],
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yield for each slice of the volume the nearest voxels of a stack of frames.

    A voxel takes the nearest pixel of the nearest frame, up to half the distance between two.

    Parameters
    ----------
    frames : ndarray of bool, shape (frames, rows, columns)
    affines, volume, shape
        As of `count_outside`.

    Raises
    ------
    ImageError
        If the frames are no stack of equal, parallel planes one above the other.
    """
    to_frame = np.linalg.inv(affines[0])
    origins = (to_frame @ affines)[:, :3, 3]
    apart = np.abs(affines[:, :3, :3] - affines[0, :3, :3]).max()
    if apart > 1e-4 or np.abs(origins[:, :2]).max() > ON_VOXEL:
        raise ImageError(
            "The frames of the segmentation are no stack of parallel planes",
            todo="Open the series that it was made on, and give it as like=",
        )
    heights, plane = find_planes(origins[:, 2], tolerance=1e-3)
    if len(heights) < len(frames):
        raise ImageError(
            "Two frames of a segment stand in the same place",
            todo="Export the segmentation again, or leave it out",
        )
    stack = frames[np.argsort(plane)]
    # One plane alone is as thick as a slice of the volume.
    near = (plane_spacing(heights) if len(heights) > 1 else _thickness(volume)) / 2 + 1e-6
    to_frame = to_frame @ volume
    rows, columns = np.mgrid[: shape[1], : shape[2]]
    for k in range(shape[0]):
        c, r, h = (a[0] * columns + a[1] * rows + a[2] * k + a[3] for a in to_frame[:3])
        right = np.clip(np.searchsorted(heights, h), 1, max(len(heights) - 1, 1))
        left, right = right - 1, np.minimum(right, len(heights) - 1)
        nearest = np.where(h - heights[left] <= heights[right] - h, left, right)
        c, r = np.floor(c + 0.5).astype(np.int64), np.floor(r + 0.5).astype(np.int64)
        inside = (np.abs(heights[nearest] - h) <= near) & (c >= 0) & (r >= 0)
        inside &= (c < stack.shape[2]) & (r < stack.shape[1])
        if inside.any():
            found = np.zeros(inside.shape, np.bool_)
            found[inside] = stack[nearest[inside], r[inside], c[inside]]
            yield k, found


def _thickness(volume: NDArray[np.float64]) -> float:
    normal = np.cross(volume[:3, 0], volume[:3, 1])
    return float(abs(volume[:3, 2] @ normal) / np.linalg.norm(normal))
