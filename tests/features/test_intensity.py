import numpy as np
import pytest
from scipy import stats

from workbench.features.intensity import PEAK_MM, measure_intensity, measure_local_intensity
from workbench.features.region import Region


def test_statistics_are_those_of_scipy():
    values = np.random.default_rng(2).gamma(2, 30, 500)
    features = measure_intensity(values)
    expected = {
        "skew": stats.skew(values),
        "kurt": stats.kurtosis(values),
        "iqr": stats.iqr(values),
        "cov": stats.variation(values),
        "rms": np.sqrt(np.mean(values**2)),
    }
    for tag, value in expected.items():
        assert features[f"stat_{tag}"] == pytest.approx(value, rel=1e-12)


def test_peaks_are_means_of_a_sphere():
    rng = np.random.default_rng(4)
    spacing = (2.0, 1.5, 1.7)
    values = rng.normal(1000, 9, (14, 18, 16))
    values[0, 0, 0] = np.nan
    mask = rng.random(values.shape) < 0.1
    mask[0, 0, 0] = False
    mask[0, 0, 1] = mask[-1, -1, -1] = True
    features = measure_local_intensity(Region(values, mask, mask, spacing))
    places = np.argwhere(np.isfinite(values)) * spacing
    finite = values[np.isfinite(values)]
    means = [
        finite[np.linalg.norm(places - here * np.array(spacing), axis=1) <= PEAK_MM].mean()
        for here in np.argwhere(mask)
    ]
    assert features["loc_peak_glob"] == pytest.approx(max(means), rel=1e-12)
    assert features["loc_peak_loc"] == pytest.approx(means[values[mask].argmax()], rel=1e-12)


def test_of_two_largest_values_the_higher_peak_counts():
    values = np.zeros((3, 3, 40))
    values[1, 1, 5] = values[1, 1, 30] = 9.0
    values[1, 1, 31] = 8.0
    mask = np.ones(values.shape, bool)
    features = measure_local_intensity(Region(values, mask, mask, (3.0, 3.0, 3.0)))
    places = np.argwhere(mask) * 3.0
    sphere = np.linalg.norm(places - np.array([3.0, 3.0, 90.0]), axis=1) <= PEAK_MM
    assert features["loc_peak_loc"] == pytest.approx(17 / sphere.sum())
