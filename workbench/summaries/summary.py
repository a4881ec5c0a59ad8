"""Summary: a labelled aggregate with an associative, commutative `combine`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from workbench.errors import DefinitionError, PoolingError, show
from workbench.summaries.dimension import ALL, MISSING, OTHER, Dimension

if TYPE_CHECKING:
    import pandas as pd

STATUSES = ("ok", "rounded", "suppressed", "not_applicable")
"""What can be said of a released value."""
HIDDEN = ("suppressed", "not_applicable")
"""Statuses of a cell that holds no value."""
LARGEST_TABLE = 5_000_000
"""Most cells of one field that a Summary may have."""

_WORD = "U14"  # long enough for every status


@dataclass(frozen=True, eq=False, repr=False)
class Summary:
    """Hold one labelled aggregate: exact as it was counted, or as it was released.

    Parameters
    ----------
    kind
        Name of the kind, one of `workbench.summaries.kinds.KINDS`.
    data
        One variable per field over the dimensions in order; coordinates are the labels, the
        margin `all` first where it is held.
    dimensions
        The dimensions, in the order of the axes.
    attributes
        `population` (Summaries of one population at a site count the same exams) and what the
        kind declares.
    status
        None if exact; otherwise the status of every value, as "ok", "rounded", "suppressed" or
        "not_applicable". A value that is suppressed or not applicable is erased from `data`.

    Raises
    ------
    DefinitionError
        If data, dimensions and status do not fit each other.

    Examples
    --------
    >>> sex = Dimension("sex", ("F", "M"))
    >>> data = labelled((sex,), {"exams": np.array([3, 1, 2])}, margins=("sex",))
    >>> Summary("counts", data, (sex,), {"population": "exams"})
    <Summary counts of exams: sex (2 labels and all); exams; exact>
    """

    kind: str
    data: xr.Dataset
    dimensions: tuple[Dimension, ...]
    attributes: dict[str, Any]
    status: xr.Dataset | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "dimensions", tuple(self.dimensions))
        object.__setattr__(self, "attributes", dict(self.attributes))
        where = f"summary {show(self.kind)}"
        names = tuple(d.name for d in self.dimensions)
        for dimension in self.dimensions:
            held = (
                tuple(self.data.coords[dimension.name].values.tolist())
                if dimension.name in self.data.coords
                else ()
            )
            if held not in (dimension.labels, dimension.margin_labels):
                raise DefinitionError(
                    f"The labels of {dimension.name!r} are not those of its dimension",
                    where=where,
                    todo="Label the data with the dimension's labels, in order, `all` first",
                )
        for name, variable in self.data.data_vars.items():
            if variable.dims != names:
                raise DefinitionError(
                    f"{show(name)!r} does not lie along ({', '.join(names)})",
                    where=where,
                    todo="Give every field all dimensions, in order",
                )
        if self.status is not None:
            status, data = _erase_hidden(self.data, self.status, where)
            object.__setattr__(self, "status", status)
            object.__setattr__(self, "data", data)

    @property
    def exact(self) -> bool:
        """True if nothing was rounded or suppressed."""
        return self.status is None

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the variables, in order."""
        return tuple(str(name) for name in self.data.data_vars)

    @property
    def population(self) -> str:
        """Name of the set of exams that was counted."""
        return str(self.attributes["population"])

    @property
    def margins(self) -> tuple[str, ...]:
        """Names of the dimensions along which the margin `all` is held."""
        return tuple(d.name for d in self.dimensions if self.labels(d.name)[0] == ALL)

    @property
    def statuses(self) -> xr.Dataset:
        """Status of every value; "ok" everywhere if exact."""
        if self.status is not None:
            return self.status
        return self.data.map(lambda v: xr.full_like(v, "ok", dtype=_WORD))

    def labels(self, name: str) -> tuple[str, ...]:
        """Return the labels held along the dimension `name`, with `all` if it is."""
        return tuple(self.data.coords[name].values.tolist())

    def equals(self, other: Summary) -> bool:
        """Return True if both are the same in every label, attribute and bit."""
        return (
            self.kind == other.kind
            and self.dimensions == other.dimensions
            and self.attributes == other.attributes
            and self.exact == other.exact
            and self.fields == other.fields
            and self.margins == other.margins
            and all(_same(self.data[n], other.data[n]) for n in self.fields)
            and all(_same(self.statuses[n], other.statuses[n]) for n in self.fields)
        )

    def to_frame(self) -> pd.DataFrame:
        """Return a long table: one row per cell and field, with value and status.

        A hidden value is missing. Values are Int64, or Float64 if a field is, or Python integers
        where these can be of any size.
        """
        from workbench.summaries.presentation import frame

        return frame(self)

    def __repr__(self) -> str:
        from workbench.summaries.presentation import line

        return line(self)

    def _repr_html_(self) -> str:
        from workbench.summaries.presentation import card

        return card(self).html()


