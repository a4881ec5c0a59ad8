"""Zarr file: a volume in a folder of compressed chunks, read as far as it is wanted.

The folder is a Zarr group of format 3 with an array `volume`, its dimensions named, and one array
for each coordinate of numbers, so that other programs read it too. All of the volume but its voxels
stands in the group's attributes. Every chunk is written and carries a checksum: one that is missing
or damaged is refused, not read as zeros.

Source: Zarr core specification, version 3.0; codecs blosc and crc32c, version 1.0.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ImageError
from workbench.imaging.volume_description import LARGEST, Description, describe, dumps, loads

if TYPE_CHECKING:
    import xarray as xr

VOLUME = "volume"
CHUNK = 8 * 2**20
"""Bytes of a chunk, but at least one slice."""
LARGEST_CHUNK = 2**30
CODECS = frozenset({"bytes", "blosc", "crc32c"})
"""What may be between the stored bytes and the voxels; Zarr itself would run any that it finds."""
_DAMAGED = (
    ArithmeticError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What Zarr and its codecs raise on chunks that are not what they say."""
_TODO = "Write the volume again with write_volume"


def write_zarr(volume: xr.DataArray, path: Path) -> None:
    """Write a volume as a folder of chunks, as many at a time as Dask computes.

    Parameters
    ----------
    volume : xarray.DataArray, shape (..., z, y, x)
        In memory or backed by Dask.
    path
        The folder; it must not exist.

    Raises
    ------
    ImageError
        If it is no volume, or holds what a file may not.
    """
    import dask.array as da
    import zarr
    from zarr.codecs import BloscCodec, Crc32cCodec

    description = describe(volume)
    held = {"description": json.loads(dumps(description))}
    group = zarr.create_group(path, zarr_format=3, attributes=held)
    chunks = _chunks(description)
    # Level 1 with bit shuffle: smaller than level 3 without it, and three times as fast.
    codecs = (BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle"), Crc32cCodec())
    target = group.create_array(
        VOLUME,
        shape=description.shape,
        dtype=np.dtype(description.dtype),
        chunks=chunks,
        compressors=codecs,
        dimension_names=description.dims,
        config={"write_empty_chunks": True},
    )
    for name, c in description.coordinates.items():
        if c.values.dtype.kind != "U" and name != VOLUME:
            group.create_array(name, data=c.values, dimension_names=c.dims, attributes=c.attrs)
    data = volume.data
    if not volume.chunks:
        data = da.from_array(np.asarray(data), chunks)  # type: ignore[no-untyped-call]
    da.store(data.rechunk(chunks), target, lock=False)  # type: ignore[arg-type]


def _chunks(description: Description) -> tuple[int, ...]:
    """Return slices of all rows and columns, about `CHUNK` bytes of one place in the others."""
    *further, depth, rows, columns = description.shape
    slices = CHUNK // (rows * columns * np.dtype(description.dtype).itemsize)
    return (*([1] * len(further)), min(max(slices, 1), depth), rows, columns)


def read_zarr(path: Path) -> xr.DataArray:
    """Read a volume; its voxels are read when they are computed.

    Parameters
    ----------
    path
        A folder that `write_zarr` wrote.

    Raises
    ------
    ImageError
        If it is not what it says, or a chunk is missing; while computing, if one is damaged.
    """
    import dask.array as da

    files = _files(path)
    try:
        group, array = (_json(path / part / "zarr.json") for part in ("", VOLUME))
        description = loads(json.dumps(group["attributes"]["description"]))
        chunks = tuple(array["chunk_grid"]["configuration"]["chunk_shape"])
        codecs = {codec["name"] for codec in array["codecs"]}
        same = tuple(array["shape"]), np.dtype(array["data_type"])
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise ImageError("The folder holds no volume that write_volume wrote", todo=_TODO) from None
    sound = same == (description.shape, np.dtype(description.dtype)) and codecs <= CODECS
    if not sound or len(chunks) != len(description.shape) or not all(_positive(c) for c in chunks):
        raise ImageError("The Zarr folder contradicts itself", todo=_TODO)
    if math.prod(chunks) * np.dtype(description.dtype).itemsize > LARGEST_CHUNK:
        raise ImageError("A chunk of the Zarr folder is too large", todo=_TODO)
    counts = [-(-n // c) for n, c in zip(description.shape, chunks, strict=True)]
    missing = math.prod(counts) - sum(name.startswith(f"{VOLUME}/c/") for name in files)
    if missing <= 0:
        places = ("/".join((VOLUME, "c", *map(str, place))) for place in np.ndindex(*counts))
        missing = sum(name not in files for name in places)
    if missing:
        raise ImageError(
            "Chunks of the volume are missing",
            where=f"{missing:,} of {math.prod(counts):,}",
            todo=_TODO,
        )
    source = Chunks(path, description.shape, np.dtype(description.dtype))
    data = da.from_array(source, chunks, name=False, asarray=False)  # type: ignore[no-untyped-call]
    return description.volume(data)


def _positive(size: object) -> bool:
    return isinstance(size, int) and size > 0


def _files(path: Path) -> set[str]:
    """Return the files below a folder, as relative names; links and special files are refused."""
    found = set()
    waiting = [path]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    found.add(Path(entry.path).relative_to(path).as_posix())
                else:
                    raise ImageError("A link stands in the Zarr folder", todo="Copy what it names")
    return found


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file() or path.stat().st_size > LARGEST:
        raise ValueError
    read: dict[str, Any] = json.loads(path.read_bytes())
    return read


@dataclass(frozen=True)
class Chunks:
    """Read voxels of a folder as they are wanted, and refuse a damaged chunk by name.

    Parameters
    ----------
    path : Path
        The folder.
    shape : tuple of int
        Voxels along each dimension.
    dtype : numpy.dtype
        Type of the voxels.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        import zarr

        try:
            array = zarr.open_array(self.path / VOLUME, mode="r", zarr_format=3)
            return np.asarray(array[key])
        except (
            ArithmeticError,
            LookupError,
            MemoryError,
            OSError,
            RuntimeError,
            TypeError,
            ValueError,
        ):
            raise ImageError("A chunk of the volume is damaged", todo=_TODO) from None
