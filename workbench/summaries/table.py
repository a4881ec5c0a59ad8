"""Table: a Summary as one canonical text file, and its strict reading.

The first line is `#workbench ` and what the table is, as canonical JSON. A long CSV follows: one
column per dimension, then `variable`, `value`, `status`; one row per cell and field, cells in the
order of the labels. UTF-8, LF, floats as `repr` writes them, a hidden value empty. One Summary has
one file: whatever would be written otherwise is refused.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from workbench.errors import DefinitionError, ReleaseError, show, suggest
from workbench.summaries.dimension import Dimension
from workbench.summaries.field import Field
from workbench.summaries.kinds import kind_of, validate
from workbench.summaries.summary import HIDDEN, STATUSES, Summary, labelled

FORMAT = 1
"""Version of the file format."""
LARGEST_FILE = 50_000_000
"""Most bytes that are read."""
_MARK = b"#workbench "
_LONGEST_HEADER = 5_000_000
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,59}")
_HEADER_KEYS = {"attributes", "dimensions", "exact", "format", "kind"}
_DIMENSION_KEYS = {"labels", "labels_from", "margin", "name", "one_per", "unit", "zeros"}


def write_summary(summary: Summary, path: str | Path) -> None:
    """Write a Summary to one file.

    Raises
    ------
    DefinitionError
        If the Summary is not what its kind declares.
    """
    Path(path).write_bytes(render_summary(summary))


def read_summary(path: str | Path, kind: str | None = None) -> Summary:
    """Read a Summary from one file, strictly.

    Parameters
    ----------
    path
        The file.
    kind
        The kind that it must be; None for any.

    Raises
    ------
    ReleaseError
        If the file is anything else than what `write_summary` writes.
    """
    path = Path(path)
    where = show(path.name, 120)
    try:
        # Opening a pipe or device would wait for ever.
        if not path.is_file():
            raise ReleaseError(
                "There is no such file", where=where, todo="Give a file of a Summary"
            )
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ReleaseError(
            "A file cannot be read", where=f"{where}: {error.strerror}", todo="Check the file"
        ) from error
    return parse_summary(content, kind, where=where)


def render_summary(summary: Summary) -> bytes:
    """Return the bytes of a Summary's file.

    Raises
    ------
    DefinitionError
        If the Summary is not what its kind declares.

    Examples
    --------
    >>> from workbench.summaries.counts import summarise
    >>> s = summarise([], {}, exam=[1, 2], patient=[7, 7])
    >>> print(render_summary(s).decode())  # doctest: +ELLIPSIS
    #workbench {"attributes":{"population":"exams"},"dimensions":[],"exact":true,...}
    variable,value,status
    exams,2,ok
    patients,1,ok
    <BLANKLINE>
    """
    validate(summary)
    text = io.StringIO()
    text.write(_MARK.decode() + _header(summary) + "\n")
    writer = csv.writer(text, lineterminator="\n")
    names, fields = [d.name for d in summary.dimensions], summary.fields
    writer.writerow([*names, "variable", "value", "status"])
    columns = [
        zip(
            summary.data[name].values.ravel().tolist(),
            summary.statuses[name].values.ravel().tolist(),
            strict=True,
        )
        for name in fields
    ]
    cells = itertools.product(*(summary.labels(n) for n in names))
    writer.writerows(
        (*cell, name, "" if status in HIDDEN else repr(value), status)
        for cell, *held in zip(cells, *columns, strict=True)
        for name, (value, status) in zip(fields, held, strict=True)
    )
    return text.getvalue().encode()


def parse_summary(content: bytes, kind: str | None = None, *, where: str = "summary") -> Summary:
    """Read a Summary from the bytes of its file, strictly.

    Parameters
    ----------
    content
        What `render_summary` returned.
    kind
        The kind that it must be; None for any.
    where
        What to call the bytes in an error.

    Raises
    ------
    ReleaseError
        If the bytes are anything else.

    Examples
    --------
    >>> from workbench.summaries.counts import summarise
    >>> s = summarise([], {}, exam=[1, 2], patient=[7, 7])
    >>> parse_summary(render_summary(s)).equals(s)
    True
    """
    text = _decode(content, where)
    first, _, body = text.partition("\n")
    try:
        header = _read_header(first[len(_MARK) :], where)
        if kind is not None and header["kind"] != kind:
            _refuse(f"The kind is {show(header['kind'])!r} and not {kind!r}", where)
        summary = _read_body(header, body, where)
        again = render_summary(summary)
    except DefinitionError as error:
        at = f"{where}: {error.where}" if error.where else where
        raise ReleaseError(error.what, where=at, todo=error.todo) from error
    if again != content:
        line = next(
            number
            for number, pair in enumerate(
                itertools.zip_longest(again.split(b"\n"), content.split(b"\n")), start=1
            )
            if pair[0] != pair[1]
        )
        _refuse("The file is not written as it must be", f"{where}, line {line}")
    return summary


def _refuse(what: str, where: str, todo: str = "") -> NoReturn:
    raise ReleaseError(what, where=where, todo=todo or "Write the table again with the Workbench")


def _decode(content: bytes, where: str) -> str:
    if len(content) > LARGEST_FILE:
        _refuse(f"The file is larger than {LARGEST_FILE} bytes", where, "Use fewer dimensions")
    if content.startswith(b"\xef\xbb\xbf"):
        _refuse("The file starts with a byte order mark", where)
    if b"\r" in content:
        _refuse("The lines do not end with LF alone", where)
    if b"\0" in content:
        _refuse("The file has a NUL byte", where)
    if not content.startswith(_MARK):
        _refuse("The first line does not say what the table is", where)
    if not content.endswith(b"\n"):
        _refuse("The file ends within a line", where)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        _refuse(f"Byte {error.start} is no UTF-8", where)


def _header(summary: Summary) -> str:
    header = {
        "format": FORMAT,
        "kind": summary.kind,
        "exact": summary.exact,
        "attributes": summary.attributes,
        "dimensions": [
            {
                "name": d.name,
                "labels": list(d.labels),
                "labels_from": d.labels_from,
                "margin": d.name in summary.margins,
                "one_per": d.one_per,
                "unit": d.unit,
                "zeros": d.zeros,
            }
            for d in summary.dimensions
        ],
    }
    return json.dumps(
        header, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _read_header(text: str, where: str) -> dict[str, Any]:
    if len(text) > _LONGEST_HEADER:
        _refuse("The first line is too long", where)
    try:
        header = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        _refuse(f"The first line is no plain JSON: {show(str(error))}", where)
    _require_keys(header, _HEADER_KEYS, "first line", where)
    if header["format"] != FORMAT or isinstance(header["format"], bool):
        _refuse(f"Format {show(header['format'])} is not known", where, "Use a newer Workbench")
    if not isinstance(header["kind"], str) or type(header["exact"]) is not bool:
        _refuse("`kind` must be text and `exact` true or false", where)
    if not isinstance(header["attributes"], dict) or not isinstance(header["dimensions"], list):
        _refuse("`attributes` must be an object and `dimensions` a list", where)
    for number, dimension in enumerate(header["dimensions"], start=1):
        at = f"dimension {number}"
        _require_keys(dimension, _DIMENSION_KEYS, at, where)
        labels = dimension["labels"]
        if not isinstance(labels, list) or not all(isinstance(x, str) for x in labels):
            _refuse(f"The labels of {at} must be a list of text", where)
        words = ("name", "labels_from", "one_per", "unit", "zeros")
        if type(dimension["margin"]) is not bool or not all(
            isinstance(dimension[word], str) for word in words
        ):
            _refuse(f"An entry of {at} has the wrong type", where)
    return dict(header)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _require_keys(found: object, keys: set[str], what: str, where: str) -> None:
    if not isinstance(found, dict):
        _refuse(f"The {what} is no object", where)
    for key in sorted(found.keys() ^ keys):
        state = "misses" if key in keys else "has the unknown entry"
        _refuse(f"The {what} {state} {show(key)!r}", where, suggest(key, keys))


def _read_body(header: dict[str, Any], body: str, where: str) -> Summary:
    margins = [d["name"] for d in header["dimensions"] if d["margin"]]
    dimensions = tuple(
        Dimension(**{**d, "labels": tuple(d["labels"])})
        for d in ({k: v for k, v in d.items() if k != "margin"} for d in header["dimensions"])
    )
    kind = kind_of(header["kind"])
    fields = kind.fields if header["exact"] else kind.released_fields
    held = [d.margin_labels if d.name in margins else d.labels for d in dimensions]
    size = math.prod(len(labels) for labels in held)
    # Rows are counted before room is made for them: a short file cannot ask for a huge table.
    lines = body.count("\n") - 1
    if size * len(fields) > lines:
        _refuse(f"{size * len(fields) - lines} of {size * len(fields)} rows are missing", where)
    rows = _rows(body, where)
    names = [*(d.name for d in dimensions), "variable", "value", "status"]
    if (found := next(rows, None)) is None or found[1] != names:
        _refuse(f"The columns are not {', '.join(names)}", f"{where}, line 2")
    values: dict[str, list[Any]] = {f.name: [] for f in fields}
    statuses: dict[str, list[str]] = {f.name: [] for f in fields}
    columns = [(f, [f.name], values[f.name], statuses[f.name]) for f in fields]
    allowed = ("ok",) if header["exact"] else STATUSES
    for labels in map(list, itertools.product(*held)):
        for field, name, numbers, said in columns:
            line, row = next(rows, (0, None))
            if row is None:
                _refuse("Rows are missing", where)
            if len(row) != len(names):
                at = f"{where}, line {line}"
                _refuse(f"The row has {len(row)} entries and not {len(names)}", at)
            if row[:-2] != labels + name:
                known = [*map(set, held), {*values}]
                _refuse_row(row[:-2], labels + name, known, f"{where}, line {line}")
            if row[-1] not in allowed:
                _refuse(f"The status cannot be {show(row[-1])!r}", f"{where}, line {line}")
            numbers.append(_value(field, row[-2], row[-1], where, line))
            said.append(row[-1])
    if (extra := next(rows, None)) is not None:
        _refuse("There are more rows than cells", f"{where}, line {extra[0]}")
    arrays = {f.name: np.array(values[f.name], dtype=f.dtype) for f in fields}
    words = {name: np.array(found, dtype="U14") for name, found in statuses.items()}
    return Summary(
        kind.name,
        labelled(dimensions, arrays, margins=margins),
        dimensions,
        header["attributes"],
        None if header["exact"] else labelled(dimensions, words, margins=margins),
    )


def _rows(body: str, where: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(body, newline=""), strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            _refuse(f"The CSV is broken: {error}", f"{where}, line {reader.line_num + 1}")
        yield reader.line_num + 1, row


def _refuse_row(found: list[str], expected: list[str], known: list[set[str]], at: str) -> NoReturn:
    for word, allowed in zip(found, known, strict=True):
        if word not in allowed:
            _refuse(
                f"{show(word)!r} is no label or variable of the table", at, suggest(word, allowed)
            )
    _refuse(
        f"The cell ({show(', '.join(found))}) stands twice or out of order",
        at,
        f"Expected: {show(', '.join(expected))}",
    )


def _value(field: Field, text: str, status: str, where: str, line: int) -> int | float:
    if status in HIDDEN:
        if text:
            at = f"{where}, line {line}"
            _refuse(f"A value stands beside {status!r}", at, "Leave a hidden value empty")
        return math.nan if field.dtype == "float64" else 0
    if field.dtype == "float64":
        try:
            number = float(text)
        except ValueError:
            _refuse(f"{show(text)!r} is no number", f"{where}, line {line}")
        if not math.isfinite(number) or repr(number) != text:
            at = f"{where}, line {line}"
            _refuse(f"{show(text)!r} is not a number as it must be written", at)
        return number
    if not _INTEGER.fullmatch(text):
        _refuse(f"{show(text)!r} is no whole number", f"{where}, line {line}")
    if field.dtype == "int64" and abs(int(text)) >= 2**63:
        _refuse(f"{show(text)!r} is too large", f"{where}, line {line}")
    return int(text)
