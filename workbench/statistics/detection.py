"""Detection: marks matched with lesions, and how many are found at how many false marks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import DefinitionError, UndefinedError
from workbench.statistics.proportion import normal_width

Array = NDArray[np.float64]
Whole = NDArray[np.int64]
FALSE, AGAIN = -1, -2
"""In place of a lesion: a mark that hits none, and one that hits a lesion that was hit before."""
RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False marks for each exam at which a FROC curve is read (van Ginneken et al., MedIA 2010)."""


def match_marks(score: ArrayLike, closeness: ArrayLike, least: float) -> Whole:
    """Assign the marks of one exam to its lesions.

    From the highest score on, each mark takes the closest lesion that is left, so that a lesion
    is found once. A further mark on a lesion that was found is neither right nor wrong (Setio et
    al., Medical Image Analysis 2017;42:1).

    Parameters
    ----------
    score : (marks,) float
        Score of each mark.
    closeness : (marks, lesions) float
        Higher is closer: an overlap, or a distance with its sign turned.
    least
        Closeness from which a mark hits: the least overlap, or the negative of the largest
        distance.

    Returns
    -------
    (marks,) int
        Number of the lesion, or `FALSE` or `AGAIN`.

    Raises
    ------
    DefinitionError
        If a score or a closeness is NaN, or there is not one row for each mark.

    Examples
    --------
    >>> match_marks([0.9, 0.8, 0.7], [[0.5, 0.1], [0.6, 0.0], [0.0, 0.0]], 0.2).tolist()
    [0, -2, -1]
    """
    scores, near = np.asarray(score, np.float64), np.asarray(closeness, np.float64)
    if near.ndim != 2 or scores.shape != near.shape[:1]:
        raise DefinitionError(
            "Every mark needs a score, and its closeness to each lesion",
            where=f"{scores.size} scores, closeness of shape {near.shape}",
            todo="Give a table of marks by lesions, of no columns where there is no lesion",
        )
    if np.isnan(scores).any() or np.isnan(near).any():
        raise DefinitionError(
            f"{int(np.isnan(scores).sum())} scores and {int(np.isnan(near).sum())} distances are "
            "not a number",
            where="score, closeness",
            todo="Refuse the exam, and count it",
        )
    hits = near >= least
    found = np.where(hits.any(axis=1), AGAIN, FALSE)
    free = np.ones(near.shape[1], bool)
    for mark in np.argsort(-scores, kind="stable"):
        open_ = hits[mark] & free
        if open_.any():
            lesion = int(np.argmax(np.where(open_, near[mark], -np.inf)))
            found[mark], free[lesion] = lesion, False
    return found.astype(np.int64)


@dataclass(frozen=True)
class Marks:
    """Hold the marks of all exams, and what there was to find.

    Parameters
    ----------
    exam : (marks,) int
        Exam of each mark, from 0.
    score : (marks,) float
        Score of each mark.
    lesion : (marks,) int
        0 or above for a mark that found a lesion, `FALSE` or `AGAIN`, as `match_marks` tells.
    lesions : (exams,) int
        How many lesions each exam has; exams without a mark are among them.
    """

    exam: Whole = field(repr=False)
    score: Array = field(repr=False)
    lesion: Whole = field(repr=False)
    lesions: Whole = field(repr=False)

    @classmethod
    def of(cls, exam: ArrayLike, score: ArrayLike, lesion: ArrayLike, lesions: ArrayLike) -> Marks:
        """Check the columns, and hold them.

        Raises
        ------
        DefinitionError
            If lengths differ, a score is NaN, an exam is unknown or has more finds than lesions.
        """
        marks = cls(
            np.asarray(exam, np.int64),
            np.asarray(score, np.float64),
            np.asarray(lesion, np.int64),
            np.asarray(lesions, np.int64),
        )
        n = marks.lesions.size
        known = (
            marks.exam.shape == marks.score.shape == marks.lesion.shape
            and not ((marks.exam < 0) | (marks.exam >= n) | np.isnan(marks.score)).any()
        )
        if known:
            found = np.bincount(marks.exam[marks.lesion >= 0], minlength=n)
            known = bool((found <= marks.lesions).all())
        if not known:
            raise DefinitionError(
                "Marks do not fit the exams",
                where=f"{marks.exam.size} marks, {n} exams, {int(np.isnan(marks.score).sum())} "
                "scores that are not a number",
                todo="Number exams from 0; an exam has no more finds than lesions",
            )
        return marks


