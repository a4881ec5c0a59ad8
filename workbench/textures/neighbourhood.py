"""Neighbourhood: which voxels stand beside each other, and which of them are counted together.

A texture of a volume is taken in three dimensions, or in the planes of its slices; tables of
planes or directions are measured each and averaged, or merged and then measured (IBSI reference
manual, sections "Texture features" and "Aggregating features").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.int64]
"""Grey levels from 1 up of a box z, y, x; 0 outside the region."""
Offset = tuple[int, int, int]
Features = dict[str, float]

AGGREGATIONS = ("2D_avg", "2D_comb", "2_5D_avg", "2_5D_comb", "3D_avg", "3D_comb")
"""Ways to aggregate textures that have directions, as the IBSI reference tables call them."""
DIMENSIONS = ("2D", "2_5D", "3D")
"""Ways to aggregate textures without directions."""


@dataclass(frozen=True)
class Walk:
    """Hold levels of a region in one line, so that a neighbour is a fixed step away.

    Parameters
    ----------
    flat : ndarray of int64
        Levels with an empty border around them.
    inside : ndarray of int64
        Places of the region's voxels in `flat`.
    strides : (int, int, int)
        Steps to the next slice, row and column.
    """

    flat: Levels
    inside: NDArray[np.int64]
    strides: tuple[int, int, int]

    def step(self, offset: Offset) -> int:
        """Return how far a neighbour stands away in `flat`."""
        return sum(o * s for o, s in zip(offset, self.strides, strict=True))


def walk(levels: Levels) -> Walk:
    """Return levels as a line with an empty border.

    Examples
    --------
    >>> line = walk(np.array([[[1, 0, 2]]]))
    >>> line.flat[line.inside].tolist(), line.step((0, 0, 1)), line.step((1, 0, 0))
    ([1, 2], 1, 15)
    """
    padded = np.pad(levels, 1)
    flat = padded.ravel()
    return Walk(flat, np.flatnonzero(flat), (padded.shape[1] * padded.shape[2], padded.shape[2], 1))


def half_offsets(planar: bool) -> list[Offset]:
    """Return one of each pair of opposite neighbours: 4 in a plane, 13 in a volume.

    Examples
    --------
    >>> half_offsets(True)
    [(0, 0, 1), (0, 1, -1), (0, 1, 0), (0, 1, 1)]
    >>> len(half_offsets(False))
    13
    """
    steps = (-1, 0, 1)
    return [
        (z, y, x)
        for z, y, x in product(steps[1:2] if planar else steps, steps, steps)
        if (z, y, x) > (0, 0, 0)
    ]


def groups(levels: Levels, aggregation: str) -> Iterator[list[tuple[Walk, Offset]]]:
    """Yield what is merged into one table: parts of the region, each with a direction.

    Parameters
    ----------
    levels
        Of the region.
    aggregation : str
        One of `AGGREGATIONS`.
    """
    dimension, _, merge = aggregation.rpartition("_")
    offsets = half_offsets(dimension != "3D")
    for part in parts(levels, dimension):
        line = walk(part)
        if merge == "comb":
            yield [(line, offset) for offset in offsets]
        else:
            yield from ([(line, offset)] for offset in offsets)


def parts(levels: NDArray[np.int64], dimension: str) -> Iterator[Levels]:
    """Yield what is measured on its own: slices that are not empty, or all at once."""
    if dimension == "2D":
        yield from (levels[k : k + 1] for k in range(len(levels)) if levels[k].any())
    else:
        yield levels


def average(measured: Iterable[Features]) -> Features:
    """Return the mean of each feature over the tables in which it is defined.

    Examples
    --------
    >>> average([{"a": 1.0, "b": float("nan")}, {"a": 3.0, "b": 4.0}])
    {'a': 2.0, 'b': 4.0}
    """
    tables = list(measured)
    names = tables[0] if tables else ()
    means = {}
    for name in names:
        defined = [table[name] for table in tables if not np.isnan(table[name])]
        means[name] = float(np.mean(defined)) if defined else float("nan")
    return means


def ratio(above: float, below: float) -> float:
    """Return a quotient, or NaN where nothing stands below the line.

    Examples
    --------
    >>> ratio(1.0, 2.0), ratio(1.0, 0.0)
    (0.5, nan)
    """
    return float(above / below) if below else float("nan")


def count(codes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the distinct codes and how often each occurs.

    Examples
    --------
    >>> [part.tolist() for part in count(np.array([5, 2, 5]))]
    [[2, 5], [1.0, 2.0]]
    """
    # Counting beats sorting while the table is not much longer than what is counted.
    if codes.size and codes.max() <= 4 * codes.size + 4096:
        counts = np.bincount(codes)
        found = np.flatnonzero(counts)
        return found, counts[found].astype(np.float64)
    found, counts = np.unique(codes, return_counts=True)
    return found, counts.astype(np.float64)


def entropy(shares: NDArray[np.float64]) -> float:
    """Return the entropy of shares in bits.

    Examples
    --------
    >>> entropy(np.array([0.5, 0.5, 0.0]))
    1.0
    """
    there = shares[shares > 0]
    return abs(float(there @ np.log2(there)))
