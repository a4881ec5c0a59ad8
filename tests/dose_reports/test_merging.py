import json
import random
from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.dose_reports.merging import merge_reports
from workbench.dose_reports.report import Report

TOTAL = "dlp_total_mgy_cm"


def report(uid, events, *, total=None, stated=None, written="", kind="ct"):
    """Return a report of events: UID -> DLP, or a list where events have no UID."""
    named = events.items() if isinstance(events, dict) else [(None, v) for v in events]
    rows = [
        ({"event_uid": u} if u else {}) | ({} if v is None else {"dlp_mgy_cm": v}) for u, v in named
    ]
    totals = {} if total is None else {TOTAL: total}
    events = [row | {"flags": set()} for row in rows]
    return Report(kind, uid, written, "CT", stated, totals=totals, events=events)


def outcome(merged):
    events = sorted(
        json.dumps({k: v for k, v in e.items() if k != "flags"}, sort_keys=True)
        + str(sorted(e["flags"]))
        for e in merged.events
    )
    return merged.totals, events, merged.flags, dict(merged.counted)


def test_cumulative_reports_replace_each_other_in_any_order():
    """Siemens SOMATOM Confidence, public test set of OpenREM: 236.09, never 320.82."""
    one = report("1", {"a": 7.46}, total=7.46, stated=1, written="1")
    two = report("2", {"a": 7.46, "b": 69.81}, total=77.27, stated=2, written="2")
    three = report("3", {"a": 7.46, "b": 69.81, "c": 158.82}, total=236.09, stated=3, written="3")
    assert merge_reports([one]).totals[TOTAL] == 7.46
    assert merge_reports([two, one]).totals[TOTAL] == 77.27
    for order in ([one, two, three], [three, two, one], [two, three, one]):
        merged = merge_reports(order)
        assert merged.totals[TOTAL] == 236.09
        assert len(merged.events) == 3
        assert merged.counted == {"earlier_report": 2}
        assert not merged.flags


def test_reports_without_a_common_event_add_up():
    merged = merge_reports([report("1", {"a": 5.0}, total=5.0), report("2", {"b": 7.0}, total=7.0)])
    assert merged.totals[TOTAL] == 12.0
    assert len(merged.events) == 2
    assert not merged.flags


def test_reports_that_share_some_events_are_added_up_by_event():
    first = report("1", {"a": 5.0, "b": 7.0}, total=12.0)
    second = report("2", {"b": 7.0, "c": 1.0}, total=8.0)
    merged = merge_reports([first, second])
    assert merged.totals[TOTAL] == 13.0
    assert merged.flags == {"reports_overlap"}


def test_of_an_event_told_twice_the_more_complete_then_later_report_is_believed():
    old, new = report("1", {"a": 5.0}, written="1"), report("2", {"a": 6.0}, written="2")
    merged = merge_reports([new, old])
    assert merged.totals[TOTAL] == 6.0
    assert "event_differs" in merged.flags
    assert merged.events[0]["flags"] == {"event_differs"}
    whole = report("0", {"a": 4.0, "b": 1.0}, written="0")
    assert merge_reports([new, whole]).totals[TOTAL] == 5.0


@pytest.mark.parametrize(
    ("events", "total", "stated", "used", "flag"),
    [
        ({"a": 5.0, "b": 7.0}, 12.0, 2, 12.0, None),
        ({"a": 5.0, "b": 7.0}, 12.005, 2, 12.005, None),  # both are rounded
        ({"a": 5.0, "b": 7.0}, None, 2, 12.0, "total_missing"),
        ({"a": 5.0, "b": 7.0}, 0.0, 2, 12.0, "total_zero"),
        ({"a": 5.0, "b": 7.0}, 20.0, 2, 12.0, "total_differs"),
        ({"a": 5.0, "b": 7.0}, 20.0, 3, 20.0, "events_missing"),
        ({"a": 5.0, "b": None}, 20.0, 2, 20.0, "events_missing"),
        ({"a": 5.0, "b": 5.0}, 5.0, 1, 5.0, "events_repeated"),
        ({"a": 0.0, "b": 0.0}, 20.0, 2, 20.0, "events_zero"),
        ({"a": None, "b": None}, 20.0, 2, 20.0, None),
        ({"a": None}, None, 1, None, None),
        ({}, 20.0, 0, 20.0, None),
    ],
)
def test_a_report_that_contradicts_itself_is_flagged_and_one_figure_is_used(
    events, total, stated, used, flag
):
    merged = merge_reports([report("1", events, total=total, stated=stated)])
    assert merged.totals.get(TOTAL) == used
    assert merged.flags == ({flag} if flag else set())


