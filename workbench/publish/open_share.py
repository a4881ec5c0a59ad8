"""Open share: which share has not had the event after a time, from bins that sites tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from workbench.definition.section_rules import ENDED, OUTCOME
from workbench.definition.study_file import Section
from workbench.publish.language import capital
from workbench.publish.marks import ABSENT, SUPPRESSED, Cell, Entry
from workbench.publish.reading import Reading, beside, codes_of, compared, entry
from workbench.publish.scope import Scope
from workbench.publish.sentences import against
from workbench.publish.tables import Table
from workbench.statistics.bounds import Bounds
from workbench.statistics.survival import END, life_table, survival_bounds, time_reached
from workbench.summaries.dimension import ALL
from workbench.summaries.grid import Grid

Array = NDArray[np.float64]
EVENT, CENSORED = ENDED
MOST = 6
"""Curves that can be told apart in one figure."""
_LISTED = 4
"""Groups of which each is said in words."""


@dataclass(frozen=True)
class Curve:
    """Hold the open share of one group at the edges that are told.

    Parameters
    ----------
    label
        Words for the reader.
    exams
        How many there are.
    edges
        Right ends of the bins in the unit of the times, the last one infinite.
    places
        Positions of these among the ends of the declared bins.
    points
        The open share at each edge: Kaplan and Meier's estimate lies between its ends.
    against
        The curve of all sites together, where one site is read.
    """

    label: str
    exams: Cell
    edges: tuple[float, ...] = ()
    places: tuple[int, ...] = ()
    points: tuple[Cell, ...] = ()
    against: Curve | None = None

    def reached(self, share: float) -> Cell:
        """Return the time by which a share has had the event."""
        if not self.points:
            return SUPPRESSED if self.exams.how == "suppressed" else ABSENT
        names = {"open": "value", "low": "low", "high": "high"}
        points = (Cell(1.0, 1.0, 1.0), *self.points)  # at first nobody has had it
        held = {n: (END, [getattr(p, of) for p in points]) for n, of in names.items()}
        curve = xr.Dataset(held, coords={END: [0.0, *self.edges]})
        found = time_reached(curve, share)
        low, high = max(0.0, float(found.low)), float(found.high)
        return Cell(min(max(float(found.estimate), low), high), low, high, "estimated")

    def within(self, time: float) -> Cell:
        """Return the share that has had the event by a time; between its neighbours if no edge.

        Beyond the last edge no value is told: the curve ends there, its share is the least.
        """
        if not self.points:
            return SUPPRESSED if self.exams.how == "suppressed" else ABSENT
        start = Cell(1.0, 1.0, 1.0)
        edges, points = (0.0, *self.edges), (start, *self.points)
        right = next(i for i, edge in enumerate(edges) if edge >= time)
        left = right if edges[right] == time else right - 1
        before, after = points[left], points[right]
        value = before.value
        if left < right:  # the width is infinite, and so no part of it known, beyond the last edge
            part = (time - edges[left]) / (edges[right] - edges[left])
            ends = math.isinf(edges[right])
            value = math.nan if ends else value + (after.value - before.value) * part
        return Cell(1 - value, 1 - before.high, 1 - after.low, "estimated")


def curve_of(
    table: Table, label: str, sites: Sequence[Table] = (), threshold: int = 10, **labels: str
) -> Curve:
    """Return the open share of a group.

    Parameters
    ----------
    table
        A histogram of times with the dimension `outcome`.
    label
        Words for the reader.
    sites
        The tables of the sites that it holds together, if these are several.
    threshold
        Fewest patients that are told.
    **labels
        Label by dimension; a dimension that is not named stands at `all`.

    Returns
    -------
    Curve
        Without points if too little is told.
    """
    exams, grid = table.total("exams", **labels), table.grid
    ended = {**labels, OUTCOME: EVENT}
    if grid is None or not exams.shown or not table.cell("patients", **ended).shown:
        return Curve(label, exams if exams.shown else SUPPRESSED)
    nodes = table.cut(**ended)
    told = Told(grid, (table,) if len(sites) < 2 else (table, *sites), threshold)
    events = np.array([told.ends(n, ended) for n in nodes]).T
    censored = _broken_off(told, nodes, {**labels, OUTCOME: CENSORED})
    ends = np.stack([events, censored])
    if not np.isfinite(ends).all():
        return Curve(label, exams)
    (value, low, high), (off, off_low, off_high) = ends
    band = survival_bounds(Bounds(low, high), Bounds(off_low, off_high))
    share, _ = life_table(value, off)
    middle = np.clip(share, band.low, band.high)
    points = tuple(
        Cell(float(s), float(a), float(b), "estimated")
        for s, a, b in zip(middle, band.low, band.high, strict=True)
    )
    spans = [grid.spans[node] for node in nodes]
    edges = [grid.ends[stop] for _, stop in spans]
    kept = [i for i, edge in enumerate(edges) if edge > 0]
    told_edges = any(math.isfinite(edges[i]) for i in kept)  # else every bin was merged
    if not told_edges or not all(math.isfinite(p.value) for p in points):
        return Curve(label, exams)
    return Curve(
        label,
        exams,
        tuple(edges[i] for i in kept),
        tuple(spans[i][1] for i in kept),
        tuple(points[i] for i in kept),
    )


@dataclass(frozen=True)
class Told:
    """Find the ends of counts in bins, as tight as all that is told makes them.

    What is suppressed is bounded by every wider count that holds it: the same bin of all groups,
    or of both outcomes, which a site may tell where it hides a part of it.

    Parameters
    ----------
    grid
        The declared bins.
    tables
        The table that is read and, where it holds several sites together, that of each site.
    threshold
        Fewest patients that are told.
    """

    grid: Grid
    tables: tuple[Table, ...]
    threshold: int

    def ends(self, node: str, at: Mapping[str, str]) -> tuple[float, float, float]:
        """Return the value and the ends of the exams in a node that the table tells or hides."""
        table, *sites = self.tables
        cell = table.cell("exams", **at, bin=node)
        if cell.how in ("exact", "rounded"):
            return cell.value, cell.low, cell.high
        low = 0.0 if math.isnan(cell.low) else cell.low
        tops = [self._most(table, node, at)]
        if sites:
            tops.append(sum(self._most(site, node, at) for site in sites))
        high = max(low, min(tops))
        guess = low + min(high - low, self.threshold) / 2
        return (min(cell.value, high) if cell.shown else guess), low, high

    def _most(self, table: Table, node: str, at: Mapping[str, str]) -> float:
        """Return what the exams in a node cannot exceed."""
        wider = [dict(at)]
        for name in at:
            wider += [{**one, name: ALL} for one in wider]
        return sum(
            min(self._top(table, part, each) for each in wider)
            for part in self._parts(table, node, at)
        )

    def _top(self, table: Table, node: str, at: Mapping[str, str]) -> float:
        ends = (table.cell("exams", **at, bin=part) for part in self._parts(table, node, at))
        return sum(math.inf if math.isnan(cell.high) else cell.high for cell in ends)

    def _parts(self, table: Table, node: str, at: Mapping[str, str]) -> list[str]:
        """Return the nodes that the table tells of, and that together hold a node."""
        start, stop = self.grid.spans[node]
        spans = ((part, self.grid.spans[part]) for part in table.cut(**at))
        return [part for part, (first, last) in spans if first < stop and start < last]


def _broken_off(told: Told, nodes: Sequence[str], at: Mapping[str, str]) -> Array:
    """Return value, low and high of the broken-off times in each of some bins.

    Where they are told in wider bins only, all of such a bin may lie in any of its parts. The
    share is highest if they lie in the last one, for there they are at risk the longest, and
    lowest if there are none (`survival_bounds`).
    """
    found = np.zeros((3, len(nodes)))
    spans = np.array([told.grid.spans[node] for node in nodes])
    for node in told.tables[0].cut(**at):
        start, stop = told.grid.spans[node]
        inside = np.flatnonzero((spans[:, 0] < stop) & (spans[:, 1] > start))
        numbers = told.ends(node, at)
        if len(inside) == 1:  # as fine as the events, or finer
            found[:, inside[0]] += numbers
            continue
        value, _, high = numbers
        width = spans[inside, 1] - spans[inside, 0]
        found[0, inside] += value * width / width.sum()
        found[2, inside[-1]] += high
    return found


def read_curves(section: Section, scope: Scope) -> Reading:
    """Return the reading of times until an event, one curve a group.

    Parameters
    ----------
    section, scope
        As for `workbench.publish.readings.read`.

    Returns
    -------
    Reading
        At most `MOST` groups are drawn, the commonest; all stand in the table.
    """
    name = section.dimensions[0]
    tables = [
        (table, tuple(scope.there.values()) if table is scope.pooled else ())
        for table in compared(scope)
    ]
    lines = [
        [
            curve_of(t, scope.label(name, code), s, scope.threshold, **{name: code})
            for t, s in tables
        ]
        for code in (ALL, *codes_of(section, name, scope))
    ]
    groups = [line for line in lines[1:] if line[0].points] or [
        line for line in lines[:1] if line[0].points
    ]
    drawn = tuple(
        Curve(c.label, c.exams, c.edges, c.places, c.points, rest[0] if rest else None)
        for c, *rest in groups[:MOST]
    )
    hidden = [line[0].exams for line in lines if not line[0].points]
    axis = section.axis.get(scope.language, section.axis.get("en", scope.say("time")))
    unit = scope.unit_words(scope.unit)
    if unit and not section.axis:
        axis = scope.words.listed((axis, unit))
    return Reading(
        figure="curves",
        axis=capital(scope.say("open_axis")),
        second_axis=capital(axis),
        sentences=_sentences(lines, section, scope),
        cells=(*(p for c in drawn for p in c.points), *hidden),
        head=_head(section, scope),
        body=tuple(_line(line, section, scope) for line in lines),
        groups=tuple(curve.label for curve in drawn),
        ends=scope.table.grid.ends if scope.table.grid else (),
        curves=drawn,
    )


def _head(section: Section, scope: Scope) -> tuple[str, ...]:
    asked = [capital(scope.measure(q)) for q in ("median", "p90")]
    asked += [capital(scope.say("within", time=_time(t, scope))) for t in section.within]
    columns = [head for words in asked for head in beside(words, scope)]
    first = scope.title(section.dimensions[0])
    return (first, capital(scope.measure("exams")), *columns)


def _line(line: Sequence[Curve], section: Section, scope: Scope) -> tuple[Entry, ...]:
    words = scope.words
    times = [_time_entry(c.reached(q), scope) for q in (0.5, 0.9) for c in line]
    shares = [_share_entry(c.within(t), scope) for t in section.within for c in line]
    return (Entry(line[0].label), entry(line[0].exams, words), *times, *shares)


def _time_entry(cell: Cell, scope: Scope) -> Entry:
    """Return a time, or what is known of one that lies beyond the last edge."""
    write = _write(scope)
    if cell.how == "estimated" and not cell.shown and cell.low > 0:
        return Entry(scope.words.between(cell.low, cell.high, write), cell=cell, unit=scope.unit)
    return entry(cell, scope.words, write, unit=scope.unit)


def _share_entry(cell: Cell, scope: Scope) -> Entry:
    """Return a share, or the least that it is where the curve ends before the time."""
    if cell.shown or not (text := _share(cell, scope)):
        return entry(cell, scope.words, scope.words.percent)
    return Entry(text, cell=cell, unit="%", share=True)


def _share(cell: Cell, scope: Scope) -> str:
    """Return a share, or the least that it is, as it is written in a sentence; "" if untold."""
    words = scope.words
    if cell.shown:
        return words.spelt(cell, words.percent)
    known = cell.how == "estimated" and cell.low > 0
    return words.between(cell.low, math.inf, words.percent) if known else ""


def _write(scope: Scope) -> Callable[[float], str]:
    """Return how a time is written: an edge as it is declared, an estimate in three digits."""
    return lambda time: scope.words.edge(float(f"{time:.3g}")) if math.isfinite(time) else "∞"


def _time(time: float, scope: Scope) -> str:
    return f"{scope.words.edge(time)} {scope.unit_words(scope.unit)}".rstrip()


def _sentences(lines: Sequence[Sequence[Curve]], section: Section, scope: Scope) -> tuple[str, ...]:
    words = scope.words
    unit = f" {scope.unit_words(scope.unit)}".rstrip()

    def parts(curve: Curve) -> list[str]:
        asked = {q: curve.reached(part) for q, part in (("median", 0.5), ("p90", 0.9))}
        told = [
            f"{scope.say(q)} {words.placed(c, _write(scope))}{unit}"
            for q, c in asked.items()
            if c.shown
        ]
        shares = [(time, curve.within(time)) for time in section.within]
        told += [
            f"{scope.say('within', time=_time(t, scope))} {_share(c, scope)}"
            for t, c in shares
            if _share(c, scope)
        ]
        return told

    whole, *together = (parts(curve) for curve in lines[0])
    said = [scope.say("read_quantiles", parts=words.listed(whole))] if whole else []
    name = section.dimensions[0]
    medians = [(scope.inside(name, c.label), c.reached(0.5)) for c, *_ in lines[1:]]
    medians = [(group, cell) for group, cell in medians if cell.shown]
    ordered = sorted((cell for _, cell in medians), key=lambda cell: cell.value) or [ABSENT]
    low, high = ordered[0], ordered[-1]
    if 1 < len(medians) <= _LISTED:
        listed = (f"{group} {words.placed(cell, _write(scope))}{unit}" for group, cell in medians)
        said.append(scope.say("read_medians", parts=words.listed(listed)))
    elif len(medians) > 1 and low.high <= high.low:
        named = {cell: group for group, cell in medians}
        given = {"best": named[low], "worst": named[high], "unit": unit}
        given |= {"short": words.placed(low, _write(scope))}
        given |= {"long": words.placed(high, _write(scope))}
        said.append(capital(scope.say("read_curves", **given)))
    for told in together:
        said += against(scope, told)
    return tuple(said)
