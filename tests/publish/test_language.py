"""Language: whole catalogues, plural forms, and the same numbers in every language."""

import re
import string
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st

import workbench.publish
from tests.publish.releases import HOSTILE
from workbench.publish.assurance import closing_html
from workbench.publish.content import read_content
from workbench.publish.language import LANGUAGES, speak
from workbench.publish.parts import header_html, section_html
from workbench.publish.readings import read

FOLDER = Path(workbench.publish.__path__[0])
SOURCE = "".join(p.read_text() for p in FOLDER.glob("*.py"))
REFUSED = re.compile(r'RefusedError\(\s*"([a-z_]+)"')
MADE = ("status_", "count_", "of_", "n_", "figure_", "legend_", "unit_", "verdict_", "keys_")
MADE += ("refused_", "how_", "file_", "outcome_", "read_target_", "side_")
"""Beginnings of keys that are put together from a name."""


def catalogue(language):
    path = FOLDER.parent / "resources/locale" / language / "LC_MESSAGES/workbench.po"
    with path.open("rb") as file:
        return read_po(file, locale=language)


def messages(language):
    return {m.id if isinstance(m.id, str) else m.id[0]: m for m in catalogue(language) if m.id}


def fields(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_all_words_that_are_asked_for_exist_and_none_is_left_over():
    asked = set(
        re.findall(r'(?:\bsay|\b_say|words\.count)\((?:scope,)?\s*"([a-zA-Z0-9_]+)"', SOURCE)
    )
    assert len(asked) > 40
    assert asked <= set(messages("en"))
    plain = {key.removesuffix("_counted") for key in messages("en")}
    assert plain <= set(messages("en"))
    unused = {k for k in plain if f'"{k}"' not in SOURCE and not k.startswith(MADE)}
    # Measures are asked for by the name that study.toml gives.
    assert unused == {"mean", "sd", "p10", "p25", "p75", "p95"}


def test_every_reason_of_a_refusal_has_words():
    package = FOLDER.parent
    codes = {c for p in package.rglob("*.py") for c in REFUSED.findall(p.read_text())}
    assert len(codes) > 35
    assert {f"refused_{code}" for code in codes} <= set(messages("en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_untranslated_fuzzy_or_short_of_a_field(language):
    english, found = messages("en"), messages(language)
    assert set(found) == set(english)
    forms = catalogue(language).num_plurals
    for key, message in found.items():
        texts = [message.string] if isinstance(message.string, str) else list(message.string)
        assert not message.fuzzy
        assert all(texts), key
        assert len(texts) == (1 if isinstance(english[key].string, str) else forms)
        first = english[key].string
        wanted = fields(first if isinstance(first, str) else first[0])
        extra = {"unit", "counted", "total", "value"}  # a language may leave out a noun
        for text in texts:
            assert fields(text) <= wanted
            assert wanted - fields(text) <= extra - {"value", "total", "counted"}, key


@pytest.mark.parametrize("language", ["ru", "zh"])
def test_words_are_written_in_the_script_of_the_language(language):
    script = {"ru": "[а-яё]", "zh": "[\u4e00-\u9fff]"}[language]
    without = {
        "heterogeneity",
        "legend_chosen",
        "of_label",
        "alt",
        "read_quantiles_of",
        "unit_MB",
        "list_comma",
        "read_here",
        "unit_mGy",
        "unit_mGy.cm",
    }
    for key, message in messages(language).items():
        text = message.string if isinstance(message.string, str) else message.string[0]
        assert re.search(script, text) or "{counted}" in text or key in without, key


def test_one_word_stands_for_one_thing():
    """An exam is no study; a range is no bin of a histogram; a figure is drawn."""
    of_exams = {"per_exam", "share_bin", "read_quantiles", "count_exams", "of_exams", "n_exams"}
    of_exams.add("legend_facility")
    wrong = {
        "en": "exact figure",
        "ru": "[Ии]сследовани[еяйю]|интервале",
        "zh": "真实值|舍入|校验|披露检查",
    }
    for language, pattern in wrong.items():
        for key, message in messages(language).items():
            texts = [message.string] if isinstance(message.string, str) else message.string
            found = [text for text in texts if re.search(pattern, text)]
            assert not found or key in of_exams, (language, key)
    assert (
        speak("ru").say("verify_of", n="5", of="6 выпусков") == "Прошло проверку: 5 из 6 выпусков"
    )


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (1, "1 пациент"),
        (2, "2 пациента"),
        (5, "5 пациентов"),
        (11, "11 пациентов"),
        (21, "21 пациент"),
        (101, "101 пациент"),
    ],
)
def test_russian_plurals(n, words):
    assert speak("ru").count("n_patients", n) == words
    assert speak("ru").count("suppressed_of", n).split()[2] == (
        "выпущенной" if words.endswith("пациент") else "выпущенных"
    )


def test_english_and_chinese_plurals():
    assert [speak("en").count("n_exams", n) for n in (1, 2)] == ["1 exam", "2 exams"]
    assert [speak("zh").count("n_exams", n) for n in (1, 2)] == ["1 次检查", "2 次检查"]


def test_unknown_words_are_an_error_and_an_unknown_language_is_english():
    with pytest.raises(KeyError):
        speak("ru").say("no_such_words")
    with pytest.raises(KeyError):
        speak("ru").count("no_such_words", 3)
    assert speak("xx").say("median") == "median"


def plain(text, language):
    """Return the text with all its numbers as Python writes them."""
    decimal, group, sign = speak(language).separators
    text = re.sub(rf"(?<=\d){group}(?=\d{{3}})", "", text)
    text = re.sub(rf"(?<=\d){re.escape(decimal)}(?=\d)", ".", text)
    return text.replace(sign, "%")


@pytest.mark.parametrize("study", ["small_study", "city_study"])
@pytest.mark.parametrize("language", ["ru", "zh"])
def test_the_numbers_are_the_same_in_every_language(request, study, language):
    content = read_content(request.getfixturevalue(study))
    for section in content.study.sections:
        for site in ["", *list(content.releases)[::2]]:
            scopes = [content.scope(section, site, code) for code in ("en", language)]
            if None in scopes:
                continue
            one, other = (read(section, scope) for scope in scopes)
            assert [(c.value, c.low, c.high, c.how) for c in one.cells if c.shown] == [
                (c.value, c.low, c.high, c.how) for c in other.cells if c.shown
            ]
            for first, second in zip(one.body, other.body, strict=True):
                for a, b in zip(first[1:], second[1:], strict=True):
                    if not a.hidden and not re.search(
                        r"[a-z]{3} [a-z]{2}|[a-z] ", a.text + a.detail
                    ):
                        assert plain(a.text, "en") == plain(b.text, language)
                        unbound = [speak(code).say("unknown") for code in ("en", language)]
                        if a.detail != unbound[0] or b.detail != unbound[1]:
                            assert plain(a.detail, "en") == plain(b.detail, language)
            numbers = [
                sorted(
                    re.findall(
                        r"\d+(?:\.\d+)?%?", plain(reading.finding.replace(HOSTILE, ""), code)
                    )
                )
                for reading, code in ((one, "en"), (other, language))
            ]
            ordinals = {"90"}  # the 90th percentile, in words that may stand elsewhere
            assert [n for n in numbers[0] if n not in ordinals] == [
                n for n in numbers[1] if n not in ordinals
            ]


@pytest.mark.parametrize("study", ["small_study", "city_study"])
@pytest.mark.parametrize(("language", "script"), [("ru", "[а-яА-Я]"), ("zh", "[\u4e00-\u9fff]")])
def test_no_english_is_left_on_the_page(request, study, language, script):
    content = read_content(request.getfixturevalue(study))
    english = {m.string for m in catalogue("en") if m.id and isinstance(m.string, str)}
    english = {t for t in english if len(t) > 4 and "{" not in t and t.isascii()}
    pages = [header_html(content, language), closing_html(content, language)]
    pages += [section_html(content, s, "", language) for s in content.study.sections]
    for page in pages:
        html = re.sub(r'<p class="wb-(asks|question)">.*?</p>', "", page)  # the study's own
        text = " ".join(re.sub(r"<[^>]*>", "\n", html).split("\n"))
        labels = " ".join(re.findall(r'aria-label="([^"]*)"', html))
        assert re.search(script, text)
        left = {t for t in english if re.search(rf"\b{re.escape(t)}\b", f"{text} {labels}")}
        assert left == set()


@given(st.integers(-(10**12), 10**12), st.sampled_from(list(LANGUAGES)))
def test_number_groups_by_three_and_loses_nothing(value, language):
    group = speak(language).separators[1]
    text = speak(language).number(float(value)).replace("\u2212", "-")
    assert int(text.replace(group, "")) == value
    assert all(len(part) == 3 for part in text.lstrip("-").split(group)[1:])


@given(st.floats(0, 1), st.sampled_from(list(LANGUAGES)))
def test_percent_is_never_rounded_to_an_end(share, language):
    words = speak(language)
    sign = words.separators[2]
    assert (words.percent(share) == f"0{sign}") == (share == 0)
    assert (words.percent(share) == f"100{sign}") == (share == 1)


def test_between_writes_the_unit_once():
    assert speak("en").between(0.1, 0.2, speak("en").percent) == "10.0–20.0%"
    assert speak("ru").between(0.1, 0.2, speak("ru").percent) == "10,0–20,0\u00a0%"
