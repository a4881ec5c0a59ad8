"""Every figure of the recipe says who published it, in the code and in the card."""

from __future__ import annotations

import pkgutil
from importlib import import_module

import pytest

import workbench.pretend
from tests.test_conventions import ROOT
from workbench.pretend.sourced import ASSUMED, Sourced

CARD = ROOT / "datasets" / "capital" / "card.md"
TECHNICAL = {"ROWS_PER_GROUP"}
"""Figures that change no value."""


def constants():
    for found in pkgutil.iter_modules(workbench.pretend.__path__):
        module = import_module(f"workbench.pretend.{found.name}")
        for name, value in vars(module).items():
            if name.isupper() and not name.startswith("_"):
                yield module, name, value


def figures():
    """Return the figures by name, each once."""
    return {name: value for _, name, value in constants() if isinstance(value, Sourced)}


def holds_number(value) -> bool:
    if isinstance(value, bool | str):
        return False
    if isinstance(value, int | float):
        return True
    if isinstance(value, dict):
        return any(map(holds_number, [*value, *value.values()]))
    return isinstance(value, list | tuple | set) and any(map(holds_number, value))


def test_there_are_many():
    assert len(figures()) > 60


def test_no_figure_is_without_a_source():
    bare = {
        f"{module.__name__}.{name}"
        for module, name, value in constants()
        if not isinstance(value, Sourced) and name not in TECHNICAL and holds_number(value)
    }
    assert bare == set()


def test_a_figure_without_a_source_would_be_seen():
    assert holds_number({"CT": (1, 2)})
    assert holds_number((("a", 1),))
    assert not holds_number(("CT", "MR"))


def test_names_are_used_once():
    seen: dict[str, int] = {}
    for _, name, value in constants():
        if isinstance(value, Sourced):
            assert seen.setdefault(name, id(value)) == id(value), name


@pytest.mark.parametrize("name", sorted(figures()))
def test_a_source_is_a_text_and_stands_in_the_card(name):
    figure = figures()[name]
    assert len(figure.source) >= len(ASSUMED)
    assert figure.unit
    assert f"| `{name}` | {figure.unit} | {figure.source} |" in CARD.read_text()


def test_the_card_names_no_figure_that_is_gone():
    told = {line.split("`")[1] for line in CARD.read_text().splitlines() if line.startswith("| `")}
    columns = {name for name in told if name.islower()}
    assert told - columns - {name for name in told if name.endswith(".parquet")} == set(figures())
