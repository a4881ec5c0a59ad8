"""Score tables: the ROC curve and its area from scores in bins, between ends that hold them.

Within a bin the order of two scores is not known, and a released count lies between two ends. The
two ends of the area are those of the extreme orders at the extreme counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.errors import DefinitionError
from workbench.statistics.bounds import Bounds
from workbench.summaries.grid import BIN
from workbench.summaries.histogram import grid_of
from workbench.summaries.scores import TRUTH, require_scores
from workbench.summaries.summary import Summary

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ScoreTable:
    """Hold what is known of the scores of one class of exams.

    Parameters
    ----------
    ends : (bins + 1,) float
        Ends of the bins, rising; a bin [a, b) holds a, not b, and the last one its upper end.
    exams : Bounds, (bins,)
        Ends of the number of exams in each bin.

    Raises
    ------
    DefinitionError
        If the ends do not rise, or do not fit the counts.
    """

    ends: Array
    exams: Bounds

    def __post_init__(self) -> None:
        low, high = self.exams
        rising = self.ends.ndim == 1 and (np.diff(self.ends) > 0).all()
        if not rising or not low.shape == high.shape == (self.ends.size - 1,):
            raise DefinitionError(
                "The bins of a score table do not rise, or do not fit its counts",
                where=f"{self.ends.size} ends, {low.size} bins",
                todo="Give one end more than bins",
            )
        if not ((low >= 0) & (low <= high)).all():
            raise DefinitionError(
                "The ends of a count are no bounds",
                where="exams",
                todo="Give 0 <= low <= high for each bin",
            )


def score_table(summary: Summary, label: str) -> ScoreTable:
    """Return one class of an exact score table that has no other dimension.

    Parameters
    ----------
    summary
        What `workbench.summaries.scores.summarise` made; the margin over `truth` may be there.
    label
        "positive" or "negative".

    Raises
    ------
    DefinitionError
        If it is no score table, a released view, or has more dimensions.
    """
    require_scores(summary)
    if not summary.exact or len(summary.dimensions) > 2:
        raise DefinitionError(
            "One class of an exact score table is read at a time",
            where=repr(summary),
            todo="Select one cell, and use the bounds of a released view's counts",
        )
    tree = grid_of(summary)
    counts = summary.data["exams"].sel({TRUTH: label, BIN: list(tree.leaves)}).values.astype(float)
    return ScoreTable(np.array(tree.ends), Bounds(counts, counts))


def area_bounds(positives: ScoreTable, negatives: ScoreTable) -> tuple[float, float]:
    """Return two ends that hold the empirical area under the ROC curve.

    Parameters
    ----------
    positives, negatives
        Scores of the exams with and without the finding; their bins may differ.

    Returns
    -------
    low, high : float
        NaN where one of the classes can be empty.

    Notes
    -----
    The area is the share of pairs whose positive has the higher score, half of a tie (Hanley &
    McNeil 1982). For a fixed other class it is a mean of numbers that rise with the bin, so the
    largest one has all that there can be from some bin on, and as few as there must be below
    (a linear-fractional programme over a box); both classes reach their extremes together, so all
    pairs of such cuts are tried.

    Examples
    --------
    >>> ends, n = np.array([0, 0.5, 1]), np.array
    >>> exact = lambda a, b: ScoreTable(ends, Bounds(n([a, b]), n([a, b])))
    >>> area_bounds(exact(0.0, 10.0), exact(10.0, 0.0))
    (1.0, 1.0)
    >>> area_bounds(exact(5.0, 5.0), exact(5.0, 5.0))
    (0.25, 0.75)
    """
    if not positives.exams.low.sum() or not negatives.exams.low.sum():
        return np.nan, np.nan
    start, stop = positives.ends[:-1, None], positives.ends[1:, None]
    may = (stop > negatives.ends[:-1]).astype(float)
    must = (start >= negatives.ends[1:]).astype(float)
    high = _areas(_cuts(positives.exams, up=True), may, _cuts(negatives.exams, up=False)).max()
    low = _areas(_cuts(positives.exams, up=False), must, _cuts(negatives.exams, up=True)).min()
    return float(low), float(high)


def _cuts(counts: Bounds, *, up: bool) -> Array:
    """Return for every cut the counts with the most above it and the fewest below, or reversed."""
    bins = np.arange(counts.low.size)
    above = bins >= np.arange(bins.size + 1)[:, None]
    return np.where(above == up, counts.high, counts.low)


def _areas(positives: Array, wins: Array, negatives: Array) -> Array:
    pairs = positives.sum(-1)[:, None] * negatives.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((positives @ wins @ negatives.T / pairs)[pairs > 0])


def middle_area(positives: ScoreTable, negatives: ScoreTable) -> float:
    """Return the area with the middle of every count, scores even in their bins.

    A half of the pairs within one bin count as won (the trapezoidal rule).

    Examples
    --------
    >>> exact = lambda a, b: ScoreTable(np.array([0, 0.5, 1]), Bounds(*np.array([[a, b]] * 2)))
    >>> middle_area(exact(5.0, 5.0), exact(5.0, 5.0))
    0.5
    """
    p, n = (np.mean(table.exams, axis=0) for table in (positives, negatives))
    if not p.sum() or not n.sum():
        return float("nan")
    a, b = positives.ends[:-1, None], positives.ends[1:, None]
    c, d = negatives.ends[:-1], negatives.ends[1:]
    wins = _even_share(a, b, c, d)
    return float(p @ wins @ n / (p.sum() * n.sum()))


def _even_share(a: Array, b: Array, c: Array, d: Array) -> Array:
    """Return how likely x > y is, with x even on [a, b) and y even on [c, d)."""
    a, b, c, d = (np.clip(end, -1.0, 2.0) for end in (a, b, c, d))

    def squared(x: Array, y: Array) -> Array:
        return np.maximum(x - y, 0.0) ** 2

    # The integral over both of the step function, from its second integral max(x - y, 0)^2 / 2.
    whole = squared(b, c) - squared(a, c) - squared(b, d) + squared(a, d)
    return np.asarray(whole / (2 * (b - a) * (d - c)))


def share_above(table: ScoreTable) -> tuple[Array, Array, Array]:
    """Return the share of exams at or above each end, between two ends that hold it.

    Of the positives it is the sensitivity at that threshold, of the negatives one minus the
    specificity: the ROC curve.

    Returns
    -------
    thresholds, low, high : (bins + 1,) float
        From the lowest end to the highest; NaN where the class can be empty.

    Examples
    --------
    >>> low, high = np.array([8.0, 8.0]), np.array([12.0, 12.0])
    >>> table = ScoreTable(np.array([0, 0.5, 1]), Bounds(low, high))
    >>> [x.round(2).tolist() for x in share_above(table)]
    [[0.0, 0.5, 1.0], [1.0, 0.4, 0.0], [1.0, 0.6, 0.0]]
    """
    low, high = table.exams
    upper = [np.append(np.cumsum(x[::-1])[::-1], 0.0) for x in (low, high)]
    lower = [np.append(0.0, np.cumsum(x)) for x in (low, high)]
    with np.errstate(invalid="ignore", divide="ignore"):
        least, most = upper[0] / (upper[0] + lower[1]), upper[1] / (upper[1] + lower[0])
    none = low.sum() == 0
    least, most = (np.where(none, np.nan, x) for x in (least, most))
    return table.ends, least, most
