"""Volume grid: the place of an array follows its coordinates."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from tests.imaging.volumes import affines
from workbench.errors import ImageError
from workbench.imaging.volume import open_volume
from workbench.imaging.volume_grid import affine_of, check_affine, coordinates, orientation_of

SHAPE = (6, 7, 8)


def make_volume(affine):
    return xr.DataArray(
        np.zeros(SHAPE),
        coordinates(affine, SHAPE),
        ("z", "y", "x"),
        attrs={"affine": affine.tolist(), "orientation": orientation_of(affine)},
    )


@given(affine=affines(), data=st.data())
def test_place_of_what_is_left_is_that_of_its_voxels(affine, data):
    volume = make_volume(affine)
    np.testing.assert_array_equal(affine_of(volume), affine)
    chosen = {}
    for name, size in zip(("z", "y", "x"), SHAPE, strict=True):
        start, stop = sorted(data.draw(st.tuples(*[st.integers(0, size)] * 2)))
        step = data.draw(st.sampled_from([1, 2, 3]))
        kept = np.arange(size)[start : max(stop, start + 1) : step] if start < size else [0]
        chosen[name] = np.array(kept)[:: data.draw(st.sampled_from([1, -1]))]
    part = volume.isel(chosen)
    moved = affine_of(part)
    for corner in np.ndindex(2, 2, 2):
        index = [-(part.shape[2 - i] > 1) * c % part.shape[2 - i] for i, c in enumerate(corner)]
        whole = [chosen["xyz"[i]][index[i]] for i in range(3)]
        place, wanted = moved @ [*index, 1], affine @ [*whole, 1]
        np.testing.assert_allclose(place, wanted, atol=1e-6)


def test_coordinates_are_those_of_the_patient_for_transverse_slices():
    affine = np.diag([0.5, 0.25, 2.0, 1.0])
    affine[:3, 3] = [-100, -50, 30]
    found = coordinates(affine, (2, 2, 2))
    assert {n: c.tolist() for n, c in found.items()} == {
        "z": [30, 32],
        "y": [-50, -49.75],
        "x": [-100, -99.5],
    }


def test_coordinates_agree_with_those_of_open_volume(shared_data):
    volume = open_volume(shared_data / "ibsi/ibsi_validation/dicom/STS_001/MR_T1/image")
    affine = affine_of(volume)
    np.testing.assert_array_equal(affine, volume.attrs["affine"])
    for name, along in coordinates(affine, volume.shape).items():
        np.testing.assert_allclose(along, volume[name], atol=1e-6)


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "no",
        [[1, 2], [3, 4]],
        np.zeros((4, 4)),
        np.full((4, 4), np.nan),
        np.diag([1.0, 1, 1, 2]),
        [[1, 0, 0, 0]] * 4,
    ],
)
def test_what_is_no_affine_is_refused(stored):
    with pytest.raises(ImageError, match="does not say where it lies"):
        check_affine(stored)


def test_a_shear_of_rows_and_columns_is_refused():
    affine = np.eye(4)
    affine[0, 1] = 0.2
    with pytest.raises(ImageError, match="right angles"):
        check_affine(affine)
