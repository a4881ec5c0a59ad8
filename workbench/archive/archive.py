"""Archive: the series an institution holds, whatever holds them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.archive.sample import PATIENT, choose_patients, read_sample_size
from workbench.archive.series_table import open_series_table
from workbench.dicom.rows import OLDEST, SEXES, YEARS
from workbench.errors import ImageError, SiteError, show, suggest

if TYPE_CHECKING:
    from workbench.site import Site

KEYWORDS = {
    "exam_uid": "StudyInstanceUID",
    "patient_id": "PatientID",
    "series_uid": "SeriesInstanceUID",
    "modality": "Modality",
    "manufacturer": "Manufacturer",
    "model": "ManufacturerModelName",
    "body_part": "BodyPartExamined",
    "exam_description": "StudyDescription",
    "series_description": "SeriesDescription",
    "age_years": "PatientAge",
    "sex": "PatientSex",
    "instances": "NumberOfSeriesRelatedInstances",
    "megabytes": "SeriesMegabytes",
}
"""Our column -> the DICOM keyword that a table may use for it instead."""
IDC_KEYWORDS = KEYWORDS | {"instances": "instanceCount", "megabytes": "series_size_MB"}
TEXTS = ("modality", "manufacturer", "model", "body_part", "exam_description", "series_description")
_NOT_STATED = ("", "NA", "N/A", "NAN", "NONE", "NULL", "UNKNOWN", "UNSPECIFIED", "NOT SPECIFIED")


FOLDER_KEYS = {"kind", "path", "catalog"}
"""What `[archive]` may say of a folder."""


@dataclass(frozen=True)
class Source:
    """What an opener returns.

    Parameters
    ----------
    scan
        Return the columns of `KEYWORDS` as they are stored: identifiers as clean text, age and
        sex as text in DICOM's notation, `instances` as Int64, `megabytes` as Float64.
    fingerprint
        Return a text that changes when the content does.
    validate
        Raise SiteError if a value cannot be read.
    count_repeated
        Return how many rows repeat another exactly, and were left out.
    notes
        What was ignored.
    open_series
        Return the files of one series, of one exam if that is named, on this machine; None if the
        archive holds no images.
    """

    scan: Callable[[], pl.LazyFrame]
    fingerprint: Callable[[], str]
    validate: Callable[[], None] = lambda: None
    count_repeated: Callable[[], int] = lambda: 0
    notes: tuple[str, ...] = ()
    open_series: Callable[[str, str | None], tuple[Path, ...]] | None = None


@dataclass(frozen=True)
class SeriesFiles:
    """Name the files of one series.

    Parameters
    ----------
    paths
        Files on this machine, sorted.
    """

    paths: tuple[Path, ...]


@dataclass(frozen=True)
class Archive:
    """Name the series of an institution; nothing is read until rows are asked for.

    Parameters
    ----------
    site_id
        Id of the site.
    kind
        Kind of archive, a key of `KINDS`.
    sample
        Number of patients to keep, chosen by the smallest digests of their ids, or None for all.
    notes
        What was ignored at opening, such as columns that are not used.
    """

    site_id: str
    kind: str
    sample: int | None = None
    notes: tuple[str, ...] = ()
    source: Source = field(repr=False, kw_only=True)

    def series(self) -> pl.LazyFrame:
        """Return one row a series.

        Returns
        -------
        polars.LazyFrame
            exam_uid, patient_id, series_uid, modality, manufacturer, model, body_part,
            exam_description, series_description, age_years (a), sex (F, M, O), instances (1),
            megabytes (MB). What is not stated is null, and so is an age or sex nobody can have.

        Raises
        ------
        SiteError
            If a value cannot be read.
        """
        return tidy(self.scan())

    def scan(self) -> pl.LazyFrame:
        """Return one row a series, text and ages as they are stored; `tidy` makes them series.

        Raises
        ------
        SiteError
            If a value cannot be read.
        """
        if self.sample is None:
            self.source.validate()
        return self.keep_patients(self.source.scan())

    def keep_patients(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Return the rows of the patients of the sample, or all; patient_id tells whose they are.

        Raises
        ------
        SiteError
            If a value of the archive cannot be read.
        """
        return rows if self.sample is None else rows.filter(PATIENT.is_in(self._chosen))

    @cached_property
    def _chosen(self) -> list[str]:
        self.source.validate()
        return choose_patients(self.source.scan(), self.sample or 0)

    def open_series(self, series_uid: str, exam_uid: str | None = None) -> SeriesFiles:
        """Return the files of one series, to open it with `open_volume`.

        Parameters
        ----------
        series_uid
            The series.
        exam_uid
            Its exam; needed only where several exams claim the UID of the series.

        Raises
        ------
        ImageError
            If the archive holds no images, or not this series, or it is not clear whose it is.
        """
        if self.source.open_series is None:
            raise ImageError(
                "The archive holds an index, and no images",
                where=f"archive of {self.site_id}, kind {self.kind}",
                todo="Open a site whose archive is a folder or a server",
            )
        return SeriesFiles(self.source.open_series(series_uid, exam_uid))

    def count_repeated(self) -> int:
        """Return how many rows `scan` left out because they repeat another; 0 for a sample."""
        return self.source.count_repeated() if self.sample is None else 0

    def fingerprint(self) -> str:
        """Return a text that changes when what would be read changes."""
        kept = "all patients" if self.sample is None else f"sample of {self.sample} patients"
        return f"{self.source.fingerprint()}; {kept}"


