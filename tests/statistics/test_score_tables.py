import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from workbench.errors import DefinitionError
from workbench.statistics.bounds import Bounds
from workbench.statistics.score_tables import (
    ScoreTable,
    area_bounds,
    middle_area,
    score_table,
    share_above,
)
from workbench.summaries import scores
from workbench.summaries.scores import NEGATIVE, POSITIVE

EDGES = np.linspace(0, 1, 21)


def exact(ends, counts):
    counts = np.array(counts, float)
    return ScoreTable(np.array(ends, float), Bounds(counts, counts))


def classes(values, truth, edges=EDGES):
    n = np.arange(len(values))
    table = scores.summarise([], {}, n, n, values, truth=truth, edges=edges)
    return score_table(table, POSITIVE), score_table(table, NEGATIVE)


@given(
    st.lists(st.sampled_from(np.linspace(0, 1, 41)), min_size=1, max_size=25),
    st.lists(st.sampled_from(np.linspace(0, 1, 41)), min_size=1, max_size=25),
)
def test_the_ends_hold_the_area_of_the_rows(positive, negative):
    values = np.array([*positive, *negative])
    truth = np.repeat([True, False], [len(positive), len(negative)])
    low, high = area_bounds(*classes(values, truth))
    area = roc_auc_score(truth, values)
    assert low - 1e-12 <= area <= high + 1e-12
    assert low - 1e-12 <= middle_area(*classes(values, truth)) <= high + 1e-12


@pytest.mark.parametrize("size", [3_000, 30_000])
def test_the_ends_are_near_where_bins_are_many(size):
    rng = np.random.default_rng(5)
    truth = rng.random(size) < 0.2
    values = 1 / (1 + np.exp(-rng.normal(np.where(truth, 1.4, 0.0))))
    low, high = area_bounds(*classes(values, truth, np.linspace(0, 1, 101)))
    assert high - low < 0.02
    assert abs(middle_area(*classes(values, truth)) - roc_auc_score(truth, values)) < 0.002


boxes = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=3, max_size=3)


@settings(max_examples=40, deadline=None)
@given(boxes, boxes)
def test_the_ends_are_those_of_the_worst_counts(positive, negative):
    tables, every = [], []
    for box, ends in ((positive, [0, 0.2, 0.5, 1]), (negative, [0, 0.3, 0.5, 1])):
        low, width = np.array(box, float).T
        tables.append(ScoreTable(np.array(ends), Bounds(low, low + width)))
        ranges = [range(a, a + w + 1) for a, w in box]
        every.append([exact(ends, c) for c in itertools.product(*ranges)])
    found = area_bounds(*tables)
    if not all(sum(a for a, _ in box) for box in (positive, negative)):
        assert np.isnan(found).all()
        return
    all_of_them = [area_bounds(p, n) for p, n in itertools.product(*every)]
    assert found[0] == pytest.approx(min(a for a, _ in all_of_them))
    assert found[1] == pytest.approx(max(b for _, b in all_of_them))


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=6
    )
)
def test_the_curve_holds_every_curve_that_the_counts_allow(rows):
    true, less, more = np.array(rows, float).T
    ends = np.linspace(0, 1, true.size + 1)
    table = ScoreTable(ends, Bounds(np.maximum(true - less, 0), true + more))
    _, low, high = share_above(table)
    if table.exams.low.sum() == 0:
        assert np.isnan(low).all()
        return
    share = np.append(np.cumsum(true[::-1])[::-1], 0) / true.sum()
    assert (low - 1e-12 <= share).all()
    assert (share <= high + 1e-12).all()


def test_classes_with_different_bins_are_compared():
    positives, negatives = exact([0, 0.5, 1], [0, 10]), exact([0, 0.4, 0.6, 1], [10, 10, 0])
    low, high = area_bounds(positives, negatives)
    assert (low, high) == (0.5, 1.0)
    assert middle_area(positives, negatives) == pytest.approx((1 + 0.95) / 2)


@pytest.mark.parametrize(
    ("ends", "low", "high"),
    [
        ([0, 0.5, 0.5], [1, 1], [1, 1]),
        ([0, 0.5], [1, 1], [1, 1]),
        ([0, 0.5, 1], [2, 1], [1, 1]),
        ([0, 0.5, 1], [-1, 1], [1, 1]),
    ],
)
def test_what_cannot_be_counts_is_refused(ends, low, high):
    with pytest.raises(DefinitionError):
        ScoreTable(np.array(ends, float), Bounds(np.array(low, float), np.array(high, float)))
