"""What a site holds nothing of is not offered as zeros: it is said, in every language."""

from __future__ import annotations

import pytest

from tests.released import STUDY, make_hospital, make_rows, summarise, write_study
from workbench.exchange.offer import read_offer
from workbench.publish.content import read_content
from workbench.publish.language import LANGUAGES
from workbench.publish.parts import section_html

PAGE = """
[[dashboard.section]]
id = "doses"
table = "dose"
figure = "bars"
measure = "exams"
dimension = "sex"
title = "Doses"
question = "At what dose?"
"""
SAID = {
    "en": ("Not answerable here", "The site holds nothing that this table is made of."),
    "ru": ("Здесь на вопрос ответить нельзя", "У площадки нет данных для этой таблицы."),
    "zh": ("此处无法回答", "该站点没有此表所需的数据。"),
}


@pytest.fixture
def north(tmp_path):
    """A hospital that keeps no dose of any exam."""
    hospital = make_hospital(tmp_path, write_study(tmp_path / "study", STUDY + PAGE), "north", 1)
    none = summarise(hospital.study, make_rows(1, patients=0, rare=0))
    hospital.summaries["dose"] = none["dose"]
    return hospital


def test_a_public_table_of_nothing_is_not_offered(north):
    offer = read_offer(north.run(), north.study, north.site)
    assert "dose" not in offer.summaries
    assert offer.not_answered == {"dose": {code: said for code, (_, said) in SAID.items()}}


def test_a_protected_table_of_nothing_is_offered(north):
    """Its zeros are no finding: they are suppressed."""
    empty = summarise(north.study, make_rows(1, patients=0, rare=0))
    north.summaries["makers"] = empty["makers"]
    assert "makers" in read_offer(north.run(), north.study, north.site).summaries


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_that_it_is_not_answerable_here_and_why(north, language):
    north.pack()
    content = read_content(north.study.folder)
    html = section_html(content, content.study.section("doses"), language=language)
    for said in SAID[language]:
        assert said in html
