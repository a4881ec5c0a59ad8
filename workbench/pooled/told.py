"""Told: what one site tells in a table, and the bounds of what it does not tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench.disclosure.intervals import TOLD
from workbench.exchange.verification import Release
from workbench.statistics.bounds import Bounds
from workbench.summaries.summary import Summary

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


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
        Bounds of each field.
    most
        What exams and patients cannot exceed; see `exchange.consistency`.
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


def told_by(release: Release) -> dict[str, Told]:
    """Return the tables of a release with their bounds, which its other tables tighten.

    Raises
    ------
    RefusedError
        If the release contradicts itself, which `verify` refuses as well.
    """
    threshold = release.policy.threshold
    return {
        name: Told(release.site, view, *release.ends[name], threshold)
        for name, view in release.tables.items()
    }


def stacked(sites: Sequence[Told], name: str) -> Bounds:
    """Return the bounds of a field, the sites along the first axis."""
    return Bounds(
        np.stack([site.low[name].values for site in sites]),
        np.stack([site.high[name].values for site in sites]),
    )
