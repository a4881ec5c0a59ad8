"""Policy: how small a group may be, and how coarse a number, before it may leave a site."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from workbench.errors import DisclosureError, show

THRESHOLD = 10
"""Fewest distinct patients behind a published cell; a site or study may only ask for more."""
ROUNDING = 5
"""Base that counts are rounded to; a site or study may only ask for a coarser one."""
DIGITS = 3
"""Significant digits of a published mean or standard deviation; fewer may be asked for."""
_MOST = 1_000_000  # a larger threshold or base is a slip of the pen, and would overflow nothing


@dataclass(frozen=True)
class Policy:
    """Hold the numbers a release is checked against.

    Parameters
    ----------
    threshold
        Fewest distinct patients behind a published cell, at least 10.
    rounding
        Base that counts are rounded to, at least 5.
    digits
        Significant digits of a mean or standard deviation, 1 to 3.

    Raises
    ------
    DisclosureError
        If a number is looser than the floor.

    Examples
    --------
    >>> Policy().round(12), Policy().bounds(10)
    (10, (8, 12))
    >>> Policy(threshold=20).tighten(Policy(rounding=10))
    Policy(threshold=20, rounding=10, digits=3)
    >>> print(Policy())
    at least 10 patients a cell, counts rounded to 5
    >>> Policy(threshold=5)
    Traceback (most recent call last):
    ...
    workbench.errors.DisclosureError: A threshold of 5 is looser than the floor of 10
      where: policy
      do:    Ask for a whole number from 10 to 1000000
    """

    threshold: int = THRESHOLD
    rounding: int = ROUNDING
    digits: int = DIGITS

    def __post_init__(self) -> None:
        _within("threshold", self.threshold, THRESHOLD, _MOST, THRESHOLD)
        _within("rounding", self.rounding, ROUNDING, _MOST, ROUNDING)
        _within("digits", self.digits, 1, DIGITS, DIGITS)

    def __str__(self) -> str:
        return f"at least {self.threshold} patients a cell, counts rounded to {self.rounding}"

    def tighten(self, other: Policy) -> Policy:
        """Return the stricter of both policies, number by number."""
        return Policy(
            threshold=max(self.threshold, other.threshold),
            rounding=max(self.rounding, other.rounding),
            digits=min(self.digits, other.digits),
        )

    def round(self, count: Any) -> Any:  # noqa: ANN401 - an int gives an int, an array an array
        """Return counts rounded to the nearest multiple of the base.

        Parameters
        ----------
        count
            Whole number or integer array, not negative.
        """
        half = self.rounding // 2
        rounded = (np.asarray(count) + half) // self.rounding * self.rounding
        return np.asarray(rounded) if isinstance(count, np.ndarray) else int(rounded)

    def bounds(self, rounded: Any) -> tuple[Any, Any]:  # noqa: ANN401 - as `round`
        """Return the smallest and largest count that `round` turns into `rounded`."""
        low = np.maximum(np.asarray(rounded) - self.rounding // 2, 0)
        high = np.asarray(rounded) + (self.rounding - 1) // 2
        if isinstance(rounded, np.ndarray):
            return np.asarray(low), np.asarray(high)
        return int(low), int(high)

    def as_dict(self) -> dict[str, int]:
        """Return the policy as it is written into a release."""
        return asdict(self)


def _within(name: str, value: object, low: int, high: int, floor: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        what = f"A {name} must be a whole number, not a {type(value).__name__}"
    elif low <= value <= high:
        return
    elif (value < floor) if name != "digits" else (value > floor):
        what = f"A {name} of {show(value)} is looser than the floor of {floor}"
    else:
        what = f"A {name} of {show(value)} is out of range"
    raise DisclosureError(what, where="policy", todo=f"Ask for a whole number from {low} to {high}")
