"""Operating points: where a score is cut, and how well the cut calls both classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from workbench.errors import DefinitionError, suggest
from workbench.statistics.proportion import Proportion, proportion
from workbench.statistics.roc import ScoreCounts, require_both_classes, roc_curve

Rule = Literal["youden", "sensitivity", "specificity"]


@dataclass(frozen=True)
class OperatingPoint:
    """Hold one cut of a score.

    Parameters
    ----------
    threshold
        Scores at or above are called positive; infinite if nobody is.
    sensitivity, specificity, accuracy
        Shares that are called rightly, of the positives, the negatives and all, with intervals.
    """

    threshold: float
    sensitivity: Proportion
    specificity: Proportion
    accuracy: Proportion


def choose_threshold(counts: ScoreCounts, rule: Rule) -> float:
    """Return the threshold that a rule chooses.

    Parameters
    ----------
    counts
        What `roc.count_scores` returned. Of bins, whose value is not their lower edge, the
        threshold stands for "this bin or above".
    rule
        `youden`: largest sum of sensitivity and specificity (Youden, Cancer 1950;3:32), of equal
        ones the most sensitive; `sensitivity`: the most specific at which no positive is missed;
        `specificity`: the most sensitive at which no negative is called.

    Raises
    ------
    UndefinedError
        If a class is empty.
    DefinitionError
        If the rule is unknown.

    Examples
    --------
    >>> from workbench.statistics.roc import count_scores
    >>> counts = count_scores([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    >>> [choose_threshold(counts, r) for r in ("youden", "sensitivity", "specificity")]
    [0.3, 0.3, 0.5]
    """
    if rule not in get_args(Rule):
        raise DefinitionError(
            "No such rule for a threshold", where="rule", todo=suggest(rule, get_args(Rule))
        )
    m, n = require_both_classes(counts)
    curve = roc_curve(counts)
    hit, wrong = curve.true_positives, curve.false_positives
    if rule == "youden":
        # In whole numbers, so that ties are ties.
        gain = hit * n - wrong * m
        return float(curve.thresholds[np.flatnonzero(gain == gain.max())[-1]])
    if rule == "sensitivity":
        return float(curve.thresholds[np.flatnonzero(hit == m)[0]])
    clean = np.flatnonzero(wrong == 0)
    # Of cuts that call the same, the highest: a bin of nobody need not be called.
    return float(curve.thresholds[clean[hit[clean] == hit[clean].max()][0]])


def operating_point(counts: ScoreCounts, threshold: float, level: float = 0.95) -> OperatingPoint:
    """Return sensitivity, specificity and accuracy of one cut, with intervals.

    Intervals take the threshold as given. One that was chosen on the same exams flatters, by
    Youden's rule most; a threshold is to be fixed on other exams.

    Parameters
    ----------
    counts
        What `roc.count_scores` returned.
    threshold
        Scores at or above are called positive.
    level
        Level of the intervals.

    Raises
    ------
    UndefinedError
        If a class is empty.
    DefinitionError
        If the threshold is NaN.

    Examples
    --------
    >>> from workbench.statistics.roc import count_scores
    >>> counts = count_scores([0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    >>> point = operating_point(counts, 0.5)
    >>> round(point.sensitivity.estimate, 3), point.specificity.estimate
    (0.667, 1.0)
    """
    if np.isnan(threshold):
        raise DefinitionError(
            "A threshold is not a number", where="threshold", todo="Give a score, or infinity"
        )
    m, n = require_both_classes(counts)
    called = counts.values >= threshold
    hit, wrong = int(counts.positives[called].sum()), int(counts.negatives[called].sum())
    return OperatingPoint(
        float(threshold),
        proportion(hit, m, level),
        proportion(n - wrong, n, level),
        proportion(hit + n - wrong, m + n, level),
    )


def operating_points(counts: ScoreCounts, level: float = 0.95) -> dict[Rule, OperatingPoint]:
    """Return the operating points of all three rules.

    Parameters
    ----------
    counts
        What `roc.count_scores` returned.
    level
        Level of the intervals.

    Raises
    ------
    UndefinedError
        If a class is empty.
    """
    rules: tuple[Rule, ...] = get_args(Rule)
    return {rule: operating_point(counts, choose_threshold(counts, rule), level) for rule in rules}
