import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.statistics.bounds import Bounds, mean_bounds, sd_bounds

groups = st.lists(
    st.lists(st.floats(-100, 100).map(lambda x: round(x, 3)), min_size=2, max_size=12),
    min_size=1,
    max_size=4,
)


def around(values, slack):
    column = np.array(values, float)[:, None]
    return Bounds(column - slack, column + slack)


@settings(max_examples=200, deadline=None)
@given(groups, st.floats(0, 1), st.integers(0, 1))
def test_ends_hold_the_truth_of_the_people(values, slack, more):
    n = around([len(g) for g in values], more)
    mean = around([np.mean(g) for g in values], slack)
    sd = around([np.std(g, ddof=1) for g in values], slack)
    sd = Bounds(np.maximum(sd.low, 0), sd.high)
    everyone = np.concatenate(values)
    low, high = mean_bounds(n, mean)
    assert low[0] - 1e-9 <= everyone.mean() <= high[0] + 1e-9
    low, high = sd_bounds(n, mean, sd)
    assert low[0] - 1e-6 <= everyone.std(ddof=1) <= high[0] + 1e-6


@given(groups)
def test_without_slack_the_ends_meet(values):
    n, mean = around([len(g) for g in values], 0), around([np.mean(g) for g in values], 0)
    sd = around([np.std(g, ddof=1) for g in values], 0)
    everyone = np.concatenate(values)
    for found, truth in (
        (mean_bounds(n, mean), everyone.mean()),
        (sd_bounds(n, mean, sd), everyone.std(ddof=1)),
    ):
        assert [float(x[0]) for x in found] == pytest.approx([truth] * 2, abs=1e-5)


def test_mean_bounds_are_attained():
    # Largest mean of sizes 8..12 and 28..32 with means 2 and 6: the small size below, full above.
    low, high = mean_bounds(around([10, 30], 2), around([2.0, 6.0], 0))
    assert high[0] == pytest.approx((8 * 2 + 32 * 6) / 40)
    assert low[0] == pytest.approx((12 * 2 + 28 * 6) / 40)


def test_an_unknown_group_leaves_the_mean_open_and_bounds_the_sd_from_below():
    n = Bounds(np.array([[10.0], [0.0]]), np.array([[10.0], [9.0]]))
    mean = Bounds(np.array([[5.0], [-np.inf]]), np.array([[5.0], [np.inf]]))
    sd = Bounds(np.array([[2.0], [0.0]]), np.array([[2.0], [np.inf]]))
    assert [x[0] for x in mean_bounds(n, mean)] == [-np.inf, np.inf]
    low, high = sd_bounds(n, mean, sd)
    assert low[0] == pytest.approx(np.sqrt(9 * 4 / 18))
    assert high[0] == np.inf


def test_a_group_that_is_surely_empty_does_not_count():
    n = Bounds(np.array([[10.0], [0.0]]), np.array([[10.0], [0.0]]))
    mean = Bounds(np.array([[5.0], [-np.inf]]), np.array([[5.0], [np.inf]]))
    assert [x[0] for x in mean_bounds(n, mean)] == [5.0, 5.0]
    nobody = Bounds(np.zeros((2, 1)), np.zeros((2, 1)))
    assert np.isnan(mean_bounds(nobody, mean)).all()
    assert np.isnan(sd_bounds(nobody, mean, mean)).all()


def test_groups_of_which_nothing_is_known():
    n = Bounds(np.array([[1.0]]), np.array([[9.0]]))
    anything = Bounds(np.array([[-np.inf]]), np.array([[np.inf]]))
    assert [x[0] for x in mean_bounds(n, anything)] == [-np.inf, np.inf]
    assert [x[0] for x in sd_bounds(n, anything, anything)] == [0.0, np.inf]
