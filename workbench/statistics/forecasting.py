"""Forecasting: monthly counts with trend and season, and the chance to reach a target.

The logarithm of the count for each unit of exposure (a working day) follows a level, a slope and
twelve seasonal effects that are all estimated together with what is not known of them (Harvey
1989, Forecasting, Structural Time Series Models and the Kalman Filter, chapter 4). Months that are
not known stay unknown. Everything said of the future is read off simulated paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from workbench.errors import DefinitionError, show
from workbench.statistics.trend_and_season import SEASON, simulate

Array = NDArray[np.float64]
Months = NDArray[np.datetime64]
FEWEST = 24
"""Months that must be known: two of each season."""
DRAWS = 2000
LEVELS = (0.5, 0.8, 0.95)
"""Shares of the future that the intervals are meant to hold."""


@dataclass(frozen=True)
class Forecast:
    """Hold simulated futures of a monthly count.

    Parameters
    ----------
    months : (h,) datetime64[M]
        The months to come.
    paths : (draws, h) float
        One possible future a row.
    past : (n,) float
        The counts that were known, NaN for months that were not.
    since
        First month of the past.
    """

    months: Months
    paths: Array = field(repr=False)
    past: Array = field(repr=False)
    since: np.datetime64

    def interval(self, levels: Sequence[float] = LEVELS) -> xr.Dataset:
        """Return the median of each month, and the interval of each level.

        Returns
        -------
        xarray.Dataset
            `middle` (the median) along `month`; `low` and `high` along `level` and `month`.
        """
        return _interval(self.paths, levels, {"month": self.months})

    def year(self, year: int) -> Array:
        """Return the total of a year in every path; months that have passed are what they were.

        Parameters
        ----------
        year
            The calendar year.

        Returns
        -------
        (draws,) float

        Raises
        ------
        DefinitionError
            If a month of the year is neither known nor simulated.
        """
        first = np.datetime64(str(year), "M")
        total = np.zeros(len(self.paths))
        for month in first + np.arange(12):
            back = int((month - self.since).astype(int))
            ahead = int((month - self.months[0]).astype(int))
            if 0 <= ahead < len(self.months):
                total += self.paths[:, ahead]
            elif 0 <= back < len(self.past) and not np.isnan(self.past[back]):
                total += self.past[back]
            else:
                raise DefinitionError(
                    f"The year {show(year)} is not known whole",
                    where=f"month {month}",
                    todo=f"Forecast until its December; the forecast ends in {self.months[-1]}",
                )
        return total

    def totals(self, years: Sequence[int], levels: Sequence[float] = LEVELS) -> xr.Dataset:
        """Return the median of each year's total, and the interval of each level.

        Returns
        -------
        xarray.Dataset
            `middle` (the median) along `year`; `low` and `high` along `level` and `year`.
        """
        paths = np.stack([self.year(y) for y in years], axis=1)
        return _interval(paths, levels, {"year": np.asarray(years)})

    def chance(self, year: int, target: float) -> float:
        """Return the share of the futures in which a year's total reaches a target."""
        return float((self.year(year) >= target).mean())


