"""Servers that do not tell all at once."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.archive.server_listing import UNLISTED, ListedExam, list_all, make_mark
from workbench.errors import SiteError

TODAY = dt.date(2026, 11, 22)
DAYS = st.dates(dt.date(2026, 10, 1), TODAY) | st.dates(dt.date(1900, 1, 1), TODAY)


def server(days, most):
    """Return a server that tells `most` exams at once."""
    exams = [(ListedExam(f"1.{n}", "0"), day) for n, day in enumerate(days)]

    def ask(dates):
        found = [
            e for e, day in exams
            if dates is None or (day is not None and dates[0] <= day <= dates[1])
        ]  # fmt: skip
        yield from found[:most]
        return len(found) <= most

    return ask


@given(days=st.lists(st.none() | DAYS, max_size=40), most=st.integers(40, 50))
def test_a_server_that_tells_all_is_asked_once(days, most):
    told = list(list_all(server(days, most), TODAY))
    assert [e.exam_uid for e in told] == [f"1.{n}" for n in range(len(days))]


@given(days=st.lists(st.none() | DAYS, max_size=40, unique=True), most=st.integers(1, 10))
def test_every_exam_with_a_date_is_found_once(days, most):
    told = [e.exam_uid for e in list_all(server(days, most), TODAY)]
    assert len(set(told)) == len(told)
    assert {f"1.{n}" for n, day in enumerate(days) if day is not None} <= set(told)
    assert (UNLISTED.exam_uid in told) == (len(days) > most)


def test_a_day_that_is_not_told_whole_is_refused():
    with pytest.raises(SiteError, match="one day"):
        list(list_all(server([TODAY] * 3, 2), TODAY))


def test_a_mark_does_not_follow_where_an_exam_lies():
    told = {"0020000D": {"vr": "UI", "Value": ["1.2"]}, "00201208": {"vr": "IS", "Value": [3]}}
    moved = told | {"00081190": {"vr": "UR", "Value": ["http://x"]}, "00080056": {"vr": "CS"}}
    assert make_mark(told) == make_mark(moved)
    assert make_mark(told) != make_mark(told | {"00201208": {"vr": "IS", "Value": [4]}})
