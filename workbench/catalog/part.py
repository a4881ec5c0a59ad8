"""Part: what was read of one batch of files, written whole or not at all."""

from __future__ import annotations

import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from workbench.catalog.blame import reading_archive
from workbench.catalog.listing import IDENTITY
from workbench.catalog.members import read_members
from workbench.catalog.table import Table, sync, write_table
from workbench.catalog.walk import locate
from workbench.dicom.careful import read_apart
from workbench.dicom.columns import REFUSED_SCHEMA, SCHEMA
from workbench.dicom.header import stored_rows
from workbench.dicom.headers import read_headers
from workbench.dicom.refusals import Refused, UnreadableFile

ROWS, REFUSED, ENTRIES = "rows.parquet", "refused.parquet", "entries.parquet"
PLACE = "place"
"""Column of a part's rows: number of 32 bits by which whole patients are divided into buckets."""
GROUP = 2_048
"""Rows of a row group: a bucket's rows are found without reading the others'."""


@dataclass(frozen=True)
class Batch:
    """Name files to read together.

    Parameters
    ----------
    root
        Root of the archive.
    folder
        Folder that parts are written to.
    number
        Number of the part.
    entries
        Rows of a listing.
    lost
        Why nothing of it may be read any more, or "".
    held
        Whether to hold it in memory: it is the last of its scan, which goes on to the tables.
    """

    root: str
    folder: Path
    number: int
    entries: pl.DataFrame
    lost: str = ""
    held: bool = False


@dataclass(frozen=True)
class Part:
    """Hold what was read of a batch.

    Parameters
    ----------
    rows, refused, entries
        Tables of instances, of refusals, and of the files that were read.
    """

    rows: Table
    refused: Table
    entries: Table

    @classmethod
    def at(cls, folder: Path) -> Part:
        """Return the part that was written to a folder."""
        return cls(folder / ROWS, folder / REFUSED, folder / ENTRIES)


@dataclass(frozen=True)
class Done:
    """Say what a part holds.

    Parameters
    ----------
    files, rows, refused
        Numbers of files that were read, of their instances, and of refusals.
    part
        The part itself, where it was to be held.
    """

    files: int
    rows: int
    refused: int
    part: Part | None = None


def read_batch(batch: Batch) -> Done:
    """Read the headers of a batch, and write them as a part, or hold them.

    Parameters
    ----------
    batch
        What to read.

    Returns
    -------
    Done

    Raises
    ------
    SiteError
        If the archive is not there any more.
    """
    entries = batch.entries
    zipped = entries["path"].str.to_lowercase().str.ends_with(".zip")
    members: dict[str, int] = {}
    with reading_archive(Path(batch.root)):
        rows, refused = _read_files(batch, entries.filter(~zipped))
        for path, mtime_ns in entries.filter(zipped).select("path", "mtime_ns").iter_rows():
            try:
                if batch.lost:
                    raise UnreadableFile("too_big", batch.lost)
                held = read_members(Path(batch.root), path, mtime_ns)
            except UnreadableFile as error:
                refused.append(Refused(path, error.reason, error.detail))
                continue
            members[path] = held.members
            refused += held.refused
            rows = pl.concat([rows, pl.DataFrame(held.rows, SCHEMA)])
    counted = entries.select(IDENTITY).with_columns(
        members=pl.col("path").replace_strict(members, default=None, return_dtype=pl.Int64)
    )
    rows = add_place(rows)
    if batch.held:
        names = pl.DataFrame([vars(r) for r in refused], REFUSED_SCHEMA)
        part = Part(rows, names, counted)
        return Done(len(entries), len(rows), len(refused), part)
    write_part(batch.folder, batch.number, rows.sort(PLACE), refused, counted)
    return Done(len(entries), len(rows), len(refused))


def _read_files(batch: Batch, entries: pl.DataFrame) -> tuple[pl.DataFrame, list[Refused]]:
    if batch.lost:
        return pl.DataFrame(schema=SCHEMA), [
            Refused(p, "too_big", batch.lost) for p in entries["path"]
        ]
    plain = ~entries["path"].str.contains("\\", literal=True)
    some = entries.filter(plain)
    rows, refused = read_headers(
        some["path"].to_list(), some["size"].to_list(), some["mtime_ns"].to_list(), root=batch.root
    )
    odd = entries.filter(~plain)  # rare, and their names are no text
    read = list(read_apart(batch.root, [locate(path) for path in odd["path"]]))
    named = []
    files = odd.select(IDENTITY[:3]).iter_rows()
    for row, (path, size, mtime_ns) in zip(stored_rows(read), files, strict=True):
        if isinstance(row, UnreadableFile):
            refused.append(Refused(path, row.reason, row.detail))
        else:
            named.append(row | {"path": path, "size": size, "mtime_ns": mtime_ns})
    return pl.concat([rows, pl.DataFrame(named, SCHEMA)]) if named else rows, refused


def add_place(rows: pl.DataFrame) -> pl.DataFrame:
    """Add the column `PLACE`: the same for all rows of a patient, or of an exam without one.

    It does not depend on the machine, or on the version of anything.
    """
    if rows.is_empty():
        return rows.with_columns(pl.lit(None, pl.UInt32).alias(PLACE))
    rows = rows.with_columns(pl.coalesce("patient_id", "exam_uid").alias(PLACE))
    names = rows[PLACE].unique().to_list()
    places = [zlib.crc32(name.encode()) for name in names]
    return rows.with_columns(pl.col(PLACE).replace_strict(names, places, return_dtype=pl.UInt32))


def write_part(
    folder: Path, number: int, rows: pl.DataFrame, refused: list[Refused], entries: pl.DataFrame
) -> None:
    """Write a part; it is there whole when its folder has its name."""
    coming = folder / f"coming-{number:06d}"
    shutil.rmtree(coming, ignore_errors=True)
    coming.mkdir()
    names = pl.DataFrame([vars(r) for r in refused], REFUSED_SCHEMA)
    for name, table in ((ROWS, rows), (REFUSED, names), (ENTRIES, entries)):
        write_table(table, coming / name, group=GROUP)
    sync(coming)
    coming.rename(folder / f"part-{number:06d}")
    sync(folder)


def list_parts(folder: Path) -> list[Path]:
    """Return the parts that were written whole, in order."""
    return sorted(folder.glob("part-*"))
