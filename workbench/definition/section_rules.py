"""Section rules: what a figure of the dashboard needs of the table that it shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.definition.problems import problem
from workbench.errors import show, suggest
from workbench.findings import Finding

if TYPE_CHECKING:
    from workbench.definition.dimensions import DimensionTable
    from workbench.definition.study_file import OutputTable, Section

OUTCOME = "outcome"
"""Dimension that makes a histogram of times a risk table."""
ENDED = ("event", "censored")
"""Its labels."""
FANS = 4
"""Fans that one figure draws: of all, and of the labels that have a target."""


@dataclass(frozen=True)
class Need:
    """Say what a figure needs.

    Parameters
    ----------
    kinds
        Kinds of table that it can show.
    dimensions
        Fewest and most dimensions of the section.
    measures
        Measures that it can show; none if all that the table has.
    """

    kinds: tuple[str, ...]
    dimensions: tuple[int, int]
    measures: tuple[str, ...] = ()


NEEDS = {
    "heatmap": Need(("counts", "moments"), (2, 2)),
    "curves": Need(("histogram",), (1, 1), ("exams", "median")),
    "dots": Need(("histogram",), (2, 2), ("exams", "median")),
    "fan": Need(("counts",), (1, 2), ("exams",)),
}
"""Figures that cannot show every table."""
_COUNTS = {(1, 1): "one dimension", (2, 2): "two dimensions", (1, 2): "one or two dimensions"}


def figure_problems(
    section: Section,
    table: OutputTable,
    released: Mapping[str, OutputTable],
    dimensions: Mapping[str, DimensionTable],
) -> Iterable[Finding]:
    """Yield what keeps the figure of a section from showing its table.

    Parameters
    ----------
    section
        The section.
    table
        The released table that it names.
    released
        All released tables by name, of which a good one is named.
    dimensions
        The declared dimensions by name.
    """
    where = f"study.toml, dashboard.section.{section.id}"
    need = NEEDS.get(section.figure)
    if need is None:
        return
    if table.kind not in need.kinds:
        good = [name for name, other in released.items() if other.kind in need.kinds]
        what = f"{section.figure!r} shows no table of kind {table.kind}"
        todo = f"Choose one of kind {' or '.join(need.kinds)}. {suggest(table.name, good)}"
        yield problem(what, f"{where}.table", todo)
        return
    fewest, most = need.dimensions
    if not fewest <= len(section.dimensions) <= most:
        what = f"{section.figure!r} needs {_COUNTS[need.dimensions]}"
        todo = f"Write dimensions = […], of {', '.join(table.dimensions)}"
        yield problem(what, f"{where}.dimensions", todo)
        return
    if need.measures and section.measure not in need.measures:
        what = f"{section.figure!r} does not show the measure {section.measure!r}"
        yield problem(what, f"{where}.measure", suggest(section.measure, need.measures))
    if section.figure == "curves":
        yield from _curves(section, table, where)
    if section.figure == "fan":
        yield from _fan(section, table, dimensions, where)


def _curves(section: Section, table: OutputTable, where: str) -> Iterable[Finding]:
    if OUTCOME not in table.dimensions:
        what = f"{table.name!r} does not say which times were broken off"
        todo = f"Choose a table with the dimension {OUTCOME!r}"
        yield problem(what, f"{where}.table", todo)
    elif OUTCOME in section.dimensions:
        what = f"{OUTCOME!r} says how a time ended: it is no group"
        groups = [name for name in table.dimensions if name != OUTCOME]
        yield problem(what, f"{where}.dimension", suggest(OUTCOME, groups))
    edges = table.edges or []
    for time in section.within:
        if time not in edges:
            near = sorted(sorted(edges, key=lambda edge: abs(edge - time))[:2])
            what = f"{time:g} is no edge of {table.name!r}"
            todo = f"Write one of its edges, such as {' or '.join(f'{e:g}' for e in near)}"
            yield problem(what, f"{where}.within", todo)


def _fan(
    section: Section,
    table: OutputTable,
    dimensions: Mapping[str, DimensionTable],
    where: str,
) -> Iterable[Finding]:
    known = [name for name in section.dimensions if name in dimensions]
    months = [name for name in table.dimensions if _is_calendar(name, dimensions)]
    if known and not _is_calendar(known[0], dimensions):
        what = f"{known[0]!r} is no calendar"
        yield problem(what, f"{where}.dimensions", f"Begin with one. {suggest(known[0], months)}")
    if len(known) > 1 and _is_calendar(known[1], dimensions):
        what, todo = f"{known[1]!r} is a calendar as well", "Keep one calendar, and stand it first"
        yield problem(what, f"{where}.dimensions", todo)
    asked = {target.label for target in section.target} - {"all"}
    if len(asked) >= FANS:
        what = f"Targets of {len(asked)} labels, and a figure draws {FANS - 1} and all of them"
        yield problem(what, f"{where}.target", "Write a second section for the others")
    calendar = dimensions[known[0]] if known else None
    seen: set[tuple[str, int]] = set()
    for target in section.target:
        if (target.label, target.year) in seen:
            what = f"Two targets of {show(target.label)!r} are for {target.year}"
            yield problem(what, f"{where}.target", "Keep one, or correct its label or its year")
        seen.add((target.label, target.year))
        if target.label != "all" and len(section.dimensions) < 2:
            what = f"The target of {show(target.label)!r} has no dimension"
            todo = "Write label = 'all', or a second dimension that has this label"
            yield problem(what, f"{where}.target", todo)
        if calendar is None or not (calendar.first and calendar.last):
            continue
        if f"{target.year}-01" < calendar.first:
            what = f"The target of {target.year} is before {known[0]!r} begins"
            todo = f"Write a year whose months all stand from {calendar.first} on"
            yield problem(what, f"{where}.target", todo)
        since = target.since
        if since and not calendar.first <= f"{since}-01" < f"{since}-12" <= calendar.last:
            what = f"The year {since} is not whole in {known[0]!r}"
            todo = f"Write a year between {calendar.first} and {calendar.last}, or a value"
            yield problem(what, f"{where}.target", todo)


def _is_calendar(name: str, dimensions: Mapping[str, DimensionTable]) -> bool:
    return name in dimensions and dimensions[name].calendar is not None
