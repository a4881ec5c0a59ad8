"""Web access: how a web server is reached, with which credentials, and what is refused."""

from __future__ import annotations

import base64
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from workbench.archive.credentials import check_private, read_secret
from workbench.errors import SiteError, show

PLAIN = "Patients' data would travel without TLS"
PLAIN_TODO = "plain = true only where the network itself is protected"


@dataclass(frozen=True)
class Access:
    """Say how a server is reached; holds paths of secrets, never a secret.

    Parameters
    ----------
    url
        Address that everything is below.
    user, password_file
        For HTTP Basic (RFC 7617).
    token_file
        For a bearer token (RFC 6750).
    ca_file
        Certificates that are trusted in place of the system's.
    client_certificate, client_key
        What we show ourselves.
    verify
        Whether the server's certificate is checked.
    timeout_s
        Longest silence, in seconds.
    retries
        How often a request is repeated.
    plain
        Whether images, never a secret, may travel without TLS.
    """

    url: str
    user: str = ""
    password_file: Path | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    verify: bool = True
    timeout_s: float = 60.0
    retries: int = 5
    plain: bool = False

    def authorization(self) -> str | None:
        """Return the header that shows who asks; its secret is read now.

        Raises
        ------
        SiteError
            If the file of the secret cannot be used.
        """
        if self.token_file is not None:
            return "Bearer " + read_secret(self.token_file, "token_file")
        if self.password_file is None:
            return None
        both = f"{self.user}:{read_secret(self.password_file, 'password_file')}"
        return "Basic " + base64.b64encode(both.encode("utf-8")).decode("ascii")


def check_access(access: Access) -> None:
    """Refuse what would show a secret, or patients, to anybody on the way.

    Parameters
    ----------
    access
        How a server is reached.

    Raises
    ------
    SiteError
        If a certificate is not checked, or a secret would travel without TLS, or anything where
        the site does not allow it by `plain`, unless the server is on this machine; or if a file
        is named without the one that belongs to it.
    """
    try:
        parts = urlsplit(access.url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        host = None
    secret = access.password_file is not None or access.token_file is not None
    problem: tuple[str, str, str] | None = None
    if not host or parts.scheme not in ("http", "https"):
        problem = ("The address is none of a web server", "url", "Write 'https://host/path'")
    elif parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        problem = (
            "The address holds more than host, port and path", "url",
            "Write the user as 'user', and the password into a file: 'password_file'",
        )  # fmt: skip
    elif parts.scheme == "https" and not access.verify and not is_here(host):
        problem = (
            "A server whose certificate is not checked can be anybody", "verify",
            "Remove 'verify', and name the authority's certificate: ca_file = '…'",
        )  # fmt: skip
    elif parts.scheme == "http" and secret and not is_here(host):
        problem = ("A secret would travel without TLS", "url", "Write 'https://…'")
    elif parts.scheme == "http" and not access.plain and not is_here(host):
        problem = (PLAIN, "url", f"Write 'https://…'; {PLAIN_TODO}")
    else:
        problem = _find_half(access)
    if problem is not None:
        raise SiteError(problem[0], where=f"archive.{problem[1]}", todo=problem[2])
    _require_files(access)


def _require_files(access: Access) -> None:
    """Refuse files that are not there, are no certificates, or are open to others."""
    for key in ("ca_file", "client_certificate", "client_key"):
        path: Path | None = getattr(access, key)
        if path is not None and not path.is_file():
            raise SiteError(
                "There is no such file",
                where=f"archive.{key}, {show(str(path), 200)}",
                todo="Correct the path",
            )
    if access.ca_file is not None:
        try:
            ssl.create_default_context(cafile=access.ca_file)
        except (ssl.SSLError, OSError):
            raise SiteError(
                "The file holds no certificate that can be read",
                where=f"archive.ca_file, {show(str(access.ca_file), 200)}",
                todo="Name a PEM file of the authority's certificate",
            ) from None
    if access.client_key is not None:
        check_private(access.client_key, "client_key")
    elif access.client_certificate is not None:  # the key stands in it too
        check_private(access.client_certificate, "client_certificate")


def _find_half(access: Access) -> tuple[str, str, str] | None:
    """Return what is said of credentials that misses its other half."""
    if bool(access.user) != (access.password_file is not None):
        return ("User and password belong together", "user", "Write both, or none")
    if access.token_file is not None and access.password_file is not None:
        return ("Either a password or a token", "token_file", "Remove one of them")
    if access.client_key is not None and access.client_certificate is None:
        return ("A key without certificate", "client_key", "Write 'client_certificate' too")
    return None


def is_here(host: str) -> bool:
    """Return whether a host is this machine.

    Examples
    --------
    >>> is_here("127.0.0.1"), is_here("::1"), is_here("127.0.0.1.pacs.example")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
