"""Geometry: slices lie where they say, in any order, or are refused by name."""

import pickle
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tests.imaging.made_series import TRANSVERSE
from workbench.imaging.geometry import place_slices
from workbench.imaging.volume_error import VOLUME_REASONS, VolumeError


def place(heights, lateral=(0.0, 0.0), orientation=TRANSVERSE, spacing=(0.5, 0.25), **options):
    """Place transverse slices that shift by `lateral` (x, y) mm a mm."""
    z = np.asarray(heights, dtype=float)
    position = np.stack([z * lateral[0], z * lateral[1], z], axis=1)
    one = np.ones((len(z), 1))
    size = np.tile([6, 5], (len(z), 1))
    return place_slices(position, one * [orientation], one * [spacing], size, **options)


def reason(heights, *args, **kwargs):
    with pytest.raises(VolumeError) as caught:
        place(heights, *args, **kwargs)
    return caught.value.reason, caught.value.detail


@settings(max_examples=200)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    step=st.floats(0.3, 12),
    spacing=st.tuples(st.floats(0.2, 4), st.floats(0.2, 4)),
    count=st.integers(3, 40),
    origin=st.tuples(*[st.floats(-900, 900)] * 3),
    seed=st.integers(0, 1000),
)
def test_any_orientation_spacing_and_order_gives_the_grid(
    angles, step, spacing, count, origin, seed
):
    axes = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    order = list(range(count))
    random.Random(seed).shuffle(order)
    position = np.array(origin) + np.outer(order, axes[:, 2] * step)
    # As stored: DS has 16 characters.
    position = np.array([[float(f"{v:.9g}") for v in row] for row in position])
    cosines = np.array([float(f"{v:.9f}") for v in (*axes[:, 0], *axes[:, 1])])
    one = np.ones((count, 1))
    grid, slots = place_slices(
        position, one * cosines, one * spacing, np.full((count, 2), 8), slices=3
    )
    assert slots.tolist() == order
    expected = np.eye(4)
    expected[:3, 0], expected[:3, 1] = axes[:, 0] * spacing[1], axes[:, 1] * spacing[0]
    expected[:3, 2], expected[:3, 3] = axes[:, 2] * step, origin
    np.testing.assert_allclose(grid.affine, expected, atol=1e-5)
    # A point is x * row + y * column + z * normal.
    axis = grid.coordinates()
    corner = axis["x"][7] * axes[:, 0] + axis["y"][3] * axes[:, 1] + axis["z"][2] * axes[:, 2]
    np.testing.assert_allclose(corner, (grid.affine @ (7, 3, 2, 1))[:3], atol=1e-4)


def test_gaps_are_named():
    assert reason([0, 2, 4, 9, 11]) == ("uneven_spacing", "gaps 2 mm (3x), 5 mm (1x)")
    assert reason([0, 2, 4, 8, 10, 16]) == (
        "missing_slices",
        "1 after slice 3 (gap 4 mm), 2 after slice 5 (gap 6 mm) of 6, else 2 mm apart",
    )


def test_two_gaps_of_which_one_is_double_are_a_missing_slice():
    assert reason([0, 2.5, 7.5])[0] == "missing_slices"


@pytest.mark.parametrize("off", [0.001, 0.004])
def test_rounded_positions_are_even(off):
    grid, _ = place([0, 1 + off, 2 - off, 3])
    assert grid.spacing[0] == pytest.approx(1.0)


@pytest.mark.parametrize("off", [0.02, 0.1])
def test_positions_off_by_more_than_a_hundredth_are_not(off):
    assert reason([0, 1 + off, 2, 3])[0] == "uneven_spacing"


def test_a_tilted_gantry_is_refused_with_its_angle():
    sheared = np.tan(np.radians(15))
    assert reason([0, 5, 10], (0, sheared)) == (
        "gantry_tilt",
        "15.00 degrees from the normal of the slices",
    )
    grid, _ = place([0, 5, 10], (0, sheared), tilt="resample")
    assert grid.is_sheared
    assert grid.tilt_deg == pytest.approx(15)


def test_a_shear_below_the_tolerance_is_none():
    grid, _ = place([0, 5, 10], (0, 5e-4))
    assert not grid.is_sheared


def test_slices_beside_their_line_are_refused():
    z = np.arange(4.0)
    position = np.stack([[0, 0, 1, 0], z * 0, z], axis=1)
    one = np.ones((4, 1))
    with pytest.raises(VolumeError) as caught:
        place_slices(position, one * [TRANSVERSE], one * [(1, 1)], np.full((4, 2), 5))
    assert caught.value.reason == "not_aligned"


@pytest.mark.parametrize(
    ("heights", "expected"),
    [([1], "single_image"), ([1, 1, 1], "single_image"), ([1, 2], "too_few_slices")],
)
def test_too_few(heights, expected):
    assert reason(heights)[0] == expected


def test_fewer_slices_are_taken_when_asked():
    grid, _ = place([3, 1], slices=2)
    assert grid.spacing[0] == 2


def test_mixtures_are_refused_by_name():
    z = np.arange(4.0)
    position, one = np.stack([z, z, z], axis=1), np.ones((4, 1))
    cosines, spacing, size = one * [TRANSVERSE], one * [(1.0, 1.0)], np.full((4, 2), 5)

    def found(**changed):
        given = {
            "position": position, "orientation": cosines, "spacing": spacing, "size": size,
        }  # fmt: skip
        with pytest.raises(VolumeError) as caught:
            place_slices(*(given | changed).values())
        return caught.value.reason

    turned, wide, large, lost = cosines.copy(), spacing.copy(), size.copy(), position.copy()
    turned[2] = (0, 1, 0, 0, 0, -1)
    wide[1] = 2
    large[3] = (7, 5)
    lost[0, 1] = np.nan
    assert found(orientation=turned) == "mixed_orientation"
    assert found(spacing=wide) == "mixed_spacing"
    assert found(size=large) == "mixed_sizes"
    assert found(position=lost) == "no_position"
    assert found(orientation=one * [(1, 0, 0, 1, 0, 0)]) == "bad_geometry"
    assert found(spacing=spacing * 0) == "bad_geometry"
    assert found(position=position * np.inf) in {"bad_geometry", "no_position"}


def test_every_reason_says_what_and_what_to_do():
    for code, (what, todo) in VOLUME_REASONS.items():
        error = pickle.loads(pickle.dumps(VolumeError(code, "3 of 4")))
        assert (error.reason, error.detail) == (code, "3 of 4")
        assert str(error).count("\n") == 2
        assert what[0].isupper()
        assert not what.endswith(".")
        assert todo
