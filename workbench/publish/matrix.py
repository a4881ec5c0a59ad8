"""Matrix: numbers by two dimensions, such as weekday and hour, read as a heatmap."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from workbench.definition.study_file import Section
from workbench.publish.language import capital
from workbench.publish.marks import ABSENT, Cell, Entry
from workbench.publish.reading import Reading, beside, compared, entry
from workbench.publish.scope import COUNTED, Scope
from workbench.publish.sentences import against
from workbench.publish.tables import Table, share
from workbench.summaries.dimension import ALL, MISSING, OTHER


@dataclass(frozen=True)
class Matrix:
    """Hold the numbers of a heatmap.

    Parameters
    ----------
    rows, columns
        Labels of its two dimensions.
    titles
        What the two dimensions are called.
    cells
        The number of each row and column, a row after the other.
    write
        How a number is written.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    titles: tuple[str, str]
    cells: tuple[tuple[Cell, ...], ...]
    write: Callable[[float], str]

    @property
    def named(self) -> tuple[tuple[str, str, Cell], ...]:
        """Row, column and number of each cell."""
        return tuple(
            (row, column, cell)
            for row, line in zip(self.rows, self.cells, strict=True)
            for column, cell in zip(self.columns, line, strict=True)
        )

    @property
    def ends(self) -> tuple[tuple[str, str, Cell], tuple[str, str, Cell]] | None:
        """The highest and the lowest cell that are told, each the first of its like."""
        told = [each for each in self.named if each[2].shown]
        if not told:
            return None
        return max(told, key=lambda each: each[2].value), min(told, key=lambda each: each[2].value)

    @property
    def turned(self) -> Matrix:
        """The same, rows and columns exchanged."""
        cells = tuple(zip(*self.cells, strict=True))
        titles = self.titles[1], self.titles[0]
        return Matrix(self.columns, self.rows, titles, cells, self.write)


def read_matrix(section: Section, scope: Scope) -> Reading:
    """Return the reading of a table over two dimensions.

    Parameters
    ----------
    section, scope
        As for `workbench.publish.readings.read`.

    Returns
    -------
    Reading
        Of counts the shares are drawn, and the counts stand in the table.
    """
    first, second = section.dimensions
    measure = section.measure
    down, across = _codes(first, scope), _codes(second, scope)
    matrix, *others = (
        Matrix(
            tuple(scope.label(first, code) for code in down),
            tuple(scope.label(second, code) for code in across),
            (scope.title(first), scope.title(second)),
            tuple(
                tuple(_drawn(table, measure, {first: a, second: b}) for b in across) for a in down
            ),
            _write(measure, scope),
        )
        for table in compared(scope)
    )
    unit = capital(scope.measure(measure))
    if measure in COUNTED:
        unit = capital(scope.say("share", unit=scope.of(measure)))
    return Reading(
        figure="heatmap",
        axis=unit,
        second_axis="",
        sentences=_sentences(matrix, others, section, scope),
        cells=tuple(cell for *_, cell in matrix.named),
        head=_head(section, scope),
        body=tuple(_lines(section, scope)),
        matrix=matrix,
    )


def _codes(name: str, scope: Scope) -> list[str]:
    """Return all labels in their order, `other` and `missing` only if they are counted."""
    labels = (code for code in scope.pooled.labels(name) if code != ALL)
    return [c for c in labels if c not in (OTHER, MISSING) or _told(name, c, scope)]


def _told(name: str, code: str, scope: Scope) -> bool:
    cell = scope.pooled.cell("patients", **{name: code})
    return cell.shown and cell.low > 0


def _drawn(table: Table, measure: str, at: dict[str, str]) -> Cell:
    cell = table.cell(measure, **at)
    return share(cell, table.cell(measure)) if measure in COUNTED else cell


def _write(measure: str, scope: Scope) -> Callable[[float], str]:
    words = scope.words
    if measure in COUNTED:
        return words.percent
    unit = scope.unit_words(scope.unit)
    if unit == "%":
        return lambda value: f"{words.number(value)}{words.separators[2]}"
    return lambda value: f"{words.number(value)} {unit}".rstrip()


def _columns(section: Section, scope: Scope) -> tuple[str, str]:
    """Return the dimension that stands down the table, the longer one, and the other."""
    first, second = section.dimensions
    longer = len(_codes(second, scope)) >= len(_codes(first, scope))
    return (second, first) if longer else (first, second)


def _head(section: Section, scope: Scope) -> tuple[str, ...]:
    down, across = _columns(section, scope)
    names = [scope.label(across, code) for code in _codes(across, scope)]
    last: tuple[str, ...] = (scope.say("all_groups"),)
    if section.measure in COUNTED:
        part = capital(scope.say("share", unit=scope.of(section.measure)))
        return (scope.title(down), *names, *last, *beside(part, scope))
    return (scope.title(down), *names, *beside(last[0], scope))


def _lines(section: Section, scope: Scope) -> Iterable[tuple[Entry, ...]]:
    down, across = _columns(section, scope)
    measure, words = section.measure, scope.words
    unit = "1" if measure in COUNTED else scope.unit
    for code in (ALL, *_codes(down, scope)):
        at = {down: code}
        numbers = [scope.table.cell(measure, **at, **{across: c}) for c in _codes(across, scope)]
        if measure in COUNTED:
            numbers.append(scope.table.cell(measure, **at))
            parts = [share(t.cell(measure, **at), t.cell(measure)) for t in compared(scope)]
        else:
            numbers += [table.cell(measure, **at) for table in compared(scope)]
            parts = []
        yield (
            Entry(scope.label(down, code)),
            *(entry(cell, words, unit=unit) for cell in numbers),
            *(entry(part, words, words.percent) for part in parts),
        )


def _sentences(
    matrix: Matrix, others: list[Matrix], section: Section, scope: Scope
) -> tuple[str, ...]:
    if matrix.ends is None:
        return ()
    words, measure = scope.words, section.measure
    places = [words.listed(each[:2]) for each in matrix.ends]
    high, low = (words.spelt(each[2], matrix.write) for each in matrix.ends)
    given = {"most": places[0], "high": high, "least": places[1], "low": low}
    if measure in COUNTED:
        said = [scope.say("read_matrix_of", unit=scope.of(measure), **given)]
    else:
        said = [scope.say("read_matrix", measure=scope.say(measure), **given)]
    lowest = matrix.ends[1][2]
    alike = sum(cell.shown and cell.value == lowest.value for *_, cell in matrix.named)
    if alike > 1:
        said.append(scope.say("read_matrix_ties", n=words.number(alike)))
    hidden = sum(cell.how == "suppressed" for *_, cell in matrix.named)
    if hidden:
        of = words.number(len(matrix.named))
        said.append(scope.say("read_matrix_hidden", n=words.number(hidden), of=of))
    for other in others:
        there = {each[:2]: each[2] for each in other.named}
        cells = [there.get(each[:2], ABSENT) for each in matrix.ends]
        parts = [
            f"{place} {words.spelt(cell, other.write)}"
            for place, cell in zip(places, cells, strict=True)
        ]
        said += against(scope, parts, *cells)
    return tuple(said)
