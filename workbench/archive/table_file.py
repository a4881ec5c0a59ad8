"""Table files: Parquet and CSV files of strangers, opened under limits and refused by name."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PanicException, PolarsError

from workbench.errors import SiteError, show
from workbench.unreadable import HEADER, RAGGED, SAVE, UnreadableError

HEADER_BYTES = 1_000_000
"""What is read of a file to open it; longer first lines are refused."""
CHECKED_BYTES = 100_000_000
"""As much of a CSV file is held against UTF-8 when it is opened: a tenth of a second."""
BLOCK_BYTES = 16_000_000
"""Longest row of a CSV file that is read."""
_COMPRESSED = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"\x28\xb5\x2f\xfd")
_EXCEL_97 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def locate_table(declared: object, folder: Path, key: str = "archive.path") -> Path:
    """Return the path of a regular file that a site declares.

    Parameters
    ----------
    declared
        What stands at the key.
    folder
        Folder of the site's declaration.
    key
        Key of site.toml.

    Raises
    ------
    SiteError
        If there is none.
    """
    if not isinstance(declared, str) or not declared:
        raise SiteError("The table has no path", where=key, todo="Write path = 'file.parquet'")
    where = f"{key} {show(declared)}"
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


def open_table_file(path: Path) -> tuple[pl.LazyFrame, str]:
    """Return the rows of a file, unread, and what separates its cells; "" for Parquet.

    The start of a CSV file is read, and its encoding as far as that is fast.

    Raises
    ------
    SiteError
        If it is neither Parquet nor a CSV file in UTF-8 whose first rows are as long as its first
        line.
    """
    try:
        with path.open("rb") as file:
            start = file.read(HEADER_BYTES)
    except OSError as error:
        raise SiteError(
            f"The table cannot be read: {error.strerror}",
            where=name_of(path),
            todo="Check its rights",
        ) from None
    if start[:4] == b"PAR1":
        with refusing(path):
            return pl.scan_parquet(path), ""
    if fault := _recognise(start):
        raise SiteError(fault, where=name_of(path), todo=SAVE)
    if path.suffix.lower() in (".parquet", ".pq"):
        raise SiteError("The table is not a Parquet file", where=name_of(path), todo=SAVE)
    header, separator = _read_header(start, path)
    _refuse_doubles(header, path)
    _refuse_encoding(path)
    _refuse_ragged_start(start, path, separator)
    with refusing(path):
        return pl.scan_csv(path, separator=separator, infer_schema=False), separator


def _recognise(start: bytes) -> str:
    if start.startswith(_EXCEL_97) or (start[:2] == b"PK" and b"[Content_Types].xml" in start):
        return "Excel is not read"
    return "A compressed file is not read" if start.startswith(_COMPRESSED) else ""


def _read_header(start: bytes, path: Path) -> tuple[list[str], str]:
    line, newline, _ = start.partition(b"\n")
    if not newline and len(start) == HEADER_BYTES:
        raise SiteError(
            f"The first line has more than {HEADER_BYTES:,} bytes",
            where=name_of(path),
            todo=HEADER,
        )
    if b"\0" in start:
        raise SiteError(
            "The table is neither Parquet nor UTF-8 text", where=name_of(path), todo=SAVE
        )
    try:
        text = line.decode("utf-8-sig").rstrip("\r")
    except ValueError:
        raise _not_utf8(path) from None
    separator = max(",;\t", key=text.count)
    try:
        header = next(csv.reader([text], delimiter=separator), [])
    except csv.Error:  # the only two that one line of text can raise
        what = f"A column name has more than {csv.field_size_limit():,} characters"
        if "\r" in text:
            what = "The lines of the table end with CR alone"
        raise SiteError(what, where=name_of(path), todo=SAVE) from None
    if not any(name.strip() for name in header):
        raise SiteError("The table has no column names", where=name_of(path), todo=HEADER)
    return header, separator


def _refuse_doubles(header: list[str], path: Path) -> None:
    # Told by their places: where the names are missing, the first row stands here.
    for name, times in Counter(header).items():
        if times > 1:
            places = [i for i, other in enumerate(header, start=1) if other == name]
            raise SiteError(
                f"The columns {places[0]} and {places[1]} have one name: it stands twice",
                where=name_of(path),
                todo="Rename one",
            )


def _refuse_encoding(path: Path) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    left = CHECKED_BYTES
    try:
        with path.open("rb") as file:
            while left > 0 and (block := file.read(min(left, HEADER_BYTES))):
                left -= len(block)
                decoder.decode(block)
            decoder.decode(b"", final=left > 0)
    except ValueError:
        raise _not_utf8(path) from None


def _refuse_ragged_start(start: bytes, path: Path, separator: str) -> None:
    if len(start) == HEADER_BYTES:
        if b'"' in start:
            return  # the last line may be cut within quotation marks
        start = start[: start.rfind(b"\n") + 1]
    refuse_ragged(path, separator, start)


def refuse_ragged(path: Path, separator: str, content: bytes | None = None) -> None:
    """Refuse a row that has not as many cells as the header: polars would fill it up.

    Parameters
    ----------
    path
        The CSV file.
    separator
        What stands between its cells.
    content
        Its first lines, to look at these alone; None for the whole file.

    Raises
    ------
    UnreadableError
        With the number of the first such row.
    SiteError
        If a row is too long.
    """
    rows: list[int] = []

    def note(row: Any) -> str:  # noqa: ANN401 - pyarrow is untyped
        rows.append(row.number)
        return "error"

    source = path if content is None else content
    if _is_even(source, separator):
        return
    # Read again, slowly and in an encoding that knows every byte, to learn the number of the row.
    _is_even(source, separator, encoding="latin-1", invalid_row_handler=note)
    if rows:
        raise UnreadableError(RAGGED, row=rows[0] - 1, file=name_of(path))
    if content is None:
        raise SiteError(
            f"A row has more than {BLOCK_BYTES:,} bytes, or the table is damaged",
            where=name_of(path),
            todo=SAVE,
        )


def _is_even(source: Path | bytes, separator: str, encoding: str = "utf-8", **options: Any) -> bool:  # noqa: ANN401
    from pyarrow import ArrowInvalid, BufferReader, csv

    read = csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, encoding=encoding)
    parse = csv.ParseOptions(delimiter=separator, newlines_in_values=True, **options)
    place = BufferReader(source) if isinstance(source, bytes) else source
    try:
        with csv.open_csv(place, read, parse, csv.ConvertOptions(include_columns=[])) as reader:
            for _ in reader:
                pass
    except (ArrowInvalid, OSError):  # its message quotes the row
        return False
    return True


def name_of(path: Path) -> str:
    """Return the name of a file as it may be shown."""
    return show(path.name, 200)


def _not_utf8(path: Path) -> SiteError:
    return SiteError("The table is not UTF-8", where=name_of(path), todo=SAVE)


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn what the reader raises into a refusal; its own message could quote a patient's row."""
    try:
        yield
    except (PolarsError, PanicException, OSError) as error:
        if re.search("utf-?8", str(error), re.IGNORECASE) is not None:
            raise _not_utf8(path) from None
        raise SiteError(
            "The table is damaged, or its rows differ in length", where=name_of(path), todo=SAVE
        ) from None
