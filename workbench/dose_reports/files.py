"""Files: the reports, and the images, that an archive or a folder holds."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import polars as pl

from workbench.archive.archive import Archive
from workbench.catalog.catalog import Catalog
from workbench.catalog.walk import LINK, locate, walk
from workbench.dicom.headers import read_headers
from workbench.dicom.refusals import Refused
from workbench.dicom.rows import read_age
from workbench.dose_reports.image_header import KINDS

Source: TypeAlias = Archive | Catalog | Path | str | Iterable[Path | str]
SR = "1.2.840.10008.5.1.4.1.1.88."
"""All SOP classes of structured reports begin so."""
_AT_ONCE = 20_000
"""Files whose headers are held together."""
Exam: TypeAlias = tuple[str, str]
"""An exam and a kind of irradiation."""


@dataclass(frozen=True)
class File:
    """Name one file and the row of its header: `columns.SCHEMA`, and whether its age is none."""

    path: Path
    row: dict[str, Any]

    @property
    def kind(self) -> str:
        """Kind of irradiation that made the image; "" if none did."""
        return KINDS.get(self.row["modality"] or "", "")

    @property
    def is_report(self) -> bool:
        """Whether it is a structured report of any kind."""
        return (self.row["sop_class"] or "").startswith(SR)


class Files(Protocol):
    """Give the files of a source, in two steps, so that no image is fetched in vain."""

    def reports(self) -> Iterator[File | Refused]:
        """Yield all files that may be reports, and those that cannot be read."""

    def images(self, reported: Collection[Exam]) -> Iterator[File | Refused]:
        """Yield the images of all exams but those in `reported`; counted in `skipped`."""

    @property
    def skipped(self) -> int:
        """Number of images of exams that have a report."""

    @property
    def others(self) -> int:
        """Number of files that irradiation has no part in, or that are not opened."""

    @property
    def claims(self) -> Collection[tuple[str, str | None]]:
        """Exam and patient of each series that several patients claim: it is not opened."""


def open_files(source: Source) -> Files:
    """Return the files of a source; nothing is read until they are asked for."""
    if isinstance(source, (Archive, Catalog)):
        return _OfArchive(source)
    return _OfPaths([source] if isinstance(source, (str, Path)) else list(source))


class _OfPaths:
    def __init__(self, paths: Iterable[Path | str]) -> None:
        self.paths = [Path(path) for path in paths]
        self.skipped = self.others = 0
        self.claims: set[tuple[str, str | None]] = set()  # a file is of one patient
        self._images: list[File] = []

    def reports(self) -> Iterator[File | Refused]:
        for file in _read_all(self._list()):
            if isinstance(file, Refused) or file.is_report:
                yield file
            elif file.kind:
                self._images.append(file)
            else:
                self.others += 1

    def images(self, reported: Collection[Exam]) -> Iterator[File | Refused]:
        for file in self._images:
            if (file.row["exam_uid"], file.kind) in reported:
                self.skipped += 1
            else:
                yield file

    def _list(self) -> Iterator[Path | Refused]:
        for path in self.paths:
            if not path.is_dir():
                yield path
                continue
            for table in walk(path):
                for name, reason, detail in table.select("path", "reason", "detail").rows():
                    if reason is None:
                        yield path / locate(name)
                    elif reason != LINK:
                        yield Refused(str(path / name), reason, detail)


class _OfArchive:
    def __init__(self, archive: Archive | Catalog) -> None:
        self.archive = archive
        self.skipped = self.others = 0
        self.claims: set[tuple[str, str | None]] = set()
        listed = archive.scan() if isinstance(archive, Archive) else archive.series()
        self.series = listed.select(
            "exam_uid",
            "patient_id",
            "series_uid",
            modality=pl.col("modality").cast(pl.String).str.strip_chars().str.to_uppercase(),
            instances=pl.col("instances").cast(pl.Int64),
        ).collect()

    def reports(self) -> Iterator[File | Refused]:
        if isinstance(self.archive, Catalog):
            rows = self.archive.refused().collect().rows()
            yield from (Refused(*row) for row in rows)
        for file in _read_all(self._open(self.series.filter(pl.col("modality") == "SR"))):
            if isinstance(file, Refused) or file.is_report:
                yield file
            else:
                self.others += 1
        known = pl.col("modality").is_in(["SR", *KINDS])
        self.others += int(self.series.filter(~known.fill_null(value=False))["instances"].sum())

    def images(self, reported: Collection[Exam]) -> Iterator[File | Refused]:
        kind = pl.col("modality").replace_strict(KINDS, default=None, return_dtype=pl.String)
        images = self.series.with_columns(kind=kind).filter(pl.col("kind").is_not_null())
        told = pl.DataFrame(
            sorted(reported), schema={"exam_uid": pl.String, "kind": pl.String}, orient="row"
        )
        self.skipped += int(
            images.join(told, on=["exam_uid", "kind"], how="semi")["instances"].sum()
        )
        yield from _read_all(self._open(images.join(told, on=["exam_uid", "kind"], how="anti")))

    def _open(self, series: pl.DataFrame) -> Iterator[Path | Refused]:
        claimed = pl.len().over("exam_uid", "series_uid") > 1
        unclear = series.filter(claimed)
        self.claims |= set(unclear.select("exam_uid", "patient_id").rows())
        self.others += int(unclear["instances"].sum())
        series = series.filter(~claimed)
        for exam, uid in series.select("exam_uid", "series_uid").unique(maintain_order=True).rows():
            if isinstance(self.archive, Catalog):
                yield from self.archive.series_files(uid, exam)
            else:
                yield from self.archive.open_series(uid, exam).paths


def _read_all(paths: Iterable[Path | Refused]) -> Iterator[File | Refused]:
    """Yield each file with the row of its header, or why it cannot be read."""
    waiting: list[Path] = []
    for path in paths:
        if isinstance(path, Refused):
            yield path
            continue
        waiting.append(path)
        if len(waiting) == _AT_ONCE:
            yield from _read_some(waiting)
            waiting = []
    yield from _read_some(waiting)


def _read_some(paths: list[Path]) -> Iterator[File | Refused]:
    real, sizes = [], []
    for path in paths:
        name = os.path.realpath(path)
        real.append(name)
        try:
            sizes.append(path.stat().st_size)
        except OSError:
            sizes.append(0)
    named = dict(zip(real, paths, strict=True))
    rows, refused = read_headers(real, sizes)
    possible = read_age(pl.col("age")).is_not_null()
    rows = rows.with_columns(
        age_refused=pl.col("age").is_not_null() & ~possible,
        modality=pl.col("modality").str.to_uppercase(),
    )
    for row in rows.iter_rows(named=True):
        yield File(named[row["path"]], row)
    for one in refused:
        yield Refused(str(named[one.path]), one.reason, one.detail)
