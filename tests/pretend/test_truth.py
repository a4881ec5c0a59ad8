"""What is planted is there, alone, and where the truth says.

The finders here are the plainest that can be written; limits are those of the published texts.
"""

from __future__ import annotations

import datetime as dt
import json

import polars as pl
import pytest

from tests.pretend.test_city import rows
from workbench.pretend.city import City

SEEDS = (101, 202)
# UK national diagnostic reference levels, 20 November 2024, DLP in mGy·cm.
LEVELS = {
    "CT_HEAD": 790, "CT_SINUSES": 160, "CT_CSPINE": 400, "CT_CHEST": 290, "CT_HRCT": 300,
    "CT_CTPA": 310, "CT_CAP": 660, "CT_ABDPELVIS": 530, "CT_KUB": 290,
}  # fmt: skip
# mSv per mGy·cm of adults (PMC3326072, table XII).
FACTORS = {"CT_HEAD": 0.0021, "CT_SINUSES": 0.0021, "CT_CHEST": 0.014, "CT_HRCT": 0.014,
           "CT_CTPA": 0.014}  # fmt: skip
YEAR = {"start": dt.date(2022, 1, 1), "months": 12}


class Made:
    """Hold one city, what is believed of its exams, and its truth."""

    def __init__(self, seed: int) -> None:
        city = City(seed, 0.1, **YEAR)
        self.exams = rows(city, "exams")
        self.reports = rows(city, "reports")
        self.register = rows(city, "register")
        self.truth = json.loads(json.dumps(city.truth()))
        self.plants = self.truth["plants"]
        self.good = self.exams.unique("exam_uid").filter(
            pl.col("exam_time").dt.year().is_between(2000, 2100),
            pl.col("exam_end_time") >= pl.col("exam_time"),
            pl.col("dlp_mgy_cm").fill_null(1).is_between(0, 10_000),
        )

    def defect(self, kind: str) -> set[str]:
        return {entry["exam_uid"] for entry in self.truth["defects"][kind]}


@pytest.fixture(scope="module", params=SEEDS)
def made(request):
    return Made(request.param)


def test_one_clock_is_wrong(made):
    both = made.good.join(made.reports.select("exam_uid", "acquired_time"), on="exam_uid")
    lag = (pl.col("acquired_time") - pl.col("exam_end_time")).dt.total_seconds() / 60
    by_device = both.group_by("station").agg(lag.median().alias("lag"))
    off = by_device.with_columns(pl.col("lag") - by_device["lag"].median())
    wrong = off.filter(pl.col("lag").abs() > 5)
    planted = made.plants["clock_offset"]
    assert wrong["station"].to_list() == [planted["station"]]
    assert -wrong["lag"].item() == pytest.approx(planted["minutes"], abs=1.5)
    assert abs(planted["minutes"]) == 12


def test_one_facility_is_above_the_reference_level(made):
    adults = made.good.filter(pl.col("age_years") >= 16, pl.col("dlp_mgy_cm") > 0)
    medians = adults.group_by("facility", "protocol").agg(pl.col("dlp_mgy_cm").median(), n=pl.len())
    level = pl.col("protocol").replace_strict(LEVELS, return_dtype=pl.Float64)
    above = medians.filter(pl.col("n") >= 30, pl.col("dlp_mgy_cm") > level)
    planted = made.plants["above_drl"]
    assert above.select("facility", "protocol").rows() == [
        (planted["facility"], planted["protocols"][0])
    ]


def test_one_patient_is_above_the_limit(made):
    factor = pl.col("protocol").replace_strict(FACTORS, default=0.015)
    dose = made.good.group_by("patient_id").agg((pl.col("dlp_mgy_cm") * factor).sum())
    many = dose.filter(pl.col("dlp_mgy_cm") > 100)
    planted = made.plants["patient_above_limit"]
    assert many["patient_id"].to_list() == [planted["patient_id"]]
    theirs = made.exams.filter(pl.col("exam_uid").is_in(planted["exam_uids"]))
    assert set(theirs["patient_id"]) == {planted["patient_id"]}
    assert theirs["dlp_mgy_cm"].sum() == pytest.approx(planted["dlp_total_mgy_cm"], rel=1e-4)


def test_one_device_is_down_for_a_month(made):
    days = made.good.select("station", pl.col("exam_time").dt.date()).unique()
    days = days.sort("station", "exam_time").with_columns(
        gap=pl.col("exam_time").diff().over("station").dt.total_days()
    )
    long = days.filter(pl.col("gap") > 21)
    planted = made.plants["down_month"]
    assert long["station"].to_list() == [planted["station"]]
    first, last = (dt.date.fromisoformat(planted[k]) for k in ("first_date", "last_date"))
    down = pl.col("exam_time").dt.date().is_between(first, last)
    assert made.good.filter(down, pl.col("station") == planted["station"]).is_empty()
    assert (last - first).days >= 29


