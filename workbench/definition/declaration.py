"""Declarations: TOML files that hold values, read under limits and refused by name."""

from __future__ import annotations

import re
import stat
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from workbench.definition.problems import problem, refuse
from workbench.definition.rules import annotation_at, keys_at, tell_rule
from workbench.errors import WorkbenchError, nearest, show, suggest
from workbench.findings import Finding

LANGUAGES = ("en", "ru", "zh")
Language = Literal["en", "ru", "zh"]
MAX_BYTES = 1_000_000
"""Largest TOML file that is read."""
MAX_DEPTH = 12
"""Deepest nesting of tables and lists in a declaration."""
MAX_VALUES = 20_000
"""Most tables, lists and values in a declaration."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_PATH_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)


class Declared(BaseModel):
    """Parent of every table of a declaration: closed, strict, frozen, finite."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


Model = TypeVar("Model", bound=Declared)
T = TypeVar("T")


def refusal(what: str, todo: str = "") -> PydanticCustomError:
    """Return the error a pydantic validator raises so that `what` and `todo` reach the reader."""
    return PydanticCustomError("refused", "{what}", {"what": what, "todo": todo})


def read_file(
    path: Path,
    error: type[WorkbenchError],
    limit: int = MAX_BYTES,
    absent: str = "Check the path",
) -> bytes:
    """Return the bytes of a regular file of at most `limit` bytes.

    Raises
    ------
    WorkbenchError
        Of the class `error`, when there is no such file, or it is too large or not regular.
    """
    where = show(str(path), 200)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise error(
                "Not a regular file", where=where, todo="Name a file, not a folder or device"
            )
        if status.st_size > limit:
            raise error(
                f"The file has {status.st_size:,} bytes; at most {limit:,} are read",
                where=where,
                todo="Make it smaller: a declaration holds values, not data",
            )
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "the path cannot be used"
        raise error(f"The file cannot be read: {reason}", where=where, todo=absent) from None
    if len(content) > limit:
        raise error(f"The file is larger than {limit:,} bytes", where=where, todo="Make it smaller")
    return content


def read_toml(
    path: Path, error: type[WorkbenchError], absent: str = "Check the path"
) -> dict[str, Any]:
    """Read a TOML file under limits of size and nesting.

    Parameters
    ----------
    path
        The file.
    error
        Class of what is raised.
    absent
        What to do where there is no such file.

    Raises
    ------
    WorkbenchError
        Of the class `error`, naming what cannot be read.
    """
    content = read_file(path, error, absent=absent)
    where = show(str(path), 200)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise error(
            f"Byte {exc.start} is not UTF-8", where=where, todo="Save the file as UTF-8"
        ) from None
    # tomllib copies a dotted key once for each part: a key of 100,000 parts takes minutes, and so
    # do many keys of 300.
    if text.count(".") > MAX_VALUES:
        todo = "Make it smaller: a declaration holds values, not data"
        raise error(f"The file holds more than {MAX_VALUES:,} dots", where=where, todo=todo)
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > 300 or len(line) > 100_000:
            raise error(f"Line {number} is too long to be read", where=where, todo="Shorten it")
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        message = str(exc)
        raise error(
            f"Not valid TOML: {show(message, 160)}", where=where, todo=_advise(message, text)
        ) from None
    except (ValueError, RecursionError) as exc:
        reason = "nested too deeply" if isinstance(exc, RecursionError) else "a number is too long"
        raise error(f"Not readable as TOML: {reason}", where=where, todo="Correct it") from None
    depth, number = _measure(data)
    if depth > MAX_DEPTH:
        raise error(f"Nested deeper than {MAX_DEPTH} levels", where=where, todo="Flatten it")
    if number > MAX_VALUES:
        todo = "Make it smaller: a declaration holds values, not data"
        raise error(f"The file holds more than {MAX_VALUES:,} values", where=where, todo=todo)
    return data


def _advise(message: str, text: str) -> str:
    """Return what is most likely wrong with a line that is no TOML."""
    at = re.search(r"\(at line (\d+),", message)
    line = text.split("\n")[int(at[1]) - 1] if at else ""
    key, _, value = (part.strip() for part in line[:200].partition("="))
    key = key if is_name(key) else "key"
    example = f'{key} = "…"'
    if "\\" in value and value.startswith('"'):
        return f"Write / instead of \\ in a path, or single quotes: {key} = '…'"
    if value[:1] in ("“", "”", "„", "«", "‘", "’"):
        return f"Write straight quotes: {example}"
    if value.casefold() in ("true", "false"):
        return "Write true or false in small letters"
    if value and value[0] not in "\"'[{" and message.startswith(("Invalid value", "Expected newl")):
        return f"Put text in quotes: {example}"
    return "Close the quotes" if message.startswith("Unterminated") else "Correct it"


