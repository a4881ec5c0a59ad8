import numpy as np
import polars as pl
import pytest

from workbench.radiology.size_specific_dose import (
    REFUSALS,
    fill_size_specific_dose,
    size_factor,
    water_equivalent_diameter,
)

EVENT = {
    "modality": "CT",
    "acquisition_type": "Spiral Acquisition",
    "ctdivol_mgy": 10.0,
    "phantom_cm": 32.0,
    "water_equivalent_diameter_cm": 25.0,
    "ssde_mgy": None,
}


@pytest.mark.parametrize(
    ("diameter", "phantom", "factor"),
    [
        *[(d, 32, f) for d, f in
          ((10, 2.57), (20, 1.78), (25, 1.48), (30, 1.23), (32, 1.14), (40, 0.85))],
        *[(d, 16, f) for d, f in ((8, 1.38), (10, 1.27), (15, 1.05), (16, 1.01), (20, 0.86))],
    ],
)  # fmt: skip
def test_factors_are_those_of_the_report(diameter, phantom, factor):
    """AAPM Report 204 (2011), tables 1D and 2D."""
    assert round(float(size_factor(diameter, phantom)), 2) == factor


@pytest.mark.parametrize(
    ("diameter", "phantom"), [(7.9, 32), (45.1, 32), (30, 20), (np.nan, 32), (30, np.nan), (-1, 16)]
)
def test_there_is_no_factor_beyond_the_report(diameter, phantom):
    assert np.isnan(size_factor(diameter, phantom))


def test_a_cylinder_of_water_has_its_own_diameter():
    assert water_equivalent_diameter(0, np.pi * 100) == pytest.approx(20)
    # Half as dense, twice the area: the same.
    assert water_equivalent_diameter(-500, np.pi * 200) == pytest.approx(20)


def filled(**changed):
    schema = {k: pl.String if isinstance(v, str) else pl.Float64 for k, v in EVENT.items()}
    return fill_size_specific_dose(pl.DataFrame([EVENT | changed], schema=schema)).row(
        0, named=True
    )


def test_a_dose_is_computed_where_it_can_be_and_kept_where_it_is_stated():
    made = filled()
    assert made["ssde_mgy"] == pytest.approx(14.79, abs=0.005)
    assert (made["ssde_source"], made["ssde_refusal"]) == ("computed", None)
    made = filled(ssde_mgy=3.0)
    assert (made["ssde_mgy"], made["ssde_source"], made["ssde_refusal"]) == (3.0, "report", None)


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"acquisition_type": "Constant Angle Acquisition"}, "localizer"),
        ({"ctdivol_mgy": None}, "no_ctdivol"),
        ({"phantom_cm": None}, "no_phantom"),
        ({"phantom_cm": 20.0}, "no_phantom"),
        ({"water_equivalent_diameter_cm": None}, "no_diameter"),
        ({"water_equivalent_diameter_cm": 50.0}, "diameter_out_of_range"),
        ({"modality": "DX"}, None),
    ],
)
def test_why_there_is_no_dose_is_told(changed, refusal):
    made = filled(**changed)
    assert (made["ssde_mgy"], made["ssde_source"], made["ssde_refusal"]) == (None, None, refusal)
    assert refusal is None or refusal in REFUSALS
