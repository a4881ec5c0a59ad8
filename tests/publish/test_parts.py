"""One site only, and one that tells nothing: no comparison, no empty promise."""

import re
from dataclasses import replace

import pytest

from tests.publish.releases import write_study
from workbench.publish.content import read_content
from workbench.publish.parts import header_html, section_html


def text(html):
    return re.sub(r"<[^>]*>", " ", html)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "study"
    return read_content(write_study(folder, {"one": ("Only Hospital", 900)}))


@pytest.fixture(scope="module")
def silent(tmp_path_factory):
    folder = tmp_path_factory.mktemp("silent") / "study"
    return read_content(write_study(folder, {"tiny": ("Tiny Practice", 5)}))


@pytest.mark.parametrize("site", ["", "Only Hospital"])
@pytest.mark.parametrize("name", ["activity", "patients", "devices", "images", "description"])
def test_one_site_is_compared_with_nothing(alone, name, site):
    html = section_html(alone, alone.study.section(name), site)
    assert "wb-figure" in html
    said = text(html)
    assert "One site: Only Hospital" in said
    for words in ("Range over sites", "range over sites", "I²", "All sites", "at each site"):
        assert words not in said, words


@pytest.mark.parametrize(
    ("language", "label"), [("en", "Contents"), ("ru", "Содержание"), ("zh", "目录")]
)
def test_the_head_leads_to_every_question_once(alone, language, label):
    html = header_html(alone, language)
    assert html.count("<nav") == html.count(f'<nav class="wb-contents" aria-label="{label}">') == 1
    found = re.findall(r'<li><a href="#([^"]*)">([^<]*)</a>', html)
    assert found == [(s.id, s.title.get(language, s.title["en"])) for s in alone.study.sections]
    for name, _ in found:
        assert f'id="{name}"' in section_html(alone, alone.study.section(name), "", language)


def test_where_there_is_no_release_there_are_no_contents(alone):
    assert "wb-contents" not in header_html(replace(alone, problem="They do not fit"))


def test_a_figure_of_sites_says_that_there_is_one(alone):
    said = text(section_html(alone, alone.study.section("concentration"), language="en"))
    assert "nothing to compare" in said
    assert "suppressed" not in said
    assert "All sites" not in said


def test_where_nothing_is_suppressed_no_suppression_is_blamed(small_study):
    content = read_content(small_study)
    section = content.study.section("activity").model_copy(update={"top": 1})
    said = text(section_html(content, section, "Northern University Hospital"))
    assert "None of them is suppressed" in said
    assert "fewer than" not in said


@pytest.mark.parametrize(
    ("language", "all_words", "word"),
    [
        ("en", "Every number above zero is suppressed.", "suppressed"),
        ("ru", "Все числа больше нуля скрыты.", "скрыто"),
        ("zh", "所有大于零的数值均已隐去。", "已隐去"),
    ],
)
def test_a_page_that_tells_nothing_says_so_first(silent, alone, language, all_words, word):
    html = header_html(silent, language)
    assert all_words in html
    facts = re.findall(r"<dd>([^<]*)<", html)
    assert facts[1:3] == [word, word]
    assert all_words not in header_html(alone, language)


@pytest.mark.parametrize("name", ["activity", "patients", "devices", "images", "description"])
def test_no_file_of_a_figure_is_offered_where_none_is_drawn(silent, alone, name):
    html = section_html(silent, silent.study.section(name))
    assert "wb-figure" not in html
    assert "data-wb-save" not in html
    assert "text/csv" in html
    assert "data-wb-save" in section_html(alone, alone.study.section(name))


def test_a_question_says_which_sites_answer_it(small_study):
    content = read_content(small_study)
    told = [name for name, release in content.releases.items() if "devices" in release.tables]
    of = len(content.releases)
    assert len(told) < of
    said = section_html(content, content.study.section("devices"))
    assert f'wb-scope">{len(told)} of {of} sites: {"; ".join(told)}<' in said
    assert 'wb-scope">All sites<' in section_html(content, content.study.section("activity"))
