"""Series tables: Parquet and CSV files of strangers, opened under limits and refused by name."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PanicException, PolarsError

from workbench.errors import SiteError, show, suggest

IDENTIFIERS = ("exam_uid", "patient_id", "series_uid")
NUMBERS = {"instances": pl.Int64(), "megabytes": pl.Float64()}
REQUIRED = ("exam_uid", "patient_id", "modality")
LONGEST_IDENTIFIER = 256
LONGEST_TEXT = 10_000
LARGEST = 2.0**40
"""Counts and megabytes of one row from here on are refused."""
HEADER_BYTES = 1_000_000
_CONTROL = "[\x00-\x1f\x7f-\x9f]"
_SEPARATORS = r"[\\;,|/+]"


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
    """

    path: Path
    raw: pl.LazyFrame = field(repr=False)
    columns: Mapping[str, str]
    level: str
    ours: tuple[str, ...]
    notes: tuple[str, ...]

    def scan(self) -> pl.LazyFrame:
        """Return one row a series with all our columns; what the file lacks is null.

        A series that stands twice counts once; where its rows differ, the smaller value counts.
        At level "exam" a row with several modalities (`PT/CT`) becomes one row for each, with
        the images on the first.
        """
        schema = self.raw.collect_schema()
        read = {o: _read(o, f, schema[f]) for o, f in self.columns.items()}
        absent = {o: pl.lit(None, NUMBERS.get(o, pl.String())) for o in self.ours if o not in read}
        frame = self.raw.select(**read).with_columns(**absent).select(self.ours)
        if self.level == "exam":
            parts = frame.unique().with_columns(
                pl.col("modality").str.replace_all(_SEPARATORS, "|").str.split("|")
            )
            first = parts.with_columns(pl.col("modality").list.first())
            rest = parts.with_columns(
                pl.col("modality").list.slice(1), **{n: pl.lit(None, t) for n, t in NUMBERS.items()}
            ).explode("modality", empty_as_null=False)
            return pl.concat([first, rest.drop_nulls("modality")])
        if "series_uid" not in self.columns:
            return frame
        named = pl.col("series_uid").is_not_null()
        once = (
            frame.filter(named).group_by("exam_uid", "patient_id", "series_uid").agg(pl.all().min())
        )
        return pl.concat([frame.filter(~named), once.select(self.ours)])

    def validate(self) -> None:
        """Read every value once.

        Raises
        ------
        SiteError
            If the file breaks off, is not UTF-8, or holds values that cannot be what the column
            says; the column is named, its values are not.
        """
        schema = self.raw.collect_schema()
        checks: dict[str, pl.Expr] = {}
        for ours, theirs in self.columns.items():
            value = _read(ours, theirs, schema[theirs])
            if ours in NUMBERS:
                stated = pl.col(theirs).is_not_null()
                if schema[theirs] == pl.String():
                    stated = pl.col(theirs).str.strip_chars().str.len_bytes() > 0
                elif schema[theirs].is_float():
                    stated &= pl.col(theirs).is_not_nan()
                whole = _number(theirs, schema[theirs])
                bad = stated & (value.is_null() | ~whole.is_between(0, LARGEST))
                if ours == "instances":
                    bad |= stated & (whole != whole.round())
                checks[
                    f"{ours}/no {'whole ' if ours == 'instances' else ''}numbers of 0 or more"
                ] = bad.sum()
            elif ours in IDENTIFIERS:
                checks[f"{ours}/with control characters"] = value.str.contains(_CONTROL).sum()
            if ours not in NUMBERS:
                limit = LONGEST_IDENTIFIER if ours in IDENTIFIERS else LONGEST_TEXT
                checks[f"{ours}/longer than {limit} characters"] = (
                    value.str.len_chars() > limit
                ).sum()
        with _refusing(self.path):
            found = self.raw.select(pl.len().alias("rows"), **checks).collect().row(0, named=True)
        for check, bad in found.items():
            if check != "rows" and bad:
                ours, fault = check.split("/", 1)
                raise SiteError(
                    f"{bad:,} of {found['rows']:,} values are {fault}"
                    if fault.startswith("no ")
                    else f"{bad:,} of {found['rows']:,} values are {fault}".replace(
                        "are with", "have"
                    ),
                    where=f"{_name(self.path)}, column {show(self.columns[ours])} ({ours})",
                    todo="Correct the table, or map another column in [archive] columns",
                )


def open_series_table(
    declared: Mapping[str, Any], folder: Path, keywords: Mapping[str, str]
) -> SeriesTable:
    """Open a table of series or exams by its declaration; only its header is read.

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
        If it is no regular Parquet or CSV file, or a needed column is missing.
    """
    level = declared.get("level", "series")
    if level not in ("series", "exam"):
        raise SiteError(
            f"{show(level)!r} is no level of a table",
            where="archive.level",
            todo="Write level = 'series' for one row a series, 'exam' for one row an exam",
        )
    path = _locate(declared.get("path"), folder)
    raw = _open(path)
    with _refusing(path):
        schema = raw.collect_schema()
    columns = _match(declared.get("columns", {}), schema, keywords, path)
    notes = []
    absent = [name for name in keywords if name not in columns]
    if absent:
        notes.append(f"Not in the table: {', '.join(absent)}")
    ignored = [show(name) for name in schema if name not in columns.values()]
    if ignored:
        more = f" and {len(ignored) - 20} more" if len(ignored) > 20 else ""
        notes.append(f"Ignored columns: {', '.join(ignored[:20])}{more}")
    return SeriesTable(path, raw, columns, level, tuple(keywords), tuple(notes))


