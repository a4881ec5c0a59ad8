"""Report: the totals and events of one dose report, by template and code.

No vendor is asked for. A container says by its concept name what it holds, wherever it stands in
the tree, and a number is what its code says in the unit that its unit says.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import fsum, isfinite
from typing import Any

from workbench.dose_reports import concepts as c
from workbench.dose_reports.content import Content, Item
from workbench.dose_reports.limits import find_fault, is_possible
from workbench.dose_reports.units import convert
from workbench.imaging.times import moment_of

KINDS = ("ct", "projection", "radiopharmaceutical")
_CONTAINERS = {
    c.CT_ACQUISITION: ("ct", "event"),
    c.CT_ACCUMULATED: ("ct", "total"),
    c.PROJECTION_EVENT: ("projection", "event"),
    c.PROJECTION_ACCUMULATED: ("projection", "total"),
    c.ADMINISTRATION: ("radiopharmaceutical", "event"),
}
_WORDS: dict[str, tuple[str, Mapping[str, Any]]] = {
    c.PROTOCOL: ("protocol", {}),
    c.PHANTOM: ("phantom_cm", c.PHANTOMS),
    c.PLANE: ("plane", c.PLANES),
    **dict.fromkeys(c.EVENT_TYPES, ("acquisition_type", c.TYPES)),
    **dict.fromkeys(c.AGENT, ("radiopharmaceutical", {})),
}
"""Concept -> column, and what its codes stand for; the meaning as it is stored without."""
_UID = re.compile(r"[0-9]{1,32}(?:\.[0-9]{1,60}){1,31}", re.ASCII)


@dataclass
class Report:
    """Hold what one report, or the images of one exam, say of one kind of irradiation.

    Parameters
    ----------
    kind
        One of `KINDS`.
    report_uid
        UID of the report; "" for images.
    written
        When it was written, as digits.
    modality
        Modality of the irradiation.
    stated_events
        Number of events that the report states, or None.
    weight_kg
        Weight of the patient, or None.
    totals
        Column of `tables.EXAMS` -> what the report states.
    events
        Columns of `tables.EVENTS` of each event, without what is missing.
    flags
        Keys of `tables.FLAGS`.
    faults
        Key of `tables.RULES` -> how often.
    """

    kind: str
    report_uid: str = ""
    written: str = ""
    modality: str = ""
    stated_events: int | None = None
    weight_kg: float | None = None
    totals: dict[str, float] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    faults: Counter[str] = field(default_factory=Counter)


def is_dose_report(content: Content) -> bool:
    """Return whether a structured report is one of dose: by its title, or by what it contains."""
    titles = (c.DOSE_REPORT, c.RADIOPHARMACEUTICAL_REPORT)
    return content.root.concept in titles or any(True for _ in _containers(content.root))


def read_report(content: Content, report_uid: str, latest: datetime) -> list[Report]:
    """Return what a dose report says, one for each kind of irradiation in it.

    Parameters
    ----------
    content
        Content of the file.
    report_uid
        Its instance UID.
    latest
        Time after which nothing can have been.
    """
    reports: dict[str, Report] = {}
    for item in _containers(content.root):
        kind, what = _CONTAINERS[item.concept]
        report = reports.setdefault(kind, Report(kind, report_uid, content.written))
        if what == "total":
            _add_totals(report, item)
        else:
            report.events.append(_Reading(report, latest).read_event(item))
    procedure = content.root.find(c.PROCEDURE)
    for report in reports.values():
        stated = Item("", "NUM", value=content.weight, unit="kg", unit_scheme="UCUM")
        report.weight_kg = _number(report, stated, "weight_kg", report.flags) or None
        mammography = procedure is not None and procedure.value in c.MAMMOGRAPHY
        report.modality = _modality(report, mammography=mammography)
        for event in report.events:
            event["modality"] = report.modality
    return [reports[kind] for kind in KINDS if kind in reports]


def _containers(item: Item) -> Iterator[Item]:
    """Yield the containers of events and totals, none inside another."""
    for child in item.items:
        if child.concept in _CONTAINERS and child.kind == "CONTAINER":
            yield child
        else:
            yield from _containers(child)


def _descend(item: Item, *, within: str = "") -> Iterator[tuple[Item, str]]:
    """Yield every item below, with the concept of the container that holds it."""
    for child in item.items:
        yield child, within
        yield from _descend(child, within=child.concept if child.kind == "CONTAINER" else within)


def _modality(report: Report, *, mammography: bool) -> str:
    if report.kind == "ct":
        return "CT"
    if report.kind == "radiopharmaceutical":
        return "NM"
    agd = any("agd_mgy" in e for e in report.events)
    if mammography or agd or {"agd_left_mgy", "agd_right_mgy"} & report.totals.keys():
        return "MG"
    fluoroscopy = any(e.get("acquisition_type") == "Fluoroscopy" for e in report.events)
    return "RF" if fluoroscopy or report.totals.get("fluoro_time_s") else "DX"


def _number(report: Report, item: Item, column: str, flags: set[str]) -> float | None:
    """Return a number in the unit of a column, or None if it is missing or refused."""
    text = item.value
    if not text and item.number is not None:
        text = repr(item.number) if isfinite(item.number) else "not finite"
    if not text:
        return None
    found = convert(text, item.unit, column, item.unit_scheme)
    fault = found.fault
    if found.value is not None:
        fault = find_fault(column, found.value)
    if fault:
        report.faults[fault] += 1
        flags.add("value_refused")
        return None
    if found.quirk:
        flags.add(found.quirk)
    return found.value


def _add_totals(report: Report, container: Item) -> None:
    """Add accumulated dose data; those of several planes are added up."""
    stated: dict[str, float] = {}
    for item, _ in _descend(container):
        if item.kind != "NUM":
            continue
        if item.concept == c.STATED_EVENTS:
            if item.value.isascii() and item.value.isdigit() and len(item.value) < 7:
                report.stated_events = (report.stated_events or 0) + int(item.value)
            continue
        column = c.TOTALS.get(item.concept, "")
        if item.concept == c.ACCUMULATED_AGD:
            column = {"L": "agd_left_mgy", "R": "agd_right_mgy"}.get(_side(item), "")
        if column and column not in stated:
            value = _number(report, item, column, report.flags)
            if value is not None:
                stated[column] = value
    for column, value in stated.items():
        if column in report.totals and report.kind == "projection":
            report.flags.add("biplane")
        report.totals[column] = fsum((report.totals.get(column, 0.0), value))


def _side(item: Item) -> str:
    found = (c.SIDES.get(i.value, "") for i, _ in _descend(item) if i.concept in c.LATERALITY)
    return next((side for side in found if side), "")


@dataclass
class _Reading:
    report: Report
    latest: datetime

    def read_event(self, container: Item) -> dict[str, Any]:
        """Return the columns of one event."""
        flags: set[str] = set()
        event: dict[str, Any] = {}
        numbers: dict[str, list[float]] = {}
        sources = 0
        for item, within in _descend(container):
            concept = item.concept
            if concept == c.CT_SOURCE:
                sources += 1
            elif item.kind == "NUM" and concept in c.NUMBERS:
                if within == c.CT_SOURCE and sources > 1:
                    continue
                column = c.NUMBERS[concept]
                value = _number(self.report, item, column, flags)
                if value is not None:
                    numbers.setdefault(column, []).append(value)
            elif concept and item.value:
                self._add_word(event, item, flags)
        for column, values in numbers.items():
            event[column] = fsum(values) / len(values) if column in c.AVERAGED else values[0]
        if sources > 1:
            flags.add("several_sources")
        if side := _side(container):
            event["laterality"] = side
        event["flags"] = flags
        self.report.flags |= flags
        return event

    def _add_word(self, event: dict[str, Any], item: Item, flags: set[str]) -> None:
        """Add what an item says that is no number."""
        concept, value = item.concept, item.value
        if concept in c.EVENT_UIDS:
            if _UID.fullmatch(value) and len(value) <= 64 and "event_uid" not in event:
                event["event_uid"] = value
                flags |= set() if item.kind == "UIDREF" else {"uid_as_text"}
        elif concept in c.EVENT_TIMES:
            self._add_time(event, value, flags)
        elif concept == c.REGION or (concept in c.ANATOMY and "target_region" not in event):
            event["target_region"] = item.meaning or value
            if item.kind == "CODE":
                event["target_region_code"] = value
        elif concept in _WORDS:
            column, terms = _WORDS[concept]
            found = terms.get(value) if terms else item.meaning or value
            if concept in c.EVENT_TYPES:
                found = found or item.meaning or value
            if found:
                event.setdefault(column, found)

    def _add_time(self, event: dict[str, Any], value: str, flags: set[str]) -> None:
        moment = local_time(value)
        if moment is not None and is_possible(moment, self.latest):
            event.setdefault("event_time", moment)
        elif moment is not None:
            self.report.faults["time_not_possible"] += 1
            flags.add("value_refused")


def local_time(text: str) -> datetime | None:
    """Return a DICOM date and time as the clock showed it; None if it is none.

    An offset from UTC is left out: the exam's own time is what opening hours and days are about.

    Examples
    --------
    >>> local_time("19970101000631.737+0000")
    datetime.datetime(1997, 1, 1, 0, 6, 31, 737000)
    >>> local_time("today") is None
    True
    """
    plain = re.split("[+-]", text.strip(" \0"), maxsplit=1)[0]
    moment = moment_of(plain)
    if not moment.known:
        return None
    epoch = datetime(1970, 1, 1)  # noqa: DTZ001 - a clock on the wall has no zone
    return epoch + timedelta(microseconds=round(moment.seconds * 1e6))
