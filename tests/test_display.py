"""Cards: escaped, self-contained, and the same words in a notebook and on a terminal."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.released import make_hospital, write_study
from workbench.display import LONGEST, NARROWEST, ROWS, Card, Displayed, aligned, size
from workbench.findings import Finding, Findings
from workbench.pooling import pool
from workbench.release import check_release
from workbench.running.run import Run

HOSTILE = '<script>alert("1")</script>\x1b[31m\u202eevil'


class Page(HTMLParser):
    """Keep the tags, attributes and words of a page; know whether each tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: dict[str, str] = {}
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append(tag)
        self.attributes |= dict(attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


def full(text: str) -> Card:
    return Card(text, {text: text}, [text, "b"], [[text, "1"]], text)


def test_no_text_becomes_markup_or_acts_on_a_terminal():
    page = Page(full(HOSTILE).html())
    assert set(page.tags) <= {"div", "table", "thead", "tbody", "tr", "th", "td"}
    assert page.open == []
    assert '<script>alert("1")</script>' in page.words
    for shown in (page.words, str(full(HOSTILE))):
        assert "\x1b" not in shown
        assert "\u202e" not in shown


@given(st.text(max_size=50))
def test_any_text_gives_a_whole_card(text):
    page = Page(full(text).html())
    assert page.open == []
    assert "script" not in page.tags
    assert str(full(text)).isprintable() or "\n" in str(full(text))


def test_html_loads_nothing_and_follows_the_colours_of_the_page():
    html = full("x").html()
    assert set(Page(html).attributes) <= {"style", "scope"}
    assert "url(" not in html
    assert "http" not in html
    assert "#" not in html  # a fixed colour is unreadable in one of light and dark
    for variable in html.split("var(")[1:]:
        name, fallback = variable.split(")")[0].split(",")
        assert name.startswith("--jp-")
        assert fallback in ("inherit", "currentColor")


def test_text_and_html_say_the_same():
    card = Card(
        "North", {"kind": "real", "empty": ""}, ["table", "cells"], [["exams", "12"]], "end"
    )
    page = Page(card.html())
    for word in ("North", "kind", "real", "table", "cells", "exams", "12", "end"):
        assert word in page.words
        assert word in str(card)
    assert "empty" not in page.words + str(card)


def test_long_tables_and_texts_are_cut_and_say_so():
    card = Card("a", rows=[[str(i)] for i in range(1_000)], head=["n"])
    assert f"and {1_000 - ROWS} more rows" in str(card)
    assert f"and {1_000 - ROWS} more rows" in card.html()
    assert len(Card("x" * 10_000).html()) < LONGEST + 500


def test_an_object_shows_itself_by_its_card():
    class Thing(Displayed):
        def _card(self) -> Card:
            return Card("A <thing>")

    assert repr(Thing()) == "A <thing>"
    assert "A &lt;thing&gt;" in Thing()._repr_html_()
    with pytest.raises(TypeError, match="abstract"):
        Displayed()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_lines_keep_to_the_width_and_lose_no_word(width):
    words = [f"word{i}" for i in range(50)]
    lines = aligned([["a", "b", " ".join(words)], ["北方", "x", "y"]], width)
    assert max(map(len, lines)) <= width
    found = " ".join(lines).split()
    assert [word for word in found if word.startswith("word")] == words


def test_a_column_with_no_room_is_not_wrapped():
    lines = aligned([["a" * 30, "one two three four five six"]], 30 + NARROWEST)
    assert len(lines) == 1


def test_sizes_are_rounded_without_a_step_too_many():
    assert [size(n) for n in (0, 999, 999_600, 1_500_000, 25.3e9, 4e12)] == [
        "0 B", "999 B", "1 MB", "2 MB", "25.3 GB", "4 TB",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """One object of each class that a notebook shows, made as a study makes them."""
    folder = tmp_path_factory.mktemp("shown")
    study = write_study(folder / "study")
    lacks = '[[cannot_answer]]\ncolumn = "manufacturer"\nreason = "<b>None</b>"\n'
    hospitals = [make_hospital(folder / n, study, n, i, more=lacks) for i, n in enumerate("ab")]
    releases = [hospital.pack() for hospital in hospitals]
    first = hospitals[0]
    return {
        "Study": study,
        "Site": first.site,
        "Summary": first.summaries["exams"],
        "Release": releases[0],
        "Findings": study.check(),
        "Checked": check_release(first.run(), study, first.site),
        "Run": Run(first.run(), study, first.site, {"years": 3}, "0" * 12, (), 20),
        "Pooled": pool(releases, study),
    }


SAYS = {
    "Study": ["A small study", "What is done?", "01_count.ipynb", "years = 3", "makers"],
    "Site": ["Site a", "pretend", "manufacturer", "<b>None</b>"],
    "Summary": ["counts of exams", "population", "modality", "exact"],
    "Release": ["Site a", "integrity, not origin", "dose", "histogram", "makers"],
    "Findings": ["pass", "level", "message"],
    "Checked": ["Checked: ", "images", "threshold"],
    "Run": ["A small study, at Site a", "20 patients; never released", "may leave", "stays"],
    "Pooled": ["small 1.0, pooled", "Site a, Site b", "demo", "images"],
}


@pytest.mark.parametrize("name", SAYS)
def test_each_object_shows_itself_as_a_card(shown, name):
    page = Page(shown[name]._repr_html_())
    assert page.open == []
    assert set(page.tags) <= {"div", "table", "thead", "tbody", "tr", "th", "td"}
    assert set(page.attributes) <= {"style", "scope"}
    for text in SAYS[name]:
        assert text in page.words, text
    if name != "Summary":  # one line there: it stands in the lists of others
        for text in SAYS[name]:
            assert text in repr(shown[name]), text


@pytest.mark.parametrize("name", ["Run", "Release", "Checked", "Pooled", "Site", "Study"])
def test_no_card_tells_a_count_of_patients(shown, name):
    summaries = shown["Release"].tables
    totals = {f"{int(s.data['patients'].max()):,}" for s in summaries.values()}
    words = set(re.findall(r"[\d,.]+", Page(shown[name]._repr_html_()).words))
    large = {total for total in totals if int(total.replace(",", "")) > 50}
    assert large
    assert not words & large


def test_findings_are_a_list_still():
    one = Finding("fail", "key", "x")
    assert Findings([one]) == [one]
    assert [*Findings([one]), one] == [one, one]
    assert "No findings" in repr(Findings())
