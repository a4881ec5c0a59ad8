"""Series tables: what the columns of a table mean, and which values of theirs cannot be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from workbench.archive.table_file import (
    locate_table,
    name_of,
    open_table_file,
    refuse_ragged,
    refusing,
)
from workbench.errors import SiteError, show, suggest
from workbench.unreadable import DECIMAL_COMMA, HEADER, REPEATED, UnreadableError

IDENTIFIERS = ("exam_uid", "patient_id", "series_uid")
NUMBERS = {"instances": pl.Int64(), "megabytes": pl.Float64()}
REQUIRED = ("exam_uid", "patient_id", "modality")
LONGEST_IDENTIFIER = 256
LONGEST_TEXT = 10_000
LARGEST = 2.0**40
"""What is more counts as this, and what is below 0 as -1: who makes exams judges both."""
FIRST_ROWS = 1_000
"""Rows that are read when a table is opened, so that a wrong format is met at once."""
ROWS_PER_PASS = 20_000_000
"""Rows whose digests are held in memory together, to find those that are repeated."""
_CONTROL = "[\x00-\x1f\x7f-\x9f]"
_SEPARATORS = r"[\\;,|/+]"
_COLUMN_NAME = re.compile(r"[^\W\d](?!.*\d{3})[\w .-]{0,63}")
_WITH_COMMA = r"^\s*\d+,\d+\s*$"
_DIGEST = pl.struct(pl.all()).hash(seed=0)
"""Stands for all that a row holds."""


@dataclass(frozen=True)
class SeriesTable:
    """Hold a table that was opened: where it is, and which of its columns are used.

    Parameters
    ----------
    path
        The file.
    raw
        Its rows, unread.
    columns
        Our column to the file's.
    level
        "series" for one row a series, "exam" for one row an exam.
    notes
        Which columns are not there, and which are ignored.
    separator
        What stands between the cells of a CSV file; "" for Parquet.
    """

    path: Path
    raw: pl.LazyFrame = field(repr=False)
    columns: Mapping[str, str]
    level: str
    ours: tuple[str, ...]
    notes: tuple[str, ...]
    separator: str = ""

    def scan(self) -> pl.LazyFrame:
        """Return one row a series with all our columns; what the file lacks is null.

        A series that stands twice counts once; where its rows differ, the smaller value counts.
        A row without `series_uid` counts once if it is repeated exactly.
        At level "exam" a row with several modalities (`PT/CT`) becomes one row for each, with
        the images on the first.
        """
        schema = self.raw.collect_schema()
        read = {o: _read(o, f, schema[f]) for o, f in self.columns.items()}
        absent = {o: pl.lit(None, NUMBERS.get(o, pl.String())) for o in self.ours if o not in read}
        frame = self.raw.select(**read, digest=_DIGEST).with_columns(**absent)
        if self.level == "exam":
            parts = (
                frame.select(self.ours)
                .unique()
                .with_columns(pl.col("modality").str.replace_all(_SEPARATORS, "|").str.split("|"))
            )
            first = parts.with_columns(pl.col("modality").list.first())
            rest = parts.with_columns(
                pl.col("modality").list.slice(1), **{n: pl.lit(None, t) for n, t in NUMBERS.items()}
            ).explode("modality", empty_as_null=False)
            return pl.concat([first, rest.drop_nulls("modality")])
        named = pl.col("series_uid").is_not_null()
        unnamed = frame.filter(~named) if "series_uid" in self.columns else frame
        if not self._summed:
            # By patient as well, so that who asks for some patients holds only theirs.
            unnamed = unnamed.unique(["patient_id", "digest"])
        unnamed = unnamed.select(self.ours)
        if "series_uid" not in self.columns:
            return unnamed
        series = frame.select(self.ours).filter(named)
        once = series.group_by("exam_uid", "patient_id", "series_uid").agg(pl.all().min())
        return pl.concat([unnamed, once.select(self.ours)])

    @property
    def _summed(self) -> list[str]:
        return [name for name in NUMBERS if name in self.columns]

    def validate(self) -> None:
        """Read every value once.

        Raises
        ------
        UnreadableError
            If a value cannot be what the column says, or a row is longer or shorter than the
            header; row and column are named, the value is not.
        SiteError
            If the file breaks off or is not UTF-8, or rows that are repeated would be added up.
        """
        if self.separator:
            refuse_ragged(self.path, self.separator)
        self._validate(self.raw)
        summed = self._summed
        if summed and (repeated := self.count_repeated()):
            is_are = "row is" if repeated == 1 else "rows are"
            raise SiteError(
                f"{repeated:,} {is_are} repeated exactly",
                where=f"{name_of(self.path)}, which has {' and '.join(summed)} "
                "in rows without series_uid",
                todo=REPEATED,
            )

    def validate_start(self) -> None:
        """Read the first rows, as `validate` does all.

        Raises
        ------
        UnreadableError
            If a value there cannot be what the column says.
        SiteError
            If there are no rows, or they cannot be read.
        """
        with refusing(self.path):
            first = self.raw.head(FIRST_ROWS).collect()
        if first.is_empty():
            raise SiteError(
                "The table has no rows",
                where=name_of(self.path),
                todo="Write one row an exam" if self.level == "exam" else "Write one row a series",
            )
        self._validate(first.lazy())

    def count_repeated(self) -> int:
        """Return how many rows without `series_uid` repeat an earlier one in every column.

        Rows without exam or patient are left out anyway, and not counted. Rows are compared by
        digests of 64 bit, so many at a time that memory stays bounded.
        """
        if self.level == "exam":
            return 0
        with refusing(self.path):
            schema = self.raw.collect_schema()
            stated = {
                ours: _read(ours, self.columns[ours], schema[self.columns[ours]]).is_not_null()
                for ours in IDENTIFIERS
                if ours in self.columns
            }
            counted = stated["exam_uid"] & stated["patient_id"]
            if "series_uid" in stated:
                counted &= ~stated["series_uid"]
            rows = self.raw.filter(counted)
            size = int(rows.select(pl.len()).collect(engine="streaming").item())
            digests, distinct = rows.select(digest=_DIGEST), 0
            passes = -(-size // ROWS_PER_PASS)
            for number in range(passes):
                some = digests.filter(pl.col("digest") % passes == number)
                found = some.select(pl.col("digest").n_unique()).collect(engine="streaming")
                distinct += int(found.item())
        return size - distinct

    def _validate(self, raw: pl.LazyFrame) -> None:
        schema = self.raw.collect_schema()
        checks: dict[tuple[str, str], pl.Expr] = {}
        for ours, theirs in self.columns.items():
            kind = schema[theirs]
            value = _read(ours, theirs, kind)
            if ours in NUMBERS:
                whole = "whole " if ours == "instances" else ""
                if kind == pl.String():
                    checks[ours, DECIMAL_COMMA] = pl.col(theirs).str.contains(_WITH_COMMA)
                checks[ours, f"no {whole}number of 0 or more"] = _unread(ours, theirs, kind)
                continue
            limit = LONGEST_TEXT
            if ours in IDENTIFIERS:
                limit = LONGEST_IDENTIFIER
                checks[ours, "a control character"] = value.str.contains(_CONTROL)
            checks[ours, f"more than {limit:,} characters"] = value.str.len_chars() > limit
        with refusing(self.path):
            sums = [bad.sum().alias(str(i)) for i, bad in enumerate(checks.values())]
            found = raw.select(sums).collect().row(0)
            for (ours, fault), rows in zip(checks, found, strict=True):
                if rows:
                    bad = raw.select(bad=checks[ours, fault]).with_row_index("row", offset=1)
                    row = bad.filter("bad").select("row").head(1).collect().item()
                    where = f"{name_of(self.path)}, column {show(self.columns[ours])}"
                    raise UnreadableError(fault, row=row, column=ours, rows=rows, file=where)


def open_series_table(
    declared: Mapping[str, Any], folder: Path, keywords: Mapping[str, str]
) -> SeriesTable:
    """Open a table of series or exams by its declaration; only its start is read.

    Parameters
    ----------
    declared
        `path`, below the folder or absolute; `columns`, our names to the file's; `level`.
    folder
        Folder of the site's declaration.
    keywords
        All our columns, each with another name that the file may use.

    Raises
    ------
    SiteError
        If it is no regular Parquet or CSV file, a needed column is missing, or the first rows
        cannot be read.
    """
    level = declared.get("level", "series")
    if level not in ("series", "exam"):
        raise SiteError(
            f"{show(level)!r} is no level of a table",
            where="archive.level",
            todo="Write level = 'series' for one row a series, 'exam' for one row an exam",
        )
    path = locate_table(declared.get("path"), folder)
    raw, separator = open_table_file(path)
    with refusing(path):
        schema = raw.collect_schema()
    columns = _match(declared.get("columns", {}), schema, keywords, path)
    notes = []
    absent = [name for name in keywords if name not in columns]
    if absent:
        notes.append(f"Not in the table: {', '.join(absent)}")
    ignored = [name for name in schema if name not in columns.values()]
    if ignored:
        told = _told(ignored)[:20]
        more = f" and {len(ignored) - len(told)} more" if len(ignored) > len(told) else ""
        notes.append(f"Ignored columns: {', '.join(told)}{more}")
    table = SeriesTable(path, raw, columns, level, tuple(keywords), tuple(notes), separator)
    table.validate_start()
    return table


def _match(
    declared: object, schema: pl.Schema, keywords: Mapping[str, str], path: Path
) -> dict[str, str]:
    if not isinstance(declared, Mapping):
        raise SiteError(
            "`columns` is no table",
            where="archive.columns",
            todo="Write columns = {exam_uid = '…'}",
        )
    for ours in declared:
        if ours not in keywords:
            raise SiteError(
                f"Unknown column {show(str(ours))!r}",
                where="archive.columns",
                todo=suggest(str(ours), keywords),
            )
    columns: dict[str, str] = {}
    for ours, keyword in keywords.items():
        named = [str(declared[ours])] if ours in declared else [ours, keyword]
        if found := [name for name in named if name in schema]:
            columns[ours] = found[0]
    needed = [name for name in REQUIRED if name in columns]
    if not needed:
        raise SiteError(
            "The first line does not look like column names: "
            f"0 of {len(REQUIRED)} needed columns found",
            where=name_of(path),
            todo=f"{HEADER}; or map {', '.join(REQUIRED)} in [archive] columns",
        )
    for ours, theirs in declared.items():
        if ours not in columns:
            raise SiteError(
                f"The table has no column {show(theirs)!r}",
                where=f"{name_of(path)}, archive.columns.{ours}",
                todo=suggest(str(theirs), _told(schema)),
            )
    for ours in REQUIRED:
        if ours not in columns:
            raise SiteError(
                f"The table has no column for {ours!r}",
                where=name_of(path),
                todo=f"Map it in [archive] columns. {suggest(ours, _told(schema))}",
            )
    for ours, theirs in columns.items():
        kind = schema[theirs]
        text = kind in (pl.String(), pl.Null()) or isinstance(kind, (pl.Categorical, pl.Enum))
        usable = text or kind.is_integer() or (kind.is_float() and ours not in IDENTIFIERS)
        if not usable:
            raise SiteError(
                f"The column holds {kind.base_type()}, which cannot be {ours!r}",
                where=f"{name_of(path)}, column {show(theirs)}",
                todo="Store it as text or numbers, or map another column in [archive] columns",
            )
    return columns


def _told(names: Iterable[str]) -> list[str]:
    """Return the names that look like those of columns; others could be a patient's."""
    return [show(name) for name in names if _COLUMN_NAME.fullmatch(name)]


