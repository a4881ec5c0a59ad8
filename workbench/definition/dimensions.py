"""StudyDimension: how a study turns a column into declared labels."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from workbench.codelists import (
    LABELS_OF_ALL,
    Codelist,
    encode_unique,
    is_missing,
    read_codelist,
)
from workbench.definition.declaration import Declared, InnerPath, Line, Name, Texts, inside, refusal
from workbench.errors import DefinitionError, show, suggest
from workbench.summaries.dimension import ALL, MISSING, OTHER, Dimension, interval_labels

RESERVED_DIMENSIONS = frozenset(
    {"all", "bin", "quantity", "variable", "value", "status", "low", "high", "how", "site"}
    | {"n_sites", "n_suppressed", "exams", "patients", "total", "square", "mean", "sd", "share"}
)
"""Names that Summaries and their tables use for something else."""
YEARS = "a"
"""UCUM unit of an age."""
LABELS_OF_OTHER = {"en": "Other", "ru": "Другое", "zh": "其他"}
LABELS_OF_MISSING = {"en": "Not stated", "ru": "Не указано", "zh": "未说明"}
Edges = Annotated[list[float], Field(min_length=2, max_length=1001)]
_MONTH = r"^(19|20)\d{2}-(0[1-9]|1[0-2])$"


def check_edges(edges: list[float]) -> None:
    """Refuse edges that do not increase."""
    if any(b <= a for a, b in pairwise(edges)):
        raise refusal("The edges do not increase", "Write each edge once, the smallest first")


class DimensionTable(Declared):
    """Table `[dimensions.<name>]` of a study.toml."""

    label: Texts
    column: Name | Literal[""] = ""
    codelist: InnerPath | None = None
    edges: Edges | None = None
    maximum: float | None = None
    calendar: Literal["month"] | None = None
    first: Annotated[str, Field(pattern=_MONTH)] | None = None
    last: Annotated[str, Field(pattern=_MONTH)] | None = None
    unit: Line | Literal[""] = ""
    one_per: Literal["patient", "exam", "none"] = "exam"
    zeros: Literal["public", "protected"] = "protected"
    names: bool = False

    @model_validator(mode="after")
    def _check(self) -> DimensionTable:
        if sum(s is not None for s in (self.codelist, self.edges, self.calendar)) != 1:
            raise refusal(
                "A dimension needs one source of labels", "Write one of codelist, edges, calendar"
            )
        if self.codelist is not None and not self.codelist.endswith(".csv"):
            raise refusal(f"{show(self.codelist)!r} is no CSV file", "Name a codelist: ….csv")
        if self.edges is not None:
            check_edges(self.edges)
        if self.maximum is not None and (self.edges is None or self.maximum < self.edges[-1]):
            raise refusal("'maximum' fits no edges", "Write it with edges, not below the last one")
        if self.names and self.codelist is None:
            raise refusal("'names' goes with a codelist", "Remove names")
        if (self.calendar is None) != (self.first is None) or (self.first is None) != (
            self.last is None
        ):
            raise refusal("'first' and 'last' go with a calendar", 'Write first = "2020-01"')
        if self.first is not None and self.last is not None and self.first > self.last:
            raise refusal("'first' is after 'last'", "Exchange them")
        return self


@dataclass(frozen=True)
class StudyDimension:
    """Turn the values of a column into positions of declared labels.

    Parameters
    ----------
    dimension
        The labels, `other` and `missing` last for intervals and calendars.
    names
        What the dimension is called, by language.
    codelist
        Where the labels come from, or None for intervals and calendars.
    edges
        Lower ends of the intervals; the last one is open.
    maximum
        Largest value that is believed; larger ones become `other`.
    column
        The column it is made from, or "" for the one of its own name.
    proper
        True if its labels are names, which keep their capital inside a sentence.
    """

    dimension: Dimension
    names: dict[str, str] = field(default_factory=dict)
    codelist: Codelist | None = None
    edges: tuple[float, ...] = ()
    maximum: float = math.inf
    column: str = ""
    proper: bool = False

    @property
    def name(self) -> str:
        """Name of the dimension."""
        return self.dimension.name

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in order, without the margin."""
        return self.dimension.labels

    def title(self, language: str = "en") -> str:
        """Return what the dimension is called."""
        return self.names.get(language, self.names.get("en", self.name))

    def label(self, code: str, language: str = "en") -> str:
        """Return the text that stands for a label in a figure or table.

        Raises
        ------
        DefinitionError
            When the dimension has no such label.
        """
        if self.codelist is not None:
            return self.codelist.label(code, language)
        if code not in self.dimension.margin_labels:
            raise DefinitionError(
                f"Unknown label {show(code)!r}",
                where=f"dimension {self.name}",
                todo=suggest(code, self.labels),
            )
        fixed = {ALL: LABELS_OF_ALL, OTHER: LABELS_OF_OTHER, MISSING: LABELS_OF_MISSING}
        if code in fixed:
            return fixed[code].get(language, fixed[code]["en"])
        if not self.edges:
            return code
        low, high = code[1:-1].split(",")
        if high == "inf":
            return f"≥{low}"
        if self.dimension.unit == YEARS and all(edge.is_integer() for edge in self.edges):
            # Nobody says "60 to below 70" of an age: whole years, the last one included.
            last = f"{float(high) - 1:g}"
            return low if low == last else f"{low}–{last}"
        return f"{low}–<{high}"

    def encode(self, values: Iterable[object]) -> npt.NDArray[np.int32]:
        """Return for each value the position of its label.

        Parameters
        ----------
        values
            n values: a sequence, numpy array, pandas or polars Series. Strings for a codelist,
            numbers for edges, dates or ISO texts for a calendar.

        Returns
        -------
        numpy.ndarray
            (n,) int32 positions in `labels`; what no label fits becomes `other`, null `missing`.
        """
        if self.codelist is not None:
            return self.codelist.encode(values)
        if self.edges:
            return self._encode_numbers(values)
        array = values if isinstance(values, list | tuple) else np.asarray(values)
        if isinstance(array, np.ndarray) and array.dtype.kind == "M":
            array = np.datetime_as_string(array.astype("datetime64[D]")).astype(object)
            array[array == "NaT"] = None
        return encode_unique(array, self._position_of_month)

    def _encode_numbers(self, values: Iterable[object]) -> npt.NDArray[np.int32]:
        numbers, unreadable = _numbers(values)
        found = np.searchsorted(np.asarray(self.edges), numbers, side="right") - 1
        with np.errstate(invalid="ignore"):
            outside = (numbers < self.edges[0]) | (numbers > self.maximum) | np.isinf(numbers)
        found[outside | unreadable] = len(self.edges)
        found[np.isnan(numbers) & ~unreadable] = len(self.edges) + 1
        return found.astype(np.int32)

    def _position_of_month(self, value: object) -> int:
        places = self._places()
        if is_missing(value) or value == "":
            return places[MISSING]
        if isinstance(value, date):
            value = value.isoformat()
        if isinstance(value, str) and re.match(r"\d{4}-\d{2}", value[:7], re.ASCII):
            rest = value[7:]
            if not rest or _is_day(value[:10]):
                return places.get(value[:7], places[OTHER])
        return places[OTHER]

    def _places(self) -> dict[str, int]:
        return {label: i for i, label in enumerate(self.labels)}


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _numbers(values: Iterable[object]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return values as floats, and which of them are there but are no numbers."""
    if isinstance(values, list | tuple):
        items = list(values)
    else:
        array = np.asarray(values)
        if array.dtype.kind in "fiu":
            return array.astype(np.float64), np.zeros(len(array), dtype=bool)
        items = array.tolist()
    numbers = np.full(len(items), np.nan)
    unreadable = np.zeros(len(items), dtype=bool)
    for i, value in enumerate(items):
        if is_missing(value) or value == "":
            continue
        try:
            numbers[i] = float(value) if not isinstance(value, bool) else np.nan
        except (TypeError, ValueError, OverflowError):
            numbers[i] = np.nan
        unreadable[i] = math.isnan(numbers[i])
    return numbers, unreadable


def month_labels(first: str, last: str) -> tuple[str, ...]:
    """Return all months from `first` to `last`.

    Examples
    --------
    >>> month_labels("2019-12", "2020-02")
    ('2019-12', '2020-01', '2020-02')
    """
    start, end = (int(m[:4]) * 12 + int(m[5:]) - 1 for m in (first, last))
    return tuple(f"{m // 12:04d}-{m % 12 + 1:02d}" for m in range(start, end + 1))


def make_dimension(name: str, table: DimensionTable, folder: Path) -> StudyDimension:
    """Return the dimension that a table declares.

    Raises
    ------
    DefinitionError
        When its codelist cannot be read.
    """
    codelist = None
    source: Literal["codelist", "intervals", "calendar"]
    edges = tuple(float(e) for e in table.edges or ())
    if table.codelist is not None:
        try:
            codelist = read_codelist(inside(folder, table.codelist))
        except ValueError as exc:
            raise DefinitionError(
                str(exc), where=table.codelist, todo="Keep codelists in the study folder"
            ) from None
        labels, source = codelist.codes, "codelist"
    elif table.edges is not None:
        labels, source = (*interval_labels(edges), OTHER, MISSING), "intervals"
    else:
        months = month_labels(table.first or "", table.last or "")
        labels, source = (*months, OTHER, MISSING), "calendar"
    dimension = Dimension(name, labels, table.one_per, table.zeros, table.unit, source)
    maximum = math.inf if table.maximum is None else table.maximum
    return StudyDimension(
        dimension, dict(table.label), codelist, edges, maximum, table.column, table.names
    )
