"""Outlook: months as they are told, what may follow, and the chance to reach a target."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from workbench.definition.section_rules import FANS
from workbench.definition.study_file import Section, Target
from workbench.publish.language import capital, lowered
from workbench.publish.marks import Cell, Entry
from workbench.publish.reading import Reading, codes_of, entry
from workbench.publish.scope import Scope
from workbench.publish.sentences import against
from workbench.publish.tables import Table
from workbench.publish.years import TOLD, Futures, Year, forecast_of, years_of
from workbench.statistics.forecasting import FEWEST, Forecast
from workbench.summaries.dimension import ALL, MISSING, OTHER

LEVELS = (0.95, 0.8, 0.5)
"""Shares of the future that the bands are meant to hold, the widest first."""
LONGEST = 60
"""Months that are looked ahead at most."""
_ENDS = ("value", "low", "high")


@dataclass(frozen=True)
class Fan:
    """Hold one forecast as it is drawn.

    Parameters
    ----------
    start
        Place of its first month among those of the series.
    middle
        Median of each month.
    bands
        Level, low and high end of each month, the widest first.
    """

    start: int
    middle: tuple[float, ...]
    bands: tuple[tuple[float, tuple[float, ...], tuple[float, ...]], ...]


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
    ahead
        What may follow; None if too little is told.
    tested
        What might have followed without the months that are held out; None if none are.
    years
        All years, the first one first.
    """

    label: str
    since: int
    cells: tuple[Cell, ...]
    ahead: Fan | None = None
    tested: Fan | None = None
    years: tuple[Year, ...] = ()

    @property
    def fans(self) -> tuple[Fan, ...]:
        """Its forecasts, the earlier one first."""
        return tuple(fan for fan in (self.tested, self.ahead) if fan is not None)


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
    held_out, name = section.hold_out or 0, section.dimensions[0]
    series = tuple(
        _series(_counts(scope.table, name, at), label, _held(code, targets, scope), held_out)
        for code, at, label in _drawn(section, scope)
    )
    columns = _Columns(
        tested=any(year.held_out for one in series for year in one.years),
        targets=bool(targets),
        outcome=any(year.outcome for one in series for year in one.years),
    )
    return Reading(
        figure="fan",
        axis=capital(scope.say("a_month", unit=scope.measure("exams"))),
        second_axis=capital(scope.say("a_year", unit=scope.measure("exams"))),
        sentences=_sentences(series, section, scope),
        cells=tuple(c for one in series for c in one.cells if not c.shown or c.value > 0),
        head=_head(columns, scope),
        body=tuple(_line(one, year, columns, scope) for one in series for year in one.years),
        outlook=series,
        texts=columns.texts,
    )


def _held(code: str, targets: Sequence[Target], scope: Scope) -> dict[int, tuple[Target, str]]:
    """Return the targets of a label and the words for their source, by year."""
    language = scope.language
    return {t.year: (t, t.source.get(language, t.source["en"])) for t in targets if t.label == code}


def _drawn(section: Section, scope: Scope) -> list[tuple[str, dict[str, str], str]]:
    """Return code, place and words of each series: all together, and the labels that are asked."""
    if len(section.dimensions) < 2:
        return [(ALL, {}, "")]
    name = section.dimensions[1]
    asked = list(dict.fromkeys(t.label for t in section.target if t.label != ALL))
    codes = asked or [c for c in codes_of(section, name, scope) if c not in (OTHER, MISSING)]
    return [(c, {name: c}, scope.label(name, c)) for c in (ALL, *codes)][:FANS]


def _counts(table: Table, name: str, at: Mapping[str, str]) -> dict[str, Cell]:
    """Return what each month of a table tells."""
    months = [code for code in table.labels(name) if code not in (ALL, OTHER, MISSING)]
    return {month: table.cell("exams", **at, **{name: month}) for month in months}


