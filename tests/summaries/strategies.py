"""Random rows: patients with exams, exams with several modalities, values with gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from workbench.summaries import counts, histogram, moments
from workbench.summaries.dimension import Dimension
from workbench.summaries.summary import Summary

MODALITY = Dimension("modality", ("CT", "MR", "US", "other", "missing"), one_per="none")
AGE = Dimension("age", ("[0,40)", "[40,inf)"), one_per="exam", labels_from="intervals")
SEX = Dimension("sex", ("F", "M"), one_per="patient", zeros="public")
DIMENSIONS = (MODALITY, AGE, SEX)
EDGES = (-5.0, 0.0, 1.0, 2.5, 10.0, 100.0)


@dataclass(frozen=True)
class Table:
    """Long rows: one per exam and modality."""

    columns: dict[str, np.ndarray]
    exam: np.ndarray
    patient: np.ndarray
    values: np.ndarray

    def select(self, rows: np.ndarray) -> Table:
        return Table(
            {name: column[rows] for name, column in self.columns.items()},
            self.exam[rows],
            self.patient[rows],
            self.values[rows],
        )

    def summarise(self, kind: str, dimensions: tuple[Dimension, ...] = DIMENSIONS) -> Summary:
        columns = {d.name: self.columns[d.name] for d in dimensions}
        rows = (dimensions, columns, self.exam, self.patient)
        if kind == "counts":
            return counts.summarise(*rows)
        if kind == "moments":
            return moments.summarise(*rows, self.values, unit="mGy", resolution=0.01)
        return histogram.summarise(*rows, self.values, edges=EDGES, unit="mGy")


@st.composite
def tables(draw: st.DrawFn, max_patients: int = 12) -> Table:
    """Draw a table; identifiers are small, or large and sparse."""
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    patients = draw(st.integers(0, max_patients))
    stride = draw(st.sampled_from([1, -7, 2**55 + 3]))
    rows = []
    exam = 0
    for patient in range(patients):
        sex = random.integers(2)
        for _ in range(random.integers(1, 4)):
            age = random.integers(2)
            value = random.choice([np.nan, -7.0, 0.0, 0.125, 2.5, 10.0, random.normal(5, 20)])
            for modality in random.choice(5, size=random.integers(1, 4), replace=True):
                rows.append((modality, age, sex, exam * stride, patient * stride, value))
            exam += 1
    random.shuffle(rows)
    columns = [np.array(c) for c in zip(*rows, strict=True)] if rows else [np.array([], int)] * 6
    names = ("modality", "age", "sex")
    return Table(
        {name: column.astype(np.int64) for name, column in zip(names, columns, strict=False)},
        columns[3].astype(np.int64),
        columns[4].astype(np.int64),
        columns[5].astype(float),
    )
