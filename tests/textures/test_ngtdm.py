import numpy as np
import pytest
from hypothesis import given

from tests.textures.matrices import levels, neighbours
from workbench.textures.ngtdm import measure_ngtdm


@pytest.mark.parametrize("dimension", ["2_5D", "3D"])
@given(array=levels())
def test_differences_are_those_of_each_voxel(dimension, array):
    counts, apart = {}, {}
    for place in np.argwhere(array):
        beside = list(neighbours(array, place, planar=dimension != "3D"))
        if beside:
            level = int(array[tuple(place)])
            counts[level] = counts.get(level, 0) + 1
            apart[level] = apart.get(level, 0) + abs(level - np.mean(beside))
    found = measure_ngtdm(array, dimension)
    if not counts:
        assert np.isnan(list(found.values())).all()
        return
    voxels = sum(counts.values())
    rough = sum(counts[i] / voxels * apart[i] for i in counts)
    assert found["ngt_coarseness"] == pytest.approx(1 / rough if rough else 1e6)
    strength = sum((counts[i] + counts[j]) / voxels * (i - j) ** 2 for i in counts for j in counts)
    total = sum(apart.values())
    assert found["ngt_strength"] == pytest.approx(strength / total if total else 0.0)
