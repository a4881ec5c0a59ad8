"""Equipment: held to published figures, and to a count of every minute."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import SiteError
from workbench.radiology.equipment import CHANGEOVER_MIN, Use, measure_use

MONDAY = dt.date(2024, 3, 4)
# One day of one device, open 08:00 to 20:00 (720 min). Union of the exams inside these hours:
# 105 min; all durations 125 min; first start to last end 700 min.
GOLDEN = [("08:30", "09:00"), ("08:50", "09:20"), ("10:00", "10:45"), ("19:50", "20:10")]


def _at(clock: str, date: dt.date = MONDAY) -> dt.datetime:
    return dt.datetime.combine(date, dt.time.fromisoformat(clock))


def _exams(rows: Sequence[tuple[str, dt.datetime | None, dt.datetime | None]]) -> pl.LazyFrame:
    schema = {
        "station": pl.String(),
        "exam_time": pl.Datetime("us"),
        "exam_end_time": pl.Datetime("us"),
    }
    return pl.LazyFrame(rows, schema, orient="row")


def _register(
    *names: str,
    weekday: tuple[int, int] | None = (480, 1200),
    every_day: bool = False,
    **more: object,
) -> pl.LazyFrame:
    free = weekday if every_day else None
    hours = {"weekday": weekday, "saturday": free, "sunday": free}
    columns: dict[str, object] = {"station": list(names)}
    for day, span in hours.items():
        for place, end in enumerate(("open", "close")):
            columns[f"{day}_{end}_min"] = [span[place] if span else None] * len(names)
    return pl.LazyFrame(columns | more, strict=False).with_columns(
        pl.col("^.*_min$").cast(pl.Int16)
    )


def _golden() -> Use:
    rows = [("CT1", _at(a), _at(b)) for a, b in GOLDEN]
    return measure_use(_exams(rows), _register("CT1"), zone="Europe/Moscow")


def test_golden_day() -> None:
    day = _golden().days.row(0, named=True)
    assert (day["open_min"], day["busy_min"], day["summed_min"], day["span_min"]) == (
        720,
        105,
        125,
        700,
    )
    device = _golden().devices().row(0, named=True)
    assert device["use"] == pytest.approx(0.1458, abs=5e-5)
    assert device["first_to_last_use"] == pytest.approx(0.1786, abs=5e-5)
    assert device["exams_per_open_hour"] == pytest.approx(4 / 12)
    assert device["first_start_delay_min"] == 30
    assert device["overlaps"] == 1
    assert (device["idle_gaps_per_day"], device["idle_min_per_day"]) == (2, 40 + 545)


def test_changeover_is_the_median_of_short_gaps() -> None:
    day = [("09:00", "09:10"), ("09:15", "09:20"), ("09:27", "09:30"), ("11:30", "12:00")]
    rows = [("CT1", _at(a), _at(b)) for a, b in day]
    use = measure_use(_exams(rows), _register("CT1"), zone="UTC")
    assert sorted(use.changeovers["changeover_min"]) == [5, 7]
    assert use.devices()["changeover_min"].item() == 6
    assert use.devices()["idle_min_per_day"].item() == 120 > CHANGEOVER_MIN


def test_down_days_are_open_and_without_exams() -> None:
    rows = [("CT1", _at("09:00", MONDAY + dt.timedelta(d)), None) for d in (0, 1, 4, 7)]
    use = measure_use(_exams(rows), _register("CT1", "CT2"), zone="UTC")
    first, second = use.devices().iter_rows(named=True)
    assert (first["days"], first["open_days"], first["down_days"]) == (4, 6, 2)
    assert (second["days"], second["open_days"], second["down_days"]) == (0, 6, 6)
    assert second["exams_per_day"] is None
    assert use.unclear["without an end"] == 4


def test_installed_and_retired() -> None:
    rows = [("CT1", _at("09:00", MONDAY + dt.timedelta(d)), None) for d in range(5)]
    register = _register(
        "CT1", installed_date=[MONDAY + dt.timedelta(1)], retired_date=[MONDAY + dt.timedelta(2)]
    )
    use = measure_use(_exams(rows), register, zone="UTC")
    assert use.devices()["open_days"].item() == 2
    assert use.devices()["exams"].item() == 5


def test_what_cannot_be_believed_takes_no_time() -> None:
    rows = [
        ("CT1", _at("09:00"), _at("08:00")),
        ("CT1", _at("10:00"), _at("10:00", MONDAY + dt.timedelta(2))),
        ("CT1", _at("11:00"), _at("11:30")),
        ("CT1", None, _at("11:30")),
        ("XX", _at("11:00"), _at("11:30")),
    ]
    use = measure_use(_exams(rows), _register("CT1"), zone="UTC")
    assert use.unclear["ends before it starts"] == 1
    assert use.unclear["takes longer than a shift"] == 1
    assert use.days["busy_min"].sum() == 30
    assert use.days["exams"].sum() == 3


# A week with a change of clocks on its Sunday, either way, and one without.
WEEKS = [
    ("Europe/Berlin", dt.date(2023, 3, 24)),
    ("Europe/Berlin", dt.date(2023, 10, 27)),
    ("Australia/Lord_Howe", dt.date(2023, 9, 29)),
    ("Europe/Moscow", dt.date(2023, 3, 24)),
]
minutes = st.integers(0, 3 * 1440 - 1)
opening = st.one_of(st.integers(0, 1440), st.sampled_from([60, 90, 120, 150, 180, 240]))
some_exams = st.lists(
    st.tuples(st.sampled_from(["A", "B"]), minutes, st.integers(0, 700)), max_size=12
)


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(WEEKS),
    some_exams.filter(bool),
    st.tuples(opening, opening).filter(lambda h: h[0] < h[1]),
)
def test_every_minute(
    week: tuple[str, dt.date], rows: list[tuple[str, int, int]], hours: tuple[int, int]
) -> None:
    """Count each minute that has passed: is the device open then, and does an exam run?"""
    zone, friday = week
    place = ZoneInfo(zone)
    midnight = dt.datetime.combine(friday, dt.time())

    def instant(minute: int) -> int:
        """Return the minute that a wall clock shows; one that is skipped is the next there is."""
        clock = midnight + dt.timedelta(minutes=minute)
        moment = int(clock.replace(tzinfo=place).timestamp())
        if dt.datetime.fromtimestamp(moment, place).replace(tzinfo=None) != clock:
            return instant(minute + 1)
        return moment // 60

    exams: list[tuple[str, dt.datetime, dt.datetime]] = []
    busy: set[tuple[str, int]] = set()
    opened: set[tuple[str, int]] = set()
    summed = 0
    for name, start, length in rows:
        # The wall clock at the end, as a device would write it.
        first = instant(start)
        wall = [
            dt.datetime.fromtimestamp(60 * m, place).replace(tzinfo=None)
            for m in (first, first + length)
        ]
        folded = dt.datetime.fromtimestamp(60 * (first + length), place).fold
        if dt.datetime.fromtimestamp(60 * first, place).fold or folded:
            return  # of a time that stands twice the first is taken: not what was meant here
        exams.append((name, wall[0], wall[1]))
        busy |= {(name, m) for m in range(first, first + length)}
        summed += length
    days = [friday + dt.timedelta(d) for d in range(4)]
    for number in range(4):
        for name in ("A", "B"):
            opened |= {
                (name, m)
                for m in range(instant(1440 * number + hours[0]), instant(1440 * number + hours[1]))
            }
    use = measure_use(
        _exams(exams), _register("A", "B", weekday=hours, every_day=True),
        zone=zone, period=(days[0], days[-1]),
    )  # fmt: skip
    assert use.days["open_min"].sum() == len(opened)
    assert use.days["busy_min"].sum() == pytest.approx(len(busy & opened))
    assert use.days["summed_min"].sum() == pytest.approx(summed)
    assert use.days["exams"].sum() == len(rows)
    for row in use.hours.iter_rows(named=True):
        day = next(d for d in range(4) if (friday + dt.timedelta(d)).isoweekday() == row["weekday"])
        first = instant(1440 * day + 60 * row["hour"])
        hour = {(row["device"], m) for m in range(first, first + 60)} & opened
        assert row["open_min"] == pytest.approx(len(hour))
        assert row["use_percent"] == pytest.approx(100 * len(hour & busy) / len(hour))
    assert not any(n for rule, n in use.unclear.items() if "end" in rule or "shift" in rule)


def test_zones_of_the_register() -> None:
    sunday = dt.date(2023, 3, 26)
    rows = [(n, _at("01:30", sunday), _at("04:00", sunday)) for n in ("BERLIN", "MOSCOW")]
    register = _register(
        "BERLIN",
        "MOSCOW",
        weekday=(0, 1440),
        every_day=True,
        time_zone=["Europe/Berlin", "Europe/Moscow"],
    )
    use = measure_use(_exams(rows), register)
    assert use.days["busy_min"].to_list() == [90, 150]
    assert use.days["open_min"].to_list() == [23 * 60, 24 * 60]


def test_refused() -> None:
    exams = _exams([("CT1", _at("09:00"), None)])
    with pytest.raises(SiteError, match="stands twice"):
        measure_use(exams, _register("CT1", "CT1"), zone="UTC")
    with pytest.raises(SiteError, match="no column 'time_zone'"):
        measure_use(exams, _register("CT1"))
    with pytest.raises(SiteError, match="no column 'exam_end_time'"):
        measure_use(exams.drop("exam_end_time"), _register("CT1"), zone="UTC")
    with pytest.raises(SiteError, match="outside the day"):
        measure_use(exams, _register("CT1", weekday=(480, 1500)), zone="UTC")
    with pytest.raises(SiteError, match="no time zone"):
        measure_use(exams, _register("CT1"), zone="Europe/Nowhere")
    with pytest.raises(SiteError, match="No exam of a device"):
        measure_use(exams, _register("CT9"), zone="UTC")


def test_an_end_in_the_hour_that_stands_twice() -> None:
    """From 02:50 before the change to 02:10 after it are 20 minutes."""
    sunday = dt.date(2023, 10, 29)
    rows = [("CT1", _at("02:50", sunday), _at("02:10", sunday))]
    register = _register("CT1", weekday=(0, 1440), every_day=True)
    use = measure_use(_exams(rows), register, zone="Europe/Berlin")
    assert use.days["busy_min"].item() == 20
    assert use.unclear["ends before it starts"] == 0


def test_the_week_of_a_device() -> None:
    hours = _golden().hours
    assert len(hours) == 12
    found = dict(hours.select("hour", "use_percent").iter_rows())
    used = {8: 50, 9: pytest.approx(100 / 3), 10: 75, 19: pytest.approx(100 / 6)}
    assert found == dict.fromkeys(range(8, 20), 0) | used


def test_hours_of_the_week_are_those_of_each_month() -> None:
    """Hours open and busy, summed day by day: over a change of clocks, a device that comes late."""
    first = dt.date(2024, 1, 17)
    rows = [
        (name, _at("23:30", day), _at("00:15", day + dt.timedelta(1)))
        for name, step in (("A", 1), ("B", 3))
        for day in (first + dt.timedelta(n) for n in range(0, 100, step))
    ]
    register = _register("A", "B", weekday=(0, 1440), every_day=True).with_columns(
        installed_date=pl.when(pl.col("station") == "B").then(pl.lit(dt.date(2024, 3, 10)))
    )
    use = measure_use(_exams(rows), register, zone="Europe/Berlin")
    expected: dict[tuple[str, dt.date, int, int], list[int]] = {}
    changed, last = dt.date(2024, 3, 31), first + dt.timedelta(99)
    for name, step, since in (("A", 1, first), ("B", 3, dt.date(2024, 3, 10))):
        day = since
        while day <= last:
            starts = (day - first).days % step == 0
            before = (day - first).days > 0 and (day - first).days % step == 1 % step
            for hour in range(24):
                key = (name, day.replace(day=1), day.isoweekday(), hour)
                busy = 30 * (starts and hour == 23) + 15 * (before and hour == 0)
                total = expected.setdefault(key, [0, 0])
                if day != changed:
                    total[0] += 60
                    total[1] += busy
            day += dt.timedelta(1)
    expected = {key: total for key, total in expected.items() if total[0]}
    found = {tuple(row[:4]): row[4:] for row in use.hours.iter_rows()}
    assert found.keys() == expected.keys()
    for key, (minutes, used) in expected.items():
        assert found[key] == pytest.approx((minutes, 100 * used / minutes)), key
