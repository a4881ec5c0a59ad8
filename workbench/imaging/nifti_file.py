"""NIfTI file: a volume in one `.nii` or `.nii.gz`.

A NIfTI-1 file holds the voxels with x running fastest, which is the order of an array z, y, x; its
axes lead to the right, front and head (RAS) where DICOM's lead to the left, back and head (LPS).
Its affine is stored in 32 bits, and it knows no coordinates. What the format cannot hold stands as
JSON in a header extension (code 6, "comment"), which counts only while the header still says the
same: who changes the header with another program is believed.

Source: NIfTI-1 Data Format, nifti1.h (https://nifti.nimh.nih.gov/nifti-1), NIfTI-2, nifti2.h.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ImageError
from workbench.imaging.nifti_header import (
    TYPES,
    affine_and_space,
    agrees,
    header_size,
    new_header,
    parse_header,
    shape_of,
    stored_type,
    time_coordinate,
)
from workbench.imaging.volume_description import (
    LARGEST,
    MARK,
    Coordinate,
    Description,
    describe,
    dumps,
    loads,
)
from workbench.imaging.volume_grid import SPACE, coordinates, orientation_of

if TYPE_CHECKING:
    import xarray as xr

MOST_INFLATED = 8 * 2**30
"""Bytes that a compressed file may hold when inflated."""
MOST_TIMES = 1032
"""Times by which deflated data can grow at most (RFC 1951)."""
COMMENT = 6
_TODO = "Get the file again, or leave it out"


def write_nifti(volume: xr.DataArray, path: Path) -> None:
    """Write a volume as one file, chunk by chunk.

    Parameters
    ----------
    volume : xarray.DataArray, shape (..., z, y, x)
        With up to four further dimensions, of which the last becomes the format's fourth.
    path
        Ends in `.nii` or `.nii.gz`; it must not exist.

    Raises
    ------
    ImageError
        If it is no volume, or holds what a file may not.
    """
    description = describe(volume)
    header = new_header(description)
    text = dumps(description).encode()
    size = -(-(len(text) + 8) // 16) * 16
    start = int(header["sizeof_hdr"]) + 4
    header["vox_offset"] = start + size
    with path.open("xb") as file, _compressed(file, path) as stream:
        stream.write(header.binaryblock + b"\1\0\0\0")
        stream.write(np.array([size, COMMENT], "<i4").tobytes() + text.ljust(size - 8))
        for block in _blocks(volume):
            stored = block.astype(stored_type(description.dtype), copy=False)
            stream.write(np.ascontiguousarray(stored).data)


@contextmanager
def _compressed(file: BinaryIO, path: Path) -> Iterator[BinaryIO]:
    if path.suffix != ".gz":
        yield file
        return
    # Without the name and the time of writing: equal volumes make equal files.
    with gzip.GzipFile("", "wb", 1, file, mtime=0) as stream:
        yield cast("BinaryIO", stream)


def _blocks(volume: xr.DataArray) -> Iterator[NDArray[Any]]:
    """Yield the voxels in order, a chunk of slices of a Dask array at a time."""
    chunks = volume.chunks
    depths = chunks[-3] if chunks else (volume.shape[-3],)
    for place in np.ndindex(volume.shape[:-3]):
        start = 0
        for depth in depths:
            yield np.asarray(volume.data[(*place, slice(start, start + depth))])
            start += depth


def read_nifti(path: Path) -> xr.DataArray:
    """Read a volume into memory.

    Files of other programs are read as well: an affine of the scanner goes before one of a
    template, values are scaled by slope and intercept, a fourth dimension is `time` and a fifth
    is `channel`; `units` is then "arb" and `modality` "OT".

    Parameters
    ----------
    path
        Ends in `.nii` or `.nii.gz`.

    Raises
    ------
    ImageError
        If it is not what it says, or does not say where it lies.
    """
    try:
        with path.open("rb") as file:
            held = path.stat().st_size
            if path.suffix == ".gz":
                with gzip.GzipFile(fileobj=file) as stream:
                    return _read(cast("BinaryIO", stream), min(MOST_INFLATED, held * MOST_TIMES))
            return _read(file, held)
    except (EOFError, gzip.BadGzipFile, zlib.error, MemoryError):
        raise ImageError("The NIfTI file is truncated or damaged", todo=_TODO) from None


def _read(stream: BinaryIO, most: int) -> xr.DataArray:
    first = _read_bytes(stream, 4)
    header = parse_header(first + _read_bytes(stream, header_size(first) - 4))
    shape, order = shape_of(header), header.endianness
    dtype = np.dtype(f"{order}{TYPES[int(header['datatype'])]}")
    start = int(header["sizeof_hdr"])
    stated = float(header["vox_offset"])
    offset = start + 4 if stated == 0 else int(stated) if np.isfinite(stated) else -1
    if not start + 4 <= offset <= start + LARGEST:
        raise ImageError("The NIfTI file says nothing of where its voxels lie", todo=_TODO)
    nbytes = dtype.itemsize
    for size in shape:
        nbytes *= size
    if offset + nbytes > most:
        raise ImageError(
            "The NIfTI file cannot hold what it declares",
            where=f"{nbytes:,} bytes declared, at most {max(most - offset, 0):,} there",
            todo=_TODO,
        )
    text = _comment(_read_bytes(stream, offset - start), order)
    values = np.empty(shape, dtype)
    _read_into(stream, values)
    stream.read(1)  # at the end of a compressed file its checksum is compared
    values = values.astype(dtype.newbyteorder("="), copy=False)
    described = loads(text) if text else None
    if described and agrees(described, header, shape):
        return described.volume(values.reshape(described.shape).astype(described.dtype, copy=False))
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if np.isfinite([slope, inter]).all() and slope != 0 and (slope, inter) != (1, 0):
        values = values * slope + inter
    return _foreign(header, values)


def _read_bytes(stream: BinaryIO, size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise EOFError
    return found


def _read_into(stream: BinaryIO, values: NDArray[Any]) -> None:
    target = values.data.cast("B")
    done = 0
    while done < len(target):
        # In parts: gzip makes a second copy of what it is asked for.
        got = stream.readinto(target[done : done + 2**24])  # type: ignore[attr-defined]
        if not got:
            raise EOFError
        done += got


def _comment(block: bytes, order: str) -> bytes:
    """Return our own extension, if there is one."""
    at = 4
    while block[:1] == b"\1" and at + 8 <= len(block):
        size, code = np.frombuffer(block, f"{order}i4", 2, at).tolist()
        content = block[at + 8 : at + size].rstrip(b" \0")
        if code == COMMENT and content.startswith(f'{{"{MARK}"'.encode()):
            return content
        if size < 8:
            break
        at += size
    return b""


def _foreign(header: Any, values: NDArray[Any]) -> xr.DataArray:  # noqa: ANN401
    """Return a volume as the header alone tells it."""
    affine, space = affine_and_space(header)
    if values.ndim > 5:
        raise ImageError(
            "The NIfTI file has more dimensions than are read",
            where=f"{values.ndim} dimensions",
            todo="Split it into volumes of space, time and channel",
        )
    dims = ("channel", "time", *SPACE)[5 - values.ndim :]
    coords = {
        name: Coordinate((name,), along, {"units": "mm"})
        for name, along in coordinates(affine, values.shape[-3:]).items()
    }
    if "time" in dims and values.shape[-4] > 1:
        coords["time"] = time_coordinate(header, values.shape[-4])
    elif "time" in dims:
        values, dims = values[:, 0], ("channel", *SPACE)
    if "channel" in dims:
        coords["channel"] = Coordinate(("channel",), np.arange(values.shape[0]), {})
    attrs: dict[str, Any] = {
        "affine": affine.tolist(),
        "orientation": orientation_of(affine),
        "units": "arb",
        "modality": "OT",
    }
    attrs |= {"space": space} if space else {}
    code = values.dtype.str[1:]
    return Description(None, dims, values.shape, code, coords, attrs).volume(values)
