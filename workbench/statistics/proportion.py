"""Intervals of a share: events among a total, by Wald, Wilson, and Clopper and Pearson."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtri

from workbench.errors import DefinitionError

Array = NDArray[np.float64]


class Interval(NamedTuple):
    """Two ends of a confidence interval, one pair for each share; NaN for a share of nothing."""

    low: Array
    high: Array


@dataclass(frozen=True)
class Proportion:
    """One share with its intervals.

    Parameters
    ----------
    events, total
        Whole numbers that it is made of.
    estimate
        `events / total`; NaN for a share of nothing.
    wald, wilson
        Two ends of either interval.
    level
        Level of both.

    Examples
    --------
    >>> found = proportion(45, 50)
    >>> round(found.estimate, 3), [round(x, 3) for x in found.wald]
    (0.9, [0.817, 0.983])
    """

    events: int
    total: int
    estimate: float
    wald: tuple[float, float]
    wilson: tuple[float, float]
    level: float


def proportion(events: int, total: int, level: float = 0.95) -> Proportion:
    """Return a share with its intervals by Wald and by Wilson.

    Parameters
    ----------
    events, total
        How many of how many.
    level
        Level of the intervals.

    Raises
    ------
    DefinitionError
        If the events are no whole number between 0 and the total.
    """
    by_wald, by_wilson = wald(events, total, level), wilson(events, total, level)
    return Proportion(
        int(events),
        int(total),
        events / total if total else float("nan"),
        (float(by_wald.low), float(by_wald.high)),
        (float(by_wilson.low), float(by_wilson.high)),
        level,
    )


def wald(events: ArrayLike, total: ArrayLike, level: float = 0.95) -> Interval:
    """Return the normal interval about a share, cut at 0 and 1.

    It is what many reports of diagnostic accuracy print. Near 0 and 1 it is too narrow, and
    without a width at them: there Wilson's is to be read.

    Parameters
    ----------
    events, total : array_like of int
        How many of how many.
    level
        Level of the interval.

    Examples
    --------
    >>> [round(float(x), 3) for x in wald(28, 50)]
    [0.422, 0.698]
    """
    x, n = _counts(events, total)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = x / n
        reach = normal_width(level) * np.sqrt(p * (1 - p) / n)
    return Interval(np.maximum(p - reach, 0.0), np.minimum(p + reach, 1.0))


def wilson(events: ArrayLike, total: ArrayLike, level: float = 0.95) -> Interval:
    """Return the score interval of a share (Wilson, JASA 1927;22:209).

    Parameters
    ----------
    events, total : array_like of int
        How many of how many.
    level
        Level of the interval.

    Examples
    --------
    >>> [round(float(x), 3) for x in wilson(50, 50)]
    [0.929, 1.0]
    """
    x, n = _counts(events, total)
    z = normal_width(level)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = x / n
        middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
        reach = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    # At the ends rounding would leave a trace beyond them.
    low = np.where(x == 0, np.where(n > 0, 0.0, np.nan), middle - reach)
    high = np.where((x == n) & (n > 0), 1.0, middle + reach)
    return Interval(low, high)


def clopper_pearson(events: ArrayLike, total: ArrayLike, level: float = 0.95) -> Interval:
    """Return the exact interval of a share (Clopper & Pearson, Biometrika 1934;26:404).

    Parameters
    ----------
    events, total : array_like of int
        How many of how many.
    level
        Least level of the interval.

    Examples
    --------
    >>> [round(float(x), 4) for x in clopper_pearson(0, 10)]
    [0.0, 0.3085]
    """
    x, n = _counts(events, total)
    normal_width(level)
    tail = (1 - level) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        low = np.where(x > 0, betaincinv(np.maximum(x, 1), n - x + 1, tail), 0.0)
        high = np.where(x < n, betaincinv(x + 1, np.maximum(n - x, 1), 1 - tail), 1.0)
    nothing = n == 0
    return Interval(np.where(nothing, np.nan, low), np.where(nothing, np.nan, high))


def normal_width(level: float) -> float:
    """Return how many standard errors an interval reaches to either side.

    Examples
    --------
    >>> round(normal_width(0.95), 4)
    1.96
    """
    if not 0 < level < 1:
        raise DefinitionError(
            "The level of an interval must lie between 0 and 1",
            where=f"level = {level}",
            todo="Give a share, such as 0.95",
        )
    return float(ndtri((1 + level) / 2))


def _counts(events: ArrayLike, total: ArrayLike) -> tuple[Array, Array]:
    x, n = np.asarray(events, np.float64), np.asarray(total, np.float64)
    if not ((x >= 0) & (x <= n) & (x % 1 == 0) & (n % 1 == 0)).all():
        raise DefinitionError(
            "The events are no whole number between 0 and their total",
            where="events, total",
            todo="Count both, without weights",
        )
    return x, n
