"""The city is the same for one seed, whatever is made of it, and as large as was published.

The figures here are those of the published plan, typed again: none comes from the recipe.
"""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from workbench.errors import UsageError
from workbench.pretend.city import City
from workbench.pretend.month import make_month

YEAR = {"start": dt.date(2023, 1, 1), "months": 12}


def rows(city: City, what: str) -> pl.DataFrame:
    """Return the rows of all districts, dictionaries as text."""
    tables = [pl.from_arrow(getattr(city, what)(d)) for d in city.districts]
    return pl.concat([t.with_columns(pl.col(pl.Categorical).cast(pl.String)) for t in tables])


def content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.parquet")}


def test_one_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("a", 4), ("b", 4), ("c", 5)):
        City(seed, 0.002, months=2).write(tmp_path / name)
    first, again, other = (content(tmp_path / name) for name in "abc")
    assert len(first) == 15
    assert first == again
    assert all(first[path] != other[path] for path in first)


def test_a_part_is_the_same_made_alone_or_with_all_others():
    whole = City(4, 0.01, months=3)
    march = [
        part for part in whole.chunks("south") if part.exams["exam_time"][0].as_py().month == 3
    ]
    (wanted,) = [part for part in march if {"F004"} == set(part.exams["facility"].to_pylist())]
    alone = make_month(City(4, 0.01, months=3), 3, 2)
    assert alone.exams.equals(wanted.exams)
    assert alone.reports.equals(wanted.reports)


def test_the_whole_city_has_the_published_size():
    city = City(1, 1.0)
    years = city.demand.exams.reshape(12, 4, 12).sum(axis=2)
    assert years[:, 3].sum() == pytest.approx(10_000_000)
    ct, mg, dx, cr = (years[i] for i in (0, 2, 3, 4))
    assert (ct[0], ct[3]) == pytest.approx((1_710_000, 2_325_000))
    assert mg[3] / mg[0] == pytest.approx(1.72)
    assert (dx + cr)[3] / (dx + cr)[0] == pytest.approx(1.36)
    assert years.sum() == pytest.approx(35_000_000, rel=0.01)
    # What the devices do, month by month, is all of it.
    assert city.expected().sum() == pytest.approx(years.sum(), rel=1e-5)
    assert len(city.facilities) == 155
    assert len(city.devices) > 1_200
    assert len(city.digital) / len(city.devices) > 0.80
    assert city.quarter.people * len(city.facilities) == pytest.approx(15_000_000, rel=1e-4)


def test_a_small_city_keeps_totals_mix_and_growth():
    seed, scale = 2, 0.02
    exams = rows(City(seed, scale, plant=False), "exams").with_columns(
        year=pl.col("exam_time").dt.year(),
        modality=pl.col("modality").replace("CR", "DX"),
    )
    found = exams.group_by("year", "modality").len()
    number = {(y, m): n for y, m, n in found.rows()}
    total = {y: sum(n for (year, _), n in number.items() if year == y) for y in range(2020, 2024)}
    assert set(total) == {y for y, _ in number}
    assert total[2023] / scale == pytest.approx(10_000_000, rel=0.01)
    assert sum(total.values()) / scale == pytest.approx(35_000_000, rel=0.01)
    assert number[2020, "CT"] / scale == pytest.approx(1_710_000, rel=0.02)
    assert number[2023, "CT"] / scale == pytest.approx(2_325_000, rel=0.02)
    assert number[2023, "MG"] / number[2020, "MG"] == pytest.approx(1.72, rel=0.04)
    assert number[2023, "DX"] / number[2020, "DX"] == pytest.approx(1.36, rel=0.02)
    assert exams["exam_uid"].is_unique().all()


def test_growth_can_be_read_as_an_increase():
    year = City(1, 0.01, growth={"mammography": 2.72}).demand.exams.reshape(12, 4, 12).sum(axis=2)
    assert year[2, 3] / year[2, 0] == pytest.approx(2.72)
    assert year[:, 3].sum() == pytest.approx(100_000)


def test_seasons_and_weekdays_show():
    exams = rows(City(3, 0.05, **YEAR, plant=False), "exams")
    by_month = exams.group_by(pl.col("exam_time").dt.month()).len().sort("exam_time")["len"]
    assert by_month[9] > 1.1 * by_month[0]
    by_day = exams.group_by(pl.col("exam_time").dt.weekday()).len().sort("exam_time")["len"]
    assert by_day[0] > 2 * by_day[5] > by_day[6] > 0
    by_hour = exams.group_by(pl.col("exam_time").dt.hour()).len().sort("exam_time")["len"]
    assert len(by_hour) == 24
    assert by_hour[8:14].sum() > by_hour.sum() / 2


