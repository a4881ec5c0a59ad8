"""Change point: when a row of monthly figures changed, if it did.

The evidence for a change is taken at the month where it is largest, which is larger than that of
a month chosen beforehand. So it is compared with rows without a change that were searched alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from workbench.errors import DefinitionError, UndefinedError
from workbench.statistics.monitoring import count_months

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ChangePoint:
    """What is told of a change in a row of months.

    Parameters
    ----------
    found
        Whether the statistic exceeds the threshold.
    at
        First month after the likeliest change, from 0; to be believed only where one was found.
    statistic, threshold
        Largest evidence over all months, and what it exceeds without a change as often as `alarm`.
    p
        How often it is as large without a change.
    alarm
        False alarm rate of the whole row.
    before, after
        Figure before and after the likeliest change.
    profile : (n,) float
        Evidence for a change before each month; NaN where none was looked for.
    left_out
        Months without a figure.
    """

    found: bool
    at: int
    statistic: float
    threshold: float
    p: float
    alarm: float
    before: float
    after: float
    profile: Array = field(repr=False)
    left_out: int


def find_rate_change(
    events: ArrayLike,
    totals: ArrayLike,
    *,
    alarm: float = 0.05,
    draws: int = 2000,
    seed: int = 0,
    least: int = 1,
) -> ChangePoint:
    """Find one change of a monthly rate.

    The likelihood ratio of two binomial rates against one, at its largest over all months
    (Worsley, Biometrika 1983;70:455). The threshold is that of rows drawn without a change, with
    the same totals and the same sum of events, so that the rate needs not be known.

    Parameters
    ----------
    events, totals : (n,) int
        How many of how many in each month.
    alarm
        How often a row without a change may be called one.
    draws, seed
        How many rows are drawn, and the seed of the draws.
    least
        Fewest months on either side.

    Raises
    ------
    UndefinedError
        If there are too few months.
    DefinitionError
        If the events are no whole number between 0 and the total.

    Examples
    --------
    >>> found = find_rate_change([10, 12, 9, 11, 30, 28], [200] * 6)
    >>> found.found, found.at, round(found.before, 4), found.after
    (True, 4, 0.0525, 0.145)
    """
    x, n = count_months(events, totals)
    random = np.random.default_rng(seed)

    def evidence(rows: Array) -> Array:
        first, there = np.cumsum(rows, axis=1), np.cumsum(n)
        whole = _likelihood(first[:, -1:], there[-1:])
        parts = _likelihood(first[:, :-1], there[:-1]) + _likelihood(
            first[:, -1:] - first[:, :-1], there[-1] - there[:-1]
        )
        return np.asarray(2 * (parts - whole))

    drawn = random.multivariate_hypergeometric(
        n.astype(np.int64), int(x.sum()), size=draws, method="marginals"
    )
    profile, limits = evidence(x[None])[0], evidence(drawn.astype(np.float64))
    before, after = np.cumsum(x)[:-1], x.sum() - np.cumsum(x)[:-1]
    sizes = np.cumsum(n)[:-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        figures = before / sizes, after / (n.sum() - sizes)
    return _judge(profile, limits, figures, np.arange(n.size), alarm=alarm, least=least)


def _likelihood(x: Array, n: Array) -> Array:
    """Return the largest logarithm of the binomial likelihood, without its constant."""
    return np.asarray(xlogy(x, x) + xlogy(n - x, n - x) - xlogy(n, n))


def find_estimate_change(
    estimates: ArrayLike,
    variances: ArrayLike,
    *,
    alarm: float = 0.05,
    draws: int = 2000,
    seed: int = 0,
    least: int = 1,
) -> ChangePoint:
    """Find one change in monthly estimates, as of an area under the ROC curve.

    The squared difference of the weighted means before and after over its variance, at its largest
    over all months; the threshold is that of normal estimates with these variances and one mean.

    Parameters
    ----------
    estimates, variances : (n,) float
        One figure a month with its variance, best on a scale where it is normal (an area as its
        logit). A month without either is left out and counted.
    alarm, draws, seed, least
        As for `find_rate_change`.

    Raises
    ------
    UndefinedError
        If there are too few months with an estimate.
    DefinitionError
        If the lengths differ.

    Examples
    --------
    >>> found = find_estimate_change([0.90, 0.91, np.nan, 0.89, 0.80, 0.81], [1e-4] * 6)
    >>> found.found, found.at, round(found.after, 3), found.left_out
    (True, 4, 0.805, 1)
    """
    y, v = np.asarray(estimates, np.float64), np.asarray(variances, np.float64)
    if y.ndim != 1 or y.shape != v.shape:
        raise DefinitionError(
            "Every month needs an estimate and a variance",
            where=f"{y.size} estimates, {v.size} variances",
            todo="Give NaN for a month without",
        )
    there = np.isfinite(y) & np.isfinite(v) & (v > 0)
    months = np.flatnonzero(there)
    y, v = y[there], v[there]
    weight = np.cumsum(1 / v)
    left, rest = weight[:-1], weight[-1:] - weight[:-1]

    def sides(rows: Array) -> tuple[Array, Array]:
        sums = np.cumsum(rows / v, axis=1)
        return sums[:, :-1] / left, (sums[:, -1:] - sums[:, :-1]) / rest

    def evidence(rows: Array) -> Array:
        before, after = sides(rows)
        return np.asarray((before - after) ** 2 / (1 / left + 1 / rest))

    random = np.random.default_rng(seed)
    drawn = evidence(random.normal(0.0, np.sqrt(v), (draws, y.size)))
    before, after = sides(y[None])
    found = _judge(
        evidence(y[None])[0], drawn, (before[0], after[0]), months, alarm=alarm, least=least
    )
    profile = np.full(there.size, np.nan)
    profile[months] = found.profile
    return replace(found, profile=profile, left_out=int(there.size - months.size))


def _judge(
    profile: Array,
    drawn: Array,
    figures: tuple[Array, Array],
    months: NDArray[np.intp],
    *,
    alarm: float,
    least: int,
) -> ChangePoint:
    """Compare the largest evidence with that of rows without a change."""
    if not 0 < alarm < 1 or least < 1:
        raise DefinitionError(
            "The false alarm rate must lie between 0 and 1, and a side have a month",
            where=f"alarm = {alarm}, least = {least}",
            todo="Give a share, such as 0.05",
        )
    if months.size < 2 * least:
        raise UndefinedError(
            "Too few months to find a change",
            where=f"{months.size} months, {least} on either side",
            todo="Wait for more months",
        )
    tried = slice(least - 1, months.size - least)
    at = int(np.argmax(profile[tried])) + least - 1
    statistic, largest = float(profile[at]), drawn[:, tried].max(axis=1)
    p = float((1 + np.count_nonzero(largest >= statistic - 1e-9)) / (1 + largest.size))
    looked = np.full(months.size, np.nan)
    looked[1:][tried] = profile[tried]
    return ChangePoint(
        found=p <= alarm,
        at=int(months[at + 1]),
        statistic=statistic,
        threshold=float(np.quantile(largest, 1 - alarm, method="higher")),
        p=p,
        alarm=alarm,
        before=float(figures[0][at]),
        after=float(figures[1][at]),
        profile=looked,
        left_out=0,
    )
