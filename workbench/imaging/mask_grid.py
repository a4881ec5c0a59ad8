"""Mask grid: whether a mask lies on the voxels of a volume, how large these are, where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ImageError
from workbench.imaging.geometry import SAME_COSINE, SAME_MM
from workbench.imaging.volume_grid import SPACE, affine_of

if TYPE_CHECKING:
    import xarray as xr

Box = tuple[slice, slice, slice]


def shared_spacing(volume: xr.DataArray, mask: xr.DataArray) -> tuple[float, float, float]:
    """Return the distances between voxels of two arrays that lie on one grid.

    Parameters
    ----------
    volume, mask : xarray.DataArray, shape (z, y, x)
        With `attrs["affine"]`.

    Returns
    -------
    (float, float, float)
        Distances between slices, rows and columns in mm.

    Raises
    ------
    ImageError
        If either is no volume of three dimensions, if a corner of one lies more than 0.01 mm from
        the other's, or if the slices are sheared.

    Examples
    --------
    >>> import xarray as xr
    >>> affine = np.diag([0.5, 0.5, 2.0, 1.0]).tolist()
    >>> volume = xr.DataArray(np.zeros((2, 3, 4)), dims=("z", "y", "x"), attrs={"affine": affine})
    >>> shared_spacing(volume, volume)
    (2.0, 0.5, 0.5)
    """
    first, second = _affine(volume, "the volume"), _affine(mask, "the mask")
    if volume.shape != mask.shape:
        sizes = " and ".join(" x ".join(f"{n:,}" for n in a.shape) for a in (volume, mask))
        raise _elsewhere(f"voxels: {sizes}")
    far = np.array(volume.shape[::-1]) - 1
    corners = np.array([[*(far * bits), 1] for bits in np.ndindex(2, 2, 2)]).T
    apart = float(np.linalg.norm(((first - second) @ corners)[:3], axis=0).max())
    if apart > SAME_MM:
        raise _elsewhere(f"a corner, {apart:.3g} mm apart")
    return spacing_of(first)


def spacing_of(affine: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the distances between slices, rows and columns in mm.

    Parameters
    ----------
    affine : ndarray, shape (4, 4)
        From voxel (x, y, z) to mm.

    Raises
    ------
    ImageError
        If the slices are sheared.
    """
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    unit = affine[:3, :3] / lengths
    if np.abs(unit.T @ unit - np.eye(3)).max() > SAME_COSINE:
        raise ImageError(
            "The slices are sheared",
            where="affine",
            todo='Open the series with tilt="resample", and draw the mask on that',
        )
    x, y, z = lengths.tolist()
    return z, y, x


def read_mask(mask: xr.DataArray) -> NDArray[Any]:
    """Return the labels of a mask as whole numbers or bool, in memory.

    Raises
    ------
    ImageError
        If a value is no whole number.
    """
    labels = np.asarray(mask.data)
    if labels.dtype.kind in "bui":
        return labels
    whole = labels.dtype.kind == "f" and np.isfinite(labels).all()
    if not whole or (labels != np.floor(labels)).any():
        raise ImageError(
            "The mask holds other values than whole numbers",
            where="the mask",
            todo="Compare probabilities with a threshold first, as in mask > 0.5",
        )
    return labels.astype(np.int32)


def find_box(mask: NDArray[np.bool_]) -> Box | None:
    """Return the smallest box that holds a mask, or None where it is empty.

    Examples
    --------
    >>> mask = np.zeros((4, 4, 4), bool)
    >>> find_box(mask) is None
    True
    >>> mask[1, 2:, 3] = True
    >>> find_box(mask)
    (slice(1, 2, None), slice(2, 4, None), slice(3, 4, None))
    """
    slices = np.flatnonzero(mask.reshape(len(mask), -1).any(axis=1))
    if not slices.size:
        return None
    depth = slice(int(slices[0]), int(slices[-1]) + 1)
    plane = np.asarray(mask[depth].any(axis=0))
    rows, columns = (np.flatnonzero(side) for side in (plane.any(axis=1), plane.any(axis=0)))
    return (
        depth,
        slice(int(rows[0]), int(rows[-1]) + 1),
        slice(int(columns[0]), int(columns[-1]) + 1),
    )


def _affine(array: xr.DataArray, name: str) -> NDArray[np.float64]:
    if array.dims != SPACE:
        raise ImageError(
            "The array has other dimensions than z, y, x",
            where=name,
            todo="Select one time, channel or segment first",
        )
    return affine_of(array)


def _elsewhere(where: str) -> ImageError:
    return ImageError(
        "The mask lies on another grid than the volume",
        where=where,
        todo="Draw it on this volume, as open_segmentation does with like=",
    )
