"""Subgroups: the area under the ROC curve in every group of exams, from one sort of the scores."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from workbench.errors import DefinitionError, show
from workbench.statistics.area_estimates import Areas, Method, areas_of_runs
from workbench.statistics.roc import NO_ROWS, check_scores

Codes = NDArray[np.int64]
ALL = -1
"""Code of a column that a subgroup does not divide by."""
_ARRAYS = tuple(f.name for f in fields(Areas) if f.name != "level")


@dataclass(frozen=True)
class Ranked:
    """Scores in their order: what one sort leaves for every grouping.

    Parameters
    ----------
    order : (n,) int
        Row of the table at each place of the order.
    row : (n,) int
        Twice the number of the distinct score at each place, from 0, and 1 more for a positive: one
        column, so that a grouping moves one.
    """

    order: NDArray[np.intp] = field(repr=False)
    row: NDArray[np.int64] = field(repr=False)


def rank_scores(truth: ArrayLike, score: ArrayLike) -> Ranked:
    """Sort scores once, for the areas of any number of groups.

    Parameters
    ----------
    truth : (n,) bool, or 0 and 1
        Whether each belongs to the positive class.
    score : (n,) float
        Higher speaks for the positive class.

    Raises
    ------
    DefinitionError
        If the lengths differ, a score is NaN, or a truth is neither 0 nor 1.
    """
    classes, values = check_scores(truth, score)
    order = np.argsort(values)
    ordered = values[order]
    new = np.zeros(ordered.size, np.int64)
    new[1:] = ordered[1:] != ordered[:-1]
    return Ranked(order, 2 * np.cumsum(new) + classes[order])


def areas_by_group(
    ranked: Ranked,
    groups: ArrayLike,
    number: int,
    *,
    level: float = 0.95,
    method: Method = "logit",
) -> Areas:
    """Return the area of each group of rows.

    Parameters
    ----------
    ranked
        What `rank_scores` returned.
    groups : (n,) int
        Group of each row, from 0; below 0 for a row in no group.
    number
        How many groups there are.
    level, method
        As for `estimate_area`.

    Returns
    -------
    Areas, (number,)
        A group of one class has no area; `outcome` names why.

    Raises
    ------
    DefinitionError
        If there is not one group for each row, or a group is `number` or above.

    Examples
    --------
    >>> ranked = rank_scores([0, 1, 0, 1, 1], [0.1, 0.4, 0.4, 0.8, 0.9])
    >>> found = areas_by_group(ranked, [0, 0, 0, 0, 1], 3)
    >>> found.estimate.tolist(), found.outcome.tolist()
    ([0.875, nan, nan], ['ok', 'no_negatives', 'no_rows'])
    """
    codes = np.asarray(groups, np.int64)
    if codes.shape != ranked.order.shape or (codes.size and int(codes.max()) >= number):
        raise DefinitionError(
            f"Every row needs one of {number} groups",
            where=f"groups of shape {codes.shape}, {ranked.order.size} rows",
            todo="Number the groups from 0; a number below 0 stands for none",
        )
    return _areas_of_ordered(ranked, codes[ranked.order], number, level, method)


def _areas_of_ordered(
    ranked: Ranked, codes: Codes, number: int, level: float, method: Method
) -> Areas:
    """Return the area of each group, the group of each row standing in the order of the scores."""
    # Two bytes are sorted by counting.
    small = codes.clip(min=-1).astype(np.int16 if number < 2**15 else np.int32)
    by_group = np.argsort(small, kind="stable")
    by_group = by_group[int(np.count_nonzero(codes < 0)) :]
    group, row = small[by_group], ranked.row[by_group]
    other = group[1:] != group[:-1]
    new = np.ones(group.size, np.bool_)
    # Rows of one group and score are one run.
    new[1:] = other | (row[1:] >> 1 != row[:-1] >> 1)
    runs = np.flatnonzero(new)
    starts = np.flatnonzero(np.concatenate([[True], other])[: group.size])
    positives = np.add.reduceat(row & 1, runs, dtype=np.int64) if runs.size else np.zeros(0, int)
    negatives = np.diff(np.append(runs, group.size)) - positives
    first = np.searchsorted(runs, starts)
    found = areas_of_runs(positives, negatives, first, level=level, method=method)
    return _spread(group[starts], number, found)


@dataclass(frozen=True)
class Subgroups:
    """Hold the areas of every subgroup that columns and their crossings make.

    Parameters
    ----------
    columns
        Names of the columns.
    codes : (g, columns) int
        Label of each column in each subgroup; `ALL` where it is not divided by it.
    areas : Areas, (g,)
        One place a subgroup. The first is all rows.
    """

    columns: tuple[str, ...]
    codes: Codes
    areas: Areas


def areas_of_subgroups(
    ranked: Ranked,
    columns: Mapping[str, ArrayLike],
    *,
    depth: int | None = None,
    level: float = 0.95,
    method: Method = "logit",
) -> Subgroups:
    """Return the area in all rows, in each label of each column, and in their crossings.

    Subgroups of nobody are not listed. Many intervals at once miss their truth more often than
    one: a subgroup that was not declared beforehand is a question, not a finding.

    Parameters
    ----------
    ranked
        What `rank_scores` returned.
    columns
        Name of each column, and the code of its label in each row: (n,) int from 0, below 0 for a
        row without one, which is in no subgroup by that column.
    depth
        How many columns are crossed at most; all by default.
    level, method
        As for `delong.estimate_area`.

    Raises
    ------
    DefinitionError
        If a column has not one code for each row.

    Examples
    --------
    >>> ranked = rank_scores([0, 1, 0, 1], [0.1, 0.4, 0.4, 0.8])
    >>> found = areas_of_subgroups(ranked, {"sex": [0, 0, 1, 1], "vendor": [0, 0, 0, 0]}, depth=1)
    >>> found.codes.tolist(), found.areas.estimate.tolist()
    ([[-1, -1], [0, -1], [1, -1], [-1, 0]], [0.875, 1.0, 1.0, 0.875])
    """
    names = tuple(columns)
    labels = [np.asarray(columns[name], np.int64) for name in names]
    for name, codes in zip(names, labels, strict=True):
        if codes.shape != ranked.order.shape:
            raise DefinitionError(
                "A column needs one code for each row",
                where=f"column {show(name)} of shape {codes.shape}, {ranked.order.size} rows",
                todo="Give a code below 0 for a row without a label",
            )
    most = len(names) if depth is None else depth
    chosen = [
        some for size in range(most + 1) for some in itertools.combinations(range(len(names)), size)
    ]
    ordered = [codes[ranked.order] for codes in labels]
    parts = []
    for some in chosen:
        joint, example = _cross([ordered[column] for column in some], ranked.order.size)
        found = _areas_of_ordered(ranked, joint, example.size, level, method)
        told = np.full((example.size, len(names)), ALL, np.int64)
        for column in some:
            told[:, column] = ordered[column][example]
        parts.append((told, found))
    return Subgroups(
        names, np.concatenate([told for told, _ in parts]), _join([found for _, found in parts])
    )


def _cross(columns: list[Codes], rows: int) -> tuple[Codes, NDArray[np.intp]]:
    """Return the number of the crossing that each row is in, without gaps, and one row of each."""
    joint, number = np.zeros(rows, np.int64), 1
    for column in columns:
        codes, size = column, int(column.max(initial=-1)) + 1
        if number * size > 4 * rows + 1024:
            joint, number = _renumber(joint)
            codes, size = _renumber(column)
        none = joint.min(initial=0) < 0 or codes.min(initial=0) < 0
        crossed = joint * size + codes
        joint = np.where((joint < 0) | (codes < 0), -1, crossed) if none else crossed
        number *= size
    if number > 4 * rows + 1024:
        joint, number = _renumber(joint)
    example = np.full(number + 1, -1, np.intp)
    # The last place is that of -1.
    example[joint] = np.arange(rows)
    there = example[:-1] >= 0
    lookup = np.append(np.where(there, np.cumsum(there) - 1, -1), -1)
    return (joint if there.all() else lookup[joint]), example[:-1][there]


def _renumber(codes: Codes) -> tuple[Codes, int]:
    """Return codes without gaps, those below 0 as -1, and how many there are."""
    inside = codes >= 0
    distinct, new = np.unique(codes[inside], return_inverse=True)
    dense = np.full(codes.shape, -1, np.int64)
    dense[inside] = new
    return dense, distinct.size


def _join(parts: list[Areas]) -> Areas:
    return Areas(
        level=parts[0].level,
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS},
    )


def _spread(there: NDArray[Any], number: int, found: Areas) -> Areas:
    """Put the groups that have rows among all groups."""
    if len(found) == number:
        return found
    rest = {"method": "", "outcome": NO_ROWS, "positives": 0, "negatives": 0}
    arrays: dict[str, Any] = {}
    for name in _ARRAYS:
        some = getattr(found, name)
        kind = "<U16" if some.dtype.kind == "U" else some.dtype
        arrays[name] = np.full(number, rest.get(name, np.nan), kind)
        arrays[name][there] = some
    return Areas(level=found.level, **arrays)
