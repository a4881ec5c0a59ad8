"""Records: a table of a site's in partitions of whole patients, to make the study's tables of.

Whatever has one row an exam, or several, can be records: acquisitions, doses, reports. Rows that
are of no patient name something else in its place, which the rules of disclosure then protect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from workbench.archive.cluster import Workers, connect
from workbench.errors import DefinitionError, SiteError, show, suggest
from workbench.radiology.counting import Encoder, Rows, encode
from workbench.radiology.exams import prepare_folder, table_of
from workbench.summaries.summary import Summary, combine

if TYPE_CHECKING:
    from workbench.definition.steps import Output
    from workbench.radiology.counting import Table
    from workbench.site import Site

ROWS_PER_BUCKET = 1_000_000
ROWS_PER_PASS = 20_000_000
"""Rows that are read into memory together."""
IDENTIFIERS = ("exam_uid", "patient_id")
EXAM, PATIENT = "exam_number", "patient_number"
"""Columns that stand for the identifiers in a partition; no identifier is stored."""


@dataclass(frozen=True)
class Records:
    """Hold a table in partitions of whole patients.

    Parameters
    ----------
    partitions
        Parquet files, each with all rows of its patients.
    site
        The site, for its cluster; None for threads of this process.
    """

    partitions: tuple[Path, ...]
    site: Site | None = field(default=None, repr=False)

    def frame(self) -> pl.LazyFrame:
        """Return all rows, to look at and to search."""
        return pl.scan_parquet(list(self.partitions))

    def tabulate(self, output: Output, column: str | None = None) -> Summary:
        """Make the table that a study declares as an output.

        Parameters
        ----------
        output
            `study.output(name)`: its kind, dimensions, population, unit, resolution and edges.
        column
            The number to describe, for moments and histograms.

        Raises
        ------
        DefinitionError
            If the records have no such column.
        """
        return self.tabulate_all([(output, column)])[0]

    def tabulate_all(self, wanted: Sequence[tuple[Output, str | None]]) -> list[Summary]:
        """Make several tables, computed together."""
        held = self.frame().collect_schema()
        tables = []
        for output, column in wanted:
            by = tuple(output.dimensions)
            numbers = [] if output.kind == "counts" else [column or ""]
            for name in (*(source_of(d) for d in by), *numbers):
                if name not in held:
                    raise DefinitionError(
                        f"The records have no column {show(name)!r}",
                        where=f"output {output.name}",
                        todo=suggest(name, list(held)),
                    )
            tables.append(table_of(output, column))
        tasks = [_Task(table, path) for table in tables for path in self.partitions]
        found = connect(self.site).map(_Task.run, tasks)
        n = len(self.partitions)
        return [combine(*found[i * n : (i + 1) * n]) for i in range(len(tables))]


@dataclass(frozen=True)
class _Task:
    table: Table
    path: Path

    def run(self) -> Summary:
        return self.table.summarise(
            make_records(pl.scan_parquet(self.path), self.table.by, self.table.column)
        )


def make_records(stored: pl.LazyFrame, by: Sequence[Encoder], column: str | None = None) -> Rows:
    """Return one row for each row of a partition, and for each value of a list in it.

    Parameters
    ----------
    stored
        A partition that `write_records` wrote.
    by
        Dimensions of the study.
    column
        The number to take along.
    """
    sources = [source_of(d) for d in by]
    wanted = dict.fromkeys([*sources, *([column] if column else [])])
    frame = stored.select(EXAM, PATIENT, *wanted)
    for name, kind in frame.collect_schema().items():
        if isinstance(kind, pl.List):
            frame = frame.explode(name, empty_as_null=True)
    table = frame.collect()
    return Rows(
        tuple(d.dimension for d in by),
        {d.dimension.name: encode(d, table[s]) for d, s in zip(by, sources, strict=True)},
        table[EXAM].cast(pl.Int64).to_numpy(),
        table[PATIENT].cast(pl.Int64).to_numpy(),
        None if column is None else table[column].cast(pl.Float64).fill_null(np.nan).to_numpy(),
    )


def source_of(dimension: Encoder) -> str:
    """Return the column that a dimension is made from: what it says, or its own name."""
    return getattr(dimension, "column", "") or dimension.dimension.name


def write_records(
    rows: pl.LazyFrame,
    folder: Path | str,
    site: Site | Path | str | None = None,
    *,
    buckets: int | None = None,
) -> Records:
    """Write a table in partitions of whole patients.

    Exam and patient are stored as numbers that mean nothing elsewhere.

    Parameters
    ----------
    rows
        exam_uid, patient_id and any columns to count by, as text, numbers, dates or lists.
    folder
        Folder to write to; new or empty.
    site
        As for `open_records`: who computes the tables. The rows are written by this process.
    buckets
        Number of partitions; no result depends on it.

    Returns
    -------
    Records
        Open.

    Raises
    ------
    SiteError
        If an identifier is missing as a column, or the folder is not empty.
    """
    folder = Path(folder)
    schema = rows.collect_schema()
    for name in IDENTIFIERS:
        if name not in schema:
            raise SiteError(
                f"The table has no column {name!r}",
                where=", ".join(show(n) for n in list(schema)[:8]),
                todo="Every row needs an exam and a patient",
            )
    prepare_folder(folder)
    names = [pl.col(name).cast(pl.String).hash(seed=0) for name in ("patient_id", "exam_uid")]
    texts = [name for name, kind in schema.items() if kind == pl.String and name not in IDENTIFIERS]
    hashed = rows.drop_nulls(IDENTIFIERS).select(
        names[0].alias(PATIENT),
        names[1].alias(EXAM),
        pl.exclude(*IDENTIFIERS, *texts),
        pl.col(texts).cast(pl.Categorical),  # looked up once for each text, not for each row
    )
    whole = hashed.head(ROWS_PER_PASS + 1).collect(engine="streaming")
    size = len(whole)
    if size > ROWS_PER_PASS:
        size = int(hashed.select(pl.len()).collect(engine="streaming").item())
    buckets = buckets or max(1, -(-size // ROWS_PER_BUCKET))
    passes = min(buckets, max(1, -(-size // ROWS_PER_PASS)))
    bucket = (pl.col(PATIENT) % buckets).cast(pl.UInt32).alias("bucket")
    for first in range(passes):
        if passes > 1:
            whole = hashed.filter(bucket % passes == first).collect(engine="streaming")
        whole = whole.with_columns(bucket)
        Workers().map(partial(_write_bucket, whole, folder), range(first, buckets, passes))
    return open_records(folder, site)


def _write_bucket(whole: pl.DataFrame, folder: Path, number: int) -> None:
    some = whole.filter(pl.col("bucket") == number).drop("bucket")
    path = folder / f"bucket-{number:04d}.parquet"
    _number(some).write_parquet(path, compression="lz4", statistics=False)


def _number(table: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of a patient together, with small numbers in place of hashes."""
    patient = np.unique(table[PATIENT].to_numpy(), return_inverse=True)[1].astype(np.uint64)
    room = np.uint64(64 - int(patient.max(initial=0)).bit_length())
    # Within a patient the bits that are left tell exams apart.
    key = (patient << room) | (table[EXAM].to_numpy() >> (np.uint64(64) - room))
    order = np.argsort(key)
    key = key[order]
    new = np.zeros(len(key), np.bool_)
    new[1:] = key[1:] != key[:-1]
    numbers = {PATIENT: key >> room, EXAM: np.cumsum(new)}
    rest = table.drop(PATIENT, EXAM)[order]
    return rest.with_columns(pl.Series(n, v).cast(pl.UInt32) for n, v in numbers.items())


def open_records(folder: Path | str, site: Site | Path | str | None = None) -> Records:
    """Open records that `write_records` wrote.

    Parameters
    ----------
    folder
        The folder.
    site
        A Site, or the path of a `site.toml`: its `[dask]` says who computes. By default threads
        of this process.

    Raises
    ------
    SiteError
        If the folder holds no records.
    """
    if isinstance(site, (str, Path)):
        from workbench.site import read_site

        site = read_site(Path(site))
    partitions = tuple(sorted(Path(folder).resolve().glob("bucket-*.parquet")))
    held = pl.scan_parquet(partitions[0]).collect_schema() if partitions else {}
    if EXAM not in held or PATIENT not in held:
        raise SiteError(
            "The folder holds no records",
            where=show(str(folder), 200),
            todo="Name a folder that write_records wrote",
        )
    return Records(partitions, site)
