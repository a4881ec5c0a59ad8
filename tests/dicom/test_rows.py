import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.dicom.attributes import STORED_SCHEMA
from workbench.dicom.rows import find_bad_lengths, to_rows


def row_of(**stored):
    return to_rows(pl.DataFrame({k: [v] for k, v in stored.items()})).row(0, named=True)


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


STORED = {
    "StudyDate": ["20240229", "2024.03.01", "", "never"],
    "StudyTime": ["0915", "091530.25", "9", ""],
    "AcquisitionDateTime": ["20240229101112+0300", "20240229", "now", ""],
    "PatientAge": ["059Y", "", "200Y", "018M"],
    "PatientBirthDate": ["19640301", "", "x", "20220901"],
    "KVP": ["120", "1e2", "high", ""],
    "Rows": [512, 1, 65535, None],
    "ImagePositionPatient.0": ["1", "-2.5", "", "1"],
    "ImagePositionPatient.1": ["1", "-2.5", "", "x"],
    "ImagePositionPatient.2": ["1", "-2.5", "", "1"],
    "Modality": ["CT", "MR", "", "A\\B"],
}


@given(
    st.sets(st.sampled_from(sorted(STORED)), min_size=1),
    st.lists(st.integers(0, 3), max_size=9),
    st.lists(st.integers(0, 3), min_size=9, max_size=9),
)
def test_what_is_shared_is_read_as_if_each_row_held_it(shared, places, own):
    types = {n: STORED_SCHEMA[n] for n in STORED}
    known = pl.DataFrame(STORED, types).with_columns(SOPInstanceUID=pl.lit("1"))
    each = known.drop(shared)[pl.Series(own[: len(places)], dtype=pl.Int64)]
    once, rows = known.select(sorted(shared)), np.array(places, np.int64)
    whole = each.hstack(once[pl.Series(rows)])
    assert to_rows(each, once, rows).equals(to_rows(whole))
