"""Row: one figure of the table that `python -m benchmarks` prints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """Hold what was measured beside what it is held to.

    Parameters
    ----------
    name
        What was measured.
    ours
        The figure, in `unit`.
    peer
        The same work done another way, in `unit`; None if there is no peer.
    limit
        Largest ratio to the peer, or without one the largest figure; None if nothing is promised.
    unit
        Unit of `ours` and `peer`.
    """

    name: str
    ours: float
    peer: float | None = None
    limit: float | None = None
    unit: str = "s"

    @property
    def ratio(self) -> float | None:
        """`ours` over `peer`."""
        return None if self.peer is None else self.ours / self.peer

    @property
    def good(self) -> bool:
        """Whether the limit holds."""
        held = self.ours if self.ratio is None else self.ratio
        return self.limit is None or held <= self.limit
