"""Site tables: tables of a site's with known columns, each read as what its name says.

Beside its archive a site may declare the register of its devices and its reports: what DICOM does
not hold. Where it declares none, an empty table stands for it: a study runs there too, and what
needs the table is not answerable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from workbench.archive.sample import keep_sample
from workbench.archive.table_file import locate_table, name_of, open_table_file, refusing
from workbench.errors import SiteError, show, suggest
from workbench.radiology.opening_hours import HOURS
from workbench.unreadable import HEADER, TYPES, WRITE, UnreadableError, read_told

if TYPE_CHECKING:
    from workbench.site import Site

_TEXT, _NUMBER, _TIME = pl.String(), pl.Float64(), pl.Datetime("us")
_DATE, _TRUTH, _MINUTES = pl.Date(), pl.Boolean(), pl.Int64()
REGISTER = pl.Schema(
    {
        **dict.fromkeys(("station", "device_serial", "facility", "modality"), _TEXT),
        **dict.fromkeys(("manufacturer", "model", "software", "time_zone"), _TEXT),
        **dict.fromkeys(("installed_date", "retired_date"), _DATE),
        "digital": _TRUTH,
        **dict.fromkeys(HOURS, _MINUTES),
    }
)
"""Columns of the register, one row a device; those of the opening hours are minutes."""
REPORTS = pl.Schema(
    {
        **dict.fromkeys(("exam_uid", "patient_id", "modality", "facility", "station"), _TEXT),
        **dict.fromkeys(("protocol", "reader_group"), _TEXT),
        **dict.fromkeys(("ordered_time", "arrival_time", "acquired_time"), _TIME),
        **dict.fromkeys(("preliminary_time", "final_time"), _TIME),
        "promised_hours": _NUMBER,
        **dict.fromkeys(("body_part_code", "procedure_code", "finding_code"), _TEXT),
        "rads_category": _TEXT,
        "measurement_value": _NUMBER,
        "measurement_unit": _TEXT,
    }
)
"""Columns of the reports, one row an exam; times are the wall clock of the information system."""
_NAMES = ("modality", "facility", "manufacturer", "model", "software", "protocol", "reader_group")
_STAND_IN = {*_NAMES, "station", "device_serial", "installed_date", "retired_date", "digital"}
"""Columns that are empty where a table lacks them; the absence of any other says something."""
NEEDED = {"reports": ("exam_uid", "patient_id"), "protocols": ("name", "protocol")}
"""Key of `[tables]` -> columns without which its table says nothing."""
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_MOMENT = rf"^{_DAY}(?:[T ][0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:\.[0-9]+)?)?)?$"
"""A date, or a date and a time, of ISO 8601; what a zone follows is no wall clock."""


def open_register(site: Site | Path | str) -> pl.LazyFrame:
    """Open the register of a site's devices, `[tables] devices`.

    Parameters
    ----------
    site
        A Site, or the path of a `site.toml`.

    Returns
    -------
    polars.LazyFrame
        Columns of `REGISTER` that are there; no rows where the site declares no register.

    Raises
    ------
    SiteError
        If a column cannot be what its name says.
    """
    return open_known(site, "devices", REGISTER)


def open_reports(site: Site | Path | str) -> pl.LazyFrame:
    """Open the reports of a site, `[tables] reports`.

    Parameters
    ----------
    site
        A Site, or the path of a `site.toml`.

    Returns
    -------
    polars.LazyFrame
        Columns of `REPORTS` that are there, never a text of a report; no rows where the site
        declares no reports. The environment variable WORKBENCH_SAMPLE, if set, limits them to the
        patients of `open_archive`.

    Raises
    ------
    SiteError
        If exam or patient is missing as a column, or one cannot be what its name says.
    """
    return keep_sample(open_known(site, "reports", REPORTS), site)


def open_table(site: Site | Path | str, name: str) -> pl.LazyFrame:
    """Open a table that a site declares beside its archive, as it is stored.

    Parameters
    ----------
    site
        A Site, or the path of a `site.toml`.
    name
        Key of `[tables]`.

    Raises
    ------
    SiteError
        If the site declares none of this name, or it cannot be read.
    """
    path = _locate(_read_site(site), name)
    with naming(name):
        return open_table_file(path)[0]


def read_columns(
    raw: pl.LazyFrame, wanted: pl.Schema, path: Path, named: Mapping[str, str] | None = None
) -> pl.LazyFrame:
    """Return the columns of a table that are wanted, each as what its name says.

    Parameters
    ----------
    raw
        The table as it is stored.
    wanted
        Name and type of each column: text, number, time, date or truth.
    path
        Where it is stored, for what is refused.
    named
        How the table names a column, where that is not our name.

    Returns
    -------
    polars.LazyFrame
        Only those that are there.

    Raises
    ------
    SiteError
        If a column is of another type, or a text is no number, time or date.
    """
    with refusing(path):
        schema = raw.collect_schema()
    sources = {ours: (named or {}).get(ours, ours) for ours in wanted}
    read = {
        ours: _read(ours, theirs, schema[theirs], wanted[ours])
        for ours, theirs in sources.items()
        if theirs in schema
    }
    texts = [ours for ours in read if wanted[ours] != _TEXT and schema[sources[ours]] == _TEXT]
    _require_readable(raw, {n: (sources[n], read[n]) for n in texts}, path)
    return raw.select(**read)


def open_known(site: Site | Path | str, name: str, wanted: pl.Schema) -> pl.LazyFrame:
    """Open a table of a site's of which the columns are known.

    Parameters
    ----------
    site
        A Site, or the path of a `site.toml`.
    name
        Key of `[tables]`.
    wanted
        Name and type of each column.

    Returns
    -------
    polars.LazyFrame
        Columns that are there, and empty ones for names that are not; no rows where the site
        declares no such table.

    Raises
    ------
    SiteError
        If no column is known, one is missing without which the table says nothing, or one cannot
        be what its name says; the table is named.
    """
    site = _read_site(site)
    if name not in site.tables:
        return pl.LazyFrame(schema=wanted)
    path = _locate(site, name)
    with naming(name):
        table = read_columns(open_table_file(path)[0], wanted, path)
        held = table.collect_schema()
        if not held:
            raise SiteError(
                "The first line does not look like column names: "
                f"0 of {len(wanted)} needed columns found",
                where=name_of(path),
                todo=HEADER,
            )
        for column in NEEDED.get(name, ()):
            if column not in held:
                raise SiteError(
                    f"The table has no column {column!r}",
                    where=name_of(path),
                    todo=f"It needs {' and '.join(NEEDED[name])}",
                )
    lacking = [name for name in wanted if name in _STAND_IN and name not in held]
    return table.with_columns(pl.lit(None, wanted[name]).alias(name) for name in lacking)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Say of which table of `[tables]` an error is: a site has several.

    Parameters
    ----------
    name
        Key of `[tables]`.

    Raises
    ------
    SiteError
        What is raised within, by the name of the table.
    """
    try:
        yield
    except UnreadableError as error:
        raise error.of_table(name) from None
    except SiteError as error:
        if error.what.startswith("[tables] "):
            raise
        # A run tells what it may of a notebook's error: the same is to be done in both places.
        todo = read_told(error.what)[1] or error.todo
        raise SiteError(f"[tables] {name}: {error.what}", where=error.where, todo=todo) from None