def test_patients_are_whole():
    exams = rows(City(3, 0.05, **YEAR, plant=False), "exams")
    patients = exams.group_by("patient_id").agg(
        exams=pl.len(),
        facilities=pl.col("facility").n_unique(),
        sexes=pl.col("sex").drop_nulls().n_unique(),
        ages=pl.col("age_years").max() - pl.col("age_years").min(),
        weights=pl.col("weight_kg").filter(pl.col("age_years") >= 19).n_unique(),
        districts=pl.col("patient_id").str.head(3).n_unique(),
    )
    assert patients["sexes"].max() == 1
    assert patients["ages"].max() <= 1
    assert patients["districts"].max() == 1
    assert (patients["exams"] > 1).mean() > 0.2
    assert (patients["facilities"] > 1).mean() > 0.05
    adults = exams.filter(pl.col("age_years") >= 19, pl.col("weight_kg").is_not_null())
    assert adults.group_by("patient_id").agg(pl.col("weight_kg").n_unique())["weight_kg"].max() == 1


def test_a_district_has_its_own_patients_and_devices():
    city = City(3, 0.01, months=1)
    found = [set(city.exams(d)["patient_id"].to_pylist()) for d in city.districts]
    assert sum(map(len, found)) == len(set.union(*found))
    stations = [set(city.exams(d)["station"].to_pylist()) for d in city.districts]
    assert sum(map(len, stations)) == len(set.union(*stations))


def test_reports_and_exams_belong_together(tmp_path):
    city = City(3, 0.01, months=2, plant=False)
    city.write(tmp_path, ["west"])
    exams = pl.read_parquet(tmp_path / "west" / "exams.parquet")
    reports = pl.read_parquet(tmp_path / "west" / "reports.parquet")
    assert exams["exam_uid"].equals(reports["exam_uid"])
    assert exams["patient_id"].equals(reports["patient_id"])
    assert pl.from_arrow(city.exams("west")).equals(exams)
    assert exams.schema["exam_time"] == pl.Datetime("us")
    register = pl.read_parquet(tmp_path / "west" / "devices.parquet")
    assert set(exams["station"].cast(pl.String)) <= set(register["station"])
    assert register["time_zone"].unique().to_list() == ["Europe/Moscow"]
    assert not (tmp_path / "north").exists()


def test_memory_stays_flat(tmp_path):
    code = (
        "import sys; from workbench.pretend.city import City\n"
        "City(1, 1.0, months=int(sys.argv[1])).write(sys.argv[2], ['north'])\n"
        "print(open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])"
    )
    peak = []
    for months in (2, 8):
        command = [sys.executable, "-c", code, str(months), str(tmp_path / str(months))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peak.append(int(done.stdout) / 1024)
    assert peak[1] < 1.2 * peak[0]
    assert peak[1] < 500  # MiB


@pytest.mark.parametrize(
    "asked",
    [
        {"scale": 0},
        {"scale": 1.5},
        {"scale": float("nan")},
        {"months": 0},
        {"start": dt.date(2020, 1, 2)},
        {"seed": -1},
        {"growth": {"mamography": 2}},
        {"growth": {"radiography": 0}},
    ],
)
def test_an_impossible_city_is_refused(asked):
    with pytest.raises(UsageError) as caught:
        City(**({"seed": 1, "scale": 0.01} | asked))
    assert caught.value.todo


def test_an_unknown_district_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="nort"):
        City(1, 0.001, months=1).exams("nort")


def test_nothing_is_planted_unless_asked():
    told = City(1, 0.01, months=1, plant=False).truth()
    assert told["plants"] == {}
    assert not any(told["defects"].values())


def test_parts_have_random_numbers_of_their_own():
    city = City(1, 0.001, months=1)
    drawn = {city.stream(part, 0, 0).integers(2**62) for part in ("month", "spoilt")}
    drawn |= {
        city.stream("month", 0, 1).integers(2**62),
        city.stream("month", 1, 0).integers(2**62),
    }
    assert len(drawn) == 4
    assert np.array_equal(city.stream("month", 2).random(3), city.stream("month", 2).random(3))
