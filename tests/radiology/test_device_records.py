"""Device records: a device stands for the patient, and film for nothing that is used."""

from __future__ import annotations

import polars as pl

from tests.radiology.test_device_faults import make_exams, make_register
from workbench.radiology.device_records import list_device_days, list_device_hours, list_devices
from workbench.radiology.equipment import measure_use


def test_film_is_in_the_fleet_and_not_in_the_use() -> None:
    register = pl.concat([make_register("CT1"), make_register("XR1", digital=False)])
    use = measure_use(make_exams("CT1"), register)
    assert use.days["device"].unique().to_list() == ["CT1"]
    assert list_devices(register).collect()["patient_id"].to_list() == ["CT1", "XR1"]


def test_a_device_stands_for_the_patient() -> None:
    register = make_register("CT1", "CT2")
    use = measure_use(make_exams("CT1", "CT2", days=7), register)
    days, hours = list_device_days(use, register).collect(), list_device_hours(use).collect()
    assert days["exam_uid"].n_unique() == len(days) == 14
    assert set(days["patient_id"]) == set(hours["patient_id"]) == {"CT1", "CT2"}
    assert days["use_percent"].unique().round(3).to_list() == [round(100 * 80 / 720, 3)]
    assert hours.filter(weekday="3", hour="9")["use_percent"].round(3).to_list() == [66.667] * 2
