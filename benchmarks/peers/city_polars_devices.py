"""The use of devices, and their ages, of a city-year by hand in polars.

The capital's zone has no daylight saving.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from benchmarks.peers.city_polars_counts import band, count, histogram, label, subsets
from benchmarks.peers.city_tables import AS_OF

col, when = pl.col, pl.when


def count_devices(kept: pl.DataFrame, register: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return the tables of use, and of the ages of devices."""
    seconds = col("exam_time").dt.epoch("s")
    devices = register.filter(col("digital")).with_row_index("device")
    ends = ["weekday", "saturday", "sunday"]
    rows = (
        kept.lazy()
        .select(
            col("station").cast(pl.String),
            day=(seconds // 86400).cast(pl.Int32),
            start=(seconds % 86400).cast(pl.Int32),
            length=(col("exam_end_time").dt.epoch("s") - seconds).cast(pl.Int32),
        )
        .drop_nulls("day")
        .join(devices.lazy().select("station", "device"), on="station")
        .drop("station")
        .collect()
    )
    first, last = rows["day"].min(), rows["day"].max()
    calendar = devices.join(
        pl.DataFrame({"day": pl.int_range(first, last + 1, dtype=pl.Int32, eager=True)}),
        how="cross",
    ).with_columns(weekday=(col("day") + 3) % 7, month=col("day").cast(pl.Date).dt.month_start())
    opens, closes = (
        when(col("weekday") < 5).then(f"{ends[0]}_{e}_min")
        .when(col("weekday") == 5).then(f"{ends[1]}_{e}_min").otherwise(f"{ends[2]}_{e}_min")
        .cast(pl.Int32) * 60 for e in ("open", "close")
    )  # fmt: skip
    day = col("day").cast(pl.Date)
    calendar = calendar.with_columns(opens=opens, closes=closes).filter(
        (col("closes") > col("opens"))
        & (day >= col("installed_date")).fill_null(value=True)
        & (day <= col("retired_date")).fill_null(value=True)
    ).select("device", "modality", "day", "month", "weekday", "opens", "closes")  # fmt: skip
    timed = rows.drop_nulls("length")
    late = timed.filter((col("start") + col("length") > 86400) & (col("day") < last)).select(
        col("day") + 1,
        start=pl.lit(0, pl.Int32),
        length=col("start") + col("length") - 86400,
        device="device",
    )
    busy = (
        pl.concat([timed.select("day", "start", "length", "device"), late])
        .lazy()
        .with_columns(end=pl.min_horizontal(col("start") + col("length"), 86400))
        .join(calendar.lazy(), on=["device", "day"])
        .with_columns(
            begin=pl.max_horizontal("start", "opens"), end=pl.min_horizontal("end", "closes")
        )
        .filter(col("end") > col("begin"))
        # One line of seconds for all devices and days, so that one running maximum does.
        .with_columns(base=(col("device").cast(pl.Int64) * 100_000 + col("day")) * 86400)
        .with_columns(b=col("base") + col("begin"), e=col("base") + col("end"))
        .sort("b")
        .with_columns(b=pl.max_horizontal("b", col("e").cum_max().shift(1, fill_value=0)))
        .filter(col("e") > col("b"))
        .with_columns(begin=col("b") - col("base"), end=col("e") - col("base"))
        .select("device", "day", "month", "weekday", "begin", "end")
        .collect()
    )
    by_day = busy.group_by("device", "day").agg(busy=(col("end") - col("begin")).sum())
    days = calendar.join(by_day, on=["device", "day"], how="left").with_columns(
        use=100 * (col("busy").fill_null(0) / 60) / ((col("closes") - col("opens")) / 60)
    )
    days = days.select(
        label(days, "modality", "modality"),
        "use", exam=pl.int_range(pl.len()), patient=pl.int_range(pl.len()),
    )  # fmt: skip

    of_month = ["device", "month", "weekday"]

    def by_hour(spans: pl.DataFrame, begin: str, end: str) -> pl.DataFrame:
        return (
            spans.lazy()
            .with_columns(hour=pl.int_ranges(col(begin) // 3600, (col(end) - 1) // 3600 + 1))
            .explode("hour")
            .with_columns(
                seconds=pl.min_horizontal(end, (col("hour") + 1) * 3600)
                - pl.max_horizontal(begin, col("hour") * 3600)
            )
            .group_by(*of_month, "hour")
            .agg(col("seconds").sum())
            .collect()
        )

    kinds = calendar.group_by(*of_month, "opens", "closes").agg(n=pl.len())
    opened = by_hour(kinds.select(*of_month, "opens", "closes"), "opens", "closes")
    if kinds.select(of_month).is_duplicated().any():
        raise SystemExit("a device has two opening hours on one day of the week")
    opened = opened.join(kinds.select(*of_month, "n"), on=of_month)
    hours = opened.join(
        by_hour(busy, "begin", "end"), on=[*of_month, "hour"], how="left", suffix="_busy"
    ).select(
        weekday=(col("weekday") + 1).cast(pl.String),
        hour=col("hour").cast(pl.String),
        use=100 * col("seconds_busy").fill_null(0) / (col("seconds") * col("n")),
    )
    # Polars divides by multiplying with the reciprocal, which is another number at a half.
    steps = np.rint(hours["use"].to_numpy() / 0.01).astype(np.int64)
    scaled = hours.with_columns(step=pl.Series(steps))
    use_of_hours = []
    for _, lost in subsets(["weekday", "hour"]):
        made = scaled.with_columns(pl.lit("all").alias(d) for d in lost)
        use_of_hours.append(
            made.group_by("weekday", "hour").agg(
                exams=pl.len().cast(pl.Int64), patients=pl.len().cast(pl.Int64),
                total=col("step").sum(), square=(col("step") ** 2).sum(),
            )
        )  # fmt: skip
    today = pl.lit(AS_OF.date())
    fleet = register.filter(
        (col("installed_date") <= today).fill_null(value=True)
        & (col("retired_date") > today).fill_null(value=True)
    ).with_columns(
        device_kind=when("digital").then(pl.lit("digital"))
        .when(~col("digital")).then(pl.lit("film")).otherwise(pl.lit("missing"))
    )  # fmt: skip
    fleet = fleet.with_columns(
        label(fleet, "modality", "modality"),
        exam=pl.int_range(pl.len()),
        patient=pl.int_range(pl.len()),
    )
    known = register.select(col("station").cast(kept["station"].dtype), "installed_date")
    years = (col("exam_time").dt.date() - col("installed_date")).dt.total_days() / 365.25
    aged = (
        kept.select("exam", "patient", "modality", "manufacturer", "station", "exam_time")
        .join(known, on="station", how="left")
        .with_columns(device_age_years=when(years.is_between(0, 60)).then(years))
    )
    aged = aged.select(
        "exam",
        "patient",
        label(aged, "modality", "modality"),
        label(aged, "manufacturer", "manufacturer"),
        device_age=band("device_age_years", "device_age"),
    )
    return {
        "use_of_devices": histogram(days, ["modality"], "use", "use_of_devices"),
        "use_of_hours": pl.concat(use_of_hours),
        "exams_by_device_age": count(aged, ["modality", "device_age"], one=False),
        "exams_by_manufacturer": count(aged, ["manufacturer", "device_age"], one=False),
        "devices_in_use": count(fleet, ["modality", "device_kind"], one=True),
    }
