"""Fleet: which devices a service has, how old they are, and how many of them are digital.

The age of a device is known on a day: today, for those who buy; at an exam, for who was examined.
"""

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
    schema = _require_devices(register, device)
    day = pl.lit(date)
    here = pl.lit(value=True)
    if "installed_date" in schema:
        here &= (pl.col("installed_date") <= day).fill_null(value=True)
    if "retired_date" in schema:
        here &= (pl.col("retired_date") > day).fill_null(value=True)
    age: pl.Expr = pl.lit(None, pl.Float64)
    if "installed_date" in schema:
        age = _age(day)
    return register.filter(here).with_columns(age_years=age)


def add_device_age(
    exams: pl.LazyFrame, register: pl.LazyFrame, *, device: str = "station"
) -> pl.LazyFrame:
    """Return exams with the age of the device on which each was made, on its day.

    Parameters
    ----------
    exams
        `device`, exam_time.
    register
        One row a device: `device`; installed_date where it is known.
    device
        Name of the column that tells devices apart, the same in both.

    Returns
    -------
    polars.LazyFrame
        The exams, with `device_age_years` (a; null where the time, the device or its installation
        is not known, or the device was installed after the exam or more than `OLDEST_DEVICE` years
        before it).

    Raises
    ------
    SiteError
        If a column is missing from the register, or a device stands twice.

    Examples
    --------
    >>> exams = pl.LazyFrame({"station": ["A", "B"], "exam_time": [dt.datetime(2024, 1, 1)] * 2})
    >>> register = pl.LazyFrame({"station": ["A"], "installed_date": [dt.date(2014, 1, 1)]})
    >>> add_device_age(exams, register).select(pl.col("device_age_years").round(1)).collect().rows()
    [(10.0,), (None,)]
    """
    if "installed_date" not in _require_devices(register, device):
        return exams.with_columns(device_age_years=pl.lit(None, pl.Float64))
    # Few names that repeat are compared as what the exams hold: no name is written out.
    named = pl.col(device).cast(exams.collect_schema()[device], strict=False)
    known = register.select(named, "installed_date").drop_nulls()
    aged = exams.join(known, on=device, how="left").with_columns(
        device_age_years=_age(pl.col("exam_time").dt.date())
    )
    return aged.drop("installed_date")


def _require_devices(register: pl.LazyFrame, device: str) -> pl.Schema:
    """Return the columns of a register; refuse one in which devices cannot be told apart."""
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
    return schema


def _age(day: pl.Expr) -> pl.Expr:
    years = (day - pl.col("installed_date")).dt.total_days() / DAYS_PER_YEAR
    return pl.when(years.is_between(0, OLDEST_DEVICE)).then(years)


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
