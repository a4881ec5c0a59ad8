"""Readings: what is drawn, what stands in the table, what is left out."""

import math

import pytest

from workbench.publish import pictures
from workbench.publish.content import read_content
from workbench.publish.language import speak
from workbench.publish.marks import SUPPRESSED, Cell, enough
from workbench.publish.reading import entry
from workbench.publish.readings import read

EN = speak("en")


@pytest.fixture(scope="module")
def reading(small_study):
    content = read_content(small_study)

    def made(name, site=""):
        section = content.study.section(name)
        return read(section, content.scope(section, site))

    return made


@pytest.mark.parametrize("name", ["activity", "patients", "devices", "images", "description"])
def test_all_sites_together_have_a_figure_and_rows_fit_the_head(reading, name):
    found = reading(name)
    assert enough(found.cells)
    assert {len(row) for row in found.body} == {len(found.head)}


def test_labels_keep_their_order_whoever_is_chosen(reading):
    labels = [row.label for row in reading("activity").rows]
    assert labels[:2] == ["CT", "Magnetic resonance"]
    assert labels[-1] == "Positron emission tomography"
    assert "Other" not in labels  # a public zero everywhere
    assert [row.label for row in reading("activity", "东方医院").rows] == labels


def test_a_guess_about_sites_that_tell_nothing_is_no_figure(reading):
    rows = {row.label: row for row in reading("patients").rows}
    assert rows["Other"].cell.how == "suppressed"
    assert math.isnan(rows["Other"].cell.value)


def test_counts_are_whole_numbers(reading):
    for name in ("activity", "patients", "description"):
        found = reading(name)
        counted = [row.cell for row in found.rows] or found.cells
        values = [cell.value for cell in counted if cell.shown]
        assert values
        assert values == [round(v) for v in values]


def test_concentration_is_asked_for_with_top(reading):
    assert reading("activity").concentration == ()
    assert reading("devices").concentration[-1].label == "All sites"


def test_groups_of_which_nothing_is_told_stand_in_the_table_only(reading):
    found = reading("patients")
    assert found.groups == ("Female", "Male")
    assert len(found.rows) == 2 * len(found.body)


def test_a_suppressed_number_shows_its_range_and_that_it_is_hidden():
    assert entry(Cell(math.nan, 1, 9, "suppressed"), EN).detail == "1–9"
    assert entry(SUPPRESSED, EN).hidden
    assert entry(Cell(3, 3, 3), EN).detail == ""


def test_a_plain_number_is_named_as_the_section_says(small_study):
    content = read_content(small_study)
    section = content.study.section("images")
    named = section.model_copy(update={"axis": {"en": "Images per exam", "ru": "Снимков"}})
    axes = [
        read(one, content.scope(one, "", language)).second_axis
        for one, language in ((section, "en"), (named, "en"), (named, "ru"), (named, "zh"))
    ]
    assert axes == ["Number per exam", "Images per exam", "Снимков", "Images per exam"]


def test_all_sites_say_nothing_where_they_are_told_more_coarsely(small_study):
    content = read_content(small_study)
    section = content.study.section("images")
    name = "Northern University Hospital"
    found = read(section, content.scope(section, name))
    whole = [(b.start, b.stop) for b in found.bins if b.cell.shown]
    for b in found.against:
        inside = any(start <= b.start and b.stop <= stop for start, stop in whole)
        assert not b.cell.shown or inside or b.stop == b.start + 1
    left = pictures.legend(found, name)
    assert ("no line where" in left) == any(not b.cell.shown for b in found.against)


def test_zeros_of_some_sites_are_not_read_as_the_answer_of_all(small_study):
    content = read_content(small_study)
    section = content.study.section("patients")
    hidden = [row for row in read(section, content.scope(section)).rows if not row.cell.shown]
    assert hidden
    plain = content.study.section("activity")
    scope = content.scope(plain)
    for row in read(plain, scope).rows:
        assert row.note == "" or row.share.shown