def open_archive(site: Site | Path | str) -> Archive:
    r"""Open the archive that a site declares.

    The environment variable WORKBENCH_SAMPLE, if set, limits it to that many patients.

    Parameters
    ----------
    site
        A Site, or the path of a `site.toml`.

    Raises
    ------
    SiteError
        If the site declares no archive, or one of unknown kind, or it cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> from shutil import copy
    >>> from pydicom.data import get_testdata_file
    >>> from workbench.archive.site_scan import scan_site
    >>> from workbench.site import read_site
    >>> declared = '[site]\nid = "here"\nname = "Here"\nkind = "pretend"\n'
    >>> declared += '[archive]\nkind = "folder"\npath = "dicom"\n'
    >>> with tempfile.TemporaryDirectory() as place:
    ...     Path(place, "dicom").mkdir()
    ...     image = copy(str(get_testdata_file("CT_small.dcm")), Path(place, "dicom"))
    ...     site = Path(place, "site.toml")
    ...     written = site.write_text(declared)
    ...     catalog = scan_site(read_site(site))
    ...     archive = open_archive(site)
    ...     series = archive.series().collect()
    ...     files = archive.open_series(series["series_uid"].item())
    >>> series.select("modality", "sex", "instances").row(0)
    ('CT', 'O', 1)
    >>> [path.name for path in files.paths]
    ['CT_small.dcm']
    """
    if isinstance(site, (str, Path)):
        from workbench.catalog.record import CATALOG
        from workbench.site import read_site

        if os.path.isfile(Path(site, CATALOG)):  # noqa: PTH113 - also of a path that cannot be
            raise SiteError(
                "This is a catalog, not a site",
                where=show(str(site), 200),
                todo="Write open_catalog(folder)",
            )
        site = read_site(Path(site))
    declared: Mapping[str, Any] = site.archive or {}
    kind = str(declared.get("kind", ""))
    if kind not in KINDS:
        raise SiteError(
            f"Unknown kind of archive {show(kind)!r}" if kind else "The site declares no archive",
            where=f"{show(str(site.path), 200)}, archive.kind",
            todo=suggest(kind, KINDS),
        )
    source = KINDS[kind](declared, Path(site.folder))
    return Archive(site.id, kind, read_sample_size(), source.notes, source=source)


