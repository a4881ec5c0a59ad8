"""Members: DICOM files inside a zip file, read without writing any of them."""

from __future__ import annotations

import os
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, TypeAlias

from workbench.catalog.walk import escape, locate, split_member
from workbench.dicom import careful
from workbench.dicom.careful import answer_refusal, ask, open_file, parse_answer, takes_memory
from workbench.dicom.header import NO_MEMORY, Stored, read_stored, stored_rows
from workbench.dicom.inflation import ALWAYS_INFLATED, MOST_TIMES, most_inflated
from workbench.dicom.refusals import Refused, UnreadableFile

MOST_MEMBERS = 200_000
"""A zip file of more members is refused whole."""
SLOWEST = 2**16
"""Bytes a second that are read of a zip file at least."""
IN_MEMORY = 32 * 2**20
_BROKEN = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, NotImplementedError,
    RuntimeError, ValueError, OverflowError, LookupError, OSError,
)  # fmt: skip
"""What a broken or unusual zip file raises while it is read."""
_Told: TypeAlias = tuple[str, int]  # a member's name and size


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


def read_members(root: Path, path: str, mtime_ns: int, *, seconds: float | None = None) -> Members:
    """Read the header of every member of a zip file, in a process apart.

    Parameters
    ----------
    root
        Folder that the path starts from.
    path
        The zip file, as it stands in tables.
    mtime_ns
        Its time, in ns; that of all members.
    seconds
        What one member may take (s), and a small zip file; `careful.TIME_S` by default.

    Raises
    ------
    UnreadableFile
        If it is no zip file, or a zip file that nobody should inflate, or slow to read.
    """
    seconds = seconds or careful.TIME_S
    file = root / locate(path)
    with open_file(str(file)) as opened:
        until = time.monotonic() + max(seconds, os.fstat(opened.fileno()).st_size / SLOWEST)
    told: list[_Told] = []
    read: list[Stored | UnreadableFile] = []
    while not _read_more(file, told, read, seconds, until):
        pass
    return _collect(path, mtime_ns, told, read)


def _read_more(
    file: Path,
    told: list[_Told],
    read: list[Stored | UnreadableFile],
    seconds: float,
    until: float,
) -> bool:
    """Read members from where others ended, as far as one process goes; return whether it is all.

    Raises
    ------
    UnreadableFile
        If it is the zip file itself that cannot be read.
    """
    whole = None
    request = {"file": str(file), "first": len(read)}
    answers = ask("workbench.catalog.members.tell_members", request, seconds, until)
    with closing(answers):
        try:
            for answer in answers:
                if "name" in answer:
                    told.append((answer["name"], answer["size"]))
                    continue
                known = parse_answer(answer)
                if len(read) < len(told):
                    read.append(known)
                elif isinstance(known, UnreadableFile):
                    whole = known
                if takes_memory(answer):
                    break
            else:
                if whole is None:
                    return True
        except UnreadableFile as error:
            if len(read) == len(told):
                raise
            if time.monotonic() >= until:
                raise UnreadableFile("too_slow", "its members together") from None
            read.append(error)
    if whole is not None:
        raise whole
    return False


def tell_members(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Answer of each member its name, then what it stores; for the process apart."""
    file = Path(request["file"])
    try:
        with _opened(file) as archive:
            for info in _list(archive, file.stat().st_size)[request["first"] :]:
                yield {"name": info.filename, "size": info.file_size}
                try:
                    with open_member(archive, info) as stream:
                        yield asdict(read_stored(stream))
                except UnreadableFile as error:
                    yield answer_refusal(error)
    except UnreadableFile as error:
        yield answer_refusal(error)


def _collect(
    path: str, mtime_ns: int, told: list[_Told], read: list[Stored | UnreadableFile]
) -> Members:
    """Return rows and refusals of members; the second of a name is refused."""
    found = Members([], [], len(told))
    names = set()
    for (member, size), row in zip(told, stored_rows(read), strict=True):
        name = f"{path}!{escape(member)}"
        if name in names:
            found.refused.append(Refused(name, "duplicate", "a second member of this name"))
        elif isinstance(row, UnreadableFile):
            found.refused.append(Refused(name, row.reason, row.detail))
        else:
            found.rows.append(row | {"path": name, "size": size, "mtime_ns": mtime_ns})
        names.add(name)
    return found


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
        except MemoryError:
            raise UnreadableFile("too_big", NO_MEMORY) from None
        except _BROKEN:
            raise UnreadableFile("not_dicom", "not a zip file that can be opened") from None
        return self._archive

    def __exit__(self, *_: object) -> None:
        self._archive.close()


def _list(archive: zipfile.ZipFile, size: int) -> list[zipfile.ZipInfo]:
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > MOST_MEMBERS:
        raise UnreadableFile("too_big", f"a zip file of more than {MOST_MEMBERS} members")
    if sum(info.file_size for info in infos) > max(MOST_TIMES * size, 64 * ALWAYS_INFLATED):
        raise UnreadableFile("too_big_to_inflate", f"members of more than {MOST_TIMES} times")
    return infos


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
    except MemoryError:
        held.close()
        raise UnreadableFile("too_big", NO_MEMORY) from None
    except _BROKEN as error:
        held.close()
        raise UnreadableFile("truncated", f"in a zip file: {type(error).__name__}") from None
    held.seek(0)
    return held  # type: ignore[return-value]
