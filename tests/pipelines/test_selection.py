"""Selection: what headers, geometry and values say, each rule alone and together."""

import numpy as np
import polars as pl
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from tests.pipelines.made_cohorts import series, write_series
from workbench.imaging.volume import open_volume
from workbench.pipelines.attrition import REASONS
from workbench.pipelines.exam import _describe_files
from workbench.pipelines.requirement import Content, Requirement
from workbench.pipelines.selection import (
    Candidate,
    judge_content,
    judge_header,
    judge_volume,
    plane_of,
    select_series,
)

CHEST = Candidate(
    "1", "CT", "ORIGINAL\\PRIMARY\\AXIAL", contrast=False, kernel="B30f",
    orientation=(1, 0, 0, 0, 1, 0), slices=100, spacing_mm=2.5, coverage_mm=250.0,
    thickness_mm=2.5, pixel_mm=0.7,
)  # fmt: skip
RULES = [
    ({"modality": ("MR",)}, "wrong_modality"),
    ({"image_type": ("HELIX",)}, "wrong_series"),
    ({"orientation": "coronal"}, "wrong_orientation"),
    ({"kernels": ("B70f", "LUNG")}, "wrong_kernel"),
    ({"contrast": True}, "no_contrast"),
    ({"thickness_mm": (None, 2.0)}, "thick_slices"),
    ({"thickness_mm": (3.0, None)}, "thin_slices"),
    ({"spacing_mm": (None, 2.0)}, "thick_slices"),
    ({"spacing_mm": (3.0, None)}, "thin_slices"),
    ({"pixel_mm": (None, 0.5)}, "coarse_pixels"),
    ({"slices": (101, None)}, "too_few_slices"),
    ({"slices": (None, 99)}, "too_short"),
    ({"coverage_mm": (300, None)}, "too_short"),
]
GOOD = {
    "modality": ("CT", "PT"), "image_type": ("AXIAL",), "orientation": "transverse",
    "kernels": ("b30F",), "contrast": False, "thickness_mm": (2.5, 2.5), "spacing_mm": (1, 3),
    "pixel_mm": (None, 0.7), "slices": (100, 100), "coverage_mm": (200, None),
}  # fmt: skip


@pytest.mark.parametrize(("rule", "reason"), RULES)
def test_each_rule_has_its_reason(rule, reason):
    assert judge_header(CHEST, Requirement(**rule))[0] == reason
    assert reason in REASONS


def test_what_is_asked_for_and_is_there_passes():
    assert judge_header(CHEST, Requirement(**GOOD)) is None


def test_what_a_header_does_not_say_passes_the_first_look_but_modality_and_kernel():
    asked = Requirement(**{k: v for k, v in GOOD.items() if k not in ("modality", "kernels")})
    assert judge_header(Candidate("1"), asked) is None
    assert judge_header(Candidate("1"), Requirement(modality=("CT",)))[0] == "wrong_modality"
    assert judge_header(Candidate("1"), Requirement(kernels=("B30f",)))[0] == "wrong_kernel"


@pytest.mark.parametrize("word", ["LOCALIZER", "mip", " SCREEN SAVE "])
def test_a_projection_is_no_volume_whatever_is_asked_for(word):
    held = Candidate("1", "CT", f"DERIVED\\SECONDARY\\{word}")
    assert judge_header(held, Requirement())[0] == "wrong_series"


@given(st.lists(st.floats(0.5, 10), min_size=1, max_size=8), st.randoms())
def test_the_thinnest_series_is_first_in_whatever_order_they_come(spacings, chance):
    held = [Candidate(str(i), "CT", spacing_mm=s) for i, s in enumerate(spacings)]
    shuffled = held.copy()
    chance.shuffle(shuffled)
    wanted = Requirement(spacing_mm=(None, 5.0))
    good, lost = select_series("e", shuffled, wanted)
    expected = sorted((s, str(i)) for i, s in enumerate(spacings) if s <= 5)
    assert [(c.spacing_mm, c.series_uid) for c in good] == expected
    assert len(good) + len(lost) == len(held)
    assert {r.reason for r in lost} <= {"thick_slices"}


def test_a_wanted_kernel_counts_more_than_thin_slices():
    sharp = Candidate("1", kernel="B70f", spacing_mm=1.0)
    soft = Candidate("2", kernel="B30f", spacing_mm=5.0)
    for kernels, first in ((("B30f", "B70f"), "2"), (("B70f", "B30f"), "1"), (None, "1")):
        assert (
            select_series("e", [sharp, soft], Requirement(kernels=kernels))[0][0].series_uid
            == first
        )


