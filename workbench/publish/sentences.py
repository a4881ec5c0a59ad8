"""Sentences that read a figure, made from its numbers and their intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from workbench.definition.study_file import Section
from workbench.publish.language import capital
from workbench.publish.marks import ABSENT, Cell, Quantile, Row
from workbench.publish.scope import COUNTED, Scope
from workbench.publish.tables import share
from workbench.summaries.dimension import MISSING, OTHER


def read_bars(
    rows: Sequence[Row], concentration: Sequence[Row], section: Section, scope: Scope
) -> str:
    """Say which row is largest, its share here and over sites, and how concentrated all are."""
    measure = section.measure
    named = [row for row in rows if row.cell.shown]
    if not named:
        return ""
    top = max(named, key=lambda row: row.cell.value)
    words = scope.words
    value = words.spelt(top.cell)
    if measure not in COUNTED:
        name = scope.measure(measure)
        return scope.say("read_highest", label=top.label, measure=name, value=value)
    total = scope.table.cell(measure)
    part = share(top.cell, total)
    if part.shown:
        spelt = {"total": words.spelt(total), "share": words.spelt(part, words.percent)}
        unit = scope.of(measure)
        said = [scope.say("read_bars_of", label=top.label, value=value, unit=unit, **spelt)]
    else:
        counted = words.count(f"n_{measure}", top.cell.value, value)
        said = [scope.say("read_bars", label=top.label, counted=counted)]
    said += _between_sites(top, scope)
    here = scope.chosen or scope.say("all_sites")
    index = next((row.cell for row in concentration if row.label == here), ABSENT)
    if index.shown and index.value > 0:
        equal = words.number(1 / index.value, 2)
        key = "read_herfindahl" if equal == "1" else "read_herfindahl_equal"
        said.append(scope.say(key, value=words.spelt(index, words.hundredths), equal=equal))
    return words.run_on(said)


def read_shares(rows: Sequence[Row], section: Section, scope: Scope) -> str:
    """Say which row has the largest and which the smallest share, and that over sites."""
    total = scope.table.cell(section.measure)
    parts = [(row, share(row.cell, total)) for row in rows]
    parts = sorted(((r, p) for r, p in parts if p.shown), key=lambda pair: pair[1].value)
    if len(parts) < 2:
        return ""
    words = scope.words
    (worst, low), (best, high) = parts[0], parts[-1]
    said = scope.say(
        "read_shares",
        best=best.label,
        high=words.spelt(high, words.percent),
        worst=worst.label,
        low=words.spelt(low, words.percent),
        unit=scope.of(section.measure),
    )
    return words.run_on([said, *_between_sites(worst, scope)])


def read_groups(rows: Mapping[tuple[str, str], Row], section: Section, scope: Scope) -> str:
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
        return ""
    words = scope.words
    top = max(stated.values(), key=lambda row: row.cell.value)
    said = scope.say(
        "read_groups",
        label=f"{top.label} {scope.unit_of(first)}".rstrip(),
        group=top.group,
        counted=words.count(f"n_{measure}", top.cell.value, words.spelt(top.cell)),
    )
    total = scope.table.cell(measure)
    groups = dict.fromkeys(g for _, g in stated)
    shares = {g: share(scope.table.cell(measure, **{second: g}), total) for g in groups}
    parts = [
        f"{scope.label(second, g)} {words.spelt(part, words.percent)}"
        for g, part in shares.items()
        if part.shown and part.high > 0
    ]
    if not parts:
        return said
    whole = [scope.say("read_group_total", unit=scope.of(measure), parts=words.listed(parts))]
    return words.run_on([said, *whole])


def read_quantiles(quantiles: Iterable[Quantile], of: str, scope: Scope) -> str:
    """Say where each quantile lies, of all exams or of those with one label."""
    unit = f" {scope.unit_words(scope.unit)}".rstrip()
    parts = scope.words.listed(f"{q.label} {scope.words.spelt(q.cell)}{unit}" for q in quantiles)
    if not parts:
        return ""
    return scope.say("read_quantiles_of" if of else "read_quantiles", of=of, parts=parts)


def read_forest(rows: Sequence[Row], name: str, write: Callable[[float], str], scope: Scope) -> str:
    """Say between which numbers the sites lie."""
    low, high = span(row.cell for row in rows[:-1])
    if not math.isfinite(low):
        return ""
    return scope.say("read_forest", low=write(low), high=write(high), measure=capital(name))


def span(cells: Iterable[Cell]) -> tuple[float, float]:
    """Return the smallest and the largest figure; NaN if there is none.

    Examples
    --------
    >>> span([Cell(3, 2, 4), Cell(1, 1, 1)])
    (1, 3)
    """
    values = [cell.value for cell in cells if cell.shown]
    return min(values, default=math.nan), max(values, default=math.nan)


def _between_sites(row: Row, scope: Scope) -> list[str]:
    cells = [cell for _, cell in row.by_site if cell.shown]
    if scope.chosen or len(cells) < 2:
        return []
    percent = scope.words.percent
    low, high = span(cells)
    said = [scope.say("read_range", label=row.label, low=percent(low), high=percent(high))]
    return [*said, scope.say("read_i2", i2=row.note)] if row.note else said
