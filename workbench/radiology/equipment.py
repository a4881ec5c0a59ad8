"""Equipment: how the devices of a service are used, one row a device and day, and one a device.

Use is the time in which at least one exam ran while the device was open, over the time it was
open. Beside it stands what others publish: all durations over the time from the first start to the
last end.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl

from workbench.errors import SiteError, show
from workbench.radiology.busy_time import HOURS, STRETCH, find_busy
from workbench.radiology.opening_hours import EPOCH, Calendar, Integers, read_register
from workbench.radiology.wall_clock import DAY, Change, find_changes, passed

CHANGEOVER_MIN = 30.0
"""Minutes between two exams up to which a gap is a changeover; a longer one is idle time."""
LONGEST_MIN = 720.0
"""Minutes of an exam from which on its end cannot be believed (assumed: a shift of 12 hours)."""
_UNKNOWN = -(2**40)
DAYS = pl.Schema(
    {
        "device": pl.String(),
        "date": pl.Date(),
        "exams": pl.Int64(),
        "overlaps": pl.Int64(),
        "outside": pl.Int64(),
        "open_min": pl.Float64(),
        "busy_min": pl.Float64(),
        "summed_min": pl.Float64(),
        "span_min": pl.Float64(),
        "delay_min": pl.Float64(),
        "idle_min": pl.Float64(),
        "gaps": pl.Int64(),
    }
)
"""Columns of `measure_days`: exams that start on the day; those that start before another has
ended; those that start while it is closed; minutes open; minutes open with an exam (the union);
minutes of all exams; minutes from the first start to the last end; minutes from opening to the
first start; minutes of idle gaps, and how many there are."""


@dataclass(frozen=True)
class Use:
    """Hold what was measured of the devices of a site.

    Parameters
    ----------
    days
        Columns of `DAYS`: each device on each day on which it was open or used.
    changeovers
        device, changeover_min: each gap of at most `CHANGEOVER_MIN` between two exams.
    hours
        device, month, weekday (1 is Monday), hour, open_min, use_percent: the week of each device,
        month by month.
    unclear
        Exams that were left out of the times, by rule.
    """

    days: pl.DataFrame
    changeovers: pl.DataFrame
    hours: pl.DataFrame
    unclear: dict[str, int]

    def devices(self) -> pl.DataFrame:
        """Return one row a device.

        Returns
        -------
        polars.DataFrame
            device; days (with exams), open_days, down_days (open, and no exam), exams,
            exams_per_day, exams_per_open_hour, use (1), first_to_last_use (1), idle_gaps_per_day,
            idle_min_per_day, first_start_delay_min (median), changeover_min (median), overlaps,
            outside.
        """
        used = pl.col("exams") > 0
        is_open = pl.col("open_min") > 0
        per_day = self.days.lazy().group_by("device").agg(
            days=used.sum().cast(pl.Int64),
            open_days=is_open.sum().cast(pl.Int64),
            down_days=(is_open & ~used).sum().cast(pl.Int64),
            exams=pl.col("exams").sum(),
            exams_per_day=pl.col("exams").sum() / used.sum(),
            exams_per_open_hour=(pl.col("exams") - pl.col("outside")).sum()
            / (pl.col("open_min").sum() / 60),
            use=pl.col("busy_min").sum() / pl.col("open_min").sum(),
            first_to_last_use=pl.col("summed_min").sum() / pl.col("span_min").sum(),
            idle_gaps_per_day=pl.col("gaps").sum() / used.sum(),
            idle_min_per_day=pl.col("idle_min").sum() / used.sum(),
            first_start_delay_min=pl.col("delay_min").median(),
            overlaps=pl.col("overlaps").sum(),
            outside=pl.col("outside").sum(),
        )  # fmt: skip
        gaps = self.changeovers.lazy().group_by("device").agg(
            changeover_min=pl.col("changeover_min").median()
        )  # fmt: skip
        made = per_day.join(gaps, on="device", how="left").with_columns(
            pl.when(pl.col(name).is_finite()).then(name)  # 0 / 0: closed, or without exams
            for name in ("exams_per_day", "exams_per_open_hour", "use", "first_to_last_use",
                         "idle_gaps_per_day", "idle_min_per_day")
        )  # fmt: skip
        return made.sort("device").collect()


def measure_use(
    exams: pl.LazyFrame,
    register: pl.LazyFrame,
    *,
    device: str = "station",
    period: tuple[dt.date, dt.date] | None = None,
    within: tuple[dt.date, dt.date] | None = None,
    zone: str | None = None,
) -> Use:
    """Measure how devices are used, day by day.

    Parameters
    ----------
    exams
        `device`, exam_time, exam_end_time: wall clock without a zone. One row an exam.
    register
        `device`, the columns of `opening_hours.HOURS`; installed_date and retired_date where they
        are known; time_zone unless `zone` is given. One row a device.
    device
        Name of the column that tells devices apart, the same in both.
    period
        First and last day, both included; by default those of the exams.
    within
        Days between which that period must lie: one clock that is years wrong would stretch it
        over years in which nothing was recorded.
    zone
        Time zone of all devices.

    Returns
    -------
    Use

    Raises
    ------
    SiteError
        If a column is missing, a device stands twice in the register, or there are times, and
        none of a device of the register.

    Notes
    -----
    Without times, or without devices, nothing is measured: every table is empty.
    An exam without an end counts, and takes no time; so does one that ends before it starts or
    takes longer than `LONGEST_MIN` (`unclear` says how many). One that runs over midnight counts
    on its first day, and takes time on both. A time that the wall clock skips is moved to the end
    of the gap; of one that stands twice, the first is taken, and for an end the first that is not
    before the start.

    Examples
    --------
    >>> at = lambda h, m: dt.datetime(2024, 3, 4, h, m)
    >>> exams = pl.LazyFrame({"station": ["CT1"] * 4,
    ...     "exam_time": [at(8, 30), at(8, 50), at(10, 0), at(19, 50)],
    ...     "exam_end_time": [at(9, 0), at(9, 20), at(10, 45), at(20, 10)]})
    >>> register = pl.LazyFrame({"station": ["CT1"], "weekday_open_min": [480],
    ...     "weekday_close_min": [1200], "saturday_open_min": [None], "saturday_close_min": [None],
    ...     "sunday_open_min": [None], "sunday_close_min": [None]})
    >>> use = measure_use(exams, register, zone="Europe/Moscow").devices()
    >>> use.select(pl.col("use", "first_to_last_use").round(4)).row(0)
    (0.1458, 0.1786)
    """
    devices = read_register(register, device, zone)
    rows = _Rows.read(exams, devices[device])
    if not len(devices) or not (len(rows.day) or _has_times(exams)):
        return _measure_nothing()
    if period is None:
        period = rows.period(within)
    first, last = ((day - EPOCH).days for day in period)
    calendar = Calendar.make(devices, first, last, zone)
    rows, unclear = rows.settle(calendar)
    return _measure(rows, calendar, devices[device], unclear)


def _has_times(exams: pl.LazyFrame) -> bool:
    return bool(exams.select(pl.col("exam_time").is_not_null().any()).collect().item())


def _measure_nothing() -> Use:
    gaps = {"device": pl.String(), "changeover_min": pl.Float64()}
    return Use(pl.DataFrame(schema=DAYS), pl.DataFrame(schema=gaps), pl.DataFrame(schema=HOURS), {})


@dataclass(frozen=True)
class _Rows:
    """Hold exams as integers: place of the device, day since 1970, seconds since midnight."""

    device: Integers
    day: Integers
    start: Integers
    length: Integers  # seconds; -1 where it is not known

    @classmethod
    def read(cls, exams: pl.LazyFrame, names: pl.Series) -> _Rows:
        schema = exams.collect_schema()
        column = str(names.name)
        for needed in (column, "exam_time", "exam_end_time"):
            if needed not in schema:
                raise SiteError(
                    f"The exams have no column {needed!r}",
                    where=", ".join(show(n) for n in list(schema)[:8]),
                    todo="Measure the use where devices and times are known",
                )
        known = pl.LazyFrame({column: names, "_place": np.arange(len(names))})
        start, end = (pl.col(c).cast(pl.Datetime("us")) for c in ("exam_time", "exam_end_time"))
        seconds = start.dt.epoch("s")
        table = (
            exams.select(
                pl.col(column).cast(pl.String),
                _day=seconds // DAY,
                _start=seconds % DAY,
                _length=(end.dt.epoch("s") - seconds).fill_null(_UNKNOWN),
            )
            .drop_nulls("_day")
            .join(known, on=column, how="inner")
            .collect()
        )
        return cls(*(table[c].cast(pl.Int64).to_numpy() for c in
                     ("_place", "_day", "_start", "_length")))  # fmt: skip

    def period(self, within: tuple[dt.date, dt.date] | None) -> tuple[dt.date, dt.date]:
        days = self.day
        if within is not None:
            first, last = ((day - EPOCH).days for day in within)
            days = days[(days >= first) & (days <= last)]
        if not len(self.day):
            raise SiteError(
                "No exam of a device of the register has a time",
                where="exams, register",
                todo="Compare how both name the devices",
            )
        if not len(days):  # an archive of other years: it is measured as it is
            days = self.day
        begun, ended = (EPOCH + dt.timedelta(int(day)) for day in (days.min(), days.max()))
        return begun, ended

    def settle(self, calendar: Calendar) -> tuple[_Rows, dict[str, int]]:
        """Return the exams of the period in seconds that have passed, and what is unclear."""
        inside = (self.day >= calendar.first) & (self.day <= calendar.last)
        device, day, start, length = (
            values[inside].copy() for values in (self.device, self.day, self.start, self.length)
        )
        stated = length > _UNKNOWN
        skipped = 0
        for zone, places in calendar.zones.items():
            ends = (EPOCH + dt.timedelta(d) for d in (calendar.first, calendar.last + 1))
            changes = find_changes(zone, *ends)
            near = [(c.date - EPOCH).days + n for c in changes for n in (-1, 0)]
            if not near:
                continue
            # Only exams near a change need a second look.
            some = np.flatnonzero(np.isin(day, near) & np.isin(device, places))
            if len(some):
                start[some], length[some], never = _settle(
                    day[some], start[some], np.where(stated, length, 0)[some], changes
                )
                skipped += never
        wrong, endless = stated & (length < 0), stated & (length > 60 * LONGEST_MIN)
        unclear = {
            "outside the period": int((~inside).sum()),
            "without an end": int((~stated).sum()),
            "ends before it starts": int(wrong.sum()),
            "takes longer than a shift": int(endless.sum()),
            "at a time that the clock skips": skipped,
        }
        length[~stated | wrong | endless] = -1
        return _Rows(device, day, start, length), unclear


def _settle(
    day: Integers, wall: Integers, length: Integers, changes: tuple[Change, ...]
) -> tuple[Integers, Integers, int]:
    """Return start and length in seconds that have passed, and how many times are skipped."""
    end_day = day + (wall + length) // DAY
    start, _, never = passed(day, wall, changes, EPOCH)
    end, twice, _ = passed(end_day, (wall + length) % DAY, changes, EPOCH)
    end += (end_day - day) * DAY
    for change in changes:
        at = (change.date - EPOCH).days
        end -= np.where((day <= at) & (at < end_day), change.seconds, 0)
        end += np.where(twice & (end_day == at) & (end < start), -change.seconds, 0)
    return start, end - start, int(never.sum())


def _measure(rows: _Rows, calendar: Calendar, names: pl.Series, unclear: dict[str, int]) -> Use:
    """Measure everything on one line of seconds: each device's day has its own stretch of it."""
    cells = len(names) * calendar.days
    cell = rows.device * calendar.days + (rows.day - calendar.first)
    order = np.argsort(cell * STRETCH + rows.start, kind="stable")
    cell, start, length = cell[order], rows.start[order], rows.length[order]

    exams = np.bincount(cell, minlength=cells)
    opens, closes = calendar.opens.ravel(), calendar.closes.ravel()
    outside = (start < opens[cell]) | (start >= closes[cell]) | (opens[cell] < 0)
    timed = length >= 0
    cell_t, start_t, length_t = cell[timed], start[timed], length[timed]
    base = cell_t * STRETCH
    begin, end = base + start_t, base + start_t + length_t
    reach = np.maximum.accumulate(end) if len(end) else end
    before = np.concatenate(([-1], reach[:-1]))
    same = np.concatenate(([False], cell_t[1:] == cell_t[:-1]))
    overlap = same & (begin < before)
    gap = np.where(same, begin - before, -1)

    segments = find_busy(cell_t, start_t, length_t, calendar)
    busy = segments.by_day(calendar)
    ends = np.zeros(cells, np.int64)
    np.maximum.at(ends, cell_t, start_t + length_t)
    starts = np.full(cells, 2**40)
    np.minimum.at(starts, cell, start)
    used = exams > 0
    idle = gap > 60 * CHANGEOVER_MIN
    delay = np.where(used & (opens > 0), np.maximum(starts - opens, 0), -1)
    summed = np.bincount(cell_t, length_t, cells)
    table = {
        "exams": exams,
        "overlaps": np.bincount(cell_t[overlap], minlength=cells),
        "outside": np.bincount(cell[outside], minlength=cells),
        "open_min": np.where(opens >= 0, closes - opens, 0) / 60,
        "busy_min": busy / 60,
        "summed_min": summed / 60,
        "span_min": np.where(ends > 0, ends - starts, 0) / 60,
        "delay_min": np.where(delay >= 0, delay / 60, np.nan),
        "idle_min": np.bincount(cell_t[idle], gap[idle], cells) / 60,
        "gaps": np.bincount(cell_t[idle], minlength=cells),
    }
    kept = np.flatnonzero(used | (opens >= 0) | (busy > 0))
    dates = (calendar.first + kept % calendar.days).astype(np.int32)
    days = pl.DataFrame(
        {
            "device": names.gather(kept // calendar.days).rename("device"),
            "date": pl.Series(dates).cast(pl.Date),
            **{name: values[kept] for name, values in table.items()},
        }
    ).with_columns(pl.col("delay_min").fill_nan(None))
    short = same & (gap >= 0) & ~idle
    changeovers = pl.DataFrame(
        {
            "device": names.gather(cell_t[short] // calendar.days),
            "changeover_min": gap[short] / 60,
        }
    )
    days = days.select(pl.col(n).cast(t) for n, t in DAYS.items())
    return Use(days, changeovers, segments.by_hour(calendar, names), unclear)
