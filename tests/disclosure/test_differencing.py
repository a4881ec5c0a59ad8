import numpy as np
import pytest

from tests.disclosure.tables import MODALITY, SEX, VENDOR, by, tables
from workbench.disclosure.check import check
from workbench.disclosure.differencing import classes_of, difference
from workbench.disclosure.ledger import LedgerEntry
from workbench.disclosure.policy import Policy

POLICY = Policy()


def released(exact, release="r1", table="patients"):
    view = check({table: exact}, POLICY).views[table]
    return LedgerEntry(release, table, exact, view, POLICY)


@pytest.mark.parametrize(("more", "refused"), [(0, False), (1, True), (9, True), (10, False)])
def test_a_population_that_differs_by_fewer_than_the_threshold_is_refused(more, refused):
    old, new = by(SEX, [60, 40, 20]), by(SEX, [60, 40 + more, 20])
    checked = check({"patients": new}, POLICY, [released(old)])
    assert (checked.verdict == "fail") is refused
    assert ("patients" in checked.views) is not refused
    if refused:
        (found,) = [f for f in checked.findings if f.level == "fail"]
        assert found.rule == "differencing"
        assert "'patients'" in found.message
        assert "'patients of release r1'" in found.message
        assert (found.value, found.threshold) == (more, 10)


@pytest.mark.parametrize("moved", [1, 3, 9])
def test_patients_that_changed_cells_are_refused(moved):
    old, new = by(SEX, [60, 40, 20]), by(SEX, [60 - moved, 40 + moved, 20])
    checked = check({"patients": new}, POLICY, [released(old)])
    assert [f.rule for f in checked.findings if f.level == "fail"] == ["differencing"]


def test_fewer_patients_are_refused_as_well():
    checked = check({"p": by(SEX, [56, 40, 20])}, POLICY, [released(by(SEX, [60, 40, 20]))])
    assert checked.verdict == "fail"


def test_another_name_of_the_population_does_not_help():
    new = by(SEX, [60, 40, 23], population="exams again")
    checked = check({"p": new}, POLICY, [released(by(SEX, [60, 40, 20]))])
    assert checked.verdict == "fail"
    different = by(SEX, [300, 180, 20], population="another hospital wing")
    assert check({"p": different}, POLICY, [released(by(SEX, [60, 40, 20]))]).verdict == "pass"


def test_tables_of_other_dimensions_are_compared_in_the_whole():
    checked = check({"m": by(MODALITY, [60, 40, 21, 0])}, POLICY, [released(by(SEX, [60, 40, 20]))])
    assert [f.rule for f in checked.findings if f.level == "fail"] == ["differencing"]


def test_two_tables_of_one_release_are_compared():
    checked = check({"a": by(SEX, [60, 40, 20]), "b": by(SEX, [60, 40, 24])}, POLICY)
    (found,) = [f for f in checked.findings if f.level == "fail"]
    assert "'a'" in found.message
    assert "'b'" in found.message


def test_a_grown_population_leaves_without_the_cells_that_grew_by_few():
    old, new = by(SEX, [60, 40, 20]), by(SEX, [90, 44, 20])
    checked = check({"patients": new}, POLICY, [released(old)])
    assert checked.verdict == "pass"
    status = checked.views["patients"].status["patients"]
    assert status.sel(sex="M").item() == "suppressed"
    assert status.sel(sex="F").item() == "rounded"


def test_a_histogram_and_moments_are_compared_with_their_namesakes():
    first = tables(150, 3)
    entries = [LedgerEntry("r1", n, first[n], check(first, POLICY).views[n], POLICY) for n in first]
    assert check(first, POLICY, entries).verdict != "fail"
    second = tables(155, 3)
    for name in ("value", "values"):
        checked = check({name: second[name]}, POLICY, entries)
        assert [f.rule for f in checked.findings if f.level == "fail"] == ["differencing"]


def test_no_difference_between_kinds_or_units():
    site = tables(60, 1)
    assert difference(site["by_modality"], site["value"], 10) is None


def test_classes_join_what_agrees_and_part_what_does_not():
    first, second = tables(60, 1), tables(200, 2)
    together = {**first, **{f"{n} again": t for n, t in second.items()}}
    classes = classes_of(together)
    assert len({classes[n] for n in first}) == 1
    assert len({classes[f"{n} again"] for n in second}) == 1
    assert classes["by_modality"] != classes["by_modality again"]


def test_moments_without_a_value_for_every_exam_are_a_class_of_their_own():
    who = np.arange(50)
    from workbench.summaries import moments

    column = {"vendor": who % 2}
    some = np.where(who < 30, 1.0, np.nan)
    value = moments.summarise([VENDOR], column, who, who, some, unit="1", resolution=1.0)
    classes = classes_of({"counts": by(VENDOR, [25, 25, 0]), "value": value})
    assert classes["counts"] != classes["value"]
