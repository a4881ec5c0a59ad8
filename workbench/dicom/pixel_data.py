"""Pixel data: whether all of it is there, told without reading it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from workbench.dicom.refusals import UnreadableFile

PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
UNDEFINED = 0xFFFFFFFF
"""A length that is not told (DICOM PS3.5, 7.1.1)."""
MOST_FRAGMENTS = 1_000_000
"""Items that the pixels of one file may have."""
_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""VRs whose length takes four bytes, after two that are not used (DICOM PS3.5, 7.1.2)."""
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
        items, end = 0, offset
        for start, count in walk_fragments(read, offset, size):
            items, end = items + 1, start + count
        # Without the offset table; behind the last item stands the delimiter of the sequence.
        fragments, end = max(0, items - 1), end + 8
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
            if head[4:6] in LONG_VRS:
                if len(head) < 12:
                    raise UnreadableFile("truncated", "the last element")
                short, end = struct.unpack(f"{order}L", head[8:12])[0], end + 4
        if short == UNDEFINED:  # nested, and nothing that an image needs
            return fragments
        end += short


def walk_fragments(read: Read, offset: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield offset and length of each item of encapsulated pixels; the first is the offset table.

    Source: DICOM PS3.5, A.4.

    Parameters
    ----------
    read
        Return at most so many bytes from an offset.
    offset
        Where the value of the pixel data starts.
    size
        Size of the file in bytes.

    Raises
    ------
    UnreadableFile
        `truncated` if the file ends first, `bad_meta` if items cannot be followed, `too_big` if
        there are more than `MOST_FRAGMENTS`.
    """
    for _ in range(MOST_FRAGMENTS):
        head = read(offset, 8)
        if len(head) < 8:
            raise UnreadableFile("truncated", f"{size} of {offset + 8} bytes or more")
        group, element, length = struct.unpack("<HHL", head)
        tag, offset = group << 16 | element, offset + 8
        if tag == _SEQUENCE_END:
            return
        if tag != _ITEM or length == UNDEFINED:
            raise UnreadableFile("bad_meta", "the fragments of the pixel data")
        if offset + length > size:
            raise UnreadableFile("truncated", f"{size} of {offset + length} bytes")
        yield offset, length
        offset += length
    raise UnreadableFile("too_big", f"more than {MOST_FRAGMENTS} fragments")