def _series(
    counts: Mapping[str, Cell],
    label: str = "",
    targets: Mapping[int, tuple[Target, str]] = MappingProxyType({}),
    held_out: int = 0,
) -> Series:
    months, cells = list(counts), list(counts.values())
    told = [i for i, cell in enumerate(cells) if cell.shown and cell.value > 0]
    if not told:
        return Series(label, _number(months[0]), tuple(cells))
    months, cells = months[told[0] : told[-1] + 1], cells[told[0] : told[-1] + 1]
    since = _number(months[0])
    values = tuple(c.value if c.shown and c.value > 0 else math.nan for c in cells)
    last = since + len(cells) - 1
    until = max([(last + 12) // 12, *targets]) * 12 + 11
    ahead = min(max(until - last, 12), LONGEST)
    tested = forecast_of(values[:-held_out], months[0], held_out) if held_out else None
    futures = Futures(forecast_of(values, months[0], ahead), tested)
    return Series(
        label,
        since,
        tuple(cells),
        _fan(futures.ahead),
        _fan(futures.tested),
        years_of(since, cells, futures, targets),
    )


def _fan(found: Forecast | None) -> Fan | None:
    if found is None:
        return None
    bands = found.interval(LEVELS)
    ends = (
        (level, tuple(bands.low.values[i].tolist()), tuple(bands.high.values[i].tolist()))
        for i, level in enumerate(LEVELS)
    )
    return Fan(len(found.past), tuple(bands.middle.values.tolist()), tuple(ends))


def _number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:7]) - 1


@dataclass(frozen=True)
class _Columns:
    """Say which columns the table of years has."""

    tested: bool
    targets: bool
    outcome: bool

    @property
    def texts(self) -> tuple[int, ...]:
        """Positions of those that hold words."""
        first = 5 + self.tested
        return tuple(range(first, first + 1 + self.outcome)) if self.targets else ()


def _head(columns: _Columns, scope: Scope) -> tuple[str, ...]:
    level = scope.words.points(TOLD)
    named = [scope.say("year"), capital(scope.measure("exams")), scope.say("expected", level=level)]
    if columns.tested:
        named.append(scope.say("inside", level=level))
    if columns.targets:
        named += [scope.say("target"), scope.say("chance")]
        named += [scope.say("outcome")] if columns.outcome else []
        named.append(scope.say("source_of_target"))
    return tuple(named)


def _line(one: Series, year: Year, columns: _Columns, scope: Scope) -> tuple[Entry, ...]:
    words = scope.words
    name = words.listed((one.label, str(year.year)))
    line = [Entry(name), entry(year.told, words), entry(year.expected, words)]
    if columns.tested:
        line.append(_inside(year, scope) if year.held_out else Entry("–"))
    if columns.targets:
        line += [entry(year.target, words), entry(year.chance, words, words.percent)]
        if columns.outcome:
            line.append(Entry(scope.say(f"outcome_{year.outcome}") if year.outcome else "–"))
        ratio = _ratio(year, scope)
        line.append(Entry(f"{ratio}: {year.source}" if ratio else year.source))
    return tuple(line)


def _inside(year: Year, scope: Scope) -> Entry:
    words = scope.words
    text = scope.say("n_of", n=words.spelt(year.inside), of=words.number(year.held_out))
    value, low, high = (getattr(year.inside, end) / year.held_out for end in _ENDS)
    return Entry(text, cell=Cell(value, low, high, year.inside.how), unit="%", share=True)


def _ratio(year: Year, scope: Scope) -> str:
    """Return a target in the words of who set it: times what a year is told to have had."""
    if math.isnan(year.ratio):
        return ""
    return scope.say("times", ratio=scope.words.edge(year.ratio), year=year.since)


def _aim(year: Year, scope: Scope) -> str:
    """Return a target as it is written in a sentence."""
    words, aim = scope.words, year.target
    spread = words.between(aim.low, aim.high) if aim.low < aim.high else ""
    parts = "; ".join(filter(None, (_ratio(year, scope), spread)))
    return f"{words.number(aim.value)} ({parts})" if parts else words.number(aim.value)