def labelled(
    dimensions: Sequence[Dimension],
    arrays: Mapping[str, np.ndarray],
    *,
    margins: Sequence[str] = (),
) -> xr.Dataset:
    """Return arrays as a Dataset over `dimensions`.

    Parameters
    ----------
    dimensions
        The dimensions, in the order of the axes.
    arrays
        Variable name to array; flat or already shaped.
    margins
        Names of the dimensions whose first position is the margin `all`.

    Examples
    --------
    >>> labelled((Dimension("sex", ("F", "M")),), {"exams": np.array([1, 2])}).exams.values
    array([1, 2])
    """
    names = [d.name for d in dimensions]
    if len({*names, *arrays}) < len(names) + len(arrays):
        raise DefinitionError(
            "One name stands for two things",
            where=f"dimensions {', '.join(names)}; fields {', '.join(arrays)}",
            todo="Rename a dimension",
        )
    coords = {d.name: list(d.margin_labels if d.name in margins else d.labels) for d in dimensions}
    shape = tuple(len(labels) for labels in coords.values())
    return xr.Dataset(
        {name: (tuple(coords), array.reshape(shape)) for name, array in arrays.items()},
        coords={name: np.array(labels, dtype=object) for name, labels in coords.items()},
    )


def empty(like: Summary) -> Summary:
    """Return the neutral element for `like`: the same labels, and nothing counted.

    Examples
    --------
    >>> sex = Dimension("sex", ("F", "M"))
    >>> some = Summary("counts", labelled((sex,), {"exams": np.array([1, 2])}), (sex,),
    ...                {"population": "exams"})
    >>> combine(some, empty(some)).equals(some)
    True
    """
    _require_exact(like)
    # An object array of zeros holds Python integers, as exact sums must.
    zeros = like.data.map(lambda v: v.copy(data=np.zeros(v.shape, v.dtype)))
    return replace(like, data=zeros)


def combine(*summaries: Summary) -> Summary:
    """Return the Summary of all rows that were counted in any of `summaries`.

    Associative and commutative, with `empty` as the neutral element. Patients are added, so no
    patient may be counted in two of them (or is then counted once in each).

    Labels of a codelist become the union: in their order if all are alike, otherwise sorted, with
    `other` and `missing` last. That rule is associative, because only identical tuples keep an
    order that is not the sorted one.

    Parameters
    ----------
    summaries
        One or more exact Summaries of one kind, population, unit, resolution and edges.

    Raises
    ------
    PoolingError
        If one is a released view, or they do not count the same thing.

    Examples
    --------
    >>> a, b = Dimension("modality", ("CT", "MR")), Dimension("modality", ("CR", "CT"))
    >>> about = {"population": "exams"}
    >>> one = Summary("counts", labelled((a,), {"exams": np.array([1, 2])}), (a,), about)
    >>> two = Summary("counts", labelled((b,), {"exams": np.array([4, 8])}), (b,), about)
    >>> both = combine(one, two)
    >>> both.labels("modality"), both.data.exams.values
    (('CR', 'CT', 'MR'), array([4, 9, 2]))
    """
    if not summaries:
        raise PoolingError("There is nothing to combine", todo="Give at least one Summary")
    first = summaries[0]
    for summary in summaries:
        _require_exact(summary)
        _require_alike(first, summary)
    dimensions = tuple(
        replace(alike[0], labels=_union([d.labels for d in alike]))
        for alike in zip(*(s.dimensions for s in summaries), strict=True)
    )
    held = {d.name: d.margin_labels if d.name in first.margins else d.labels for d in dimensions}
    shape = tuple(len(labels) for labels in held.values())
    if math.prod(shape) > LARGEST_TABLE:
        raise PoolingError("The combined table is too large", todo="Use fewer dimensions or labels")
    position = {n: {label: i for i, label in enumerate(labels)} for n, labels in held.items()}
    where = [np.ix_(*([position[n][x] for x in s.labels(n)] for n in held)) for s in summaries]
    arrays = {}
    for name in first.fields:
        parts = [s.data[name].values for s in summaries]
        _require_room(name, parts)
        arrays[name] = np.zeros(shape, parts[0].dtype)
        for place, part in zip(where, parts, strict=True):
            arrays[name][place] += part
    return replace(
        first,
        data=labelled(dimensions, arrays, margins=first.margins),
        dimensions=dimensions,
    )


