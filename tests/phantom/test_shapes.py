"""Bodies that are painted have the volume that geometry gives them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.phantom.shapes import Grid, capsule, ellipsoid


def make_grid(spacing=(2.0, 1.5, 1.5), number=40):
    lines = [(np.arange(number) - (number - 1) / 2) * mm for mm in spacing]
    return Grid(lines[2], lines[1], lines[0], spacing)


def volume_of(painted, grid):
    return float(painted.sum(dtype=float) * np.prod(grid.spacing))


@given(
    radii=st.tuples(*[st.floats(6, 14)] * 3),
    centre=st.tuples(*[st.floats(-8, 8)] * 3),
)
def test_an_ellipsoid_has_its_volume(radii, centre):
    grid = make_grid()
    painted = np.zeros(grid.shape, np.float32)
    ellipsoid(grid, painted, centre, radii, 1.0)
    assert volume_of(painted, grid) == pytest.approx(4 / 3 * np.pi * np.prod(radii), rel=0.06)


@given(angle=st.floats(0, np.pi), tilt=st.floats(0, np.pi), radius=st.floats(3, 6))
def test_a_tube_has_its_volume_whichever_way_it_runs(angle, tilt, radius):
    grid = make_grid()
    painted = np.zeros(grid.shape, np.float32)
    half = 12 * np.array([np.cos(angle) * np.sin(tilt), np.sin(angle) * np.sin(tilt), np.cos(tilt)])
    capsule(grid, painted, (-half, half), (radius, radius), 1.0)
    expected = np.pi * radius**2 * 24 + 4 / 3 * np.pi * radius**3
    assert volume_of(painted, grid) == pytest.approx(expected, rel=0.15)


def test_a_tube_thinner_than_a_voxel_is_faint_but_there():
    grid = make_grid((5.0, 3.0, 3.0))
    held = []
    for radius in (0.25, 0.5):
        painted = np.zeros(grid.shape, np.float32)
        capsule(grid, painted, ((-20, 0, 0), (20, 0, 0)), (radius, radius), 1.0)
        held.append(float(painted.max()))
    assert 0.02 < held[0] < 0.3
    assert held[1] == pytest.approx(2 * held[0], rel=0.05)


def test_what_lies_outside_changes_nothing():
    grid = make_grid()
    painted = np.zeros(grid.shape, np.float32)
    ellipsoid(grid, painted, (500, 0, 0), (5, 5, 5), 1.0)
    capsule(grid, painted, ((500, 0, 0), (510, 0, 0)), (5, 5), 1.0)
    assert not painted.any()
