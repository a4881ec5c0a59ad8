"""Pooled: the figures of all sites together, each with its interval."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench.definition.declaration import Declared, Line, Name
from workbench.display import Card, Displayed
from workbench.exchange.manifest import Count, Digest, Id, PolicyMark, StudyMark
from workbench.statistics.bounds import Bounds
from workbench.summaries.dimension import Dimension

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
QUANTITY = "quantity"
"""Name of the last dimension of a pooled table: what the figure is of."""
HOW = ("exact", "rounded", "estimated")
"""How a figure came about: known as it is; rounded by some sites; hidden by some."""
NUMBERS = ("value", "low", "high")


class Used(Declared):
    """One release that was pooled."""

    release: Id
    site: Name
    name: Line
    kind: Literal["real", "public", "pretend"]
    counter: Count
    created: dt.date
    manifest: Digest
    run: Line
    verdict: Line


@dataclass(frozen=True)
class Heterogeneity:
    """How far the sites lie apart in one share or mean (random effects, REML, HKSJ).

    Parameters
    ----------
    table, dimension, label
        Which figure; the other dimensions stand at `all`.
    quantity
        "exams" or "patients" (the share of the label in all), or "mean".
    sites
        Number of sites that publish it.
    estimate, low, high
        Average over sites and its 95 % confidence interval.
    prediction_low, prediction_high
        Where the figure of a new site is expected, with 95 %.
    tau2
        Variance between sites; of a share, of its logit.
    i2
        Share of the variation that is between sites.
    """

    table: str
    dimension: str
    label: str
    quantity: str
    sites: int
    estimate: float
    low: float
    high: float
    prediction_low: float
    prediction_high: float
    tau2: float
    i2: float


@dataclass(frozen=True)
class PooledTable:
    """One table of all sites together.

    Parameters
    ----------
    name, kind, unit
        As the study declares the output.
    dimensions
        The dimensions; of a histogram the last one is `bin`.
    data
        `value`, `low`, `high` (float64), `how` (one of `HOW`, or "" where there is no figure),
        `n_sites`, `n_suppressed` (int64) over the dimensions and `quantity`. `value` is NaN where
        every site hides the figure; the truth lies between `low` and `high`. The quantiles of a
        histogram stand at its root, the whole line.
    not_answered
        Reason by language, by site that cannot answer.
    """

    name: str
    kind: str
    unit: str
    dimensions: tuple[Dimension, ...]
    data: xr.Dataset
    not_answered: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, repr=False)
class Pooled(Displayed):
    """All pooled tables of a study, and what they were made from.

    Parameters
    ----------
    study
        The definition that was run.
    policy
        The loosest policy of the releases.
    keys
        "real", or "demo": then whoever made the releases is not known.
    releases
        What was pooled.
    tables
        Pooled tables by name of the output.
    heterogeneity
        How far the sites lie apart, for each share and mean of at least two sites.
    """

    study: StudyMark
    policy: PolicyMark
    keys: Literal["real", "demo"]
    releases: tuple[Used, ...]
    tables: Mapping[str, PooledTable]
    heterogeneity: tuple[Heterogeneity, ...]

    def _card(self) -> Card:
        facts = {
            "sites": ", ".join(release.name for release in self.releases),
            "keys": "real" if self.keys == "real" else "demo: integrity, not origin",
            "policy": str(self.policy),
        }
        rows = [
            [
                name,
                table.kind,
                f"{int(table.data['n_sites'].max())}",
                f"{int((table.data['how'] != '').sum()):,}",
                f"{int(((table.data['how'] != '') & table.data['value'].isnull()).sum()):,}",
                ", ".join(table.not_answered),
            ]
            for name, table in self.tables.items()
        ]
        head = ["table", "kind", "sites", "figures", "hidden by all", "not answered by"]
        return Card(f"{self.study.id} {self.study.version}, pooled", facts, head, rows)


def blank(names: Sequence[str], labels: Sequence[Sequence[str]]) -> xr.Dataset:
    """Return pooled data in which no cell has a figure yet."""
    shape = tuple(len(axis) for axis in labels)
    held: dict[str, Any] = {name: (tuple(names), np.full(shape, math.nan)) for name in NUMBERS}
    held["how"] = (tuple(names), np.full(shape, "", dtype="U9"))
    held |= {
        name: (tuple(names), np.zeros(shape, np.int64)) for name in ("n_sites", "n_suppressed")
    }
    coords = {n: np.array(list(axis), dtype=object) for n, axis in zip(names, labels, strict=True)}
    return xr.Dataset(held, coords=coords)


def fill(
    data: xr.Dataset,
    place: int,
    value: Array,
    bounds: Bounds,
    *,
    hidden: Mask,
    exact: Mask,
    silent: Mask | None = None,
) -> None:
    """Write one quantity into pooled data.

    Parameters
    ----------
    data
        What `blank` returned.
    place
        Position of the quantity.
    value, bounds
        The figure and its ends, over the cells.
    hidden : (sites, …) bool
        Where a site hides its part, or some of it.
    exact : (sites, …) bool
        Where a site tells its part as it is.
    silent : (sites, …) bool
        Where a site hides all of its part; the same as `hidden` unless said.
    """
    nothing = (hidden if silent is None else silent).all(axis=0)
    inside = np.clip(value, bounds.low, bounds.high)
    data["value"].values[..., place] = np.where(nothing, np.nan, inside)
    data["low"].values[..., place] = bounds.low
    data["high"].values[..., place] = bounds.high
    told = np.where(exact.all(axis=0), "exact", "rounded")
    data["how"].values[..., place] = np.where(hidden.any(axis=0), "estimated", told)
    data["n_sites"].values[..., place] = len(hidden)
    data["n_suppressed"].values[..., place] = hidden.sum(axis=0)
