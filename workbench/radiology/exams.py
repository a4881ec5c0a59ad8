"""Exams: one row an exam, partitioned by patient, made from the series of an archive."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.archive.archive import Archive
from workbench.archive.cluster import connect
from workbench.errors import DefinitionError, SiteError, show
from workbench.radiology.counting import Counts, Histogram, Moments, Table, readable
from workbench.radiology.grouping import STEPS, STORED, WHO, Tally, find_shared, group_series
from workbench.radiology.quality import parse_quality
from workbench.summaries.summary import Summary, combine

if TYPE_CHECKING:
    from workbench.definition.steps import Output
    from workbench.radiology.counting import Encoder
    from workbench.site import Site

SERIES_PER_BUCKET = 600_000
SERIES_PER_PASS = 20_000_000
"""Series that are read into memory together."""
DESCRIPTION = "exams.json"
"""File beside the partitions: how they were made, and what was left out."""
_FORMAT = 2


@dataclass(frozen=True)
class Exams:
    """Hold the exams of a site, one row an exam, in partitions of whole patients.

    Parameters
    ----------
    partitions
        Parquet files, each with all exams of its patients.
    attrition
        For each step from the archive to the exams: series, exams and patients left out or left.
    unclear
        Number of contradictions and of values that could not be believed, by rule.
    quality
        For each column: series that state a value, that state none, whose value is not understood,
        and whether these are too many.
    notes
        What was ignored at opening the archive.
    fingerprint
        Fingerprint of the archive.
    site
        The site, for its cluster; None for threads of this process.

    See Also
    --------
    write_exams : The rules by which series become exams.
    """

    partitions: tuple[Path, ...]
    attrition: pl.DataFrame = field(repr=False)
    unclear: Mapping[str, int] = field(repr=False)
    quality: pl.DataFrame = field(repr=False)
    notes: tuple[str, ...] = field(repr=False)
    fingerprint: str = field(repr=False)
    site: Site | None = field(default=None, repr=False)

    def frame(self) -> pl.LazyFrame:
        """Return one row an exam, to look at and to search.

        Returns
        -------
        polars.LazyFrame
            exam_uid, patient_id, age_years (a), sex, images (1), megabytes (MB); modality,
            manufacturer, model, body_part and element (what the description holds) as lists.
        """
        return readable(pl.scan_parquet(list(self.partitions)))

    def summarise(self, function: Callable[[pl.LazyFrame], Summary]) -> Summary:
        """Return the combined Summary of all partitions.

        Parameters
        ----------
        function
            Makes the Summary of one partition, given its rows as `write_exams` stored them.
        """
        return self.summarise_all([function])[0]

    def summarise_all(
        self, functions: Sequence[Callable[[pl.LazyFrame], Summary]]
    ) -> list[Summary]:
        """Return the combined Summary of each function, computed together."""
        tasks = [_Task(f, p) for f in functions for p in self.partitions]
        found = connect(self.site).map(_Task.run, tasks)
        n = len(self.partitions)
        return [combine(*found[i * n : (i + 1) * n]) for i in range(len(functions))]

    def count(self, by: Sequence[Encoder] = (), *, population: str = "exams") -> Summary:
        """Count exams and distinct patients.

        Parameters
        ----------
        by
            Dimensions of the study; each is made from the column that has its name.
        population
            Name of the set of exams.
        """
        return self.summarise(Counts(tuple(by), population))

    def tabulate(self, output: Output, column: str | None = None) -> Summary:
        """Make the table that a study declares as an output.

        Parameters
        ----------
        output
            `study.output(name)`: its kind, dimensions, population, unit, resolution and edges.
        column
            The number to describe, for moments and histograms. By default what the output's name
            begins with, as `images` in `images_per_exam`.

        Raises
        ------
        DefinitionError
            If exams have no such column, or the output is no table.
        """
        return self.summarise(table_of(output, column))


def table_of(output: Output, column: str | None = None) -> Table:
    """Return what `Exams.tabulate` makes of each partition."""
    by, population = tuple(output.dimensions), output.population
    number = column or output.name.split("_per_", maxsplit=1)[0]
    if output.kind == "counts":
        return Counts(by, population)
    if output.kind == "moments":
        return Moments(by, population, number, output.unit, output.resolution or 1.0)
    if output.kind == "histogram":
        return Histogram(by, population, number, output.unit, output.edges, output.zeros)
    raise DefinitionError(
        f"The output {show(output.name)!r} is a {output.kind}, not a table",
        where=f"study.toml, {show(output.name)}",
        todo="Declare kind = 'counts', 'moments' or 'histogram'",
    )


def prepare_folder(folder: Path) -> None:
    """Make a folder to write partitions to; refuse one that holds anything."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        empty = not any(folder.iterdir())
    except OSError as error:
        raise SiteError(
            f"The folder cannot be made: {error.strerror}",
            where=show(str(folder), 200),
            todo="Name a new folder",
        ) from None
    if not empty:
        raise SiteError(
            "The folder is not empty", where=show(str(folder), 200), todo="Name a new folder"
        )


