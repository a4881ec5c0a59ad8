"""Content: verified releases only, and why the others are not read."""

import shutil

import pytest

from workbench.publish.content import read_content


def test_only_what_verifies_is_read(small_study):
    content = read_content(small_study)
    assert set(content.refused) == {"broken"}
    assert content.refused["broken"].reason == "changed_file"
    assert content.refused["broken"].what == "The file is not the one that was signed"
    assert len(content.releases) == 5
    assert {used.site for used in content.pooled.releases} == {
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
    assert (content.pooled, dict(content.releases)) == (None, {})
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
