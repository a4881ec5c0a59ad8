"""Told: what one site tells in a table, and the bounds of what it does not tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench.disclosure.intervals import TOLD, intervals
from workbench.errors import PoolingError
from workbench.exchange.verification import Release
from workbench.statistics.bounds import Bounds
from workbench.summaries.dimension import ALL
from workbench.summaries.summary import Summary

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
COUNTS = ("exams", "patients")
"""Fields that are counts."""


@dataclass(frozen=True)
class Told:
    """One table as one site tells it.

    Parameters
    ----------
    site
        Identifier of the site.
    view
        The released view.
    low, high
        Bounds of each field; see `disclosure.intervals`.
    most
        What exams and patients cannot exceed, given the other tables of the site.
    threshold
        The site's threshold.
    """

    site: str
    view: Summary
    low: xr.Dataset
    high: xr.Dataset
    most: xr.Dataset
    threshold: int

    def hidden(self, name: str) -> Mask:
        """Return where a field is not told."""
        return ~np.isin(self.view.statuses[name].values, TOLD)

    def estimate(self, name: str) -> Array:
        """Return the count itself where it is told, and a guess within its bounds elsewhere."""
        low, high = self.low[name].values, self.high[name].values
        guess = low + np.minimum(high - low, self.threshold) / 2
        value = np.where(self.hidden(name), guess, self.view.data[name].values)
        return np.asarray(np.clip(value, low, high))


def read_told(release: Release) -> dict[str, Told]:
    """Return the tables of a release with their bounds, which its other tables tighten.

    A count is at most that of the same labels in any table of counts of the same population.

    Raises
    ------
    PoolingError
        If a lower end exceeds an upper end: then no data can have given these tables.
    """
    bounds = {name: intervals(view, release.policy) for name, view in release.tables.items()}
    found = {}
    for name, view in release.tables.items():
        low, high = bounds[name]
        most = xr.full_like(high[list(COUNTS)], np.inf)
        for other, counts in release.tables.items():
            if counts.kind == "counts" and counts.population == view.population and other != name:
                most = _limited(most, bounds[other][1], view, counts)
        # What is NaN, a mean or node that is not told, has no bound to tighten.
        told = high[list(COUNTS)]
        high = high.assign(told.where(told.isnull() | (told <= most), most))
        for field in low.data_vars:
            if (low[field] > high[field]).any():
                raise PoolingError(
                    "A release contradicts itself",
                    where=f"{release.site}, {name}, {field}",
                    todo="Ask the site to run the study again",
                )
        found[name] = Told(release.site, view, low, high, most, release.policy.threshold)
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


def stacked(sites: Sequence[Told], name: str) -> Bounds:
    """Return the bounds of a field, the sites along the first axis."""
    return Bounds(
        np.stack([site.low[name].values for site in sites]),
        np.stack([site.high[name].values for site in sites]),
    )