def forecast(
    counts: ArrayLike,
    since: str | np.datetime64,
    months: int,
    *,
    exposure: ArrayLike | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> Forecast:
    """Simulate the months that follow a monthly count.

    Parameters
    ----------
    counts : (n,) float
        One count a month, above 0; NaN where it is not known.
    since
        First month, as "2020-01".
    months
        How many months to look ahead.
    exposure : (n + months,) float
        What a count is in proportion to, as `working_days` gives it, for the past and the months
        ahead. By default every month counts alike.
    seed
        Of the random numbers: the same gives the same paths.
    draws
        Number of paths.

    Returns
    -------
    Forecast

    Raises
    ------
    DefinitionError
        If fewer than two years are known, or a count cannot be one.

    Examples
    --------
    >>> counts = 1000 * 1.01 ** np.arange(36)
    >>> ahead = forecast(counts, "2020-01", 12, draws=200)
    >>> abs(ahead.interval().middle.sel(month="2023-12").item() / (1000 * 1.01**47) - 1) < 0.01
    True
    """
    values, first = _counts(counts), _month(since)
    scale = np.ones(len(values) + months)
    if exposure is not None:
        scale = np.asarray(exposure, np.float64)
        if scale.shape != (len(values) + months,) or not (scale > 0).all():
            raise DefinitionError(
                "The exposure must be above 0 in every month",
                where=f"exposure of shape {scale.shape}, {len(values)} + {months} months",
                todo="Give one number for each month of the past and of the future",
            )
    logarithms = np.log(values / scale[: len(values)])
    paths = np.exp(simulate(logarithms, months, seed, draws)) * scale[len(values) :]
    ahead = first + len(values) + np.arange(months)
    return Forecast(ahead, paths, values, first)


def backtest(
    counts: ArrayLike,
    since: str | np.datetime64,
    months: int,
    *,
    exposure: ArrayLike | None = None,
    origins: int = 6,
    levels: Sequence[float] = LEVELS,
    seed: int = 0,
) -> xr.Dataset:
    """Forecast months that have passed from what was known before them.

    Parameters
    ----------
    counts, since, exposure, seed
        As for `forecast`; `exposure` of the past is enough.
    months
        How many months ahead each forecast looks.
    origins
        How many forecasts: the last one ends with the counts, each earlier one a month before.

    Returns
    -------
    xarray.Dataset
        `coverage` along `level`: the share of the held-out months that the intervals held;
        `error`: mean absolute error over the count, in percent; `naive`: that of "as in the same
        month a year before"; `held_out`: how many months were compared.

    Raises
    ------
    DefinitionError
        If too few months are left to learn from.

    Examples
    --------
    >>> counts = 1000 + 10 * np.arange(40) + 50 * np.sin(np.arange(40) * np.pi / 6)
    >>> backtest(counts, "2020-01", 6, origins=2).held_out.item()
    12
    """
    values, first = _counts(counts), _month(since)
    held: list[tuple[Array, Array, Array, Array]] = []
    for origin in range(origins):
        stop = len(values) - origin - months
        if stop < FEWEST:
            raise DefinitionError(
                "Too few months are left to learn from",
                where=f"{len(values)} months, {origins} forecasts of {months}",
                todo="Look less far ahead, or from fewer months",
            )
        some = None if exposure is None else np.asarray(exposure, np.float64)[: stop + months]
        ahead = forecast(values[:stop], first, months, exposure=some, seed=seed + origin)
        bands = ahead.interval(levels)
        truth = values[stop : stop + months]
        before = values[stop - SEASON : stop - SEASON + months] if months <= SEASON else None
        inside = (bands.low.values <= truth) & (truth <= bands.high.values)
        naive = truth * np.nan if before is None else np.abs(before - truth) / truth
        held.append((truth, inside.astype(float), bands.middle.values, naive))
    truths = np.concatenate([truth for truth, *_ in held])
    inside = np.concatenate([hit for _, hit, *_ in held], axis=1)
    middle = np.concatenate([m for *_, m, _ in held])
    naives = np.concatenate([n for *_, n in held])
    known = ~np.isnan(truths)
    off = np.abs(middle - truths) / truths
    return xr.Dataset(
        {
            "coverage": ("level", inside[:, known].mean(axis=1)),
            "error": 100 * off[known].mean(),
            "naive": 100 * (np.nanmean(naives) if (~np.isnan(naives)).any() else np.nan),
            "held_out": int(known.sum()),
        },
        coords={"level": list(levels)},
        attrs={"unit": "%"},
    )


def working_days(
    since: str | np.datetime64, months: int, *, weekmask: str = "1111100", holidays: ArrayLike = ()
) -> Array:
    """Return the working days of each month.

    Parameters
    ----------
    since
        First month, as "2020-01".
    months
        How many.
    weekmask
        Seven digits from Monday on, 1 for a working day.
    holidays
        Days that are none, as "2020-01-01".

    Returns
    -------
    (months,) float

    Examples
    --------
    >>> working_days("2020-01", 3).tolist()
    [23.0, 20.0, 22.0]
    """
    starts = _month(since) + np.arange(months + 1)
    days = starts.astype("datetime64[D]")
    free = np.asarray(holidays, "datetime64[D]").ravel()
    count = np.busday_count(days[:-1], days[1:], weekmask=weekmask, holidays=free)
    return np.asarray(count, np.float64)


def _interval(
    paths: Array, levels: Sequence[float], axis: dict[str, NDArray[np.generic]]
) -> xr.Dataset:
    (name,) = axis
    tails = [(1 - level) / 2 for level in levels]
    low = np.quantile(paths, tails, axis=0)
    high = np.quantile(paths, [1 - t for t in tails], axis=0)
    return xr.Dataset(
        {
            "middle": (name, np.median(paths, axis=0)),
            "low": (("level", name), low),
            "high": (("level", name), high),
        },
        coords={"level": list(levels), name: axis[name]},
    )


def _counts(counts: ArrayLike) -> Array:
    values = np.asarray(counts, np.float64)
    known = values[~np.isnan(values)]
    if values.ndim != 1 or not (np.isfinite(known) & (known > 0)).all():
        raise DefinitionError(
            "A monthly count must be above 0",
            where="counts",
            todo="Give one number a month, NaN where it is not known",
        )
    of_season = np.bincount(np.flatnonzero(~np.isnan(values)) % SEASON, minlength=SEASON)
    apart = np.isfinite(values[SEASON:] - values[:-SEASON]).any()
    if len(known) < FEWEST or not of_season.all() or not apart:
        raise DefinitionError(
            f"{len(known)} months are too few to tell a season from a trend",
            where="counts",
            todo=f"Give at least {FEWEST} months, and each month of the year",
        )
    return values


def _month(since: str | np.datetime64) -> np.datetime64:
    try:
        return np.datetime64(str(since), "M")
    except ValueError:
        raise DefinitionError(
            f"{show(str(since))!r} is no month", where="since", todo="Write it as 2020-01"
        ) from None
