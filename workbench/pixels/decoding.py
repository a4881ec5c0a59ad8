"""Decoding: the pixels of one DICOM file as an array, sliced in process or decoded in a worker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.pixels.byte_source import ByteSource, PixelError, inflate, open_source
from workbench.pixels.pixel_cells import arrange, keep_stored_bits, to_rgb, unpack_bits
from workbench.pixels.pixel_info import DEFLATED, YBR, PixelInfo, read_pixel_info
from workbench.pixels.pixel_search import find_data_set

__all__ = ["PixelError", "PixelInfo", "decode_frames", "native_frames", "read_pixel_info"]


def decode_frames(
    file: Path | str | bytes, info: PixelInfo | None = None, indices: Sequence[int] | None = None
) -> np.ndarray[Any, Any]:
    """Return the stored values of the frames of a file, whatever its transfer syntax.

    Uncompressed frames are sliced in this process, compressed ones decoded in a worker process
    with a limit of memory and of time. Values are as stored: no rescale, no lookup table. Bits
    above HighBit are cleared or filled with the sign, and YBR colours become RGB.

    Parameters
    ----------
    file
        Path of a DICOM file, or its bytes.
    info
        Where its pixels lie; read from the file by default.
    indices
        Frames wanted, counted from 0; all by default.

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
    """
    if info is None:
        info = read_pixel_info(file)
    if not info.encapsulated:
        return native_frames(file, info, indices)
    from workbench.pixels.codecs import decode_encapsulated

    wanted = _wanted(info, indices)
    frames = info.empty(len(wanted))
    with open_source(file) as source:
        decode_encapsulated(source, info, wanted, frames)
    return frames


def native_frames(
    file: Path | str | bytes,
    info: PixelInfo,
    indices: Sequence[int] | None = None,
    out: np.ndarray[Any, Any] | None = None,
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
    wanted = _wanted(info, indices)
    out = info.empty(len(wanted)) if out is None else out
    if out.shape != (len(wanted), *info.frame_shape) or out.dtype != info.dtype:
        raise ValueError(f"out is {out.dtype}{out.shape}, not {info.dtype}")
    with open_source(file) as source:
        deflated = info.transfer_syntax == DEFLATED
        readable = inflate(source, find_data_set(source)) if deflated else source
        for target, index in zip(out, wanted, strict=True):
            _read_frame(readable, info, index, target)
    return out


def _wanted(info: PixelInfo, indices: Sequence[int] | None) -> Sequence[int]:
    if indices is None:
        return range(info.frames)
    for index in indices:
        if not 0 <= index < info.frames:
            raise IndexError(f"frame {index} of {info.frames}")
    return indices


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
