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

    def said(name, site=""):
        section = content.study.section(name)
        return read(section, content.scope(section, site)).finding

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


def test_what_is_not_stated_is_no_largest_group(finding):
    text = finding("patients")
    assert text.startswith("The largest group is Female, 40–<60 years: ")
    assert "Not stated" not in text


def test_quantiles_have_their_interval_and_method_free_words(finding):
    assert finding("images").startswith("Over all exams: median ")
    assert "(50–100), 90th percentile " in finding("images")


def test_an_open_interval_is_not_written_as_a_number():
    assert speak("en").spelt(Cell(5, 3, math.inf)) == "5 (≥3)"
    assert speak("en").spelt(Cell(5, -math.inf, math.inf)) == "5 (no bound)"
    assert all(map(math.isnan, span([SUPPRESSED])))
