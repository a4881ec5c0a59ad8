"""Device records: what is protected is a device on a day, and film is nothing that is used."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from tests.conftest import ROOT
from tests.radiology.test_device_faults import make_exams, make_register
from workbench.disclosure.cells import protect
from workbench.disclosure.policy import Policy
from workbench.disclosure.review import review
from workbench.radiology.device_records import list_device_days, list_device_hours, list_devices
from workbench.radiology.equipment import measure_use
from workbench.radiology.records import write_records
from workbench.study import read_study


def test_film_is_in_the_fleet_and_not_in_the_use() -> None:
    register = pl.concat([make_register("CT1"), make_register("XR1", digital=False)])
    use = measure_use(make_exams("CT1"), register)
    assert use.days["device"].unique().to_list() == ["CT1"]
    devices = list_devices(register).collect()
    assert devices.select("patient_id", "device_kind").rows() == [
        ("CT1", "digital"), ("XR1", "film"),
    ]  # fmt: skip
    unknown = register.with_columns(digital=pl.lit(None, pl.Boolean))
    for rows in (unknown, register.drop("digital")):
        assert list_devices(rows).collect()["device_kind"].to_list() == [None, None]


def test_a_day_of_a_device_is_exam_and_patient() -> None:
    register = make_register("CT1", "CT2")
    use = measure_use(make_exams("CT1", "CT2", days=7), register)
    days = list_device_days(use, register).collect()
    assert days["exam_uid"].equals(days["patient_id"], check_names=False)
    assert days["patient_id"].n_unique() == len(days) == 14
    assert days["use_percent"].unique().round(3).to_list() == [round(100 * 80 / 720, 3)]


def test_an_hour_of_the_week_is_told_month_by_month() -> None:
    # 2024 begins on a Monday: January has five Wednesdays, February four.
    exams = make_exams("CT1", "CT2", days=60)
    use = measure_use(exams, make_register("CT1", "CT2"))
    hours = list_device_hours(use, exams, 0).collect()
    assert hours["exam_uid"].equals(hours["patient_id"], check_names=False)
    assert hours["patient_id"].n_unique() == len(hours) == 2 * 2 * 7 * 12
    nine = hours.filter(weekday="3", hour="9").sort("month", "patient_id")
    assert nine["month"].dt.month().to_list() == [1, 1, 2, 2]
    assert nine["use_percent"].round(3).to_list() == [66.667] * 4


@pytest.mark.parametrize("days", [9, 10, 121, 152])
def test_one_scanner_is_told_once_it_was_open_on_ten_days(tmp_path: Path, days: int) -> None:
    """Of an hour of the week two scanners make ten rows in the fifth month, May of 2024."""
    study = read_study(ROOT / "studies" / "imaging_service")
    register = make_register("CT1", "CT2")
    exams = make_exams("CT1", "CT2", days=days)
    use = measure_use(exams, register)
    one = list_device_days(use, register).filter(pl.col("patient_id").str.starts_with("CT1"))
    made = write_records(one, tmp_path / "days")
    exact = made.tabulate(study.output("use_of_devices"), "use_percent")
    view = protect(exact, Policy())
    assert (view.data["patients"].sel(modality="CT").max() >= 10) == (days >= 10)
    # However much a device is used: nobody has too many exams.
    assert "exams_per_patient" not in {f.rule for f in review("use", exact, view, Policy())}

    made = write_records(list_device_hours(use, exams, 0), tmp_path / "hours")
    exact = made.tabulate(study.output("use_of_hours"), "use_percent")
    told = protect(exact, Policy()).statuses["patients"].sel(weekday="3", hour="9").item()
    assert (told == "rounded") == (days == 152)


def test_an_hour_in_which_few_people_were_examined_is_left_out() -> None:
    exams = make_exams("CT1", days=60)
    use = measure_use(exams, make_register("CT1"))
    at_nine = pl.col("exam_time").dt.hour() == 9
    people = exams.with_columns(
        patient_id=pl.when(at_nine)
        .then(pl.int_range(pl.len()) % 9)
        .otherwise(pl.int_range(pl.len()))
    )
    hours = list_device_hours(use, people, 10).collect()
    assert 9 not in hours["hour"].cast(int).to_list()
    assert len(hours) > 0
    assert hours["hour"].n_unique() == use.hours["hour"].n_unique() - 1


def test_one_clock_that_is_years_wrong_does_not_dilute_the_use() -> None:
    exams = make_exams("CT1", days=60)
    wrong = exams.head(1).with_columns(pl.col("exam_time", "exam_end_time").dt.offset_by("-30y"))
    both = pl.concat([exams, wrong])
    year = (dt.date(2020, 1, 1), dt.date(2024, 12, 31))
    register = make_register("CT1")
    good, kept = measure_use(exams, register), measure_use(both, register, within=year)
    assert kept.days.equals(good.days)
    assert measure_use(both, register).days.height > 100 * good.days.height
