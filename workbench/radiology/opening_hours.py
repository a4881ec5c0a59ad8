"""Opening hours: when each device of a register is open, on days of any length."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.errors import SiteError, show
from workbench.radiology.wall_clock import DAY, find_changes

EPOCH = dt.date(1970, 1, 1)
HOURS = tuple(
    f"{day}_{end}_min" for day in ("weekday", "saturday", "sunday") for end in ("open", "close")
)
"""Columns of the register: minutes since midnight; null where the device is closed."""
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Calendar:
    """Hold when each device is open, day by day.

    Parameters
    ----------
    first, last
        First and last day, since 1970.
    opens, closes : (devices, days) int64
        Seconds that have passed since midnight; -1 where it is closed, or not in use.
    length : (devices, days) int64
        Seconds of the day.
    zones
        Places of the devices in the register, by time zone.
    """

    first: int
    last: int
    opens: Integers
    closes: Integers
    length: Integers
    zones: dict[str, Integers]

    @property
    def days(self) -> int:
        """Number of days."""
        return self.last - self.first + 1

    @classmethod
    def make(cls, devices: pl.DataFrame, first: int, last: int, zone: str | None) -> Calendar:
        """Make the calendar of the devices of a register.

        Parameters
        ----------
        devices
            What `read_register` returned.
        first, last
            First and last day, since 1970.
        zone
            Time zone of all devices; None where the register says it.
        """
        days = np.arange(first, last + 1)
        weekday = (days + 3) % 7  # 1970-01-01 was a Thursday
        kind = np.where(weekday < 5, 0, weekday - 4)
        table = devices.select(HOURS).fill_null(-1).cast(pl.Int64).to_numpy().reshape(-1, 3, 2)
        opens, closes = (60 * table[:, kind, end] for end in (0, 1))
        shut = (opens < 0) | (closes <= opens)
        for column, sign in (("installed_date", 1), ("retired_date", -1)):
            if column in devices.columns:
                day = devices[column].cast(pl.Date).to_physical().cast(pl.Float64).to_numpy()
                shut |= sign * (days - day[:, None]) < 0  # never of one that is not known
        names = devices["time_zone"] if zone is None else pl.repeat(zone, len(devices), eager=True)
        if names.has_nulls():
            raise SiteError(
                "A device of the register has no time zone",
                where=f"column time_zone, {names.null_count()} rows",
                todo="Write a name of the IANA database, as Europe/Moscow",
            )
        zones = {
            str(name): np.flatnonzero((names == name).to_numpy()) for name in names.unique().sort()
        }
        length = np.full(opens.shape, DAY)
        for name, places in zones.items():
            start, end = (EPOCH + dt.timedelta(d) for d in (first, last))
            for change in find_changes(name, start, end):
                at = (change.date - EPOCH).days - first
                for hours in (opens, closes):
                    here = hours[places, at]
                    moved = np.maximum(here - change.seconds, change.start)
                    hours[places, at] = np.where(here >= change.start, moved, here)
                length[places, at] -= change.seconds
        return cls(
            first, last, np.where(shut, -1, opens), np.where(shut, -1, closes), length, zones
        )


def read_register(register: pl.LazyFrame, device: str, zone: str | None) -> pl.DataFrame:
    """Read the register of devices.

    Parameters
    ----------
    register
        One row a device.
    device
        Name of the column that tells devices apart.
    zone
        Time zone of all devices; None if the register has a column `time_zone`.

    Returns
    -------
    polars.DataFrame
        `device`, `HOURS`, and what is there of time_zone, installed_date and retired_date; devices
        that are not digital send nothing, and are left out.

    Raises
    ------
    SiteError
        If a column is missing, a device stands twice, or an opening hour is outside the day.
    """
    schema = register.collect_schema()
    needed = (device, *HOURS, *(() if zone else ("time_zone",)))
    for name in needed:
        if name not in schema:
            raise SiteError(
                f"The register of devices has no column {name!r}",
                where=", ".join(show(n) for n in list(schema)[:8]),
                todo=f"It needs {', '.join(needed)}",
            )
    held = [n for n in ("installed_date", "retired_date") if n in schema]
    if "digital" in schema:
        register = register.filter(pl.col("digital").fill_null(value=True))
    table = register.select(*needed, *held).with_columns(pl.col(device).cast(pl.String)).collect()
    table = table.drop_nulls(device).sort(device)
    if table[device].is_duplicated().any():
        raise SiteError(
            "A device stands twice in the register",
            where=f"column {device}, {int(table[device].is_duplicated().sum())} rows",
            todo="Tell devices apart by another column, as device = 'station'",
        )
    for name in HOURS:
        bad = table.filter(~pl.col(name).is_between(0, 1440))
        if len(bad):
            raise SiteError(
                f"An opening hour of the register is outside the day: column {name}",
                where=f"{len(bad)} rows",
                todo="Write minutes since midnight, 0 to 1440; nothing where it is closed",
            )
    return table
