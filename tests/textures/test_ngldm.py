import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.textures.matrices import levels, neighbours
from workbench.textures.ngldm import measure_ngldm


@given(levels(), st.integers(0, 2))
def test_dependences_are_those_of_each_voxel(array, coarseness):
    counts = [
        1 + sum(abs(there - array[tuple(place)]) <= coarseness for there in
                neighbours(array, place, planar=False))
        for place in np.argwhere(array)
    ]  # fmt: skip
    found = measure_ngldm(array, "3D", coarseness)
    if counts:
        assert found["ngl_hde"] == pytest.approx(np.mean(np.square(counts)))
        assert found["ngl_dc_var"] == pytest.approx(np.var(counts))
        assert found["ngl_dc_perc"] == 1.0
    else:
        assert np.isnan(found["ngl_hde"])
