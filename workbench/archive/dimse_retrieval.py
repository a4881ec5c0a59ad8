"""DIMSE retrieval: instances that a DICOM server sends us, written as they come (PS3.4, C.4)."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from ssl import Purpose
from typing import TYPE_CHECKING, Any

from workbench.archive.dimse_association import (
    MOST_CONTEXTS,
    PENDING,
    STOPPED,
    SYNTAXES,
    Broken,
    Peer,
    make_entity,
    status_of,
    storage_contexts,
)
from workbench.errors import SiteError, show

if TYPE_CHECKING:
    from pydicom import Dataset

GET, MOVE = "1.2.840.10008.5.1.4.1.2.2.3", "1.2.840.10008.5.1.4.1.2.2.2"
"""Study root retrieval (PS3.4, C.6.2)."""
TAKEN, NO_ROOM, NOT_ASKED = 0x0000, 0xA700, 0x0124
"""Our answers to an instance that is sent (PS3.4, B.2.3; PS3.7, C)."""
_streaming = threading.Lock()


@dataclass(frozen=True)
class Wanted:
    """Say what to retrieve.

    Parameters
    ----------
    exam_uid, series_uid
        The exam, or one series of it.
    classes
        SOP classes of its instances.
    instances
        Its instances: nothing else is taken, whoever sends it.
    """

    exam_uid: str
    series_uid: str
    classes: tuple[str, ...]
    instances: frozenset[str]

    def identifier(self) -> Dataset:
        """Return what the server is asked for."""
        from pydicom import Dataset

        asked = Dataset()
        asked.QueryRetrieveLevel = "SERIES" if self.series_uid else "STUDY"
        asked.StudyInstanceUID = self.exam_uid
        if self.series_uid:
            asked.SeriesInstanceUID = self.series_uid
        return asked


@dataclass
class _Taken:
    """Take instances into a folder until it is full."""

    wanted: Wanted
    folder: Path
    room: int
    paths: dict[str, Path] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, event: Any) -> int:  # noqa: ANN401 - pynetdicom's event
        """Keep the file that an instance was written to, or remove it."""
        path: Path = event.dataset_path
        uid = str(event.request.AffectedSOPInstanceUID)
        with self.lock:
            if uid not in self.wanted.instances:
                path.unlink()
                return NOT_ASKED
            self.room -= path.stat().st_size
            if self.room < 0:
                path.unlink()
                return NO_ROOM
            place = self.folder / f"{len(self.paths) + 1:06d}.dcm"
            path.rename(self.paths.setdefault(uid, place))
            return TAKEN


def retrieve(
    peer: Peer, wanted: Wanted, folder: Path, *, move: tuple[str, int] | None, limit: int
) -> dict[str, Path]:
    """Retrieve an exam or a series into a folder.

    Parameters
    ----------
    peer
        The server.
    wanted
        What to retrieve.
    folder
        An empty folder.
    move
        Host and port on which we take what the server sends; None to take it by C-GET.
    limit
        Bytes that may be written.

    Returns
    -------
    dict
        Instance UID to file, of what the server gave.

    Raises
    ------
    SiteError
        If the server cannot be used.
    OverflowError
        If the instances are larger than `limit`.
    """

    def ask() -> _Taken:
        for left in folder.iterdir():  # of a try before
            left.unlink()
        taken = _Taken(wanted, folder, limit)
        with streaming(folder):
            if move is None:
                _get(peer, wanted, taken)
            else:
                _move(peer, wanted, taken, move)
        return taken

    taken = peer.persist(ask)
    if taken.room < 0:
        raise OverflowError
    kept = set(taken.paths.values())
    for left in folder.iterdir():
        if left not in kept:
            left.unlink()
    return taken.paths


def _get(peer: Peer, wanted: Wanted, taken: _Taken) -> None:
    from pynetdicom import build_context

    contexts = [build_context(GET), *storage_contexts(wanted.classes, MOST_CONTEXTS - 1)]
    with peer.associate(contexts, take=taken.take) as association:
        if not any(c.abstract_syntax == GET for c in association.accepted_contexts):
            raise _refused("C-GET")
        _finish(association.send_c_get(wanted.identifier(), GET), "C-GET")


def _move(peer: Peer, wanted: Wanted, taken: _Taken, move: tuple[str, int]) -> None:
    from pynetdicom import build_context, evt

    entity = make_entity(peer)
    entity.require_calling_aet = [peer.ae_title]
    entity.require_called_aet = True
    for uid in wanted.classes:
        entity.add_supported_context(uid, list(SYNTAXES))
    context = peer.context(Purpose.CLIENT_AUTH) if peer.tls else None
    handlers: list[Any] = [(evt.EVT_C_STORE, taken.take)]
    try:
        server = entity.start_server(move, block=False, ssl_context=context, evt_handlers=handlers)
    except OSError as error:
        raise SiteError(
            f"We cannot listen for what the server sends: {error.strerror}",
            where=f"archive.move_host, archive.move_port, {show(f'{move[0]}:{move[1]}')}",
            todo="Name an address of this machine, and a port that nobody uses",
        ) from None
    try:
        with peer.associate([build_context(MOVE)]) as association:
            if not association.accepted_contexts:
                raise _refused("C-MOVE")
            answers = association.send_c_move(wanted.identifier(), peer.calling_ae_title, MOVE)
            _finish(answers, "C-MOVE")
    finally:
        if server is not None:
            server.shutdown()


def _finish(answers: Iterator[tuple[Dataset, Dataset | None]], service: str) -> None:
    """Wait for the last answer: what came, came; what did not is told by its absence."""
    for answer, _ in answers:
        status = status_of(answer)
        if status in PENDING:
            continue
        if status in (0x0122, 0x0211, 0xA801):
            raise _refused(service)
        return
    raise Broken(STOPPED)


def _refused(service: str) -> SiteError:
    return SiteError(
        f"The server refuses {service}",
        where="archive.retrieve or archive.calling_ae_title",
        todo="Ask the server's administrator to allow it to our title, or try the other way",
    )


@contextmanager
def streaming(folder: Path | None = None) -> Iterator[None]:
    """Let instances be written, or sent, piece by piece and never whole in memory.

    pynetdicom knows this as a setting of the process, and the folder as that of temporary files:
    only one conversation of a process takes or gives instances at a time.

    Parameters
    ----------
    folder
        Where instances that come are written.
    """
    from pynetdicom import _config

    with _streaming:
        before = tempfile.tempdir
        _config.STORE_RECV_CHUNKED_DATASET = _config.STORE_SEND_CHUNKED_DATASET = True
        tempfile.tempdir = before if folder is None else str(folder)
        try:
            yield
        finally:
            _config.STORE_RECV_CHUNKED_DATASET = _config.STORE_SEND_CHUNKED_DATASET = False
            tempfile.tempdir = before
