"""Equipment faults: what is planted is found, and nothing else, in tables made here."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from workbench.errors import SiteError
from workbench.radiology.equipment import Use
from workbench.radiology.equipment_faults import (
    find_clock_offsets,
    find_down_times,
    find_overlaps,
    find_shared_serials,
)

START = dt.datetime.combine(dt.date(2024, 1, 1), dt.time(8))


def _days(exams: dict[str, list[int]], open_min: float = 600.0) -> Use:
    rows = [
        {
            "device": name,
            "date": START.date() + dt.timedelta(i),
            "exams": n,
            "open_min": open_min if i % 7 < 5 else 0.0,
            "overlaps": n // 10,
        }
        for name, counts in exams.items()
        for i, n in enumerate(counts)
        if i % 7 < 5 or n
    ]
    return Use(pl.DataFrame(rows), pl.DataFrame(), pl.DataFrame(), {})


def test_down_time_of_a_month() -> None:
    random = np.random.default_rng(1)
    counts = {f"D{i}": random.poisson(12, 200).tolist() for i in range(20)}
    counts["D3"][70:102] = [0] * 32
    counts["D5"][20:27] = [0] * 7  # a week is no month
    found = find_down_times(_days(counts))
    assert found["device"].to_list() == ["D3"]
    assert found["first_date"].item() == START.date() + dt.timedelta(70)
    assert found["days"].item() == 32
    assert found["open_days"].item() == 24
    assert found["expected_exams"].item() == pytest.approx(24 * 12, rel=0.15)


def test_a_device_that_is_seldom_used_is_not_down() -> None:
    random = np.random.default_rng(2)
    seldom = {f"D{i}": random.poisson(0.15, 400).tolist() for i in range(30)}
    assert find_down_times(_days(seldom)).is_empty()


def test_a_device_that_stops_is_down_until_the_end() -> None:
    found = find_down_times(_days({"D1": [9] * 60 + [0] * 40, "D2": [9] * 100}))
    assert found.row(0)[0] == "D1"
    assert found["last_date"].item() == START.date() + dt.timedelta(99)


def _clocks(offsets: dict[str, float], exams: int, seed: int) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    random = np.random.default_rng(seed)
    rows, reports = [], []
    for name, offset in offsets.items():
        for i in range(exams):
            arrival = START + dt.timedelta(hours=float(i))
            start = arrival + dt.timedelta(minutes=random.gamma(2, 10))
            end = start + dt.timedelta(minutes=random.uniform(5, 25))
            shift = dt.timedelta(minutes=offset)
            uid = f"{name}.{i}"
            rows.append((uid, name[:2], name, start + shift, end + shift))
            closed = end + dt.timedelta(minutes=random.exponential(2))
            reports.append((uid, arrival, closed))
    return (
        pl.LazyFrame(
            rows,
            {
                "exam_uid": pl.String(),
                "modality": pl.String(),
                "station": pl.String(),
                "exam_time": pl.Datetime("us"),
                "exam_end_time": pl.Datetime("us"),
            },
            orient="row",
        ),
        pl.LazyFrame(
            reports,
            {
                "exam_uid": pl.String(),
                "arrival_time": pl.Datetime("us"),
                "acquired_time": pl.Datetime("us"),
            },
            orient="row",
        ),
    )


@pytest.mark.parametrize("offset", [12.0, -12.0, 61.0])
@pytest.mark.parametrize("reference", ["acquired_time", "arrival_time"])
@pytest.mark.parametrize("seed", range(4))
def test_a_clock_that_is_wrong(offset: float, reference: str, seed: int) -> None:
    offsets = {f"CT{i}": 0.0 for i in range(12)} | {"CT7": offset, "MR1": 1.0, "MR2": -1.0}
    exams, reports = _clocks(offsets, 60, seed)
    found = find_clock_offsets(exams, reports.select("exam_uid", reference))
    assert found["device"].to_list() == ["CT7"]
    assert found["offset_min"].item() == pytest.approx(offset, abs=3)


@pytest.mark.parametrize("wrong", ["CT1", "CT2", "XA1"])
@pytest.mark.parametrize("seed", range(4))
def test_a_clock_of_a_modality_with_few_devices(wrong: str, seed: int) -> None:
    devices = ("CT1", "CT2", "XA1", "DX1", "DX2", "DX3", "MR1")
    exams, reports = _clocks({name: -12.0 if name == wrong else 0.3 for name in devices}, 60, seed)
    found = find_clock_offsets(exams, reports)
    assert found["device"].to_list() == [wrong]
    assert found["offset_min"].item() == pytest.approx(-12.3, abs=2)


def test_of_two_clocks_nobody_knows_which_is_wrong() -> None:
    exams, reports = _clocks({"CT1": 0, "MR1": 40}, 60, 1)
    assert find_clock_offsets(exams, reports).is_empty()


def test_few_exams_say_nothing() -> None:
    exams, reports = _clocks({"CT1": 0, "CT2": 40, "CT3": 0}, 9, 1)
    assert find_clock_offsets(exams, reports).is_empty()


def test_no_time_of_the_ris() -> None:
    exams, reports = _clocks({"CT1": 0}, 1, 1)
    with pytest.raises(SiteError, match="no time of the RIS"):
        find_clock_offsets(exams, reports.select("exam_uid"))


def test_serials_of_two_devices() -> None:
    rows = {"device_serial": ["1", "2", None, "1", "1"], "station": ["A", "B", "C", "D", "A"]}
    assert find_shared_serials(pl.LazyFrame(rows)).rows() == [("1", ["A", "D"])]


def test_two_exams_at_once() -> None:
    found = find_overlaps(_days({"D1": [50] * 10, "D2": [9] * 10}))
    assert found["device"].to_list() == ["D1"]
    assert found["share"].item() == pytest.approx(0.1)
