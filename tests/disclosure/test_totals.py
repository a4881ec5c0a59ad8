import dataclasses
import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from tests.disclosure.tables import MODALITY, SEX
from workbench.disclosure.cells import Hold, protect
from workbench.disclosure.check import check
from workbench.disclosure.intervals import of_digits
from workbench.disclosure.ledger import LedgerEntry
from workbench.disclosure.policy import Policy
from workbench.disclosure.relations import relate
from workbench.disclosure.sums import Leaving
from workbench.disclosure.totals import quantities
from workbench.disclosure.totals import values_to_hold as _values_to_hold
from workbench.summaries import moments
from workbench.summaries.dimension import Dimension

POLICY = Policy()


def table(numbers, values):
    """Moments by modality: one exam per patient, one value per modality."""
    column = np.repeat(np.arange(len(numbers)), numbers)
    who = np.arange(len(column))
    spread = np.where(who % 2, 1.1, 0.9)
    value = np.array(values)[column] * spread
    return moments.summarise(
        [MODALITY], {"modality": column}, who, who, value, unit="MBq", resolution=0.01
    )


def values_to_hold(exact, view, policy):
    """Of one table alone."""
    relations = relate({"t": view}, {"t": ""})
    return _values_to_hold({"t": Leaving(exact, view, policy)}, relations)["t"]


def residual(view):
    """What a reader computes: mean times n of the margin less those of the told cells."""
    n, mean = view.data["exams"].values, view.data["mean"].values
    told = view.status["mean"].values == "rounded"
    return n[0] * mean[0] - (n[1:] * mean[1:])[told[1:]].sum()


def test_few_large_values_hold_back_a_mean_that_tells_them():
    exact = table([200, 100, 50, 5], [10, 20, 30, 20000])
    bare = protect(exact, POLICY)
    assert residual(bare) == pytest.approx(5 * 20000, rel=0.1)  # what must not be possible
    hold = values_to_hold(exact, bare, POLICY)
    assert hold.tolist() == [False, False, False, True, False]  # the total last
    view = check({"activity": exact}, POLICY).views["activity"]
    assert view.status["mean"].values[3] == "suppressed"
    assert view.status["sd"].values[3] == "suppressed"
    assert view.status["patients"].values[3] == "rounded"
    assert np.isnan(view.data["mean"].values[3])


def left_over(view):
    """Return the bounds of total and square that the margin less the told cells leaves."""
    n = np.stack(POLICY.bounds(view.data["exams"].values))
    mean, sd = (np.stack(of_digits(view.data[x].values, POLICY.digits)) for x in ("mean", "sd"))
    for sums in (n * mean, n * mean**2 + (n - 1) * sd**2):
        told = np.where(view.status["mean"].values == "rounded", sums, 0.0)
        yield told[0, 0] - told[1, 1:].sum(), told[1, 0] - told[0, 1:].sum()


def test_a_square_can_tell_what_a_total_does_not():
    exact = table([1500, 700, 400, 2], [10, 10, 10, 250])
    bare = protect(exact, POLICY)
    total, square = left_over(bare)
    assert total[0] <= exact.data["total"].values[4] * 0.01 <= total[1]
    assert square[0] <= exact.data["square"].values[4] * 0.01**2 <= square[1]
    assert is_blurred(*total)
    assert not is_blurred(*square, blur=0.4)
    assert values_to_hold(exact, bare, POLICY).any()


def test_ordinary_values_stay():
    exact = table([400, 300, 200, 5], [100, 120, 90, 110])
    assert not values_to_hold(exact, protect(exact, POLICY), POLICY).any()


def test_small_cells_that_hold_the_threshold_together_need_no_protection():
    exact = table([400, 9, 9, 9], [100, 10000, 10000, 10000])
    # Modality has one label per exam: 27 patients at least are behind the residual.
    assert not values_to_hold(exact, protect(exact, POLICY), POLICY).any()
    exact = table([400, 3, 3, 3], [100, 10000, 10000, 10000])
    assert values_to_hold(exact, protect(exact, POLICY), POLICY).any()


def test_held_values_keep_the_counts():
    exact = table([200, 100, 50, 20], [10, 20, 30, 40])
    hold = Hold.nothing(exact)
    hold.values[0] = True
    view = protect(exact, POLICY, hold)
    assert view.data["exams"].values[0] == 370
    assert view.status["mean"].values.tolist() == ["suppressed", *["rounded"] * 4]


def doses(resolution=0.01):
    """Two tables of one dose: five patients of another sex, all with CT, have large values."""
    sex = np.repeat([0, 1, 2], [300, 200, 5])
    who = np.arange(505)
    modality = np.where(sex == 2, 0, who % 2)
    value = np.select([sex == 2, sex == 1], [50_000.0, 20.0], 10.0) * np.where(
        who % 4 < 2, 1.1, 0.9
    )
    columns = {"sex": sex, "modality": modality}
    scanner = Dimension("modality", ("CT", "MR"))
    about = {"unit": "MBq", "resolution": resolution}
    return {
        name: moments.summarise(
            dimensions, {d.name: columns[d.name] for d in dimensions}, who, who, value, **about
        )
        for name, dimensions in {"by_sex": [SEX], "by_both": [SEX, scanner]}.items()
    }


