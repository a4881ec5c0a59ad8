"""Verification: open a release folder and name whatever is wrong with it, without a network."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from workbench.disclosure.policy import Policy
from workbench.errors import DefinitionError, ReleaseError, show
from workbench.exchange.conformance import policy_in_force
from workbench.exchange.contents import read_file, read_tables
from workbench.exchange.envelope import LIMIT, PAYLOAD_TYPE, RefusedError, read_envelope, signers
from workbench.exchange.keys import Pin, read_pins, signed_by
from workbench.exchange.manifest import ENVELOPE, MANIFEST, Manifest
from workbench.exchange.received import Received
from workbench.study import Study
from workbench.summaries.summary import Summary

VERDICTS = {"real": "integrity and origin", "demo": "integrity, not origin"}
"""What a good signature proves: a demo key is published, so anyone can sign with it."""

GRACE = dt.timedelta(days=30)
"""How long after its end a key's releases may be on their way to a centre with a list."""

_SEAL = object()

NO_RELEASES = ("pooled",)
"""Folders beside the releases that hold something else."""


@dataclass(frozen=True)
class Release:
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
    _seal: object = field(repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        """Refuse a release that `verify` did not make."""
        if self._seal is not _SEAL:
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

    @property
    def not_answered(self) -> Mapping[str, Mapping[str, str]]:
        """Reason by language, by output that the site cannot answer."""
        return {name: {**reason} for name, reason in self.manifest.not_answered.items()}

    @property
    def verdict(self) -> str:
        """What the signature proves."""
        return VERDICTS[self.kind]


@dataclass(frozen=True)
class Verified:
    """The releases of a study that passed, and why the others did not.

    Parameters
    ----------
    releases
        One a site, in the order of the sites' identifiers.
    refusals
        The refusal by name of the folder.
    """

    releases: tuple[Release, ...]
    refusals: Mapping[str, RefusedError]


def find_releases(study: Study) -> tuple[Path, ...]:
    """Return the release folders below the study's `releases`, one a site.

    A folder without a manifest is one too: `verify` says what it lacks.
    """
    folders = (study.folder / "releases").glob("[!.]*/")
    return tuple(sorted(p for p in folders if p.is_dir() and p.name not in NO_RELEASES))


def verify_all(folders: Iterable[Path], study: Study, received: Path | None = None) -> Verified:
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
    """
    today = dt.datetime.now(dt.UTC).date()
    log = None if received is None else Received(received)
    pins = read_pins_of(study)
    judged: dict[str, Release] = {}
    refusals: dict[str, RefusedError] = {}
    for folder in folders:
        try:
            judged[folder.name] = _judge(folder, study, log, pins, today)
        except RefusedError as error:
            refusals[folder.name] = error
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
                todo="Keep demo and real releases apart",
            )
    kept = []
    # Withdrawals first: a release that one of them names must not be received after it.
    for name in sorted(judged.keys() - refusals.keys(), key=lambda name: (name in passed, name)):
        try:
            kept.append(_accept(judged[name], log, today))
        except RefusedError as error:
            refusals[name] = error
    return Verified(tuple(sorted(kept, key=lambda release: release.site)), refusals)


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


def read_signed(folder: Path, pins: Iterable[Pin]) -> Manifest:
    """Return the manifest that one of the keys signed, whatever lies beside it.

    Raises
    ------
    RefusedError
        If manifest or envelope cannot be read, or none of the keys signed.
    """
    return _authentic(folder, pins)[1]


def _judge(
    folder: Path, study: Study, log: Received | None, pins: Iterable[Pin], today: dt.date
) -> Release:
    """Return a release, or a withdrawal as one without tables, that may be received."""
    content, manifest, signing = _authentic(folder, pins)
    pin = _trusted(manifest, signing, today)
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
    return Release(manifest, tables, pin.kind, digest, _seal=_SEAL)


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


def _authentic(folder: Path, pins: Iterable[Pin]) -> tuple[bytes, Manifest, tuple[Pin, ...]]:
    """Return the manifest that a trusted key signed, and the keys that did."""
    content, sealed = (read_file(folder, name, LIMIT) for name in (MANIFEST, ENVELOPE))
    envelope = read_envelope(sealed, ENVELOPE)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise RefusedError(
            "other_payload",
            f"The envelope holds {show(envelope.payload_type)}, not a release",
            where=ENVELOPE,
            todo="Fetch the release again, as the Workbench packed it",
        )
    if envelope.payload != content:
        raise RefusedError(
            "envelope_mismatch",
            "The manifest is not the one in the envelope",
            where=MANIFEST,
            todo=f"Fetch {MANIFEST} and {ENVELOPE} again, from one release",
        )
    pins = tuple(pins)
    keys = signers(envelope, [pin.public_key for pin in pins], signed_by)
    signing = tuple(pin for pin in pins if pin.public_key in keys)
    if not signing:
        hints = {one.key for one in envelope.signatures}
        if hints & {pin.key for pin in pins}:
            raise RefusedError(
                "bad_signature",
                "The signature is not that of the key it names",
                where=ENVELOPE,
                todo="Fetch the release again; if that does not help, ask the site who signed it",
            )
        raise RefusedError(
            "unknown_key",
            f"sites.toml pins no key {show(', '.join(sorted(hints)))}",
            where=ENVELOPE,
            todo="Pin the site's public key, after asking the site by another way",
        )
    return content, Manifest.parse(content), signing


def _trusted(manifest: Manifest, signing: tuple[Pin, ...], today: dt.date) -> Pin:
    where = f"{manifest.site.id}, key {manifest.key}"
    own = [pin for pin in signing if pin.id == manifest.site.id]
    if not own:
        raise RefusedError(
            "wrong_key",
            f"The key is that of {', '.join(pin.id for pin in signing)}",
            where=where,
            todo="A site signs for itself only",
        )
    pin = own[0]
    if manifest.key != pin.key:
        raise RefusedError(
            "wrong_key",
            "The manifest names another key",
            where=where,
            todo=f"Ask the site to pack it again with key {pin.key}",
        )
    if (manifest.site.kind == "real") != (pin.kind == "real"):
        raise RefusedError(
            "wrong_kind_of_key",
            f"A {manifest.site.kind} site signs with a {pin.kind} key",
            where=where,
            todo="Real sites have real keys; public and pretend sites have demo keys",
        )
    # The clocks of two sites may lie a time zone apart.
    if manifest.created > today + dt.timedelta(days=1):
        raise RefusedError(
            "from_the_future",
            f"It was made on {manifest.created}",
            where=where,
            todo="Set the clock here, or ask the site to set its own and pack again",
        )
    if manifest.created < pin.valid_from:
        raise RefusedError(
            "key_not_yet_valid",
            f"The key is valid from {pin.valid_from}",
            where=where,
            todo="Correct 'valid_from' in sites.toml, or ask the site to pack again",
        )
    if pin.until is not None and manifest.created > pin.until:
        raise RefusedError(
            "key_expired",
            f"The key was valid until {pin.until}",
            where=where,
            todo="Ask the site to release again with its new key",
        )
    return pin


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
