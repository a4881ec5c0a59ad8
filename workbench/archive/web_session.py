"""Web session: requests to one server, asked again while it stands still, refused by name."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from workbench.archive.multipart import BrokenAnswer
from workbench.archive.web_access import Access
from workbench.errors import SiteError, show

if TYPE_CHECKING:
    import requests

Answer = TypeVar("Answer")
PASSING = (408, 425, 429, 502, 503, 504)
"""HTTP states that say: try again later (RFC 9110, 15; RFC 6585)."""
FIRST_WAIT_S = 0.5
"""Wait before the first repetition, in seconds; it doubles each time."""
LONGEST_WAIT_S = 60.0
LATER = "Run the same command again later: it goes on where it was"


class NotGiven(Exception):  # noqa: N818 - it is what was asked for that is not given
    """Say that the server answers, but does not give what was asked for.

    Parameters
    ----------
    status
        HTTP state; 0 if the answer cannot be read.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status

    def __str__(self) -> str:
        return f"HTTP {self.status}" if self.status else "the answer cannot be read"


@dataclass(frozen=True)
class WebSession:
    """Send requests to a server; made by `open_session`.

    Parameters
    ----------
    access
        How the server is reached.
    session
        A `requests.Session`.
    """

    access: Access
    session: requests.Session = field(repr=False)

    def persist(self, ask: Callable[[], Answer]) -> Answer:
        """Return what `ask` returns, asking again while the server stands still.

        Parameters
        ----------
        ask
            Sends one request, and reads all of the answer.

        Raises
        ------
        SiteError
            If the server cannot be reached, stops, or refuses who asks.
        NotGiven
            If it answers that it does not give what was asked for.
        """
        wait = FIRST_WAIT_S
        for attempt in range(self.access.retries + 1):
            answers, problem, passing = self._try(ask)
            if problem is None:
                return answers[0]
            if not passing or attempt == self.access.retries:
                # Raised here, it is linked to no error that holds the request and its header.
                raise problem
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_S)
        raise AssertionError  # the last attempt returned or raised

    def _try(self, ask: Callable[[], Answer]) -> tuple[list[Answer], Exception | None, bool]:
        """Return the answer, or what is wrong and whether it may pass."""
        import requests

        try:
            return [ask()], None, False
        except requests.HTTPError as error:
            status = 0 if error.response is None else error.response.status_code
            return [], _judge(status), status in PASSING
        except requests.JSONDecodeError:
            return [], NotGiven(0), True
        except (requests.RequestException, BrokenAnswer) as error:
            reason = _find_refusal(error)
            if reason is None:
                return [], _explain(error), True
            problem = SiteError(
                f"The server's certificate is not trusted: {show(reason.verify_message)}",
                where="archive.url",
                todo="Name the authority's certificate: ca_file = '…'",
            )
            return [], problem, False


@contextmanager
def open_session(access: Access) -> Iterator[WebSession]:
    """Open connections to a server, and close them at the end."""
    session = _make_session(access)
    try:
        yield WebSession(access, session)
    finally:
        session.close()


def _judge(status: int) -> Exception:
    """Return what an HTTP state means."""
    if status == 401:
        return SiteError(
            "The server refuses user and password, or the token",
            where="archive.user, archive.password_file or archive.token_file",
            todo="Correct them; ask the server's administrator",
        )
    if status in (403, 407):
        return SiteError(
            f"The server does not allow this (HTTP {status})",
            where="archive.url",
            todo="Ask the server's administrator for the right to read, or to store",
        )
    if 300 <= status < 400:
        return SiteError(
            f"The server sends us elsewhere (HTTP {status})",
            where="archive.url",
            todo="Write the address that it sends to; redirections are not followed",
        )
    if status in PASSING:
        return SiteError(
            f"The server is not ready (HTTP {status})", where="archive.url", todo=LATER
        )
    return NotGiven(status)


def _explain(error: Exception) -> SiteError:
    import requests

    what = "The server stopped in the middle of an answer"
    if isinstance(error, requests.exceptions.SSLError):
        what = "No TLS connection can be made"
    elif isinstance(error, requests.Timeout):
        what = "The server does not answer in time"
    elif isinstance(error, requests.ConnectionError):
        what = "The server cannot be reached, or closed the connection"
    elif isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        what = "The address cannot be used"
    return SiteError(what, where="archive.url", todo=LATER)


def _find_refusal(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """Return our own refusal of a certificate that an error was made from."""
    waiting: list[object] = [error]
    for _ in range(50):
        if not waiting:
            break
        found = waiting.pop()
        if isinstance(found, ssl.SSLCertVerificationError):
            return found
        if isinstance(found, BaseException):
            waiting += [found.__cause__, found.__context__, *found.args]
            waiting.append(getattr(found, "reason", None))
    return None


def _make_session(access: Access) -> requests.Session:
    import requests

    class _Session(requests.Session):
        def request(self, method: Any, url: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override] # noqa: ANN401
            kwargs["timeout"] = access.timeout_s
            kwargs["allow_redirects"] = False
            response = super().request(method, url, **kwargs)
            if response.is_redirect:
                raise requests.HTTPError(response=response)
            return response

    class _Authorization(requests.auth.AuthBase):
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            header = access.authorization()
            if header is not None:
                request.headers["Authorization"] = header
            return request

    session = _Session()
    # Nothing but site.toml says who asks whom: no .netrc, no proxy and no authorities of elsewhere.
    session.trust_env = False
    session.auth = _Authorization()
    session.verify = str(access.ca_file) if access.ca_file and access.verify else access.verify
    if access.client_certificate is not None:
        certificate = str(access.client_certificate)
        session.cert = (certificate, str(access.client_key)) if access.client_key else certificate
    session.headers["User-Agent"] = "imaging-workbench"
    return session