def volume(shape=(10, 8, 8), spacing=(2.0, 1.0, 1.0), **attrs):
    told = {"affine": np.diag([*spacing[::-1], 1.0]).tolist(), "modality": "CT", "units": "HU"}
    return xr.DataArray(np.zeros(shape, "i2"), dims=("z", "y", "x"), attrs=told | attrs)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"spacing_mm": (None, 1.5)}, "thick_slices"),
        ({"pixel_mm": (None, 0.5)}, "coarse_pixels"),
        ({"slices": (11, None)}, "too_few_slices"),
        ({"coverage_mm": (20.5, None)}, "too_short"),
        ({"coverage_mm": (None, 19.5)}, "too_short"),
        ({"orientation": "sagittal"}, "wrong_orientation"),
        ({"units": "SUV"}, "wrong_units"),
        ({"modality": ("MR",)}, "wrong_modality"),
    ],
)
def test_a_volume_is_judged_by_where_it_lies(asked, reason):
    assert judge_volume(volume(), Requirement(**asked))[0] == reason
    assert judge_volume(volume(), Requirement(coverage_mm=(20, 20), spacing_mm=(2, 2))) is None


def test_several_phases_are_no_volume():
    both = xr.concat([volume(), volume()], "time")
    assert judge_volume(both, Requirement()) == ("several_volumes", "time 2, z 10, y 8, x 8")


def test_values_tell_what_is_in_a_volume():
    held = volume((40, 40, 40))
    held[:20] = -800
    lungs = Requirement(content=(Content(-950, -600, 0.2, 0.7),))
    assert judge_content(held, lungs) is None
    held[20:] = -800
    assert judge_content(held, lungs) == ("wrong_content", "100.0 % between -950 and -600")


def test_planes_have_their_names():
    assert plane_of((0, 1, 0, 0, 0, -1)) == "sagittal"
    assert plane_of((0.7071, 0.7071, 0, 0, 0, -1)) == "oblique"


def test_real_series_are_described_as_their_volumes_are(shared_data):
    places = (
        "ibsi/ibsi_validation/dicom/STS_001/CT/image",
        "totalseg/example_ct_dicom",
        "dicom2nifti/ge/anatomical/001",
        "dicom2nifti/philips_enhanced/anatomical/001",
    )
    for place in places:
        (candidate,), _ = _describe_files(shared_data / place)
        opened = open_volume(shared_data / place)
        assert candidate.modality == opened.attrs["modality"]
        many = candidate.slices is not None  # a file of many frames tells at the second look
        assert many == ("enhanced" not in place)
        if many:
            assert candidate.slices == opened.sizes["z"]
            apart = float(np.diff(opened.z).mean())
            assert candidate.spacing_mm == pytest.approx(apart, abs=0.002)
            asked = Requirement(coverage_mm=(candidate.coverage_mm - 1, candidate.coverage_mm + 1))
            assert judge_volume(opened, asked) is None


def test_a_folder_of_several_series_is_several_candidates(tmp_path):
    write_series(tmp_path / "a", series(1, 1))
    for file in write_series(tmp_path / "b", series(1, 2, apart=2.0)):
        file.rename(tmp_path / "a" / f"second {file.name}")
    candidates, files = _describe_files(tmp_path / "a")
    assert {c.series_uid: c.spacing_mm for c in candidates} == {"1.2.1.1": 4.0, "1.2.1.2": 2.0}
    assert {uid: len(held) for uid, held in files.items()} == {"1.2.1.1": 12, "1.2.1.2": 12}
    assert candidates[0].context["age_years"] == 50.0


def test_every_reason_is_said_and_sorted(tmp_path):
    from workbench.pipelines.attrition import Refusal, attrition_table, count_reasons

    rows = [Refusal("2", None, "time_out").row(), Refusal("1", "1.1", "not_best").row()]
    table = attrition_table(rows)
    assert table["exam_uid"].to_list() == ["1", "2"]
    assert table.schema == dict.fromkeys(("exam_uid", "series_uid", "reason", "detail"), pl.String)
    assert count_reasons(table) == {"time_out": 1}
    assert all(text[0].isupper() and not text.endswith(".") for text in REASONS.values())
