import numpy as np
import pytest

from tests.disclosure.tables import MODALITY, SEX, by, tables
from workbench.disclosure.check import check
from workbench.disclosure.policy import Policy
from workbench.summaries import counts, moments
from workbench.summaries.dimension import Dimension

POLICY = Policy()


def rules(checked):
    return [f.rule for f in checked.findings if f.level == "review"]


@pytest.mark.parametrize("patients", [300, 1500])
def test_ordinary_tables_need_no_review(patients):
    assert rules(check(tables(patients, 2), POLICY)) == []


def test_many_suppressed_devices_are_ordinary():
    rng = np.random.default_rng(0)
    maker = Dimension("manufacturer", tuple(f"M{i}" for i in range(6)))
    model = Dimension("model", tuple(f"D{i}" for i in range(10)))
    weight = 1 / np.arange(1, 61) ** 1.5
    device = rng.choice(60, 500, p=weight / weight.sum())
    who = np.arange(500)
    columns = {"manufacturer": device % 6, "model": device // 6}
    checked = check({"devices": counts.summarise([maker, model], columns, who, who)}, POLICY)
    assert rules(checked) == []
    assert checked.verdict == "pass"


def test_a_table_of_which_nothing_is_left():
    assert rules(check({"t": by(MODALITY, [5, 4, 6, 3])}, POLICY)) == ["nothing_left"]
    assert rules(check({"t": by(MODALITY, [0, 0, 0, 0])}, POLICY)) == []


def test_a_test_patient_with_hundreds_of_exams():
    exam = np.arange(1000)
    table = counts.summarise([SEX], {"sex": np.zeros(1000, int)}, exam, exam % 12)
    checked = check({"t": table}, POLICY)
    assert rules(checked) == ["exams_per_patient"]
    assert (checked.verdict, set(checked.views)) == ("review", {"t"})


def test_one_exam_that_makes_up_the_total():
    who = np.arange(40)
    value = np.where(who == 0, 10_000, 100)
    table = moments.summarise([], {}, who, who, value, unit="1", resolution=1.0)
    (found,) = [f for f in check({"t": table}, POLICY).findings if f.level == "review"]
    assert (found.rule, found.threshold) == ("dominance", 0.5)
    assert found.value > 0.5


@pytest.mark.parametrize("each", [1, 4])
@pytest.mark.parametrize(("largest", "found"), [(2000, []), (6000, ["dominance"])])
def test_a_patient_that_makes_up_the_total_with_one_exam_or_several(each, largest, found):
    exam = np.arange(50 * each)
    value = np.where(exam // each == 0, largest, 100)
    table = moments.summarise([], {}, exam, exam // each, value, unit="1", resolution=1.0)
    assert (value[:each].sum() > value.sum() / 2) == bool(found)
    assert rules(check({"t": table}, POLICY)) == found
