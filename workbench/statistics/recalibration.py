"""Recalibration: how probabilities are to be moved and stretched to be right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from workbench.errors import UndefinedError
from workbench.statistics.calibration import require_probabilities
from workbench.statistics.proportion import normal_width
from workbench.statistics.roc import ScoreCounts, require_both_classes

Array = NDArray[np.float64]
_STEPS = 50


@dataclass(frozen=True)
class Recalibration:
    """How the logit of a probability is to be moved and stretched to be right.

    Parameters
    ----------
    intercept
        Calibration in the large: what to add to the logit, its slope kept at 1. Above 0 the
        probabilities are too low, ideal is 0.
    slope
        Factor of the logit, with an intercept of its own. Below 1 the probabilities are too
        extreme, ideal is 1.
    intercept_se, slope_se
        Standard errors.
    intercept_low, intercept_high, slope_low, slope_high, level
        Wald intervals and their level.
    clipped
        How many probabilities stood closer to 0 or 1 than was taken, or at them.
    """

    intercept: float
    intercept_se: float
    intercept_low: float
    intercept_high: float
    slope: float
    slope_se: float
    slope_low: float
    slope_high: float
    level: float
    clipped: int


def recalibrate(
    counts: ScoreCounts, *, level: float = 0.95, nearest: float = 1e-6
) -> Recalibration:
    """Return calibration intercept and slope by logistic recalibration.

    Both are fitted by Newton's method: the intercept with the logit as an offset, the slope with a
    free intercept (Cox, Biometrika 1958;45:562; Van Calster et al., Journal of Clinical
    Epidemiology 2016;74:167).

    Parameters
    ----------
    counts
        What `roc.count_scores` returned for probabilities.
    level
        Level of the intervals.
    nearest
        Closest to 0 and 1 that a probability is taken to be; closer ones are moved there.

    Raises
    ------
    UndefinedError
        If a class is empty, or the scores of the classes do not overlap: then no slope is best.
    DefinitionError
        If a value is no probability.

    Examples
    --------
    >>> counts = ScoreCounts(np.array([0.2, 0.5, 0.8]), np.array([20, 50, 80]),
    ...                      np.array([80, 50, 20]))
    >>> found = recalibrate(counts)
    >>> abs(found.intercept) < 1e-9, round(found.slope, 6), round(found.slope_se, 3)
    (True, 1.0, 0.128)
    """
    require_both_classes(counts)
    require_probabilities(counts)
    near = np.clip(counts.values, nearest, 1 - nearest)
    x = np.asarray(logit(near), np.float64)
    some, none = x[counts.positives > 0], x[counts.negatives > 0]
    width = normal_width(level)
    intercept, spread = _newton(counts, np.ones((x.size, 1)), x)
    # With one order of the classes alone the likelihood rises for ever (Albert & Anderson 1984).
    if some.min() >= none.max() or none.min() >= some.max():
        raise UndefinedError(
            "The scores of the classes do not overlap: no slope is best",
            where=f"positives from {some.min():.3g}, negatives to {none.max():.3g}, as logits",
            todo="Report the intercept of more exams; a slope needs exams of both classes between",
        )
    line, spreads = _newton(counts, np.column_stack([np.ones(x.size), x]), np.zeros(x.size))
    a, a_se = float(intercept[0]), float(np.sqrt(spread[0, 0]))
    b, b_se = float(line[1]), float(np.sqrt(spreads[1, 1]))
    moved = near != counts.values
    return Recalibration(
        *(a, a_se, a - width * a_se, a + width * a_se),
        *(b, b_se, b - width * b_se, b + width * b_se),
        level,
        int((counts.positives + counts.negatives)[moved].sum()),
    )


def _newton(counts: ScoreCounts, design: Array, offset: Array) -> tuple[Array, Array]:
    """Return the coefficients of a logistic model and their covariance."""
    total = counts.positives + counts.negatives
    beta = np.zeros(design.shape[1])

    def deviance(beta: Array) -> float:
        at = design @ beta + offset
        log_likelihood = counts.positives * at - total * np.logaddexp(0.0, at)
        return -float(log_likelihood.sum())

    now = deviance(beta)
    for _ in range(_STEPS):
        p = np.asarray(expit(design @ beta + offset))
        gradient = design.T @ (counts.positives - total * p)
        information = (design * (total * p * (1 - p))[:, None]).T @ design
        step = np.linalg.solve(information, gradient)
        # Half as far as long as the likelihood falls.
        while (then := deviance(beta + step)) > now + 1e-12 * abs(now):
            step = step / 2
        beta, now = beta + step, then
        if np.abs(step).max() < 1e-10:
            break
    else:
        raise UndefinedError(
            "The recalibration did not come to an end",
            where=f"{_STEPS} steps",
            todo="See whether almost all scores are 0 or 1",
        )
    p = np.asarray(expit(design @ beta + offset))
    information = (design * (total * p * (1 - p))[:, None]).T @ design
    return beta, np.asarray(np.linalg.inv(information))
