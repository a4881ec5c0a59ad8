import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import norm

from workbench.errors import PoolingError
from workbench.statistics.area_pooling import logit_areas, pool_areas
from workbench.statistics.delong import estimate_area
from workbench.statistics.meta_analysis import random_effects
from workbench.statistics.roc import count_scores


def test_the_logit_keeps_the_interval_of_delong():
    random = np.random.default_rng(0)
    truth = np.arange(200) % 4 == 0
    found = estimate_area(count_scores(truth, random.normal(truth * 1.5)))
    sites = logit_areas([found.estimate], [found.variance])
    reach = norm.ppf(0.975) * np.sqrt(sites.variances[0])
    ends = expit(sites.estimates[0] - reach), expit(sites.estimates[0] + reach)
    assert ends == pytest.approx((found.low, found.high))


def test_pooled_is_the_random_effect_of_the_logits():
    areas, variances = np.array([0.8, 0.9, 0.85, np.nan]), np.array([1, 2, 1, np.nan]) * 1e-3
    y, v = logit(areas[:3]), variances[:3] / (areas[:3] * (1 - areas[:3])) ** 2
    for method in ("REML", "DL", "PM"):
        found = pool_areas(areas, variances, method=method)
        peer = random_effects(y, v, method=method, hksj=True)
        assert found.logits == peer
        assert found.estimate == pytest.approx(expit(peer.estimate))
        assert (found.low, found.high) == pytest.approx((expit(peer.low), expit(peer.high)))
        assert found.prediction_low <= found.low
    assert found.left_out == 1
    assert found.used.tolist() == [True, True, True, False]


def test_a_small_site_without_errors_has_a_small_weight():
    areas, variances = [0.85, 0.88, 1.0], [2e-4, 2e-4, 0.0]
    without = pool_areas(areas, variances)
    assert without.left_out == 1
    with_it = pool_areas(areas, variances, [300, 300, 2], [900, 900, 9])
    assert with_it.left_out == 0
    assert without.estimate < with_it.estimate < without.estimate + 0.01


def test_one_of_a_class_gets_the_variance_of_hanley_and_mcneil():
    """Held to their own formula, q1 = a / (2 − a), q2 = 2 a² / (1 + a), with one positive."""
    found = logit_areas([0.75], [np.nan], [1], [8])
    a, n = 0.75, 8
    variance = (a * (1 - a) + (n - 1) * (2 * a**2 / (1 + a) - a**2)) / n
    assert found.variances[0] == pytest.approx(variance / (a * (1 - a)) ** 2)
    assert found.estimates[0] == pytest.approx(logit(a))
    # An area that has a variance is left as it is.
    assert logit_areas([0.75], [0.01], [5], [8]).variances[0] == pytest.approx(
        0.01 / (a * (1 - a)) ** 2
    )


def test_intervals_hold_the_mean_of_the_sites_as_often_as_they_say():
    random = np.random.default_rng(1)
    truth = np.arange(160) % 4 == 0
    held, new = [], []
    for _ in range(150):
        shifts = random.normal(1.5, 0.3, 8)
        sites = [estimate_area(count_scores(truth, random.normal(truth * s))) for s in shifts]
        found = pool_areas([s.estimate for s in sites], [s.variance for s in sites])
        held.append(found.low <= norm.cdf(1.5 / np.sqrt(2)) <= found.high)
        other = norm.cdf(random.normal(1.5, 0.3) / np.sqrt(2))
        new.append(found.prediction_low <= other <= found.prediction_high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.05)
    assert np.mean(new) == pytest.approx(0.95, abs=0.06)


def test_refuses_what_is_no_area_and_too_few_sites():
    with pytest.raises(PoolingError):
        logit_areas([1.2], [0.1])
    with pytest.raises(PoolingError):
        logit_areas([0.8, 0.9], [0.1])
    with pytest.raises(PoolingError):
        pool_areas([0.8, np.nan], [0.01, np.nan])
