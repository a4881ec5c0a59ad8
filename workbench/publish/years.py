"""Years: what is told of each, what is expected of it, and what it is meant to reach."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from workbench.definition.study_file import Target
from workbench.errors import DefinitionError
from workbench.publish.marks import ABSENT, SUPPRESSED, Cell
from workbench.statistics.forecasting import DRAWS, FEWEST, Forecast, forecast, working_days

TOLD = 0.8
"""Level of the interval that is written."""


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
        Median and interval of its forecast, if a month of it is still to come or held out.
    inside, held_out
        How many of its months that were held out lie in their interval, and of how many.
    target
        What it is meant to reach.
    chance
        Share of the futures that reach the target, with what follows from the target's own ends.
    ratio, since
        The target as it is stated: times what that year is told to have had.
    source
        Who set the target.
    """

    year: int
    told: Cell = ABSENT
    expected: Cell = ABSENT
    inside: Cell = ABSENT
    held_out: int = 0
    target: Cell = ABSENT
    chance: Cell = ABSENT
    ratio: float = math.nan
    since: int = 0
    source: str = ""

    @property
    def outcome(self) -> str:
        """How the target ended: "met", "missed", "unsure" within the ends, or "" if open."""
        if not (self.told.shown and self.target.shown):
            return ""
        if self.told.low >= self.target.high:
            return "met"
        return "missed" if self.told.high < self.target.low else "unsure"


@dataclass(frozen=True)
class Futures:
    """Hold the forecasts of a series: what follows it, and its last months as if not known.

    Parameters
    ----------
    ahead
        What may follow; None if too little is told.
    tested
        What might have followed without the last months; None if none are held out.
    """

    ahead: Forecast | None
    tested: Forecast | None = None

    def paths(self, year: int, *, told: bool) -> NDArray[np.float64] | None:
        """Return possible sums of a year; of one that is told, without its held-out months."""
        found = self.tested if told else self.ahead
        if found is None or not _reaches(found, year):
            return None
        try:
            return found.year(year)
        except DefinitionError:  # a month of it is neither told nor forecast
            return None


@lru_cache(maxsize=128)
def forecast_of(values: tuple[float, ...], since: str, ahead: int) -> Forecast | None:
    """Return the futures of a series; None if too little is told. The same for every language.

    Parameters
    ----------
    values
        One a month, NaN where it is not told.
    since
        First month, as "2020-01".
    ahead
        Months to look ahead.
    """
    if sum(not math.isnan(value) for value in values) < FEWEST:
        return None
    days = working_days(since, len(values) + ahead)
    try:
        return forecast(np.array(values), since, ahead, exposure=days)
    except DefinitionError:  # a month of the year that is never told
        return None


def years_of(
    since: int, cells: Sequence[Cell], futures: Futures, targets: Mapping[int, tuple[Target, str]]
) -> tuple[Year, ...]:
    """Return all years of a series, and those that have a target.

    Parameters
    ----------
    since
        First month, counted from the year 0.
    cells
        One a month, as told.
    futures
        Its forecasts.
    targets
        Target and the words for its source, by year.
    """
    last = since + len(cells) - 1
    ahead = 0 if futures.ahead is None else len(futures.ahead.months)
    years = {*range(since // 12, (last + ahead) // 12 + 1), *targets}
    found = []
    for year in sorted(years):
        told = _told(year, since, cells)
        paths = futures.paths(year, told=told.shown)
        expected = ABSENT if paths is None else _expected(paths)
        inside, held_out = coverage(year, since, cells, futures.tested)
        parts = (year, told, expected, inside, held_out)
        if year not in targets:
            found.append(Year(*parts))
            continue
        target, source = targets[year]
        aim = _aim(target, since, cells)
        chance = _chance(paths, aim)
        ratio, base = target.ratio or math.nan, target.since or 0
        found.append(Year(*parts, aim, chance, ratio, base, source))
    return tuple(found)


def coverage(
    year: int, since: int, cells: Sequence[Cell], tested: Forecast | None
) -> tuple[Cell, int]:
    """Return how many held-out months of a year lie in their interval, and how many there are.

    A month is told within ends: it surely lies inside if both do, and may if one does.
    """
    if tested is None:
        return ABSENT, 0
    start = len(tested.past)
    bands = tested.interval([TOLD])
    low, high = bands.low.values[0], bands.high.values[0]
    counted = [0, 0, 0]
    months = 0
    for i, cell in enumerate(cells[start : start + len(low)]):
        if (since + start + i) // 12 != year or not cell.shown:
            continue
        months += 1
        counted[0] += bool(low[i] <= cell.value <= high[i])
        counted[1] += bool(low[i] <= cell.low and cell.high <= high[i])
        counted[2] += bool(cell.low <= high[i] and low[i] <= cell.high)
    value, least, most = counted
    how = "exact" if least == most else "estimated"
    return (Cell(value, least, most, how) if months else ABSENT), months  # type: ignore[arg-type]


def _reaches(found: Forecast, year: int) -> bool:
    """Tell whether a forecast says anything of a year that was not known before it."""
    return any(str(month)[:4] == str(year) for month in found.months)


def _told(year: int, since: int, cells: Sequence[Cell]) -> Cell:
    months = [year * 12 + i - since for i in range(12)]
    there = [cells[i] for i in months if 0 <= i < len(cells)]
    if len(there) == 12 and all(cell.shown for cell in there):
        value, low, high = (sum(getattr(c, e) for c in there) for e in ("value", "low", "high"))
        known = all(c.how == "exact" for c in there)
        return Cell(value, low, high, "exact" if known else "rounded")
    return SUPPRESSED if any(cell.how == "suppressed" for cell in there) else ABSENT


def _expected(paths: NDArray[np.float64]) -> Cell:
    tail = (1 - TOLD) / 2
    low, middle, high = (_rough(end) for end in np.quantile(paths, [tail, 0.5, 1 - tail]))
    return Cell(middle, low, high, "forecast")


def _aim(target: Target, since: int, cells: Sequence[Cell]) -> Cell:
    """Return what is to be reached; of a ratio, with the ends of the year that it is of."""
    if target.value is not None:
        return Cell(target.value, target.value, target.value)
    base = _told(target.since or 0, since, cells)
    if not base.shown or target.ratio is None:
        return ABSENT
    value, low, high = (target.ratio * end for end in (base.value, base.low, base.high))
    return Cell(round(value), math.floor(low), math.ceil(high), "estimated")


def _chance(paths: NDArray[np.float64] | None, target: Cell) -> Cell:
    """Return the share of the futures that reach a target."""
    if paths is None or not target.shown:
        return ABSENT
    ends = (target.value, target.high, target.low)
    reached = (float((paths >= end).mean()) for end in ends)
    # No draw is no impossibility.
    value, low, high = (min(max(share, 0.5 / DRAWS), 1 - 0.5 / DRAWS) for share in reached)
    return Cell(value, low, high, "exact" if low == high else "estimated")


def _rough(number: float) -> float:
    """Return a number of three significant digits: nobody knows more of the future."""
    return float(f"{number:.3g}")
