"""Disk: what the system refuses, in words; and folders of strangers, walked and removed safely."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from workbench.errors import ExecutionError, ReleaseError, show

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Codes of an `OSError` that says there is no room."""


@contextlib.contextmanager
def writing(path: Path, size: int = 0) -> Iterator[None]:
    """Turn what the system refuses into an `ExecutionError` with the path and the reason.

    Parameters
    ----------
    path
        What is being written: a file, or a folder and all below it.
    size
        Bytes to write, told when there is no room; 0 for as many as are there already.

    Raises
    ------
    ExecutionError
        In place of an `OSError`, or of a `RecursionError` on folders that are nested too deeply.
    """
    try:
        yield
    except BrokenPipeError:
        raise  # nobody reads what is told any more: the folder is well
    except (OSError, RecursionError) as error:
        number = getattr(error, "errno", None)
        if number in FULL:
            raise no_space(path, size or size_of(path)) from None
        # The system's own words: an error's text can hold a name that a notebook gave.
        reason = "folders are nested too deeply"
        if not isinstance(error, RecursionError):
            reason = os.strerror(number) if isinstance(number, int) else "the system refuses"
        raise ExecutionError(
            f"A file or folder cannot be used: {reason}",
            where=show(str(path), 1000),
            todo="Check its rights and that nothing stands in its way, then run again; "
            "a notebook may write into output_dir only",
        ) from None


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


def walk(folder: Path, limit: int | None = None) -> Iterator[os.DirEntry[str]]:
    """Yield every entry below a folder, parents first; links are not followed.

    Raises
    ------
    RecursionError
        When folders are nested more than `limit` deep.
    """
    waiting = [(str(folder), 0)]
    while waiting:
        place, depth = waiting.pop()
        if limit is not None and depth > limit:
            raise RecursionError
        with os.scandir(place) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, depth + 1))


def read_private(path: Path, limit: int) -> bytes | None:
    """Return the bytes of a regular file, or None where there is none of at most `limit` bytes.

    A link is not followed, and a pipe is not waited for.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(handle, "rb") as file:  # noqa: PTH123 - of the handle, so that nothing is swapped
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            content = file.read(limit + 1)
    except (OSError, ValueError):
        return None
    return content if len(content) <= limit else None


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all that can be seen below a folder; 0 for nothing."""
    total = 0
    with contextlib.suppress(OSError):
        if not stat.S_ISDIR(path.lstat().st_mode):
            return path.lstat().st_size
        for entry in walk(path):
            if not entry.is_dir(follow_symlinks=False):
                total += entry.stat(follow_symlinks=False).st_size
    return total


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder, however deep and whatever its rights.

    Nothing there is no error, and what cannot be removed stays for the next call.
    """
    with contextlib.suppress(OSError):
        if not stat.S_ISDIR(path.lstat().st_mode):
            path.unlink()
            return
        waiting = [path]
        while waiting:
            place = waiting.pop()
            place.chmod(0o700)
            for part in list(place.iterdir()):
                if part.is_symlink() or not part.is_dir():
                    part.unlink()
                elif place == path:
                    waiting.append(part)
                else:  # moved up, so that no path grows too long
                    part.chmod(0o700)
                    waiting.append(part.rename(path / f".{secrets.token_hex(8)}"))
            if place != path:
                place.rmdir()
        path.rmdir()


def require_outside_repository(path: Path, what: str) -> None:
    """Refuse a place inside a git work tree: what lies there is published sooner or later.

    Parameters
    ----------
    path
        Where it lies, or would lie.
    what
        What it is, as in "A real key".

    Raises
    ------
    ReleaseError
        If a folder above holds `.git`.
    """
    for folder in path.absolute().resolve().parents:
        if os.path.lexists(folder / ".git"):
            raise ReleaseError(
                f"{what} may not lie in a git work tree",
                where=path.name,
                todo="Keep site.toml, and what lies beside it, outside of the repository",
            )
