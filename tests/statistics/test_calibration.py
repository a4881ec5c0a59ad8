import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from workbench.errors import DefinitionError, UndefinedError
from workbench.statistics.calibration import (
    bounded_calibration_error,
    brier_score,
    reliability_table,
    require_probabilities,
)
from workbench.statistics.proportion import wilson
from workbench.statistics.roc import ScoreCounts, count_scores, counts_of_bins

exams = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 40).map(lambda x: x / 40)), min_size=1, max_size=60
).map(lambda rows: tuple(np.array(column) for column in zip(*rows, strict=True)))


def by_hand(truth, score, place, bins):
    parts = [
        (score[place == b].mean(), truth[place == b].mean(), (place == b).sum())
        for b in range(bins)
        if (place == b).any()
    ]
    return [np.array(x) for x in zip(*parts, strict=True)]


@given(exams, st.integers(1, 15))
def test_bins_of_equal_width(rows, bins):
    truth, score = rows
    # A share is in the bin whose edges hold it, 1 in the last.
    place = np.array([max(b for b in range(bins) if b / bins <= s) for s in score])
    promised, observed, size = by_hand(truth, score, place, bins)
    found = reliability_table(count_scores(truth, score), bins)
    assert found.promised == pytest.approx(promised)
    assert found.observed == pytest.approx(observed)
    assert found.total.tolist() == size.tolist()
    error = (size * np.abs(promised - observed)).sum() / truth.size
    assert found.calibration_error == pytest.approx(error)
    assert found.largest_error == pytest.approx(np.abs(promised - observed).max())
    low, high = wilson(found.positives, found.total)
    assert (found.low.tolist(), found.high.tolist()) == (low.tolist(), high.tolist())


@pytest.mark.parametrize("how", ["width", "mass"])
def test_bins_agree_with_scikit_learn_where_no_score_is_an_edge(how):
    random = np.random.default_rng(0)
    score = random.random(1000)
    truth = random.random(1000) < score**1.5
    strategy = {"width": "uniform", "mass": "quantile"}[how]
    observed, promised = calibration_curve(truth, score, n_bins=10, strategy=strategy)
    found = reliability_table(count_scores(truth, score), 10, how)
    assert found.promised == pytest.approx(promised)
    assert found.observed == pytest.approx(observed)
    if how == "mass":
        assert found.total.tolist() == [100] * 10


@given(exams, st.integers(1, 15))
def test_bins_of_equal_mass_keep_equal_scores_together(rows, bins):
    truth, score = rows
    counts = count_scores(truth, score)
    ranks = np.array([(score < s).sum() + (score == s).sum() / 2 for s in score])
    place = np.minimum(np.floor(ranks * bins / score.size + 1e-9), bins - 1).astype(int)
    promised, observed, size = by_hand(truth, score, place, bins)
    found = reliability_table(counts, bins, "mass")
    assert found.promised == pytest.approx(promised)
    assert found.observed == pytest.approx(observed)
    assert found.total.tolist() == size.tolist()
    assert found.bin.size == counts.values.size
    assert (np.diff(found.bin) >= 0).all()


@given(exams)
def test_the_parts_of_the_brier_score_add_up(rows):
    truth, score = rows
    counts = count_scores(truth, score)
    found = brier_score(counts)
    assert found.score == pytest.approx(np.mean((score - truth) ** 2))
    if 0 < truth.sum() < truth.size:
        assert found.score == pytest.approx(brier_score_loss(truth, score))
    # By distinct probabilities nothing is left within.
    assert found.within == pytest.approx(0, abs=1e-12)
    assert found.uncertainty == pytest.approx(truth.mean() * (1 - truth.mean()))
    resolution = np.mean([(truth[score == s].mean() - truth.mean()) ** 2 for s in score])
    assert found.resolution == pytest.approx(resolution, abs=1e-12)


@given(exams, st.integers(1, 8))
def test_what_bins_leave_out_of_the_brier_score(rows, bins):
    truth, score = rows
    counts = count_scores(truth, score)
    table = reliability_table(counts, bins)
    found = brier_score(counts, table)
    place = table.bin[np.searchsorted(counts.values, score)]
    promised = score - table.promised[place]
    came = truth - table.observed[place]
    assert found.within == pytest.approx(np.mean(promised**2 - 2 * promised * came), abs=1e-9)
    assert found.score == pytest.approx(np.mean((score - truth) ** 2))


@given(exams, st.integers(1, 12))
def test_bins_bound_the_calibration_error(rows, bins):
    truth, score = rows
    edges = np.arange(bins + 1) / bins
    table = reliability_table(count_scores(truth, score), bins)
    place = np.searchsorted(edges[1:-1], score, side="right")
    m, n = (np.bincount(place[truth == c], minlength=bins) for c in (1, 0))
    low, mid, high = bounded_calibration_error(edges, m, n)
    assert low - 1e-12 <= table.calibration_error <= high + 1e-12
    middle = reliability_table(counts_of_bins(edges, m, n), bins)
    assert mid == pytest.approx(middle.calibration_error)


def test_the_ends_of_the_calibration_error_can_be_reached():
    """Nine of ten came below a half, and one of ten above: 0.4 off at least, 0.9 at most."""
    found = bounded_calibration_error([0, 0.5, 1], [9, 1], [1, 9])
    assert found == pytest.approx((0.4, 0.65, 0.9))


def test_refuses_what_is_no_probability_and_counts_it():
    counts = ScoreCounts(np.array([-0.1, 0.5, 1.2]), np.array([1, 1, 2]), np.array([1, 1, 0]))
    for figure in (brier_score, reliability_table, require_probabilities):
        with pytest.raises(DefinitionError, match="4 scores are no probabilities"):
            figure(counts)


def test_refuses_nobody_and_unknown_bins():
    nobody = count_scores([], [])
    for figure in (brier_score, reliability_table):
        with pytest.raises(UndefinedError):
            figure(nobody)
    with pytest.raises(UndefinedError):
        bounded_calibration_error([0, 1], [0], [0])
    for bins, how in ((0, "width"), (5, "depth")):
        with pytest.raises(DefinitionError):
            reliability_table(count_scores([1, 0], [0.1, 0.2]), bins, how)
