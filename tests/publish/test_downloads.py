"""Downloads: every number with its interval and status, in the words of the reader."""

import base64
import csv
import datetime as dt
import io
import re
from dataclasses import replace

import pytest

from workbench.publish.content import read_content
from workbench.publish.downloads import file_name, links, numbers_csv
from workbench.publish.marks import Entry
from workbench.publish.readings import read


@pytest.fixture(scope="module")
def reading(small_study):
    content = read_content(small_study)

    def made(name, site="", language="en"):
        section = content.study.section(name)
        return read(section, content.scope(section, site, language))

    return made


def rows(text):
    head, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    return head, [dict(zip(head, line, strict=True)) for line in lines]


def test_every_number_of_the_table_is_a_line(reading):
    found = reading("activity")
    head, lines = rows(numbers_csv(found))
    assert head == ["Modality", "Quantity", "Value", "From", "To", "Unit", "Status", "Rule"]
    ct = next(r for r in lines if r["Modality"] == "CT" and r["Quantity"] == "Exams")
    assert (ct["Value"], ct["From"], ct["To"], ct["Unit"]) == ("2985", "2975", "2995", "1")
    assert (ct["Status"], ct["Rule"]) == ("rounded", "rounded, the range holds the exact number")
    part = next(r for r in lines if r["Modality"] == "CT" and r["Quantity"] == "Share of exams")
    assert part["Unit"] == "%"
    assert float(part["Value"]) == pytest.approx(100 * 2985 / 7160)
    cells = [entry for line in found.body for entry in line if entry.cell is not None]
    assert len(lines) == len(cells)


def test_what_is_held_back_is_empty_and_says_why(reading):
    _, lines = rows(numbers_csv(reading("patients", "A small practice")))
    hidden = [r for r in lines if r["Status"] == "suppressed"]
    assert hidden
    assert {r["Value"] for r in hidden} == {""}
    assert all("fewer than 10 patients" in r["Rule"] for r in hidden)
    for line in rows(numbers_csv(reading("images")))[1]:
        assert not {"nan", "inf", "-inf"} & {line[key] for key in ("Value", "From", "To")}


@pytest.mark.parametrize("name", ["activity", "patients", "devices", "images", "concentration"])
def test_numbers_are_the_same_in_every_language_and_words_are_not(reading, name):
    english, russian = (rows(numbers_csv(reading(name, language=x))) for x in ("en", "ru"))
    assert english[0][1:] != russian[0][1:]
    numbers = [[list(line.values())[2:6] for line in lines] for _, lines in (english, russian)]
    assert numbers[0] == numbers[1]


def test_no_word_is_a_formula(reading):
    found = reading("activity")
    first, *rest = found.body[0]
    hostile = replace(found, body=((replace(first, text='=HYPERLINK("x")'), *rest),))
    _, lines = rows(numbers_csv(hostile))
    assert lines[0]["Modality"] == '\'=HYPERLINK("x")'
    without = replace(found, body=((Entry("x"), *[Entry("–")] * len(rest)),))
    assert rows(numbers_csv(without))[1] == []


def test_names_say_study_section_site_and_day():
    day = dt.date(2026, 11, 5)
    assert file_name("s", "activity", "east", day) == "s_activity_east_2026-11-05"
    assert file_name("s", "a", "../x y", None) == "s_a_..-x-y"


def test_the_link_holds_the_file(reading):
    found = reading("activity", language="zh")
    html = links(found, "name")
    content = re.search(r'href="data:text/csv;charset=utf-8;base64,([^"]*)"', html)[1]
    assert base64.b64decode(content).decode("utf-8-sig") == numbers_csv(found)
    assert 'download="name.csv"' in html
    assert html.count("data-wb-save") == 2
