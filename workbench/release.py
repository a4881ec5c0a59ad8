"""Release: check what a run may tell, have it approved, pack and sign it; withdraw it again.

There is no way to pack without the check. How a release is opened stands in `verification`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import os
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import ReleaseError, show
from workbench.exchange.approval import approve, make_approval, refuse_failed
from workbench.exchange.checked import CheckedRun, check_release, ledger_of, open_ledger
from workbench.exchange.contents import write_folder
from workbench.exchange.envelope import RefusedError
from workbench.exchange.keys import Key, Pin, read_key
from workbench.exchange.manifest import (
    ENVELOPE,
    MANIFEST,
    Manifest,
    PolicyMark,
    RunMark,
    SiteMark,
    StudyMark,
    TableMark,
)
from workbench.exchange.offer import HasFolder
from workbench.exchange.trust import read_authentic
from workbench.exchange.verification import (
    Release,
    Verified,
    find_releases,
    read_pins_of,
    verify,
    verify_all,
)
from workbench.running.publication import RUNS
from workbench.site import Site
from workbench.study import Study

__all__ = [
    "CheckedRun",
    "RefusedError",
    "Release",
    "Verified",
    "check_release",
    "find_releases",
    "open_ledger",
    "pack",
    "verify",
    "verify_all",
    "withdraw",
]

SOFTWARE = ("python", "dask", "numpy", "pandas", "polars", "scipy", "xarray")
"""Packages whose version a manifest names; the lock names them all."""


def pack(
    run: CheckedRun | HasFolder | Path,
    study: Study,
    site: Site,
    *,
    out: Path,
    approver: str | None = None,
    reason: str | None = None,
    date: dt.date | None = None,
    today: dt.date | None = None,
) -> Release:
    """Write what may leave, as it was checked and shown, as a signed release folder.

    The same tables give the same release again, with its counter and date, and add nothing to the
    ledger, even if `out` is lost or broken; only under a new key do they get a new counter. Other
    tables give a release that supersedes the last one. The ledger is written before the folder
    gets its name, so nothing can leave that is not in it.

    Parameters
    ----------
    run
        What `check_release` returned, which is packed as it is; or a finished run, or its folder,
        which is checked first.
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
        If a finding fails, or needs review and is not approved; or if the ledger grew since the
        check, which then did not see all that was released.
    ReleaseError
        If the run cannot be released at all, or the site has no key that may sign.
    """
    key = _signing_key(site)
    today = today or dt.datetime.now(dt.UTC).date()
    checked = run if isinstance(run, CheckedRun) else check_release(run, study, site)
    files = checked.render(study, site)
    refuse_failed(checked.findings)
    offer = checked.offer
    ledger = ledger_of(checked, site)
    with ledger.locked():
        packed, known = read_packed(out), ledger.releases()
        if site.kind == "real" and packed and _label(packed) not in known:
            raise ReleaseError(
                "The ledger does not know the release that was packed last",
                where=f"{ledger.path.name}, release {packed.id}",
                todo="Restore the ledger: without it nobody can tell what was released before",
            )
        last = _last(study, known, packed)
        manifest = _manifest(checked, files, study, site, key)
        content = manifest.content
        lies_there = packed is not None and (packed.counter, packed.id) == (last.place, content)
        if lies_there:
            with contextlib.suppress(RefusedError):  # what lies there is not whole: pack it again
                return verify(out, study, pins=[_own(site, key)])
        rotated = lies_there and packed is not None and packed.key != key.id
        if content != last.id or rotated:
            last = _Last(last.place + 1, content, today, last.id if last.id != content else None)
        manifest = manifest.model_copy(
            update={
                "id": content,
                "counter": last.place,
                "supersedes": last.supersedes,
                "created": last.created,
                "reviews": approve(checked.findings, approver, reason, date, today),
            }
        )
        label, day = _label(manifest), last.created.isoformat()
        if label not in known:
            ledger.append(
                label, offer.summaries, checked.views, offer.policy, day, after=checked.after
            )
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
    runs: Path = RUNS,
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
    ledger = open_ledger(site, runs)
    with ledger.locked():
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


def _packed_here(study: Study, site: Site, key: Key, out: Path, known: Container[str]) -> Manifest:
    """Return the manifest of a release that this site made, whatever became of its tables."""
    pins = [_own(site, key), *(pin for pin in read_pins_of(study) if pin.id == site.id)]
    try:
        manifest = read_authentic(out, pins)[1]
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
        If the manifest cannot be read.
    ReleaseError
        If the folder holds no release, or something besides: it would be replaced as a whole.
    """
    try:
        if not os.path.lexists(out):
            return None
        manifest = Manifest.parse((out / MANIFEST).read_bytes())
        strange = [p.name for p in out.iterdir() if not _is_file_of_release(p)]
    except OSError as error:
        raise ReleaseError(
            "The folder holds no release, and is left as it is",
            where=f"{out.name}: {error.strerror}",
            todo="Name another folder, or remove it",
        ) from error
    if strange:
        raise ReleaseError(
            "The release folder holds something besides the release, and is left as it is",
            where=f"{out.name}/{show(min(strange))}",
            todo="Move it elsewhere",
        )
    return manifest


def _is_file_of_release(path: Path) -> bool:
    return path.is_file() and (path.name in (MANIFEST, ENVELOPE) or path.suffix == ".csv")


@dataclass(frozen=True)
class _Last:
    """The last release of a study, as the release folder or else the ledger knows it."""

    place: int = 0
    id: str | None = None
    created: dt.date = dt.date.min
    supersedes: str | None = None


def _last(study: Study, known: Mapping[str, str], packed: Manifest | None) -> _Last:
    last = _Last()
    for label, date in known.items():
        of, place, release = label.split(":")
        if of == study.id and int(place) > last.place:
            before = last.id if last.id != release else None  # the same under a new key
            last = _Last(int(place), release, dt.date.fromisoformat(date), before)
    if packed is not None and packed.counter > last.place:
        last = _Last(packed.counter, packed.id, packed.created, packed.supersedes)
    return last


def _label(manifest: Manifest) -> str:
    """Return the name of a release or withdrawal in the ledger."""
    return f"{manifest.study.id}:{manifest.counter}:{manifest.id}"


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


def _manifest(
    checked: CheckedRun, files: Mapping[str, bytes], study: Study, site: Site, key: Key
) -> Manifest:
    offer, record = checked.offer, checked.offer.record
    tables = {
        name: TableMark(
            kind=view.kind,
            sha256=hashlib.sha256(files[name]).hexdigest(),
            bytes=len(files[name]),
            suppressed=int((view.statuses["patients"] == "suppressed").sum()),
        )
        for name, view in checked.views.items()
    }
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
