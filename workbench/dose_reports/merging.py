"""Merging: several reports of one exam, told apart by the UIDs of their events.

A report that holds all events of another replaces it, reports without a common event add up, and
whatever the order in which they are given, the outcome is the same. Of an event that two reports
tell differently the report with more events is believed, then the one written later. An event
without UID is that of the same values in another report, with a UID or without.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import fsum
from typing import Any

from workbench.dose_reports.concepts import EVENT_VALUES
from workbench.dose_reports.report import Report

TOLERANCE = 0.005
"""Total and sum of events may differ by this share: both are rounded."""
ROUNDING_MGY_CM = 0.005
"""Each event of CT may be rounded by so much."""
_SIDES = {"agd_left_mgy": "L", "agd_right_mgy": "R"}
_TOTALS = (*EVENT_VALUES, *_SIDES, "fluoro_time_s")
STATED = tuple(t for t in _TOTALS if t != "activity_total_mbq")
"""Totals that a report has a place for."""
Key = tuple[str, ...]


@dataclass
class Merged:
    """Hold what all reports of one exam and one kind say together.

    Parameters
    ----------
    reports
        Those that are used, the most complete first.
    totals, events, flags
        As for `report.Report`.
    counted
        Key of `tables.RULES` -> how often.
    """

    reports: list[Report]
    totals: dict[str, float] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    counted: Counter[str] = field(default_factory=Counter)


def merge_reports(reports: Sequence[Report]) -> Merged:
    """Return what several reports of one exam and one kind say together.

    Parameters
    ----------
    reports
        At least one; in any order.

    Examples
    --------
    >>> def report(uid, **dlp):
    ...     events = [{"event_uid": u, "dlp_mgy_cm": v, "flags": set()} for u, v in dlp.items()]
    ...     return Report("ct", uid, events=events)
    >>> early, late, other = report("1", a=7.5), report("2", a=7.5, b=70.0), report("3", c=2.5)
    >>> merge_reports([late, early]).totals, merge_reports([early, other]).totals
    ({'dlp_total_mgy_cm': 77.5}, {'dlp_total_mgy_cm': 10.0})
    """
    told = [_Told.of(report) for report in reports]
    _name_events(told)
    told.sort(key=lambda t: t.rank, reverse=True)
    merged = Merged([])
    uids: set[str] = set()
    kept: list[_Told] = []
    for one in told:
        uid = one.report.report_uid
        # Without an event it adds nothing that can be told from what is known already.
        if any(one.events.keys() <= other.events.keys() for other in kept):
            twice = uid and uid in uids
            merged.counted["duplicate_report" if twice else "earlier_report"] += 1
        else:
            kept.append(one)
        uids.add(uid)
    _merge_events(merged, kept, told)
    merged.reports = [one.report for one in kept]
    for one in kept:
        merged.counted.update(one.counted)
        merged.flags |= one.flags | one.report.flags
    if len(merged.events) < sum(len(one.events) for one in kept):
        merged.flags.add("reports_overlap")
        merged.totals = {t: v for t in _TOTALS if (v := _sum_events(t, merged.events)) is not None}
        return merged
    resolved = [_resolve(one, merged.flags) for one in kept]
    for total in _TOTALS:
        values = [r[total] for r in resolved if total in r]
        if values:
            merged.totals[total] = fsum(values)
    return merged


@dataclass
class _Told:
    """Hold the events of a report by what tells them from others."""

    report: Report
    events: dict[Key, dict[str, Any]]
    rank: tuple[int, str, str, str]
    flags: set[str]
    counted: Counter[str]

    @classmethod
    def of(cls, report: Report) -> _Told:
        told = cls(report, {}, (0, "", "", ""), set(), Counter(report.faults))
        seen: Counter[Key] = Counter()
        alike: set[Key] = set()
        for event in report.events:
            uid = event.get("event_uid")
            values = _digest([event])
            name = (uid, event.get("plane", "")) if uid else (values, "no uid")
            if uid and (*name, values) in alike:
                told.counted["duplicate_event"] += 1
                continue
            if not uid:
                told.flags.add("event_without_uid")
            elif seen[name]:
                told.flags.add("event_uid_reused")
            told.events[*name, str(seen[name])] = event
            alike.add((*name, values))
            seen[name] += 1
        # Totals and flags are part of it, so that no two reports that differ have one rank.
        stated = {"stated": report.stated_events, "own": sorted(report.flags), **report.totals}
        digest = _digest([stated, *report.events])
        told.rank = (len(told.events), report.written, report.report_uid, digest)
        return told


def _name_events(told: Sequence[_Told]) -> None:
    """Give an event without UID that of the same values in another report, which tells it too."""
    named: defaultdict[str, set[Key]] = defaultdict(set)
    for one in told:
        for key, event in one.events.items():
            if event.get("event_uid"):
                named[_digest([event | {"event_uid": None}])].add(key)
    for one in told:
        free: dict[str, Iterator[Key]] = {}
        events: dict[Key, dict[str, Any]] = {}
        for key, event in one.events.items():
            known = None
            if not event.get("event_uid"):
                values = _digest([event | {"event_uid": None}])
                if values not in free:
                    free[values] = iter(sorted(named.get(values, set()) - one.events.keys()))
                known = next(free[values], None)
            events[known or key] = event | {"event_uid": known[0]} if known else event
        one.events = events


def _values(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "flags"}


def _digest(events: Sequence[dict[str, Any]]) -> str:
    told = [sorted((name, str(value)) for name, value in _values(e).items()) for e in events]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _merge_events(merged: Merged, kept: Sequence[_Told], told: Sequence[_Told]) -> None:
    """Add the events of all reports, each as the first report that holds it tells it."""
    first: dict[Key, dict[str, Any]] = {}
    for one in kept:
        for key, event in one.events.items():
            first.setdefault(key, event)
    merged.events = [dict(event) for event in first.values()]
    events = dict(zip(first, merged.events, strict=True))
    for one in told:
        for key, event in one.events.items():
            if _values(event) != _values(first[key]):
                events[key]["flags"] = events[key]["flags"] | {"event_differs"}
                merged.flags.add("event_differs")


def _sum_events(total: str, events: Sequence[dict[str, Any]]) -> float | None:
    """Return the sum of what the events of a total state; None if none states anything."""
    if side := _SIDES.get(total):
        values = [e["agd_mgy"] for e in events if "agd_mgy" in e and e.get("laterality") == side]
    elif column := EVENT_VALUES.get(total):
        values = [e[column] for e in events if column in e]
    else:
        return None
    return fsum(values) if values else None


def _resolve(told: _Told, flags: set[str]) -> dict[str, float]:
    """Return the totals of one report: what it states, or the sum of its events; say which."""
    found = {}
    for total in _TOTALS:
        stated, events = told.report.totals.get(total), list(told.events.values())
        value = _sum_events(total, events)
        if stated is None or value is None:
            if stated is None and value is not None and total in STATED:
                flags.add("total_missing")
            chosen = value if stated is None else stated
        else:
            chosen, flag = _choose(total, stated, value, told)
            flags |= {flag} - {""}
        if chosen is not None:
            found[total] = chosen
    return found


def _choose(total: str, stated: float, value: float, told: _Told) -> tuple[float, str]:
    """Return which of total and sum of events is used, and the flag that says why."""
    rounding = ROUNDING_MGY_CM * len(told.events) if total == "dlp_total_mgy_cm" else 0.0
    if abs(stated - value) <= max(TOLERANCE * abs(stated), rounding):
        return stated, ""
    if stated == 0:
        return value, "total_zero"
    if value == 0:
        return stated, "events_zero"
    column = EVENT_VALUES.get(total, "agd_mgy")
    number = told.report.stated_events
    if number is not None and len(told.events) > number:
        return stated, "events_repeated"  # an earlier report's, which nothing tells from the others
    listed = number is None or len(told.events) == number
    if listed and all(column in event for event in told.events.values()):
        return value, "total_differs"
    return stated, "events_missing"
