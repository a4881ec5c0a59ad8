"""Server reader: what a scan asks of any server, and what it gets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl

from workbench.archive.server_listing import ListedExam
from workbench.dicom.attributes import STORED_SCHEMA
from workbench.dicom.columns import SCHEMA
from workbench.dicom.refusals import Refused
from workbench.dicom.rows import to_rows

ENDING = ".exam"
"""Ending of an exam's name in the catalog."""
NOT_GIVEN = "not_given"
"""Reason why an instance that a server lists is not in the catalog: it did not give it."""


@dataclass(frozen=True)
class ExamRead:
    """What was read of one exam.

    Parameters
    ----------
    stored
        For each instance that a server described: columns of `attributes.STORED_SCHEMA`.
    rows
        Rows of instances that were read from files.
    refused
        What the server lists and does not give, or gives unreadably.
    """

    stored: Sequence[dict[str, Any]] = field(default=(), repr=False)
    rows: Sequence[pl.DataFrame] = field(default=(), repr=False)
    refused: Sequence[Refused] = ()

    @property
    def whole(self) -> bool:
        """Whether the server gave all that it lists."""
        return all(r.reason != NOT_GIVEN for r in self.refused)

    @property
    def instances(self) -> int:
        """Number of instances that can be told of."""
        return len(self.stored) + sum(map(len, self.rows))


class ServerReader(Protocol):
    """A server, connected."""

    def list_exams(self) -> Iterator[ListedExam]:
        """Yield every exam once."""

    def read_exam(self, exam: ListedExam) -> ExamRead:
        """Return what the server tells of an exam."""


def name_of(exam_uid: str, series_uid: str = "", instance_uid: str = "") -> str:
    """Return the path of an exam, a series or an instance in the catalog.

    Examples
    --------
    >>> name_of("1.2"), name_of("1.2", "1.2.3"), name_of("1.2", "1.2.3", "1.2.3.4")
    ('1.2.exam', '1.2.exam!1.2.3', '1.2.exam!1.2.3/1.2.3.4')
    """
    inner = "/".join(uid for uid in (series_uid, instance_uid) if uid)
    return f"{exam_uid}{ENDING}!{inner}" if inner else f"{exam_uid}{ENDING}"


def count_missing(
    exam: ListedExam, given: int, refused: Sequence[Refused], *, whole: bool
) -> list[Refused]:
    """Return one refusal for what a server told of and nobody can name.

    Parameters
    ----------
    exam
        The exam, with the number of instances that the server told.
    given
        Number of its instances that the server gave.
    refused
        What is refused of it by name.
    whole
        Whether the server told all names that it has.

    Examples
    --------
    >>> count_missing(ListedExam("1.2", "", 5), 3, [], whole=True)
    [Refused(path='1.2.exam!?/?', reason='not_given', detail='5 told, 3 given')]
    >>> count_missing(ListedExam("1.2", "", 3), 3, [], whole=False)
    []
    """
    if exam.instances is None:
        short, told = not whole, "number not"
    else:
        short, told = exam.instances > given + len(refused), f"{exam.instances:,}"
    place = name_of(exam.exam_uid, "?", "?")
    return [Refused(place, NOT_GIVEN, f"{told} told, {given:,} given")] if short else []


UNLISTED_READ = ExamRead(
    refused=(Refused(name_of(""), NOT_GIVEN, "exams without UID or date: some cannot be listed"),)
)
"""What is read of `server_listing.UNLISTED`."""


def rows_of(exams: Sequence[ExamRead], names: Sequence[str]) -> pl.DataFrame:
    """Return the rows of many exams, without size and time: a server has no files.

    Parameters
    ----------
    exams
        What was read.
    names
        UID by which each was asked for.

    Returns
    -------
    polars.DataFrame
        Columns of `columns.SCHEMA`; a row that a server gives twice is there once.
    """
    stored = [values for exam in exams for values in exam.stored]
    told_of = [name for name, exam in zip(names, exams, strict=True) for _ in exam.stored]
    tables = [_named(to_rows(pl.DataFrame(stored, schema=STORED_SCHEMA)), told_of)]
    for name, exam in zip(names, exams, strict=True):
        tables += [_named(rows, [name] * len(rows)) for rows in exam.rows]
    return pl.concat(tables).unique(maintain_order=True)


def _named(rows: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    exam = pl.Series(names, dtype=pl.String)
    path = pl.format(f"{{}}{ENDING}!{{}}/{{}}", exam, "series_uid", "instance_uid")
    none = [pl.lit(None, SCHEMA[name]).alias(name) for name in ("size", "mtime_ns")]
    return rows.with_columns(path.alias("path"), *none).select(SCHEMA.names())
