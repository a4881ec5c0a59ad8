"""Parameter: one typed value that a study declares and a run may set."""

from __future__ import annotations

import builtins
import json
import keyword
import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import SchemaError

from workbench.definition.declaration import (
    Declared,
    Line,
    Prose,
    is_name,
    is_printable,
    refusal,
)
from workbench.errors import DefinitionError, show, suggest

Scalar: TypeAlias = int | float | bool | str
Value: TypeAlias = Scalar | list[int] | list[float] | list[bool] | list[str]
"""What a notebook gets; a date is its ISO text."""
FIRST_NAMES = ("site", "run_dir", "output_dir")
"""What every step gets before the parameters that a study declares."""
RESERVED = frozenset({*FIRST_NAMES, *keyword.kwlist, *keyword.softkwlist, *dir(builtins)})
"""Names that no parameter may have: they mean something else in a notebook."""
MAX_ITEMS = 1000
MAX_LENGTH = 1000

ParameterType = Literal[
    "int", "float", "bool", "str", "date", "choice",
    "list[int]", "list[float]", "list[bool]", "list[str]", "list[date]", "list[choice]",
]  # fmt: skip
TYPES: tuple[str, ...] = get_args(ParameterType)


def _iso(value: object) -> object:
    if isinstance(value, list):
        return [_iso(v) for v in value]
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    return value


