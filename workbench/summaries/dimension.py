"""Dimension: one named, closed set of labels along which a Summary counts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from workbench.errors import DefinitionError, show

ALL = "all"
"""The label of a margin: every row, whatever its label."""
OTHER = "other"
"""The label of a value that no declared label matches."""
MISSING = "missing"
"""The label of a value that is not there."""

Zeros = Literal["public", "protected"]
_RESERVED = frozenset({"variable", "value", "status"})
_LONGEST = 200


@dataclass(frozen=True)
class Dimension:
    """Name a closed, ordered set of labels.

    Parameters
    ----------
    name
        Name of the dimension; an ASCII Python identifier, not `variable`, `value` or `status`.
    labels
        The labels in order, without the margin `all`.
    one_per
        "patient" if every patient has exactly one label, "exam" if every exam has, "none" if an
        exam can have several (margins are then not sums).
    zeros
        "public" if a true zero may be published as zero.
    unit
        UCUM unit of interval labels, or "".
    labels_from
        Where the labels come from. Summaries with other codelist labels combine to the union;
        intervals and calendars must be equal.

    Raises
    ------
    DefinitionError
        If the name or a label cannot be written to a table that every reader reads alike.

    Examples
    --------
    >>> Dimension("sex", ("F", "M")).margin_labels
    ('all', 'F', 'M')
    """

    name: str
    labels: tuple[str, ...]
    one_per: Literal["patient", "exam", "none"] = "exam"
    zeros: Zeros = "protected"
    unit: str = ""
    labels_from: Literal["codelist", "intervals", "calendar"] = "codelist"

    def __post_init__(self) -> None:
        if not (self.name.isidentifier() and self.name.isascii()) or self.name in _RESERVED:
            raise DefinitionError(
                f"{show(self.name)!r} is no name for a dimension",
                todo=f"Use letters, digits and _, and none of {', '.join(sorted(_RESERVED))}",
            )
        where = f"dimension {self.name}"
        object.__setattr__(self, "labels", tuple(self.labels))
        if not self.labels or len(set(self.labels)) != len(self.labels) or ALL in self.labels:
            raise DefinitionError(
                f"The labels of {self.name!r} must be distinct, at least one, and not {ALL!r}",
                where=where,
                todo="Correct the codelist or the edges",
            )
        for label in self.labels:
            if not _writable(label):
                raise DefinitionError(
                    f"{show(label)!r} is no label",
                    where=where,
                    todo=f"Use 1 to {_LONGEST} printable characters, not starting with = + - @",
                )
        if not self.unit.isprintable():
            raise DefinitionError("The unit cannot be printed", where=where, todo="Use UCUM units")
        for key, value, allowed in (
            ("one_per", self.one_per, ("patient", "exam", "none")),
            ("zeros", self.zeros, ("public", "protected")),
            ("labels_from", self.labels_from, ("codelist", "intervals", "calendar")),
        ):
            if value not in allowed:
                raise DefinitionError(
                    f"{key} cannot be {show(value)!r}",
                    where=where,
                    todo=f"Write one of {', '.join(allowed)}",
                )

    @property
    def margin_labels(self) -> tuple[str, ...]:
        """Labels with the margin first."""
        return (ALL, *self.labels)


def _writable(label: str) -> bool:
    # A spreadsheet runs a cell that starts with = + - or @ as a formula.
    return (
        isinstance(label, str)
        and 0 < len(label) <= _LONGEST
        and label.isprintable()
        and label == label.strip()
        and label[0] not in "=+-@"
    )


def interval_label(low: float, high: float) -> str:
    """Return the label of the values from `low` up to, but not including, `high`.

    Examples
    --------
    >>> interval_label(0, 5), interval_label(0.5, float("inf"))
    ('[0,5)', '[0.5,inf)')
    """
    return f"[{_number(low)},{_number(high)})"


def interval_labels(edges: Sequence[float]) -> tuple[str, ...]:
    """Return the labels of the intervals between `edges`, the last one open to infinity.

    Examples
    --------
    >>> interval_labels([0, 1, 85])
    ('[0,1)', '[1,85)', '[85,inf)')
    """
    ends = [*edges, math.inf]
    return tuple(interval_label(*pair) for pair in itertools.pairwise(ends))


def _number(value: float) -> str:
    number = float(value)
    short = number.is_integer() and abs(number) < 2**53
    return str(int(number)) if short else repr(number)
