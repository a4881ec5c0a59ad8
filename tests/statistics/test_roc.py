"""ROC: held to measured data, scikit-learn and all pairs."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from workbench.errors import DefinitionError, UndefinedError
from workbench.statistics.roc import (
    auc,
    bounded_auc,
    check_scores,
    count_scores,
    counts_of_bins,
    precision_recall,
    roc_curve,
)

# Few distinct scores, so that ties are many.
scores = st.lists(st.integers(0, 8).map(lambda x: x / 8), min_size=1, max_size=15)
classes = st.tuples(scores, scores)


def columns(both):
    positives, negatives = both
    return [1] * len(positives) + [0] * len(negatives), positives + negatives


@pytest.fixture(scope="module")
def asah(shared_data):
    table = pd.read_csv(shared_data / "tables/aSAH.csv")
    return (table.outcome == "Poor").to_numpy(), table


@pytest.mark.parametrize(
    ("name", "area"), [("s100b", 0.7313686), ("wfns", 0.8236789), ("ndka", 0.6119580)]
)
def test_areas_after_haemorrhage(asah, name, area):
    truth, table = asah
    assert auc(count_scores(truth, table[name])) == pytest.approx(area, abs=5e-8)


@given(classes)
def test_the_area_is_the_share_of_pairs_in_order(both):
    won = [(p > n) + (p == n) / 2 for p, n in itertools.product(*both)]
    assert auc(count_scores(*columns(both))) == pytest.approx(np.mean(won), abs=1e-12)


@given(classes)
def test_curves_agree_with_scikit_learn(both):
    truth, score = columns(both)
    counts = count_scores(truth, score)
    curve = roc_curve(counts)
    fpr, tpr, thresholds = metrics.roc_curve(truth, score, drop_intermediate=False)
    assert curve.thresholds == pytest.approx(thresholds)
    assert curve.sensitivity == pytest.approx(tpr)
    assert 1 - curve.specificity == pytest.approx(fpr)
    assert auc(counts) == pytest.approx(metrics.roc_auc_score(truth, score))
    found = precision_recall(counts)
    precision, recall, at = metrics.precision_recall_curve(truth, score)
    assert found.precision[::-1] == pytest.approx(precision[:-1])
    assert found.recall[::-1] == pytest.approx(recall[:-1])
    assert found.thresholds[::-1] == pytest.approx(at)
    assert found.average_precision == pytest.approx(metrics.average_precision_score(truth, score))


@given(classes, st.randoms(use_true_random=False))
def test_the_area_depends_on_nothing_but_the_order(both, random):
    truth, score = columns(both)
    rows = list(zip(truth, score, strict=True))
    random.shuffle(rows)
    truth, moved = zip(*[(t, np.exp(3 * s)) for t, s in rows], strict=True)
    assert auc(count_scores(truth, moved)) == auc(count_scores(*columns(both)))
    turned = auc(count_scores(truth, -np.array(moved)))
    assert turned == pytest.approx(1 - auc(count_scores(*columns(both))))


@given(classes, st.lists(st.floats(0.01, 0.99), max_size=5, unique=True))
def test_bins_bound_the_area_and_the_ends_are_reached(both, inner):
    truth, score = (np.array(x) for x in columns(both))
    edges = [0.0, *sorted(inner), 1.01]
    place = np.digitize(score, edges) - 1
    m, n = (np.bincount(place[truth == c], minlength=len(edges) - 1) for c in (1, 0))
    low, mid, high = bounded_auc(m, n)
    area = auc(count_scores(truth, score))
    assert low - 1e-12 <= area <= high + 1e-12
    assert mid == pytest.approx((low + high) / 2)
    # The worst and the best order within each bin.
    for end, sign in ((low, -1), (high, 1)):
        assert auc(count_scores(truth, place + sign * 0.1 * truth)) == pytest.approx(end)
    assert auc(counts_of_bins(edges, m, n)) == pytest.approx(mid)


def test_bounds_of_many_cells_at_once():
    m = np.array([[1, 2], [0, 0], [3, 0]])
    n = np.array([[2, 1], [4, 4], [0, 3]])
    low, mid, high = bounded_auc(m, n)
    assert low.tolist() == pytest.approx([4 / 9, np.nan, 0.0], nan_ok=True)
    assert mid.tolist() == pytest.approx([5 / 9 + 1 / 9, np.nan, 0.0], nan_ok=True)
    assert high.tolist() == pytest.approx([8 / 9, np.nan, 0.0], nan_ok=True)


def test_bounds_are_exact_for_a_billion_rows():
    half = 500_000_000
    assert [float(x) for x in bounded_auc([half, half], [half, half])] == [0.25, 0.5, 0.75]


@pytest.mark.parametrize(
    ("truth", "outcome"), [([1, 1], "no_negatives"), ([0, 0], "no_positives"), ([], "no_rows")]
)
def test_one_class_alone_has_a_named_outcome(truth, outcome):
    counts = count_scores(truth, [0.5] * len(truth))
    assert counts.outcome == outcome
    for figure in (auc, roc_curve, precision_recall):
        with pytest.raises(UndefinedError) as refused:
            figure(counts)
        assert outcome in refused.value.where


def test_scores_that_are_none_are_refused_and_counted():
    with pytest.raises(DefinitionError, match="2 of 4 scores are not a number"):
        count_scores([0, 1, 0, 1], [0.1, np.nan, np.nan, 0.3])
    with pytest.raises(DefinitionError, match="1 of 3 truths"):
        count_scores([0, 1, np.nan], [0.1, 0.2, 0.3])
    with pytest.raises(DefinitionError, match="1 of 3 truths"):
        count_scores([0, 1, 2], [0.1, 0.2, 0.3])
    with pytest.raises(DefinitionError, match="one length"):
        count_scores([0, 1], [0.1, 0.2, 0.3])


def test_infinite_scores_are_ordered():
    assert auc(count_scores([0, 1, 1], [-np.inf, 0.0, np.inf])) == 1.0


def test_truth_may_be_boolean_or_whole_or_float():
    for kind in (bool, int, float):
        truth, _ = check_scores(np.array([0, 1], kind), [0.0, 1.0])
        assert truth.tolist() == [False, True]


@pytest.mark.parametrize(
    ("edges", "m", "n", "values"),
    [
        ([0, 1, 1], [1, 1], [1, 1], None),
        ([0, 1], [-1], [1], None),
        ([0, 1, 2], [1], [1], None),
        ([0, 1, 2], [1, 1], [1, 1], [0.5, 0.5]),
    ],
)
def test_refuses_what_is_no_table_of_bins(edges, m, n, values):
    with pytest.raises(DefinitionError):
        counts_of_bins(edges, m, n, values)


def test_refuses_unequal_bins():
    with pytest.raises(DefinitionError):
        bounded_auc([1, 2], [1])
    with pytest.raises(DefinitionError):
        bounded_auc([1, -2], [1, 1])
