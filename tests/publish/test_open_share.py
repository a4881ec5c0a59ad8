"""Open share: the band holds Kaplan and Meier's curve of the exact times, for sites and for all."""

import csv
import io
import math

import numpy as np
import pytest

from tests.publish.city import DISTRICTS, make_rows
from workbench.publish.downloads import numbers_csv
from workbench.publish.open_share import MOST, curve_of
from workbench.publish.readings import read
from workbench.publish.tables import Table
from workbench.statistics.bounds import Bounds
from workbench.statistics.survival import survival_bounds
from workbench.summaries.grid import Grid

SITES = ["", *(name for name, _ in DISTRICTS.values())]
GROUPS = {"facility": 0, "centre": 1, "on_call": 2}


def rows_of(site):
    numbers = [(name, n, seed) for seed, (name, n) in enumerate(DISTRICTS.values())]
    rows = [make_rows(n, seed, len(DISTRICTS)) for name, n, seed in numbers if site in ("", name)]
    return {name: np.concatenate([r[name] for r in rows]) for name in rows[0]}


def kaplan_meier(times, happened, at):
    """Return the exact open share just before each of some times: events at the time come later."""
    moments = np.unique(times[happened])
    at_risk = len(times) - np.searchsorted(np.sort(times), moments, side="left")
    events = np.array([(times[happened] == moment).sum() for moment in moments])
    share = np.concatenate([[1.0], np.cumprod(1 - events / at_risk)])
    return share[np.searchsorted(moments, at, side="left")]


def reading(city, site=""):
    section = city.study.section("waiting")
    return read(section, city.scope(section, site))


@pytest.mark.parametrize("site", SITES)
def test_the_band_holds_the_exact_curve(city, site):
    rows = rows_of(site)
    section = city.study.section("waiting")
    scope = city.scope(section, site)
    sites = () if site else tuple(scope.there.values())
    for code, place in GROUPS.items():
        curve = curve_of(scope.table, code, sites, reader_group=code)
        here = rows["reader_group"] == place
        times, happened = rows["times"][here], rows["outcome"][here] == 0
        assert curve.points or site == "A tiny district"
        edges = np.array(curve.edges)
        exact = kaplan_meier(times, happened, np.where(np.isinf(edges), 1e9, edges))
        for point, share in zip(curve.points, exact, strict=True):
            assert point.low - 1e-12 <= share <= point.high + 1e-12
            assert point.low <= point.value <= point.high
        open_ = kaplan_meier(times, happened, np.array([1.0, 24.0, 30.0]))
        for time, share in zip((1.0, 24.0, 30.0), open_, strict=True):
            cell = curve.within(time)
            if cell.shown:
                assert cell.low - 1e-12 <= 1 - share <= cell.high + 1e-12


@pytest.mark.parametrize("site", ["", "North district"])
def test_the_times_hold_the_exact_ones(city, site):
    rows = rows_of(site)
    times, happened = rows["times"], rows["outcome"] == 0
    grid = np.sort(times[happened])
    share = kaplan_meier(times, happened, np.nextafter(grid, math.inf))
    section = city.study.section("waiting")
    scope = city.scope(section, site)
    curve = curve_of(scope.table, "all", () if site else tuple(scope.there.values()))
    for part in (0.5, 0.9):
        exact = grid[np.argmax(share <= 1 - part)]
        cell = curve.reached(part)
        assert cell.low <= exact <= cell.high
        assert cell.value == pytest.approx(exact, rel=0.25)


def test_what_is_hidden_is_bounded_by_what_is_told_of_more(city):
    """Otherwise nine patients could have any number of exams, and the band would be everything."""
    curve = reading(city, "North district").curves[0]
    assert max(point.high - point.low for point in curve.points) < 0.02
    whole = reading(city)
    last = whole.body[0][-1].cell  # all exams within 24 h
    assert last.high - last.low < 0.05


def test_groups_that_tell_nothing_stand_in_the_table_only(city):
    found = reading(city)
    assert [curve.label for curve in found.curves] == list(found.groups)
    assert set(found.groups) == {"The facility", "The reading centre", "On call"}
    assert found.body[0][0].text == "All"
    assert len(found.body) > len(found.curves)
    assert {len(row) for row in found.body} == {len(found.head)}
    assert len(found.curves) <= MOST


