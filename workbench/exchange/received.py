"""Received: the centre's append-only list of releases it has accepted."""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from workbench.definition.declaration import Declared, Name
from workbench.exchange.envelope import RefusedError, canonical, parse_canonical
from workbench.exchange.manifest import Count, Digest, Id, Manifest


class Entry(Declared):
    """One line: a release or withdrawal that was accepted, chained to the line before."""

    study: Name
    site: Name
    what: str
    release: Id
    counter: Count
    withdraws: Id | None
    manifest: Digest
    received: dt.date
    previous: Digest


@dataclass(frozen=True)
class Received:
    """Judge releases against what was received before, and write down what is accepted.

    Each line holds the SHA-256 of the line before, so a line that is changed or taken out of the
    middle is seen.

    Parameters
    ----------
    path
        The file, `received.jsonl`; made at the first release.
    """

    path: Path

    def read(self) -> tuple[Entry, ...]:
        """Return all lines.

        Raises
        ------
        RefusedError
            If a line cannot be read, or does not follow from the line before.
        """
        if self.path.exists() and not self.path.is_file():  # a pipe would be waited for
            raise self._broken(f"{self.path.name}: not a plain file")
        try:
            lines = self.path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise self._broken(f"{self.path.name}: {error.strerror}") from error
        entries = []
        before = _START
        for number, line in enumerate(lines, start=1):
            where = f"{self.path.name}, line {number}"
            try:
                parse_canonical(line, where)
                entry = Entry.model_validate_json(line)
            except (RefusedError, ValidationError) as error:
                raise self._broken(where) from error
            if entry.previous != before:
                raise self._broken(where)
            entries.append(entry)
            before = hashlib.sha256(line).hexdigest()
        return tuple(entries)

    def judge(self, manifest: Manifest) -> Entry | None:
        """Return when this very manifest was received, None if it is new.

        Raises
        ------
        RefusedError
            If it was withdrawn or superseded, or is a replay of an old counter.
        """
        digest = hashlib.sha256(manifest.render()).hexdigest()
        of_site = [
            e for e in self.read() if (e.study, e.site) == (manifest.study.id, manifest.site.id)
        ]
        last = max(of_site, key=lambda e: e.counter, default=None)
        known = next((e for e in of_site if e.manifest == digest), None)
        where = f"{manifest.site.id}, release {manifest.id}, counter {manifest.counter}"
        if manifest.what == "release" and any(
            e.withdraws == manifest.id and e.counter > manifest.counter for e in of_site
        ):
            raise RefusedError(
                "withdrawn",
                "The site has withdrawn this release",
                where=where,
                todo="Take it out of what was pooled; wait for the site's next release",
            )
        if last is None or manifest.counter > last.counter:
            return None
        if known is None:
            raise RefusedError(
                "replay",
                f"The site's counter stands at {last.counter} already, and this was not received",
                where=where,
                todo="Ask the site for its latest release",
            )
        if known is not last:
            raise RefusedError(
                "superseded",
                f"The site has sent a later release, {last.release}",
                where=where,
                todo="Use the later release",
            )
        return known

    def append(self, manifest: Manifest, today: dt.date) -> None:
        """Write down an accepted release; one that stands there already is not written again."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if self.judge(manifest) is not None:
                return
            lines = self.path.read_bytes().splitlines(keepends=True)
            entry = Entry(
                study=manifest.study.id,
                site=manifest.site.id,
                what=manifest.what,
                release=manifest.id,
                counter=manifest.counter,
                withdraws=manifest.supersedes if manifest.what == "withdrawal" else None,
                manifest=hashlib.sha256(manifest.render()).hexdigest(),
                received=today,
                previous=hashlib.sha256(lines[-1]).hexdigest() if lines else _START,
            )
            file.write(canonical(entry.model_dump(mode="json")))
            file.flush()
            os.fsync(file.fileno())

    def _broken(self, where: str) -> RefusedError:
        return RefusedError(
            "received_broken",
            "The list of received releases was changed, or cannot be read",
            where=where,
            todo="Restore it from a copy; it is only ever added to",
        )


_START = "0" * 64
