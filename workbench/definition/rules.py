"""Rules: what a key of a declaration may hold, told in words."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_BOUNDS = {"ge": "from {:,}", "gt": "above {:,}", "le": "up to {:,}", "lt": "below {:,}"}


def tell_rule(annotation: object) -> str:
    """Return what a value must be, as in "a whole number from 1 to 65,535"; "" if that is unknown.

    Parameters
    ----------
    annotation
        A type, or a field of a model; its description, if it has one, is what is told.

    Examples
    --------
    >>> from pydantic import Field
    >>> tell_rule(Annotated[int, Field(ge=1, le=65_535)] | None)
    'a whole number from 1 to 65,535'
    >>> tell_rule(Annotated[float, Field(gt=0, le=3600)])
    'a number above 0 and up to 3,600'
    >>> tell_rule(list[str]), tell_rule(bool), tell_rule(Any)
    ('a list in square brackets', 'true or false', '')
    """
    plain, limits = _unwrap(annotation)
    origin = get_origin(plain)
    if "description" in limits:
        rule = str(limits["description"])
    elif origin in (Union, types.UnionType):
        told = [tell_rule(a) for a in get_args(plain) if a is not type(None)]
        rule = " or ".join(dict.fromkeys(filter(None, told)))
    elif plain in (int, float):
        rule = ("a whole number" if plain is int else "a number") + _range(limits)
    elif plain is str and "pattern" in limits:
        rule = f"a text in quotes that matches {limits['pattern']}"
    elif origin is Literal:
        rule = " or ".join(f'"{word}"' for word in get_args(plain) if word)
    elif origin is dict or (isinstance(plain, type) and issubclass(plain, BaseModel)):
        rule = "a table"
    else:
        words = {str: "a text in quotes", bool: "true or false", list: "a list in square brackets"}
        rule = next((told for kind, told in words.items() if kind in (plain, origin)), "")
    return rule


def _unwrap(annotation: object) -> tuple[object, dict[str, Any]]:
    """Return a type without its wrapping, and the limits that the wrapping sets."""
    limits: dict[str, Any] = {}
    while True:
        if isinstance(annotation, FieldInfo):
            found: list[object] = [annotation, *annotation.metadata]
            annotation = annotation.annotation
        elif get_origin(annotation) is Annotated:
            annotation, *found = get_args(annotation)
            found += [m for f in found if isinstance(f, FieldInfo) for m in f.metadata]
        else:
            return annotation, limits
        for item in found:
            for name in (*_BOUNDS, "pattern", "description"):
                if (value := getattr(item, name, None)) is not None:
                    limits[name] = value


def _range(limits: Mapping[str, Any]) -> str:
    """Return the range of a number, as in " from 1 to 10"."""
    if "ge" in limits and "le" in limits:
        return f" from {limits['ge']:,} to {limits['le']:,}"
    told = [words.format(limits[name]) for name, words in _BOUNDS.items() if name in limits]
    return " " + " and ".join(told) if told else ""


def keys_at(model: type[BaseModel], loc: Iterable[int | str]) -> list[str]:
    """Return the keys that a model knows at a place."""
    found = _models(annotation_at(model, loc))
    return sorted({name for m in found for name in m.model_fields})


def annotation_at(model: type[BaseModel], loc: Iterable[int | str]) -> object:
    """Return the type that a model wants at a place, or the field that stands there."""
    annotation: object = model
    for part in loc:
        annotation = _inner(annotation, part)
    return annotation


def _inner(annotation: object, part: int | str) -> object:
    for candidate in _models(annotation):
        if part in candidate.model_fields:
            return candidate.model_fields[str(part)]
    for plain in _plain(annotation):
        if get_origin(plain) in (list, dict, tuple):
            return get_args(plain)[-1]
    return None


def _models(annotation: object) -> list[type[BaseModel]]:
    return [p for p in _plain(annotation) if isinstance(p, type) and issubclass(p, BaseModel)]


def _plain(annotation: object) -> list[object]:
    """Return the members of a union, without the wrapping of fields and Annotated."""
    if isinstance(annotation, FieldInfo):
        return _plain(annotation.annotation)
    origin = get_origin(annotation)
    if origin is Annotated:
        return _plain(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [inner for arg in get_args(annotation) for inner in _plain(arg)]
    return [annotation]
