"""Errors a person can act on: what was not done, where, and what to do."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable

REFUSALS = 9
"""Exit code of a command that finished, but refused part of its input."""


class WorkbenchError(Exception):
    """Say in three short lines what was not done, where, and what to do.

    Parameters
    ----------
    what
        What was not done, as one sentence without a full stop.
    where
        File, key, table or cell that caused it.
    todo
        What the reader can do about it.

    Examples
    --------
    >>> print(DefinitionError("Unknown key 'titel'", where="study.toml", todo="Write 'title'"))
    Unknown key 'titel'
      where: study.toml
      do:    Write 'title'
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.todo = todo

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.todo:
            lines.append(f"  do:    {self.todo}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.where, self.todo)


def _rebuild(cls: type[WorkbenchError], what: str, where: str, todo: str) -> WorkbenchError:
    return cls(what, where=where, todo=todo)


class UsageError(WorkbenchError):
    """A command was called with words it does not know."""

    exit_code = 2


class DefinitionError(WorkbenchError):
    """A study, codelist or notebook is not what it must be."""

    exit_code = 10


class SiteError(WorkbenchError):
    """A site declaration, archive or table cannot be used."""

    exit_code = 11


class ImageError(WorkbenchError):
    """A DICOM file, series or volume cannot be used."""

    exit_code = 11


class PipelineError(WorkbenchError):
    """A bundle is not what it must be, or a pipeline cannot be applied."""

    exit_code = 11


class ExecutionError(WorkbenchError):
    """A step did not end well, or a run could not start."""

    exit_code = 12


class UndefinedError(WorkbenchError):
    """A statistic has no value for what was given, as the area under a curve of one class."""

    exit_code = 12


class DisclosureError(WorkbenchError):
    """An aggregate may not leave the institution."""

    exit_code = 13


class ReleaseError(WorkbenchError):
    """A release cannot be packed, opened or verified."""

    exit_code = 14


class PoolingError(WorkbenchError):
    """Releases cannot be combined."""

    exit_code = 15


class NotReproducedError(WorkbenchError):
    """A published number did not come out again."""

    exit_code = 16


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is closest to `name`, or None.

    Examples
    --------
    >>> nearest("modalty", ["modality", "sex"])
    'modality'
    >>> nearest("weather", ["modality", "sex"]) is None
    True
    """
    by_fold = {candidate.casefold(): candidate for candidate in known}
    folded = unicodedata.normalize("NFKC", name[:200]).casefold()
    found = difflib.get_close_matches(folded, by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None


def suggest(name: str, known: Iterable[str]) -> str:
    """Return advice for an unknown name: the nearest good one and all that are allowed.

    Examples
    --------
    >>> suggest("modalty", ["modality", "sex"])
    "Did you mean 'modality'? Known: modality, sex"
    """
    names = sorted(known)
    listed = ", ".join(show(n) for n in names[:12]) + (", …" if len(names) > 12 else "")
    close = nearest(name, names)
    advice = f"Did you mean {close!r}? " if close else ""
    return f"{advice}Known: {listed or 'none'}"


def show(value: object, limit: int = 60) -> str:
    r"""Return a value as short, printable text, safe for a terminal and a log.

    Examples
    --------
    >>> show("a\x1b[31mb")
    'a\\x1b[31mb'
    >>> show("x" * 100, limit=5)
    'xxxxx…'
    """
    text = value if isinstance(value, str) else repr(value)[: limit * 4]
    safe = "".join(map(_visible, text[: limit + 1]))
    return safe if len(safe) <= limit else safe[:limit] + "…"


def _visible(character: str) -> str:
    if character.isprintable() and unicodedata.category(character) != "Cf":
        return character
    return character.encode("unicode_escape").decode()
