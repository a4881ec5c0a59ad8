"""Signing keys of sites, and the public keys that a study pins."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import errno
import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from pydantic import Field, model_validator

from workbench.definition.declaration import (
    Declared,
    Line,
    Name,
    Prose,
    read_toml,
    refusal,
    validate,
)
from workbench.errors import DefinitionError, ReleaseError, show, suggest
from workbench.running.disk import require_outside_repository

Kind = Literal["real", "demo"]

_HEADER = "Workbench-Key: "
_BEGIN = "-----BEGIN PRIVATE KEY-----"
_ABOUT = {
    "real": "Signs releases of this site. Keep it secret, and out of every repository.",
    "demo": "Published on purpose: it shows that files are whole, not who made them.",
}


@dataclass(frozen=True)
class Key:
    """A site's signing key (Ed25519, RFC 8032).

    Parameters
    ----------
    kind
        "real", or "demo" for a key that is published on purpose.
    public
        The public key: base64 of its 32 raw bytes.
    private
        The secret half; never shown.
    """

    kind: Kind
    public: str
    private: Ed25519PrivateKey = field(repr=False, compare=False)

    @property
    def id(self) -> str:
        """Identifier of the key: the first 16 hex digits of the public key's SHA-256."""
        return key_id(self.public)

    def sign(self, content: bytes) -> bytes:
        """Return the signature of some bytes."""
        return self.private.sign(content)


def make_key(path: Path, kind: Kind) -> Key:
    """Make a key and write it to a new file with mode 0600.

    Parameters
    ----------
    path
        The file; it must not exist.
    kind
        "real" keys are made outside of any git work tree, "demo" keys anywhere.

    Raises
    ------
    ReleaseError
        If the file exists, or a real key would lie in a git work tree.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     key = make_key(Path(folder, "site.key"), "demo")
    ...     key == read_key(Path(folder, "site.key"))
    True
    """
    if kind not in _ABOUT:
        raise ReleaseError(
            f"{show(kind)!r} is no kind of key", where="key kind", todo=suggest(show(kind), _ABOUT)
        )
    if kind == "real":
        require_outside_repository(path, "A real key")
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise ReleaseError(
            "No key was made: the key exists",
            where=str(path.absolute()),
            todo="Add --show to print it again; to rotate, name a new file in site.toml",
        ) from None
    except OSError as error:
        raise _not_made(path, error) from error
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(f"{_HEADER}{kind}\n{_ABOUT[kind]}\n{pem}")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _not_made(path, error) from error
    return _key(private, kind)


def _not_made(path: Path, error: OSError) -> ReleaseError:
    return ReleaseError(
        "No key was made",
        where=f"{path.absolute()}: {error.strerror}",
        todo="Name a folder that this user may write to, with room",
    )


def read_key(path: Path) -> Key:
    """Return the key in a file; what kind it is stands in the file itself.

    Raises
    ------
    ReleaseError
        If the file is missing or no key; if a real key can be read by others, or lies in a git
        work tree.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise OSError(errno.EINVAL, "not a plain file")
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(10_001)
    except OSError as error:
        raise ReleaseError(
            "The site's key cannot be opened",
            where=f"{path.name}: {error.strerror}",
            todo="Make one with 'workbench key', or correct [key] file in site.toml",
        ) from error
    try:
        head, begin, body = content.decode("ascii").partition(_BEGIN)
        kind = head.splitlines()[0].removeprefix(_HEADER) if head.startswith(_HEADER) else ""
        private = serialization.load_pem_private_key((begin + body).encode(), password=None)
    except (ValueError, IndexError, TypeError) as error:
        raise ReleaseError(
            "The file is no signing key", where=path.name, todo="Make one with 'workbench key'"
        ) from error
    if kind not in ("real", "demo") or not isinstance(private, Ed25519PrivateKey):
        raise ReleaseError(
            "The file is no signing key of the Workbench: it must be Ed25519 and say its kind",
            where=path.name,
            todo="Make one with 'workbench key'",
        )
    if kind == "real":
        require_outside_repository(path, "A real key")
        if stat.S_IMODE(mode) & 0o077:
            raise ReleaseError(
                "The site's key can be read by others",
                where=f"{path.name}, mode {stat.S_IMODE(mode):04o}",
                todo=f"chmod 600 {path.name}; if others may have read it, revoke it and rotate",
            )
        return _key(private, "real")
    return _key(private, "demo")


def _key(private: Ed25519PrivateKey, kind: Kind) -> Key:
    raw = private.public_key().public_bytes_raw()
    return Key(kind, base64.b64encode(raw).decode(), private)


def key_id(public: str) -> str:
    """Return the identifier of a public key.

    Examples
    --------
    >>> key_id("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    '21fe31dfa154a261'
    """
    return hashlib.sha256(read_public(public).public_bytes_raw()).hexdigest()[:16]


def read_public(text: str) -> Ed25519PublicKey:
    """Return a public key from base64 of its 32 raw bytes.

    Raises
    ------
    ReleaseError
        If the text is not such a key.
    """
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error) as error:
        raise ReleaseError(
            "The text is no public key",
            where=show(text),
            todo="Copy the line that 'workbench key' prints: base64 of 32 bytes",
        ) from error


def signed_by(public: str, signature: bytes, content: bytes) -> bool:
    """Say whether a public key made a signature of some bytes."""
    try:
        read_public(public).verify(signature, content)
    except InvalidSignature:
        return False
    return True


class Pin(Declared):
    """One public key that a study trusts for one site, and when; and how its data are cited."""

    id: Name
    name: Line
    public_key: Line
    kind: Kind
    valid_from: dt.date
    until: dt.date | None = None
    revoked: dt.date | None = None
    citation: Prose = ""

    @property
    def key(self) -> str:
        """Identifier of the key."""
        return key_id(self.public_key)

    @model_validator(mode="after")
    def _usable(self) -> Pin:
        try:
            read_public(self.public_key)
        except ReleaseError as error:
            raise refusal(error.what, error.todo) from error
        if self.until is not None and self.until < self.valid_from:
            raise refusal("'until' lies before 'valid_from'", "Correct one of them")
        return self


class _Pins(Declared):
    site: list[Pin] = Field(default_factory=list)


def read_pins(path: Path) -> tuple[Pin, ...]:
    """Return the keys that a study's `sites.toml` pins; a site has several when it rotates.

    Raises
    ------
    DefinitionError
        If the file is missing, broken, or pins one key twice.
    """
    pins = validate(_Pins, read_toml(path, DefinitionError), path.name, DefinitionError).site
    owners: dict[str, Pin] = {}
    for pin in pins:
        if owners.setdefault(pin.public_key, pin) is not pin:
            raise DefinitionError(
                "One public key is pinned twice",
                where=f"{path.name}: {owners[pin.public_key].id}, {pin.id}",
                todo="Give every site a key of its own",
            )
    return tuple(pins)
