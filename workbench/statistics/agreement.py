"""Agreement of raters on categories: Cohen's, Fleiss' and Krippendorff's coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from workbench.errors import DefinitionError, UndefinedError, suggest
from workbench.statistics.proportion import normal_width

Array = NDArray[np.float64]
Weights = Literal["none", "linear", "quadratic"]
Scale = Literal["nominal", "ordinal", "interval", "ratio"]


@dataclass(frozen=True)
class Kappa:
    """A chance-corrected agreement: 1 if all agree, 0 if as often as by chance.

    Parameters
    ----------
    estimate
        The coefficient.
    se, low, high, level
        Standard error, and the normal interval, cut at −1 and 1; NaN where no error is known that
        holds away from 0.
    z, p
        Test of no agreement beyond chance, by the standard error that holds there.
    observed, expected
        Agreement that was seen, and that chance would give.
    subjects
        How many were rated.
    """

    estimate: float
    se: float
    low: float
    high: float
    level: float
    z: float
    p: float
    observed: float
    expected: float
    subjects: int


def cross_tabulate(first: ArrayLike, second: ArrayLike, categories: int) -> NDArray[np.int64]:
    """Count how often two raters gave each pair of categories.

    Parameters
    ----------
    first, second : (n,) int
        Category of each subject by either rater, from 0.
    categories
        How many categories there are, given or not.

    Raises
    ------
    DefinitionError
        If the raters did not rate the same subjects, or a category is unknown.

    Examples
    --------
    >>> cross_tabulate([0, 0, 1], [0, 1, 1], 2).tolist()
    [[1, 1], [0, 1]]
    """
    a, b = np.asarray(first, np.int64), np.asarray(second, np.int64)
    both = np.concatenate([a.ravel(), b.ravel()])
    if a.shape != b.shape or a.ndim != 1 or ((both < 0) | (both >= categories)).any():
        raise DefinitionError(
            "Two raters need a category from 0 for each subject",
            where=f"{a.size} and {b.size} ratings, {categories} categories",
            todo="Leave out subjects that one of them did not rate, and count them",
        )
    counts = np.bincount(a * categories + b, minlength=categories**2)
    return counts.reshape(categories, categories)


def cohen_kappa(table: ArrayLike, weights: Weights = "none", *, level: float = 0.95) -> Kappa:
    """Return Cohen's kappa of two raters, weighted by the distance of categories if asked.

    Cohen (Educational and Psychological Measurement 1960;20:37; Psychological Bulletin
    1968;70:213), with the standard errors of Fleiss, Cohen & Everitt (Psychological Bulletin
    1969;72:323). It falls with rare categories: it is to be read beside `observed`.

    Parameters
    ----------
    table : (k, k) int
        How often the raters gave each pair of categories, in order; `cross_tabulate` counts them.
    weights
        What a distance of d categories costs: all the same, d, or d².
    level
        Level of the interval.

    Raises
    ------
    UndefinedError
        If both gave one category alone: no agreement beyond chance can be seen.
    DefinitionError
        If the table is not square, or holds anything but counts.

    Examples
    --------
    >>> found = cohen_kappa([[20, 5], [10, 15]])
    >>> round(found.estimate, 4), round(found.observed, 2), round(found.expected, 2)
    (0.4, 0.7, 0.5)
    """
    counts = _table(table)
    if counts.shape[0] != counts.shape[1] or weights not in get_args(Weights):
        raise DefinitionError(
            "Kappa needs a square table and known weights",
            where=f"table of shape {counts.shape}, weights = {weights!r}",
            todo=suggest(str(weights), get_args(Weights)),
        )
    n, k = float(counts.sum()), counts.shape[0]
    apart = np.abs(np.subtract.outer(np.arange(k), np.arange(k))) / max(k - 1, 1)
    agreed = {"none": (apart == 0).astype(float), "linear": 1 - apart, "quadratic": 1 - apart**2}
    w = agreed[weights]
    p = counts / max(n, 1.0)
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    chance = np.outer(rows, columns)
    observed, expected = float((w * p).sum()), float((w * chance).sum())
    if not n or 1 - expected < 1e-12:
        raise UndefinedError(
            "Two raters who gave one category alone cannot agree beyond chance",
            where=f"{n:g} subjects",
            todo="Report the share of equal ratings",
        )
    kappa = (observed - expected) / (1 - expected)
    mean = (w @ columns)[:, None] + (rows @ w)[None, :]
    spread = (p * (w - mean * (1 - kappa)) ** 2).sum() - (kappa - expected * (1 - kappa)) ** 2
    null = (chance * (w - mean) ** 2).sum() - expected**2
    se, se_null = (
        float(np.sqrt(max(x, 0.0) / n) / (1 - expected)) for x in (float(spread), float(null))
    )
    return _kappa((se, se_null), level, observed, expected, int(n))


def fleiss_kappa(table: ArrayLike, *, level: float = 0.95) -> Kappa:
    """Return Fleiss' kappa of several raters, the same number for each subject.

    Fleiss (Psychological Bulletin 1971;76:378), tested by the standard error of Fleiss, Nee &
    Landis (Psychological Bulletin 1979;86:974), and with the large-sample error of Gwet (2014,
    Handbook of Inter-Rater Reliability, section 5.3), which holds away from 0 too.

    Parameters
    ----------
    table : (subjects, k) int
        How many raters gave each subject each category.
    level
        Level of the interval.

    Raises
    ------
    UndefinedError
        If all ratings are one category.
    DefinitionError
        If subjects have different numbers of ratings, or fewer than two.

    Examples
    --------
    >>> found = fleiss_kappa([[3, 0], [0, 3], [2, 1], [3, 0]])
    >>> round(found.estimate, 4), round(found.observed, 4)
    (0.625, 0.8333)
    """
    counts = _table(table)
    raters = counts.sum(axis=1)
    if not raters.size or (raters != raters[0]).any() or raters[0] < 2:
        raise DefinitionError(
            "Every subject needs the same number of ratings, at least two",
            where=f"from {raters.min(initial=0):g} to {raters.max(initial=0):g} ratings",
            todo="Use krippendorff_alpha where ratings are missing",
        )
    n, r = len(counts), float(raters[0])
    share = counts.sum(axis=0) / (n * r)
    alike = (counts * (counts - 1)).sum(axis=1) / (r * (r - 1))
    observed, expected = float(alike.mean()), float((share**2).sum())
    if 1 - expected < 1e-12:
        raise UndefinedError(
            "Raters who gave one category alone cannot agree beyond chance",
            where=f"{n} subjects",
            todo="Report the share of equal ratings",
        )
    kappa = (observed - expected) / (1 - expected)
    other = share * (1 - share)
    null = other.sum() ** 2 - (other * (1 - 2 * share)).sum()
    se_null = float(np.sqrt(2 * null / (n * r * (r - 1))) / other.sum())
    # What each subject adds, its part in the expected agreement taken off.
    part = (alike - expected) / (1 - expected)
    by_chance = (counts / r) @ share
    influence = part - 2 * (1 - kappa) * (by_chance - expected) / (1 - expected)
    se = float(np.sqrt(((influence - kappa) ** 2).sum() / (n * (n - 1)))) if n > 1 else np.nan
    return _kappa((se, se_null), level, observed, expected, n)


@dataclass(frozen=True)
class Alpha:
    """Krippendorff's alpha.

    Parameters
    ----------
    estimate
        1 if all agree, 0 if as often as by chance.
    low, high, level
        Ends of the bootstrap interval; NaN without replicates.
    units
        Units with at least two ratings; others tell nothing of agreement.
    left_out
        Units with fewer.
    """

    estimate: float
    low: float
    high: float
    level: float
    units: int
    left_out: int


def krippendorff_alpha(
    ratings: ArrayLike,
    scale: Scale = "nominal",
    *,
    replicates: int = 0,
    seed: int = 0,
    level: float = 0.95,
) -> Alpha:
    """Return Krippendorff's alpha, for any number of raters and with ratings missing.

    From the coincidences of values within units (Krippendorff 2004, Content Analysis, chapter 11).
    The interval draws units with replacement (Zapf et al., BMC Medical Research Methodology
    2016;16:93).

    Parameters
    ----------
    ratings : (raters, units) float
        NaN where a rater did not rate a unit.
    scale
        Which distances of values count: `nominal` any, `ordinal` by how many ratings lie between,
        `interval` the square of the difference, `ratio` that relative to the sum.
    replicates, seed
        How often to draw, and the seed of the draws.
    level
        Level of the interval.

    Raises
    ------
    UndefinedError
        If no unit has two ratings, or all ratings are equal.
    DefinitionError
        If the scale is unknown, or values of a ratio scale lie below 0.

    Examples
    --------
    >>> krippendorff_alpha([[1, 2, 3, 3], [1, 2, 3, np.nan]]).estimate
    1.0
    """
    if scale not in get_args(Scale):
        raise DefinitionError(
            "No such scale of ratings", where="scale", todo=suggest(str(scale), get_args(Scale))
        )
    given = np.atleast_2d(np.asarray(ratings, np.float64))
    values = np.unique(given[~np.isnan(given)])
    units = (
        np.stack([(given == value).sum(axis=0) for value in values], axis=1, dtype=np.float64)
        if values.size
        else np.zeros((given.shape[1], 0))
    )
    size = units.sum(axis=1)
    units, size = units[size > 1], size[size > 1]
    left_out = given.shape[1] - len(units)
    estimate = _alpha(units, size, np.ones(len(units)), values, scale)
    if np.isnan(estimate):
        raise UndefinedError(
            "No disagreement can be expected of these ratings",
            where=f"{len(units)} units with two ratings, {values.size} distinct values",
            todo="Report the share of equal ratings",
        )
    low = high = float("nan")
    normal_width(level)
    if replicates:
        random = np.random.default_rng(seed)
        weights = random.multinomial(len(units), np.full(len(units), 1 / len(units)), replicates)
        drawn = np.array([_alpha(units, size, w.astype(float), values, scale) for w in weights])
        # A draw of equal ratings alone shows no disagreement.
        drawn = np.where(np.isnan(drawn), 1.0, drawn)
        low, high = (float(x) for x in np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]))
    return Alpha(estimate, low, high, level, len(units), left_out)


def _alpha(units: Array, size: Array, weights: Array, values: Array, scale: Scale) -> float:
    """Return alpha of weighted units; NaN if no disagreement can be expected."""
    scaled = units * (weights / (size - 1))[:, None]
    # Pairs of values within units; a value makes no pair with itself.
    pairs = scaled.T @ units - np.diag(scaled.sum(axis=0))
    margin = pairs.sum(axis=1)
    apart = _distances(values, margin, scale)
    n = margin.sum()
    expected = float(margin @ apart @ margin)
    if not expected > 0:
        return float("nan")
    return float(1 - (n - 1) * (pairs * apart).sum() / expected)


def _distances(values: Array, margin: Array, scale: Scale) -> Array:
    if scale == "nominal":
        return np.asarray(1.0 - np.eye(values.size))
    if scale == "ordinal":
        middle = np.cumsum(margin) - margin / 2
        return np.asarray(np.subtract.outer(middle, middle) ** 2)
    squares = np.subtract.outer(values, values) ** 2
    if scale == "interval":
        return np.asarray(squares)
    if values.size and values[0] < 0:
        raise DefinitionError(
            "A ratio scale has no values below 0", where="ratings", todo="Use scale='interval'"
        )
    sums = np.add.outer(values, values) ** 2
    return np.asarray(squares / np.where(sums > 0, sums, 1.0))


def _table(table: ArrayLike) -> Array:
    counts = np.asarray(table, np.float64)
    if counts.ndim != 2 or not ((counts >= 0) & (counts % 1 == 0)).all():
        raise DefinitionError(
            "The table holds anything but counts",
            where=f"table of shape {counts.shape}",
            todo="Count ratings, as cross_tabulate does",
        )
    return counts


def _kappa(
    errors: tuple[float, float], level: float, observed: float, expected: float, subjects: int
) -> Kappa:
    se, se_null = errors
    kappa = (observed - expected) / (1 - expected)
    reach = normal_width(level) * se
    z = kappa / se_null if se_null > 0 else float("nan")
    p = float(2 * ndtr(-abs(z)))
    low, high = max(kappa - reach, -1.0), min(kappa + reach, 1.0)
    return Kappa(kappa, se, low, high, level, z, p, observed, expected, subjects)
