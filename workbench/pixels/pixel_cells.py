"""Pixel cells: the bits of one frame, as they lie in the file, made values of an array."""

from __future__ import annotations

from typing import Any

import numpy as np

from workbench.pixels.pixel_info import PixelInfo


def unpack_bits(raw: np.ndarray[Any, Any], first: int, info: PixelInfo) -> np.ndarray[Any, Any]:
    """Return one frame of single bits as 0 and 1.

    Source: DICOM PS3.5, 8.1.1 and annex D: the first value is the lowest bit; frames are not
    padded.

    Parameters
    ----------
    raw
        Bytes, shape (n,), uint8.
    first
        The bit the frame begins at (0..7).
    info
        Shape of the frame.
    """
    bits = np.unpackbits(raw, bitorder="little")[first : first + info.frame_bits]
    return arrange(bits, info)


def arrange(values: np.ndarray[Any, Any], info: PixelInfo) -> np.ndarray[Any, Any]:
    """Return the values of one frame, in the order of the file, as (rows, columns[, samples]).

    Source: DICOM PS3.3, C.7.6.3.1.2 (YBR_FULL_422) and C.7.6.3.1.3 (PlanarConfiguration).

    Parameters
    ----------
    values
        Values, shape (n,).
    info
        Shape and order of the frame.
    """
    if info.subsampled:
        # Two pixels share their colour: Y1 Y2 Cb Cr.
        pairs = values.reshape(-1, 4)
        pixels = np.stack([pairs[:, [0, 2, 3]], pairs[:, [1, 2, 3]]], axis=1)
        return pixels.reshape(info.frame_shape)
    if info.samples > 1 and info.planar_configuration == 1:
        return np.moveaxis(values.reshape(info.samples, info.rows, info.columns), 0, -1)
    return values.reshape(info.frame_shape)


def keep_stored_bits(frame: np.ndarray[Any, Any], info: PixelInfo) -> None:
    """Keep, in place, the bits that hold the value; above it may lie an overlay.

    Source: DICOM PS3.5, 8.1.1: bits that are not stored mean nothing.

    Parameters
    ----------
    frame
        Values as they lie in the file.
    info
        Which bits are stored.
    """
    if info.floating or info.bits_allocated in {1, info.bits_stored}:
        return
    above = info.bits_allocated - 1 - info.high_bit
    below = info.high_bit + 1 - info.bits_stored
    if not info.signed and below == 0:
        np.bitwise_and(frame, (1 << info.bits_stored) - 1, out=frame)
        return
    # A shift up and down fills a signed value with its sign, an unsigned one with zeros.
    np.left_shift(frame, above, out=frame)
    np.right_shift(frame, above + below, out=frame)


def to_rgb(frame: np.ndarray[Any, Any], bits: int = 8) -> None:
    """Turn, in place, full-range YCbCr into RGB.

    Source: DICOM PS3.3, C.7.6.3.1.2 (YBR_FULL).

    Parameters
    ----------
    frame
        Values, shape (rows, columns, 3), unsigned.
    bits
        Bits of a value.
    """
    luma = frame[..., 0].astype(np.float32)
    blue, red = (frame[..., i].astype(np.float32) - (1 << bits - 1) for i in (1, 2))
    planes = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    for i, plane in enumerate(planes):
        frame[..., i] = np.clip(np.rint(plane), 0, (1 << bits) - 1)
