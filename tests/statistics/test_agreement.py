"""Agreement: held to Fleiss 1971, Krippendorff's own example, statsmodels and all pairs."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats import inter_rater

from workbench.errors import DefinitionError, UndefinedError
from workbench.statistics.agreement import (
    cohen_kappa,
    cross_tabulate,
    fleiss_kappa,
    krippendorff_alpha,
)

NONE = np.nan
# Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011, section C to F: four observers.
EXAMPLE = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
    [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
]
pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=60)


@pytest.fixture(scope="module")
def diagnoses(shared_data):
    table = pd.read_csv(shared_data / "tables/fleiss1971.csv").to_numpy()
    return np.stack([(table == name).sum(axis=1) for name in np.unique(table)], axis=1)


def test_psychiatric_diagnoses(diagnoses):
    found = fleiss_kappa(diagnoses)
    assert found.estimate == pytest.approx(0.43024, abs=5e-6)
    assert found.z == pytest.approx(17.65, abs=5e-3)
    assert found.subjects == 30
    assert found.estimate == pytest.approx(inter_rater.fleiss_kappa(diagnoses))


def test_the_error_of_fleiss_is_that_of_leaving_out_subjects(diagnoses):
    found = fleiss_kappa(diagnoses)
    left = [fleiss_kappa(np.delete(diagnoses, i, axis=0)).estimate for i in range(30)]
    jackknife = np.sqrt(29 / 30 * ((left - np.mean(left)) ** 2).sum())
    assert found.se == pytest.approx(jackknife, rel=0.05)
    assert found.low == pytest.approx(found.estimate - 1.959964 * found.se)


@pytest.mark.parametrize("seed", range(3))
def test_the_error_of_fleiss_minds_the_expected_agreement(seed):
    """Of so many copies that leaving out one is a derivative; of a rare category."""
    random = np.random.default_rng(seed)
    rare = random.binomial(4, np.where(random.random(60) < 0.1, 0.95, 0.15))
    table = np.tile(np.column_stack([rare, 4 - rare]), (50, 1))
    n = len(table)
    left = np.array([fleiss_kappa(np.delete(table, i, axis=0)).estimate for i in range(60)])
    jackknife = np.sqrt((n - 1) / n * 50 * ((left - left.mean()) ** 2).sum())
    assert fleiss_kappa(table).se == pytest.approx(jackknife, rel=2e-3)


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
@given(pairs)
def test_two_raters_agree_with_the_libraries(weights, ratings):
    first, second = zip(*ratings, strict=True)
    table = cross_tabulate(first, second, 4)
    assert table.sum() == len(ratings)
    assume(len(set(first) | set(second)) > 1)
    found = cohen_kappa(table, weights)
    told = None if weights == "none" else weights
    assert found.estimate == pytest.approx(
        cohen_kappa_score(first, second, labels=range(4), weights=told), abs=1e-9
    )
    with np.errstate(invalid="ignore"):
        peer = inter_rater.cohens_kappa(table, wt=told)
    assert found.estimate == pytest.approx(peer.kappa, abs=1e-9)
    assert found.se**2 == pytest.approx(peer.var_kappa, abs=1e-9)
    if abs(found.z) > 1e-9:
        assert found.estimate / found.z == pytest.approx(peer.std_kappa0, abs=1e-7)


def test_interval_of_kappa_holds_the_truth_as_often_as_it_says():
    random = np.random.default_rng(0)
    chance = np.array([[0.4, 0.06, 0.02], [0.05, 0.2, 0.05], [0.02, 0.05, 0.15]])
    true = cohen_kappa(np.rint(chance * 1e9), "linear").estimate
    held = []
    for _ in range(500):
        found = cohen_kappa(random.multinomial(150, chance.ravel()).reshape(3, 3), "linear")
        held.append(found.low <= true <= found.high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(
    ("scale", "alpha"),
    [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)],
)
def test_example_of_krippendorff(scale, alpha):
    found = krippendorff_alpha(EXAMPLE, scale, replicates=300)
    assert found.estimate == pytest.approx(alpha, abs=5e-4)
    assert (found.units, found.left_out) == (11, 1)
    assert found.low < found.estimate <= found.high
    assert found == krippendorff_alpha(EXAMPLE, scale, replicates=300)


ratings = st.lists(
    st.lists(st.one_of(st.integers(1, 4), st.none()), min_size=3, max_size=3),
    min_size=2,
    max_size=8,
)


@given(ratings)
def test_alpha_is_observed_over_expected_disagreement(units):
    given_ = [[r for r in unit if r is not None] for unit in units]
    rated = [unit for unit in given_ if len(unit) > 1]
    every = [r for unit in rated for r in unit]
    assume(len(set(every)) > 1)
    observed = sum(
        (a - b) ** 2 / (len(unit) - 1) for unit in rated for a, b in itertools.permutations(unit, 2)
    ) / len(every)
    expected = np.mean([(a - b) ** 2 for a, b in itertools.permutations(every, 2)])
    table = np.array([[NONE if r is None else r for r in unit] for unit in units]).T
    found = krippendorff_alpha(table, "interval")
    assert found.estimate == pytest.approx(1 - observed / expected)
    assert found.left_out == len(units) - len(rated)


def test_perfect_and_no_agreement():
    assert cohen_kappa([[5, 0], [0, 5]]).estimate == 1
    assert cohen_kappa([[0, 5], [5, 0]]).estimate == -1
    assert cohen_kappa([[5, 5], [5, 5]]).estimate == 0
    assert fleiss_kappa([[3, 0], [0, 3]]).estimate == 1


def test_one_category_alone_is_undefined():
    with pytest.raises(UndefinedError):
        cohen_kappa([[7, 0], [0, 0]])
    with pytest.raises(UndefinedError):
        fleiss_kappa([[3, 0], [3, 0]])
    with pytest.raises(UndefinedError):
        krippendorff_alpha([[1, 1], [1, 1]])
    with pytest.raises(UndefinedError):
        krippendorff_alpha([[1, 2]])


def test_refuses_what_is_no_table():
    for table in ([[1, 2]], [[1, -1], [1, 1]], [[0.5, 1], [1, 1]], [1, 2]):
        with pytest.raises(DefinitionError):
            cohen_kappa(table)
    with pytest.raises(DefinitionError):
        cohen_kappa([[1, 1], [1, 1]], "cubic")
    with pytest.raises(DefinitionError, match="same number"):
        fleiss_kappa([[3, 0], [1, 1]])
    with pytest.raises(DefinitionError):
        fleiss_kappa([[1, 0], [0, 1]])
    with pytest.raises(DefinitionError):
        cross_tabulate([0, 1], [0, 2], 2)
    with pytest.raises(DefinitionError):
        krippendorff_alpha(EXAMPLE, "logarithmic")
    with pytest.raises(DefinitionError):
        krippendorff_alpha([[-1, 2], [1, 2]], "ratio")