def _locate(declared: object, folder: Path) -> Path:
    if not isinstance(declared, str) or not declared:
        raise SiteError(
            "The table has no path", where="archive.path", todo="Write path = 'file.parquet'"
        )
    where = f"archive.path {show(declared)}"
    try:
        path = (folder / declared).resolve()
        regular = path.is_file()
    except (OSError, ValueError, RuntimeError):
        raise SiteError("The path cannot be used", where=where, todo="Name a file") from None
    if not regular:
        raise SiteError(
            "The path is a folder, not a table" if path.is_dir() else "There is no such table",
            where=where,
            todo="Name a Parquet or CSV file",
        )
    return path


def _open(path: Path) -> pl.LazyFrame:
    try:
        with path.open("rb") as file:
            start = file.read(HEADER_BYTES)
    except OSError as error:
        raise SiteError(
            f"The table cannot be read: {error.strerror}",
            where=_name(path),
            todo="Check its rights",
        ) from None
    if start[:4] == b"PAR1":
        with _refusing(path):
            return pl.scan_parquet(path)
    if path.suffix.lower() in (".parquet", ".pq"):
        raise SiteError(
            "The table is not a Parquet file", where=_name(path), todo="Write it again as Parquet"
        )
    header, separator = _read_header(start, path)
    doubled = sorted({name for name in header if header.count(name) > 1})
    if doubled:
        raise SiteError(
            f"The column {show(doubled[0])!r} stands twice", where=_name(path), todo="Rename one"
        )
    with _refusing(path):
        return pl.scan_csv(path, separator=separator, infer_schema=False)


def _read_header(start: bytes, path: Path) -> tuple[list[str], str]:
    line, newline, _ = start.partition(b"\n")
    if not newline and len(start) == HEADER_BYTES:
        raise SiteError(
            f"The first line has more than {HEADER_BYTES:,} bytes",
            where=_name(path),
            todo="Write one line of column names first",
        )
    try:
        if b"\0" in start:
            raise ValueError
        text = line.decode("utf-8-sig").rstrip("\r")
    except ValueError:
        raise SiteError(
            "The table is neither Parquet nor UTF-8 text",
            where=_name(path),
            todo="Save it as Parquet, or as CSV in UTF-8",
        ) from None
    separator = max(",;\t", key=text.count)
    header = next(csv.reader([text], delimiter=separator), [])
    if not any(name.strip() for name in header):
        raise SiteError("The table has no column names", where=_name(path), todo="Add a header")
    return header, separator


def _match(
    declared: object, schema: pl.Schema, keywords: Mapping[str, str], path: Path
) -> dict[str, str]:
    if not isinstance(declared, Mapping):
        raise SiteError(
            "`columns` is no table",
            where="archive.columns",
            todo="Write columns = {exam_uid = '…'}",
        )
    for ours, theirs in declared.items():
        if ours not in keywords:
            raise SiteError(
                f"Unknown column {show(str(ours))!r}",
                where="archive.columns",
                todo=suggest(str(ours), keywords),
            )
        if not isinstance(theirs, str) or theirs not in schema:
            raise SiteError(
                f"The table has no column {show(theirs)!r}",
                where=f"{_name(path)}, archive.columns.{ours}",
                todo=suggest(str(theirs), schema),
            )
    columns = {}
    for ours, keyword in keywords.items():
        found = [n for n in (declared.get(ours), ours, keyword) if n in schema]
        if found:
            columns[ours] = str(found[0])
        elif ours in REQUIRED:
            raise SiteError(
                f"The table has no column for {ours!r}",
                where=_name(path),
                todo=f"Map it in [archive] columns. {suggest(ours, schema)}",
            )
    for ours, theirs in columns.items():
        kind = schema[theirs]
        text = kind in (pl.String(), pl.Null()) or isinstance(kind, (pl.Categorical, pl.Enum))
        usable = text or kind.is_integer() or (kind.is_float() and ours not in IDENTIFIERS)
        if not usable:
            raise SiteError(
                f"The column holds {show(str(kind))}, which cannot be {ours!r}",
                where=f"{_name(path)}, column {show(theirs)}",
                todo="Store it as text or numbers, or map another column in [archive] columns",
            )
    return columns


def _read(ours: str, theirs: str, kind: pl.DataType) -> pl.Expr:
    if ours in NUMBERS:
        value = _number(theirs, kind)
        return pl.when(value.is_finite()).then(value).cast(NUMBERS[ours], strict=False)
    text = pl.col(theirs).cast(pl.String)
    if ours in IDENTIFIERS:
        text = text.str.strip_chars()
        return pl.when(text.str.len_bytes() > 0).then(text)
    if ours == "age_years":  # a bare number in a column of years is a number of years
        text = text.str.strip_chars()
        return pl.when(text.str.contains(r"\d$")).then(text + "Y").otherwise(text)
    return text


def _number(theirs: str, kind: pl.DataType) -> pl.Expr:
    column = pl.col(theirs)
    text = column.cast(pl.String).str.strip_chars() if not kind.is_numeric() else column
    return text.cast(pl.Float64, strict=False)


def _name(path: Path) -> str:
    return show(path.name, 200)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn what the reader raises into a refusal; its own message could quote a patient's row."""
    try:
        yield
    except (PolarsError, PanicException, OSError) as error:
        utf8 = re.search("utf-?8", str(error), re.IGNORECASE) is not None
        raise SiteError(
            "The table is not UTF-8"
            if utf8
            else "The table is damaged, or its rows differ in length",
            where=_name(path),
            todo="Write it again as Parquet, or as CSV in UTF-8 with one cell a column",
        ) from None
