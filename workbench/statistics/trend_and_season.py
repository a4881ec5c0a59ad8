"""Trend and season: paths of a level, a slope and twelve seasonal effects beyond what was seen.

The model is Harvey's (1989, Forecasting, Structural Time Series Models and the Kalman Filter,
chapter 4), written as one normal distribution of all months instead of as a filter: a few hundred
months are few numbers, and all divisions of the variance are then one calculation.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SEASON = 12
_DIVISIONS = (
    (0.05, 0.2, 0.4, 0.7, 1.0, 1.4),  # noise of a month
    (0.0, 0.05, 0.1, 0.2, 0.4, 0.8),  # what the level moves by itself in a month
    (0.0, 0.0025, 0.005, 0.01, 0.02, 0.04),  # what the slope changes in a month
)
"""Standard deviations, over that of the yearly differences, that are held to be equally likely."""


def simulate(logarithms: Array, months: int, seed: int, draws: int) -> Array:
    """Return possible futures of the logarithms of a monthly count.

    What is not known is all in them: the state, the noise to come, and how much of what was seen
    is noise, a wandering level or a changing slope. Of few months the likeliest such division
    often has a slope that never changes; so each division of a grid has its share of the paths,
    as likely as it makes what was seen.

    Parameters
    ----------
    logarithms : (n,) float
        NaN for months that are not known; at least two of each season are.
    months
        How many months to look ahead.
    seed, draws
        Of the random numbers, and how many paths.

    Returns
    -------
    (draws, months) float

    Examples
    --------
    >>> paths = simulate(0.01 * np.arange(36.0), 2, seed=0, draws=50)
    >>> bool(np.abs(paths.mean(axis=0) - [0.36, 0.37]).max() < 1e-3)
    True
    """
    yearly = logarithms[SEASON:] - logarithms[:-SEASON]
    scale = max(float(np.nanstd(yearly)) / np.sqrt(2), 1e-6)
    grid = np.square(np.array(list(itertools.product(*_DIVISIONS))))
    known = np.flatnonzero(~np.isnan(logarithms))
    ahead = len(logarithms) + np.arange(months)
    likelihood, mean, spread = _divide(logarithms[known] / scale, known, ahead, grid)
    weight = np.exp(likelihood - likelihood.max())
    random = np.random.default_rng(seed)
    shares = random.multinomial(draws, weight / weight.sum())
    parts = [
        random.multivariate_normal(mean[i], spread(i), size=int(share), method="eigh")
        for i, share in enumerate(shares)
        if share
    ]
    return np.asarray(np.concatenate(parts) * scale)


def _divide(
    seen: Array, known: NDArray[np.intp], ahead: NDArray[np.intp], grid: Array
) -> tuple[Array, Array, Callable[[int], Array]]:
    """Return, for each division of the variance, how likely it makes what was seen, and what comes.

    The first level and slope and the season are unknown numbers of which nothing is held in
    advance, so the likelihood is the restricted one, and what comes is the best linear unbiased
    prediction with its covariance (Harvey 1989, section 3.4). Both are those of a Kalman filter
    that starts diffuse.

    Parameters
    ----------
    seen : (n,) float
        Logarithms of the months that are known.
    known : (n,) int
        Which months these are.
    ahead : (h,) int
        Which months come.
    grid : (divisions, 3) float
        Variances of the noise, of the level and of the slope.

    Returns
    -------
    likelihood : (divisions,)
    mean : (divisions, h)
    spread
        Covariance of the months that come, (h, h), by the number of the division.
    """
    at = np.concatenate([known, ahead])
    shock = np.arange(at.max() + 1)
    level = (shock < at[:, None]).astype(float)
    slope = np.maximum(at[:, None] - 1 - shock, 0).astype(float)
    parts = np.stack([np.eye(len(at)), level @ level.T, slope @ slope.T])
    season = (at[:, None] % SEASON == np.arange(1, SEASON)).astype(float)
    fixed = np.column_stack([np.ones(len(at)), at / SEASON, season])
    n = len(known)
    past, coming = fixed[:n], fixed[n:]
    whole = np.tensordot(grid, parts, axes=1)
    inner, across = whole[:, :n, :n], whole[:, n:, :n]
    solved = np.linalg.solve(
        inner, np.broadcast_to(np.column_stack([past, seen]), (len(grid), n, past.shape[1] + 1))
    )
    inverse, answer = solved[..., :-1], solved[..., -1]
    held = past.T @ inverse
    found = np.linalg.solve(held, (past.T @ answer[..., None]))[..., 0]
    residual = answer - (inverse @ found[..., None])[..., 0]
    squares = (seen * residual).sum(axis=-1)
    likelihood = -(np.linalg.slogdet(inner)[1] + np.linalg.slogdet(held)[1] + squares) / 2
    mean = found @ coming.T + (across @ residual[..., None])[..., 0]

    def spread(i: int) -> Array:
        open_ = coming - across[i] @ inverse[i]
        explained = across[i] @ np.linalg.solve(inner[i], across[i].T)
        return np.asarray(whole[i, n:, n:] - explained + open_ @ np.linalg.solve(held[i], open_.T))

    return likelihood, mean, spread
