"""Pictures: turned as SimpleITK turns them, thinned without a shift, and decoded to the values."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.imaging.volumes import affines
from workbench.errors import ImageError
from workbench.imaging.volume_grid import coordinates
from workbench.viewer.picture import GAP, Picture, encode

EYE = np.eye(4).tolist()


def volume_of(image, **attrs) -> xr.DataArray:
    """Return an image of SimpleITK as a volume."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return xr.DataArray(
        SimpleITK.GetArrayFromImage(image),
        dims=("z", "y", "x"),
        attrs={"affine": affine.tolist(), **attrs},
    )


def decoded(picture: Picture, place=()) -> np.ndarray:
    frame = encode(picture.values(place))
    stored = np.frombuffer(frame.data, np.dtype(frame.type).newbyteorder("<"))
    shape = tuple(axis.shown for axis in picture.axes)[::-1]
    values = stored.reshape(shape) * frame.slope + frame.intercept
    return (
        np.where(stored.reshape(shape) == GAP, np.nan, values) if frame.type == "int16" else values
    )


def hold_to_simpleitk(image) -> None:
    turned = SimpleITK.DICOMOrient(image, "LPS")
    picture = Picture(volume_of(image))
    assert np.array_equal(decoded(picture), SimpleITK.GetArrayFromImage(turned))
    assert picture.affine[:3, 3] == pytest.approx(turned.GetOrigin(), abs=1e-4)
    columns = np.reshape(turned.GetDirection(), (3, 3)) * turned.GetSpacing()
    assert picture.affine[:3, :3] == pytest.approx(columns, abs=1e-6)


@settings(max_examples=60)
@given(
    order=st.permutations(range(3)),
    signs=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    angles=st.tuples(*[st.floats(-0.3, 0.3)] * 3),
    shape=st.tuples(*[st.integers(1, 5)] * 3),
)
def test_any_orientation_is_turned_as_simpleitk_turns_it(order, signs, angles, shape):
    base = np.eye(3)[:, order] * signs
    if np.linalg.det(base) < 0:
        base[:, 0] *= -1  # DICOM knows no mirror
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        a, b = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[[a, a, b, b], [a, b, a, b]] = c, -s, s, c
        turn = step @ turn
    image = SimpleITK.GetImageFromArray(np.arange(np.prod(shape), dtype=np.int16).reshape(shape))
    image.SetDirection((turn @ base).ravel())
    image.SetSpacing((0.7, 1.5, 3.0))
    image.SetOrigin((10.0, -20.0, 30.0))
    hold_to_simpleitk(image)


def test_real_volumes_are_turned_as_simpleitk_turns_them(shared_data):
    image = SimpleITK.ReadImage(str(shared_data / "totalseg/example_ct_sm.nii.gz"))
    hold_to_simpleitk(SimpleITK.Cast(image, SimpleITK.sitkInt16))
    reader = SimpleITK.ImageSeriesReader()
    folder = shared_data / "ibsi/ibsi_validation/dicom/STS_001/CT/image"
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    hold_to_simpleitk(reader.Execute())


def test_letters_say_where_the_axes_lead():
    volume = xr.DataArray(np.zeros((2, 3, 4)), dims=("z", "y", "x"), attrs={"affine": EYE})
    assert Picture(volume).ends == [("R", "L"), ("A", "P"), ("F", "H")]
    affine = np.diag([1.0, 1.0, -2.0, 1.0])
    affine[:3, :2] = np.array([[0.8, -0.6], [0.6, 0.8], [0, 0]])
    turned = Picture(volume.assign_attrs(affine=affine.tolist()))
    assert turned.ends == [("RA", "LP"), ("AL", "PR"), ("F", "H")]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("size", [8, 9])
def test_a_thinned_picture_shows_voxels_where_they_lie(size, backwards):
    spacing = np.array([1.0, 1.0, 2.5])
    affine = np.diag([*(-spacing if backwards else spacing), 1.0])
    affine[:3, 3] = 5, 6, 7
    grid = np.indices((3, size, size))[::-1]  # x, y, z of each voxel
    values = grid[0] + 10 * grid[1] + 100 * grid[2]
    volume = xr.DataArray(
        values.astype(np.int16), dims=("z", "y", "x"), attrs={"affine": affine.tolist()}
    )
    picture = Picture(volume, largest=2 * 3 * size * size - 1)
    assert [axis.step for axis in picture.axes] == [2, 2, 1]  # the finest axes give way
    shown = decoded(picture)
    for voxel in np.ndindex(shown.shape):
        mm = picture.affine @ [*voxel[::-1], 1]
        x, y, z = np.linalg.solve(affine, mm)[:3].round(9)
        assert shown[voxel] == x + 10 * y + 100 * z
    assert shown.size * 2 <= picture.largest


