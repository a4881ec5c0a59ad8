"""Totals: means that would tell the values of the few patients who were suppressed.

Mean times n is a total, and the total of a margin less the totals of its told cells is the total
of the cells that were suppressed. The same holds for squares, from mean, sd and n. Roundings blur
both; where the blur is too small for so few patients, a mean and its sd are held back.

A reader has all tables at once. Tables that sum the same values of the same exams, in this release
or in earlier ones, are one system: a cell that stands in several of them has one total.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from workbench.disclosure.intervals import Floats, of_digits, starting_bounds
from workbench.disclosure.policy import Policy
from workbench.disclosure.propagation import tighten
from workbench.disclosure.relations import Relations
from workbench.summaries.summary import Summary

BLUR = 0.2
"""A value of few patients must stay unknown by this share of itself, up and down (p % rule)."""
Mask = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Position = tuple[int, ...]


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


def values_to_hold(tables: Mapping[str, Leaving], relations: Relations) -> dict[str, Mask]:
    """Return where mean and sd must be held back so that suppressed totals stay blurred.

    Parameters
    ----------
    tables
        Everything that leaves or ever left the site, by name.
    relations
        The cells of these tables.

    Returns
    -------
    dict of numpy.ndarray
        For each table of moments that may still change, bool, of the shape of the table. Margins
        are chosen before cells, those of few patients first, the grand total last. A mean is held
        back in every table that would tell it. What earlier releases tell by themselves is known,
        and nothing is held back for it.

    Notes
    -----
    The p % rule of statistical disclosure control (Hundepool et al., *Statistical Disclosure
    Control*, 2012, chapter 4) with p = 20, applied to what is left of every line (a cell and
    what divides it), and to every bound that passing bounds from line to line gives. A square
    tells a value twice as well.
    """
    hold = {
        name: np.zeros(t.view.data["patients"].shape, bool)
        for name, t in tables.items()
        if t.view.kind == "moments" and not t.fixed
    }
    system = _System(tables, relations)
    for names in _quantities(tables, relations):
        if not hold.keys() & set(names):
            continue
        known = set(system.telling(_told(tables, hold, [n for n in names if n not in hold])))
        while True:
            told = _told(tables, hold, names)
            found = next((x for x in system.telling(told) if x not in known), None)
            if found is None:
                break
            for name, at in system.least_loss(told, found[0], hold):
                hold[name][at] = True
    return hold


def _told(
    tables: Mapping[str, Leaving], hold: Mapping[str, Mask], names: Collection[str]
) -> dict[str, Mask]:
    """Return where the tables tell a mean."""
    return {
        n: (tables[n].view.statuses["mean"].values == "rounded") & ~hold.get(n, np.False_)
        for n in names
    }


def _quantities(tables: Mapping[str, Leaving], relations: Relations) -> list[list[str]]:
    """Group the tables that sum one quantity: what they share has one total.

    Who reads them cannot know that, but may guess it from their names and units. Resolutions may
    differ, by which each value may be off by a half.
    """
    groups: list[tuple[str, list[str], dict[int, tuple[float, float]]]] = []
    for name, table in tables.items():
        if table.view.kind != "moments":
            continue
        about = table.exact.attributes
        step, unit = float(about["resolution"]), str(about["unit"])
        n, total, place = (
            x.ravel().tolist()
            for x in (
                table.exact.data["exams"].values,
                table.exact.data["total"].values,
                relations.places[name],
            )
        )
        ours = {
            p: (t * step, k * step / 2 + abs(t * step) * 1e-12)
            for p, t, k in zip(place, total, n, strict=True)
        }
        for of, names, theirs in groups:
            shared = ours.keys() & theirs.keys()
            if of == unit and shared and all(_alike(ours[p], theirs[p]) for p in shared):
                names.append(name)
                theirs.update(ours)
                break
        else:
            groups.append((unit, [name], ours))
    return [names for _, names, _ in groups]


def _alike(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return abs(a[0] - b[0]) <= a[1] + b[1]


class _System:
    """The lines along which totals add up, over the numbered cells of all tables."""

    def __init__(self, tables: Mapping[str, Leaving], relations: Relations) -> None:
        self.tables, self.places, self.names = tables, relations.places, relations.names
        size = len(relations.cells)
        self.lines = [d for d in relations.divisions if d.exams_add]  # one label per exam
        self.whole = np.array([d.whole for d in self.lines], np.int64)
        counts = [len(d.parts) for d in self.lines]
        self.row = np.repeat(np.arange(len(self.lines)), counts)
        self.part = np.array([p for d in self.lines for p in d.parts], np.int64)
        wholes = _indicator(np.arange(len(self.lines)), self.whole, size)
        self.parts = _indicator(self.row, self.part, size, len(self.lines))
        self.rows = (wholes - self.parts).tocsr()
        self.patients = np.zeros(size, np.int64)
        self.exams = np.zeros(size), np.full(size, np.inf)
        self.small, self.empty = np.zeros(size, bool), np.zeros(size, bool)
        for name, t in tables.items():
            at = self.places[name]
            known = at >= 0
            words = t.view.statuses["patients"].values[known]
            patients = t.exact.data["patients"].values[known]
            self.patients[at[known]] = patients
            low, high = starting_bounds(t.view, t.policy)["exams"]
            np.maximum.at(self.exams[0], at[known], low[known])
            np.minimum.at(self.exams[1], at[known], high[known])
            few = (words == "suppressed") & (patients < t.policy.threshold)
            np.logical_or.at(self.small, at[known], few)
            np.logical_or.at(self.empty, at[known], (words == "ok") & (patients == 0))
        self.threshold = max((t.policy.threshold for t in tables.values()), default=0)
        self.group = self._group()

    def _group(self) -> Integers:
        """Return how many patients the small cells of each line have at least, all together."""
        few = np.where(self.small, self.patients, 0)
        largest = np.zeros(len(self.lines), np.int64)
        np.maximum.at(largest, self.row, few[self.part])
        others = self.parts @ np.where(self.small, 0, self.patients)
        distinct = np.array([d.patients_add for d in self.lines], bool)
        least = np.maximum(largest, self.patients[self.whole] - others)
        return np.asarray(np.where(distinct, self.parts @ few, least), np.int64)

    def telling(self, told: Mapping[str, Mask]) -> Iterator[tuple[int, int]]:
        """Yield the lines that give small cells away: all of them together (-1), or one alone."""
        few = self.small.astype(float)
        some = self.parts @ few > 0
        for blur, bounds in zip((BLUR, 2 * BLUR), self._sums(told), strict=True):
            low, high = tighten(self.rows, self.rows[:0], *bounds)
            rest = [self.parts @ np.where(self.small, 0.0, x) for x in (low, high)]
            left = low[self.whole] - rest[1], high[self.whole] - rest[0]
            together = _narrow(*left, blur) & some & (self.group < self.threshold)
            yield from ((line, -1) for line in np.flatnonzero(together).tolist())
            alone = (_narrow(low, high, blur) & self.small)[self.part]
            yield from zip(self.row[alone].tolist(), self.part[alone].tolist(), strict=True)

    def _sums(self, told: Mapping[str, Mask]) -> Iterator[tuple[Floats, Floats]]:
        """Yield the bounds of total and of square that n, mean and sd of each cell leave."""
        bounds = [[np.where(self.empty, 0.0, end) for end in (-np.inf, np.inf)] for _ in range(2)]
        for name, mask in told.items():
            view, at = self.tables[name].view, self.places[name][mask]
            digits = self.tables[name].policy.digits
            n = [x[at] for x in self.exams]
            mean = of_digits(view.data["mean"].values[mask], digits)
            sd = of_digits(view.data["sd"].values[mask], digits)
            corners = np.stack([k * m for k in n for m in mean])
            # n mean² + (n - 1) sd² rises with n and with both distances from zero.
            ends = np.abs(np.stack(mean))
            near = np.where(mean[0] * mean[1] <= 0, 0.0, ends.min(axis=0))
            square = (
                n[0] * near**2 + np.maximum(n[0] - 1, 0) * np.maximum(sd[0], 0) ** 2,
                n[1] * ends.max(axis=0) ** 2 + np.maximum(n[1] - 1, 0) * sd[1] ** 2,
            )
            total = corners.min(axis=0), corners.max(axis=0)
            for (low, high), (least, greatest) in zip(bounds, (total, square), strict=True):
                np.maximum.at(low, at, least)
                np.minimum.at(high, at, greatest)
        # Two resolutions of one value may leave a gap between their bounds.
        yield from ((np.minimum(*pair), np.maximum(*pair)) for pair in bounds)

    def least_loss(
        self, told: Mapping[str, Mask], line: int, hold: Mapping[str, Mask]
    ) -> list[tuple[str, Position]]:
        """Return where the mean stands that is held back with the least loss."""
        standing: dict[int, list[tuple[str, Position]]] = defaultdict(list)
        lost: set[int] = set()
        for name, mask in told.items():
            if name not in hold:
                lost.update(self.places[name][mask].tolist())
                continue
            for place in np.argwhere(mask).tolist():
                standing[int(self.places[name][tuple(place)])].append((name, tuple(place)))
        # What is known of a line that tells nothing itself follows from others: any may go.
        cells = {self.lines[line].whole, *self.lines[line].parts}
        able = (
            [n for n in standing if n in cells and n not in lost]
            or [n for n in standing if n not in lost]
            or list(standing)
        )
        best = min(able, key=lambda n: max(self._loss(n, at) for _, at in standing[n]))
        return standing[best]

    def _loss(self, number: int, at: Position) -> tuple[int, int, Position]:
        labels = len(self.names[number])
        rank = 2 if labels == 0 else 1 if labels == len(at) else 0
        return rank, int(self.patients[number]), at


def _indicator(
    row: Integers, column: Integers, width: int, height: int | None = None
) -> sparse.csr_array:
    shape = (len(row) if height is None else height, width)
    return sparse.csr_array((np.ones(len(row)), (row, column)), shape=shape)


def _narrow(low: Floats, high: Floats, blur: float) -> Mask:
    known = np.isfinite(low) & np.isfinite(high)
    low, high = np.where(known, low, 0.0), np.where(known, high, 0.0)
    found: Mask = known & (high - low <= blur * np.abs(high + low))
    return found
