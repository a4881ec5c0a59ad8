"""Listing: the entries of a folder in order, on disk, and what changed between two of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import polars as pl

from workbench.catalog.table import Table, scan_tables
from workbench.catalog.walk import CHUNK, LINK, LISTING, file_of

IDENTITY = ("path", "size", "mtime_ns", "inode")
"""A file whose identity is unchanged is not read again."""
ROW_GROUP = 8_192
"""Rows of a row group; where runs are merged, of a run between two of the paths they are cut at."""


def sort_on_disk(
    tables: Iterable[pl.DataFrame], folder: Path, *, chunk: int = CHUNK
) -> Iterator[pl.DataFrame]:
    """Yield the rows of many tables in order of `path`, with few of them in memory.

    Parameters
    ----------
    tables
        Tables with a column `path`, in any order.
    folder
        For runs that are sorted; made when it is needed, and removed at the end.
    chunk
        Most rows of a run; a table that is yielded has about as many.

    Yields
    ------
    polars.DataFrame
        Sorted; every path of a table is before those of the next. At least one, even if empty.
    """
    runs: list[Path] = []
    marks: list[pl.Series] = []
    held: list[pl.DataFrame] = []
    rows = 0

    def spill() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        run = pl.concat(held).sort("path")
        held.clear()
        runs.append(folder / f"run-{len(runs):06d}.parquet")
        run.write_parquet(runs[-1], compression="lz4", row_group_size=ROW_GROUP, statistics=True)
        marks.append(run["path"].gather_every(ROW_GROUP))

    for table in tables:
        held.append(table)
        rows += len(table)
        if rows >= chunk:
            spill()
            rows = 0
    if not runs:
        yield pl.concat(held).sort("path") if held else pl.DataFrame(schema=LISTING)
        return
    if held:
        spill()
    # Between two marks of this list lie about `chunk` rows, wherever the runs were cut.
    bounds = pl.concat(marks).sort().gather_every(max(1, chunk // ROW_GROUP))[1:].unique().sort()
    limits = [None, *bounds.to_list(), None]
    for low, high in pairwise(limits):
        yield _between(runs, low, high).collect().sort("path")
    shutil.rmtree(folder)


def _between(files: Sequence[Path], low: str | None, high: str | None) -> pl.LazyFrame:
    """Return the rows from `low` on and before `high`; row groups outside are not read."""
    rows = pl.scan_parquet(list(files))
    if low is not None:
        rows = rows.filter(pl.col("path") >= low)
    if high is not None:
        rows = rows.filter(pl.col("path") < high)
    return rows


@dataclass(frozen=True)
class Changes:
    """Hold what changed between two listings, in tables that are sorted by path.

    Parameters
    ----------
    listing
        The new listing; equal to the old one where nothing changed.
    fresh
        Entries of new and changed files.
    gone
        Entries of vanished and changed files.
    odd
        Entries of the new listing that are not to be read, and no links.
    same
        Whether nothing changed; there may be files to read again even so.
    files, entries, links
        Files to be read, all entries, and links, in the new listing.
    """

    listing: tuple[Table, ...]
    fresh: tuple[Table, ...]
    gone: tuple[Table, ...]
    odd: tuple[Table, ...]
    same: bool
    files: int
    entries: int
    links: int


def compare(
    tables: Iterable[pl.DataFrame],
    old: Sequence[Table],
    folder: Path,
    *,
    again: Sequence[str] = (),
) -> Changes:
    """Tell what changed since the last listing, without a step of Python for each file.

    What is more than one table of the new listing holds is written to the disk.

    Parameters
    ----------
    tables
        The new listing, as `sort_on_disk` yields it.
    old
        Tables of the last listing; none for a first scan.
    folder
        Existing folder to write to.
    again
        Paths to read again though nothing changed, such as files that could not be read.

    Returns
    -------
    Changes
    """
    found: dict[str, list[Table]] = {"listing": [], "fresh": [], "gone": [], "odd": []}
    held = False  # whether all is one table

    def keep(kind: str, rows: pl.DataFrame) -> None:
        if rows.is_empty():
            return
        if held:
            found[kind].append(rows)
            return
        path = folder / f"{kind}-{len(found[kind]):06d}.parquet"
        rows.write_parquet(path, compression="lz4", row_group_size=ROW_GROUP)
        found[kind].append(path)

    retried = pl.col("path").is_in(pl.Series(list(again), dtype=pl.String).implode())
    unread = pl.col("reason").is_not_null()
    files, entries, links, same, start = 0, 0, 0, True, None
    for number, (now, last) in enumerate(with_end(tables)):
        held = last and number == 0
        end = None if last else now["path"][-1]
        before = _span(old, start, end)
        start = end
        readable = now["reason"].null_count()
        files, entries = files + readable, entries + len(now)
        if readable < len(now):
            odd = now.filter(unread)
            others = odd.filter(pl.col("reason") != LINK)
            links += len(odd) - len(others)
            keep("odd", others)
        same = same and now.equals(before)
        if same and held and not again:
            break  # the usual case
        keep("listing", now)
        new = now if readable == len(now) else now.filter(~unread)
        if before.is_empty():
            keep("fresh", new)
            continue
        lost = before.filter(~unread)
        kept = lost.filter(~retried).join(new.filter(~retried), on=IDENTITY, how="semi")
        for kind, rows in (("fresh", new), ("gone", lost)):
            keep(kind, rows.join(kept, on="path", how="anti", maintain_order="left"))
    if same:
        found["listing"] = list(old)
    tables_of = {kind: tuple(rows) for kind, rows in found.items()}
    return Changes(**tables_of, same=same, files=files, entries=entries, links=links)


def with_end(tables: Iterable[pl.DataFrame]) -> Iterator[tuple[pl.DataFrame, bool]]:
    """Yield each table, and whether it is the last."""
    waiting: pl.DataFrame | None = None
    for table in tables:
        if waiting is not None:
            yield waiting, False
        waiting = table
    if waiting is not None:
        yield waiting, True


def _span(tables: Sequence[Table], start: str | None, end: str | None) -> pl.DataFrame:
    """Return the rows after `start` and up to `end`."""
    if not tables:
        return pl.DataFrame(schema=LISTING)
    rows = scan_tables(tables)
    if start is not None:
        rows = rows.filter(pl.col("path") > start)
    if end is not None:
        rows = rows.filter(pl.col("path") <= end)
    return rows.collect()


def drop_gone(rows: pl.DataFrame, gone: Sequence[Table]) -> pl.DataFrame:
    """Return the rows whose file is not among those that are gone.

    Parameters
    ----------
    rows
        Rows with a column `path`; members of a zip file go with it.
    gone
        Tables of paths; of those on the disk any number is searched, and not held.
    """
    if not gone:
        return rows
    rows = rows.with_columns(_file=file_of(pl.col("path")))
    files = rows.select(pl.col("_file").unique()).lazy()
    gone_here = scan_tables(gone).join(files, left_on="path", right_on="_file", how="semi")
    removed = gone_here.select("path").collect(engine="streaming")
    kept = rows.join(removed, left_on="_file", right_on="path", how="anti", maintain_order="left")
    return kept.drop("_file")
