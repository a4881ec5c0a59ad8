import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings

from tests.disclosure.tables import MODALITY, SEX, VENDOR, by, feasible, sites, tables
from workbench.disclosure.attack import Problem, attack
from workbench.disclosure.cells import protect
from workbench.disclosure.check import check
from workbench.disclosure.ledger import LedgerEntry
from workbench.disclosure.policy import Policy
from workbench.summaries import counts, histogram, moments
from workbench.summaries.dimension import Dimension

POLICY = Policy()


def recorded(summaries, checked, release, policy=POLICY):
    return [
        LedgerEntry(release, name, summaries[name], view, policy)
        for name, view in checked.views.items()
    ]


@settings(max_examples=15, deadline=None)
@given(sites)
def test_after_a_check_nothing_is_given_away_and_the_truth_stays_feasible(site):
    checked = check(site, POLICY)
    assert checked.verdict != "fail"
    assert set(checked.views) == set(site)
    problem = Problem(checked.views, POLICY, classes=checked.classes)
    for found in feasible(problem):
        table, position = problem.where[found.number]
        truth = site[table].data["patients"].values[position]
        assert found.low <= truth <= found.high, found
        if checked.views[table].status["patients"].values[position] == "suppressed" and truth < 10:
            assert found.low <= 1, found
            assert found.high >= 9, found


@settings(max_examples=8, deadline=None)
@given(sites)
def test_check_is_a_function(site):
    once, again = check(site, POLICY), check(dict(site), POLICY)
    assert once.findings == again.findings
    for name, view in once.views.items():
        assert view.equals(again.views[name])
    for name, table in tables(60, 5).items():
        assert table.equals(tables(60, 5)[name])  # nothing was changed in place


@settings(max_examples=10, deadline=None)
@given(sites)
def test_what_left_before_leaves_again_as_it_left(site):
    first = check(site, POLICY)
    second = check(site, POLICY, recorded(site, first, "r1"))
    assert second.verdict != "fail"
    for name, view in first.views.items():
        assert view.equals(second.views[name])


@settings(max_examples=10, deadline=None)
@given(sites)
def test_a_later_table_gives_nothing_away_of_an_earlier_one(site):
    early = {n: site[n] for n in ("by_modality", "value")}
    late = {n: site[n] for n in ("by_vendor_sex", "values", "by_tracer")}
    first = check(early, POLICY)
    second = check(late, POLICY, recorded(early, first, "r1"))
    if second.verdict == "fail":  # allowed only if it says what is given away
        assert {f.rule for f in second.findings if f.level == "fail"} == {"exposed"}
        assert second.views == {}
        return
    everything = {**first.views, **second.views}
    assert attack(everything, POLICY, classes=dict.fromkeys(everything, "exams")) == []


def test_a_margin_goes_before_a_cell_and_the_grand_total_last():
    modality = Dimension("modality", ("CT", "MR"), one_per="patient")
    column = np.repeat([0, 0, 1, 1], [60, 2, 50, 40])
    other = np.repeat([0, 1, 0, 1], [60, 2, 50, 40])
    who = np.arange(152)
    vendor = Dimension("vendor", ("V", "W"), one_per="patient")
    table = counts.summarise([modality, vendor], {"modality": column, "vendor": other}, who, who)
    view = check({"t": table}, POLICY).views["t"]
    words = view.status["patients"]
    assert words.sel(modality="CT", vendor="W").item() == "suppressed"
    assert words.sel(modality="all", vendor="all").item() == "rounded"
    for cell in ({"modality": "CT", "vendor": "V"}, {"modality": "MR", "vendor": "V"}):
        assert words.sel(cell).item() == "rounded"
    # Either margin alone would leave the cell at most 4.
    for cell in ({"modality": "CT", "vendor": "all"}, {"modality": "all", "vendor": "W"}):
        assert words.sel(cell).item() == "suppressed"