def test_two_devices_share_a_serial_number(made):
    shared = (
        made.register.group_by("device_serial")
        .agg("station")
        .filter(pl.col("station").list.len() > 1)
    )
    planted = made.plants["shared_serial"]
    assert shared["device_serial"].to_list() == [planted["device_serial"]]
    assert set(shared["station"].item()) == set(planted["stations"])
    assert made.register["station"].is_unique().all()


def test_bad_rows_are_the_planted_ones(made):
    exams, defect = made.exams, made.defect

    def uids(*what):
        return set(exams.filter(*what)["exam_uid"])

    in_time = pl.col("exam_time").dt.year().is_between(2000, 2100)
    assert uids(pl.col("exam_end_time") < pl.col("exam_time")) == defect("ends_before_start")
    assert uids(~pl.col("age_years").is_between(0, 130)) == defect("age_impossible")
    assert set(exams["age_years"].unique()) >= {155, -1}
    assert uids(~in_time) == defect("date_impossible")
    assert set(exams.filter(~in_time)["exam_time"].dt.year()) == {1900, 9999}
    assert uids(pl.col("dlp_mgy_cm") < 0) == defect("dose_negative")
    assert uids(pl.col("dlp_mgy_cm") > 10_000) == defect("dose_absurd")
    assert set(exams.filter(exams.is_duplicated())["exam_uid"]) == defect("duplicate")
    assert set(exams.filter(exams["exam_uid"].is_duplicated())["exam_uid"]) == defect("duplicate")
    assert all(len(held) >= 3 for held in made.truth["defects"].values())


def test_no_device_overlaps_but_where_planted(made):
    ordered = made.good.sort("station", "exam_time", "exam_end_time")
    after = pl.col("exam_time").shift(-1).over("station")
    found = ordered.filter(after < pl.col("exam_end_time"))
    assert set(found["exam_uid"]) == made.defect("overlap")


def test_opening_hours_hold_but_where_planted(made):
    right = pl.col("station") != made.plants["clock_offset"]["station"]
    both = made.good.join(made.register, on="station", suffix="_of").filter(right)
    day = pl.col("exam_time").dt.weekday()
    edge = {
        name: pl.when(day <= 5).then(f"weekday_{name}_min").when(day == 6)
        .then(f"saturday_{name}_min").otherwise(f"sunday_{name}_min")
        for name in ("open", "close")
    }  # fmt: skip
    midnight = pl.col("exam_time").dt.truncate("1d")
    begin = (pl.col("exam_time") - midnight).dt.total_seconds() / 60
    end = (pl.col("exam_end_time") - midnight).dt.total_seconds() / 60
    inside = (begin >= edge["open"]) & (end <= edge["close"])
    outside = both.filter(~inside.fill_null(value=False))
    planted = made.defect("outside_hours") & set(both["exam_uid"])
    assert len(planted) > 10
    assert set(outside["exam_uid"]) == planted
    installed = both.filter(pl.col("exam_time").dt.date() < pl.col("installed_date"))
    assert installed.is_empty()
    assert both["digital"].all()


def test_times_of_a_report_follow_each_other(made):
    reports = made.reports
    end = dt.datetime(2023, 1, 1)  # noqa: DTZ001 - local time, as in the table
    assert (reports["ordered_time"] < reports["arrival_time"]).all()
    assert (reports["arrival_time"] < reports["acquired_time"]).all()
    final = reports.drop_nulls("final_time")
    assert (final["acquired_time"] < final["final_time"]).all()
    assert final["final_time"].max() < end
    early = final.drop_nulls("preliminary_time")
    assert (early["preliminary_time"] <= early["final_time"]).all()
    still = reports.filter(pl.col("final_time").is_null())
    assert 0 < len(still) < 0.02 * len(reports)
    recent = reports.filter(pl.col("acquired_time") > end - dt.timedelta(hours=6))
    assert recent["final_time"].is_null().mean() > 0.3


def test_the_rest_is_the_same_without_what_is_planted():
    with_, without = (
        rows(City(7, 0.01, months=2, plant=plant), "reports") for plant in (True, False)
    )
    # Nothing is down for a month in two months, so that only single exams differ.
    assert len(with_) == len(without)
    same = (with_["patient_id"] == without["patient_id"]).mean()
    assert 0.99 < same < 1
