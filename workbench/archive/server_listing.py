"""Server listing: all exams that a server says it has, however few it tells at once."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.errors import SiteError

FIRST_DAY = dt.date(1900, 1, 1)
"""Before the first exam that was stored anywhere."""
_PASSING = ("00081190", "00080056")
"""Tags of the address and of online or nearline: they change though the exam does not."""
_UID = re.compile(r"[0-9A-Za-z._-]{1,64}", re.ASCII)

Dates = tuple[dt.date, dt.date]
"""First and last day."""


@dataclass(frozen=True)
class ListedExam:
    """Name an exam of a server.

    Parameters
    ----------
    exam_uid
        The exam.
    mark
        Digest of all that the server tells of the exam when it lists it. As long as it is the
        same, the exam is not read again.
    instances
        Number of its instances, as the server tells it; None if it does not.
    """

    exam_uid: str
    mark: str
    instances: int | None = None


Told = Generator[ListedExam, None, bool]
"""Exams, as a server tells them; returns at the end whether it has no more."""


UNLISTED = ListedExam("", "0" * 32)
"""Stands for exams that a server has and nobody can ask for: without UID, or without date."""


def is_uid(text: str) -> bool:
    """Return whether a text can stand in an address as a UID.

    Servers hold UIDs that DICOM does not allow; a slash or a question mark would lead elsewhere.

    Examples
    --------
    >>> is_uid("1.2.840.10008"), is_uid("1.2/../3"), is_uid("")
    (True, False, False)
    """
    return _UID.fullmatch(text) is not None


def make_mark(told: Mapping[str, Any]) -> str:
    """Return the digest of what a server tells of an exam.

    Examples
    --------
    >>> make_mark({"a": 1, "b": 2}) == make_mark({"b": 2, "a": 1}) != make_mark({"a": 1})
    True
    """
    kept = {key: value for key, value in told.items() if key not in _PASSING}
    text = json.dumps(kept, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def list_all(
    ask: Callable[[Dates | None], Told], today: dt.date | None = None
) -> Iterator[ListedExam]:
    """Yield every exam of a server once, in the order in which it tells them.

    A server that does not tell all at once is asked again for shorter and shorter spans of dates.
    Exams without a date are then only those that it told at first: `UNLISTED` stands for the rest.

    Parameters
    ----------
    ask
        Tell the exams of a span of dates; of all, those without a date too, for None.
    today
        No exam is from later than a day after it; by default the day that it is.

    Raises
    ------
    SiteError
        If the server does not even tell all exams of one day.
    """
    seen: set[str] = set()
    last = (today or dt.datetime.now(dt.UTC).date()) + dt.timedelta(days=1)
    waiting: list[Dates | None] = [None]
    while waiting:
        dates = waiting.pop()
        whole = yield from _leave_out(seen, ask(dates))
        if whole:
            continue
        if dates is None:
            yield from _leave_out(seen, _tell(UNLISTED))
        first, end = dates or (FIRST_DAY, last)
        if dates is not None and first == end:
            raise SiteError(
                "The server does not list all exams of one day",
                where="archive.page",
                todo="Write a larger page, or raise the server's limit of results",
            )
        middle = first + (end - first) // 2
        waiting += [(middle + dt.timedelta(days=1), end), (first, middle)]


def _leave_out(seen: set[str], told: Told) -> Told:
    """Yield the exams that were not told before."""
    while True:
        try:
            exam = next(told)
        except StopIteration as end:
            return bool(end.value)
        if exam.exam_uid not in seen:
            seen.add(exam.exam_uid)
            yield exam


def _tell(exam: ListedExam) -> Told:
    yield exam
    return True
