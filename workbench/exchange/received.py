"""Received: the centre's append-only list of releases it has accepted."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from workbench.chain import START, Chain
from workbench.definition.declaration import Declared, Name
from workbench.exchange.envelope import RefusedError, canonical, parse_canonical
from workbench.exchange.manifest import Count, Digest, Id, Manifest
from workbench.exchange.places import POOLED, RECEIVED
from workbench.running.disk import writing


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

    The list is a `Chain`, so a line that is changed, or taken out of the middle, is seen. Its head,
    and the tables pooled beside it, which name the releases they were made from, show the loss of
    the last lines. Whoever can write all three can still shorten the list unseen; a copy elsewhere
    is what shows that.

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
        return self._chain.head

    @cached_property
    def _chain(self) -> Chain:
        return Chain(self.path, lambda what, _: _broken(f"{self.path.name}: {what}"))

    def read(self) -> tuple[Entry, ...]:
        """Return all lines, and after them what was accepted without being written down.

        Raises
        ------
        RefusedError
            If a line cannot be read, does not follow from the line before, or is missing.
        """
        pooled = set(self._pooled())  # before the lines, which only grow: they must hold it
        entries: list[Entry] = []
        for number, record in enumerate(self._chain.read(), start=1):
            try:
                entries.append(Entry.model_validate_json(canonical(record)))
            except ValidationError as error:
                raise _broken(f"{self.path.name}, line {number}") from error
        if not pooled <= {entry.manifest for entry in entries}:
            raise _broken(f"{self.path.name}: {POOLED} was made from a release that is not in it")
        return (*entries, *self._seen)

    def _pooled(self) -> list[str]:
        """Return the digest of the manifest of each release that was pooled beside the list."""
        path = self.path.parent / POOLED / "pooled.json"
        try:
            used = parse_canonical(self._chain.content(path) or b'{"releases":[]}\n', path.name)[
                "releases"
            ]
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
            self._seen.append(self._entry(manifest, today))
            return
        with writing(self.path), self._chain.writing():
            if self.judge(manifest) is None:  # nobody else wrote it meanwhile
                self._chain.append(self._entry(manifest, today).model_dump(mode="json"))

    @staticmethod
    def _entry(manifest: Manifest, today: dt.date) -> Entry:
        return Entry(
            study=manifest.study.id,
            site=manifest.site.id,
            what=manifest.what,
            release=manifest.id,
            counter=manifest.counter,
            withdraws=manifest.supersedes if manifest.what == "withdrawal" else None,
            manifest=hashlib.sha256(manifest.render()).hexdigest(),
            received=today,
            previous=START,
        )


def _broken(where: str) -> RefusedError:
    return RefusedError(
        "received_broken",
        "The list of received releases was changed, or cannot be read",
        where=where,
        todo=f"Restore it, and {RECEIVED}.head, from a copy; to start a new list, remove both and "
        f"{POOLED}",
    )
