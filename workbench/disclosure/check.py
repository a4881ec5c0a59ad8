"""Check: decide what of a release may leave, given everything the site released before.

Each table is protected alone first, and compared with what it must not nearly be. Then what would
give small cells away, all tables taken together, is held back (`workbench.disclosure.holding`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from workbench.disclosure.cells import Hold, protect
from workbench.disclosure.differencing import classes_of, difference
from workbench.disclosure.holding import Holding
from workbench.disclosure.ledger import LedgerEntry
from workbench.disclosure.policy import Policy
from workbench.disclosure.relations import relate
from workbench.disclosure.review import review
from workbench.display import Card, Displayed
from workbench.errors import DisclosureError
from workbench.findings import Finding, Findings, Level
from workbench.summaries.summary import Summary


@dataclass(frozen=True, repr=False)
class Checked(Displayed):
    """What a check decided.

    Parameters
    ----------
    views
        What may leave, by table: without the tables that fail alone, and empty if they fail
        together.
    findings
        What was seen, the tables in order.
    classes
        Class of each table, earlier releases among them: tables of one class count the same exams.
    """

    views: dict[str, Summary]
    findings: list[Finding]
    classes: dict[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> Level:
        """The worst level of all findings."""
        levels = {finding.level for finding in self.findings}
        return "fail" if "fail" in levels else "review" if "review" in levels else "pass"

    def _card(self) -> Card:
        shown = Findings(self.findings)._card()
        facts = {"what would leave": ", ".join(self.views) or "nothing", "findings": shown.title}
        return replace(shown, title=f"Checked: {self.verdict}", facts=facts)


def check(
    summaries: Mapping[str, Summary], policy: Policy, earlier: Sequence[LedgerEntry] = ()
) -> Checked:
    """Decide what of the tables of a release may leave the site.

    Nothing is read or written: the same arguments give the same result, bit by bit. A table that
    was released before and is counted the same leaves as it left.

    Parameters
    ----------
    summaries
        Exact Summaries by table name.
    policy
        The policy in force.
    earlier
        Every table the site ever released, from its ledger.

    Returns
    -------
    Checked
        Findings have the rules `readable` (fail: no exact Summary of a known kind),
        `differencing` (fail: an earlier table, or one of this release, counts nearly the same
        patients), `consistent` (fail: the tables contradict each other), `exposed` (fail: a cell
        is given away whatever is held back), those of `workbench.disclosure.review`, and
        `threshold` (pass: what was suppressed and held back).

    Examples
    --------
    >>> from workbench.summaries.counts import summarise
    >>> from workbench.summaries.dimension import Dimension
    >>> sex = Dimension("sex", ("F", "M"), one_per="patient")
    >>> s = summarise([sex], {"sex": [0] * 42 + [1] * 2}, range(44), range(44))
    >>> checked = check({"patients_by_sex": s}, Policy())
    >>> print(checked.findings[0])  # doctest: +ELLIPSIS
    pass    threshold: 1 of 3 cells suppressed, 0 held back to protect them ...
    """
    findings: list[Finding] = []
    exact: dict[str, Summary] = {}
    for name, summary in summaries.items():
        try:
            protect(summary, policy)
            exact[name] = summary
        except DisclosureError as error:
            findings.append(Finding("fail", "readable", error.what, name, todo=error.todo))
    past = _once(earlier)
    hold = {name: Hold.nothing(table) for name, table in exact.items()}
    for name in list(exact):
        found = _differences(name, exact, past, policy, hold)
        findings += found
        if found:
            del exact[name]
    views: dict[str, Summary] = {}
    classes = classes_of({name: e.exact for name, e in past.items()} | exact)
    together: list[Finding] = []
    for population in dict.fromkeys(table.population for table in exact.values()):
        # Cells of two populations have nothing to do with each other: each is a small programme.
        tables = {n: t for n, t in exact.items() if t.population == population}
        before = {n: e for n, e in past.items() if e.exact.population == population}
        release = Holding(tables, policy, before, {name: hold[name] for name in tables})
        try:
            exposed = release.hold_back()
        except DisclosureError as error:
            where = error.where or ", ".join(tables)
            together.append(Finding("fail", "consistent", error.what, where, todo=error.todo))
            continue
        together += exposed
        views |= release.views()
    if together:  # any of the tables may be what gives a cell away
        return Checked({}, findings + together, classes)
    views = {name: views[name] for name in exact}
    for name, view in views.items():
        findings += review(name, exact[name], view, policy)
        findings.append(_summary_of(name, exact[name], view, policy))
    return Checked(views, findings, classes)


def _once(earlier: Sequence[LedgerEntry]) -> dict[str, LedgerEntry]:
    """Return the earlier tables by name, those that left twice alike once."""
    kept: dict[str, LedgerEntry] = {}
    for entry in earlier:
        if not any(
            e.table == entry.table
            and e.policy == entry.policy
            and e.exact.equals(entry.exact)
            and e.view.equals(entry.view)
            for e in kept.values()
        ):
            kept[entry.name] = entry
    return kept


def _differences(
    name: str,
    exact: Mapping[str, Summary],
    past: Mapping[str, LedgerEntry],
    policy: Policy,
    hold: Mapping[str, Hold],
) -> list[Finding]:
    """Return a finding per table that is nearly the same; hold back the cells that alone are."""
    table = exact[name]
    findings = []
    for other, old, limit in _comparable(name, exact, past):
        found = difference(table, old, max(policy.threshold, limit))
        if found is None:
            continue
        if found.nearly_same:
            findings.append(
                Finding(
                    "fail",
                    "differencing",
                    f"Table {name!r} and table {other!r} differ by {found.patients} patients",
                    f"{name}: {found.cell}",
                    found.patients,
                    policy.threshold,
                    "Release it when more has changed, or release what was released before",
                )
            )
        else:
            relations = relate({name: table}, {name: ""})
            numbers = [relations.cells["", cell] for cell in found.cells]
            mask = np.isin(relations.places[name], numbers)
            hold[name].add(table, mask)
    return findings


def _comparable(
    name: str, exact: Mapping[str, Summary], past: Mapping[str, LedgerEntry]
) -> Iterator[tuple[str, Summary, int]]:
    """Yield the tables that a table must not differ from by a few patients.

    Counts are compared with all counts. Moments and histograms leave out exams without a value:
    they are compared with their namesake, or with all of a release that has none.
    """
    table = exact[name]
    releases = defaultdict(set)
    for entry in past.values():
        releases[entry.release].add(entry.table)
    for entry in past.values():
        if table.kind == "counts" or entry.table == name or name not in releases[entry.release]:
            yield entry.name, entry.exact, entry.policy.threshold
    if table.kind == "counts":
        for other in exact:
            if other == name:
                break
            yield other, exact[other], 0


def _summary_of(name: str, exact: Summary, view: Summary, policy: Policy) -> Finding:
    words = view.statuses["patients"].values
    spoken = words != "not_applicable"
    hidden = words == "suppressed"
    held = hidden & (exact.data["patients"].values >= policy.threshold)
    message = (
        f"{int(hidden.sum() - held.sum())} of {int(spoken.sum())} cells suppressed, "
        f"{int(held.sum())} held back to protect them"
    )
    if "mean" in view.data:
        means = view.statuses["mean"].values == "suppressed"
        message += f"; {int((means & ~hidden).sum())} means held back"
    return Finding("pass", "threshold", message, name, int(hidden.sum()), policy.threshold)
