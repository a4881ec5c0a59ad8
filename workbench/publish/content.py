"""Content: what the verified releases of a study say, together and each alone; no markup."""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import PoolingError, ReleaseError
from workbench.exchange.reproduced import Reproduced, read_reproduced
from workbench.exchange.verification import (
    Release,
    Verified,
    find_releases,
    read_pins_of,
    verify_all,
)
from workbench.pooled.table import Pooled
from workbench.pooling import pool
from workbench.publish.language import say, speak
from workbench.publish.marks import ABSENT, SUPPRESSED, Cell
from workbench.publish.scope import Scope
from workbench.publish.tables import Table, open_pooled, open_view
from workbench.study import Section, Study, read_study


@dataclass(frozen=True)
class Refusal:
    """Say why a release is not read.

    Parameters
    ----------
    reason
        Short code, such as "changed_file"; a language has words for each.
    what
        The same in English, as whoever has to mend it is told.
    """

    reason: str
    what: str


@dataclass(frozen=True)
class Content:
    """Hold a study with its verified releases, and what they say together.

    Parameters
    ----------
    study
        The definition.
    releases
        Verified release by name of its site; only these are read.
    refused
        Why, by folder, of each release that does not verify.
    problem
        Why they do not fit together, or "".
    reproduced
        The last time that all was run again, if that was written down.
    citations
        How the data of a site are cited, by its name, where its pin says so.
    """

    study: Study
    releases: Mapping[str, Release]
    refused: Mapping[str, Refusal]
    problem: str = ""
    reproduced: Reproduced | None = None
    citations: Mapping[str, str] = field(default_factory=dict)
    _pooled: dict[tuple[str, str], Pooled] = field(default_factory=dict, repr=False, compare=False)
    _tables: dict[tuple[str, str, bool], Table] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def empty(self) -> bool:
        """True if there is nothing to show: no release, or such as do not fit together."""
        return not self.releases or bool(self.problem)

    @property
    def threshold(self) -> int:
        """Fewest patients that any release tells of."""
        policies = [release.policy for release in self.releases.values()]
        return min((p.threshold for p in policies), default=self.study.policy.threshold)

    @property
    def rounding(self) -> tuple[int, int]:
        """To multiples of what the releases round counts: the least, and the most."""
        bases = [release.policy.rounding for release in self.releases.values()]
        bases = bases or [self.study.policy.rounding]
        return min(bases), max(bases)

    @property
    def day(self) -> dt.date | None:
        """The day of the latest release."""
        return max((r.manifest.created for r in self.releases.values()), default=None)

    def count(self, quantity: str, site: str = "") -> Cell:
        """Return how many exams or patients there are, of a site or of all.

        Parameters
        ----------
        quantity
            "exams" or "patients".
        site
            Name of a site; "" for all.

        Returns
        -------
        Cell
            From the first table of counts that tells it; suppressed if none does, and not
            applicable where its releases cannot be combined.
        """
        tables = [output for output in self.study.released if output.kind == "counts"]
        # Others count other rows, such as devices or what a rule touched.
        counts = [o.name for o in tables if o.population == tables[0].population]
        there = [name for name in counts if self._holds(name, site)]
        try:
            cells = (self._table(name, site).cell(quantity) for name in there)
            return next((cell for cell in cells if cell.shown), SUPPRESSED if there else ABSENT)
        except PoolingError:  # another table may hold fewer sites: it would tell too few
            return ABSENT

    def pooled(self, name: str, site: str = "") -> Pooled:
        """Return one table as a pooled result, with all intervals and quantiles.

        Parameters
        ----------
        name
            A released table.
        site
            Name of a site; "" for all together.

        Raises
        ------
        PoolingError
            If the releases cannot be combined in this table.
        """
        if (name, site) not in self._pooled:
            releases = [self.releases[site]] if site else list(self.releases.values())
            self._pooled[name, site] = pool(releases, self.study, only=[name])
        return self._pooled[name, site]

    def scope(self, section: Section, site: str = "", language: str = "en") -> Scope | None:
        """Return what a section is answered from; None where it cannot be.

        Parameters
        ----------
        section
            A section of the study's dashboard.
        site
            Name of a site; "" for all.
        language
            Two-letter code.

        Raises
        ------
        PoolingError
            If the releases cannot be combined in its table.
        """
        output = self.study.output(section.table)
        if self.empty or not self._holds(output.name, site):
            return None
        quantiles = output.kind == "histogram" and section.figure in ("forest", "dots")
        tables = {
            name: self._table(output.name, name, whole=quantiles or name == site)
            if output.name in release.tables
            else None
            for name, release in self.releases.items()
        }
        together = self._table(output.name)
        return Scope(
            together,
            tables,
            site if sum(table is not None for table in tables.values()) > 1 else "",
            self.study.dimensions,
            output.unit,
            language,
            self.threshold,
            section.counted.get(language, section.counted.get("en", "")),
        )

    def _holds(self, name: str, site: str = "") -> bool:
        asked = [self.releases[site]] if site else self.releases.values()
        return any(name in release.tables for release in asked)

    def _table(self, name: str, site: str = "", *, whole: bool = False) -> Table:
        key = name, site, whole
        if key not in self._tables:
            self._tables[key] = self._opened(*key)
        return self._tables[key]

    def _opened(self, name: str, site: str, whole: bool) -> Table:
        if site and not whole:
            return open_view(self.releases[site], name)
        return open_pooled(self.pooled(name, site), name, self.study.output(name).edges)

    def reason(self, section: Section, site: str = "", language: str = "en") -> str:
        """Return why a site, or all, cannot answer a section."""
        asked = [self.releases[site]] if site else list(self.releases.values())
        given = [release.not_answered.get(section.table, {}) for release in asked]
        reasons = [texts.get(language, texts.get("en", "")) for texts in given]
        said = speak(language).run_on(dict.fromkeys(filter(None, reasons)))
        return said or say("no_table", language)


