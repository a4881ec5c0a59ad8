"""Counting: the rows of one partition of exams, made into a Summary."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.errors import DefinitionError, show, suggest
from workbench.summaries import counts, histogram, moments
from workbench.summaries.dimension import Dimension, Zeros
from workbench.summaries.summary import Summary

PARTS = ("modality", "manufacturer", "model", "body_part")
"""Columns of which an exam can have several values, one combination for each of its parts."""
ELEMENTS = ("body_part", "description", "age", "sex")
"""What the description of an exam can state; the values of the column `element`."""
NUMBERS = ("age_years", "images", "megabytes")
COLUMNS = (*PARTS, "element", "sex", *NUMBERS)
"""What exams can be counted by."""
SOURCES = {"age_band": "age_years"}
"""Dimension -> the column it is made from, where the two differ and the dimension does not say."""


class Encoder(Protocol):
    """What turns the values of a column into positions of declared labels."""

    @property
    def dimension(self) -> Dimension:
        """The labels."""

    def encode(self, values: Any) -> npt.NDArray[np.int32]:  # noqa: ANN401 - any sequence
        """Return the position of the label of each value."""


@dataclass(frozen=True)
class Rows:
    """Hold rows as integers, as the modules of `workbench.summaries` take them.

    Parameters
    ----------
    columns : (n,) int32 each
        Position of the label, by dimension.
    exam, patient : (n,) int64
        Number of the exam and of the patient in the partition.
    values : (n,) float64 or None
        A number of the exam; NaN if it is not known.
    """

    dimensions: tuple[Dimension, ...]
    columns: Mapping[str, npt.NDArray[np.int32]]
    exam: npt.NDArray[np.int64]
    patient: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64] | None


def make_rows(stored: pl.LazyFrame, by: Sequence[Encoder], column: str | None = None) -> Rows:
    """Return one row for each exam and combination of labels.

    Parameters
    ----------
    stored
        A partition, in the order `write_exams` gave it: the exams of a patient together.
    by
        Dimensions of the study.
    column
        The number to take along.

    Raises
    ------
    DefinitionError
        If exams have no such column.
    """
    sources = [source_column(d) for d in by]
    if column is not None and column not in NUMBERS:
        raise DefinitionError(
            f"Exams have no number {show(column)!r}",
            where="columns of exams",
            todo=suggest(column, NUMBERS),
        )
    held = {c: pl.col(c) for c in (*sources, column) if c in ("element", "sex", *NUMBERS)}
    wanted = [c for c in PARTS if c in sources]
    if wanted:
        held["parts"] = pl.col("parts")
    frame = stored.select(patient=pl.col("patient_id").rle_id().cast(pl.Int64), **held)
    frame = frame.with_row_index("exam")
    if wanted:
        frame = frame.explode("parts").with_columns(
            pl.col("parts").struct.field(c).alias(c) for c in wanted
        )
    if "element" in sources:
        frame = frame.explode("element", empty_as_null=True)
    table = frame.drop("parts", strict=False).collect()
    return Rows(
        tuple(d.dimension for d in by),
        {d.dimension.name: encode(d, table[s]) for d, s in zip(by, sources, strict=True)},
        table["exam"].cast(pl.Int64).to_numpy(),
        table["patient"].to_numpy(),
        None if column is None else table[column].cast(pl.Float64).to_numpy(),
    )


def source_column(dimension: Encoder) -> str:
    """Return the column of exams that a dimension is made from.

    That is what its attribute `column` says, or the column of its own name.

    Raises
    ------
    DefinitionError
        If exams have no such column.
    """
    name = dimension.dimension.name
    column = getattr(dimension, "column", None) or SOURCES.get(name, name)
    if column not in COLUMNS:
        raise DefinitionError(
            f"Exams have no column {show(column)!r}",
            where=f"dimension {name}",
            todo=suggest(str(column), COLUMNS),
        )
    return str(column)


def encode(dimension: Encoder, values: pl.Series) -> npt.NDArray[np.int32]:
    """Return the position of the label of each value; each distinct text is looked up once."""
    if values.dtype.is_numeric() or values.dtype == pl.Null:
        return dimension.encode(values.cast(pl.Float64).to_numpy())
    if values.dtype not in (pl.Categorical, pl.Enum, pl.Date):
        distinct = values.unique()
        to = pl.Series(dimension.encode(distinct.to_list()), dtype=pl.Int32)
        return values.replace_strict(distinct, to, return_dtype=pl.Int32).to_numpy()
    # Few different values, and integers inside: each is looked up once, by its place.
    codes = values.to_physical().cast(pl.Int64)
    least = int(codes.drop_nulls().to_numpy().min(initial=0)) - 1  # of null
    place = codes.fill_null(least).to_numpy() - least
    held = np.flatnonzero(np.bincount(place))
    some = np.zeros(int(held.max(initial=0)) + 1, np.int64)
    some[place] = np.arange(len(place))
    distinct = values.gather(some[held])
    named = distinct if values.dtype == pl.Date else distinct.cast(pl.String)
    found = np.zeros(len(some), np.int32)
    found[held] = dimension.encode(named.to_list())
    positions: npt.NDArray[np.int32] = found[place]
    return positions


@dataclass(frozen=True)
class Table(ABC):
    """Name a table to make of each partition; it travels to the worker.

    Parameters
    ----------
    by
        Dimensions of the study.
    population
        Name of the set of exams.
    column
        The number to describe; None for counts.
    """

    by: tuple[Encoder, ...]
    population: str
    column: str | None = None

    def __call__(self, stored: pl.LazyFrame) -> Summary:
        """Return the Summary of one partition of exams."""
        return self.summarise(make_rows(stored, self.by, self.column))

    @abstractmethod
    def summarise(self, rows: Rows) -> Summary:
        """Return the Summary of rows."""


@dataclass(frozen=True)
class Counts(Table):
    """Count exams and patients."""

    def summarise(self, rows: Rows) -> Summary:
        """Return the Summary of rows."""
        return counts.summarise(
            rows.dimensions, rows.columns, rows.exam, rows.patient, population=self.population
        )


@dataclass(frozen=True)
class Moments(Table):
    """Sum a number of each exam and its square."""

    unit: str = "1"
    resolution: float = 1.0

    def summarise(self, rows: Rows) -> Summary:
        """Return the Summary of rows."""
        return moments.summarise(
            rows.dimensions,
            rows.columns,
            rows.exam,
            rows.patient,
            rows.values if rows.values is not None else (),
            unit=self.unit,
            resolution=self.resolution,
            population=self.population,
        )


@dataclass(frozen=True)
class Histogram(Table):
    """Count exams and patients in intervals of a number."""

    unit: str = "1"
    edges: tuple[float, ...] = ()
    zeros: Zeros = "protected"

    def summarise(self, rows: Rows) -> Summary:
        """Return the Summary of rows."""
        return histogram.summarise(
            rows.dimensions,
            rows.columns,
            rows.exam,
            rows.patient,
            rows.values if rows.values is not None else (),
            edges=self.edges,
            unit=self.unit,
            zeros=self.zeros,
            population=self.population,
        )


def readable(stored: pl.LazyFrame) -> pl.LazyFrame:
    """Return stored exams with one list column for each of `PARTS`."""
    lists = {
        c: pl.col("parts").list.eval(pl.element().struct.field(c)).list.drop_nulls()
        .list.unique(maintain_order=True)
        for c in PARTS
    }  # fmt: skip
    return stored.with_columns(**lists).drop("parts")
