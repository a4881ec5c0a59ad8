import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.disclosure.tables import MODALITY, SEX, TRACER, by, feasible, sites, tables
from workbench.disclosure.attack import Problem, attack
from workbench.disclosure.cells import protect
from workbench.disclosure.policy import Policy
from workbench.errors import DisclosureError
from workbench.summaries import counts
from workbench.summaries.dimension import Dimension
from workbench.summaries.summary import labelled

POLICY = Policy()
AGE = Dimension("age", ("[0,40)", "[40,inf)"), one_per="patient", labels_from="intervals")
FINE = Dimension(
    "age", ("[0,20)", "[20,40)", "[40,inf)"), one_per="patient", labels_from="intervals"
)


def planted(numbers=(60, 40, 25, 3)):
    """A table with one cell of three patients."""
    patients = Dimension("modality", MODALITY.labels, one_per="patient")
    return by(patients, list(numbers))


def with_status(table, status):
    """Return the exact numbers with a status of their own, as if somebody had released them."""
    words = {n: np.asarray(status, "U14").reshape(table.data[n].shape) for n in table.fields}
    return dataclasses.replace(
        table, status=labelled(table.dimensions, words, margins=table.margins)
    )


def test_exact_margins_solve_the_planted_cell():
    view = with_status(planted(), ["ok", "ok", "ok", "ok", "suppressed"])
    (found,) = attack({"t": view}, POLICY)
    assert (found.table, found.cell, found.low, found.high) == ("t", "modality=US", 3, 3)


def test_unsuppressed_tables_solve_the_planted_cell():
    for view in (planted(), with_status(planted(), ["ok"] * 5)):
        assert [(e.cell, e.low, e.high) for e in attack([view], POLICY)] == [("modality=US", 3, 3)]
    rounded = dataclasses.replace(
        planted(), data=planted().data.map(lambda v: v.copy(data=POLICY.round(v.values)))
    )
    words = ["rounded"] * 5
    assert [e.cell for e in attack([with_status(rounded, words)], POLICY)] == ["modality=US"]


def test_rounded_margins_protect_a_cell_among_many():
    assert attack([protect(planted((60, 41, 26, 3)), POLICY)], POLICY) == []


def test_patients_of_overlapping_labels_do_not_add_up():
    exam, patient = np.arange(60), np.arange(60)
    table = counts.summarise(
        [TRACER],
        {"tracer": np.repeat([0, 1], [60, 4])},
        [*exam, *exam[:4]],
        [*patient, *patient[:4]],
    )
    view = with_status(table, ["ok", "ok", "suppressed", "suppressed"])
    assert attack([view], POLICY) == []


@pytest.mark.parametrize(("joined", "solved"), [("exams", True), ("other exams", False)])
def test_tables_of_one_population_share_their_cells(joined, solved):
    fine = with_status(by(FINE, [4, 5, 200]), ["suppressed", "suppressed", "suppressed", "ok"])
    coarse = with_status(by(AGE, [9, 200], population=joined), ["ok", "ok", "ok"])
    found = {e.cell for e in attack({"fine": fine, "coarse": coarse}, POLICY)}
    assert ("age=[0,20)" in found) is False  # four or five of nine: 0 to 9 stay possible
    coarse = with_status(by(AGE, [6, 200], population=joined), ["ok", "ok", "ok"])
    fine = with_status(by(FINE, [2, 4, 200]), ["suppressed", "suppressed", "suppressed", "ok"])
    found = {e.cell for e in attack({"fine": fine, "coarse": coarse}, POLICY)}
    assert ("age=[0,20)" in found) is solved


def test_other_is_what_a_finer_codelist_names():
    coarse = Dimension("vendor", ("V", "other"), one_per="patient")
    fine = Dimension("vendor", ("V", "W", "other"), one_per="patient")
    a = with_status(by(coarse, [100, 25]), ["suppressed", "ok", "ok"])
    b = with_status(by(fine, [100, 20, 5]), ["suppressed", "ok", "ok", "suppressed"])
    assert [(e.cell, e.low) for e in attack({"a": a, "b": b}, POLICY)] == [("vendor=other", 5)]


