"""Reader study: several readers read all cases with every test, and the tests are compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtrc, stdtr, stdtrit

from workbench.errors import DefinitionError, UndefinedError, suggest
from workbench.statistics.delong import placements
from workbench.statistics.proportion import normal_width

Array = NDArray[np.float64]
Covariance = Literal["delong", "jackknife"]


@dataclass(frozen=True)
class Contrast:
    """A difference of the mean areas of two tests: the first less the second.

    Parameters
    ----------
    first, second
        Numbers of the tests.
    difference, se
        What lies between the means over readers, and its standard error.
    low, high
        Ends of the interval.
    t, p
        Statistic, and two-sided p of no difference.
    """

    first: int
    second: int
    difference: float
    se: float
    low: float
    high: float
    t: float
    p: float


@dataclass(frozen=True)
class ReaderStudy:
    """What a study of several readers tells, of readers and cases like these.

    Parameters
    ----------
    areas : (readers, tests) float
        Empirical areas under the ROC curve.
    means : (tests,) float
        Means over readers, with the ends `low` and `high` of their intervals.
    f, df1, df2, p
        Test that all tests are equal.
    contrasts
        Every pair of tests.
    level
        Level of all intervals.
    variance, cov1, cov2, cov3
        Error of one area, and mean covariance of two: of one reader with two tests, of two readers
        with one test, of two readers with two tests.
    """

    areas: Array = field(repr=False)
    means: Array
    low: Array
    high: Array
    f: float
    df1: float
    df2: float
    p: float
    contrasts: tuple[Contrast, ...]
    level: float
    variance: float
    cov1: float
    cov2: float
    cov3: float


def obuchowski_rockette(
    truth: ArrayLike,
    ratings: ArrayLike,
    *,
    covariance: Covariance = "delong",
    level: float = 0.95,
) -> ReaderStudy:
    """Compare tests by the areas of several readers, readers and cases both random.

    The analysis of variance of Obuchowski & Rockette (Communications in Statistics: Simulation and
    Computation 1995;24:285) with the denominator degrees of freedom of Hillis (Statistics in
    Medicine 2007;26:596), and one test's interval as in Hillis (Statistics in Medicine
    2014;33:330).

    Parameters
    ----------
    truth : (cases,) bool, or 0 and 1
        Whether each case belongs to the positive class.
    ratings : (readers, tests, cases) float
        Every reader rates every case with every test. Higher speaks for the positive class.
    covariance
        How the errors of two areas on the same cases go together: by DeLong's components or by
        leaving out one case at a time.
    level
        Level of the intervals.

    Raises
    ------
    UndefinedError
        If there are fewer than two readers, tests or cases of a class, or no area varies.
    DefinitionError
        If a rating is missing, or the covariance is unknown.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> truth = np.arange(60) % 3 == 0
    >>> ratings = random.normal(truth * 1.5, 1, (4, 2, 60)).round(1)
    >>> found = obuchowski_rockette(truth, ratings)
    >>> found.areas.shape, found.df1, 0 < found.p < 1
    ((4, 2), 1.0, True)
    """
    given = np.asarray(ratings, np.float64)
    if given.ndim != 3 or covariance not in get_args(Covariance):
        raise DefinitionError(
            "Ratings by reader, test and case are needed, and a known covariance",
            where=f"ratings of shape {given.shape}, covariance = {covariance!r}",
            todo=suggest(str(covariance), get_args(Covariance)),
        )
    readers, tests, _ = given.shape
    if min(readers, tests) < 2:
        raise UndefinedError(
            "A reader study needs two readers and two tests",
            where=f"{readers} readers, {tests} tests",
            todo="Compare two scores of one reader with delong.compare_scores",
        )
    parts = [placements(truth, row) for row in given.reshape(readers * tests, -1)]
    of_positives, of_negatives = (np.stack(part) for part in zip(*parts, strict=True))
    m, n = of_positives.shape[1], of_negatives.shape[1]
    if min(m, n) < 2:
        raise UndefinedError(
            "A variance needs two cases of each class",
            where=f"{m} positives, {n} negatives",
            todo="Let the readers read more cases",
        )
    if covariance == "delong":
        matrix = np.cov(of_positives) / m + np.cov(of_negatives) / n
    else:
        matrix = _jackknife(of_positives, of_negatives)
    areas = of_positives.mean(axis=1).reshape(readers, tests)
    return _analyse(areas, matrix.reshape(readers, tests, readers, tests), level)


def _jackknife(of_positives: Array, of_negatives: Array) -> Array:
    """Return the covariance of areas that leave out one case after the other."""
    m, n = of_positives.shape[1], of_negatives.shape[1]
    area = of_positives.mean(axis=1, keepdims=True)
    # Without a positive, the mean over the others; likewise without a negative.
    left = np.concatenate(
        [(m * area - of_positives) / (m - 1), (n * area - of_negatives) / (n - 1)], axis=1
    )
    cases = m + n
    return np.asarray(np.cov(left) * (cases - 1) ** 2 / cases)


def _analyse(areas: Array, matrix: Array, level: float) -> ReaderStudy:
    readers, tests = areas.shape
    same_reader, same_test = np.eye(readers, dtype=bool), np.eye(tests, dtype=bool)

    def mean_of(reader: NDArray[np.bool_], test: NDArray[np.bool_]) -> float:
        return float(matrix[reader[:, None, :, None] & test[None, :, None, :]].mean())

    variance = mean_of(same_reader, same_test)
    cov1 = mean_of(same_reader, ~same_test)
    cov2 = mean_of(~same_reader, same_test)
    cov3 = mean_of(~same_reader, ~same_test)

    of_tests, of_readers = areas.mean(axis=0), areas.mean(axis=1)
    mean = areas.mean()
    ms_test = readers * float(((of_tests - mean) ** 2).sum()) / (tests - 1)
    rest = areas - of_tests[None, :] - of_readers[:, None] + mean
    df1 = tests - 1.0
    df_rest = (readers - 1.0) * df1
    ms_rest = float((rest**2).sum()) / df_rest
    error = ms_rest + readers * max(cov2 - cov3, 0.0)
    if error <= 1e-15:
        raise UndefinedError(
            "The areas have no variance",
            where=f"{readers} readers, {tests} tests",
            todo="Tell the areas: all readers tell the classes apart wholly, or not at all",
        )
    f = ms_test / error
    # With no interaction at all the degrees of freedom grow without end.
    df2 = error**2 / (ms_rest**2 / df_rest) if ms_rest > 0 else np.inf
    ends = _single(areas, matrix, level)
    return ReaderStudy(
        areas=areas,
        means=of_tests,
        low=ends[0],
        high=ends[1],
        f=f,
        df1=df1,
        df2=float(df2),
        p=float(fdtrc(df1, min(df2, 1e9), f)),
        contrasts=_contrasts(of_tests, float(np.sqrt(2 * error / readers)), float(df2), level),
        level=level,
        variance=variance,
        cov1=cov1,
        cov2=cov2,
        cov3=cov3,
    )


def _contrasts(means: Array, se: float, df: float, level: float) -> tuple[Contrast, ...]:
    width = _width(df, level)
    found = []
    for i in range(len(means)):
        for j in range(i + 1, len(means)):
            difference = float(means[i] - means[j])
            t = difference / se
            p = 2 * float(stdtr(min(df, 1e9), -abs(t)))
            low, high = difference - width * se, difference + width * se
            found.append(Contrast(i, j, difference, se, low, high, t, p))
    return tuple(found)


def _single(areas: Array, matrix: Array, level: float) -> tuple[Array, Array]:
    """Return the interval of each test's mean area, from that test alone."""
    readers, tests = areas.shape
    low, high = np.empty(tests), np.empty(tests)
    apart = ~np.eye(readers, dtype=bool)
    for i in range(tests):
        spread = float(areas[:, i].var(ddof=1))
        error = spread + readers * max(float(matrix[:, i, :, i][apart].mean()), 0.0)
        df = error**2 / (spread**2 / (readers - 1)) if spread > 0 else np.inf
        reach = _width(df, level) * np.sqrt(error / readers)
        low[i], high[i] = areas[:, i].mean() - reach, areas[:, i].mean() + reach
    return low, high


def _width(df: float, level: float) -> float:
    if not np.isfinite(df):
        return normal_width(level)
    normal_width(level)
    return float(stdtrit(df, (1 + level) / 2))
