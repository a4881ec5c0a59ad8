"""Heterogeneity: how far the sites of a study lie apart in a share or a mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.special import expit, logit

from workbench.disclosure.intervals import TOLD
from workbench.exchange.consistency import COUNTS
from workbench.pooled.table import Heterogeneity
from workbench.statistics.meta_analysis import random_effects
from workbench.summaries.dimension import ALL
from workbench.summaries.summary import Summary

_DIGITS = 6
"""Significant digits that are kept: the last ones of an iteration differ between machines."""


def compare_sites(table: str, views: Sequence[Summary]) -> tuple[Heterogeneity, ...]:
    """Return how far the sites lie apart in each share or mean that at least two of them tell.

    Of counts, the share of a label in its dimension's margin, the other dimensions at `all`, on
    the scale of its logit: the shares of exams, and of patients, where only the latter are
    independent of each other. Of moments, the mean. A share of none or all gets half an exam more
    on both sides. Of a histogram, nothing. Random effects by REML with the interval of Hartung,
    Knapp, Sidik and Jonkman.

    Parameters
    ----------
    table
        Name of the table.
    views
        The released view of each site.
    """
    found: list[Heterogeneity] = []
    first = views[0]
    if first.kind == "histogram":
        return ()
    sites_told = [_Lookup(view) for view in views]
    for dimension in first.dimensions:
        others = [d.name for d in first.dimensions if d is not dimension]
        if not {dimension.name, *others} <= set(first.margins):
            continue
        for label in first.labels(dimension.name):
            at = {dimension.name: label, **dict.fromkeys(others, ALL)}
            estimates: list[tuple[str, list[tuple[float, float]], Callable[[float], float]]] = []
            if first.kind == "moments":
                estimates = [("mean", list(_means(sites_told, at)), float)]
            elif label != ALL:
                whole = {**at, dimension.name: ALL}
                estimates = [(f, list(_logits(sites_told, f, at, whole)), _share) for f in COUNTS]
            found += [
                _compare((table, dimension.name, label, quantity), sites, back)
                for quantity, sites, back in estimates
                if len(sites) > 1
            ]
    return tuple(found)


def _share(value: float) -> float:
    return float(expit(value))


class _Lookup:
    """The told figures of one view; xarray's own look-up by label costs a hundred times more."""

    def __init__(self, view: Summary) -> None:
        self.places = [
            (d.name, {label: i for i, label in enumerate(view.labels(d.name))})
            for d in view.dimensions
        ]
        self.told = {
            f: np.where(np.isin(view.statuses[f].values, TOLD), view.data[f].values, np.nan)
            for f in view.fields
        }

    def __call__(self, field: str, at: dict[str, str]) -> float | None:
        value = float(self.told[field][tuple(places[at[name]] for name, places in self.places)])
        return None if math.isnan(value) else value


def _logits(
    sites: Sequence[_Lookup], field: str, at: dict[str, str], whole: dict[str, str]
) -> Iterator[tuple[float, float]]:
    for told in sites:
        part, total = told(field, at), told(field, whole)
        if part is None or not total:
            continue
        rest = max(total - part, 0.0)
        if part == 0 or rest == 0:
            part, rest = part + 0.5, rest + 0.5
        yield float(logit(part / (part + rest))), 1 / part + 1 / rest


def _means(sites: Sequence[_Lookup], at: dict[str, str]) -> Iterator[tuple[float, float]]:
    for told in sites:
        n, mean, sd = (told(field, at) for field in ("exams", "mean", "sd"))
        if n and mean is not None and sd:
            yield mean, sd**2 / n


def _compare(
    what: tuple[str, str, str, str],
    sites: Sequence[tuple[float, float]],
    back: Callable[[float], float],
) -> Heterogeneity:
    found = random_effects([y for y, _ in sites], [v for _, v in sites], hksj=True)
    numbers = [
        back(x)
        for x in (
            found.estimate,
            found.low,
            found.high,
            found.prediction_low,
            found.prediction_high,
        )
    ]
    kept = [float(f"{x:.{_DIGITS}g}") for x in (*numbers, found.tau2, found.i2)]
    return Heterogeneity(*what, len(sites), *kept)
