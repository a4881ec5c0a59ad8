import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.gridded import on_grid
from workbench.errors import ImageError
from workbench.imaging.mask_grid import find_box, read_mask, shared_spacing

ZEROS = np.zeros((3, 4, 5), np.uint8)


def test_spacing_is_that_of_slices_rows_and_columns():
    volume = on_grid(ZEROS, (2.5, 0.7, 0.8))
    assert shared_spacing(volume, volume) == pytest.approx((2.5, 0.7, 0.8))
    # The volume may lie askew in the patient.
    turned = volume.copy()
    turn = np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]]) @ np.diag([0.8, 0.7, 2.5])
    turned.attrs["affine"] = [[*row, 0.0] for row in turn.tolist()] + [[0.0, 0.0, 0.0, 1.0]]
    turned = turned.drop_vars(["z", "y", "x"])
    assert shared_spacing(turned, turned) == pytest.approx((2.5, 0.7, 0.8))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (on_grid(np.zeros((3, 4, 6), np.uint8)), "voxels: 3 x 4 x 5 and 3 x 4 x 6"),
        (on_grid(ZEROS, (1.0, 1.0, 1.01)), "a corner, 0.04 mm apart"),
        (on_grid(ZEROS, origin=(0.0, 0.02, 0.0)), "a corner, 0.02 mm apart"),
        (on_grid(ZEROS).isel(z=slice(None, None, -1)), "a corner, 2.83 mm apart"),
        (on_grid(ZEROS).isel(z=0), "dimensions than z, y, x"),
        (on_grid(ZEROS).expand_dims("time"), "dimensions than z, y, x"),
    ],
)
def test_another_grid_is_refused(other, words):
    with pytest.raises(ImageError) as caught:
        shared_spacing(on_grid(ZEROS), other)
    assert words in str(caught.value) or "another grid" in str(caught.value)


def test_rounding_of_an_affine_is_the_same_grid():
    assert shared_spacing(on_grid(ZEROS), on_grid(ZEROS, origin=(0.004, 0.0, 0.0)))


def test_sheared_slices_are_refused():
    volume = on_grid(ZEROS).drop_vars(["z", "y", "x"])
    volume.attrs["affine"] = [[1, 0, 0, 0], [0, 1, 0.2, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    with pytest.raises(ImageError, match="sheared"):
        shared_spacing(volume, volume)


def test_a_mask_holds_whole_numbers():
    assert read_mask(on_grid(np.array([[[0.0, 2.0]]]))).tolist() == [[[0, 2]]]
    for bad in (0.5, np.nan, np.inf):
        with pytest.raises(ImageError, match="whole numbers"):
            read_mask(on_grid(np.array([[[0.0, bad]]])))


@given(arrays(np.bool_, st.tuples(*[st.integers(1, 5)] * 3)))
def test_the_box_holds_the_mask_and_no_more(mask):
    box = find_box(mask)
    if box is None:
        assert not mask.any()
        return
    assert mask[box].sum() == mask.sum()
    for axis in range(3):
        ends = np.moveaxis(mask[box], axis, 0)
        assert ends[0].any()
        assert ends[-1].any()
