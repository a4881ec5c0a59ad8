"""Multipart: the parts of a streamed answer, each written to a file and never whole in memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

LONGEST_HEADER = 65_536
"""Bytes that the header of one part may have."""
_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;,"]{1,200}))', re.IGNORECASE)


class BrokenAnswer(Exception):  # noqa: N818 - it is the answer that is broken
    """Say that an answer cannot be read to its end; asking again may help."""


def find_boundary(content_type: str) -> bytes | None:
    """Return the boundary of a multipart content type (RFC 2046, 5.1.1), or None if it has none.

    Examples
    --------
    >>> find_boundary('multipart/related; type="application/dicom"; boundary=a-1')
    b'a-1'
    >>> find_boundary("application/dicom") is None
    True
    """
    found = _BOUNDARY.search(content_type)
    if found is None or not content_type.lower().lstrip().startswith("multipart/"):
        return None
    return (found[1] or found[2]).encode("ascii", "replace")


def write_parts(
    chunks: Iterable[bytes], boundary: bytes | None, folder: Path, *, limit: int
) -> list[Path]:
    """Write each part of an answer to a file, numbered in the order of the answer.

    Parameters
    ----------
    chunks
        The body of the answer, as it comes.
    boundary
        What `find_boundary` found; None if the body is one part without a header.
    folder
        Where to write; exists.
    limit
        Bytes that all parts may have together.

    Returns
    -------
    list of Path

    Raises
    ------
    BrokenAnswer
        If the answer ends before its last part does, or is not multipart.
    OverflowError
        If the parts are larger than `limit`.
    """
    paths: list[Path] = []
    room = limit
    parts = iter([iter(chunks)]) if boundary is None else _split(chunks, boundary)
    for part in parts:
        path = folder / f"{len(paths) + 1:06d}.dcm"
        with path.open("wb") as file:
            for piece in part:
                room -= len(piece)
                if room < 0:
                    raise OverflowError
                file.write(piece)
        paths.append(path)
    return paths


def _split(chunks: Iterable[bytes], boundary: bytes) -> Iterator[Iterator[bytes]]:
    """Yield the content of each part as an iterator that must be used up before the next."""
    stream = _Stream(chunks)
    delimiter = b"\r\n--" + boundary
    for _ in stream.until(delimiter):
        pass  # what stands before the first part means nothing
    # After a delimiter: the end of the line before a part, or "--" after the last one.
    while stream.take(2) != b"--":
        stream.skip_header()
        yield stream.until(delimiter)


class _Stream:
    """A stream of bytes of which only what has not been looked at is held."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        # The first delimiter needs no line before it.
        self._held = b"\r\n"

    def _more(self) -> None:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise BrokenAnswer
        self._held += chunk

    def take(self, count: int) -> bytes:
        while len(self._held) < count:
            self._more()
        found, self._held = self._held[:count], self._held[count:]
        return found

    def skip_header(self) -> None:
        # The two bytes of the line's end before the header may be all there is of it.
        self._held = b"\r\n" + self._held
        while (end := self._held.find(b"\r\n\r\n")) < 0:
            if len(self._held) > LONGEST_HEADER:
                raise BrokenAnswer
            self._more()
        self._held = self._held[end + 4 :]

    def until(self, delimiter: bytes) -> Iterator[bytes]:
        while (end := self._held.find(delimiter)) < 0:
            safe = len(self._held) - len(delimiter) + 1
            if safe > 0:
                yield self._held[:safe]
                self._held = self._held[safe:]
            self._more()
        found, self._held = self._held[:end], self._held[end + len(delimiter) :]
        if found:
            yield found
