"""Fleet: devices in use on a day, their age, and the share that is digital."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from workbench.errors import SiteError
from workbench.radiology.fleet import add_device_age, describe_fleet, open_fleet

DAY = dt.date(2024, 1, 1)
REGISTER = pl.LazyFrame(
    {
        "station": ["A", "B", "C", "D", "E", "F"],
        "modality": ["CT", "CT", "MR", "DX", "RG", None],
        "installed_date": [
            dt.date(2012, 7, 1), dt.date(2020, 1, 1), dt.date(2024, 1, 1),
            None, dt.date(1900, 1, 1), dt.date(9999, 1, 1),
        ],
        "retired_date": [None, dt.date(2024, 1, 2), None, None, None, None],
        "digital": [True, True, True, None, False, True],
    }
)  # fmt: skip


def test_in_use_on_a_day() -> None:
    fleet = open_fleet(REGISTER, DAY).collect()
    assert fleet["station"].to_list() == ["A", "B", "C", "D", "E"]
    ages = dict(fleet.select("station", pl.col("age_years").round(1)).iter_rows())
    assert ages == {"A": 11.5, "B": 4.0, "C": 0.0, "D": None, "E": None}
    assert "B" not in open_fleet(REGISTER, DAY + dt.timedelta(1)).collect()["station"].to_list()


def test_share_and_age() -> None:
    row = describe_fleet(open_fleet(REGISTER, DAY)).row(0, named=True)
    assert (row["devices"], row["age_known"], row["digital_known"]) == (5, 3, 4)
    assert row["age_years_median"] == pytest.approx(4.0, abs=0.01)
    assert row["older_than_10"] == pytest.approx(1 / 3)
    assert row["digital"] == 0.75


def test_by_modality() -> None:
    found = describe_fleet(open_fleet(REGISTER, DAY), "modality")
    assert found.select("modality", "devices").rows() == [
        ("CT", 2),
        ("DX", 1),
        ("MR", 1),
        ("RG", 1),
    ]


def test_a_register_that_says_little() -> None:
    row = describe_fleet(open_fleet(REGISTER.select("station"), DAY)).row(0, named=True)
    assert row == {
        "devices": 6, "age_known": 0, "age_years_median": None, "older_than_10": None,
        "digital_known": 0, "digital": None,
    }  # fmt: skip


@pytest.mark.parametrize("kind", [pl.String(), pl.Categorical(), pl.Enum(["A", "B", "Z"])])
def test_age_on_the_day_of_the_exam(kind: pl.DataType) -> None:
    at = dt.datetime.combine(dt.date(2022, 7, 1), dt.time(8))
    rows = [("A", at), ("A", at.replace(2017)), ("B", at.replace(2019)), ("Z", at), (None, at),
            ("A", None), ("A", at.replace(2099))]  # fmt: skip
    exams = pl.LazyFrame(
        rows, {"station": pl.String(), "exam_time": pl.Datetime("us")}, orient="row"
    )
    exams = exams.with_columns(pl.col("station").cast(kind)).with_row_index("n")
    aged = add_device_age(exams, REGISTER).sort("n").collect()
    ages = [None if a is None else round(a, 2) for a in aged["device_age_years"]]
    # A was installed on 1 July 2012; B in 2020, after its exam; Z is in no register.
    assert ages == [10.0, 5.0, None, None, None, None, None]
    assert aged.columns == ["n", "station", "exam_time", "device_age_years"]
    assert aged["station"].dtype == kind


def test_age_of_a_device_that_was_never_installed() -> None:
    exams = pl.LazyFrame(
        {"station": ["E", "F"], "exam_time": [dt.datetime.combine(DAY, dt.time())] * 2}
    )
    for register in (REGISTER, REGISTER.drop("installed_date"), REGISTER.clear()):
        aged = add_device_age(exams, register).collect()
        assert aged["device_age_years"].to_list() == [None, None]


def test_refused() -> None:
    with pytest.raises(SiteError, match="stands twice"):
        open_fleet(pl.LazyFrame({"station": ["A", "A"]}), DAY)
    with pytest.raises(SiteError, match="no column 'station'"):
        open_fleet(REGISTER.drop("station"), DAY)
    with pytest.raises(SiteError, match="no column 'maker'"):
        describe_fleet(open_fleet(REGISTER, DAY), "maker")
    exams = pl.LazyFrame(schema={"station": pl.String(), "exam_time": pl.Datetime("us")})
    with pytest.raises(SiteError, match="stands twice"):
        add_device_age(exams, pl.LazyFrame({"station": ["A", "A"], "installed_date": [DAY, DAY]}))
