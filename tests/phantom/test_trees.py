"""Trees reach all that they serve, and get thinner."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.phantom.test_thorax import paint
from workbench.phantom.anatomy import make_subject
from workbench.phantom.thorax import Thorax
from workbench.phantom.trees import BRANCHING, fill_lung, grow, paint_trees


@settings(max_examples=25)
@given(number=st.integers(1, 60), seed=st.integers(0, 99))
def test_a_tree_ends_at_each_target_once(number, seed):
    targets = np.random.default_rng(seed).uniform(-50, 50, (number, 3))
    tree = grow(np.zeros(3), targets, 1.0)
    assert len(tree) == 2 * number - 1
    ends = {tuple(tube.last) for tube in tree}
    assert {tuple(target) for target in targets} <= ends
    begun = {tuple(tube.first) for tube in tree} - {(0.0, 0.0, 0.0)}
    assert begun <= ends  # every piece goes on from another
    assert tree[0].radii[0] == pytest.approx(number ** (1 / BRANCHING.value))
    assert all(tube.radii[1] < tube.radii[0] for tube in tree)


@pytest.mark.parametrize("side", [-1, 1])
def test_points_fill_one_lung(side):
    thorax = Thorax(make_subject(50, "M"))
    points = fill_lung(thorax, side, 300, np.random.default_rng(0), within=4)
    assert len(points) == 300
    assert (points[:, 0] * side > 0).all()
    assert (thorax.lung_distance(*points.astype(np.float32).T) < -4).all()
    assert np.ptp(points[:, 2]) > 0.75 * thorax.subject.lung_mm


def test_vessels_are_bright_and_the_windpipe_is_air():
    thorax, grid, volume = paint()
    z, y, x = grid.axes
    lung = thorax.lung_distance(x, y, z) < -8
    before = volume[lung] > -500
    paint_trees(grid, volume, thorax)
    after = volume[lung] > -500
    assert before.mean() < 0.02  # vessels of the hilum
    assert before.mean() + 0.01 < after.mean() < 0.12
    top = volume[grid.z > 0.8 * thorax.inner[2]][:, :, abs(grid.x) < 4]
    assert (top.min(axis=(1, 2)) < -950).all()
    again = paint()[2]
    paint_trees(grid, again, thorax)
    assert np.array_equal(volume, again)
