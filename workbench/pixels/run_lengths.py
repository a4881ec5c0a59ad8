"""Run lengths: decode RLE Lossless in this process.

This is the one compression that needs no library: a loop that checks every index against both
ends, and takes time and memory in proportion to the frame. To send a frame to another process
would cost more than to decode it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from workbench.pixels.byte_source import ByteSource, PixelError
from workbench.pixels.encapsulation import Span, find_frames
from workbench.pixels.pixel_cells import keep_stored_bits, to_rgb
from workbench.pixels.pixel_info import YBR, PixelInfo

HEADER = 64
"""Bytes before the first segment: how many there are, and where each begins (PS3.5, G.5)."""


def decode_run_lengths(
    source: ByteSource, info: PixelInfo, wanted: Sequence[int], out: NDArray[Any]
) -> None:
    """Decode frames of a file into `out`: stored values, colours as RGB.

    Source: DICOM PS3.5, annex G (RLE Lossless).

    Parameters
    ----------
    source
        The file.
    info
        Where its pixels lie.
    wanted
        Frames wanted, counted from 0.
    out
        Array to fill, shape (frames, rows, columns[, samples]), contiguous.

    Raises
    ------
    PixelError
        If the frames cannot be told apart, or are not what the file says.
    """
    frames = find_frames(source, info)
    held = info.empty(1).reshape(-1).view(np.uint8)
    planes = held.reshape(info.samples, info.dtype.itemsize, -1)
    for index, target in zip(wanted, out, strict=True):
        _unpack_frame(_read(source, frames[index], info), info, planes)
        values = target.reshape(-1, info.samples).view(f"u{target.itemsize}")
        for column, (first, *others) in zip(values.T, planes, strict=True):
            # The most significant byte of all values comes first (PS3.5, G.2).
            high = first
            for low in others:
                join(high, low, column)
                high = column
            if not others:
                column[:] = first
        keep_stored_bits(target, info)
        if info.photometric in YBR:
            to_rgb(target, info.bits_stored)


def _read(source: ByteSource, fragments: Sequence[Span], info: PixelInfo) -> NDArray[Any]:
    """Return the bytes of one frame, unless they are more than its values can need."""
    length = sum(length for _, length in fragments)
    if length > HEADER + 2 * (info.frame_bytes + HEADER):
        raise PixelError("codec_too_big", f"{length} bytes")
    packed = np.empty(length, dtype=np.uint8)
    at = 0
    for offset, count in fragments:
        source.readinto(offset, packed[at : at + count].data)
        at += count
    return packed


def _unpack_frame(packed: NDArray[Any], info: PixelInfo, planes: NDArray[Any]) -> None:
    """Unpack the segments of one frame: one for each byte of each sample."""
    segments = planes.reshape(-1, planes.shape[-1])
    places = packed[:HEADER].tobytes().ljust(HEADER, b"\0")
    told, *starts = np.frombuffer(places, dtype="<u4").tolist()
    if 8 * told != info.samples * info.bits_allocated or told > len(starts):
        raise PixelError("codec_failed", f"{told} segments of {info.bits_allocated} bits")
    starts = starts[:told]
    for start, end, segment in zip(starts, [*starts[1:], len(packed)], segments, strict=True):
        if not HEADER <= start <= end <= len(packed):
            raise PixelError("codec_failed", "a segment begins where it cannot")
        # What follows the last value is padding.
        got = unpack(packed[start:end], segment)
        if got < len(segment):
            raise PixelError("codec_failed", f"{got} of {len(segment)} bytes of a segment")


@njit(cache=True, nogil=True)
def unpack(packed: NDArray[np.uint8], out: NDArray[np.uint8]) -> int:
    """Unpack runs (PackBits; DICOM PS3.5, G.3.2) until the input ends or the output is full.

    Parameters
    ----------
    packed : uint8, n
        Runs.
    out : uint8, m
        Filled with what they hold.

    Returns
    -------
    int
        How many bytes were written.

    Examples
    --------
    >>> out = np.zeros(8, np.uint8)
    >>> int(unpack(np.array([1, 7, 8, 253, 9, 128], np.uint8), out)), out.tolist()
    (6, [7, 8, 9, 9, 9, 9, 0, 0])
    """
    at, place, end, full = 0, 0, len(packed), len(out)
    while at < end and place < full:
        head = int(packed[at])
        at += 1
        if head < 128:
            count = min(head + 1, end - at, full - place)
            # Compiled to a copy of blocks: both slices begin at 0 and are as long as the loop.
            source, target = packed[at : at + count], out[place : place + count]
            for i in range(count):
                target[i] = source[i]
            at += count
            place += count
        elif head > 128 and at < end:
            count = min(257 - head, full - place)
            out[place : place + count] = packed[at]
            at += 1
            place += count
    return place


@njit(cache=True, nogil=True)
def join(high: NDArray[Any], low: NDArray[np.uint8], out: NDArray[Any]) -> None:
    """Put a further byte below the bytes of each value.

    NumPy takes three passes over the memory.

    Parameters
    ----------
    high : unsigned, n
        The bytes above; may be `out` itself.
    low : uint8, n
        The byte below them.
    out : unsigned, n
        Filled with both.

    Examples
    --------
    >>> out = np.zeros(2, np.uint16)
    >>> join(np.array([1, 255], np.uint8), np.array([2, 0], np.uint8), out)
    >>> out.tolist()
    [258, 65280]
    """
    for i in range(min(len(high), len(low), len(out))):
        out[i] = high[i] << 8 | low[i]
