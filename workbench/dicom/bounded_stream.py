"""Bounded stream: a file that a parser cannot read beyond, whatever lengths it believes."""

from __future__ import annotations

import os
from typing import BinaryIO, cast

from workbench.dicom.refusals import UnreadableFile

MOST_READS = 4_000_000
"""Reads that one header may take: some million elements."""
LONGEST_READ = 256 * 2**20
"""Bytes that one read may take."""
_SEARCHED = 8192
"""Bytes that pydicom asks for where it searches a delimiter, whether they are there or not."""


class BoundedStream:
    """Read a seekable stream, and refuse lengths that it does not have.

    Parameters
    ----------
    file
        A seekable stream.

    Attributes
    ----------
    size : int
        Bytes of the stream.
    ended_early : bool
        Whether a read met the end in the middle of what was asked for.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = file.seek(0, os.SEEK_END)
        self.ended_early = False
        self._reads = 0
        file.seek(0)
        self.tell = file.tell

    @property
    def file_like(self) -> BinaryIO:
        """The stream itself, for those who read, seek and tell alone."""
        return cast("BinaryIO", self)

    def read(self, count: int = -1) -> bytes:
        """Return the next bytes, fewer at the end.

        Raises
        ------
        UnreadableFile
            `truncated` if a long value reaches beyond the end, `too_big` if it is too long or
            the header has too many elements.
        """
        self._reads += 1
        left = self.size - self.file.tell()
        if count < 0:
            count = left
        if count > left and count > _SEARCHED:
            raise UnreadableFile("truncated", f"{left} of {count} bytes")
        if count > LONGEST_READ:
            raise UnreadableFile("too_big", f"a value of {count} bytes")
        if self._reads > MOST_READS:
            raise UnreadableFile("too_big", "too many elements")
        got = self.file.read(count)
        # A clean end shows as nothing where the next element, or a look ahead, was asked for.
        clean = len(got) == count or (not got and count in (1, 2, 4, 6, 8))
        self.ended_early |= not clean and not (count == _SEARCHED and got)
        return got

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to an offset."""
        return self.file.seek(offset, whence)

    def at(self, offset: int, count: int) -> bytes:
        """Return at most so many bytes from an offset, and stay where the stream is."""
        here = self.file.tell()
        self.file.seek(offset)
        got = self.file.read(max(0, min(count, self.size - offset)))
        self.file.seek(here)
        return got
