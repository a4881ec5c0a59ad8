"""Areas under ROC curves of many groups at once: estimate, DeLong's variance, interval, outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from workbench.errors import DefinitionError, suggest
from workbench.statistics.proportion import normal_width
from workbench.statistics.roc import NO_NEGATIVES, NO_POSITIVES, NO_ROWS, OK

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Method = Literal["logit", "wald", "newcombe"]
LEAST_VARIANCE = 1e-15
"""What rounding leaves of a variance of 0 is below."""
_HALVINGS = 50


@dataclass(frozen=True)
class Areas:
    """Areas of many groups, one place of each array a group; NaN where there is none.

    Parameters
    ----------
    outcome : (g,) str
        One of `roc.OUTCOMES`: `ok`, or why a group has no area.
    method : (g,) str
        How the interval was made; empty where there is none.
    """

    estimate: Array
    variance: Array
    low: Array
    high: Array
    level: float
    method: NDArray[np.str_]
    positives: Counts
    negatives: Counts
    outcome: NDArray[np.str_]

    def __len__(self) -> int:
        return self.estimate.size


def areas_of_runs(
    positives: Counts,
    negatives: Counts,
    first: NDArray[np.intp],
    *,
    level: float = 0.95,
    method: Method = "logit",
) -> Areas:
    """Return the areas of groups whose counts by distinct score stand one after the other.

    Parameters
    ----------
    positives, negatives : (k,) int
        How many of each class have each score of each group, ascending within the group.
    first : (g,) int
        Where each group starts; none is empty.
    level, method
        As for `delong.estimate_area`.

    Returns
    -------
    Areas, (g,)

    Raises
    ------
    DefinitionError
        If the method is unknown, or the level no share.

    Examples
    --------
    >>> positives, negatives = np.array([0, 1, 1, 0, 2]), np.array([1, 1, 0, 1, 0])
    >>> areas_of_runs(positives, negatives, np.array([0, 3])).estimate.tolist()
    [0.875, 1.0]
    """
    if method not in get_args(Method):
        raise DefinitionError(
            "No such method for an interval", where="method", todo=suggest(method, get_args(Method))
        )
    width = normal_width(level)
    if not first.size:
        none, text = np.zeros(0), np.zeros(0, np.str_)
        return Areas(none, none, none, none, level, text, positives, negatives, text)
    sizes = np.diff(np.append(first, positives.size))
    m, n = np.add.reduceat(positives, first), np.add.reduceat(negatives, first)

    def within(counts: Counts) -> Counts:
        up_to = np.cumsum(counts)
        return up_to - np.repeat(up_to[first] - counts[first], sizes)

    with np.errstate(invalid="ignore", divide="ignore"):
        below = (within(negatives) - negatives / 2) / np.repeat(n, sizes)
        above = 1 - (within(positives) - positives / 2) / np.repeat(m, sizes)
        estimate = np.add.reduceat(positives * below, first) / m
        middle = np.repeat(estimate, sizes)
        of_positives = np.add.reduceat(positives * (below - middle) ** 2, first) / (m - 1)
        of_negatives = np.add.reduceat(negatives * (above - middle) ** 2, first) / (n - 1)
        variance = np.where((m > 1) & (n > 1), of_positives / m + of_negatives / n, np.nan)
    undefined = (m == 0) | (n == 0)
    estimate = np.where(undefined, np.nan, np.clip(estimate, 0.0, 1.0))
    variance = np.where(undefined, np.nan, variance)
    usable = ~undefined & (variance > LEAST_VARIANCE)
    used = np.where(undefined, "", np.where(usable, method, "newcombe"))
    low, high = np.full(m.shape, np.nan), np.full(m.shape, np.nan)
    if method != "newcombe":
        low, high = (_logit if method == "logit" else _wald)(estimate, variance, width)
    other = used == "newcombe"
    low[other], high[other] = _newcombe(estimate[other], m[other], n[other], width)
    empty = np.where(m == 0, NO_POSITIVES, NO_NEGATIVES)
    outcome = np.where((m == 0) & (n == 0), NO_ROWS, np.where(undefined, empty, OK))
    return Areas(estimate, variance, low, high, level, used, m, n, outcome)


def _logit(estimate: Array, variance: Array, width: float) -> tuple[Array, Array]:
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = np.log(estimate / (1 - estimate))
        reach = width * np.sqrt(variance) / (estimate * (1 - estimate))
    return expit(middle - reach), expit(middle + reach)


def _wald(estimate: Array, variance: Array, width: float) -> tuple[Array, Array]:
    reach = width * np.sqrt(variance)
    return np.maximum(estimate - reach, 0.0), np.minimum(estimate + reach, 1.0)


def _newcombe(estimate: Array, m: Counts, n: Counts, width: float) -> tuple[Array, Array]:
    half = (m + n) / 2 - 1

    def lower(found: Array) -> Array:
        """Halve between 0 and the area, where the test rejects and where it does not."""
        low, high = np.zeros_like(found), found.copy()
        for _ in range(_HALVINGS):
            x = (low + high) / 2
            with np.errstate(invalid="ignore", divide="ignore"):
                spread = x * (1 - x) * (1 + half * ((1 - x) / (2 - x) + x / (1 + x))) / (m * n)
            rejected = (found - x) ** 2 > width**2 * spread
            low, high = np.where(rejected, x, low), np.where(rejected, high, x)
        return (low + high) / 2

    return lower(estimate), 1 - lower(1 - estimate)
