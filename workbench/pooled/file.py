"""The files of pooled tables: written the same for the same releases, and read strictly."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import itertools
import math
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from workbench.definition.declaration import Declared, Line, Name, Texts
from workbench.errors import DefinitionError, PoolingError, show
from workbench.exchange.envelope import LIMIT, RefusedError, canonical, parse_canonical
from workbench.exchange.manifest import Digest, PolicyMark, StudyMark
from workbench.pooled.table import (
    HOW,
    NUMBERS,
    QUANTITY,
    Heterogeneity,
    Pooled,
    PooledTable,
    Used,
    blank,
)
from workbench.running.disk import writing
from workbench.running.publication import write_whole
from workbench.summaries.dimension import Dimension

POOLED = "pooled.json"
HETEROGENEITY = "heterogeneity.csv"
_LARGEST = 50_000_000
_COLUMNS = (QUANTITY, *NUMBERS, "how", "n_sites", "n_suppressed")


class _Axis(Declared):
    name: Name
    labels: Annotated[list[Line], Field(min_length=1, max_length=100_000)]
    margin: bool
    one_per: Literal["patient", "exam", "none"]
    zeros: Literal["public", "protected"]
    unit: str
    labels_from: Literal["codelist", "intervals", "calendar"]


class _Table(Declared):
    kind: Name
    unit: str
    dimensions: list[_Axis]
    quantities: list[Name]
    not_answered: dict[Name, Texts]
    sha256: Digest


class _File(Declared):
    format: Literal["workbench-pooled/1"] = "workbench-pooled/1"
    study: StudyMark
    policy: PolicyMark
    keys: Literal["real", "demo"]
    releases: list[Used]
    tables: dict[Name, _Table]
    heterogeneity: Digest


def write_pooled(pooled: Pooled, folder: Path) -> None:
    """Write pooled tables as `<table>.csv`, `heterogeneity.csv` and `pooled.json`.

    The same releases give the same bytes. Tables of an earlier pooling are removed.

    Parameters
    ----------
    pooled
        What `pool` returned.
    folder
        Made if it is not there.

    Raises
    ------
    ExecutionError
        If a file cannot be written.
    """
    contents = {f"{name}.csv": _render(table) for name, table in pooled.tables.items()}
    contents[HETEROGENEITY] = _render_heterogeneity(pooled.heterogeneity)
    sha256 = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    described = _File(
        study=pooled.study,
        policy=pooled.policy,
        keys=pooled.keys,
        releases=list(pooled.releases),
        tables={
            name: _describe(table, sha256[f"{name}.csv"]) for name, table in pooled.tables.items()
        },
        heterogeneity=sha256[HETEROGENEITY],
    )
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            write_whole(folder / name, content)
        write_whole(folder / POOLED, canonical(described.model_dump(mode="json")))
        for path in folder.glob("*.csv"):
            if path.name not in contents:
                path.unlink()


def read_pooled(folder: Path) -> Pooled:
    """Read pooled tables, strictly.

    Parameters
    ----------
    folder
        What `write_pooled` wrote.

    Raises
    ------
    PoolingError
        If a file is missing, changed, or anything else than what `write_pooled` writes.
    """
    described = _read_description(folder)
    tables = {}
    for name, about in described.tables.items():
        content = _read_bytes(folder / f"{name}.csv", about.sha256)
        tables[name] = _parse(name, about, content)
        if _render(tables[name]) != content:
            raise _unreadable(f"{name}.csv")
    content = _read_bytes(folder / HETEROGENEITY, described.heterogeneity)
    found = _parse_heterogeneity(content)
    if _render_heterogeneity(found) != content:
        raise _unreadable(HETEROGENEITY)
    return Pooled(
        described.study,
        described.policy,
        described.keys,
        tuple(described.releases),
        tables,
        found,
    )


def _read_description(folder: Path) -> _File:
    content = _read_bytes(folder / POOLED, None)
    try:
        parse_canonical(content, POOLED)
        return _File.model_validate_json(content)
    except (RefusedError, ValidationError) as error:
        raise _unreadable(POOLED) from error


def _read_bytes(path: Path, sha256: str | None) -> bytes:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise OSError(errno.EINVAL, "not a plain file")
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise PoolingError(
            "A pooled table cannot be opened",
            where=f"{path.name}: {error.strerror}",
            todo="Pool again",
        ) from error
    if len(content) > (LIMIT if sha256 is None else _LARGEST):
        raise _unreadable(path.name)
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise PoolingError(
            "A pooled table was changed after pooling", where=path.name, todo="Pool again"
        )
    return content


def _unreadable(where: str) -> PoolingError:
    return PoolingError("The file is not what pooling writes", where=where, todo="Pool again")


def _describe(table: PooledTable, sha256: str) -> _Table:
    return _Table(
        kind=table.kind,
        unit=table.unit,
        dimensions=[
            _Axis(
                **{**asdict(d), "labels": list(d.labels)},
                margin=table.data.sizes[d.name] > len(d.labels),
            )
            for d in table.dimensions
        ],
        quantities=[str(q) for q in table.data[QUANTITY].values],
        not_answered={site: dict(reason) for site, reason in table.not_answered.items()},
        sha256=sha256,
    )


def _render(table: PooledTable) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(d.name for d in table.dimensions), *_COLUMNS])
    axes = [table.data[name].values.tolist() for name in _axes(table.dimensions)]
    columns = [table.data[name].values.ravel().tolist() for name in _COLUMNS[1:]]
    for cell, *row in zip(itertools.product(*axes), *columns, strict=True):
        *numbers, how, sites, suppressed = row
        if how:
            writer.writerow([*cell, *map(_number, numbers), how, sites, suppressed])
    return text.getvalue().encode()


def _axes(dimensions: tuple[Dimension, ...]) -> tuple[str, ...]:
    return (*(d.name for d in dimensions), QUANTITY)


def _number(value: float) -> str:
    return "" if math.isnan(value) else repr(float(value))


def _parse(name: str, about: _Table, content: bytes) -> PooledTable:
    where = f"{name}.csv"
    try:
        dimensions = tuple(
            Dimension(**{**axis.model_dump(exclude={"margin"}), "labels": tuple(axis.labels)})
            for axis in about.dimensions
        )
        labels = [
            list(d.margin_labels if axis.margin else d.labels)
            for d, axis in zip(dimensions, about.dimensions, strict=True)
        ]
        data = blank(_axes(dimensions), [*labels, list(about.quantities)])
        rows = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
        if next(rows, None) != [*(d.name for d in dimensions), *_COLUMNS]:
            raise _unreadable(where)
        places = [{label: i for i, label in enumerate(axis)} for axis in labels]
        places.append({quantity: i for i, quantity in enumerate(about.quantities)})
        for row in rows:
            *cell, value, low, high, how, sites, suppressed = row
            at = tuple(place[label] for place, label in zip(places, cell, strict=True))
            if how not in HOW:
                raise _unreadable(where)
            for number, found in zip(NUMBERS, (value, low, high), strict=True):
                data[number].values[at] = float(found) if found else math.nan
            data["how"].values[at] = how
            data["n_sites"].values[at] = int(sites)
            data["n_suppressed"].values[at] = int(suppressed)
    except (ValueError, KeyError, csv.Error, DefinitionError) as error:
        raise PoolingError(
            "A pooled table cannot be read",
            where=f"{where}: {show(str(error), 100)}",
            todo="Pool again",
        ) from error
    return PooledTable(name, about.kind, about.unit, dimensions, data, about.not_answered)


def _render_heterogeneity(rows: tuple[Heterogeneity, ...]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Heterogeneity)])
    for row in rows:
        writer.writerow([repr(v) if isinstance(v, float) else v for v in asdict(row).values()])
    return text.getvalue().encode()


def _parse_heterogeneity(content: bytes) -> tuple[Heterogeneity, ...]:
    kinds = {"str": str, "int": int, "float": float}
    try:
        header, *rows = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
        if header != [field.name for field in fields(Heterogeneity)]:
            raise _unreadable(HETEROGENEITY)
        return tuple(
            Heterogeneity(
                **{
                    f.name: kinds[str(f.type)](text)
                    for f, text in zip(fields(Heterogeneity), row, strict=True)
                }
            )
            for row in rows
        )
    except (ValueError, csv.Error) as error:
        raise _unreadable(HETEROGENEITY) from error
