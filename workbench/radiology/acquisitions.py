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
from workbench.archive.table_file import locate_table, open_table_file, refusing
from workbench.catalog.catalog import open_site_catalog
from workbench.radiology.grouping import DERIVED
from workbench.radiology.site_tables import read_columns
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


def place_in_calendar(acquisitions: pl.LazyFrame) -> pl.LazyFrame:
    """Return acquisitions with the month, the day of the week and the hour in which they start.

    Parameters
    ----------
    acquisitions
        exam_time: wall clock without a zone.

    Returns
    -------
    polars.LazyFrame
        With month (its first day), weekday ("1" is Monday) and hour ("0" to "23"), null where the
        time is not known.

    Examples
    --------
    >>> import datetime as dt
    >>> rows = pl.LazyFrame({"exam_time": [dt.datetime(2024, 3, 4, 8, 30), None]})
    >>> place_in_calendar(rows).select("weekday", "hour").collect().rows()
    [('1', '8'), (None, None)]
    """
    start = pl.col("exam_time")
    return acquisitions.with_columns(
        month=start.dt.date().dt.month_start(),
        weekday=start.dt.weekday().cast(pl.String),
        hour=start.dt.hour().cast(pl.String),
    )


def _from_table(declared: Mapping[str, Any], folder: Path) -> Acquisitions:
    path = locate_table(declared.get("path"), folder)
    raw, _ = open_table_file(path)
    with refusing(path):
        schema = raw.collect_schema()
    named = dict(declared.get("columns", {}))
    names = {ours: (str(named.get(ours)), ours, str(KEYWORDS.get(ours))) for ours in COLUMNS}
    theirs = {ours: next((n for n in each if n in schema), ours) for ours, each in names.items()}
    rows = read_columns(raw, COLUMNS, path, theirs)
    held = rows.collect_schema()
    missing = tuple(name for name in COLUMNS if name not in held)
    rows = rows.with_columns(pl.lit(None, COLUMNS[n]).alias(n) for n in missing)
    return Acquisitions(rows.select(COLUMNS.names()), missing)


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
