"""Distinct exams and patients per cell and margin, counted by sorting whole columns."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.errors import DefinitionError, show, suggest
from workbench.summaries.dimension import Dimension
from workbench.summaries.summary import LARGEST_TABLE

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Hold rows as integers: the cell of each row, and whom it belongs to.

    Parameters
    ----------
    cell : (n,) int64
        Position of the row in the table of all labels, margins left out.
    exam, patient : (n,) int64
        Small non-negative codes.
    """

    cell: Integers
    exam: Integers
    patient: Integers


def code_rows(
    dimensions: Sequence[Dimension],
    columns: Mapping[str, npt.ArrayLike],
    exam: npt.ArrayLike,
    patient: npt.ArrayLike,
) -> Rows:
    """Return checked rows.

    Parameters
    ----------
    dimensions
        The dimensions of the table.
    columns : (n,) integers each
        Position of each row's label in its dimension, by dimension name.
    exam, patient : (n,) integers
        Any integers that name the exam and the patient of each row.

    Raises
    ------
    DefinitionError
        If columns are missing, unknown, of different length or outside the labels; if an exam
        belongs to two patients; or if an exam or patient has two labels where the dimension says
        that it has one.
    """
    names = [d.name for d in dimensions]
    for name in columns:
        if name not in names:
            raise DefinitionError(
                f"Column {show(name)!r} is no dimension", todo=suggest(name, names)
            )
    exams, patients = _integers("exam", exam), _integers("patient", patient)
    if exams.shape != patients.shape:
        raise DefinitionError("exam and patient differ in length", todo="Give one of each per row")
    e, p = _codes(exams), _codes(patients)
    if varies_within(e, p):
        raise DefinitionError(
            "An exam belongs to two patients",
            where="columns exam, patient",
            todo="Make exam identifiers unique to a patient",
        )
    cell = np.zeros(e.shape, np.int64)
    for dimension in dimensions:
        position = _positions(dimension, columns, e.shape)
        if dimension.one_per != "none" and varies_within(
            p if dimension.one_per == "patient" else e, position
        ):
            raise DefinitionError(
                f"The same {dimension.one_per} has several labels of {dimension.name!r}",
                where=f"dimension {dimension.name}",
                todo="Declare one_per as it is in the data: patient, exam or none",
            )
        cell = cell * len(dimension.labels) + position
    return Rows(cell, e, p)


def with_values(rows: Rows, values: npt.ArrayLike) -> tuple[Rows, npt.NDArray[np.float64]]:
    """Return the rows that have a value, and their values.

    Raises
    ------
    DefinitionError
        If a value is infinite, the values are no numbers, or an exam has two values.
    """
    array = np.asarray(values)
    if array.shape != rows.cell.shape or (array.size and array.dtype.kind not in "iuf"):
        raise DefinitionError(
            "Values must be one number per row",
            where=f"shape {array.shape} of type {array.dtype}",
            todo="Give NaN where there is no value",
        )
    numbers = array.astype(np.float64)
    kept = ~np.isnan(numbers)
    rows = Rows(rows.cell[kept], rows.exam[kept], rows.patient[kept])
    numbers = numbers[kept]
    if np.isinf(numbers).any():
        raise DefinitionError("A value is infinite", todo="Give NaN where there is no value")
    if varies_within(rows.exam, numbers):
        raise DefinitionError("An exam has two values", todo="Make one value per exam first")
    return rows, numbers


def varies_within(entity: Integers, value: npt.NDArray[Any]) -> bool:
    """Return True if an entity has two different values.

    Examples
    --------
    >>> varies_within(np.array([0, 0, 1]), np.array([5, 5, 6]))
    False
    """
    if entity.size == 0:
        return False
    held = np.empty(int(entity.max()) + 1, value.dtype)
    held[entity] = value
    return bool((held[entity] != value).any())


def margin_targets(dimensions: Sequence[Dimension], *, margins: bool) -> tuple[int, list[Integers]]:
    """Return the size of the table, and where each cell counts in it: once per set of margins.

    Examples
    --------
    >>> size, targets = margin_targets([Dimension("sex", ("F", "M"))], margins=True)
    >>> size, [t.tolist() for t in targets]
    (3, [[1, 2], [0, 0]])
    """
    shape = [len(d.labels) for d in dimensions]
    size = math.prod(n + margins for n in shape)
    if size > LARGEST_TABLE:
        raise DefinitionError(
            f"The table would have {size} cells",
            where=f"dimensions {', '.join(d.name for d in dimensions)}",
            todo=f"Use fewer dimensions or labels: at most {LARGEST_TABLE} cells",
        )
    position = np.indices(shape, dtype=np.int64).reshape(len(shape), math.prod(shape))
    targets = []
    for kept in itertools.product((True, False) if margins else (True,), repeat=len(shape)):
        flat = np.zeros(math.prod(shape), np.int64)
        for length, keep, at in zip(shape, kept, position, strict=True):
            flat = flat * (length + margins) + (at + margins if keep else 0)
        targets.append(flat)
    return size, targets


def pairs(
    entity: Integers, cell: Integers, targets: Sequence[Integers], size: int
) -> Iterator[tuple[Integers, Integers]]:
    """Yield, for each target, every distinct pair of an entity and its place in the table.

    Parameters
    ----------
    entity, cell : (n,) int64
        Code of the exam or patient, and cell, of each row.
    targets
        For each cell its place in the table.
    size
        Number of places.
    """
    entity, cell = _unique_pairs(entity, cell, len(targets[0]))
    for target in targets:
        yield _unique_pairs(entity, target[cell], size)


