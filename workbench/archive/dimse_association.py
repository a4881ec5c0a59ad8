"""DIMSE association: one conversation with a DICOM server (PS3.7, PS3.8), and what ends it."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.archive.web_session import FIRST_WAIT_S, LATER, LONGEST_WAIT_S
from workbench.errors import SiteError

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom import AE
    from pynetdicom.association import Association
    from pynetdicom.presentation import PresentationContext

Result = TypeVar("Result")
STOPPED = "The server stopped in the middle of an answer"
UNREACHED = "The server cannot be reached"
PENDING = (0xFF00, 0xFF01)
MOST_CONTEXTS = 128
"""Presentation contexts of an association (PS3.8, 9.3.2.2: odd numbers up to 255)."""
SYNTAXES = (
    "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202",
    "1.2.840.10008.1.2.4.203", "1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.102",
    "1.2.840.10008.1.2.4.103", "1.2.840.10008.1.2.4.107", "1.2.840.10008.1.2.4.108",
)  # fmt: skip
"""Transfer syntaxes in which instances are taken, the likeliest first."""


class Broken(Exception):  # noqa: N818 - it is the conversation that is broken
    """Say that the conversation ended before its end; another one may help.

    Parameters
    ----------
    what
        What happened, as the first line of an error.
    """


@dataclass(frozen=True)
class Peer:
    """Name a DICOM server and ourselves.

    Parameters
    ----------
    host, port
        Where it listens.
    ae_title, calling_ae_title
        Its title and ours (PS3.8, 9.3.2).
    tls
        Whether the conversation is encrypted (PS3.15, B.1).
    ca_file
        Certificates that are trusted in place of the system's.
    client_certificate, client_key
        What we show ourselves.
    timeout_s
        Longest silence, in seconds.
    retries
        How often a conversation that broke is begun again.
    """

    host: str
    port: int
    ae_title: str
    calling_ae_title: str
    tls: bool = False
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    timeout_s: float = 60.0
    retries: int = 5

    def persist(self, ask: Callable[[], Result]) -> Result:
        """Return what `ask` returns, asking again while the conversation breaks.

        Raises
        ------
        SiteError
            If it always breaks.
        """
        wait, what = FIRST_WAIT_S, ""
        for attempt in range(self.retries + 1):
            if attempt:
                time.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT_S)
            try:
                return ask()
            except Broken as error:
                what = str(error)
        raise SiteError(what, where="archive.host", todo=LATER)

    def context(self, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> ssl.SSLContext:
        """Return how TLS is spoken; keys are read now.

        Raises
        ------
        SiteError
            If a certificate or key cannot be used.
        """
        try:
            context = ssl.create_default_context(
                purpose, cafile=None if self.ca_file is None else str(self.ca_file)
            )
            if self.client_certificate is not None:
                context.load_cert_chain(self.client_certificate, self.client_key)
        except (OSError, ValueError):
            raise SiteError(
                "A certificate or its key cannot be used",
                where="archive.ca_file, archive.client_certificate or archive.client_key",
                todo="Name PEM files, the key without a password",
            ) from None
        if purpose is ssl.Purpose.CLIENT_AUTH:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    @contextmanager
    def associate(
        self,
        contexts: Sequence[PresentationContext],
        *,
        take: Callable[[Any], int] | None = None,
    ) -> Iterator[Association]:
        """Open a conversation, and end it.

        Parameters
        ----------
        contexts
            What is proposed to be spoken of.
        take
            Called with each instance that the server sends in it, for C-GET.

        Raises
        ------
        SiteError
            If the server refuses us, or its certificate is not trusted.
        Broken
            If it cannot be reached, or ends the conversation.
        """
        from pynetdicom import build_role, evt

        entity = make_entity(self)
        handlers: list[Any] = [] if take is None else [(evt.EVT_C_STORE, take)]
        stored = {str(c.abstract_syntax) for c in contexts if is_storage(str(c.abstract_syntax))}
        roles = [build_role(uid, scp_role=True) for uid in sorted(stored)] if take else []
        association = entity.associate(
            self.host,
            self.port,
            contexts=list(contexts),
            ae_title=self.ae_title,
            ext_neg=list(roles),
            tls_args=(self.context(), self.host) if self.tls else None,
            evt_handlers=handlers,
        )
        if not association.is_established:
            self._explain(association)
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def _explain(self, association: Association) -> None:
        if association.is_rejected:
            raise SiteError(
                "The server refuses the conversation",
                where="archive.ae_title or archive.calling_ae_title",
                todo="Correct the titles; ask the server's administrator to add ours",
            )
        if self.tls and (reason := self._find_untrusted()):
            raise SiteError(
                f"The server's certificate is not trusted: {reason}",
                where="archive.ca_file",
                todo="Name the authority's certificate: ca_file = '…'",
            )
        raise Broken(UNREACHED)

    def _find_untrusted(self) -> str:
        """Return why the certificate is not trusted; pynetdicom keeps it to itself."""
        import socket

        try:
            with (
                socket.create_connection((self.host, self.port), self.timeout_s) as raw,
                self.context().wrap_socket(raw, server_hostname=self.host),
            ):
                return ""
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        except OSError:
            return ""


def make_entity(peer: Peer) -> AE:
    """Return our own side of a conversation."""
    from pynetdicom import AE

    # Its log tells identifiers, at its most talkative.
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
    entity = AE(peer.calling_ae_title)
    entity.connection_timeout = peer.timeout_s
    entity.acse_timeout = peer.timeout_s
    entity.dimse_timeout = peer.timeout_s
    entity.network_timeout = peer.timeout_s
    return entity


def is_storage(uid: str) -> bool:
    """Return whether a UID is not one of the services that search and retrieve."""
    return not uid.startswith(("1.2.840.10008.5.1.4.1.2.", "1.2.840.10008.1.1"))


def storage_contexts(classes: Sequence[str], most: int) -> list[PresentationContext]:
    """Return a context for each SOP class and transfer syntax, the likeliest first.

    An instance can only be sent as it is stored if its own syntax was agreed on by itself.

    Parameters
    ----------
    classes
        SOP classes.
    most
        Number of contexts that there is room for.
    """
    from pynetdicom import build_context

    pairs = [(uid, syntax) for syntax in SYNTAXES for uid in classes]
    return [build_context(uid, [syntax]) for uid, syntax in pairs[:most]]


def status_of(answer: Dataset) -> int:
    """Return the status of an answer.

    Raises
    ------
    Broken
        If there is none: the server no longer speaks.
    """
    if "Status" not in answer:
        raise Broken(STOPPED)
    return int(answer.Status)
