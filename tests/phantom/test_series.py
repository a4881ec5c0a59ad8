"""Files of a phantom are DICOM that others find valid, and the archive reads as it was written."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess

import numpy as np
import pytest

from tests.conftest import missing
from tests.phantom.test_exam import NODULE, SCAN, shoot
from workbench.dicom.attributes import ATTRIBUTES
from workbench.imaging.volume import load_volume, open_volume
from workbench.imaging.volume_error import VolumeError
from workbench.phantom.cases import plan_cases
from workbench.phantom.hospital import find_hospital
from workbench.phantom.nodules import Nodule
from workbench.phantom.series import (
    Label,
    make_uid,
    text,
    write_age,
    write_localiser,
    write_masks,
    write_series,
)
from workbench.segments.segmentation import open_segmentation

OTHERS = (NODULE, Nodule("calcified", (60.0, -20.0, 150.0), 9.0, 400.0))


@pytest.fixture(scope="module")
def label():
    """What a case of a hospital states, in letters that are not Latin."""
    case = plan_cases(find_hospital("hospital_chengdu"), 10, 3)[0]
    made = case.label.attributes | {
        "ContrastBolusAgent": "Iohexol",
        "StudyDescription": "胸部CT平扫",
    }
    return Label(
        "key", "P-1", "F", 30.4, 61.3, dt.datetime.fromisoformat("2025-03-04T10:11:12"), made
    )


@pytest.fixture(scope="module")
def exam(tmp_path_factory, label):
    folder = tmp_path_factory.mktemp("exam")
    image = shoot(nodules=OTHERS)
    write_localiser(folder / "1", image, label, 1)
    write_series(folder / "2", image, label, 2)
    write_masks(folder / "9", image, label, 9, 2)
    return folder, image


def test_a_volume_has_the_values_and_the_place_that_were_written(exam):
    folder, image = exam
    volume = open_volume(folder / "2")
    assert volume.attrs["units"] == "HU"
    assert volume.dtype == np.int16
    assert np.array_equal(volume.values, image.hu)
    expected = np.diag([*image.spacing_mm[::-1], 1.0])
    expected[:3, 3] = image.origin_mm
    assert np.allclose(volume.attrs["affine"], expected, atol=1e-9, rtol=0)
    assert volume.x.values[0] == image.origin_mm[0]
    assert volume.z.values[-1] == pytest.approx(image.origin_mm[2] + (len(image.hu) - 1) * 4.0)


def test_masks_align_with_the_image(exam):
    folder, image = exam
    volume = load_volume(folder / "2")
    labels = open_segmentation(folder / "9", like=volume).values
    assert np.array_equal(labels, image.labels)
    for number, (centre, nodule) in enumerate(zip(image.centres_mm, OTHERS, strict=True), 1):
        z, y, x = (volume[n].values for n in "zyx")
        there = np.nonzero(labels == number)
        middle = (x[there[2]].mean(), y[there[1]].mean(), z[there[0]].mean())
        assert middle == pytest.approx(centre, abs=2.0)
        assert volume.values[labels == number].mean() > nodule.hu - 320


def test_every_attribute_that_the_archive_reads_of_a_ct_is_there(exam):
    import pydicom

    folder, _ = exam
    dataset = pydicom.dcmread(folder / "2" / "0001.dcm")
    of_others = {"RepetitionTime", "EchoTime", "DiffusionBValue", "TemporalPositionIdentifier",
                 "AcquisitionDateTime", "NumberOfFrames"}  # fmt: skip
    held = {e.keyword for e in dataset} | {e.keyword for e in dataset.file_meta}
    assert {a.keyword for a in ATTRIBUTES} - of_others - held == set()
    assert dataset.PatientBirthDate == ""
    assert dataset.StudyDescription == "胸部CT平扫"


def test_others_find_no_error(exam):
    if shutil.which("dciodvfy") is None:
        missing("dciodvfy (dicom3tools) is not installed")
    folder, image = exam
    for path in ("1/0001.dcm", "2/0001.dcm", f"2/{len(image.hu):04d}.dcm", "9/0001.dcm"):
        done = subprocess.run(
            ["dciodvfy", folder / path], capture_output=True, text=True, check=False
        )
        said = (done.stdout + done.stderr).splitlines()
        assert said
        assert [line for line in said if line.startswith("Error")] == []


def test_a_localiser_is_no_volume(exam):
    folder, _ = exam
    with pytest.raises(VolumeError) as caught:
        open_volume(folder / "1")
    assert caught.value.reason == "localiser"


def test_the_same_key_writes_the_same_bytes(exam, label, tmp_path):
    folder, image = exam
    write_series(tmp_path / "2", image, label, 2)
    write_localiser(tmp_path / "1", image, label, 1)
    write_masks(tmp_path / "9", image, label, 9, 2)
    for path in sorted(p for p in folder.rglob("*.dcm")):
        assert path.read_bytes() == (tmp_path / path.relative_to(folder)).read_bytes()


def test_slices_can_be_left_out(label, tmp_path):
    image = shoot()
    write_series(tmp_path, image, label, 2, skip=frozenset({20, 21}))
    with pytest.raises(VolumeError) as caught:
        open_volume(tmp_path)
    assert caught.value.reason == "missing_slices"


def test_an_exam_without_nodules_has_no_masks(label, tmp_path):
    assert write_masks(tmp_path / "9", shoot(nodules=()), label, 9, 2) is None
    assert not (tmp_path / "9").exists()


def test_uids_ages_and_numbers_are_valid():
    import pydicom

    uids = {make_uid("a", n) for n in range(500)}
    assert len(uids) == 500
    assert all(pydicom.uid.UID(uid).is_valid for uid in uids)
    assert [write_age(a) for a in (0, 0.99, 1.99, 2, 99.9)] == [
        "000M",
        "011M",
        "023M",
        "002Y",
        "099Y",
    ]
    for value in (SCAN.pixel_mm, SCAN.corner_mm[0], -1234.5678, 0.0, 345 / 512):
        assert len(text(value)) <= 16
        assert float(text(value)) == pytest.approx(value, abs=1e-8)
