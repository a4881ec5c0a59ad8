"""Unreadable: what may be told of a table that cannot be used, and nothing of its values.

No word of an exception leaves a notebook's process, because it may quote a patient. The first line
of the errors named here is made of declared names, fixed words and numbers alone: the runner reads
it back and tells what to correct. Every other error is told by its class only.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable
from typing import Any

from workbench.errors import SiteError

DECIMAL_COMMA = "a decimal comma, not a decimal point"
RAGGED = "not as many cells as the header"
FAULTS = (
    "no number of 0 or more",
    "no whole number of 0 or more",
    DECIMAL_COMMA,
    "a control character",
    "more than 256 characters",
    "more than 10,000 characters",
    RAGGED,
)
"""All that can be said of a value or a row."""
SAVE = "Save the table as Parquet, or as CSV in UTF-8 with one line a row"
MAP = "Correct the table, or map another column in [archive] columns"
EVEN = "Write one cell for each column, or save the table as Parquet"
HEADER = "Write the column names in the first line, separated by comma, semicolon or tab"
REPEATED = "Remove them, or map series_uid in [archive] columns"
LOOK = "Look at what the archive holds: open_archive(site).series()"
COLUMNS = (
    *("exam_uid", "patient_id", "series_uid", "modality", "manufacturer", "model", "body_part"),
    *("exam_description", "series_description", "age_years", "sex", "instances", "megabytes"),
)
"""Our names of the columns of an archive's table."""
TABLES = ("devices", "protocols", "reports")
"""Keys of `[tables]` of which the library knows the columns; no other may be told."""
TABLE_COLUMNS = (
    *("station", "device_serial", "facility", "modality", "manufacturer", "model", "software"),
    *("time_zone", "installed_date", "retired_date", "digital", "weekday_open_min"),
    *("weekday_close_min", "saturday_open_min", "saturday_close_min", "sunday_open_min"),
    *("sunday_close_min", "exam_uid", "patient_id", "protocol", "reader_group", "ordered_time"),
    *("arrival_time", "acquired_time", "preliminary_time", "final_time", "promised_hours"),
    *("body_part_code", "procedure_code", "finding_code", "rads_category", "measurement_value"),
    *("measurement_unit", "name", "exam_time", "exam_end_time", "body_part", "age_years", "sex"),
    *("weight_kg", "kvp_kv", "phantom_cm", "ctdivol_mgy", "dlp_mgy_cm", "agd_mgy", "dap_gy_cm2"),
    *("dose_rp_mgy", "fluoro_time_s"),
)
"""Our names of the columns of `[tables]` and of a table of exams; no other may be told."""
STORED = (
    *("Array", "Binary", "Boolean", "Categorical", "Date", "Datetime", "Decimal", "Duration"),
    *("Enum", "Float16", "Float32", "Float64", "Int8", "Int16", "Int32", "Int64", "Int128", "List"),
    *("Map", "Null", "Object", "String", "Struct", "Time", "UInt8", "UInt16", "UInt32", "UInt64"),
    "UInt128",
)
"""What polars calls the types of columns."""
TYPES = "Store numbers as numbers, and times as the local wall clock without a zone"
WRITE = (
    "Write numbers with a point, dates as 2024-03-01, "
    "and times as 2024-03-01T08:30:00, without a zone"
)
NAMES = "Rename the column of the table, or add it"
DEVICES = "Compare [tables] devices with how the archive names devices"
ZONES = "Write a name of the IANA database in time_zone of [tables] devices, as Europe/Moscow"


def _one_of(words: Iterable[str]) -> str:
    return f"(?:{'|'.join(re.escape(word) for word in sorted(set(words)))})"


