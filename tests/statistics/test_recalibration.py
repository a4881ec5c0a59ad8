import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import expit, logit

from workbench.errors import DefinitionError, UndefinedError
from workbench.statistics.recalibration import recalibrate
from workbench.statistics.roc import count_scores, counts_of_bins

exams = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 19).map(lambda x: x / 20)), min_size=4, max_size=80
).map(lambda rows: tuple(np.array(column) for column in zip(*rows, strict=True)))


@given(exams)
def test_agrees_with_statsmodels(rows):
    truth, score = rows
    assume(0 < truth.sum() < truth.size)
    some, none = score[truth == 1], score[truth == 0]
    assume(some.min() < none.max() and none.min() < some.max())
    found = recalibrate(count_scores(truth, score))
    line = sm.GLM(truth, sm.add_constant(logit(score), has_constant="add"), sm.families.Binomial())
    line = line.fit(tol=1e-12, maxiter=200)
    level = sm.GLM(truth, np.ones(truth.size), sm.families.Binomial(), offset=logit(score))
    level = level.fit(tol=1e-12)
    assert found.slope == pytest.approx(line.params[1], abs=1e-5)
    assert found.slope_se == pytest.approx(line.bse[1], rel=1e-4)
    assert found.intercept == pytest.approx(level.params[0], abs=1e-6)
    assert found.intercept_se == pytest.approx(level.bse[0], rel=1e-5)
    assert (found.slope_low, found.slope_high) == pytest.approx(
        tuple(line.conf_int()[1]), rel=1e-3, abs=1e-4
    )


def test_finds_what_was_done_to_the_probabilities():
    random = np.random.default_rng(0)
    line = random.normal(-1, 1.5, 200_000)
    truth = random.random(line.size) < expit(line)
    # Too extreme by a half, and then too high by 0.4.
    found = recalibrate(count_scores(truth, expit(1.5 * line)))
    assert found.slope == pytest.approx(1 / 1.5, abs=3 * found.slope_se)
    found = recalibrate(count_scores(truth, expit(line + 0.4)))
    assert found.intercept == pytest.approx(-0.4, abs=3 * found.intercept_se)
    assert found.slope == pytest.approx(1, abs=3 * found.slope_se)


def test_fine_bins_tell_almost_the_same():
    random = np.random.default_rng(1)
    line = random.normal(-1, 1, 50_000)
    truth, score = random.random(line.size) < expit(line), expit(1.3 * line)
    edges = np.linspace(0, 1, 201)
    m, n = (np.histogram(score[truth == c], edges)[0] for c in (True, False))
    whole, binned = (
        recalibrate(c) for c in (count_scores(truth, score), counts_of_bins(edges, m, n))
    )
    assert binned.slope == pytest.approx(whole.slope, abs=0.02)
    assert binned.intercept == pytest.approx(whole.intercept, abs=0.01)


def test_certain_probabilities_are_moved_and_counted():
    truth, score = [0, 1, 1, 0, 0, 1], [0.0, 1.0, 0.4, 0.6, 0.3, 0.0]
    found = recalibrate(count_scores(truth, score))
    assert found.clipped == 3
    assert np.isfinite([found.slope, found.intercept]).all()
    assert found.slope != recalibrate(count_scores(truth, score), nearest=1e-3).slope


def test_extreme_scores_come_to_an_end():
    random = np.random.default_rng(3)
    truth = random.random(2000) < 0.5
    score = np.where(random.random(2000) < 0.9, truth, ~truth).astype(float)
    found = recalibrate(count_scores(truth, score))
    # Nine of ten are right: the slope takes the logit of 1 − 10⁻⁶ to that of 0.9.
    assert found.slope == pytest.approx(logit(0.9) / logit(1 - 1e-6), rel=0.1)


@pytest.mark.parametrize(
    ("truth", "score"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]),
        ([0, 0, 1, 1], [0.1, 0.5, 0.5, 0.9]),
        ([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9]),
        ([0, 1], [0.5, 0.5]),
        ([1, 1], [0.4, 0.5]),
    ],
    ids=["apart", "touching", "reversed", "constant", "one class"],
)
def test_no_slope_is_best(truth, score):
    with pytest.raises(UndefinedError, match=r"do not overlap|One class"):
        recalibrate(count_scores(truth, score))


def test_refuses_what_is_no_probability():
    with pytest.raises(DefinitionError):
        recalibrate(count_scores([0, 1], [0.5, 1.5]))
