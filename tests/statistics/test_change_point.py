import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from workbench.errors import DefinitionError, UndefinedError
from workbench.statistics.change_point import find_estimate_change, find_rate_change

months = st.lists(
    st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    min_size=2,
    max_size=10,
).map(lambda rows: tuple(np.array(column) for column in zip(*rows, strict=True)))


def log_likelihood(x, n):
    return binom.logpmf(x, n, x.sum() / n.sum()).sum()


@given(months)
def test_evidence_is_the_likelihood_ratio(rows):
    events, totals = rows
    found = find_rate_change(events, totals, draws=20)
    assert np.isnan(found.profile[0])
    for k in range(1, events.size):
        parts = sum(log_likelihood(events[s], totals[s]) for s in (slice(k), slice(k, None)))
        wanted = 2 * (parts - log_likelihood(events, totals))
        assert found.profile[k] == pytest.approx(wanted, abs=1e-6)
    assert found.statistic == pytest.approx(np.nanmax(found.profile))
    k = found.at
    assert found.before == pytest.approx(events[:k].sum() / totals[:k].sum())
    assert found.after == pytest.approx(events[k:].sum() / totals[k:].sum())


@pytest.mark.parametrize("rate", [0.02, 0.3])
def test_rate_without_a_change_is_seldom_called_one(rate):
    random = np.random.default_rng(0)
    totals = random.integers(80, 400, 12)
    called = [
        find_rate_change(random.binomial(totals, rate), totals, draws=300, seed=i, alarm=0.1).found
        for i in range(250)
    ]
    assert np.mean(called) == pytest.approx(0.1, abs=0.05)


def test_finds_the_planted_month():
    random = np.random.default_rng(1)
    totals = random.integers(200, 320, 12)
    rate = np.where(np.arange(12) < 6, 0.03, 0.09)
    found = [find_rate_change(random.binomial(totals, rate), totals, draws=400) for _ in range(40)]
    assert np.mean([f.found for f in found]) > 0.95
    assert np.mean([abs(f.at - 6) <= 1 for f in found]) > 0.9
    assert found[0].p <= found[0].alarm
    assert found[0].statistic > found[0].threshold


def test_a_month_of_nobody_changes_nothing():
    with_it = find_rate_change([10, 12, 0, 30, 28], [200, 200, 0, 200, 200])
    without = find_rate_change([10, 12, 30, 28], [200] * 4)
    assert with_it.statistic == pytest.approx(without.statistic)
    assert with_it.at in (2, 3)


def test_estimates_by_hand():
    y, v = np.array([1.0, 1.2, 0.4, 0.5]), np.array([0.01, 0.02, 0.01, 0.04])
    found = find_estimate_change(y, v)
    before, after = (np.average(y[s], weights=1 / v[s]) for s in (slice(2), slice(2, None)))
    spread = 1 / (1 / v[:2]).sum() + 1 / (1 / v[2:]).sum()
    assert found.at == 2
    assert (found.before, found.after) == pytest.approx((before, after))
    assert found.statistic == pytest.approx((before - after) ** 2 / spread)


def test_two_months_need_no_search():
    """One place to change at: the threshold is that of a normal test."""
    found = find_estimate_change([0.0, 1.0], [0.1, 0.1], draws=40_000)
    assert found.threshold == pytest.approx(norm.ppf(0.975) ** 2, rel=0.03)
    assert found.p == pytest.approx(2 * norm.sf(1 / np.sqrt(0.2)), abs=0.003)


def test_estimates_without_a_change_are_seldom_called_one():
    random = np.random.default_rng(2)
    v = random.uniform(0.01, 0.1, 12)
    called = [
        find_estimate_change(random.normal(1.5, np.sqrt(v)), v, draws=300, seed=i, alarm=0.1).found
        for i in range(300)
    ]
    assert np.mean(called) == pytest.approx(0.1, abs=0.045)


def test_a_fall_of_the_area_is_found_in_its_month_though_a_month_is_missing():
    random = np.random.default_rng(3)
    v = np.full(12, 0.02)
    true = np.where(np.arange(12) < 7, 2.2, 1.2)
    true[3] = np.nan
    found = [find_estimate_change(random.normal(true, np.sqrt(v)), v, draws=300) for _ in range(40)]
    assert np.mean([f.found and f.at == 7 for f in found]) > 0.9
    assert found[0].left_out == 1
    assert np.isnan(found[0].profile[[0, 3]]).all()


def test_sides_have_as_many_months_as_asked():
    events, totals = [1, 20, 20, 20, 20, 20], [100] * 6
    assert find_rate_change(events, totals).at == 1
    found = find_rate_change(events, totals, least=2)
    assert found.at >= 2
    assert np.isnan(found.profile[[1, 5]]).all()
    assert np.isfinite(found.profile[2:5]).all()


def test_refuses_too_few_months_and_odd_rates():
    with pytest.raises(UndefinedError):
        find_rate_change([1], [2])
    with pytest.raises(UndefinedError):
        find_estimate_change([1.0, np.nan], [1.0, 1.0])
    with pytest.raises(UndefinedError):
        find_estimate_change([np.nan, np.nan], [1.0, 1.0])
    with pytest.raises(UndefinedError):
        find_rate_change([1, 1, 1], [2, 2, 2], least=2)
    with pytest.raises(DefinitionError):
        find_rate_change([1, 1], [2, 2], alarm=0)
    with pytest.raises(DefinitionError):
        find_rate_change([3, 1], [2, 2])
    with pytest.raises(DefinitionError):
        find_estimate_change([1.0], [1.0, 2.0])
