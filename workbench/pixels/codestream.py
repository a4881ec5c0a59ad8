"""Codestream: decode one compressed frame, after its own header agrees with that of the file.

Runs in a worker process; see `workbench.pixels.codecs`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workbench.pixels.byte_source import PixelError
from workbench.pixels.pixel_cells import arrange, keep_stored_bits, to_rgb, unpack_bits
from workbench.pixels.pixel_info import YBR, PixelInfo

# JPEG: SOF0-SOF15 but for DHT, JPG and DAC; SOF55 is JPEG-LS (ISO/IEC 10918-1, table B.1).
_SOF = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})


@dataclass(frozen=True)
class Codestream:
    """Say what a compressed frame declares of itself.

    Parameters
    ----------
    rows, columns, samples
        Shape (1).
    precision
        Bits of a value.
    marked
        Whether a JFIF or Adobe segment tells the colours.
    """

    rows: int
    columns: int
    samples: int
    precision: int
    marked: bool = False


def decode(frame: bytes, info: PixelInfo, out: np.ndarray[Any, Any]) -> None:
    """Decode one frame into an array: stored values, colours as RGB.

    Parameters
    ----------
    frame
        The compressed frame, its fragments joined.
    info
        What the file says of its pixels.
    out
        Array to fill, shape (rows, columns[, samples]), contiguous.

    Raises
    ------
    PixelError
        If the transfer syntax is not read, or the frame is not what the file says.
    """
    if info.transfer_syntax not in DECODERS:
        raise PixelError("unknown_codec", _numbers(info.transfer_syntax))
    DECODERS[info.transfer_syntax](frame, info, out)


def _decode_deflated(frame: bytes, info: PixelInfo, out: np.ndarray[Any, Any]) -> None:
    """Decode Deflated Image Frame Compression (DICOM PS3.5, annex A.4.13)."""
    wanted = (info.frame_bits + 7) // 8
    raw = zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(frame, wanted + 2)
    if not wanted <= len(raw) <= wanted + 1:
        raise PixelError("codec_failed", f"{len(raw)} of {wanted} bytes")
    values = np.frombuffer(raw, dtype=np.uint8)[:wanted]
    if info.bits_allocated == 1:
        out[...] = unpack_bits(values, 0, info)
        return
    out[...] = arrange(values.view(info.dtype), info)
    keep_stored_bits(out, info)
    _colour(out, info)


def _decode_jpeg(frame: bytes, info: PixelInfo, out: np.ndarray[Any, Any]) -> None:
    """Decode JPEG baseline, extended and lossless (ISO/IEC 10918-1)."""
    import imagecodecs

    header = read_jpeg_header(frame)
    _check(header, info)
    if header.samples == 1:
        _fit(imagecodecs.jpeg8_decode(frame), header, info, out)
    elif info.transfer_syntax in _LOSSLESS:
        # Lossless coding transforms no colours: they are what the file says.
        coded = imagecodecs.jpeg8_decode(frame, colorspace="RGB", outcolorspace="RGB")
        _fit(coded, header, info, out)
        _colour(out, info)
    else:
        # Without a mark in the codestream, the file tells which colours were coded.
        coding = None if header.marked else "RGB" if info.photometric == "RGB" else "YCBCR"
        coded = imagecodecs.jpeg8_decode(frame, colorspace=coding, outcolorspace="RGB")
        _fit(coded, header, info, out)


def _decode_jpeg_ls(frame: bytes, info: PixelInfo, out: np.ndarray[Any, Any]) -> None:
    """Decode JPEG-LS (ISO/IEC 14495-1)."""
    import imagecodecs

    header = read_jpeg_header(frame)
    _check(header, info)
    _fit(imagecodecs.jpegls_decode(frame), header, info, out)
    _colour(out, info)


def _decode_jpeg_2000(frame: bytes, info: PixelInfo, out: np.ndarray[Any, Any]) -> None:
    """Decode JPEG 2000 and its high-throughput kind (ISO/IEC 15444-1 and 15444-15)."""
    import imagecodecs

    header = read_jpeg_2000_header(frame)
    _check(header, info)
    _fit(imagecodecs.jpeg2k_decode(frame, numthreads=1), header, info, out)
    # A codestream undoes its own colour transform; one that has none holds the stored samples.
    _colour(out, info)


def read_jpeg_header(frame: bytes) -> Codestream:
    """Read the frame header of a JPEG or JPEG-LS codestream.

    Source: ISO/IEC 10918-1, B.2.2; ISO/IEC 14495-1, C.2.2.

    Raises
    ------
    PixelError
        If there is none.
    """
    at, marked = 2, False
    while frame[:2] == b"\xff\xd8" and at + 10 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _SOF:
            rows, columns = (int.from_bytes(frame[i : i + 2], "big") for i in (at + 5, at + 7))
            return Codestream(rows, columns, frame[at + 9], frame[at + 4], marked)
        length = int.from_bytes(frame[at + 2 : at + 4], "big")
        # Shorter ones are not believed, as by libjpeg.
        told = (marker, frame[at + 4 : at + 9])
        marked |= told in {(0xE0, b"JFIF\0"), (0xEE, b"Adobe")} and length >= 14
        at += 2 + max(2, length)
    raise PixelError("codec_failed", "no JPEG frame header")


def read_jpeg_2000_header(frame: bytes) -> Codestream:
    """Read the image and tile size (SIZ) of a JPEG 2000 codestream.

    Source: ISO/IEC 15444-1, A.5.1.

    Raises
    ------
    PixelError
        If there is none.
    """
    at = frame.find(b"\xff\x4f\xff\x51", 0, 1 << 16)
    siz = frame[at + 4 : at + 45]
    if at < 0 or len(siz) < 41:
        raise PixelError("codec_failed", "no JPEG 2000 image header")
    right, bottom, left, top = (int.from_bytes(siz[i : i + 4], "big") for i in (4, 8, 12, 16))
    samples = int.from_bytes(siz[36:38], "big")
    return Codestream(bottom - top, right - left, samples, (siz[38] & 0x7F) + 1)


def _check(header: Codestream, info: PixelInfo) -> None:
    """Raise PixelError if the frame is not what the file says; before anything is allocated."""
    told = (header.rows, header.columns, header.samples)
    if told != (info.rows, info.columns, info.samples):
        raise PixelError("codec_failed", "the frame is {} x {} x {}".format(*told))
    if header.precision > 8 * info.dtype.itemsize:
        raise PixelError("codec_failed", f"the frame has {header.precision} bits")


def _fit(
    values: np.ndarray[Any, Any],
    header: Codestream,
    info: PixelInfo,
    out: np.ndarray[Any, Any],
) -> None:
    """Write decoded values in the type of the file, their sign where the codestream has it."""
    if values.shape != out.shape:
        raise PixelError("codec_failed", "the decoded frame has another shape")
    out[...] = values.astype(out.dtype, copy=False)
    if header.precision <= info.high_bit:
        stored = min(header.precision, info.bits_stored)
        info = replace(info, high_bit=header.precision - 1, bits_stored=stored)
    keep_stored_bits(out, info)


def _colour(values: np.ndarray[Any, Any], info: PixelInfo) -> None:
    if info.photometric in YBR:
        to_rgb(values, info.bits_stored)


def _numbers(text: str) -> str:
    return text if text.replace(".", "").isdigit() else "not a UID"


_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_Decoder = Callable[[bytes, PixelInfo, np.ndarray[Any, Any]], None]
DECODERS: dict[str, _Decoder] = {
    "1.2.840.10008.1.2.8.1": _decode_deflated,
    **dict.fromkeys(("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", *_LOSSLESS), _decode_jpeg),
    **dict.fromkeys(("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"), _decode_jpeg_ls),
    **dict.fromkeys(
        [f"1.2.840.10008.1.2.4.{i}" for i in (90, 91, 201, 202, 203)], _decode_jpeg_2000
    ),
}
"""Transfer syntax -> what decodes one frame (DICOM PS3.6, table A-1)."""
