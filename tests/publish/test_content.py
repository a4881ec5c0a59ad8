"""Content: verified releases only, and why the others are not read."""

import shutil

import pytest

from workbench.errors import PoolingError
from workbench.pooling import pool
from workbench.publish import content as contents
from workbench.publish.content import read_content
from workbench.publish.parts import header_html, headline, section_html
from workbench.publish.readings import read


def test_only_what_verifies_is_read(small_study):
    content = read_content(small_study)
    assert set(content.refused) == {"broken"}
    assert content.refused["broken"].reason == "changed_file"
    assert content.refused["broken"].what == "The file is not the one that was signed"
    assert len(content.releases) == 5
    assert {used.site for used in content.pooled("devices").releases} == {
        "north",
        "south",
        "east",
        "west",
        "small",
    }


def test_a_tampered_release_disappears_from_the_numbers(small_study, tmp_path):
    study = shutil.copytree(small_study, tmp_path / "study")
    before = read_content(study).count("exams").value
    table = study / "releases" / "north" / "exams_by_modality.csv"
    table.write_text(table.read_text().replace("4000", "9000"))
    content = read_content(study)
    assert "north" in content.refused
    assert content.count("exams").value == before - 4000


def test_without_releases_nothing_is_pooled(small_study, tmp_path):
    study = shutil.copytree(small_study, tmp_path / "study")
    shutil.rmtree(study / "releases")
    content = read_content(study)
    assert (content.empty, dict(content.releases)) == (True, {})
    assert content.scope(content.study.section("activity")) is None
    assert content.count("exams").how == "not_applicable"


def test_the_reason_of_a_site_that_cannot_answer_is_told(small_study):
    content = read_content(small_study)
    west = next(name for name in content.releases if name.startswith("West"))
    section = content.study.section("devices")
    assert content.scope(section, west) is None
    assert content.reason(section, west) == "the archive does not keep the manufacturer"


@pytest.mark.parametrize("language", ["en", "ru", "zh"])
def test_labels_are_in_the_readers_language(small_study, language):
    content = read_content(small_study)
    scope = content.scope(content.study.section("activity"), "", language)
    words = {"en": "Magnetic resonance", "ru": "МРТ", "zh": "磁共振成像"}
    assert scope.label("modality", "MR") == words[language]


def test_a_table_is_pooled_when_it_is_first_asked_for_and_once(small_study, monkeypatch):
    pooled = []

    def seen(releases, study, *, only):
        pooled.extend(only)
        return pool(releases, study, only=only)

    monkeypatch.setattr(contents, "pool", seen)
    content = read_content(small_study)
    assert pooled == []
    sections = {section.id: section for section in content.study.sections}
    for language in ("en", "ru"):
        content.scope(sections["activity"], "", language)
    assert pooled == ["exams_by_modality"]
    content.scope(sections["concentration"])
    assert pooled.count("devices") == 1
    assert set(pooled) == {"exams_by_modality", "devices"}


def test_releases_that_do_not_fit_together_in_a_table_lose_that_table_only(
    small_study, monkeypatch
):
    def failing(releases, study, *, only):
        if "exams_by_modality" in only:
            raise PoolingError("The sites release other margins", where="north, south", todo="Ask")
        return pool(releases, study, only=only)

    whole = read_content(small_study)
    first = headline(whole, "en")
    monkeypatch.setattr(contents, "pool", failing)
    content = read_content(small_study)
    assert not content.empty
    lost, kept = (content.study.section(name) for name in ("activity", "patients"))
    html = section_html(content, lost)
    assert 'class="wb-state wb-error"' in html
    assert "The sites release other margins" in html
    assert "north, south" in html
    assert section_html(content, kept) == section_html(whole, kept)
    # The head passes on to the next question; n of another table could lack a site.
    assert headline(content, "en") == read(kept, content.scope(kept)).answer
    assert headline(content, "en") != first
    assert "wb-error" not in header_html(content)
    assert content.count("exams").how == "not_applicable"
    assert content.count("exams", "东方医院") == whole.count("exams", "东方医院")
