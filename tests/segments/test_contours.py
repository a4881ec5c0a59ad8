"""Contours: shapes whose area is known, and two other implementations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path as Outline
from skimage.draw import polygon2mask

from workbench.errors import ImageError
from workbench.segments.contours import (
    fill,
    find_planes,
    nearest_planes,
    to_slices,
)


def circle(radius, centre=(0.0, 0.0), points=720):
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius + centre


def on_plane(flat, height):
    return np.column_stack([flat, np.full(len(flat), height)])


@pytest.mark.parametrize("radius", [10.0, 25.5, 40.0])
def test_circle_has_its_area(radius):
    found = fill([circle(radius, (50.2, 49.7))], (100, 100)).sum()
    assert found == pytest.approx(np.pi * radius**2, abs=2 * radius)


def test_annulus_by_keyhole_by_nesting_and_by_difference_are_one():
    outer, inner = circle(30, (40.3, 40.1)), circle(15, (40.3, 40.1))
    keyhole = np.concatenate([outer, outer[:1], inner[:1], inner[::-1]])
    by_keyhole = fill([keyhole], (80, 80))
    by_nesting = fill([outer, inner], (80, 80))
    difference = fill([outer], (80, 80)) & ~fill([inner], (80, 80))
    assert (by_nesting == difference).all()
    assert (by_keyhole == difference).all()
    assert by_keyhole.sum() == pytest.approx(np.pi * (900 - 225), rel=0.01)


def test_centres_on_left_and_upper_edges_belong_and_neighbours_share_nothing():
    corners = np.array([[2.0, 1], [5, 1], [5, 4], [2, 4]])
    left, right = fill([corners], (6, 10)), fill([corners + np.array([3, 0])], (6, 10))
    assert np.argwhere(left).min(axis=0).tolist() == [1, 2]
    assert np.argwhere(left).max(axis=0).tolist() == [3, 4]
    assert not (left & right).any()
    assert (left | right).sum() == 18


def test_pixels_are_filled_by_their_centre():
    half = np.array([[0.5, 0.5], [2.5, 0.5], [2.5, 1.5], [0.5, 1.5]])
    assert np.argwhere(fill([half], (3, 4))).tolist() == [[1, 1], [1, 2]]
    smaller = np.array([[0.6, 0.6], [0.9, 0.6], [0.9, 0.9], [0.6, 0.9]])
    assert not fill([smaller], (3, 4)).any()


@given(
    arrays(np.float64, st.tuples(st.integers(3, 12), st.just(2)), elements=st.floats(-8, 24)),
    st.randoms(use_true_random=False),
)
def test_fill_agrees_with_two_others_inside_and_outside_of_the_image(points, random):
    # Away from whole numbers, where each library has a rule of its own for points on edges.
    points = points + random.uniform(0.01, 0.02)
    rows, columns = np.mgrid[:16, :16]
    pixels = np.stack([columns.ravel(), rows.ravel()], axis=1)
    ours = fill([points], (16, 16))
    assert (ours == fill([points[::-1]], (16, 16))).all()
    near = np.zeros(256, bool)
    for a, b in zip(points, np.roll(points, -1, axis=0), strict=True):
        along = b - a
        part = np.clip((pixels - a) @ along / max(along @ along, 1e-12), 0, 1)
        near |= np.linalg.norm(pixels - a - part[:, None] * along, axis=1) < 1e-6
    apart = ~near.reshape(16, 16)
    assert (ours == polygon2mask((16, 16), points[:, ::-1]))[apart].all()
    if len(points) == 3:  # where it crosses itself, matplotlib counts windings instead
        theirs = Outline(points).contains_points(pixels).reshape(16, 16)
        assert (ours == theirs)[apart].all()


def test_huge_contours_cost_no_more_than_the_image():
    zigzag = np.stack([np.tile([-9e4, 9e4], 20_000), np.tile([-9e4, 9e4, 9e4], 13_334)[:40_000]])
    assert fill([zigzag.T], (64, 64)).shape == (64, 64)


AFFINE = np.array([[0.5, 0, 0, -10], [0, 0.5, 0, -20], [0, 0, 2, 100], [0, 0, 0, 1.0]])


def test_contours_go_to_the_slice_of_their_plane_whatever_their_order():
    flat = circle(5, (0, 0), 60)
    drawn = [on_plane(flat, z) for z in (106, 102.004, 104)]
    by_slice, outside = to_slices(drawn, AFFINE, (5, 100, 60))
    assert sorted(by_slice) == [1, 2, 3]
    assert outside == 0
    np.testing.assert_allclose(by_slice[1][0], (flat - [-10, -20]) / 0.5)


def test_contours_on_a_tilted_plane_fit_a_tilted_volume_and_no_other():
    tilt = np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
    tilted = AFFINE.copy()
    tilted[:3, :3] = tilt @ AFFINE[:3, :3]
    flat = circle(5, (20.3, 30.2), 60)
    drawn = [on_plane(flat, 2) @ tilted[:3, :3].T + tilted[:3, 3]]
    by_slice, _ = to_slices(drawn, tilted, (5, 100, 60))
    assert list(by_slice) == [2]
    assert fill(by_slice[2], (100, 60)).sum() == pytest.approx(np.pi * 25, abs=6)
    with pytest.raises(ImageError, match="1 of 1 contours are not parallel"):
        to_slices(drawn, AFFINE, (5, 100, 60))


def test_contours_between_slices_are_refused_or_brought_to_the_nearest():
    flat = circle(5, (0, 0), 60)
    drawn = [on_plane(flat, z) for z in (100.8, 102.8, 104.8)]
    with pytest.raises(ImageError, match="3 of 3 contours lie between two slices"):
        to_slices(drawn, AFFINE, (5, 100, 60))
    by_slice, _ = to_slices(drawn, AFFINE, (5, 100, 60), resample=True)
    assert sorted(by_slice) == [0, 1, 2]
    # Planes every 6 mm on slices of 2 mm: each fills the three slices nearest to it.
    coarse = [on_plane(flat, z) for z in (102.3, 108.3)]
    by_slice, _ = to_slices(coarse, AFFINE, (8, 100, 60), resample=True)
    assert sorted(by_slice) == [0, 1, 2, 3, 4, 5]
    assert all(len(contours) == 1 for contours in by_slice.values())


def test_contours_outside_are_counted():
    flat = circle(5, (0, 0), 60)
    drawn = [on_plane(flat, 98), on_plane(flat, 102), on_plane(flat - np.array([8, 0]), 104)]
    by_slice, outside = to_slices(drawn, AFFINE, (5, 100, 60))
    assert outside == 2
    assert sorted(by_slice) == [1, 2]


@given(st.lists(st.integers(-5, 20), min_size=1, max_size=8), st.integers(1, 16))
def test_each_slice_takes_the_nearest_plane(heights, depth):
    planes, plane = find_planes(np.array(heights, float))
    assert planes.tolist() == sorted(set(heights))
    assert planes[plane].tolist() == heights
    taken = nearest_planes(planes, depth, 3.0)
    for k in range(depth):
        away = np.abs(planes - k)
        assert (k in taken) == (away.min() <= 1.5)
        if k in taken:
            assert away[taken[k]] == away.min()