def count(
    entity: Integers,
    cell: Integers,
    targets: Sequence[Integers],
    size: int,
    levels: Sequence[Integers] = (),
) -> Integers:
    """Return the number of distinct entities at each place of the table.

    Parameters
    ----------
    entity, cell : (n,) int64
        Code of the exam or patient, and cell, of each row.
    targets
        For each cell its place in the table.
    size
        Number of places.
    levels
        If given, for each place to which `targets` lead, the node that holds it, level by level,
        in the same order as the places; `size` is then that of the nodes.

    Examples
    --------
    >>> count(np.array([7, 7, 8]), np.array([0, 1, 1]), [np.array([1, 2]), np.array([0, 0])], 3)
    array([2, 1, 2])
    """
    cells = len(targets[0])
    entity, cell = _unique_pairs(entity, cell, cells)
    same = np.zeros(len(entity) + 1, np.bool_)
    same[1:-1] = entity[1:] == entity[:-1]
    several = same[1:] | same[:-1]
    # Who is in one cell alone counts once in each of its margins: margins are sums.
    alone = np.bincount(cell[~several], minlength=cells)
    entity, cell, weight = _find_patterns(entity[several], cell[several])
    counts = np.zeros(size, np.int64)
    for target in targets:
        who, at = _unique_pairs(entity, target[cell], len(levels[0]) if levels else size)
        for level in levels or (None,):
            place, to = (at, target) if level is None else (level[at], level[target])
            first = np.ones(len(who), np.bool_)
            first[1:] = (who[1:] != who[:-1]) | (place[1:] != place[:-1])
            found = np.bincount(place[first], None if weight is None else weight[who[first]], size)
            found = found.astype(np.int64)
            np.add.at(found, to, alone)
            # A node that levels share is counted alike in each.
            counts = np.maximum(counts, found)
    return counts


def _find_patterns(entity: Integers, cell: Integers) -> tuple[Integers, Integers, Integers | None]:
    """Return the different sets of cells as if each were an entity, and how many have it.

    Where there are too many cells for a set to fit one word, entities are left as they are.
    """
    used = np.flatnonzero(np.bincount(cell)) if len(cell) else cell
    if not 0 < len(used) <= 64:
        return entity, cell, None
    bit = np.zeros(int(used[-1]) + 1, np.uint64)
    bit[used] = np.uint64(1) << np.arange(len(used), dtype=np.uint64)
    starts = np.flatnonzero(np.concatenate(([True], entity[1:] != entity[:-1])))
    sets, weight = np.unique(np.bitwise_or.reduceat(bit[cell], starts), return_counts=True)
    holders = [np.flatnonzero(sets & bit[place]) for place in used]
    who, place = np.concatenate(holders), np.repeat(used, [len(held) for held in holders])
    return who.astype(np.int64), place.astype(np.int64), weight


def _unique_pairs(entity: Integers, cell: Integers, cells: int) -> tuple[Integers, Integers]:
    if int(entity.max(initial=0)) * cells >= 2**61:  # bits are whole
        raise DefinitionError(
            "The table is too large to count", todo="Use fewer labels or partitions"
        )
    bits = max(cells - 1, 0).bit_length()
    key = (entity << bits) | cell
    if key.size:
        if (key[1:] < key[:-1]).any():
            key.sort()
        key = key[np.concatenate(([True], key[1:] != key[:-1]))]
    return key >> bits, key & ((1 << bits) - 1)


def _integers(name: str, values: npt.ArrayLike) -> npt.NDArray[np.integer[Any]]:
    array = np.asarray(values)
    if array.size == 0:
        array = array.astype(np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DefinitionError(
            f"Column {show(name)!r} must be one integer per row",
            where=f"{array.ndim} axes of type {array.dtype}",
            todo="Encode labels and identifiers as integers",
        )
    return array


def _codes(identifiers: npt.NDArray[np.integer[Any]]) -> Integers:
    if identifiers.size == 0:
        return identifiers.astype(np.int64)
    low, high = int(identifiers.min()), int(identifiers.max())
    if high - low < 4 * identifiers.size + 1024:  # dense enough to index with
        # Modulo 2**64 the difference is right for every type, signed or not.
        return (identifiers.astype(np.uint64) - np.uint64(low % 2**64)).astype(np.int64)
    codes: Integers = np.unique(identifiers, return_inverse=True)[1].astype(np.int64)
    return codes


def _positions(
    dimension: Dimension, columns: Mapping[str, npt.ArrayLike], shape: tuple[int, ...]
) -> Integers:
    where = f"dimension {dimension.name}"
    if dimension.name not in columns:
        raise DefinitionError(
            "A column is missing", where=where, todo="Give the label of every row"
        )
    position = _integers(dimension.name, columns[dimension.name])
    if position.shape != shape:
        raise DefinitionError(
            "A column has another length", where=where, todo="Give one label per row"
        )
    if position.size and not 0 <= int(position.min()) <= int(position.max()) < len(
        dimension.labels
    ):
        raise DefinitionError(
            "A label position is outside the labels",
            where=where,
            todo=f"Use 0 to {len(dimension.labels) - 1}",
        )
    return position.astype(np.int64)