_NUMBER = "[0-9]{1,3}(?:,[0-9]{3}){0,3}"
"""At most 12 digits, grouped as the errors write them."""
_COLUMN = _one_of(TABLE_COLUMNS)
_TABLE = rf"\[tables\] {_one_of(TABLES)}"
_TOLD = {
    rf"Row {_NUMBER} of (?:archive\.path|{_TABLE})(?P<column>, column {_one_of(COLUMNS)})?: "
    rf"{_one_of(FAULTS)}(?:; {_NUMBER} rows in all)?": "",
    rf"{_NUMBER} rows? (?:is|are) repeated exactly": REPEATED,
    "The first line does not look like column names: "
    rf"{_NUMBER} of {_NUMBER} needed columns found": HEADER,
    "The table has no column names": HEADER,
    "The table has no rows": "Write one row a series, or one row an exam with level = 'exam'",
    "The table is not UTF-8": SAVE,
    "The table is neither Parquet nor UTF-8 text": SAVE,
    "The table is not a Parquet file": SAVE,
    "The table is damaged, or its rows differ in length": SAVE,
    f"A row has more than {_NUMBER} bytes, or the table is damaged": SAVE,
    f"The first line has more than {_NUMBER} bytes": HEADER,
    f"A column name has more than {_NUMBER} characters": SAVE,
    "The lines of the table end with CR alone": SAVE,
    "Excel is not read": SAVE,
    "A compressed file is not read": SAVE,
    "There is no such table": "Name a Parquet or CSV file",
    "The path cannot be used": "Name a Parquet or CSV file",
    "The path is a folder, not a table": "Name a Parquet or CSV file",
    f"The table cannot be read: {_one_of(map(os.strerror, errno.errorcode))}": "Check its rights",
    f"The columns {_NUMBER} and {_NUMBER} have one name: it stands twice": "Rename one",
    f"A column of {_one_of(STORED)} cannot be '{_COLUMN}'": TYPES,
    f"{_NUMBER} values? of column {_COLUMN} cannot be read; the first is in row {_NUMBER}": WRITE,
    f"The (?:table has|register of devices has|exams have|reports have) no column '{_COLUMN}'": (
        NAMES
    ),
    "A device stands twice in the register": "Keep one row for each station in [tables] devices",
    f"An opening hour of the register is outside the day: column {_COLUMN}": (
        "Write minutes since midnight in [tables] devices, 0 to 1440; nothing where it is closed"
    ),
    "There is no time zone of such a name": ZONES,
    "A device of the register has no time zone": ZONES,
    "No exam of a device of the register has a time": DEVICES,
    f"The study has no protocol of the code in row {_NUMBER}": (
        "Write a code of the study's codelist in protocol"
    ),
    f"One name is mapped to two protocols, in rows {_NUMBER} and {_NUMBER}": (
        "Keep one row for each name; capitals and spaces make no difference"
    ),
    "No exam is left": LOOK,
    "The Dask scheduler does not answer": "Start it, or correct its address in [dask]",
    f"The Dask scheduler has no worker after {_NUMBER} s": "Start a worker with 'dask worker'",
}
"""Pattern of a first line that may be told, to what can be done about it. It may follow the name
of the table that is meant."""
_PATTERNS = {
    re.compile(f"(?:{_TABLE}: )?{pattern}", re.ASCII): todo for pattern, todo in _TOLD.items()
}


class UnreadableError(SiteError):
    """Name the first row of a table that cannot be read.

    Parameters
    ----------
    fault
        One of `FAULTS`.
    row
        Number of the row below the header, from 1.
    column
        Our name of the column, or "" for the whole row.
    rows
        Number of rows that have this fault; 0 if they were not counted.
    file
        What the reader calls table and column; stays in the process.
    table
        Key of `[tables]`; "" for the archive.

    Examples
    --------
    >>> error = UnreadableError(FAULTS[0], row=1_000_000, column="megabytes", file="t.csv")
    >>> print(error)
    Row 1,000,000 of archive.path, column megabytes: no number of 0 or more
      where: t.csv
      do:    Correct the table, or map another column in [archive] columns
    """

    def __init__(
        self,
        fault: str,
        *,
        row: int,
        column: str = "",
        rows: int = 0,
        file: str = "",
        table: str = "",
    ) -> None:
        of = f"[tables] {table}" if table else "archive.path"
        place = f", column {column}" if column else ""
        more = f"; {rows:,} rows in all" if rows > 1 else ""
        super().__init__(
            f"Row {row:,} of {of}{place}: {fault}{more}",
            where=file,
            todo=MAP if column else EVEN,
        )
        named = {"row": row, "column": column, "rows": rows, "file": file, "table": table}
        self._given: tuple[str, dict[str, Any]] = (fault, named)

    def of_table(self, table: str) -> UnreadableError:
        """Return the same of a table of `[tables]`."""
        return UnreadableError(self._given[0], **(self._given[1] | {"table": table}))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self._given,)


def _rebuild(given: tuple[str, dict[str, Any]]) -> UnreadableError:
    return UnreadableError(given[0], **given[1])


def read_told(text: str) -> tuple[str, str]:
    """Return the first line of an error's text, and what to do, if both may be told; else "".

    Parameters
    ----------
    text
        What a `WorkbenchError` prints.

    Examples
    --------
    >>> read_told("No exam is left: Ivanova")
    ('', '')
    >>> read_told("The table is not UTF-8")[0]
    'The table is not UTF-8'
    """
    line = text.split("\n", 1)[0]
    for pattern, todo in _PATTERNS.items():
        if found := pattern.fullmatch(line):
            return line, todo or (MAP if found["column"] else EVEN)
    return "", ""
