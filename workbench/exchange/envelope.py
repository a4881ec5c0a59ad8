"""Canonical JSON and the signed envelope around it (DSSE)."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from workbench.errors import ReleaseError

PAYLOAD_TYPE = "application/vnd.workbench.release+json"
"""What the payload is; signed together with it, so it cannot be read as anything else."""

LIMIT = 4_000_000
"""Largest manifest or envelope, in bytes, that is opened at all."""


class RefusedError(ReleaseError):
    """A release is refused for one named reason.

    Parameters
    ----------
    reason
        Short code of the reason, such as "changed_file".
    what, where, todo
        As in `WorkbenchError`.

    Examples
    --------
    >>> RefusedError("changed_file", "The file is not what was signed", where="a.csv").reason
    'changed_file'
    """

    def __init__(self, reason: str, what: str, *, where: str = "", todo: str = "") -> None:
        super().__init__(what, where=where, todo=todo)
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the reason on the way between processes."""
        return _rebuild, (self.reason, self.what, self.where, self.todo)


def _rebuild(reason: str, what: str, where: str, todo: str) -> RefusedError:
    return RefusedError(reason, what, where=where, todo=todo)


@dataclass(frozen=True)
class Signature:
    """One signature of an envelope.

    Parameters
    ----------
    key
        Identifier of the key; a hint, never a proof.
    value
        The signature itself.
    """

    key: str
    value: bytes


@dataclass(frozen=True)
class Envelope:
    """A payload, what it is, and who signed it.

    Parameters
    ----------
    payload
        The signed bytes.
    payload_type
        What the bytes are.
    signatures
        At least one signature.
    """

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]


def canonical(value: object) -> bytes:
    r"""Return the one way to write a value as JSON: sorted keys, no spaces, UTF-8, one line.

    Parameters
    ----------
    value
        Mappings with text keys, lists, text, whole numbers, finite floats, booleans and None.

    Raises
    ------
    ReleaseError
        If the value holds NaN, an infinity, or something that JSON does not know.

    Examples
    --------
    >>> canonical({"b": [1, "é"], "a": None})
    b'{"a":null,"b":[1,"\xc3\xa9"]}\n'
    """
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return (text + "\n").encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ReleaseError(
            "A value cannot be written as canonical JSON",
            where=str(error)[:100],
            todo="Write text, whole numbers, finite floats, lists and mappings only",
        ) from error


def parse_canonical(content: bytes, where: str) -> Any:  # noqa: ANN401 - JSON is any of its types
    r"""Return the value of canonical JSON, and refuse every other way to write it.

    Raises
    ------
    RefusedError
        If the bytes are no JSON, or not the canonical bytes of what they say.

    Examples
    --------
    >>> parse_canonical(b'{"a":1}\n', "manifest.json")
    {'a': 1}
    """
    try:
        value = json.loads(content.decode("utf-8"), parse_float=_finite, parse_constant=_finite)
        again = canonical(value)
    except (ValueError, RecursionError, ReleaseError) as error:
        raise RefusedError(
            "unreadable",
            "The file is not JSON in UTF-8",
            where=where,
            todo="Fetch the file again, as it was packed",
        ) from error
    if again != content:
        raise RefusedError(
            "not_canonical",
            "The JSON is not in its canonical form",
            where=where,
            todo="Ask the site for the file as it was packed: sorted keys, no spaces",
        )
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed: DSSE's pre-authentication encoding.

    Source: DSSE protocol 1.0, "Signature Definition".

    Examples
    --------
    >>> pae("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def seal(payload: bytes, key: str, sign: Callable[[bytes], bytes]) -> bytes:
    """Return the envelope around a payload, as the bytes of its file.

    Parameters
    ----------
    payload
        The bytes to sign.
    key
        Identifier of the signing key.
    sign
        Makes a signature of bytes.
    """
    return canonical(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [
                {"keyid": key, "sig": base64.b64encode(sign(pae(PAYLOAD_TYPE, payload))).decode()}
            ],
        }
    )


def read_envelope(content: bytes, where: str = "envelope") -> Envelope:
    """Return an envelope from the bytes of its file; both base64 alphabets are read.

    Source: DSSE envelope 1.0, "Standard JSON envelope".

    Raises
    ------
    RefusedError
        If the file is too large, or not an envelope with at least one signature.
    """
    try:
        if len(content) > LIMIT:
            raise ValueError("too large")
        fields = json.loads(content.decode("utf-8"))
        signatures = tuple(
            Signature(str(one.get("keyid", "")), _base64(one["sig"]))
            for one in fields["signatures"]
        )
        payload_type = fields["payloadType"]
        payload = _base64(fields["payload"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RefusedError(
            "envelope_unreadable",
            "The envelope cannot be read",
            where=where,
            todo="Fetch it again, as the site signed it",
        ) from error
    if not signatures or not isinstance(payload_type, str):
        raise RefusedError(
            "envelope_unreadable",
            "The envelope holds no signature",
            where=where,
            todo="Fetch it again, as the site signed it",
        )
    return Envelope(payload, payload_type, signatures)


def _base64(text: str) -> bytes:
    try:
        standard = text.replace("-", "+").replace("_", "/")
        return base64.b64decode(standard, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def signers(
    envelope: Envelope, keys: Iterable[str], verify: Callable[[str, bytes, bytes], bool]
) -> set[str]:
    """Return which of the trusted keys signed an envelope.

    Parameters
    ----------
    envelope
        What was received.
    keys
        The trusted public keys.
    verify
        Says whether a key made a signature: `verify(key, signature, signed bytes)`.
    """
    signed = pae(envelope.payload_type, envelope.payload)
    return {
        key for key in keys if any(verify(key, one.value, signed) for one in envelope.signatures)
    }
