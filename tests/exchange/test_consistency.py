"""What the tables of one release bound of each other, and when no data can have given them."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.disclosure.cells import protect
from workbench.disclosure.policy import Policy
from workbench.exchange.consistency import bound_tables
from workbench.exchange.envelope import RefusedError
from workbench.summaries import counts, moments
from workbench.summaries.dimension import Dimension

POLICY = Policy()
SEX = Dimension("sex", ("F", "M"), one_per="patient")
MODALITY = Dimension("modality", ("CT", "MR", "US"))


def rows(dimensions, patients):
    """Labels of patients with one exam each, the same for the first ones of any number."""
    drawn = {"sex": np.arange(patients) % 2, "modality": np.arange(patients) // 2 % 3}
    return {d.name: drawn[d.name] for d in dimensions}, np.arange(patients)


def count(dimensions, patients, population="exams", **options):
    columns, every = rows(dimensions, patients)
    table = counts.summarise(dimensions, columns, every, every, population=population, **options)
    return protect(table, POLICY)


def measure(dimensions, patients):
    columns, every = rows(dimensions, patients)
    values = np.ones(patients)
    table = moments.summarise(dimensions, columns, every, every, values, unit="mm", resolution=1.0)
    return protect(table, POLICY)


def bound(**tables):
    return bound_tables(tables, POLICY, where="north")


def test_a_table_has_at_most_the_exams_that_another_counts_of_the_same_labels():
    ends = bound(dose=measure([MODALITY], 200), both=count([SEX, MODALITY], 400))["dose"]
    alone = bound(dose=measure([MODALITY], 200))["dose"]
    upper = bound(both=count([SEX, MODALITY], 400))["both"].high
    for field in ("exams", "patients"):
        assert np.isinf(alone.most[field]).all()
        expected = upper[field].sel(sex="all").transpose("modality")
        assert ends.most[field].values.tolist() == expected.values.tolist()


def test_labels_are_matched_by_name_and_not_by_place():
    other = Dimension("modality", ("US", "CT"))
    columns, every = rows([MODALITY], 300)
    fewer = {"modality": np.where(columns["modality"] == 2, 0, 1)[columns["modality"] != 1]}
    kept = every[columns["modality"] != 1]
    counted = protect(counts.summarise([other], fewer, kept, kept), POLICY)
    # Every exam of the measured table that the other speaks of is in it too.
    most = bound(dose=measure([MODALITY], 150), of=counted)["dose"].most["exams"]
    upper = bound(of=counted)["of"].high["exams"]
    for label in ("US", "CT"):
        assert most.sel(modality=label).item() == upper.sel(modality=label).item()
    assert np.isinf(most.sel(modality="MR").item())


@pytest.mark.parametrize("counted", [[MODALITY], [SEX, MODALITY], [MODALITY, SEX]])
def test_more_exams_than_another_table_counts_cannot_be(counted):
    with pytest.raises(RefusedError, match="contradicts itself") as refused:
        bound(dose=measure([MODALITY], 400), few=count(counted, 200))
    assert refused.value.reason == "contradiction"
    assert refused.value.where.startswith("north, dose, ")


def test_tables_of_other_populations_bound_nothing():
    few = count([MODALITY], 200, population="series")
    assert np.isinf(bound(dose=measure([MODALITY], 400), few=few)["dose"].most["exams"]).all()


def test_a_table_without_the_margin_that_would_be_compared_bounds_nothing():
    few = count([SEX, MODALITY], 200, margins=False)
    assert np.isinf(bound(dose=measure([MODALITY], 400), few=few)["dose"].most["exams"]).all()
