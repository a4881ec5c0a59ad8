"""Acquisitions: what was done when, on which device, to whom, at what dose; one row an exam.

A table of the site's may hold them; of DICOM files they are made from the catalog: the first and
the last time of an exam on a device, and the largest CTDIvol that its images state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.archive.archive import KEYWORDS, open_archive
from workbench.archive.table_file import locate_table, name_of, open_table_file, refusing
from workbench.catalog.catalog import open_site_catalog
from workbench.errors import SiteError, show, suggest
from workbench.radiology.grouping import DERIVED
from workbench.site import SCANNED

if TYPE_CHECKING:
    from workbench.site import Site

_TEXT, _NUMBER, _TIME = pl.String(), pl.Float64(), pl.Datetime("us")
COLUMNS = pl.Schema(
    {
        "exam_uid": _TEXT,
        "patient_id": _TEXT,
        "modality": _TEXT,
        "exam_time": _TIME,
        "exam_end_time": _TIME,
        "facility": _TEXT,
        "station": _TEXT,
        "device_serial": _TEXT,
        "manufacturer": _TEXT,
        "model": _TEXT,
        "software": _TEXT,
        "body_part": _TEXT,
        "protocol": _TEXT,
        "age_years": _NUMBER,
        "sex": _TEXT,
        "weight_kg": _NUMBER,
        "kvp_kv": _NUMBER,
        "phantom_cm": _NUMBER,
        "ctdivol_mgy": _NUMBER,
        "dlp_mgy_cm": _NUMBER,
        "agd_mgy": _NUMBER,
        "dap_gy_cm2": _NUMBER,
        "dose_rp_mgy": _NUMBER,
        "fluoro_time_s": _NUMBER,
    }
)
"""Columns of acquisitions. Times are the wall clock of the device."""
FROM_CATALOG = {
    "facility", "weight_kg", "phantom_cm", "dlp_mgy_cm", "agd_mgy", "dap_gy_cm2", "dose_rp_mgy",
    "fluoro_time_s",
}  # fmt: skip
"""Columns that a catalog does not hold; doses are in dose reports."""


@dataclass(frozen=True)
class Acquisitions:
    """Hold the acquisitions of a site; nothing is read until rows are asked for.

    Parameters
    ----------
    rows
        Columns of `COLUMNS`; null where nothing is stated.
    missing
        Columns that the site does not hold at all: what needs them is not answerable here.
    """

    rows: pl.LazyFrame = field(repr=False)
    missing: tuple[str, ...]


def open_acquisitions(site: Site | Path | str) -> Acquisitions:
    """Open what was done at a site.

    Parameters
    ----------
    site
        A Site, or the path of a `site.toml`. An archive of kind "table" at level "exam" is read
        itself; one that is scanned, by its catalog; any other by its series, without times.

    Returns
    -------
    Acquisitions

    Raises
    ------
    SiteError
        If a column cannot be what its name says.
    """
    if isinstance(site, (str, Path)):
        from workbench.site import read_site

        site = read_site(Path(site))
    declared: Mapping[str, Any] = site.archive
    kind = declared.get("kind")
    if kind == "table" and declared.get("level") == "exam":
        return _from_table(declared, Path(site.folder))
    if kind in SCANNED:
        return _from_catalog(open_site_catalog(declared, Path(site.folder)).instances())
    return _from_series(open_archive(site).series())


def open_table(
    site: Site | Path | str, name: str, columns: Mapping[str, pl.DataType] | None = None
) -> pl.LazyFrame:
    """Open a table that a site declares beside its archive, such as "devices" or "reports".

    Parameters
    ----------
    site
        A Site, or the path of a `site.toml`.
    name
        Key of `[tables]`.
    columns
        What an empty table has, in place of one that the site does not declare: so that a study
        runs there too, and what needs the table is not answerable. By default it is an error.

    Raises
    ------
    SiteError
        If the site declares none of this name, or it cannot be read.
    """
    if isinstance(site, (str, Path)):
        from workbench.site import read_site

        site = read_site(Path(site))
    if name not in site.tables and columns is not None:
        return pl.LazyFrame(schema=pl.Schema(columns))
    if name not in site.tables:
        raise SiteError(
            f"The site has no table {show(name)!r}",
            where=f"{site.id}, [tables]",
            todo=suggest(name, site.tables) if site.tables else f"Write {name} = 'file.parquet'",
        )
    path = locate_table(str(site.tables[name]), Path(site.folder))
    frame, _ = open_table_file(path)
    return frame


def _from_table(declared: Mapping[str, Any], folder: Path) -> Acquisitions:
    path = locate_table(declared.get("path"), folder)
    raw, _ = open_table_file(path)
    with refusing(path):
        schema = raw.collect_schema()
    named = dict(declared.get("columns", {}))
    read: dict[str, pl.Expr] = {}
    for ours in COLUMNS:
        theirs = next((n for n in (named.get(ours), ours, KEYWORDS.get(ours)) if n in schema), None)
        if theirs is not None:
            read[ours] = _read(ours, str(theirs), schema[str(theirs)])
    _require_readable(raw, read, path)
    missing = tuple(name for name in COLUMNS if name not in read)
    rows = raw.select(**read).with_columns(pl.lit(None, COLUMNS[n]).alias(n) for n in missing)
    return Acquisitions(rows.select(COLUMNS.names()), missing)


def _read(ours: str, theirs: str, stored: pl.DataType) -> pl.Expr:
    kind, column = COLUMNS[ours], pl.col(theirs)
    if stored == pl.Null:
        return column.cast(kind)
    if kind == _TEXT and (stored == _TEXT or stored.is_integer()):
        return column.cast(_TEXT)
    if kind == _TEXT and isinstance(stored, (pl.Categorical, pl.Enum)):
        return column  # few values: kept as they are
    if kind == _TIME and isinstance(stored, pl.Datetime) and stored.time_zone is None:
        return column.cast(_TIME)
    if kind == _TIME and stored == _TEXT:
        return column.str.to_datetime(time_unit="us", strict=False)
    if kind == _NUMBER and (stored.is_numeric() or stored == _TEXT):
        return column if stored.is_numeric() else column.cast(_NUMBER, strict=False)
    raise _cannot_be(ours, stored)


def _require_readable(raw: pl.LazyFrame, read: Mapping[str, pl.Expr], path: Path) -> None:
    """Refuse a text that is no number, or no time, where one should be."""
    schema = raw.collect_schema()
    checked = {
        ours: expression
        for ours, expression in read.items()
        if COLUMNS[ours] != _TEXT and schema[expression.meta.root_names()[0]] == _TEXT
    }
    if not checked:
        return
    bad = [
        (pl.col(e.meta.root_names()[0]).str.strip_chars().str.len_bytes() > 0) & e.is_null()
        for e in checked.values()
    ]
    with refusing(path):
        found = raw.select(b.arg_max().alias(f"at {n}") for n, b in zip(checked, bad, strict=True))
        count = raw.select(b.sum().alias(n) for n, b in zip(checked, bad, strict=True))
        first, counted = pl.collect_all([found, count])
    for ours, rows in counted.row(0, named=True).items():
        if rows:
            raise SiteError(
                f"{rows:,} values of a column cannot be read; the first is in row "
                f"{first['at ' + ours].item() + 1:,}",
                where=f"{name_of(path)}, column {ours}",
                todo="Write numbers with a point, and times as 2024-03-01T08:30:00",
            )


def _cannot_be(ours: str, stored: pl.DataType) -> SiteError:
    return SiteError(
        f"A column of {stored.base_type()} cannot be {ours!r}",
        where="archive.path",
        todo="Store numbers as numbers and times as local wall clock without a zone",
    )


def _from_series(series: pl.LazyFrame) -> Acquisitions:
    same = ("manufacturer", "model", "body_part", "age_years", "sex")
    rows = (
        series.filter(~pl.col("modality").is_in(DERIVED).fill_null(value=False))
        .group_by("exam_uid", "patient_id", "modality")
        .agg(pl.col(n).min() for n in same)
    )
    held = {"exam_uid", "patient_id", "modality", *same}
    missing = tuple(name for name in COLUMNS if name not in held)
    rows = rows.with_columns(pl.lit(None, COLUMNS[n]).alias(n) for n in missing)
    return Acquisitions(rows.select(pl.col(n).cast(t) for n, t in COLUMNS.items()), missing)


def _from_catalog(instances: pl.LazyFrame) -> Acquisitions:
    times = ("acquisition_time", "content_time", "series_time")
    first = pl.coalesce(*times, "exam_time")
    same = ("station", "device_serial", "manufacturer", "model", "body_part", "protocol", "sex")
    derived = pl.col("modality").is_in(DERIVED).fill_null(value=False)
    made = (
        instances.filter(~derived)
        .with_columns(_first=first, _last=pl.max_horizontal(times))
        .group_by("exam_uid", "patient_id", "modality", "station", "device_serial")
        .agg(
            *(pl.col(n).min() for n in same if n not in ("station", "device_serial")),
            software=pl.col("software_version").min(),
            exam_time=pl.col("_first").min(),
            exam_end_time=pl.col("_last").max(),
            age_years=pl.col("age_years").min(),
            kvp_kv=pl.col("kvp_kv").max(),
            ctdivol_mgy=pl.col("ctdivol_mgy").max(),
        )
    )
    # One image says when it was made, not how long the exam took.
    took = pl.col("exam_end_time") > pl.col("exam_time")
    rows = made.with_columns(
        exam_end_time=pl.when(took).then("exam_end_time"),
        **{name: pl.lit(None, COLUMNS[name]) for name in FROM_CATALOG},
    )
    missing = tuple(name for name in COLUMNS if name in FROM_CATALOG)
    return Acquisitions(rows.select(pl.col(n).cast(t) for n, t in COLUMNS.items()), missing)
