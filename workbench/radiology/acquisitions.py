"""Acquisitions: what was done when, on which device, to whom, at what dose; one row an exam.

A table of the site's may hold them; of DICOM files they are made from the catalog: the first and
the last time of an exam on a device, and the CTDIvol that its images state, unless a dose report
says what it was. An exam that left a dose report and no image was done as well, and is a row here:
so sites that send reports alone take part. It is none of `write_exams`, which counts images, and
acquisitions of DICOM files may therefore hold more exams. All other objects that are derived from
images make no row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from workbench.archive.archive import KEYWORDS, open_archive
from workbench.archive.sample import keep_sample
from workbench.archive.table_file import locate_table, open_table_file, refusing
from workbench.catalog.catalog import open_site_catalog
from workbench.dicom.rows import read_age
from workbench.dose_reports.reading import read_dose_reports
from workbench.dose_reports.tables import FAULTS
from workbench.radiology.grouping import DERIVED, SIZES, find_size_faults, sum_sizes
from workbench.radiology.reported_doses import find_catalog_faults, use_dose_reports
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
"""Columns that a catalog does not hold; most doses are in dose reports."""


@dataclass(frozen=True)
class Acquisitions:
    """Hold the acquisitions of a site; of a table only sizes are read until rows are asked for.

    Parameters
    ----------
    rows
        Columns of `COLUMNS`; null where nothing is stated.
    missing
        Columns that the site does not hold at all: what needs them is not answerable here.
    faults
        exam_uid, patient_id and rule of what was kept out when files and dose reports were read,
        and of exams whose size is not believed: what `judge_plausibility` counts beside its own
        rules.
    """

    rows: pl.LazyFrame = field(repr=False)
    missing: tuple[str, ...]
    faults: pl.DataFrame = field(repr=False, default_factory=lambda: pl.DataFrame(schema=FAULTS))


def open_acquisitions(site: Site | Path | str) -> Acquisitions:
    """Open what was done at a site.

    Parameters
    ----------
    site
        A Site, or the path of a `site.toml`. An archive of kind "table" at level "exam" is read
        itself; one that is scanned, by its catalog, and its dose reports are read; any other by
        its series, without times. The environment variable WORKBENCH_SAMPLE, if set, limits all
        of them to the patients of `open_archive`.

    Returns
    -------
    Acquisitions

    Raises
    ------
    SiteError
        If a column cannot be what its name says.
    ImageError
        If a dose report that the catalog names is not in the archive any more.
    """
    if isinstance(site, (str, Path)):
        from workbench.site import read_site

        site = read_site(Path(site))
    declared: Mapping[str, Any] = site.archive
    kind = declared.get("kind")
    if kind == "table" and declared.get("level") == "exam":
        return _from_table(site)
    if kind in SCANNED:
        return _from_scanned(site)
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


def _from_table(site: Site) -> Acquisitions:
    declared = site.archive
    path = locate_table(declared.get("path"), Path(site.folder))
    raw, _ = open_table_file(path)
    with refusing(path):
        schema = raw.collect_schema()
    named = dict(declared.get("columns", {}))
    wanted = pl.Schema({**COLUMNS, **dict.fromkeys(SIZES, _NUMBER)})
    names = {ours: (str(named.get(ours)), ours, str(KEYWORDS.get(ours))) for ours in wanted}
    theirs = {ours: next((n for n in each if n in schema), ours) for ours, each in names.items()}
    rows = keep_sample(read_columns(raw, wanted, path, theirs), site)
    faults = find_size_faults(rows)
    held = rows.collect_schema()
    missing = tuple(name for name in COLUMNS if name not in held)
    rows = rows.with_columns(pl.lit(None, COLUMNS[n]).alias(n) for n in missing)
    return Acquisitions(rows.select(COLUMNS.names()), missing, faults)


def _from_series(series: pl.LazyFrame) -> Acquisitions:
    same = ("manufacturer", "model", "body_part", "age_years", "sex")
    images = series.filter(~pl.col("modality").is_in(DERIVED).fill_null(value=False))
    rows = images.group_by("exam_uid", "patient_id", "modality").agg(pl.col(n).min() for n in same)
    held = {"exam_uid", "patient_id", "modality", *same}
    missing = tuple(name for name in COLUMNS if name not in held)
    rows = rows.with_columns(pl.lit(None, COLUMNS[n]).alias(n) for n in missing)
    alike = rows.select(pl.col(n).cast(t) for n, t in COLUMNS.items())
    return Acquisitions(alike, missing, find_size_faults(sum_sizes(images)))


def _from_scanned(site: Site) -> Acquisitions:
    """Return what images say, and of exams with a dose report what that says."""
    catalog = open_site_catalog(site.archive, Path(site.folder))
    # Few rows of many images: read once, not at each look.
    images = keep_sample(catalog.instances(), site)
    rows = _from_catalog(images).collect(engine="streaming").lazy()
    faults = find_catalog_faults(catalog)
    if catalog.modalities.get("SR"):
        tables = read_dose_reports(open_archive(site), images=False)
        rows, faults = use_dose_reports(rows, tables), pl.concat([faults, tables.faults])
    kept = keep_sample(faults.lazy(), site).collect()
    stated = rows.select(pl.all().count()).collect().row(0, named=True)
    return Acquisitions(rows, tuple(name for name in COLUMNS if not stated[name]), kept)


def _from_catalog(instances: pl.LazyFrame) -> pl.LazyFrame:
    times = ("acquisition_time", "content_time", "series_time")
    first = pl.coalesce(*times, "exam_time")
    device = ["exam_uid", "patient_id", "modality", "station", "device_serial"]
    lowest = ["manufacturer", "model", "body_part", "protocol", "sex", "software", "exam_time",
              "age_years"]  # fmt: skip
    dose = pl.col("ctdivol_mgy")
    derived = pl.col("modality").is_in(DERIVED).fill_null(value=False)
    # What is stated and is no age is judged as such, whatever the date of birth would make of it.
    no_age = pl.col("age").is_not_null() & read_age(pl.col("age")).is_null()
    rows = instances.filter(~derived).with_columns(
        exam_time=first,
        exam_end_time=pl.max_horizontal(times),
        age_years=pl.when(no_age).then(float("nan")).otherwise("age_years"),
        software="software_version",
    )
    # With modulation each image has a CTDIvol of its own: that of a series is their mean. One below
    # 0 is not averaged away: it is to be judged.
    for keys, found in (([*device, "series_uid"], dose.mean()), (device, dose.max())):
        rows = rows.group_by(keys).agg(
            pl.col(lowest).min(),
            pl.col("exam_end_time", "kvp_kv").max(),
            ctdivol_mgy=pl.when(dose.min() < 0).then(dose.min()).otherwise(found),
        )
    # One image says when it was made, not how long the exam took.
    took = pl.col("exam_end_time") > pl.col("exam_time")
    rows = rows.with_columns(
        exam_end_time=pl.when(took).then("exam_end_time"),
        **{name: pl.lit(None, COLUMNS[name]) for name in FROM_CATALOG},
    )
    return rows.select(pl.col(n).cast(t) for n, t in COLUMNS.items())
