"""Propagation: what bounds of some cells tell of others, by linear rows one by one or together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import linprog

from workbench.errors import DisclosureError, show

Floats = npt.NDArray[np.float64]
ROUNDS = 50
"""Most rounds; stopping early leaves bounds that are wider, and still true."""


def tighten(
    equal: sparse.csr_array, most: sparse.csr_array, low: Floats, high: Floats
) -> tuple[Floats, Floats]:
    """Return the bounds that the rows leave of the given ones.

    Parameters
    ----------
    equal, most : (rows, n)
        Rows that are 0, and rows that are 0 or less; all factors are 1 or -1.
    low, high : (n,) float
        Bounds of the unknowns; may be infinite.

    Returns
    -------
    low, high : (n,) float
        Bounds that hold wherever the given ones and the rows do. Each row is used by itself, so
        they may be wider than a linear programme over all rows would find.

    Notes
    -----
    Bound propagation as presolvers do it (Savelsbergh, ORSA Journal on Computing 6, 1994).

    Examples
    --------
    >>> whole_is_sum = sparse.csr_array([[1.0, -1.0, -1.0]])
    >>> tighten(whole_is_sum, whole_is_sum[:0], np.array([8.0, 5, 0]), np.array([12.0, 6, 99]))
    (array([8., 5., 2.]), array([12.,  6.,  7.]))
    """
    rows = sparse.vstack([equal, -equal, most]).tocoo()
    row, column, positive = rows.row, rows.col, rows.data > 0
    low, high = low.copy(), high.copy()
    for _ in range(ROUNDS):
        before = low.copy(), high.copy()
        least = np.where(positive, low[column], -high[column])  # of each term of a row
        endless = np.isinf(least)
        finite = np.where(endless, 0.0, least)
        sums = np.bincount(row, finite, rows.shape[0])
        open_terms = np.bincount(row, endless, rows.shape[0])
        room = np.where(open_terms[row] - endless > 0, np.inf, finite - sums[row])
        np.minimum.at(high, column[positive], room[positive])
        np.maximum.at(low, column[~positive], -room[~positive])
        if all(
            np.allclose(a, b, rtol=1e-9, atol=1e-9)
            for a, b in zip(before, (low, high), strict=True)
        ):
            break
    return low, high


@dataclass(frozen=True, eq=False)
class Programme:
    """Rows over bounded unknowns, all of which hold together.

    Parameters
    ----------
    equal : (rows, n)
        Rows that are 0.
    most : (rows, n)
        Rows that are no more than `limits`.
    limits : (rows,) float
        One for each row of `most`.
    low, high : (n,) float
        Finite bounds of the unknowns.

    Examples
    --------
    >>> row = sparse.csr_array([[1.0, -1.0]])
    >>> programme = Programme(row, row[:0], np.zeros(0), np.array([0.0, 2]), np.array([9.0, 5]))
    >>> programme.least(np.array([1.0, 0]))
    array([2., 2.])
    """

    equal: sparse.csr_array
    most: sparse.csr_array
    limits: Floats
    low: Floats
    high: Floats

    def least(self, cost: Floats) -> Floats:
        """Return the unknowns where the sum that `cost` weighs is least.

        Raises
        ------
        DisclosureError
            If no unknowns obey all rows.
        """
        found = linprog(
            cost,
            A_ub=self.most,
            b_ub=self.limits,
            A_eq=self.equal if self.equal.shape[0] else None,
            b_eq=np.zeros(self.equal.shape[0]) if self.equal.shape[0] else None,
            bounds=np.column_stack([self.low, self.high]),
            method="highs",
        )
        if found.x is None:
            raise DisclosureError(
                "It could not be computed what the means of the tables give away",
                where=show(found.message, 200),
                todo="Count the tables from one archive, or release fewer of them",
            )
        return np.asarray(found.x, float)
