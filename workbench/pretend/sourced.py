"""Sourced: a figure of a recipe, its unit, and who says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

ASSUMED = "assumed"
"""First word of the source of a figure that nobody has published."""
PLAN = (
    "plan of a capital's radiology information centre, 30 November 2020 "
    "(moscowseasons.com, 'Moscow to increase digital medical examinations to 10 million by 2023')"
)
NDRL = "UK national diagnostic reference levels, 20 November 2024 (gov.uk), adults"
RP185 = "after European Commission, Radiation Protection 185 (2018), thorax by weight"


@dataclass(frozen=True)
class Sourced(Generic[T]):
    """Hold one figure or table of figures of a recipe.

    Parameters
    ----------
    value
        The figure.
    unit
        Its unit; "1" if it has none.
    source
        Who published it, or "assumed" and why it is sensible.

    Examples
    --------
    >>> Sourced(155, "facilities", PLAN).assumed
    False
    """

    value: T
    unit: str
    source: str

    @property
    def assumed(self) -> bool:
        """Whether nobody has published it."""
        return self.source.startswith(ASSUMED)