def test_without_a_margin_to_spare_the_smallest_cell_goes_and_the_total_stays():
    table = by(SEX, [300, 40, 2])
    checked = check({"t": table}, POLICY)
    view = checked.views["t"]
    assert view.status["patients"].values.tolist() == [
        "rounded", "rounded", "suppressed", "suppressed",
    ]  # fmt: skip
    # A reader can tell what was held back from what is small.
    assert view.status["exams"].values.tolist()[2:] == ["not_applicable", "suppressed"]
    assert "1 of 4 cells suppressed, 1 held back" in checked.findings[-1].message


def test_a_cell_held_back_is_held_back_in_every_table():
    who = np.arange(342)
    sex = np.repeat([0, 1, 2], [300, 40, 2])
    both = counts.summarise([VENDOR, SEX], {"vendor": who % 3, "sex": sex}, who, who)
    checked = check({"one": by(SEX, [300, 40, 2]), "two": both}, POLICY)
    assert checked.verdict == "pass"
    one, two = checked.views["one"].status["patients"], checked.views["two"].status["patients"]
    for label in ("F", "M"):
        assert one.sel(sex=label).item() == two.sel(sex=label, vendor="all").item()


def test_an_exposed_cell_that_cannot_be_helped_fails_with_its_name():
    fine = Dimension("sex", ("F", "M", "other"), one_per="patient", zeros="public")
    first = check({"total": counts.summarise([], {}, range(63), range(63))}, POLICY)
    total = counts.summarise([], {}, range(63), range(63))
    earlier = recorded({"total": total}, first, "r1")
    # Everything but one label left earlier; the label is small.
    part = by(Dimension("sex", ("F", "M", "other"), one_per="patient", zeros="public"), [60, 0, 3])
    view = dataclasses.replace(part, status=None)
    words = {n: part.data[n].copy(data=np.full(4, "ok", "U14")) for n in part.fields}
    leaked = dataclasses.replace(view, status=part.data.assign(words))
    earlier.append(LedgerEntry("r0", "leak", part, leaked, POLICY))
    checked = check({"sex": by(fine, [60, 0, 3])}, POLICY, earlier)
    failed = [f for f in checked.findings if f.level == "fail"]
    assert [f.rule for f in failed] == ["exposed"]
    assert "sex=other" in failed[0].where
    assert checked.views == {}


def test_a_histogram_is_merged_until_the_attack_finds_nothing():
    site = tables(300, 11)
    checked = check(site, POLICY)
    assert attack(checked.views, POLICY, classes=checked.classes) == []
    words = checked.views["values"].status["patients"].values
    assert (words == "rounded").any()


def test_a_tighter_policy_later_does_not_fail_for_what_left_before():
    site = {n: tables(200, 4)[n] for n in ("by_modality", "by_vendor_sex")}
    first = check(site, POLICY)
    assert check(site, Policy(20), recorded(site, first, "r1")).verdict != "fail"


@pytest.mark.parametrize("bad", [None, 3, "table", {"a": 1}])
def test_what_is_no_summary_fails(bad):
    checked = check({"ok": by(SEX, [60, 40, 20]), "bad": bad}, POLICY)
    assert checked.verdict == "fail"
    assert [f.rule for f in checked.findings if f.level == "fail"] == ["readable"]
    assert set(checked.views) == {"ok"}


def test_a_view_and_an_unknown_kind_fail():
    table = by(SEX, [60, 40, 20])
    view = check({"t": table}, POLICY).views["t"]
    for bad in (view, dataclasses.replace(table, kind="scores")):
        checked = check({"t": bad}, POLICY)
        assert (checked.verdict, checked.views) == ("fail", {})


def test_nothing_to_check_passes():
    assert check({}, POLICY).verdict == "pass"
    assert check({"t": by(MODALITY, [0, 0, 0, 0])}, POLICY).verdict == "pass"


