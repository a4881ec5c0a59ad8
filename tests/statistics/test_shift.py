import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import ks_2samp, kstwobign

from workbench.errors import DefinitionError, UndefinedError
from workbench.statistics.shift import kolmogorov_smirnov, population_stability

counts = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12).map(
    lambda rows: tuple(np.array(column) for column in zip(*rows, strict=True))
)


@given(counts)
def test_index_by_hand(rows):
    first, second = rows
    assume(first.sum() and second.sum())
    found = population_stability(first, second)
    there = first + second > 0
    p, q = (x[there] + 0.5 for x in rows)
    p, q = p / p.sum(), q / q.sum()
    assert found.value == pytest.approx(np.sum((p - q) * np.log(p / q)), abs=1e-12)
    assert found.bins == there.sum()
    turned = population_stability(second, first)
    assert turned.value == pytest.approx(found.value)
    assert found.value >= 0


def test_index_without_a_shift_is_as_large_as_told():
    random = np.random.default_rng(0)
    share = random.dirichlet(np.full(10, 5.0))
    found = [
        population_stability(random.multinomial(800, share), random.multinomial(2000, share))
        for _ in range(2000)
    ]
    values = np.array([f.value for f in found])
    assert values.mean() == pytest.approx(found[0].expected, rel=0.05)
    assert np.mean(values > found[0].reference) == pytest.approx(0.05, abs=0.015)
    assert np.mean([f.p < 0.05 for f in found]) == pytest.approx(0.05, abs=0.015)


def test_a_shift_is_told_from_chance():
    random = np.random.default_rng(1)
    edges = np.linspace(-4, 5, 11)
    home, away = (np.histogram(random.normal(m, 1, 3000), edges)[0] for m in (0, 0.2))
    for found in (population_stability(home, away), kolmogorov_smirnov(home, away)):
        assert found.value > found.reference
        assert found.p < 1e-4


def test_one_bin_cannot_tell():
    found = population_stability([5, 0], [7, 0])
    assert (found.value, found.p, found.bins) == (0, 1, 1)


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=40),
    st.lists(st.integers(0, 30), min_size=1, max_size=40),
    st.lists(st.integers(1, 30), max_size=6, unique=True),
)
def test_bins_bound_the_distance_of_the_numbers(first, second, inner):
    edges = np.array([-0.5, *(np.sort(inner) - 0.5), 30.5])
    a, b = (np.histogram(x, edges)[0] for x in (first, second))
    found = kolmogorov_smirnov(a, b)
    exact = ks_2samp(first, second, method="asymp").statistic
    assert found.value - 1e-12 <= exact <= found.most + 1e-12


@given(counts)
def test_the_largest_distance_can_be_reached(rows):
    first, second = rows
    assume(first.sum() and second.sum())
    bins = np.arange(first.size)
    reached = [
        ks_2samp(
            np.repeat(bins + a, first), np.repeat(bins + 0.5, second), method="asymp"
        ).statistic
        for a in (0.2, 0.8)
    ]
    assert kolmogorov_smirnov(first, second).most == pytest.approx(max(reached), abs=1e-12)


@given(counts)
def test_distance_of_the_bins_agrees_with_scipy(rows):
    first, second = rows
    assume(first.sum() and second.sum())
    bins = np.arange(first.size)
    found = kolmogorov_smirnov(first, second)
    peer = ks_2samp(np.repeat(bins, first), np.repeat(bins, second), method="asymp")
    assert found.value == pytest.approx(peer.statistic, abs=1e-12)
    size = np.sqrt(first.sum() * second.sum() / (first.sum() + second.sum()))
    assert found.p == pytest.approx(kstwobign.sf(size * found.value))
    assert found.reference == pytest.approx(kstwobign.ppf(0.95) / size)


def test_the_reference_distance_is_on_the_safe_side():
    random = np.random.default_rng(2)
    share = random.dirichlet(np.full(20, 5.0))
    above = [
        found.value > found.reference
        for found in (
            kolmogorov_smirnov(random.multinomial(600, share), random.multinomial(900, share))
            for _ in range(1500)
        )
    ]
    assert 0.005 < np.mean(above) <= 0.055


def test_refuses_empty_and_unequal_histograms():
    for figure in (population_stability, kolmogorov_smirnov):
        with pytest.raises(UndefinedError):
            figure([0, 0], [1, 2])
        with pytest.raises(DefinitionError):
            figure([1, 2], [1, 2, 3])
        with pytest.raises(DefinitionError):
            figure([1, -2], [1, 2])
        with pytest.raises(DefinitionError):
            figure([1, 2], [1, 2], level=1)