def test_a_report_given_twice_counts_once():
    one = report("1", {"a": 5.0}, total=5.0)
    merged = merge_reports([one, one])
    assert merged.totals[TOTAL] == 5.0
    assert merged.counted == {"duplicate_report": 1}


def test_an_event_listed_twice_counts_once_and_a_reused_uid_twice():
    twice = report("1", {"a": 5.0})
    twice.events += [dict(twice.events[0])]
    assert merge_reports([twice]).totals[TOTAL] == 5.0
    assert merge_reports([twice]).counted == {"duplicate_event": 1}
    reused = report("1", {"a": 5.0})
    reused.events += [reused.events[0] | {"dlp_mgy_cm": 7.0}]
    merged = merge_reports([reused])
    assert merged.totals[TOTAL] == 12.0
    assert "event_uid_reused" in merged.flags


def test_events_without_uid_of_a_later_report_do_not_add_twice():
    early, late = report("1", [5.0], total=5.0), report("2", [5.0, 5.0, 7.0], total=17.0)
    merged = merge_reports([early, late])
    assert merged.totals[TOTAL] == 17.0
    assert "event_without_uid" in merged.flags


@pytest.mark.parametrize("early", [{"a": 5.0}, [5.0]])
@pytest.mark.parametrize("late", [[5.0, 7.0], [5.0, 5.0, 7.0]])
def test_a_cumulative_report_that_repeats_events_without_uids_is_not_doubled(early, late):
    reports = [
        report("1", early, total=5.0, stated=1, written="1"),
        report("2", late, total=12.0, stated=2, written="2"),
    ]
    for order in (reports, reports[::-1]):
        merged = merge_reports(order)
        assert merged.totals[TOTAL] == 12.0
        assert merged.counted == {"earlier_report": 1}
        assert ("events_repeated" in merged.flags) == (len(late) > 2)
        assert "event_differs" not in merged.flags
        assert [e.get("event_uid") for e in merged.events].count("a") == (early == {"a": 5.0})


def test_an_event_is_not_named_after_another_of_its_own_report():
    both = report("1", {"a": 5.0})
    both.events += report("", [5.0]).events
    assert merge_reports([both]).totals[TOTAL] == 10.0
    other = report("2", {"a": 5.0, "b": 5.0})
    assert merge_reports([both, other]).totals[TOTAL] == 10.0


def test_planes_of_one_event_are_two():
    both = Report("projection", "1", events=[
        {"event_uid": "a", "plane": p, "dap_gy_cm2": 2.0, "flags": set()} for p in "AB"
    ])  # fmt: skip
    assert merge_reports([both]).totals == {"dap_total_gy_cm2": 4.0}


values = st.one_of(st.none(), st.sampled_from([0.0, 1.0, 2.5, 7.46]), st.floats(0, 1000))
one = st.builds(
    report,
    st.sampled_from([*"12345", ""]),
    st.one_of(
        st.dictionaries(st.sampled_from("abcde"), values, max_size=5), st.lists(values, max_size=3)
    ),
    total=values,
    stated=st.one_of(st.none(), st.integers(0, 6)),
    written=st.sampled_from(["", "1", "2"]),
)


@given(st.lists(one, min_size=1, max_size=5), st.randoms())
def test_any_order_of_reports_gives_the_same(reports, dice):
    shuffled = list(reports)
    dice.shuffle(shuffled)
    assert outcome(merge_reports(shuffled)) == outcome(merge_reports(reports))


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0.1, 500), min_size=1),
    st.lists(st.integers(1, 8), max_size=6),
    st.integers(),
)
def test_any_cumulative_reports_end_at_the_last(events, sizes, seed):
    names = sorted(events)
    parts = [{n: events[n] for n in names[:size]} for size in [*sizes, len(names)]]
    reports = [report(str(i), part, total=fsum(part.values())) for i, part in enumerate(parts)]
    random.Random(seed).shuffle(reports)
    merged = merge_reports(reports)
    assert merged.totals[TOTAL] == pytest.approx(fsum(events.values()))
    assert {e["event_uid"] for e in merged.events} == set(events)


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0.1, 500), min_size=2), st.randoms())
def test_any_events_shared_out_among_reports_add_up(events, dice):
    parts = {}
    for name, value in events.items():
        parts.setdefault(dice.choice("123"), {})[name] = value
    merged = merge_reports([report(uid, part) for uid, part in parts.items()])
    assert merged.totals[TOTAL] == pytest.approx(fsum(events.values()))
