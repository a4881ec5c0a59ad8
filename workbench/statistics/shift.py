"""Shift: how far two distributions lie apart, from the counts of one histogram each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc, chdtri, kolmogi, kolmogorov

from workbench.errors import DefinitionError, UndefinedError
from workbench.statistics.proportion import normal_width

Array = NDArray[np.float64]


@dataclass(frozen=True)
class StabilityIndex:
    """The population stability index.

    Parameters
    ----------
    value
        The index; 0 if the distributions are equal.
    expected
        What it is on average if they are equal: samples never are.
    reference, level
        What it exceeds as seldom as 1 − `level` if they are equal.
    p
        How often it is as large if they are equal.
    bins
        Bins in which there is anybody.
    """

    value: float
    expected: float
    reference: float
    level: float
    p: float
    bins: int


def population_stability(
    first: ArrayLike, second: ArrayLike, *, level: float = 0.95
) -> StabilityIndex:
    """Return the population stability index with what it is without a shift.

    Σ (p − q) ln(p / q) over bins, p and q the shares. Half an exam is added to each bin with
    anybody in it, so that an empty one does not make it infinite. Without a shift it is
    distributed as (1 / n + 1 / m) χ² with one degree of freedom less than there are bins (Yurdakul
    & Naranjo, Journal of Risk Model Validation 2020;14(4)): a fixed limit, as 0.1, means one thing
    for ten bins of a hundred exams and another for ten of a million.

    Parameters
    ----------
    first, second : (bins,) int
        How many of either lie in each of the same bins.
    level
        Level of the reference.

    Raises
    ------
    UndefinedError
        If either is empty.
    DefinitionError
        If the bins differ, or a count is negative.

    Examples
    --------
    >>> found = population_stability([40, 30, 30], [30, 30, 40])
    >>> round(found.value, 4), round(found.reference, 4)
    (0.0559, 0.1198)
    """
    a, b = _histograms(first, second)
    normal_width(level)
    there = a + b > 0
    n, m, bins = float(a.sum()), float(b.sum()), int(there.sum())
    p, q = a[there] + 0.5, b[there] + 0.5
    p, q = p / p.sum(), q / q.sum()
    value = float(((p - q) * np.log(p / q)).sum())
    scale, degrees = 1 / n + 1 / m, bins - 1
    if not degrees:
        return StabilityIndex(0.0, 0.0, 0.0, level, 1.0, bins)
    reference = float(scale * chdtri(degrees, 1 - level))
    chance = float(chdtrc(degrees, value / scale))
    return StabilityIndex(value, scale * degrees, reference, level, chance, bins)


@dataclass(frozen=True)
class Distance:
    """The largest distance of two distribution functions.

    Parameters
    ----------
    value
        At the edges of the bins, and so at most that of the numbers themselves.
    most
        Largest that the distance of the numbers themselves can be.
    reference, level
        What the distance exceeds at most as seldom as 1 − `level` without a shift.
    p
        How often it is as large without a shift, at most: bins hide differences.
    """

    value: float
    most: float
    reference: float
    level: float
    p: float


def kolmogorov_smirnov(first: ArrayLike, second: ArrayLike, *, level: float = 0.95) -> Distance:
    """Return the two-sample distance of Kolmogorov and Smirnov, from two histograms.

    The reference is that of large samples (Smirnov, Annals of Mathematical Statistics
    1948;19:279). It holds for numbers without ties, and is on the safe side for bins.

    Parameters
    ----------
    first, second : (bins,) int
        How many of either lie in each of the same bins, in their order.
    level
        Level of the reference.

    Raises
    ------
    UndefinedError
        If either is empty.
    DefinitionError
        If the bins differ, or a count is negative.

    Examples
    --------
    >>> found = kolmogorov_smirnov([40, 30, 30], [30, 30, 40])
    >>> round(found.value, 3), round(found.most, 3), round(found.reference, 3)
    (0.1, 0.4, 0.192)
    """
    a, b = _histograms(first, second)
    normal_width(level)
    n, m = a.sum(), b.sum()
    at, other = np.cumsum(a) / n, np.cumsum(b) / m
    value = float(np.abs(at - other).max())
    # Within a bin one may have come whole before the other begins.
    most = float(np.maximum(at - (other - b / m), other - (at - a / n)).max())
    size = float(np.sqrt(n * m / (n + m)))
    reference = float(kolmogi(1 - level)) / size
    return Distance(value, most, reference, level, float(kolmogorov(size * value)))


def _histograms(first: ArrayLike, second: ArrayLike) -> tuple[Array, Array]:
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.ndim != 1 or a.shape != b.shape or not ((a >= 0) & (b >= 0)).all():
        raise DefinitionError(
            "Two histograms need the same bins, and no count below 0",
            where=f"{a.size} and {b.size} bins",
            todo="Count both in the same bins",
        )
    if not (a.sum() and b.sum()):
        raise UndefinedError(
            "An empty histogram has no distribution",
            where=f"{a.sum():g} and {b.sum():g} in the bins",
            todo="Say that it is undefined, and count it",
        )
    return a, b
