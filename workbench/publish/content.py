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
from workbench.publish.language import say
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
    pooled
        All verified releases together; None where there is none, or they do not fit together.
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
    pooled: Pooled | None
    problem: str = ""
    reproduced: Reproduced | None = None
    citations: Mapping[str, str] = field(default_factory=dict)
    _alone: dict[tuple[str, str], Pooled] = field(default_factory=dict, repr=False, compare=False)
    _tables: dict[tuple[str, str, bool], Table] = field(
        default_factory=dict, repr=False, compare=False
    )

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
            From the first table of counts that tells it; suppressed if none does.
        """
        tables = self.releases[site].tables if site else self.pooled.tables if self.pooled else {}
        counts = [name for name, table in tables.items() if table.kind == "counts"]
        cells = [self._table(name, site).cell(quantity) for name in counts]
        return next((cell for cell in cells if cell.shown), SUPPRESSED if cells else ABSENT)

    def alone(self, site: str, name: str) -> Pooled:
        """Return one table of one site as a pooled result, with all intervals and quantiles."""
        if (site, name) not in self._alone:
            self._alone[site, name] = pool([self.releases[site]], self.study, only=[name])
        return self._alone[site, name]

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
        """
        output = self.study.output(section.table)
        if self.pooled is None or output.name not in self.pooled.tables:
            return None
        if site and output.name not in self.releases[site].tables:
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
        )

    def _table(self, name: str, site: str = "", *, whole: bool = False) -> Table:
        key = name, site, whole
        if key not in self._tables:
            self._tables[key] = self._opened(*key)
        return self._tables[key]

    def _opened(self, name: str, site: str, whole: bool) -> Table:
        if site and not whole:
            return open_view(self.releases[site], name)
        pooled = self.alone(site, name) if site else self.pooled
        if pooled is None:
            raise PoolingError("There is nothing pooled", where=name, todo="Verify a release")
        return open_pooled(pooled, name, self.study.output(name).edges)

    def reason(self, section: Section, site: str = "", language: str = "en") -> str:
        """Return why a site, or all, cannot answer a section."""
        asked = [self.releases[site]] if site else list(self.releases.values())
        given = [release.not_answered.get(section.table, {}) for release in asked]
        reasons = [texts.get(language, texts.get("en", "")) for texts in given]
        return "; ".join(dict.fromkeys(filter(None, reasons))) or say("no_table", language)


def read_content(study: Path | str) -> Content:
    """Read a study's releases, keep those that verify, and pool them.

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
    kept: list[Release] = list(verified.releases)
    pooled, problem = None, ""
    try:
        pooled = pool(kept, definition) if kept else None
    except PoolingError as error:
        kept, refused = _without_contradictions(kept, definition, refused)
        problem = error.what
        with contextlib.suppress(PoolingError):
            pooled, problem = (pool(kept, definition), "") if kept else (None, problem)
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
    return Content(definition, releases, refused, pooled, problem, reproduced, citations)


def _verified(study: Study) -> Verified:
    """Verify against a copy of the list of received releases: to read is not to receive."""
    received = study.folder / "releases" / "received.jsonl"
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / received.name
        if received.is_file():
            shutil.copyfile(received, copy)
        return verify_all(find_releases(study), study, copy if copy.exists() else None)


def _without_contradictions(
    releases: list[Release], study: Study, refused: Mapping[str, Refusal]
) -> tuple[list[Release], dict[str, Refusal]]:
    kept, reasons = [], dict(refused)
    for release in releases:
        try:
            pool([release], study)
        except PoolingError as error:
            reasons[release.site] = Refusal("not_pooled", error.what)
        else:
            kept.append(release)
    return kept, reasons
