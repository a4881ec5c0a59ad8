"""Counts: how many voxels two masks share (Taha and Hanbury 2015, section 4.1).

https://doi.org/10.1186/s12880-015-0068-x
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Overlap:
    """Hold how many voxels two masks share.

    Parameters
    ----------
    mask, reference, both : int
        Voxels of each, and of both.
    """

    mask: int
    reference: int
    both: int

    @property
    def dice(self) -> float | None:
        """Twice what both share over the sum of both; None where both are empty."""
        total = self.mask + self.reference
        return 2 * self.both / total if total else None

    @property
    def jaccard(self) -> float | None:
        """What both share over what either holds; None where both are empty."""
        either = self.mask + self.reference - self.both
        return self.both / either if either else None

    @property
    def relative_difference(self) -> float | None:
        """Voxels of the mask over those of the reference, less 1; None where that is empty."""
        return self.mask / self.reference - 1 if self.reference else None


def count_overlap(mask: NDArray[np.bool_], reference: NDArray[np.bool_]) -> Overlap:
    """Count the voxels of two masks of one shape.

    Examples
    --------
    >>> overlap = count_overlap(np.array([True, True, False]), np.array([False, True, True]))
    >>> overlap.dice, round(overlap.jaccard, 4)
    (0.5, 0.3333)
    """
    both = int(np.count_nonzero(mask & reference))
    return Overlap(int(np.count_nonzero(mask)), int(np.count_nonzero(reference)), both)
