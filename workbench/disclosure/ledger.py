"""Ledger: everything a site ever released, kept at the site alone.

One line of JSON per release or withdrawal, each holding the digest of the line before it, and
beside them the exact and the released Summary of every table; a withdrawal has none. Nothing is
ever removed: what has left the site stays known, whether it was superseded or withdrawn since.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from workbench.disclosure.policy import Policy
from workbench.errors import DisclosureError, ReleaseError, show
from workbench.summaries.summary import Summary
from workbench.summaries.table import parse_summary, render_summary

_START = "0" * 64
_KEYS = {"date", "policy", "previous", "release", "tables"}


@dataclass(frozen=True)
class LedgerEntry:
    """One table of one release.

    Parameters
    ----------
    release
        Release id.
    table
        Name of the table in the study.
    exact
        What was counted; never leaves the site.
    view
        What left the site.
    policy
        The policy it left under.
    date
        ISO date of the release.
    """

    release: str
    table: str
    exact: Summary
    view: Summary
    policy: Policy
    date: str = ""

    @property
    def name(self) -> str:
        """Name of the table among those of all releases."""
        return f"{self.table} of release {self.release}"


class Ledger:
    """Read and extend the ledger of one site.

    Parameters
    ----------
    path
        The file of lines, e.g. `ledger.jsonl` beside `site.toml`. The folder of the same name
        without suffix holds the Summaries; `<path>.head` the digest of the last line.

    Examples
    --------
    >>> import tempfile
    >>> from workbench.disclosure.cells import protect
    >>> from workbench.summaries.counts import summarise
    >>> s = summarise([], {}, range(20), range(20))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ledger = Ledger(Path(folder) / "ledger.jsonl")
    ...     views = {"exams": protect(s, Policy())}
    ...     ledger.append("r1", {"exams": s}, views, Policy(), "2026-11-22")
    ...     [(e.release, e.table, e.exact.equals(s)) for e in ledger.entries()]
    [('r1', 'exams', True)]
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._held = False
        self.folder = self.path.with_suffix("")
        self.head = self.path.with_name(f"{self.path.name}.head")
        if self.folder == self.path:
            raise DisclosureError(
                "The file of a ledger needs a suffix",
                where=show(str(path), 200),
                todo="Call it ledger.jsonl",
            )

    def entries(self) -> list[LedgerEntry]:
        """Return every table of every release, the oldest first.

        Raises
        ------
        DisclosureError
            If a line or file is torn, changed, missing or open to other users.
        """
        found = []
        for record in self._records():
            policy = Policy(**record["policy"])
            for table, digests in record["tables"].items():
                exact, view = (self._summary(digests[part]) for part in ("exact", "view"))
                found.append(
                    LedgerEntry(record["release"], table, exact, view, policy, record["date"])
                )
        return found

    def releases(self) -> list[str]:
        """Return the id of every release and withdrawal, the oldest first.

        Raises
        ------
        DisclosureError
            If a line is torn, changed or missing.
        """
        return [record["release"] for record in self._records()]

    def last(self) -> str:
        """Return the digest of the last line, which tells this state of the ledger from others.

        Raises
        ------
        DisclosureError
            If a line is torn, changed or missing.
        """
        return _last(self._records())

    def append(
        self,
        release: str,
        exact: Mapping[str, Summary],
        views: Mapping[str, Summary],
        policy: Policy,
        date: str,
        *,
        after: str | None = None,
    ) -> None:
        """Record one release, durably and whole, before it leaves.

        Parameters
        ----------
        release
            Release id.
        exact, views
            The exact and the released Summary of each table.
        policy
            The policy in force.
        date
            ISO date.
        after
            What `last` returned before the release was checked; None to add to any state.

        Raises
        ------
        DisclosureError
            If the ledger is damaged or grew since `after`, the tables do not match, or the
            release id is taken by another release.
        """
        if set(exact) != set(views) or not views:
            raise DisclosureError(
                "A release needs the exact and the released Summary of each table",
                where=f"release {show(release)}",
                todo="Give both for each table; nothing was recorded",
            )
        with self.locked(), self._writing():
            records = self._records()
            if after not in (None, _last(records)):
                self._refuse("The ledger grew since this was checked", "Run the command again")
            tables = {
                name: {"exact": self._keep(exact[name]), "view": self._keep(views[name])}
                for name in sorted(views)
            }
            self._add(records, release, tables, policy.as_dict(), date)

    def withdraw(self, release: str, date: str) -> None:
        """Record a withdrawal, which has no tables, before it leaves.

        Parameters
        ----------
        release
            Id of the withdrawal.
        date
            ISO date.

        Raises
        ------
        DisclosureError
            If the ledger is damaged, or the id is taken by a release.
        """
        with self.locked(), self._writing():
            self._add(self._records(), release, {}, {}, date)

    def _add(
        self,
        records: list[dict[str, Any]],
        release: str,
        tables: dict[str, dict[str, str]],
        policy: dict[str, Any],
        date: str,
    ) -> None:
        for earlier in records:
            if earlier["release"] == release:
                if (earlier["tables"], earlier["policy"]) == (tables, policy):
                    return
                self._refuse(
                    f"Release {show(release)!r} is recorded with other tables",
                    "Run the command again",
                )
        record = {
            "date": date,
            "policy": policy,
            "previous": _last(records),
            "release": release,
            "tables": tables,
        }
        line = _line(record)
        with _open_private(self.path, os.O_APPEND) as file:
            _write(file, line)
        _replace(self.head, _digest(line).encode() + b"\n")
        _sync_folder(self.path.parent)

    def _records(self) -> list[dict[str, Any]]:
        content, head = self._read(self.path), self._read(self.head)
        if content is None:
            if head is not None:
                self._refuse("The ledger is missing, though releases were recorded in it")
            return []
        if not content.endswith(b"\n"):
            self._refuse(
                "The ledger ends within a line",
                todo="Its release never left this site: delete the unfinished last line",
            )
        records, digests = [], [_START]
        for number, line in enumerate(content.splitlines(keepends=True), start=1):
            record = self._parse(line, number)
            if record["previous"] != digests[-1]:
                self._refuse(f"Line {number} of the ledger does not follow the line before it")
            records.append(record)
            digests.append(_digest(line))
        known = _START if head is None else head.decode("ascii", "replace").strip()
        # A stop between the line and the head leaves the head one line behind, never ahead.
        if known not in digests[-2:]:
            self._refuse("The last lines of the ledger are missing")
        return records

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            record = json.loads(line)
            whole = isinstance(record, dict) and set(record) == _KEYS and _line(record) == line
        except (ValueError, RecursionError):
            whole = False
        if not whole:
            self._refuse(f"Line {number} of the ledger is not as it was written")
        return dict(record)

    def _summary(self, digest: str) -> Summary:
        path = self.folder / f"{digest}.csv"
        content = self._read(path)
        if content is None:
            self._refuse(f"The Summary {digest[:12]} is missing from the ledger")
        if _digest(content) != digest:
            self._refuse(f"The Summary {digest[:12]} of the ledger was changed")
        try:
            return parse_summary(content, where=path.name)
        except ReleaseError as error:
            raise DisclosureError(error.what, where=error.where, todo=error.todo) from error

    def _keep(self, summary: Summary) -> str:
        content = render_summary(summary)
        digest = _digest(content)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        path = self.folder / f"{digest}.csv"
        if not path.exists():
            _replace(path, content)
            _sync_folder(self.folder)
        return digest

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the ledger, so that what is read in it is still true when a line is added.

        Other processes wait; this one may enter again. The system lets go when it dies.

        Raises
        ------
        DisclosureError
            If the lock cannot be written.
        """
        if self._held:
            yield
            return
        with contextlib.ExitStack() as stack:
            with self._writing():
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock = self.path.with_name(f"{self.path.name}.lock")
                file = stack.enter_context(_open_private(lock, os.O_CREAT))
                fcntl.flock(file, fcntl.LOCK_EX)
            self._held = True
            try:
                yield
            finally:
                self._held = False

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DisclosureError(
                f"The ledger cannot be written: {error.strerror}",
                where=show(str(self.path), 200),
                todo="Make room and give the folder to this user; nothing was released",
            ) from error

    def _read(self, path: Path) -> bytes | None:
        """Return the bytes of a private file, or None if there is none."""
        try:
            if not path.exists():
                return None
            if not path.is_file():  # a pipe would be waited for
                raise OSError(errno.EINVAL, "not a plain file")
            if path.stat().st_mode & 0o077:
                self._refuse(
                    f"{show(path.name)} can be read or changed by other users",
                    todo=f"chmod 600 {path.name}",
                )
            return path.read_bytes()
        except OSError as error:
            self._refuse(
                f"{show(path.name)} cannot be read: {error.strerror}",
                todo="Give the ledger and its folder to this user, mode 0700 and 0600",
            )

    def _refuse(self, what: str, todo: str = "") -> NoReturn:
        raise DisclosureError(
            what,
            where=show(str(self.path), 200),
            todo=todo or "Restore the ledger from a backup; without it nothing can be released",
        )


def _line(record: dict[str, Any]) -> bytes:
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode() + b"\n"


def _last(records: list[dict[str, Any]]) -> str:
    return _digest(_line(records[-1])) if records else _START


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextlib.contextmanager
def _open_private(path: Path, flags: int) -> Iterator[int]:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _write(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
    os.fsync(file)


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with _open_private(temporary, os.O_TRUNC) as file:
        _write(file, content)
    temporary.replace(path)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