class Parameter(Declared):
    """Declare the type, default and range of one parameter.

    Parameters
    ----------
    type
        One of `TYPES`.
    default
        Value when a run sets none.
    minimum, maximum
        Range of each number or date, ends included.
    choices
        Allowed values of a choice.
    unit
        UCUM unit of the value, or "".
    about
        What it is for.
    pattern
        Regular expression that all of a str must match.
    max_length
        Most characters of a str.

    Examples
    --------
    >>> Parameter(type="int", default=40, minimum=0, maximum=120).accept(50)
    50
    """

    type: ParameterType
    default: Annotated[Any, BeforeValidator(_iso)]
    minimum: Annotated[int | float | str | None, BeforeValidator(_iso)] = None
    maximum: Annotated[int | float | str | None, BeforeValidator(_iso)] = None
    choices: list[str] | list[int] | None = None
    unit: Line | Literal[""] = ""
    about: Prose | Literal[""] = ""
    pattern: Annotated[str, Field(max_length=500)] | None = None
    max_length: Annotated[int, Field(ge=1, le=MAX_LENGTH)] = MAX_LENGTH

    @property
    def scalar(self) -> str:
        """Type of one element."""
        return self.type.removeprefix("list[").removesuffix("]")

    @property
    def is_list(self) -> bool:
        """Whether the value is a list."""
        return self.type.startswith("list[")

    @model_validator(mode="after")
    def _check(self) -> Parameter:
        for key, types in (
            ("minimum", ("int", "float", "date")),
            ("maximum", ("int", "float", "date")),
            ("choices", ("choice",)),
            ("pattern", ("str",)),
        ):
            if getattr(self, key) is not None and self.scalar not in types:
                raise refusal(
                    f"A parameter of type {self.type} has no {key!r}",
                    f"Remove {key}; it is for {', '.join(types)}",
                )
        if self.scalar == "choice" and not self.choices:
            raise refusal("A choice has no 'choices'", 'Write choices = ["…", "…"]')
        if self.choices and len(set(self.choices)) != len(self.choices):
            raise refusal("A choice stands twice", "Remove one")
        for choice in self.choices or []:
            if isinstance(choice, str) and not (choice and is_printable(choice)):
                raise refusal(f"{show(choice)!r} cannot be a choice", "Use printable text")
        try:
            _matcher(self.pattern)
            for key in ("minimum", "maximum"):
                if getattr(self, key) is not None:
                    object.__setattr__(self, key, self._typed(getattr(self, key), key))
            if None not in (self.minimum, self.maximum) and self.minimum > self.maximum:  # type: ignore[operator]
                raise refusal("'minimum' is above 'maximum'", "Exchange them")
            object.__setattr__(self, "default", self.accept(self.default, "default"))
        except DefinitionError as exc:
            raise refusal(exc.what, exc.todo) from None
        return self

    def accept(self, value: object, name: str = "value") -> Value:
        """Return `value` as this parameter's type.

        Parameters
        ----------
        value
            A Python value; a date may be a `datetime.date` or its ISO text.
        name
            How errors call it.

        Raises
        ------
        DefinitionError
            When it is of another type, not finite, not printable or out of range.
        """
        if not self.is_list:
            return self._scalar(value, name)
        if not isinstance(value, list | tuple):
            raise _wrong(name, value, f"a {self.type}")
        if len(value) > MAX_ITEMS:
            raise _wrong(name, f"{len(value):,} items", f"a list of at most {MAX_ITEMS:,}")
        return [self._scalar(v, f"{name}[{i}]") for i, v in enumerate(value)]  # type: ignore[return-value]

    def _scalar(self, value: object, name: str) -> Scalar:
        typed = self._typed(value, name)
        low, high = self.minimum, self.maximum
        if (low is not None and typed < low) or (high is not None and typed > high):  # type: ignore[operator]
            unit = f" {self.unit}" if self.unit else ""
            ends = f"{'…' if low is None else low} to {'…' if high is None else high}"
            raise _wrong(name, value, f"out of range: allowed {ends}{unit}", plain=True)
        return typed

    def _typed(self, value: object, name: str) -> Scalar:
        value = _iso(value)
        kind = self.scalar
        if kind == "bool" and isinstance(value, bool):
            return value
        if kind == "int" and type(value) is int and abs(value) < 2**63:
            return value
        if kind == "float" and type(value) in (int, float):
            number = float(value) if abs(value) < 1e308 else math.inf  # type: ignore[arg-type]
            if math.isfinite(number):
                return number
        if kind == "choice":
            for choice in self.choices or []:
                if type(choice) is type(value) and choice == value:
                    return choice
            allowed = [str(c) for c in self.choices or []]
            raise DefinitionError(
                f"{name!r} is {show(value)}, which is no choice",
                where=f"parameter {name}",
                todo=suggest(str(value), allowed),
            )
        if kind == "str" and isinstance(value, str):
            return self._text(value, name)
        if kind == "date" and isinstance(value, str):
            day = _day(value)
            if day is not None:
                return day
        raise _wrong(name, value, _WANTED[kind])

    def _text(self, value: str, name: str) -> str:
        if len(value) > self.max_length:
            raise _wrong(name, f"{len(value):,} characters", f"at most {self.max_length:,}")
        if not is_printable(value):
            raise _wrong(name, value, "text without control characters")
        matcher = _matcher(self.pattern)
        if matcher is not None:
            try:
                matcher.validate_python(value)
            except ValidationError:
                raise _wrong(name, value, f"text that matches {show(self.pattern)}") from None
        return value


_WANTED = {
    "int": "a whole number below 2^63",
    "float": "a finite number",
    "bool": "true or false",
    "str": "text",
    "date": "a date as YYYY-MM-DD",
}


def _wrong(name: str, value: object, wanted: str, *, plain: bool = False) -> DefinitionError:
    given = show(value)
    what = f"{show(name)!r} is {given}, {wanted if plain else f'not {wanted}'}"
    return DefinitionError(what, where=f"parameter {show(name)}", todo="Correct the value")


def _day(text: str) -> str | None:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None


def _matcher(pattern: str | None) -> TypeAdapter[str] | None:
    """Compile with pydantic's own engine: it runs in linear time, so no pattern can hang a run."""
    if pattern is None:
        return None
    try:
        return TypeAdapter(Annotated[str, Field(pattern=f"^(?:{pattern})$")])
    except SchemaError:
        raise DefinitionError(
            f"{show(pattern)!r} is no usable pattern",
            where="study.toml, parameters",
            todo="Use a plain regular expression, without look-around or references",
        ) from None


