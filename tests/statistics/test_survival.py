"""Survival: held to published figures, to another implementation, and between its own ends."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import DefinitionError
from workbench.statistics.bounds import Bounds
from workbench.statistics.survival import (
    kaplan_meier,
    life_table,
    share_within,
    survival_bounds,
    time_reached,
)
from workbench.summaries.counts import summarise as count
from workbench.summaries.dimension import Dimension
from workbench.summaries.risk_table import summarise
from workbench.summaries.summary import Summary, combine

# Freireich et al. (1963), Blood 21:699, the 6-MP arm: weeks in remission, and whether it ended.
WEEKS = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
RELAPSED = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
# Its curve, as in Klein & Moeschberger, Survival Analysis, table 4.1B.
PUBLISHED = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
ERRORS = {6: 0.0764, 7: 0.0869, 10: 0.0963, 13: 0.1068, 16: 0.1141, 22: 0.1282, 23: 0.1346}


def _table(times: Sequence[float], happened: Sequence[bool], edges: Sequence[float]) -> Summary:
    who = list(range(len(times)))
    return summarise(
        [], {}, who, who, np.array(times, float), happened=np.array(happened, bool),
        edges=edges, unit="wk", margins=False,
    )  # fmt: skip


def test_published_curve() -> None:
    curve = kaplan_meier(_table(WEEKS, [bool(r) for r in RELAPSED], list(range(37))))
    for week, share in PUBLISHED.items():
        at = curve.sel(end=week + 1)
        assert at.high.item() == pytest.approx(share, abs=6e-4)  # by custom events come first
        assert at.low.item() <= at.open.item() <= at.high.item()
        assert at.error.item() == pytest.approx(ERRORS[week], abs=4e-3)
    assert time_reached(curve, 0.5).high.item() == 24  # the median is 23 weeks: in [23, 24)
    assert time_reached(curve, 0.5).low.item() == 23


def test_curve_that_does_not_get_there() -> None:
    curve = kaplan_meier(_table(WEEKS, [bool(r) for r in RELAPSED], list(range(37))))
    late = time_reached(curve, 0.9)
    assert np.isnan(late.estimate)
    assert np.isinf(late.high)


def test_nothing_at_risk_is_not_known() -> None:
    sex = Dimension("sex", ("F", "M"))
    s = summarise(
        [sex], {"sex": [0, 0]}, [1, 2], [1, 2], [1.0, 2.0], happened=np.array([True, True]),
        edges=[0, 1, 2, 3], unit="h",
    )  # fmt: skip
    curve = kaplan_meier(s)
    assert np.isnan(curve.open.sel(sex="M")).all()
    assert np.isnan(time_reached(curve, 0.5).low.sel(sex="M"))
    assert time_reached(curve, 0.5).low.sel(sex="all") == 1


times = st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=1, max_size=40)


@settings(max_examples=150, deadline=None)
@given(times, st.sets(st.integers(1, 60), min_size=1, max_size=8))
def test_holds_another_implementation(rows: list[tuple[int, bool]], cuts: set[int]) -> None:
    from statsmodels.duration.survfunc import SurvfuncRight

    values = np.array([t + 0.5 for t, _ in rows])
    happened = np.array([e for _, e in rows])
    peer = SurvfuncRight(values, happened.astype(int))
    edges = [0.0, *sorted(float(c) for c in cuts)]
    curve = kaplan_meier(_table(values.tolist(), happened.tolist(), edges))
    for end, low, high in zip(curve.end.values, curve.low.values, curve.high.values, strict=True):
        before = np.flatnonzero(peer.surv_times < end)
        exact = peer.surv_prob[before[-1]] if len(before) else 1.0
        assert low - 1e-9 <= exact <= high + 1e-9
    exact_median = next(
        (t for t, s in zip(peer.surv_times, peer.surv_prob, strict=True) if s <= 0.5 + 1e-12),
        np.inf,
    )
    found = time_reached(curve, 0.5)
    assert found.low.item() <= exact_median <= found.high.item()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)),
        min_size=1, max_size=3,
    )
)  # fmt: skip
def test_bounds_hold_every_table(cells: list[tuple[int, int, int, int]]) -> None:
    """Try all tables between the ends, with events first and with events last in each bin."""
    d, more_d, c, more_c = (np.array(x, float) for x in zip(*cells, strict=True))
    low, high = survival_bounds(Bounds(d, d + more_d), Bounds(c, c + more_c))
    spans = [
        range(int(a), int(a + b) + 1) for a, b in zip([*d, *c], [*more_d, *more_c], strict=True)
    ]
    for table in itertools.product(*spans):
        events, censored = np.split(np.array(table, float), 2)
        if not events.sum() + censored.sum():
            continue
        one = survival_bounds(Bounds(events, events), Bounds(censored, censored))
        assert (low <= one.low + 1e-12).all()
        assert (one.high <= high + 1e-12).all()
        share, _ = life_table(events, censored)
        assert (one.low - 1e-12 <= share).all()
        assert (share <= one.high + 1e-12).all()


@settings(max_examples=40, deadline=None)
@given(times, st.integers(0, 40))
def test_parts_combine_exactly(rows: list[tuple[int, bool]], cut: int) -> None:
    values, happened = [float(t) for t, _ in rows], [e for _, e in rows]
    edges = [0.0, 5.0, 20.0]
    whole = _table(values, happened, edges)
    parts = [
        _table(values[:cut], happened[:cut], edges),
        _table(values[cut:], happened[cut:], edges),
    ]
    assert combine(*parts).data.identical(whole.data)


def test_promised_time() -> None:
    curve = kaplan_meier(_table([1, 2, 3, 30], [True, True, True, False], [0, 4, 24, 48]))
    assert share_within(curve, 24).estimate.item() == 0.75
    with pytest.raises(DefinitionError, match="no edge"):
        share_within(curve, 25)


@pytest.mark.parametrize(
    ("times_", "happened", "edges", "words"),
    [
        ([1.0], [True], [1, 2], "start at 0"),
        ([-1.0], [True], [0, 2], "negative"),
        ([1.0], [1], [0, 2], "whether the event"),
        ([1.0], [True, False], [0, 2], "whether the event"),
    ],
)
def test_refused(times_: list[float], happened: list[object], edges: list[int], words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        summarise([], {}, [1], [1], times_, happened=np.array(happened), edges=edges, unit="h")


def test_what_is_no_risk_table() -> None:
    with pytest.raises(DefinitionError, match="no risk table"):
        kaplan_meier(count([], {}, [1], [1]))
