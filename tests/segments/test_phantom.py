"""Phantom: its files hold the shapes and values that it states, as others read them too."""

import numpy as np
import pydicom
import pytest
import SimpleITK

from workbench.imaging.volume import open_volume
from workbench.imaging.volume_grid import affine_of
from workbench.segments.phantom import ORGANS, write_phantom
from workbench.segments.segmentation import open_segmentation


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_phantom(tmp_path_factory.mktemp("phantom"))


def test_regions_have_their_volume_hu_and_suv(made):
    lesion = next(organ for organ in ORGANS if organ.name == "lesion")
    whole = 4 / 3 * np.pi * np.prod(lesion.radii)
    for folder, units, value in ((made.ct, None, lesion.hu), (made.pet, "SUV", lesion.suv)):
        volume = open_volume(folder, units=units)
        found = open_segmentation(made.structures, like=volume)
        assert found.attrs["labels"] == {1: "liver", 2: "lesion"}
        assert found.attrs["codes"][2] == ["108369006", "SCT", "Neoplasm"]
        inside = found == 2
        size = abs(np.linalg.det(affine_of(volume)[:3, :3]))
        assert float(inside.sum()) * size == pytest.approx(whole, rel=0.02)
        assert float(volume.where(inside).mean()) == pytest.approx(
            value, abs=2 if not units else 0.1
        )


def test_the_uptake_is_the_dose_that_is_left_by_weight(made):
    path = sorted(made.pet.iterdir())[26]
    image = pydicom.dcmread(path)
    (tracer,) = image.RadiopharmaceuticalInformationSequence
    left = tracer.RadionuclideTotalDose * 0.5 ** (3600 / tracer.RadionuclideHalfLife)
    activity = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))[0]
    suv = activity * image.PatientWeight * 1000 / left
    assert np.percentile(suv[44:52, 26:32], 50) == pytest.approx(8, rel=0.02)


def test_it_is_the_same_every_time_and_of_nobody(made, tmp_path):
    again = write_phantom(tmp_path)
    assert again.structures.read_bytes() == made.structures.read_bytes()
    for folder, other in ((made.ct, again.ct), (made.pet, again.pet)):
        for path in folder.iterdir():
            assert path.read_bytes() == (other / path.name).read_bytes()
            assert str(pydicom.dcmread(path).PatientName) == "Phantom"
