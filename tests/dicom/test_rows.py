# ruff: noqa: DTZ001 - the times of a device have no zone
from datetime import date, datetime, time

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.dicom.rows import find_bad_lengths, to_rows


def row_of(**stored):
    return to_rows(pl.DataFrame({k: [v] for k, v in stored.items()})).row(0, named=True)


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))
def test_a_date_and_time_comes_back(moment):
    day, clock = f"{moment:%Y%m%d}".zfill(8), f"{moment:%H%M%S.%f}"
    row = row_of(StudyDate=day, StudyTime=clock, AcquisitionDateTime=f"{day}{clock}+0300")
    assert row["exam_time"] == row["acquisition_time"] == moment
    assert row["exam_time_source"] == "StudyDate+StudyTime"


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
    ("age", "born", "expected"),
    [
        ("045Y", "20000101", 45),
        ("018M", None, 1.5),
        ("37Y", None, 37),
        ("131Y", "19640229", 60),
        ("155Y", "18000101", None),
        ("", "19640229", 60),
        ("old", "20250101", None),
    ],
)
def test_an_age_is_stored_or_counted_and_never_above_130(age, born, expected):
    row = row_of(PatientAge=age, PatientBirthDate=born, StudyDate="20240229")
    assert row["age_years"] == pytest.approx(expected, abs=0.01) if expected else not expected
    assert row["age"] == (age or None)
    if expected is None:
        assert row["age_years"] is None


@pytest.mark.parametrize(
    ("stored", "expected"),
    [("+0530", 330), ("-0800", -480), ("0300", None), ("+2500", None), ("+0399", None)],
)
def test_an_offset_from_utc(stored, expected):
    assert row_of(TimezoneOffsetFromUTC=stored)["timezone_offset_min"] == expected


def test_numbers_that_are_none_are_null():
    row = row_of(KVP="120", SliceThickness="NaN", Exposure="1e400", SeriesNumber="1.5")
    assert (row["kvp_kv"], row["slice_thickness_mm"], row["exposure_mas"]) == (120, None, None)
    assert row["series_number"] is None
    assert row_of(SeriesNumber="12.0")["series_number"] == 12


def test_a_position_with_one_bad_number_is_none():
    stored = {f"ImagePositionPatient.{i}": v for i, v in enumerate(("1", "2.5", "-3e1"))}
    assert row_of(**stored)["position"] == [1, 2.5, -30]
    assert row_of(**stored | {"ImagePositionPatient.1": "x"})["position"] is None


def test_the_size_of_pixels():
    image = {"Rows": 3, "Columns": 5, "BitsAllocated": 1}
    assert row_of(**image)["pixel_bytes"] == 2
    assert row_of(**image | {"NumberOfFrames": "16"})["pixel_bytes"] == 30
    huge = {"Rows": 65535, "Columns": 65535, "BitsAllocated": 64, "SamplesPerPixel": 65535}
    assert row_of(**huge, NumberOfFrames=str(2**31 - 1))["pixel_bytes"] is None


@pytest.mark.parametrize(
    ("declared", "bad"),
    [(30, False), (29, True), (31, False), (44, False), (45, True), (None, False)],
)
def test_pixel_data_must_hold_the_frames_and_no_more(declared, bad):
    image = {"Rows": [3], "Columns": [5], "BitsAllocated": [8], "NumberOfFrames": ["2"]}
    rows = to_rows(pl.DataFrame(image))
    told = find_bad_lengths(rows, pl.Series([declared], dtype=pl.Int64))[0]
    assert told == (f"{declared} bytes for 30" if bad else None)


def test_subsampled_colour_needs_two_thirds():
    image = {"Rows": [2], "Columns": [2], "BitsAllocated": [8], "SamplesPerPixel": [3]}
    rows = to_rows(pl.DataFrame(image | {"PhotometricInterpretation": ["YBR_FULL_422"]}))
    assert rows["pixel_bytes"][0] == 12
    assert find_bad_lengths(rows, pl.Series([8]))[0] is None
    assert find_bad_lengths(rows, pl.Series([7]))[0] is not None


def test_one_row_is_what_it_is_among_many():
    stored = {"StudyDate": ["20040826"], "PatientBirthDate": ["19100531"]}
    one = to_rows(pl.DataFrame(stored))["age_years"]
    many = to_rows(pl.DataFrame({n: v * 9 for n, v in stored.items()}))["age_years"]
    assert set(many) == set(one)
