"""Lock: one process alone holds a run folder; the system lets go when it dies."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from workbench.errors import ExecutionError, show
from workbench.running.disk import writing


@dataclass(frozen=True)
class Holder:
    """Say which process holds, or held, a run folder.

    Parameters
    ----------
    pid
        Process id on its host.
    host
        Name of the host.
    started
        When it took the folder, ISO 8601 in UTC.
    """

    pid: int
    host: str
    started: str


@dataclass(frozen=True)
class Lock:
    """Hold a run folder; made by `lock_folder`.

    Parameters
    ----------
    path
        The lock file.
    handle
        Its open handle.
    dead
        The process that left the folder without ending, or None.
    """

    path: Path
    handle: int
    dead: Holder | None

    def validate(self) -> None:
        """Refuse to go on where the lock file was removed: another process could hold it now.

        Raises
        ------
        ExecutionError
            When the file at `path` is not the one that is held.
        """
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(self.handle), self.path.lstat()):
                return
        raise ExecutionError(
            "The lock of the run folder was removed or replaced",
            where=str(self.path),
            todo="Let notebooks write into output_dir only, then run the same command again",
        )


@contextlib.contextmanager
def lock_folder(folder: Path, *, what: str = "run folder", wait_s: float = 1.0) -> Iterator[Lock]:
    """Hold a folder for this process alone; the system lets go when the process dies.

    Parameters
    ----------
    folder
        An existing folder; the lock is its file ``lock``.
    what
        What the folder is, for the error.
    wait_s
        How long to wait, in s, for a holder that has not written its name yet.

    Yields
    ------
    Lock

    Raises
    ------
    ExecutionError
        When another process holds the folder; names its pid and host.
    """
    path = folder / "lock"
    with writing(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        with writing(path):
            _take(handle, folder, what, wait_s)
            dead = _read_holder(handle)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            me = {"pid": os.getpid(), "host": socket.gethostname(), "started": now}
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(me).encode(), 0)
        try:
            yield Lock(path, handle, dead)
        finally:
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _take(handle: int, folder: Path, what: str, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read_holder(handle)
            if holder is None and time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            who = (
                f"process {holder.pid} on {show(holder.host)} since {show(holder.started)}"
                if holder
                else "another process"
            )
            raise ExecutionError(
                f"The {what} is in use by {who}",
                where=str(folder),
                todo="Wait until it has ended, or stop it",
            ) from None
        else:
            return


def _read_holder(handle: int) -> Holder | None:
    try:
        found = json.loads(os.pread(handle, 4096, 0))
        return Holder(int(found["pid"]), str(found["host"]), str(found["started"]))
    except (ValueError, KeyError, TypeError):
        return None
