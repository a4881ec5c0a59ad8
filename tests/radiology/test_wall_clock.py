"""Wall clock: held to the standard library's own arithmetic on every minute of the days."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from workbench.errors import SiteError
from workbench.radiology.wall_clock import DAY, find_changes, passed

# Berlin: both changes; Lord Howe: half an hour; Sao Paulo: at midnight; Moscow: the last change.
DAYS = [
    ("Europe/Berlin", dt.date(2023, 3, 26)),
    ("Europe/Berlin", dt.date(2023, 10, 29)),
    ("Europe/Berlin", dt.date(2023, 6, 1)),
    ("Australia/Lord_Howe", dt.date(2023, 4, 2)),
    ("Australia/Lord_Howe", dt.date(2023, 10, 1)),
    ("America/New_York", dt.date(2023, 11, 5)),
    ("America/Sao_Paulo", dt.date(2018, 2, 17)),
    ("America/Sao_Paulo", dt.date(2018, 11, 4)),
    ("Europe/Moscow", dt.date(2014, 10, 26)),
    ("Europe/Moscow", dt.date(2023, 3, 26)),
]


@pytest.mark.parametrize(("zone", "date"), DAYS)
def test_every_minute(zone: str, date: dt.date) -> None:
    place = ZoneInfo(zone)
    wall = np.arange(0, DAY, 60, dtype=np.int64)
    seconds, twice, never = passed(
        np.zeros(len(wall), np.int64), wall, find_changes(zone, date, date), date
    )
    midnight = dt.datetime.combine(date, dt.time(), place).timestamp()
    for i, at in enumerate(wall.tolist()):
        clock = dt.datetime.combine(date, dt.time(at // 3600, at // 60 % 60), place)
        first, second = (clock.replace(fold=fold).timestamp() - midnight for fold in (0, 1))
        there = dt.datetime.fromtimestamp(midnight + first, place).time() == clock.time()
        assert never[i] == (not there)
        assert twice[i] == (there and first != second)
        if there:
            assert seconds[i] == first


def test_an_unknown_zone() -> None:
    for zone in ("Europe/Moskva", "", "../etc/passwd", "\0"):
        with pytest.raises(SiteError, match="no time zone"):
            find_changes(zone, dt.date(2023, 1, 1), dt.date(2023, 1, 2))
