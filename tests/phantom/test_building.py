"""A hospital that was built is scanned without a refusal but the planted one."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from workbench.catalog.scan import scan
from workbench.imaging.volume import load_volume, open_volume
from workbench.imaging.volume_error import VolumeError
from workbench.phantom.building import build_hospital
from workbench.phantom.cases import PLANTED, plan_cases
from workbench.phantom.hospital import find_hospital
from workbench.segments.segmentation import open_segmentation

NAME, EXAMS, SEED, PIXELS = "hospital_osh", 12, 5, 64
ASKED = {"exams": EXAMS, "scores": 50, "seed": SEED, "pixels": PIXELS}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hospital")
    return folder, build_hospital(NAME, folder, **ASKED)


@pytest.fixture(scope="module")
def catalog(built, tmp_path_factory):
    return scan(built[0] / "images", tmp_path_factory.mktemp("catalog") / "catalog")


def place(told, kind):
    (planted,) = told["planted"][kind]
    return planted["folder"]


def test_a_scan_refuses_the_corrupt_file_alone(built, catalog):
    folder, told = built
    refused = catalog.refused().collect()
    assert refused["reason"].to_list() == ["truncated"]
    assert f"images/{refused['path'][0]}".startswith(place(told, "corrupt_file") + "/2/")
    files = sum(1 for _ in (folder / "images").rglob("*.dcm"))
    assert catalog.counts["instances"] == files - 1
    assert catalog.counts["exams"] == EXAMS


def test_series_are_consistent(catalog):
    series = catalog.series().collect()
    assert not series["shared"].any()
    assert series["differing"].max() == 0
    ct = series.filter((pl.col("modality") == "CT") & (pl.col("instances") > 1))
    assert (ct["slice_thickness_mm"] - ct["spacing_mm"]).abs().max() < 1e-6
    assert ct["age_years"].null_count() == 0
    assert series["patient_id"].n_unique() == catalog.counts["patients"]


def test_each_planted_exam_fails_in_its_own_way(built):
    folder, told = built
    assert set(told["planted"]) == set(PLANTED)
    for kind, reason in (
        ("missing_slices", "missing_slices"),
        ("corrupt_file", "unreadable_files"),
    ):
        with pytest.raises(VolumeError) as caught:
            open_volume(folder / place(told, kind) / "2")
        assert caught.value.reason == reason
    assert not (folder / place(told, "localiser_only") / "2").exists()
    assert (folder / place(told, "localiser_only") / "1").is_dir()
    thick = open_volume(folder / place(told, "thick_slices") / "2")
    assert float(thick.z[1] - thick.z[0]) == pytest.approx(10)
    bowel = load_volume(folder / place(told, "not_chest") / "2").values
    body = bowel[:, PIXELS // 4 : 3 * PIXELS // 4, PIXELS // 4 : 3 * PIXELS // 4]
    assert (body < -500).mean() < 0.05


def test_every_other_exam_opens_with_its_masks(built):
    folder, told = built
    wrong = {p["exam_uid"] for kind in told["planted"].values() for p in kind}
    truth = pl.read_parquet(folder / "truth.parquet")
    cases = plan_cases(find_hospital(NAME), EXAMS, SEED, pixels=PIXELS)
    checked = 0
    for case, row in zip(cases, truth.iter_rows(named=True), strict=True):
        assert row["exam_uid"] == case.label.exam_uid
        if row["exam_uid"] in wrong:
            continue
        exam = folder / f"images/{case.number:04d}"
        volume = load_volume(exam / "2")
        body = volume.values[:, PIXELS // 4 : 3 * PIXELS // 4, PIXELS // 4 : 3 * PIXELS // 4]
        assert (body < -500).mean() > 0.15
        if not row["nodules"]:
            assert not (exam / "9").exists()
            continue
        voxel = np.prod([abs(float(volume[n][1] - volume[n][0])) for n in "xyz"]) / 1000
        if not (exam / "9").exists():  # smaller than a voxel of this coarse grid
            assert not any(n["mask_ml"] for n in row["nodules"])
            continue
        masks = open_segmentation(exam / "9", like=volume)
        for nodule in row["nodules"]:
            numbers = [
                k for k, v in masks.attrs["labels"].items() if v == f"nodule {nodule['number']}"
            ]
            held = sum(int((masks.values == k).sum()) for k in numbers) * voxel
            assert held == pytest.approx(nodule["mask_ml"], abs=1e-4)
            checked += 1
    assert checked >= 5


def test_the_truth_says_who_is_ill(built):
    truth = pl.read_parquet(built[0] / "truth.parquet")
    assert len(truth) == EXAMS
    for row in truth.iter_rows(named=True):
        bad = any(n["malignant"] for n in row["nodules"])
        if row["nodules"]:
            assert row["truth"] == int(bad)
        assert (row["malignancy"] == "malignant") == bool(row["truth"])
        assert {row["reader_1"], row["reader_2"]} <= {0, 1}
        for nodule in row["nodules"]:
            assert nodule["volume_ml"] == pytest.approx(
                np.pi / 6e3 * nodule["diameter_mm"] ** 3, rel=1e-3
            )


def test_the_same_seed_gives_the_same_bytes(built, tmp_path):
    folder, told = built
    again = build_hospital(NAME, tmp_path, **ASKED)
    assert again == told
    files = sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    for file in files:
        assert (folder / file).read_bytes() == (tmp_path / file).read_bytes(), file
