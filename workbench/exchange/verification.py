"""Verification: open a release folder and name whatever is wrong with it, without a network."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from workbench.disclosure.policy import Policy
from workbench.display import Card, Displayed
from workbench.errors import DefinitionError, ReleaseError, show
from workbench.exchange.conformance import policy_in_force
from workbench.exchange.consistency import Ends, bound_tables
from workbench.exchange.contents import read_tables
from workbench.exchange.envelope import RefusedError
from workbench.exchange.keys import Pin, read_pins
from workbench.exchange.manifest import MANIFEST, Manifest
from workbench.exchange.places import POOLED, releases_of
from workbench.exchange.received import Received
from workbench.exchange.trust import choose_pin, read_authentic
from workbench.study import Study
from workbench.summaries.summary import Summary

VERDICTS = {"real": "integrity and origin", "demo": "integrity, not origin"}
"""What a good signature proves: a demo key is published, so anyone can sign with it."""

GRACE = dt.timedelta(days=30)
"""How long after its end a key's releases may be on their way to a centre with a list."""

_SEAL = object()


@dataclass(frozen=True, repr=False)
class Release(Displayed):
    """A release that passed verification; only `verify` makes one.

    Parameters
    ----------
    manifest
        What the site signed.
    tables
        Released views by name of the output.
    kind
        Kind of the key, "real" or "demo".
    digest
        SHA-256 of the manifest's bytes.
    """

    manifest: Manifest
    tables: Mapping[str, Summary]
    kind: Literal["real", "demo"]
    digest: str
    _seal: InitVar[object] = None

    def __post_init__(self, _seal: object) -> None:
        """Refuse a release that `verify` did not make, or that `replace` changed."""
        if _seal is not _SEAL:
            raise ReleaseError(
                "A release is not made by hand", where="Release", todo="Open it with verify"
            )

    @property
    def id(self) -> str:
        """Identifier of what the release holds."""
        return self.manifest.id

    @property
    def site(self) -> str:
        """Identifier of the site."""
        return self.manifest.site.id

    @property
    def policy(self) -> Policy:
        """The policy it was released under."""
        return Policy(**self.manifest.policy.model_dump())

    @cached_property
    def ends(self) -> Mapping[str, Ends]:
        """What each table leaves possible, the others considered; worked out once.

        Raises
        ------
        RefusedError
            If the tables contradict each other.
        """
        return bound_tables(self.tables, self.policy, where=self.site)

    @property
    def not_answered(self) -> Mapping[str, Mapping[str, str]]:
        """Reason by language, by output that the site cannot answer."""
        return {name: {**reason} for name, reason in self.manifest.not_answered.items()}

    @property
    def verdict(self) -> str:
        """What the signature proves."""
        return VERDICTS[self.kind]

    def _card(self) -> Card:
        manifest, policy = self.manifest, self.policy
        facts = {
            "study": f"{manifest.study.id} {manifest.study.version}",
            "release": f"{self.id}, counter {manifest.counter}, made on {manifest.created}",
            "verified": self.verdict,
            "policy": str(policy),
            "not answered": ", ".join(self.not_answered),
        }
        rows = [
            [
                name,
                view.kind,
                f"{int((view.statuses['patients'] != 'not_applicable').sum()):,}",
                f"{int((view.statuses['patients'] == 'suppressed').sum()):,}",
            ]
            for name, view in self.tables.items()
        ]
        return Card(manifest.site.name, facts, ["table", "kind", "cells", "suppressed"], rows)


@dataclass(frozen=True)
class Verified:
    """The releases of a study that passed, and why the others did not.

    Parameters
    ----------
    releases
        One a site, in the order of the sites' identifiers.
    refusals
        The refusal by name of the folder; by its path where several have one name.
    """

    releases: tuple[Release, ...]
    refusals: Mapping[str, RefusedError]


def find_releases(study: Study) -> tuple[Path, ...]:
    """Return the release folders below the study's `releases`, one a site.

    A folder without a manifest is one too: `verify` says what it lacks.

    Raises
    ------
    ReleaseError
        If the folder cannot be read.
    """
    place = releases_of(study)
    if not place.exists():
        return ()
    try:
        found = [path for path in place.iterdir() if path.is_dir()]
    except OSError as error:
        raise ReleaseError(
            f"The releases cannot be listed: {error.strerror}",
            where=str(place),
            todo="Let this user read the folder",
        ) from error
    return tuple(sorted(p for p in found if p.name != POOLED and not p.name.startswith(".")))


def verify_all(
    folders: Iterable[Path], study: Study, received: Path | None = None, *, record: bool = True
) -> Verified:
    """Verify several releases, and refuse those that cannot stand side by side.

    Of two releases of one site neither is taken. If a release is signed by a real key, those
    signed by demo keys are refused. Only what is taken is written to the list of received
    releases, and withdrawals.

    Parameters
    ----------
    folders
        Release folders.
    study, received
        As for `verify`.
    record
        False to look without receiving: nothing is written to the list.
    """
    today = dt.datetime.now(dt.UTC).date()
    log = None if received is None else Received(received, record)
    pins = read_pins_of(study)
    judged: dict[str, Release] = {}
    refusals: dict[str, RefusedError] = {}
    for name, folder in _named(folders).items():
        try:
            judged[name] = _judge(folder, study, log, pins, today)
        except RefusedError as error:
            refusals[name] = error
    passed = {n: release for n, release in judged.items() if release.manifest.what == "release"}
    sites = [release.site for release in passed.values()]
    real = any(release.kind == "real" for release in passed.values())
    for name, release in passed.items():
        if sites.count(release.site) > 1:
            refusals[name] = RefusedError(
                "duplicate_site",
                f"There are two releases of {release.site}",
                where=name,
                todo="Keep the latest one",
            )
        elif real and release.kind == "demo":
            refusals[name] = RefusedError(
                "demo_among_real",
                "A release signed by a published key stands among real ones",
                where=name,
                todo="Take the demo sites out of sites.toml and releases, or start your own study "
                "with 'workbench new'",
            )
    kept = []
    # Withdrawals first: a release that one of them names must not be received after it.
    for name in sorted(judged.keys() - refusals.keys(), key=lambda name: (name in passed, name)):
        try:
            kept.append(_accept(judged[name], log, today))
        except RefusedError as error:
            refusals[name] = error
    return Verified(tuple(sorted(kept, key=lambda release: release.site)), refusals)


