"""Totals: means that would tell the values of the few patients who were suppressed.

Mean times n is a total, and the total of a margin less the totals of its told cells is the total
of the cells that were suppressed. The same holds for squares, from mean, sd and n. Roundings blur
both; where the blur is too small for so few patients, a mean and its sd are held back.

A reader has all tables at once. Tables that sum the same values of the same exams, in this release
or in earlier ones, are one system: a cell that stands in several of them has one total.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Mapping

import numpy as np

from workbench.disclosure.relations import Relations
from workbench.disclosure.sums import Integers, Leaving, Mask, Quantity, System

Position = tuple[int, ...]


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
    what divides it) and to every small cell. What is left is what linear programmes over all lines
    leave, squares and the totals of a quantity without negative totals being 0 or more. A square
    tells a value twice as well.
    """
    hold = {
        name: np.zeros(t.view.data["patients"].shape, bool)
        for name, t in tables.items()
        if t.view.kind == "moments" and not t.fixed
    }
    system = System(tables, relations)
    for names in quantities(tables, relations):
        if not hold.keys() & set(names):
            continue
        quantity, fixed = Quantity(system, names), [n for n in names if n not in hold]
        known = set(Quantity(system, names).telling(_told(tables, hold, fixed)))
        while True:
            told = _told(tables, hold, names)
            found = next((x for x in quantity.telling(told) if x not in known), None)
            if found is None or not (standing := _standing(system, told, hold)):
                break
            for name, at in _least_loss(system, found, standing):
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


def quantities(tables: Mapping[str, Leaving], relations: Relations) -> list[list[str]]:
    """Group the tables that sum one quantity: what they share has one total.

    Who reads them cannot know that, but may guess it from their names and units. Resolutions may
    differ, by which each value may be off by a half. Tables that share no cell belong together
    where others join them, and a table that fits two quantities belongs to both.

    Parameters
    ----------
    tables
        Everything that leaves or ever left the site, by name.
    relations
        The cells of these tables.

    Returns
    -------
    list of list of str
        Names of the tables of moments, each in one group or more, whatever their order.
    """
    totals = {n: _totals(t, relations.places[n]) for n, t in sorted(tables.items()) if _sums(t)}
    units = {n: str(tables[n].exact.attributes["unit"]) for n in totals}
    alike, apart = defaultdict(set), defaultdict(set)
    for (one, ours), (other, theirs) in itertools.combinations(totals.items(), 2):
        shared = ours.keys() & theirs.keys()
        if units[one] != units[other] or not all(_agree(ours[p], theirs[p]) for p in shared):
            apart[one].add(other)
            apart[other].add(one)
        elif shared:
            alike[one].add(other)
            alike[other].add(one)
    groups = {frozenset(_joined(name, alike, apart)) for name in totals}
    return [[n for n in tables if n in group] for group in sorted(groups, key=sorted)]


def _sums(table: Leaving) -> bool:
    return table.view.kind == "moments"


def _joined(
    name: str, alike: Mapping[str, set[str]], apart: Mapping[str, set[str]]
) -> Collection[str]:
    """Return the tables that a table is joined with, directly or by others."""
    group: dict[str, None] = {name: None}
    while True:
        able = sorted(
            n
            for g in group
            for n in alike.get(g, ())
            if n not in group and not apart.get(n, set()) & group.keys()
        )
        if not able:
            return group
        group[able[0]] = None


def _totals(table: Leaving, places: Integers) -> dict[int, tuple[float, float]]:
    """Return the total of each cell that holds exams, and how far it may be off."""
    step = float(table.exact.attributes["resolution"])
    columns = (places, *(table.exact.data[n].values for n in ("total", "exams")))
    return {
        p: (t * step, k * step / 2 + abs(t * step) * 1e-12)
        for p, t, k in zip(*(c.ravel().tolist() for c in columns), strict=True)
        if k
    }


def _agree(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return abs(a[0] - b[0]) <= a[1] + b[1]


def _standing(
    system: System, told: Mapping[str, Mask], hold: Mapping[str, Mask]
) -> dict[int, list[tuple[str, Position]]]:
    """Return where the mean of each cell stands that can be held back.

    What an earlier release tells is lost: holding it back here is of use only if nothing else is.
    """
    standing: dict[int, list[tuple[str, Position]]] = defaultdict(list)
    lost: set[int] = set()
    for name, mask in told.items():
        if name not in hold:
            lost.update(system.places[name][mask].tolist())
            continue
        for place in np.argwhere(mask).tolist():
            standing[int(system.places[name][tuple(place)])].append((name, tuple(place)))
    return {n: at for n, at in standing.items() if n not in lost} or standing


def _least_loss(
    system: System, target: int, standing: Mapping[int, list[tuple[str, Position]]]
) -> list[tuple[str, Position]]:
    """Return where the mean stands that is held back with the least loss."""

    def loss(number: int) -> tuple[int, int, Position]:
        labels, at = len(system.names[number]), max(at for _, at in standing[number])
        rank = 2 if labels == 0 else 1 if labels == len(at) else 0
        return rank, int(system.patients[number]), at

    lines = ([n for n in line if n in standing] for line in system.around[target])
    # What is known of lines that tell nothing themselves follows from others: any may go.
    return standing[min(next(filter(None, lines), standing), key=loss)]
