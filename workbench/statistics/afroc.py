"""AFROC: lesions against the highest false marks of exams, as one area."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.errors import UndefinedError
from workbench.statistics.detection import FALSE, Marks
from workbench.statistics.proportion import normal_width

Array = NDArray[np.float64]


@dataclass(frozen=True)
class AfrocArea:
    """The area under an AFROC curve.

    Parameters
    ----------
    estimate
        Chance that a lesion is marked with a higher score than the highest false mark of an exam.
    se, low, high, level
        Standard error by leaving out one exam after the other, and the normal interval, cut at
        0 and 1.
    lesions, exams
        What was compared.
    """

    estimate: float
    se: float
    low: float
    high: float
    level: float
    lesions: int
    exams: int


def afroc_area(marks: Marks, *, normal_only: bool = True, level: float = 0.95) -> AfrocArea:
    """Return the area under the alternative FROC curve.

    Chakraborty & Winter (Radiology 1990;174:873): a pair of a lesion and an exam counts 1 if the
    lesion's score is higher than that of the exam's highest false mark, and half if they are
    equal. What was not marked stands below every score, so that a lesion that was missed and an
    exam without a false mark tie.

    Parameters
    ----------
    marks
        What `Marks.of` holds.
    normal_only
        Compare with exams without a lesion (AFROC), or with false marks of all exams (AFROC1).
    level
        Level of the interval.

    Raises
    ------
    UndefinedError
        If there is no lesion, or no exam to compare with.

    Examples
    --------
    >>> marks = Marks.of([0, 0, 1, 1], [0.9, 0.4, 0.8, 0.3], [0, 1, FALSE, FALSE], [2, 0])
    >>> afroc_area(marks).estimate
    0.5
    """
    width, exams = normal_width(level), marks.lesions.size
    finds = marks.lesion >= 0
    missed = marks.lesions - np.bincount(marks.exam[finds], minlength=exams)
    owner = np.concatenate([marks.exam[finds], np.repeat(np.arange(exams), missed)])
    of_lesions = np.concatenate([marks.score[finds], np.full(int(missed.sum()), -np.inf)])
    wrong = marks.lesion == FALSE
    highest = np.full(exams, -np.inf)
    np.maximum.at(highest, marks.exam[wrong], marks.score[wrong])
    used = np.flatnonzero((marks.lesions == 0) | (not normal_only))
    if not owner.size or not used.size:
        raise UndefinedError(
            "An AFROC curve needs lesions, and exams to compare with",
            where=f"{owner.size} lesions, {used.size} exams",
            todo="Add exams without a lesion, or compare with false marks of all exams",
        )
    # Pairs won by each lesion and by each exam, and by those of one exam among themselves.
    of_exams = highest[used]
    won = _won(of_lesions, of_exams)
    lost = of_lesions.size - _won(of_exams, of_lesions)
    own = (of_lesions > highest[owner]) + 0.5 * (of_lesions == highest[owner])
    compared = np.zeros(exams, bool)
    compared[used] = True
    taken = np.asarray(np.bincount(owner, weights=won, minlength=exams), np.float64)
    taken[used] += lost
    taken -= np.bincount(owner, weights=own * compared[owner], minlength=exams)
    total = float(won.sum())
    lesions_left = owner.size - marks.lesions
    exams_left = used.size - compared
    estimate = total / (owner.size * used.size)
    with np.errstate(invalid="ignore", divide="ignore"):
        left = (total - taken) / (lesions_left * exams_left)
    if np.isfinite(left).all() and exams > 1:
        se = float(np.sqrt((exams - 1) / exams * ((left - left.mean()) ** 2).sum()))
    else:
        se = float("nan")
    low, high = max(estimate - width * se, 0.0), min(estimate + width * se, 1.0)
    if np.isnan(se):
        low = high = se
    return AfrocArea(estimate, se, low, high, level, owner.size, used.size)


def _won(first: Array, second: Array) -> Array:
    """Return how many of the second each of the first exceeds; an equal one counts half."""
    ordered = np.sort(second)
    below, up_to = (np.searchsorted(ordered, first, side=s) for s in ("left", "right"))
    return np.asarray((below + up_to) / 2)
