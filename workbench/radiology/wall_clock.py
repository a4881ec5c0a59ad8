"""Wall clock: seconds that have passed since midnight, on days when clocks are changed too.

A device writes the time of its wall clock, without a zone. On the day of a change an hour of it
is missing, or stands twice; a duration taken from the wall clock would be an hour wrong.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from workbench.errors import SiteError, show

DAY = 86_400
"""Seconds of a day without a change."""
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Change:
    """Say how clocks are changed on one day.

    Parameters
    ----------
    date
        The day.
    start
        Wall clock in seconds since midnight at which they are changed.
    seconds
        By how much they are put forward; negative for back.
    """

    date: dt.date
    start: int
    seconds: int


def find_changes(zone: str, first: dt.date, last: dt.date) -> tuple[Change, ...]:
    """Return the days between two, both included, on which the clocks of a zone are changed.

    Parameters
    ----------
    zone
        Name of the zone, as "Europe/Moscow" (IANA Time Zone Database).
    first, last
        The days.

    Raises
    ------
    SiteError
        If there is no such zone.

    Examples
    --------
    >>> find_changes("Europe/Berlin", dt.date(2023, 1, 1), dt.date(2023, 12, 31))[0]
    Change(date=datetime.date(2023, 3, 26), start=7200, seconds=3600)
    >>> find_changes("Europe/Moscow", dt.date(2020, 1, 1), dt.date(2023, 12, 31))
    ()
    """
    try:
        place = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SiteError(
            "There is no time zone of such a name",
            where=f"time_zone, {show(zone)!r}",
            todo="Write a name of the IANA database, as Europe/Moscow",
        ) from None
    found = []
    for number in range((last - first).days + 1):
        date = first + dt.timedelta(number)
        length = _midnight(date + dt.timedelta(1), place) - _midnight(date, place)
        if length != DAY:
            found.append(Change(date, _start_of_change(date, place), DAY - length))
    return tuple(found)


def _midnight(date: dt.date, place: ZoneInfo) -> int:
    return int(dt.datetime.combine(date, dt.time(), place).timestamp())


def _start_of_change(date: dt.date, place: ZoneInfo) -> int:
    """Return the wall clock at which the offset changes, found by halving."""
    midnight = _midnight(date, place)

    def wall(passed: int) -> int:
        moment = dt.datetime.fromtimestamp(midnight + passed, place)
        return (moment.date() - date).days * DAY + moment.hour * 3600 + moment.minute * 60

    if wall(0):
        return 0  # midnight itself is skipped
    low, high = 0, 2 * DAY // 60  # minutes that have passed
    while high - low > 1:
        middle = (low + high) // 2
        if wall(60 * middle) == 60 * middle:
            low = middle
        else:
            high = middle
    return 60 * high


def passed(
    day: Integers, wall: Integers, changes: tuple[Change, ...], epoch: dt.date
) -> tuple[Integers, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the seconds that have passed since midnight at a time of the wall clock.

    Parameters
    ----------
    day : (n,) int64
        Days since `epoch`.
    wall : (n,) int64
        Wall clock in seconds since midnight.
    changes
        What `find_changes` found.
    epoch
        The day that counts as 0.

    Returns
    -------
    seconds : (n,) int64
        Of a time that stands twice, the first.
    twice : (n,) bool
        Where it stands twice: the other is later by the length of the change.
    never : (n,) bool
        Where there is no such time.

    Examples
    --------
    >>> back = find_changes("Europe/Berlin", dt.date(2023, 10, 29), dt.date(2023, 10, 29))
    >>> seconds, twice, _ = passed(np.zeros(3, int), np.array([3600, 9000, 14_400]), back,
    ...                            dt.date(2023, 10, 29))
    >>> seconds.tolist(), twice.tolist()
    ([3600, 9000, 18000], [False, True, False])
    """
    seconds = wall.copy()
    twice, never = np.zeros((2, len(wall)), bool)
    for change in changes:
        there = day == (change.date - epoch).days
        if not there.any():
            continue
        if change.seconds > 0:
            gone = there & (wall >= change.start) & (wall < change.start + change.seconds)
            never |= gone
            seconds[there & (wall >= change.start)] -= change.seconds
            seconds[gone] = change.start
        else:
            # Put back at `start`: the time before it, as long as the change, stands twice.
            twice |= there & (wall >= change.start + change.seconds) & (wall < change.start)
            seconds[there & (wall >= change.start)] -= change.seconds
    return seconds, twice, never
