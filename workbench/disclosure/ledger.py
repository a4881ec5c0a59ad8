"""Ledger: everything a site ever released, kept at the site alone.

One line of JSON per release or withdrawal, each holding the digest of the line before it, and
beside them the exact and the released Summary of every table; a withdrawal has none. Nothing is
ever removed: what has left the site stays known, whether it was superseded or withdrawn since.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from workbench.chain import Chain, digest_of, replacing
from workbench.disclosure.policy import Policy
from workbench.errors import DisclosureError, ReleaseError, show
from workbench.summaries.summary import Summary
from workbench.summaries.table import parse_summary, render_summary

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
        self.folder = self.path.with_suffix("")
        self._chain = Chain(self.path, self._broken, private=True)
        self.head = self._chain.head
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
        with self.reading():
            for record in self._records():
                policy = Policy(**record["policy"])
                for table, digests in record["tables"].items():
                    exact, view = (self._summary(digests[part]) for part in ("exact", "view"))
                    found.append(
                        LedgerEntry(record["release"], table, exact, view, policy, record["date"])
                    )
        return found

    def releases(self) -> dict[str, str]:
        """Return the ISO date of every release and withdrawal by its id, the oldest first.

        Raises
        ------
        DisclosureError
            If a line is torn, changed or missing.
        """
        return {record["release"]: record["date"] for record in self._records()}

    def last(self) -> str:
        """Return the digest of the last line, which tells this state of the ledger from others.

        Raises
        ------
        DisclosureError
            If a line is torn, changed or missing.
        """
        return self._chain.last()

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
            if after not in (None, self.last()):
                self._refuse("The ledger grew since this was checked", "Run the command again")
            tables = {
                name: {"exact": self._keep(exact[name]), "view": self._keep(views[name])}
                for name in sorted(views)
            }
            self._add(release, tables, policy.as_dict(), date)

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
            self._add(release, {}, {}, date)

    def _add(
        self,
        release: str,
        tables: dict[str, dict[str, str]],
        policy: dict[str, Any],
        date: str,
    ) -> None:
        for earlier in self._records():
            if earlier["release"] == release:
                if (earlier["tables"], earlier["policy"]) == (tables, policy):
                    return
                self._refuse(
                    f"Release {show(release)!r} is recorded with other tables",
                    "Run the command again",
                )
        self._chain.append({"date": date, "policy": policy, "release": release, "tables": tables})

    def _records(self) -> list[dict[str, Any]]:
        records = self._chain.read()
        for number, record in enumerate(records, start=1):
            if set(record) != _KEYS:
                self._refuse(f"Line {number} of the ledger is not as it was written")
        return records

    def _summary(self, digest: str) -> Summary:
        path = self.folder / f"{digest}.csv"
        content = self._chain.content(path)
        if content is None:
            self._refuse(f"The Summary {digest[:12]} is missing from the ledger")
        if digest_of(content) != digest:
            self._refuse(f"The Summary {digest[:12]} of the ledger was changed")
        try:
            return parse_summary(content, where=path.name)
        except ReleaseError as error:
            raise DisclosureError(error.what, where=error.where, todo=error.todo) from error

    def _keep(self, summary: Summary) -> str:
        content = render_summary(summary)
        digest = digest_of(content)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        path = self.folder / f"{digest}.csv"
        if not path.exists():
            with replacing(path, content):
                pass
        return digest

    def reading(self) -> contextlib.AbstractContextManager[None]:
        """Hold the ledger as it is; what is read meanwhile fits together. Nothing is written.

        Raises
        ------
        DisclosureError
            If the ledger is lost or cannot be read.
        """
        return self._chain.reading()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the ledger, so that what is read in it is still true when a line is added.

        Other processes wait; this one may enter again. The system lets go when it dies.

        Raises
        ------
        DisclosureError
            If the ledger is lost or cannot be written.
        """
        with contextlib.ExitStack() as stack:
            with self._writing():
                stack.enter_context(self._chain.writing())
            yield

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

    def _refuse(self, what: str, todo: str = "") -> NoReturn:
        raise self._broken(what, todo)

    def _broken(self, what: str, todo: str) -> DisclosureError:
        return DisclosureError(
            what,
            where=show(str(self.path), 200),
            todo=todo or "Restore the ledger from a backup; without it nothing can be released",
        )
