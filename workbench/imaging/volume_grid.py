"""Volume grid: where the voxels of an array lie in the patient, also after it was cut or turned."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ImageError, show
from workbench.imaging.geometry import EVEN

if TYPE_CHECKING:
    import xarray as xr

SPACE = ("z", "y", "x")
"""Last dimensions of a volume."""
RIGHT_ANGLE = 1e-3
"""Cosine between rows and columns from which on they are not at right angles."""
SAME_MM = 1e-6
_TODO = "Open it with open_volume or read_volume, and keep its coordinates and attributes"


def affine_of(volume: xr.DataArray) -> NDArray[np.float64]:
    """Return where the voxels of a volume lie, as its coordinates say.

    An array that was cut, thinned out or reversed keeps the affine of the whole in its attributes,
    while its coordinates tell which part of it is left.

    Parameters
    ----------
    volume : xarray.DataArray, shape (..., z, y, x)
        With `attrs["affine"]`, and coordinates z, y, x in mm along normal, columns and rows.

    Returns
    -------
    ndarray, shape (4, 4)
        From voxel (x, y, z) to mm in the patient, LPS.

    Raises
    ------
    ImageError
        If the array is no volume, or its coordinates are not evenly spaced.
    """
    if volume.dims[-3:] != SPACE or not volume.size:
        sizes = show(", ".join(f"{d} {n}" for d, n in volume.sizes.items()))
        raise ImageError("The array is no volume", where=f"its dimensions: {sizes}", todo=_TODO)
    whole = check_affine(volume.attrs.get("affine"))
    axes = _axes(whole, volume.attrs.get("orientation"))
    part = np.eye(4)
    for column, name in enumerate(reversed(SPACE)):
        if name not in volume.coords:
            continue
        along = np.asarray(volume.coords[name].values, np.float64)
        usual = whole[:3, column] @ axes[column]
        first, step = _first_and_step(along, usual, name)
        part[column, column] = step / usual
        part[column, 3] = (first - whole[:3, 3] @ axes[column]) / usual
    moved = whole @ part
    extent = np.array([*volume.shape[:-4:-1], 1])
    # Coordinates are computed from the affine: what differs by rounding alone is unchanged.
    return whole if np.abs((moved - whole) * extent).max() < SAME_MM else moved


def check_affine(stored: object) -> NDArray[np.float64]:
    """Return an affine as an array.

    Raises
    ------
    ImageError
        If it is not one, or its rows and columns are not at right angles.
    """
    try:
        affine = np.array(stored, np.float64)
    except (TypeError, ValueError):
        affine = np.empty(0)
    good = affine.shape == (4, 4) and np.isfinite(affine).all()
    if not good or abs(np.linalg.det(affine)) < 1e-12 or (affine[3] != [0, 0, 0, 1]).any():
        raise ImageError("The volume does not say where it lies", where="affine", todo=_TODO)
    row, column = (affine[:3, i] / np.linalg.norm(affine[:3, i]) for i in (0, 1))
    if abs(row @ column) > RIGHT_ANGLE:
        raise ImageError(
            "Rows and columns are not at right angles",
            where="affine",
            todo="Bring the volume to a grid without shear",
        )
    return affine


def coordinates(
    affine: NDArray[np.float64], shape: tuple[int, int, int]
) -> dict[str, NDArray[np.float64]]:
    """Return the positions of slices, rows and columns along normal, columns and rows.

    Parameters
    ----------
    affine : ndarray, shape (4, 4)
        From voxel (x, y, z) to mm.
    shape : (int, int, int)
        Slices, rows and columns.

    Returns
    -------
    dict of str to ndarray
        z, y, x in mm; those of z fall where the slices run against the normal.

    Examples
    --------
    >>> coordinates(np.diag([0.5, 0.5, -2.0, 1.0]), (2, 1, 3))
    {'z': array([ 0., -2.]), 'y': array([0.]), 'x': array([0. , 0.5, 1. ])}
    """
    axes = _axes(affine, None)
    return {
        name: affine[:3, 3] @ axes[i] + (affine[:3, i] @ axes[i]) * np.arange(shape[2 - i])
        for name, i in zip(SPACE, (2, 1, 0), strict=True)
    }


def orientation_of(affine: NDArray[np.float64]) -> list[float]:
    """Return the cosines of a row and of a column (DICOM PS3.3, C.7.6.2.1.1).

    Examples
    --------
    >>> orientation_of(np.diag([0.5, 0.5, 2.0, 1.0]))
    [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    """
    cosines: list[float] = _axes(affine, None)[:2].ravel().tolist()
    return cosines


def _axes(affine: NDArray[np.float64], orientation: object) -> NDArray[np.float64]:
    """Return the unit vectors along a row, a column and the normal."""
    row, column = (affine[:3, i] / np.linalg.norm(affine[:3, i]) for i in (0, 1))
    stated = np.array([] if orientation is None else orientation, np.float64)
    if stated.shape == (6,) and np.isfinite(stated).all():
        row, column = stated[:3], stated[3:]
    return np.stack([row, column, np.cross(row, column)])


def _first_and_step(along: NDArray[np.float64], usual: float, name: str) -> tuple[float, float]:
    if len(along) < 2:
        return float(along[0]), usual
    steps = np.diff(along)
    step = float(along[-1] - along[0]) / len(steps)
    if not np.abs(steps - step).max() <= EVEN * abs(step):
        raise ImageError(
            "The volume is not evenly spaced",
            where=f"coordinate {name}",
            todo="Take slices at one distance, as with isel(z=slice(None, None, 2))",
        )
    return float(along[0]), step


def frame_name(uid: str) -> str:
    """Return a name for a frame of reference, which tells equal from different and nothing more.

    The UID itself is an identifier of the exam, and stays out of volumes and their files.

    Examples
    --------
    >>> frame_name("1.2.3") == frame_name("1.2.3 "), frame_name("")
    (True, '')
    """
    bare = uid.strip(" \0")
    return hashlib.sha256(bare.encode()).hexdigest()[:16] if bare else ""
