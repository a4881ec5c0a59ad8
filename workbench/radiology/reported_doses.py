"""Reported doses: what the dose reports of an archive say of exams, beside what its images do.

Of an exam with a dose report the report is believed, and of one without what the headers of its
images state. An exam that has a report and no image is a row as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from workbench.catalog.duplicates import SAME
from workbench.dose_reports.image_header import KINDS
from workbench.dose_reports.tables import FAULTS, UNREADABLE

if TYPE_CHECKING:
    from workbench.catalog.catalog import Catalog
    from workbench.dose_reports.tables import DoseTables

DOSES = {
    "ct": ("ctdivol_mgy", "dlp_mgy_cm", "phantom_cm"),
    "projection": ("dap_gy_cm2", "dose_rp_mgy", "fluoro_time_s", "agd_mgy"),
}
"""Kind of irradiation -> the columns of acquisitions that its report fills."""
DUPLICATE_FILE = "duplicate_file"
"""Rule of a file that stands twice: nothing of its exam is lost."""
HARMLESS = ("not_dicom", "dicomdir", "link_out", "special_file", "empty", "not_given")
"""Reasons for which a file is no image and no report that something is wrong with."""
_COPY = SAME.format("")
_SAME = ("exam_uid", "patient_id", "station", "manufacturer", "model", "exam_time", "age_years",
         "sex")  # fmt: skip
_KIND, _ORDER = "kind of irradiation", "order of devices"
_KEY = ("exam_uid", "patient_id", _KIND)


def use_dose_reports(acquisitions: pl.LazyFrame, tables: DoseTables) -> pl.LazyFrame:
    """Return acquisitions with the doses of the exams' reports.

    CTDIvol and phantom are those of the scan with the highest DLP, or of the images where no scan
    states one; protocol is that of the first scan in this order that has one, DLP the total that
    `read_dose_reports` resolved, and of two breasts the higher dose is taken. They stand in one row
    of the exam, that of the device of their modality, the first by name: no dose counts twice.

    Parameters
    ----------
    acquisitions
        Columns of `acquisitions.COLUMNS`.
    tables
        What the reports say.

    Returns
    -------
    polars.LazyFrame
        The same columns. An exam without a report is as it was; an exam with a report and no row
        of its kind of irradiation has a further one.

    Examples
    --------
    >>> from workbench.dose_reports.tables import EVENTS, EXAMS, DoseTables
    >>> from workbench.radiology.acquisitions import COLUMNS
    >>> exams = pl.DataFrame([{"exam_uid": "1", "patient_id": "a", "modality": "CT",
    ...     "modalities": ["CT"], "dlp_total_mgy_cm": 300.0}], schema=EXAMS)
    >>> events = pl.DataFrame([{"exam_uid": "1", "modality": "CT", "ctdivol_mgy": 8.0,
    ...     "dlp_mgy_cm": 300.0, "protocol": "Thorax"}], schema=EVENTS)
    >>> tables = DoseTables(exams, events, *[pl.DataFrame()] * 3)
    >>> image = {"exam_uid": "1", "patient_id": "a", "modality": "CT", "ctdivol_mgy": 9.0}
    >>> rows = pl.LazyFrame([image], schema=COLUMNS)
    >>> told = use_dose_reports(rows, tables)
    >>> told.select("ctdivol_mgy", "dlp_mgy_cm", "protocol").collect().rows()
    [(8.0, 300.0, 'Thorax')]
    """
    told = _tell(tables).lazy()
    schema = acquisitions.collect_schema()
    kind = pl.col("modality").cast(pl.String).str.strip_chars().str.to_uppercase()
    rows = acquisitions.with_columns(
        kind.replace_strict(KINDS, default=None, return_dtype=pl.String).alias(_KIND)
    )
    others = rows.join(told, on=_KEY, how="anti")
    device = (pl.col(n).cast(pl.String).fill_null("") for n in ("modality", "station"))
    serial = pl.col("device_serial").cast(pl.String).fill_null("")
    both = rows.join(told, on=_KEY, how="inner", suffix=" told")
    # The device that the report is of goes before one that took part, then names decide.
    other = (pl.col("modality").cast(pl.String) != pl.col("modality told")).fill_null(value=True)
    place = pl.int_range(pl.len())
    own = both.with_columns(
        pl.concat_str(other.cast(pl.Int8), *device, serial, separator="\0").alias(_ORDER)
    ).with_columns(first=place == place.sort_by(_ORDER).first().over(_KEY))
    taken: dict[str, pl.Expr] = {
        name: pl.when(pl.col(_KIND) != kind).then(name).when("first").then(f"{name} told")
        for kind, names in DOSES.items()
        for name in names
    }
    silent = pl.col("ctdivol_mgy told").is_null() & (pl.col(_KIND) == "ct")
    for name in ("ctdivol_mgy", "phantom_cm"):  # a report of a total alone says nothing of them
        taken[name] = pl.when(silent).then(name).otherwise(taken[name])
    named = pl.coalesce("protocol told", pl.col("protocol").cast(pl.String))
    own = own.with_columns(**taken, protocol=named)
    new = told.join(rows.select(_KEY), on=_KEY, how="anti").with_columns(
        pl.lit(None, schema[n]).alias(n) for n in schema if n not in told.collect_schema()
    )
    alike = [pl.col(name).cast(kind) for name, kind in schema.items()]
    return pl.concat([some.select(alike) for some in (others, own, new)])


def find_catalog_faults(catalog: Catalog) -> pl.DataFrame:
    """Return the exams of which a file stands twice, and the files that cannot be used.

    Parameters
    ----------
    catalog
        The catalog of a scan.

    Returns
    -------
    polars.DataFrame
        Columns of `FAULTS`; exam and patient are null where they are not known.
    """
    wrong = catalog.refused().filter(~pl.col("reason").is_in(HARMLESS))
    # Of files of one UID and other content none stays: nobody knows which of them is right.
    copy = (pl.col("reason") == "duplicate") & pl.col("detail").str.starts_with(_COPY)
    copies = wrong.filter(copy).select(path=pl.col("detail").str.strip_prefix(_COPY))
    known = catalog.instances().select("path", "exam_uid", "patient_id")
    repeated = copies.join(known, on="path", how="left").select(
        "exam_uid", "patient_id", rule=pl.lit(DUPLICATE_FILE)
    )
    nobody = {name: pl.lit(None, FAULTS[name]) for name in ("exam_uid", "patient_id")}
    damaged = wrong.filter(~copy).with_columns(**nobody, rule=pl.lit(UNREADABLE))
    damaged = damaged.select(FAULTS.names())
    found = pl.concat([repeated, damaged]).collect()
    named = pl.col("exam_uid").is_not_null()
    return pl.concat([found.filter(named).unique(maintain_order=True), found.filter(~named)])


def _tell(tables: DoseTables) -> pl.DataFrame:
    """Return what reports say, one row for each exam and kind of irradiation."""
    exams = tables.exams
    scans = tables.events.filter(
        (pl.col("modality") == "CT")
        & ~pl.all_horizontal(pl.col("dlp_mgy_cm", "ctdivol_mgy").is_null())
    )
    main = (
        scans.sort("dlp_mgy_cm", "ctdivol_mgy", descending=True, nulls_last=True)
        .group_by("exam_uid", maintain_order=True)
        .agg(pl.col("ctdivol_mgy", "phantom_cm").first(), pl.col("protocol").drop_nulls().first())
    )
    wide = exams.join(main, on="exam_uid", how="left").with_columns(
        dlp_mgy_cm="dlp_total_mgy_cm",
        dap_gy_cm2="dap_total_gy_cm2",
        dose_rp_mgy="dose_rp_total_mgy",
        agd_mgy=pl.max_horizontal("agd_left_mgy", "agd_right_mgy"),
    )
    told = []
    for kind, names in DOSES.items():
        of_kind = [modality for modality, its in KINDS.items() if its == kind]
        inside = pl.col("modalities").list.eval(pl.element().filter(pl.element().is_in(of_kind)))
        some = wide.with_columns(inside.list.first().alias("modality")).drop_nulls("modality")
        protocol = pl.col("protocol") if kind == "ct" else pl.lit(None, pl.String)
        told.append(
            some.select(
                *_SAME, "modality", *names, protocol.alias("protocol"), pl.lit(kind).alias(_KIND)
            )
        )
    columns = [name for names in DOSES.values() for name in names]
    empty = pl.DataFrame(schema=dict.fromkeys(columns, pl.Float64()))
    return pl.concat([empty, *told], how="diagonal_relaxed")
