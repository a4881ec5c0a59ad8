"""Voxels: the pixels of a series as one array that reads what is asked for."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.dicom.pixel_data import UNDEFINED
from workbench.imaging.scaling import Lookup, scale_in_place, scale_into
from workbench.imaging.volume_error import VolumeError
from workbench.pixels.byte_source import OPEN, open_source
from workbench.pixels.decoding import PixelError, PixelInfo, decode_frames, read_pixel_info

if TYPE_CHECKING:
    import pydicom

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
"""Transfer syntaxes whose pixels may be read as they lie (DICOM PS3.5, A.1 and A.2)."""
_HEAD = 12
_PIXEL_TAG = b"\xe0\x7f\x10\x00"
_WORDS = (b"OW\0\0", b"OB\0\0")
COLOURS = 3
PARTS = 4
"""Parts of a volume that each thread reads in turn: some take longer than others."""
Key = slice | int | tuple[slice | int, ...]
"""What may stand in brackets after a `Voxels`."""


@dataclass(frozen=True)
class Tiles:
    """Say how one image holds several slices.

    Parameters
    ----------
    across
        Tiles in a row of the mosaic.
    rows, columns
        Size of one tile.
    """

    across: int
    rows: int
    columns: int

    def cut(self, mosaic: NDArray[Any], index: int) -> NDArray[Any]:
        """Return one tile of a mosaic."""
        down, right = divmod(index, self.across)
        return mosaic[
            down * self.rows : (down + 1) * self.rows,
            right * self.columns : (right + 1) * self.columns,
        ]


@dataclass(frozen=True)
class Voxels:
    """Read the values of a series, the part that is asked for, into one array.

    Parameters
    ----------
    paths
        Files of the series.
    table
        Which image lies where, shape (axis, ..., slices).
    file, index, offset
        File, frame and place of the pixels of each image, as in `Frames`, shape (images,).
    slope, intercept
        Of each image, shape (images,).
    info
        How the first file stores its pixels; all must be alike.
    dtype
        Type of the values.
    lookup
        Modality lookup table, or None.
    tiles
        How an image holds several slices, or None.
    palette
        Header with the palette of PALETTE COLOR images, or None.
    padding
        Lowest and highest stored value that mean "no pixel here", or None.
    """

    paths: tuple[str, ...]
    table: NDArray[np.int64]
    file: NDArray[np.int64]
    index: NDArray[np.int64]
    offset: NDArray[np.int64]
    slope: NDArray[np.float64]
    intercept: NDArray[np.float64]
    info: PixelInfo = field(repr=False)
    dtype: np.dtype[Any]
    lookup: Lookup | None = None
    tiles: Tiles | None = None
    palette: pydicom.Dataset | None = field(default=None, repr=False)
    padding: tuple[int, int] | None = None

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape of one slice: rows, columns, and colours where there are any."""
        if self.tiles is not None:
            return self.tiles.rows, self.tiles.columns
        if self.palette is not None:
            return self.info.rows, self.info.columns, COLOURS
        return self.info.frame_shape

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all: (axis, ..., slices, rows, columns[, colours])."""
        return (*self.table.shape, *self.frame_shape)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __getitem__(self, key: Key) -> NDArray[Any]:
        """Read what lies there; a slice is always read whole."""
        keys = key if isinstance(key, tuple) else (key,)
        outer, inner = keys[: self.table.ndim], keys[self.table.ndim :]
        images = self.table[outer]
        out = np.empty((images.size, *self.frame_shape), dtype=self.dtype)
        self._read(images.ravel(), out)
        out = out.reshape(images.shape + self.frame_shape)
        if all(k == slice(None) for k in inner):
            return out
        return out[(..., *inner, *[slice(None)] * (len(self.frame_shape) - len(inner)))]

    def load(self) -> NDArray[Any]:
        """Read all, with a thread for each processor: reading and decoding do not hold Python."""
        images = self.table.ravel()
        out = np.empty((images.size, *self.frame_shape), dtype=self.dtype)
        threads = len(os.sched_getaffinity(0))
        many = -(-images.size // (PARTS * threads))

        def read(at: int) -> None:
            self._read(images[at : at + many], out[at : at + many])

        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(read, range(0, images.size, many)):
                pass
        return out.reshape(self.shape)

    def _read(self, images: NDArray[np.int64], out: NDArray[Any]) -> None:
        wanted: dict[int, list[int]] = {}
        for place, file in enumerate(self.file[images].tolist()):
            wanted.setdefault(file, []).append(place)
        in_place, plain = self._is_in_place, self._is_plain
        slopes, intercepts, offsets = (
            values[images].tolist() for values in (self.slope, self.intercept, self.offset)
        )
        for file, places in wanted.items():
            first, count = places[0], len(places)
            indices = [int(self.index[images[place]]) for place in places]
            if not in_place or places[-1] != first + count - 1:
                frames = self._decode(file, offsets[first], indices)
                for place, frame in zip(places, frames, strict=True):
                    self._write(frame, slopes[place], intercepts[place], out[place])
                continue
            stored = out[first : first + count].view(self.info.dtype)
            scale = scale_in_place
            if not (plain and _read_at(self.paths[file], self.info, offsets[first], stored)):
                self._decode(file, offsets[first], indices, stored)
                scale = scale_into
            for frame, place in zip(stored, places, strict=True):
                scale(frame, slopes[place], intercepts[place], out[place], self.info)

    @property
    def _is_in_place(self) -> bool:
        """Whether stored values can be read into the place of the values: both have one width."""
        return (
            self.lookup is None
            and self.tiles is None
            and self.palette is None
            and self.info.dtype.kind in "iu"
            and self.dtype.kind in "iu"
            and self.info.bits_allocated == 8 * self.dtype.itemsize
        )

    @property
    def _is_plain(self) -> bool:
        """Whether a file holds one image, and its values as they are in memory."""
        info = self.info
        return info.transfer_syntax in (EXPLICIT, IMPLICIT) and info.frames == info.samples == 1

    def _decode(
        self, file: int, offset: int, indices: list[int], out: NDArray[Any] | None = None
    ) -> Iterable[NDArray[Any]]:
        path = self.paths[file]
        info = _info_at(path, self.info, offset) or read_pixel_info(path, follow_links=False)
        if _layout(info) != _layout(self.info):
            raise VolumeError("mixed_pixels", "a file stores pixels in another way")
        if self.tiles is None:
            return decode_frames(path, info, indices, out, follow_links=False)
        mosaic = decode_frames(path, info, [0], follow_links=False)[0]
        return [self.tiles.cut(mosaic, i) for i in indices]

    def _write(
        self, frame: NDArray[Any], slope: float, intercept: float, out: NDArray[Any]
    ) -> None:
        if self.palette is not None:
            colours = _colour(frame, self.palette)
            out[...] = colours >> 8 * (colours.dtype.itemsize - out.dtype.itemsize)
            return
        if self.lookup is not None:
            out[...] = self.lookup.apply(frame)
            return
        scale_into(frame, slope, intercept, out, self.info)


def _colour(frame: NDArray[Any], palette: pydicom.Dataset) -> NDArray[Any]:
    from pydicom.pixels.processing import apply_color_lut

    from workbench.dicom.header import parser_errors

    try:
        return apply_color_lut(frame, palette)
    except parser_errors():
        raise VolumeError("bad_geometry", "the palette cannot be used") from None


_stored = attrgetter(
    "rows", "columns", "samples", "bits_allocated", "bits_stored", "high_bit", "signed",
    "floating", "swapped",
)  # fmt: skip


def _layout(info: PixelInfo) -> tuple[object, ...]:
    """Return what must be the same in all files of a series."""
    return *_stored(info), _shade(info.photometric)


def _shade(photometric: str) -> str:
    """Return the colour that pixels are decoded to: compression may change what is stored."""
    return "RGB" if photometric.startswith("YBR") else photometric


def _read_at(path: str, info: PixelInfo, offset: int, out: NDArray[Any]) -> bool:
    """Read pixels from where their header was seen, straight into an array.

    One call to the system reads them and checks that they are still the pixels: the 12 bytes
    before them must be the header of PixelData with their length (DICOM PS3.5, 7.1). Return
    whether they are; if not, what is in `out` means nothing.
    """
    if offset < _HEAD:
        return False
    head = bytearray(_HEAD)
    try:
        descriptor = os.open(path, OPEN | os.O_NOFOLLOW)
        try:
            read = os.preadv(descriptor, [head, out.view(np.uint8).data], offset - _HEAD)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise PixelError("unreadable", os.strerror(error.errno or 0)) from error
    return read == _HEAD + out.nbytes and _is_header(bytes(head), info, info.length)


def _info_at(path: str, info: PixelInfo, offset: int) -> PixelInfo | None:
    """Return how a file stores its one compressed image where the header of that was seen.

    It is stored as in the first file (`Frames.offset`). Return None if the header is not there.
    """
    if offset < _HEAD or not info.encapsulated or not info.frames == info.samples == 1:
        return None
    with open_source(path, follow_links=False) as source:
        if not _is_header(source.read(offset - _HEAD, _HEAD), info, UNDEFINED):
            return None
        length = source.size - offset
        return replace(info, offset=offset, length=length, file_size=source.size)


def _is_header(head: bytes, info: PixelInfo, length: int) -> bool:
    """Return whether bytes end in the header of PixelData with a length."""
    if len(head) != _HEAD or struct.unpack_from("<I", head, 8) != (length,):
        return False
    if info.transfer_syntax == IMPLICIT:
        return head[4:8] == _PIXEL_TAG
    return head[:4] == _PIXEL_TAG and head[4:8] in _WORDS
