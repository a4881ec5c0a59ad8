"""Table check: what each table of a site's `[tables]` holds, before a study reads it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from workbench.archive.table_file import open_table_file, refuse_ragged, refusing
from workbench.radiology.opening_hours import Calendar, read_register
from workbench.radiology.protocols import NAMES
from workbench.radiology.reports import STAGES, describe_reports, measure_turnaround
from workbench.radiology.site_tables import REGISTER, REPORTS, naming, open_known, open_table

if TYPE_CHECKING:
    from workbench.site import Site

SCHEMAS = {"devices": REGISTER, "protocols": NAMES, "reports": REPORTS}
"""Key of `[tables]` -> the columns that are understood."""
READ_WHOLE = 64_000_000
"""Bytes of all tables of a site up to which they are read whole before a run."""


@dataclass(frozen=True)
class TableContents:
    """Hold what a table of a site's holds, and none of its values.

    Parameters
    ----------
    rows
        Number of rows.
    understood
        Columns of ours that hold a value.
    missing
        Columns of ours that are not there, or hold none.
    ignored
        Number of further columns. Their names are not told: where the line of names is missing,
        they are values.
    """

    rows: int
    understood: tuple[str, ...]
    missing: tuple[str, ...]
    ignored: int


def read_contents(site: Site, name: str) -> TableContents:
    """Read a table of `[tables]` whole, and tell what it holds.

    Parameters
    ----------
    site
        The site.
    name
        Key of `[tables]`; of one that is not in `SCHEMAS` no column is understood.

    Raises
    ------
    SiteError
        If a study could not read it. The first line of the error holds no value of the table.
    """
    wanted = SCHEMAS.get(name, pl.Schema())
    raw = open_table(site, name)
    path = site.tables[name]
    with naming(name), refusing(path):
        table = open_known(site, name, wanted) if wanted else raw
        if separator := open_table_file(path)[1]:
            refuse_ragged(path, separator)
        held = list(raw.collect_schema())
        # All is read, so that a damaged part is met.
        counted = table.select(pl.len().alias(""), pl.all().count())
        stated = counted.collect(engine="streaming").row(0, named=True)
        if check := _CHECKS.get(name):
            check(table)
    rows = stated.pop("")
    understood = tuple(column for column in wanted if stated.get(column))
    missing = tuple(column for column in wanted if column not in understood)
    return TableContents(rows, understood, missing, sum(column not in wanted for column in held))


def validate_tables(site: Site) -> None:
    """Refuse a site whose tables a study could not read, before its first step runs.

    Tables of no more than `READ_WHOLE` bytes together are read whole; of larger ones only that
    their columns can be what their names say. Tables that are not in `SCHEMAS` are left alone.

    Parameters
    ----------
    site
        The site.

    Raises
    ------
    SiteError
        With what `read_contents` says of the first that cannot be read.
    """
    known = {name: path for name, path in site.tables.items() if name in SCHEMAS}
    small = sum(path.stat().st_size for path in known.values() if path.is_file()) <= READ_WHOLE
    for name in known:
        if small:
            read_contents(site, name)
        else:
            open_known(site, name, SCHEMAS[name])


def _check_devices(register: pl.LazyFrame) -> None:
    """Refuse a register of which no use can be measured."""
    Calendar.make(read_register(register, "station", None), 0, 0, None)


def _check_reports(reports: pl.LazyFrame) -> None:
    """Refuse reports without the times between which their turnaround lies, or an element's."""
    for stage in STAGES:
        measure_turnaround(reports.head(0), stage, dt.datetime(1970, 1, 1))  # noqa: DTZ001
    describe_reports(reports)


_CHECKS: dict[str, Callable[[pl.LazyFrame], None]] = {
    "devices": _check_devices,
    "reports": _check_reports,
}