def validate(
    model: type[Model], data: Mapping[str, Any], file: Path | str, error: type[WorkbenchError]
) -> Model:
    """Return `data` as a `model`, or refuse it with every problem named.

    Raises
    ------
    WorkbenchError
        Of the class `error`, with file, key, allowed values and the nearest good one.
    """
    try:
        return model.model_validate(data)
    except ValidationError as exc:
        found, total = _problems(exc, model, data, show(str(file), 200))
        refuse(found, error, total)
        raise  # unreachable: a ValidationError always holds at least one problem


def is_name(text: str) -> bool:
    """Return whether `text` can be an id or a name: `[a-z][a-z0-9_]{0,63}`.

    Examples
    --------
    >>> is_name("age_band"), is_name("Age"), is_name("__class__")
    (True, False, False)
    """
    return len(text) <= 64 and _NAME.fullmatch(text) is not None


def is_printable(text: str, newlines: bool = False) -> bool:
    """Return whether `text` holds no control, format or surrogate character."""
    if newlines:
        text = text.replace("\n", " ")
    return all(c.isprintable() or unicodedata.category(c) == "Zs" for c in text)


def inside(folder: Path, path: str) -> Path:
    """Return `folder / path` if it stays inside `folder`, links followed.

    Raises
    ------
    ValueError
        When a link leads out of the folder.
    """
    try:
        resolved = (folder / path).resolve()
        good = resolved.is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        good = False
    if not good:
        raise ValueError(f"{show(path)!r} leads out of its folder")
    return folder / path


def _check_name(text: str) -> str:
    if not is_name(text):
        raise refusal(
            f"{show(text)!r} cannot be a name",
            "Use 1 to 64 of a-z, 0-9 and _, a letter first",
        )
    return text


def _check_path(text: str) -> str:
    parts = text.split("/")
    good = len(text) <= 512 and all(_PATH_PART.fullmatch(p) and p not in (".", "..") for p in parts)
    if not good or str(PurePosixPath(text)) != text:
        raise refusal(
            f"{show(text)!r} cannot be a path here",
            "Write a path below the study folder, of letters, digits, '_', '-', '.' and '/'",
        )
    return text


def _check_line(text: str) -> str:
    return _check_text(text, 500, newlines=False)


def _check_prose(text: str) -> str:
    return _check_text(text, 5000, newlines=True)


def _check_text(text: str, limit: int, *, newlines: bool) -> str:
    if not text.strip() or len(text) > limit:
        raise refusal(f"A text has {len(text):,} characters", f"Write 1 to {limit:,} characters")
    if not is_printable(text, newlines):
        raise refusal(f"{show(text)!r} holds a control character", "Remove it")
    return text


def _as_texts(value: object) -> object:
    return {"en": value} if isinstance(value, str) else value


def _check_texts(value: dict[str, str]) -> dict[str, str]:
    for language in value:
        if language not in LANGUAGES:
            raise refusal(f"Unknown language {show(language)!r}", suggest(language, LANGUAGES))
    if "en" not in value:
        raise refusal("The English text is missing", "Write en = '…'")
    return value


def _check_distinct(values: list[T]) -> list[T]:
    for value in values:
        if values.count(value) > 1:
            raise refusal(f"{show(value)!r} stands twice", "Write it once")
    return values


Distinct = AfterValidator(_check_distinct)
"""What a list holds stands in it once."""
Name = Annotated[str, AfterValidator(_check_name)]
"""An id or a name: `[a-z][a-z0-9_]{0,63}`."""
InnerPath = Annotated[str, AfterValidator(_check_path)]
"""A relative path of plain ASCII parts that stays inside its folder."""
Line = Annotated[str, AfterValidator(_check_line)]
"""One printable line."""
Prose = Annotated[str, AfterValidator(_check_prose)]
"""Printable text of several lines."""
Texts = Annotated[dict[str, Prose], BeforeValidator(_as_texts), AfterValidator(_check_texts)]
"""A text by language; a plain string is the English one."""


