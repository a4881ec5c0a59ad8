# ruff: noqa: DTZ001 - the times of a device have no zone
from datetime import date, datetime, time

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.dicom.rows import to_rows


def row_of(**stored):
    return to_rows(pl.DataFrame({k: [v] for k, v in stored.items()})).row(0, named=True)


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))
def test_a_date_and_time_comes_back(moment):
    day, clock = f"{moment:%Y%m%d}".zfill(8), f"{moment:%H%M%S.%f}"
    row = row_of(StudyDate=day, StudyTime=clock, AcquisitionDateTime=f"{day}{clock}+0300")
    assert row["exam_time"] == row["acquisition_time"] == moment
    assert row["exam_time_source"] == "StudyDate+StudyTime"
    assert row["acquisition_time_source"] == "AcquisitionDateTime"
    assert row["acquisition_offset_min"] == 180


@given(st.text("0123456789.:+- ", max_size=20), st.text("0123456789.: ", max_size=20))
def test_no_text_is_a_date_by_chance(day, clock):
    found = row_of(StudyDate=day, StudyTime=clock)["exam_time"]
    digits = day.replace(".", "")
    try:
        assert len(digits) == 8
        assert digits.isdecimal()
        expected = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except (AssertionError, ValueError):
        assert found is None
    else:
        assert found.date() == expected


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ("09", time(9)),
        ("0915", time(9, 15)),
        ("09:15:30", time(9, 15, 30)),
        ("091530.5", time(9, 15, 30, 500_000)),
        ("235960", time(23, 59, 59)),
        ("240000", None),
        ("0960", None),
        ("9", None),
        ("noon", None),
    ],
)
def test_a_time(clock, expected):
    row = row_of(StudyDate="20240229", StudyTime=clock)
    assert row["exam_time"] == datetime.combine(date(2024, 2, 29), expected or time())
    assert row["exam_time_source"] == ("StudyDate+StudyTime" if expected else "StudyDate")


def test_an_exam_without_date_is_dated_by_what_it_holds():
    row = row_of(StudyDate="20240230", AcquisitionDateTime="20240301101112", ContentDate="20240302")
    assert row["exam_time"] == datetime(2024, 3, 1, 10, 11, 12)
    assert row["exam_time_source"] == "AcquisitionDateTime"
    assert row_of(ContentDate="2024.03.02")["exam_time_source"] == "ContentDate"


@pytest.mark.parametrize(
    ("stored", "expected"),
    [("+0530", 330), ("-0800", -480), ("0300", None), ("+2500", None), ("+0399", None)],
)
def test_an_offset_from_utc(stored, expected):
    assert row_of(TimezoneOffsetFromUTC=stored)["timezone_offset_min"] == expected


@pytest.mark.parametrize(
    ("stored", "general", "offset"),
    [
        ("20200101120000+0800", None, 480),
        ("20200101120000.5-0330", "+0100", -210),
        ("20200101120000", "+0100", 60),
        ("20200101120000+9900", "+0100", 60),
        ("202001+0800", "+0100", 60),  # no day: the time is not taken from it
        ("20200101120000&0800", None, None),
        (None, "+0100", 60),
    ],
)
def test_the_zone_of_a_time_is_kept_beside_it(stored, general, offset):
    row = row_of(
        AcquisitionDateTime=stored, TimezoneOffsetFromUTC=general,
        AcquisitionDate="20200101", AcquisitionTime="120000",
    )  # fmt: skip
    assert row["acquisition_time"].replace(microsecond=0) == datetime(2020, 1, 1, 12)
    assert row["acquisition_offset_min"] == offset
    assert row["timezone_offset_min"] == (60 if general else None)


@pytest.mark.parametrize("name", ["Series", "Acquisition", "Content"])
def test_every_time_tells_what_it_was_taken_from(name):
    column = f"{name.lower()}_time"
    row = row_of(**{f"{name}Date": "20240302", f"{name}Time": "1011"})
    assert row[column] == datetime(2024, 3, 2, 10, 11)
    assert row[f"{column}_source"] == f"{name}Date+{name}Time"
    row = row_of(**{f"{name}Date": "20240302", f"{name}Time": "noon"})
    assert (row[column], row[f"{column}_source"]) == (datetime(2024, 3, 2), f"{name}Date")
    row = row_of(**{f"{name}Date": "20240230", f"{name}Time": "1011"})
    assert (row[column], row[f"{column}_source"]) == (None, None)
