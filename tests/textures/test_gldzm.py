import numpy as np
from hypothesis import given

from tests.textures.matrices import levels
from workbench.textures.gldzm import border_distance, measure_gldzm


@given(levels(side=6))
def test_a_step_inwards_is_one_erosion(array):
    from scipy.ndimage import binary_erosion, generate_binary_structure

    mask = array > 0
    for dimension in ("3D", "2D"):
        cross = generate_binary_structure(3, 1)
        if dimension == "2D":
            cross[[0, 2]] = False
        left, expected = mask, np.zeros(mask.shape, int)
        while left.any():
            expected += left
            left = binary_erosion(left, cross)
        assert (border_distance(mask, dimension) == expected).all()


def test_distances_are_those_of_the_whole_region():
    block = np.ones((3, 3, 3), np.int64)
    hollow = block.copy()
    hollow[0] = 0
    # Leaving out a slice for its values brings nothing nearer to the border.
    whole = measure_gldzm(hollow, block > 0, "3D")
    hollow[1, 1, 1] = 2
    assert whole["dzm_lde"] == 1.0
    assert measure_gldzm(hollow, block > 0, "3D")["dzm_lde"] == 2.5
    assert measure_gldzm(hollow, hollow > 0, "3D")["dzm_lde"] == 1.0
