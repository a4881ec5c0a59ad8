"""Check: decide what of a release may leave, given everything the site released before.

Each table is protected alone first. Then the tables of this release and of all earlier ones are
attacked together, and as long as a small cell is given away, something large that gives it away
is held back: of what the attack needs, the node of a histogram first (it is merged to the next
coarser one), then a margin, then a cell, then the grand total; among equals what stands in few
tables, then few patients. What left before is known, and holding it back is no use.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from workbench.disclosure.attack import Problem
from workbench.disclosure.cells import Hold, leaves, protect
from workbench.disclosure.differencing import WHOLE, classes_of, difference
from workbench.disclosure.intervals import TOLD
from workbench.disclosure.ledger import LedgerEntry
from workbench.disclosure.policy import Policy
from workbench.disclosure.relations import Cell, Relations, name_cell, relate
from workbench.disclosure.review import review
from workbench.disclosure.totals import Leaving, values_to_hold
from workbench.display import Card, Displayed
from workbench.errors import DisclosureError
from workbench.findings import Finding, Findings, Level
from workbench.summaries.summary import Summary

Position = tuple[int, ...]


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
    release = _Release(exact, policy, past, {name: hold[name] for name in exact})
    try:
        exposed = release.hold_back()
    except DisclosureError as error:
        where = error.where or ", ".join(exact)
        findings.append(Finding("fail", "consistent", error.what, where, todo=error.todo))
        return Checked({}, findings, release.classes)
    if exposed:  # any of the tables may be what gives the cell away
        return Checked({}, findings + exposed, release.classes)
    views = release.views()
    for name, view in views.items():
        findings += review(name, exact[name], view, policy)
        findings.append(_summary_of(name, exact[name], view, policy))
    return Checked(views, findings, release.classes)


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


class _Release:
    """The tables of one release while it is decided what to hold back."""

    def __init__(
        self,
        exact: Mapping[str, Summary],
        policy: Policy,
        past: Mapping[str, LedgerEntry],
        hold: dict[str, Hold],
    ) -> None:
        self.exact, self.policy, self.past, self.hold = exact, policy, past, hold
        self.fixed = {  # counted as before: it leaves as it left
            e.table: e.view
            for e in past.values()
            if e.table in exact and e.policy == policy and e.exact.equals(exact[e.table])
        }
        self._views = dict(self.fixed)
        old = {name: e.exact for name, e in past.items()}
        self.classes = classes_of({**old, **exact})
        self.policies = {name: e.policy for name, e in past.items()} | dict.fromkeys(exact, policy)

    def views(self) -> dict[str, Summary]:
        """Return what would leave as things stand."""
        for name, table in self.exact.items():
            if name not in self._views:
                self._views[name] = protect(table, self.policy, self.hold[name])
        return {name: self._views[name] for name in self.exact}

    def _subsets(self) -> list[tuple[str, str]]:
        """Pairs of tables of one release where the first leaves out exams that the second counts.

        Moments and histograms leave out exams without a value.
        """
        release = {name: (entry.release, entry.exact) for name, entry in self.past.items()}
        release |= {name: ("", table) for name, table in self.exact.items()}
        return [
            (inner, outer)
            for inner, (one, part) in release.items()
            for outer, (other, whole) in release.items()
            if one == other
            and part.kind != "counts"
            and whole.kind == "counts"
            and part.population == whole.population
            and self.classes[inner] != self.classes[outer]
        ]

    def hold_back(self) -> list[Finding]:
        """Hold back what gives small cells away; return the cells that stay given away."""
        old = {name: e.view for name, e in self.past.items()}
        views = self.views()
        relations = relate({**old, **views}, self.classes, self._subsets())
        small: set[int] = set()
        for name, entry in self.past.items():
            suppressed = entry.view.statuses["patients"].values == "suppressed"
            suppressed &= entry.exact.data["patients"].values < entry.policy.threshold
            small.update(relations.places[name][suppressed].tolist())
        for name, view in views.items():
            suppressed = view.statuses["patients"].values == "suppressed"
            suppressed &= self.exact[name].data["patients"].values < self.policy.threshold
            small.update(relations.places[name][suppressed].tolist())
        witnesses: list[np.ndarray] = []
        while True:
            problem = Problem(
                {**old, **views},
                self.policies,
                classes=self.classes,
                relations=relations,
                small=small,
                witnesses=witnesses,
            )
            changed, lost = self._hold_round(problem, relations, views)
            views, witnesses = self.views(), problem.witnesses
            if not changed:
                break
        leaving = {n: Leaving(e.exact, e.view, e.policy, fixed=True) for n, e in self.past.items()}
        for name, table in self.exact.items():
            fixed = name in self.fixed
            leaving[name] = Leaving(table, views[name], self.policy, fixed=fixed)
        for name, mask in values_to_hold(leaving, relations).items():
            self.hold[name].values[...] |= mask
            del self._views[name]
        return lost

    def _hold_round(
        self, problem: Problem, relations: Relations, views: Mapping[str, Summary]
    ) -> tuple[bool, list[Finding]]:
        """Hold back something for each cell given away; return if so, and what is beyond help."""
        told = self._told(relations, views)
        known = self._known(relations)
        chosen: set[int] = set()
        lost = []
        for number in problem.suspects():
            low, high, needed = problem.bounds_of(number)
            if not problem.is_exposed(number, low, high) or chosen & {number, *needed}:
                continue
            options = [n for n in needed if n in told and n not in known]
            own = self._own_nodes(relations, views, number)
            if own:
                chosen.add(number)
                self._hold(own)
            elif options:
                best = min(options, key=lambda n: self._loss(relations.names[n], told[n], views))
                chosen.add(best)
                self._hold(told[best])
            else:
                table, position = problem.where[number]
                finding = Finding(
                    "fail",
                    "exposed",
                    f"Everything released leaves only {low:g} to {high:g} patients possible",
                    f"{table}: {name_cell(problem.views[table], position)}",
                    f"{low:g} to {high:g}",
                    self.policy.threshold,
                    "Release the table without this dimension, or with coarser labels",
                )
                lost.append(finding)
        return bool(chosen), lost

    def _told(
        self, relations: Relations, views: Mapping[str, Summary]
    ) -> dict[int, list[tuple[str, Position]]]:
        """Where each cell is told by a table that may still change."""
        found = defaultdict(list)
        for name, view in views.items():
            if name in self.fixed:
                continue
            places = relations.places[name]
            words = np.isin(view.statuses["patients"].values, TOLD)
            for position in np.argwhere(words & (places >= 0)).tolist():
                at = tuple(position)
                if view.data["patients"].values[at] > 0:
                    found[int(places[at])].append((name, at))
        return dict(found)

    def _known(self, relations: Relations) -> set[int]:
        """Cells that were told in earlier releases."""
        found: set[int] = set()
        for name, entry in self.past.items():
            told = np.isin(entry.view.statuses["patients"].values, TOLD)
            places = relations.places[name]
            found.update(places[told & (places >= 0)].tolist())
        return found

    def _own_nodes(
        self, relations: Relations, views: Mapping[str, Summary], number: int
    ) -> list[tuple[str, Position]]:
        """Where a given-away cell is a suppressed node of a histogram: it can be merged."""
        found = []
        for name, view in views.items():
            if view.kind != "histogram" or name in self.fixed:
                continue
            small = view.statuses["patients"].values == "suppressed"
            small[..., 0] = False
            at = np.argwhere(small & (relations.places[name] == number))
            found += [(name, tuple(position)) for position in at.tolist()]
        return found

    def _loss(
        self, cell: Cell, places: list[tuple[str, Position]], views: Mapping[str, Summary]
    ) -> tuple[int, int, int, Cell]:
        """How much is lost if a cell is told nowhere; the least is held back first."""
        table, position = places[0]
        patients = int(views[table].data["patients"].values[position])
        if cell == WHOLE:
            rank = 3
        elif all(views[name].kind == "histogram" for name, _ in places):
            rank = 0  # a node is not lost, but merged
        else:
            rank = 2 if any(leaves(views[name])[at] for name, at in places) else 1
        return rank, len(places), patients, cell

    def _hold(self, places: list[tuple[str, Position]]) -> None:
        for name, at in places:
            mask = np.zeros(self.exact[name].data["patients"].shape, bool)
            mask[at] = True
            self.hold[name].add(self.exact[name], mask)
            self._views.pop(name, None)


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