@given(affine=affines(shear=False), data=st.data())
def test_a_part_of_a_volume_is_shown_where_it_lies(affine, data):
    shape = (4, 5, 6)
    grid = np.indices(shape)[::-1]  # x, y, z of each voxel
    volume = xr.DataArray(
        (grid[0] + 10 * grid[1] + 100 * grid[2]).astype(np.int16),
        coordinates(affine, shape),
        ("z", "y", "x"),
        attrs={"affine": affine.tolist()},
    )
    steps = st.sampled_from([1, 2, -1, -2])
    kept = {name: slice(None, None, data.draw(steps)) for name in volume.dims}
    part = volume.isel(kept).isel(z=slice(1, None))
    picture = Picture(part.transpose("x", "z", "y"))
    shown = decoded(picture)
    for voxel in np.ndindex(shown.shape):
        mm = picture.affine @ [*voxel[::-1], 1]
        x, y, z = np.linalg.solve(affine, mm)[:3].round(6)
        assert shown[voxel] == x + 10 * y + 100 * z
    with pytest.raises(ImageError, match="lies elsewhere"):
        Picture(part, part.assign_coords(z=part.z + 1))


def test_labels_count_towards_the_largest_size():
    volume = xr.DataArray(np.zeros((4, 4, 4), np.int16), dims=("z", "y", "x"))
    volume.attrs["affine"] = EYE
    labels = volume.astype(np.uint8)
    labels[1, 2, 3] = 3
    assert [a.step for a in Picture(volume, largest=128).axes] == [1, 1, 1]
    assert [a.step for a in Picture(volume, labels, largest=128).axes] == [2, 2, 2]
    assert Picture(volume, labels).labels == [(3, "")]
    labels.attrs["labels"] = {"3": "liver\x1b[31m", 9: "absent"}
    assert Picture(volume, labels).labels == [(3, "liver\\x1b[31m")]
    assert Picture(volume, labels).label_values().dtype == np.uint8
    assert Picture(volume, labels.astype(np.int32) * 300).label_values().max() == 900


NUMBERS = arrays.arrays(
    st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64]),
    (2, 3, 4),
    elements={"min_value": 0, "max_value": 200},
)


@given(NUMBERS, st.sampled_from([0, -1000, 40_000]))
def test_values_come_back(values, offset):
    values = values.astype(np.float64) + offset if values.dtype.kind == "f" else values
    frame = encode(values)
    stored = np.frombuffer(frame.data, frame.type).reshape(values.shape)
    apart = np.abs(stored * frame.slope + frame.intercept - values).max()
    whole = np.array_equal(values, np.rint(values))
    assert apart <= (0 if whole else abs(frame.slope) * 0.5001)
    assert abs(frame.slope) <= 1


@given(st.lists(st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1.0, 255.0, 0.3]), min_size=1))
def test_what_is_no_number_is_a_gap_and_nothing_else_is(values):
    given_ = np.array(values, np.float32).reshape(1, 1, -1)
    frame = encode(given_)
    stored = np.frombuffer(frame.data, frame.type)
    gaps = stored == GAP if frame.type == "int16" else np.zeros(stored.size, bool)
    assert np.array_equal(gaps, ~np.isfinite(given_.ravel()))


@pytest.mark.parametrize("ends", [(0, 65534), (-40_000, 20_000), (-32768, 0), (100_000, 165_534)])
@pytest.mark.parametrize("kind", [np.int32, np.float64])
def test_whole_numbers_of_any_place_come_back_as_they_are(ends, kind):
    frame = encode(np.array([[ends]], kind))
    stored = np.frombuffer(frame.data, frame.type)
    assert (stored + frame.intercept).tolist() == list(ends)
    assert (frame.slope, GAP in stored) == (1, False)


def test_wide_ranges_keep_65535_steps():
    frame = encode(np.array([[[0, 10_000_000]]], np.int64))
    stored = np.frombuffer(frame.data, frame.type)
    assert stored * frame.slope + frame.intercept == pytest.approx([0, 10_000_000], abs=1e-3)


def volume(**attrs) -> xr.DataArray:
    return xr.DataArray(
        np.zeros((2, 3, 4), np.int16), dims=("z", "y", "x"), attrs={"affine": EYE, **attrs}
    )


SHEARED = [[1, 0, 0.3, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (volume()[0], "no volume"),
        (volume()[:0], "no volume"),
        (volume().astype(complex), "cannot be shown as grey"),
        (volume(affine=None), "where it lies"),
        (volume(affine="a matrix"), "where it lies"),
        (volume(affine=np.zeros((4, 4)).tolist()), "where it lies"),
        (volume(affine=[[1, 2], [3, 4]]), "where it lies"),
        (volume(affine=SHEARED), "not perpendicular"),
    ],
)
def test_what_cannot_be_shown_is_refused(bad, told):
    with pytest.raises(ImageError, match=told):
        Picture(bad)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (volume()[:1], "volume's grid"),
        (volume().astype(float), "volume's grid"),
        (volume(affine=np.diag([1, 1, 1.01, 1]).tolist()), "lies elsewhere"),
        (volume() - 1, "from 0 to 65535"),
    ],
)
def test_a_segmentation_that_does_not_fit_is_refused(labels, told):
    with pytest.raises(ImageError, match=told):
        _ = Picture(volume(), labels.assign_attrs(labels.attrs)).labels
