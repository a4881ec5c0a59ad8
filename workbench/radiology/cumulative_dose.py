"""Cumulative dose: what the exams of one patient add up to, over all time or a window of it."""

from __future__ import annotations

from datetime import date, datetime

import polars as pl

from workbench.errors import DefinitionError, suggest

QUANTITIES = (
    "dlp_total_mgy_cm",
    "dap_total_gy_cm2",
    "dose_rp_total_mgy",
    "fluoro_time_s",
    "agd_left_mgy",
    "agd_right_mgy",
    "activity_total_mbq",
    "effective_dose_msv",
)
"""Columns of exams that may be added up; `effective_dose_msv` where it was joined to them."""


def cumulative_dose(
    exams: pl.DataFrame,
    *,
    since: date | datetime | None = None,
    until: date | datetime | None = None,
) -> pl.DataFrame:
    """Return what the exams of each patient add up to from one day to another.

    A sum of DLP or of dose at the reference point over different parts of the body is a sign that
    somebody should look, no dose of an organ.

    Parameters
    ----------
    exams
        Exams of `DoseTables`; other columns of `QUANTITIES` are added up too.
    since, until
        The first moment that counts, and the first that does not; all without. With a window an
        exam without a time is left out, for it cannot be said to be inside.

    Returns
    -------
    polars.DataFrame
        patient_id, n_exams, first, last, each quantity (null if no exam states it),
        `<quantity>_missing` (exams that do not state it) and exam_uids, sorted by patient.

    Examples
    --------
    >>> exams = pl.DataFrame({"patient_id": ["p", "p"], "exam_uid": ["1", "2"],
    ...     "exam_time": [datetime(2024, 1, 1), datetime(2024, 6, 1)],
    ...     "dlp_total_mgy_cm": [100.0, 250.0]})
    >>> cumulative_dose(exams, since=date(2024, 3, 1))["dlp_total_mgy_cm"].to_list()
    [250.0]
    """
    rows = exams.filter(pl.col("patient_id").is_not_null())
    time = pl.col("exam_time")
    if since is not None:
        rows = rows.filter(time >= since)
    if until is not None:
        rows = rows.filter(time < until)
    held = [name for name in QUANTITIES if name in exams.columns]
    sums = [
        pl.when(pl.col(n).is_not_null().any()).then(pl.col(n).sum()).alias(n) for n in held
    ]  # of nothing there is no sum, not even 0
    return (
        rows.sort("exam_time", "exam_uid")
        .group_by("patient_id")
        .agg(
            pl.len().cast(pl.Int64).alias("n_exams"),
            time.min().alias("first"),
            time.max().alias("last"),
            *sums,
            *(pl.col(n).null_count().cast(pl.Int64).alias(f"{n}_missing") for n in held),
            pl.col("exam_uid").alias("exam_uids"),
        )
        .sort("patient_id")
    )


def trailing_dose(exams: pl.DataFrame, quantity: str, days: int) -> pl.DataFrame:
    """Return at each exam what its patient's exams of the days before and it add up to.

    Parameters
    ----------
    exams
        Exams of `DoseTables`; those without patient, time or the quantity are left out.
    quantity
        One of `QUANTITIES`.
    days
        Length of the window; an exam that many days ago, to the second, is outside.

    Returns
    -------
    polars.DataFrame
        patient_id, exam_uid, exam_time, value (of the exam), total (of the window) and exam_uids,
        sorted by patient and time.

    Raises
    ------
    DefinitionError
        If exams have no such quantity, or the window has no length.
    """
    if quantity not in QUANTITIES or quantity not in exams.columns:
        raise DefinitionError(
            "Exams have no such quantity",
            where=quantity,
            todo=suggest(quantity, [q for q in QUANTITIES if q in exams.columns]),
        )
    if days < 1:
        raise DefinitionError("A window has no length", where="days", todo="Give 1 day or more")
    rows = exams.select("patient_id", "exam_uid", "exam_time", value=quantity).drop_nulls()
    rows = rows.sort("patient_id", "exam_time", "exam_uid")
    windows = rows.rolling("exam_time", period=f"{days}d", group_by="patient_id").agg(
        pl.col("value").sum().alias("total"), pl.col("exam_uid").alias("exam_uids")
    )
    # Exams at the same time have the same window.
    windows = windows.unique(["patient_id", "exam_time"])
    return rows.join(windows, on=["patient_id", "exam_time"], maintain_order="left")
