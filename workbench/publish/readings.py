"""Readings: what the figure and the table of a question show, and the sentence that says it.

A reading is made from pooled tables: one of all verified releases together, and one of each site
alone, so that every number has its interval. Nothing is drawn or marked up here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from workbench.definition.study_file import Section
from workbench.publish.language import capital
from workbench.publish.levels import read_levels
from workbench.publish.marks import ABSENT, Cell, Entry, Row, comparable, enough
from workbench.publish.matrix import read_matrix
from workbench.publish.open_share import read_curves
from workbench.publish.outlook import read_outlook
from workbench.publish.reading import Reading, beside, codes_of, compared, counted, entry
from workbench.publish.scope import COUNTED, Scope
from workbench.publish.sentences import (
    read_bars,
    read_forest,
    read_groups,
    read_quantiles,
    read_shares,
    span,
)
from workbench.publish.tables import Table, herfindahl, share
from workbench.summaries.dimension import ALL, MISSING


def read(section: Section, scope: Scope) -> Reading:
    """Return the reading of a section.

    Parameters
    ----------
    section
        The section of the dashboard, from study.toml. With `bars`, `top` asks for the largest
        labels only, and for how concentrated all are.
    scope
        The tables and words.

    Returns
    -------
    Reading
        With every number that was asked for, suppressed or not.
    """
    kinds: dict[str, Callable[[Section, Scope], Reading]] = {
        "bars": _bars,
        "shares": _bars,
        "grouped_bars": _grouped_bars,
        "histogram": _histogram,
        "forest": _forest,
        "heatmap": read_matrix,
        "curves": read_curves,
        "dots": read_levels,
        "fan": read_outlook,
    }
    found = kinds[section.figure](section, scope)
    return replace(found, threshold=scope.threshold, words=scope.words)


def _bars(section: Section, scope: Scope) -> Reading:
    name, measure = section.dimensions[0], section.measure
    shares = section.figure == "shares"
    rows = tuple(_row({name: code}, section, scope) for code in codes_of(section, name, scope))
    share_axis = ""
    if measure in COUNTED:
        key = "share" if scope.alone else "share_axis"
        share_axis = capital(scope.say(key, unit=scope.of(measure)))
    concentration = _concentration(section, scope) if section.top and not shares else ()
    return Reading(
        figure=section.figure,
        axis=share_axis if shares else capital(scope.measure(measure)),
        second_axis="" if scope.alone else share_axis,
        sentences=read_shares(rows, section, scope)
        if shares
        else read_bars(rows, concentration, section, scope),
        cells=tuple(cell for row in rows for cell in (row.cell, row.share)),
        head=(scope.title(name), *_bar_head(section, scope)),
        body=tuple(_bar_line(row, section, scope) for row in rows),
        rows=rows,
        concentration=concentration,
    )


def _row(at: Mapping[str, str], section: Section, scope: Scope) -> Row:
    measure = section.measure
    ((name, code),) = at.items()
    cell = scope.table.cell(measure, **at)
    label = scope.label(name, code)
    if measure not in COUNTED:
        together = scope.pooled.cell(measure, **at) if scope.chosen else ABSENT
        return Row(label, cell, against=together)
    together = _share(scope.pooled, measure, at)
    i2 = scope.pooled.heterogeneity.get((name, code, measure), math.nan)
    if not together.shown:
        i2 = math.nan  # of the sites that tell it alone, which are all 0
    return Row(
        label,
        cell,
        share=together,
        by_site=()
        if scope.alone
        else tuple((site, _share(t, measure, at)) for site, t in scope.there.items()),
        note="" if math.isnan(i2) else scope.words.points(i2),
    )


def _bar_head(section: Section, scope: Scope) -> tuple[str, ...]:
    unit = scope.measure(section.measure)
    if section.measure not in COUNTED:
        return beside(capital(unit), scope)
    share_of = scope.say("share", unit=scope.of(section.measure))
    if scope.chosen:
        return (capital(unit), *beside(capital(share_of), scope))
    keys = () if scope.alone else ("range", "heterogeneity", "suppressed_sites")
    return (capital(unit), capital(share_of), *map(scope.say, keys))


def _bar_line(row: Row, section: Section, scope: Scope) -> tuple[Entry, ...]:
    percent = scope.words.percent
    counted = section.measure in COUNTED
    unit = "1" if counted else scope.unit
    first = (Entry(row.label), entry(row.cell, scope.words, unit=unit))
    if not counted:
        return (*first, entry(row.against, scope.words, unit=unit)) if scope.chosen else first
    if scope.chosen:
        here = share(row.cell, scope.table.cell(section.measure))
        parts = (entry(cell, scope.words, percent) for cell in (here, row.share))
        return (*first, *parts)
    together = entry(row.share, scope.words, percent)
    if scope.alone:
        return (*first, together)
    low, high = span(cell for _, cell in row.by_site)
    spread = (
        scope.words.between(low, high, percent) if row.share.shown and math.isfinite(low) else "–"
    )
    hidden = sum(cell.how == "suppressed" for _, cell in row.by_site)
    return (
        *first,
        together,
        Entry(spread),
        Entry(row.note or "–"),
        Entry(scope.words.number(hidden)),
    )


def _grouped_bars(section: Section, scope: Scope) -> Reading:
    first, second = section.dimensions
    measure, words = section.measure, scope.words
    total = scope.table.cell(measure)
    groups = [g for g in scope.pooled.labels(second) if g != ALL and counted(scope, {second: g})]
    found: dict[tuple[str, str], Row] = {}
    body = []
    for code in codes_of(section, first, scope):
        label = scope.label(first, code)
        cells = [scope.table.cell(measure, **{first: code, second: g}) for g in groups]
        for g, cell in zip(groups, cells, strict=True):
            at = {first: code, second: g}
            expected = _scaled(_share(scope.pooled, measure, at), total) if scope.chosen else ABSENT
            found[code, g] = Row(label, cell, scope.label(second, g), against=expected)
        whole = scope.table.cell(measure, **{first: code})
        shares = [_share(table, measure, {first: code}) for table in compared(scope)]
        numbers = [entry(cell, words) for cell in (*cells, whole)]
        parts = (entry(part, words, words.percent) for part in shares)
        body.append((Entry(label), *numbers, *parts))
    # A group of which nothing at all is told stands in the table only.
    told = [g for g in groups if any(row.cell.shown for (_, of), row in found.items() if of == g)]
    rows = {key: row for key, row in found.items() if key[1] in told}
    names = tuple(scope.label(second, g) for g in groups)
    share_of = capital(scope.say("share", unit=scope.of(measure)))
    return Reading(
        figure="grouped_bars",
        axis=capital(scope.measure(measure)),
        second_axis=scope.title(first),
        sentences=read_groups(rows, section, scope),
        cells=tuple(row.cell for row in found.values()),
        head=(scope.title(first), *names, scope.say("all_groups"), *beside(share_of, scope)),
        body=tuple(body),
        rows=tuple(rows.values()),
        groups=tuple(scope.label(second, g) for g in told),
    )


def _histogram(section: Section, scope: Scope) -> Reading:
    table, name = scope.table, section.dimensions[0]
    codes = (ALL, *codes_of(section, name, scope))
    # Bins of all labels together are as coarse as those of the coarsest: if they are too coarse,
    # the commonest label that is finer is drawn.
    drawn = {code: table.bins(**{name: code}) for code in codes}
    good = [code for code in codes if enough(b.cell for b in drawn[code])]
    code = good[0] if good else ALL
    asked = [table.quantile(q, scope.say(q), **{name: code}) for q in ("median", "p90")]
    quantiles = tuple(q for q in asked if q.cell.shown)
    body = []
    for each in codes:
        numbers = [entry(table.total("exams", **{name: each}), scope.words)]
        numbers += [
            entry(there.cell(q, **{name: each}), scope.words, unit=scope.unit)
            for q in ("median", "p90")
            for there in compared(scope)
        ]
        body.append((Entry(scope.label(name, each)), *numbers))
    share_axis = scope.say("share_bin")
    if code != ALL:
        share_axis = scope.say("of_label", label=scope.label(name, code), words=share_axis)
    columns = [h for q in ("median", "p90") for h in beside(capital(scope.measure(q)), scope)]
    counted = scope.unit_words(scope.unit) or scope.say("number")
    per_exam = capital(scope.say("per_exam", unit=counted))
    return Reading(
        figure="histogram",
        axis=capital(share_axis),
        second_axis=section.axis.get(scope.language, section.axis.get("en", per_exam)),
        sentences=read_quantiles(quantiles, name, code, scope),
        cells=tuple(b.cell for b in drawn[code]),
        head=(scope.title(name), capital(scope.measure("exams")), *columns),
        body=tuple(body),
        bins=drawn[code],
        quantiles=quantiles,
        ends=table.grid.ends if table.grid else (),
        whole=table.whole,
        against=comparable(drawn[code], scope.pooled.bins(**{name: code})) if scope.chosen else (),
    )


def _forest(section: Section, scope: Scope) -> Reading:
    axis, name = scope.say("herfindahl_axis"), scope.say("herfindahl_index")
    rows, write, unit = _concentration(section, scope), scope.words.hundredths, "1"
    if section.measure not in COUNTED:
        axis = name = capital(scope.measure(section.measure))
        write, unit = scope.words.number, scope.unit
        rows = tuple(
            Row(label, table.cell(section.measure)) for label, table in _everywhere(scope).items()
        )
    return Reading(
        figure="forest",
        axis=axis,
        second_axis="",
        sentences=read_forest(rows, name, write, scope),
        cells=tuple(row.cell for row in rows),
        head=(scope.say("site"), capital(name)),
        body=tuple(
            (Entry(row.label), entry(row.cell, scope.words, write, unit=unit))
            for row in (rows[:-1] if scope.alone else rows)
        ),
        rows=rows,
        write=write,
    )


def _scaled(part: Cell, total: Cell) -> Cell:
    """Return how many of a total there would be if they had a share of it."""
    if not part.shown or not total.shown:
        return ABSENT
    return Cell(part.value * total.value, part.low * total.low, part.high * total.high, "estimated")


def _share(table: Table, measure: str, at: Mapping[str, str]) -> Cell:
    return share(table.cell(measure, **at), table.cell(measure))


def _concentration(section: Section, scope: Scope) -> tuple[Row, ...]:
    name, measure = section.dimensions[0], section.measure
    if measure not in COUNTED:
        return ()
    codes = [c for c in scope.pooled.labels(name) if c not in (ALL, MISSING)]
    return tuple(
        Row(label, herfindahl({c: table.cell(measure, **{name: c}) for c in codes}))
        for label, table in _everywhere(scope).items()
    )


def _everywhere(scope: Scope) -> dict[str, Table]:
    return {**scope.there, scope.say("all_sites"): scope.pooled}
