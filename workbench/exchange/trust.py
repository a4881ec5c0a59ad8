"""Trust: which pinned key signed a release, and whether it may."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from pathlib import Path

from workbench.errors import show
from workbench.exchange.contents import read_file
from workbench.exchange.envelope import LIMIT, PAYLOAD_TYPE, RefusedError, read_envelope, signers
from workbench.exchange.keys import Pin, signed_by
from workbench.exchange.manifest import ENVELOPE, MANIFEST, Manifest


def read_authentic(folder: Path, pins: Iterable[Pin]) -> tuple[bytes, Manifest, tuple[Pin, ...]]:
    """Return the manifest that a trusted key signed, with its bytes, and the keys that did.

    Parameters
    ----------
    folder
        The release folder; what else lies there is not looked at.
    pins
        Trusted keys.

    Raises
    ------
    RefusedError
        If manifest or envelope cannot be read, or none of the keys signed.
    """
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


def choose_pin(manifest: Manifest, signing: tuple[Pin, ...], today: dt.date) -> Pin:
    """Return the key that a manifest was rightly signed with.

    Parameters
    ----------
    manifest
        What was signed.
    signing
        The trusted keys that signed it.
    today
        The current date in UTC.

    Raises
    ------
    RefusedError
        If it is another site's key, of the wrong kind, or not valid when the release was made.
    """
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
