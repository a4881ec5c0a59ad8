import math

import polars as pl
import pytest

from workbench.dose_reports.reading import read_dose_reports
from workbench.dose_reports.resource_table import read_resource_table
from workbench.errors import DefinitionError
from workbench.radiology.effective_dose import (
    REFUSALS,
    effective_dose_factor,
    estimate_effective_dose,
    estimate_exam_effective_dose,
    source,
    sum_effective_dose,
)

TABLE = {  # PMC3326072, Table XII: ages 0, 1, 5, 10, adult
    "head": (0.0110, 0.0067, 0.0040, 0.0032, 0.0021),
    "chest": (0.0390, 0.0260, 0.0180, 0.0130, 0.0140),
    "abdomen-pelvis": (0.0490, 0.0300, 0.0200, 0.0150, 0.0150),
    "trunk": (0.0440, 0.0280, 0.0190, 0.0140, 0.0150),
}


@pytest.mark.parametrize("region", TABLE)
def test_factors_are_those_of_the_table(region):
    adult = 16 if region == "head" else 32
    found = [effective_dose_factor(region, age, 16) for age in (0, 1, 5, 10)]
    assert (*found, effective_dose_factor(region, 40, adult)) == TABLE[region]
    assert effective_dose_factor(region, 18, adult) == TABLE[region][-1]


def test_a_chest_of_443_mgy_cm_is_6_2_msv():
    assert round(443 * effective_dose_factor("chest", 60, 32), 1) == 6.2


def test_between_two_ages_of_one_phantom_factors_are_interpolated():
    assert effective_dose_factor("chest", 3, 16) == pytest.approx((0.026 + 0.018) / 2)
    assert effective_dose_factor("head", 14, 16) == pytest.approx((0.0032 + 0.0021) / 2)


def test_between_two_phantoms_the_age_with_that_of_the_scan_is_used():
    assert effective_dose_factor("chest", 14, 16) == 0.013
    assert effective_dose_factor("chest", 14, 32) == 0.014


def test_another_phantom_or_no_age_has_no_factor():
    assert math.isnan(effective_dose_factor("chest", 5, 32))
    assert math.isnan(effective_dose_factor("chest", 40, 16))
    assert math.isnan(effective_dose_factor("head", 40, 32))
    assert math.isnan(effective_dose_factor("head", -1, 16))


def test_an_unknown_region_gets_the_nearest():
    with pytest.raises(DefinitionError, match="chest"):
        effective_dose_factor("chst", 40, 32)


def test_the_source_and_its_phantoms_are_named():
    assert "PMC3326072" in source()
    assert "16 cm" in source()


def events(**changed):
    row = {
        "exam_uid": "1",
        "event_uid": "1.1",
        "modality": "CT",
        "target_region_code": "SRT:T-D3000",
        "phantom_cm": 32.0,
        "dlp_mgy_cm": 443.0,
    }
    schema = {k: pl.String if isinstance(v, str) else pl.Float64 for k, v in row.items()}
    return pl.DataFrame([row | changed], schema=schema)


def exams(age=60.0):
    return pl.DataFrame({"exam_uid": ["1"], "age_years": [age]}, schema_overrides={
        "age_years": pl.Float64})  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "age", "refusal"),
    [
        ({}, 60.0, None),
        ({"dlp_mgy_cm": None}, 60.0, "no_dlp"),
        ({"target_region_code": None}, 60.0, "no_region"),
        ({"target_region_code": "SRT:T-D1600"}, 60.0, "no_factor"),  # neck
        ({}, None, "no_age"),
        ({"phantom_cm": None}, 60.0, "no_phantom"),
        ({}, 5.0, "other_phantom"),
    ],
)
def test_why_there_is_no_estimate_is_told(changed, age, refusal):
    row = estimate_effective_dose(events(**changed), exams(age)).row(0, named=True)
    assert row["refusal"] == refusal
    assert refusal is None or refusal in REFUSALS
    assert (row["effective_dose_msv"] is None) == (refusal is not None)


@pytest.mark.parametrize(
    ("changed", "factor", "refusal"),
    [
        ({}, 0.014, None),
        ({"body_part": " chestabdpelvis"}, 0.015, None),
        ({"body_part": "HEAD", "phantom_cm": 16.0}, 0.0021, None),
        ({"body_part": "CSPINE"}, None, "no_factor"),
        ({"body_part": ""}, None, "no_region"),
        ({"body_part": None}, None, "no_region"),
        ({"dlp_mgy_cm": None}, None, "no_dlp"),
        ({"age_years": None}, None, "no_age"),
        ({"age_years": 5.0}, None, "other_phantom"),
    ],
)
def test_a_table_without_events_is_estimated_by_body_part(changed, factor, refusal):
    row = {"exam_uid": "1", "modality": "CT", "body_part": "CHEST", "age_years": 60.0,
           "phantom_cm": 32.0, "dlp_mgy_cm": 443.0}  # fmt: skip
    numbers = dict.fromkeys(("age_years", "phantom_cm", "dlp_mgy_cm"), pl.Float32)
    table = pl.DataFrame([row | changed, row | {"modality": "PT"}], schema_overrides=numbers)
    found = estimate_exam_effective_dose(table.cast({"modality": pl.Categorical}))
    assert found["refusal"].to_list() == [refusal]
    dose = sum_effective_dose(found)["effective_dose_msv"].item()
    assert dose == (factor and pytest.approx(443 * factor))


def test_an_exam_tells_what_its_estimate_does_not_cover():
    both = pl.concat([events(), events(target_region_code="SRT:T-D0010", dlp_mgy_cm=11.5)])
    row = sum_effective_dose(estimate_effective_dose(both, exams())).row(0)
    assert row == ("1", pytest.approx(6.202), 11.5)


def test_real_scans_are_estimated(shared_data):
    tables = read_dose_reports(shared_data / "openrem")
    found = estimate_effective_dose(tables.events, tables.exams)
    assert len(found) == 17
    chest = found.filter((pl.col("region") == "chest") & pl.col("refusal").is_null())
    assert chest["effective_dose_msv"].sum() == pytest.approx(236.09 * 0.014)


def test_every_region_has_factors():
    regions = set(read_resource_table("effective_dose_factors")["region"])
    for name in ("dose_regions", "dose_body_parts"):
        assert set(read_resource_table(name)["region"]) == regions
