"""Counted: a table of what is no exams calls its rows by their name, everywhere it is read."""

import re

import pytest

from workbench.publish.content import read_content
from workbench.publish.downloads import numbers_csv
from workbench.publish.language import speak
from workbench.publish.parts import section_html
from workbench.publish.readings import read

COUNTED = {"en": "device-days", "ru": "аппарато-дни", "zh": "设备日"}
EXAM = {"en": r"\bexams?\b", "ru": "исследован", "zh": "检查"}
PATIENT = {"en": "patient", "ru": "пациент", "zh": "患者"}
PLAIN = {"title": {"en": "-"}, "question": {"en": "-"}}
"""Words of the section itself, so that all others are ours."""


@pytest.fixture(scope="module")
def content(small_study):
    return read_content(small_study)


def counted(content, name, **changes):
    return content.study.section(name).model_copy(update={"counted": COUNTED} | PLAIN | changes)


def ours(content, text, language):
    """Return a text without what the study calls its dimensions."""
    for dimension in content.study.dimensions.values():
        text = text.replace(dimension.title(language), "")
    return text.lower()


@pytest.mark.parametrize("language", COUNTED)
@pytest.mark.parametrize("site", ["", "A small practice"])
@pytest.mark.parametrize("name", ["activity", "images", "description", "patients"])
def test_no_word_of_a_section_is_that_of_exams_or_patients(content, name, site, language):
    measure = "median" if name == "images" else "exams"
    section = counted(content, name, measure=measure)
    whole = section_html(content, section, site, language)
    said = ours(
        content, re.sub(r'(id|labelledby|download|href|wb-name)="[^"]*"', "", whole), language
    )
    assert COUNTED[language] in said
    assert not re.search(EXAM[language], said)
    assert PATIENT[language] not in said


@pytest.mark.parametrize("language", COUNTED)
def test_the_file_of_numbers_says_it_as_well(content, language):
    section = counted(content, "images")
    text = numbers_csv(read(section, content.scope(section, "A small practice", language)))
    said = ours(content, text, language)
    assert COUNTED[language] in said
    assert not re.search(EXAM[language], said)
    assert PATIENT[language] not in said
    rule = {
        "en": "fewer than 10 device-days",
        "ru": "менее 10 (аппарато-дни)",
        "zh": "不足 10 个设备日",
    }
    assert rule[language] in text


def test_a_language_without_the_word_has_the_english_one(content):
    section = counted(content, "images", counted={"en": "device-days"})
    assert content.scope(section, "", "ru").counted == "device-days"


def test_other_sections_keep_their_words(content):
    section = content.study.section("images")
    found = read(section, content.scope(section))
    assert (found.head[1], found.answer[:14]) == ("Exams", "Over all exams")
    assert speak("en").say("count_exams") == "exams"
    assert speak("en", "device-days") is speak(speak("en", "device-days"))
