"""Levels: the exact medians and their percentiles lie within the ends; few are no level."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.publish.city import DISTRICTS, make_rows, write_city
from workbench.publish import pictures
from workbench.publish.content import read_content
from workbench.publish.drawing import draw
from workbench.publish.levels import (
    FEWEST_EXAMS,
    NAMED,
    Facility,
    Levels,
    above,
    national_levels,
    percentile,
)
from workbench.publish.marks import ABSENT, Cell
from workbench.publish.panels import WIDTHS
from workbench.publish.readings import read


def reading(city, site="", language="en"):
    section = city.study.section("dose")
    return read(section, city.scope(section, site, language))


def test_the_published_example():
    """ICRP 135: medians 300 … 610 give 495 by the linear method."""
    medians = [300, 320, 350, 400, 410, 450, 480, 500, 520, 610]
    assert percentile([Cell(m, m, m) for m in medians], 0.75).value == 495
    assert percentile([Cell(m, m, math.inf) for m in medians], 0.75).high == math.inf
    assert percentile([Cell(m, -math.inf, m) for m in medians], 0.75).low == -math.inf


@given(st.lists(st.tuples(st.floats(1, 900), st.floats(0, 50), st.floats(0, 50)), min_size=1))
def test_a_percentile_of_uncertain_numbers_holds_every_possible_one(given):
    cells = [Cell(v, v - a, v + b) for v, a, b in given]
    random = np.random.default_rng(0)
    found = percentile(cells, 0.75)
    assert found.value == pytest.approx(np.quantile([c.value for c in cells], 0.75))
    for _ in range(20):
        exact = [random.uniform(c.low, c.high) for c in cells]
        assert found.low - 1e-9 <= np.quantile(exact, 0.75) <= found.high + 1e-9


@pytest.mark.parametrize("site", ["", "North district"])
def test_the_exact_medians_and_the_exact_level_are_held(city, site):
    numbers = [(name, n, seed) for seed, (name, n) in enumerate(DISTRICTS.values())]
    rows = [make_rows(n, seed, len(DISTRICTS)) for name, n, seed in numbers if site in ("", name)]
    dose, protocol, facility = (
        np.concatenate([r[name] for r in rows]) for name in ("dose", "protocol", "facility")
    )
    kinds = reading(city, site).levels
    assert [levels.label for levels in kinds] == ["HRCT", "Head"]
    for kind, levels in enumerate(kinds):
        exact = []
        for told in levels.facilities:
            number = int(told.label.split()[1].rstrip(",")) - 1
            doses = dose[(protocol == kind) & (facility == number)]
            exact.append(np.median(doses))
            assert told.median.low <= exact[-1] <= told.median.high
            assert len(doses) >= FEWEST_EXAMS - 5
        for part, cell in ((0.75, levels.level), (0.5, levels.middle)):
            assert cell.low <= np.quantile(exact, part) <= cell.high
        assert [f.median.value for f in levels.facilities] == sorted(
            f.median.value for f in levels.facilities
        )


def test_under_ten_facilities_there_is_a_typical_value_only(tmp_path):
    sites = {f"d{i}": (f"District {i}", 3000) for i in range(6)}
    content = read_content(write_city(tmp_path / "study", sites))
    found = reading(content, "District 2")
    for levels in found.levels:
        assert 3 <= len(levels.facilities) < 10
        assert not levels.level.shown
    assert "the typical value is " in found.finding
    assert "no reference level (ICRP 135)" in found.finding
    assert found.body[0][5].detail == "typical value"
    assert all(levels.against.shown for levels in found.levels)
    legend = pictures.legend_items(found, "District 2")
    assert "typical value: median of the medians" in [said for _, said in legend]


def test_the_level_is_named_with_its_method_and_beside_the_national_one(city):
    found = reading(city)
    assert "the diagnostic reference level is " in found.finding
    assert "the 75th percentile of the medians of" in found.finding
    assert found.levels[0].national == 300  # HRCT, DLP in mGy.cm
    assert "UK Health Security Agency" in found.finding
    assert found.head[-1].startswith("National reference level")
    assert national_levels()[1]["hrct", "mGy"] == 8


def test_every_protocol_stands_in_the_table_and_every_facility_below(city):
    found = reading(city)
    assert [row[0].text for row in found.body] == ["HRCT", "Head", "Rare"]
    assert {len(row) for row in found.body} == {len(found.head)}
    title, head, body = found.more
    assert title == "Every facility"
    assert [row[0].text for row in body] == [
        f"{levels.label}, {f.label}" for levels in found.levels for f in levels.facilities
    ]
    assert {len(row) for row in body} == {len(head)}


def held(label, low, high, level):
    facility = Facility(label, Cell((low + high) / 2, low, high), Cell(50, 50, 50))
    return facility, Levels("HRCT", Cell(50, 50, 50), (facility,), 0, level, level)


@pytest.mark.parametrize(
    ("low", "high", "side"),
    [(310, 400, "above"), (300, 400, "unsure"), (100, 199, "below"), (100, 200, "unsure")],
)
def test_a_facility_is_above_only_if_no_number_of_both_is_the_same(low, high, side):
    facility, levels = held("North", low, high, Cell(250, 200, 300))
    assert levels.side(facility) == side
    assert replace(levels, level=ABSENT).side(facility) == ""
    everyone = replace(levels, against=Cell(1, 1, 1))
    assert everyone.side(facility) == "above"


@pytest.mark.parametrize("language", ["en", "ru", "zh"])
def test_the_finding_begins_with_those_above_and_the_table_tells_of_all(city, language):
    found, scope = reading(city, "", language), city.scope(city.study.section("dose"), "", language)
    above = [f.label for x in found.levels for f in x.facilities if x.side(f) == "above"]
    first = found.answer
    assert above
    assert all(label in first for label in above[:NAMED])
    column = [line[-1].text for line in found.more[2]]
    assert column.count(scope.say("side_above")) == len(above)
    assert set(column) <= {scope.say(f"side_{x}") for x in ("above", "below", "unsure")}
    assert found.more[1][-1] == scope.say("side")
    assert found.second_axis == scope.say("facility")


def test_of_many_above_some_are_named_and_the_others_counted(city):
    scope = city.scope(city.study.section("dose"))
    _, levels = held("One", 310, 400, Cell(250, 200, 300))
    many = tuple(replace(levels.facilities[0], label=f"F{i}") for i in range(NAMED + 3))
    crowd = replace(levels, facilities=many)
    assert above([crowd], scope)[0].endswith("F3; and 3 more.")
    assert above([crowd, crowd], scope)[0].endswith("F3; and 12 more.")
    none = replace(levels, level=Cell(500, 500, 500))
    assert above([none], scope) == ["No facility lies above the reference level beyond doubt."]


def test_one_site_is_held_against_all(city):
    found, whole = reading(city, "North district"), reading(city)
    for levels, together in zip(found.levels, whole.levels, strict=True):
        assert levels.against == together.level
    assert found.more[1][-1] == "All sites: Against the reference level"
    assert "reference level of all sites beyond doubt" in found.answer
    assert "Over all sites together: diagnostic reference level" in found.finding


@pytest.mark.parametrize("width", WIDTHS)
def test_every_protocol_is_drawn_in_a_panel_of_its_own(city, width):
    found = reading(city)
    svg = draw(pictures.plot(found, "", width))
    for levels in found.levels:
        assert f"{levels.label}: median of each facility" in svg.replace("</text>", "")
    dots = re.findall(r"<title>[^<]* exams", svg)
    assert len(dots) == sum(len(levels.facilities) for levels in found.levels)
    assert svg.count(">reference level ") >= 2 * len(found.levels)  # each with its halo
