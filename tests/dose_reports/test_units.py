import pytest

from workbench.dose_reports.resource_table import read_resource_table, read_source
from workbench.dose_reports.tables import EVENTS, EXAMS, FLAGS
from workbench.dose_reports.units import convert, unit_of


@pytest.mark.parametrize(
    ("number", "unit", "column", "value"),
    [
        ("586.34", "mGy.cm", "dlp_mgy_cm", 586.34),  # as found in the public reports
        ("415.82", "mGycm", "dlp_total_mgy_cm", 415.82),
        ("0.00024126", "Gy.m2", "dap_total_gy_cm2", 2.4126),
        ("0.00024126", "Gym2", "dap_total_gy_cm2", 2.4126),
        ("0.41", "dGy.cm2", "dap_gy_cm2", 0.041),
        ("24.126", "uGy.m2", "dap_gy_cm2", 0.24126),
        ("0.01173170", "Gy", "dose_rp_total_mgy", 11.7317),
        ("7333.00", "ms", "exposure_time_s", 7.333),
        ("2", "min", "fluoro_time_s", 120.0),
        ("312", "mm", "water_equivalent_diameter_cm", 31.2),
        ("37", "mCi", "administered_activity_mbq", 1369.0),
        ("1.38", "{ratio}", "pitch", 1.38),
        ("1.07E-05", "Gy.m2", "dap_gy_cm2", 0.107),
    ],
)
def test_a_number_is_taken_in_the_unit_it_states(number, unit, column, value):
    assert convert(number, unit, column).value == value


@pytest.mark.parametrize(
    ("number", "unit", "column", "fault"),
    [
        ("1", "mGy", "dlp_mgy_cm", "wrong_unit"),
        ("1", "mGy.cm", "dap_gy_cm2", "wrong_unit"),
        ("1", "", "dlp_mgy_cm", "unknown_unit"),
        ("1", "R", "ctdivol_mgy", "unknown_unit"),
        ("1", "MGY", "ctdivol_mgy", "unknown_unit"),  # mega is not milli
        ("0,9", "mGy", "ctdivol_mgy", "not_a_number"),
        ("NaN", "mGy", "ctdivol_mgy", "not_a_number"),
        ("Infinity", "mGy", "ctdivol_mgy", "not_a_number"),
        ("1e9999999", "mGy", "ctdivol_mgy", "not_a_number"),
        ("1_000", "mGy", "ctdivol_mgy", "not_a_number"),
        ("٣", "mGy", "ctdivol_mgy", "not_a_number"),
        ("1" * 200, "mGy", "ctdivol_mgy", "not_a_number"),
    ],
)
def test_what_cannot_be_in_the_unit_of_the_column_is_refused(number, unit, column, fault):
    assert convert(number, unit, column).fault == fault
    assert convert(number, unit, column).value is None


def test_another_coding_scheme_is_told():
    assert convert("1", "mGy", "ctdivol_mgy", "UCM").quirk == "unit_scheme"
    assert convert("1", "mGy", "ctdivol_mgy").quirk == ""


def test_every_number_of_the_tables_has_limits_and_a_unit():
    limited = read_resource_table("dose_limits")["column"].to_list()
    numbers = [
        name
        for schema in (EXAMS, EVENTS)
        for name, dtype in schema.items()
        if str(dtype) == "Float64" and name not in ("age_years", "phantom_cm")
    ]
    derived = "scan_length_cm"  # DLP over CTDIvol, by which the two are judged
    assert sorted(limited) == sorted([derived, *numbers])
    ratios = {"pitch", "exposure_index", "target_exposure_index", "deviation_index"}
    assert {n for n in numbers if not unit_of(n)} == ratios


@pytest.mark.parametrize(
    "name",
    [
        *("dose_units", "dose_limits", "dose_quirks", "dose_regions", "dose_alert_levels"),
        *("effective_dose_factors", "reference_levels", "dose_body_parts"),
    ],
)
def test_every_table_names_its_source(name):
    assert len(read_source(name)) > 40
    assert len(read_resource_table(name)) > 1


def test_every_quirk_is_a_flag():
    assert set(read_resource_table("dose_quirks")["quirk"]) <= set(FLAGS)
