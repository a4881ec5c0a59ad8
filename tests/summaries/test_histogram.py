import itertools
import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import example, given
from hypothesis import strategies as st

from tests.summaries.strategies import EDGES, MODALITY, tables
from workbench.errors import DefinitionError
from workbench.summaries import counts, histogram
from workbench.summaries.dimension import ALL, Dimension
from workbench.summaries.histogram import grid_of, quantile, quantile_bounds
from workbench.summaries.kinds import validate
from workbench.summaries.summary import Summary, combine

methods = st.sampled_from(["linear", "hazen", "weibull", "median_unbiased"])
quantiles = st.one_of(st.floats(0, 1), st.sampled_from([0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1]))
numbers = st.one_of(st.floats(-20, 120), st.sampled_from([*EDGES, 3.0]))


def one_cell(values, edges=EDGES, unit="1"):
    rows = np.arange(len(values))
    return histogram.summarise([], {}, rows, rows, values, edges=edges, unit=unit)


@given(tables())
def test_every_node_holds_distinct_exams_and_patients(table):
    summary = table.summarise("histogram", (MODALITY,))
    validate(summary)
    grid = grid_of(summary)
    for label, node in itertools.product(MODALITY.margin_labels, grid.nodes):
        low, high = grid.bounds(node)
        rows = (table.values >= low) & (table.values < high)
        if label != ALL:
            rows &= table.columns["modality"] == MODALITY.labels.index(label)
        cell = summary.data.sel(modality=label, bin=node)
        assert cell.exams.item() == len(set(table.exam[rows].tolist()))
        assert cell.patients.item() == len(set(table.patient[rows].tolist()))


@given(st.lists(numbers, min_size=1, max_size=40), quantiles, methods)
@example([0.0, 1.0], 0.5, "linear")
@example([-20.0] + [0.0] * 10, 0.1, "linear")
def test_the_bound_holds_the_exact_percentile(values, q, method):
    exact = np.quantile(values, q, method=method)
    estimate, low, high = (x.item() for x in quantile(one_cell(values), q, method))
    assert low <= exact <= high
    assert math.isnan(estimate) == (low == -math.inf or high == math.inf)
    assert math.isnan(estimate) or low <= estimate <= high


@given(st.lists(numbers, min_size=1, max_size=40), quantiles, methods)
def test_the_bound_is_no_wider_than_the_bins_of_two_neighbours(values, q, method):
    rank = np.quantile(np.arange(len(values)), q, method=method)
    neighbours = np.sort(values)[[math.floor(rank), math.ceil(rank)]]
    ends = np.array([-math.inf, *EDGES, math.inf])
    lower, upper = np.searchsorted(ends, neighbours, side="right")
    _, low, high = (x.item() for x in quantile(one_cell(values), q, method))
    assert (low, high) == (ends[lower - 1], ends[upper])


WHOLE = (0, 1, 2, 3, 5, 10, 30)


@given(st.lists(st.integers(-3, 40), min_size=1, max_size=40), quantiles, methods)
@example([1, 2, 2, 2, 2], 0.5, "linear")
@example([1, 2, 4, 5], 0.5, "hazen")
def test_the_bound_of_whole_numbers_holds_the_exact_percentile(values, q, method):
    exact = np.quantile(values, q, method=method)
    estimate, low, high = (x.item() for x in quantile(one_cell(values, WHOLE), q, method))
    assert low <= exact <= high
    assert math.isnan(estimate) or low <= estimate <= high
    if low == high:
        assert estimate == exact
    rank = np.quantile(np.arange(len(values)), q, method=method)
    first, last = np.sort(values)[[math.floor(rank), math.ceil(rank)]]
    if first in (0, 1, 2) and last in (0, 1, 2):  # bins that are one wide tell them as they are
        assert (low, high) == (first, last)


def test_megabytes_are_not_whole_numbers():
    _, low, high = quantile(one_cell([2.1, 2.5, 2.9], [1, 2, 3], unit="MB"), 0.5)
    assert (low.item(), high.item()) == (2, 3)


def test_a_fraction_among_whole_numbers_is_refused():
    with pytest.raises(DefinitionError, match="no whole number") as error:
        one_cell([1, 2.5, np.nan], [1, 2, 3])
    assert "2.5" not in str(error.value)
    assert one_cell([1, 2.5], [0, 0.5, 3]).data.exams.max() == 2


@given(
    st.lists(numbers, min_size=1, max_size=40),
    quantiles,
    methods,
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=7, max_size=7),
)
def test_bounds_of_uncertain_counts_hold_the_exact_percentile(values, q, method, slack):
    summary = one_cell(values)
    ends = np.array(grid_of(summary).ends)
    truth = summary.data.exams.sel(bin=list(grid_of(summary).leaves))
    low_counts = (truth - [a for a, _ in slack]).clip(min=0)
    high_counts = truth + [b for _, b in slack]
    low, high = quantile_bounds(ends, low_counts, high_counts, q, method)
    assert low.item() <= np.quantile(values, q, method=method) <= high.item()
    exact = quantile(summary, q, method)
    assert low.item() <= exact.low.item()
    assert exact.high.item() <= high.item()


