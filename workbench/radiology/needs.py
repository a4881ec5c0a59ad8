"""Needs: how many devices and staff hours the exams of a year to come would take.

What a device does now, exams for each hour that it is open, is taken to stay as it is; only the
number of exams changes, and it is not known: every figure carries the interval of its forecast.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping

import numpy as np
import polars as pl

from workbench.errors import DefinitionError, SiteError, show
from workbench.radiology.equipment import Use
from workbench.statistics.forecasting import FEWEST, Forecast, forecast, working_days

PRESENT_WEEKS = 52
"""Weeks, back from the last day, that are taken for the present: each weekday counts alike."""
YEAR_DAYS = 365.25
LEVEL = 0.8
CAPACITY = pl.Schema(
    {
        "modality": pl.String(),
        "devices": pl.Float64(),
        "open_hours_a_year": pl.Float64(),
        "exams_a_year": pl.Float64(),
        "exams_per_open_hour": pl.Float64(),
        "room_min_per_exam": pl.Float64(),
        "use": pl.Float64(),
    }
)
"""Columns of `measure_capacity`."""


def measure_capacity(use: Use, register: pl.LazyFrame, *, device: str = "station") -> pl.DataFrame:
    """Return what the devices of each modality do now, in the last `PRESENT_WEEKS` weeks.

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
    polars.DataFrame
        modality; devices (one that was open in half of the weeks is half of one);
        open_hours_a_year (of one device); exams_a_year (of all); exams_per_open_hour;
        room_min_per_exam (minutes open with an exam, over exams); use (1). Of less than a week
        nothing is said.

    Notes
    -----
    Exams outside the opening hours count as exams, and their time does not: so `use` is
    `exams_per_open_hour` x `room_min_per_exam` / 60.
    """
    if use.days.is_empty():
        return pl.DataFrame(schema=CAPACITY)
    kinds = register.select(pl.col(device, "modality").cast(pl.String)).rename({device: "device"})
    first, last = use.days.select(pl.col("date").min(), last=pl.col("date").max()).row(0)
    weeks = min(PRESENT_WEEKS, ((last - first).days + 1) // 7)
    back = (pl.lit(last) - pl.col("date")).dt.total_days() // 7
    per_device = (
        use.days.lazy()
        .with_columns(week=back)
        .filter(pl.col("week") < weeks)
        .group_by("device")
        .agg(
            there=pl.col("week").filter(pl.col("open_min") > 0).n_unique() / max(weeks, 1),
            hours=pl.col("open_min").sum() / 60,
            busy=pl.col("busy_min").sum(),
            exams=pl.col("exams").sum(),
        )
        .filter(pl.col("hours") > 0)
        .join(kinds, on="device", how="left")
    )
    hours, exams = pl.col("hours").sum(), pl.col("exams").sum()
    a_year = YEAR_DAYS / (7 * max(weeks, 1))
    made = per_device.group_by("modality").agg(
        devices=pl.col("there").sum(),
        open_hours_a_year=hours * a_year / pl.col("there").sum(),
        exams_a_year=exams * a_year,
        exams_per_open_hour=exams / hours,
        room_min_per_exam=pl.when(exams > 0).then(pl.col("busy").sum() / exams),
        use=pl.col("busy").sum() / (60 * hours),
    )
    return made.select(pl.col(n).cast(t) for n, t in CAPACITY.items()).sort("modality").collect()


def forecast_exams(
    exams: pl.LazyFrame, until: dt.date, year: int, *, by: str = "modality", seed: int = 0
) -> dict[str, Forecast]:
    """Forecast the exams of each modality, month by month, to the end of a year.

    Parameters
    ----------
    exams
        `by` and month (its first day), one row an exam on a device.
    until
        The first day that is not known; its month is left out.
    year
        The last year to forecast.
    by
        The column to group by.
    seed
        Of the random numbers.

    Returns
    -------
    dict of Forecast
        By modality; a month without an exam is taken as not known, and a modality of which fewer
        than two years are known is left out. The months count by their working days.

    Raises
    ------
    DefinitionError
        If the year has ended.
    """
    end = np.datetime64(until, "M")
    months_ahead = int((np.datetime64(str(year), "M") + 12 - end).astype(int))
    if months_ahead < 1:
        raise DefinitionError(
            f"The year {show(year)} has ended",
            where=f"forecast from {end}",
            todo="Name a year to come",
        )
    counted = (
        exams.filter(pl.col("month") < until.replace(day=1))
        .group_by(pl.col(by).cast(pl.String), "month")
        .agg(exams=pl.len().cast(pl.Float64))
        .drop_nulls()
        .sort(by, "month")
        .collect(engine="streaming")
    )
    found = {}
    for (name,), rows in counted.partition_by(by, as_dict=True).items():
        months = rows["month"].to_numpy().astype("datetime64[M]")
        values = np.full(int((end - months[0]).astype(int)), np.nan)
        values[(months - months[0]).astype(int)] = rows["exams"].to_numpy()
        if len(rows) < FEWEST or months[-1] < end - 12:  # too short, or it has ended
            continue
        days = working_days(months[0], len(values) + months_ahead)
        try:
            ahead = forecast(values, months[0], months_ahead, exposure=days, seed=seed)
        except DefinitionError:  # a month of the year is never known
            continue
        found[str(name)] = ahead
    return found


def plan_capacity(
    capacity: pl.DataFrame,
    forecasts: Mapping[str, Forecast],
    year: int,
    *,
    level: float = LEVEL,
    use: float | None = None,
    staff_per_room: float = 1.0,
) -> pl.DataFrame:
    """Return the devices and staff hours that the exams of a year would take.

    Parameters
    ----------
    capacity
        What `measure_capacity` returned.
    forecasts
        The exams of each modality, as `forecast_exams` returns them.
    year
        The year to plan for.
    level
        Share of the futures that each interval holds.
    use
        Share of the opening hours to fill; by default every modality's present one.
    staff_per_room
        People in a room for each hour that it is open.

    Returns
    -------
    polars.DataFrame
        modality; for each of exams, open_hours, devices and staff_hours what it is now and, with
        `_ahead`, `_low` and `_high`, the median of the year and its interval. Devices that are
        needed are whole. Null where there is no forecast, no exam, or no room time to go by.

    Raises
    ------
    DefinitionError
        If a share is not above 0 and at most 1, or fewer people than none are in a room.

    Notes
    -----
    Open hours that are needed are exams over exams per open hour; at another use, exams times
    room minutes per exam over that use. Devices are these hours over those that one device is
    open a year, rounded up. What a device does is taken as known: the interval is that of the
    exams alone.

    Examples
    --------
    Two scanners, open 2,000 hours a year each, make 1.5 exams an hour, 6,000 a year. For 9,000
    exams 6,000 hours are needed, and three scanners; at a use of 60 % instead of 45 %, 4,500.

    >>> capacity = pl.DataFrame({"modality": ["CT"], "devices": [2.0],
    ...     "open_hours_a_year": [2000.0], "exams_a_year": [6000.0], "exams_per_open_hour": [1.5],
    ...     "room_min_per_exam": [18.0], "use": [0.45]})
    >>> months = np.arange("2025-01", "2026-01", dtype="datetime64[M]")
    >>> ahead = Forecast(months, np.full((10, 12), 750.0), np.zeros(0), months[0])
    >>> plan = plan_capacity(capacity, {"CT": ahead}, 2025)
    >>> plan.select("exams_ahead", "open_hours_ahead", "devices_ahead").row(0)
    (9000.0, 6000.0, 3)
    >>> plan_capacity(capacity, {"CT": ahead}, 2025, use=0.6)["open_hours_ahead"].item()
    4500.0
    """
    for share in (level, 1.0 if use is None else use):
        if not 0 < share <= 1:
            raise DefinitionError(
                f"{show(share)} is no share", where="level, use", todo="Write one above 0, up to 1"
            )
    if not (staff_per_room >= 0 and math.isfinite(staff_per_room)):
        raise DefinitionError(
            f"{show(staff_per_room)} people are in no room",
            where="staff_per_room",
            todo="Write how many people a room takes",
        )
    for name in CAPACITY:
        if name not in capacity.columns:
            raise SiteError(
                f"The capacity has no column {name!r}",
                where=", ".join(show(n) for n in capacity.columns[:8]),
                todo="Give what measure_capacity returned",
            )
    ends = {"ahead": 0.5, "low": (1 - level) / 2, "high": (1 + level) / 2}
    rows = []
    for one in capacity.select(list(CAPACITY)).iter_rows(named=True):
        per_hour = one["exams_per_open_hour"]
        if use is not None:
            room = one["room_min_per_exam"]
            per_hour = 60 * use / room if room else None
        hours_now = one["devices"] * one["open_hours_a_year"]
        row: dict[str, object] = {
            "modality": one["modality"],
            "exams": one["exams_a_year"],
            "open_hours": hours_now,
            "devices": one["devices"],
            "staff_hours": staff_per_room * hours_now,
        }
        if per_hour and one["modality"] in forecasts:
            total = forecasts[one["modality"]].year(year)
            for end, share in ends.items():
                exams = float(np.quantile(total, share))
                hours = exams / per_hour
                row |= {
                    f"exams_{end}": exams,
                    f"open_hours_{end}": hours,
                    f"devices_{end}": math.ceil(hours / one["open_hours_a_year"] - 1e-9),
                    f"staff_hours_{end}": staff_per_room * hours,
                }
        rows.append(row)
    kinds = {"modality": pl.String()} | {
        name: pl.Int64() if name.startswith("devices_") else pl.Float64()
        for what in ("exams", "open_hours", "devices", "staff_hours")
        for name in (what, *(f"{what}_{end}" for end in ends))
    }
    return pl.DataFrame(rows, kinds)
