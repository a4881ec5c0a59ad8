"""Pixel data: whether all of it is there, told without reading it."""

from __future__ import annotations

import struct
from collections.abc import Callable

from workbench.dicom.refusals import UnreadableFile

PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
UNDEFINED = 0xFFFFFFFF
MOST_FRAGMENTS = 2_000_000
_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR"))
_LONG_VRS = _LONG | {b"UT", b"UV"}
Read = Callable[[int, int], bytes]
"""Return at most so many bytes (second) from an offset (first)."""


def is_encapsulated(transfer_syntax: str) -> bool:
    """Return whether pixels are stored as compressed fragments (DICOM PS3.5, A.4).

    Examples
    --------
    >>> is_encapsulated("1.2.840.10008.1.2.4.70"), is_encapsulated("1.2.840.10008.1.2.1")
    (True, False)
    """
    return transfer_syntax.startswith(("1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.5"))


def check_end(
    read: Read, offset: int, length: int, size: int, *, big: bool = False, implicit: bool = False
) -> int | None:
    """Refuse pixel data, or what follows it, that is shorter than declared.

    Parameters
    ----------
    read
        Return at most so many bytes from an offset.
    offset
        Where the value of the pixel data starts.
    length
        Its declared length in bytes; `UNDEFINED` for fragments.
    size
        Size of the file in bytes.
    big, implicit
        How the elements behind it are stored.

    Returns
    -------
    int or None
        How many fragments there are, without the offset table; None if pixels are native.

    Raises
    ------
    UnreadableFile
        `truncated`, with the bytes that are there and those that are declared; `bad_meta` if
        fragments cannot be followed.
    """
    fragments, end = None, offset + length
    if length == UNDEFINED:
        fragments, end = _walk_fragments(read, offset, size)
    order = ">" if big else "<"
    while True:
        if end > size:
            raise UnreadableFile("truncated", f"{size} of {end} bytes")
        head = read(end, 12)
        if len(head) < 8:
            if head.strip(b"\0"):
                raise UnreadableFile("truncated", "the last element")
            return fragments
        group, element, short = struct.unpack(f"{order}HHL", head[:8])
        tag = group << 16 | element
        if tag <= PIXEL_TAGS[-1]:  # padding
            return fragments
        end += 8
        if not implicit:
            short = struct.unpack(f"{order}H", head[6:8])[0]
            if head[4:6] in _LONG_VRS:
                if len(head) < 12:
                    raise UnreadableFile("truncated", "the last element")
                short, end = struct.unpack(f"{order}L", head[8:12])[0], end + 4
        if short == UNDEFINED:  # nested, and nothing that an image needs
            return fragments
        end += short


def _walk_fragments(read: Read, offset: int, size: int) -> tuple[int, int]:
    """Return how many fragments of compressed pixels there are, and their end (PS3.5, A.4)."""
    for items in range(MOST_FRAGMENTS):
        head = read(offset, 8)
        if len(head) < 8:
            raise UnreadableFile("truncated", f"{size} of {offset + 8} bytes or more")
        group, element, length = struct.unpack("<HHL", head)
        tag, offset = group << 16 | element, offset + 8
        if tag == _SEQUENCE_END:
            return max(0, items - 1), offset
        if tag != _ITEM or length == UNDEFINED:
            raise UnreadableFile("bad_meta", "the fragments of the pixel data")
        offset += length
        if offset > size:
            raise UnreadableFile("truncated", f"{size} of {offset} bytes")
    raise UnreadableFile("too_big", f"more than {MOST_FRAGMENTS} fragments")
