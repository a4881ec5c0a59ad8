"""Nodules have the volume that is known of them, in the grid and in their mask."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.phantom.test_shapes import make_grid
from workbench.errors import UsageError
from workbench.phantom.anatomy import make_subject
from workbench.phantom.nodules import KINDS, Nodule, cover, make_nodules, paint_nodules
from workbench.phantom.thorax import Thorax

CENTRES = st.tuples(*[st.floats(-6, 6)] * 3)


@settings(max_examples=25)
@given(centre=CENTRES, diameter=st.floats(5, 30), slice_mm=st.sampled_from([1.0, 2.5, 5.0]))
def test_a_sphere_covers_its_volume(centre, diameter, slice_mm):
    grid = make_grid((slice_mm, 2.5, 2.5))
    nodule = Nodule("solid", centre, diameter, 40.0)
    _, part = cover(grid, nodule)
    held = part.sum(dtype=float) * np.prod(grid.spacing) / 1000
    analytic = np.pi / 6 * diameter**3 / 1000
    assert nodule.volume_ml == pytest.approx(analytic)
    assert held == pytest.approx(analytic, rel=0.03)


@settings(max_examples=25)
@given(centre=CENTRES, diameter=st.floats(5, 30))
def test_a_mask_differs_from_the_sphere_by_cut_voxels_alone(centre, diameter):
    grid = make_grid((2.5, 2.5, 2.5))
    labels = paint_nodules(
        grid, np.zeros(grid.shape, np.float32), (Nodule("solid", centre, diameter, 40.0),)
    )
    half = np.sqrt(3) * 2.5 / 2  # no voxel whose centre is further from the surface is cut
    z, y, x = np.meshgrid(grid.z, grid.y, grid.x, indexing="ij")
    far = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2)
    assert labels[far < diameter / 2 - half].all()
    assert not labels[far > diameter / 2 + half].any()
    voxels = (labels > 0).sum() * 2.5**3
    if diameter > 15:
        assert voxels == pytest.approx(np.pi / 6 * diameter**3, rel=0.12)


@settings(max_examples=10)
@given(lobes=st.floats(0.05, 0.22), turn=st.tuples(*[st.floats(0, 6.28)] * 3))
def test_lobes_change_the_form_and_not_the_volume(lobes, turn):
    grid = make_grid((2.0, 2.0, 2.0))
    nodule = Nodule("solid", (0, 0, 0), 18.0, 40.0, lobes=lobes, turn=turn)
    _, part = cover(grid, nodule)
    assert part.sum(dtype=float) * 8 / 1000 == pytest.approx(nodule.volume_ml, rel=0.02)
    directions = np.random.default_rng(0).standard_normal((500, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    assert np.ptp(nodule.surface(directions)) > 18 / 2 * lobes


def test_kinds_measure_what_they_should():
    grid = make_grid((1.0, 1.0, 1.0))
    kinds = {"solid": (40.0, 0, 40.0), "calcified": (400.0, 0, 400.0)}
    kinds["part_solid"] = (-550.0, 0.5, 30.0)
    for kind, (hu, core, middle) in kinds.items():
        volume = np.full(grid.shape, -850, np.float32)
        paint_nodules(grid, volume, (Nodule(kind, (0.5, 0.5, 0.5), 20.0, hu, core=core),))
        assert volume[20, 20, 20] == pytest.approx(middle)
        assert volume[20, 20, 28] == pytest.approx(hu)
        assert volume[20, 20, 34] == -850


def test_nodules_lie_apart_and_in_the_lung():
    for age in (0.5, 8, 60):
        for seed in range(15):
            thorax = Thorax(make_subject(age, "M"))
            made = make_nodules(thorax, 2, 3, np.random.default_rng(seed))
            assert len(made) == 5
            assert sum(n.malignant for n in made) == 2
            places = np.array([n.centre_mm for n in made], np.float32)
            assert (thorax.lung_distance(*places.T) < -3 * thorax.subject.scale).all()
            assert all(n.kind != "calcified" for n in made if n.malignant)


def test_nodules_do_not_overlap():
    touching = total = 0
    for seed in range(40):
        made = make_nodules(Thorax(make_subject(50, "F")), 1, 4, np.random.default_rng(seed))
        for i, one in enumerate(made):
            for other in made[:i]:
                total += 1
                apart = np.linalg.norm(np.subtract(one.centre_mm, other.centre_mm))
                touching += apart < (one.diameter_mm + other.diameter_mm) / 2
    assert touching == 0
    assert total > 300


def test_malignant_ones_are_larger_and_grow():
    made = [
        n
        for seed in range(120)
        for n in make_nodules(Thorax(make_subject(60, "M")), 1, 1, np.random.default_rng(seed))
    ]
    sizes = {bad: np.median([n.diameter_mm for n in made if n.malignant == bad]) for bad in (1, 0)}
    assert sizes[1] == pytest.approx(15, rel=0.12)
    assert sizes[0] == pytest.approx(7.5, rel=0.12)
    grown, same = made[0].after(180), made[1].after(180)
    assert grown.volume_ml == pytest.approx(2 * made[0].volume_ml)
    assert same == made[1]


def test_an_unknown_kind_is_refused():
    with pytest.raises(UsageError, match="Unknown kind"):
        Nodule("solidd", (0, 0, 0), 5, 0)
    assert len(KINDS) == 3
