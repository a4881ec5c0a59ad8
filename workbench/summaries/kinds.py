"""Kinds: every kind of Summary there is; what is none of them is refused."""

from __future__ import annotations

import numpy as np

from workbench.errors import DefinitionError, show, suggest
from workbench.summaries.counts import COUNTS
from workbench.summaries.dimension import ALL
from workbench.summaries.field import Field, Kind
from workbench.summaries.histogram import HISTOGRAM
from workbench.summaries.moments import MOMENTS
from workbench.summaries.summary import HIDDEN, Summary

KINDS: dict[str, Kind] = {kind.name: kind for kind in (COUNTS, MOMENTS, HISTOGRAM)}


def kind_of(name: str) -> Kind:
    """Return the kind with this name.

    Raises
    ------
    DefinitionError
        If there is none.

    Examples
    --------
    >>> [f.name for f in kind_of("moments").released_fields]
    ['exams', 'patients', 'mean', 'sd']
    """
    if name not in KINDS:
        raise DefinitionError(
            f"There is no kind of Summary {show(name)!r}", todo=suggest(name, KINDS)
        )
    return KINDS[name]


def fields_of(summary: Summary) -> tuple[Field, ...]:
    """Return the fields that a Summary must have, exact or released."""
    kind = kind_of(summary.kind)
    return kind.fields if summary.exact else kind.released_fields


def validate(summary: Summary) -> None:
    """Raise if a Summary is not what its kind declares.

    Raises
    ------
    DefinitionError
        If fields, types or attributes are others, or the numbers cannot be counts of exams and
        patients.
    """
    kind = kind_of(summary.kind)
    where = f"summary {kind.name}"
    fields = fields_of(summary)
    types = {"int64": np.int64, "float64": np.float64, "object": np.object_}
    if [(f.name, np.dtype(types[f.dtype])) for f in fields] != [
        (name, summary.data[name].dtype) for name in summary.fields
    ]:
        raise DefinitionError(
            "The fields are not those of the kind",
            where=where,
            todo=f"Give {', '.join(f'{f.name} ({f.dtype})' for f in fields)}",
        )
    expected = {"population": str, **kind.attributes}
    if {k: type(v) for k, v in summary.attributes.items()} != expected:
        raise DefinitionError(
            "The attributes are not those of the kind",
            where=f"{where}: {', '.join(show(k) for k in summary.attributes)}",
            todo=f"Give {', '.join(f'{k} ({t.__name__})' for k, t in expected.items())}",
        )
    for key, value in summary.attributes.items():
        if isinstance(value, str) and not value.isprintable():
            raise DefinitionError(f"{key!r} cannot be printed", where=where, todo="Use plain text")
    kind.validate(summary)
    exams, patients = summary.data["exams"], summary.data["patients"]
    if (exams < 0).any() or (patients < 0).any():
        raise DefinitionError("A count is negative", where=where, todo="Count again")
    hidden = summary.statuses.isin(HIDDEN)
    if ((patients > exams) & ~hidden["exams"] & ~hidden["patients"]).any():
        raise DefinitionError("There are more patients than exams", where=where, todo="Count again")
    if summary.exact:
        if ((patients == 0) & (exams > 0)).any():
            raise DefinitionError(
                "There are exams without patients", where=where, todo="Count again"
            )
        for name in summary.margins:
            _require_margin(summary, name)


def _require_margin(summary: Summary, name: str) -> None:
    dimension = next(d for d in summary.dimensions if d.name == name)
    for field, adds in (
        ("exams", dimension.one_per != "none"),
        ("patients", dimension.one_per == "patient"),
    ):
        margin = summary.data[field].sel({name: ALL})
        parts = summary.data[field].sel({name: list(dimension.labels)})
        least = parts.sum(name) if adds else parts.max(name)
        if (margin < least).any() or (margin > parts.sum(name)).any():
            raise DefinitionError(
                f"The margin of {field} over {name!r} does not fit its cells",
                where=f"summary {summary.kind}",
                todo="Count again; margins are counted, not typed",
            )
