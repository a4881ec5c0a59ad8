"""Assurance: what verifies, what was reproduced, what could not be answered, whom to cite."""

import datetime as dt
import re
import shutil
from dataclasses import replace

import pytest

from tests.publish.releases import write_study
from workbench.disclosure.policy import Policy
from workbench.exchange.reproduced import Reproduced, write_reproduced
from workbench.publish.assurance import closing_html, refusal_words, status_line
from workbench.publish.content import Refusal, read_content
from workbench.publish.language import speak

EN = speak("en")


@pytest.fixture(scope="module")
def content(small_study):
    return read_content(small_study)


def text(html):
    return re.sub(r"<[^>]*>", " ", html).replace("\xa0", " ")


def test_the_panel_says_what_it_must(content):
    said = text(closing_html(content))
    for words in (
        "5 of 6 releases verified",
        "Demo keys, which are public",
        "fewer than 10 patients",
        "rounded to multiples of 5",
        "no confidence interval",
        "Not reproduced yet",
        "integrity, not origin",
        "A file is not the one that was signed",
        "the archive does not keep the manufacturer",
        "A. Researcher. A small imaging service (small), version 1.2. 5 Nov 2026.",
        "CC-BY-4.0",
        "Not for clinical use",
        content.study.digest[:12],
    ):
        assert words in said, words
    for name, release in content.releases.items():
        assert release.manifest.run.id[:12] in said
        assert name.split("<")[0].strip() in said


def test_the_rounding_in_force_is_that_of_the_releases(tmp_path):
    names = {"one": ("One", 300), "two": ("Two", 300)}
    strict = {"one": Policy(10, 10)}
    made = read_content(write_study(tmp_path / "two", names, policies=strict))
    assert made.study.policy.rounding == 5
    assert "rounded to multiples of 5–10" in text(closing_html(made))
    names.pop("two")
    alone = read_content(write_study(tmp_path / "one", names, policies=strict))
    assert "rounded to multiples of 10" in text(closing_html(alone))


def test_the_data_of_each_site_are_cited_as_its_pin_says(content):
    name = next(iter(content.releases))
    assert EN.say("cite_data") not in closing_html(content)
    cited = replace(content, citations={name: "Cui, C. (2021). <i>Images</i>. doi 10.7937/x"})
    said = closing_html(cited)
    assert EN.say("cite_data") in said
    assert "&lt;i&gt;Images&lt;/i&gt;. doi 10.7937/x" in said


def test_the_lead_is_named_in_the_readers_language_else_in_english(content):
    said = text(closing_html(content, "ru"))
    assert said.count("А. Исследователь") == 2  # as the lead, and in the citation
    assert "A. Researcher" not in said
    assert text(closing_html(content, "zh")).count("A. Researcher") == 2


def made(content, **changes):
    found = Reproduced(
        date=dt.date(2026, 12, 24),
        study=content.study.digest,
        compared={r.site: 100 for r in content.releases.values()},
        moved=0,
        manifests={r.site: r.digest for r in content.releases.values()},
    )
    return found.model_copy(update=changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Reproduced on 24 Dec 2026: 500 numbers compared, all the same"),
        ({"moved": 2}, "Run again on 24 Dec 2026: 500 numbers compared, 2 differ"),
        ({"manifests": {}}, "but the releases have changed since"),
    ],
)
def test_the_last_reproduction_and_its_result_are_told(content, changes, said):
    told = replace(content, reproduced=made(content, **changes))
    assert said in status_line(told, EN).replace("\xa0", " ")
    assert said in text(closing_html(told))


def test_a_reproduction_is_read_beside_the_releases(small_study, content, tmp_path):
    study = shutil.copytree(small_study, tmp_path / "study")
    copy = read_content(study)
    write_reproduced(made(copy), copy.study)
    assert read_content(study).reproduced == made(copy)
    (study / "releases" / "reproduced.json").write_text("{}")
    assert read_content(study).reproduced is None


def test_a_reason_without_words_is_a_refusal_all_the_same():
    assert refusal_words(Refusal("no_such_reason", "x"), EN) == "The release does not verify."
    assert refusal_words(Refusal("key_expired", "x"), speak("zh")) == "该机构的密钥已过期。"


def test_without_releases_nothing_is_claimed(small_study, tmp_path):
    study = shutil.copytree(small_study, tmp_path / "study")
    shutil.rmtree(study / "releases")
    empty = read_content(study)
    assert status_line(empty, EN) == ""
    assert "integrity" not in text(closing_html(empty))


def test_who_answers_what_is_told_and_why_others_cannot(content):
    said = text(closing_html(content))
    assert EN.say("answers") in said
    for section in content.study.sections:
        assert section.title["en"] in said
    told = [name for name, r in content.releases.items() if "devices" in r.tables]
    assert 0 < len(told) < len(content.releases)
    assert "; ".join(told) in said
    (reason,) = {
        r.not_answered["devices"]["en"]
        for r in content.releases.values()
        if "devices" in r.not_answered
    }
    assert EN.say("the_others", reason=reason) in said