@dataclass(frozen=True)
class _Task:
    function: Callable[[pl.LazyFrame], Summary]
    path: Path

    def run(self) -> Summary:
        return self.function(pl.scan_parquet(self.path))


def write_exams(
    archive: Archive,
    folder: Path | str,
    *,
    largest_images: int | None = None,
    buckets: int | None = None,
) -> Exams:
    """Make exams of the series of an archive, and write them in partitions of whole patients.

    The rules, each counted in `attrition` or `unclear`:

    - A row that is repeated exactly, and has no `series_uid`, counts once.
    - A series without exam or patient identifier is left out.
    - An exam that two patients claim is left out.
    - Derived objects (`grouping.DERIVED`) are left out; an exam of nothing else is no exam, and an
      archive of nothing else, as of dose reports alone, has none.
    - `images` and `megabytes` are those of the images; not known if one series does not say, if
      one is below 0, or if they are more than `grouping.LARGEST`.
    - Two sexes in one exam, or ages further apart than `grouping.AGE_SPREAD`: not known.
      Otherwise the lower age.
    - A patient has one sex: the one that is stated in any exam; not known if two are.
    - `element` says what the exam itself states, whatever other exams of the patient say.

    Parameters
    ----------
    archive
        The archive.
    folder
        Folder to write to; new or empty.
    largest_images
        An exam of more images is taken for an error of storage and left out; None for no limit.
    buckets
        Number of partitions; no result depends on it. By default one for each
        `SERIES_PER_BUCKET` series.

    Returns
    -------
    Exams
        Open, computed by threads of this process.

    Raises
    ------
    SiteError
        If a value cannot be read, no exam is left, or the folder is not empty.
    """
    folder = Path(folder)
    series = archive.scan().select(*WHO, *STORED, "instances", "megabytes")
    size = int(series.select(pl.len()).collect().item())
    buckets = buckets or max(1, -(-size // SERIES_PER_BUCKET))
    passes = min(buckets, max(1, -(-size // SERIES_PER_PASS)))
    prepare_folder(folder)
    tally = Tally(find_shared(series), archive.count_repeated())
    bucket = pl.col("patient_id").hash(seed=0) % buckets
    for number in range(passes):
        some = series if passes == 1 else series.filter(bucket % passes == number)
        exams = group_series(some, tally, largest_images).with_columns(bucket.alias("bucket"))
        for (name,), rows in exams.partition_by("bucket", as_dict=True, include_key=False).items():
            rows.write_parquet(folder / f"bucket-{name:04d}.parquet")
    if not any(folder.iterdir()):
        if tally.left[STEPS[2]]["series"] == 0 or tally.left[STEPS[3]]["series"]:
            raise SiteError(
                "No exam is left",
                where=f"archive of {archive.site_id}",
                todo="Look at what the archive holds: open_archive(site).series()",
            )
        # Derived objects alone, as dose reports: no exam, and nothing that is wrong.
        exams.drop("bucket").clear().write_parquet(folder / "bucket-0000.parquet")
    record = {
        "format": _FORMAT,
        "fingerprint": archive.fingerprint(),
        "attrition": tally.table(),
        "unclear": tally.unclear,
        "quality": tally.quality.counts,
        "notes": list(archive.notes),
    }
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
    return open_exams(folder)


def open_exams(folder: Path | str, site: Site | Path | str | None = None) -> Exams:
    """Open exams that `write_exams` wrote.

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
        If the folder holds no exams.
    """
    folder = Path(folder)
    if isinstance(site, (str, Path)):
        from workbench.site import read_site

        site = read_site(Path(site))
    try:
        record: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if record["format"] != _FORMAT:
            raise ValueError
        return Exams(
            tuple(sorted(folder.resolve().glob("bucket-*.parquet"))),
            pl.DataFrame(record["attrition"]),
            record["unclear"],
            pl.DataFrame([quality.row() for quality in parse_quality(record["quality"])]),
            tuple(record["notes"]),
            record["fingerprint"],
            site,
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise SiteError(
            "The folder holds no exams",
            where=show(str(folder), 200),
            todo="Name a folder that write_exams wrote",
        ) from None
