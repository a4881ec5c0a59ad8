"""Pictures: figures of hours, times, doses and months, in every language and at both widths."""

import re
import xml.etree.ElementTree as ET

import pytest

from workbench.publish import pictures
from workbench.publish.drawing import draw
from workbench.publish.panels import NARROW, WIDE
from workbench.publish.parts import section_html
from workbench.publish.readings import read

SECTIONS = ("hours", "use", "waiting", "dose", "growth", "months")


@pytest.mark.parametrize("language", ["en", "ru", "zh"])
@pytest.mark.parametrize("name", SECTIONS)
def test_a_figure_is_valid_and_fits(city, name, language):
    section = city.study.section(name)
    for site in ("", "North district"):
        reading = read(section, city.scope(section, site, language))
        for width in (WIDE, NARROW):
            chart = pictures.plot(reading, site, width)
            chart.to_dict(validate=True)
            svg = draw(chart)
            assert float(ET.fromstring(svg).get("width")) <= width + 30
            assert ' id="' not in svg
            assert "NaN" not in svg
            assert "undefined" not in svg


@pytest.mark.parametrize("name", SECTIONS)
@pytest.mark.parametrize("site", ["", "North district", "A tiny district"])
def test_a_section_says_no_number_that_is_none(city, name, site):
    html = section_html(city, city.study.section(name), site)
    said = re.sub(r"<[^>]*>", " ", html).lower().split()
    assert "nan" not in said
    assert "inf" not in said


def words(city, name, site="", language="en"):
    section = city.study.section(name)
    reading = read(section, city.scope(section, site, language))
    return [said for _, said in pictures.legend_items(reading, site)]


def test_a_legend_names_the_marks_that_are_there(city):
    assert words(city, "hours")[:2] == ["the highest", "the lowest"]
    assert any("suppressed, not zero" in said for said in words(city, "hours"))
    assert words(city, "waiting")[0] == "The facility"
    assert "all sites together" not in words(city, "waiting")
    assert "all sites together" in words(city, "waiting", "North district")
    assert any("linear, R-7; ICRP 135" in said for said in words(city, "dose"))
    assert "reference level of all sites" in words(city, "dose", "North district")
    assert any("50%, 80%, 95%" in said for said in words(city, "growth"))
    assert "target, with the chance of reaching it" in words(city, "growth")
    assert "target, with the chance of reaching it" not in words(city, "months")
    assert "a year, as told" in words(city, "growth")
    held = city.study.section("growth").model_copy(update={"hold_out": 12})
    tested = [said for _, said in pictures.legend_items(read(held, city.scope(held, "", "en")), "")]
    assert "a year, as told, and right of it its forecast" in tested


def test_every_mark_can_be_pointed_at(city):
    for name, said in (
        ("hours", "Monday, 12:00: "),
        ("waiting", "The facility, 24: "),
        ("dose", "Facility 1, North district: "),
        ("growth", "CT, 2025: Target 30,000; Chance of reaching it "),
    ):
        assert f"<title>{said}" in section_html(city, city.study.section(name))
