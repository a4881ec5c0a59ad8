"""Pixel info: how the pixels of one DICOM file are stored, and whether that can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.dicom.pixel_data import UNDEFINED
from workbench.pixels.byte_source import PixelError, open_source
from workbench.pixels.pixel_search import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    PIXELS,
    Found,
    find_pixels,
)

__all__ = [
    "BIG_ENDIAN",
    "DEFLATED",
    "EXPLICIT",
    "IMPLICIT",
    "NATIVE",
    "RLE",
    "YBR",
    "PixelInfo",
    "read_pixel_info",
]

NATIVE = (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN)
"""Transfer syntaxes whose pixels are not compressed (DICOM PS3.5, A.1, A.2, A.3, A.5)."""
RLE = "1.2.840.10008.1.2.5"
"""Transfer syntax of run lengths (DICOM PS3.5, annex G)."""
YBR = ("YBR_FULL", "YBR_FULL_422")
"""Colours that become RGB (DICOM PS3.3, C.7.6.3.1.2)."""
LARGEST = 256 * 2**20
"""Bytes that one compressed frame may hold, and all decoded frames of a small file."""
LARGEST_EXPANSION = 200
"""Times by which compressed frames may grow beyond `LARGEST`."""


@dataclass(frozen=True)
class PixelInfo:
    """Say where the pixels of one file lie and how they are stored.

    Parameters
    ----------
    transfer_syntax
        UID of the transfer syntax (DICOM PS3.5, section 10).
    rows, columns, frames, samples
        Shape of the pixels (1).
    bits_allocated, bits_stored, high_bit
        Bits of one value: its place, those in use, and the topmost of them.
    signed
        Whether values are two's complement.
    photometric
        PhotometricInterpretation, such as MONOCHROME2.
    planar_configuration
        0: the samples of a pixel lie together; 1: each sample has its own plane.
    floating
        Whether values are IEEE 754 numbers.
    offset, length
        Place of the value of PixelData in the file (bytes); in the inflated data set where the
        transfer syntax is deflated. The length of an encapsulated value reaches to the end of the
        file.
    file_size
        Size of the file (bytes).
    encapsulated
        Whether the value is a sequence of compressed fragments.
    swapped
        Size of the words whose bytes stand in reverse order (bytes); 1 where none do.
    """

    transfer_syntax: str
    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    photometric: str
    planar_configuration: int
    offset: int
    length: int
    file_size: int
    high_bit: int = -1
    floating: bool = False
    encapsulated: bool = False
    swapped: int = 1

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the values in memory, in the byte order of this machine."""
        if self.bits_allocated == 1:
            return np.dtype(np.uint8)
        letter = "f" if self.floating else "i" if self.signed else "u"
        return np.dtype(f"{letter}{self.bits_allocated // 8}")

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape of one frame: (rows, columns), and samples where there are several."""
        shape = (self.rows, self.columns)
        return shape if self.samples == 1 else (*shape, self.samples)

    @property
    def subsampled(self) -> bool:
        """Whether two pixels share their colour in the file."""
        return self.photometric == "YBR_FULL_422" and not self.encapsulated

    @property
    def frame_bits(self) -> int:
        """Bits of one uncompressed frame in the file."""
        samples = 2 if self.subsampled else self.samples
        return self.rows * self.columns * samples * self.bits_allocated

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame in memory."""
        return self.rows * self.columns * self.samples * self.dtype.itemsize

    def empty(self, frames: int) -> np.ndarray[Any, Any]:
        """Return an array for this many frames, not filled.

        Parameters
        ----------
        frames
            Number of frames (1).

        Raises
        ------
        PixelError
            If compressed frames grow too much, or there is not that much memory.
        """
        self.validate_growth(frames)
        try:
            return np.empty((frames, *self.frame_shape), dtype=self.dtype)
        except MemoryError as error:
            raise PixelError("too_big", f"{frames * self.frame_bytes} bytes") from error

    def validate_growth(self, frames: int) -> None:
        """Raise if compressed frames grow too much.

        Parameters
        ----------
        frames
            Number of frames (1).

        Raises
        ------
        PixelError
            If they do.
        """
        size = frames * self.frame_bytes
        if self.encapsulated and size > max(LARGEST, LARGEST_EXPANSION * self.length):
            raise PixelError("codec_too_big", f"{size} bytes from {self.length}")

    def validate(self, size: int) -> None:
        """Raise if shape, bits and lengths do not fit each other and the file.

        Parameters
        ----------
        size
            Bytes there are: those of the file, or of the inflated data set.

        Raises
        ------
        PixelError
            If they do not.
        """
        faults = [*_value_faults(self), *_colour_faults(self)]
        if faults:
            raise PixelError("bad_pixels", faults[0])
        if self.offset + self.length > size:
            there = max(0, size - self.offset)
            raise PixelError("truncated", f"{self.length} bytes declared, {there} there")
        shape = f"{self.frames} x {self.rows} x {self.columns} x {self.samples}"
        if self.encapsulated:
            # Every frame has a fragment, and every fragment eight bytes before it.
            if self.frames > self.length // 8:
                raise PixelError("bad_length", f"shape {shape} in {self.length} bytes")
        elif (self.frame_bits * self.frames + 7) // 8 > self.length:
            raise PixelError("bad_length", f"shape {shape} in {self.length} bytes")


