"""Reproduction: run every site again, and name each published number that moved."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench.errors import ReleaseError, WorkbenchError
from workbench.exchange.envelope import RefusedError
from workbench.exchange.manifest import MANIFEST, Manifest
from workbench.exchange.places import POOLED
from workbench.exchange.reproduced import Reproduced, write_reproduced
from workbench.exchange.verification import verify_all
from workbench.execution import run_study
from workbench.pooling import pool, read_pooled
from workbench.release import check_release, read_packed, verify
from workbench.site import Site, read_site
from workbench.study import Study
from workbench.summaries.summary import HIDDEN, Summary
from workbench.summaries.table import read_summary


@dataclass(frozen=True)
class Moved:
    """One published number that did not come out again.

    Parameters
    ----------
    site, table
        Where it stands.
    cell
        Its labels, as in "modality=CT, sex=all"; "" for a whole table.
    variable
        Name of the field; "" for a whole table.
    old, new
        As published, and as it came out now: a number, or the status of what is not told.
    tolerance
        How far it may move, relative to the published number.
    """

    site: str
    table: str
    cell: str
    variable: str
    old: float | str
    new: float | str
    tolerance: float

    def __str__(self) -> str:
        """Say it in one line."""
        place = ", ".join(filter(None, (self.site, self.table, self.cell, self.variable)))
        return f"{place}: {self.old} is now {self.new} (tolerance {self.tolerance:g})"


@dataclass(frozen=True)
class Reproduction:
    """What came of running the sites again.

    Parameters
    ----------
    moved
        Every number that moved.
    refusals
        By site, why its committed release does not verify, or there is none.
    compared
        Number of published numbers that were compared, by site.
    """

    moved: tuple[Moved, ...]
    refusals: Mapping[str, WorkbenchError]
    compared: Mapping[str, int]

    @property
    def reproduced(self) -> bool:
        """Whether all releases verify and no number moved."""
        return not self.moved and not self.refusals


def reproduce(
    study: Study,
    sites: Iterable[Path],
    releases: Path,
    *,
    progress: Callable[[str], None] | None = None,
) -> Reproduction:
    """Run each site again without the cache, and compare what would leave with what has left.

    The manifest, its times and its signature are verified, not compared. The parameters are those
    the release names. What a site released earlier is known to its ledger alone, so a later
    release that was made with one can hold back more than comes out here.

    Parameters
    ----------
    study
        The study; its declared tolerance holds.
    sites
        The site.toml of each site.
    releases
        Folder of the committed releases, one folder a site.
    progress
        Called with the identifier of each site as its run starts.
    """
    moved: list[Moved] = []
    refusals: dict[str, WorkbenchError] = {}
    compared: dict[str, int] = {}
    for path in sites:
        site = read_site(path)
        folder = releases / site.id
        try:
            verify(folder, study)
        except RefusedError as error:
            refusals[site.id] = error
        if progress is not None:
            progress(site.id)
        try:
            manifest = read_packed(folder)
        except ReleaseError:
            manifest = None  # the refusal says why; the tables are compared none the less
        if not folder.is_dir():
            continue
        views = _run_again(study, site, manifest)
        found = compare(folder, views, site=site.id, tolerance=study.tolerance)
        moved += found.moved
        refusals |= found.refusals
        compared |= found.compared
    if (releases / POOLED).is_dir():
        found = compare_pooled(study, releases)
        moved += found.moved
        refusals |= found.refusals
        compared |= found.compared
    return Reproduction(tuple(moved), refusals, compared)


def record(found: Reproduction, study: Study) -> Reproduced:
    """Write down what a reproduction found, for the readers of the study's page.

    Parameters
    ----------
    found
        What `reproduce` returned.
    study
        The study, in whose `releases/reproduced.json` it is written.

    Raises
    ------
    ExecutionError
        If the file cannot be written.
    """
    manifests = {
        site: hashlib.sha256((study.folder / "releases" / site / MANIFEST).read_bytes()).hexdigest()
        for site in found.compared
        if (study.folder / "releases" / site / MANIFEST).is_file()
    }
    told = Reproduced(
        date=dt.datetime.now(dt.UTC).date(),
        study=study.digest,
        compared=dict(found.compared),
        moved=len(found.moved) + len(found.refusals),
        manifests=manifests,
    )
    write_reproduced(told, study)
    return told


def compare_pooled(study: Study, releases: Path) -> Reproduction:
    """Pool the committed releases again, and compare with the committed pooled tables.

    Parameters
    ----------
    study
        The study; its declared tolerance holds.
    releases
        Folder of the committed releases, with the pooled tables in `pooled`.
    """
    folders = sorted(path.parent for path in releases.glob("*/manifest.json"))
    try:
        old = read_pooled(releases / POOLED).tables
        new = pool(verify_all(folders, study).releases, study).tables
    except WorkbenchError as error:
        return Reproduction((), {POOLED: error}, {})
    moved: list[Moved] = []
    count = 0
    for table in sorted(set(old) | set(new)):
        if table not in old or table not in new:
            states = ("published", "absent") if table in old else ("absent", "there")
            moved.append(Moved(POOLED, table, "", "", *states, study.tolerance))
            continue
        before, after = old[table].data, new[table].data
        if any(list(before[d].values) != list(after[d].values) for d in after.dims):
            states = ("other labels", "these labels")
            moved.append(Moved(POOLED, table, "", "", *states, study.tolerance))
            continue
        for end in ("value", "low", "high"):
            count += before[end].size
            for at in np.ndindex(*before[end].shape):
                was, now = (float(data[end].values[at]) for data in (before, after))
                if not _same(was, now, study.tolerance):
                    labels = zip(before[end].dims, at, strict=True)
                    cell = ", ".join(f"{d}={before[d].values[i]}" for d, i in labels)
                    moved.append(Moved(POOLED, table, cell, end, was, now, study.tolerance))
    return Reproduction(tuple(moved), {}, {POOLED: count})


def _run_again(study: Study, site: Site, manifest: Manifest | None) -> Mapping[str, Summary]:
    run = None if manifest is None else manifest.run
    with tempfile.TemporaryDirectory(prefix="reproduce-") as folder:
        again = run_study(
            study,
            site,
            {} if run is None else run.parameters,
            runs=Path(folder),
            use_cache=False,
        )
        return check_release(again, study, site).views


def compare(
    folder: Path, views: Mapping[str, Summary], *, site: str, tolerance: float
) -> Reproduction:
    """Compare the tables of a release folder with released views, number by number.

    Parameters
    ----------
    folder
        The release folder.
    views
        What came out now, by table.
    site
        Identifier of the site.
    tolerance
        How far a number may move, relative to the published one.

    Returns
    -------
    Reproduction
        `refusals` names tables that cannot be read.
    """
    moved: list[Moved] = []
    refusals: dict[str, ReleaseError] = {}
    count = 0
    published = {path.stem for path in folder.glob("*.csv")}
    for table in sorted(published | set(views)):
        if table not in published or table not in views:
            here = table in published
            states = ("published", "absent") if here else ("absent", "there")
            moved.append(Moved(site, table, "", "", *states, tolerance))
            continue
        try:
            old = read_summary(folder / f"{table}.csv")
        except ReleaseError as error:
            refusals[f"{site}/{table}"] = error
            continue
        if _frame(old) != _frame(views[table]):
            moved.append(Moved(site, table, "", "", "other labels", "these labels", tolerance))
            continue
        moved += _moved_cells(site, table, (old, views[table]), tolerance)
        count += sum(old.data[name].size for name in old.fields)
    return Reproduction(tuple(moved), refusals, {site: count})


def _frame(view: Summary) -> tuple[object, ...]:
    return view.kind, view.dimensions, view.margins, view.attributes, view.fields, view.exact


def _moved_cells(
    site: str, table: str, pair: tuple[Summary, Summary], tolerance: float
) -> Iterator[Moved]:
    old = pair[0]
    names = [d.name for d in old.dimensions]
    for field in old.fields:
        for at in np.ndindex(*old.data[field].shape):
            before, after = (_told(view, field, at) for view in pair)
            if _same(before, after, tolerance):
                continue
            labels = zip(names, at, strict=True)
            cell = ", ".join(f"{name}={old.labels(name)[i]}" for name, i in labels)
            yield Moved(site, table, cell, field, before, after, tolerance)


def _told(view: Summary, field: str, at: tuple[int, ...]) -> float | str:
    status = str(view.statuses[field].values[at])
    if status in HIDDEN:
        return status
    number: float = view.data[field].values[at].item()
    return number


def _same(old: float | str, new: float | str, tolerance: float) -> bool:
    if isinstance(old, str) or isinstance(new, str):
        return old == new
    if math.isnan(old) or math.isnan(new):
        return math.isnan(old) and math.isnan(new)
    return old == new or math.isclose(old, new, rel_tol=0.0, abs_tol=tolerance * abs(old))
