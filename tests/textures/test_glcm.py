import numpy as np
import pytest
from hypothesis import given
from skimage.feature import graycomatrix, graycoprops

from tests.textures.matrices import levels, neighbours
from workbench.textures.glcm import measure_glcm


@given(levels())
def test_the_merged_matrix_is_that_of_all_neighbours(array):
    matrix = np.zeros((5, 5))
    for place in np.argwhere(array):
        for there in neighbours(array, place, planar=False):
            matrix[array[tuple(place)], there] += 1
    found = measure_glcm(array, "3D_comb")
    if not matrix.any():
        assert np.isnan(list(found.values())).all()
        return
    p = matrix / matrix.sum()
    i, j = np.indices(p.shape)
    assert found["cm_joint_max"] == pytest.approx(p.max())
    assert found["cm_energy"] == pytest.approx((p**2).sum())
    assert found["cm_contrast"] == pytest.approx((p * (i - j) ** 2).sum())
    assert found["cm_auto_corr"] == pytest.approx((p * i * j).sum())


def test_one_slice_is_that_of_scikit_image():
    plane = np.random.default_rng(0).integers(1, 9, (20, 20))
    found = measure_glcm(plane[None], "2D_avg")
    angles = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    matrix = graycomatrix(plane, [1], angles, levels=9, symmetric=True, normed=True)
    for theirs, ours in [
        ("contrast", "contrast"), ("dissimilarity", "dissimilarity"), ("ASM", "energy"),
        ("homogeneity", "inv_diff_mom"), ("correlation", "corr"), ("entropy", "joint_entr"),
        ("variance", "joint_var"), ("mean", "joint_avg"),
    ]:  # fmt: skip
        expected = graycoprops(matrix, theirs).mean()
        if theirs == "entropy":  # in nats there
            expected /= np.log(2)
        assert found[f"cm_{ours}"] == pytest.approx(expected), theirs


@given(levels())
def test_turning_and_mirroring_change_nothing(array):
    there = measure_glcm(array.transpose(2, 0, 1)[::-1], "3D_avg")
    for tag, value in measure_glcm(array, "3D_avg").items():
        assert there[tag] == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True)


def test_many_levels_cost_no_table_of_their_square():
    row = np.arange(1, 2_000_000, 9999, dtype=np.int64).reshape(1, 1, -1)
    assert measure_glcm(row, "3D_comb")["cm_dissimilarity"] == 9999