def read_pixel_info(file: Path | str | bytes, *, follow_links: bool = True) -> PixelInfo:
    """Read where the pixels of a file lie and how they are stored; the pixels are not read.

    Parameters
    ----------
    file
        Path of a DICOM file, or its bytes.
    follow_links
        Whether the path may be a link: one that the user gives may, one of an archive may not.

    Raises
    ------
    PixelError
        If the file holds no pixels, or says of them what cannot be.
    """
    with open_source(file, follow_links=follow_links) as source:
        found = find_pixels(source)
        info = _make_info(found, source.size)
    info.validate(found.source.size)
    return info


def _make_info(found: Found, file_size: int) -> PixelInfo:
    def number(name: str, default: int) -> int:
        return int(found.values.get(name, default))

    floating = PIXELS[found.tag] > 0
    bits = PIXELS[found.tag] or number("bits_allocated", 0)
    stored = bits if floating else number("bits_stored", bits)
    encapsulated = found.length == UNDEFINED
    return PixelInfo(
        transfer_syntax=found.transfer_syntax,
        rows=number("rows", 0),
        columns=number("columns", 0),
        frames=_count(str(found.values.get("frames", ""))),
        samples=number("samples", 1),
        bits_allocated=bits,
        bits_stored=stored,
        high_bit=bits - 1 if floating else number("high_bit", stored - 1),
        signed=number("signed", 0) == 1,
        photometric=str(found.values.get("photometric", "")),
        planar_configuration=number("planar_configuration", 0),
        floating=floating,
        offset=found.offset,
        length=found.source.size - found.offset if encapsulated else found.length,
        encapsulated=encapsulated,
        swapped=max(bits // 8, 2 if found.words else 1) if found.big_endian else 1,
        file_size=file_size,
    )


def _count(text: str) -> int:
    """Read NumberOfFrames: absent, empty or 0 mean 1, as pydicom reads them."""
    first = text.split("\\", maxsplit=1)[0].strip()
    if not first:
        return 1
    if not first.lstrip("+").isdigit() or len(first) > 12:
        raise PixelError("bad_pixels", "NumberOfFrames is not a count")
    return int(first) or 1


def _value_faults(info: PixelInfo) -> Iterator[str]:
    """Say what cannot be in shape and bits."""
    if min(info.rows, info.columns) < 1 or not 1 <= info.samples <= 4:
        yield f"shape {info.rows} x {info.columns} x {info.samples}"
    if info.bits_allocated not in ((32, 64) if info.floating else (1, 8, 16, 32, 64)):
        yield f"{info.bits_allocated} bits allocated"
    elif not 1 <= info.bits_stored <= info.high_bit + 1 <= info.bits_allocated:
        yield f"{info.bits_stored} of {info.bits_allocated} bits, high bit {info.high_bit}"
    elif info.encapsulated and info.frame_bytes > LARGEST:
        yield f"a frame of {info.frame_bytes} bytes"
    if info.encapsulated == (info.transfer_syntax in NATIVE):
        yield "the transfer syntax is not that of the pixels"


def _colour_faults(info: PixelInfo) -> Iterator[str]:
    """Say what cannot be in colours."""
    if info.planar_configuration not in {0, 1}:
        yield "planar configuration"
    if info.photometric.startswith("YBR") and (info.samples != 3 or info.signed or info.floating):
        yield f"YBR of {info.samples} samples"
    if info.subsampled and (info.columns % 2 or info.bits_allocated < 8):
        yield f"YBR_FULL_422 of {info.columns} columns"
    if info.photometric.startswith("YBR_PARTIAL") and not info.encapsulated:
        yield "partial-range YBR is not read"
