"""Sentences: the numbers they hold are those of the tables, with their intervals."""

import math

import pytest

from workbench.publish.content import read_content
from workbench.publish.language import speak
from workbench.publish.marks import SUPPRESSED, Cell
from workbench.publish.readings import read
from workbench.publish.sentences import span


@pytest.fixture(scope="module")
def finding(small_study):
    content = read_content(small_study)

    def said(name, site="", language="en"):
        section = content.study.section(name)
        return read(section, content.scope(section, site, language)).finding.replace("\xa0", " ")

    return said


def test_the_largest_label_its_share_and_its_range_over_sites(finding):
    text = finding("activity")
    assert text.startswith("CT comes first: 2,985 (2,975–2,995) of 7,160 (7,150–7,170) exams")
    assert "Between sites, the share of CT runs from 33.3% to 45.0%" in text
    assert "(I²) is" in text


def test_of_one_site_nothing_is_said_about_others(finding):
    text = finding("activity", "东方医院")
    assert "of 900 (898–902) exams" in text
    assert "Between sites" not in text


def test_a_label_is_written_small_inside_a_sentence_and_a_name_is_not(finding):
    assert "Of all patients: female " in finding("patients")
    assert finding("patients", language="ru").startswith(
        "Самая многочисленная группа — женский, 40–59 лет: "
    )
    assert finding("description").startswith("Age is stated in ")
    assert " exams, body part in only " in finding("description")
    assert finding("description", language="ru").startswith("Чаще всего указано «возраст»: ")
    assert finding("activity", language="ru").startswith("На первом месте — КТ: ")
    assert "the share of Alpha Imaging runs" in finding("devices")
    assert finding("devices", language="ru").startswith("На первом месте — Альфа: ")


@pytest.mark.parametrize(
    ("label", "said"), [("0", "0 лет"), ("1–4", "1–4 года"), ("60–61", "60–61 год")]
)
def test_years_take_the_form_of_the_last_number(small_study, label, said):
    content = read_content(small_study)
    scope = content.scope(content.study.section("patients"), "", "ru")
    assert scope.with_unit("age_band", label) == said
    assert scope.with_unit("sex", label) == label


def test_what_is_not_stated_is_no_largest_group(finding):
    text = finding("patients")
    assert text.startswith("The largest group is female, 40–59 years: ")
    assert "Not stated" not in text


def test_quantiles_have_their_interval_and_method_free_words(finding):
    assert finding("images").startswith("Over all exams: median ")
    # So wide a bin is told alone: a place within it is a guess.
    assert "median 50–99, 90th percentile 200–499." in finding("images")


def test_an_open_interval_is_not_written_as_a_number():
    assert speak("en").spelt(Cell(5, 3, math.inf)) == "5 (≥3)"
    assert speak("en").spelt(Cell(5, -math.inf, math.inf)) == "5 (no bound)"
    assert speak("en").placed(Cell(5, -math.inf, math.inf)) == "5 (no bound)"
    assert speak("en").placed(Cell(5, 3, math.inf)) == "≥3"
    assert all(map(math.isnan, span([SUPPRESSED])))