def _read(ours: str, theirs: str, kind: pl.DataType) -> pl.Expr:
    if ours in NUMBERS:
        value = _number(theirs, kind)
        whole = pl.when(value.is_not_nan()).then(value.clip(-1, LARGEST))
        return whole.cast(NUMBERS[ours], strict=False)
    text = pl.col(theirs).cast(pl.String)
    if ours in IDENTIFIERS:
        text = text.str.strip_chars()
        return pl.when(text.str.len_bytes() > 0).then(text)
    if ours == "age_years":  # a bare number in a column of years is a number of years
        text = text.str.strip_chars()
        return pl.when(text.str.contains(r"\d$")).then(text + "Y").otherwise(text)
    return text


def _unread(ours: str, theirs: str, kind: pl.DataType) -> pl.Expr:
    """Return whether a number is stated that cannot be read."""
    stated = pl.col(theirs).is_not_null()
    if kind == pl.String():
        stated = pl.col(theirs).str.strip_chars().str.len_bytes() > 0
    elif kind.is_float():
        stated &= pl.col(theirs).is_not_nan()
    number = _number(theirs, kind)
    bad = _read(ours, theirs, kind).is_null()
    if ours == "instances":
        bad |= number != number.round()
    return stated & bad


def _number(theirs: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(theirs)
    text = column.cast(pl.String).str.strip_chars() if not kind.is_numeric() else column
    return text.cast(pl.Float64, strict=False)