def read_content(study: Path | str) -> Content:
    """Read a study's releases, and keep those that verify.

    Each table is pooled when it is first asked for.

    Parameters
    ----------
    study
        Folder of the study.

    Returns
    -------
    Content
        A release that does not verify is named with its reason, and not read.

    Raises
    ------
    DefinitionError
        If the study itself cannot be read.
    """
    definition = read_study(study)
    verified = _verified(definition)
    refused = {n: Refusal(error.reason, error.what) for n, error in verified.refusals.items()}
    kept = list(verified.releases)
    problem = _misfit(kept, definition)
    names = Counter(release.manifest.site.name for release in kept)
    releases = {}
    for release in kept:
        name = release.manifest.site.name
        releases[name if names[name] == 1 else f"{name} ({release.site})"] = release
    reproduced = None
    with contextlib.suppress(ReleaseError):  # what cannot be read says nothing was reproduced
        reproduced = read_reproduced(definition)
    pins = read_pins_of(definition) if releases else ()
    cited = {pin.id: pin.citation for pin in pins if pin.citation}
    citations = {n: cited[r.site] for n, r in releases.items() if r.site in cited}
    return Content(definition, releases, refused, problem, reproduced, citations)


def _verified(study: Study) -> Verified:
    """Verify against a copy of the list of received releases: to read is not to receive."""
    received = study.folder / "releases" / "received.jsonl"
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / received.name
        if received.is_file():
            shutil.copyfile(received, copy)
        return verify_all(find_releases(study), study, copy if copy.exists() else None)


def _misfit(releases: list[Release], study: Study) -> str:
    """Return why releases do not fit together, before any table of theirs is pooled, or ""."""
    try:
        if releases:
            pool(releases, study, only=[])
    except PoolingError as error:
        return error.what
    return ""
