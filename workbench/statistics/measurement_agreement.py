"""Agreement of measurements: intraclass correlation, and the limits of Bland and Altman."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtrc, fdtri, stdtrit

from workbench.errors import DefinitionError, UndefinedError
from workbench.statistics.proportion import normal_width

Array = NDArray[np.float64]
Form = Literal["1,1", "2,1", "3,1", "1,k", "2,k", "3,k"]


@dataclass(frozen=True)
class IntraclassCorrelation:
    """One form of the intraclass correlation.

    Parameters
    ----------
    estimate
        The coefficient; of a mean of raters infinitely low if the subjects do not differ at all.
    low, high, level
        Ends of the interval by F.
    f, df1, df2, p
        Test that it is 0.
    """

    estimate: float
    low: float
    high: float
    level: float
    f: float
    df1: float
    df2: float
    p: float


def intraclass_correlation(
    ratings: ArrayLike, *, level: float = 0.95
) -> dict[Form, IntraclassCorrelation]:
    """Return the six intraclass correlations of Shrout & Fleiss.

    `1` stands for raters drawn anew for each subject, `2` for raters drawn once from many, whose
    differences count as error (agreement), `3` for these raters and no others, whose differences
    do not count (consistency); `1` behind the comma for one rater, `k` for the mean of all.
    Psychological Bulletin 1979;86:420, with its intervals; they agree with those of McGraw & Wong,
    Psychological Methods 1996;1:30.

    Parameters
    ----------
    ratings : (subjects, raters) float
        Every rater's measurement of every subject.
    level
        Level of the intervals.

    Raises
    ------
    UndefinedError
        If the ratings do not vary within subjects, or at all.
    DefinitionError
        If there are fewer than two subjects or raters, or a rating is missing.

    Examples
    --------
    >>> ratings = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8],
    ...            [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    >>> {form: round(x.estimate, 2) for form, x in intraclass_correlation(ratings).items()}
    {'1,1': 0.17, '2,1': 0.29, '3,1': 0.71, '1,k': 0.44, '2,k': 0.62, '3,k': 0.91}
    """
    x = np.asarray(ratings, np.float64)
    if x.ndim != 2 or min(x.shape) < 2 or not np.isfinite(x).all():
        raise DefinitionError(
            "Every one of at least two raters needs a measurement of at least two subjects",
            where=f"ratings of shape {x.shape}, {int(np.count_nonzero(~np.isfinite(x)))} missing",
            todo="Leave out subjects that somebody did not rate, and count them",
        )
    normal_width(level)
    n, k = x.shape
    mean = x.mean()
    between = k * float(((x.mean(axis=1) - mean) ** 2).sum()) / (n - 1)
    raters = n * float(((x.mean(axis=0) - mean) ** 2).sum()) / (k - 1)
    inside = float(((x - x.mean(axis=1, keepdims=True)) ** 2).sum())
    within = inside / (n * (k - 1))
    residual = max(inside - (k - 1) * raters, 0.0) / ((n - 1) * (k - 1))
    # What rounding leaves of nothing is nothing.
    scale = float((x**2).mean()) * 1e-14
    if residual <= scale:
        raise UndefinedError(
            "The raters differ by a constant or not at all: no error can be estimated",
            where=f"{n} subjects, {k} raters",
            todo="Report the differences of the raters as they are",
        )
    tail = (1 - level) / 2
    df = (n - 1.0, n * (k - 1.0), (n - 1.0) * (k - 1.0))

    f1, f3 = between / within, between / residual
    low1, high1 = _f_ends(f1, df[0], df[1], tail)
    low3, high3 = _f_ends(f3, df[0], df[2], tail)
    fj = raters / residual
    two = (between - residual) / (between + (k - 1) * residual + k * (raters - residual) / n)
    # Satterthwaite's degrees of freedom, as in the paper's appendix; of a coefficient below 0,
    # those at 0, without which the interval may miss the estimate.
    some = max(two, 0.0)
    other = n * (1 + (k - 1) * some) - k * some
    v = (k * some * fj + other) ** 2 / ((k * some * fj) ** 2 / (k - 1) + other**2 / df[2])
    upper = max(float(fdtri(n - 1, v, 1 - tail)), 1.0)
    lower = max(float(fdtri(v, n - 1, 1 - tail)), 1.0)
    rest = k * raters + (k * n - k - n) * residual
    low2 = n * (between - upper * residual) / (upper * rest + n * between)
    high2 = n * (lower * between - residual) / (rest + n * lower * between)

    def single(f: float) -> float:
        return float((f - 1) / (f + k - 1))

    def stepped(one: float) -> float:
        """Return the coefficient of a mean of k, by Spearman and Brown."""
        below = 1 + (k - 1) * one
        # An end below −1 / (k − 1) would come out above 1.
        return float(k * one / below) if below > 1e-9 else float("-inf")

    def of_mean(f: float) -> float:
        return 1 - 1 / f if f > 0 else float("-inf")

    def told(x: float, low: float, high: float, f: float, df2: float) -> IntraclassCorrelation:
        p = float(fdtrc(df[0], df2, f))
        return IntraclassCorrelation(x, low, high, level, f, df[0], df2, p)

    return {
        "1,1": told(single(f1), single(low1), single(high1), f1, df[1]),
        "2,1": told(two, low2, high2, f3, df[2]),
        "3,1": told(single(f3), single(low3), single(high3), f3, df[2]),
        "1,k": told(of_mean(f1), of_mean(low1), of_mean(high1), f1, df[1]),
        "2,k": told(stepped(two), stepped(low2), stepped(high2), f3, df[2]),
        "3,k": told(of_mean(f3), of_mean(low3), of_mean(high3), f3, df[2]),
    }


def _f_ends(f: float, df1: float, df2: float, tail: float) -> tuple[float, float]:
    return f / float(fdtri(df1, df2, 1 - tail)), f * float(fdtri(df2, df1, 1 - tail))


@dataclass(frozen=True)
class LimitsOfAgreement:
    """How far two measurements of one thing lie apart.

    Parameters
    ----------
    bias, sd
        Mean and standard deviation of the differences, the first less the second.
    bias_low, bias_high
        Ends of the interval of the bias.
    lower, upper
        Limits between which a share `within` of the differences is expected.
    lower_low, lower_high, upper_low, upper_high
        Ends of the intervals of the limits.
    within, level
        Share that the limits are to hold, and level of the intervals.
    pairs
        How many were measured.
    """

    bias: float
    sd: float
    bias_low: float
    bias_high: float
    lower: float
    lower_low: float
    lower_high: float
    upper: float
    upper_low: float
    upper_high: float
    within: float
    level: float
    pairs: int


def limits_of_agreement(
    first: ArrayLike, second: ArrayLike, *, within: float = 0.95, level: float = 0.95
) -> LimitsOfAgreement:
    """Return the limits of agreement of Bland and Altman.

    Lancet 1986;1:307; intervals of the limits as in Statistical Methods in Medical Research
    1999;8:135, section 2.1.2: the variance of a limit is s² (1/n + z² / (2 (n − 1))). They suppose
    that the differences are normal and do not grow with what is measured; logarithms help else.

    Parameters
    ----------
    first, second : (n,) float
        Measurements of the same things, in one unit.
    within
        Share of the differences that the limits are to hold.
    level
        Level of the intervals.

    Raises
    ------
    UndefinedError
        If there are fewer than three pairs.
    DefinitionError
        If the lengths differ, or a measurement is missing.

    Examples
    --------
    >>> found = limits_of_agreement([10.0, 12.0, 9.0, 14.0], [9.0, 13.0, 9.0, 12.0])
    >>> round(found.bias, 2), round(found.lower, 2), round(found.upper, 2)
    (0.5, -2.03, 3.03)
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.ndim != 1 or a.shape != b.shape or not (np.isfinite(a) & np.isfinite(b)).all():
        raise DefinitionError(
            "Two measurements of each thing are needed",
            where=f"{a.size} and {b.size} measurements",
            todo="Leave out what was measured once, and count it",
        )
    n = a.size
    if n < 3:
        raise UndefinedError(
            "Too few pairs for limits of agreement",
            where=f"{n} pairs",
            todo="Measure three or more",
        )
    differences = a - b
    bias, sd = float(differences.mean()), float(differences.std(ddof=1))
    z, tail = normal_width(within), float(stdtrit(n - 1, (1 + level) / 2))
    normal_width(level)
    reach = tail * sd / n**0.5
    reach_limit = tail * sd * (1 / n + z**2 / (2 * (n - 1))) ** 0.5
    lower, upper = bias - z * sd, bias + z * sd
    return LimitsOfAgreement(
        bias=bias,
        sd=sd,
        bias_low=bias - reach,
        bias_high=bias + reach,
        lower=lower,
        lower_low=lower - reach_limit,
        lower_high=lower + reach_limit,
        upper=upper,
        upper_low=upper - reach_limit,
        upper_high=upper + reach_limit,
        within=within,
        level=level,
        pairs=n,
    )
