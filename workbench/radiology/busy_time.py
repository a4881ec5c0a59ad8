"""Busy time: when at least one exam ran while a device was open, without overlaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.radiology.opening_hours import Calendar, Integers
from workbench.radiology.wall_clock import DAY

STRETCH = 4 * DAY
"""Seconds that each device's day takes on one line: a day, what runs over midnight, and room."""
HOUR = 3600
HOURS = pl.Schema(
    {
        "device": pl.String(),
        "month": pl.Date(),
        "weekday": pl.Int8(),
        "hour": pl.Int8(),
        "open_min": pl.Float64(),
        "use_percent": pl.Float64(),
    }
)
"""Columns of `Busy.by_hour`."""


@dataclass(frozen=True)
class Busy:
    """Hold times in which a device is open and has an exam; no two overlap.

    Parameters
    ----------
    cell : (n,) int64
        Place of the device times the days of the calendar, and the place of the day.
    begin, end : (n,) int64
        Seconds since midnight.
    """

    cell: Integers
    begin: Integers
    end: Integers

    def by_day(self, calendar: Calendar) -> NDArray[np.float64]:
        """Return the busy seconds of each device's day, (devices * days,)."""
        return np.bincount(self.cell, self.end - self.begin, calendar.opens.size).astype(np.float64)

    def by_hour(self, calendar: Calendar, names: pl.Series) -> pl.DataFrame:
        """Return how busy each device is in each hour of the week, month by month.

        Days on which clocks are changed are left out: their hours are not those of others.

        Returns
        -------
        polars.DataFrame
            device, month (its first day), weekday (1 is Monday), hour (0 to 23), open_min,
            use_percent; the hours in which the device is open at all.
        """
        normal = (calendar.length == DAY).ravel()
        dates = calendar.first + np.arange(calendar.days)
        months = dates.astype("datetime64[D]").astype("datetime64[M]")
        month = (months - months[0]).astype(np.int64)
        number = int(month[-1]) + 1
        week = 7 * 24
        first_hour = month * week + (dates + 3) % 7 * 24  # 1970-01-01 was a Thursday
        size = len(names) * number * week

        def add(cell: Integers, begin: Integers, end: Integers) -> NDArray[np.float64]:
            device, day = np.divmod(cell, calendar.days)
            first = device * number * week + first_hour[day]
            total = np.zeros(size)
            hour = begin // HOUR
            while len(hour):
                inside = np.minimum(end, (hour + 1) * HOUR) - np.maximum(begin, hour * HOUR)
                total += np.bincount(first + np.minimum(hour, 23), inside, size)
                more = (hour + 1) * HOUR < end
                first, begin, end, hour = first[more], begin[more], end[more], hour[more] + 1
            return total

        kept = normal[self.cell]
        busy = add(self.cell[kept], self.begin[kept], self.end[kept])
        opens, closes = calendar.opens.ravel(), calendar.closes.ravel()
        cells = np.flatnonzero(normal & (opens >= 0))
        opened = add(cells, opens[cells], closes[cells])
        place = np.flatnonzero(opened)
        starts = (months[0] + np.arange(number)).astype("datetime64[D]")
        return pl.DataFrame(
            {
                "device": names.gather(place // (number * week)).rename("device"),
                "month": pl.Series(starts[place // week % number]).cast(pl.Date),
                "weekday": (place % week // 24 + 1).astype(np.int8),
                "hour": (place % 24).astype(np.int8),
                "open_min": opened[place] / 60,
                "use_percent": 100 * busy[place] / opened[place],
            }
        )


def find_busy(cell: Integers, start: Integers, length: Integers, calendar: Calendar) -> Busy:
    """Return the times in which devices are open and have an exam.

    Parameters
    ----------
    cell, start, length : (n,) int64
        Device and day, seconds since midnight, and seconds of each exam.
    calendar
        When devices are open.
    """
    day_length = calendar.length.ravel()[cell]
    late = start + length > day_length
    if late.any():  # over midnight: another exam of the next day, but for the last day
        on = late & ((cell + 1) % calendar.days != 0)
        more = (start + length - day_length)[on]
        length = np.concatenate([np.minimum(length, day_length - start), more])
        start = np.concatenate([start, np.zeros_like(more)])
        cell = np.concatenate([cell, cell[on] + 1])
    opens, closes = calendar.opens.ravel()[cell], calendar.closes.ravel()[cell]
    begin, end = np.maximum(start, opens), np.minimum(start + length, closes)
    kept = (end > begin) & (opens >= 0)
    base = cell[kept] * STRETCH
    begin, end = base + begin[kept], base + end[kept]
    order = np.argsort(begin, kind="stable")
    begin, end = begin[order], end[order]
    reach = np.maximum.accumulate(end) if len(end) else end
    begin = np.maximum(begin, np.concatenate(([-1], reach[:-1]))[: len(end)])
    kept = end > begin
    begin, end = begin[kept], end[kept]
    cell = begin // STRETCH
    return Busy(cell, begin - cell * STRETCH, end - cell * STRETCH)
