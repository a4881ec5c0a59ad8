"""Calibration: whether scores are the probabilities that they claim to be.

All is read off `roc.ScoreCounts`, whose values are probabilities: of single exams by their distinct
scores, of a table of bins by the score that stands for each bin.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import DefinitionError, UndefinedError
from workbench.statistics.proportion import wilson
from workbench.statistics.roc import ScoreCounts

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Reliability:
    """Hold what was promised and what came, bin by bin; bins of nobody are left out.

    Parameters
    ----------
    promised : (b,) float
        Mean probability.
    observed : (b,) float
        Share of positives.
    low, high : (b,) float
        Wilson's interval of the share.
    positives, total : (b,) int
        How many are in the bin.
    bin : (b,) int
        Bin of each distinct value of the scores.
    """

    promised: Array
    observed: Array
    low: Array
    high: Array
    positives: Counts
    total: Counts
    bin: NDArray[np.intp] = field(repr=False)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: mean of |observed − promised|, each bin by its size.

        The form of Naeini, Cooper & Hauskrecht (AAAI 2015;29:2901) for the probability of the
        positive class. It depends on the bins, which are to be told with it: `reliability_table`
        names those of equal width and of equal mass. It is biased upwards by some 1/√(size of a
        bin).
        """
        return float(np.average(np.abs(self.observed - self.promised), weights=self.total))

    @property
    def largest_error(self) -> float:
        """Largest distance of any bin."""
        return float(np.abs(self.observed - self.promised).max())


