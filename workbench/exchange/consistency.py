"""Consistency: whether any data can have given the tables of one release, and what they bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr

from workbench.disclosure.intervals import intervals
from workbench.disclosure.policy import Policy
from workbench.exchange.envelope import RefusedError
from workbench.summaries.dimension import ALL
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
                most = _limited(most, bounds[other][1], view, counts)
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


def _limited(most: xr.Dataset, ends: xr.Dataset, view: Summary, counts: Summary) -> xr.Dataset:
    """Return limits that do not exceed the upper ends of the same labels in a table of counts."""
    shared = {d.name for d in view.dimensions}
    summed = {d.name: ALL for d in counts.dimensions if d.name not in shared}
    needed = {*summed, *(d.name for d in counts.dimensions if d.name in view.margins)}
    if not needed <= set(counts.margins):
        return most
    limits = ends[list(COUNTS)].sel(summed, drop=True)
    limits = limits.reindex({d: most[d] for d in limits.dims}, fill_value=np.inf)
    return most.where(most <= limits, limits).transpose(*most.sizes)
