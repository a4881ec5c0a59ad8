"""Histogram: exams and patients at every node of a fixed tree over declared bins; quantiles."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import xarray as xr

from workbench.errors import DefinitionError, show, suggest
from workbench.summaries.counts import EXAMS, PATIENTS
from workbench.summaries.dimension import Dimension, Zeros
from workbench.summaries.distinct import Integers, code_rows, count, margin_targets, with_values
from workbench.summaries.field import Kind
from workbench.summaries.grid import BIN, Grid, whole_numbers
from workbench.summaries.summary import Summary, labelled

Method = Literal["linear", "hazen", "weibull", "median_unbiased"]
_PLOTTING: dict[str, float] = {
    "linear": 1.0,
    "hazen": 0.5,
    "weibull": 0.0,
    "median_unbiased": 1 / 3,
}


def _validate(summary: Summary) -> None:
    edges = summary.attributes["edges"]
    if not all(type(e) is float for e in edges):
        raise DefinitionError(
            "Edges must be floats", where="attribute edges", todo="Write 5.0, not 5"
        )
    tree, unit = Grid(tuple(edges)), summary.attributes["unit"]
    expected = [_bin(tree, unit, zeros) for zeros in get_args(Zeros)]
    if not summary.dimensions or summary.dimensions[-1] not in expected:
        raise DefinitionError(
            "The last dimension is not the grid of the edges",
            where=f"dimension {BIN}",
            todo="Make histograms with summarise",
        )
    if BIN in summary.margins:
        raise DefinitionError(
            "The grid has a margin", where=f"dimension {BIN}", todo="Its root is one"
        )
    if summary.exact:
        _require_nested(summary)


def _require_nested(summary: Summary) -> None:
    tree = grid_of(summary)
    parents = [node for node in tree.nodes if tree.children(node)]
    lower, upper = zip(*(tree.children(node) for node in parents), strict=True)
    whole, a, b = (summary.data.sel({BIN: list(x)}).drop_vars(BIN) for x in (parents, lower, upper))
    least = xr.Dataset({"exams": a.exams + b.exams, "patients": np.maximum(a.patients, b.patients)})
    if (whole < least).to_array().any() or (whole > a + b).to_array().any():
        raise DefinitionError(
            "A node of the grid does not fit its halves",
            where="summary histogram",
            todo="Count again with summarise",
        )


HISTOGRAM = Kind(
    "histogram",
    fields=(EXAMS, PATIENTS),
    released_fields=(EXAMS, PATIENTS),
    attributes={"unit": str, "edges": list},
    validate=_validate,
)


def _bin(tree: Grid, unit: str, zeros: Zeros) -> Dimension:
    return Dimension(BIN, tree.nodes, "none", zeros, unit, "intervals")


def grid_of(summary: Summary) -> Grid:
    """Return the grid of a histogram.

    Raises
    ------
    DefinitionError
        If the Summary is of another kind.

    Examples
    --------
    >>> s = summarise([], {}, exam=[1], patient=[7], values=[1], edges=[10], unit="1")
    >>> grid_of(s).leaves
    ('[-inf,10)', '[10,inf)')
    """
    if summary.kind != "histogram":
        raise DefinitionError(f"{summary!r} is no histogram", todo="Give a histogram")
    return Grid(tuple(summary.attributes["edges"]))


def summarise(
    dimensions: Sequence[Dimension],
    columns: Mapping[str, npt.ArrayLike],
    exam: npt.ArrayLike,
    patient: npt.ArrayLike,
    values: npt.ArrayLike,
    *,
    edges: Sequence[float],
    unit: str,
    zeros: Zeros = "protected",
    population: str = "exams",
    margins: bool = True,
) -> Summary:
    """Count exams and distinct patients at every node of the grid over `edges`.

    Parameters
    ----------
    dimensions, columns, exam, patient, population, margins
        As for `workbench.summaries.counts.summarise`.
    values : (n,) float
        The value of each row's exam; NaN if it has none, which is then not counted.
    edges : (k,) float
        Declared edges in `unit`, finite and increasing. Values outside are counted in two open
        bins.
    unit
        UCUM unit of the values. With unit "1" and whole edges they are whole numbers.
    zeros
        "public" if an empty interval may be published as empty.

    Raises
    ------
    DefinitionError
        If the edges do not increase, a value is infinite or not whole where it has to be, or an
        exam has two values.

    Examples
    --------
    >>> s = summarise([], {}, exam=[1, 2, 3], patient=[7, 7, 8], values=[1, 12, 15],
    ...               edges=[0, 10], unit="1")
    >>> s.labels("bin")
    ('[-inf,inf)', '[-inf,0)', '[0,inf)', '[0,10)', '[10,inf)')
    >>> s.data.exams.values, s.data.patients.values
    (array([3, 0, 3, 1, 2]), array([2, 0, 2, 1, 2]))
    """
    tree = Grid(tuple(edges))
    if any(d.name == BIN for d in dimensions):
        raise DefinitionError(f"A dimension cannot be named {BIN!r}", todo="Rename the dimension")
    rows, numbers = with_values(code_rows(dimensions, columns, exam, patient), values)
    if whole_numbers(unit, tree.edges) and (numbers % 1).any():
        raise DefinitionError(
            "A value is no whole number",
            where='unit "1" with whole edges',
            todo="Declare the values' unit, or edges with a fraction, if they are not counted",
        )
    leaf = np.searchsorted(np.array(tree.edges), numbers, side="right")
    cell = rows.cell * (len(tree.edges) + 1) + leaf
    every = (*dimensions, _bin(tree, unit, zeros))
    size, margin = margin_targets(dimensions, margins=margins)
    leaves, nodes = len(tree.edges) + 1, len(tree.nodes)
    targets = [(at[:, None] * leaves + np.arange(leaves)).ravel() for at in margin]
    levels = [(np.arange(size)[:, None] * nodes + at).ravel() for at in _tree_levels(tree)]
    arrays = {
        "exams": count(rows.exam, cell, targets, size * nodes, levels),
        "patients": count(rows.patient, cell, targets, size * nodes, levels),
    }
    return Summary(
        "histogram",
        labelled(every, arrays, margins=[d.name for d in dimensions] if margins else []),
        every,
        {"population": population, "unit": unit, "edges": list(tree.edges)},
    )


def _tree_levels(tree: Grid) -> list[Integers]:
    """Return the node that holds each base bin, from the whole line down to the base bins."""
    depth: dict[str, int] = {tree.root: 0}
    for node in tree.nodes:
        depth.update(dict.fromkeys(tree.children(node), depth[node] + 1))
    levels = np.zeros((max(depth.values()) + 1, len(tree.edges) + 1), np.int64)
    for place, (node, (start, stop)) in enumerate(tree.spans.items()):
        levels[depth[node] :, start:stop] = place  # a base bin stays one further down
    return list(levels)


class Quantile(NamedTuple):
    """An estimated quantile, and two ends that hold the exact one."""

    estimate: xr.DataArray
    low: xr.DataArray
    high: xr.DataArray


def quantile(summary: Summary, q: float, method: Method = "linear") -> Quantile:
    """Return a quantile of every cell with a bound that holds the exact one.

    The exact percentile lies between two neighbouring ordered values; the counts say in which
    base bins these are, and the ends of those bins are the bound. An end in an open bin is
    infinite, and the estimate then NaN. A cell without exams is NaN. Of whole numbers a bin [a, b)
    holds a to b - 1, so that a bin that is one wide gives the quantile itself.

    Parameters
    ----------
    summary
        An exact histogram.
    q
        Between 0 and 1.
    method
        Percentile method as `numpy.percentile` names it: "linear" (R-7), "hazen" (R-5),
        "weibull" (R-6) or "median_unbiased" (R-8); Hyndman & Fan (1996).

    Examples
    --------
    >>> s = summarise([], {}, exam=range(10), patient=range(10), values=range(10),
    ...               edges=[0, 2, 4, 6, 8, 10], unit="1")
    >>> [float(x) for x in quantile(s, 0.5)]  # of 4 and 5, for these are whole numbers
    [4.5, 4.0, 5.0]
    """
    if not summary.exact:
        raise DefinitionError(
            "A released view has no exact quantile",
            where=repr(summary),
            todo="Use quantile_bounds with the bounds of its counts",
        )
    tree = grid_of(summary)
    counts = summary.data["exams"].sel({BIN: list(tree.leaves)})
    ends, whole = np.array(tree.ends), whole_numbers(summary.attributes["unit"], tree.edges)
    low, high = quantile_bounds(ends, counts, counts, q, method)
    high = high - 1 if whole else high
    estimate = xr.apply_ufunc(
        lambda c: _each(c, lambda x: _estimate(ends, x, q, method, whole=whole)),
        counts,
        input_core_dims=[[BIN]],
    )
    return Quantile(estimate, low, high)


def quantile_bounds(
    ends: npt.NDArray[np.float64],
    low: xr.DataArray,
    high: xr.DataArray,
    q: float,
    method: Method = "linear",
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return two ends that hold the quantile, given bounds of the count of each bin.

    Parameters
    ----------
    ends : (m + 1,) float
        Ends of the m bins, from low to high; may be infinite.
    low, high : (…, m) int
        Bounds of the count of each bin, along `bin`.
    q, method
        As for `quantile`.

    Notes
    -----
    One exam more below a bin, or one less above, never moves a quantile up (the rank of the
    quantile moves by at most one for one exam). The lowest quantile has the most exams below and
    the fewest above, and the highest the other way round.

    Examples
    --------
    >>> low, high = (xr.DataArray(x, dims="bin") for x in ([8, 8], [12, 12]))
    >>> [x.item() for x in quantile_bounds(np.array([0.0, 1, 2]), low, high, 0.5)]
    [0.0, 2.0]
    """
    rank = _ranker(q, method)

    def first(fewest: npt.NDArray[np.int64], most: npt.NDArray[np.int64]) -> float:
        below, above = np.cumsum(most), fewest.sum() - np.cumsum(fewest)
        for b in range(len(most)):
            n = int(below[b] + above[b])
            if n and rank(n)[0] < below[b]:
                return float(ends[b])
        return math.nan

    def last(fewest: npt.NDArray[np.int64], most: npt.NDArray[np.int64]) -> float:
        below = np.cumsum(fewest) - fewest
        above = most.sum() - np.cumsum(most) + most
        for b in reversed(range(len(most))):
            n = int(below[b] + above[b])
            if most[b] and rank(n)[1] >= below[b]:
                return float(ends[b + 1])
        return math.nan

    def apply(find: Callable[..., float]) -> xr.DataArray:
        def cell(x: npt.NDArray[np.float64]) -> float:
            return math.nan if np.isnan(x).any() else find(*x.astype(np.int64))

        found: xr.DataArray = xr.apply_ufunc(
            lambda a, b: _each(np.stack([a, b], axis=-2), cell, core=2),
            low,
            high,
            input_core_dims=[[BIN], [BIN]],
        )
        return found

    return apply(first), apply(last)


