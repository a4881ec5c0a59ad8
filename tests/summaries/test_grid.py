import math

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from tests.summaries.strategies import tables
from workbench.errors import DefinitionError, PoolingError
from workbench.summaries.grid import Grid, merge_bounds
from workbench.summaries.histogram import grid_of

edges = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20, unique=True).map(
    lambda e: Grid(tuple(sorted(x + 0.0 for x in e)))
)


@st.composite
def cuts(draw, grid):
    """Draw a cut: open nodes at random, from the root."""
    cut = [grid.root]
    for node in grid.nodes:
        if node in cut and grid.children(node) and draw(st.booleans()):
            cut.remove(node)
            cut += grid.children(node)
    return set(cut)


def holds(grid, outer, inner):
    (a, b), (c, d) = grid.bounds(outer), grid.bounds(inner)
    return a <= c and d <= b


@pytest.mark.parametrize("wrong", [(), (1.0, 1.0), (2.0, 1.0), (math.nan,), (0.0, math.inf)])
def test_edges_that_do_not_increase_are_refused(wrong):
    with pytest.raises(DefinitionError, match="finite and increasing"):
        Grid(wrong)


@given(edges)
def test_each_node_is_the_union_of_its_halves(grid):
    assert grid.root == "[-inf,inf)"
    assert len(grid.leaves) == len(grid.edges) + 1
    assert len(grid.nodes) == 2 * len(grid.leaves) - 1
    for node in grid.nodes:
        low, high = grid.bounds(node)
        if halves := grid.children(node):
            (a, b), (c, d) = map(grid.bounds, halves)
            assert (a, d) == (low, high)
            assert b == c
            assert all(grid.nodes.index(half) > grid.nodes.index(node) for half in halves)
        else:
            assert node in grid.leaves
    starts = [grid.bounds(leaf)[0] for leaf in grid.leaves]
    assert starts == [-math.inf, *grid.edges]


@given(st.integers(1, 300))
def test_the_tree_is_balanced(n):
    grid = Grid(tuple(range(n)))
    depth = {grid.root: 0}
    for node in grid.nodes:
        depth.update(dict.fromkeys(grid.children(node), depth[node] + 1))
    assert max(depth.values()) == math.ceil(math.log2(n + 1))


@given(st.data(), edges)
def test_the_common_cut_is_the_finest_that_all_can_be_merged_to(data, grid):
    given_ = [data.draw(cuts(grid)) for _ in range(data.draw(st.integers(1, 4)))]
    common = grid.common_cut(given_)
    for cut in given_:  # every node of the result is made of whole nodes of each cut
        assert all(any(holds(grid, node, n) for node in common) for n in cut)
    for node in common:  # and cannot be opened: some cut holds it whole
        assert any(node in cut for cut in given_)
    assert grid.common_cut([common]) == common
    assert grid.common_cut([*given_, {grid.root}]) == (grid.root,)
    assert grid.common_cut(given_[::-1]) == common


@pytest.mark.parametrize(
    "wrong",
    [
        set(),
        {"[-inf,0)"},
        {"[10,inf)"},
        {"[-inf,0)", "[10,inf)"},
        {"[-inf,10)", "[10,inf)", "[10,20)"},
        {"[-inf,inf)", "[0,10)"},
    ],
)
def test_what_does_not_cover_the_line_once_is_no_cut(wrong):
    with pytest.raises(PoolingError, match="cover the line once"):
        Grid((0, 10, 20)).common_cut([wrong])


def test_an_interval_of_another_grid_is_refused():
    grid = Grid((0, 10))
    for call in (grid.children, grid.bounds, lambda x: grid.sort([x])):
        with pytest.raises(DefinitionError, match="no interval of the grid"):
            call("[0,5)")


@given(st.data(), tables())
def test_merged_bounds_hold_the_exact_counts(data, table):
    summary = table.summarise("histogram")
    grid = grid_of(summary)
    published, wanted = data.draw(cuts(grid)), data.draw(cuts(grid))
    cut = grid.common_cut([published, wanted])
    slack = data.draw(st.sampled_from([0, 2]))
    for name in ("exams", "patients"):
        exact = summary.data[name]
        shown = exact.where(exact.bin.isin(sorted(published)))
        low, high = merge_bounds(
            grid, (shown - slack).clip(min=0), shown + slack, cut, distinct=name == "patients"
        )
        assert low.dims == high.dims == exact.dims
        assert tuple(low.bin.values) == cut
        truth = exact.sel(bin=list(cut))
        assert bool((low <= truth).all())
        assert bool((truth <= high).all())


def test_merged_bounds_are_missing_where_nothing_is_published():
    grid = Grid((0, 10, 20))
    shown = xr.DataArray(np.full(len(grid.nodes), np.nan), coords={"bin": list(grid.nodes)})
    shown.loc[{"bin": "[-inf,10)"}] = 20
    low, _ = merge_bounds(grid, shown, shown, ["[10,inf)", "[-inf,10)"], distinct=False)
    assert low.values.tolist()[0] == 20
    assert np.isnan(low.values[1])
