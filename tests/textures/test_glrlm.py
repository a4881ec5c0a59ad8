import numpy as np
import pytest
from hypothesis import given

from tests.textures.matrices import levels
from workbench.textures.glrlm import find_runs, measure_glrlm
from workbench.textures.neighbourhood import half_offsets, walk


@given(levels())
def test_runs_hold_every_voxel_once_in_each_direction(array):
    line = walk(array)
    for offset in half_offsets(planar=False):
        level, length = find_runs(line, line.step(offset))
        held = np.bincount(level, length, minlength=5) if level.size else np.zeros(5)
        assert held.tolist()[1:] == np.bincount(array.ravel(), minlength=5).tolist()[1:]


def test_a_run_ends_where_the_region_does():
    array = np.array([[[2, 2, 0, 2], [2, 1, 1, 1]]])
    line = walk(array)
    level, length = find_runs(line, line.step((0, 0, 1)))
    assert sorted(zip(level.tolist(), length.tolist(), strict=True)) == [
        (1, 3), (2, 1), (2, 1), (2, 2),
    ]  # fmt: skip


def test_slices_are_kept_apart():
    column = np.ones((4, 1, 1), np.int64)
    assert measure_glrlm(column, "2_5D_comb")["rlm_lre"] == 1.0
    assert measure_glrlm(column, "3D_comb")["rlm_lre"] == pytest.approx((16 + 12 * 4) / (1 + 48))
