import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from workbench.errors import UndefinedError
from workbench.statistics.afroc import afroc_area
from workbench.statistics.delong import estimate_area
from workbench.statistics.detection import AGAIN, FALSE, Marks
from workbench.statistics.roc import count_scores

exam = st.tuples(
    st.lists(st.integers(0, 5), max_size=3),  # scores of the lesions that were found
    st.integers(0, 2),  # lesions that were missed
    st.lists(st.integers(0, 5), max_size=3),  # scores of false marks
)


def held(exams):
    rows = [
        (i, score, lesion)
        for i, (finds, _, wrong) in enumerate(exams)
        for score, lesion in [
            *((s, j) for j, s in enumerate(finds)),
            *((s, FALSE) for s in wrong),
            *([(9, AGAIN)] if finds else []),
        ]
    ]
    columns = list(zip(*rows, strict=True)) if rows else ([], [], [])
    return Marks.of(*columns, [len(finds) + missed for finds, missed, _ in exams])


def by_hand(exams, normal_only):
    lesions = [s for finds, missed, _ in exams for s in [*finds, *[-np.inf] * missed]]
    highest = [
        max(wrong, default=-np.inf)
        for finds, missed, wrong in exams
        if not normal_only or not (finds or missed)
    ]
    if not (lesions and highest):
        return None
    return np.mean([(s > h) + (s == h) / 2 for s in lesions for h in highest])


@given(st.lists(exam, min_size=2, max_size=7), st.booleans())
def test_area_and_error_by_hand(exams, normal_only):
    wanted = by_hand(exams, normal_only)
    assume(wanted is not None)
    found = afroc_area(held(exams), normal_only=normal_only)
    assert found.estimate == pytest.approx(wanted)
    left = [by_hand(exams[:i] + exams[i + 1 :], normal_only) for i in range(len(exams))]
    if any(x is None for x in left):
        assert np.isnan([found.se, found.low, found.high]).all()
        return
    n = len(exams)
    se = np.sqrt((n - 1) / n * ((np.array(left) - np.mean(left)) ** 2).sum())
    assert found.se == pytest.approx(se, abs=1e-9)
    assert 0 <= found.low <= found.estimate <= found.high <= 1


@pytest.mark.parametrize("normal_only", [True, False])
def test_error_where_exams_with_lesions_have_false_marks(normal_only):
    random = np.random.default_rng(8)
    sick = [
        (list(random.integers(2, 9, 2)), 1, list(random.integers(0, 6, random.integers(0, 3))))
        for _ in range(12)
    ]
    healthy = [([], 0, list(random.integers(0, 6, random.integers(0, 3)))) for _ in range(9)]
    exams = sick + healthy
    left = [by_hand(exams[:i] + exams[i + 1 :], normal_only) for i in range(21)]
    se = np.sqrt(20 / 21 * ((np.array(left) - np.mean(left)) ** 2).sum())
    assert afroc_area(held(exams), normal_only=normal_only).se == pytest.approx(se)


def test_one_lesion_an_exam_and_one_mark_each_is_a_roc_curve():
    random = np.random.default_rng(0)
    truth = np.arange(200) % 2 == 0
    score = random.normal(truth * 1.0)
    marks = Marks.of(range(200), score, np.where(truth, 0, FALSE), truth.astype(int))
    found, roc = afroc_area(marks), estimate_area(count_scores(truth, score))
    assert found.estimate == pytest.approx(roc.estimate)
    assert found.se == pytest.approx(roc.se, rel=0.02)
    assert (found.lesions, found.exams) == (100, 100)


def test_without_lesions_or_exams_to_compare_with_it_is_undefined():
    with pytest.raises(UndefinedError):
        afroc_area(Marks.of([0], [0.5], [FALSE], [0, 0]))
    sick = Marks.of([0], [0.5], [0], [1, 2])
    with pytest.raises(UndefinedError):
        afroc_area(sick)
    # The lesion that was found beats both exams, the two that were missed tie with both.
    assert afroc_area(sick, normal_only=False).estimate == pytest.approx(2 / 3)
