"""Dose alerts: exams and patients that somebody should look at, each with what it rests on."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from workbench.dose_reports.resource_table import read_resource_table
from workbench.errors import DefinitionError, suggest
from workbench.radiology.cumulative_dose import trailing_dose

ALERTS = {
    "above_reference_level": "an exam above the diagnostic reference level of its kind",
    "patient_total": "exams of one patient that add up to a level within some days",
    "dose_check_alert": "a scan that passed the value at which the scanner warns (XR 25)",
    "dose_check_notification": "a scan that passed the value at which the scanner tells (XR 25)",
}
"""Code -> sentence. A reference level judges the practice of a room, not one patient's exam."""
SCHEMA = pl.Schema(
    {
        "alert": pl.String(),
        "patient_id": pl.String(),
        "exam_uid": pl.String(),
        "quantity": pl.String(),
        "value": pl.Float64(),
        "level": pl.Float64(),
        "days": pl.Int64(),
        "exam_uids": pl.List(pl.String),
        "event_uids": pl.List(pl.String),
    }
)
"""Columns of alerts: what was found, at which exam, and the exams and events it rests on."""
_CHECKS = (
    ("dose_check_alert", "dlp_mgy_cm", "dlp_forward_mgy_cm", "dlp_alert_mgy_cm", True),
    ("dose_check_alert", "ctdivol_mgy", "ctdivol_forward_mgy", "ctdivol_alert_mgy", True),
    ("dose_check_notification", "dlp_mgy_cm", "", "dlp_notification_mgy_cm", False),
    ("dose_check_notification", "ctdivol_mgy", "", "ctdivol_notification_mgy", False),
)


def patient_levels() -> pl.DataFrame:
    """Return the levels that ship with the workbench: quantity, level and days."""
    rows = read_resource_table("dose_alert_levels")
    return rows.select("quantity", pl.col("level").cast(pl.Float64), pl.col("days").cast(pl.Int64))


def find_above_reference(
    exams: pl.DataFrame, levels: pl.DataFrame, by: Sequence[str]
) -> pl.DataFrame:
    """Return exams above the reference level of their kind.

    Parameters
    ----------
    exams
        Exams of `DoseTables`, with the columns `by`.
    levels
        Columns `by`, quantity (a column of exams) and level, in its unit.
    by
        Columns that tell one kind of exam from another, as an indication and an age band.

    Returns
    -------
    polars.DataFrame
        The columns of `SCHEMA`.

    Raises
    ------
    DefinitionError
        If exams or levels lack a column.

    Examples
    --------
    >>> exams = pl.DataFrame({"exam_uid": ["1", "2"], "patient_id": ["p", "q"],
    ...     "indication": ["CTPA", "CTPA"], "dlp_total_mgy_cm": [300.0, 412.0]})
    >>> levels = pl.DataFrame(
    ...     {"indication": "CTPA", "quantity": "dlp_total_mgy_cm", "level": 310.0})
    >>> find_above_reference(exams, levels, ["indication"]).select("exam_uid", "value").row(0)
    ('2', 412.0)
    """
    _require(levels, [*by, "quantity", "level"], "levels")
    found = []
    for (quantity,), rows in levels.partition_by("quantity", as_dict=True).items():
        _require(exams, [*by, str(quantity)], "exams")
        told = rows.select(*by, pl.col("level").cast(pl.Float64))
        above = exams.join(told, on=list(by)).filter(pl.col(str(quantity)) > pl.col("level"))
        found.append(
            above.select(
                *("patient_id", "exam_uid", "level"),
                alert=pl.lit("above_reference_level"),
                quantity=pl.lit(str(quantity)),
                value=pl.col(str(quantity)),
                exam_uids=pl.concat_list("exam_uid"),
            )
        )
    return _finish(found)


def find_patient_totals(exams: pl.DataFrame, levels: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return the exams at which what a patient's exams add up to passes a level.

    One alert is raised where the level is passed, none at each exam after it while it is.

    Source: of the levels that ship (`patient_levels`) NCRP Report 168 (2010), for the skin, and
    the joint position statement of the IAEA (2021), for the effective dose.

    Parameters
    ----------
    exams
        Exams of `DoseTables`, or any table with patient_id, exam_uid, exam_time and quantities.
    levels
        Columns quantity, level and days; by default those that ship, of quantities of the exams.

    Returns
    -------
    polars.DataFrame
        The columns of `SCHEMA`; `value` is the sum, `exam_uids` are the exams of the window.
    """
    if levels is None:
        shipped = patient_levels()
        held = shipped.filter(pl.col("quantity").is_in(exams.columns))
        levels = held if len(held) else shipped
    _require(levels, ["quantity", "level", "days"], "levels")
    found = []
    for quantity, level, days in levels.select("quantity", "level", "days").rows():
        totals = (
            trailing_dose(exams, quantity, days)
            .group_by("patient_id", "exam_time", maintain_order=True)
            .agg(pl.col("value").sum(), pl.col("exam_uid", "total", "exam_uids").last())
        )
        passed = (pl.col("total") >= level) & (pl.col("total") - pl.col("value") < level)
        found.append(
            totals.filter(passed).select(
                *("patient_id", "exam_uid", "exam_uids"),
                alert=pl.lit("patient_total"),
                quantity=pl.lit(quantity),
                value=pl.col("total"),
                level=pl.lit(level, pl.Float64),
                days=pl.lit(days, pl.Int64),
            )
        )
    return _finish(found)


def find_dose_checks(events: pl.DataFrame, exams: pl.DataFrame) -> pl.DataFrame:
    """Return scans that passed the values at which the scanner was set to warn or to tell.

    An alert value holds for all scans of an exam at one place of the table: it is compared with
    the estimate that the scanner accumulated before the scan, or without one with the scan. A
    notification value holds for one scan.

    Source: NEMA XR 25 (Dose Check); DICOM PS3.16, TID 10015.

    Parameters
    ----------
    events, exams
        Of `DoseTables`.

    Returns
    -------
    polars.DataFrame
        The columns of `SCHEMA`, one row an exam, kind and quantity: the highest value, and all
        events that passed.
    """
    rows = events.join(exams.select("exam_uid", "patient_id"), on="exam_uid", how="left")
    found = []
    for alert, column, forward, level, accumulated in _CHECKS:
        value = pl.max_horizontal(column, forward) if accumulated else pl.col(column)
        passed = rows.with_columns(value=value, level=pl.col(level)).filter(
            pl.col("value") > pl.col("level")
        )
        found.append(
            passed.group_by("exam_uid")
            .agg(
                pl.col("patient_id").first(),
                pl.col("value").max(),
                pl.col("level").min(),
                pl.col("event_uid").drop_nulls().alias("event_uids"),
            )
            .with_columns(
                alert=pl.lit(alert), quantity=pl.lit(column), exam_uids=pl.concat_list("exam_uid")
            )
        )
    return _finish(found)


def _finish(found: Sequence[pl.DataFrame]) -> pl.DataFrame:
    empty = pl.DataFrame(schema=SCHEMA)
    rows = pl.concat([empty, *found], how="diagonal_relaxed").select(SCHEMA.names())
    return rows.cast(SCHEMA).sort("alert", "quantity", "patient_id", "exam_uid")


def _require(table: pl.DataFrame, columns: Sequence[str], name: str) -> None:
    for column in columns:
        if column not in table.columns:
            raise DefinitionError(
                f"The table of {name} lacks a column",
                where=column,
                todo=suggest(column, table.columns),
            )
