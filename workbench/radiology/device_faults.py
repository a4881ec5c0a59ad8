"""Device faults: everything that is wrong with devices, in one list for those who run them."""

from __future__ import annotations

import polars as pl

from workbench.radiology.equipment import Use
from workbench.radiology.equipment_faults import (
    REFERENCES,
    find_clock_offsets,
    find_down_times,
    find_overlaps,
    find_shared_serials,
)

FAULTS = {
    "down": "days without an exam, though many were to be expected",
    "clock": "minutes that the clock is fast; below 0, slow",
    "shared serial": "devices with one serial number",
    "overlap": "percent of the exams that start before another has ended",
}
"""Fault -> what its size is."""


def find_faults(
    use: Use,
    exams: pl.LazyFrame,
    reports: pl.LazyFrame,
    register: pl.LazyFrame,
    *,
    device: str = "station",
) -> pl.DataFrame:
    """Return what is wrong with the devices of a site.

    Parameters
    ----------
    use
        What `measure_use` returned.
    exams, reports
        As `find_clock_offsets` takes them; reports without a time of the RIS find no clock.
    register
        As `find_shared_serials` takes it.
    device
        Name of the column that tells devices apart.

    Returns
    -------
    polars.DataFrame
        fault, device, first_date, last_date (of a down time), size, exams (that say so), meaning
        (of the size): a row for each device and fault.
    """
    down = find_down_times(use).select(
        "device", "first_date", "last_date", fault=pl.lit("down"), size=pl.col("days")
    )
    found = [down]
    if any(name in reports.collect_schema() for name in REFERENCES):
        clocks = find_clock_offsets(exams, reports, device=device)
        found.append(clocks.select("device", "exams", fault=pl.lit("clock"), size="offset_min"))
    shared = find_shared_serials(register, device=device)
    found.append(
        shared.select("devices", fault=pl.lit("shared serial"), size=pl.col("devices").list.len())
        .explode("devices", empty_as_null=True)
        .rename({"devices": "device"})
    )
    overlaps = find_overlaps(use)
    found.append(
        overlaps.select("device", "exams", fault=pl.lit("overlap"), size=100 * pl.col("share"))
    )
    columns = {
        "fault": pl.String(),
        "device": pl.String(),
        "first_date": pl.Date(),
        "last_date": pl.Date(),
        "size": pl.Float64(),
        "exams": pl.Int64(),
    }
    empty = pl.DataFrame(schema=columns)
    alike = [
        table.with_columns(pl.col(n).cast(t) for n, t in columns.items() if n in table.columns)
        for table in found
    ]
    meaning = pl.col("fault").replace_strict(FAULTS, return_dtype=pl.String)
    return (
        pl.concat([empty, *alike], how="diagonal")
        .select(list(columns))
        .with_columns(pl.col("size").round(1), meaning=meaning)
    )
