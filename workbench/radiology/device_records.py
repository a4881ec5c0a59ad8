"""Device records: how devices are used, and which there are, in rows that `write_records` takes.

The rules of disclosure protect patients, and a device is none. So a device on a day, or in an hour
of the week in a month, is exam and patient at once: a cell is told of ten of them, be they of one
device or of ten. Only where devices themselves are counted does a device stand for the patient.
"""

from __future__ import annotations

import polars as pl

from workbench.radiology.equipment import Use

KINDS = {True: "digital", False: "film"}
"""Whether a device is digital -> its kind."""


def list_device_days(use: Use, register: pl.LazyFrame, *, device: str = "station") -> pl.LazyFrame:
    """Return the days on which each device was open.

    Parameters
    ----------
    use
        What `measure_use` returned.
    register
        `device` and modality, one row a device.
    device
        Name of the column that tells devices apart.

    Returns
    -------
    polars.LazyFrame
        exam_uid and patient_id (both are the device and the day), modality, date, use_percent.

    Examples
    --------
    >>> import datetime as dt
    >>> days = pl.DataFrame({"device": ["CT1"], "date": [dt.date(2024, 3, 4)], "open_min": [720.0],
    ...                      "busy_min": [180.0]})
    >>> use = Use(days, pl.DataFrame(), pl.DataFrame(), {})
    >>> register = pl.LazyFrame({"station": ["CT1"], "modality": ["CT"]})
    >>> rows = list_device_days(use, register).collect()
    >>> rows.select("patient_id", "modality", "use_percent").row(0)
    ('CT1 2024-03-04', 'CT', 25.0)
    """
    kinds = register.select(pl.col(device, "modality").cast(pl.String)).rename({device: "device"})
    rows = use.days.lazy().filter(pl.col("open_min") > 0).join(kinds, on="device", how="left")
    name = pl.format("{} {}", "device", "date")
    return rows.select(
        "modality",
        "date",
        exam_uid=name,
        patient_id=name,
        use_percent=100 * pl.col("busy_min") / pl.col("open_min"),
    )


def list_device_hours(use: Use, exams: pl.LazyFrame, fewest: int) -> pl.LazyFrame:
    """Return the hours of the week in which each device was open, month by month.

    Parameters
    ----------
    use
        What `measure_use` returned.
    exams
        patient_id, exam_time: the exams that it measured.
    fewest
        Fewest patients of an hour of the week: one in which fewer were examined, but somebody,
        is left out, as a mean of it would speak of them.

    Returns
    -------
    polars.LazyFrame
        exam_uid and patient_id (both are the device, the month and the hour of the week), month,
        weekday ("1" is Monday), hour ("0" to "23"), use_percent.
    """
    name = pl.format("{} {} {} {}", "device", "month", "weekday", "hour")
    time = pl.col("exam_time")
    few = (
        exams.group_by(
            weekday=time.dt.weekday().cast(pl.String), hour=time.dt.hour().cast(pl.String)
        )
        .agg(pl.col("patient_id").n_unique().alias("patients"))
        .filter(pl.col("patients") < fewest)
    )
    return (
        use.hours.lazy()
        .select(
            "month",
            pl.col("weekday", "hour").cast(pl.String),
            "use_percent",
            exam_uid=name,
            patient_id=name,
        )
        .join(few, on=["weekday", "hour"], how="anti")
    )


def list_devices(fleet: pl.LazyFrame, *, device: str = "station") -> pl.LazyFrame:
    """Return the devices of a fleet.

    Parameters
    ----------
    fleet
        What `open_fleet` returned.
    device
        Name of the column that tells devices apart.

    Returns
    -------
    polars.LazyFrame
        The rows of the fleet, with exam_uid and patient_id (both are the device), and device_kind
        ("digital" or "film"; null where it is not known).
    """
    named = pl.col(device).cast(pl.String)
    held: pl.Expr = pl.lit(None, pl.Boolean)
    if "digital" in fleet.collect_schema():
        held = pl.col("digital")
    kind = held.replace_strict(KINDS, return_dtype=pl.String, default=None)
    return fleet.with_columns(exam_uid=named, patient_id=named, device_kind=kind)
