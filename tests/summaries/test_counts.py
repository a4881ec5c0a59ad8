import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from tests.summaries.strategies import AGE, DIMENSIONS, MODALITY, tables
from workbench.summaries import counts
from workbench.summaries.dimension import ALL, Dimension
from workbench.summaries.kinds import validate
from workbench.summaries.summary import combine


@given(tables())
def test_every_cell_and_margin_holds_distinct_exams_and_patients(table):
    summary = table.summarise("counts")
    validate(summary)
    for cell in itertools.product(*(d.margin_labels for d in DIMENSIONS)):
        rows = np.ones(table.exam.shape, bool)
        for dimension, label in zip(DIMENSIONS, cell, strict=True):
            if label != ALL:
                rows &= table.columns[dimension.name] == dimension.labels.index(label)
        held = summary.data.sel(dict(zip(summary.data.dims, cell, strict=True)))
        assert held.exams.item() == len(set(table.exam[rows].tolist()))
        assert held.patients.item() == len(set(table.patient[rows].tolist()))


def test_an_exam_of_two_modalities_counts_once_in_each_and_once_in_the_total():
    s = counts.summarise([MODALITY], {"modality": [0, 1]}, exam=[5, 5], patient=[9, 9])
    assert s.data.exams.values.tolist() == [1, 1, 1, 0, 0, 0]


def test_without_margins_or_dimensions():
    s = counts.summarise([AGE], {"age": [0, 1]}, [1, 2], [1, 1], margins=False)
    assert (s.labels("age"), s.margins) == (AGE.labels, ())
    assert s.data.patients.values.tolist() == [1, 1]
    total = counts.summarise([], {}, [1, 2], [1, 1], population="ct_exams")
    assert (total.data.exams.item(), total.data.patients.item()) == (2, 1)
    assert total.population == "ct_exams"
    assert total.data.exams.dtype == np.int64


def test_no_rows_count_as_nothing():
    s = counts.summarise([MODALITY], {"modality": []}, [], [])
    assert s.data.exams.values.tolist() == [0] * 6


@pytest.mark.parametrize("site", [1, 2, 3])
def test_valid_and_missing_of_a_published_example_add_up(shared_data, site):
    frame = pd.read_csv(shared_data / "tables" / f"cnsim_site{site}.csv")
    answered = Dimension("lab_tsc", ("valid", "missing"), one_per="patient")
    n = len(frame)
    s = counts.summarise(
        [answered],
        {"lab_tsc": frame.LAB_TSC.isna().to_numpy().astype(int)},
        np.arange(n),
        np.arange(n),
    )
    assert s.data.patients.sel(lab_tsc=ALL).item() == {1: 2163, 2: 3088, 3: 4128}[site]


def test_valid_and_missing_of_three_sites_are_those_of_all(shared_data):
    answered = Dimension("lab_tsc", ("valid", "missing"), one_per="patient")
    sites = []
    for site in (1, 2, 3):
        frame = pd.read_csv(shared_data / "tables" / f"cnsim_site{site}.csv")
        column = frame.LAB_TSC.isna().to_numpy().astype(int)
        rows = np.arange(len(frame))
        sites.append(counts.summarise([answered], {"lab_tsc": column}, rows, rows))
    pooled = combine(*sites)
    # CNSIM, three simulated sites of DataSHIELD: 7825 valid, 1554 missing.
    assert pooled.data.patients.values.tolist() == [9379, 7825, 1554]
