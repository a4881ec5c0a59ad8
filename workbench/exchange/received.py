"""Received: the centre's append-only list of releases it has accepted."""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import os
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from pydantic import ValidationError

from workbench.definition.declaration import Declared, Name
from workbench.exchange.envelope import RefusedError, canonical, parse_canonical
from workbench.exchange.manifest import Count, Digest, Id, Manifest
from workbench.exchange.places import POOLED, RECEIVED
from workbench.running.disk import writing
from workbench.running.publication import write_whole


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
    middle is seen. `<path>.head` holds that of the last line, and the tables pooled beside the
    list name the releases they were made from: so the loss of the last lines is seen too. Whoever
    can write all three can still shorten the list unseen; a copy elsewhere is what shows that.

    Parameters
    ----------
    path
        The file, `received.jsonl`; made at the first release.
    record
        Whether accepted releases are written down; False to look without receiving.
    """

    path: Path
    record: bool = True
    _seen: list[Entry] = field(default_factory=list, repr=False, compare=False)

    @property
    def head(self) -> Path:
        """File of the digest of the last line."""
        return self.path.with_name(f"{self.path.name}.head")

    def read(self) -> tuple[Entry, ...]:
        """Return all lines, and after them what was accepted without being written down.

        Raises
        ------
        RefusedError
            If a line cannot be read, does not follow from the line before, or is missing.
        """
        entries: list[Entry] = []
        digests = [_START]
        for number, line in enumerate(self._lines(), start=1):
            where = f"{self.path.name}, line {number}"
            try:
                parse_canonical(line, where)
                entry = Entry.model_validate_json(line)
            except (RefusedError, ValidationError) as error:
                raise _broken(where) from error
            if entry.previous != digests[-1]:
                raise _broken(where)
            entries.append(entry)
            digests.append(hashlib.sha256(line).hexdigest())
        # A stop between the line and the head leaves the head one line behind, never ahead.
        if self._head() not in (None, *digests[-2:]):
            raise _broken(f"{self.path.name}: the last lines are missing")
        received = {entry.manifest for entry in entries}
        if not set(self._pooled()) <= received:
            raise _broken(f"{self.path.name}: {POOLED} was made from a release that is not in it")
        return (*entries, *self._seen)

    def _lines(self) -> list[bytes]:
        return (_content(self.path) or b"").splitlines(keepends=True)

    def _head(self) -> str | None:
        content = _content(self.head)
        return None if content is None else content.decode("ascii", "replace").strip()

    def _pooled(self) -> list[str]:
        """Return the digest of the manifest of each release that was pooled beside the list."""
        path = self.path.parent / POOLED / "pooled.json"
        try:
            used = parse_canonical(_content(path) or b'{"releases":[]}\n', path.name)["releases"]
            return [str(release["manifest"]) for release in used]
        except (RefusedError, KeyError, TypeError):
            return []  # `read_pooled` says what is wrong with it

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
        """Write down an accepted release; one that stands there already is not written again.

        Raises
        ------
        RefusedError
            If it may not be accepted, or the list is broken.
        ExecutionError
            If the list cannot be written; it is then as it was.
        """
        if self.judge(manifest) is not None:
            return
        if not self.record:
            self._seen.append(self._entry(manifest, today, _START))
            return
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if self.judge(manifest) is None:  # nobody else wrote it meanwhile
                    self._write(file, manifest, today)

    def _write(self, file: FileIO, manifest: Manifest, today: dt.date) -> None:
        lines = self._lines()
        previous = hashlib.sha256(lines[-1]).hexdigest() if lines else _START
        entry = self._entry(manifest, today, previous)
        line = canonical(entry.model_dump(mode="json"))
        end = file.seek(0, os.SEEK_END)
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), end)
            raise
        write_whole(self.head, f"{hashlib.sha256(line).hexdigest()}\n")

    @staticmethod
    def _entry(manifest: Manifest, today: dt.date, previous: str) -> Entry:
        return Entry(
            study=manifest.study.id,
            site=manifest.site.id,
            what=manifest.what,
            release=manifest.id,
            counter=manifest.counter,
            withdraws=manifest.supersedes if manifest.what == "withdrawal" else None,
            manifest=hashlib.sha256(manifest.render()).hexdigest(),
            received=today,
            previous=previous,
        )


def _content(path: Path) -> bytes | None:
    """Return the bytes of a file, or None if there is none."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise _broken(f"{path.name}: not a plain file")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _broken(f"{path.name}: {error.strerror}") from error


def _broken(where: str) -> RefusedError:
    return RefusedError(
        "received_broken",
        "The list of received releases was changed, or cannot be read",
        where=where,
        todo=f"Restore it, and {RECEIVED}.head, from a copy; to start a new list, remove both and "
        f"{POOLED}",
    )


_START = "0" * 64
