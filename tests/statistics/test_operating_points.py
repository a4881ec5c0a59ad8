import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import DefinitionError, UndefinedError
from workbench.statistics.operating_points import (
    choose_threshold,
    operating_point,
    operating_points,
)
from workbench.statistics.roc import ScoreCounts, count_scores

scores = st.lists(st.integers(0, 8).map(lambda x: x / 8), min_size=1, max_size=12)


def test_double_reading_in_moscow():
    """All three operating points of 50 + 50 mammograms with Wald intervals (REFERENCE).

    The figures tell how many of each class lie between the three cuts; the scores are numbered.
    """
    counts = ScoreCounts(
        np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 10, 12, 28]), np.array([27, 18, 5, 0])
    )
    points = operating_points(counts)
    assert [points[r].threshold for r in ("sensitivity", "youden", "specificity")] == [2, 3, 4]

    def told(share):
        return [round(100 * x, 1) for x in (share.estimate, *share.wald)]

    youden = points["youden"]
    assert told(youden.sensitivity)[0] == 80.0
    assert told(youden.specificity) == [90.0, 81.7, 98.3]
    assert told(youden.accuracy) == [85.0, 78.0, 92.0]
    assert told(points["specificity"].sensitivity) == [56.0, 42.2, 69.8]
    assert points["specificity"].specificity.estimate == 1.0
    assert told(points["sensitivity"].specificity) == [54.0, 40.2, 67.8]
    assert points["sensitivity"].sensitivity.estimate == 1.0
    # Wald has no width at 100 %, Wilson has.
    assert points["sensitivity"].sensitivity.wald == (1.0, 1.0)
    assert points["sensitivity"].sensitivity.wilson[0] < 0.95


@given(scores, scores)
def test_every_rule_chooses_the_best_cut_there_is(positives, negatives):
    p, n = np.array(positives), np.array(negatives)
    counts = count_scores([1] * p.size + [0] * n.size, [*positives, *negatives])
    cuts = [*counts.values, np.inf]
    sensitivity = {c: np.mean(p >= c) for c in cuts}
    specificity = {c: np.mean(n < c) for c in cuts}
    found = operating_points(counts)
    for point in found.values():
        at = point.threshold
        assert point.sensitivity.estimate == pytest.approx(sensitivity[at])
        assert point.specificity.estimate == pytest.approx(specificity[at])
        right = np.sum(p >= at) + np.sum(n < at)
        assert point.accuracy.estimate == pytest.approx(right / (p.size + n.size))
    best = max(sensitivity[c] + specificity[c] for c in cuts)
    at = found["youden"].threshold
    assert sensitivity[at] + specificity[at] == pytest.approx(best)
    assert not any(sensitivity[c] + specificity[c] >= best - 1e-12 for c in cuts if c < at)
    assert found["sensitivity"].sensitivity.estimate == 1
    assert found["sensitivity"].specificity.estimate == max(
        specificity[c] for c in cuts if sensitivity[c] == 1
    )
    assert found["specificity"].specificity.estimate == 1
    assert found["specificity"].sensitivity.estimate == max(
        sensitivity[c] for c in cuts if specificity[c] == 1
    )


def test_nobody_is_called_where_a_negative_stands_above_all():
    counts = count_scores([1, 0], [0.2, 0.8])
    assert choose_threshold(counts, "specificity") == np.inf
    assert operating_point(counts, np.inf).sensitivity.estimate == 0


def test_refuses_one_class_an_unknown_rule_and_no_number():
    counts = count_scores([1, 0], [0.2, 0.8])
    with pytest.raises(DefinitionError) as refused:
        choose_threshold(counts, "yuden")
    assert "youden" in refused.value.todo
    with pytest.raises(DefinitionError):
        operating_point(counts, np.nan)
    with pytest.raises(UndefinedError):
        operating_points(count_scores([1], [0.2]))
