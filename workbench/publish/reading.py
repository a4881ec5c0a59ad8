"""Reading: the figure, the table and the sentence that answer one question."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from workbench.definition.study_file import Section
from workbench.publish.language import Words, speak
from workbench.publish.marks import Bin, Cell, Entry, Quantile, Row
from workbench.publish.scope import COUNTED, Scope
from workbench.publish.tables import Table
from workbench.summaries.dimension import ALL, MISSING, OTHER

if TYPE_CHECKING:
    from workbench.publish.levels import Levels
    from workbench.publish.matrix import Matrix
    from workbench.publish.open_share import Curve
    from workbench.publish.outlook import Series

Figure = Literal[
    "bars", "grouped_bars", "histogram", "shares", "forest", "heatmap", "curves", "dots", "fan"
]


@dataclass(frozen=True)
class Reading:
    """Hold one question's figure, table and sentence.

    Parameters
    ----------
    figure
        Which figure is drawn.
    axis, second_axis
        Titles with units.
    sentences
        What reads the figure; the first one answers the question.
    cells
        All numbers that were asked for, suppressed ones included.
    head, body
        The table beside the figure.
    rows, groups, bins, quantiles, ends
        What is drawn.
    concentration
        Herfindahl index of each site and, last, of all, if the question is about concentration.
    write
        How the numbers of a forest plot are written.
    whole
        True if a histogram is of whole numbers.
    against
        Bins of all sites together, where one site is read; not told where they are wider.
    matrix, curves, levels, outlook
        What is drawn in a heatmap, in curves, in dots and in a fan.
    texts
        Positions of the columns of the table that hold words.
    more
        Title, head and body of a longer table that is folded away.
    threshold
        Fewest patients that are told.
    words
        The reader's language.
    """

    figure: Figure
    axis: str
    second_axis: str
    sentences: tuple[str, ...]
    cells: tuple[Cell, ...]
    head: tuple[str, ...]
    body: tuple[tuple[Entry, ...], ...]
    rows: tuple[Row, ...] = ()
    groups: tuple[str, ...] = ()
    bins: tuple[Bin, ...] = ()
    quantiles: tuple[Quantile, ...] = ()
    ends: tuple[float, ...] = ()
    concentration: tuple[Row, ...] = ()
    write: Callable[[float], str] = speak("en").number
    whole: bool = False
    against: tuple[Bin, ...] = ()
    matrix: Matrix | None = None
    curves: tuple[Curve, ...] = ()
    levels: tuple[Levels, ...] = ()
    outlook: tuple[Series, ...] = ()
    texts: tuple[int, ...] = ()
    more: tuple[str, tuple[str, ...], tuple[tuple[Entry, ...], ...]] | None = None
    threshold: int = 10
    words: Words = field(default_factory=lambda: speak("en"))

    @property
    def finding(self) -> str:
        """All sentences that read the figure."""
        return self.words.run_on(self.sentences)

    @property
    def answer(self) -> str:
        """The sentence that answers the question; "" if nothing can be said."""
        return self.sentences[0] if self.sentences else ""


def entry(
    cell: Cell, words: Words, write: Callable[[float], str] | None = None, unit: str = "1"
) -> Entry:
    """Return a cell as it is written in a table: its figure, and its interval below.

    Examples
    --------
    >>> found = entry(Cell(120, 118, 122, "rounded"), speak("en"))
    >>> found.text, found.detail
    ('120', '118–122')
    """
    share = write == words.percent
    kept: dict[str, Any] = {"cell": cell, "unit": "%" if share else unit, "share": share}
    if cell.how == "suppressed":
        known = math.isfinite(cell.low) and math.isfinite(cell.high)
        spread = words.between(cell.low, cell.high, write) if known else ""
        return Entry(words.say("suppressed"), spread, hidden=True, **kept)
    if not cell.shown:
        return Entry("–", **kept)
    text = (write or words.number)(cell.value)
    spread = words.between(cell.low, cell.high, write)
    return Entry(text, "" if spread == text else spread, **kept)


def codes_of(section: Section, name: str, scope: Scope) -> list[str]:
    """Return the codes to show: counted anywhere, the commonest first unless they have an order.

    Parameters
    ----------
    section
        The section; with `top`, only the first ones.
    name
        The dimension.
    scope
        The tables.
    """
    measure = section.measure if section.measure in COUNTED else "exams"
    there = [c for c in scope.pooled.labels(name) if c != ALL and counted(scope, {name: c})]
    if scope.dimensions[name].codelist is None or section.figure == "shares":
        return there
    last = {OTHER: 1, MISSING: 2}
    size = {c: scope.pooled.cell(measure, **{name: c}) for c in there}
    there.sort(key=lambda c: (last.get(c, 0), -size[c].value if size[c].shown else 0.0))
    return there[: section.top]


def counted(scope: Scope, at: Mapping[str, str]) -> bool:
    """Tell whether anyone may stand behind a label."""
    cell = scope.pooled.cell("patients", **at)
    return cell.how == "suppressed" or (cell.shown and cell.high > 0)


def compared(scope: Scope) -> tuple[Table, ...]:
    """Return the table that is read, and that of all sites where it is one site's."""
    return (scope.table, scope.pooled) if scope.chosen else (scope.table,)


def beside(head: str, scope: Scope) -> tuple[str, ...]:
    """Return the head of a column, and of the one beside it for all sites if one site is read."""
    if not scope.chosen:
        return (head,)
    return head, scope.say("of_label", label=scope.say("all_sites"), words=head)
