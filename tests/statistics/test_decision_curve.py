import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import DefinitionError, UndefinedError
from workbench.statistics.decision_curve import decision_curve
from workbench.statistics.roc import count_scores, counts_of_bins

exams = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 20).map(lambda x: x / 20)), min_size=1, max_size=60
).map(lambda rows: tuple(np.array(column) for column in zip(*rows, strict=True)))


@given(exams, st.floats(0, 0.99))
def test_net_benefit_by_hand(rows, threshold):
    truth, score = rows
    found = decision_curve(count_scores(truth, score), threshold)
    called, cost = score >= threshold, threshold / (1 - threshold)
    each = np.where(called, np.where(truth == 1, 1.0, -cost), 0.0)
    assert found.net_benefit[0] == pytest.approx(each.mean(), abs=1e-9)
    reach = 1.959964 * each.std() / np.sqrt(truth.size)
    assert found.high[0] - found.net_benefit[0] == pytest.approx(reach, rel=1e-5, abs=1e-6)
    everyone = np.where(truth == 1, 1.0, -cost)
    assert found.treat_all[0] == pytest.approx(everyone.mean(), abs=1e-9)


def test_prostate_biopsy_of_vickers_and_elkin():
    """At 20 % a false positive costs a quarter: 110 found and 170 wrong of 1000 give 0.0675."""
    counts = count_scores([1] * 110 + [0] * 170 + [1] * 20 + [0] * 700, [0.4] * 280 + [0.1] * 720)
    assert decision_curve(counts, 0.2).net_benefit[0] == pytest.approx(0.110 - 0.170 / 4)


@given(exams)
def test_bins_are_exact_at_their_edges(rows):
    truth, score = rows
    edges = np.array([0.0, 0.15, 0.3, 0.6, 1.0])
    m, n = (np.histogram(score[truth == c], edges)[0] for c in (1, 0))
    whole = decision_curve(count_scores(truth, score), edges[:-1])
    binned = decision_curve(counts_of_bins(edges, m, n), edges[:-1])
    assert binned.net_benefit == pytest.approx(whole.net_benefit)
    assert binned.low == pytest.approx(whole.low)


def test_refuses_thresholds_of_certainty_and_nobody():
    counts = count_scores([1, 0], [0.2, 0.4])
    for threshold in (1.0, -0.1, np.nan):
        with pytest.raises(DefinitionError):
            decision_curve(counts, threshold)
    with pytest.raises(UndefinedError):
        decision_curve(count_scores([], []))
    assert decision_curve(counts).thresholds.size == 99
