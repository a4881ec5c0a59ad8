"""Server scan: every exam of a server to a catalog; it can be stopped at any time, and goes on.

To the catalog an exam of a server is what a zip file is to that of a folder: it is listed with a
mark that changes when the server tells something else of it, and read again only then. The path
of an instance is `<exam_uid>.exam!<series_uid>/<instance_uid>`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from workbench.archive.server_listing import ListedExam
from workbench.archive.server_reader import (
    ENDING,
    NOT_GIVEN,
    ExamRead,
    ServerReader,
    name_of,
    rows_of,
)
from workbench.catalog import unfinished
from workbench.catalog.blame import reading_archive, writing_tables
from workbench.catalog.catalog import Catalog
from workbench.catalog.commit import commit
from workbench.catalog.continuity import require_files, require_same_archive
from workbench.catalog.crew import Crew
from workbench.catalog.listing import IDENTITY, Changes, compare, sort_on_disk
from workbench.catalog.part import PLACE, Part, add_place, list_parts, write_part
from workbench.catalog.record import read_record
from workbench.catalog.scan import RETRIED, Progress
from workbench.catalog.table import read_table
from workbench.catalog.walk import LISTING, file_of
from workbench.dicom.refusals import Refused
from workbench.errors import SiteError
from workbench.running.lock import lock_folder

ROWS_PER_PART, SECONDS_PER_PART = 5_000, 20.0
"""A part is written when it has as many rows, or so long after the last one."""
MOST_FAILURES = 50
"""Exams in a row of which a server may give nothing, before it is taken to be out of order."""
NOT_TOLD = -1
"""Number of instances of an exam whose number the server does not tell."""
PAGE = 10_000


def scan_server(
    reader: ServerReader,
    root: Path,
    out: Path | str,
    *,
    emptied: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Catalog:
    """Read what a server tells of every instance, and write a catalog.

    An exam of which the server tells the same as at the last scan, its number of instances above
    all, is not asked for again; one whose number it does not tell is.

    Parameters
    ----------
    reader
        The server, connected.
    root
        Its address, without secrets, written as a path: `dicomweb:host/path`.
    out
        Folder of the catalog: a new or empty one, or a catalog of this server. Made with mode
        0700, since it names patients.
    emptied
        Whether it is known that the server holds no exam any more; else that is refused.
    progress
        Called as the scan goes on; "walk" is the listing of exams.

    Returns
    -------
    Catalog

    Raises
    ------
    SiteError
        If the server cannot be used: what was read is kept, and the next scan goes on. If it
        lists no exam any more, or `out` is something else.
    ExecutionError
        If another scan writes to `out`, or the disk refuses.
    """
    tell, out = progress or (lambda _: None), Path(out)
    unfinished.prepare(out)
    with writing_tables(out), lock_folder(out, what="catalog"), Crew(1) as crew:
        found = read_record(out)
        require_same_archive(found, root)
        old = found.record
        work = unfinished.open_work(out, root)
        changes = _find_changes(_list(reader, root), out, work, old, tell)
        require_files(found, root, changes, emptied=emptied)
        if changes.fresh or list_parts(work):
            _read(reader, root, work, changes, tell, first=found.state == "none")
        parts = [Part.at(folder) for folder in list_parts(work)]
        if old is None or not unfinished.is_known(out, parts, changes, old):
            record = commit(
                out, work, changes, parts, crew, root=root, old=old,
                generation=1 + found.generation,
                told=lambda done, total: tell(Progress("write", done, total)),
            )  # fmt: skip
        else:
            record = old
        unfinished.name_left_out(out, record)
        unfinished.remove_left(out, record)
        shutil.rmtree(work)
    return Catalog(out, record, found.notes)


def _list(reader: ServerReader, root: Path) -> Iterator[ListedExam]:
    with reading_archive(root):
        yield from reader.list_exams()


def _find_changes(
    listed: Iterable[ListedExam],
    out: Path,
    work: Path,
    old: dict[str, Any] | None,
    tell: Callable[[Progress], None],
) -> Changes:
    def tables() -> Iterator[pl.DataFrame]:
        seen = 0
        for exams in _some(listed):
            seen += len(exams)
            tell(Progress("walk", seen))
            yield _entries(exams)

    listing = [out / name for name in old["state"]["listing"]] if old else []
    again: set[str] = set()
    if old:
        again |= unfinished.find_refused(out, old, [NOT_GIVEN, *RETRIED])
        not_told = pl.scan_parquet(listing).filter(pl.col("size") == NOT_TOLD)
        again.update(not_told.collect()["path"])
    return compare(sort_on_disk(tables(), work / "sorting"), listing, work, again=sorted(again))


def _some(exams: Iterable[ListedExam]) -> Iterator[list[ListedExam]]:
    """Yield exams in lists; the last may be empty."""
    held: list[ListedExam] = []
    for exam in exams:
        held.append(exam)
        if len(held) == PAGE:
            yield held
            held = []
    yield held


def _entries(exams: list[ListedExam]) -> pl.DataFrame:
    """Return exams as rows of a listing: as many bytes as instances, the mark as inode."""
    return pl.DataFrame(
        {
            "path": [name_of(e.exam_uid) for e in exams],
            "size": [NOT_TOLD if e.instances is None else e.instances for e in exams],
            "mtime_ns": [0] * len(exams),
            "inode": [int(e.mark[:16], 16) for e in exams],
            "reason": [None] * len(exams),
            "detail": [None] * len(exams),
        },
        LISTING,
    )


def _read(
    reader: ServerReader,
    root: Path,
    work: Path,
    changes: Changes,
    tell: Callable[[Progress], None],
    *,
    first: bool,
) -> None:
    """Read the exams that are fresh and in no part yet; when stopped, keep those that were."""
    left = unfinished.keep_parts(work, changes)
    done, total = left.done, left.total
    pending = _Pending(work, left.next_number)
    failures = 0
    try:
        for table in changes.fresh:
            rows = left.without(read_table(table))
            for entry in rows.iter_rows(named=True):
                tell(Progress("read", done, total))
                with reading_archive(root):
                    read = reader.read_exam(_listed(entry))
                pending.add(entry, read)
                done += 1
                failures = 0 if read.whole or read.instances else failures + 1
                if failures > MOST_FAILURES:
                    raise _nothing_given(failures)
        if first and 0 < failures == total:
            raise _nothing_given(failures)
        tell(Progress("read", done, total))
    finally:
        pending.write()


def _listed(entry: Mapping[str, Any]) -> ListedExam:
    size = None if entry["size"] == NOT_TOLD else entry["size"]
    return ListedExam(entry["path"].removesuffix(ENDING), "", size)


def _nothing_given(failures: int) -> SiteError:
    return SiteError(
        f"The server gives nothing of {failures:,} exams that it lists",
        where="archive",
        todo="Ask the server's administrator; for C-MOVE it must know our title, host and port",
    )


class _Pending:
    """Hold exams that were read until they are written as a part.

    Parameters
    ----------
    work
        Folder of parts.
    number
        Number of the next one.
    """

    def __init__(self, work: Path, number: int) -> None:
        self.work, self.number = work, number
        self.entries: list[dict[str, Any]] = []
        self.exams: list[ExamRead] = []
        self.size, self.since = 0, time.monotonic()

    def add(self, entry: dict[str, Any], read: ExamRead) -> None:
        self.entries.append(entry)
        self.exams.append(read)
        self.size += read.instances + 1
        late = time.monotonic() - self.since > SECONDS_PER_PART
        if self.size >= ROWS_PER_PART or late:
            self.write()

    def write(self) -> None:
        if not self.entries:
            return
        names = [e["path"] for e in self.entries]
        rows = rows_of(self.exams, [name.removesuffix(ENDING) for name in names])
        held = dict(rows.group_by(file_of(pl.col("path"))).len().iter_rows())
        refused: list[Refused] = []
        members: list[int | None] = []
        for name, read in zip(names, self.exams, strict=True):
            refused += read.refused
            # An exam of which nothing is given is refused itself, not its instances.
            whole = any(r.path == name for r in read.refused)
            members.append(None if whole else held.get(name, 0) + len(read.refused))
        listed = pl.DataFrame(self.entries, LISTING).select(IDENTITY)
        entries = listed.with_columns(members=pl.Series(members, dtype=pl.Int64))
        placed = add_place(rows).with_columns(pl.col(PLACE).cast(pl.UInt32)).sort(PLACE)
        write_part(self.work, self.number, placed, refused, entries)
        self.number += 1
        self.entries, self.exams, self.size = [], [], 0
        self.since = time.monotonic()
