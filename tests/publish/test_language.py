"""Words: every one is used, and every one that is asked for exists."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import workbench.publish
from workbench.publish.language import THIN, WORDS, between, number, percent, say

FOLDER = Path(workbench.publish.__path__[0])
SOURCE = "".join(p.read_text() for p in FOLDER.glob("*.py") if p.name != "language.py")


def test_all_words_that_are_asked_for_exist():
    asked = set(re.findall(r'\bsay\(\s*"([a-z0-9_]+)"', SOURCE))
    assert len(asked) > 20
    assert asked <= set(WORDS["en"])


def test_no_word_is_left_over():
    made = {"status_", "count_", "figure_", "legend_", "read_"}
    unused = {
        k for k in WORDS["en"] if f'"{k}"' not in SOURCE and not any(k.startswith(m) for m in made)
    }
    # Measures are asked for by the name that study.toml gives; `unknown` in language.py itself.
    assert unused == {"mean", "sd", "p10", "p25", "p75", "p95", "unknown"}


def test_unknown_words_are_an_error():
    with pytest.raises(KeyError):
        say("no_such_words")


def test_a_language_without_the_words_falls_back_to_english():
    assert say("median", "xx") == "median"


@given(st.integers(-(10**12), 10**12))
def test_number_groups_by_three_and_loses_nothing(value):
    text = number(float(value))
    assert int(text.replace(THIN, "").replace("\u2212", "-")) == value
    assert all(len(group) == 3 for group in text.lstrip("\u2212").split(THIN)[1:])


@given(st.floats(0, 1))
def test_percent_is_never_rounded_to_an_end(share):
    text = percent(share)
    assert (text == f"0{THIN}%") == (share == 0)
    assert (text == f"100{THIN}%") == (share == 1)


def test_between_writes_the_unit_once():
    assert between(0.1, 0.2, percent) == f"10.0–20.0{THIN}%"
