"""Series are summed up from instances: geometry, contradictions, and what is shared."""

from __future__ import annotations

import polars as pl
import pytest

from workbench.archive.archive import tidy
from workbench.catalog.series import SERIES, as_stored, summarise_series
from workbench.dicom.columns import SCHEMA


def rows(count, **columns):
    """Make rows of one series; a list has one value a row."""
    base = {"exam_uid": "1", "patient_id": "P", "series_uid": "1.1", "frames": 1} | columns
    return pl.DataFrame(
        {k: v if isinstance(v, list) else [v] * count for k, v in base.items()}
        | {k: [None] * count for k in SCHEMA if k not in base},
        SCHEMA,
    )


def place(*depths, normal=(0, 0, 1)):
    return [[float(d * n) for n in normal] for d in depths]


AXIAL = [1.0, 0, 0, 0, 1, 0]


def test_spacing_is_that_of_positions_along_the_normal_in_any_order():
    made = summarise_series(
        rows(4, position=place(0, 7.5, 2.5, 5), orientation=[AXIAL] * 4, slice_thickness_mm=9.0)
    )
    assert made.schema == SERIES
    assert made.select("orientations", "slices", "spacing_mm").row(0) == (1, 4, 2.5)
    # Slices of an oblique series move in the plane too; the spacing is along the normal.
    tilted = [1.0, 0, 0, 0, 0.8, -0.6]
    moved = [[0.0, 3 * i + 5.0, 4 * i + 1.0] for i in range(3)]
    made = summarise_series(rows(3, position=moved, orientation=[tilted] * 3))
    assert made["spacing_mm"].item() == pytest.approx(3 * 0.6 + 4 * 0.8)


def test_several_orientations_have_no_spacing_and_noise_is_none():
    noisy = [AXIAL, [1, 1e-6, 0, 0, 1, 0], [1.0, 0, 0, 0, 0.999999, 0]]
    made = summarise_series(rows(3, position=place(0, 1, 2), orientation=noisy))
    assert made.select("orientations", "slices").row(0) == (1, 3)
    three = [AXIAL, [0.0, 1, 0, 0, 0, -1], [1.0, 0, 0, 0, 0, -1]]
    made = summarise_series(rows(3, position=place(0, 1, 2), orientation=three))
    assert made.select("orientations", "slices", "spacing_mm").row(0) == (3, None, None)
    made = summarise_series(rows(2))
    assert made.select("orientations", "slices", "spacing_mm").row(0) == (0, None, None)
    made = summarise_series(rows(2, orientation=[AXIAL, AXIAL]))
    assert made.select("orientations", "slices").row(0) == (1, None)


def test_the_smaller_value_counts_and_contradictions_are_counted():
    made = summarise_series(
        rows(3, sex=["M", None, "F"], kvp_kv=[120.0, 100.0, 120.0], modality=["CT", None, "CT"])
    )
    assert made.select("sex", "kvp_kv", "modality", "differing").row(0) == ("F", 100.0, "CT", 2)


def test_megabytes_are_of_pixels_and_unknown_if_one_instance_does_not_say():
    made = summarise_series(rows(2, pixel_bytes=[1_000_000, 500_000]))
    assert made["megabytes"].item() == 1.5
    assert summarise_series(rows(2, pixel_bytes=[1, None]))["megabytes"].item() is None


def test_one_uid_of_two_patients_is_two_series():
    made = summarise_series(rows(3, patient_id=["P", "Q", "Q"]))
    assert made.select("patient_id", "instances", "shared").rows() == [
        ("P", 1, True),
        ("Q", 2, True),
    ]
    made = summarise_series(rows(2, patient_id=None))
    assert made.select("instances", "shared").rows() == [(2, False)]


def test_ages_that_a_birth_date_told_are_text_too():
    series = pl.LazyFrame({"age": ["018M", None, None], "age_years": [1.5, 0.123, None]})
    stored = as_stored(series, ["age_years"]).collect()["age_years"].to_list()
    assert stored == ["018M", "0.123Y", None]


def test_a_stored_text_that_is_no_age_gives_way_to_the_birth_date():
    series = pl.LazyFrame({"age": ["45", "999Y", "ABC"], "age_years": [44.5, 30.0, None]})
    stored = as_stored(series, ["age_years"])
    assert tidy(stored).collect()["age_years"].to_list() == [44.5, 30.0, None]
