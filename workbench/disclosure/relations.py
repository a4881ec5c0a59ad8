"""Relations: what the cells of several tables have to do with each other.

Every set of labels that a table speaks of is one cell; tables that count the same exams share
their cells. A cell and the cells that divide it are bound by three facts: exams add up where an
exam has one label, patients add up where a patient has one label, and otherwise the whole is
neither smaller than its largest part nor larger than the sum of its parts.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from workbench.summaries.dimension import ALL, MISSING, OTHER, Dimension
from workbench.summaries.grid import BIN
from workbench.summaries.histogram import grid_of
from workbench.summaries.summary import Summary

Cell = tuple[tuple[str, str], ...]
"""Pairs of dimension and label, sorted; the margin `all` is left out."""
Indices = npt.NDArray[np.int64]
_INTERVAL = re.compile(r"\[(-?[0-9.e+-]+|-inf),(-?[0-9.e+-]+|inf)\)")


@dataclass(frozen=True)
class Division:
    """A cell, the cells that divide it, and whether their counts add up to it."""

    whole: int
    parts: tuple[int, ...]
    exams_add: bool
    patients_add: bool


@dataclass
class Relations:
    """Hold the cells of several tables, numbered, and how they divide each other.

    Attributes
    ----------
    cells
        Number of each cell, by the class of its table and its labels.
    places
        For each table the number of the cell at each position; -1 where none is needed.
    divisions
        How cells divide each other.
    subsets
        Pairs of a cell and one that counts the same and more.
    """

    cells: dict[tuple[str, Cell], int] = field(default_factory=dict)
    places: dict[str, Indices] = field(default_factory=dict)
    divisions: dict[Division, None] = field(default_factory=dict)
    subsets: dict[tuple[int, int], None] = field(default_factory=dict)

    def number(self, key: tuple[str, Cell]) -> int:
        """Return the number of a cell, a new one if it has none."""
        return self.cells.setdefault(key, len(self.cells))

    @cached_property
    def names(self) -> list[Cell]:
        """The labels of each cell, by number."""
        return [cell for _, cell in self.cells]

    @cached_property
    def nested(self) -> tuple[Indices, Indices]:
        """Pairs of a part and its whole, by number."""
        pairs = [*self.subsets, *((part, d.whole) for d in self.divisions for part in d.parts)]
        part, whole = np.array(pairs, np.int64).reshape(-1, 2).T
        return part, whole

    @cached_property
    def matrices(self) -> tuple[sparse.csr_array, sparse.csr_array]:
        """The divisions as rows over (patients, exams) of all cells.

        The first matrix has the rows that are 0, the second those that are 0 or less.
        """
        n = len(self.cells)
        equal, most = _Rows(2 * n), _Rows(2 * n)
        for d in self.divisions:
            for shift, adds in ((0, d.patients_add), (n, d.exams_add)):
                whole, parts = shift + d.whole, [shift + p for p in d.parts]
                if adds:
                    equal.add([whole, *parts], [1, *(-1 for _ in parts)])
                    continue
                most.add([whole, *parts], [1, *(-1 for _ in parts)])
                for part in parts:
                    most.add([part, whole], [1, -1])
        for part, whole in self.subsets:
            most.add([part, whole], [1, -1])
            most.add([n + part, n + whole], [1, -1])
        for i in range(n):
            most.add([i, n + i], [1, -1])  # fewer patients than exams
        return equal.matrix(), most.matrix()


class _Rows:
    def __init__(self, width: int) -> None:
        self.width = width
        self.row: list[int] = []
        self.column: list[int] = []
        self.factor: list[int] = []
        self.height = 0

    def add(self, columns: list[int], factors: list[int]) -> None:
        self.row += [self.height] * len(columns)
        self.column += columns
        self.factor += factors
        self.height += 1

    def matrix(self) -> sparse.csr_array:
        entries = (np.array(self.factor, float), (self.row, self.column))
        return sparse.csr_array(entries, shape=(self.height, self.width))


def relate(
    tables: Mapping[str, Summary],
    classes: Mapping[str, str],
    subsets: Iterable[tuple[str, str]] = (),
) -> Relations:
    """Return the cells of all tables and how they divide each other.

    Labels of one dimension that differ between tables are related where that is certain:
    intervals that tile an interval, months that make a year, and `other`, which is whatever a
    finer codelist names and its own `other`.

    Parameters
    ----------
    tables
        Exact Summaries or released views, by name.
    classes
        Class of each table: tables of one class count the same exams.
    subsets
        Pairs of tables where the first counts some of the exams of the second.

    Examples
    --------
    >>> from workbench.summaries.counts import summarise
    >>> sex = Dimension("sex", ("F", "M"), one_per="patient")
    >>> found = relate({"a": summarise([sex], {"sex": [0, 1]}, [1, 2], [1, 2])}, {"a": "exams"})
    >>> found.places["a"], list(found.divisions)
    (array([0, 1, 2]), [Division(whole=0, parts=(1, 2), exams_add=True, patients_add=True)])
    """
    relations = Relations()
    spoken: dict[tuple[str, str], dict[tuple[str, ...], Dimension]] = defaultdict(dict)
    for name, table in tables.items():
        _add_table(relations, name, table, classes[name])
        for dimension in table.dimensions:
            labels = _spoken_nodes(table) if _is_tree(table, dimension) else dimension.labels
            spoken[classes[name], _axis(table, dimension)][tuple(labels)] = dimension
    for (group, axis), sets in spoken.items():
        for (coarse, a), (fine, b) in itertools.permutations(sets.items(), 2):
            for label, parts in _tilings(a, coarse, b, fine):
                _add_tiling(relations, (group, axis, label), parts, a)
    for inner, outer in dict.fromkeys((classes[a], classes[b]) for a, b in subsets):
        for (group, cell), part in relations.cells.items():
            whole = relations.cells.get((outer, cell)) if group == inner else None
            if whole is not None:
                relations.subsets[part, whole] = None
    return relations


def name_cell(table: Summary, position: Sequence[int]) -> str:
    """Return a cell as a reader writes it, e.g. "modality=CT, sex=all"."""
    names = [d.name for d in table.dimensions]
    return ", ".join(f"{n}={table.labels(n)[i]}" for n, i in zip(names, position, strict=True))


def _is_tree(table: Summary, dimension: Dimension) -> bool:
    return table.kind == "histogram" and dimension.name == BIN


def _axis(table: Summary, dimension: Dimension) -> str:
    # The bins of two quantities have one name; their unit tells them apart.
    return f"{BIN} in {dimension.unit}" if _is_tree(table, dimension) else dimension.name


def _token(dimension: Dimension, label: str) -> str:
    # What `other` means depends on the labels beside it.
    return f"{OTHER} than {'|'.join(sorted(dimension.labels))}" if label == OTHER else label


def _spoken_nodes(table: Summary) -> list[str]:
    """Nodes that are told or suppressed somewhere, and the nodes above them."""
    tree = grid_of(table)
    words = table.statuses["patients"].values.reshape(-1, len(tree.nodes))
    spoken = dict(zip(tree.nodes, (words != "not_applicable").any(axis=0).tolist(), strict=True))
    for node in reversed(tree.nodes):
        spoken[node] |= any(spoken[half] for half in tree.children(node))
    spoken[tree.root] = True
    return [node for node in tree.nodes if spoken[node]]


def _add_table(relations: Relations, name: str, table: Summary, group: str) -> None:
    pairs: list[list[tuple[str, str] | None]] = []
    for d in table.dimensions:
        axis = _axis(table, d)
        if _is_tree(table, d):
            nodes = _spoken_nodes(table)[1:]  # the root is the cell itself
            pairs.append([None, *((axis, node) for node in nodes)])
        else:
            pairs.append([None, *((axis, _token(d, label)) for label in d.labels)])
    shape = [len(p) for p in pairs]
    flat = [
        relations.number((group, tuple(sorted(pair for pair in cell if pair))))
        for cell in itertools.product(*pairs)
    ]
    numbers = np.array(flat, np.int64).reshape(shape)
    held = numbers
    for i, d in enumerate(table.dimensions):
        if _is_tree(table, d):
            nodes = _spoken_nodes(table)
            at = {node: k for k, node in enumerate(nodes)}
            held = np.stack(
                [
                    held.take(at[n], axis=i) if n in at else np.full(_less(held, i), -1)
                    for n in d.labels
                ],
                axis=i,
            )
            tree = grid_of(table)
            for node in nodes:
                halves = tree.children(node)
                if halves and all(half in at for half in halves):
                    parts = [at[half] for half in halves]
                    _add_divisions(
                        relations, _lines(numbers, i, at[node], parts), d, exams_add=True
                    )
        else:
            if d.name not in table.margins:
                held = held.take(range(1, held.shape[i]), axis=i)
            parts = list(range(1, len(d.labels) + 1))
            lines = _lines(numbers, i, 0, parts)
            _add_divisions(relations, lines, d, exams_add=d.one_per != "none")
    relations.places[name] = held


def _less(array: Indices, axis: int) -> tuple[int, ...]:
    return tuple(n for i, n in enumerate(array.shape) if i != axis)


def _lines(numbers: Indices, axis: int, whole: int, parts: list[int]) -> Indices:
    """Return rows of a cell and its parts, one row for each place along the other axes."""
    chosen = numbers.take([whole, *parts], axis=axis)
    return np.moveaxis(chosen, axis, -1).reshape(-1, len(parts) + 1)


def _add_divisions(
    relations: Relations, lines: Indices, dimension: Dimension, *, exams_add: bool
) -> None:
    patients_add = dimension.one_per == "patient"
    for whole, *parts in lines.tolist():
        relations.divisions[Division(whole, tuple(parts), exams_add, patients_add)] = None


def _add_tiling(
    relations: Relations, tiled: tuple[str, str, str], parts: list[str], d: Dimension
) -> None:
    group, axis, label = tiled
    exams_add = axis.startswith(f"{BIN} in ") or d.one_per != "none"
    for (of, cell), number in list(relations.cells.items()):
        if of != group or (axis, label) not in cell:
            continue
        rest = [pair for pair in cell if pair != (axis, label)]
        keys = [(group, tuple(sorted([*rest, (axis, part)]))) for part in parts]
        if all(key in relations.cells for key in keys):
            found = tuple(relations.cells[key] for key in keys)
            division = Division(number, found, exams_add, d.one_per == "patient")
            relations.divisions[division] = None


def _tilings(
    a: Dimension, coarse: Sequence[str], b: Dimension, fine: Sequence[str]
) -> list[tuple[str, list[str]]]:
    """Labels of `coarse`, each with the labels of `fine` that it is certain to consist of."""
    if a.labels_from == b.labels_from == "codelist":
        named, finer = set(coarse) - {OTHER}, set(fine) - {OTHER}
        if OTHER in coarse and OTHER in fine and named < finer:
            parts = [label for label in fine if label in finer - named]
            return [(_token(a, OTHER), [*parts, _token(b, OTHER)])]
        return []
    special = {ALL, OTHER, MISSING}
    found = []
    for label in (x for x in coarse if x not in fine and x not in special):
        if a.labels_from == "calendar":
            parts = [x for x in fine if x.startswith(f"{label}-")]
            if len(parts) == 12:
                found.append((label, parts))
        elif tile := _tile(label, [x for x in fine if x not in special]):
            found.append((label, tile))
    return found


def _tile(label: str, fine: Sequence[str]) -> list[str]:
    spans = {x: span for x in fine if (span := _span(x))}
    whole = _span(label)
    if whole is None:
        return []
    inside = sorted(
        (x for x, (low, high) in spans.items() if whole[0] <= low and high <= whole[1]),
        key=lambda x: (spans[x][0], spans[x][1]),
    )
    # The shortest interval from each end on: of nested nodes the finest.
    tile, at = [], whole[0]
    while at < whole[1]:
        following = next((x for x in inside if spans[x][0] == at), None)
        if following is None:
            return []
        tile.append(following)
        at = spans[following][1]
    return tile


def _span(label: str) -> tuple[float, float] | None:
    found = _INTERVAL.fullmatch(label)
    return (float(found[1]), float(found[2])) if found else None
