import numpy as np
import pytest

from tests.disclosure.tables import MODALITY
from workbench.disclosure.cells import Hold, protect
from workbench.disclosure.check import check
from workbench.disclosure.policy import Policy
from workbench.disclosure.totals import values_to_hold
from workbench.summaries import moments

POLICY = Policy()


def table(numbers, values):
    """Moments by modality: one exam per patient, one value per modality."""
    column = np.repeat(np.arange(len(numbers)), numbers)
    who = np.arange(len(column))
    spread = np.where(who % 2, 1.1, 0.9)
    value = np.array(values)[column] * spread
    return moments.summarise(
        [MODALITY], {"modality": column}, who, who, value, unit="MBq", resolution=0.01
    )


def residual(view):
    """What a reader computes: mean times n of the margin less those of the told cells."""
    n, mean = view.data["exams"].values, view.data["mean"].values
    told = view.status["mean"].values == "rounded"
    return n[0] * mean[0] - (n[1:] * mean[1:])[told[1:]].sum()


def test_few_large_values_hold_back_a_mean_that_tells_them():
    exact = table([200, 100, 50, 5], [10, 20, 30, 20000])
    bare = protect(exact, POLICY)
    assert residual(bare) == pytest.approx(5 * 20000, rel=0.1)  # what must not be possible
    hold = values_to_hold(exact, bare, POLICY)
    assert hold.tolist() == [False, False, False, True, False]  # the total last
    view = check({"activity": exact}, POLICY).views["activity"]
    assert view.status["mean"].values[3] == "suppressed"
    assert view.status["sd"].values[3] == "suppressed"
    assert view.status["patients"].values[3] == "rounded"
    assert np.isnan(view.data["mean"].values[3])


def test_a_square_can_tell_what_a_total_does_not():
    exact = table([1500, 700, 400, 2], [10, 10, 10, 250])
    bare = protect(exact, POLICY)
    low, high = (500 - 0.05 * 5200 - 10 * 2 * 4, 500 + 0.05 * 5200 + 10 * 2 * 4)
    assert high - low > 2 * 0.2 * 500  # the total alone stays blurred
    assert values_to_hold(exact, bare, POLICY).any()


def test_ordinary_values_stay():
    exact = table([400, 300, 200, 5], [100, 120, 90, 110])
    assert not values_to_hold(exact, protect(exact, POLICY), POLICY).any()


def test_small_cells_that_hold_the_threshold_together_need_no_protection():
    exact = table([400, 9, 9, 9], [100, 10000, 10000, 10000])
    # Modality has one label per exam: 27 patients at least are behind the residual.
    assert not values_to_hold(exact, protect(exact, POLICY), POLICY).any()
    exact = table([400, 3, 3, 3], [100, 10000, 10000, 10000])
    assert values_to_hold(exact, protect(exact, POLICY), POLICY).any()


def test_held_values_keep_the_counts():
    exact = table([200, 100, 50, 20], [10, 20, 30, 40])
    hold = Hold.nothing(exact)
    hold.values[0] = True
    view = protect(exact, POLICY, hold)
    assert view.data["exams"].values[0] == 370
    assert view.status["mean"].values.tolist() == ["suppressed", *["rounded"] * 4]
