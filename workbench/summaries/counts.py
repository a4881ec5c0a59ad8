"""Counts: distinct exams and distinct patients per cell, margins counted and not summed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy.typing as npt

from workbench.summaries.dimension import Dimension
from workbench.summaries.distinct import code_rows, count, margin_targets
from workbench.summaries.field import Field, Kind
from workbench.summaries.summary import Summary, labelled

EXAMS = Field("exams", "int64", "1", sensitive=True, role="exams")
PATIENTS = Field("patients", "int64", "1", sensitive=True, role="patients")
COUNTS = Kind("counts", fields=(EXAMS, PATIENTS), released_fields=(EXAMS, PATIENTS))


def summarise(
    dimensions: Sequence[Dimension],
    columns: Mapping[str, npt.ArrayLike],
    exam: npt.ArrayLike,
    patient: npt.ArrayLike,
    *,
    population: str = "exams",
    margins: bool = True,
) -> Summary:
    """Count distinct exams and distinct patients per cell.

    Parameters
    ----------
    dimensions
        The dimensions of the table; none gives one cell.
    columns : (n,) integers each
        Position of each row's label in its dimension, by dimension name. An exam that has
        several labels of a dimension with one_per="none" has several rows.
    exam, patient : (n,) integers
        The exam and the patient of each row. All exams of a patient must be among the rows.
    population
        Name of the set of exams that the rows are.
    margins
        Whether to count the label `all` of every dimension too.

    Raises
    ------
    DefinitionError
        If the rows do not fit the dimensions.

    Examples
    --------
    >>> modality = Dimension("modality", ("CT", "MR"), one_per="none")
    >>> s = summarise([modality], {"modality": [0, 1, 0]}, exam=[1, 1, 2], patient=[7, 7, 7])
    >>> s.data.exams.values, s.data.patients.values
    (array([2, 2, 1]), array([1, 1, 1]))
    """
    rows = code_rows(dimensions, columns, exam, patient)
    size, targets = margin_targets(dimensions, margins=margins)
    arrays = {
        "exams": count(rows.exam, rows.cell, targets, size),
        "patients": count(rows.patient, rows.cell, targets, size),
    }
    held = [d.name for d in dimensions] if margins else []
    return Summary(
        "counts",
        labelled(dimensions, arrays, margins=held),
        tuple(dimensions),
        {"population": population},
    )
