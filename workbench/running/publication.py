"""Publication: the lock of a run folder, and outputs that appear whole or not at all.

A step writes below ``.tmp`` in its run folder. When it ended well, `publish` syncs every file and
folder, and then:

1. nothing published yet: one rename to ``<step>``;
2. an earlier ``<step>`` exists: rename the new one to ``<step>.new``, the earlier one to
   ``<step>.old``, the new one to ``<step>``, and remove ``<step>.old``.

``<step>.new`` exists only when it is complete and synced, so whatever moment a process dies at,
`recover` finds either the earlier folder or a complete new one, and rolls forward. The parent
folder is synced after each rename, so the order also holds when the power fails.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from workbench.errors import ExecutionError, show

TEMPORARY = ".tmp"
"""Folder inside a run folder for what is not published yet."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Codes of an `OSError` that says there is no room."""


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


@contextlib.contextmanager
def lock_folder(folder: Path, *, wait_s: float = 1.0) -> Iterator[Holder | None]:
    """Hold a folder for this process alone; the system lets go when the process dies.

    Parameters
    ----------
    folder
        An existing folder; the lock is its file ``lock``.
    wait_s
        How long to wait, in s, for a holder that has not written its name yet.

    Yields
    ------
    Holder or None
        The dead process that this one takes over from, if it left the folder without ending.

    Raises
    ------
    ExecutionError
        When another process holds the folder; names its pid and host.
    """
    path = folder / "lock"
    with full_disk(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        _take(handle, folder, wait_s)
        dead = _read_holder(handle)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        me = {"pid": os.getpid(), "host": socket.gethostname(), "started": now}
        with full_disk(path):
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(me).encode(), 0)
        try:
            yield dead
        finally:
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def _take(handle: int, folder: Path, wait_s: float) -> None:
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
                f"The run folder is in use by {who}",
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


@contextlib.contextmanager
def full_disk(path: Path, size: int = 0) -> Iterator[None]:
    """Turn "no space left" into an `ExecutionError` with the path and the bytes.

    Parameters
    ----------
    path
        What is being written: a file, or a folder and all below it.
    size
        Bytes to write; 0 for as many as are there already.

    Raises
    ------
    ExecutionError
        In place of an `OSError` that says there is no room; others pass.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise no_space(path, size or size_of(path)) from None


def no_space(path: Path, size: int) -> ExecutionError:
    """Return the error for a disk, quota or file size limit that is reached at `size` bytes."""
    place = path
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    return ExecutionError(
        f"No space left for {size:,} bytes: {free:,} bytes are free",
        where=str(path),
        todo="Make room and run the same command again; published results are untouched",
    )


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder; 0 where there is nothing."""
    total = 0
    for part in [path, *path.rglob("*")] if path.is_dir() else [path]:
        with contextlib.suppress(FileNotFoundError):
            status = part.lstat()
            total += status.st_size if not part.is_dir() else 0
    return total


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file so that its name holds the old content or all of the new.

    Raises
    ------
    ExecutionError
        When there is no space left; the old content stays.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with full_disk(path, len(data)):
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            sync(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: object) -> None:
    """Write a value as readable JSON, whole or not at all."""
    write_whole(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Sync all files below a folder and make them read-only, then the folders, deepest first."""
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            file = Path(place) / name
            file.chmod(file.stat().st_mode & 0o555)
            sync(file)
        sync(Path(place))


def publish(made: Path, target: Path) -> None:
    """Give a complete folder its final name, in the place of an earlier one if there is one.

    Parameters
    ----------
    made
        A folder on the same file system, below the run folder.
    target
        ``<run folder>/<step>``.

    Raises
    ------
    ExecutionError
        When there is no space left; the earlier folder stays.
    """
    with full_disk(made):
        sync_tree(made)
        new = target.with_name(f"{target.name}.new")
        if target.exists():
            made.rename(new)
            sync(target.parent)
            _exchange(target)
        else:
            made.rename(target)
            sync(target.parent)


def _exchange(target: Path) -> None:
    """Put ``<step>.new`` in the place of ``<step>``; may be called again after any crash."""
    new, old = target.with_name(f"{target.name}.new"), target.with_name(f"{target.name}.old")
    if target.exists():
        if old.exists():
            shutil.rmtree(old)
        target.rename(old)
        sync(target.parent)
    new.rename(target)
    sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def recover(folder: Path, names: Iterable[str]) -> list[str]:
    """Finish or undo what a dead process left in a run folder; its lock must be held.

    Parameters
    ----------
    folder
        The run folder.
    names
        Ids of the steps.

    Returns
    -------
    list of str
        Steps whose publication was finished.
    """
    finished = []
    for name in names:
        target = folder / name
        new, old = folder / f"{name}.new", folder / f"{name}.old"
        if new.exists():
            _exchange(target)
            finished.append(name)
        elif old.exists() and not target.exists():
            old.rename(target)
        elif old.exists():
            shutil.rmtree(old, ignore_errors=True)
    # A kernel whose runner was killed may still write there for a second: errors do no harm,
    # because each attempt has a folder of its own, and what is left goes at the next start.
    shutil.rmtree(folder / TEMPORARY, ignore_errors=True)
    for unfinished in folder.glob(".*.tmp"):
        unfinished.unlink(missing_ok=True)
    return finished
