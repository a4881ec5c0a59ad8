import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.summaries.strategies import MODALITY, tables
from workbench.errors import DefinitionError
from workbench.summaries import counts, moments
from workbench.summaries.dimension import ALL
from workbench.summaries.kinds import validate
from workbench.summaries.summary import combine


def one_cell(values, resolution=1.0):
    rows = np.arange(len(values))
    return moments.summarise([], {}, rows, rows, values, unit="mGy", resolution=resolution)


@given(tables())
def test_sums_are_exact_over_distinct_exams(table):
    summary = table.summarise("moments", (MODALITY,))
    validate(summary)
    for label in MODALITY.margin_labels:
        rows = ~np.isnan(table.values)
        if label != ALL:
            rows &= table.columns["modality"] == MODALITY.labels.index(label)
        by_exam = dict(zip(table.exam[rows].tolist(), table.values[rows].tolist(), strict=True))
        scaled = [int(np.rint(v / 0.01)) for v in by_exam.values()]
        cell = summary.data.sel(modality=label)
        assert cell.exams.item() == len(by_exam)
        assert cell.patients.item() == len(set(table.patient[rows].tolist()))
        assert cell.total.item() == sum(scaled)
        assert cell.square.item() == sum(x * x for x in scaled)


@given(st.lists(st.integers(-(2**31) + 1, 2**31 - 1), max_size=30))
def test_large_values_lose_no_bit(values):
    s = one_cell(values)
    assert type(s.data.square.item()) is int
    assert s.data.total.item() == sum(values)
    assert s.data.square.item() == sum(v * v for v in values)


def test_sums_do_not_wrap_where_squares_exceed_64_bits():
    largest = 2**31 - 1
    s = combine(*[one_cell([largest] * 100)] * 50)
    assert s.data.square.item() == 5000 * largest**2 > 2**63


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30), st.sampled_from([1.0, 0.1, 0.25]))
def test_finish_is_the_nearest_float_to_the_exact_value(values, resolution):
    scaled = [Fraction(int(np.rint(v / resolution))) * Fraction(repr(resolution)) for v in values]
    mean = sum(scaled) / len(scaled)
    variance = sum((x - mean) ** 2 for x in scaled) / (len(scaled) - 1)
    f = moments.finish(one_cell(values, resolution))
    assert f["mean"].item() == float(mean)
    assert f.variance.item() == float(variance)
    assert f.sd.item() == math.sqrt(float(variance))
    assert f.attrs == {"unit": "mGy"}


def test_what_is_not_defined_is_nan():
    f = moments.finish(one_cell([]))
    assert (f.n.item(), math.isnan(f["mean"]), math.isnan(f.sd)) == (0, True, True)
    f = moments.finish(one_cell([3]))
    assert (f["mean"].item(), math.isnan(f.variance)) == (3.0, True)


def test_halves_round_to_even():
    assert one_cell([0.5, 1.5, 2.5, -0.5]).data.total.item() == 0 + 2 + 2 + 0


@pytest.mark.parametrize("value", [2.0**31, -(2.0**31), 2.0**31 - 0.25, 1e308])
def test_a_value_of_too_many_resolutions_is_refused(value):
    with pytest.raises(DefinitionError, match="2147483648 resolutions or larger"):
        one_cell([1.0, value])


@pytest.mark.parametrize("resolution", [0, -1, math.nan, math.inf])
def test_a_resolution_that_is_no_step_is_refused(resolution):
    with pytest.raises(DefinitionError, match="resolution cannot be"):
        one_cell([1.0], resolution)


def test_only_exact_moments_are_finished():
    with pytest.raises(DefinitionError, match="Only exact moments"):
        moments.finish(counts.summarise([], {}, [1], [1]))


def read(shared_data, site):
    return pd.read_csv(shared_data / "tables" / f"cnsim_site{site}.csv").LAB_TSC.to_numpy()


def test_mean_and_variance_of_three_sites_are_those_of_all(shared_data):
    # CNSIM: published means over all and per site, and variances.
    sites = [one_cell(read(shared_data, site), 0.001) for site in (1, 2, 3)]
    for summary, mean, variance in zip(
        sites,
        (5.87211344770, 5.84526388342, 5.84630008623),
        (1.229163, 1.140606, 1.134995),
        strict=True,
    ):
        f = moments.finish(summary)
        assert f["mean"].item() == pytest.approx(mean, abs=5e-12)
        assert f.variance.item() == pytest.approx(variance, abs=5e-7)
    f = moments.finish(combine(*sites))
    assert f.n.item() == 7825
    assert f["mean"].item() == pytest.approx(5.85192485623, abs=5e-12)
    assert f.variance.item() == pytest.approx(1.158384, abs=5e-7)
