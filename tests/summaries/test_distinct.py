import numpy as np
import pytest
from hypothesis import given

from tests.summaries.strategies import MODALITY, SEX, tables
from workbench.errors import DefinitionError
from workbench.summaries.dimension import Dimension
from workbench.summaries.distinct import code_rows, margin_targets, with_values


def code(columns, exam, patient, dimensions=(MODALITY,)):
    return code_rows(dimensions, columns, exam, patient)


@pytest.mark.parametrize(
    ("columns", "exam", "patient", "reason"),
    [
        ({}, [1], [1], "column is missing"),
        ({"modality": [0], "weight": [0]}, [1], [1], "no dimension"),
        ({"modality": [0, 1]}, [1], [1], "another length"),
        ({"modality": [0]}, [1], [1, 2], "differ in length"),
        ({"modality": [5]}, [1], [1], "outside the labels"),
        ({"modality": [-1]}, [1], [1], "outside the labels"),
        ({"modality": [0.0]}, [1], [1], "one integer per row"),
        ({"modality": [0]}, ["a"], [1], "one integer per row"),
        ({"modality": [[0]]}, [1], [1], "one integer per row"),
        ({"modality": [0, 0]}, [1, 1], [1, 2], "two patients"),
    ],
)
def test_rows_that_do_not_fit_are_refused(columns, exam, patient, reason):
    with pytest.raises(DefinitionError, match=reason):
        code(columns, exam, patient)


def test_one_per_must_be_true_of_the_data():
    with pytest.raises(DefinitionError, match="same patient has several labels"):
        code({"sex": [0, 1]}, [1, 2], [1, 1], (SEX,))
    per_exam = Dimension("sex", ("F", "M"), one_per="exam")
    assert code({"sex": [0, 1]}, [1, 2], [1, 1], (per_exam,)).cell.tolist() == [0, 1]
    with pytest.raises(DefinitionError, match="same exam has several labels"):
        code({"sex": [0, 1]}, [1, 1], [1, 1], (per_exam,))


def test_identifiers_may_be_any_integers():
    large = np.array([2**64 - 1, 0, 2**64 - 1], dtype=np.uint64)
    rows = code({"modality": [0, 0, 1]}, large, np.array([-(2**63), 2**63 - 1, -(2**63)]))
    assert rows.exam[0] == rows.exam[2] != rows.exam[1]
    assert rows.patient[0] == rows.patient[2] != rows.patient[1]
    small = code(
        {"modality": [0, 0]}, np.array([-128, 127], np.int8), np.array([200, 255], np.uint8)
    )
    assert small.exam.tolist() == [0, 255]
    assert small.patient.tolist() == [0, 55]


def test_a_table_that_is_too_large_is_refused_before_it_is_made():
    wide = [Dimension(f"d{i}", tuple(map(str, range(999)))) for i in range(4)]
    with pytest.raises(DefinitionError, match="would have 1000000000000 cells"):
        margin_targets(wide, margins=True)


def test_values_are_one_finite_number_per_exam():
    rows = code({"modality": [0, 1]}, [1, 1], [1, 1])
    with pytest.raises(DefinitionError, match="infinite"):
        with_values(rows, [np.inf, np.inf])
    with pytest.raises(DefinitionError, match="two values"):
        with_values(rows, [1.0, 2.0])
    with pytest.raises(DefinitionError, match="one number per row"):
        with_values(rows, [1.0])
    with pytest.raises(DefinitionError, match="one number per row"):
        with_values(rows, ["1", "2"])
    kept, values = with_values(rows, [np.nan, 2.0])
    assert (kept.cell.tolist(), values.tolist()) == ([1], [2.0])


@given(tables())
def test_codes_tell_identifiers_apart_and_only_them(table):
    rows = code({"modality": table.columns["modality"]}, table.exam, table.patient)
    for codes, given_ in ((rows.exam, table.exam), (rows.patient, table.patient)):
        pairs = set(zip(codes.tolist(), given_.tolist(), strict=True))
        assert len(pairs) == len(set(codes.tolist())) == len(set(given_.tolist()))
