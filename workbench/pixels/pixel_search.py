"""Pixel search: find the pixels of one DICOM file, and what describes them, in its elements."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from typing import Literal

from workbench.dicom.pixel_data import LONG_VRS, UNDEFINED
from workbench.dicom.refusals import DEEPEST
from workbench.pixels.byte_source import ByteSource, PixelError, inflate

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
LONGEST_S = 20.0
"""Seconds that may pass until the pixels are found."""
PIXELS = {0x7FE00008: 32, 0x7FE00009: 64, 0x7FE00010: 0}
"""Tags of the pixels; for floating ones, their bits (DICOM PS3.3, C.7.6.24 and C.7.6.25)."""
_NUMBERS = {
    0x00280002: "samples",
    0x00280006: "planar_configuration",
    0x00280010: "rows",
    0x00280011: "columns",
    0x00280100: "bits_allocated",
    0x00280101: "bits_stored",
    0x00280102: "high_bit",
    0x00280103: "signed",
}
_TEXTS = {0x00020010: "transfer_syntax", 0x00280004: "photometric", 0x00280008: "frames"}
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_SHORT_VRS = frozenset(
    int.from_bytes(vr, "little")
    for vr in b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)
# Tags as a little-endian file holds them: the group lies in the lower half.
_WANTED = frozenset((tag & 0xFFFF) << 16 | tag >> 16 for tag in (*_NUMBERS, *_TEXTS, *PIXELS))
_EXPLICIT_HEAD, _IMPLICIT_HEAD = struct.Struct("<IHH"), struct.Struct("<II")
_WINDOW = 1 << 14


@dataclass(frozen=True)
class Found:
    """Name what was found of the pixels, as the file says it.

    Parameters
    ----------
    values
        Attributes of the pixels.
    tag, offset, length
        Element that holds the pixels, place and length of its value (bytes).
    source
        Where they lie: the file, or its inflated data set.
    transfer_syntax
        UID of the transfer syntax.
    big_endian
        Whether the bytes of a value stand in reverse order.
    words
        Whether bytes lie in words of 16 bits, which stand in reverse order (PS3.5, A.3).
    """

    values: dict[str, int | str]
    tag: int
    offset: int
    length: int
    source: ByteSource
    transfer_syntax: str
    big_endian: bool
    words: bool


def find_pixels(source: ByteSource) -> Found:
    """Find the pixels of an open file; they are not read.

    Only the handful of attributes that this needs is read, without recursion and without
    allocating what the file declares, so that a hostile file costs little.

    Source: DICOM PS3.5, 7.1 (data elements), 7.5 (nesting); PS3.10, 7 (file format).

    Raises
    ------
    PixelError
        If the file holds no pixels, or cannot be read so far.
    """
    walk = _Walk(source)
    data_set = walk.read_meta(walk.find_start())
    if walk.transfer_syntax == DEFLATED:
        walk, data_set = _Walk(inflate(source, data_set), DEFLATED), 0
    return walk.read_dataset(data_set)


def find_data_set(source: ByteSource) -> int:
    """Return where the data set begins: behind the preamble and the file meta information.

    Raises
    ------
    PixelError
        If the file is not DICOM.
    """
    walk = _Walk(source)
    return walk.read_meta(walk.find_start())


class _Walk:
    """Walk over the elements of one data set."""

    def __init__(self, source: ByteSource, transfer_syntax: str = "") -> None:
        self.source = source
        self.transfer_syntax = transfer_syntax
        self._order: Literal["little", "big"] = "little"
        self._window = b""
        self._window_at = 0
        self._deadline = time.monotonic() + LONGEST_S

    def find_start(self) -> int:
        """Return where the elements begin: behind the preamble, if there is one."""
        head = self._bytes(0, 132)
        if head[128:] == b"DICM":
            return 132
        group = int.from_bytes(head[:2], "little")
        if len(head) >= 8 and (group in {2, 8} or head[:2] == b"\0\x08"):
            return 0
        raise PixelError("not_dicom")

    def read_meta(self, at: int) -> int:
        """Read the file meta information; return where it ends."""
        while self._bytes(at, 2) == b"\x02\0":
            tag, _, value, length = self._element(at, implicit=False)
            if length == UNDEFINED or value + length > self.source.size:
                raise PixelError("truncated", "in the file meta information")
            if tag == 0x00020010:
                self.transfer_syntax = _text(self._bytes(value, min(length, 64)))
            at = value + length
        return at

    def read_dataset(self, at: int) -> Found:
        """Read the attributes of the pixels up to the pixels themselves."""
        implicit = self._guess_encoding(at)
        values: dict[str, int | str] = {}
        steps = 0
        while at < self.source.size:
            if self._order == "little":
                at = self._skip_plain(at, implicit)
                if at >= self.source.size:
                    break
            tag, vr, value, length = self._element(at, implicit)
            if tag in PIXELS:
                words = self._order == "big" and vr == b"OW"
                known = (self.source, self.transfer_syntax, self._order == "big", words)
                return Found(values, tag, value, length, *known)
            # Some writers leave a stray item behind; a reader steps over it.
            if 0x7FE00010 < tag < _ITEM:
                break
            if length == UNDEFINED:
                at = self._skip_undefined(value, implicit or vr == b"UN")
                continue
            if value + length > self.source.size:
                raise PixelError("truncated", f"group {tag >> 16:04x}")
            if tag in _NUMBERS and length >= 2:
                values[_NUMBERS[tag]] = int.from_bytes(self._bytes(value, 2), self._order)
            elif tag in _TEXTS:
                values[_TEXTS[tag]] = _text(self._bytes(value, min(length, 64)))
            at = value + length
            steps += 1
            if steps % 4096 == 0:
                self._check_time()
        if at > self.source.size:
            raise PixelError("truncated", "of the last element")
        raise PixelError("no_pixels")

    def _skip_plain(self, at: int, implicit: bool) -> int:
        """Return where the next element begins that must be looked at; most are skipped here."""
        window, start = self._window, at - self._window_at
        last = len(window) - 12
        if implicit:
            unpack = _IMPLICIT_HEAD.unpack_from
            while 0 <= start <= last:
                key, length = unpack(window, start)
                if key in _WANTED or length == UNDEFINED:
                    break
                start += 8 + length
        else:
            unpack = _EXPLICIT_HEAD.unpack_from
            while 0 <= start <= last:
                key, vr, length = unpack(window, start)
                if key in _WANTED or vr not in _SHORT_VRS:
                    break
                start += 8 + length
        return self._window_at + start

    def _guess_encoding(self, at: int) -> bool:
        """Return whether elements have no VR; like pydicom, believe the first element."""
        head = self._bytes(at, 6)
        explicit = head[4:6].isalpha() and head[4:6].isupper()
        if self.transfer_syntax == BIG_ENDIAN or (
            not self.transfer_syntax and head[:1] == b"\0" and head[1:2] != b"\0"
        ):
            self._order = "big"
        if not self.transfer_syntax:
            big = self._order == "big"
            self.transfer_syntax = BIG_ENDIAN if big else EXPLICIT if explicit else IMPLICIT
        return not explicit

    def _skip_undefined(self, at: int, implicit: bool) -> int:
        """Return where a sequence or item of undefined length ends, without recursion."""
        # One entry an open sequence or item: whether its elements have no VR.
        open_ones = [implicit]
        steps = 0
        while open_ones:
            tag, vr, value, length = self._element(at, open_ones[-1])
            if tag in {_ITEM_END, _SEQUENCE_END}:
                open_ones.pop()
                at = value
            elif length == UNDEFINED:
                if len(open_ones) >= 2 * DEEPEST:
                    raise PixelError("too_deep", f"more than {DEEPEST} sequences")
                # An unknown VR of undefined length holds implicit elements (PS3.5, 6.2.2).
                open_ones.append(open_ones[-1] or vr == b"UN")
                at = value
            else:
                at = value + length
            if at > self.source.size:
                raise PixelError("truncated", "in a sequence")
            steps += 1
            if steps % 4096 == 0:
                self._check_time()
        return at

    def _element(self, at: int, implicit: bool) -> tuple[int, bytes, int, int]:
        """Return tag, VR, offset of the value and length of the element at `at`."""
        head = self._bytes(at, 12)
        if len(head) < 8:
            raise PixelError("truncated", "in the header")
        order = self._order
        group, element = int.from_bytes(head[:2], order), int.from_bytes(head[2:4], order)
        tag, vr = group << 16 | element, head[4:6]
        if implicit or group == 0xFFFE or not (vr.isalpha() and vr.isupper()):
            return tag, b"", at + 8, int.from_bytes(head[4:8], order)
        if vr not in LONG_VRS:
            return tag, vr, at + 8, int.from_bytes(head[6:8], order)
        if len(head) < 12:
            raise PixelError("truncated", "in the header")
        return tag, vr, at + 12, int.from_bytes(head[8:12], order)

    def _bytes(self, at: int, length: int) -> bytes:
        start = at - self._window_at
        if start < 0 or start + length > len(self._window):
            self._window, self._window_at = self.source.read(at, _WINDOW), at
            start = 0
        return self._window[start : start + length]

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise PixelError("too_slow", f"header, {LONGEST_S:.0f} s")


def _text(raw: bytes) -> str:
    return raw.decode("ascii", "replace").strip(" \0")
