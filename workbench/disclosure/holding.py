"""Holding: search for what to hold back of a release so that the rest is safe.

All tables of this release and of earlier ones are attacked together, and as long as a small cell
is given away, something large that gives it away is held back: of what the attack needs, the node
of a histogram first (it is merged to the next coarser one), then a margin, then a cell, then the
grand total; among equals what stands in few tables, then few patients. What left before is known,
and holding it back is no use.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from workbench.disclosure.attack import Problem
from workbench.disclosure.cells import Hold, leaves, protect
from workbench.disclosure.differencing import WHOLE, classes_of
from workbench.disclosure.intervals import TOLD
from workbench.disclosure.ledger import LedgerEntry
from workbench.disclosure.policy import Policy
from workbench.disclosure.relations import Cell, Relations, name_cell, relate
from workbench.disclosure.sums import Leaving
from workbench.disclosure.totals import values_to_hold
from workbench.findings import Finding
from workbench.summaries.summary import Summary

Position = tuple[int, ...]


class Holding:
    """The tables of one release while it is decided what to hold back.

    Parameters
    ----------
    exact
        The tables as they were counted, by name.
    policy
        The policy they leave under.
    past
        Every table that left before, by name.
    hold
        What must be held back of each table in any case; the search adds to it.

    Attributes
    ----------
    classes
        Class of each table, earlier ones among them: tables of one class count the same exams.
    """

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
        """Hold back what gives small cells away; return the cells that stay given away.

        Raises
        ------
        DisclosureError
            If the tables contradict each other.
        """
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
            needed = problem.holders(number)
            if needed is None or chosen & {number, *needed}:
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
                low, high = problem.bounds_of(number)
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