def test_a_histogram_that_leaves_out_an_exam_is_bounded_by_the_counts():
    # CT has 11 exams; one MR exam has no value, so the tables do not count the same exams.
    modality = Dimension("modality", ("CT", "MR"), one_per="none", zeros="public")
    where = {"modality": np.array([0] * 11 + [1] * 60)}
    who = np.arange(71)
    values = np.where(who < 1, 5.0, 50.0)
    values[11:] = np.where(np.arange(60) % 2, 5.0, 50.0)
    values[70] = np.nan
    tables = {
        "exams": counts.summarise([modality], where, who, who),
        "size": histogram.summarise(
            [modality], where, who, who, values, edges=[0, 10, 100], unit="MB", zeros="public"
        ),
    }
    checked = check(tables, Policy())
    view = checked.views["size"]
    told = view.statuses["patients"].sel(modality="CT").values.tolist()
    assert "suppressed" not in told  # the bin of one patient is merged, not left to be computed


def test_a_mean_that_is_everybodys_value_does_not_leave():
    modality = Dimension("modality", ("CT",))
    table = moments.summarise(
        [modality], {"modality": [0] * 12}, range(12), range(12), [7.0] * 12, unit="mGy",
        resolution=0.01,
    )  # fmt: skip
    view = check({"dose": table}, Policy()).views["dose"]
    assert set(view.statuses["mean"].values) == set(view.statuses["sd"].values) == {"suppressed"}
    assert set(view.statuses["patients"].values) == {"rounded"}


