"""Equipment faults: devices whose records say that something is wrong, each with its evidence."""

from __future__ import annotations

import polars as pl

from workbench.errors import SiteError, show
from workbench.radiology.equipment import Use

LEAST_DAYS = 14
"""Days without an exam from which on they are told as a down time."""
LEAST_EXPECTED = 20.0
"""Exams that were to be expected in these days: by chance none comes once in 500 million times."""
LEAST_OFFSET_MIN = 5.0
"""Minutes by which a clock must be wrong to be told."""
LEAST_EXAMS = 10
LEAST_DEVICES = 3
"""Of two clocks that differ nobody can tell which is wrong; of three, two agree."""
ERRORS = 6.0
"""Standard errors that the offset of a clock must be away from that of the other devices."""
REFERENCES = {"acquired_time": ("exam_end_time", 0.5), "arrival_time": ("exam_time", 0.05)}
"""Time of the RIS -> time of the device to hold against it, and the quantile of their differences.

The end of an exam follows the device's by a habit of the staff, so the median tells. A patient may
wait for any time after the arrival, but never starts before it, so the early end tells."""


def find_down_times(
    use: Use, *, least_days: int = LEAST_DAYS, least_expected: float = LEAST_EXPECTED
) -> pl.DataFrame:
    """Return the times in which a device was open and had no exam, though many were to be expected.

    Parameters
    ----------
    use
        What `measure_use` returned.
    least_days
        Days from the first to the last day without an exam; days on which it is closed count.
    least_expected
        Exams that the device has on so many open days otherwise.

    Returns
    -------
    polars.DataFrame
        device, first_date, last_date, days, open_days, expected_exams; the longest first.

    Examples
    --------
    >>> import datetime as dt
    >>> from workbench.radiology.equipment import DAYS
    >>> dates = [dt.date(2024, 1, 1) + dt.timedelta(d) for d in range(60)]
    >>> exams = [10] * 20 + [0] * 30 + [10] * 10
    >>> days = pl.DataFrame({"device": "CT1", "date": dates, "exams": exams, "open_min": 720.0})
    >>> use = Use(days, pl.DataFrame(), pl.DataFrame(), {})
    >>> find_down_times(use).select("first_date", "days", "expected_exams").row(0)
    (datetime.date(2024, 1, 21), 30, 300.0)
    """
    used = pl.col("exams") > 0
    is_open = pl.col("open_min") > 0
    days = use.days.lazy().sort("device", "date").with_columns(
        run=(used != used.shift()).fill_null(value=True).cum_sum().over("device"),
        all_exams=pl.when(is_open).then("exams").sum().over("device"),
        all_open=is_open.sum().over("device"),
    )  # fmt: skip
    runs = days.filter(~used & is_open).group_by("device", "run").agg(
        first_date=pl.col("date").min(),
        last_date=pl.col("date").max(),
        open_days=pl.len().cast(pl.Int64),
        rate=pl.col("all_exams").first() / (pl.col("all_open").first() - pl.len()),
    )  # fmt: skip
    return (
        runs.with_columns(
            days=(pl.col("last_date") - pl.col("first_date")).dt.total_days() + 1,
            expected_exams=pl.col("rate") * pl.col("open_days"),
        )
        .filter(
            (pl.col("days") >= least_days)
            & (pl.col("expected_exams") >= least_expected)
            & pl.col("expected_exams").is_finite()
        )
        .sort("days", "device", descending=[True, False])
        .select("device", "first_date", "last_date", "days", "open_days", "expected_exams")
        .collect()
    )


