"""What a reader can compute of totals and squares, by programmes written here anew."""

import numpy as np
import pytest
from scipy.optimize import linprog

from workbench.disclosure.cells import protect
from workbench.disclosure.check import check
from workbench.disclosure.intervals import of_digits
from workbench.disclosure.policy import Policy
from workbench.disclosure.relations import relate
from workbench.disclosure.sums import Leaving, System
from workbench.summaries import counts, moments
from workbench.summaries.dimension import Dimension

POLICY = Policy()
ABOUT = {"unit": "MBq", "resolution": 0.001}


def site(sizes, values, names):
    """Return tables over modality and ward: one exam a patient, values within 2 % of a cell's."""
    sizes, values = np.array(sizes), np.array(values, float)
    modality, ward = (np.repeat(x.ravel(), sizes.ravel()) for x in np.indices(sizes.shape))
    who = np.arange(len(modality))
    value = values[modality, ward] * np.where(who % 2, 1.02, 0.98)
    m = Dimension("modality", ("CT", "MR", "PT", "US")[: sizes.shape[0]], zeros="public")
    w = Dimension("ward", tuple("abcdefgh")[: sizes.shape[1]], zeros="public")
    columns = {"modality": modality, "ward": ward}
    of = {"m": [m], "w": [w], "mw": [m, w]}
    found = {
        name: moments.summarise(
            of[name], {d.name: columns[d.name] for d in of[name]}, who, who, value, **ABOUT
        )
        for name in names
    }
    return {**found, "c": counts.summarise([m, w], columns, who, who)}


def base_cells(view, at, shape):
    """Return 1 for each cell of the grid that a cell of a view holds."""
    found = np.ones(shape)
    for d, i in zip(view.dimensions, at, strict=True):
        axis = ("modality", "ward").index(d.name)
        one = np.eye(shape[axis])[i - 1] if i else np.ones(shape[axis])
        found *= one[:, None] if axis == 0 else one
    return found.ravel()


def extremes(cost, rows, low, high):
    """Return least and greatest of a sum, the unknowns not negative."""
    if not len(rows):
        return 0.0, np.inf
    both, limits = np.vstack([rows, -np.array(rows)]), np.r_[high, -np.array(low)]
    least, most = (linprog(sign * cost, both, limits) for sign in (1, -1))
    return least.fun, -most.fun if most.status == 0 else np.inf


def exposed(views, sizes):
    """Return what a reader of totals and squares that are not negative knows too well."""
    sizes = np.array(sizes)
    told = [
        (view, at, base_cells(view, at, sizes.shape))
        for view in views.values()
        for at in np.ndindex(*view.data["exams"].shape)
    ]
    known = [x for x in told if x[0].statuses["exams"].values[x[1]] in ("ok", "rounded")]
    counted = [int(view.data["exams"].values[at]) for view, at, _ in known]
    bounds = [POLICY.bounds(n) if n else (0, 0) for n in counted]
    n_rows = [cells for *_, cells in known]
    rows, total, square = [], [], []
    for view, at, cells in known:
        if view.statuses["exams"].values[at] == "ok":
            rows.append(cells)
            total.append([0.0, 0.0])
            square.append([0.0, 0.0])
        if view.kind != "moments" or view.statuses["mean"].values[at] != "rounded":
            continue
        n = extremes(cells, n_rows, *zip(*bounds, strict=True))
        n = np.ceil(n[0] - 1e-6), np.floor(n[1] + 1e-6)
        mean, sd = (of_digits(view.data[x].values[at], POLICY.digits) for x in ("mean", "sd"))
        rows.append(cells)
        total.append([n[0] * mean[0], n[1] * mean[1]])
        square.append(
            [
                n[0] * mean[0] ** 2 + (n[0] - 1) * max(sd[0], 0) ** 2,
                n[1] * mean[1] ** 2 + (n[1] - 1) * sd[1] ** 2,
            ]
        )
    if not rows:
        return []
    small = ((sizes > 0) & (sizes < POLICY.threshold)).ravel()
    lines = [base_cells(views["c"], at, sizes.shape) for at in np.ndindex(*np.add(sizes.shape, 1))]
    aims = {tuple(line * small) for line in lines}
    found = []
    for aim in aims:
        if not 0 < sizes.ravel() @ np.array(aim) < POLICY.threshold:
            continue
        for blur, ends in ((0.2, total), (0.4, square)):
            low, high = extremes(np.array(aim), rows, *zip(*ends, strict=True))
            if high - low < 0.999 * blur * (high + low):
                found.append((aim, blur, low, high))
    return found


def test_what_leaves_of_few_large_squares_is_not_told():
    sizes = [[3, 7], [17, 17]]
    exact = site(sizes, [[1.0, 21.0], [1.0, 1.0]], ["m", "w"])
    bare = {name: protect(table, POLICY) for name, table in exact.items()}
    assert exposed(bare, sizes)  # only of squares that start at 0
    assert not exposed(check(exact, POLICY).views, sizes)


@pytest.mark.parametrize("seed", [1, 3, 9, 15, 21, 23])
def test_what_leaves_tells_no_reader_of_few_values(seed):
    draw = np.random.default_rng(seed)
    for _ in range(3):
        shape = int(draw.integers(2, 4)), int(draw.integers(2, 5))
        sizes = draw.choice([0, 1, 3, 4, 5, 7, 12, 17, 18, 22, 40, 100], shape)
        names = (["m"], ["m", "w"], ["m", "mw"])[int(draw.integers(3))]
        tables = site(sizes, draw.lognormal(1, 1.6, shape), names)
        assert not exposed(check(tables, POLICY).views, sizes)


def test_other_tables_tell_of_the_exams_of_a_cell():
    tables = site([[18] * 8, [20] * 8], np.ones((2, 8)), ["m"])
    leaving = {n: Leaving(t, protect(t, POLICY), POLICY) for n, t in tables.items()}
    relations = relate({n: t.view for n, t in leaving.items()}, dict.fromkeys(tables, ""))
    system, ct = System(leaving, relations), relations.places["m"][1]
    assert POLICY.bounds(int(leaving["m"].view.data["exams"].values[1])) == (143, 147)
    # Each of its eight wards holds 18 at least: they are told as 20.
    assert (system.exams[0][ct], system.exams[1][ct]) == (144, 147)


def test_what_several_lines_tell_together_and_none_alone_is_not_told():
    # CT and MR are in wards b and c, PT and US in a and d, but for five patients: what CT and MR
    # sum to, less b and c, is theirs.
    sizes = np.array([[5, 150, 120, 0], [0, 130, 140, 0], [150, 0, 0, 170], [160, 0, 0, 110]])
    values = np.where(sizes == 5, 90.0, 9.5)
    exact = site(sizes, values, ["m", "w"])
    bare = {name: protect(table, POLICY) for name, table in exact.items()}
    assert exposed(bare, sizes)
    assert not exposed(check(exact, POLICY).views, sizes)
