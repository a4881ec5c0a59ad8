"""Grid: a fixed tree of nested bins, so that every institution merges bins alike."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from workbench.errors import DefinitionError, PoolingError, show
from workbench.summaries.dimension import interval_label

BIN = "bin"
"""Name of the dimension whose labels are the nodes of a grid."""


@dataclass(frozen=True)
class Grid:
    """A balanced binary tree over base bins, the same for everyone who declares the same edges.

    The base bins are [-inf, e0), [e0, e1) … [ek, inf). A node is a run of base bins, named by its
    interval; each node of more than one base bin has two halves (the lower is the smaller one if
    they differ). The root is the whole line.

    Parameters
    ----------
    edges
        Finite, strictly increasing.

    Raises
    ------
    DefinitionError
        If the edges are not.

    Examples
    --------
    >>> grid = Grid((0, 10, 20))
    >>> grid.leaves
    ('[-inf,0)', '[0,10)', '[10,20)', '[20,inf)')
    >>> grid.children("[-inf,inf)")
    ('[-inf,10)', '[10,inf)')
    """

    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        edges = tuple(float(e) + 0.0 for e in self.edges)  # + 0.0 makes -0.0 plain
        object.__setattr__(self, "edges", edges)
        rising = all(a < b for a, b in itertools.pairwise(edges))
        if not edges or not all(map(math.isfinite, edges)) or not rising:
            raise DefinitionError(
                "Edges must be finite and increasing, at least one",
                where=f"edges {show(list(edges))}",
                todo="Correct the edges in the study",
            )

    @property
    def ends(self) -> tuple[float, ...]:
        """Edges with the two infinities: base bin i lies between ends i and i + 1."""
        return (-math.inf, *self.edges, math.inf)

    @cached_property
    def spans(self) -> dict[str, tuple[int, int]]:
        """First base bin, and the one after the last, of every node; parents before children."""
        spans: dict[str, tuple[int, int]] = {}
        waiting = [(0, len(self.edges) + 1)]
        while waiting:
            start, stop = waiting.pop()
            spans[interval_label(self.ends[start], self.ends[stop])] = (start, stop)
            if stop - start > 1:
                middle = (start + stop) // 2
                waiting += [(middle, stop), (start, middle)]
        return spans

    @property
    def nodes(self) -> tuple[str, ...]:
        """Labels of all nodes; a parent stands before its children, the lower child first."""
        return tuple(self.spans)

    @property
    def root(self) -> str:
        """Label of the whole."""
        return self.nodes[0]

    @property
    def leaves(self) -> tuple[str, ...]:
        """Labels of the base bins, from low to high."""
        return tuple(n for n, (start, stop) in self.spans.items() if stop - start == 1)

    def children(self, label: str) -> tuple[str, ...]:
        """Return the two halves of a node; nothing for a base bin.

        Raises
        ------
        DefinitionError
            If `label` is no node.
        """
        start, stop = self._span(label)
        if stop - start == 1:
            return ()
        middle = self.ends[(start + stop) // 2]
        return interval_label(self.ends[start], middle), interval_label(middle, self.ends[stop])

    def bounds(self, label: str) -> tuple[float, float]:
        """Return the two ends of a node."""
        start, stop = self._span(label)
        return self.ends[start], self.ends[stop]

    def common_cut(self, cuts: Iterable[Collection[str]]) -> tuple[str, ...]:
        """Return the finest cut that each of `cuts` can be merged to, from low to high.

        A cut is a set of nodes that covers the line once. Two nodes of a tree are apart or one
        holds the other: the common cut is every node that no node of any cut holds.

        Raises
        ------
        PoolingError
            If one of `cuts` is no cut of this grid.

        Examples
        --------
        >>> Grid((0, 10, 20)).common_cut([
        ...     {"[-inf,0)", "[0,10)", "[10,inf)"}, {"[-inf,10)", "[10,20)", "[20,inf)"}])
        ('[-inf,10)', '[10,inf)')
        """
        spans = set()
        for cut in cuts:
            ordered = self.sort(cut)
            joined = [self.spans[label] for label in ordered]
            if (
                not joined
                or (joined[0][0], joined[-1][1]) != (0, len(self.edges) + 1)
                or any(a[1] != b[0] for a, b in itertools.pairwise(joined))
            ):
                raise PoolingError(
                    "A set of intervals does not cover the line once",
                    where=f"cut {show(list(ordered))}",
                    todo="Publish one cut of the declared grid",
                )
            spans.update(joined)
        kept: list[tuple[int, int]] = []
        for span in sorted(spans, key=lambda s: (s[0], -s[1])):
            if not kept or span[0] >= kept[-1][1]:
                kept.append(span)
        return tuple(interval_label(self.ends[a], self.ends[b]) for a, b in kept)

    def sort(self, labels: Iterable[str]) -> tuple[str, ...]:
        """Return nodes from low to high, a parent before its children."""
        spans = {label: self._span(label) for label in labels}
        return tuple(sorted(spans, key=lambda x: (spans[x][0], -spans[x][1])))

    def _span(self, label: str) -> tuple[int, int]:
        if label not in self.spans:
            raise DefinitionError(
                f"{show(label)!r} is no interval of the grid",
                where=f"edges {show(list(self.edges))}",
                todo="Use the intervals that the edges make",
            )
        return self.spans[label]


def whole_numbers(unit: str, edges: Sequence[float]) -> bool:
    """Say whether a histogram is of whole numbers: of unit "1", with whole edges.

    A bin [a, b) of whole numbers holds a to b - 1. `summarise` refuses any other value, so that
    whoever only sees the bins may rely on it.

    Parameters
    ----------
    unit
        UCUM unit of the values; "1" is that of a count.
    edges
        Edges of the base bins.

    Examples
    --------
    >>> whole_numbers("1", (1, 2, 5)), whole_numbers("1", (0, 0.5, 1)), whole_numbers("MB", (1, 2))
    (True, False, False)
    """
    return unit == "1" and all(float(edge).is_integer() for edge in edges)


def merge_bounds(
    tree: Grid, low: xr.DataArray, high: xr.DataArray, cut: Sequence[str], *, distinct: bool
) -> tuple[xr.DataArray, xr.DataArray]:
    """Merge bounds of published nodes upwards to the nodes of `cut`.

    Parameters
    ----------
    tree
        The grid.
    low, high
        Bounds of a count along `bin`, all nodes; NaN where nothing is published.
    cut
        Nodes to merge to; a node that is not published gets the bounds of its two halves.
    distinct
        True for patients, who may be in both halves: the lower bound of a union is then the
        larger half, not the sum. False for exams.

    Returns
    -------
    low, high
        Bounds along `bin` at `cut`, from low to high; NaN where the published nodes do not cover.

    Examples
    --------
    >>> tree = Grid((0,))
    >>> count = xr.DataArray([np.nan, 20.0, 30.0], coords={"bin": list(tree.nodes)}, dims="bin")
    >>> [b.item() for b in merge_bounds(tree, count, count, [tree.root], distinct=True)]
    [30.0, 50.0]
    """
    # Plain arrays, one a node: labelled arithmetic would cost a hundred times as much.
    lower, upper = (
        dict(zip(tree.nodes, np.moveaxis(end.values, end.get_axis_num(BIN), 0), strict=True))
        for end in (b.sel({BIN: list(tree.nodes)}) for b in (low, high))
    )
    for node in reversed(tree.nodes):
        if halves := tree.children(node):
            a, b = halves
            together = np.maximum(lower[a], lower[b]) if distinct else lower[a] + lower[b]
            lower[node] = np.where(np.isnan(lower[node]), together, lower[node])
            upper[node] = np.where(np.isnan(upper[node]), upper[a] + upper[b], upper[node])
    nodes = tree.sort(cut)
    axis = low.get_axis_num(BIN)
    coords = {n: c for n, c in low.coords.items() if BIN not in c.dims} | {BIN: list(nodes)}
    ends = (np.stack([of[n] for n in nodes], axis=axis) for of in (lower, upper))
    merged = [xr.DataArray(end, coords=coords, dims=low.dims) for end in ends]
    return merged[0], merged[1]