def reliability_table(
    counts: ScoreCounts,
    bins: int = 10,
    how: Literal["width", "mass"] = "width",
    level: float = 0.95,
) -> Reliability:
    """Return the table behind a reliability diagram.

    Parameters
    ----------
    counts
        What `roc.count_scores` returned for probabilities.
    bins
        How many bins.
    how
        `width`: bins [i/b, (i + 1)/b), the last with 1. `mass`: the exams in order of their
        probability, cut into b parts of equal size; equal probabilities stay together, in the part
        of the middle one.
    level
        Level of the intervals.

    Raises
    ------
    UndefinedError
        If there is nobody.
    DefinitionError
        If a value is no probability, or there is no bin.

    Examples
    --------
    >>> counts = ScoreCounts(np.array([0.1, 0.2, 0.9]), np.array([0, 1, 9]), np.array([9, 1, 0]))
    >>> found = reliability_table(counts, 2)
    >>> found.promised.round(3).tolist(), found.observed.round(3).tolist()
    ([0.118, 0.9], [0.091, 1.0])
    >>> round(found.calibration_error, 4)
    0.06
    """
    require_probabilities(counts)
    size = counts.positives + counts.negatives
    if how not in ("width", "mass") or bins < 1:
        raise DefinitionError(
            "Bins are of equal width or of equal mass, and at least one",
            where=f"bins = {bins}, how = {how!r}",
            todo="Give how='width' or how='mass'",
        )
    total = int(size.sum())
    if not total:
        raise UndefinedError(
            "Nobody has a score", where="counts", todo="Say that it is undefined, and count it"
        )
    if how == "width":
        # Compared with the very edges: a product would move 0.3 · 10 below 3.
        edges = np.arange(1, bins) / bins
        place = np.searchsorted(edges, counts.values, side="right")
    else:
        # Twice the middle rank, in whole numbers.
        middle = 2 * (np.cumsum(size) - size) + size
        place = np.minimum(middle * bins // (2 * total), bins - 1)
    number = np.bincount(place, weights=size, minlength=bins).astype(np.int64)
    there = number > 0
    hits = np.bincount(place, weights=counts.positives, minlength=bins).astype(np.int64)[there]
    sums = np.bincount(place, weights=size * counts.values, minlength=bins)[there]
    number = number[there]
    low, high = wilson(hits, number, level)
    dense = (np.cumsum(there) - 1)[place]
    return Reliability(sums / number, hits / number, low, high, hits, number, dense)


@dataclass(frozen=True)
class Brier:
    """The mean squared error of probabilities, and its parts.

    Parameters
    ----------
    score
        Mean of (probability − truth)²: `reliability` − `resolution` + `uncertainty` + `within`.
    reliability
        Distance of what came from what was promised; ideal is 0.
    resolution
        How far the bins lie apart in what came; more is better.
    uncertainty
        Score of one probability for all, the share of positives.
    within
        What bins leave out: variance of the probabilities within, less twice their covariance
        with the truth; 0 if a bin is a distinct probability.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float


def brier_score(counts: ScoreCounts, table: Reliability | None = None) -> Brier:
    """Return the Brier score with the decomposition of Murphy.

    Murphy (Journal of Applied Meteorology 1973;12:595) divides by distinct probabilities. Of wider
    bins two more terms are needed (Stephenson, Coelho & Jolliffe, Weather and Forecasting
    2008;23:752), here one sum.

    Parameters
    ----------
    counts
        What `roc.count_scores` returned for probabilities.
    table
        Bins that `reliability_table` made of the same counts; every distinct probability by
        default.

    Raises
    ------
    UndefinedError
        If there is nobody.
    DefinitionError
        If a value is no probability.

    Examples
    --------
    >>> counts = ScoreCounts(np.array([0.25, 0.75]), np.array([1, 4]), np.array([3, 0]))
    >>> found = brier_score(counts)
    >>> [round(x, 4) for x in (found.score, found.reliability, found.resolution)]
    [0.125, 0.0312, 0.1406]
    """
    require_probabilities(counts)
    size = counts.positives + counts.negatives
    total = int(size.sum())
    if not total:
        raise UndefinedError(
            "Nobody has a score", where="counts", todo="Say that it is undefined, and count it"
        )
    p = counts.values
    score = float((counts.positives * (p - 1) ** 2 + counts.negatives * p**2).sum() / total)
    there = size > 0
    if table is None:
        promised, n, hits = p[there], size[there], counts.positives[there]
    else:
        promised, n, hits = table.promised, table.total, table.positives
    rate = hits.sum() / total
    reliable = float((n * (promised - hits / n) ** 2).sum() / total)
    resolved = float((n * (hits / n - rate) ** 2).sum() / total)
    uncertain = float(rate * (1 - rate))
    return Brier(score, reliable, resolved, uncertain, score - reliable + resolved - uncertain)


class ErrorBounds(NamedTuple):
    """Ends that hold a calibration error, and its value at the middle of each bin."""

    low: float
    mid: float
    high: float


def bounded_calibration_error(
    edges: ArrayLike, positives: ArrayLike, negatives: ArrayLike
) -> ErrorBounds:
    """Return what a table of bins tells of the expected calibration error in these bins.

    The share that came is known; the mean probability lies anywhere between the edges.

    Parameters
    ----------
    edges : (k + 1,) float
        Ends of the bins, probabilities, ascending.
    positives, negatives : (k,) int
        How many of each class lie in each bin.

    Raises
    ------
    UndefinedError
        If there is nobody.

    Examples
    --------
    >>> [round(x, 3) for x in bounded_calibration_error([0.0, 0.5, 1.0], [1, 9], [9, 1])]
    [0.0, 0.15, 0.4]
    """
    ends = np.asarray(edges, np.float64)
    m, n = np.asarray(positives, np.int64), np.asarray(negatives, np.int64)
    there = m + n > 0
    if not there.any():
        raise UndefinedError(
            "Nobody has a score", where="bins", todo="Say that it is undefined, and count it"
        )
    low, high, size = ends[:-1][there], ends[1:][there], (m + n)[there]
    came = m[there] / size
    least = np.maximum(np.maximum(low - came, came - high), 0.0)
    most = np.maximum(np.abs(came - low), np.abs(came - high))
    middle = np.abs(came - (low + high) / 2)
    return ErrorBounds(*(float(np.average(x, weights=size)) for x in (least, middle, most)))


def require_probabilities(counts: ScoreCounts) -> None:
    """Refuse scores below 0 or above 1.

    Raises
    ------
    DefinitionError
        If a value is no probability; how many are not, is told.
    """
    outside = ~((counts.values >= 0) & (counts.values <= 1))
    if wrong := int((counts.positives + counts.negatives)[outside].sum()):
        raise DefinitionError(
            f"{wrong} scores are no probabilities",
            where="scores outside 0 and 1",
            todo="Calibrate the scores first, or read the ROC curve alone",
        )
