"""Byte source: the bytes of one DICOM file by offset, inflated where its data set is deflated."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.dicom import inflation
from workbench.dicom.refusals import UnreadableFile
from workbench.errors import ImageError

OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""How files are opened: a FIFO or a device would block or never end."""
PIXEL_REASONS = {
    "unreadable": "The file cannot be read",
    "not_dicom": "The file is not DICOM",
    "truncated": "The file ends before what it declares",
    "bad_meta": "The file cannot be parsed",
    "bad_length": "The length of the pixels disagrees with their shape",
    "too_deep": "Sequences are nested too deeply",
    "too_slow": "The file takes too long to read",
    "too_big_to_inflate": "The deflated data set is too large when inflated",
    "no_pixels": "The file holds no pixels",
    "bad_pixels": "What the file says of its pixels does not fit together",
    "bad_fragments": "The compressed frames cannot be told apart",
    "unknown_codec": "The pixels are compressed in a way that is not read",
    "too_big": "The pixels need more memory than there is",
    "codec_failed": "The compressed pixels cannot be decoded",
    "codec_too_slow": "The compressed pixels take too long to decode",
    "codec_too_big": "The compressed pixels need too much memory",
}
"""Why pixels are refused: code -> sentence. A code of `refusals.REASONS` means the same here."""


class PixelError(ImageError):
    """The pixels of one file are refused, for one of `PIXEL_REASONS`.

    Parameters
    ----------
    reason
        Key of `PIXEL_REASONS`.
    detail
        Fixed words and numbers, never a value that names a patient.

    Examples
    --------
    >>> print(PixelError("truncated", "524288 bytes declared, 100 there"))
    The file ends before what it declares
      where: 524288 bytes declared, 100 there
      do:    Leave this file out, or ask the archive for it again
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(
            PIXEL_REASONS[reason],
            where=detail,
            todo="Leave this file out, or ask the archive for it again",
        )
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[object, ...]:
        return PixelError, (self.reason, self.detail)


class ByteSource:
    """Read bytes by offset, from an open file or from memory; never past the end.

    Parameters
    ----------
    descriptor
        Descriptor of an open file, or None where `held` is given.
    held
        The bytes themselves, where they are in memory already.
    """

    def __init__(self, descriptor: int | None, held: bytes | memoryview = b"") -> None:
        self._descriptor = descriptor
        self._held = memoryview(held)
        self.size = len(self._held) if descriptor is None else os.fstat(descriptor).st_size

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset` on; fewer at the end of the file."""
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        if self._descriptor is None:
            return bytes(self._held[offset : offset + length])
        return os.pread(self._descriptor, length, offset)

    def readinto(self, offset: int, target: memoryview) -> None:
        """Fill `target` with the bytes from `offset` on.

        Raises
        ------
        PixelError
            If the file ends before.
        """
        wanted, got = len(target), 0
        if self._descriptor is None:
            got = max(0, min(wanted, self.size - offset))
            target[:got] = self._held[offset : offset + got]
        else:
            while got < wanted:
                read = os.preadv(self._descriptor, [target[got:]], offset + got)
                if read == 0:
                    break
                got += read
        if got < wanted:
            raise PixelError("truncated", f"{wanted} bytes wanted, {got} there")


@contextmanager
def open_source(file: Path | str | bytes, *, follow_links: bool = True) -> Iterator[ByteSource]:
    """Open a file, or bytes already in memory, for reading by offset.

    Parameters
    ----------
    file
        Path of a file, or bytes.
    follow_links
        Whether the path may be a link: one that the user gives may, one of an archive may not.

    Raises
    ------
    PixelError
        If the file cannot be opened, or reading it fails.
    """
    if isinstance(file, bytes):
        yield ByteSource(None, file)
        return
    try:
        descriptor = os.open(file, OPEN if follow_links else OPEN | os.O_NOFOLLOW)
    except OSError as error:
        raise PixelError("unreadable", error.strerror or "") from error
    try:
        yield ByteSource(descriptor)
    except OSError as error:
        raise PixelError("unreadable", error.strerror or "") from error
    finally:
        os.close(descriptor)


def inflate(source: ByteSource, start: int) -> ByteSource:
    """Inflate what follows `start`; offsets in the result begin at 0.

    Raises
    ------
    PixelError
        As `inflation.inflate` refuses it.
    """
    try:
        return ByteSource(None, inflation.inflate(source.read, start, source.size))
    except UnreadableFile as error:
        raise PixelError(error.reason, error.detail) from None
