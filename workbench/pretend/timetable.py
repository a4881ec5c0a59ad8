"""Timetable: when the exams of a device begin and end, one after the other, in opening hours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.pretend.service import HOURS
from workbench.pretend.sourced import ASSUMED, Sourced

MARGIN = Sourced(120, "s after opening and before closing in which no exam is under way", ASSUMED)
FULL = Sourced(0.97, "share of the open time that a day's exams take at most", ASSUMED)
_STEPS = 1024


@dataclass(frozen=True)
class Times:
    """Hold when exams take place, s since midnight of the first day.

    Parameters
    ----------
    start, end : (n,) int64
        Begin and end.
    """

    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]


class Timetable:
    """Put exams into opening hours.

    Parameters
    ----------
    windows : (k, 2)
        All opening hours of the city, min since midnight.
    """

    def __init__(self, windows: npt.NDArray[np.int64]) -> None:
        self.open = windows[:, 0] * 60.0 + MARGIN.value
        self.length = (windows[:, 1] - windows[:, 0]) * 60.0 - 2 * MARGIN.value
        wishes = np.array([_wish(*pair) for pair in windows])
        self.wish = wishes.ravel()
        self.slope = np.diff(wishes, append=1).ravel()

    def place(
        self,
        counts: npt.NDArray[np.int64],
        window: npt.NDArray[np.int64],
        minutes: npt.NDArray[np.float32],
        changeover: npt.NDArray[np.float32],
        *,
        days: int,
        waits: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
    ) -> Times:
        """Return times at which no two exams of a device overlap.

        The idle time of a day is divided at random, and stretched where fewer exams are wished.

        Parameters
        ----------
        counts : (devices * days,)
            Exams of each device and day.
        window : (devices * days,)
            Opening hours of each.
        minutes, changeover : (n,)
            Length of each exam and of the pause behind it, min.
        days
            Number of days.
        waits : (n,) and (devices * days,)
            Random numbers, exponential with mean 1.

        Notes
        -----
        Sums of exponential numbers over their total are ordered uniform numbers (Devroye 1986,
        Non-Uniform Random Variate Generation, V.3).
        """
        held = np.flatnonzero(counts)
        number = counts[held]
        first = np.cumsum(number) - number
        lengths = minutes * np.float32(60)
        slots = (lengths + changeover * np.float32(60)).astype(np.float64)
        busy = np.add.reduceat(slots, first) if len(held) else slots
        most = FULL.value * self.length[window[held]]
        shrink = np.minimum(1.0, most / busy)
        idle = self.length[window[held]] - busy * shrink
        sums = np.cumsum(waits[0], dtype=np.float64)
        taken = np.cumsum(slots)
        before = np.concatenate([[0.0], sums])[first]
        totals = np.concatenate([[0.0], sums])[first + number] - before + waits[1][held]
        scale = _STEPS / totals
        # One row a day of a device: spread over its exams in one go.
        row = np.repeat(np.arange(len(held)), number)
        place = (sums - before[row]) * scale[row]
        step = place.astype(np.intp)
        place -= step
        step += (window[held] * (_STEPS + 1))[row]
        share = self.wish[step] + place * self.slope[step]
        offset = self.open[window[held]] + (held % days) * 86400.0
        offset -= np.concatenate([[0.0], taken])[first] * shrink
        if shrink.min(initial=1.0) < 1:
            each = shrink[row]
            slots, lengths = slots * each, lengths * each.astype(np.float32)
            taken = taken * each
        start = (offset[row] + share * idle[row] + (taken - slots)).astype(np.int64)
        return Times(start, start + lengths.astype(np.int64))


def _wish(opens: int, closes: int) -> npt.NDArray[np.float64]:
    """Return the share of the open time at each of `_STEPS` steps of the wishes, and at the end."""
    minutes = np.arange(opens, closes)
    wishes = np.cumsum(np.asarray(HOURS.value, float)[minutes // 60])
    ends = np.concatenate([[0.0], wishes]) / wishes[-1]
    steps = np.arange(_STEPS + 1) / _STEPS
    return np.asarray(np.interp(steps, ends, np.arange(len(ends)) / len(minutes)))
