"""Combine estimates of several studies: fixed and random effects, heterogeneity, prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit

from workbench.errors import PoolingError

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class MetaAnalysis:
    """One combined estimate, and how far the studies lie apart.

    Parameters
    ----------
    estimate, se
        Combined estimate and its standard error, on the scale of the input.
    low, high
        Confidence interval of the estimate.
    prediction_low, prediction_high
        Where the true value of a new study is expected; the confidence interval for fixed effect.
    tau2
        Variance between studies.
    q, degrees
        Cochran's Q and its degrees of freedom.
    i2
        Share of the variation that is between studies: max(0, (Q - degrees) / Q).
    studies
        Number of studies.
    """

    estimate: float
    se: float
    low: float
    high: float
    prediction_low: float
    prediction_high: float
    tau2: float
    q: float
    degrees: int
    i2: float
    studies: int


def fixed_effect(
    estimates: ArrayLike, variances: ArrayLike, *, level: float = 0.95
) -> MetaAnalysis:
    """Combine by inverse variance, as if all studies measured one value.

    Parameters
    ----------
    estimates, variances : array_like, shape (studies,)
        One estimate a study, and the square of its standard error.
    level
        Level of the interval.

    Raises
    ------
    PoolingError
        If there is no study, or a number is not finite, or a variance not positive.

    Examples
    --------
    >>> fixed_effect([1.0, 3.0], [1.0, 1.0]).estimate
    2.0
    """
    y, v = _studies(estimates, variances, 1)
    return _combined(y, v, 0.0, hksj=False, level=level)


def random_effects(
    estimates: ArrayLike,
    variances: ArrayLike,
    *,
    method: Literal["REML", "DL", "PM"] = "REML",
    hksj: bool = False,
    level: float = 0.95,
) -> MetaAnalysis:
    """Combine studies whose true values differ.

    Parameters
    ----------
    estimates, variances : array_like, shape (studies,)
        One estimate a study, and the square of its standard error.
    method
        How the variance between studies is found: restricted maximum likelihood, DerSimonian and
        Laird (Controlled Clinical Trials 1986;7:177), or Paule and Mandel (Journal of Research of
        the National Bureau of Standards 1982;87:377).
    hksj
        Use the standard error of Hartung, Knapp, Sidik and Jonkman (Statistics in Medicine
        2001;20:3875 and 2002;21:3153) and Student's t with studies - 1 degrees of freedom. For
        few studies the normal interval is too narrow.
    level
        Level of the confidence and prediction intervals.

    Raises
    ------
    PoolingError
        If there are fewer than two studies, or a number is not finite, or a variance not positive.

    Examples
    --------
    >>> round(random_effects([0.0, 2.0], [1.0, 1.0], method="DL").tau2, 6)
    1.0
    """
    y, v = _studies(estimates, variances, 2)
    if method == "REML":
        tau2 = tau2_reml(y, v)
    elif method == "DL":
        tau2 = tau2_dersimonian_laird(y, v)
    elif method == "PM":
        tau2 = tau2_paule_mandel(y, v)
    else:
        raise PoolingError(f"{method!r} is no method", todo="Use 'REML', 'DL' or 'PM'")
    return _combined(y, v, tau2, hksj=hksj, level=level)


def cochran_q(estimates: ArrayLike, variances: ArrayLike) -> float:
    """Return the weighted sum of squared distances from the fixed effect.

    Examples
    --------
    >>> cochran_q([0.0, 2.0], [1.0, 1.0])
    2.0
    """
    y, v = _studies(estimates, variances, 1)
    mean = np.average(y, weights=1 / v)
    return float(np.sum((y - mean) ** 2 / v))


def tau2_dersimonian_laird(estimates: ArrayLike, variances: ArrayLike) -> float:
    """Return the variance between studies by the method of moments.

    Examples
    --------
    >>> tau2_dersimonian_laird([1.0, 1.0], [1.0, 1.0])
    0.0
    """
    y, v = _studies(estimates, variances, 2)
    w = 1 / v
    scale = float(w.sum() - np.sum(w**2) / w.sum())
    return max(0.0, (cochran_q(y, v) - (y.size - 1)) / scale)


def tau2_reml(estimates: ArrayLike, variances: ArrayLike) -> float:
    """Return the variance between studies by restricted maximum likelihood.

    The root of the restricted score, or 0 where the likelihood falls from the start
    (Viechtbauer, Journal of Educational and Behavioral Statistics 2005;30:261).

    Examples
    --------
    >>> round(tau2_reml([0.0, 2.0], [1.0, 1.0]), 6)
    1.0
    """
    y, v = _studies(estimates, variances, 2)

    def score(tau2: float) -> float:
        w = 1 / (v + tau2)
        mean = np.average(y, weights=w)
        return float(np.sum(w**2 * (y - mean) ** 2) - w.sum() + np.sum(w**2) / w.sum())

    return _root(score, y, v)


def tau2_paule_mandel(estimates: ArrayLike, variances: ArrayLike) -> float:
    """Return the variance between studies that makes Q equal to its degrees of freedom.

    Q with weights 1 / (variance + tau²), as Paule & Mandel (1982) iterate it; 0 where it is smaller
    from the start.

    Examples
    --------
    >>> round(tau2_paule_mandel([0.0, 2.0], [1.0, 1.0]), 6)
    1.0
    """
    y, v = _studies(estimates, variances, 2)
    return _root(lambda tau2: cochran_q(y, v + tau2) - (y.size - 1), y, v)


def _root(falling: Callable[[float], float], y: Vector, v: Vector) -> float:
    """Return where an equation of tau² is 0, or 0 where it is not above 0 at the start."""
    if falling(0.0) <= 0:
        return 0.0
    high = float(np.var(y) + v.max())
    while falling(high) > 0:
        high *= 2
    return float(brentq(falling, 0.0, high, xtol=1e-12 * high, rtol=1e-12))


def _combined(y: Vector, v: Vector, tau2: float, *, hksj: bool, level: float) -> MetaAnalysis:
    if not 0 < level < 1:
        raise PoolingError("The level must lie between 0 and 1", where=f"level = {level}")
    w = 1 / (v + tau2)
    estimate = float(np.average(y, weights=w))
    variance = float(1 / w.sum())
    tail = (1 + level) / 2
    width = float(ndtri(tail))
    if hksj:
        variance *= float(np.sum(w * (y - estimate) ** 2)) / (y.size - 1)
        width = float(stdtrit(y.size - 1, tail))
    reach = width * float(np.sqrt(variance))
    spread = width * float(np.sqrt(variance + tau2))
    q = cochran_q(y, v)
    degrees = y.size - 1
    return MetaAnalysis(
        estimate=estimate,
        se=float(np.sqrt(variance)),
        low=estimate - reach,
        high=estimate + reach,
        prediction_low=estimate - spread,
        prediction_high=estimate + spread,
        tau2=tau2,
        q=q,
        degrees=degrees,
        i2=max(0.0, (q - degrees) / q) if q > 0 else 0.0,
        studies=y.size,
    )


def _studies(estimates: ArrayLike, variances: ArrayLike, least: int) -> tuple[Vector, Vector]:
    y = np.asarray(estimates, dtype=np.float64)
    v = np.asarray(variances, dtype=np.float64)
    if y.ndim != 1 or y.shape != v.shape:
        raise PoolingError("Every study needs one estimate and one variance")
    if y.size < least:
        raise PoolingError(
            f"{y.size} studies cannot be combined", todo=f"Give at least {least} studies"
        )
    if not (np.isfinite(y).all() and np.isfinite(v).all() and (v > 0).all()):
        raise PoolingError(
            "An estimate is not finite, or a variance not positive",
            todo="Leave out studies without an estimate",
        )
    return y, v
