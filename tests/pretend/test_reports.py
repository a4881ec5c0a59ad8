"""Reports: who reads how fast, and what a description states."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from tests.pretend.test_city import rows
from workbench.pretend.city import City


@pytest.fixture(scope="module")
def reports():
    city = City(8, 0.1, start=dt.date(2023, 1, 1), months=3, plant=False)
    kinds = rows(city, "register").select("station", "facility_kind")
    delay = (pl.col("final_time") - pl.col("acquired_time")).dt.total_seconds() / 3600
    both = rows(city, "reports").join(kinds, on="station")
    exams = rows(city, "exams").select("exam_uid", "protocol")
    return both.join(exams, on="exam_uid").with_columns(delay=delay)


def test_the_reader_on_call_is_fast_and_in_hospitals(reports):
    on_call = reports.filter(pl.col("reader_group") == "on_call")
    assert set(on_call["facility_kind"]) == {"hospital"}
    assert on_call["delay"].median() < 0.3 * reports["delay"].median()
    assert on_call["promised_hours"].unique().to_list() == [2]


def test_most_reports_come_in_time_and_not_all(reports):
    share = (reports["delay"] <= reports["promised_hours"]).mean()
    assert 0.85 < share < 0.99
    by_facility = reports.group_by("facility").agg(pl.col("delay").median())["delay"]
    assert by_facility.max() > 1.2 * by_facility.min()


def test_a_preliminary_report_is_not_for_everyone(reports):
    given = reports.group_by("reader_group").agg(pl.col("preliminary_time").count() / pl.len())
    share = dict(given.rows())
    assert share["centre"] == 0
    assert 0.3 < share["facility"] < 0.6


def test_descriptions_have_gaps_that_differ(reports):
    fields = ["body_part_code", "procedure_code", "finding_code"]
    stated = reports.group_by("reader_group").agg(pl.col(f).count() / pl.len() for f in fields)
    of = {row["reader_group"]: row for row in stated.iter_rows(named=True)}
    for field in fields:
        assert of["on_call"][field] < of["facility"][field] < of["centre"][field] < 1
    by_facility = reports.group_by("facility").agg(pl.col("finding_code").count() / pl.len())
    assert by_facility["finding_code"].max() - by_facility["finding_code"].min() > 0.1


def test_a_measurement_has_a_unit_or_lacks_it(reports):
    assert set(reports["measurement_unit"].drop_nulls()) == {"mm"}
    measured = reports.filter(pl.col("measurement_value").is_not_null())
    assert 0.02 < measured["measurement_unit"].is_null().mean() < 0.5
    assert reports.filter(pl.col("measurement_value").is_null())["measurement_unit"].count() == 0


def test_categories_stand_where_a_system_exists(reports):
    stated = reports.filter(pl.col("rads_category").is_not_null())
    system = stated.with_columns(pl.col("rads_category").str.split(" ").list.first())
    found = system.group_by("rads_category").agg(pl.col("protocol").unique().sort())
    assert dict(found.rows()) == {
        "BI-RADS": ["MG_DIAGNOSTIC", "MG_SCREENING", "US_BREAST"],
        "Lung-RADS": ["CT_CHEST"],
        "PI-RADS": ["MR_PROSTATE"],
    }


def test_codes_say_nothing_about_each_other(reports):
    """A field that is missing does not decide which value another has."""
    breast = reports.filter(pl.col("rads_category").str.starts_with("BI-RADS"))
    with_, without = (
        breast.filter(pl.col("procedure_code").is_null() == missing) for missing in (True, False)
    )
    high = pl.col("rads_category").is_in(["BI-RADS 3", "BI-RADS 4", "BI-RADS 5"])
    shares = [part.select(high.mean()).item() for part in (with_, without)]
    assert shares[0] == pytest.approx(shares[1], abs=0.03)
