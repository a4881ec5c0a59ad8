"""Held to the BCG trials of Colditz 1994, as R metafor prints them (REFERENCE)."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.meta_analysis import combine_effects

from workbench.errors import PoolingError
from workbench.statistics.meta_analysis import (
    cochran_q,
    fixed_effect,
    random_effects,
    tau2_dersimonian_laird,
    tau2_paule_mandel,
    tau2_reml,
)


@pytest.fixture(scope="module")
def bcg(shared_data):
    """Log risk ratio and its variance in 13 trials."""
    t = pd.read_csv(shared_data / "tables/bcg1994.csv")
    treated = t.treated_events + t.treated_no_events
    control = t.control_events + t.control_no_events
    y = np.log((t.treated_events / treated) / (t.control_events / control))
    v = 1 / t.treated_events - 1 / treated + 1 / t.control_events - 1 / control
    return y.to_numpy(), v.to_numpy()


def test_fixed_effect(bcg):
    found = fixed_effect(*bcg)
    assert found.estimate == pytest.approx(-0.43029, abs=5e-6)
    assert found.se == pytest.approx(0.04050, abs=5e-6)
    assert found.q == pytest.approx(152.233, abs=5e-4)
    assert (found.degrees, found.studies, found.tau2) == (12, 13, 0.0)
    assert (found.prediction_low, found.prediction_high) == (found.low, found.high)


def test_dersimonian_laird(bcg):
    found = random_effects(*bcg, method="DL")
    assert found.tau2 == pytest.approx(0.30876, abs=5e-6)
    assert found.estimate == pytest.approx(-0.71412, abs=5e-6)
    assert found.se == pytest.approx(0.17874, abs=5e-6)
    assert found.i2 == pytest.approx(0.9212, abs=5e-5)


def test_reml_with_intervals(bcg):
    found = random_effects(*bcg)
    assert found.tau2 == pytest.approx(0.31324, abs=5e-6)
    assert found.estimate == pytest.approx(-0.71453, abs=5e-6)
    assert found.se == pytest.approx(0.17978, abs=5e-6)
    assert (found.low, found.high) == pytest.approx((-1.06690, -0.36217), abs=5e-6)
    assert (found.prediction_low, found.prediction_high) == pytest.approx(
        (-1.86669, 0.43763), abs=5e-6
    )


def test_hartung_knapp_sidik_jonkman(bcg):
    found = random_effects(*bcg, hksj=True)
    assert found.se == pytest.approx(0.18079, abs=5e-6)
    # Student's t with 12 degrees of freedom: 2.17881
    assert found.high - found.estimate == pytest.approx(2.17881 * 0.18079, abs=1e-4)


def test_paule_mandel_agrees_with_statsmodels(bcg):
    y, v = bcg
    peer = combine_effects(y, v, method_re="iterated", atol=1e-12)
    found = random_effects(y, v, method="PM")
    assert found.tau2 == pytest.approx(peer.tau2, abs=1e-8)
    # As R metafor prints it with method = "PM".
    assert found.tau2 == pytest.approx(0.3181, abs=5e-5)
    assert found.estimate == pytest.approx(peer.mean_effect_re)
    assert found.se == pytest.approx(peer.sd_eff_w_re)
    # The error of Hartung and Knapp is that of statsmodels' scaled estimate.
    adjusted = random_effects(y, v, method="PM", hksj=True)
    assert adjusted.se == pytest.approx(peer.sd_eff_w_re_hksj)


def test_reml_agrees_with_an_independent_implementation(bcg):
    pymare = pytest.importorskip("pymare")
    y, v = bcg
    fitted = pymare.estimators.VarianceBasedLikelihoodEstimator(method="REML").fit(
        y[:, None], v[:, None], np.ones((y.size, 1))
    )
    tau2 = float(np.ravel(fitted.summary().tau2)[0])
    assert random_effects(y, v).tau2 == pytest.approx(tau2, rel=1e-3)


studies = st.lists(st.tuples(st.floats(-5, 5), st.floats(0.01, 4)), min_size=2, max_size=8).map(
    lambda rows: tuple(np.array(column) for column in zip(*rows, strict=True))
)


@given(studies)
def test_reml_is_a_maximum_of_the_restricted_likelihood(rows):
    y, v = rows

    def likelihood(tau2):
        w = 1 / (v + tau2)
        mean = np.average(y, weights=w)
        return (np.log(w).sum() - np.log(w.sum()) - np.sum(w * (y - mean) ** 2)) / 2

    best = tau2_reml(y, v)
    step = 1e-3 * (1 + best)
    assert likelihood(best) >= likelihood(best + step) - 1e-9
    if best > step:
        assert likelihood(best) >= likelihood(best - step) - 1e-9


@given(studies)
def test_paule_mandel_makes_q_its_degrees_of_freedom(rows):
    y, v = rows
    tau2 = tau2_paule_mandel(y, v)
    q = cochran_q(y, v + tau2)
    if tau2:
        assert q == pytest.approx(y.size - 1, rel=1e-6)
    else:
        assert q <= y.size - 1


@given(studies, st.floats(-10, 10), st.floats(0.1, 10))
def test_moving_and_scaling_the_scale_moves_and_scales_the_result(rows, shift, factor):
    y, v = rows
    plain = random_effects(y, v, hksj=True)
    moved = random_effects(shift + factor * y, factor**2 * v, hksj=True)
    assert moved.estimate == pytest.approx(shift + factor * plain.estimate, abs=1e-5)
    assert moved.tau2 == pytest.approx(factor**2 * plain.tau2, rel=1e-5, abs=1e-6)
    assert moved.i2 == pytest.approx(plain.i2, abs=1e-5)


def test_equal_studies_have_nothing_between_them():
    y, v = [1.0, 1.0, 1.0], [0.5, 1.0, 2.0]
    assert tau2_reml(y, v) == tau2_dersimonian_laird(y, v) == cochran_q(y, v) == 0.0
    assert tau2_paule_mandel(y, v) == 0.0
    assert random_effects(y, v).i2 == 0.0


@pytest.mark.parametrize(
    ("y", "v"),
    [
        ([], []),
        ([1.0], [1.0]),
        ([1.0, np.nan], [1.0, 1.0]),
        ([1.0, 2.0], [1.0, 0.0]),
        ([1.0, 2.0], [1.0, -1.0]),
        ([1.0, 2.0], [1.0]),
        ([[1.0, 2.0]], [[1.0, 1.0]]),
    ],
)
def test_refuses_what_cannot_be_combined(y, v):
    with pytest.raises(PoolingError):
        random_effects(y, v)


def test_refuses_unknown_method_and_level():
    with pytest.raises(PoolingError, match="method"):
        random_effects([1.0, 2.0], [1.0, 1.0], method="ML")
    with pytest.raises(PoolingError, match="level"):
        fixed_effect([1.0], [1.0], level=1.0)
