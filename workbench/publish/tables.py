"""Tables: the cells of pooled results, found by their labels, and what follows from them."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.disclosure.intervals import TOLD
from workbench.exchange.verification import Release
from workbench.pooled.table import QUANTITY, Pooled
from workbench.publish.marks import ABSENT, SUPPRESSED, Bin, Cell, Quantile
from workbench.summaries.dimension import ALL, OTHER
from workbench.summaries.grid import BIN, Grid, whole_numbers
from workbench.summaries.histogram import grid_of


@dataclass(frozen=True)
class Table:
    """Find the cells of one table by their labels; made by `open_pooled` and `open_view`.

    Parameters
    ----------
    places
        Position of every label, by dimension, in the order of the axes.
    quantities
        Position of every quantity on the last axis.
    values
        `value`, `low`, `high`, `how` and `hidden` (how many sites hide a part), by name.
    grid
        Bins of a histogram.
    heterogeneity
        I² by dimension, label and quantity.
    whole
        True if a histogram is of whole numbers: then its bin [a, b) holds a to b - 1.
    """

    places: Mapping[str, Mapping[str, int]]
    quantities: Mapping[str, int]
    values: Mapping[str, NDArray[Any]]
    grid: Grid | None = None
    heterogeneity: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    whole: bool = False
    _cuts: dict[tuple[tuple[str, str], ...], tuple[str, ...]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def labels(self, dimension: str) -> tuple[str, ...]:
        """Return the labels held along a dimension."""
        return tuple(self.places[dimension])

    def cell(self, quantity: str, **labels: str) -> Cell:
        """Return a cell; a dimension that is not named stands at `all`, bins at the whole line.

        Parameters
        ----------
        quantity
            What the figure is of.
        **labels
            Label by dimension.

        Returns
        -------
        Cell
            Not applicable if the table has no such cell.
        """
        root = self.grid.root if self.grid else ALL
        at = {name: root if name == BIN else ALL for name in self.places} | labels
        found = [places.get(at[name]) for name, places in self.places.items()]
        found.append(self.quantities.get(quantity))
        if None in found:
            return ABSENT
        place = tuple(found)
        value, low, high = (float(self.values[n][place]) for n in ("value", "low", "high"))
        how, hidden = str(self.values["how"][place]), int(self.values["hidden"][place])
        if not how or math.isnan(value):
            return Cell(math.nan, low, high, "suppressed") if hidden else ABSENT
        if how == "estimated" and quantity in ("exams", "patients"):
            # Sites that tell it tell 0, and the value is a guess about the others: no figure.
            if low <= hidden:
                return Cell(math.nan, low, high, "suppressed")
            value = min(max(float(round(value)), low), high)
        low, high = (value if math.isnan(end) else end for end in (low, high))
        return Cell(value, low, high, how)  # type: ignore[arg-type]  # one of pooled.HOW

    def total(self, quantity: str, **labels: str) -> Cell:
        """Return a cell as `cell` does; of a histogram the sum of its bins where it is not told.

        Parameters
        ----------
        quantity, **labels
            As for `cell`.

        Returns
        -------
        Cell
            Suppressed if no bin is told either. Exams only add up: nobody has one in two bins.
        """
        whole = self.cell(quantity, **labels)
        if whole.shown or self.grid is None or quantity != "exams":
            return whole
        nodes = self._cover(self.grid, labels)
        parts = [self.cell(quantity, **labels | {BIN: node}) for node in nodes]
        told = [part for part in parts if part.shown]
        if not told:
            return whole
        low, high = (np.nansum([getattr(p, end) for p in parts]) for end in ("low", "high"))
        return Cell(sum(part.value for part in told), float(low), float(high), "estimated")

    def bins(self, **labels: str) -> tuple[Bin, ...]:
        """Return the finest published bins as shares of all exams, without empty ones at the ends.

        Parameters
        ----------
        **labels
            Label by dimension; a dimension that is not named stands at `all`.
        """
        if self.grid is None:
            return ()
        whole = self.total("exams", **labels)
        found = [
            Bin(*self.grid.spans[node], share(self.cell("exams", **{**labels, BIN: node}), whole))
            for node in self._cover(self.grid, labels)
        ]
        full = [i for i, b in enumerate(found) if not b.cell.shown or b.cell.high > 0]
        return tuple(found[min(full) : max(full) + 1]) if full else ()

    def cut(self, **labels: str) -> tuple[str, ...]:
        """Return the finest nodes of the grid of which something is told, from low to high."""
        if self.grid is None:
            return ()
        key = tuple(sorted(labels.items()))
        if key not in self._cuts:
            self._cuts[key] = tuple(self._cover(self.grid, labels))
        return self._cuts[key]

    def place(self, value: float) -> float:
        """Return where a value lies among the ends of the declared bins."""
        if self.grid is None:
            return math.nan
        ends = self.grid.ends
        if math.isinf(value):
            return 0.0 if value < 0 else len(ends) - 1.0
        right = min(max(bisect.bisect_right(ends, value), 1), len(ends) - 1)
        low, high = ends[right - 1], ends[right]
        inside = (value - low) / (high - low) if math.isfinite(high - low) else 0.0
        return right - 1 + inside

    def quantile(self, name: str, label: str, **labels: str) -> Quantile:
        """Return a quantile with its place, and those of its ends, among the ends of the bins.

        Parameters
        ----------
        name
            Which one.
        label
            Words for the reader.
        **labels
            As for `cell`.

        Returns
        -------
        Quantile
            A whole number k fills the bin from k to k + 1, and stands in its middle.
        """
        cell, step = self.cell(name, **labels), int(self.whole)
        low, high = self.place(cell.low), self.place(cell.high + step)
        middle = (self.place(cell.value) + self.place(cell.value + step)) / 2
        return Quantile(name, label, cell, middle, low, high)

    def _cover(self, grid: Grid, labels: Mapping[str, str], node: str = "") -> list[str]:
        """Return the finest nodes of which something is told, from low to high."""
        node = node or grid.root
        halves = grid.children(node)
        if any(self._told(grid, labels, half) for half in halves):
            return [n for half in halves for n in self._cover(grid, labels, half)]
        return [node]

    def _told(self, grid: Grid, labels: Mapping[str, str], node: str) -> bool:
        if self.cell("exams", **{**labels, BIN: node}).how != "not_applicable":
            return True
        return any(self._told(grid, labels, half) for half in grid.children(node))


def open_pooled(pooled: Pooled, name: str, edges: tuple[float, ...] = ()) -> Table:
    """Return a pooled table, of all sites or of one.

    Parameters
    ----------
    pooled
        What `workbench.pooling.pool` returned.
    name
        Name of the table.
    edges
        Declared edges of a histogram.
    """
    data = pooled.tables[name].data
    names = [d.name for d in pooled.tables[name].dimensions]
    held = {n: data[n].transpose(*names, QUANTITY).values for n in ("value", "low", "high", "how")}
    held["hidden"] = data["n_suppressed"].transpose(*names, QUANTITY).values
    apart = [h for h in pooled.heterogeneity if h.table == name]
    return Table(
        {n: _positions(data[n].values) for n in names},
        _positions(data[QUANTITY].values),
        held,
        Grid(edges) if edges else None,
        {(h.dimension, h.label, h.quantity): h.i2 for h in apart},
        whole_numbers(pooled.tables[name].unit, edges),
    )


def open_view(release: Release, name: str) -> Table:
    """Return a table as one site released it: quicker than pooling it alone, without quantiles.

    Parameters
    ----------
    release
        A verified release.
    name
        Name of the table.
    """
    view = release.tables[name]
    low, high, _ = release.ends[name]  # worked out when it was verified
    status = np.stack([view.statuses[n].values for n in view.fields], axis=-1).astype(str)
    told = np.isin(status, TOLD)
    values, least, most = (
        np.stack([data[n].values.astype(float) for n in view.fields], axis=-1)
        for data in (view.data, low, high)
    )
    held = {
        "value": np.where(told, np.clip(values, least, most), math.nan),
        "low": least,
        "high": most,
        "how": np.where(status == "ok", "exact", np.where(told, "rounded", "")),
        # What is held back for another cell's sake says so by its patients alone.
        "hidden": np.broadcast_to(
            (view.statuses["patients"].values == "suppressed")[..., None], status.shape
        ),
    }
    places = {d.name: _positions(view.labels(d.name)) for d in view.dimensions}
    tree = grid_of(view) if BIN in places else None
    whole = tree is not None and whole_numbers(view.attributes["unit"], tree.edges)
    return Table(places, _positions(view.fields), held, tree, whole=whole)


def _positions(labels: Iterable[str]) -> dict[str, int]:
    return {str(label): i for i, label in enumerate(labels)}


def share(part: Cell, whole: Cell) -> Cell:
    """Return a part of a whole as a share, with the interval that holds the exact one.

    Examples
    --------
    >>> s = share(Cell(50, 48, 52, "rounded"), Cell(100, 98, 102, "rounded"))
    >>> s.value, round(s.low, 3), round(s.high, 3)
    (0.5, 0.471, 0.531)
    """
    if part.how == "suppressed":
        return SUPPRESSED
    if not part.shown or not whole.shown or whole.low <= 0:
        return ABSENT
    low, high = part.low / whole.high, min(1.0, part.high / whole.low)
    return Cell(min(high, part.value / whole.value), low, high, part.how)


def herfindahl(counts: Mapping[str, Cell]) -> Cell:
    """Return the sum of squared shares, with an interval that holds the exact one.

    Shares are of the sum of all counts given, so leave out what is not stated. The label `other`
    may stand for one or for many: it counts as one in the upper end, and as none in the lower end
    and in the value. A suppressed count is taken as nothing in the value, and bounded in the ends.

    Parameters
    ----------
    counts
        Count by label.

    Returns
    -------
    Cell
        Suppressed if no count is told.

    Examples
    --------
    >>> herfindahl({"a": Cell(50, 50, 50), "b": Cell(50, 50, 50)})
    Cell(value=0.5, low=0.5, high=0.5, how='estimated')
    """
    held = {c: cell for c, cell in counts.items() if cell.how != "not_applicable"}
    told = sum(cell.shown for cell in held.values())
    if not told or not sum(cell.value for cell in held.values() if cell.shown):
        return SUPPRESSED if len(held) > told else ABSENT
    value = np.array([cell.value if cell.shown else 0.0 for cell in held.values()])
    low = np.nan_to_num([cell.low for cell in held.values()], nan=0.0)
    high = np.array([cell.high for cell in held.values()])
    high = np.where(np.isnan(high), math.inf, high)
    many = np.array([code != OTHER for code in held])
    rest_low, rest_high = low.sum() - low, [np.delete(high, i).sum() for i in range(len(high))]
    with np.errstate(invalid="ignore", divide="ignore"):
        least = np.nan_to_num(low / (low + rest_high))
        most = np.nan_to_num(high / (high + rest_low), nan=1.0)
    return Cell(
        float(((value / value.sum()) ** 2 * many).sum()),
        float((least**2 * many).sum()),
        min(1.0, float((most**2).sum())),
        "estimated",
    )
