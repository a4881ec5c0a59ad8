"""Sentences that read a figure, made from its numbers and their intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from workbench.definition.study_file import Section
from workbench.publish.language import capital
from workbench.publish.marks import ABSENT, Cell, Quantile, Row
from workbench.publish.scope import COUNTED, Scope
from workbench.publish.tables import share
from workbench.summaries.dimension import ALL, MISSING, OTHER


def read_bars(
    rows: Sequence[Row], concentration: Sequence[Row], section: Section, scope: Scope
) -> tuple[str, ...]:
    """Say which row is largest, its share here and over sites, and how concentrated all are."""
    measure = section.measure
    named = [row for row in rows if row.cell.shown]
    if not named:
        return ()
    top = max(named, key=lambda row: row.cell.value)
    words = scope.words
    first = section.dimensions[0]
    label = scope.with_unit(first, scope.inside(first, top.label))
    value = words.spelt(top.cell)
    if measure not in COUNTED:
        name = scope.measure(measure)
        said = [_say(scope, "read_highest", label=label, measure=name, value=value)]
        return (*said, *against(scope, [f"{label} {words.spelt(top.against)}"], top.against))
    total = scope.table.cell(measure)
    part = share(top.cell, total)
    if part.shown:
        spelt = {"total": words.spelt(total), "share": words.spelt(part, words.percent)}
        unit = scope.of(measure)
        said = [_say(scope, "read_bars_of", label=label, value=value, unit=unit, **spelt)]
    else:
        counted = words.count(f"n_{measure}", top.cell.value, value)
        said = [_say(scope, "read_bars", label=label, counted=counted)]
    said += _between_sites(top, label, scope)
    said += against(scope, [f"{label} {words.spelt(top.share, words.percent)}"], top.share)
    here = scope.chosen or scope.say("all_sites")
    index = next((row.cell for row in concentration if row.label == here), ABSENT)
    if index.shown and index.value > 0:
        equal = words.number(1 / index.value, 2)
        key = "read_herfindahl" if equal == "1" else "read_herfindahl_equal"
        said.append(scope.say(key, value=words.spelt(index, words.hundredths), equal=equal))
    return tuple(said)


def read_shares(rows: Sequence[Row], section: Section, scope: Scope) -> tuple[str, ...]:
    """Say which row has the largest and which the smallest share, and that over sites."""
    total = scope.table.cell(section.measure)
    parts = [(row, share(row.cell, total)) for row in rows]
    parts = sorted(((r, p) for r, p in parts if p.shown), key=lambda pair: pair[1].value)
    if len(parts) < 2:
        return ()
    words = scope.words
    (worst, low), (best, high) = parts[0], parts[-1]
    first = section.dimensions[0]
    names = [scope.with_unit(first, scope.inside(first, row.label)) for row in (best, worst)]
    said = _say(
        scope,
        "read_shares",
        best=names[0],
        high=words.spelt(high, words.percent),
        worst=names[1],
        low=words.spelt(low, words.percent),
        unit=scope.of(section.measure),
    )
    everywhere = [
        f"{name} {words.spelt(row.share, words.percent)}"
        for name, row in zip(names, (best, worst), strict=True)
    ]
    together = against(scope, everywhere, best.share, worst.share)
    return (said, *_between_sites(worst, names[1], scope), *together)


def read_groups(
    rows: Mapping[tuple[str, str], Row], section: Section, scope: Scope
) -> tuple[str, ...]:
    """Say which stated group is largest, and the share of each second label.

    Parameters
    ----------
    rows
        Row by the codes of its two dimensions.
    section, scope
        What is read.
    """
    measure, (first, second) = section.measure, section.dimensions
    stated = {
        key: row for key, row in rows.items() if row.cell.shown and not {OTHER, MISSING} & {*key}
    }
    if not stated:
        return ()
    words = scope.words
    top = max(stated.values(), key=lambda row: row.cell.value)
    said = _say(
        scope,
        "read_groups",
        label=scope.with_unit(first, scope.inside(first, top.label)),
        group=scope.inside(second, top.group),
        counted=words.count(f"n_{measure}", top.cell.value, words.spelt(top.cell)),
    )
    groups = dict.fromkeys(g for _, g in stated)
    here, *everywhere = (
        [
            f"{scope.inside(second, scope.label(second, g))} {words.spelt(part, words.percent)}"
            for g in groups
            if (part := share(table.cell(measure, **{second: g}), table.cell(measure))).shown
            and part.high > 0
        ]
        for table in ((scope.table, scope.pooled) if scope.chosen else (scope.table,))
    )
    if not here:
        return (said,)
    whole = scope.say("read_group_total", unit=scope.of(measure), parts=words.listed(here))
    return (said, whole, *(s for parts in everywhere for s in against(scope, parts)))


def read_quantiles(
    quantiles: Sequence[Quantile], dimension: str, code: str, scope: Scope
) -> tuple[str, ...]:
    """Say where each quantile lies, of all exams or of those with one label."""
    words = scope.words
    unit = f" {scope.unit_words(scope.unit)}".rstrip()
    parts = words.listed(f"{q.label} {words.placed(q.cell)}{unit}" for q in quantiles)
    if not parts:
        return ()
    key, of = ("read_quantiles", "") if code == ALL else ("read_quantiles_of", code)
    said = scope.say(key, of=scope.label(dimension, of) if of else "", parts=parts)
    cells = {q.label: scope.pooled.cell(q.name, **{dimension: code}) for q in quantiles}
    everywhere = [f"{n} {words.placed(cell)}{unit}" for n, cell in cells.items() if cell.shown]
    return (said, *against(scope, everywhere))


def read_forest(
    rows: Sequence[Row], name: str, write: Callable[[float], str], scope: Scope
) -> tuple[str, ...]:
    """Say between which numbers the sites lie."""
    low, high = span(row.cell for row in rows[:-1])
    if scope.alone or not math.isfinite(low):
        return ()
    said = scope.say("read_forest", low=write(low), high=write(high), measure=capital(name))
    *sites, together = rows
    here = [
        scope.say("read_here", site=row.label, value=scope.words.spelt(row.cell, write))
        for row in sites
        if row.label == scope.chosen and row.cell.shown
    ]
    return (said, *here, *against(scope, [scope.words.spelt(together.cell, write)], together.cell))


def span(cells: Iterable[Cell]) -> tuple[float, float]:
    """Return the smallest and the largest figure; NaN if there is none.

    Examples
    --------
    >>> span([Cell(3, 2, 4), Cell(1, 1, 1)])
    (1, 3)
    """
    values = [cell.value for cell in cells if cell.shown]
    return min(values, default=math.nan), max(values, default=math.nan)


def against(scope: Scope, parts: Sequence[str], *cells: Cell) -> list[str]:
    """Say what all sites together tell of the same, where one site is read."""
    if not scope.chosen or not parts or not all(cell.shown for cell in cells):
        return []
    return [scope.say("read_against", parts=scope.words.listed(parts))]


def _say(scope: Scope, key: str, **values: object) -> str:
    """Return a sentence with a capital at its beginning, whatever stands there."""
    return capital(scope.say(key, **values))


def _between_sites(row: Row, label: str, scope: Scope) -> list[str]:
    cells = [cell for _, cell in row.by_site if cell.shown]
    if scope.chosen or len(cells) < 2:
        return []
    percent = scope.words.percent
    low, high = span(cells)
    said = [_say(scope, "read_range", label=label, low=percent(low), high=percent(high))]
    return [*said, scope.say("read_i2", i2=row.note)] if row.note else said