def test_quantiles_of_several_cells_keep_their_labels():
    sex = Dimension("sex", ("F", "M", "other"), one_per="patient")
    rows = np.arange(6)
    s = histogram.summarise(
        [sex],
        {"sex": [0, 0, 0, 1, 1, 1]},
        rows,
        rows,
        [1, 2, 3, 11, 12, 13],
        edges=[0, 10, 20],
        unit="1",
    )
    estimate, low, high = quantile(s, 0.5)
    assert low.sel(sex=["F", "M"]).values.tolist() == [0, 10]
    assert high.sel(sex=["F", "M"]).values.tolist() == [9, 19]
    assert all(math.isnan(x.sel(sex="other")) for x in (estimate, low, high))


def test_bounds_of_nothing_known_are_missing():
    unknown = xr.DataArray([[np.nan, 3.0], [0.0, 0.0]], dims=("site", "bin"))
    low, high = quantile_bounds(np.array([0.0, 1.0, 2.0]), unknown, unknown, 0.5)
    assert np.isnan(low.values).all()
    assert np.isnan(high.values).all()


def test_values_on_and_outside_the_edges():
    s = one_cell([-1, 0, 9.99, 10, 11, np.nan], edges=[0, 10], unit="MB")
    assert s.data.exams.sel(bin=["[-inf,0)", "[0,10)", "[10,inf)"]).values.tolist() == [1, 2, 2]
    assert s.data.exams.sel(bin="[-inf,inf)").item() == 5


def test_patients_of_a_node_are_not_the_sum_of_its_halves():
    s = histogram.summarise([], {}, [1, 2], [7, 7], [1, 11], edges=[0, 10], unit="1")
    assert s.data.patients.sel(bin=["[0,inf)", "[0,10)", "[10,inf)"]).values.tolist() == [1, 1, 1]


def test_a_released_view_has_no_exact_quantile():
    s = one_cell([1, 11, 12], edges=[0, 10])
    view = Summary(s.kind, s.data, s.dimensions, s.attributes, s.statuses)
    with pytest.raises(DefinitionError, match="released view"):
        quantile(view, 0.5)


@pytest.mark.parametrize(
    ("q", "method", "reason"),
    [
        (1.5, "linear", "no quantile"),
        (math.nan, "linear", "no quantile"),
        (0.5, "linar", "not known"),
    ],
)
def test_an_unknown_quantile_or_method_is_refused(q, method, reason):
    with pytest.raises(DefinitionError, match=reason):
        quantile(one_cell([1.0]), q, method)


def test_only_a_histogram_has_a_grid_and_no_dimension_is_named_like_it():
    with pytest.raises(DefinitionError, match="no histogram"):
        grid_of(counts.summarise([], {}, [1], [1]))
    with pytest.raises(DefinitionError, match="named 'bin'"):
        histogram.summarise(
            [Dimension("bin", ("a",))], {"bin": [0]}, [1], [1], [1.0], edges=[0], unit="1"
        )


def test_percentile_methods_agree_with_a_published_example():
    # P75 of facility medians: 495, 500 (Hazen), 501.67, 505 (Weibull).
    medians = [300, 320, 350, 400, 410, 450, 480, 500, 520, 610]
    s = one_cell(medians, edges=range(295, 620, 5))
    for method, expected in (
        ("linear", 495),
        ("hazen", 500),
        ("median_unbiased", 501.67),
        ("weibull", 505),
    ):
        found = quantile(s, 0.75, method)
        assert found.low.item() <= expected <= found.high.item()
        assert found.estimate.item() == pytest.approx(expected, abs=5)


def test_quantiles_of_three_sites_are_those_of_all(shared_data):
    # CNSIM: published quantiles of HDL over all; a weighted mean of site medians gives 1.5787.
    expected = {
        0.05: 0.8714,
        0.10: 1.0388,
        0.25: 1.2990,
        0.50: 1.5800,
        0.75: 1.8490,
        0.90: 2.0900,
        0.95: 2.2290,
    }
    width = 0.001
    edges = np.round(np.arange(0, 4, width), 3)
    sites = [
        one_cell(pd.read_csv(shared_data / "tables" / f"cnsim_site{site}.csv").LAB_HDL, edges)
        for site in (1, 2, 3)
    ]
    pooled = combine(*sites)
    for q, value in expected.items():
        found = quantile(pooled, q)
        assert found.low.item() - 5e-5 <= value <= found.high.item() + 5e-5
        assert found.estimate.item() == pytest.approx(value, abs=width)
    coarse = combine(
        *(
            one_cell(
                pd.read_csv(shared_data / "tables" / f"cnsim_site{site}.csv").LAB_HDL,
                [0, 1, 2],
                "mmol/L",
            )
            for site in (1, 2, 3)
        )
    )
    for q, value in expected.items():
        found = quantile(coarse, q)
        assert found.low.item() <= value <= found.high.item()
