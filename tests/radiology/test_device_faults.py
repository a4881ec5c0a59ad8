"""Device faults: one list of what other modules find, and nothing where nothing is known."""

from __future__ import annotations

import datetime as dt

import polars as pl

from workbench.radiology.device_faults import FAULTS, find_faults
from workbench.radiology.device_records import list_device_days, list_device_hours
from workbench.radiology.equipment import measure_use
from workbench.radiology.site_tables import REGISTER, REPORTS

NONE = pl.LazyFrame(
    schema={
        "exam_uid": pl.String(), "patient_id": pl.String(), "modality": pl.String(),
        "station": pl.String(),
        "exam_time": pl.Datetime("us"), "exam_end_time": pl.Datetime("us"),
    }
)  # fmt: skip


def make_register(*names: str, serial: str = "7", digital: bool = True) -> pl.LazyFrame:
    row = {"time_zone": "Europe/Moscow", "device_serial": serial, "digital": digital}
    row |= {f"{d}_{e}_min": m for d in ("weekday", "saturday", "sunday")
            for e, m in (("open", 480), ("close", 1200))}  # fmt: skip
    rows = [{"station": name, "modality": "CT", **row} for name in names]
    return pl.LazyFrame(rows, schema_overrides=REGISTER)


def make_exams(*names: str, days: int = 90, gap: range = range(0)) -> pl.LazyFrame:
    start = dt.datetime.combine(dt.date(2024, 1, 1), dt.time(9))
    rows = [
        {
            "exam_uid": f"{name} {day} {n}",
            "patient_id": f"{name} {day} {n}",
            "modality": "CT",
            "station": name,
            "exam_time": start + dt.timedelta(days=day, minutes=30 * n),
            "exam_end_time": start + dt.timedelta(days=day, minutes=30 * n + 20),
        }
        for name in names
        for day in range(days)
        for n in range(4)
        if name != "CT1" or day not in gap
    ]
    return pl.LazyFrame(rows)


def test_each_fault_is_one_row_with_its_meaning() -> None:
    exams = make_exams("CT1", "CT2", "CT3", gap=range(20, 60))
    late = pl.when(pl.col("station") == "CT2").then(13).otherwise(1)
    reports = exams.select(
        "exam_uid", acquired_time=pl.col("exam_end_time") + pl.duration(minutes=late)
    )
    register = make_register("CT1", "CT2", "CT3")
    found = find_faults(measure_use(exams, register), exams, reports, register)
    rows = found.select("fault", "device", "size").rows()
    assert ("down", "CT1", 40.0) in rows
    assert ("clock", "CT2", -12.0) in rows
    assert {device for fault, device, _ in rows if fault == "shared serial"} == {
        "CT1",
        "CT2",
        "CT3",
    }
    assert set(found["meaning"]) <= set(FAULTS.values())


def test_where_nothing_is_known_nothing_is_found() -> None:
    register, reports = pl.LazyFrame(schema=REGISTER), pl.LazyFrame(schema=REPORTS)
    use = measure_use(NONE, register)
    assert find_faults(use, NONE, reports, register).is_empty()
    assert use.devices().is_empty()
    assert list_device_days(use, register).collect().is_empty()
    assert list_device_hours(use, NONE, 10).collect().is_empty()
    assert measure_use(NONE, make_register("CT1")).days.is_empty()
