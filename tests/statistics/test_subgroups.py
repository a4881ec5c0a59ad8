import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import DefinitionError
from workbench.statistics.delong import estimate_area
from workbench.statistics.roc import OUTCOMES, count_scores
from workbench.statistics.subgroups import ALL, areas_by_group, areas_of_subgroups, rank_scores

rows = st.lists(
    st.tuples(st.booleans(), st.integers(0, 5), st.integers(-1, 3), st.integers(-1, 1)),
    max_size=40,
)


def alone(truth, score, inside):
    counts = count_scores(truth[inside], score[inside])
    return counts, estimate_area(counts) if counts.outcome == "ok" else None


def same(areas, at, counts, found):
    assert areas.outcome[at] == counts.outcome
    assert (areas.positives[at], areas.negatives[at]) == counts.totals
    if found is None:
        for name in ("estimate", "variance", "low", "high"):
            assert np.isnan(getattr(areas, name)[at])
        assert areas.method[at] == ""
        return
    for name in ("estimate", "variance", "low", "high"):
        value = getattr(areas, name)[at]
        assert value == pytest.approx(getattr(found, name), abs=1e-9, nan_ok=True), name
    assert areas.method[at] == found.method


@given(rows, st.integers(4, 7))
def test_every_group_is_as_if_it_were_alone(table, number):
    columns = np.array(table, int).reshape(-1, 4).T
    truth, score, group = columns[0].astype(bool), columns[1].astype(float), columns[2]
    found = areas_by_group(rank_scores(truth, score), group, number)
    assert len(found) == number
    for at in range(number):
        same(found, at, *alone(truth, score, group == at))


@given(rows)
def test_every_crossing_is_as_if_it_were_alone(table):
    columns = np.array(table, int).reshape(-1, 4).T
    truth, score = columns[0].astype(bool), columns[1].astype(float)
    labels = {"age": columns[2], "sex": columns[3]}
    found = areas_of_subgroups(rank_scores(truth, score), labels)
    told = [tuple(row) for row in found.codes.tolist()]
    assert len(set(told)) == len(told)
    wanted = set()
    for row in zip(columns[2], columns[3], strict=True):
        for kept in itertools.product([True, False], repeat=2):
            code = tuple(int(x) if k else ALL for x, k in zip(row, kept, strict=True))
            if all(x >= 0 for x, k in zip(row, kept, strict=True) if k):
                wanted.add(code)
    assert set(told) - {(ALL, ALL)} == wanted - {(ALL, ALL)}
    for at, code in enumerate(told):
        inside = np.ones(truth.size, bool)
        for value, labelled in zip(code, labels.values(), strict=True):
            inside &= (labelled == value) if value != ALL else True
        same(found.areas, at, *alone(truth, score, inside))


def test_a_depth_of_one_crosses_nothing():
    random = np.random.default_rng(2)
    ranked = rank_scores(random.random(200) < 0.3, random.random(200))
    labels = {name: random.integers(0, 3, 200) for name in "abc"}
    found = areas_of_subgroups(ranked, labels, depth=1)
    assert found.columns == ("a", "b", "c")
    assert (np.count_nonzero(found.codes != ALL, axis=1) <= 1).all()
    assert len(found.areas) == 10


def test_labels_may_be_far_apart_and_many():
    """More possible crossings than a whole number can count, of which few are there."""
    random = np.random.default_rng(3)
    truth, score = random.random(900) < 0.5, random.random(900)
    labels = {f"c{i}": random.choice([0, 7, 900_000_000], 900) for i in range(4)}
    found = areas_of_subgroups(rank_scores(truth, score), labels)
    assert len(found.areas) == 4**4
    at = found.codes.tolist().index([7, ALL, 900_000_000, ALL])
    inside = (labels["c0"] == 7) & (labels["c2"] == 900_000_000)
    same(found.areas, at, *alone(truth, score, inside))


def test_more_groups_than_two_bytes_can_number():
    random = np.random.default_rng(4)
    truth, score = random.random(3000) < 0.5, random.random(3000)
    group = random.integers(0, 3, 3000) * 30_000
    found = areas_by_group(rank_scores(truth, score), group, 70_000)
    for at in (0, 30_000, 60_000, 69_999):
        same(found, at, *alone(truth, score, group == at))


def test_nobody_at_all():
    found = areas_of_subgroups(rank_scores([], []), {"sex": []})
    assert set(found.areas.outcome) <= set(OUTCOMES)
    assert not np.isfinite(found.areas.estimate).any()


def test_refuses_groups_that_do_not_fit():
    ranked = rank_scores([0, 1], [1, 2])
    with pytest.raises(DefinitionError):
        areas_by_group(ranked, [0], 1)
    with pytest.raises(DefinitionError):
        areas_by_group(ranked, [0, 1], 1)
    with pytest.raises(DefinitionError, match="column"):
        areas_of_subgroups(ranked, {"sex": [0]})
