"""Defects: exams of the pretend city that are spoilt on purpose, and which ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from workbench.pretend.doses import Doses
from workbench.pretend.timetable import Times

Rows = npt.NDArray[np.int64]


@dataclass
class Spoilt:
    """Choose rows to spoil, none of them twice, and remember which.

    Parameters
    ----------
    wanted
        How many rows of each kind.
    stream
        Random numbers of their own: what is not spoilt is the same with and without them.
    kept
        Rows that must stay as they are.
    """

    wanted: Mapping[str, int]
    stream: np.random.Generator
    kept: set[int] = field(default_factory=set)
    rows: dict[str, list[int]] = field(default_factory=dict)

    def choose(self, kind: str, fit: npt.NDArray[np.bool_] | None, size: int) -> Rows:
        """Return rows for a kind: as many as wanted, where enough fit.

        Parameters
        ----------
        kind
            Kind of defect.
        fit : (size,) bool
            Which rows may be spoilt in this way; None for all.
        size
            Number of rows.
        """
        number = self.wanted.get(kind, 0)
        if not number:
            return np.zeros(0, np.int64)
        able = np.arange(size) if fit is None else np.flatnonzero(fit)
        chosen: list[int] = []
        for row in self.stream.permutation(able).tolist():
            if len(chosen) == number:
                break
            if row not in self.kept:
                chosen.append(row)
                # The neighbours too, which say when the device was free.
                self.kept.update((row - 1, row, row + 1))
        self.rows[kind] = sorted(chosen)
        return np.array(self.rows[kind], np.int64)


def move_outside_hours(
    spoilt: Spoilt, times: Times, closes: npt.NDArray[np.int64], last: npt.NDArray[np.bool_]
) -> None:
    """Let the last exam of some days begin after closing.

    Parameters
    ----------
    spoilt
        What is chosen.
    times
        Changed.
    closes : (n,)
        Closing, s since midnight.
    last : (n,) bool
        Whether an exam is the last of its device and day.
    """
    fit = last & (closes <= 20 * 3600) if "outside_hours" in spoilt.wanted else None
    rows = spoilt.choose("outside_hours", fit, len(closes))
    late = spoilt.stream.integers(1200, 7200, len(rows))
    start = times.start[rows] // 86400 * 86400 + closes[rows] + late
    times.end[rows] += start - times.start[rows]
    times.start[rows] = start


def spoil_times(
    spoilt: Spoilt, times: Times, day: npt.NDArray[np.int64], same_next: npt.NDArray[np.bool_]
) -> None:
    """Let exams overlap, end before they begin, or take place in the years 1900 and 9999.

    Parameters
    ----------
    spoilt
        What is chosen.
    times
        As the device recorded them, s since 1970; changed.
    day : (n,)
        Day since 1970-01-01.
    same_next : (n,) bool
        Whether the next exam is of the same device and day.
    """
    n = len(day)
    rows = spoilt.choose("overlap", same_next, n) + 1
    moved = times.start[rows] - (times.start[rows - 1] + times.end[rows - 1]) // 2
    times.start[rows] -= moved
    times.end[rows] -= moved
    rows = spoilt.choose("ends_before_start", None, n)
    times.end[rows] = times.start[rows] - spoilt.stream.integers(60, 7200, len(rows))
    rows = spoilt.choose("date_impossible", None, n)
    dates = np.array(["1900-01-01", "9999-12-31"], "datetime64[D]").astype(np.int64)
    shift = (dates[spoilt.stream.integers(0, 2, len(rows))] - day[rows]) * 86400
    times.start[rows] += shift
    times.end[rows] += shift


def spoil_values(
    spoilt: Spoilt, age: npt.NDArray[np.float32], doses: Doses, stated: npt.NDArray[np.bool_]
) -> None:
    """Let ages be 155 and -1, and doses negative or absurd.

    Parameters
    ----------
    spoilt
        What is chosen.
    age : (n,)
        years; changed.
    doses
        Changed.
    stated : (n,) bool
        Which exams carry a dose of CT.
    """
    rows = spoilt.choose("age_impossible", None, len(age))
    age[rows] = np.array([155, -1], np.float32)[spoilt.stream.integers(0, 2, len(rows))]
    rows = spoilt.choose("dose_negative", stated, len(age))
    for values in (doses.ctdivol_mgy, doses.dlp_mgy_cm):
        values[rows] = -values[rows]
    rows = spoilt.choose("dose_absurd", stated, len(age))
    for values in (doses.ctdivol_mgy, doses.dlp_mgy_cm):
        values[rows] *= np.float32(10_000)
