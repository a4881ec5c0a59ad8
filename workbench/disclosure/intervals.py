"""Intervals: what a reader may conclude from a released view."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import xarray as xr

from workbench.disclosure.cells import Mask, leaves
from workbench.disclosure.policy import Policy
from workbench.errors import DisclosureError
from workbench.summaries.dimension import ALL
from workbench.summaries.grid import BIN
from workbench.summaries.histogram import grid_of
from workbench.summaries.summary import Summary, labelled

Floats = npt.NDArray[np.float64]
TOLD = ("ok", "rounded")
"""Statuses of a value that a reader is given."""


def starting_bounds(view: Summary, policy: Policy) -> dict[str, tuple[Floats, Floats]]:
    """Return the bounds of exams and patients that each cell of a view tells by itself.

    Returns
    -------
    dict
        "patients" and "exams", each with the lowest and the highest count. Of what a view does
        not tell, and of a suppressed margin (which may be held back), the bounds are 0 and inf.
    """
    status = {name: view.statuses[name].values for name in ("patients", "exams")}
    patients, threshold = status["patients"], policy.threshold
    least = np.where(_not_zero(view), 1, 0)
    # Nodes of a histogram are never held back one by one, whatever margin they belong to.
    told_small = (patients == "suppressed") & (status["exams"] == "suppressed")
    told_small &= leaves(view) | (view.kind == "histogram")
    held = (patients == "suppressed") & (status["exams"] == "not_applicable")
    found = {}
    for name, words in status.items():
        values = view.data[name].values
        low, high = (np.asarray(x, float) for x in policy.bounds(values))
        if name == "patients":  # what was told holds the threshold
            low = np.where((high >= threshold) & (values > 0), np.maximum(low, threshold), low)
        low, high = (np.where(words == "ok", values, x) for x in (low, high))
        hidden = ~np.isin(words, TOLD)
        low = np.where(hidden, np.where(held, threshold, 0), low)
        low = np.where(patients == "suppressed", np.maximum(low, least), low)
        high = np.where(hidden, np.inf, high)
        if name == "patients":
            high = np.where(told_small, threshold - 1, high)
        found[name] = (low.astype(float), high.astype(float))
    return found


def _not_zero(view: Summary) -> Mask:
    """Return where a suppressed cell cannot be 0, because a 0 would have been told."""
    words = view.statuses["patients"].values
    margins = [i for i, d in enumerate(view.dimensions) if d.name in view.margins]
    public = np.ones(words.shape, bool)
    for axis, d in enumerate(view.dimensions):
        if d.zeros != "public":
            named = np.array([label != ALL for label in view.labels(d.name)])
            public &= ~named.reshape([-1 if i == axis else 1 for i in range(words.ndim)])
    # A 0 below a small margin is not told, unless another 0 implies it.
    zero = words == "ok"
    alone = zero.copy()
    for axis in margins:
        np.moveaxis(alone, axis, 0)[1:] &= ~np.moveaxis(zero, axis, 0)[0]
    # A small node of a histogram that was merged is not spoken of, and may hide below a margin.
    hidden = ("suppressed", "not_applicable") if view.kind == "histogram" else ("suppressed",)
    small = np.isin(words, hidden)
    for axis in margins:
        np.moveaxis(small, axis, 0)[0] &= ~np.moveaxis(alone, axis, 0)[1:].any(axis=0)
    below = np.zeros(words.shape, bool)
    for axis in margins:
        lines = np.moveaxis(small, axis, 0)
        np.moveaxis(below, axis, 0)[1:] |= lines[0]
        lines[1:] |= lines[0]
    found: Mask = public & ~below
    return found


def intervals(view: Summary, policy: Policy) -> tuple[xr.Dataset, xr.Dataset]:
    """Return the lowest and highest values that a released view leaves possible.

    A told count is within its rounding (2 down and 2 up for base 5), and its patients hold the
    threshold. The patients of a suppressed cell lie between 1 (0 where a zero is protected) and
    threshold - 1. Exams of a suppressed cell, and whatever was held back to protect others, are
    bounded by the margins and cells that are told. What the view does not speak of (the nodes of
    a histogram above and below its cut) is NaN.

    Parameters
    ----------
    view
        A released view.
    policy
        The policy it was released under.

    Returns
    -------
    low, high : xarray.Dataset
        float64, one variable per field of the view; `high` may be infinite.

    Raises
    ------
    DisclosureError
        If the Summary is exact: then there is nothing to bound.

    Examples
    --------
    >>> from workbench.disclosure.cells import protect
    >>> from workbench.summaries.counts import summarise
    >>> from workbench.summaries.dimension import Dimension
    >>> modality = Dimension("modality", ("CT", "MR"))
    >>> s = summarise([modality], {"modality": [0] * 12 + [1]}, range(13), range(13))
    >>> low, high = intervals(protect(s, Policy()), Policy())
    >>> low.patients.values, high.patients.values
    (array([13., 10.,  1.]), array([17., 12.,  7.]))
    """
    if view.exact:
        raise DisclosureError(
            "An exact Summary has no bounds",
            where=repr(view),
            todo="Give the released view, which `protect` returns",
        )
    bounds = starting_bounds(view, policy)
    # Each dimension passes what it knows to the others: more rounds than dimensions change little.
    for _ in range(len(view.dimensions) + 1):
        _pass_on(view, bounds)
    for name in ("mean", "sd"):
        if name in view.data:
            bounds[name] = of_digits(view.data[name].values, policy.digits)
    low, high = ({n: pair[i] for n, pair in bounds.items()} for i in range(2))
    if view.kind == "histogram":
        unspoken = view.statuses["patients"].values == "not_applicable"
        for side in (*low.values(), *high.values()):
            side[unspoken] = math.nan
    return (
        labelled(view.dimensions, low, margins=view.margins),
        labelled(view.dimensions, high, margins=view.margins),
    )


def _pass_on(view: Summary, bounds: dict[str, tuple[Floats, Floats]]) -> None:
    for axis, dimension in enumerate(view.dimensions):
        is_tree = view.kind == "histogram" and dimension.name == BIN
        if is_tree:
            place = {node: i for i, node in enumerate(dimension.labels)}
            grid = grid_of(view)
            halves = ((n, grid.children(n)) for n in dimension.labels)
            lines = [(place[n], [place[h] for h in pair]) for n, pair in halves if pair]
        elif dimension.name in view.margins:
            lines = [(0, list(range(1, len(dimension.labels) + 1)))]
        else:
            continue
        for name, pair in bounds.items():
            one_each = (
                dimension.one_per == "patient"
                if name == "patients"
                else (is_tree or dimension.one_per != "none")
            )
            low, high = (np.moveaxis(side, axis, 0) for side in pair)
            for parent, children in lines:
                pass_line(low, high, parent, children, one_each=one_each)
    (few, many), (low, high) = bounds["patients"], bounds["exams"]
    np.maximum(low, few, out=low)
    np.minimum(many, high, out=many)


def pass_line(
    low: Floats, high: Floats, whole: int, parts: list[int], *, one_each: bool = True
) -> None:
    """Tighten, in place, the bounds of a whole and its parts along the first axis.

    Parameters
    ----------
    low, high
        Bounds; may be infinite.
    whole, parts
        Positions along the first axis.
    one_each
        True if the parts add up to the whole; otherwise they may overlap.
    """
    lows, highs = low[parts], high[parts]
    rest = sum_of_others(lows) if one_each else 0.0
    low[parts] = np.maximum(lows, low[whole] - sum_of_others(highs))
    high[parts] = np.minimum(highs, high[whole] - rest)
    least = lows.sum(axis=0) if one_each else lows.max(axis=0)
    low[whole] = np.maximum(low[whole], least)
    high[whole] = np.minimum(high[whole], highs.sum(axis=0))


def sum_of_others(values: Floats) -> Floats:
    """Return for each entry along the first axis the sum of the others; infinities alike.

    Examples
    --------
    >>> sum_of_others(np.array([1.0, 2.0, np.inf]))
    array([inf, inf,  3.])
    """
    infinite = np.isinf(values)
    finite = np.where(infinite, 0.0, values)
    limit = np.where(infinite, values, 0.0).sum(axis=0)  # all infinities have one sign
    several = infinite.sum(axis=0) - infinite > 0
    others: Floats = np.where(several, limit, finite.sum(axis=0) - finite)
    return others


def of_digits(values: Floats, digits: int) -> tuple[Floats, Floats]:
    """Return the bounds of numbers that were cut to significant digits."""
    with np.errstate(divide="ignore"):
        exponent = np.floor(np.log10(np.abs(values)))
    # The float nearest to the mean is itself off by less than one part in 10**15.
    half = np.where(values == 0, 0.0, 0.5 * 10.0 ** (exponent - digits + 1)) * (1 + 1e-9)
    return values - half, values + half
