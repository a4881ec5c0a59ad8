"""Quantiles: where a pooled one lies, from what each site tells in bins of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.statistics.bounds import Bounds
from workbench.summaries.grid import Grid

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Nodes:
    """The nodes of the grid as one site tells them, in every cell.

    Parameters
    ----------
    exams : Bounds, (…, nodes)
        Ends of the exams in each node that the site speaks of; 0 in the others.
    whole : Bounds, (…,)
        Ends of all exams.
    value : (…, nodes) float
        The exams that are told or guessed in each node that the site speaks of; 0 in the others.
    patients : (…, nodes) float
        The fewest patients in each node that the site tells; 0 in the others.
    """

    exams: Bounds
    whole: Bounds
    value: Array
    patients: Array


def count_sides(tree: Grid, site: Nodes) -> tuple[Bounds, Bounds]:
    """Return how many exams of a site lie below, and how many above, each edge of the grid.

    A node that an edge divides can lie on either side as a whole. Each side is also what the
    whole leaves of the other.

    Parameters
    ----------
    tree
        The grid.
    site
        What the site tells; the nodes it speaks of cover the line once.

    Returns
    -------
    below, above : Bounds, (…, edges)

    Examples
    --------
    >>> tree = Grid((0.0, 10.0))  # nodes: the whole, [-inf,0), [0,inf), [0,10), [10,inf)
    >>> told = np.array([0.0, 0.0, 30.0, 0.0, 0.0])
    >>> site = Nodes(Bounds(told, told), Bounds(np.array(30.0), np.array(30.0)), told, told)
    >>> below, above = count_sides(tree, site)
    >>> below.low, below.high
    (array([0., 0.]), array([ 0., 30.]))
    """
    start, stop = np.array(list(tree.spans.values())).T[..., None]
    edge = np.arange(1, len(tree.edges) + 1)
    under, over = stop <= edge, start >= edge
    low, high = (end[..., None] for end in site.exams)
    below = Bounds(np.where(under, low, 0.0).sum(-2), np.where(over, 0.0, high).sum(-2))
    above = Bounds(np.where(over, low, 0.0).sum(-2), np.where(under, 0.0, high).sum(-2))
    fewest, most = (end[..., None] for end in site.whole)
    return (
        Bounds(
            np.maximum(below.low, fewest - above.high), np.minimum(below.high, most - above.low)
        ),
        Bounds(
            np.maximum(above.low, fewest - below.high), np.minimum(above.high, most - below.low)
        ),
    )


def quantile_ends(
    edges: Sequence[float], below: Bounds, above: Bounds, q: float
) -> tuple[float, float]:
    """Return two edges that hold the quantile (numpy's method "linear", R-7).

    With b exams below an edge and a above it, the quantile lies between the ordered values number
    floor(r) and ceil(r), r = (b + a - 1) q, counted from 0. It is not below the edge where
    floor(r) >= b, and below it where ceil(r) < b. One exam more, on either side, moves r by q,
    at most 1. So the first still holds for fewer below or more above, and the second for more
    below or fewer above: each is tried with the ends that make it hardest.

    Parameters
    ----------
    edges
        Rising.
    below, above : Bounds, (edges,)
        Ends of the number of exams below and above each edge; may be infinite.
    q
        Between 0 and 1.

    Returns
    -------
    low, high
        Infinite where no edge is certain.

    Examples
    --------
    >>> below, above = np.array([0.0, 10, 30, 40]), np.array([40.0, 30, 10, 0])
    >>> quantile_ends([0, 1, 2, 4], Bounds(below, below), Bounds(above, above), 0.5)
    (1.0, 2.0)
    """
    with np.errstate(invalid="ignore"):
        least = np.floor((below.high + above.low - 1) * q)
        most = np.ceil((below.low + above.high - 1) * q)
    # An infinite end gives an infinite or undefined rank, of which nothing is certain.
    at = np.array(edges, float)
    reached = at[np.isfinite(below.high) & (least >= below.high)]
    passed = at[most < below.low]
    return float(reached.max(initial=-np.inf)), float(passed.min(initial=np.inf))


def share_below(tree: Grid, places: Sequence[float]) -> Array:
    """Return which share of each node is taken to lie below each of some places.

    A node is filled evenly; of one that is open half lies on either side of a place within.

    Returns
    -------
    (nodes, places) float

    Examples
    --------
    >>> share_below(Grid((0.0, 10.0)), [2.5])[:, 0]  # [-inf,inf) [-inf,0) [0,inf) [0,10) [10,inf)
    array([0.5 , 1.  , 0.5 , 0.25, 0.  ])
    """
    low, high = np.array([tree.bounds(node) for node in tree.nodes]).T[..., None]
    with np.errstate(invalid="ignore"):
        share = np.where(np.isfinite(high - low), (places - low) / (high - low), 0.5)
    return np.where(places <= low, 0.0, np.where(places >= high, 1.0, share))


def read_off(tree: Grid, value: Array, q: float) -> float:
    """Return where the exams in the nodes reach a share of them all; NaN in an open bin.

    Parameters
    ----------
    tree
        The grid.
    value : (nodes,) float
        Exams in each node, of all sites together; every exam in one node of its site's cut.
    q
        Between 0 and 1.

    Examples
    --------
    >>> read_off(Grid((0.0, 10.0)), np.array([0.0, 10, 0, 40, 0]), 0.5)
    3.75
    """
    reached = np.array([0.0, *(value @ share_below(tree, tree.edges)), value.sum()])
    i = int(np.searchsorted(reached[1:], q * value.sum()))
    start, stop = tree.ends[i : i + 2]
    if not np.isfinite(stop - start) or reached[i + 1] == reached[i]:
        return float("nan")
    part = (q * value.sum() - reached[i]) / (reached[i + 1] - reached[i])
    return float(start + (stop - start) * part)


def holds_threshold(
    tree: Grid,
    patients: Sequence[Array],
    *,
    least: float,
    place: float,
    q: float,
    threshold: int,
) -> bool:
    """Say whether the threshold of exams, and of patients, lies on both sides of a quantile.

    Parameters
    ----------
    tree
        The grid.
    patients : (nodes,) float
        For each site, the fewest patients in each node that it tells. A patient may be in several
        nodes of a site, so that a side has those of its largest node; one that the quantile
        divides counts in proportion.
    least
        The fewest exams of all sites.
    place, q
        The quantile, and which it is.
    threshold
        The strictest of the sites.
    """
    if not np.isfinite(place) or min(q, 1 - q) * least < threshold:
        return False
    share = share_below(tree, [place])[:, 0]
    sides = [sum(float((part * each).max()) for each in patients) for part in (share, 1 - share)]
    return min(sides) >= threshold