def tidy(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Return stored text as values: null where nothing is stated or nobody can have the value.

    Examples
    --------
    >>> stored = {"age_years": ["045Y", "018M", "155Y", None], "sex": ["m", "F", "6657", ""],
    ...           "body_part": [" CHEST", "UNKNOWN", "", None]}
    >>> tidy(pl.LazyFrame(stored)).collect().rows()
    [(45.0, 'M', 'CHEST'), (1.5, 'F', None), (None, None, None), (None, None, None)]
    """
    held = frame.collect_schema().names()
    read = {"age_years": _read_age, "sex": _read_sex} | dict.fromkeys(TEXTS, _read_text)
    return frame.with_columns(read[name](pl.col(name)) for name in held if name in read)


def _read_age(stored: pl.Expr) -> pl.Expr:
    """Read an age string (DICOM PS3.5, 6.2, AS): a number and D, W, M or Y."""
    text = stored.str.strip_chars().str.to_uppercase()
    factor = text.str.tail(1).replace_strict(YEARS, default=None, return_dtype=pl.Float64)
    years = text.str.head(-1).cast(pl.Float64, strict=False) * factor
    return pl.when(years.is_between(0, OLDEST)).then(years)


def _read_sex(stored: pl.Expr) -> pl.Expr:
    """Read a sex (DICOM PS3.3, C.7.1.1): F, M or O."""
    text = stored.str.strip_chars().str.to_uppercase()
    return text.replace_strict(SEXES, default=None, return_dtype=pl.String)


def _read_text(stored: pl.Expr) -> pl.Expr:
    return pl.when(is_stated(stored)).then(stored.str.strip_chars())


def is_stated(stored: pl.Expr) -> pl.Expr:
    """Return whether stored text says anything: neither null nor a word for nothing."""
    words = stored.str.strip_chars().str.to_uppercase()
    return (~words.is_in(_NOT_STATED)).fill_null(value=False)


def require_keys(declared: Mapping[str, Any], allowed: set[str]) -> None:
    """Refuse a key of `[archive]` that its kind does not know.

    Raises
    ------
    SiteError
        With the nearest key that it knows.
    """
    for key in declared:
        if key not in allowed:
            raise SiteError(
                f"Unknown key {show(str(key))!r}", where="archive", todo=suggest(str(key), allowed)
            )


def _open_idc(declared: Mapping[str, Any], _folder: Path) -> Source:
    """Open a collection of NCI Imaging Data Commons, from the index that a package installs."""
    require_keys(declared, {"kind", "collection"})
    try:
        import idc_index_data
    except ImportError:
        raise SiteError(
            "The index of Imaging Data Commons is not installed",
            where="archive.kind idc",
            todo="pip install 'imaging-workbench[datasets]'",
        ) from None
    path = Path(str(idc_index_data.IDC_INDEX_PARQUET_FILEPATH))
    collection = str(declared.get("collection", ""))
    index = pl.scan_parquet(path)
    if collection != "*":
        names = index.select(pl.col("collection_id").unique()).collect()["collection_id"].to_list()
        if collection not in names:
            raise SiteError(
                f"Imaging Data Commons has no collection {show(collection)!r}",
                where="archive.collection",
                todo=suggest(collection, names),
            )
        index = index.filter(pl.col("collection_id") == collection)

    def fingerprint() -> str:
        version = idc_index_data.__version__
        return f"idc-index-data {version} {file_digest(path)}; collection {collection}"

    return Source(lambda: index.select(**IDC_KEYWORDS), fingerprint)


def _open_table(declared: Mapping[str, Any], folder: Path) -> Source:
    """Open a Parquet or CSV table that has one row a series, or one row an exam."""
    require_keys(declared, {"kind", "path", "columns", "level"})
    table = open_series_table(declared, folder, KEYWORDS)
    return Source(
        table.scan,
        lambda: f"table {file_digest(table.path)}",
        table.validate,
        table.count_repeated,
        table.notes,
    )


def _open_folder(declared: Mapping[str, Any], folder: Path) -> Source:
    """Open a folder of DICOM files by the catalog that a scan of it made."""
    from workbench.catalog.catalog import open_site_catalog
    from workbench.catalog.series import as_stored

    require_keys(declared, FOLDER_KEYS)
    catalog = open_site_catalog(declared, folder)
    if catalog.root != (folder / str(declared.get("path", ""))).resolve():
        raise SiteError(
            "The catalog is of another folder",
            where="archive.path",
            todo="Run 'workbench scan site.toml'",
        )
    return Source(
        lambda: as_stored(catalog.series(), KEYWORDS),
        catalog.fingerprint,
        open_series=lambda uid, exam: tuple(catalog.series_files(uid, exam)),
    )


def _open_server(declared: Mapping[str, Any], folder: Path) -> Source:
    from workbench.archive.server_source import open_server_source

    return open_server_source(declared, folder)


def file_digest(path: Path) -> str:
    """Return the sha256 of a file as "sha256:…"."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


KINDS: dict[str, Callable[[Mapping[str, Any], Path], Source]] = {
    "dicomweb": _open_server,
    "dimse": _open_server,
    "folder": _open_folder,
    "idc": _open_idc,
    "table": _open_table,
}
"""Kind of archive -> its opener."""