def _ranker(q: float, method: str) -> Callable[[int], tuple[int, int, float]]:
    if not 0 <= q <= 1:
        raise DefinitionError(f"There is no quantile {show(q)}", todo="Give a number from 0 to 1")
    if method not in _PLOTTING:
        raise DefinitionError(
            f"Percentile method {show(method)!r} is not known", todo=suggest(method, _PLOTTING)
        )
    a = _PLOTTING[method]

    def rank(n: int) -> tuple[int, int, float]:
        # The same floating-point operations as numpy's, so that the ranks are the same too.
        virtual = (n - 1) * q if method == "linear" else n * q + (a + q * (1 - a - a)) - 1
        virtual = min(max(virtual, 0.0), n - 1.0)
        return math.floor(virtual), math.ceil(virtual), virtual - math.floor(virtual)

    return rank


def _estimate(
    ends: npt.NDArray[np.float64],
    counts: npt.NDArray[np.int64],
    q: float,
    method: str,
    *,
    whole: bool,
) -> float:
    """Place the exams of a bin evenly in it, and interpolate as the method does."""
    total = int(counts.sum())
    if not total:
        return math.nan
    start, stop, weight = _ranker(q, method)(total)
    after = np.cumsum(counts)

    def value(at: int) -> float:
        b = int(np.searchsorted(after, at, side="right"))
        if not math.isfinite(ends[b + 1] - ends[b]):
            return math.nan
        share = (at - int(after[b] - counts[b]) + 0.5) / int(counts[b])
        place = float(ends[b] + (ends[b + 1] - ends[b]) * share)
        return math.floor(place) if whole else place

    return value(start) + (value(stop) - value(start)) * weight


def _each(
    cells: npt.NDArray[Any], find: Callable[[npt.NDArray[Any]], float], core: int = 1
) -> npt.NDArray[np.float64]:
    """Apply `find` to the last `core` axes of every cell."""
    outer = cells.shape[: cells.ndim - core]
    flat = cells.reshape(-1, *cells.shape[cells.ndim - core :])
    return np.array([find(cell) for cell in flat], np.float64).reshape(outer)
