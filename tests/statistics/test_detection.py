import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import DefinitionError, UndefinedError
from workbench.statistics.detection import AGAIN, FALSE, Marks, froc_curve, match_marks

closeness = st.integers(0, 5).flatmap(
    lambda lesions: st.lists(
        st.tuples(
            st.integers(0, 4),
            st.lists(st.integers(0, 10).map(lambda x: x / 10), min_size=lesions, max_size=lesions),
        ),
        max_size=8,
    ).map(lambda rows: (lesions, rows))
)


@given(closeness)
def test_matching_is_fair(made):
    lesions, rows = made
    score = np.array([s for s, _ in rows], float)
    near = np.array([c for _, c in rows], float).reshape(len(rows), lesions)
    found = match_marks(score, near, 0.3)
    taken = found[found >= 0]
    assert len(set(taken.tolist())) == taken.size
    for mark, lesion in enumerate(found):
        hits = near[mark] >= 0.3
        if lesion == FALSE:
            assert not hits.any()
        elif lesion == AGAIN:
            # All that it hits went to marks of no lower score.
            for other in np.flatnonzero(hits):
                (owner,) = np.flatnonzero(found == other)
                assert score[owner] >= score[mark]
        else:
            assert hits[lesion]
            for closer in np.flatnonzero(near[mark] > near[mark][lesion]):
                (owner,) = np.flatnonzero(found == closer)
                assert score[owner] >= score[mark]


def test_a_distance_is_a_closeness_with_its_sign_turned():
    marks, lesions = np.array([[0.0, 0, 0], [9, 9, 9]]), np.array([[1.0, 1, 1], [40, 0, 0]])
    distance = np.linalg.norm(marks[:, None] - lesions[None], axis=-1)
    assert match_marks([0.5, 0.4], -distance, -5.0).tolist() == [0, FALSE]
    assert match_marks([0.5], np.zeros((1, 0)), 0.5).tolist() == [FALSE]
    assert match_marks([], np.zeros((0, 2)), 0.5).tolist() == []


def test_refuses_what_cannot_be_matched():
    with pytest.raises(DefinitionError, match="1 scores and 0 distances"):
        match_marks([np.nan], [[0.5]], 0.1)
    with pytest.raises(DefinitionError):
        match_marks([0.5], [[np.nan]], 0.1)
    with pytest.raises(DefinitionError):
        match_marks([0.5], [0.5], 0.1)


def made(random, exams=30):
    lesions = random.integers(0, 3, exams)
    marks = []
    for i, number in enumerate(lesions):
        marks += [(i, random.normal(1), j) for j in range(number) if random.random() < 0.8]
        marks += [(i, random.normal(), FALSE) for _ in range(random.poisson(1.5))]
        marks += [(i, random.normal(1), AGAIN)] if number else []
    exam, score, lesion = zip(*marks, strict=True)
    return Marks.of(exam, np.round(score, 1), lesion, lesions)


def test_the_curve_counts_at_each_threshold():
    marks = made(np.random.default_rng(0))
    found = froc_curve(marks, replicates=0)
    for at, wrong, right in zip(
        found.thresholds, found.false_marks, found.sensitivity, strict=True
    ):
        called = marks.score >= at
        assert wrong == pytest.approx((called & (marks.lesion == FALSE)).sum() / 30)
        assert right == pytest.approx((called & (marks.lesion >= 0)).sum() / marks.lesions.sum())
    assert found.thresholds.tolist() == sorted(set(marks.score), reverse=True)
    for rate, read in zip(found.rates, found.at_rates, strict=True):
        under = found.sensitivity[found.false_marks <= rate + 1e-9]
        assert read == max(under, default=0.0)
    assert found.mean == pytest.approx(found.at_rates.mean())


def test_intervals_hold_the_curve_as_often_as_they_say():
    random = np.random.default_rng(1)
    true = froc_curve(made(random, 20_000), [1.0], replicates=0).at_rates[0]
    held = []
    for seed in range(80):
        found = froc_curve(made(random, 60), [1.0], replicates=120, seed=seed)
        held.append(found.low[0] <= true <= found.high[0])
        assert found.mean_low == pytest.approx(found.low[0])
    assert np.mean(held) == pytest.approx(0.95, abs=0.08)


def test_the_same_seed_draws_the_same():
    marks = made(np.random.default_rng(2))
    one, other = (froc_curve(marks, replicates=50, seed=3) for _ in range(2))
    assert one.low.tolist() == other.low.tolist()
    assert one.high.tolist() != froc_curve(marks, replicates=50, seed=4).high.tolist()


def test_no_mark_finds_nothing():
    found = froc_curve(Marks.of([], [], [], [2, 0]), replicates=10)
    assert found.at_rates.tolist() == [0.0] * 7
    with pytest.raises(UndefinedError):
        froc_curve(Marks.of([0], [0.5], [FALSE], [0]))


@pytest.mark.parametrize(
    ("exam", "score", "lesion", "lesions"),
    [
        ([2], [0.5], [FALSE], [0, 1]),
        ([-1], [0.5], [FALSE], [0, 1]),
        ([0], [np.nan], [FALSE], [0, 1]),
        ([0, 0], [0.5], [FALSE], [0, 1]),
        ([0], [0.5], [0], [0, 1]),
    ],
    ids=["unknown exam", "below 0", "no score", "lengths", "more finds than lesions"],
)
def test_refuses_marks_that_do_not_fit(exam, score, lesion, lesions):
    with pytest.raises(DefinitionError):
        Marks.of(exam, score, lesion, lesions)
