"""Pooling: combine verified releases; every figure has an interval that holds the truth.

A pooled count is the sum of what the sites tell, and lies between the sums of the bounds of each
site (`disclosure.intervals`). A count that a site hides is taken at the middle of its interval,
but never more than half a threshold above its low end; where every site hides it, it has no value,
only an interval. Patients known to two sites count once in each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench.errors import PoolingError, show
from workbench.exchange.consistency import COUNTS
from workbench.exchange.manifest import PolicyMark
from workbench.exchange.verification import Release
from workbench.pooled.file import read_pooled, write_pooled
from workbench.pooled.heterogeneity import compare_sites
from workbench.pooled.histogram import pool_histogram
from workbench.pooled.table import QUANTITY, Heterogeneity, Pooled, PooledTable, Used, blank, fill
from workbench.pooled.told import Told, stacked, told_by
from workbench.statistics.bounds import Bounds, mean_bounds, sd_bounds
from workbench.study import Output, Study

__all__ = ["Heterogeneity", "Pooled", "PooledTable", "pool", "read_pooled", "write_pooled"]

Array = NDArray[np.float64]


def pool(
    releases: Iterable[Release], study: Study, *, only: Collection[str] | None = None
) -> Pooled:
    """Combine the releases of several sites, or of one, into pooled tables.

    Parameters
    ----------
    releases
        What `verify` returned, one a site.
    study
        The study they are of.
    only
        Names of the tables to pool; None for all that are released.

    Returns
    -------
    Pooled
        The order of the releases makes no difference.

    Raises
    ------
    PoolingError
        If something is no verified release, if two are of one site or of another study, if demo
        and real keys are mixed, or if the sites ran with other parameters.
    """
    ordered = _together(releases, study)
    told = {release.site: told_by(release) for release in ordered}
    tables: dict[str, PooledTable] = {}
    apart: list[Heterogeneity] = []
    for output in study.released:
        sites = [told[r.site][output.name] for r in ordered if output.name in r.tables]
        if not sites or (only is not None and output.name not in only):
            continue
        tables[output.name] = PooledTable(
            output.name,
            output.kind,
            output.unit,
            sites[0].view.dimensions,
            _pool_table(sites, output),
            {r.site: r.not_answered[output.name] for r in ordered if output.name in r.not_answered},
        )
        apart += compare_sites(output.name, [site.view for site in sites])
    policies = [release.manifest.policy for release in ordered]
    return Pooled(
        ordered[0].manifest.study,
        PolicyMark(
            threshold=min(p.threshold for p in policies),
            rounding=min(p.rounding for p in policies),
            digits=max(p.digits for p in policies),
        ),
        ordered[0].kind,
        tuple(_used(release) for release in ordered),
        tables,
        tuple(apart),
    )


def list_used(releases: Iterable[Release], study: Study) -> tuple[Used, ...]:
    """Return which releases `pool` would use; what it refuses before it combines, this refuses.

    Parameters
    ----------
    releases, study
        As for `pool`.

    Returns
    -------
    tuple of Used
        By site.

    Raises
    ------
    PoolingError
        If `pool` would refuse them for what they are, not for what they hold.
    """
    return tuple(map(_used, _together(releases, study)))


def _together(releases: Iterable[Release], study: Study) -> list[Release]:
    given = list(releases)
    for release in given:
        if not isinstance(release, Release):
            raise PoolingError(
                "Only verified releases can be pooled",
                where=show(type(release).__name__),
                todo="Open them with verify",
            )
    if not given:
        raise PoolingError(
            "There is no release to pool",
            where="releases",
            todo="Put the folders that the sites sent there, and verify them",
        )
    ordered = sorted(given, key=lambda release: release.site)
    for before, release in pairwise(ordered):
        if before.site == release.site:
            raise PoolingError(
                f"There are two releases of {release.site}",
                where=release.site,
                todo="Pool one release a site",
            )
    if len({release.kind for release in ordered}) > 1:
        demo = [release.site for release in ordered if release.kind == "demo"]
        raise PoolingError(
            "Releases with demo keys cannot be pooled with real ones",
            where=", ".join(demo),
            todo="Pool them apart: a demo key does not say who made a release",
        )
    for release in ordered:
        if release.manifest.study.digest != study.digest:
            raise PoolingError(
                f"The release is not of {study.id} as it is defined here",
                where=release.site,
                todo="Pool it with the study it was verified with",
            )
        if _parameters(release) != _parameters(ordered[0]):
            raise PoolingError(
                "The sites ran the study with other parameters",
                where=f"{ordered[0].site}, {release.site}",
                todo="Run both with the same",
            )
    return ordered


def _parameters(release: Release) -> Mapping[str, object]:
    run = release.manifest.run
    return {} if run is None else run.parameters


def _used(release: Release) -> Used:
    manifest = release.manifest
    return Used(
        release=manifest.id,
        site=manifest.site.id,
        name=manifest.site.name,
        kind=manifest.site.kind,
        counter=manifest.counter,
        created=manifest.created,
        manifest=release.digest,
        run="" if manifest.run is None else manifest.run.id,
        verdict=release.verdict,
    )


def _pool_table(sites: Sequence[Told], output: Output) -> xr.Dataset:
    first = sites[0].view
    for site in sites:
        if (site.view.dimensions, site.view.margins) != (first.dimensions, first.margins):
            raise PoolingError(
                "The sites release other margins",
                where=f"{output.name}: {sites[0].site}, {site.site}",
                todo="Summarise with the same code at every site",
            )
    if output.kind == "histogram":
        return pool_histogram(sites)
    names = [d.name for d in first.dimensions]
    data = blank([*names, QUANTITY], [*(first.labels(name) for name in names), list(first.fields)])
    sizes = stacked(sites, "exams")
    for place, name in enumerate(first.fields):
        if name in COUNTS:
            bounds = stacked(sites, name)
            value = np.stack([site.estimate(name) for site in sites])
            hidden = np.stack([site.hidden(name) for site in sites])
            told_exactly = np.stack([site.view.statuses[name].values == "ok" for site in sites])
            fill(
                data,
                place,
                value.sum(axis=0),
                Bounds(bounds.low.sum(axis=0), bounds.high.sum(axis=0)),
                hidden=hidden,
                exact=told_exactly,
            )
        else:
            _fill_moment(data, place, name, sites, sizes)
    return data


def _fill_moment(
    data: xr.Dataset, place: int, name: str, sites: Sequence[Told], sizes: Bounds
) -> None:
    shape = (len(sites), -1)
    n = Bounds(sizes.low.reshape(shape), sizes.high.reshape(shape))
    mean, sd = (_opened(stacked(sites, field), shape) for field in ("mean", "sd"))
    bounds = mean_bounds(n, mean) if name == "mean" else sd_bounds(n, mean, sd)
    weight = np.stack([site.estimate("exams") for site in sites])
    means, sds = (np.stack([s.view.data[f].values for s in sites]) for f in ("mean", "sd"))
    hidden = np.stack([site.hidden(name) for site in sites]) & (sizes.high > 0)
    known = np.isfinite(means) & np.isfinite(sds)
    weight, means, sds = (np.where(known, x, 0.0) for x in (weight, means, sds))
    with np.errstate(invalid="ignore", divide="ignore"):
        value = (weight * means).sum(axis=0) / weight.sum(axis=0)
        if name == "sd":
            squares = np.maximum(weight - 1, 0) * sds**2 + weight * (means - value) ** 2
            value = np.sqrt(squares.sum(axis=0) / (weight.sum(axis=0) - 1))
    ends = Bounds(*(end.reshape(value.shape) for end in bounds))
    fill(data, place, value, ends, hidden=hidden, exact=np.zeros_like(hidden))
    nobody = (sizes.high == 0).all(axis=0)
    data["how"].values[..., place][nobody] = ""


def _opened(bounds: Bounds, shape: tuple[int, int]) -> Bounds:
    """Return bounds in which nothing known is everything possible."""
    low, high = (end.reshape(shape) for end in bounds)
    return Bounds(np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high))
