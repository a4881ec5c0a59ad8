import numpy as np
import pytest
from hypothesis import given, settings

from tests.disclosure.tables import MODALITY, SEX, by, sites
from workbench.disclosure.cells import Hold, protect
from workbench.disclosure.check import check
from workbench.disclosure.intervals import intervals
from workbench.disclosure.policy import Policy
from workbench.errors import DisclosureError
from workbench.summaries import counts, histogram, moments
from workbench.summaries.dimension import Dimension

POLICY = Policy()


def holds_truth(table, view, policy):
    low, high = intervals(view, policy)
    truth = {n: table.data[n].values for n in ("exams", "patients")}
    if table.kind == "moments":
        truth |= {n: moments.finish(table)[n].values for n in ("mean", "sd")}
    for name, values in truth.items():
        spoken = np.isfinite(low[name].values)
        if name in ("mean", "sd"):
            spoken &= view.status[name].values == "rounded"
        at = values[spoken]
        assert (low[name].values[spoken] <= at).all(), name
        assert (at <= high[name].values[spoken]).all(), name
    return low, high


@settings(max_examples=60, deadline=None)
@given(sites)
def test_the_truth_lies_inside(site):
    for policy in (POLICY, Policy(15, 7, 2)):
        for table in site.values():
            holds_truth(table, protect(table, policy), policy)


@settings(max_examples=15, deadline=None)
@given(sites)
def test_the_truth_lies_inside_what_a_check_lets_leave(site):
    for name, view in check(site, POLICY).views.items():
        holds_truth(site[name], view, POLICY)


def test_bounds_are_as_the_contract_says():
    view = protect(by(SEX, [33, 0, 4]), POLICY)
    low, high = intervals(view, POLICY)
    assert low.patients.values.tolist() == [34, 33, 0, 1]
    assert high.patients.values.tolist() == [37, 36, 0, 4]
    wide = protect(by(MODALITY, [12, 40, 0, 0]), POLICY)
    low, high = intervals(wide, POLICY)
    assert low.patients.values[1] == 10  # 10 stands for 8 to 12, but nothing below 10 is told
    assert low.patients.values[3] == 0
    assert high.patients.values[3] <= 9


def test_a_held_back_cell_is_bounded_by_its_margin():
    table = by(SEX, [60, 40, 3])
    hold = Hold.nothing(table)
    hold.cells[1] = True
    low, high = holds_truth(table, protect(table, POLICY, hold), POLICY)
    assert low.patients.values[1] >= 103 - 42 - 9
    assert high.patients.values[1] < 70
    alone = Hold.nothing(table)
    alone.cells[:2] = True
    low, high = holds_truth(table, protect(table, POLICY, alone), POLICY)
    assert (low.patients.values[1], high.patients.values[1]) == (10, np.inf)


def test_exact_has_no_bounds():
    with pytest.raises(DisclosureError) as refused:
        intervals(by(SEX, [60, 40, 3]), POLICY)
    assert "released view" in refused.value.todo


@pytest.mark.parametrize("seed", [11, 44, 3, 8])
def test_the_truth_lies_inside_where_two_histograms_share_their_zeros(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(40, 160))
    column, values = rng.integers(0, 3, n), np.exp(rng.normal(1.2, 1.0, n))
    protocol = Dimension("protocol", ("A", "B", "C", "other", "missing"), zeros="public")
    about = ([protocol], {"protocol": column}, range(n), rng.integers(0, n, n))
    more = {"unit": "mGy", "zeros": "public"}
    site = {
        "fine": histogram.summarise(*about, values, edges=[0, 1, 2, 4, 8, 16, 32], **more),
        "coarse": histogram.summarise(*about, values, edges=[0, 1, 4, 8, 32], **more),
        "counts": counts.summarise(*about),
    }
    checked = check(site, POLICY)
    assert set(checked.views) == set(site)
    for name, view in checked.views.items():
        holds_truth(site[name], view, POLICY)
