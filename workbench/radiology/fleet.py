"""Fleet: which devices a service has, how old they are, and how many of them are digital."""

from __future__ import annotations

import datetime as dt

import polars as pl

from workbench.errors import SiteError, show

OLDEST_DEVICE = 60
"""Years of age from which on a date of installation is taken for wrong (assumed)."""
DAYS_PER_YEAR = 365.25


def open_fleet(register: pl.LazyFrame, date: dt.date, *, device: str = "station") -> pl.LazyFrame:
    """Return the devices that are in use on a day, and how old they are.

    Parameters
    ----------
    register
        One row a device: `device`; installed_date, retired_date, digital, modality,
        manufacturer, model and software where they are known.
    date
        The day.
    device
        Name of the column that tells devices apart.

    Returns
    -------
    polars.LazyFrame
        The rows of the register that are in use, with `age_years` (a; null where the
        installation is not known, in the future, or more than `OLDEST_DEVICE` years ago).

    Raises
    ------
    SiteError
        If a column is missing, or a device stands twice.

    Examples
    --------
    >>> register = pl.LazyFrame({"station": ["A", "B", "C"],
    ...     "installed_date": [dt.date(2014, 1, 1), dt.date(2025, 1, 1), None],
    ...     "retired_date": [None, None, dt.date(2020, 1, 1)]})
    >>> fleet = open_fleet(register, dt.date(2024, 1, 1)).collect()
    >>> fleet.select("station", pl.col("age_years").round(1)).rows()
    [('A', 10.0)]
    """
    schema = register.collect_schema()
    if device not in schema:
        raise SiteError(
            f"The register of devices has no column {device!r}",
            where=", ".join(show(n) for n in list(schema)[:8]),
            todo="Name the column that tells devices apart",
        )
    doubles = register.select(pl.col(device).drop_nulls().is_duplicated().sum()).collect().item()
    if doubles:
        raise SiteError(
            "A device stands twice in the register",
            where=f"column {device}, {doubles} rows",
            todo="Tell devices apart by another column, as device = 'station'",
        )
    day = pl.lit(date)
    here = pl.lit(value=True)
    if "installed_date" in schema:
        here &= (pl.col("installed_date") <= day).fill_null(value=True)
    if "retired_date" in schema:
        here &= (pl.col("retired_date") > day).fill_null(value=True)
    age: pl.Expr = pl.lit(None, pl.Float64)
    if "installed_date" in schema:
        years = (day - pl.col("installed_date")).dt.total_days() / DAYS_PER_YEAR
        age = pl.when(years.is_between(0, OLDEST_DEVICE)).then(years)
    return register.filter(here).with_columns(age_years=age)


def describe_fleet(fleet: pl.LazyFrame, *by: str) -> pl.DataFrame:
    """Return number, age and digital share of the devices of each group.

    Parameters
    ----------
    fleet
        What `open_fleet` returned.
    by
        Columns to group by, such as modality, manufacturer, model, software; none for all.

    Returns
    -------
    polars.DataFrame
        `by`, devices, age_known, age_years_median, older_than_10 (share of those whose age is
        known), digital_known, digital (share of those of which it is known).

    Examples
    --------
    >>> fleet = pl.LazyFrame({"modality": ["CT", "CT", "DX"], "age_years": [4.0, 12.0, None],
    ...                       "digital": [True, True, False]})
    >>> describe_fleet(fleet, "modality").select("modality", "devices", "older_than_10").rows()
    [('CT', 2, 0.5), ('DX', 1, None)]
    """
    schema = fleet.collect_schema()
    for name in by:
        if name not in schema:
            raise SiteError(
                f"The register of devices has no column {show(name)!r}",
                where=", ".join(show(n) for n in list(schema)[:8]),
                todo="Group by a column that it has",
            )
    known = pl.col("age_years").count()
    held = pl.col("digital") if "digital" in schema else pl.lit(None, pl.Boolean)
    columns = [
        pl.len().cast(pl.Int64).alias("devices"),
        known.cast(pl.Int64).alias("age_known"),
        pl.col("age_years").median().alias("age_years_median"),
        pl.when(known > 0).then((pl.col("age_years") > 10).sum() / known).alias("older_than_10"),
        held.count().cast(pl.Int64).alias("digital_known"),
        held.mean().alias("digital"),
    ]
    if not by:
        return fleet.select(columns).collect()
    keys = [pl.col(name).cast(pl.String) for name in by]
    return fleet.group_by(keys).agg(columns).sort(by).collect()
