"""Differencing: two tables of nearly the same patients tell of those in which they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.disclosure.relations import Cell, Relations, relate
from workbench.summaries.summary import Summary

WHOLE: Cell = ()
"""The cell of all labels: the whole population."""


@dataclass(frozen=True)
class Difference:
    """Hold where two tables differ by fewer patients than the threshold.

    Parameters
    ----------
    cell
        The first such cell.
    patients
        By how many patients it differs.
    cells
        All such cells.
    nearly_same
        True if the tables count nearly the same patients: the whole differs by fewer than the
        threshold. Then one of them must not leave. If the whole differs by more, it is enough
        to tell nothing of `cells`.
    """

    cell: str
    patients: int
    cells: frozenset[Cell]
    nearly_same: bool


def counts_of(table: Summary) -> dict[Cell, tuple[int, int]]:
    """Return patients and exams of every cell that a table holds.

    Examples
    --------
    >>> from workbench.summaries.counts import summarise
    >>> from workbench.summaries.dimension import Dimension
    >>> counts_of(summarise([Dimension("sex", ("F", "M"))], {"sex": [0, 1]}, [1, 2], [1, 1]))
    {(): (1, 2), (('sex', 'F'),): (1, 1), (('sex', 'M'),): (1, 1)}
    """
    relations = relate({"": table}, {"": ""})
    places = relations.places[""].ravel().tolist()
    patients, exams = (table.data[n].values.ravel().tolist() for n in ("patients", "exams"))
    return {
        relations.names[place]: (p, e)
        for place, p, e in zip(places, patients, exams, strict=True)
        if place >= 0
    }


def difference(new: Summary, old: Summary, threshold: int) -> Difference | None:
    """Compare two exact tables of one kind cell by cell.

    Tables of one population are compared in every cell that both hold. Tables of two populations
    are compared if they have the same dimensions, and matter only if they are nearly the same in
    every cell: chance alone does not make two groups of patients so alike.

    Returns
    -------
    Difference or None
        None if no cell differs by 1 to `threshold` - 1 patients in a way that tells something.

    Examples
    --------
    >>> from workbench.summaries.counts import summarise
    >>> from workbench.summaries.dimension import Dimension
    >>> sex = Dimension("sex", ("F", "M"))
    >>> one = summarise([sex], {"sex": [0] * 30 + [1] * 30}, range(60), range(60))
    >>> two = summarise([sex], {"sex": [0] * 30 + [1] * 33}, range(63), range(63))
    >>> found = difference(two, one, 10)
    >>> found.cell, found.patients, found.nearly_same
    ('the whole', 3, True)
    """
    if new.kind != old.kind or new.attributes.get("unit") != old.attributes.get("unit"):
        return None
    same_population = new.population == old.population
    if not same_population and {d.name for d in new.dimensions} != {d.name for d in old.dimensions}:
        return None
    ours, theirs = counts_of(new), counts_of(old)
    apart = {c: abs(ours[c][0] - theirs[c][0]) for c in ours if c in theirs}
    near = [cell for cell, n in apart.items() if 0 < n < threshold]
    if not near or not (same_population or max(apart.values()) < threshold):
        return None
    first = near[0]
    return Difference(
        cell=", ".join(f"{d}={label}" for d, label in first) or "the whole",
        patients=apart[first],
        cells=frozenset(near),
        nearly_same=apart.get(WHOLE, 0) < threshold,
    )


def classes_of(tables: Mapping[str, Summary]) -> dict[str, str]:
    """Return the class of each exact table: tables of one class count the same exams.

    Tables of one population that agree in every cell they share, and fit together, are one
    class, whatever release they come from. Who reads them cannot know that, but may guess it.

    Examples
    --------
    >>> from workbench.summaries.counts import summarise
    >>> one, two = (summarise([], {}, range(n), range(n)) for n in (5, 6))
    >>> classes_of({"a": one, "b": two, "c": one})
    {'a': 'exams 1', 'b': 'exams 2', 'c': 'exams 1'}
    """
    classes: dict[str, str] = {}
    members: dict[str, dict[str, Summary]] = {}
    known: dict[str, dict[Cell, tuple[int, int]]] = {}
    for name, table in tables.items():
        counts = counts_of(table)
        number = 1
        while (group := f"{table.population} {number}") in known:
            agree = all(known[group].get(cell, n) == n for cell, n in counts.items())
            if agree and _fit({**members[group], name: table}, {**known[group], **counts}):
                break
            number += 1
        classes[name] = group
        members.setdefault(group, {})[name] = table
        known.setdefault(group, {}).update(counts)
    return classes


def _fit(tables: Mapping[str, Summary], counts: Mapping[Cell, tuple[int, int]]) -> bool:
    """Return True if the exact counts obey every relation between the cells of the tables."""
    relations = relate(tables, dict.fromkeys(tables, ""))
    known, values = _vector(relations, counts)
    equal, most = relations.matrices
    for rows, exactly in ((equal, True), (most, False)):
        result = (rows @ values)[(abs(rows) @ ~known) == 0]  # rows of which all is known
        if (result > 0).any() or (exactly and (result < 0).any()):
            return False
    return True


def _vector(
    relations: Relations, counts: Mapping[Cell, tuple[int, int]]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    size = len(relations.cells)
    known, values = np.zeros(2 * size, bool), np.zeros(2 * size)
    for (_, cell), number in relations.cells.items():
        if cell in counts:
            known[[number, size + number]] = True
            values[[number, size + number]] = counts[cell]
    return known, values