def nine_and_nine(kinds):
    """Nine women and nine men, each with one exam and one value."""
    who = np.arange(18)
    sexes = Dimension("sex", ("F", "M"), one_per="patient", zeros="public")
    columns = {"sex": who % 2, "modality": who // 2 % 2}
    found = {}
    for name, dimensions in {
        "sex": [sexes], "modality": [MODALITY], "both": [sexes, MODALITY], "whole": []
    }.items():  # fmt: skip
        of = {d.name: columns[d.name] for d in dimensions}
        found[f"counts of {name}"] = counts.summarise(dimensions, of, who, who)
        found[f"values of {name}"] = moments.summarise(
            dimensions, of, who, who, who + 1.0, unit="1", resolution=1.0
        )
        found[f"bins of {name}"] = histogram.summarise(
            dimensions, of, who, who, who + 1.0, edges=[5, 10, 15], unit="1"
        )
    return {
        name: table for name, table in found.items() if name in kinds or name == "counts of sex"
    }


def women_possible(views):
    """Numbers of women, counted over whole numbers, that the told wholes of all tables allow."""
    small = views["counts of sex"].status["patients"].values[1:] == "suppressed"
    assert small.all()
    wholes = [(1, 10**6)]
    for view in views.values():
        for field in ("patients", "exams"):  # each patient has at least one exam
            at = (0,) * len(view.dimensions)
            if view.status[field].values[at] == "rounded":
                low, high = POLICY.bounds(int(view.data[field].values[at]))
                wholes.append((low if field == "patients" else 1, high))
    low, high = max(x for x, _ in wholes), min(x for _, x in wholes)
    # Suppressed sexes are below the threshold; what was held back is not.
    held = views["counts of sex"].status["exams"].values[1:] == "not_applicable"
    women, men = (range(10, 200) if h else range(10) for h in held)
    return {f for f in women for m in men if low <= f + m <= high}


@pytest.mark.parametrize(
    "beside",
    [
        ["counts of modality"], ["counts of whole"], ["counts of both"], ["values of modality"],
        ["values of sex"], ["bins of modality"], ["bins of whole"], ["bins of sex"],
        ["counts of both", "values of whole", "bins of modality", "counts of whole"],
    ],
)  # fmt: skip
def test_nine_and_nine_are_not_solved_by_any_whole_that_leaves(beside):
    exact = nine_and_nine(beside)
    bare = {name: protect(table, POLICY) for name, table in exact.items()}
    assert women_possible(bare) == {9}  # 18 to 22 in all, and at most nine of each
    checked = check(exact, POLICY)
    assert checked.verdict != "fail"
    assert {1, 9} <= women_possible(checked.views)
    assert attack(checked.views, POLICY, classes=dict.fromkeys(exact, "exams")) == []


def test_nine_and_nine_do_not_leave_after_their_whole_has_left():
    exact = nine_and_nine(["counts of whole"])
    whole = {"counts of whole": exact.pop("counts of whole")}
    first = check(whole, POLICY)
    assert first.verdict == "pass"
    checked = check(exact, POLICY, recorded(whole, first, "r1"))
    assert {f.rule for f in checked.findings if f.level == "fail"} == {"exposed"}
    assert checked.views == {}


def test_two_populations_are_held_back_as_each_is_alone_and_attacked_together():
    exams = tables(90, 3)
    other = {f"{n}_of_b": t for n, t in tables(70, 8, population="b").items()}
    together = check({**exams, **other}, POLICY)
    alone = check(exams, POLICY).views | check(other, POLICY).views
    assert list(together.views) == [*exams, *other]
    for name, view in together.views.items():
        assert view.equals(alone[name]), name
    assert attack(together.views, POLICY, classes=together.classes) == []


def test_a_whole_whose_parts_are_all_told_to_be_zero_is_no_secret():
    months = tuple(f"{year}-{month:02}" for year in (2020, 2021) for month in range(1, 13))
    month = Dimension("month", months, zeros="public", labels_from="calendar")
    year = Dimension("month", ("2020", "2021"), labels_from="calendar")
    views = {
        name: protect(counts.summarise([d], {"month": [at] * 50}, range(50), range(50)), POLICY)
        for name, d, at in (("months", month, 14), ("years", year, 1))
    }
    assert views["years"].status["patients"].values.tolist() == ["rounded", "suppressed", "rounded"]
    assert attack(views, POLICY, classes=dict.fromkeys(views, "exams")) == []


def test_every_population_that_fails_is_told_and_nothing_leaves():
    exact = {}
    earlier = []
    for population in ("a", "b", "c"):
        about = {"population": population}
        who = np.arange(18)
        women = Dimension("sex", ("F", "M"), one_per="patient", zeros="public")
        exact[population] = counts.summarise([women], {"sex": who % 2}, who, who, **about)
        if population != "c":  # nine and nine, and the whole has left
            whole = {f"whole of {population}": counts.summarise([], {}, who, who, **about)}
            earlier += recorded(whole, check(whole, POLICY), "r1")
    checked = check(exact, POLICY, earlier)
    failed = [f for f in checked.findings if f.level == "fail"]
    assert {f.rule for f in failed} == {"exposed"}
    assert {f.where.split(":")[0] for f in failed} == {"a", "b"}
    assert checked.views == {}
    assert set(check({"c": exact["c"]}, POLICY).views) == {"c"}


def test_tables_that_contradict_each_other_hide_no_other_population():
    def leaked(table, release):
        words = {n: table.data[n].copy(data=np.full(table.data[n].shape, "ok", "U14"))
                 for n in table.fields}  # fmt: skip
        view = dataclasses.replace(table, status=table.data.assign(words))
        return LedgerEntry(release, "leak", table, view, POLICY)

    one, two = (counts.summarise([], {}, range(n), range(n)) for n in (60, 90))
    wrong = dataclasses.replace(leaked(one, "r1"), exact=two)
    who = np.arange(18)
    women = Dimension("sex", ("F", "M"), one_per="patient", zeros="public")
    whole = {"whole": counts.summarise([], {}, who, who, population="b")}
    earlier = [wrong, *recorded(whole, check(whole, POLICY), "r2")]
    tables = {
        "all": two,
        "sex": counts.summarise([women], {"sex": who % 2}, who, who, population="b"),
    }
    checked = check(tables, POLICY, earlier)
    failed = [(f.rule, f.where.split(":")[0]) for f in checked.findings if f.level == "fail"]
    assert failed[0][0] == "consistent"
    assert ("exposed", "sex") in failed
    assert checked.views == {}
