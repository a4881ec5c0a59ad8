"""Outlook: months as they are told, what may follow, and the chance to reach a target."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from workbench.definition.study_file import Section, Target
from workbench.errors import DefinitionError
from workbench.publish.language import capital
from workbench.publish.marks import ABSENT, SUPPRESSED, Cell, Entry
from workbench.publish.reading import Reading, codes_of, entry
from workbench.publish.scope import Scope
from workbench.publish.sentences import against
from workbench.publish.tables import Table
from workbench.statistics.forecasting import DRAWS, FEWEST, Forecast, forecast, working_days
from workbench.summaries.dimension import ALL, MISSING, OTHER

LEVELS = (0.95, 0.8, 0.5)
"""Shares of the future that the bands are meant to hold, the widest first."""
TOLD = 0.8
"""Level of the interval that is written."""
MOST = 4
"""Series in one figure."""
LONGEST = 60
"""Months that are looked ahead at most."""


@dataclass(frozen=True)
class Year:
    """Hold one year: what is told of it, what is expected, and what it is meant to reach.

    Parameters
    ----------
    year
        The calendar year.
    told
        Its sum, if all its months are told.
    expected
        Median and interval of its forecast, if a month of it is still to come.
    target, chance
        The target and the share of the futures that reach it, NaN if there is none.
    source
        Who set the target.
    """

    year: int
    told: Cell = ABSENT
    expected: Cell = ABSENT
    target: float = math.nan
    chance: float = math.nan
    source: str = ""


@dataclass(frozen=True)
class Series:
    """Hold one series of a fan.

    Parameters
    ----------
    label
        Words for the reader, "" for all together where nothing else is drawn.
    since
        Year and month of the first cell, counted in months from the year 0.
    cells
        One a month, as told.
    bands
        Low and high end of each month to come, by level.
    middle
        Median of each month to come.
    years
        All years, the first one first.
    """

    label: str
    since: int
    cells: tuple[Cell, ...]
    middle: tuple[float, ...] = ()
    bands: tuple[tuple[float, tuple[float, ...], tuple[float, ...]], ...] = ()
    years: tuple[Year, ...] = ()


def read_outlook(section: Section, scope: Scope) -> Reading:
    """Return the reading of monthly counts.

    Parameters
    ----------
    section, scope
        As for `workbench.publish.readings.read`.

    Returns
    -------
    Reading
        All together, and each label that has a target, else the commonest. Targets are those of
        all sites together: one site is not held against them.
    """
    targets = () if scope.chosen else tuple(section.target)
    series = tuple(
        _series(scope.table, section.dimensions[0], at, label, _held(code, targets, scope))
        for code, at, label in _drawn(section, scope)
    )
    unit = capital(scope.measure("exams"))
    return Reading(
        figure="fan",
        axis=capital(scope.say("a_month", unit=scope.measure("exams"))),
        second_axis=capital(scope.say("a_year", unit=scope.measure("exams"))),
        sentences=_sentences(series, section, scope),
        cells=tuple(c for one in series for c in one.cells if not c.shown or c.value > 0),
        head=_head(unit, targets, scope),
        body=tuple(line for one in series for line in _lines(one, targets, scope)),
        outlook=series,
    )


def _held(code: str, targets: Sequence[Target], scope: Scope) -> dict[int, tuple[float, str]]:
    """Return value and source of the targets of a label, by year."""
    language = scope.language
    return {
        t.year: (t.value, t.source.get(language, t.source["en"]))
        for t in targets
        if t.label == code
    }


def _drawn(section: Section, scope: Scope) -> list[tuple[str, dict[str, str], str]]:
    """Return code, place and words of each series: all together, and the labels that are asked."""
    if len(section.dimensions) < 2:
        return [(ALL, {}, "")]
    name = section.dimensions[1]
    asked = list(dict.fromkeys(t.label for t in section.target if t.label != ALL))
    codes = asked or [c for c in codes_of(section, name, scope) if c not in (OTHER, MISSING)]
    return [(c, {name: c}, scope.label(name, c)) for c in (ALL, *codes)][:MOST]


def _series(
    table: Table,
    name: str,
    at: Mapping[str, str],
    label: str,
    targets: Mapping[int, tuple[float, str]],
) -> Series:
    months = [c for c in table.labels(name) if c not in (ALL, OTHER, MISSING)]
    cells = [table.cell("exams", **at, **{name: month}) for month in months]
    told = [i for i, cell in enumerate(cells) if cell.shown and cell.value > 0]
    if not told:
        return Series(label, _number(months[0]), tuple(cells))
    months, cells = months[told[0] : told[-1] + 1], cells[told[0] : told[-1] + 1]
    since = _number(months[0])
    values = tuple(c.value if c.shown and c.value > 0 else math.nan for c in cells)
    last = since + len(cells) - 1
    until = max([(last + 12) // 12, *targets]) * 12 + 11
    ahead = min(max(until - last, 12), LONGEST)
    found = _forecast(values, months[0], ahead)
    years = range(since // 12, (last + (ahead if found else 0)) // 12 + 1)
    known = tuple(
        _aimed(_year(year, since, cells, found), found, *targets.get(year, (math.nan, "")))
        for year in sorted({*years, *targets})
    )
    if found is None:
        return Series(label, since, tuple(cells), years=known)
    bands = found.interval(LEVELS)
    ends = (
        (level, tuple(bands.low.values[i].tolist()), tuple(bands.high.values[i].tolist()))
        for i, level in enumerate(LEVELS)
    )
    return Series(
        label, since, tuple(cells), tuple(bands.middle.values.tolist()), tuple(ends), known
    )


def _number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:7]) - 1


@lru_cache(maxsize=64)
def _forecast(values: tuple[float, ...], since: str, ahead: int) -> Forecast | None:
    """Return the futures of a series; None if too little is told. The same for every language."""
    if sum(not math.isnan(value) for value in values) < FEWEST:
        return None
    days = working_days(since, len(values) + ahead)
    try:
        return forecast(np.array(values), since, ahead, exposure=days)
    except DefinitionError:  # a month of the year that is never told
        return None


def _year(year: int, since: int, cells: Sequence[Cell], found: Forecast | None) -> Year:
    months = [year * 12 + i - since for i in range(12)]
    there = [cells[i] for i in months if 0 <= i < len(cells)]
    told = ABSENT
    if len(there) == 12 and all(cell.shown for cell in there):
        value, low, high = (sum(getattr(c, e) for c in there) for e in ("value", "low", "high"))
        known = all(c.how == "exact" for c in there)
        told = Cell(value, low, high, "exact" if known else "rounded")
    elif any(cell.how == "suppressed" for cell in there):
        told = SUPPRESSED
    paths = None if told.shown else _paths(found, year)
    if paths is None:
        return Year(year, told)
    tail = (1 - TOLD) / 2
    low, middle, high = (_rough(end) for end in np.quantile(paths, [tail, 0.5, 1 - tail]))
    return Year(year, told, Cell(middle, low, high, "forecast"))


def _aimed(year: Year, found: Forecast | None, target: float, source: str) -> Year:
    """Return a year with its target, and the chance of reaching it."""
    chance = math.nan
    if year.told.shown:
        chance = float(year.told.value >= target)
    elif year.expected.shown and (paths := _paths(found, year.year)) is not None:
        reached = float((paths >= target).mean())
        chance = min(max(reached, 0.5 / DRAWS), 1 - 0.5 / DRAWS)  # no draw is no impossibility
    known = not math.isnan(target)
    return replace(year, target=target, chance=chance if known else math.nan, source=source)


def _rough(number: float) -> float:
    """Return a number of three significant digits: nobody knows more of the future."""
    return float(f"{number:.3g}")


def _paths(found: Forecast | None, year: int) -> NDArray[np.float64] | None:
    if found is None:
        return None
    try:
        return found.year(year)
    except DefinitionError:  # a month of it is neither told nor forecast
        return None


def _head(unit: str, targets: Sequence[Target], scope: Scope) -> tuple[str, ...]:
    level = scope.words.points(TOLD)
    held = ("target", "chance", "source_of_target") if targets else ()
    return (
        scope.say("year"),
        unit,
        scope.say("expected", level=level),
        *(scope.say(key) for key in held),
    )


def _lines(series: Series, targets: Sequence[Target], scope: Scope) -> list[tuple[Entry, ...]]:
    words = scope.words
    found = []
    for year in series.years:
        name = words.listed((series.label, str(year.year)))
        line = [Entry(name), entry(year.told, words), entry(year.expected, words)]
        if targets:
            held = not math.isnan(year.target)
            exact = Cell(year.target, year.target, year.target)
            line += [
                entry(exact, words) if held else Entry("–"),
                Entry("–" if math.isnan(year.chance) else words.percent(year.chance)),
                Entry(year.source),
            ]
        found.append(tuple(line))
    return found


def _sentences(series: Sequence[Series], section: Section, scope: Scope) -> tuple[str, ...]:
    words, said = scope.words, []
    level = words.points(TOLD)
    for one in series:
        held = [year for year in one.years if not math.isnan(year.target)]
        ahead = [year for year in one.years if year.expected.shown]
        label = one.label or scope.say("all_together")
        for year in held:
            given = {"label": label, "year": year.year, "target": words.number(year.target)}
            if year.told.shown:
                key = "read_target_met" if year.chance else "read_target_missed"
                said.append(scope.say(key, value=words.spelt(year.told), **given))
            elif year.expected.shown:
                value = words.spelt(year.expected)
                chance = words.percent(year.chance)
                given |= {"value": value, "level": level, "chance": chance}
                said.append(scope.say("read_target", **given))
        if ahead and not held and (one is series[0] or len(series) == 1):
            given = {"label": label, "year": ahead[0].year, "level": level}
            value = words.spelt(ahead[0].expected)
            said.append(scope.say("read_expected", value=value, **given))
        if not ahead and one.cells and (one is series[0] or series[0].middle):
            told = sum(cell.shown and cell.value > 0 for cell in one.cells)
            n = words.number(told)
            said.append(scope.say("read_no_forecast", label=label, n=n, fewest=FEWEST))
    if scope.chosen and said:
        said += _all_sites(series[0], section, scope)
    return tuple(capital(sentence) for sentence in said)


def _all_sites(one: Series, section: Section, scope: Scope) -> list[str]:
    """Say what is expected of all sites in the year that is said of one."""
    ahead = [year.year for year in one.years if year.expected.shown]
    whole = _series(scope.pooled, section.dimensions[0], {}, "", {})
    cells = [y.expected for y in whole.years if y.year in ahead[:1] and y.expected.shown]
    return against(scope, [f"{ahead[0]}: {scope.words.spelt(c)}" for c in cells])
