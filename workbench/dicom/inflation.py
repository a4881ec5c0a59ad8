"""Inflation: what is deflated made whole, within limits."""

from __future__ import annotations

import zlib
from collections.abc import Callable

from workbench.dicom.refusals import UnreadableFile

MOST_INFLATED = 512 * 2**20
"""Bytes that a deflated data set, or a member of a zip file, may hold, deflated or not."""
MOST_TIMES = 20
"""Times by which it may grow."""
ALWAYS_INFLATED = 2**20
"""Bytes that it may hold however small it is deflated: one blank image, and no harm."""


def most_inflated(packed: int) -> int:
    """Return the bytes that something may hold that takes `packed` bytes deflated.

    Examples
    --------
    >>> most_inflated(1_000), most_inflated(100_000), most_inflated(10**9)
    (1048576, 2000000, 536870912)
    """
    return min(max(MOST_TIMES * packed, ALWAYS_INFLATED), MOST_INFLATED)


def inflate(read: Callable[[int, int], bytes], start: int, size: int) -> bytes:
    """Return the data set that is deflated from `start` to the end of a file.

    Source: DICOM PS3.5, A.5 (Deflated Explicit VR Little Endian), RFC 1951.

    Parameters
    ----------
    read
        Return at most so many bytes (second) from an offset (first).
    start
        Where the deflated data set starts.
    size
        Size of the file in bytes.

    Raises
    ------
    UnreadableFile
        `too_big_to_inflate` beyond the limits above, `truncated` if it ends too early, `bad_meta`
        if it is not deflated.
    """
    packed = max(0, size - start)
    if packed > MOST_INFLATED:
        raise UnreadableFile("too_big_to_inflate", f"{packed} bytes")
    most = most_inflated(packed)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflater.decompress(read(start, packed), most + 1)
    except zlib.error:
        raise UnreadableFile("bad_meta", "the data set is not deflated as it says") from None
    if len(content) > most:
        raise UnreadableFile("too_big_to_inflate", f"more than {most} bytes of {packed}")
    if not inflater.eof:
        raise UnreadableFile("truncated", "inside the deflated data set")
    return content