def find_clock_offsets(
    exams: pl.LazyFrame,
    reports: pl.LazyFrame,
    *,
    device: str = "station",
    least_min: float = LEAST_OFFSET_MIN,
) -> pl.DataFrame:
    """Return the devices whose clock differs from that of the RIS.

    The habits of a modality (how long patients wait, how soon an exam is closed) are the median
    over its devices, and are taken off; those of a modality with fewer than `LEAST_DEVICES` are
    the median over all devices. With fewer devices in all, nothing is told.

    Parameters
    ----------
    exams
        exam_uid, modality, `device`, exam_time, exam_end_time: by the clock of the device.
    reports
        exam_uid, and acquired_time or arrival_time: by the clock of the RIS.
    device
        Name of the column that tells devices apart.
    least_min
        Smaller offsets are not told, minutes.

    Returns
    -------
    polars.DataFrame
        device, modality, offset_min (above 0 where the device's clock is fast), error_min,
        exams; the largest first.

    Raises
    ------
    SiteError
        If the reports have neither time.
    """
    schema = reports.collect_schema()
    reference = next((name for name in REFERENCES if name in schema), None)
    if reference is None:
        raise SiteError(
            "The reports hold no time of the RIS",
            where=", ".join(show(n) for n in list(schema)[:8]),
            todo=f"Give {' or '.join(REFERENCES)}",
        )
    own, quantile = REFERENCES[reference]
    difference = (pl.col(own) - pl.col(reference)).dt.total_seconds() / 60
    joined = exams.select("exam_uid", "modality", device, own).join(
        reports.select("exam_uid", reference), on="exam_uid"
    )
    # The error of a quantile: half the way between those two errors of its rank away (Conover).
    rank = (quantile * (1 - quantile) / pl.len()).sqrt()
    values = pl.col("difference")
    per_device = (
        joined.select("modality", pl.col(device).alias("device"), difference=difference)
        .drop_nulls()
        .group_by("device", "modality")
        .agg(
            found=values.quantile(quantile, "linear"),
            low=values.quantile((quantile - rank).clip(0, 1), "linear"),
            high=values.quantile((quantile + rank).clip(0, 1), "linear"),
            exams=pl.len().cast(pl.Int64),
        )
        .filter(pl.col("exams") >= LEAST_EXAMS)
    )
    found = pl.col("found")
    of_modality = pl.when(pl.len() >= LEAST_DEVICES).then(found.median()).over("modality")
    of_all = pl.when(pl.len() >= LEAST_DEVICES).then(found.median())
    offset = found - pl.coalesce(of_modality, of_all)
    return (
        per_device.with_columns(
            offset_min=offset,
            error_min=((pl.col("high") - pl.col("low")) / 2).clip(1 / 60),
        )
        .filter(
            (pl.col("offset_min").abs() >= least_min)
            & (pl.col("offset_min").abs() >= ERRORS * pl.col("error_min"))
        )
        .sort(pl.col("offset_min").abs(), "device", descending=[True, False])
        .select("device", "modality", "offset_min", "error_min", "exams")
        .collect()
    )


def find_shared_serials(register: pl.LazyFrame, *, device: str = "station") -> pl.DataFrame:
    """Return the serial numbers that several devices have.

    Parameters
    ----------
    register
        device_serial and `device`: the register of devices, or exams.

    Returns
    -------
    polars.DataFrame
        device_serial, devices (list of text).

    Examples
    --------
    >>> register = pl.LazyFrame({"device_serial": ["7", "8", "7"], "station": ["A", "B", "C"]})
    >>> find_shared_serials(register).rows()
    [('7', ['A', 'C'])]
    """
    found = register.select("device_serial", pl.col(device).alias("devices")).drop_nulls().unique()
    return (
        found.group_by(pl.col("device_serial").cast(pl.String))
        .agg(pl.col("devices").cast(pl.String).sort())
        .filter(pl.col("devices").list.len() > 1)
        .sort("device_serial")
        .collect()
    )


def find_overlaps(use: Use, *, least_share: float = 0.01) -> pl.DataFrame:
    """Return the devices that run two exams at once, oftener than a share of all.

    Parameters
    ----------
    use
        What `measure_use` returned.
    least_share
        Overlapping exams over all exams.

    Returns
    -------
    polars.DataFrame
        device, overlaps, exams, share; the largest share first.
    """
    share = pl.col("overlaps") / pl.col("exams")
    return (
        use.days.lazy()
        .group_by("device")
        .agg(pl.col("overlaps").sum(), pl.col("exams").sum())
        .with_columns(share=share)
        .filter((pl.col("overlaps") > 0) & (pl.col("share") >= least_share))
        .sort("share", "device", descending=[True, False])
        .collect()
    )
