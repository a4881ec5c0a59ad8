"""Pooling of areas: areas under ROC curves of several sites, combined on the scale of the logit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from workbench.errors import PoolingError
from workbench.statistics.area_estimates import LEAST_VARIANCE
from workbench.statistics.meta_analysis import MetaAnalysis, random_effects

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


class LogitAreas(NamedTuple):
    """Areas as logits with their variance, and which of the sites have both."""

    estimates: Array
    variances: Array
    used: NDArray[np.bool_]


@dataclass(frozen=True)
class PooledArea:
    """One area of several sites.

    Parameters
    ----------
    estimate, low, high
        Area at the middle of the sites with its confidence interval.
    prediction_low, prediction_high
        Where the true area of a new site is expected.
    used : (sites,) bool
        Which sites it is made of; the others have no area.
    left_out
        How many have none.
    logits
        What was combined, on the scale of the logit.
    """

    estimate: float
    low: float
    high: float
    prediction_low: float
    prediction_high: float
    used: NDArray[np.bool_] = field(repr=False)
    left_out: int
    logits: MetaAnalysis


def logit_areas(
    areas: ArrayLike,
    variances: ArrayLike,
    positives: ArrayLike | None = None,
    negatives: ArrayLike | None = None,
) -> LogitAreas:
    """Return areas as logits, with their variance by the delta method.

    An area of 0 or 1 has no logit, and DeLong's variance is then 0, as it is missing with one of a
    class. To leave such sites out would choose sites by their result. Where the sizes of the
    classes are told, half a pair is added to either side of an area of 0 or 1, and the variance is
    that of Hanley & McNeil (Radiology 1982;143:29), which gives a small site a small weight.

    Parameters
    ----------
    areas, variances : (sites,) float
        NaN for a site without an area, as one of one class.
    positives, negatives : (sites,) int, optional
        Size of the classes.

    Returns
    -------
    estimates, variances : (sites,) float
        NaN where a site has none.
    used : (sites,) bool

    Raises
    ------
    PoolingError
        If the lengths differ, or an area lies beyond 0 and 1.

    Examples
    --------
    >>> found = logit_areas([0.8, np.nan, 1.0], [0.0016, np.nan, 0.0])
    >>> found.estimates.round(3).tolist(), found.used.tolist()
    ([1.386, nan, nan], [True, False, False])
    >>> logit_areas([1.0], [0.0], [20], [50]).estimates.round(2).tolist()
    [7.6]
    """
    a, v = np.asarray(areas, np.float64), np.asarray(variances, np.float64)
    sizes = [
        np.full(a.shape, 0.0) if x is None else np.asarray(x, np.float64)
        for x in (positives, negatives)
    ]
    m, n = sizes
    shapes = {x.shape for x in (a, v, m, n)}
    if len(shapes) > 1 or a.ndim != 1 or ((a < 0) | (a > 1)).any():
        raise PoolingError(
            "Every site needs an area between 0 and 1, with its variance",
            where=f"{a.size} areas, {v.size} variances",
            todo="Give NaN for a site without an area",
        )
    known = np.isfinite(a) & np.isfinite(v) & (v > LEAST_VARIANCE) & (a > 0) & (a < 1)
    mended = np.isfinite(a) & ~known & (m > 0) & (n > 0)
    pairs = m * n
    with np.errstate(invalid="ignore", divide="ignore"):
        near = np.clip(a, 0.5 / (pairs + 1), 1 - 0.5 / (pairs + 1))
        at = np.where(mended, near, a)
        spread = np.where(mended, _hanley_mcneil(near, m, n), v)
        estimates, scaled = logit(at), spread / (at * (1 - at)) ** 2
    used = known | mended
    return LogitAreas(np.where(used, estimates, np.nan), np.where(used, scaled, np.nan), used)


def _hanley_mcneil(area: Array, m: Array, n: Array) -> Array:
    of_positives, of_negatives = area / (2 - area), 2 * area**2 / (1 + area)
    squares = (m - 1) * (of_positives - area**2) + (n - 1) * (of_negatives - area**2)
    return np.asarray((area * (1 - area) + squares) / (m * n))


def pool_areas(
    areas: ArrayLike,
    variances: ArrayLike,
    positives: ArrayLike | None = None,
    negatives: ArrayLike | None = None,
    *,
    method: Literal["REML", "DL", "PM"] = "REML",
    hksj: bool = True,
    level: float = 0.95,
) -> PooledArea:
    """Combine areas of several sites by random effects of their logits.

    Parameters
    ----------
    areas, variances, positives, negatives : (sites,)
        As for `logit_areas`.
    method, hksj, level
        As for `meta_analysis.random_effects`.

    Raises
    ------
    PoolingError
        If fewer than two sites have an area.

    Examples
    --------
    >>> found = pool_areas([0.84, 0.9, np.nan], [0.0004, 0.0009, np.nan])
    >>> round(found.estimate, 3), found.left_out
    (0.864, 1)
    """
    sites = logit_areas(areas, variances, positives, negatives)
    found = random_effects(
        sites.estimates[sites.used],
        sites.variances[sites.used],
        method=method,
        hksj=hksj,
        level=level,
    )
    return PooledArea(
        estimate=float(expit(found.estimate)),
        low=float(expit(found.low)),
        high=float(expit(found.high)),
        prediction_low=float(expit(found.prediction_low)),
        prediction_high=float(expit(found.prediction_high)),
        used=sites.used,
        left_out=int(np.count_nonzero(~sites.used)),
        logits=found,
    )