def _measure(data: object) -> tuple[int, int]:
    """Return how deep data are nested and how many values they hold, up to the limits."""
    deepest, number, todo = 0, 0, [(data, 1)]
    while todo and deepest <= MAX_DEPTH and number <= MAX_VALUES:
        value, depth = todo.pop()
        deepest, number = max(deepest, depth), number + 1
        if isinstance(value, dict):
            todo += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list):
            todo += [(inner, depth + 1) for inner in value]
    return deepest, number


def _problems(
    exc: ValidationError, model: type[BaseModel], data: object, file: str
) -> tuple[list[Finding], int]:
    """Return the first problems, one a place, and the number of all."""
    places: dict[tuple[object, ...], Any] = {}
    for entry in exc.errors(include_url=False, include_input=False):
        at_key = "[key]" in entry["loc"]
        parts = [part for part in entry["loc"] if part != "[key]"]
        loc = _place(parts, data, absent=entry["type"] == "missing")
        places.setdefault((*loc, at_key), (loc, at_key, entry))
    # A part of a declaration that is read alone is named by its table: "site.toml, archive".
    joint = "." if ", " in file else ", "
    found = []
    for loc, at_key, entry in list(places.values())[:10]:
        where = f"{file}{joint}{_key(loc, data)}" if loc else file
        last = show(str(loc[-1])) if loc else ""
        context: dict[str, Any] = entry.get("ctx", {})
        kind = entry["type"]
        if kind == "extra_forbidden":
            known = keys_at(model, loc[:-1])
            found.append(problem(f"Unknown key {last!r}", where, suggest(str(loc[-1]), known)))
        elif kind == "missing":
            rule = tell_rule(annotation_at(model, loc))
            todo = f"Write {last} = …" + (f", {rule}" if rule else "")
            if rule == "a table":
                todo = f"Write [{_key(loc, data)}]"
            found.append(problem(f"The key {last!r} is missing", where, todo))
        elif kind == "literal_error":
            allowed = re.findall(r"'([^']*)'", context["expected"])
            given = str(loc[-1] if at_key else _value_at(loc, data))
            close = nearest(given, allowed)
            advice = f"Did you mean {close!r}? " if close else ""
            found.append(
                problem(
                    f"{show(given)!r} is not allowed for {_key(loc, data)!r}",
                    where,
                    f"{advice}Allowed: {', '.join(allowed)}",
                )
            )
        elif kind == "refused":
            found.append(problem(context["what"], where, context["todo"]))
        else:
            said = entry["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            rule = tell_rule(annotation_at(model, loc)) or said
            found.append(_wrong_value(entry, loc, _value_at(loc, data), rule, where))
    return found, len(places)


def _wrong_value(
    entry: Mapping[str, Any], loc: tuple[int | str, ...], value: object, rule: str, where: str
) -> Finding:
    """Return what cannot be the value of a key, and what can."""
    given = f'"{show(value)}"' if isinstance(value, str) else show(value)
    if isinstance(value, bool):
        given = str(value).lower()
    key = next((show(part) for part in reversed(loc) if isinstance(part, str)), "it")
    verb = "hold" if loc and isinstance(loc[-1], int) else "be"
    context = entry.get("ctx", {})
    for limit, words in {"min_length": "at least", "max_length": "at most"}.items():
        if limit in context:
            rule = f"{words} {context[limit]:,} of them"
    if entry["type"] == "finite_number":
        rule = rule.replace("a number", "a finite number")
    return problem(f"{key!r} cannot {verb} {given}", where, f"Write {rule}")


def _place(parts: Sequence[int | str], data: object, *, absent: bool) -> tuple[int | str, ...]:
    """Return a place without the names of the types that were tried there."""
    kept: list[int | str] = []
    for part in parts:
        known = isinstance(data, dict) and part in data
        if known or (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            kept.append(part)
            data = _value_at([part], data)
    return (*kept, parts[-1]) if absent else tuple(kept)


def _key(loc: Iterable[int | str], data: object) -> str:
    """Name a place by the ids of the tables on the way, not by their positions."""
    parts: list[str] = []
    for part in loc:
        if isinstance(part, int) and isinstance(data, list) and part < len(data):
            data = data[part]
            names = [data.get("id"), data.get("name")] if isinstance(data, dict) else []
            named = [n for n in names if isinstance(n, str) and is_name(n)]
            parts.append(named[0] if named else f"{part + 1}")
        else:
            data = data.get(part) if isinstance(data, dict) else None
            parts.append(show(str(part)))
    return ".".join(parts)


def _value_at(loc: Iterable[int | str], data: object) -> object:
    for part in loc:
        try:
            data = data[part]  # type: ignore[index]
        except (TypeError, KeyError, IndexError):
            break
    return data
