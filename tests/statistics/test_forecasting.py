"""Forecasting: held to a peer, to measured data, and to how often its intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from workbench.errors import DefinitionError
from workbench.statistics.forecasting import Forecast, backtest, forecast, working_days

YEARS = 4
TREND = 0.006


def _made(
    seed: int, months: int = 12 * YEARS, noise: float = 0.02, level: float = 0.005, slope: float = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return counts with trend, season and working days, and deviations of these sizes."""
    random = np.random.default_rng(seed)
    month, days = np.arange(months), working_days("2017-01", months)
    logarithm = np.cumsum(TREND + np.cumsum(random.normal(0, slope, months)))
    logarithm += 0.08 * np.sin(month * np.pi / 6)
    logarithm += random.normal(0, noise, months) + np.cumsum(random.normal(0, level, months))
    return 5_000 * days * np.exp(logarithm), days


@pytest.mark.parametrize(
    ("noise", "level", "slope"),
    [(0.02, 0, 0), (0.005, 0.02, 0), (0.01, 0.005, 0.001), (0.08, 0, 0)],
    ids=["steady", "wandering", "turning", "noisy"],
)
def test_intervals_hold_what_they_say(noise: float, level: float, slope: float) -> None:
    """Over 25 made series and 12 months ahead, with a margin for the number of series."""
    found, error, naive = [], [], []
    for seed in range(100, 125):
        counts, days = _made(seed, noise=noise, level=level, slope=slope)
        back = backtest(counts, "2017-01", 12, exposure=days, origins=1, seed=seed)
        found.append(back.coverage.values)
        error.append(back.error.item())
        naive.append(back.naive.item())
    assert np.mean(found, axis=0) == pytest.approx([0.5, 0.8, 0.95], abs=0.12)
    assert np.mean(error) < np.mean(naive)


def test_agrees_with_the_library() -> None:
    """The paths lie where the likeliest division has them, and are no narrower."""
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    counts, _ = _made(7)
    model = UnobservedComponents(
        np.log(counts), level="lltrend", seasonal=12, stochastic_seasonal=False,
        use_exact_diffuse=True,
    )  # fmt: skip
    peer = model.fit(disp=False, maxiter=200).get_forecast(18)
    ahead = forecast(counts, "2017-01", 18, draws=20_000)
    paths = np.log(ahead.paths)
    assert paths.mean(axis=0) == pytest.approx(peer.predicted_mean, abs=0.02)
    assert (paths.std(axis=0) > 0.9 * peer.se_mean).all()
    assert (paths.std(axis=0) < 2 * peer.se_mean).all()


def test_measured_series() -> None:
    """CO2 at Mauna Loa (Keeling & Whorf 2004): a season, a trend and months that are missing."""
    from statsmodels.datasets import co2

    monthly = co2.load_pandas().data["co2"].resample("MS").mean()
    some = monthly["1958-04":"1965-12"]
    assert some.isna().any()
    ahead = forecast(some.to_numpy(), "1958-04", 24)
    truth = monthly["1966-01":"1967-12"].to_numpy()
    band = ahead.interval([0.95])
    assert np.abs(band.middle.values / truth - 1).max() < 0.005
    held = (band.low.values[0] <= truth) & (truth <= band.high.values[0])
    assert held.mean() >= 0.75  # 1963 to 1965 it rose more slowly than ever after


def test_same_seed_same_paths() -> None:
    counts, _ = _made(3)
    one, two = (forecast(counts, "2017-01", 6, seed=5).paths for _ in range(2))
    assert (one == two).all()
    assert (forecast(counts, "2017-01", 6, seed=6).paths != one).any()


def test_months_that_are_not_known_widen_the_interval() -> None:
    """Over ten series whose level wanders: of one, the months that are left may look quieter."""
    width = []
    for seed in range(10):
        counts, _ = _made(seed, noise=0.005, level=0.02)
        holes = counts.copy()
        holes[-6:] = np.nan
        both = (forecast(c, "2017-01", 6).interval([0.8]) for c in (counts, holes))
        width.append([(np.log(i.high) - np.log(i.low)).mean().item() for i in both])
    whole, holed = np.mean(width, axis=0)
    assert holed > 1.05 * whole


def test_a_month_of_the_year_that_was_never_told_is_no_zero() -> None:
    counts, _ = _made(4)
    counts[11::12] = np.nan
    with pytest.raises(DefinitionError, match="too few to tell a season"):
        forecast(counts, "2017-01", 6)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(1e6, 2e7), min_size=2, max_size=6))
def test_a_higher_target_is_never_likelier(targets: list[float]) -> None:
    ahead = forecast(_made(5)[0], "2017-01", 24)
    chances = [ahead.chance(2022, t) for t in sorted(targets)]
    assert chances == sorted(chances, reverse=True)


def test_a_year_that_has_begun() -> None:
    counts, _ = _made(6, 45)  # until September 2020
    ahead = forecast(counts, "2017-01", 3)
    known = counts[36:].sum()
    assert ahead.year(2020) == pytest.approx(known + ahead.paths.sum(axis=1))
    assert ahead.year(2019) == pytest.approx(counts[24:36].sum())
    with pytest.raises(DefinitionError, match="not known whole"):
        ahead.year(2021)
    band = ahead.totals([2020])
    assert band.low.sel(year=2020, level=0.95) < band.middle.sel(year=2020)


def test_a_hole_in_a_past_year_is_said() -> None:
    counts, _ = _made(6)
    counts[5] = np.nan
    with pytest.raises(DefinitionError, match="not known whole"):
        forecast(counts, "2017-01", 12).year(2017)


@pytest.mark.parametrize(
    ("counts", "since", "exposure", "words"),
    [
        (np.ones(20), "2020-01", None, "too few"),
        (np.r_[np.ones(30), 0.0], "2020-01", None, "above 0"),
        (np.r_[np.ones(30), np.inf], "2020-01", None, "above 0"),
        (np.ones((30, 2)), "2020-01", None, "above 0"),
        (np.ones(30), "soon", None, "no month"),
        (np.ones(30), "2020-01", np.ones(30), "exposure"),
        (np.ones(30), "2020-01", np.zeros(36), "exposure"),
    ],
)
def test_refused(
    counts: NDArray[np.float64], since: str, exposure: NDArray[np.float64] | None, words: str
) -> None:
    with pytest.raises(DefinitionError, match=words):
        forecast(counts, since, 6, exposure=exposure)


def test_too_few_months_to_hold_out() -> None:
    with pytest.raises(DefinitionError, match="to learn from"):
        backtest(np.ones(30) + np.arange(30), "2020-01", 12)


def test_what_a_forecast_says_of_itself() -> None:
    ahead = forecast(_made(1)[0], "2017-01", 2)
    assert isinstance(ahead, Forecast)
    assert ahead.months.astype(str).tolist() == ["2021-01", "2021-02"]
