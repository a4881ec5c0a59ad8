"""Exams of one device never overlap, and stay in opening hours."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.pretend.timetable import Timetable

WINDOWS = np.array([[480, 840], [0, 1440], [540, 900]])


@given(
    counts=st.lists(st.integers(0, 60), min_size=1, max_size=12),
    seed=st.integers(0, 1000),
    minutes=st.floats(1, 90),
)
def test_one_after_the_other_in_opening_hours(counts, seed, minutes):
    stream = np.random.default_rng(seed)
    number = np.array(counts)
    window = stream.integers(0, len(WINDOWS), len(number))
    n = int(number.sum())
    length = (minutes * stream.uniform(0.2, 2, n)).astype(np.float32)
    waits = (
        stream.standard_exponential(n, np.float32),
        stream.standard_exponential(len(number), np.float32),
    )
    pause = np.full(n, 1.5, np.float32)
    times = Timetable(WINDOWS).place(number, window, length, pause, days=len(number), waits=waits)
    group = np.repeat(np.arange(len(number)), number)
    assert (times.start // 86400 == group).all()
    same = group[1:] == group[:-1]
    assert (times.start[1:] >= times.end[:-1])[same].all()
    assert (times.end >= times.start).all()
    midnight = group * 86400
    assert (times.start - midnight >= WINDOWS[window[group], 0] * 60).all()
    assert (times.end - midnight <= WINDOWS[window[group], 1] * 60).all()


def test_a_quiet_day_keeps_lengths_and_prefers_the_morning():
    days = 2000
    counts, window = np.full(days, 4), np.zeros(days, int)
    stream = np.random.default_rng(1)
    n = int(counts.sum())
    waits = (
        stream.standard_exponential(n, np.float32),
        stream.standard_exponential(days, np.float32),
    )
    length, pause = np.full(n, 10, np.float32), np.full(n, 2, np.float32)
    wide = np.array([[0, 1440]])
    times = Timetable(wide).place(counts, window, length, pause, days=days, waits=waits)
    assert (times.end - times.start == 600).all()
    hour = times.start % 86400 // 3600
    assert ((hour >= 8) & (hour < 14)).mean() == pytest.approx(0.45, abs=0.1)
    assert (hour < 6).mean() < 0.12
