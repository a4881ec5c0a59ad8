"""Decoding: the pixels of one DICOM file as an array, read in process or decoded in a worker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.pixels.byte_source import ByteSource, PixelError, inflate, open_source
from workbench.pixels.pixel_cells import arrange, keep_stored_bits, to_rgb, unpack_bits
from workbench.pixels.pixel_info import DEFLATED, RLE, YBR, PixelInfo, read_pixel_info
from workbench.pixels.pixel_search import find_data_set

__all__ = ["PixelError", "PixelInfo", "decode_frames", "native_frames", "read_pixel_info"]


def decode_frames(
    file: Path | str | bytes,
    info: PixelInfo | None = None,
    indices: Sequence[int] | None = None,
    out: np.ndarray[Any, Any] | None = None,
    *,
    follow_links: bool = True,
) -> np.ndarray[Any, Any]:
    """Return the stored values of the frames of a file, whatever its transfer syntax.

    Uncompressed frames and run lengths are read in this process; what needs a codec is decoded in
    a worker process with a limit of memory and of time. Values are as stored: no rescale, no
    lookup table. Bits above HighBit are cleared or filled with the sign, and YBR colours become
    RGB.

    Parameters
    ----------
    file
        Path of a DICOM file, or its bytes.
    info
        Where its pixels lie; read from the file by default.
    indices
        Frames wanted, counted from 0; all by default.
    out
        Array to fill, of the shape and type of the result, contiguous; a new one by default. What
        is in it means nothing where the file is refused.
    follow_links
        Whether the path may be a link: one that the user gives may, one of an archive may not.

    Returns
    -------
    numpy.ndarray, shape (frames, rows, columns[, samples])
        One frame an index, in their order.

    Raises
    ------
    PixelError
        If the file cannot be read or decoded.
    IndexError
        If the file has no such frame.
    ValueError
        If `out` does not fit.
    """
    if info is None:
        info = read_pixel_info(file, follow_links=follow_links)
    if not info.encapsulated:
        return native_frames(file, info, indices, out, follow_links=follow_links)
    if info.transfer_syntax == RLE:
        from workbench.pixels.run_lengths import decode_run_lengths as decode
    else:
        from workbench.pixels.codecs import decode_encapsulated as decode

    wanted, out = _wanted(info, indices, out)
    with open_source(file, follow_links=follow_links) as source:
        decode(source, info, wanted, out)
    return out


def native_frames(
    file: Path | str | bytes,
    info: PixelInfo,
    indices: Sequence[int] | None = None,
    out: np.ndarray[Any, Any] | None = None,
    *,
    follow_links: bool = True,
) -> np.ndarray[Any, Any]:
    """Return the stored values of uncompressed frames, read straight into the array.

    Source: DICOM PS3.5, section 8.1 and annex D (pixel cells); PS3.3, C.7.6.3.

    Parameters
    ----------
    file
        Path of a DICOM file, or its bytes.
    info
        Where its pixels lie.
    indices
        Frames wanted, counted from 0; all by default.
    out
        Array to fill, of the shape and type of the result, each frame contiguous; a new one by
        default.
    follow_links
        As for `decode_frames`.

    Returns
    -------
    numpy.ndarray, shape (frames, rows, columns[, samples])
        One frame an index, in their order.

    Raises
    ------
    PixelError
        If the file is shorter than the info says.
    IndexError
        If the file has no such frame.
    ValueError
        If `out` does not fit.
    """
    wanted, out = _wanted(info, indices, out)
    with open_source(file, follow_links=follow_links) as source:
        deflated = info.transfer_syntax == DEFLATED
        readable = inflate(source, find_data_set(source)) if deflated else source
        for target, index in zip(out, wanted, strict=True):
            _read_frame(readable, info, index, target)
    return out


def _wanted(
    info: PixelInfo, indices: Sequence[int] | None, out: np.ndarray[Any, Any] | None
) -> tuple[Sequence[int], np.ndarray[Any, Any]]:
    """Return the frames that are wanted, and the array for them."""
    wanted = range(info.frames) if indices is None else indices
    for index in wanted:
        if not 0 <= index < info.frames:
            raise IndexError(f"frame {index} of {info.frames}")
    if out is None:
        return wanted, info.empty(len(wanted))
    if out.shape != (len(wanted), *info.frame_shape) or out.dtype != info.dtype:
        raise ValueError(f"out is {out.dtype}{out.shape}, not {info.dtype}")
    info.validate_growth(len(wanted))
    return wanted, out


def _read_frame(
    source: ByteSource, info: PixelInfo, index: int, target: np.ndarray[Any, Any]
) -> None:
    first = index * info.frame_bits
    plain = info.samples == 1 or (info.planar_configuration == 0 and info.photometric == "RGB")
    plain = plain and info.bits_allocated > 1 and info.swapped in {1, info.dtype.itemsize}
    if plain and target.flags.c_contiguous:
        source.readinto(info.offset + first // 8, target.reshape(-1).view(np.uint8).data)
        if info.swapped > 1:
            target.byteswap(inplace=True)
        keep_stored_bits(target, info)
        return
    start = first // 8 // info.swapped * info.swapped
    end = -(-(first + info.frame_bits) // (8 * info.swapped)) * info.swapped
    raw = np.empty(end - start, dtype=np.uint8)
    source.readinto(info.offset + start, raw.data)
    if info.swapped > 1:
        raw.view(f"u{info.swapped}").byteswap(inplace=True)
    if info.bits_allocated == 1:
        target[...] = unpack_bits(raw, first - 8 * start, info)
        return
    values = raw[first // 8 - start :][: info.frame_bits // 8].view(info.dtype)
    target[...] = arrange(values, info)
    keep_stored_bits(target, info)
    if info.photometric in YBR:
        to_rgb(target, info.bits_stored)
