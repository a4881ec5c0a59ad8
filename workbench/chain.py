"""Chain: a file of lines that only grows, where a line that is changed or lost is seen.

Each line is an object as canonical JSON, and holds the SHA-256 of the line before; `<path>.head`
holds that of the last line. The system's lock on the file keeps readers from half a line: several
may read at a time, and one may write while nobody reads.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError, show

START = "0" * 64
"""What the first line holds in the place of a digest."""


class Chain:
    """Read and extend a chain.

    Parameters
    ----------
    path
        The file; made at the first `writing`, never by reading.
    broken
        Makes the error to raise from what is wrong, and what to do about it ("" if only a backup
        helps).
    private
        Whether file and head are for this user alone (mode 0600), and a head is always there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "chain.jsonl"
    ...     chain = Chain(path, lambda what, todo: WorkbenchError(what, todo=todo))
    ...     chain.append({"n": 1})
    ...     [record["n"] for record in chain.read()], len(chain.last())
    ([1], 64)
    """

    def __init__(
        self, path: Path, broken: Callable[[str, str], WorkbenchError], *, private: bool = False
    ) -> None:
        self.path = path
        self.head = path.with_name(f"{path.name}.head")
        self._broken, self._private = broken, private
        self._lock: int | None = None  # the lock that is held
        self._file: int | None = None  # None while held: nothing was written yet

    def reading(self) -> contextlib.AbstractContextManager[None]:
        """Hold the chain as it is; what is read meanwhile fits together.

        Others may read, and wait to write. A file that does not exist stays so.

        Raises
        ------
        WorkbenchError
            What `broken` makes, if the file is lost or cannot be read.
        """
        return self._held(fcntl.LOCK_SH)

    def writing(self) -> contextlib.AbstractContextManager[None]:
        """Hold the chain alone, so that what is read in it is still true when a line is added.

        Others wait; who holds it may enter again. The system lets go when the process dies.

        Raises
        ------
        OSError
            If the file cannot be written.
        WorkbenchError
            What `broken` makes, if the file is lost.
        """
        return self._held(fcntl.LOCK_EX)

    @contextlib.contextmanager
    def _held(self, lock: int) -> Iterator[None]:
        if self._lock is not None:
            if lock == fcntl.LOCK_EX and self._lock == fcntl.LOCK_SH:
                raise OSError(errno.EDEADLK, "it is held for reading")  # would wait for itself
            yield
            return
        self._file = self._open(lock)
        self._lock = lock
        try:
            yield
        finally:
            if self._file is not None:
                os.close(self._file)
            self._lock = self._file = None

    def _open(self, lock: int) -> int | None:
        known = os.path.lexists(self.head)  # asked first: the file is made before its head
        if known and not os.path.lexists(self.path):
            raise self._broken("The file is missing, though lines were written to it", "")
        if lock == fcntl.LOCK_EX:
            self.path.parent.mkdir(
                mode=0o700 if self._private else 0o777, parents=True, exist_ok=True
            )
            return self._locked(os.O_RDWR | os.O_CREAT | os.O_APPEND, lock)
        try:
            return self._locked(os.O_RDONLY, lock)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._unreadable(self.path, error) from error

    def _locked(self, flags: int, lock: int) -> int:
        file = os.open(self.path, flags | os.O_NONBLOCK, 0o600 if self._private else 0o666)
        try:
            self._require_plain(file, self.path)  # the lock of a pipe is nobody's
            fcntl.flock(file, lock)
        except BaseException:
            os.close(file)
            raise
        return file

    def read(self) -> list[dict[str, Any]]:
        """Return the records, the oldest first, each with the digest `previous`.

        Raises
        ------
        WorkbenchError
            What `broken` makes, if a line is torn, changed or missing, or is open to others.
        """
        with self.reading():
            if self._file is None:
                return []
            with open(self._file, "rb", closefd=False) as file:
                file.seek(0)
                content = file.read()
            head = self.content(self.head)
        if content and not content.endswith(b"\n"):
            raise self._broken(
                "The file ends within a line",
                "What it was for never came to be: delete the unfinished last line",
            )
        records, digests = [], [START]
        for number, line in enumerate(content.splitlines(keepends=True), start=1):
            record = _parse(line)
            if record is None:
                raise self._broken(f"Line {number} is not as it was written", "")
            if record.get("previous") != digests[-1]:
                raise self._broken(f"Line {number} does not follow the line before it", "")
            records.append(record)
            digests.append(digest_of(line))
        if head is None and not self._private:
            return records
        known = START if head is None else head.decode("ascii", "replace").strip()
        # A stop between the line and the head leaves the head one line behind, never ahead.
        if known not in digests[-2:]:
            raise self._broken("The last lines are missing", "")
        return records

    def last(self) -> str:
        """Return the digest of the last line, which tells this state of the chain from others."""
        records = self.read()
        return digest_of(_line(records[-1])) if records else START

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a record, durably and whole, or leave the chain as it was.

        Raises
        ------
        OSError
            If it cannot be written; the line is taken back.
        WorkbenchError
            What `broken` makes, if the chain is broken.
        """
        with self.writing():
            line = _line({**record, "previous": self.last()})
            mode = 0o600 if self._private else 0o666
            # What needs room comes first: a head that lags by two lines would end the chain.
            with replacing(self.head, f"{digest_of(line)}\n".encode(), mode=mode):
                self._add(line)

    def _add(self, line: bytes) -> None:
        if self._file is None:
            raise OSError(errno.EBADF, "the chain is not held")
        end = os.fstat(self._file).st_size
        try:
            _write(self._file, line)
        except BaseException:
            os.ftruncate(self._file, end)
            raise

    def content(self, path: Path) -> bytes | None:
        """Return the bytes of a file of the chain, or None if there is none.

        Raises
        ------
        WorkbenchError
            What `broken` makes, if it is no plain file, cannot be read, or is open to others.
        """
        try:
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._unreadable(path, error) from error
        try:
            self._require_plain(file, path)
            with open(file, "rb", closefd=False) as opened:
                return opened.read()
        except OSError as error:
            raise self._unreadable(path, error) from error
        finally:
            os.close(file)

    def _require_plain(self, file: int, path: Path) -> None:
        mode = os.fstat(file).st_mode
        if not stat.S_ISREG(mode):  # a pipe would be waited for
            raise self._unreadable(path, OSError(errno.EINVAL, "not a plain file"))
        if self._private and mode & 0o077:
            name = show(path.name)
            raise self._broken(f"{name} can be read or changed by other users", f"chmod 600 {name}")

    def _unreadable(self, path: Path, error: OSError) -> WorkbenchError:
        return self._broken(
            f"{show(path.name)} cannot be read: {error.strerror}",
            "Give the file and its folder to this user",
        )


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of some bytes as 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


@contextlib.contextmanager
def replacing(path: Path, content: bytes, *, mode: int = 0o600) -> Iterator[None]:
    """Write a file beside its place, durably, and put it there once the block ended well.

    Parameters
    ----------
    path
        The file; it holds the old content, or all of the new.
    content
        The new content.
    mode
        Rights of the file.

    Raises
    ------
    OSError
        If it cannot be written; what was there stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            _write(file, content)
        finally:
            os.close(file)
        yield
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
    os.fsync(file)


def _line(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(
        record, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode() + b"\n"


def _parse(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line, or None if it is not as `_line` writes it."""
    try:
        record = json.loads(line)
        return record if isinstance(record, dict) and _line(record) == line else None
    except (ValueError, RecursionError):
        return None
