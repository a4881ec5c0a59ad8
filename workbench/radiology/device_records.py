"""Device records: what is known of devices, in rows that `write_records` takes.

A device stands for the patient, and a device on a day, or in an hour of the week, for the exam: so
the rules of disclosure protect devices as they protect patients.
"""

from __future__ import annotations

import polars as pl

from workbench.radiology.equipment import Use


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
        exam_uid (device and day), patient_id (device), modality, date, use_percent.

    Examples
    --------
    >>> import datetime as dt
    >>> days = pl.DataFrame({"device": ["CT1"], "date": [dt.date(2024, 3, 4)], "open_min": [720.0],
    ...                      "busy_min": [180.0]})
    >>> use = Use(days, pl.DataFrame(), pl.DataFrame(), {})
    >>> register = pl.LazyFrame({"station": ["CT1"], "modality": ["CT"]})
    >>> rows = list_device_days(use, register).collect()
    >>> rows.select("exam_uid", "modality", "use_percent").row(0)
    ('CT1 2024-03-04', 'CT', 25.0)
    """
    kinds = register.select(pl.col(device, "modality").cast(pl.String)).rename({device: "device"})
    return (
        use.days.lazy()
        .filter(pl.col("open_min") > 0)
        .join(kinds, on="device", how="left")
        .select(
            "modality",
            "date",
            exam_uid=pl.format("{} {}", "device", "date"),
            patient_id="device",
            use_percent=100 * pl.col("busy_min") / pl.col("open_min"),
        )
    )


def list_device_hours(use: Use) -> pl.LazyFrame:
    """Return the hours of the week in which each device is open.

    Parameters
    ----------
    use
        What `measure_use` returned.

    Returns
    -------
    polars.LazyFrame
        exam_uid (device and hour), patient_id (device), weekday (1 is Monday), hour, as text;
        use_percent.
    """
    return use.hours.lazy().select(
        pl.col("weekday", "hour").cast(pl.String),
        "use_percent",
        exam_uid=pl.format("{} {} {}", "device", "weekday", "hour"),
        patient_id="device",
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
        The rows of the fleet, with exam_uid and patient_id: both are the device.
    """
    named = pl.col(device).cast(pl.String)
    return fleet.with_columns(exam_uid=named, patient_id=named)
