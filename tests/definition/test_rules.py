"""What a declaration may hold is told in words of ours, whatever pydantic says."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from workbench.definition.declaration import Declared, Line, validate
from workbench.definition.rules import tell_rule
from workbench.errors import SiteError

Port = Annotated[int, Field(ge=1, le=65_535)]


class Inner(Declared):
    """A table in a table."""

    size: Annotated[float, Field(ge=0)] = 0.0


class Outer(Declared):
    """All that a declaration holds anywhere."""

    port: Port
    other: Port | None = None
    seconds: Annotated[float, Field(gt=0, le=3600)] = 1.0
    title: Annotated[str, Field(pattern="^[A-Z]$", description="one large letter")] = "A"
    code: Annotated[str, Field(pattern="^[0-9]$")] = "1"
    user: Line | Literal[""] = ""
    plain: bool = False
    names: list[str] = Field(default_factory=list, max_length=2)
    inner: Inner = Inner()
    table: dict[str, int] = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("given", "what", "where", "todo"),
    [
        ({"port": "104"}, '\'port\' cannot be "104"', "port", "a whole number from 1 to 65,535"),
        ({"port": 0}, "'port' cannot be 0", "port", "Write a whole number from 1 to 65,535"),
        ({"port": True}, "'port' cannot be true", "port", "Write a whole number from 1 to 65,535"),
        ({"other": 70_000}, "'other' cannot be 70000", "other", "a whole number from 1 to 65,535"),
        ({"seconds": "soon"}, '\'seconds\' cannot be "soon"', "seconds", "above 0 and up to 3,600"),
        ({"seconds": float("nan")}, "'seconds' cannot be nan", "seconds", "Write a finite number"),
        ({"title": "ab"}, '\'title\' cannot be "ab"', "title", "Write one large letter"),
        ({"code": 5}, "'code' cannot be 5", "code", "a text in quotes that matches ^[0-9]$"),
        ({"user": 5}, "'user' cannot be 5", "user", "Write a text in quotes"),
        ({"user": {"a": 1}}, "'user' cannot be {'a': 1}", "user", "Write a text in quotes"),
        ({"plain": "yes"}, '\'plain\' cannot be "yes"', "plain", "Write true or false"),
        ({"names": "a"}, '\'names\' cannot be "a"', "names", "Write a list in square brackets"),
        ({"names": ["a", 5]}, "'names' cannot hold 5", "names.2", "Write a text in quotes"),
        ({"names": ["a", "b", "c"]}, "'names' cannot be ", "names", "Write at most 2 of them"),
        ({"inner": 5}, "'inner' cannot be 5", "inner", "Write a table"),
        ({"inner": {"size": -1}}, "'size' cannot be -1", "inner.size", "Write a number from 0"),
        ({"table": {"a": "x"}}, '\'a\' cannot be "x"', "table.a", "Write a whole number"),
        ({"table": []}, "'table' cannot be []", "table", "Write a table"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_its_place_and_its_rule(given, what, where, todo):
    with pytest.raises(SiteError) as caught:
        validate(Outer, {"port": 1} | given, "site.toml, archive", SiteError)
    assert caught.value.what.startswith(what)
    assert caught.value.where == f"site.toml, archive.{where}"
    assert todo in caught.value.todo
    assert "more" not in caught.value.todo


def test_what_is_missing_is_told_with_its_rule():
    with pytest.raises(SiteError) as caught:
        validate(Outer, {}, "site.toml", SiteError)
    assert caught.value.todo == "Write port = …, a whole number from 1 to 65,535"
    assert caught.value.where == "site.toml, port"


@pytest.mark.parametrize(
    ("annotation", "rule"),
    [
        (Annotated[int, Field(lt=5)] | str, "a whole number below 5 or a text in quotes"),
        (Literal["get", "move"], '"get" or "move"'),
        (Inner, "a table"),
        (Any, ""),
    ],
)
def test_a_type_is_told_in_words(annotation, rule):
    assert tell_rule(annotation) == rule
