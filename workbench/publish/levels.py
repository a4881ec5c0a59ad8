"""Levels: the median of each facility, and the reference level that follows from all.

A diagnostic reference level is the 75th percentile of the medians of facilities, the achievable
dose their median; under ten facilities that median is a typical value only, and there is no level
(ICRP Publication 135, 2017). Percentiles are by linear interpolation (R-7).
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from workbench.definition.study_file import Section
from workbench.publish.language import capital
from workbench.publish.marks import ABSENT, SUPPRESSED, Cell, Entry
from workbench.publish.reading import Reading, beside, codes_of, entry
from workbench.publish.scope import Scope
from workbench.publish.sentences import against
from workbench.publish.tables import Table
from workbench.summaries.dimension import ALL, MISSING, OTHER

FEWEST_FACILITIES = 10
"""Below so many there is no level (ICRP 135, paragraph 78)."""
MOST = 6
"""Kinds of exams in one figure."""
NAMED = 6
"""Facilities that are named above their level; the table tells of all."""
FEWEST_EXAMS = 20
"""A facility of fewer exams tells no median (ICRP 135, paragraph 76)."""


@dataclass(frozen=True)
class Facility:
    """Hold what one facility tells: its median, and of how many exams."""

    label: str
    median: Cell
    exams: Cell


@dataclass(frozen=True)
class Levels:
    """Hold the medians of one kind of exam, and what follows from them.

    Parameters
    ----------
    label
        The kind of exam.
    exams
        How many there are.
    facilities
        Those that tell a median, the lowest first.
    hidden
        How many facilities are held back.
    level
        75th percentile of the medians; not applicable under ten facilities.
    middle
        Median of the medians.
    national
        A published national reference level, NaN if there is none.
    against
        The level of all sites together, where one site is read.
    """

    label: str
    exams: Cell
    facilities: tuple[Facility, ...]
    hidden: int
    level: Cell
    middle: Cell
    national: float = math.nan
    against: Cell = ABSENT

    @property
    def compared(self) -> Cell:
        """The level that a facility is held against: of all sites where one of them is read."""
        return self.against if self.against.shown else self.level

    def side(self, facility: Facility) -> str:
        """Return on which side of the level a facility lies; "" if there is no level.

        Returns
        -------
        str
            "above" or "below" if the intervals of median and level have no number in common,
            else "unsure".
        """
        level, median = self.compared, facility.median
        if not level.shown:
            return ""
        if median.low > level.high:
            return "above"
        return "below" if median.high < level.low else "unsure"


def percentile(cells: Sequence[Cell], part: float) -> Cell:
    """Return a percentile of numbers known within ends, by linear interpolation (R-7).

    A percentile never falls when one of its numbers rises, so its ends are those of all lower
    and of all upper ends.

    Parameters
    ----------
    cells
        The numbers; an end may be infinite.
    part
        Between 0 and 1.

    Examples
    --------
    >>> medians = [300, 320, 350, 400, 410, 450, 480, 500, 520, 610]  # ICRP 135 by linear: 495
    >>> percentile([Cell(m, m - 10, m + 10) for m in medians], 0.75)
    Cell(value=495.0, low=485.0, high=505.0, how='estimated')
    """

    def of(numbers: Sequence[float]) -> float:
        ordered = sorted(numbers)
        at = (len(ordered) - 1) * part
        below, above = ordered[math.floor(at)], ordered[math.ceil(at)]
        if below == above or at == math.floor(at):
            return below
        return below + (above - below) * (at - math.floor(at)) if math.isfinite(below) else below

    if not cells:
        return ABSENT
    low, value, high = (of([getattr(c, end) for c in cells]) for end in ("low", "value", "high"))
    return Cell(value, low, high, "estimated")


def levels_of(
    sites: Mapping[str, Table],
    whole: Table,
    kind: tuple[str, str],
    name: str,
    scope: Scope,
) -> Levels:
    """Return the medians of one kind of exam, and what follows from them.

    Parameters
    ----------
    sites
        Histogram over kinds of exams and facilities of each site; every site has numbers of its
        own for its facilities.
    whole
        That of all of them together.
    kind
        Dimension and label of the kind.
    name
        Dimension of the facilities.
    scope
        The words.
    """
    found, hidden = [], 0
    for site, table in sites.items():
        for code in table.labels(name):
            if code in (ALL, OTHER, MISSING):
                continue
            at = {**dict([kind]), name: code}
            median = table.cell("median", **at)
            if not median.shown:
                hidden += table.cell("exams", **at).how == "suppressed"
                continue
            exams = table.total("exams", **at)
            if exams.shown and exams.value >= FEWEST_EXAMS:
                words = scope.label(name, code)
                if len(sites) > 1:
                    words = scope.words.listed((words, site))
                found.append(Facility(words, median, exams))
    found.sort(key=lambda facility: facility.median.value)
    medians = [facility.median for facility in found]
    enough = len(found) >= FEWEST_FACILITIES
    return Levels(
        scope.label(*kind),
        whole.total("exams", **dict([kind])),
        tuple(found),
        hidden,
        percentile(medians, 0.75) if enough else ABSENT,
        percentile(medians, 0.5),
    )


@lru_cache
def national_levels() -> tuple[str, dict[tuple[str, str], float]]:
    """Return the published national levels by kind of exam and unit, and their source."""
    path = files("workbench").joinpath("resources/tables/reference_levels.csv")
    if not path.is_file():
        return "", {}
    lines = path.read_text(encoding="utf-8").splitlines()
    said = " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    levels = {(_plain(row["indication"]), row["unit"]): float(row["level"]) for row in rows}
    return said.partition("Source: ")[2].rstrip("."), levels


def _plain(name: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", name.lower()))


def _national(code: str, label: str, unit: str) -> float:
    levels = national_levels()[1]
    named = (levels.get((_plain(name), unit), math.nan) for name in (code, label))
    return next((level for level in named if not math.isnan(level)), math.nan)


def read_levels(section: Section, scope: Scope) -> Reading:
    """Return the reading of medians by kind of exam and facility.

    Parameters
    ----------
    section, scope
        As for `workbench.publish.readings.read`.

    Returns
    -------
    Reading
        Each kind that a facility tells of is drawn, the commonest first; all stand in the table.
    """
    kind, name = section.dimensions
    found = []
    for code in codes_of(section, kind, scope):
        if code in (OTHER, MISSING):
            continue
        every = levels_of(scope.there, scope.pooled, (kind, code), name, scope)
        one, together = every, []
        if scope.chosen:
            own = {scope.chosen: scope.table}
            one, together = levels_of(own, scope.table, (kind, code), name, scope), [every]
        national = _national(code, scope.dimensions[kind].label(code, "en"), scope.unit)
        level = together[0].level if together else ABSENT
        parts = (one.label, one.exams, one.facilities, one.hidden, one.level, one.middle)
        found.append(Levels(*parts, national, level))
    drawn = tuple(levels for levels in found if levels.facilities)[:MOST]
    words, unit = scope.words, scope.unit_words(scope.unit)
    value = section.axis.get(scope.language, section.axis.get("en", ""))
    told = [f.median for levels in drawn for f in levels.facilities]
    hidden = sum(levels.hidden for levels in drawn)
    return Reading(
        figure="dots",
        axis=capital(value or words.listed((scope.say("median_each"), unit))),
        second_axis=scope.say("facility"),
        sentences=_sentences(drawn, scope),
        cells=(*told, *[SUPPRESSED] * hidden),
        head=_head(kind, found, scope),
        body=tuple(_line(levels, found, scope) for levels in found),
        levels=drawn,
        more=_each(drawn, section, scope) if drawn else None,
    )


def _each(
    drawn: Sequence[Levels], section: Section, scope: Scope
) -> tuple[str, tuple[str, ...], tuple[tuple[Entry, ...], ...]]:
    """Return the table of every facility: title, head and body."""
    words = scope.words
    head = (
        words.listed((scope.title(section.dimensions[0]), scope.say("facility"))),
        capital(scope.measure("exams")),
        capital(scope.measure("median")),
        *beside(scope.say("side"), scope)[-1:],
    )
    lines = tuple(
        (
            Entry(words.listed((levels.label, f.label))),
            entry(f.exams, words),
            entry(f.median, words, unit=scope.unit),
            Entry(scope.say(f"side_{side}") if (side := levels.side(f)) else "–"),
        )
        for levels in drawn
        for f in levels.facilities
    )
    return scope.say("each_facility"), head, lines


def _head(kind: str, found: Sequence[Levels], scope: Scope) -> tuple[str, ...]:
    unit = scope.unit_words(scope.unit)

    def named(key: str) -> str:
        return scope.words.listed((capital(scope.say(key)), unit))

    national = (named("national"),) if any(not math.isnan(f.national) for f in found) else ()
    return (
        scope.title(kind),
        capital(scope.measure("exams")),
        scope.say("facilities_told"),
        scope.say("facilities_hidden"),
        named("achievable"),
        *beside(named("reference_level"), scope),
        *national,
    )


def _line(levels: Levels, found: Sequence[Levels], scope: Scope) -> tuple[Entry, ...]:
    words, unit = scope.words, scope.unit
    level = entry(levels.level, words, unit=unit)
    if not levels.level.shown and levels.facilities:
        level = Entry("–", scope.say("typical_value"))
    national = Entry("–")
    if not math.isnan(levels.national):
        exact = Cell(levels.national, levels.national, levels.national)
        national = entry(exact, words, unit=unit)
    any_national = any(not math.isnan(f.national) for f in found)
    return (
        Entry(levels.label),
        entry(levels.exams, words),
        Entry(words.number(len(levels.facilities))),
        Entry(words.number(levels.hidden)),
        entry(levels.middle, words, unit=unit),
        level,
        *((entry(levels.against, words, unit=unit),) if scope.chosen else ()),
        *((national,) if any_national else ()),
    )


def above(drawn: Sequence[Levels], scope: Scope) -> list[str]:
    """Say which facilities lie above their level whatever was rounded or suppressed."""
    words = scope.words
    if not any(levels.compared.shown for levels in drawn):
        return []
    parts, left = [], NAMED
    for levels in drawn:
        high = [f.label for f in reversed(levels.facilities) if levels.side(f) == "above"]
        if named := high[: max(left, 0)]:
            parts.append(f"{levels.label} – {'; '.join(named)}")
        left -= len(high)
    if left < 0:
        parts.append(scope.say("n_more", n=words.number(-left)))
    level = scope.say("level_of_all" if scope.chosen else "line_level")
    key = "read_above" if parts else "read_none_above"
    return [scope.say(key, level=level, parts="; ".join(parts))]


def _sentences(drawn: Sequence[Levels], scope: Scope) -> tuple[str, ...]:
    words = scope.words
    unit = f" {scope.unit_words(scope.unit)}".rstrip()
    said, hidden, national, together = above(drawn, scope), [], [], []
    for levels in drawn:
        given = {
            "label": levels.label,
            "n": words.number(len(levels.facilities)),
            "middle": words.spelt(levels.middle) + unit,
            "fewest": words.number(FEWEST_FACILITIES),
        }
        if levels.level.shown:
            level = words.spelt(levels.level) + unit
            said.append(scope.say("read_level", level=level, **given))
        else:
            said.append(scope.say("read_typical", **given))
        if levels.hidden:
            hidden.append(f"{levels.label} {words.number(levels.hidden)}")
        if not math.isnan(levels.national):
            national.append(f"{levels.label} {words.number(levels.national)}{unit}")
        if levels.against.shown:
            together.append(f"{levels.label} {words.spelt(levels.against)}{unit}")
    if hidden:
        said.append(scope.say("read_facilities_hidden", n=words.listed(hidden)))
    if national:
        source = national_levels()[0]
        said.append(scope.say("read_national", parts=words.listed(national), source=source))
    name = scope.say("reference_level")
    return (*said, *against(scope, [f"{name} – {words.listed(together)}"] if together else []))