def _named(folders: Iterable[Path]) -> dict[str, Path]:
    """Return folders by name; by path where several have one name."""
    given = list(dict.fromkeys(folder.absolute() for folder in folders))
    names = Counter(folder.name for folder in given)
    return {f.name if names[f.name] == 1 else str(f): f for f in given}


def verify(
    folder: Path, study: Study, received: Path | None = None, *, pins: Iterable[Pin] | None = None
) -> Release:
    """Open a release and refuse it if anything is wrong with it.

    Parameters
    ----------
    folder
        The release folder.
    study
        The study it must be of; its `sites.toml` says whose keys are trusted.
    received
        The centre's list of accepted releases, `received.jsonl`. The release is judged against
        it, and written to it once it is accepted; so is a withdrawal. None where there is no such
        list: then a replay, a release that was withdrawn or superseded later, or one dated back
        to when an expired key was good, cannot be seen.
    pins
        Trusted keys in place of `sites.toml`.

    Returns
    -------
    Release

    Raises
    ------
    RefusedError
        With a `reason` for each way to be wrong.
    """
    today = dt.datetime.now(dt.UTC).date()
    log = None if received is None else Received(received)
    pins = read_pins_of(study) if pins is None else pins
    return _accept(_judge(folder, study, log, pins, today), log, today)


def _judge(
    folder: Path, study: Study, log: Received | None, pins: Iterable[Pin], today: dt.date
) -> Release:
    """Return a release, or a withdrawal as one without tables, that may be received."""
    content, manifest, signing = read_authentic(folder, pins)
    pin = choose_pin(manifest, signing, today)
    known = None if log is None else log.judge(manifest)
    if pin.revoked is not None and not (known and known.received < pin.revoked):
        raise RefusedError(
            "key_revoked",
            f"The key was revoked on {pin.revoked}, and the release not received before",
            where=f"{manifest.site.id}, key {manifest.key}",
            todo="Ask the site to release again with its new key",
        )
    # The date inside is the signer's word; that a release comes long after the key is not.
    if log is not None and known is None and pin.until is not None and today > pin.until + GRACE:
        raise RefusedError(
            "key_expired",
            f"The key was valid until {pin.until}, and the release not received by then",
            where=f"{manifest.site.id}, key {manifest.key}",
            todo="Ask the site to release again with its new key",
        )
    _require_study(manifest, study)
    tables: dict[str, Summary] = {}
    if manifest.what == "release":
        _require_definition(manifest, study)
        policy = policy_in_force(manifest.policy, study)
        tables = read_tables(folder, manifest, study, policy)
    digest = hashlib.sha256(content).hexdigest()
    release = Release(manifest, tables, pin.kind, digest, _seal=_SEAL)
    _ = release.ends  # refuses tables that contradict each other
    return release


def _accept(release: Release, log: Received | None, today: dt.date) -> Release:
    """Write down what was received; refuse a withdrawal only after that."""
    manifest = release.manifest
    if log is not None:
        log.append(manifest, today)
    if manifest.withdrawn is not None:
        by = manifest.withdrawn
        raise RefusedError(
            "withdrawn",
            f"The site withdrew this release on {by.date}: {show(by.reason, 200)}",
            where=f"{manifest.site.id}, release {manifest.supersedes}",
            todo="Take it out of what was pooled; wait for the site's next release",
        )
    return release


def read_pins_of(study: Study) -> tuple[Pin, ...]:
    """Return the keys that a study's `sites.toml` pins; none where there is no such file."""
    path = study.folder / "sites.toml"
    return read_pins(path) if path.exists() else ()


def _require_study(manifest: Manifest, study: Study) -> None:
    if manifest.study.id != study.id:
        raise RefusedError(
            "other_study",
            f"The release is not of {study.id}",
            where=f"{MANIFEST}: {manifest.study.id} {manifest.study.version}",
            todo=f"Verify it with the study {manifest.study.id}",
        )


def _require_definition(manifest: Manifest, study: Study) -> None:
    if (manifest.study.version, manifest.study.digest) != (study.version, study.digest):
        raise RefusedError(
            "other_study_version",
            f"The release is not of {study.id} {study.version} as it is defined here",
            where=f"{MANIFEST}: {manifest.study.id} {manifest.study.version}",
            todo="Run the study again at the site, or check out the version it ran",
        )
    if manifest.run is not None:
        try:
            study.parameter_values(manifest.run.parameters)
        except DefinitionError as error:
            raise RefusedError(
                "other_parameters",
                error.what,
                where=MANIFEST,
                todo=error.todo or "Run the study again at the site, with parameters it allows",
            ) from error
