"""Preview: what a release would hold, what is missing, and what would be suppressed.

Each number here is one that would leave, or a count of cells: nothing is told of a small cell that
the release would not tell, and a finding says what was found, not the numbers it judged. Even so a
preview stays at the site: it is not in the ledger, so no later release is held against it. A sample
of the patients can be looked at this way, and not released.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workbench.disclosure.check import Checked, check
from workbench.exchange.checked import check_release
from workbench.exchange.offer import HasFolder, Offer, read_offer
from workbench.findings import Finding, Level
from workbench.provenance import read_record
from workbench.site import Site
from workbench.study import Study
from workbench.summaries.dimension import ALL, MISSING, OTHER
from workbench.summaries.summary import HIDDEN, Summary

_NUMBERLESS = frozenset({"dominance", "exams_per_patient", "nothing_left", "threshold"})
"""Rules whose message holds no number but counts of cells."""
_SAID = {
    "consistent": "The tables contradict each other",
    "differencing": "It counts nearly the same patients as another table",
    "exposed": "Everything released together would give a small cell away",
    "readable": "It cannot be released as it is",
}
"""Messages of the rules whose own would tell of few patients."""


@dataclass(frozen=True)
class TablePreview:
    """Say what would leave of one table.

    Parameters
    ----------
    name, kind
        As the study declares the output.
    exams, patients
        Of the whole table, as they would leave; None where they are suppressed, or are told by
        the bins of a histogram only.
    cells
        Cells that hold something to tell or to suppress.
    suppressed
        Those that would be suppressed.
    refused
        Whether nothing of it would leave.
    """

    name: str
    kind: str
    exams: int | None
    patients: int | None
    cells: int
    suppressed: int
    refused: bool = False


@dataclass(frozen=True)
class Gap:
    """Say how much of a table has no label of its own.

    Parameters
    ----------
    table, dimension
        Where.
    label
        "missing" (not stated) or "other" (stated, but no code of the study matches).
    share
        Share of the exams, 0 to 1, from the numbers that would leave; None where they are
        suppressed.
    """

    table: str
    dimension: str
    label: str
    share: float | None


@dataclass(frozen=True)
class Preview:
    """Hold what a run would release; made by `preview_release`.

    Parameters
    ----------
    study, site, run_id
        Of which run.
    sample
        Number of patients it was limited to, or None; a sample can never be released.
    verdict
        Of the check: "pass", "review" or "fail".
    threshold
        Fewest patients that a cell may tell of.
    tables
        The tables, in the study's order.
    gaps
        What is not stated, and what no code matches, where there is any.
    not_answered
        Reason by output that the site cannot answer.
    cannot_answer
        Reason by column that the site says it cannot answer.
    findings
        What the check found, and in which table; what it judged is told by `check_release`.
    """

    study: str
    site: str
    run_id: str
    sample: int | None
    verdict: Level
    threshold: int
    tables: tuple[TablePreview, ...]
    gaps: tuple[Gap, ...]
    not_answered: Mapping[str, str]
    cannot_answer: Mapping[str, str]
    findings: tuple[Finding, ...]

    def document(self) -> dict[str, Any]:
        """Return all of it as values that JSON can hold."""
        return {
            "study": self.study,
            "site": self.site,
            "run": self.run_id,
            "sample": self.sample,
            "verdict": self.verdict,
            "threshold": self.threshold,
            "tables": [vars(table) for table in self.tables],
            "gaps": [vars(gap) for gap in self.gaps],
            "not_answered": dict(self.not_answered),
            "cannot_answer": dict(self.cannot_answer),
            "findings": [vars(finding) for finding in self.findings],
        }


def preview_release(run: HasFolder, study: Study, site: Site) -> Preview:
    """Check a run as for a release, and return what would leave; needs no key, writes nothing.

    A sample is checked by itself: what the site released before is of other patients.

    Parameters
    ----------
    run
        A finished run, or one of a sample.
    study, site
        What ran, and where.

    Raises
    ------
    ReleaseError
        If the run is unfinished, of another study or site, or was changed after it ended.
    """
    record = read_record(run.folder)
    offer: Offer
    checked: Checked
    if record.sample is None:
        checked = check_release(run, study, site)
        offer = checked.offer
    else:
        offer = read_offer(run, study, site, sample=True)
        checked = check(offer.summaries, offer.policy)
    return Preview(
        study.id,
        site.id,
        record.run_id,
        record.sample,
        checked.verdict,
        offer.policy.threshold,
        tuple(_table(n, s, checked.views.get(n)) for n, s in offer.summaries.items()),
        tuple(gap for name, view in checked.views.items() for gap in _gaps(name, view)),
        {name: reason.get("en", "") for name, reason in offer.not_answered.items()},
        {column: site.reason(column) for column in site.cannot_answer},
        tuple(_numberless(finding) for finding in checked.findings),
    )


def _numberless(finding: Finding) -> Finding:
    if finding.rule in _NUMBERLESS:
        return replace(finding, value=None, threshold=None)
    message = _SAID.get(finding.rule, "The check says more at the site")
    table = finding.where.partition(":")[0]
    todo = "" if any(map(str.isdigit, finding.todo)) else finding.todo
    return Finding(finding.level, finding.rule, message, table, todo=todo)


def _table(name: str, exact: Summary, view: Summary | None) -> TablePreview:
    if view is None:
        return TablePreview(name, exact.kind, None, None, 0, 0, refused=True)
    words = view.statuses["patients"].values
    whole = {d.name: ALL for d in view.dimensions}
    return TablePreview(
        name,
        view.kind,
        _told(view, "exams", whole),
        _told(view, "patients", whole),
        int((words != "not_applicable").sum()),
        int((words == "suppressed").sum()),
    )


def _gaps(name: str, view: Summary) -> Iterator[Gap]:
    whole = {d.name: ALL for d in view.dimensions}
    total = _told(view, "exams", whole)
    for dimension in view.dimensions:
        for label in (MISSING, OTHER):
            cell = {**whole, dimension.name: label}
            if total is None or not _held(view, cell):
                continue
            part = _told(view, "exams", cell)
            if part != 0:
                share = None if part is None else round(part / max(total, 1), 4)
                yield Gap(name, dimension.name, label, share)


def _held(view: Summary, cell: Mapping[str, str]) -> bool:
    return all(label in view.labels(name) for name, label in cell.items())


def _told(view: Summary, field: str, cell: Mapping[str, str]) -> int | None:
    """Return a number that would leave, or None; the root of a histogram is its whole."""
    at = {n: 0 if label == ALL else view.labels(n).index(label) for n, label in cell.items()}
    if str(view.statuses[field].isel(at).item()) in HIDDEN:
        return None
    return int(np.asarray(view.data[field].isel(at)).item())
