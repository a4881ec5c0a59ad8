"""Scan: every file of an archive to a catalog; it can be stopped at any time, and goes on.

Work that is not finished lies in a folder of the catalog's, as parts, each with what was read
of some files. The next scan keeps those whose files did not change since.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import polars as pl

from workbench.catalog import unfinished
from workbench.catalog.blame import reading_archive, writing_tables
from workbench.catalog.catalog import Catalog
from workbench.catalog.commit import commit
from workbench.catalog.continuity import require_files, require_same_archive
from workbench.catalog.crew import Crew, Lost
from workbench.catalog.listing import Changes, compare, sort_on_disk
from workbench.catalog.part import Batch, Done, Part, list_parts, read_batch
from workbench.catalog.record import Found, read_record, write_record
from workbench.catalog.table import read_table
from workbench.catalog.walk import walk
from workbench.errors import ExecutionError, SiteError, show
from workbench.running.lock import lock_folder

BATCH = 8_192
"""Most files of a part: what is read again after a stop, for each process."""
SMALLEST = 1_024
"""Fewest files of a part that processes share, but for the last."""
FEW = 8_192
"""Fewer files than these are read sooner than a process starts."""
RETRIED = ("unreadable", "too_slow", "too_big")
"""Reasons that can be gone without a change of the file."""


@dataclass(frozen=True)
class Progress:
    """Say how far a scan is.

    Parameters
    ----------
    step
        "walk" for the names of files, "read" for their headers, "write" for the tables.
    done, total
        Files, or tables; a total of 0 is not known yet.
    """

    step: Literal["walk", "read", "write"]
    done: int
    total: int = 0


def scan(
    folder: Path | str,
    out: Path | str,
    *,
    workers: int = 1,
    emptied: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Catalog:
    """Read the header of every file below a folder, and write a catalog.

    Files whose path, size, time and inode are as the last scan saw them are not read again. Where
    the last catalog is damaged, or of another version, all are; `Catalog.notes` says so.

    Parameters
    ----------
    folder
        Root of the archive.
    out
        Folder of the catalog: a new or empty one, or a catalog of this archive, which may have
        moved if at least half of its files are as they were. Made with mode 0700, since it names
        patients.
    workers
        Number of processes that read.
    emptied
        Whether it is known that the archive holds no file any more; else that is refused, since
        its disk may not be mounted.
    progress
        Called as the scan goes on.

    Returns
    -------
    Catalog

    Raises
    ------
    SiteError
        If the folder cannot be read or lost all its files, or `out` is something else, lies in the
        archive, or is the catalog of another one.
    ExecutionError
        If another scan writes to `out`, or the disk refuses.

    Examples
    --------
    >>> import tempfile
    >>> from shutil import copy
    >>> from pydicom.data import get_testdata_file
    >>> with tempfile.TemporaryDirectory() as place:
    ...     archive = Path(place, "archive")
    ...     archive.mkdir()
    ...     for name in ("CT_small.dcm", "MR_small.dcm"):
    ...         image = copy(str(get_testdata_file(name)), archive)
    ...     written = (archive / "note.txt").write_text("no image")
    ...     catalog = scan(archive, Path(place, "catalog"))
    ...     columns = catalog.series().select("modality", "rows", "slices").collect()
    >>> columns.sort("modality").rows()
    [('CT', 128, 1), ('MR', 64, 1)]
    >>> catalog.reasons
    {'not_dicom': 1}
    """
    tell = progress or (lambda _: None)
    root, out = _require_root(Path(folder)), Path(out)
    _require_apart(root, out)
    unfinished.prepare(out)
    with writing_tables(out), lock_folder(out, what="catalog"), Crew(workers) as crew:
        found = read_record(out)
        old = found.record
        work = unfinished.open_work(out, root)
        if old is None:
            crew.start()
        changes = _find_changes(root, out, work, found, crew=crew, tell=tell)
        require_files(found, root, changes, emptied=emptied)
        parts = _read(root, work, changes, crew, tell)
        if old is None or not unfinished.is_known(out, parts, changes, old):
            record = commit(
                out, work, changes, parts, crew, root=root, old=old,
                generation=1 + found.generation,
                told=lambda done, total: tell(Progress("write", done, total)),
            )  # fmt: skip
        else:
            record = old | {"root": str(root)}
            if record != old:
                write_record(out, record)
        unfinished.name_left_out(out, record)
        unfinished.remove_left(out, record)
        shutil.rmtree(work)
    return Catalog(out, record, found.notes)


def _require_root(folder: Path) -> Path:
    try:
        root = folder.resolve(strict=True)
        with os.scandir(root):
            return root
    except OSError as error:
        raise SiteError(
            f"The archive cannot be read: {os.strerror(error.errno or 0)}",
            where=show(str(folder), 200),
            todo="Name the folder that holds the DICOM files",
        ) from None


def _require_apart(root: Path, out: Path) -> None:
    place = out.resolve()
    if place.is_relative_to(root) or root.is_relative_to(place):
        raise SiteError(
            "A catalog may not lie inside the archive that it describes, nor around it",
            where=show(str(out), 200),
            todo="Name a folder beside the archive",
        )


def _find_changes(
    root: Path,
    out: Path,
    work: Path,
    found: Found,
    *,
    crew: Crew,
    tell: Callable[[Progress], None],
) -> Changes:
    def entries() -> Iterator[pl.DataFrame]:
        with reading_archive(root):
            mounted = root.stat()
            yield from walk(root, crew=crew)
            if not os.path.samestat(mounted, root.stat()):
                raise OSError(errno.ESTALE, "")  # unmounted meanwhile: files seem to be gone

    def count() -> Iterator[pl.DataFrame]:
        seen = 0
        for table in entries():
            seen += len(table)
            tell(Progress("walk", seen))
            yield table

    old = found.record
    listing = [out / name for name in old["state"]["listing"]] if old else []
    again = unfinished.find_refused(out, old, RETRIED) if old else set()
    tables = sort_on_disk(count(), work / "sorting")
    changes = compare(tables, listing, work, again=sorted(again))
    require_same_archive(found, root, listing, changes)
    return changes


def read_named(batch: Batch) -> Done:
    """Read a batch as `read_batch` does; what the disk refuses has a name in any process."""
    with writing_tables(batch.folder.parent):
        return read_batch(batch)


def _read(
    root: Path, work: Path, changes: Changes, crew: Crew, tell: Callable[[Progress], None]
) -> list[Part]:
    """Read what is fresh and not in a part yet; return all parts."""
    if not changes.fresh and not list_parts(work):
        return []
    left = unfinished.keep_parts(work, changes)
    done, total, number = left.done, left.total, left.next_number
    tell(Progress("read", done, total))
    if total - done < FEW:
        crew.stop()
    waiting = total - done
    lost: list[Batch] = []
    held: list[Part] = []

    def batches() -> Iterator[Batch]:
        nonlocal number, waiting
        for table in changes.fresh:
            rows = left.without(read_table(table))
            while len(rows):
                size = _size_of_batch(waiting, crew.workers)
                some, rows = rows[:size], rows[size:]
                waiting -= len(some)
                # The last of one process is not written: it would be read at once.
                last = crew.workers == 1 and not waiting
                yield Batch(str(root), work, number, some, held=last)
                number += 1

    def halves() -> Iterator[Batch]:
        """Yield smaller batches of those that ended their process, down to the file that did."""
        nonlocal number
        while lost:
            batch = lost.pop()
            middle = len(batch.entries) // 2
            if not middle:
                yield replace(batch, lost="reading it ended the process")
                continue
            for entries in (batch.entries[:middle], batch.entries[middle:]):
                yield replace(batch, number=number, entries=entries)
                number += 1

    todo = batches()
    while True:
        for result in crew.compute(read_named, todo):
            if isinstance(result, Lost):
                _require_read(result.item)
                lost.append(result.item)
            else:
                done += result.files
                held += [result.part] if result.part else []
                tell(Progress("read", done, total))
        if not lost:
            return [*map(Part.at, list_parts(work)), *held]
        todo = halves()


def _require_read(batch: Batch) -> None:
    """Refuse to go on if a process ended over a batch of which it read no file."""
    if batch.lost:
        raise ExecutionError(
            "The processes that read for the scan end, whatever they read",
            where="workbench scan",
            todo="Scan with --workers 1; what was read is kept",
        )


def _size_of_batch(waiting: int, workers: int) -> int:
    """Return how many files to read next; the last batches are small, so that all end at once."""
    return BATCH if workers == 1 else max(SMALLEST, min(BATCH, waiting // workers))
