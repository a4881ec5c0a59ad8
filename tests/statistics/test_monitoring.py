import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from workbench.errors import DefinitionError, UndefinedError
from workbench.statistics.monitoring import THREE_SIGMA, cusum, p_chart

months = st.lists(
    st.integers(0, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    min_size=1,
    max_size=15,
).map(lambda rows: tuple(np.array(column) for column in zip(*rows, strict=True)))


@given(months)
def test_exact_limits_leave_no_more_than_a_tail(rows):
    events, totals = rows
    if not totals.sum():
        with pytest.raises(UndefinedError):
            p_chart(events, totals)
        return
    chart = p_chart(events, totals)
    assert chart.centre == pytest.approx(events.sum() / totals.sum())
    tail = THREE_SIGMA / 2
    for x, n, low, high, outside in zip(
        events, totals, chart.low, chart.high, chart.outside, strict=True
    ):
        if not n:
            assert outside == 0
            continue
        least, most = round(low * n), round(high * n)
        assert binom.cdf(least - 1, n, chart.centre) <= tail + 1e-12
        assert binom.sf(most, n, chart.centre) <= tail + 1e-12
        # One step further in is likelier.
        assert binom.cdf(least, n, chart.centre) > tail - 1e-12
        assert binom.sf(most - 1, n, chart.centre) > tail - 1e-12 or most == 0
        assert outside == int(x > most) - int(x < least)


def test_three_sigma_limits():
    """Montgomery's frozen orange juice cans: 50 a sample, 0.2313 unfit: 0.0524 to 0.4102."""
    events = np.array([12, 15, 8, 10, 4, 7, 16, 9, 14, 10, 5, 6, 17, 12, 22, 8, 10, 5, 13, 11, 20,
                       18, 24, 15, 9, 12, 7, 13, 9, 6])  # fmt: skip
    chart = p_chart(events, np.full(30, 50), limits="normal")
    assert chart.centre == pytest.approx(0.2313, abs=5e-5)
    assert chart.low[0] == pytest.approx(0.0524, abs=5e-5)
    assert chart.high[0] == pytest.approx(0.4102, abs=5e-5)
    # Samples 15 and 23 are out of control.
    assert np.flatnonzero(chart.outside).tolist() == [14, 22]


def test_a_rare_event_needs_exact_limits():
    """Of 30 exams a month and 2 % a third one would raise an alarm by three deviations."""
    events, totals = [0, 1, 0, 1, 1, 0, 1, 3], [30] * 8
    assert p_chart(events, totals, baseline=7, limits="normal").outside[-1] == 1
    assert p_chart(events, totals, baseline=7).outside[-1] == 0


def test_false_alarms_are_as_rare_as_they_should_be():
    random = np.random.default_rng(0)
    totals = random.integers(50, 400, 20_000)
    events = random.binomial(totals, 0.04)
    assert np.mean(p_chart(events, totals).outside != 0) <= THREE_SIGMA


def test_the_cumulative_sum_is_that_of_page():
    events, totals = np.array([3, 9, 14, 2]), np.array([100, 120, 110, 90])
    watch = cusum(events, totals, 0.05, 0.1)
    now, sums = 0.0, []
    for x, n in zip(events, totals, strict=True):
        now = max(0.0, now + binom.logpmf(x, n, 0.1) - binom.logpmf(x, n, 0.05))
        sums.append(now)
    assert watch.sums.tolist() == pytest.approx(sums)


def test_the_limit_keeps_the_false_alarm_rate_and_finds_the_change():
    random = np.random.default_rng(1)
    totals = np.full(12, 250)
    alarms = [
        cusum(random.binomial(totals, 0.05), totals, 0.05, 0.1, alarm=0.1, draws=500).alarm_at >= 0
        for _ in range(300)
    ]
    assert np.mean(alarms) == pytest.approx(0.1, abs=0.05)
    changed = np.where(np.arange(12) < 6, 0.05, 0.12)
    found = [
        cusum(random.binomial(totals, changed), totals, 0.05, 0.1, draws=500).alarm_at
        for _ in range(50)
    ]
    # Mostly in the month of the change or the next, and never at all is rare.
    assert np.mean([6 <= at <= 7 for at in found]) > 0.8


def test_a_fall_can_be_feared_too():
    totals = np.full(12, 250)
    events = np.where(np.arange(12) < 6, 50, 20)
    assert cusum(events, totals, 0.2, 0.1).alarm_at in (6, 7)
    assert cusum(events, totals, 0.2, 0.3).alarm_at == -1


def test_refuses_what_is_no_row_of_counts():
    for events, totals in (([1], [1, 2]), ([3], [2]), ([], []), ([0.5], [1]), ([np.nan], [3])):
        with pytest.raises(DefinitionError):
            p_chart(events, totals)
    with pytest.raises(DefinitionError):
        p_chart([1], [2], limits="loose")
    for usual, feared in ((0.1, 0.1), (0.0, 0.1), (0.1, 1.0)):
        with pytest.raises(DefinitionError):
            cusum([1], [2], usual, feared)
    with pytest.raises(UndefinedError):
        p_chart([0, 1], [0, 2], baseline=1)
