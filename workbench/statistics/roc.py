"""ROC: how well scores tell two classes apart, by area, curve, precision and recall.

All is read off one table, `ScoreCounts`: how many of each class have each score. Sorting the
scores is the only step that costs more than the length of the table, and a table of bins that
travelled in place of the scores is read by the same functions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import DefinitionError, UndefinedError

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
OK = "ok"
NO_ROWS, NO_POSITIVES, NO_NEGATIVES = "no_rows", "no_positives", "no_negatives"
OUTCOMES = (OK, NO_ROWS, NO_POSITIVES, NO_NEGATIVES)
"""What can come of an area: a figure, or why there is none."""


@dataclass(frozen=True)
class ScoreCounts:
    """Hold how many of each class have each score.

    Parameters
    ----------
    values : (k,) float
        Distinct scores, or one score that stands for each bin, ascending.
    positives, negatives : (k,) int
        How many of each class have it.
    """

    values: Array
    positives: Counts = field(repr=False)
    negatives: Counts = field(repr=False)

    @property
    def totals(self) -> tuple[int, int]:
        """Number of positives, and of negatives."""
        return int(self.positives.sum()), int(self.negatives.sum())

    @property
    def outcome(self) -> str:
        """One of `OUTCOMES`."""
        m, n = self.totals
        if m and n:
            return OK
        return NO_NEGATIVES if m else NO_POSITIVES if n else NO_ROWS


def check_scores(truth: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.bool_], Array]:
    """Return truth and scores as arrays, or refuse what cannot be ordered.

    Parameters
    ----------
    truth : (n,) bool, or 0 and 1
        Whether each belongs to the positive class.
    score : (n,) float
        Higher speaks for the positive class. Infinite scores are ordered like others.

    Raises
    ------
    DefinitionError
        If the lengths differ, a score is NaN, or a truth is neither 0 nor 1; how many are, is told.
    """
    values, classes = np.asarray(score, np.float64), np.asarray(truth)
    if values.ndim != 1 or classes.shape != values.shape:
        raise DefinitionError(
            "Truth and scores must be two columns of one length",
            where=f"truth of shape {classes.shape}, scores of shape {values.shape}",
            todo="Give one truth and one score for each exam",
        )
    if classes.dtype != np.bool_:
        positive = classes == 1
        wrong = int(np.count_nonzero(~(positive | (classes == 0))))
        if wrong:
            raise DefinitionError(
                f"{wrong} of {classes.size} truths are neither 0 nor 1",
                where="truth",
                todo="Leave these rows out, and count them",
            )
        classes = positive
    if wrong := int(np.count_nonzero(np.isnan(values))):
        raise DefinitionError(
            f"{wrong} of {values.size} scores are not a number",
            where="score",
            todo="Leave these rows out, and count them",
        )
    return np.asarray(classes, np.bool_), values


def count_scores(truth: ArrayLike, score: ArrayLike) -> ScoreCounts:
    """Count the classes at each distinct score.

    Parameters
    ----------
    truth : (n,) bool, or 0 and 1
        Whether each belongs to the positive class.
    score : (n,) float
        Higher speaks for the positive class.

    Raises
    ------
    DefinitionError
        If the lengths differ, a score is NaN, or a truth is neither 0 nor 1.

    Examples
    --------
    >>> counts = count_scores([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.8])
    >>> counts.values.tolist(), counts.positives.tolist(), counts.negatives.tolist()
    ([0.1, 0.4, 0.8], [0, 1, 1], [1, 1, 0])
    """
    classes, values = check_scores(truth, score)
    order = np.argsort(values)
    ordered, there = values[order], classes[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: ordered.size])
    if not starts.size:
        none = np.zeros(0, np.int64)
        return ScoreCounts(np.zeros(0), none, none)
    positives = np.add.reduceat(there, starts, dtype=np.int64)
    sizes = np.diff(np.append(starts, ordered.size))
    return ScoreCounts(ordered[starts], positives, sizes - positives)


def counts_of_bins(
    edges: ArrayLike, positives: ArrayLike, negatives: ArrayLike, values: ArrayLike | None = None
) -> ScoreCounts:
    """Return a table of bins, with one score that stands for each.

    Parameters
    ----------
    edges : (k + 1,) float
        Ends of the bins, ascending.
    positives, negatives : (k,) int
        How many of each class lie in each bin.
    values : (k,) float, optional
        Mean score of each bin, within its edges; the middle by default.

    Raises
    ------
    DefinitionError
        If a bin has no width, a count is negative, or a value lies outside its bin.

    Examples
    --------
    >>> counts_of_bins([0.0, 0.5, 1.0], [1, 3], [4, 2]).values.tolist()
    [0.25, 0.75]
    """
    ends = np.asarray(edges, np.float64)
    m, n = np.asarray(positives, np.int64), np.asarray(negatives, np.int64)
    middle = (ends[1:] + ends[:-1]) / 2
    at = middle if values is None else np.asarray(values, np.float64)
    if ends.ndim != 1 or not m.shape == n.shape == at.shape == middle.shape:
        raise DefinitionError(
            "A table of bins needs one edge more than counts",
            where=f"{ends.size} edges, {m.size} and {n.size} counts, {at.size} values",
            todo="Give both ends of every bin",
        )
    inside = (ends[:-1] <= at) & (at <= ends[1:]) & (ends[:-1] < ends[1:])
    if not (inside.all() and (m >= 0).all() and (n >= 0).all()):
        raise DefinitionError(
            "A bin has no width, a value outside it or a negative count",
            where="edges, values, positives, negatives",
            todo="Order the bins by score",
        )
    return ScoreCounts(at, m, n)


def auc(counts: ScoreCounts) -> float:
    """Return the empirical area under the ROC curve; a tie counts half.

    It is the share of pairs of a positive and a negative that the scores order rightly (Mann &
    Whitney 1947; Bamber, Journal of Mathematical Psychology 1975;12:387).

    Raises
    ------
    UndefinedError
        If a class is empty.

    Examples
    --------
    >>> auc(count_scores([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.8]))
    0.875
    """
    require_both_classes(counts)
    return float(bounded_auc(counts.positives, counts.negatives).mid)


class AreaBounds(NamedTuple):
    """Ends that hold the area of the scores behind a table of bins, and the middle."""

    low: Array
    mid: Array
    high: Array


def bounded_auc(positives: ArrayLike, negatives: ArrayLike) -> AreaBounds:
    """Return what a table of bins tells of the area: least, with ties as half, and largest.

    Of a pair in one bin nothing is known: the area is least if all negatives of each bin stand
    above its positives, and largest if all stand below. Both ends can be reached, and the scores'
    own area lies between them; the distance is the share of pairs that fall into one bin.

    Parameters
    ----------
    positives, negatives : (…, bins) int
        How many of each class lie in each bin, ordered by score, low to high.

    Returns
    -------
    AreaBounds, (…,) float
        NaN where a class is empty.

    Examples
    --------
    >>> [float(x) for x in bounded_auc([0, 1, 1], [1, 1, 0])]
    [0.75, 0.875, 1.0]
    """
    m, n = np.asarray(positives, np.int64), np.asarray(negatives, np.int64)
    if m.shape != n.shape or m.ndim == 0 or (m < 0).any() or (n < 0).any():
        raise DefinitionError(
            "The classes need one count, not below 0, in each bin",
            where=f"positives of shape {m.shape}, negatives of shape {n.shape}",
            todo="Count both classes in the same bins",
        )
    # Whole numbers, so that the ends are exact.
    below = np.cumsum(n, axis=-1) - n
    right, tied = (m * below).sum(axis=-1), (m * n).sum(axis=-1)
    pairs = m.sum(axis=-1) * n.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return AreaBounds(right / pairs, (2 * right + tied) / (2 * pairs), (right + tied) / pairs)


@dataclass(frozen=True)
class RocCurve:
    """Hold the points of a ROC curve, from nobody called positive to everybody.

    Parameters
    ----------
    thresholds : (k + 1,) float
        Scores at or above are called positive; infinite first, then descending.
    true_positives, false_positives : (k + 1,) int
        How many are called positive.
    sensitivity, specificity : (k + 1,) float
        Shares of the classes that are called rightly.
    """

    thresholds: Array
    true_positives: Counts = field(repr=False)
    false_positives: Counts = field(repr=False)
    sensitivity: Array = field(repr=False)
    specificity: Array = field(repr=False)


def roc_curve(counts: ScoreCounts) -> RocCurve:
    """Return the empirical ROC curve, one point for each distinct score.

    Raises
    ------
    UndefinedError
        If a class is empty.

    Examples
    --------
    >>> curve = roc_curve(count_scores([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.8]))
    >>> curve.thresholds.tolist(), curve.sensitivity.tolist(), curve.specificity.tolist()
    ([inf, 0.8, 0.4, 0.1], [0.0, 0.5, 1.0, 1.0], [1.0, 1.0, 0.5, 0.0])
    """
    m, n = require_both_classes(counts)
    hit, wrong = (_from_above(x) for x in (counts.positives, counts.negatives))
    thresholds = np.concatenate([[np.inf], counts.values[::-1]])
    return RocCurve(thresholds, hit, wrong, hit / m, 1 - wrong / n)


@dataclass(frozen=True)
class PrecisionRecall:
    """Hold the points of a precision-recall curve, by descending threshold.

    Parameters
    ----------
    thresholds : (k,) float
        Scores at or above are called positive.
    precision, recall : (k,) float
        Share of the called that are positive, and of the positives that are called.
    average_precision
        Mean of the precision over the steps of the recall, without interpolation.
    prevalence
        Average precision of scores that tell nothing.
    """

    thresholds: Array
    precision: Array = field(repr=False)
    recall: Array = field(repr=False)
    average_precision: float
    prevalence: float


def precision_recall(counts: ScoreCounts) -> PrecisionRecall:
    """Return the precision-recall curve with its average precision.

    Points are not joined by straight lines, which would promise too much (Davis & Goadrich, ICML
    2006): the average is the sum over thresholds of precision times the rise of recall.

    Raises
    ------
    UndefinedError
        If a class is empty.

    Examples
    --------
    >>> curve = precision_recall(count_scores([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.8]))
    >>> curve.precision.round(3).tolist(), curve.recall.tolist()
    ([1.0, 0.667, 0.5], [0.5, 1.0, 1.0])
    >>> round(curve.average_precision, 4)
    0.8333
    """
    m, n = require_both_classes(counts)
    called = (counts.positives + counts.negatives)[::-1] > 0
    hit, wrong = (_from_above(x)[1:][called] for x in (counts.positives, counts.negatives))
    precision, recall = hit / (hit + wrong), hit / m
    average = float((np.diff(recall, prepend=0.0) * precision).sum())
    return PrecisionRecall(counts.values[::-1][called], precision, recall, average, m / (m + n))


def require_both_classes(counts: ScoreCounts) -> tuple[int, int]:
    """Return the numbers of positives and negatives, or refuse a class of nobody.

    Raises
    ------
    UndefinedError
        If a class is empty. Whoever compares many groups takes `delong.areas_by_group`, which
        names the outcome of each group in place of an error.
    """
    m, n = counts.totals
    if counts.outcome != OK:
        raise UndefinedError(
            "One class alone has no ROC curve",
            where=f"{m} positives, {n} negatives ({counts.outcome})",
            todo="Say that it is undefined and count it; leave it out of pooling",
        )
    return m, n


def _from_above(counts: Counts) -> Counts:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[::-1], dtype=np.int64)])
