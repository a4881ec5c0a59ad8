import numpy as np
import pytest
from scipy.spatial.distance import pdist

from tests.gridded import ball
from workbench.features.morphology import measure_shape, measure_spread
from workbench.features.region import Region


def region_of(mask, spacing, values=None):
    values = mask * 1.0 if values is None else values
    return Region(values, mask, mask, spacing)


def test_spatial_autocorrelation_is_that_of_all_pairs():
    rng = np.random.default_rng(3)
    spacing = (2.0, 0.7, 0.8)
    mask = rng.random((5, 7, 6)) < 0.5
    values = rng.normal(100, 9, mask.shape)
    measured = measure_spread(region_of(mask, spacing, values), 1.0)
    x, places = values[mask], np.argwhere(mask) * spacing
    weight = 1 / pdist(places)
    i, j = np.triu_indices(len(x), 1)
    centred = x - x.mean()
    scale = weight.sum() * (centred @ centred)
    moran = len(x) * (weight @ (centred[i] * centred[j])) / scale
    geary = (len(x) - 1) * (weight @ (x[i] - x[j]) ** 2) / (2 * scale)
    assert measured["morph_moran_i"] == pytest.approx(moran, rel=1e-9)
    assert measured["morph_geary_c"] == pytest.approx(geary, rel=1e-9)


def test_what_is_too_large_is_not_measured():
    rng = np.random.default_rng(3)
    region = region_of(np.ones((4, 4, 4), bool), (1.0, 1.0, 1.0), rng.normal(size=(4, 4, 4)))
    assert np.isnan(measure_spread(region, 1.0, most=100)["morph_moran_i"])


def test_a_ball_is_a_ball():
    spacing = (0.5, 0.4, 0.4)
    features = measure_shape(region_of(ball((60, 70, 70), spacing, 12.0), spacing))
    exact = 4 / 3 * np.pi * 12**3
    assert features["morph_volume"] == pytest.approx(exact, rel=0.005)
    assert features["morph_vol_approx"] == pytest.approx(exact, rel=0.005)
    assert features["morph_diam"] == pytest.approx(24, rel=0.03)
    assert features["morph_pca_flatness"] == pytest.approx(1, rel=0.005)
    # An ellipsoid of the same spread: axes of 4 sd are the square root of 4 / 5 of the diameter.
    assert features["morph_pca_maj_axis"] == pytest.approx(24 * np.sqrt(0.8), rel=0.005)
    assert features["morph_vol_dens_aee"] == pytest.approx(0.8**-1.5, rel=0.01)
    assert features["morph_vol_dens_aabb"] == pytest.approx(np.pi / 6, rel=0.03)
    # The stairs of voxels have about 9 % more area than the ball.
    assert 0.88 < features["morph_sphericity"] < 1


def test_a_bar_is_long_and_its_size_follows_the_spacing():
    mask = np.zeros((6, 6, 30), bool)
    mask[1:4, 2:5] = True
    one, two = (measure_shape(region_of(mask, (s, s, s))) for s in (1.0, 2.0))
    assert one["morph_pca_elongation"] < 0.2
    assert two["morph_volume"] == pytest.approx(8 * one["morph_volume"])
    assert two["morph_area_mesh"] == pytest.approx(4 * one["morph_area_mesh"])
    for tag in ("sphericity", "pca_elongation", "vol_dens_conv_hull", "area_dens_aee"):
        assert two[f"morph_{tag}"] == pytest.approx(one[f"morph_{tag}"])


def test_the_shift_of_the_centre_is_in_mm():
    values = np.zeros((1, 1, 3))
    values[..., 2], values[..., 0] = 3.0, 1.0
    mask = np.ones((1, 1, 3), bool)
    features = measure_spread(region_of(mask, (1.0, 1.0, 2.0), values), 24.0)
    assert features["morph_com"] == pytest.approx(1.0)
    assert features["morph_integ_int"] == pytest.approx(24 * 4 / 3)
    level = measure_spread(region_of(mask, (1.0, 1.0, 1.0), values - 4 / 3), 1.0)
    assert level["morph_com"] > 1e9 or np.isnan(level["morph_com"])
