"""Sums: what the told means of one quantity leave possible of the totals of small cells.

Bounds are passed from line to line first, and what they leave unknown is settled by linear
programmes over all lines at once, in which exams and totals are unknown together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from workbench.disclosure.intervals import of_digits, starting_bounds
from workbench.disclosure.policy import Policy
from workbench.disclosure.propagation import Floats, Programme, tighten
from workbench.disclosure.relations import Relations
from workbench.summaries.summary import Summary

BLUR = 0.2
"""A value of few patients must stay unknown by this share of itself, up and down (p % rule)."""
_ENDLESS = 100.0  # times the largest bound: what has none ends here, far too wide to tell anything
_ROUNDS = 3  # totals bound squares and squares bound totals; further rounds change little
Mask = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Leaving:
    """One table as it was counted and as it leaves, or left.

    Parameters
    ----------
    exact, view
        What was counted, and what leaves of it.
    policy
        The policy it leaves under.
    fixed
        True if it left before: then nothing of it can be held back.
    """

    exact: Summary
    view: Summary
    policy: Policy
    fixed: bool = False


class System:
    """The lines along which exams and totals add up, over the numbered cells of all tables.

    Parameters
    ----------
    tables
        Everything that leaves or ever left the site, by name.
    relations
        The cells of these tables.

    Attributes
    ----------
    exams
        Fewest and most exams of each cell that all tables together leave possible.
    targets : (k, cells)
        One row for each thing that must stay unknown, 1 where a small cell belongs to it: the
        small cells of a line, if they hold few patients together, and each small cell.
    around
        For each target the lines that may give it away, as the numbers of their cells.
    """

    def __init__(self, tables: Mapping[str, Leaving], relations: Relations) -> None:
        self.tables, self.places, self.names = tables, relations.places, relations.names
        self.size = size = len(relations.cells)
        self.groups = np.array([group for group, _ in relations.cells], object)
        # No mean is told of the bins of a histogram: they need bounds, but no programme.
        binless = {
            d.name for t in tables.values() if t.view.kind != "histogram" for d in t.view.dimensions
        }
        self.plain = np.array([all(a in binless for a, _ in c) for c in self.names], bool)
        self.equal, self.most = (_of_exams(rows, size) for rows in relations.matrices)
        self.patients = np.zeros(size, np.int64)
        low, high = np.zeros(size), np.full(size, np.inf)
        self.small, self.empty = np.zeros(size, bool), np.zeros(size, bool)
        for name, t in tables.items():
            known = self.places[name] >= 0
            at = self.places[name][known]
            words = t.view.statuses["patients"].values[known]
            self.patients[at] = patients = t.exact.data["patients"].values[known]
            fewest, most = starting_bounds(t.view, t.policy)["exams"]
            np.maximum.at(low, at, fewest[known])
            np.minimum.at(high, at, most[known])
            few = (words == "suppressed") & (patients < t.policy.threshold)
            np.logical_or.at(self.small, at, few)
            np.logical_or.at(self.empty, at, (words == "ok") & (patients == 0))
        low, high = tighten(self.equal, self.most, low, high)
        self.exams = np.ceil(low - 1e-6), np.floor(high + 1e-6)  # exams are whole
        self._aim(relations, max((t.policy.threshold for t in tables.values()), default=0))

    def _aim(self, relations: Relations, threshold: int) -> None:
        lines = [d for d in relations.divisions if d.exams_add]  # one label per exam
        whole = np.array([d.whole for d in lines], np.int64)
        row = np.repeat(np.arange(len(lines)), [len(d.parts) for d in lines])
        part = np.array([p for d in lines for p in d.parts], np.int64)
        parts = _indicator(row, part, (len(lines), self.size))
        # How many patients the small cells of each line have at least, all together.
        few = np.where(self.small, self.patients, 0)
        largest = np.zeros(len(lines), np.int64)
        np.maximum.at(largest, row, few[part])
        others = parts @ np.where(self.small, 0, self.patients)
        least = np.maximum(largest, self.patients[whole] - others)
        distinct = np.array([d.patients_add for d in lines], bool)
        group = np.where(distinct, parts @ few, least)
        some = parts @ self.small.astype(float) > 0
        chosen = np.flatnonzero(some & (group < threshold))
        alone = np.flatnonzero(self.small)
        each = _indicator(np.arange(alone.size), alone, (alone.size, self.size))
        together = sparse.csr_array(parts[chosen] * self.small.astype(float))
        together.eliminate_zeros()
        self.targets = sparse.vstack([together, each]).tocsr()
        self.whole = whole[chosen]
        self.others = sparse.csr_array(parts[chosen] * (~self.small).astype(float))
        self.others.eliminate_zeros()
        of_part: dict[int, list[tuple[int, ...]]] = defaultdict(list)
        for d in relations.divisions:
            for p in d.parts:
                of_part[p].append((d.whole, *d.parts))
        self.around = [[(lines[i].whole, *lines[i].parts)] for i in chosen.tolist()]
        self.around += [of_part[number] for number in alone.tolist()]


class Quantity:
    """What a reader can tell of the totals and squares of one quantity.

    Parameters
    ----------
    system
        The cells of all tables and their exams.
    names
        The tables that sum this quantity.
    """

    def __init__(self, system: System, names: Collection[str]) -> None:
        self.system, tables = system, [system.tables[name].exact for name in names]
        # Who reads totals that are all positive may know that no value is negative.
        self.positive = all((t.data["total"].values >= 0).all() for t in tables)
        steps = {name: float(system.tables[name].exact.attributes["resolution"]) for name in names}
        # Each value was rounded to the step of its table: of several steps, tables differ by it.
        self.slack = {n: s if len(set(steps.values())) > 1 else 0.0 for n, s in steps.items()}
        groups = {g for n in names for g in system.groups[np.unique(system.places[n])]}
        self.inside = np.isin(system.groups, list(groups)) & system.plain
        k = system.targets.shape[0]
        # Least and greatest of each target in any solution met so far: each is a witness, and
        # stays one while less and less is told.
        self._seen = [(np.full(k, np.inf), np.full(k, -np.inf)) for _ in range(2)]

    def telling(self, told: Mapping[str, Mask]) -> Iterator[int]:
        """Yield the targets that the told means give away.

        Parameters
        ----------
        told
            Where each table tells a mean; from one call to the next, less and less.

        Raises
        ------
        DisclosureError
            If the tables contradict each other.
        """
        links = [self._links(name, mask) for name, mask in told.items()]
        boxes = self._boxes(links)
        found: set[int] = set()
        for blur, box in zip((BLUR, 2 * BLUR), boxes, strict=True):  # a square tells twice as well
            now = np.flatnonzero(_narrow(*self._ranges(*box), blur)).tolist()
            yield from (n for n in now if n not in found)
            found.update(now)
        if any(mask.any() for mask in told.values()):
            for which, blur in enumerate((BLUR, 2 * BLUR)):
                yield from self._settled(which, blur, boxes[which], links, found)

    def _links(self, name: str, mask: Mask) -> tuple[Integers, list[tuple[Floats, ...]]]:
        """Return where a table tells, and for total and square what bounds them.

        Both lie between n times a and n times b, and the square also between n times a less c
        and n times b less d.
        """
        table, slack = self.system.tables[name], self.slack[name]
        mean = of_digits(table.view.data["mean"].values[mask], table.policy.digits)
        sd = of_digits(table.view.data["sd"].values[mask], table.policy.digits)
        mean = mean[0] - slack / 2, mean[1] + slack / 2
        sd = np.maximum(sd[0] - slack, 0) ** 2, (sd[1] + slack) ** 2
        # A square is n mean² + (n - 1) sd².
        ends = np.abs(np.stack(mean))
        near = np.where(mean[0] * mean[1] <= 0, 0.0, ends.min(axis=0)) ** 2
        square = near + sd[0], ends.max(axis=0) ** 2 + sd[1], *sd
        zero = np.zeros_like(near)
        return self.system.places[name][mask], [(*mean, zero, zero), square]

    def _boxes(
        self, links: list[tuple[Integers, list[tuple[Floats, ...]]]]
    ) -> list[tuple[Floats, Floats]]:
        """Return the bounds of total and of square that the told means and the lines leave."""
        system, n = self.system, self.system.exams
        boxes = []
        for which, start in enumerate((0.0 if self.positive else -np.inf, 0.0)):
            low, high = np.full(system.size, start), np.full(system.size, np.inf)
            low[system.empty] = high[system.empty] = 0
            for at, bounds in links:
                a, b, c, d = bounds[which]
                np.maximum.at(low, at, np.minimum(n[0][at] * a, n[1][at] * a) - c)
                np.minimum.at(high, at, np.maximum(n[0][at] * b, n[1][at] * b) - d)
            boxes.append((low, high))
        some = np.maximum(n[1], 1)
        for _ in range(_ROUNDS):
            (low, high), (least, most) = (
                tighten(system.equal, self._nested(which), *box) for which, box in enumerate(boxes)
            )
            # No total is larger than √(n × square) (Cauchy-Schwarz).
            near = np.maximum(np.maximum(low, -high), 0)
            far = np.sqrt(some * np.maximum(most, 0))
            boxes = [
                (np.maximum(low, -far), np.minimum(high, far)),
                (np.maximum(least, near**2 / some), most),
            ]
        return boxes

    def _nested(self, which: int) -> sparse.csr_array:
        """Rows by which a part has no more than its whole: of what is never negative."""
        return self.system.most if which or self.positive else self.system.most[:0]

    def _ranges(self, low: Floats, high: Floats) -> tuple[Floats, Floats]:
        """Return what the bounds of single cells leave of the targets."""
        system = self.system
        least, most = system.targets @ low, system.targets @ high
        k = len(system.whole)
        least[:k] = np.maximum(least[:k], low[system.whole] - system.others @ high)
        most[:k] = np.minimum(most[:k], high[system.whole] - system.others @ low)
        return least, most

    def _settled(
        self,
        which: int,
        blur: float,
        box: tuple[Floats, Floats],
        links: list[tuple[Integers, list[tuple[Floats, ...]]]],
        found: set[int],
    ) -> Iterator[int]:
        """Yield the targets that only programmes over all lines together give away."""
        seen = self._seen[which]
        mine = np.diff(self.system.targets[:, self.inside].indptr) > 0
        mine[list(found)] = False
        left = np.flatnonzero(mine & ~_wide(*seen, blur))
        if not left.size:
            return
        programme, scale = self._programme(which, box, links)
        targets = self.system.targets[:, self.inside]
        costs = sparse.hstack([targets, sparse.csr_array(targets.shape)]).tocsr()

        def open_of(numbers: Integers) -> Integers:
            return numbers[~_wide(seen[0][numbers], seen[1][numbers], blur)]

        def look(weights: Floats, numbers: Integers) -> None:
            values = costs @ programme.least(weights @ costs[numbers]) * scale
            np.minimum(seen[0], values, out=seen[0])
            np.maximum(seen[1], values, out=seen[1])

        # One solution shows many targets at once; which, a generator of fixed seed varies.
        draw, before = np.random.default_rng(0), left.size + 1
        while 0 < left.size < before:
            weights, before = draw.standard_normal(left.size), left.size
            look(weights, left)
            look(-weights, left)
            left = open_of(left)
        for number in left:
            for sign in (-1.0, 1.0):
                if open_of(np.array([number])).size:
                    look(np.array([sign]), np.array([number]))
            if open_of(np.array([number])).size:
                found.add(int(number))
                yield int(number)

    def _programme(
        self,
        which: int,
        box: tuple[Floats, Floats],
        links: list[tuple[Integers, list[tuple[Floats, ...]]]],
    ) -> tuple[Programme, float]:
        """Return the programme over (sums, exams) of the cells inside, and the unit of its sums."""
        system, inside = self.system, self.inside
        place, m = np.cumsum(inside) - 1, int(inside.sum())
        scale = max((float(np.abs(b[which][:2]).max(initial=0)) for _, b in links), default=0) or 1
        equal, fewer = (_within(rows, inside) for rows in (system.equal, system.most))
        nested = _within(self._nested(which), inside)
        most = [sparse.block_diag([nested, fewer])]
        limits = [np.zeros(most[0].shape[0])]
        for at, bounds in links:
            a, b, c, d = (x / scale for x in bounds[which])
            shape = (at.size, m)
            for sign, factor, less in ((-1, a, c), (1, b, d)):
                sums = _indicator(np.arange(at.size), place[at], shape) * sign
                exams = sparse.csr_array((-sign * factor, (np.arange(at.size), place[at])), shape)
                most.append(sparse.hstack([sums, exams]))
                limits.append(-sign * less)
        sides = (
            _ended(*(x[inside] / scale for x in box)),
            _ended(*(x[inside] for x in system.exams)),
        )
        low, high = (np.concatenate(ends) for ends in zip(*sides, strict=True))
        both = sparse.block_diag([equal, equal]).tocsr()
        rows = sparse.vstack(most).tocsr()
        return Programme(both, rows, np.concatenate(limits), low, high), scale


def _of_exams(rows: sparse.csr_array, size: int) -> sparse.csr_array:
    """Return the rows that are about exams alone, of rows over (patients, exams)."""
    chosen = np.diff(rows[:, :size].indptr) == 0
    return rows[chosen][:, size:].tocsr()


def _within(rows: sparse.csr_array, inside: Mask) -> sparse.csr_array:
    """Return the rows over some of the unknowns; those that need others say nothing here."""
    return rows[abs(rows) @ ~inside == 0][:, inside].tocsr()


def _indicator(row: Integers, column: Integers, shape: tuple[int, int]) -> sparse.csr_array:
    return sparse.csr_array((np.ones(len(row)), (row, column)), shape=shape)


def _ended(low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Return the bounds with an end where there is none, and room for rounding errors."""
    ends = np.concatenate([low, high])
    far = _ENDLESS * float(np.abs(ends[np.isfinite(ends)]).max(initial=1))
    low, high = np.maximum(low, -far), np.minimum(high, far)
    return low - 1e-9 * np.abs(low), high + 1e-9 * np.abs(high)


def _narrow(low: Floats, high: Floats, blur: float) -> Mask:
    known = np.isfinite(low) & np.isfinite(high)
    low, high = np.where(known, low, 0.0), np.where(known, high, 0.0)
    found: Mask = known & (high - low <= blur * np.abs(high + low))
    return found


def _wide(low: Floats, high: Floats, blur: float) -> Mask:
    found: Mask = np.isfinite(low) & np.isfinite(high) & ~_narrow(low, high, blur)
    return found
