"""Ends that provably hold a pooled mean and standard deviation of groups known within bounds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Bounds(NamedTuple):
    """Two ends that hold a number, for each group and cell."""

    low: Array
    high: Array


def mean_bounds(n: Bounds, mean: Bounds) -> Bounds:
    """Return the least and the largest mean over groups.

    The mean over groups rises with the mean of every group. For fixed means it is a ratio of
    linear functions of the sizes, so an extreme lies at a corner: the largest has full size for
    the groups above it and the smallest size for those below. All such corners are tried.

    Parameters
    ----------
    n : Bounds, (groups, cells) float
        Size of each group; a group of size 0 does not count.
    mean : Bounds, (groups, cells) float
        Mean of each group; infinite where nothing is known.

    Returns
    -------
    Bounds, (cells,) float
        NaN where no group can have a member.

    Examples
    --------
    >>> n, mean = np.array([[10.0], [30.0]]), np.array([[2.0], [6.0]])
    >>> [float(x[0]) for x in mean_bounds(Bounds(n, n), Bounds(mean, mean))]
    [5.0, 5.0]
    >>> [round(float(x[0]), 3) for x in mean_bounds(Bounds(n - 2, n + 2), Bounds(mean, mean))]
    [4.8, 5.2]
    """
    finite = _finite(mean)
    unknown = ((n.high > 0) & ~finite).any(axis=0)
    there = (n.high > 0) & finite
    low = -_largest_mean(n, np.where(there, -mean.low, -np.inf))
    high = _largest_mean(n, np.where(there, mean.high, -np.inf))
    return Bounds(np.where(unknown, -np.inf, low), np.where(unknown, np.inf, high))


def _finite(bounds: Bounds) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(bounds.low) & np.isfinite(bounds.high))


def _largest_mean(n: Bounds, mean: Array) -> Array:
    order = np.argsort(-mean, axis=0, kind="stable")
    least, most, ordered = (np.take_along_axis(x, order, axis=0) for x in (*n, mean))
    there = np.isfinite(ordered)
    least, most = np.where(there, least, 0.0), np.where(there, most, 0.0)
    ordered = np.where(there, ordered, 0.0)
    groups = np.arange(len(ordered))
    corners = []
    for full in range(1, len(ordered) + 1):
        size = np.where((groups < full)[:, None], most, least)
        with np.errstate(invalid="ignore", divide="ignore"):
            corners.append((size * ordered).sum(axis=0) / size.sum(axis=0))
    return np.asarray(np.max(corners, axis=0))


def sd_bounds(n: Bounds, mean: Bounds, sd: Bounds) -> Bounds:
    """Return two ends that hold the standard deviation over all members of all groups.

    With sizes n, means m, deviations s and the overall mean M, the sum of squares is
    Σ (n − 1) s² + Σ n (m − M)², and the variance is this over N − 1, N = Σ n. Each part is bounded
    alone, so the ends are safe rather than tight. For the upper end M may be replaced by any
    number, because the sum of squares is smallest about M. A group of which nothing is known can
    only add to the sum of squares, without a limit.

    Parameters
    ----------
    n, mean : Bounds, (groups, cells) float
        As for `mean_bounds`.
    sd : Bounds, (groups, cells) float
        Standard deviation of each group, n − 1 in the denominator.

    Returns
    -------
    Bounds, (cells,) float
        NaN where fewer than two members are possible.

    Examples
    --------
    >>> n, mean, sd = np.array([[10.0], [10.0]]), np.array([[0.0], [2.0]]), np.ones((2, 1))
    >>> [round(float(x[0]), 6) for x in sd_bounds(Bounds(n, n), Bounds(mean, mean), Bounds(sd, sd))]
    [1.414214, 1.414214]
    """
    finite = _finite(mean) & _finite(sd)
    known = (n.high > 0) & finite
    unknown = ((n.high > 0) & ~finite).any(axis=0)
    size, centres, spreads = (
        Bounds(np.where(known, x.low, 0.0), np.where(known, x.high, 0.0)) for x in (n, mean, sd)
    )
    # Where no group is known every size is 0, and so is every sum of squares.
    overall = Bounds(*(np.nan_to_num(end) for end in mean_bounds(size, centres)))
    middle = (overall.low + overall.high) / 2
    apart = np.maximum(np.maximum(centres.low - overall.high, overall.low - centres.high), 0.0)
    reach = np.maximum(np.abs(centres.low - middle), np.abs(centres.high - middle))
    squares = Bounds(
        (np.maximum(size.low - 1, 0) * spreads.low**2 + size.low * apart**2).sum(axis=0),
        (np.maximum(size.high - 1, 0) * spreads.high**2 + size.high * reach**2).sum(axis=0),
    )
    most, least = n.high.sum(axis=0) - 1, size.low.sum(axis=0) - 1
    with np.errstate(invalid="ignore", divide="ignore"):
        low = np.where(most > 0, squares.low / most, np.nan)
        high = np.where(unknown | (least <= 0), np.inf, squares.high / least)
    return Bounds(np.sqrt(low), np.sqrt(np.where(np.isnan(low), np.nan, high)))
