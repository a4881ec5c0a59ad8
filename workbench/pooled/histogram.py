"""Pooled histogram: the finest bins that every site tells, and the quantiles of all sites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench.exchange.consistency import COUNTS
from workbench.pooled.quantiles import (
    Nodes,
    count_sides,
    holds_threshold,
    quantile_ends,
    read_off,
)
from workbench.pooled.table import QUANTITY, blank, fill
from workbench.pooled.told import Told
from workbench.statistics.bounds import Bounds
from workbench.summaries.grid import Grid, merge_bounds, whole_numbers
from workbench.summaries.histogram import grid_of

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
_NOTHING = {"value": np.nan, "low": np.nan, "high": np.nan, "how": "", "n_sites": 0} | {
    "n_suppressed": 0
}
QUANTILES = {"p10": 0.1, "p25": 0.25, "median": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95}
"""Quantiles that are read from a pooled histogram (numpy's method "linear", R-7)."""


def pool_histogram(sites: Sequence[Told]) -> xr.Dataset:
    """Return the pooled data of a histogram.

    In each cell of the other dimensions the bins are the finest cut of the grid to which the bins
    of every site that tells something can be merged; the root, the whole line, is told as well,
    and holds the quantiles. Exams of merged bins are added. A patient can be in both halves, so
    the patients of a merged bin lie anywhere between the larger half and the sum. The quantiles
    need no merging: each site's own bins bound how many of its exams lie below each edge. One is
    given only where the threshold of exams and of patients lies on both sides of it, and where at
    least one end of it is known. Of whole numbers the bin [a, b) holds a to b - 1: there the
    quantile is read as one of these, and is exact where both ends are the same.

    Parameters
    ----------
    sites
        The table as each site tells it.
    """
    first = sites[0].view
    tree = grid_of(first)
    names = [d.name for d in first.dimensions]
    labels = [first.labels(name) for name in names]
    data = blank([*names, QUANTITY], [*labels, [*COUNTS, *QUANTILES]])
    merged = {name: [_merge(site, name, tree) for site in sites] for name in COUNTS}
    for place, parts in enumerate(merged.values()):
        low, high, value = (
            np.sum([getattr(m, end) for m in parts], axis=0) for end in ("low", "high", "value")
        )
        said = {
            what: np.stack([getattr(m, what) for m in parts])
            for what in ("hidden", "exact", "silent")
        }
        fill(data, place, value, Bounds(low, high), **said)
    whole = whole_numbers(first.attributes["unit"], tree.edges)
    _fill_quantiles(data, tree, sites, merged["exams"], whole=whole)
    spoken = [_spoken(site) for site in sites]
    telling = [_tells(site) for site in sites]
    dropped = np.zeros([len(axis) for axis in labels], bool)
    for cell in np.ndindex(*(len(axis) for axis in labels[:-1])):
        cuts = [
            [tree.nodes[i] for i in np.flatnonzero(cut[cell])]
            for cut, tells in zip(spoken, telling, strict=True)
            if tells[cell]
        ]
        kept = {tree.root, *(tree.common_cut(cuts) if cuts else ())}
        dropped[cell] = [node not in kept for node in tree.nodes]
    for name, nothing in _NOTHING.items():
        data[name].values[dropped] = nothing
    return data


def _fill_quantiles(
    data: xr.Dataset,
    tree: Grid,
    sites: Sequence[Told],
    exams: Sequence[_Merged],
    *,
    whole: bool,
) -> None:
    nodes = [_nodes(site, part) for site, part in zip(sites, exams, strict=True)]
    sides = [count_sides(tree, one) for one in nodes]
    below, above = (
        Bounds(*(np.sum([side[i][end] for side in sides], axis=0) for end in range(2)))
        for i in range(2)
    )
    value = np.sum([one.value for one in nodes], axis=0)
    least = np.sum([one.whole.low for one in nodes], axis=0)
    threshold = max(site.threshold for site in sites)
    for cell in np.ndindex(*least.shape):
        under, over = (Bounds(side.low[cell], side.high[cell]) for side in (below, above))
        patients = [one.patients[cell] for one in nodes]
        for place, q in enumerate(QUANTILES.values(), start=len(COUNTS)):
            low, high = quantile_ends(tree.edges, under, over, q)
            read = float(np.clip(read_off(tree, value[cell], q), low, high))
            if np.isinf([low, high]).all() or not holds_threshold(
                tree, patients, least=least[cell], place=read, q=q, threshold=threshold
            ):
                continue
            if whole:  # k fills (k, k + 1]
                high -= 1
                read = float(np.clip(np.ceil(read) - 1, low, high))
            _put(data, (*cell, 0, place), {"value": read, "low": low, "high": high})
            _put(data, (*cell, 0, place), _origin(data, (*cell, 0, 0), known=low == high))


def _nodes(site: Told, exams: _Merged) -> Nodes:
    spoken, told = _spoken(site), ~site.hidden("patients")
    ends = (np.where(spoken, end, 0.0) for end in (site.low["exams"], site.high["exams"]))
    return Nodes(
        Bounds(*ends),
        Bounds(exams.low[..., 0], exams.high[..., 0]),
        np.where(spoken, site.estimate("exams"), 0.0),
        np.where(spoken & told, site.low["patients"], 0.0),
    )


@dataclass(frozen=True)
class _Merged:
    """One count of one site at every node of the grid."""

    low: Array
    high: Array
    value: Array
    hidden: Mask
    exact: Mask
    silent: Mask


def _spoken(site: Told) -> Mask:
    """Return which nodes the site speaks of: its cut, in each cell."""
    return np.asarray(site.view.statuses["patients"].values != "not_applicable")


def _tells(site: Told) -> Mask:
    """Return in which cells the site tells more than that nobody, or too few, are there."""
    divided = _spoken(site)[..., 1:].any(axis=-1)
    told = ~site.hidden("patients")[..., 0] & (site.high["patients"].values[..., 0] > 0)
    return np.asarray(divided | told)


def _merge(site: Told, name: str, tree: Grid) -> _Merged:
    distinct = name == "patients"
    ends = merge_bounds(tree, site.low[name], site.high[name], tree.nodes, distinct=distinct)
    low, high = (end.values.copy() for end in ends)
    high = np.minimum(high, site.most[name].values)
    spoken = _spoken(site)
    value = np.where(spoken, site.estimate(name), np.nan)
    hidden = site.hidden(name) & spoken
    silent = hidden.copy()
    exact = (site.view.statuses[name].values == "ok") & spoken
    place = {node: i for i, node in enumerate(tree.nodes)}
    divided = [(i, [place[h] for h in tree.children(n)]) for n, i in place.items()]
    divided = [(i, halves) for i, halves in divided if halves]
    for i, halves in reversed(divided):  # above the cut: what its halves add up to
        above = np.isnan(value[..., i]) & ~np.isnan(value[..., halves]).any(axis=-1)
        total = value[..., halves].sum(axis=-1)
        if distinct:
            total = (total + value[..., halves].max(axis=-1)) / 2
        value[..., i] = np.where(above, total, value[..., i])
        hidden[..., i] |= above & (hidden[..., halves].any(axis=-1) | distinct)
        silent[..., i] |= above & silent[..., halves].all(axis=-1)
        exact[..., i] |= above & exact[..., halves].all(axis=-1)
    for i, halves in divided:  # below the cut: anything from nothing to the whole
        for half, other in (halves, halves[::-1]):
            rest = 0.0 if distinct else np.nan_to_num(low[..., other])
            high[..., half] = np.minimum(high[..., half], high[..., i] - rest)
            below = np.isnan(value[..., half])
            low[..., half] = np.where(below, 0.0, low[..., half])
            high[..., half] = np.where(below, high[..., i], high[..., half])
            value[..., half] = np.where(below, 0.0, value[..., half])
            hidden[..., half] |= below & (high[..., i] > 0)
            silent[..., half] |= below & (high[..., i] > 0)
            exact[..., half] |= below & (high[..., i] == 0)
    return _Merged(low, high, np.clip(value, low, high), hidden, exact, silent)


def _put(data: xr.Dataset, at: tuple[int, ...], figure: Mapping[str, object]) -> None:
    for name, value in figure.items():
        data[name].values[at] = value


def _origin(data: xr.Dataset, at: tuple[int, ...], *, known: bool) -> dict[str, object]:
    """Return how a quantile came about: as the exams did, but only one that is known is exact."""
    how = str(data["how"].values[at])
    sites = {name: data[name].values[at] for name in ("n_sites", "n_suppressed")}
    return {"how": "exact" if known else "rounded" if how == "exact" else how, **sites}
