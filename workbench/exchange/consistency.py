"""Consistency: whether any data can have given the tables of one release, and what they bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr

from workbench.disclosure.intervals import intervals
from workbench.disclosure.policy import Policy
from workbench.exchange.envelope import RefusedError
from workbench.summaries.summary import Summary

COUNTS = ("exams", "patients")
"""Fields that are counts."""


class Ends(NamedTuple):
    """What the tables of a release leave possible for one of them.

    Parameters
    ----------
    low, high
        Bounds of each field; see `disclosure.intervals`.
    most
        What exams and patients cannot exceed, given the other tables.
    """

    low: xr.Dataset
    high: xr.Dataset
    most: xr.Dataset


def bound_tables(tables: Mapping[str, Summary], policy: Policy, *, where: str) -> dict[str, Ends]:
    """Return the bounds of the tables of one release, each tightened by the others.

    A count is at most that of the same labels in any table of counts of the same population.

    Parameters
    ----------
    tables
        Released views by name of the output.
    policy
        The policy they were released under.
    where
        Whose release it is, for the error.

    Raises
    ------
    RefusedError
        If a lower end exceeds an upper end: then no data can have given these tables.
    """
    bounds = {name: intervals(view, policy) for name, view in tables.items()}
    found = {}
    for name, view in tables.items():
        low, high = bounds[name]
        told = high[list(COUNTS)]
        most = xr.full_like(told, np.inf)
        for other, counts in tables.items():
            if counts.kind == "counts" and counts.population == view.population and other != name:
                _limit(most, bounds[other][1], view, counts)
        # What is NaN, a mean or node that is not told, has no bound to tighten.
        high = high.assign(told.where(told.isnull() | (told <= most), most))
        for field in low.data_vars:
            if (low[field].values > high[field].transpose(*low[field].dims).values).any():
                raise RefusedError(
                    "contradiction",
                    "The release contradicts itself: no data can have given these tables",
                    where=f"{where}, {name}, {field}",
                    todo="Ask the site to run the study again",
                )
        found[name] = Ends(low, high, most)
    return found


def _limit(most: xr.Dataset, ends: xr.Dataset, view: Summary, counts: Summary) -> None:
    """Lower limits to the upper ends of the same labels in a table of counts."""
    shared = {d.name for d in view.dimensions}
    summed = {d.name for d in counts.dimensions if d.name not in shared}
    needed = summed | {d.name for d in counts.dimensions if d.name in view.margins}
    if not needed <= set(counts.margins):
        return
    # The margin `all` is the first label; the labels of the view are looked up in the others.
    names = [d.name for d in counts.dimensions]
    whole = tuple(0 if name in summed else slice(None) for name in names)
    left = [name for name in names if name in shared]
    at = []
    for name in left:
        place = {label: number for number, label in enumerate(counts.labels(name))}
        at.append([place.get(label, len(place)) for label in view.labels(name)])
    order = [name for name in most.sizes if name in left]
    for field in COUNTS:
        upper = ends[field].values[whole]
        # One more along each axis: what is no label of the table is not limited by it.
        limits = np.full([size + 1 for size in upper.shape], np.inf)
        limits[tuple(map(slice, upper.shape))] = upper
        limits = limits[np.ix_(*at)].transpose([left.index(name) for name in order])
        shape = [most.sizes[name] if name in left else 1 for name in most.sizes]
        np.minimum(most[field].values, limits.reshape(shape), out=most[field].values)
