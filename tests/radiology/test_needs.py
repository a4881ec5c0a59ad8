"""Needs: a plan worked by hand, and what must hold of any plan."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.radiology.test_device_faults import NONE, make_exams, make_register
from workbench.errors import DefinitionError, SiteError
from workbench.radiology.equipment import measure_use
from workbench.radiology.needs import CAPACITY, forecast_exams, measure_capacity, plan_capacity
from workbench.statistics.forecasting import Forecast

# A mammography room, reckoned by hand: open 40 hours a week, 2,080 a year; two such rooms make
# 12,480 exams a year, 3 an hour, of 10 minutes each, so they are used half of the time. The plan
# is 20,000 exams, and 15,000 or 31,200 at the ends: 6,667 (5,000 to 10,400) open hours, which are
# 3.2 (2.4 to 5) rooms.
ROOMS = {
    "modality": ["MG"], "devices": [2.0], "open_hours_a_year": [2080.0],
    "exams_a_year": [12480.0], "exams_per_open_hour": [3.0], "room_min_per_exam": [10.0],
    "use": [0.5],
}  # fmt: skip
CAPACITY_NOW = pl.DataFrame(ROOMS, CAPACITY)


def _ahead(*totals: float) -> Forecast:
    """Return equally likely futures with these totals in 2030."""
    months = np.arange("2030-01", "2031-01", dtype="datetime64[M]")
    paths = np.repeat(np.array(totals)[:, None] / 12, 12, axis=1)
    return Forecast(months, paths, np.zeros(0), months[0])


def test_a_plan_worked_by_hand() -> None:
    totals = [15_000] * 2 + [20_000] * 7 + [31_200] * 2
    plan = plan_capacity(CAPACITY_NOW, {"MG": _ahead(*totals)}, 2030, staff_per_room=2)
    row = plan.row(0, named=True)
    found = {k: round(v) if isinstance(v, float) else v for k, v in row.items()}
    assert found == {
        "modality": "MG",
        "exams": 12_480, "exams_ahead": 20_000, "exams_low": 15_000, "exams_high": 31_200,
        "open_hours": 4_160, "open_hours_ahead": 6_667, "open_hours_low": 5_000,
        "open_hours_high": 10_400,
        "devices": 2, "devices_ahead": 4, "devices_low": 3, "devices_high": 5,
        "staff_hours": 8_320, "staff_hours_ahead": 13_333, "staff_hours_low": 10_000,
        "staff_hours_high": 20_800,
    }  # fmt: skip


def test_at_another_use() -> None:
    plan = plan_capacity(CAPACITY_NOW, {"MG": _ahead(20_000)}, 2030, use=0.8)
    # 20,000 exams of 10 minutes are 3,333 hours; at a use of 80 % rooms are open for 4,167.
    assert round(plan["open_hours_ahead"].item()) == 4_167
    assert plan["devices_ahead"].item() == 3


def test_what_is_not_known_stays_unknown() -> None:
    closed = CAPACITY_NOW.with_columns(
        modality=pl.lit("XA"), exams_per_open_hour=0.0, room_min_per_exam=None
    )
    plan = plan_capacity(pl.concat([CAPACITY_NOW, closed]), {"XA": _ahead(100)}, 2030)
    assert plan["modality"].to_list() == ["MG", "XA"]
    assert plan["devices_ahead"].to_list() == plan["exams_high"].to_list() == [None, None]
    assert plan["devices"].to_list() == [2, 2]
    assert plan_capacity(closed, {"XA": _ahead(100)}, 2030, use=0.5)["devices_low"].item() is None
    assert plan_capacity(pl.DataFrame(schema=CAPACITY), {}, 2030).is_empty()


@settings(deadline=None, max_examples=60)
@given(
    devices=st.floats(0.1, 500),
    hours=st.floats(100, 8000),
    per_hour=st.floats(0.05, 20),
    use=st.floats(0.01, 1),
    totals=st.lists(st.floats(1, 1e6), min_size=1, max_size=20),
    level=st.floats(0.05, 0.99),
)
def test_of_any_plan(
    devices: float, hours: float, per_hour: float, use: float, totals: list[float], level: float
) -> None:
    capacity = pl.DataFrame(
        {
            "modality": ["CT"], "devices": [devices], "open_hours_a_year": [hours],
            "exams_a_year": [devices * hours * per_hour], "exams_per_open_hour": [per_hour],
            "room_min_per_exam": [60 * use / per_hour], "use": [use],
        },
        CAPACITY,
    )  # fmt: skip

    def plan(*exams: float, **more: float) -> dict[str, float]:
        ahead = {"CT": _ahead(*exams)}
        return plan_capacity(capacity, ahead, 2030, level=level, **more).row(0, named=True)

    row = plan(*totals)
    for what in ("exams", "open_hours", "devices", "staff_hours"):
        low, middle, high = (row[f"{what}_{end}"] for end in ("low", "ahead", "high"))
        assert low <= middle * (1 + 1e-12)
        assert middle <= high * (1 + 1e-12)
        assert min(totals) - 1e-6 <= row["exams_low"]
    # A whole number of devices does it, and one fewer does not.
    for end in ("low", "ahead", "high"):
        made = hours * per_hour
        assert row[f"devices_{end}"] * made >= row[f"exams_{end}"] * (1 - 1e-8)
        assert (row[f"devices_{end}"] - 1) * made < row[f"exams_{end}"] * (1 + 1e-8)
    # As many exams as now take the devices of now, and the present use is a use like any other.
    same = plan(devices * hours * per_hour)
    assert same["devices_ahead"] == math.ceil(round(devices, 7)) or devices == pytest.approx(
        same["devices_ahead"], rel=1e-6
    )
    assert plan(*totals, use=use)["open_hours_high"] == pytest.approx(row["open_hours_high"])
    # Twice the use, half of the hours; twice the exams, twice the hours.
    assert plan(*totals, use=use / 2)["open_hours_ahead"] == pytest.approx(
        2 * row["open_hours_ahead"]
    )
    doubled = plan(*(2 * t for t in totals))
    assert doubled["staff_hours_low"] == pytest.approx(2 * row["staff_hours_low"])


def test_capacity_of_the_last_year() -> None:
    """Two devices, open 12 hours every day; four exams of 80 minutes together a day on each."""
    register = make_register("CT1", "CT2")
    use = measure_use(make_exams("CT1", "CT2", days=400), register)
    row = measure_capacity(use, register).row(0, named=True)
    assert row.pop("modality") == "CT"
    assert row == pytest.approx(
        {
            "devices": 2, "open_hours_a_year": 365.25 * 12, "exams_a_year": 2 * 4 * 365.25,
            "exams_per_open_hour": 4 / 12, "room_min_per_exam": 20, "use": 80 / 720,
        }
    )  # fmt: skip
    assert row["use"] == pytest.approx(row["exams_per_open_hour"] * row["room_min_per_exam"] / 60)


def test_a_device_that_came_late_is_part_of_one() -> None:
    half = dt.date(2024, 1, 1) + dt.timedelta(days=26 * 7)
    register = make_register("CT1", "CT2").with_columns(
        installed_date=pl.when(pl.col("station") == "CT2").then(pl.lit(half))
    )
    use = measure_use(make_exams("CT1", "CT2", days=52 * 7), register)
    row = measure_capacity(use, register).row(0, named=True)
    assert row["devices"] == 1.5
    assert row["open_hours_a_year"] == pytest.approx(365.25 * 12)


def test_nothing_is_known_without_times() -> None:
    register = make_register("CT1")
    assert measure_capacity(measure_use(NONE, register), register).is_empty()
    few = measure_use(make_exams("CT1", days=6), register)
    assert measure_capacity(few, register).is_empty()


def _months(n: int, each: int = 100, modality: str = "CT") -> pl.LazyFrame:
    starts = np.arange("2020-01", "2040-01", dtype="datetime64[M]")[:n].astype("datetime64[D]")
    months = pl.Series(np.repeat(starts, each)).cast(pl.Date)
    return pl.LazyFrame({"month": months, "modality": [modality] * len(months)})


def test_exams_are_forecast_from_whole_months() -> None:
    rows = pl.concat([_months(49), _months(23, modality="MR")])
    found = forecast_exams(rows, dt.date(2024, 1, 20), 2025)
    assert list(found) == ["CT"]
    assert len(found["CT"].past) == 48
    assert found["CT"].months[-1] == np.datetime64("2025-12")
    # As many exams each month: as many a year, but for the working days.
    assert found["CT"].interval().middle.sum().item() / 24 == pytest.approx(100, rel=0.05)


def test_a_month_without_exams_is_not_known() -> None:
    gap = pl.col("month") != dt.date(2022, 3, 1)
    ahead = forecast_exams(_months(48).filter(gap), dt.date(2024, 1, 1), 2024)["CT"]
    assert np.flatnonzero(np.isnan(ahead.past)).tolist() == [26]
    never = forecast_exams(
        _months(48).filter(pl.col("month").dt.month() != 3), dt.date(2024, 1, 1), 2024
    )
    assert never == {}


def test_refused() -> None:
    ahead = {"MG": _ahead(1.0)}
    with pytest.raises(DefinitionError, match="is no share"):
        plan_capacity(CAPACITY_NOW, ahead, 2030, use=60)
    with pytest.raises(DefinitionError, match="people are in no room"):
        plan_capacity(CAPACITY_NOW, ahead, 2030, staff_per_room=-1)
    with pytest.raises(SiteError, match="no column 'use'"):
        plan_capacity(CAPACITY_NOW.drop("use"), ahead, 2030)
    with pytest.raises(DefinitionError, match="has ended"):
        forecast_exams(_months(48), dt.date(2024, 1, 1), 2023)


def test_what_has_ended_is_not_forecast() -> None:
    rows = pl.concat([_months(49), _months(36, modality="CR")])
    # Its last month is December of 2022: a year later it may have paused, then it has ended.
    assert set(forecast_exams(rows, dt.date(2023, 12, 20), 2025)) == {"CT", "CR"}
    assert set(forecast_exams(rows, dt.date(2024, 1, 20), 2025)) == {"CT"}
