"""Members: DICOM files inside a zip file, read without writing any of them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO

from workbench.catalog.walk import escape, locate, split_member
from workbench.dicom.inflation import ALWAYS_INFLATED, MOST_TIMES, most_inflated
from workbench.dicom.refusals import Refused, UnreadableFile

MOST_MEMBERS = 200_000
"""A zip file of more members is refused whole."""
IN_MEMORY = 32 * 2**20
_BROKEN = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, NotImplementedError,
    RuntimeError, ValueError, OverflowError, LookupError, OSError, MemoryError,
)  # fmt: skip
"""What a broken or unusual zip file raises while it is read."""


@dataclass(frozen=True)
class Members:
    """Hold what a zip file gave.

    Parameters
    ----------
    rows
        One row an instance, with path, size and mtime_ns.
    refused
        Its other members.
    members
        Number of members, folders not among them.
    """

    rows: list[dict[str, Any]]
    refused: list[Refused]
    members: int


def read_members(
    file: Path, path: str, mtime_ns: int, read: Callable[[BinaryIO], dict[str, Any]]
) -> Members:
    """Read the header of every member of a zip file.

    Parameters
    ----------
    file
        The zip file.
    path
        Its path as it stands in tables.
    mtime_ns
        Its time, in ns; that of all members.
    read
        Returns the row of one member; `dicom.read_header`.

    Raises
    ------
    UnreadableFile
        If it is no zip file, or a zip file that nobody should inflate.
    """
    found = Members([], [], 0)
    count, names = 0, set()
    with _opened(file) as archive:
        for info in _list(archive, file.stat().st_size):
            count += 1
            name = f"{path}!{escape(info.filename)}"
            try:
                if name in names:
                    raise UnreadableFile("duplicate", "a second member of this name")
                names.add(name)
                with open_member(archive, info) as stream:
                    row = read(stream)
                found.rows.append(
                    row | {"path": name, "size": info.file_size, "mtime_ns": mtime_ns}
                )
            except UnreadableFile as error:
                found.refused.append(Refused(name, error.reason, error.detail))
    return Members(found.rows, found.refused, count)


def copy_member(root: Path, path: str, target: BinaryIO) -> None:
    """Write the content of one member to an open file, after the same checks.

    Parameters
    ----------
    root
        Folder that the path starts at.
    path
        ``zip!member``, as in the catalog.
    target
        Where to write.

    Raises
    ------
    UnreadableFile
        If it is not there, or cannot be inflated.
    """
    place, name = split_member(path)
    with _opened(root / locate(place)) as archive:
        for info in _list(archive, (root / locate(place)).stat().st_size):
            if escape(info.filename) == name:
                with open_member(archive, info) as stream:
                    while block := stream.read(2**20):
                        target.write(block)
                return
    raise UnreadableFile("unreadable", "the zip file has no such member")


class _opened:  # noqa: N801 - reads as a verb
    """Open a zip file; what is wrong with it is told by a reason."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> zipfile.ZipFile:
        try:
            self._archive = zipfile.ZipFile(self._file)
        except FileNotFoundError:
            raise UnreadableFile("unreadable", "vanished") from None
        except PermissionError:
            raise UnreadableFile("unreadable", "no right to read") from None
        except _BROKEN:
            raise UnreadableFile("not_dicom", "not a zip file that can be opened") from None
        return self._archive

    def __exit__(self, *_: object) -> None:
        self._archive.close()


def _list(archive: zipfile.ZipFile, size: int) -> Iterator[zipfile.ZipInfo]:
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > MOST_MEMBERS:
        raise UnreadableFile("too_big", f"a zip file of more than {MOST_MEMBERS} members")
    if sum(info.file_size for info in infos) > max(MOST_TIMES * size, 64 * ALWAYS_INFLATED):
        raise UnreadableFile("too_big_to_inflate", f"members of more than {MOST_TIMES} times")
    yield from infos


def open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    """Return the content of a member, inflated within the limits.

    Raises
    ------
    UnreadableFile
        If it is encrypted, a zip file itself, broken, or too big.
    """
    if info.flag_bits & 1:
        raise UnreadableFile("unreadable", "encrypted")
    allowed = most_inflated(info.compress_size)
    if info.file_size > allowed:
        raise UnreadableFile("too_big_to_inflate", f"{info.file_size} bytes")
    # pydicom goes back and forth, which a deflated stream pays for by starting again.
    held = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - returned open
    try:
        with archive.open(info) as stream:
            start = stream.read(4)
            if start == b"PK\x03\x04":
                raise UnreadableFile("not_dicom", "a zip file in a zip file is not opened")
            held.write(start)
            while block := stream.read(2**18):
                held.write(block)
    except UnreadableFile:
        held.close()
        raise
    except _BROKEN as error:
        held.close()
        raise UnreadableFile("truncated", f"in a zip file: {type(error).__name__}") from None
    held.seek(0)
    return held  # type: ignore[return-value]
