"""Walk: every file below a folder, accounted for, whatever a stranger put there.

Nothing is opened but folders, and no link is followed. A link to a file or folder inside the root
is counted, and its target is listed once, by its own name; a link that leads out of the root, or
nowhere, is refused. Devices, pipes and sockets are refused unopened.

A path is text relative to the root. Bytes of a name that are not UTF-8, and a backslash, are
written as backslash, x and two hex digits (`locate` leads back). So is the exclamation mark after
`.zip` in a name, which else stands between a zip file and its member (and that after `.exam`, which
stands between an exam of a server and its instances).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import polars as pl

from workbench.catalog.crew import Crew, Lost

LISTING = pl.Schema(
    {
        "path": pl.String(),
        "size": pl.Int64(),
        "mtime_ns": pl.Int64(),
        "inode": pl.UInt64(),
        "reason": pl.String(),
        "detail": pl.String(),
    }
)
"""Columns of a listing; `reason` is null for a file to be read, else `LINK` or one of `REASONS`."""
LINK = "link"
"""Stands in `reason` for a link to what is listed by its own name."""
CHUNK = 225_000
"""Most entries that are held in memory."""
SHARED, SOME = 64, 32_768
"""Folders from which on a crew walks them, and entries that one process returns at once."""
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MARK = re.compile(r"(\.zip|\.exam)!", re.IGNORECASE)
_Odd: TypeAlias = tuple[str, int, int, int, str, str]
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")


def escape(name: str) -> str:
    r"""Return a path as it stands in tables: printable as UTF-8, and reversible.

    Examples
    --------
    >>> escape("a\udcffb"), escape("a\\b"), escape("x.zip!y")
    ('a\\xffb', 'a\\x5cb', 'x.zip\\x21y')
    """
    name = _MARK.sub(r"\1\\x21", name.replace("\\", "\\x5c"))
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def locate(path: str) -> str:
    r"""Return the path that the system knows for one of a table.

    Examples
    --------
    >>> locate(escape("a\udcff\\b.zip!c")) == "a\udcff\\b.zip!c"
    True
    """
    if "\\" not in path:
        return path
    return os.fsdecode(_ESCAPED.sub(lambda m: bytes.fromhex(m[1].decode()), path.encode()))


def split_member(path: str) -> tuple[str, str]:
    """Return the file of a path, and the member that is in it, or "".

    Examples
    --------
    >>> split_member("discs/a.ZIP!DICOM/1.dcm"), split_member("b!c.dcm")
    (('discs/a.ZIP', 'DICOM/1.dcm'), ('b!c.dcm', ''))
    """
    found = _MARK.search(path)
    return (path, "") if found is None else (path[: found.end() - 1], path[found.end() :])


def file_of(path: pl.Expr) -> pl.Expr:
    """Return the file of each path, as `split_member` does."""
    return path.str.replace(r"(?is)^(.*?\.(?:zip|exam))!.*$", "${1}")


def walk(
    root: str | os.PathLike[str], *, chunk: int = CHUNK, crew: Crew | None = None
) -> Iterator[pl.DataFrame]:
    """Yield all entries below a folder, in tables of the columns of `LISTING`.

    Parameters
    ----------
    root
        A folder; may itself be a link.
    chunk
        Rows of a table.
    crew
        Processes that share the folders, as soon as they have started.

    Yields
    ------
    polars.DataFrame
        Entries in the order in which the system names them; `listing.sort_on_disk` sorts them. A
        folder is no entry, unless it cannot be read.

    Raises
    ------
    OSError
        If the root itself cannot be read.
    """
    root = os.path.realpath(root)
    with os.scandir(root):
        pass
    waiting = [""]
    found = _Found(root, chunk)
    while waiting:
        if crew is not None and len(waiting) >= SHARED and crew.ready:
            jobs = [(root, waiting[i :: 4 * crew.workers]) for i in range(4 * crew.workers)]
            waiting = []
            for done in crew.compute(walk_some, jobs):
                if isinstance(done, Lost):  # walked here, where it can be told why
                    waiting += done.item[1]
                    crew = None
                else:
                    yield from done[0]
                    waiting += done[1]
        else:
            yield from found.open(waiting.pop(), waiting)
    yield from found.tables()


def walk_some(job: tuple[str, list[str]]) -> tuple[list[pl.DataFrame], list[str]]:
    """Walk folders until there are many entries.

    Parameters
    ----------
    job
        Root, and folders relative to it.

    Returns
    -------
    list of polars.DataFrame
        Entries.
    list of str
        Folders that are left.
    """
    root, waiting = job
    found = _Found(root, CHUNK)
    tables: list[pl.DataFrame] = []
    while waiting and len(found.paths) < SOME and not tables:
        tables += found.open(waiting.pop(), waiting)
    return [*tables, *found.tables()], waiting


class _Found:
    """Collect entries as columns: a table of them is made without a step for each row."""

    def __init__(self, root: str, chunk: int) -> None:
        self.root, self.chunk = root, chunk
        self.paths: list[str] = []
        self.sizes: list[int] = []
        self.times: list[int] = []
        self.inodes: list[int] = []
        self.odd: list[_Odd] = []

    def open(self, prefix: str, waiting: list[str]) -> Iterator[pl.DataFrame]:
        """Take the entries of the folder of a prefix, its folders into `waiting`."""
        try:
            handle = os.open(f"{self.root}/{prefix}", _OPEN)
        except FileNotFoundError:
            return  # removed since it was listed
        except OSError as error:
            self.refuse(prefix[:-1], error)
            return
        try:
            with os.scandir(handle) as entries:
                yield from self.take(entries, prefix, waiting)
        except OSError as error:  # the folder breaks off
            self.refuse(prefix[:-1], error)
        finally:
            os.close(handle)

    def take(
        self, entries: Iterable[os.DirEntry[str]], prefix: str, waiting: list[str]
    ) -> Iterator[pl.DataFrame]:
        """Take the entries of one folder; yield a table when there are enough."""
        paths, sizes, times, inodes = self.paths, self.sizes, self.times, self.inodes
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as error:
                self.refuse(prefix + entry.name, error)
                continue
            kind = stat.S_IFMT(status.st_mode)
            if kind == stat.S_IFREG:
                paths.append(prefix + entry.name)
                sizes.append(status.st_size)
                times.append(status.st_mtime_ns)
                inodes.append(status.st_ino)
                if len(paths) >= self.chunk:
                    yield from self.tables()
            elif kind == stat.S_IFDIR:
                waiting.append(f"{prefix}{entry.name}/")
            else:
                self.odd.append(_judge(self.root, prefix + entry.name, kind, status))
                if len(self.odd) >= self.chunk:
                    yield from self.tables()

    def refuse(self, path: str, error: OSError) -> None:
        """Take an entry that cannot be read."""
        self.odd.append((path, 0, 0, 0, "unreadable", os.strerror(error.errno or 0)))

    def tables(self) -> Iterator[pl.DataFrame]:
        """Yield what was taken, and forget it."""
        if self.paths:
            yield pl.DataFrame(
                [
                    _text(self.paths),
                    pl.Series("size", self.sizes, pl.Int64),
                    pl.Series("mtime_ns", self.times, pl.Int64),
                    pl.Series("inode", self.inodes, pl.UInt64),
                ]
            ).with_columns(reason=pl.lit(None, pl.String), detail=pl.lit(None, pl.String))
        if self.odd:
            rows = [(escape(path), *facts) for path, *facts in self.odd]
            yield pl.DataFrame(rows, LISTING, orient="row")
        for column in (self.paths, self.sizes, self.times, self.inodes, self.odd):
            column.clear()


def _judge(root: str, path: str, kind: int, status: os.stat_result) -> _Odd:
    facts = (path, status.st_size, status.st_mtime_ns, status.st_ino)
    if kind != stat.S_IFLNK:
        return (*facts, "special_file", _SPECIAL.get(kind, ""))
    try:
        target = os.path.realpath(f"{root}/{path}", strict=True)
    except OSError:
        return (*facts, "unreadable", "a link that leads nowhere")
    inside = target == root or target.startswith(root.rstrip("/") + "/")
    return (*facts, LINK if inside else "link_out", "")


_SPECIAL = {
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


def _text(paths: list[str]) -> pl.Series:
    try:
        series = pl.Series("path", paths, pl.String)
    except UnicodeEncodeError:
        return pl.Series("path", [escape(path) for path in paths], pl.String)
    # Names to escape are rare: two searches tell that there are none.
    if any(series.str.contains(mark, literal=True).any() for mark in ("\\", "!")):
        return pl.Series("path", [escape(path) for path in paths], pl.String)
    return series