def _union(tuples: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    if len(set(tuples)) == 1:
        return tuples[0]
    last = {OTHER: 1, MISSING: 2}
    return tuple(sorted(set().union(*tuples), key=lambda label: (last.get(label, 0), label)))


def _require_exact(summary: Summary) -> None:
    if not summary.exact:
        raise PoolingError(
            "A released view cannot be combined: it is rounded or has suppressed cells",
            where=f"summary {show(summary.kind)}",
            todo="Combine exact Summaries, or pool releases",
        )


def _require_alike(a: Summary, b: Summary) -> None:
    def refuse(what: str, left: object, right: object) -> None:
        raise PoolingError(
            f"Summaries of different {what} cannot be combined",
            where=f"summary {show(a.kind)}: {show(left)} and {show(right)}",
            todo="Combine what one study declared for one table",
        )

    if a.kind != b.kind:
        refuse("kind", a.kind, b.kind)
    for key in sorted({*a.attributes, *b.attributes}):
        if a.attributes.get(key) != b.attributes.get(key):
            refuse(key, a.attributes.get(key), b.attributes.get(key))
    names = [d.name for d in a.dimensions], [d.name for d in b.dimensions]
    if names[0] != names[1]:
        refuse("dimensions", *names)
    for left, right in zip(a.dimensions, b.dimensions, strict=True):
        union = left.labels_from == "codelist"
        if (replace(left, labels=right.labels) if union else left) != right:
            refuse(f"dimension {left.name!r}", left, right)
    if (a.margins, a.fields) != (b.margins, b.fields):
        refuse("margins or fields", (a.margins, a.fields), (b.margins, b.fields))


def _require_room(name: str, parts: Sequence[np.ndarray]) -> None:
    if parts[0].dtype == object:
        return
    bound = sum(int(part.max(initial=0)) for part in parts)
    if bound > np.iinfo(np.int64).max:
        raise PoolingError(f"The sum of {name!r} does not fit 64 bits", todo="Check the counts")


def _erase_hidden(
    data: xr.Dataset, status: xr.Dataset, where: str
) -> tuple[xr.Dataset, xr.Dataset]:
    if tuple(status.data_vars) != tuple(data.data_vars):
        raise DefinitionError(
            "Data and status have different fields", where=where, todo="Give both the same"
        )
    erased = {}
    for name, variable in data.data_vars.items():
        words = status[name]
        if words.dims != variable.dims or words.shape != variable.shape:
            raise DefinitionError(
                f"The status of {show(name)!r} has another shape",
                where=where,
                todo="Give every value one status",
            )
        said = words.values.astype(str)
        if not np.isin(said, STATUSES).all():
            raise DefinitionError(
                f"The status of {show(name)!r} is not known",
                where=where,
                todo=f"Use {', '.join(STATUSES)}",
            )
        hidden = np.isin(said, HIDDEN)
        erased[name] = variable.copy()
        erased[name].values[hidden] = math.nan if variable.dtype.kind == "f" else 0
    return status.astype(_WORD), data.assign(erased)


def _same(a: xr.DataArray, b: xr.DataArray) -> bool:
    if a.dtype.kind != b.dtype.kind or a.shape != b.shape:
        return False
    if a.dtype.kind == "f":
        return bool(np.array_equal(a.values.view(np.int64), b.values.view(np.int64)))
    return bool(np.array_equal(a.values, b.values))
