"""Where a pooled quantile lies is held against the values themselves."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workbench.pooled.quantiles import (
    Nodes,
    count_sides,
    holds_threshold,
    quantile_ends,
    read_off,
    share_below,
)
from workbench.statistics.bounds import Bounds
from workbench.summaries.grid import Grid

EDGES = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
TREE = Grid(EDGES)
ZERO = np.zeros(len(TREE.nodes))
SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0)


def cut_of(divided):
    """Return the nodes of a cut: each node that is named gives way to its halves."""
    cut, waiting = [], [TREE.root]
    while waiting:
        node = waiting.pop()
        halves = TREE.children(node)
        if halves and node in divided:
            waiting += halves
        else:
            cut.append(node)
    return cut


def as_told(values, cut, slack=(0, 0), *, open_whole=False):
    """Return what a site with these values tells in a cut, with ends that are off by a slack."""
    held = {}
    for node in TREE.nodes:
        low, high = TREE.bounds(node)
        held[node] = int(((values >= low) & (values < high)).sum())
    told = np.array([held[n] if n in cut else 0.0 for n in TREE.nodes])
    inside = np.array([n in cut for n in TREE.nodes])
    low = np.where(inside, np.maximum(told - slack[0], 0), 0.0)
    high = np.where(inside, told + slack[1], 0.0)
    whole = float(len(values))
    most = np.inf if open_whole else whole
    return Nodes(Bounds(low, high), Bounds(np.array(whole), np.array(most)), told, told)


def ends_of(sites, q):
    sides = [count_sides(TREE, site) for site in sites]
    below, above = (
        Bounds(*(np.sum([side[i][end] for side in sides], axis=0) for end in range(2)))
        for i in range(2)
    )
    return quantile_ends(EDGES, below, above, q)


VALUES = st.lists(
    st.sampled_from([-3, 0, 0.5, 1, 1.5, 3, 4, 7, 9, 15, 16, 20, 32, 99]), max_size=40
)
SITES = st.lists(
    st.tuples(
        VALUES,
        st.sets(st.sampled_from(TREE.nodes)),
        st.tuples(st.integers(0, 4), st.integers(0, 4) | st.just(np.inf)),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


@given(SITES, st.sampled_from(SHARES))
def test_the_quantile_of_all_values_lies_between_the_ends(sites, q):
    values = [np.array(v, float) for v, *_ in sites]
    told = [
        as_told(v, cut_of(divided), slack, open_whole=free)
        for v, (_, divided, slack, free) in zip(values, sites, strict=True)
    ]
    low, high = ends_of(told, q)
    every = np.concatenate(values)
    if every.size:
        assert low <= np.percentile(every, 100 * q) <= high
        assert low < high


@given(SITES, st.sampled_from(SHARES))
def test_the_ends_are_never_wider_than_those_of_merged_bins(sites, q):
    values = [np.array(v, float) for v, *_ in sites]
    cuts = [cut_of(divided) for _, divided, *_ in sites]
    merged = TREE.common_cut(cuts)
    own, common = (
        ends_of([as_told(v, c) for v, c in zip(values, by, strict=True)], q)
        for by in (cuts, [merged] * len(cuts))
    )
    assert common[0] <= own[0] <= own[1] <= common[1]


def test_a_small_site_in_one_bin_does_not_hide_the_median_of_a_large_one():
    random = np.random.default_rng(1)
    large, small = random.lognormal(1.5, 0.5, 1000), random.lognormal(1.5, 0.5, 12)
    told = [as_told(large, list(TREE.leaves)), as_told(small, [TREE.root])]
    assert ends_of(told, 0.5) == (4.0, 8.0)
    value = told[0].value + told[1].value
    assert abs(read_off(TREE, value, 0.5) - np.median(np.concatenate([large, small]))) < 0.5


def test_an_end_that_is_not_known_is_infinite():
    assert ends_of([as_told(np.array([1.5, 3.0]), [TREE.root])], 0.5) == (-np.inf, np.inf)
    few = as_told(np.array([1.5] * 30), list(TREE.leaves), (0, np.inf), open_whole=True)
    assert ends_of([few], 0.5) == (-np.inf, np.inf)


def test_shares_rise_from_none_to_all():
    share = share_below(TREE, EDGES)
    assert (np.diff(share, axis=1) >= 0).all()
    assert set(np.unique(share[0])) == {0.5}
    assert share[TREE.nodes.index("[0,1)")].tolist() == [0, 1, 1, 1, 1, 1, 1]


def test_a_quantile_in_an_open_bin_is_not_read():
    value = ZERO.copy()
    value[TREE.nodes.index("[32,inf)")] = 10
    assert np.isnan(read_off(TREE, value, 0.5))
    assert np.isnan(read_off(TREE, ZERO, 0.5))


def test_both_sides_hold_the_threshold():
    patients = ZERO.copy()
    patients[TREE.nodes.index("[1,2)")] = 12
    patients[TREE.nodes.index("[4,8)")] = 9

    def holds(*sites, **changed):
        given = {"least": 100, "place": 3.0, "q": 0.5, "threshold": 10} | changed
        return holds_threshold(TREE, sites, **given)

    assert not holds(patients)  # only 9 above
    assert holds(patients, patients)  # 18 above, at two sites
    assert not holds(patients, patients, least=19)
    assert not holds(patients, patients, place=np.nan)
    assert not holds(patients, patients, place=5.9)  # 4.5 of 9 lie on either side, at each
