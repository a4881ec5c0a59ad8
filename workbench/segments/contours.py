"""Contours: closed curves drawn on planes, and the voxels whose centres they enclose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ImageError

ON_PLANE = 0.1
"""Part of the distance between two slices that a contour may lie off its slice: coordinates are
written as rounded decimal text."""
_CROSSINGS = 2**22
"""Crossings of edges and rows that are held in memory together."""


def fill(contours: Sequence[NDArray[np.float64]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixel centres the contours enclose, by the even-odd rule.

    A pixel belongs if its centre, at whole numbers, lies inside: an odd number of edges stand to
    its left. A centre on a left or upper edge belongs, one on a right or lower edge does not, so
    two regions that share an edge neither overlap nor leave a gap. A contour inside another is a
    hole; the two edges of a keyhole's channel cancel each other (DICOM PS3.3, C.8.8.6.3).

    Parameters
    ----------
    contours : sequence of ndarray, shape (points, 2)
        Column and row of each point, in pixels; the last point is joined to the first.
    shape : (int, int)
        Rows and columns of the image.

    Returns
    -------
    ndarray of bool, shape (rows, columns)

    Examples
    --------
    >>> square = np.array([[1.0, 0.0], [3.0, 0.0], [3.0, 2.0], [1.0, 2.0]])
    >>> fill([square], (3, 4)).astype(int)
    array([[0, 1, 1, 0],
           [0, 1, 1, 0],
           [0, 0, 0, 0]])
    """
    begin = np.concatenate(contours)
    end = np.concatenate([np.roll(points, -1, axis=0) for points in contours])
    # Both directions of an edge are computed alike, so that they cross a row at the same place.
    falls = (begin[:, 1] > end[:, 1])[:, None]
    top, bottom = np.where(falls, end, begin), np.where(falls, begin, end)
    # Only the box around the contours is filled.
    corners = np.ceil([begin.min(axis=0), begin.max(axis=0)])
    (left, first), (right, last) = np.clip(corners, 0, [shape[1], shape[0]]).astype(int).tolist()
    box = Box(first, last, left, right)
    crossings = np.zeros((last - first) * (box.width + 1), np.int64)
    step = max(1, _CROSSINGS // max(last - first, 1))
    for i in range(0, len(top), step):
        at = _crossings(top[i : i + step], bottom[i : i + step], box)
        crossings += np.bincount(at, minlength=crossings.size)
    odd = crossings.reshape(-1, box.width + 1).astype(np.uint8)  # wraps round, and stays odd
    inside = np.zeros(shape, np.bool_)
    inside[first:last, left:right] = np.cumsum(odd, axis=1, dtype=np.uint8)[:, :-1] & 1
    return inside


class Box(NamedTuple):
    """Hold the first row and column of a part of an image, and those behind the last.

    Parameters
    ----------
    first, last
        Rows.
    left, right
        Columns.
    """

    first: int
    last: int
    left: int
    right: int

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left


def _crossings(
    top: NDArray[np.float64], bottom: NDArray[np.float64], box: Box
) -> NDArray[np.int64]:
    """Return, for each row that an edge crosses, the flat index of the first pixel on its right."""
    first = np.clip(np.ceil(top[:, 1]), box.first, box.last).astype(np.int64)
    count = np.clip(np.ceil(bottom[:, 1]), box.first, box.last).astype(np.int64) - first
    edge = np.repeat(np.arange(len(top)), count)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    along = (row - top[edge, 1]) / (bottom[edge, 1] - top[edge, 1])
    x = top[edge, 0] + along * (bottom[edge, 0] - top[edge, 0])
    column = np.clip(np.ceil(x), box.left, box.right).astype(np.int64)
    found: NDArray[np.int64] = (row - box.first) * (box.width + 1) + column - box.left
    return found


def to_slices(
    contours: Sequence[NDArray[np.float64]],
    affine: NDArray[np.float64],
    shape: tuple[int, int, int],
    *,
    resample: bool = False,
) -> tuple[dict[int, list[NDArray[np.float64]]], int]:
    """Put each contour on the slice whose plane it lies in.

    Parameters
    ----------
    contours : sequence of ndarray, shape (points, 3)
        In mm, in the patient's coordinates.
    affine : ndarray, shape (4, 4)
        From voxel (x, y, z) to mm.
    shape : (int, int, int)
        Slices, rows and columns.
    resample : bool
        Accept contours that lie between slices: each slice takes the plane nearest to it, up to
        half the distance between two planes.

    Returns
    -------
    by_slice : dict of int to list of ndarray, shape (points, 2)
        For each slice its contours as columns and rows, in pixels.
    outside : int
        Number of contours that lie outside of the volume, wholly or in part.

    Raises
    ------
    ImageError
        If a contour is not parallel to the slices, or lies between two of them.
    """
    inverse = np.linalg.inv(affine)
    voxels = [points @ inverse[:3, :3].T + inverse[:3, 3] for points in contours]
    heights = np.array([v[:, 2].mean() for v in voxels])
    tilted = sum(bool(np.ptp(v[:, 2]) > 2 * ON_PLANE) for v in voxels)
    if tilted:
        raise ImageError(
            f"{tilted:,} of {len(voxels):,} contours are not parallel to the slices",
            todo="Open the series that they were drawn on, and give it as like=",
        )
    nearest = np.rint(heights)
    between = int((np.abs(heights - nearest) > ON_PLANE).sum())
    if between and not resample:
        raise ImageError(
            f"{between:,} of {len(voxels):,} contours lie between two slices",
            todo="Give the series that they were drawn on as like=, or pass resample=True",
        )
    by_slice: dict[int, list[NDArray[np.float64]]] = {}
    if between:
        planes, plane = find_planes(heights)
        taken = nearest_planes(planes, shape[0], plane_spacing(planes))
        pairs = [(k, i) for k, p in taken.items() for i in np.flatnonzero(plane == p).tolist()]
    else:
        pairs = [(int(k), i) for i, k in enumerate(nearest) if 0 <= k < shape[0]]
    for k, i in pairs:
        by_slice.setdefault(k, []).append(voxels[i][:, :2])
    last = np.array(shape[2:0:-1]) - 0.5
    beside = [bool((v[:, :2] < -0.5).any() or (v[:, :2] > last).any()) for v in voxels]
    outside = int((np.array(beside) | (nearest < 0) | (nearest >= shape[0])).sum())
    return by_slice, outside


def find_planes(
    heights: NDArray[np.float64], tolerance: float = 0.01
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the distinct heights, ascending, and for each given height the index of its plane.

    Heights closer than `tolerance` are of one plane.

    Examples
    --------
    >>> find_planes(np.array([3.0, 1.0, 1.001]))[1]
    array([1, 0, 0])
    """
    order = np.argsort(heights, kind="stable")
    new = np.diff(heights[order], prepend=-np.inf) > tolerance
    plane = np.empty(len(heights), np.int64)
    plane[order] = np.cumsum(new) - 1
    planes = np.bincount(plane, heights) / np.bincount(plane)
    return planes, plane


def plane_spacing(planes: NDArray[np.float64]) -> float:
    """Return the smallest distance between two planes; 1 slice if there is only one plane."""
    return float(np.diff(planes).min()) if len(planes) > 1 else 1.0


def nearest_planes(planes: NDArray[np.float64], depth: int, spacing: float) -> dict[int, int]:
    """Return for each slice the nearest plane at most half a spacing away; none for the others.

    Examples
    --------
    >>> nearest_planes(np.array([0.4, 2.4]), depth=5, spacing=2.0)
    {0: 0, 1: 0, 2: 1, 3: 1}
    """
    slices = np.arange(depth)
    right = np.clip(np.searchsorted(planes, slices), 1, max(len(planes) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(planes) - 1)
    nearer = np.where(slices - planes[left] <= planes[right] - slices, left, right)
    near = np.abs(planes[nearer] - slices) <= spacing / 2 + 1e-9
    return {int(k): int(nearer[k]) for k in slices[near]}
