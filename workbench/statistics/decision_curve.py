"""Decision curve: what acting on a score is worth, against treating all and treating nobody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import DefinitionError, UndefinedError
from workbench.statistics.proportion import normal_width
from workbench.statistics.roc import ScoreCounts

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DecisionCurve:
    """Hold the net benefit at thresholds of the probability.

    Parameters
    ----------
    thresholds : (t,) float
        Probability at which acting and waiting are held to be equal.
    net_benefit : (t,) float
        Of acting at or above the threshold, in true positives for each exam.
    low, high : (t,) float
        Normal interval of it, level `level`.
    treat_all : (t,) float
        Net benefit of acting always; that of never acting is 0.
    """

    thresholds: Array
    net_benefit: Array
    low: Array
    high: Array
    level: float
    treat_all: Array


def decision_curve(
    counts: ScoreCounts, thresholds: ArrayLike | None = None, *, level: float = 0.95
) -> DecisionCurve:
    """Return the net benefit of a score (Vickers & Elkin, Medical Decision Making 2006;26:565).

    At a threshold p a false positive costs p / (1 − p) of what a true positive gains, so that the
    net benefit is TP / N − FP / N · p / (1 − p). It is the mean of one value an exam, whose
    variance gives the interval.

    Parameters
    ----------
    counts
        What `roc.count_scores` returned for probabilities. Of a table of bins the curve is exact
        at thresholds that are edges, if the value of each bin lies within it.
    thresholds : (t,) float, optional
        Between 0 and 1, without 1; by default 0.01, 0.02, … 0.99.
    level
        Level of the interval.

    Raises
    ------
    UndefinedError
        If there is nobody.
    DefinitionError
        If a threshold does not lie between 0 and 1.

    Examples
    --------
    >>> counts = ScoreCounts(np.array([0.1, 0.6, 0.9]), np.array([1, 3, 6]), np.array([8, 2, 0]))
    >>> curve = decision_curve(counts, [0.2, 0.5])
    >>> curve.net_benefit.round(4).tolist(), curve.treat_all.round(4).tolist()
    ([0.425, 0.35], [0.375, 0.0])
    """
    default = np.arange(1, 100) / 100
    at = default if thresholds is None else np.atleast_1d(np.asarray(thresholds, np.float64))
    if not ((at >= 0) & (at < 1)).all():
        raise DefinitionError(
            "A threshold of a decision must lie between 0 and 1",
            where="thresholds",
            todo="Give probabilities of at least 0 and below 1",
        )
    width = normal_width(level)
    total = int((counts.positives + counts.negatives).sum())
    if not total:
        raise UndefinedError(
            "Nobody has a score", where="counts", todo="Say that it is undefined, and count it"
        )
    first = np.searchsorted(counts.values, at, side="left")
    hit, wrong = (
        np.append(np.cumsum(x[::-1])[::-1], 0)[first] / total
        for x in (counts.positives, counts.negatives)
    )
    cost = at / (1 - at)
    net = hit - wrong * cost
    reach = width * np.sqrt(np.maximum(hit + wrong * cost**2 - net**2, 0.0) / total)
    share = counts.positives.sum() / total
    return DecisionCurve(at, net, net - reach, net + reach, level, share - (1 - share) * cost)
