"""Server storage: results that are sent back to a server, and why it did not take some."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from workbench.archive.dimse_association import Peer, status_of
from workbench.archive.dimse_retrieval import streaming
from workbench.archive.instance_json import values_of
from workbench.archive.web_session import NotGiven, WebSession
from workbench.errors import ImageError, show

FAILED_LIST, FAILURE = "00081198", "00081197"
"""Tags of the instances that were not stored, and of the reason (PS3.18, 10.5.3)."""
REASONS = {
    0x0110: "processing failed",
    0x0111: "the instance is there already",
    0x0119: "class and instance contradict each other",
    0x0122: "the SOP class is not supported",
    0x0124: "not authorised",
    0xC122: "the transfer syntax is not supported",
}
_GROUPS = {0xA7: "out of resources", 0xA9: "the data set does not match the SOP class"}
_BOUNDARY = "workbench-7d1c0f1e9a54"


@dataclass(frozen=True)
class Receipt:
    """Say what a server took.

    Parameters
    ----------
    stored
        Files that it took.
    failed
        Files that it did not take, by reason.
    """

    stored: tuple[Path, ...]
    failed: Mapping[str, tuple[Path, ...]]


def reason_of(code: int) -> str:
    """Return what a status of storage means (PS3.4, B.2.3; PS3.18, 10.5.3).

    Examples
    --------
    >>> reason_of(0x0122), reason_of(0xA700), reason_of(0xC001)
    ('the SOP class is not supported', 'out of resources', 'it cannot be understood')
    """
    if code in REASONS:
        return REASONS[code]
    if code >> 8 in _GROUPS:
        return _GROUPS[code >> 8]
    return "it cannot be understood" if code >> 12 == 0xC else f"status {code:04X}"


def store_by_web(session: WebSession, paths: Iterable[Path | str]) -> Receipt:
    """Send files as they are (STOW-RS, PS3.18, 10.5), one in a request, streamed.

    Parameters
    ----------
    session
        The server, connected.
    paths
        DICOM files.

    Raises
    ------
    SiteError
        If the server cannot be used.
    ImageError
        If a file cannot be read.
    """
    url = session.access.url.rstrip("/") + "/studies"
    headers = {
        "Accept": "application/dicom+json",
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}',
    }

    def send(path: Path) -> int:
        def ask() -> int:
            with _open(path) as body:
                answer = session.session.post(url, data=body, headers=headers)
            # 409 says that nothing was stored; why stands in the answer all the same.
            if answer.status_code != 409:
                answer.raise_for_status()
            return _find_failure(answer.json() if answer.content else {}, answer.status_code)

        return session.persist(ask)

    sent: list[tuple[Path, str]] = []
    for path in map(Path, paths):
        try:
            code = send(path)
            sent.append((path, reason_of(code) if code else ""))
        except NotGiven as error:
            sent.append((path, str(error)))
    return _receipt(sent)


def _find_failure(answer: object, status: int) -> int:
    """Return the reason why the one instance of a request was not stored, or 0."""
    told: Any = answer[0] if isinstance(answer, list) and answer else answer
    failed = values_of(told.get(FAILED_LIST)) if isinstance(told, Mapping) else []
    if not failed:
        return 0x0110 if status == 409 else 0
    codes = values_of(failed[0].get(FAILURE)) if isinstance(failed[0], Mapping) else []
    return codes[0] if codes and isinstance(codes[0], int) else 0x0110


class _Body:
    """A file between the lines that make it the one part of a request; knows its length.

    Parameters
    ----------
    file
        Open; read from its start.
    size
        Its bytes.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        head = f"--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        tail = f"\r\n--{_BOUNDARY}--".encode()
        self._length = len(head) + size + len(tail)
        self._parts: list[BinaryIO] = [io.BytesIO(head), file, io.BytesIO(tail)]

    def __len__(self) -> int:
        return self._length

    def read(self, size: int = -1) -> bytes:
        while self._parts:
            if found := self._parts[0].read(size):
                return found
            self._parts.pop(0)
        return b""


@contextmanager
def _open(path: Path) -> Iterator[_Body]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise ImageError(
            f"The file cannot be read: {error.strerror}",
            where=show(str(path), 200),
            todo="Name a DICOM file",
        ) from None
    with file:
        yield _Body(file, path.stat().st_size)


def store_by_dimse(peer: Peer, paths: Iterable[Path | str]) -> Receipt:
    """Send files as they are (C-STORE, PS3.4, B).

    Parameters
    ----------
    peer
        The server.
    paths
        DICOM files.

    Raises
    ------
    SiteError
        If the server cannot be used.
    ImageError
        If a file cannot be read.
    """
    from pydicom.filereader import read_file_meta_info
    from pynetdicom import build_context

    sent: list[tuple[Path, str]] = []
    for path in map(Path, paths):
        try:
            meta = read_file_meta_info(path)
            sop_class, syntax = str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
        except (OSError, ValueError, AttributeError):
            raise ImageError(
                "The file is not DICOM, or cannot be read",
                where=show(str(path), 200),
                todo="Name a DICOM file",
            ) from None
        code = peer.persist(partial(_send, peer, path, build_context(sop_class, syntax)))
        sent.append((path, reason_of(code) if code and code >> 12 != 0xB else ""))
    return _receipt(sent)


def _send(peer: Peer, path: Path, context: Any) -> int:  # noqa: ANN401
    with peer.associate([context]) as association, streaming():
        if not association.accepted_contexts:
            return 0x0122
        return status_of(association.send_c_store(path))


def _receipt(sent: Sequence[tuple[Path, str]]) -> Receipt:
    reasons = sorted({reason for _, reason in sent if reason})
    failed = {r: tuple(path for path, reason in sent if reason == r) for r in reasons}
    return Receipt(tuple(path for path, reason in sent if not reason), failed)
