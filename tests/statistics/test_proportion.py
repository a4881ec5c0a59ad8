import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from workbench.errors import DefinitionError
from workbench.statistics.proportion import clopper_pearson, proportion, wald, wilson

PEERS = {wald: "normal", wilson: "wilson", clopper_pearson: "beta"}
counts = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize("interval", PEERS)
@given(counts, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_intervals_agree_with_statsmodels(interval, events, level):
    peer = proportion_confint(*events, alpha=1 - level, method=PEERS[interval])
    found = [float(x) for x in interval(*events, level)]
    assert found == pytest.approx(np.clip(peer, 0, 1), abs=1e-9)


def test_double_reading_in_moscow():
    """Wald intervals of 50 + 50 mammograms (REFERENCE), in percent."""
    for events, total, estimate, low, high in (
        (45, 50, 90.0, 81.7, 98.3),
        (85, 100, 85.0, 78.0, 92.0),
        (28, 50, 56.0, 42.2, 69.8),
        (27, 50, 54.0, 40.2, 67.8),
    ):
        found = proportion(events, total)
        told = [round(100 * x, 1) for x in (found.estimate, *found.wald)]
        assert told == [estimate, low, high]


def test_intervals_take_columns_and_a_share_of_nothing_has_none():
    low, high = wilson([0, 5, 0], [10, 10, 0])
    assert low.shape == high.shape == (3,)
    assert (low[0], high[1]) == (0.0, pytest.approx(1 - low[1]))
    for interval in PEERS:
        assert np.isnan([interval(0, 0).low, interval(0, 0).high]).all()
    assert np.isnan(proportion(0, 0).estimate)


@pytest.mark.parametrize(("events", "total"), [(3, 2), (-1, 2), (0.5, 2), (np.nan, 2)])
def test_refuses_what_is_no_count(events, total):
    with pytest.raises(DefinitionError, match="whole number"):
        wilson(events, total)
    with pytest.raises(DefinitionError, match="level"):
        wald(1, 2, 1.0)
