"""Tilt: a stack that a tilted gantry has sheared, made straight."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.imaging.geometry import Grid
from workbench.imaging.volume_error import VolumeError
from workbench.imaging.voxels import Key, Voxels

MOST_SHIFT = 2**16
"""Voxels by which slices may be moved: no image has more rows or columns."""


@dataclass(frozen=True)
class Straightened:
    """Read a sheared stack as a straight one: each slice shifted in its plane, linearly.

    The new grid is as large as all slices need; where there is no slice, and where a slice holds
    padding or lies beside it, values are NaN.

    Parameters
    ----------
    voxels
        The sheared stack.
    shift
        By how many voxels each slice is moved along columns and along rows (y, x), shape
        (slices, 2), not negative.
    """

    voxels: Voxels = field(repr=False)
    shift: NDArray[np.float64]
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float32))

    @property
    def table(self) -> NDArray[np.int64]:
        """Which image lies where."""
        return self.voxels.table

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all: (axis, ..., slices, rows, columns)."""
        more = np.ceil(self.shift.max(axis=0).round(6)).astype(int)
        *outer, rows, columns = self.voxels.shape
        return (*outer, rows + int(more[0]), columns + int(more[1]))

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __getitem__(self, key: Key) -> NDArray[Any]:
        """Read what lies there; a slice is always read whole."""
        keys = key if isinstance(key, tuple) else (key,)
        outer, inner = keys[: self.table.ndim], keys[self.table.ndim :]
        stored = self.voxels[outer]
        height = np.broadcast_to(np.arange(len(self.shift)), self.table.shape)[outer]
        out = np.full(stored.shape[:-2] + self.shape[-2:], np.nan, dtype=self.dtype)
        planes = zip(
            stored.reshape(-1, *stored.shape[-2:]),
            self.table[outer].ravel().tolist(),
            self.shift[height.ravel()],
            out.reshape(-1, *out.shape[-2:]),
            strict=True,
        )
        for plane, image, shift, target in planes:
            shift_plane(self._without_padding(plane, image), shift, target)
        return out[(..., *inner, *[slice(None)] * (2 - len(inner)))]

    def _without_padding(self, plane: NDArray[Any], image: int) -> NDArray[Any]:
        """Return the plane with NaN for padding, which must not mix with what is beside it."""
        if self.voxels.padding is None:
            return plane
        slope, intercept = self.voxels.slope[image], self.voxels.intercept[image]
        # Held as the values are, so that both are rounded alike.
        ends = np.sort(np.array(self.voxels.padding) * slope + intercept).astype(plane.dtype)
        return np.where((plane >= ends[0]) & (plane <= ends[1]), np.nan, plane)


def straighten(voxels: Voxels, grid: Grid) -> tuple[Straightened, Grid]:
    """Return the stack without its shear, and where its voxels lie.

    Parameters
    ----------
    voxels
        The sheared stack.
    grid
        Where its voxels lie.

    Raises
    ------
    VolumeError
        If its slices shift too far.
    """
    slices = np.arange(grid.shape[0])[:, None] * grid.spacing[0]
    spacing = np.array(grid.spacing[1:])
    # Along columns (y), along rows (x).
    moved = slices * np.array(grid.shear[::-1]) / spacing
    least = moved.min(axis=0)
    if not np.ptp(moved, axis=0).max() < MOST_SHIFT:
        raise VolumeError("bad_geometry", "slices shift by more than an image may have")
    straight = Straightened(voxels, moved - least)
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, 1] * least[0] + affine[:3, 0] * least[1]
    affine[:3, 2] = grid.normal * grid.spacing[0]
    shape = (grid.shape[0], straight.shape[-2], straight.shape[-1])
    return straight, replace(grid, shape=shape, affine=affine, shear=(0.0, 0.0))


def shift_plane(plane: NDArray[Any], shift: NDArray[np.float64], out: NDArray[Any]) -> None:
    """Write a plane into a larger one, moved by a part of a voxel; linear between voxels.

    Parameters
    ----------
    plane
        Values, shape (rows, columns).
    shift
        Voxels along columns and along rows (y, x), not negative.
    out
        Where to write, shape at least the plane's and the shift's; what lies beyond stays.

    Examples
    --------
    >>> out = np.full((1, 4), np.nan)
    >>> shift_plane(np.array([[0.0, 2.0, 4.0]]), np.array([0.0, 0.5]), out)
    >>> out.tolist()
    [[nan, 1.0, 3.0, nan]]
    """
    values = plane.astype(np.float64)
    start = []
    for axis, by in enumerate(np.asarray(shift).round(6)):
        whole = int(np.floor(by))
        part = by - whole
        if part > 0:
            before = np.delete(values, -1, axis)
            after = np.delete(values, 0, axis)
            values = before * part + after * (1 - part)
            whole += 1
        start.append(whole)
    rows, columns = values.shape
    out[start[0] : start[0] + rows, start[1] : start[1] + columns] = values