def _read_site(site: Site | Path | str) -> Site:
    from workbench.site import read_site

    return read_site(Path(site)) if isinstance(site, (str, Path)) else site


def _locate(site: Site, name: str) -> Path:
    if name not in site.tables:
        raise SiteError(
            f"The site has no table {show(name)!r}",
            where=f"{site.id}, [tables]",
            todo=suggest(name, site.tables) if site.tables else f"Write {name} = 'file.parquet'",
        )
    with naming(name):
        return locate_table(str(site.tables[name].absolute()), Path(site.folder), f"tables.{name}")


def _read(ours: str, theirs: str, stored: pl.DataType, kind: pl.DataType) -> pl.Expr:
    column = pl.col(theirs)
    kept: dict[pl.DataType, bool] = {
        _TEXT: isinstance(stored, (pl.Categorical, pl.Enum)),  # few values
        _NUMBER: stored.is_numeric(),
        _MINUTES: stored.is_integer(),
    }
    cast = {
        _TEXT: stored.is_integer(),
        _TIME: isinstance(stored, pl.Datetime) and stored.time_zone is None,
    }
    parsed = {
        _TIME: _read_time(column),
        _DATE: _read_date(column),
        _TRUTH: column.str.to_lowercase().replace_strict(
            ["true", "1", "false", "0"], [True, True, False, False], default=None
        ),
        _NUMBER: column.cast(_NUMBER, strict=False),
        _MINUTES: column.cast(_MINUTES, strict=False),
    }
    if stored in (pl.Null, kind) or cast.get(kind):
        return column.cast(kind)
    if kept.get(kind):
        return column
    if stored == _TEXT:
        return parsed[kind]
    raise SiteError(
        f"A column of {stored.base_type()} cannot be {ours!r}",
        where=f"column {show(theirs)}",
        todo=TYPES,
    )


def _read_date(text: pl.Expr) -> pl.Expr:
    """Read a date of ISO 8601 alone: of 03/04/2024 nobody knows which is the month."""
    iso = pl.when(text.str.contains(f"^{_DAY}$")).then(text)
    return iso.str.to_date("%Y-%m-%d", strict=False)


def _read_time(text: pl.Expr) -> pl.Expr:
    iso = pl.when(text.str.contains(_MOMENT)).then(text).str.replace(" ", "T", literal=True)
    forms = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")
    times = [iso.str.to_datetime(form, time_unit="us", strict=False) for form in forms]
    return pl.coalesce(*times, _read_date(text).cast(_TIME))


def _require_readable(
    raw: pl.LazyFrame, checked: Mapping[str, tuple[str, pl.Expr]], path: Path
) -> None:
    """Refuse a text that is no number, time, date or truth, where one should be."""
    if not checked:
        return
    bad = {
        ours: (pl.col(theirs).str.strip_chars().str.len_bytes() > 0) & read.is_null()
        for ours, (theirs, read) in checked.items()
    }
    with refusing(path):
        found = raw.select(b.arg_true().first().alias(f"at {n}") for n, b in bad.items())
        count = raw.select(b.sum().alias(n) for n, b in bad.items())
        first, counted = pl.collect_all([found, count])
    for ours, rows in counted.row(0, named=True).items():
        if rows:
            raise SiteError(
                f"{rows:,} value{'s' * (rows > 1)} of column {ours} cannot be read; "
                f"the first is in row {first['at ' + ours].item() + 1:,}",
                where=name_of(path),
                todo=WRITE,
            )