def possible(views, target):
    """Least and greatest total of a sex, by a programme over the told means of all tables."""
    sexes, scanners = SEX.labels, ("CT", "MR")
    rows, bounds = [], []
    for view in views.values():
        axes = [view.labels(d.name) for d in view.dimensions]
        for place in np.argwhere(view.status["mean"].values == "rounded").tolist():
            at = tuple(place)
            labels = {d.name: axes[i][at[i]] for i, d in enumerate(view.dimensions)}
            one, other = labels["sex"], labels.get("modality", "all")
            rows.append(
                [(one in ("all", s)) * (other in ("all", m)) for s in sexes for m in scanners]
            )
            n = POLICY.bounds(int(view.data["exams"].values[at]))
            mean = of_digits(view.data["mean"].values[at], POLICY.digits)
            bounds.append([n[0] * mean[0], n[1] * mean[1]])
    rows, bounds = np.array(rows, float), np.array(bounds)
    cost = np.array([s == target for s in sexes for _ in scanners], float)
    found = [
        linprog(
            sign * cost, np.vstack([rows, -rows]), np.concatenate([bounds[:, 1], -bounds[:, 0]])
        )
        for sign in (1, -1)
    ]
    return [
        f.fun * sign if f.status == 0 else np.inf for f, sign in zip(found, (1, -1), strict=True)
    ]


def alone(exact):
    """Protect each table by itself."""
    views = {}
    for name, table in exact.items():
        hold = Hold.nothing(table)
        hold.values[...] = values_to_hold(table, protect(table, POLICY), POLICY)
        views[name] = protect(table, POLICY, hold)
        assert hold.values.any()
        assert not values_to_hold(table, views[name], POLICY).any()
    return views


def is_blurred(low, high, blur=0.2):
    return np.isinf(high) or high - low > blur * (high + low)


def test_two_tables_together_do_not_tell_what_each_alone_does_not():
    exact = doses()
    views = alone(exact)
    for name, view in views.items():  # each alone leaves the five patients unknown
        assert is_blurred(*possible({name: view}, "other"))
    low, high = possible(views, "other")
    assert low <= exact["by_sex"].data["total"].values[3] * 0.01 <= high
    assert not is_blurred(low, high)  # and both together tell of them
    checked = check(exact, POLICY)
    assert is_blurred(*possible(checked.views, "other"))
    assert any((view.status["mean"].values == "rounded").any() for view in checked.views.values())


@pytest.mark.parametrize("first", ["by_sex", "by_both"])
def test_an_earlier_release_does_not_tell_of_a_later_one(first):
    exact = doses()
    early = check({first: exact.pop(first)}, POLICY)
    (later,) = exact
    entry = LedgerEntry("r1", first, doses()[first], early.views[first], POLICY)
    view = check(exact, POLICY, [entry]).views[later]
    both = {first: early.views[first], later: view}
    assert is_blurred(*possible(both, "other"))
    assert not is_blurred(*possible({**both, later: alone(exact)[later]}, "other"))


def test_two_quantities_of_one_unit_are_two_systems():
    exact = doses()
    twice = dataclasses.replace(
        exact["by_sex"],
        data=exact["by_sex"].data.assign(
            total=exact["by_sex"].data["total"] * 2, square=exact["by_sex"].data["square"] * 4
        ),
    )
    views = check({"one": exact["by_sex"], "two": twice}, POLICY).views
    alike = alone({"one": exact["by_sex"]})["one"].status["mean"].values.tolist()
    assert [views[n].status["mean"].values.tolist() for n in views] == [alike, alike]


def test_what_earlier_releases_tell_by_themselves_costs_nothing_more():
    exact = doses()
    leaked = LedgerEntry("r0", "old", exact["by_sex"], protect(exact["by_sex"], POLICY), POLICY)
    finer = doses(0.003)["by_sex"]  # the same values, rounded otherwise: not the same table
    view = check({"new": finer}, POLICY, [leaked]).views["new"]
    assert (view.status["mean"].values == "rounded").sum() == 3


def test_what_one_quantity_is_does_not_depend_on_the_order_of_the_tables():
    who = np.arange(200)
    columns = {"modality": who % 2, "ward": who // 2 % 2}
    m, w = Dimension("modality", ("CT", "MR")), Dimension("ward", ("a", "b"))
    tables = {
        name: moments.summarise(
            of,
            {d.name: columns[d.name] for d in of},
            who,
            who,
            times * (who + 1.0),
            unit="MBq",
            resolution=0.01,
            margins=margins,
        )
        for name, of, times, margins in [
            ("by_modality", [m], 1, False),
            ("by_ward", [w], 1, False),  # shares no cell with the one before
            ("by_both", [m, w], 1, True),
            ("twice", [m], 2, False),
        ]
    }
    for order in itertools.permutations(tables):
        leaving = {n: Leaving(tables[n], protect(tables[n], POLICY), POLICY) for n in order}
        relations = relate({n: t.view for n, t in leaving.items()}, dict.fromkeys(order, ""))
        found = {frozenset(group) for group in quantities(leaving, relations)}
        assert found == {frozenset({"by_modality", "by_ward", "by_both"}), frozenset({"twice"})}


def test_a_cell_of_several_labels_has_no_more_than_its_whole():
    tracer = Dimension("tracer", ("A", "B"), one_per="none")
    who = np.arange(404)
    rows = np.concatenate([who, [0]])  # the first exam has both labels
    label = np.concatenate([np.repeat([0, 1], [400, 4]), [1]])
    value = np.where(rows >= 400, 1e6, 1.0 + rows % 2)
    exact = moments.summarise(
        [tracer], {"tracer": label}, rows, rows, value, unit="MBq", resolution=0.01
    )
    bare = protect(exact, POLICY)
    assert bare.status["mean"].values.tolist() == ["rounded", "rounded", "suppressed"]
    # B has no more than all, and no less than all without A.
    total, _ = left_over(bare)
    assert not is_blurred(total[0], 407 * of_digits(bare.data["mean"].values[:1], 3)[1][0])
    assert values_to_hold(exact, bare, POLICY).any()
