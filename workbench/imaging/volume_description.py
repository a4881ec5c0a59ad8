"""Volume description: all of a volume but its voxels, as plain JSON.

Files hold what a volume measures and nothing of whom: attributes that are not in `ATTRIBUTES`, and
coordinates of dates, are refused by name rather than written or dropped.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ImageError, show, suggest
from workbench.imaging.volume_grid import affine_of, check_affine, orientation_of

if TYPE_CHECKING:
    import xarray as xr

MARK = "imaging_workbench_volume"
VERSION = 1
LARGEST = 64 * 2**20
"""Bytes that a description may have."""
ATTRIBUTES = (
    "affine",
    "codes",
    "files_left_out",
    "frame_of_reference",
    "gantry_tilt_deg",
    "labels",
    "modality",
    "not_drawn",
    "orientation",
    "outside",
    "padding",
    "photometric",
    "skipped",
    "space",
    "tilt_resampled",
    "units",
)
"""Attributes that a file may hold."""
BY_NUMBER = ("codes", "labels", "not_drawn", "outside", "skipped")
"""Attributes whose keys are numbers of segments."""
DTYPES = ("bool", "f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
LONGEST_NAME = 64
_TODO = "Write the volume again with write_volume"


@dataclass(frozen=True)
class Coordinate:
    """Hold one coordinate.

    Parameters
    ----------
    dims : tuple of str
        Dimensions that it runs along; none for a single value.
    values : ndarray
        Numbers or texts.
    attrs : dict
        Such as `units`.
    """

    dims: tuple[str, ...]
    values: NDArray[Any]
    attrs: dict[str, Any]


@dataclass(frozen=True)
class Description:
    """Hold all of a volume but its voxels.

    Parameters
    ----------
    name : str or None
        Name of the array.
    dims : tuple of str
        Ends in z, y, x.
    shape : tuple of int
        Voxels along each.
    dtype : str
        One of `DTYPES`.
    coordinates : dict of str to Coordinate
        Also those along several dimensions.
    attrs : dict
        Some of `ATTRIBUTES`; always `affine`.
    """

    name: str | None
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    coordinates: dict[str, Coordinate]
    attrs: dict[str, Any]

    @property
    def nbytes(self) -> int:
        """Bytes of the voxels."""
        voxels = 1
        for size in self.shape:
            voxels *= size
        return voxels * np.dtype(self.dtype).itemsize

    def volume(self, data: Any) -> xr.DataArray:  # noqa: ANN401 - a NumPy or Dask array
        """Return the volume with these voxels."""
        import xarray as xr

        coords = {
            name: xr.Variable(c.dims, c.values, c.attrs) for name, c in self.coordinates.items()
        }
        # xarray names an array after its Dask graph, unless it is renamed.
        return xr.DataArray(data, coords, self.dims, attrs=self.attrs).rename(self.name)


def describe(volume: xr.DataArray) -> Description:
    """Return the description of a volume; its affine is that of the part that is left.

    Raises
    ------
    ImageError
        If it is no volume, or holds what a file may not.
    """
    affine = affine_of(volume)
    for key in volume.attrs:
        if key not in ATTRIBUTES:
            raise ImageError(
                f"A file of a volume may not hold the attribute {show(key)!r}",
                where="attrs",
                todo=f"Drop it. {suggest(str(key), ATTRIBUTES)}",
            )
    code = _short(volume.dtype)
    if code not in DTYPES:
        raise ImageError(
            f"A file of a volume cannot hold {show(str(volume.dtype))}",
            where="dtype",
            todo="Convert it with astype, as to float32",
        )
    attrs = dict(volume.attrs) | {"affine": affine.tolist()}
    if not np.array_equal(affine, volume.attrs["affine"]):
        # Coordinates are still counted along the axes of the whole.
        attrs.setdefault("orientation", orientation_of(check_affine(volume.attrs["affine"])))
    graph = getattr(volume.data, "name", None)
    return Description(
        None if volume.name is None or volume.name == graph else _name(volume.name),
        tuple(_name(dim) for dim in volume.dims),
        volume.shape,
        code,
        {_name(n): _coordinate(n, c) for n, c in volume.coords.items()},
        attrs,
    )


def dumps(description: Description) -> str:
    """Return a description as JSON text.

    Raises
    ------
    ImageError
        If an attribute is not plain.
    """
    coordinates = {
        name: {
            "dims": c.dims,
            "dtype": _short(c.values.dtype),
            "values": _plain(c.values, name, finite=False),
            "attrs": _plain(c.attrs, name),
        }
        for name, c in description.coordinates.items()
    }
    stored = {
        MARK: VERSION,
        "name": description.name,
        "dims": description.dims,
        "shape": description.shape,
        "dtype": description.dtype,
        "coordinates": coordinates,
        "attrs": {name: _plain(value, name) for name, value in description.attrs.items()},
    }
    return json.dumps(stored, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def loads(text: str | bytes) -> Description:
    """Return the description that JSON text holds.

    Raises
    ------
    ImageError
        If it is none, or contradicts itself.
    """
    try:
        if len(text) > LARGEST:
            raise ValueError
        return _loads(json.loads(text))
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise ImageError("The description of the volume cannot be read", todo=_TODO) from None


def _loads(stored: dict[str, Any]) -> Description:
    if stored[MARK] != VERSION:
        raise ImageError(
            f"The volume was written in version {show(stored[MARK], 10)} of the format",
            todo="Read it with the version of the workbench that wrote it",
        )
    dims, shape = tuple(map(_name, stored["dims"])), tuple(map(_size, stored["shape"]))
    sizes = dict(zip(dims, shape, strict=True))
    attrs = stored["attrs"]
    if len(sizes) != len(dims) or stored["dtype"] not in DTYPES or set(attrs) - set(ATTRIBUTES):
        raise ValueError
    check_affine(attrs["affine"])
    for name in BY_NUMBER:
        if name in attrs:
            attrs[name] = {int(key): value for key, value in attrs[name].items()}
    coordinates = {}
    for name, c in stored["coordinates"].items():
        along = tuple(c["dims"])
        values = np.array(c["values"], _dtype(c["dtype"]))
        if values.shape != tuple(sizes[dim] for dim in along) or not isinstance(c["attrs"], dict):
            raise ValueError
        coordinates[_name(name)] = Coordinate(along, values, c["attrs"])
    called = None if stored["name"] is None else _name(stored["name"])
    return Description(called, dims, shape, stored["dtype"], coordinates, attrs)


def _coordinate(name: object, stored: xr.DataArray) -> Coordinate:
    values = np.asarray(stored.values)
    if values.dtype.kind == "O" and all(isinstance(v, str) for v in values.flat):
        values = values.astype(np.str_)
    if values.dtype.kind != "U" and _short(values.dtype) not in DTYPES:
        raise ImageError(
            f"A file of a volume cannot hold the coordinate {show(name)!r}",
            where=f"its type is {show(str(values.dtype))}",
            todo="Give it as numbers, such as seconds after the first, or drop it",
        )
    return Coordinate(tuple(map(str, stored.dims)), values, dict(stored.attrs))


def _short(dtype: np.dtype[Any]) -> str:
    """Return the name of a type without its byte order."""
    return "bool" if dtype == np.bool_ else dtype.str[1:]


def _dtype(code: str) -> np.dtype[Any]:
    if code not in DTYPES and not (code[:1] == "U" and code[1:].isdigit() and int(code[1:]) < 256):
        raise ValueError
    return np.dtype(code)


def _plain(value: object, name: str, *, finite: bool = True) -> Any:  # noqa: ANN401 - JSON
    """Return a value as JSON can hold it; numbers of an array that are not finite as texts."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(one, name) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one, name, finite=finite) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        if not finite:
            return str(value)
    elif value is None or isinstance(value, (str, int, float)):
        return value
    raise ImageError(
        f"A file of a volume cannot hold {show(name)!r}",
        where=f"it holds {show(value) if isinstance(value, float) else type(value).__name__}",
        todo="Give it as numbers or text, or drop it",
    )


def _name(stored: object) -> str:
    if not isinstance(stored, str) or not stored.isidentifier() or len(stored) > LONGEST_NAME:
        raise ImageError(
            "A name of an array, dimension or coordinate cannot be written",
            where=show(stored),
            todo="Name it with letters, digits and underscores",
        )
    return stored


def _size(stored: object) -> int:
    if not isinstance(stored, int) or not 0 < stored < 2**40:
        raise ValueError
    return stored