def test_contradictions_are_refused_and_not_passed():
    a = with_status(by(SEX, [60, 40, 30]), ["ok"] * 4)
    b = with_status(by(SEX, [60, 40, 31]), ["ok"] * 4)
    with pytest.raises(DisclosureError, match="contradict"):
        attack({"a": a, "b": b}, POLICY)
    suppressed = with_status(by(SEX, [60, 40, 30]), ["ok", "suppressed", "ok", "ok"])
    with pytest.raises(DisclosureError, match="contradict"):
        attack([suppressed], POLICY)  # 60 patients, said to be fewer than 10


def test_nothing_released_gives_nothing_away():
    assert attack({}, POLICY) == []


@settings(max_examples=20, deadline=None)
@given(sites)
def test_joint_programmes_find_what_single_ones_find(site):
    views = {name: protect(table, POLICY) for name, table in site.items()}
    classes = dict.fromkeys(views, "exams")
    problem = Problem(views, POLICY, classes=classes)
    one_by_one = {
        e.number for e in feasible(problem) if problem.is_exposed(e.number, e.low, e.high)
    }
    assert {e.number for e in attack(views, POLICY, classes=classes)} == one_by_one


@settings(max_examples=20, deadline=None)
@given(sites, st.booleans())
def test_what_was_met_before_changes_nothing_of_what_gives_a_cell_away(site, known):
    views = {name: protect(table, POLICY) for name, table in site.items()}

    def make():
        small = range(len(problem.relations.cells)) if known else ()
        return Problem(views, POLICY, classes=classes, relations=problem.relations, small=small)

    classes = dict.fromkeys(views, "exams")
    problem = Problem(views, POLICY, classes=classes)
    met = make()
    met.suspects()
    for number in problem.where:
        alone = make()
        exposed = alone.is_exposed(number, *alone.bounds_of(number))
        assert (met.holders(number) is not None) == exposed
        assert met.holders(number) == make().holders(number)


@settings(max_examples=20, deadline=None)
@given(sites)
def test_the_truth_is_feasible(site):
    views = {name: protect(table, POLICY) for name, table in site.items()}
    problem = Problem(views, POLICY, classes=dict.fromkeys(views, "exams"))
    for found in feasible(problem):
        table, position = problem.where[found.number]
        truth = site[table].data["patients"].values[position]
        assert found.low <= truth <= found.high, found


@settings(max_examples=20, deadline=None)
@given(st.integers(20, 200), st.integers(0, 10**6))
def test_exposed_cells_of_a_small_table_agree_with_counting(n, seed):
    # One dimension, one exam and one label per patient: brute force over whole numbers.
    rng = np.random.default_rng(seed)
    numbers = np.bincount(rng.choice(3, n, p=[0.8, 0.17, 0.03]), minlength=3)
    sexes = Dimension("sex", ("F", "M", "other"), one_per="patient")
    view = protect(by(sexes, numbers.tolist()), POLICY)
    words, values = view.status["patients"].values, view.data["patients"].values

    def possible(i):
        if words[i] == "suppressed":
            return np.arange(10) if i else np.arange(300)
        low, high = POLICY.bounds(int(values[i]))
        return np.arange(max(low, 10), high + 1)

    parts = np.stack(np.meshgrid(*(possible(i) for i in (1, 2, 3)), indexing="ij"), -1)
    parts = parts.reshape(-1, 3)[np.isin(parts.reshape(-1, 3).sum(1), possible(0))]
    expected = [
        i for i in range(3)
        if words[i + 1] == "suppressed" and not {1, 9} <= set(parts[:, i].tolist())
    ]  # fmt: skip
    assert [e.cell for e in attack([view], POLICY)] == [f"sex={sexes.labels[i]}" for i in expected]


def test_a_site_is_attacked_with_few_programmes(monkeypatch):
    calls = []
    solve = Problem.solve
    monkeypatch.setattr(Problem, "solve", lambda *a: (calls.append(1), solve(*a))[1])
    views = {name: protect(table, POLICY) for name, table in tables(60, 1).items()}
    problem = Problem(views, POLICY, classes=dict.fromkeys(views, "exams"))
    problem.exposed()
    assert len(problem.where) > 40
    assert len(calls) < 1.5 * len(problem.where)