def parse_value(parameter: Parameter, text: str, name: str = "value") -> Value:
    """Return the value that a text from the command line stands for.

    Parameters
    ----------
    parameter
        What the study declares.
    text
        The text behind `name=`; a list is written `1,2,3` or as a JSON list.
    name
        How errors call it.

    Raises
    ------
    DefinitionError
        When the text is not of the declared type or out of range.

    Examples
    --------
    >>> parse_value(Parameter(type="list[int]", default=[]), "1,2")
    [1, 2]
    >>> parse_value(Parameter(type="str", default=""), "1e3")
    '1e3'
    """
    if len(text) > 100_000:
        raise _wrong(name, f"{len(text):,} characters", "at most 100,000")
    if not parameter.is_list:
        return parameter.accept(_read(parameter, text, name), name)
    if text.lstrip().startswith("["):
        try:
            return parameter.accept(json.loads(text), name)
        except (ValueError, RecursionError):
            raise _wrong(name, text, "a JSON list") from None
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    return parameter.accept([_read(parameter, part, name) for part in parts], name)


def _read(parameter: Parameter, text: str, name: str) -> object:
    kind = parameter.scalar
    if kind == "int" and re.fullmatch(r"[+-]?\d{1,19}", text, re.ASCII):
        return int(text)
    number = r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,3})?"
    if kind == "float" and re.fullmatch(number, text, re.ASCII):
        return float(text)
    if kind == "bool" and text in ("true", "false"):
        return text == "true"
    if kind == "choice":
        return next((c for c in parameter.choices or [] if str(c) == text), text)
    if kind in ("str", "date"):
        return text
    raise _wrong(name, text, _WANTED[kind])


def check_parameter_name(name: str) -> None:
    """Refuse a name that a notebook cannot or must not take.

    Raises
    ------
    DefinitionError
        When the name is malformed, a Python keyword or builtin, or reserved.
    """
    if not is_name(name) or not name.isidentifier():
        raise DefinitionError(
            f"{show(name)!r} cannot be the name of a parameter",
            where=f"parameter {show(name)}",
            todo="Use 1 to 64 of a-z, 0-9 and _, a letter first",
        )
    if name in RESERVED:
        raise DefinitionError(
            f"The name {name!r} is reserved",
            where=f"parameter {name}",
            todo=f"Choose another; Python's own words and {', '.join(FIRST_NAMES)} are taken",
        )


def write_params(path: Path | str, values: Mapping[str, Value]) -> None:
    """Write parameters as YAML that `papermill -f` reads back unchanged.

    Parameters
    ----------
    path
        File to write.
    values
        Value by name; dates are written as text, so that YAML leaves them text.

    Raises
    ------
    DefinitionError
        When a value would not come back as it is.
    """
    plain = {name: _iso(value) for name, value in values.items()}
    # PyYAML leaves a few characters unescaped that its reader changes, such as U+0085.
    text = _yaml(plain, readable=True) or _yaml(plain, readable=False)
    if text is None:
        raise DefinitionError(
            f"YAML does not keep the parameters {', '.join(map(show, plain))}",
            where=Path(path).name,
            todo="Use plain numbers, texts and lists of these",
        )
    Path(path).write_text(text, encoding="utf-8", newline="\n")


def _yaml(values: dict[str, object], *, readable: bool) -> str | None:
    import yaml  # type: ignore[import-untyped]

    try:
        text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=readable, width=2**31)
        back = yaml.safe_load(text.encode("utf-8").decode("utf-8"))
    except (yaml.YAMLError, UnicodeError):
        return None
    kept = list(back) == list(values) and all(_same(v, back[k]) for k, v in values.items())
    return text if kept else None


def _same(one: object, other: object) -> bool:
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and one == other