@dataclass(frozen=True)
class Froc:
    """Hold the FROC curve, by descending threshold.

    Parameters
    ----------
    thresholds : (t,) float
        Marks with this score or above count.
    false_marks : (t,) float
        False marks for each exam.
    sensitivity : (t,) float
        Share of the lesions that are found.
    rates, at_rates, low, high : (r,) float
        Sensitivity where the false marks for each exam do not exceed a rate, with its bootstrap
        interval.
    mean, mean_low, mean_high
        Mean of `at_rates`, the competition performance metric, and its interval.
    level
        Level of the intervals.
    """

    thresholds: Array = field(repr=False)
    false_marks: Array = field(repr=False)
    sensitivity: Array = field(repr=False)
    rates: Array
    at_rates: Array
    low: Array
    high: Array
    mean: float
    mean_low: float
    mean_high: float
    level: float


def froc_curve(
    marks: Marks,
    rates: ArrayLike = RATES,
    *,
    replicates: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Froc:
    """Return the free-response ROC curve, read at rates of false marks.

    Chakraborty (Medical Physics 1989;16:561). The intervals draw exams with replacement, so that
    marks of one exam stay together.

    Parameters
    ----------
    marks
        What `Marks.of` holds.
    rates : (r,) float
        False marks for each exam. A rate beyond the last mark is read there.
    replicates, seed
        How often to draw, and the seed of the draws.
    level
        Level of the intervals.

    Raises
    ------
    UndefinedError
        If there is no lesion.

    Examples
    --------
    >>> marks = Marks.of([0, 0, 1, 1], [0.9, 0.4, 0.8, 0.3], [0, 1, FALSE, FALSE], [2, 0])
    >>> froc_curve(marks, [0.25, 0.5], replicates=0).at_rates.tolist()
    [0.5, 1.0]
    """
    normal_width(level)
    at = np.asarray(rates, np.float64)
    if not int(marks.lesions.sum()):
        raise UndefinedError(
            "No lesion was there to find",
            where=f"{marks.lesions.size} exams",
            todo="Report the false marks alone",
        )
    order = np.argsort(-marks.score, kind="stable")
    exam, score, lesion = marks.exam[order], marks.score[order], marks.lesion[order]
    # Marks of one score come together.
    last = np.flatnonzero(np.append(score[1:] != score[:-1], True)[: score.size])

    def curve(weights: Array) -> tuple[Array, Array]:
        of_mark = weights[exam]
        wrong = np.cumsum(np.where(lesion == FALSE, of_mark, 0.0))[last] / weights.sum()
        there = float(weights @ marks.lesions)
        right = np.cumsum(np.where(lesion >= 0, of_mark, 0.0))[last]
        return wrong, right / there if there else np.full(last.size, np.nan)

    def read(wrong: Array, right: Array) -> Array:
        place = np.searchsorted(wrong, at * (1 + 1e-12), side="right")
        return np.asarray(np.append(0.0, right)[place])

    exams = marks.lesions.size
    wrong, right = curve(np.ones(exams))
    found = read(wrong, right)
    low = high = np.full(at.size, np.nan)
    ends = np.array([np.nan, np.nan])
    if replicates:
        random = np.random.default_rng(seed)
        drawn = np.empty((replicates, at.size))
        for i in range(replicates):
            some = np.bincount(random.integers(0, exams, exams), minlength=exams)
            drawn[i] = read(*curve(some.astype(np.float64)))
        tails = [(1 - level) / 2, (1 + level) / 2]
        low, high = np.nanquantile(drawn, tails, axis=0)
        ends = np.nanquantile(drawn.mean(axis=1), tails)
    mean = float(found.mean())
    return Froc(
        score[last], wrong, right, at, found, low, high, mean, float(ends[0]), float(ends[1]), level
    )
