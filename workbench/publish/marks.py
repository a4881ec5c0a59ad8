"""What a figure or table shows: numbers with intervals, as rows, bins and entries; no drawing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

NEEDED = 3
"""A figure with fewer unsuppressed marks is not drawn."""


@dataclass(frozen=True)
class Cell:
    """Hold a figure with the interval that holds the exact one.

    Parameters
    ----------
    value, low, high
        The figure and its bounds, in the unit of its table.
    how
        "exact", "rounded" or "estimated"; "forecast", whose bounds are those of an interval that is
        meant to hold some share of what may come; "suppressed" or "not_applicable" if there is no
        figure.

    Examples
    --------
    >>> Cell(120, 118, 122, "rounded").shown
    True
    >>> SUPPRESSED.shown
    False
    """

    value: float
    low: float
    high: float
    how: Literal["exact", "rounded", "estimated", "forecast", "suppressed", "not_applicable"] = (
        "exact"
    )

    @property
    def shown(self) -> bool:
        """Tell whether there is a figure to draw."""
        return self.how not in ("suppressed", "not_applicable") and math.isfinite(self.value)


SUPPRESSED = Cell(math.nan, math.nan, math.nan, "suppressed")
ABSENT = Cell(math.nan, math.nan, math.nan, "not_applicable")


@dataclass(frozen=True)
class Row:
    """Hold one label of a figure: its number, and its share at every site.

    Parameters
    ----------
    label
        Words for the reader; distinct within a figure and group.
    cell
        The number of the row.
    group
        Label of the second dimension, if the figure has one.
    share
        Share over all sites together.
    by_site
        Share at each site, by the name of the site.
    note
        Short text beside the shares.
    against
        What all sites together would give in place of `cell`, where one site is read.
    """

    label: str
    cell: Cell
    group: str = ""
    share: Cell = ABSENT
    by_site: tuple[tuple[str, Cell], ...] = ()
    note: str = ""
    against: Cell = ABSENT


@dataclass(frozen=True)
class Bin:
    """Hold one published bin, which may span several bins of the declared grid.

    Parameters
    ----------
    start, stop
        Positions of its ends among the ends of the declared bins, counted from 0.
    cell
        Share of the exams in it, 0 to 1.
    """

    start: int
    stop: int
    cell: Cell


@dataclass(frozen=True)
class Quantile:
    """Hold one quantile to be marked on a histogram.

    Parameters
    ----------
    name
        "median" or "p90".
    label
        Words for the reader.
    cell
        The quantile in the unit of the histogram.
    place, low, high
        Positions of it and its bounds among the ends of the declared bins.
    """

    name: str
    label: str
    cell: Cell
    place: float
    low: float
    high: float


@dataclass(frozen=True)
class Entry:
    """Hold one cell of a table: what is written, and what is written small below it.

    Parameters
    ----------
    text, detail
        The words.
    hidden
        True if a number is held back.
    cell
        The number behind the words, if there is one.
    unit
        UCUM unit in which a file of the table gives it; "%" for a share.
    share
        True if the number is a share of 1, which a file gives in percent.
    """

    text: str
    detail: str = ""
    hidden: bool = False
    cell: Cell | None = None
    unit: str = "1"
    share: bool = False


def enough(cells: Iterable[Cell]) -> bool:
    """Tell whether enough unsuppressed marks are left for a figure.

    Examples
    --------
    >>> enough([Cell(1, 1, 1), Cell(2, 2, 2), SUPPRESSED])
    False
    """
    return sum(cell.shown for cell in cells) >= NEEDED


def comparable(bins: Sequence[Bin], against: Sequence[Bin]) -> tuple[Bin, ...]:
    """Return the bins of all sites that are told as finely as those of one; others tell nothing.

    The mean of a wider bin would be read as the share in each of the bins that it joins.

    Parameters
    ----------
    bins
        Bins of the site.
    against
        Bins of all sites together.

    Examples
    --------
    >>> part = Cell(0.5, 0.5, 0.5)
    >>> [b.cell.shown for b in comparable([Bin(0, 2, part), Bin(2, 3, part), Bin(3, 4, part)],
    ...                                   [Bin(0, 2, part), Bin(2, 4, part)])]
    [True, False]
    """

    def fine(b: Bin) -> bool:
        inside = any(o.cell.shown and o.start <= b.start and b.stop <= o.stop for o in bins)
        return inside or b.stop == b.start + 1

    return tuple(b if fine(b) else replace(b, cell=ABSENT) for b in against)