def _sentences(series: Sequence[Series], section: Section, scope: Scope) -> tuple[str, ...]:
    said: list[str] = []
    others: list[str] = []
    for one in series:
        held = [year for year in one.years if year.source]
        ahead = [year for year in one.years if year.expected.shown and not year.told.shown]
        label = one.label or scope.say("all_together")
        first = one is series[0]
        if first or not said:
            said += filter(None, (_held_against(label, year, scope) for year in held))
        else:  # its sentence would say the same of another label
            others += filter(None, (_in_short(label, year, scope) for year in held))
        if ahead and first and ahead[0] not in held:
            given = {"label": label, "year": ahead[0].year, "level": scope.words.points(TOLD)}
            value = scope.words.spelt(ahead[0].expected)
            said.append(scope.say("read_expected", value=value, **given))
        if not ahead and one.cells and (first or one.ahead is not None):
            told = sum(cell.shown and cell.value > 0 for cell in one.cells)
            n = scope.words.number(told)
            said.append(scope.say("read_no_forecast", label=label, n=n, fewest=FEWEST))
    if others:
        said.append(scope.say("read_likewise", parts="; ".join(others)))
    said += _tested(series, section, scope)
    if scope.chosen and said:
        said += _all_sites(series[0], section, scope)
    return tuple(capital(sentence) for sentence in said)


def _held_against(label: str, year: Year, scope: Scope) -> str:
    """Say how a year stands against its target; "" if neither is told nor expected."""
    words = scope.words
    given = {"label": label, "year": year.year}
    if not year.target.shown:
        return scope.say("read_target_unknown", ratio=_ratio(year, scope), **given)
    given["target"] = _aim(year, scope)
    forecast = {
        "value": words.spelt(year.expected),
        "level": words.points(TOLD),
        "chance": words.spelt(year.chance, words.percent),
    }
    if year.told.shown:
        told, outcome = words.spelt(year.told), scope.say(f"outcome_{year.outcome}")
        if year.expected.shown:
            tested = forecast | {"told": told, "outcome": outcome}
            return scope.say("read_target_tested", **given, **tested)
        return scope.say(f"read_target_{year.outcome}", value=told, **given)
    return scope.say("read_target", **given, **forecast) if year.expected.shown else ""


def _in_short(label: str, year: Year, scope: Scope) -> str:
    """Say in a few words how a year stands against its target."""
    if not year.target.shown:
        return ""
    words = scope.words
    parts = [f"{lowered(scope.say('target'))} {words.number(year.target.value)}"]
    if year.chance.shown:
        chance = words.spelt(year.chance, words.percent)
        parts.append(scope.say("a_chance", chance=chance))
    if year.outcome:
        parts.append(scope.say("told", value=words.number(year.told.value)))
        parts.append(scope.say(f"outcome_{year.outcome}"))
    return f"{words.listed((label, str(year.year)))} – {words.listed(parts)}"


def _tested(series: Sequence[Series], section: Section, scope: Scope) -> list[str]:
    """Say how many of the months that were held out lie in their interval."""
    words, parts = scope.words, []
    for one in series:
        held = [year for year in one.years if year.held_out]
        if held:
            value, low, high = (sum(getattr(y.inside, end) for y in held) for end in _ENDS)
            of = words.number(sum(year.held_out for year in held))
            n = scope.say("n_of", n=words.spelt(Cell(value, low, high)), of=of)
            parts.append(f"{one.label or scope.say('all_together')} {n}")
    months, level = words.number(section.hold_out or 0), words.points(TOLD)
    expected = words.number(round((section.hold_out or 0) * TOLD))
    given = {"months": months, "level": level, "expected": expected}
    said = scope.say("read_tested", parts=words.listed(parts), **given)
    return [said] if parts else []


def _all_sites(one: Series, section: Section, scope: Scope) -> list[str]:
    """Say what is expected of all sites in the year that is said of one."""
    ahead = [year.year for year in one.years if year.expected.shown and not year.told.shown]
    whole = _series(_counts(scope.pooled, section.dimensions[0], {}))
    cells = [y.expected for y in whole.years if y.year in ahead[:1] and y.expected.shown]
    return against(scope, [f"{ahead[0]}: {scope.words.spelt(c)}" for c in cells])
