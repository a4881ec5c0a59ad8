from datetime import datetime, timedelta

import polars as pl
import pytest

from workbench.dose_reports.reading import read_dose_reports
from workbench.dose_reports.resource_table import read_resource_table
from workbench.errors import DefinitionError
from workbench.radiology.dose_alerts import (
    ALERTS,
    SCHEMA,
    find_above_reference,
    find_dose_checks,
    find_patient_totals,
    patient_levels,
)

START = datetime.fromisoformat("2024-01-01T10:00")


def exams(*values, patient="p", quantity="dose_rp_total_mgy"):
    """Return exams of (days after the start, value)."""
    return pl.DataFrame(
        [(patient, f"{patient}{i}", START + timedelta(days=d), v) for i, (d, v) in
         enumerate(values)],
        schema={
            "patient_id": pl.String,
            "exam_uid": pl.String,
            "exam_time": pl.Datetime("us"),
            quantity: pl.Float64,
        },
        orient="row",
    )  # fmt: skip


LEVELS = pl.DataFrame({"quantity": ["dose_rp_total_mgy"], "level": [5000.0], "days": [84]})


def test_exams_of_a_patient_that_add_up_to_a_level_are_one_alert():
    table = exams((0, 2000.0), (30, 2000.0), (60, 1500.0), (70, 10.0), (300, 4000.0))
    alerts = find_patient_totals(table, LEVELS)
    assert alerts.schema == SCHEMA
    assert alerts.select("alert", "exam_uid", "value", "level", "days").row(0) == (
        "patient_total", "p2", 5500.0, 5000.0, 84,
    )  # fmt: skip
    assert alerts["exam_uids"].to_list() == [["p0", "p1", "p2"]]
    assert len(alerts) == 1


def test_a_level_that_is_passed_again_is_told_again():
    alerts = find_patient_totals(exams((0, 6000.0), (200, 5000.0)), LEVELS)
    assert alerts["exam_uid"].to_list() == ["p0", "p1"]


def test_exams_at_one_time_are_one_alert():
    alerts = find_patient_totals(exams((0, 3000.0), (0, 3000.0)), LEVELS)
    assert alerts["exam_uids"].to_list() == [["p0", "p1"]]


def test_patients_are_not_added_up_with_each_other():
    both = pl.concat([exams((0, 3000.0)), exams((0, 3000.0), patient="q")])
    assert find_patient_totals(both, LEVELS).is_empty()


def test_the_levels_that_ship_are_those_of_ncrp_168_and_of_recurrent_imaging():
    assert patient_levels().rows() == [
        ("dose_rp_total_mgy", 5000.0, 84), ("dap_total_gy_cm2", 500.0, 84),
        ("effective_dose_msv", 100.0, 365),
    ]  # fmt: skip


@pytest.mark.parametrize("quantity", ["dose_rp_total_mgy", "effective_dose_msv"])
def test_the_levels_that_ship_are_of_the_quantities_that_exams_hold(quantity):
    below = exams((0, 60.0), (100, 35.0), quantity=quantity)
    assert find_patient_totals(below).is_empty()
    above = exams((0, 60.0), (100, 35.0), (360, 5.0), quantity=quantity)
    told = find_patient_totals(above)["exam_uid"].to_list()
    assert told == (["p2"] if quantity == "effective_dose_msv" else [])
    with pytest.raises(DefinitionError, match="no such quantity"):
        find_patient_totals(exams((0, 60.0), quantity="dose"))


def test_an_exam_above_its_reference_level_is_told():
    table = exams((0, 310.0), (1, 311.0), (2, None), quantity="dlp_total_mgy_cm").with_columns(
        indication=pl.lit("CTPA")
    )
    levels = read_resource_table("reference_levels").filter(
        pl.col("quantity") == "dlp_total_mgy_cm"
    )
    alerts = find_above_reference(table, levels, ["indication"])
    assert alerts.select("alert", "exam_uid", "value", "level").rows() == [
        ("above_reference_level", "p1", 311.0, 310.0)
    ]
    with pytest.raises(DefinitionError, match="indication"):
        find_above_reference(table, levels, ["indicatoin"])


def test_a_scan_above_the_value_at_which_the_scanner_warns_is_told(shared_data):
    """Toshiba Aquilion, public test set of OpenREM: alert at 100 mGy.cm and 10 mGy."""
    tables = read_dose_reports(shared_data / "openrem")
    alerts = find_dose_checks(tables.events, tables.exams)
    rows = alerts.select("alert", "quantity", "value", "level").rows()
    assert rows == [
        ("dose_check_alert", "ctdivol_mgy", 10.6, 10.0),
        ("dose_check_alert", "dlp_mgy_cm", 502.4, 100.0),
    ]
    assert [len(uids) for uids in alerts["event_uids"]] == [1, 2]
    assert alerts["patient_id"].null_count() == 0
    assert set(alerts["alert"]) <= set(ALERTS)


def test_the_reference_levels_that_ship_are_those_of_the_united_kingdom():
    """UKHSA, National Diagnostic Reference Levels, 20 November 2024; adult CT."""
    table = read_resource_table("reference_levels")
    found = {(i, q): float(v) for i, q, v in table.select("indication", "quantity", "level").rows()}
    published = {
        "head (stroke)": (47, 790), "chest (lung cancer)": (8.5, 290), "HRCT": (8, 300),
        "CTPA": (9.1, 310), "chest-abdomen-pelvis (cancer)": (None, 660),
        "abdomen-pelvis": (10, 530), "KUB": (6.3, 290), "C-spine": (16, 400), "sinuses": (12, 160),
    }  # fmt: skip
    quantities = ("ctdivol_mgy", "dlp_total_mgy_cm")
    assert found == {
        (i, q): v
        for i, pair in published.items()
        for q, v in zip(quantities, pair, strict=True)
        if v
    }