def test_one_site_is_drawn_and_told_beside_all(city):
    found = reading(city, "North district")
    assert all(curve.against is not None for curve in found.curves)
    assert found.head[2:4] == ("Median, h", "All sites: Median, h")
    assert "Over all sites together: median " in found.finding
    assert all(curve.against is None for curve in reading(city).curves)


def test_a_time_that_is_no_edge_lies_between_its_neighbours(city):
    curve = reading(city, "North district").curves[0]
    between, left, right = (curve.within(t) for t in (10.0, 8.0, 12.0))
    assert (between.low, between.high) == (left.low, right.high)
    assert left.value < between.value < right.value


def test_beyond_the_end_of_the_curve_a_share_is_known_from_below_only(city):
    whole = reading(city).curves[0]
    last, beyond = (whole.within(time) for time in (whole.edges[-2], whole.edges[-2] + 1))
    assert last.shown
    assert not beyond.shown
    assert (beyond.low, beyond.high) == (last.low, 1 - whole.points[-1].low)
    section = city.study.section("waiting").model_copy(update={"within": (24, 500)})
    for language, said in (("en", "within 500 h ≥"), ("ru", "за 500 ч ≥"), ("zh", "500 小时内 ≥")):
        found = read(section, city.scope(section, "", language))
        *_, before, entry = found.body[0]
        assert before.cell.shown
        assert (entry.text[0], entry.detail) == ("≥", "")
        sentence = found.sentences[0].replace("\xa0", " ")
        assert said + entry.text[1:].replace("\xa0", " ") in sentence
        line = list(csv.reader(io.StringIO(numbers_csv(found))))[len(found.head) - 1]
        assert line[2] == ""
        assert float(line[3]) == pytest.approx(100 * entry.cell.low)


def table_of(cells):
    """Return a table of three bins, [-inf,0), [0,2), [2,inf), halved once more: [0,1) and [1,2)."""
    grid = Grid((0.0, 1.0, 2.0))
    labels, nodes = ("all", "event", "censored"), grid.nodes
    held = {name: np.full((3, len(nodes), 2), np.nan) for name in ("value", "low", "high")}
    held |= {"how": np.full((3, len(nodes), 2), "", dtype="U9")}
    held |= {"hidden": np.zeros((3, len(nodes), 2), int)}
    for (label, node), (value, low, high, how) in cells.items():
        at = labels.index(label), nodes.index(node)
        for name, number in (("value", value), ("low", low), ("high", high), ("how", how)):
            held[name][at] = number
        held["hidden"][at] = np.isnan(value)
    places = [{name: i for i, name in enumerate(names)} for names in (labels, nodes)]
    both = {"exams": 0, "patients": 1}
    return Table({"outcome": places[0], "bin": places[1]}, both, held, grid)


def test_what_was_broken_off_may_lie_anywhere_in_a_bin_that_joins_others():
    events = {"[-inf,0)": 0, "[0,1)": 20, "[1,2)": 30, "[2,inf)": 10}
    root, number = "[-inf,inf)", 12
    cells = {("event", node): (n, n, n, "exact") for node, n in events.items()}
    cells |= {("event", root): (60, 60, 60, "exact"), ("all", root): (72, 72, 72, "exact")}
    cells |= {("censored", root): (number, number, number, "exact")}
    curve = curve_of(table_of(cells), "all")
    assert curve.edges == (1.0, 2.0, math.inf)
    counts = np.array(list(events.values()), float)
    for a in range(number + 1):
        for b in range(number + 1 - a):
            off = np.array([0, a, b, number - a - b], float)
            exact = survival_bounds(Bounds(counts, counts), Bounds(off, off))
            for point, low, high in zip(curve.points, exact.low[1:], exact.high[1:], strict=True):
                assert point.low <= low + 1e-12
                assert high <= point.high + 1e-12


def test_what_is_hidden_without_a_bound_does_not_move_the_estimate():
    events = {"[-inf,0)": 0, "[0,1)": 200, "[1,2)": 300, "[2,inf)": 100}
    root, far = "[-inf,inf)", 50_000
    cells = {("event", node): (n, n, n, "exact") for node, n in events.items()}
    cells |= {("event", root): (600, 600, 600, "exact")}
    cells |= {("censored", root): (np.nan, 0, far, "estimated")}
    cells |= {("all", root): (605, 600, far, "estimated")}
    first, second, _ = curve_of(table_of(cells), "all").points
    assert first.value == pytest.approx(2 / 3, abs=0.01)
    assert second.value == pytest.approx(1 / 6, abs=0.01)
    assert second.high > 0.9
