"""Catalog: the tables that a scan makes of an archive, in partitions of whole patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from workbench.catalog.members import copy_member
from workbench.catalog.record import read_record
from workbench.catalog.series import SERIES
from workbench.catalog.spool import Spool
from workbench.catalog.walk import locate, split_member
from workbench.dicom.columns import SCHEMA
from workbench.dicom.refusals import REASONS, UnreadableFile
from workbench.display import Card, Displayed, size
from workbench.errors import ImageError, SiteError, show
from workbench.site import CATALOG as DEFAULT

SPOOL_BYTES = 20_000_000_000
"""Bytes that series copied out of zip files may take together."""
AGAIN = "Run 'workbench scan' again: it reads everything anew"
_FAULTS = {
    "none": "There is no catalog here",
    "another version": "The catalog is of another version",
    "damaged": "The catalog is damaged",
}
NOT_WRONG = ("dicomdir",)
"""Reasons that are no fault of an archive: what they refuse is accounted for."""


@dataclass(frozen=True, repr=False)
class Catalog(Displayed):
    """Hold the tables of an archive; nothing is read until rows are asked for.

    A scan that finds changes puts other tables in their place: open the catalog again then.

    Parameters
    ----------
    folder
        The catalog's folder; private, since it names patients.
    record
        Content of its `catalog.json`.
    notes
        What the scan that made it has to say, such as that the last one was damaged.
    """

    folder: Path
    record: Mapping[str, Any] = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def root(self) -> Path:
        """Folder that was scanned; paths of instances start there."""
        return Path(self.record["root"])

    @property
    def partitions(self) -> tuple[Path, ...]:
        """Parquet files of instances, each with whole patients."""
        return tuple(self.folder / bucket["instances"] for bucket in self.record["buckets"])

    @property
    def counts(self) -> Mapping[str, int]:
        """Files, links, containers and their members, instances, refused; series, exams, patients.

        A container is a zip file, or an exam of a server.

        Files and members together are instances, refused, links and containers together.
        """
        return dict(self.record["counts"])

    @property
    def modalities(self) -> Mapping[str, int]:
        """Number of instances by modality; "" for none, "other" for what is no code of DICOM."""
        return dict(self.record["modalities"])

    @property
    def wrong(self) -> int:
        """Number of refused files, but for what is no fault of an archive (`NOT_WRONG`)."""
        return sum(n for reason, n in self.reasons.items() if reason not in NOT_WRONG)

    @property
    def reasons(self) -> Mapping[str, int]:
        """Number of refused files by reason, the most frequent first."""
        return dict(self.record["refused"])

    def instances(self) -> pl.LazyFrame:
        """Return one row an instance, with the columns of `columns.SCHEMA`."""
        if not self.partitions:
            return pl.LazyFrame(schema=SCHEMA)
        return pl.scan_parquet(list(self.partitions))

    def series(self) -> pl.LazyFrame:
        """Return one row a series, with the columns of `series.SERIES`."""
        files = [self.folder / bucket["series"] for bucket in self.record["buckets"]]
        return pl.scan_parquet(files) if files else pl.LazyFrame(schema=SERIES)

    def refused(self) -> pl.LazyFrame:
        """Return path, reason and detail of each file that is not in the catalog."""
        return pl.scan_parquet([self.folder / name for name in self.record["state"]["left_out"]])

    def fingerprint(self) -> str:
        """Return a text that changes when the content does."""
        return f"catalog {self.record['fingerprint']}"

    def find_series(self, series_uid: str, exam_uid: str | None = None) -> tuple[str, float]:
        """Return the exam of one series, and the megabytes of its pixels (0 if not known).

        Parameters
        ----------
        series_uid
            The series.
        exam_uid
            Its exam; needed only where several exams claim the UID of the series.

        Raises
        ------
        ImageError
            If the catalog has no such series, or it is not clear whose it is.
        """
        rows = self.series().filter(pl.col("series_uid") == series_uid)
        if exam_uid is not None:
            rows = rows.filter(pl.col("exam_uid") == exam_uid)
        found = rows.select("exam_uid", "megabytes").collect().rows()
        where = show(str(self.folder), 200)
        if not found:
            raise ImageError(
                "The catalog has no such series",
                where=where,
                todo="Take a series_uid from series(), and exam_uid from the same row",
            )
        if len({exam for exam, _ in found}) > 1:
            raise ImageError(
                "Several exams claim the UID of this series",
                where=where,
                todo="Say which one is meant: exam_uid = …",
            )
        if len(found) > 1:
            raise ImageError(
                "Several patients claim this series",
                where=where,
                todo="Have the identifiers corrected in the archive, and scan it again",
            )
        return found[0][0], found[0][1] or 0.0

    def series_files(self, series_uid: str, exam_uid: str | None = None) -> list[Path]:
        """Return the files of one series; those in a zip file are copied out of it first.

        The copies stand in the catalog's folder `spool`, the oldest making room for new ones.

        Parameters
        ----------
        series_uid
            The series.
        exam_uid
            Its exam; needed only where several exams claim the UID of the series.

        Raises
        ------
        ImageError
            If the catalog has no such series, it is not clear whose it is, or a zip file changed
            since it was scanned.
        """
        exam, _ = self.find_series(series_uid, exam_uid)
        own = (pl.col("series_uid") == series_uid) & (pl.col("exam_uid") == exam)
        paths = self.instances().filter(own).select("path").collect()["path"].sort().to_list()
        members = [path for path in paths if split_member(path)[1]]
        files = [Path(self.root, locate(path)) for path in paths if path not in members]
        if not members:
            return files
        spool = Spool(self.folder / "spool", SPOOL_BYTES)
        name = f"{self.fingerprint()} {exam} {series_uid}"
        return [*files, *spool.open_series(name, lambda to, _: self._copy(members, to))]

    def _copy(self, members: Sequence[str], folder: Path) -> None:
        for number, path in enumerate(members):
            try:
                with (folder / f"{number:06d}.dcm").open("wb") as file:
                    copy_member(self.root, path, file)
            except UnreadableFile as error:
                raise ImageError(
                    f"A zip file cannot be read: {error}",
                    where=show(str(self.root), 200),
                    todo="Run 'workbench scan' again",
                ) from None

    def _card(self) -> Card:
        counts = {name: f"{number:,}" for name, number in self.counts.items() if number}
        facts = {"scanned": str(self.record["scanned"])} | counts
        facts["pixels"] = size(self.record["bytes"]) if self.record["bytes"] else ""
        modalities = sorted(self.modalities.items(), key=lambda item: -item[1])
        facts["modalities"] = ", ".join(f"{name or 'not stated'} {n:,}" for name, n in modalities)
        rows = [[reason, f"{n:,}", REASONS[reason]] for reason, n in self.reasons.items()]
        return Card("Catalog", facts, ["refused", "files", "because"], rows)


def open_catalog(folder: Path | str) -> Catalog:
    """Open the catalog that `scan` wrote.

    Parameters
    ----------
    folder
        Its folder.

    Raises
    ------
    SiteError
        If there is none, another version of the workbench wrote it, or it is damaged.

    Examples
    --------
    >>> import tempfile
    >>> from pydicom.data import get_testdata_file
    >>> from workbench.catalog.scan import scan
    >>> with tempfile.TemporaryDirectory() as place:
    ...     Path(place, "archive").mkdir()
    ...     image = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()
    ...     written = Path(place, "archive", "1.dcm").write_bytes(image)
    ...     scanned = scan(Path(place, "archive"), Path(place, "catalog"))
    ...     catalog = open_catalog(Path(place, "catalog"))
    ...     catalog.instances().select("path", "modality", "kvp_kv").collect().rows()
    [('1.dcm', 'CT', 120.0)]
    >>> catalog.modalities, catalog.counts["patients"]
    ({'CT': 1}, 1)
    """
    folder = Path(folder)
    found = read_record(folder)
    if found.record is None:
        raise SiteError(
            _FAULTS[found.state],
            where=show(str(folder), 200),
            todo="Run 'workbench scan'" if found.state == "none" else AGAIN,
        )
    return Catalog(folder, found.record)


def open_site_catalog(declared: Mapping[str, Any], folder: Path) -> Catalog:
    """Open the catalog of a site whose archive is scanned.

    Parameters
    ----------
    declared
        Table `[archive]`.
    folder
        Folder of the site.toml.

    Raises
    ------
    SiteError
        If it was not scanned yet.
    """
    try:
        return open_catalog(folder / str(declared.get("catalog", DEFAULT)))
    except SiteError as error:
        raise SiteError(
            error.what, where="archive.catalog", todo="Run 'workbench scan site.toml'"
        ) from None
