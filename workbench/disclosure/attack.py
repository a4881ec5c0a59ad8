"""Attack: what a reader of everything a site ever released can compute, as a linear programme.

The unknowns are the patients and exams of every cell. Roundings, suppressions and the divisions
of cells are the constraints. A small cell is safe while the programme leaves it every number of
patients from 1 to threshold - 1; a cell that may be large is safe until it is told to be small.
Fractions are allowed, so the programme concedes the reader a little less than whole numbers
would; whoever withholds can rely on what it finds, and it decides thousands of cells in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import linprog

from workbench.disclosure.intervals import starting_bounds
from workbench.disclosure.policy import Policy
from workbench.disclosure.relations import Relations, name_cell, relate
from workbench.errors import DisclosureError, show
from workbench.summaries.summary import Summary

Floats = npt.NDArray[np.float64]
_TOLERANCE = 1e-5  # of the solver; counts are whole numbers
_FIRST = 1000.0  # weight of the cell that a joint programme is for; the others come along
_LARGE = 2000  # unknowns; from here on interior points are faster than the simplex
_OPTIMAL, _INFEASIBLE, _UNBOUNDED = 0, 2, 3


@dataclass(frozen=True)
class Exposure:
    """Hold what a reader can tell of the patients of one cell that was not told.

    Parameters
    ----------
    table
        Name of the table; of several that hold the cell the first.
    cell
        The cell, e.g. "modality=CT, sex=all".
    low, high
        Fewest and most patients that everything released leaves possible.
    number
        Number of the cell in the `Problem`.
    """

    table: str
    cell: str
    low: float
    high: float
    number: int = -1


def default_classes(views: Mapping[str, Summary]) -> dict[str, str]:
    """Return the class of each table as far as its declaration tells.

    Counts of one population count the same exams. Moments and histograms leave out exams without
    a value, so each is a class of its own; `check` knows the exact counts and joins what agrees.
    """
    return {
        name: view.population if view.kind == "counts" else f"{view.population} in {name}"
        for name, view in views.items()
    }


def attack(
    views: Mapping[str, Summary] | Sequence[Summary],
    policy: Policy | Mapping[str, Policy],
    *,
    classes: Mapping[str, str] | None = None,
) -> list[Exposure]:
    """Return the cells that the views, taken together, give away.

    Parameters
    ----------
    views
        Everything that was released, by name; exact Summaries are read as released without any
        protection.
    policy
        The policy the views were released under, or one for each of them.
    classes
        Class of each table: tables of one class count the same exams. By default as
        `default_classes` says.

    Returns
    -------
    list of Exposure
        In the order of the tables and their cells; empty if nothing is given away.

    Raises
    ------
    DisclosureError
        If the views contradict each other: nothing can then be said of them.

    Examples
    --------
    >>> from workbench.disclosure.cells import protect
    >>> from workbench.summaries.counts import summarise
    >>> from workbench.summaries.dimension import Dimension
    >>> sex = Dimension("sex", ("F", "M"), one_per="patient")
    >>> s = summarise([sex], {"sex": [0] * 40 + [1] * 2}, range(42), range(42))
    >>> [(e.cell, e.low, e.high) for e in attack([protect(s, Policy())], Policy())]
    [('sex=M', 0.0, 4.0)]
    """
    return Problem(views, policy, classes=classes).exposed()


class Problem:
    """The linear programme over all cells of several views.

    Parameters
    ----------
    views, policy, classes
        As for `attack`.
    relations
        The cells, if they are known already; of views that tell at least as much.
    small
        Numbers of cells that are known to be small. Of a suppressed margin a reader cannot know
        it, but whoever protects it does.
    witnesses
        Solutions of a problem with the same relations: those that fit this one are used again.
    """

    def __init__(
        self,
        views: Mapping[str, Summary] | Sequence[Summary],
        policy: Policy | Mapping[str, Policy],
        *,
        classes: Mapping[str, str] | None = None,
        relations: Relations | None = None,
        small: Collection[int] = (),
        witnesses: Iterable[Floats] = (),
    ) -> None:
        if not isinstance(views, Mapping):
            views = {str(i): view for i, view in enumerate(views)}
        self.views = views
        self.policies = {n: policy if isinstance(policy, Policy) else policy[n] for n in views}
        self.relations = relations or relate(views, classes or default_classes(views))
        self.size = len(self.relations.cells)
        self.threshold = self._thresholds()
        self.small = frozenset(small)
        self.low, self.high = self._bounds()
        self._least, self._greatest = self._passed_on()
        self.where = self._untold()
        # What is known to be 0 needs no unknown, and what it leaves of most rows says nothing.
        self._free = self._greatest > 0
        self._equal, self._most = self.relations.matrices
        self._equal = self._equal[abs(self._equal) @ self._free > 0]
        self._most = self._most[self._most.maximum(0) @ self._free > 0]
        # Fewest and most patients of each cell in any solution met so far: each is a witness.
        self._seen_low = np.full(self.size, np.inf)
        self._seen_high = np.full(self.size, -np.inf)
        self.witnesses: list[Floats] = []
        for x in witnesses:
            if (x >= self.low - _TOLERANCE).all() and (x <= self.high + _TOLERANCE).all():
                self.witnesses.append(x)
                self._see(x[: self.size])

    def _thresholds(self) -> Floats:
        """Threshold of each cell: the lowest of those it was ever released under."""
        lowest = np.full(self.size, np.inf)
        for name, policy in self.policies.items():
            places = self.relations.places[name]
            np.minimum.at(lowest, places[places >= 0], float(policy.threshold))
        return lowest

    def _bounds(self) -> tuple[Floats, Floats]:
        low, high = np.zeros(2 * self.size), np.full(2 * self.size, np.inf)
        for name, view in self.views.items():
            places = self.relations.places[name]
            known = places >= 0
            bounds = starting_bounds(view, self.policies[name])
            for shift, field in ((0, "patients"), (self.size, "exams")):
                np.maximum.at(low, shift + places[known], bounds[field][0][known])
                np.minimum.at(high, shift + places[known], bounds[field][1][known])
        if (low > high).any():
            raise _contradiction(self.views)
        return low, high

    def _passed_on(self) -> tuple[Floats, Floats]:
        """Return the bounds that follow from parts and wholes: most cells need no programme.

        The programme itself keeps the bounds as they were told, to say which of them it needs.
        """
        low, high = self.low.copy(), self.high.copy()
        part, whole = self.relations.nested
        for side in (slice(0, self.size), slice(self.size, None)):
            few, many = low[side], high[side]
            before = None
            while before is None or (before[0] != few).any() or (before[1] != many).any():
                before = few.copy(), many.copy()
                np.maximum.at(few, whole, few[part])
                np.minimum.at(many, part, many[whole])
        if (low > high).any():
            raise _contradiction(self.views)
        return low, high

    def _untold(self) -> dict[int, tuple[str, tuple[int, ...]]]:
        """Where each cell stands first that may be small and is not a 0 that may be told."""
        zero = np.zeros(self.size, bool)
        for name, view in self.views.items():
            if not view.exact:
                places = self.relations.places[name]
                empty = view.statuses["patients"].values == "ok"
                empty &= (view.data["patients"].values == 0) & (places >= 0)
                zero[places[empty]] = True
        part, whole = self.relations.nested
        before = None
        while before is None or (before != zero).any():
            before = zero.copy()
            np.logical_or.at(zero, part, zero[whole])  # what a told 0 implies is told as well
            for division in self.relations.divisions:  # so is the whole of parts that are all 0
                zero[division.whole] |= zero[list(division.parts)].all()
        where: dict[int, tuple[str, tuple[int, ...]]] = {}
        untold = (self._least[: self.size] < self.threshold) & ~zero
        for name in self.views:
            places = self.relations.places[name]
            wanted = (places >= 0) & untold[places]
            for position in np.argwhere(wanted).tolist():
                at = tuple(position)
                where.setdefault(int(places[at]), (name, at))
        return where

    def solve(
        self, cost: Floats, extra: tuple[sparse.csr_array, Floats, Floats] | None = None
    ) -> tuple[float, Floats, list[int]]:
        """Minimise `cost`; return the least value, where it is, and the cells that hold it up.

        Raises
        ------
        DisclosureError
            If the views contradict each other, or the solver gives up.
        """
        rows, least, greatest = extra or (self._most[:0], np.zeros(0), np.zeros(0))
        free = np.concatenate([self._free, np.ones(least.size, bool)])
        if not free.any():
            return 0.0, np.zeros(free.size), []
        most = sparse.vstack([_widen(self._most, least.size), rows]).tocsc()[:, free]
        equal = _widen(self._equal, least.size).tocsc()[:, free]
        low, high = np.concatenate([self.low, least]), np.concatenate([self.high, greatest])
        found = linprog(
            cost[free],
            A_ub=most,
            b_ub=np.zeros(most.shape[0]),
            A_eq=equal if equal.shape[0] else None,
            b_eq=np.zeros(equal.shape[0]) if equal.shape[0] else None,
            bounds=np.column_stack([low[free], high[free]]),
            method="highs-ipm" if free.sum() > _LARGE else "highs-ds",
        )
        if found.status == _UNBOUNDED:
            return -math.inf, np.zeros(0), []
        if found.status == _INFEASIBLE:
            raise _contradiction(self.views)
        if found.status != _OPTIMAL:
            raise DisclosureError(
                "It could not be computed what the tables give away",
                where=show(found.message, 200),
                todo="Release fewer or smaller tables",
            )
        x, pull = np.zeros(free.size), np.zeros(free.size)
        x[free] = found.x
        pull[free] = np.abs(found.lower.marginals) + np.abs(found.upper.marginals)
        self.witnesses.append(x[: 2 * self.size])
        self._see(x[: self.size])
        held = np.flatnonzero(pull[: 2 * self.size] > 1e-9) % max(self.size, 1)
        return float(found.fun), x, sorted(set(held.tolist()))

    def _see(self, patients: Floats) -> None:
        self._seen_low = np.minimum(self._seen_low, patients)
        self._seen_high = np.maximum(self._seen_high, patients)

    def bounds_of(self, number: int) -> tuple[float, float]:
        """Return fewest and most patients of a cell."""
        return self._bound(number, 1)[0], self._bound(number, -1)[0]

    def _bound(self, number: int, sign: int) -> tuple[float, list[int]]:
        """Return the fewest patients of a cell, or the most with -1, and what holds that up."""
        cost = np.zeros(2 * self.size)
        cost[number] = sign
        value, _, held = self.solve(cost)
        return max(0.0, _settle(sign * value)), held

    def holders(self, number: int) -> list[int] | None:
        """Return the cells that hold up what gives a cell away; None if it is not given away.

        A bound that a solution met so far has passed harmlessly needs no programme.
        """
        threshold = self.threshold[number]
        low, below = 0.0, list[int]()
        if self._seen_low[number] > 1 + _TOLERANCE:
            low, below = self._bound(number, 1)
        harmless = threshold if low > 1 and number not in self.small else threshold - 1
        if self._seen_high[number] >= harmless - _TOLERANCE and (below or low <= 1):
            high, above = math.inf, list[int]()
        else:
            high, above = self._bound(number, -1)
        if not self.is_exposed(number, low, high):
            return None
        held = below if low > 1 else []
        return sorted({*held, *(above if high < threshold - 1 or not below else [])})

    def exposure(self, number: int) -> Exposure:
        """Return what can be told of one cell."""
        low, high = self.bounds_of(number)
        table, position = self.where[number]
        return Exposure(table, name_cell(self.views[table], position), low, high, number)

    def exposed(self) -> list[Exposure]:
        """Return the cells that are given away."""
        found = (self.exposure(number) for number in self.suspects())
        return [e for e in found if self.is_exposed(e.number, e.low, e.high)]

    def is_exposed(self, number: int, low: float, high: float) -> bool:
        """Return True if these bounds tell more of a cell than that it is small."""
        threshold = self.threshold[number]
        is_small = number in self.small or high < threshold
        return bool(high < threshold - 1 or (is_small and low > 1))

    def suspects(self) -> list[int]:
        """Return the cells that joint programmes could not clear, most of them given away.

        Each programme is for one cell, and counts the patients of all others as well, up to what
        clears them: cells that get there come along and are cleared too.
        """
        if not self.where:
            self.solve(np.zeros(2 * self.size))  # contradictions are refused all the same
            return []
        cells = np.array(list(self.where), int)
        small = self._greatest[cells] < self.threshold[cells]
        small |= np.isin(cells, list(self.small))
        # A cell that may hold the threshold is safe; one that may not must be able to be
        # threshold - 1 and 1 as well.
        large = cells[~small]
        not_large = self._clear(large, self.threshold)
        few = np.array([*cells[small].tolist(), *sorted(not_large)], int)
        not_up = self._clear(few, self.threshold - 1)
        left = np.array([n for n in few.tolist() if n not in not_up], int)
        return self._ordered(not_up | self._clear(left, np.ones(self.size), up=False))

    def _clear(self, cells: npt.NDArray[np.int64], caps: Floats, *, up: bool = True) -> set[int]:
        """Return the cells that no solution lets reach their cap, from below or from above."""
        failed: set[int] = set()
        sign = 1.0 if up else -1.0
        left = cells[~self._reached(cells, caps, up=up)]
        while left.size:
            # y is what counts of a cell: at most the cell and its cap, or at least both.
            k = left.size
            pick = np.concatenate([np.full(k, -sign), np.full(k, sign)])
            columns = np.concatenate([left, 2 * self.size + np.arange(k)])
            rows = sparse.csr_array(
                (pick, (np.tile(np.arange(k), 2), columns)), shape=(k, 2 * self.size + k)
            )
            cost = np.concatenate([np.zeros(2 * self.size), np.full(k, -sign)])
            cost[2 * self.size] *= _FIRST
            low = np.zeros(k) if up else caps[left]
            high = caps[left] if up else np.full(k, np.inf)
            self.solve(cost, (rows, low, high))
            reached = self._reached(left, caps, up=up)
            if not reached[0]:
                failed.add(int(left[0]))
                reached[0] = True
            left = left[~reached]
        return failed

    def _reached(
        self, cells: npt.NDArray[np.int64], caps: Floats, *, up: bool
    ) -> npt.NDArray[np.bool_]:
        if up:
            return np.asarray(self._seen_high[cells] >= caps[cells] - _TOLERANCE)
        return np.asarray(self._seen_low[cells] <= caps[cells] + _TOLERANCE)

    def _ordered(self, numbers: Iterable[int]) -> list[int]:
        names = list(self.views)
        return sorted(numbers, key=lambda n: (names.index(self.where[n][0]), self.where[n][1]))


def _widen(matrix: sparse.csr_array, columns: int) -> sparse.csr_array:
    return sparse.hstack([matrix, sparse.csr_array((matrix.shape[0], columns))]).tocsr()


def _settle(value: float) -> float:
    """Return a whole number for a value that the solver's tolerance kept from it."""
    if math.isfinite(value) and abs(value - round(value)) < _TOLERANCE:
        return float(round(value))
    return value


def _contradiction(views: Mapping[str, Summary]) -> DisclosureError:
    return DisclosureError(
        "The tables contradict each other: no archive could have given all of them",
        where=", ".join(show(name) for name in views),
        todo="Count the tables from one archive; give different populations different names",
    )
