"""Release: check what a run may tell, have it approved, pack and sign it; withdraw it again.

There is no way to pack without the check. How a release is opened stands in `verification`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.disclosure.check import Checked, check
from workbench.disclosure.ledger import Ledger
from workbench.errors import ReleaseError
from workbench.exchange.approval import approve, make_approval, refuse_failed
from workbench.exchange.contents import write_folder
from workbench.exchange.envelope import RefusedError
from workbench.exchange.keys import Key, Pin, read_key, require_outside_repository
from workbench.exchange.manifest import (
    MANIFEST,
    Manifest,
    PolicyMark,
    RunMark,
    SiteMark,
    StudyMark,
    TableMark,
)
from workbench.exchange.offer import HasFolder, Offer, read_offer
from workbench.exchange.verification import (
    Release,
    Verified,
    find_releases,
    read_pins_of,
    read_signed,
    verify,
    verify_all,
)
from workbench.site import Site
from workbench.study import Study
from workbench.summaries.table import render_summary

__all__ = [
    "Checked",
    "RefusedError",
    "Release",
    "Verified",
    "check_release",
    "find_releases",
    "ledger_path",
    "pack",
    "verify",
    "verify_all",
    "withdraw",
]

SOFTWARE = ("python", "dask", "numpy", "pandas", "polars", "scipy", "xarray")
"""Packages whose version a manifest names; the lock names them all."""


def ledger_path(site: Site, run_folder: Path) -> Path:
    """Return where a site's ledger lies.

    Beside the site.toml of a real site, which must be outside of every git work tree. The ledger
    of a public or pretend site protects nobody, and lies with the runs, out of the repository.

    Raises
    ------
    ReleaseError
        If a real site lies in a git work tree.
    """
    return _ledger_path(site, run_folder.resolve().parents[2])


def _ledger_path(site: Site, runs: Path) -> Path:
    if site.kind != "real":
        return runs.resolve() / ".ledgers" / f"{site.id}.jsonl"
    path = site.folder / "ledger.jsonl"
    require_outside_repository(path, "The ledger of a real site")
    return path


def check_release(run: HasFolder | Path, study: Study, site: Site) -> Checked:
    """Return what of a run may leave, and what the check found.

    Parameters
    ----------
    run
        A finished run, or its folder.
    study, site
        What ran, and where.

    Returns
    -------
    Checked
        `views` are the tables that would be packed, `findings` what a person must look at.

    Raises
    ------
    ReleaseError
        If the run cannot be released at all: a sample, unfinished, or of another study or site.
    """
    offer = read_offer(run, study, site)
    ledger = _ledger(ledger_path(site, offer.folder))
    return check(offer.summaries, offer.policy, ledger.entries())


def pack(
    run: HasFolder | Path,
    study: Study,
    site: Site,
    *,
    out: Path,
    approver: str | None = None,
    reason: str | None = None,
    date: dt.date | None = None,
    today: dt.date | None = None,
) -> Release:
    """Check a run, and write what may leave as a signed release folder.

    The same tables give the same release again, and add nothing to the ledger; other tables give
    a release that supersedes the one in `out`. The ledger is written before the folder gets its
    name, so nothing can leave that is not in it.

    Parameters
    ----------
    run
        A finished run, or its folder.
    study, site
        What ran, and where; the site's key signs.
    out
        The release folder, such as `<study>/releases/<site>`.
    approver, reason, date
        Who approves the findings that need review, why, and when; needed only if there are any.
    today
        Date of the release; the current one in UTC.

    Returns
    -------
    Release

    Raises
    ------
    DisclosureError
        If a finding fails, or needs review and is not approved.
    ReleaseError
        If the run cannot be released at all, or the site has no key that may sign.
    """
    offer = read_offer(run, study, site)
    key = _signing_key(site)
    today = today or dt.datetime.now(dt.UTC).date()
    ledger = _ledger(ledger_path(site, offer.folder))
    packed = read_packed(out)
    if site.kind == "real" and packed and _label(packed) not in ledger.releases():
        raise ReleaseError(
            "The ledger does not know the release that was packed last",
            where=f"{ledger.path.name}, release {packed.id}",
            todo="Restore the ledger: without it nobody can tell what was released before",
        )
    last = _last(study, ledger.releases(), packed)
    checked = check(offer.summaries, offer.policy, ledger.entries())
    refuse_failed(checked.findings)
    manifest = _manifest(offer, study, site, key, checked)
    if manifest.content == last.id:
        with contextlib.suppress(RefusedError):  # what lies there is not whole: pack it again
            return verify(out, study, pins=[_own(site, key)])
    manifest = manifest.model_copy(
        update={
            "id": manifest.content,
            "counter": last.place + 1,
            "supersedes": last.id or None,
            "created": today,
            "reviews": approve(checked.findings, approver, reason, date, today),
        }
    )
    ledger.append(_label(manifest), offer.summaries, checked.views, offer.policy, today.isoformat())
    files = {name: render_summary(view) for name, view in checked.views.items()}
    write_folder(out, manifest, key, files)
    return verify(out, study, pins=[_own(site, key)])


def withdraw(
    study: Study,
    site: Site,
    *,
    out: Path,
    approver: str,
    reason: str,
    date: dt.date,
    today: dt.date | None = None,
    runs: Path = Path("runs"),
) -> Manifest:
    """Put a signed withdrawal in the place of a release.

    What was released stays in the site's ledger: it was seen. The withdrawal is written there too,
    so that its counter is never given again. The tables, the study's version and the key may have
    changed since the release.

    Parameters
    ----------
    study, site
        Whose release it is; the site's key signs.
    out
        The release folder.
    approver, reason, date
        Who withdraws, why, and when.
    today
        Date of the withdrawal; the current one in UTC.
    runs
        Where runs are kept; the ledger of a site that is not real lies there.

    Raises
    ------
    RefusedError
        If the folder holds no release of this study and site that was signed by a key of the
        site, or stands in its ledger; or if it is withdrawn already.
    """
    key = _signing_key(site)
    today = today or dt.datetime.now(dt.UTC).date()
    ledger = _ledger(_ledger_path(site, runs))
    known = ledger.releases()
    release = _packed_here(study, site, key, out, known)
    manifest = release.model_copy(
        update={
            "what": "withdrawal",
            "counter": _last(study, known, release).place + 1,
            "supersedes": release.id,
            "created": today,
            "key": key.id,
            "tables": {},
            "not_answered": {},
            "reviews": [],
            "run": None,
            "withdrawn": make_approval(approver, reason, date, today),
        }
    )
    manifest = manifest.model_copy(update={"id": manifest.content})
    ledger.withdraw(_label(manifest), today.isoformat())
    write_folder(out, manifest, key, {})
    return manifest


def _packed_here(study: Study, site: Site, key: Key, out: Path, known: Sequence[str]) -> Manifest:
    """Return the manifest of a release that this site made, whatever became of its tables."""
    pins = [_own(site, key), *(pin for pin in read_pins_of(study) if pin.id == site.id)]
    try:
        manifest = read_signed(out, pins)
    except RefusedError:
        packed = read_packed(out)
        if packed is None or _label(packed) not in known:
            raise
        manifest = packed
    where = f"{out.name}/{MANIFEST}"
    if (manifest.study.id, manifest.site.id) != (study.id, site.id):
        raise RefusedError(
            "other_release",
            f"The release is of {manifest.study.id} and {manifest.site.id}",
            where=where,
            todo=f"Name the release folder of {study.id} and {site.id}",
        )
    if manifest.what == "withdrawal":
        raise RefusedError(
            "withdrawn",
            f"The release was withdrawn on {manifest.created}",
            where=where,
            todo="Send the folder as it is",
        )
    return manifest


def read_packed(out: Path) -> Manifest | None:
    """Return the manifest in a release folder, unverified, or None if there is no folder.

    Raises
    ------
    RefusedError
        If there is a folder without a readable manifest.
    """
    if not out.exists():
        return None
    try:
        return Manifest.parse((out / MANIFEST).read_bytes())
    except OSError as error:
        raise ReleaseError(
            "The folder holds no release, and is left as it is",
            where=out.name,
            todo="Name another folder, or remove it",
        ) from error


@dataclass(frozen=True)
class _Last:
    """The last release of a study, as the release folder or else the ledger knows it."""

    place: int = 0
    id: str = ""


def _last(study: Study, known: Sequence[str], packed: Manifest | None) -> _Last:
    parts = [label.split(":") for label in known]
    places = {int(place): release for of, place, release in parts if of == study.id}
    last = _Last(max(places), places[max(places)]) if places else _Last()
    if packed is not None and packed.counter >= last.place:
        last = _Last(packed.counter, packed.id)
    return last


def _label(manifest: Manifest) -> str:
    """Return the name of a release or withdrawal in the ledger."""
    return f"{manifest.study.id}:{manifest.counter}:{manifest.id}"


def _ledger(path: Path) -> Ledger:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Ledger(path)


def _signing_key(site: Site) -> Key:
    if site.key is None or site.key_path is None:
        raise ReleaseError(
            "The site has no key to sign with",
            where="site.toml, key",
            todo="Make one with 'workbench key'",
        )
    key = read_key(site.key_path)
    if key.kind != site.key.kind or (key.kind == "real") != (site.kind == "real"):
        raise ReleaseError(
            f"A {site.kind} site cannot sign with a {key.kind} key",
            where="site.toml, key",
            todo="Real sites have real keys; public and pretend sites have demo keys",
        )
    return key


def _own(site: Site, key: Key) -> Pin:
    return Pin(
        id=site.id,
        name=site.name,
        public_key=key.public,
        kind=key.kind,
        valid_from=dt.date.min,
    )


def _manifest(offer: Offer, study: Study, site: Site, key: Key, checked: Checked) -> Manifest:
    record = offer.record
    tables = {}
    for name in offer.summaries:
        view = checked.views[name]
        content = render_summary(view)
        tables[name] = TableMark(
            kind=view.kind,
            sha256=hashlib.sha256(content).hexdigest(),
            bytes=len(content),
            suppressed=int((view.statuses["patients"] == "suppressed").sum()),
        )
    run = RunMark(
        id=record.run_id,
        parameters=record.parameters,
        workbench=record.workbench_digest,
        steps={step.step: step.key for step in record.steps},
        inputs={step.step: step.input_digest for step in record.steps if step.input_digest},
        software={
            "imaging-workbench": record.workbench_version,
            **{name: record.software[name] for name in SOFTWARE if name in record.software},
        },
    )
    return Manifest.model_construct(
        format="workbench-release/1",
        what="release",
        id="0" * 16,
        counter=1,
        supersedes=None,
        created=dt.date.min,
        key=key.id,
        study=StudyMark(id=study.id, version=study.version, digest=study.digest),
        site=SiteMark(id=site.id, name=site.name, kind=site.file.site.kind),
        policy=PolicyMark(**offer.policy.as_dict()),
        tables=tables,
        not_answered={name: dict(reason) for name, reason in offer.not_answered.items()},
        reviews=[],
        run=run,
        withdrawn=None,
    )
