"""Listing: the entries of a folder in order, on disk, and what changed between two of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import polars as pl

from workbench.catalog.walk import CHUNK, LISTING, file_of

IDENTITY = ("path", "size", "mtime_ns", "inode")
"""A file whose identity is unchanged is not read again."""
_SAMPLE = 8_192
"""Rows of a run between two of the paths by which runs are merged."""


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
        run.write_parquet(runs[-1], compression="lz4", row_group_size=_SAMPLE, statistics=True)
        marks.append(run["path"].gather_every(_SAMPLE))

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
    bounds = pl.concat(marks).sort().gather_every(max(1, chunk // _SAMPLE))[1:].unique().sort()
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
    """Hold what changed between two listings, in files.

    Parameters
    ----------
    listing
        The new listing; equal to the old one where nothing changed.
    fresh
        Entries of new and changed files.
    gone
        Paths of vanished and changed files.
    same
        Whether nothing changed; there may be files to read again even so.
    files
        Files to be read, in the new listing.
    """

    listing: tuple[Path, ...]
    fresh: tuple[Path, ...]
    gone: tuple[Path, ...]
    same: bool
    files: int


def compare(
    tables: Iterable[pl.DataFrame],
    old: Sequence[Path],
    folder: Path,
    *,
    again: Sequence[str] = (),
) -> Changes:
    """Write what changed since the last listing, without a step of Python for each file.

    Parameters
    ----------
    tables
        The new listing, as `sort_on_disk` yields it.
    old
        Files of the last listing; none for a first scan.
    folder
        Existing folder to write to.
    again
        Paths to read again though nothing changed, such as files that could not be read.

    Returns
    -------
    Changes
    """
    written: dict[str, list[Path]] = {"listing": [], "fresh": [], "gone": []}

    def write(kind: str, rows: pl.DataFrame) -> None:
        if not rows.is_empty():
            path = folder / f"{kind}-{len(written[kind]):06d}.parquet"
            rows.write_parquet(path, compression="lz4", row_group_size=_SAMPLE)
            written[kind].append(path)

    retried = pl.col("path").is_in(pl.Series(list(again), dtype=pl.String).implode())
    known = pl.col("reason").is_null() & ~retried
    files, same, start = 0, True, None
    for number, (now, last) in enumerate(_with_end(tables)):
        end = None if last else now["path"][-1]
        before = _span(old, start, end)
        start = end
        files += now["reason"].null_count()
        same = same and now.equals(before)
        if same and last and number == 0 and not again:
            break  # the usual case: nothing was written yet
        write("listing", now)
        kept = before.filter(known).join(now.filter(known), on=IDENTITY, how="semi")
        for kind, rows in (("fresh", now), ("gone", before)):
            read = rows.filter(pl.col("reason").is_null())
            write(kind, read.join(kept, on="path", how="anti", maintain_order="left"))
    if same:
        written["listing"] = list(old)
    listing, fresh, gone = (tuple(written[kind]) for kind in ("listing", "fresh", "gone"))
    return Changes(listing, fresh, gone, same=same, files=files)


def _with_end(tables: Iterable[pl.DataFrame]) -> Iterator[tuple[pl.DataFrame, bool]]:
    """Yield each table, and whether it is the last."""
    waiting: pl.DataFrame | None = None
    for table in tables:
        if waiting is not None:
            yield waiting, False
        waiting = table
    if waiting is not None:
        yield waiting, True


def _span(files: Sequence[Path], start: str | None, end: str | None) -> pl.DataFrame:
    """Return the rows after `start` and up to `end`."""
    if not files:
        return pl.DataFrame(schema=LISTING)
    rows = pl.scan_parquet(list(files))
    if start is not None:
        rows = rows.filter(pl.col("path") > start)
    if end is not None:
        rows = rows.filter(pl.col("path") <= end)
    return rows.collect()


def drop_gone(rows: pl.DataFrame, gone: Sequence[Path]) -> pl.DataFrame:
    """Return the rows whose file is not among those that are gone.

    Parameters
    ----------
    rows
        Rows with a column `path`; members of a zip file go with it.
    gone
        Parquet files of paths; any number of them is searched, and not held.
    """
    if not gone:
        return rows
    rows = rows.with_columns(_file=file_of(pl.col("path")))
    files = rows.select(pl.col("_file").unique()).lazy()
    gone_here = pl.scan_parquet(list(gone)).join(
        files, left_on="path", right_on="_file", how="semi"
    )
    removed = gone_here.select("path").collect(engine="streaming")
    kept = rows.join(removed, left_on="_file", right_on="path", how="anti", maintain_order="left")
    return kept.drop("_file")
