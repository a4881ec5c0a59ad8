"""Monitoring: whether a monthly share is as usual.

A control chart judges each month alone; a cumulative sum watches for one change that was named
beforehand. A change that nobody named is looked for in `change_point`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from workbench.errors import DefinitionError, UndefinedError

Array = NDArray[np.float64]
THREE_SIGMA = float(2 * ndtr(-3.0))
"""How often a normal figure lies beyond three standard deviations: 0.0027."""


@dataclass(frozen=True)
class ControlChart:
    """Hold a p-chart.

    Parameters
    ----------
    share : (n,) float
        Share of each month; NaN for a month of nobody.
    centre
        Share that is held to be usual.
    low, high : (n,) float
        Least and largest share that is within control.
    outside : (n,) int
        −1 below, 1 above, 0 within control, or nobody.
    """

    share: Array
    centre: float
    low: Array
    high: Array
    outside: NDArray[np.int64]


def p_chart(
    events: ArrayLike,
    totals: ArrayLike,
    *,
    baseline: int | None = None,
    limits: Literal["exact", "normal"] = "exact",
) -> ControlChart:
    """Return a control chart of monthly shares.

    Shewhart's limits at three standard deviations suppose a normal share; with a rare event or a
    small month the exact ones do not: each tail of the binomial distribution beyond them holds at
    most 0.135 % (Montgomery, Introduction to Statistical Quality Control, section 7.3).

    Parameters
    ----------
    events, totals : (n,) int
        How many of how many in each month.
    baseline
        How many of the first months tell what is usual; all by default, which hides a change.
    limits
        Which limits.

    Raises
    ------
    UndefinedError
        If the baseline holds nobody.
    DefinitionError
        If the events are no whole number between 0 and the total.

    Examples
    --------
    >>> chart = p_chart([10, 12, 9, 30], [200, 200, 200, 200], baseline=3)
    >>> chart.outside.tolist(), chart.high.round(3).tolist()
    ([0, 0, 0, 1], [0.105, 0.105, 0.105, 0.105])
    """
    from scipy.stats import binom

    x, n = count_months(events, totals)
    first = slice(None) if baseline is None else slice(baseline)
    if not n[first].sum():
        raise UndefinedError(
            "Nobody tells what is usual",
            where=f"baseline of {baseline} months",
            todo="Take a longer baseline",
        )
    centre = float(x[first].sum() / n[first].sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        share = x / n
        if limits == "normal":
            reach = 3 * np.sqrt(centre * (1 - centre) / n)
            low, high = np.maximum(centre - reach, 0.0), np.minimum(centre + reach, 1.0)
        elif limits == "exact":
            tail = THREE_SIGMA / 2
            # What lies below the one, or above the other, is no likelier than the tail.
            low, high = binom.ppf(tail, n, centre) / n, binom.isf(tail, n, centre) / n
        else:
            raise DefinitionError(
                "Limits are exact or normal", where=f"limits = {limits!r}", todo="Say which"
            )
    outside = np.where(n > 0, (share > high).astype(int) - (share < low).astype(int), 0)
    return ControlChart(share, centre, low, high, outside.astype(np.int64))


class Watch(NamedTuple):
    """A cumulative sum, its limit, and the first month that exceeds it; −1 if none does."""

    sums: Array
    limit: float
    alarm_at: int


def cusum(
    events: ArrayLike,
    totals: ArrayLike,
    usual: float,
    feared: float,
    *,
    alarm: float = 0.05,
    draws: int = 2000,
    seed: int = 0,
) -> Watch:
    """Watch for a rate to move from the usual to one that is feared.

    Sums of the logarithm of the likelihood ratio of the two rates, never below 0 (Page, Biometrika
    1954;41:100; Steiner et al., Biostatistics 2000;1:441). The limit is exceeded anywhere in a row
    of these totals as often as `alarm` while the rate is usual.

    Parameters
    ----------
    events, totals : (n,) int
        How many of how many in each month.
    usual, feared
        The two rates, between 0 and 1.
    alarm
        How often a row without a change may give an alarm.
    draws, seed
        How many rows are drawn for the limit, and the seed of the draws.

    Raises
    ------
    DefinitionError
        If the rates are equal or do not lie between 0 and 1.

    Examples
    --------
    >>> watch = cusum([10, 12, 9, 11, 22, 24], [200] * 6, usual=0.05, feared=0.1)
    >>> watch.alarm_at
    4
    """
    x, n = count_months(events, totals)
    if not (0 < usual < 1 and 0 < feared < 1 and usual != feared and 0 < alarm < 1):
        raise DefinitionError(
            "Two different rates and a false alarm rate between 0 and 1 are needed",
            where=f"usual = {usual}, feared = {feared}, alarm = {alarm}",
            todo="Name the rate that would be too high, or too low",
        )
    event, none = np.log(feared / usual), np.log((1 - feared) / (1 - usual))

    def sums(rows: Array) -> Array:
        found, now = np.empty(rows.shape), np.zeros(len(rows))
        for month in range(n.size):
            gain = rows[:, month] * event + (n[month] - rows[:, month]) * none
            now = np.maximum(now + gain, 0.0)
            found[:, month] = now
        return found

    random = np.random.default_rng(seed)
    drawn = random.binomial(n.astype(np.int64), usual, (draws, n.size)).astype(np.float64)
    limit = float(np.quantile(sums(drawn).max(axis=1), 1 - alarm, method="higher"))
    seen = sums(x[None])[0]
    above = np.flatnonzero(seen > limit)
    return Watch(seen, limit, int(above[0]) if above.size else -1)


def count_months(events: ArrayLike, totals: ArrayLike) -> tuple[Array, Array]:
    """Return monthly counts as arrays, or refuse what is none.

    Raises
    ------
    DefinitionError
        If the events are no whole number between 0 and the total.
    """
    x, n = np.asarray(events, np.float64), np.asarray(totals, np.float64)
    whole = x.ndim == 1 and x.shape == n.shape and x.size > 0
    if not (whole and ((x >= 0) & (x <= n) & (x % 1 == 0) & (n % 1 == 0)).all()):
        raise DefinitionError(
            "The events are no whole number between 0 and their total",
            where="events, totals",
            todo="Count both for each month",
        )
    return x, n
