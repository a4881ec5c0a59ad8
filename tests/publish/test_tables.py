"""Tables: cells by label, shares and concentration with intervals that hold the truth."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.publish.releases import SITES, summarise
from workbench.publish.content import read_content
from workbench.publish.marks import SUPPRESSED, Cell
from workbench.publish.tables import Table, herfindahl, open_pooled, open_view, share
from workbench.summaries.grid import Grid

BASE = 5


def rounded(truth):
    value = BASE * math.floor(truth / BASE + 0.5)
    return Cell(value, max(0, value - 2), value + 2, "rounded")


@given(st.integers(10, 10_000), st.integers(0, 10_000))
def test_a_share_holds_the_exact_one(part, rest):
    found = share(rounded(part), rounded(part + rest))
    assert found.low <= part / (part + rest) <= found.high
    assert found.low <= found.value <= found.high


@given(st.lists(st.integers(1, 5000), min_size=2, max_size=8), st.data())
def test_a_herfindahl_index_holds_the_exact_one_whatever_is_suppressed(counts, data):
    hidden = data.draw(st.sets(st.integers(0, len(counts) - 1), max_size=len(counts) - 1))
    cells = {}
    for i, count in enumerate(counts):
        small = Cell(math.nan, 0, count + data.draw(st.integers(0, 500)), "suppressed")
        cells[f"label{i}"] = small if i in hidden else rounded(count)
    found = herfindahl(cells)
    if not found.shown:
        return
    exact = sum((c / sum(counts)) ** 2 for c in counts)
    assert found.low - 1e-12 <= exact <= found.high + 1e-12


def test_what_is_not_known_has_no_share():
    assert share(SUPPRESSED, rounded(100)).how == "suppressed"
    assert share(rounded(100), SUPPRESSED).how == "not_applicable"
    assert herfindahl({}).how == "not_applicable"
    assert herfindahl({"a": SUPPRESSED}).how == "suppressed"


@pytest.fixture(scope="module")
def content(small_study):
    return read_content(small_study)


def test_a_view_and_the_same_site_pooled_tell_the_same(content):
    for name in ("exams_by_modality", "patients_by_age_sex"):
        view = open_view(content.releases["东方医院"], name)
        alone = open_pooled(content.pooled(name, "东方医院"), name)
        for dimension, places in alone.places.items():
            for label in places:
                one, other = (t.cell("exams", **{dimension: label}) for t in (view, alone))
                assert one.how == other.how
                if one.shown:  # pooling may know more, from the other tables of the site
                    assert one.low <= other.low <= other.value <= other.high <= one.high
                    assert one.low <= one.value <= one.high


def test_pooled_cells_hold_the_unreleased_truth(content):
    study = content.study
    there = [i for i, site in enumerate(SITES) if site != "broken"]
    exact = [summarise(study, list(SITES.values())[i][1], i)["exams_by_modality"] for i in there]
    table = open_pooled(content.pooled("exams_by_modality"), "exams_by_modality")
    for code in table.labels("modality"):
        truth = sum(int(s.data.exams.sel(modality=code)) for s in exact)
        cell = table.cell("exams", modality=code)
        assert cell.low <= truth <= cell.high


def test_bins_are_shares_of_one_whole(content):
    output = content.study.output("images_per_exam")
    table = open_pooled(content.pooled(output.name), output.name, output.edges)
    assert [b.start for b in table.bins()[1:]] == [b.stop for b in table.bins()[:-1]]
    assert sum(b.cell.value for b in table.bins() if b.cell.shown) == pytest.approx(1, abs=0.02)
    ends = table.grid.ends
    for b in table.bins():
        assert b.stop > b.start
    places = [table.place(v) for v in np.geomspace(1, 5000, 30)]
    assert places == sorted(places)
    assert table.place(math.inf) == len(ends) - 1
    assert table.place(-math.inf) == 0


def test_a_whole_number_stands_in_the_middle_of_its_bin(content):
    held = {"value": 2, "low": 2, "high": 4, "how": "rounded", "hidden": 0}
    values = {name: np.array([[v]]) for name, v in held.items()}
    tree = Grid((1.0, 2.0, 3.0, 5.0))
    table = Table({"bin": {tree.root: 0}}, {"median": 0}, values, tree, whole=True)
    found = table.quantile("median", "median")
    assert (found.place, found.low, found.high) == (2.5, 2, 4)  # bins [2,3) and [3,5)
    split = replace(table, whole=False).quantile("median", "median")
    assert (split.place, split.low, split.high) == (2, 2, 3.5)
    output = content.study.output("images_per_exam")
    assert open_pooled(content.pooled(output.name), output.name, output.edges).whole
    assert open_view(next(iter(content.releases.values())), output.name).whole


def test_an_unknown_label_is_not_applicable(content):
    table = open_pooled(content.pooled("exams_by_modality"), "exams_by_modality")
    assert table.cell("exams", modality="XX").how == "not_applicable"
    assert table.cell("weight").how == "not_applicable"


def one_cell(value, low, high, hidden):
    held = {"value": value, "low": low, "high": high, "how": "estimated", "hidden": hidden}
    values = {name: np.array([[v]]) for name, v in held.items()}
    return Table({"sex": {"all": 0}}, {"patients": 0}, values).cell("patients")


def test_what_is_only_guessed_is_suppressed_and_what_is_told_is_whole():
    guessed = one_cell(value=4.5, low=1, high=9, hidden=1)
    assert (guessed.how, guessed.low, guessed.high) == ("suppressed", 1, 9)
    assert not guessed.shown
    told = one_cell(value=104.5, low=99, high=111, hidden=1)
    assert (told.how, told.value) == ("estimated", 104)
