"""Times: dates, times of day and offsets from UTC as headers store them, to columns.

A time stays what the clock of the device showed; its offset from UTC has a column of its own, and
another one names the attributes that it was taken from.
"""

from __future__ import annotations

import polars as pl

_DATED = ("Study", "Series", "Acquisition", "Content")
_EXAM = ("Study", "Series", "AcquisitionDateTime", "Acquisition", "Content")
"""Where the time of an exam is taken from, the first that has a date."""
_ACQUIRED = ("AcquisitionDateTime", "Acquisition")


def time_steps() -> tuple[list[pl.Expr], list[pl.Expr], list[pl.Expr]]:
    """Return expressions that read what is stored of dates and times, step by step.

    Each uses one attribute alone. A date becomes a date, a time of day microseconds since
    midnight, an offset minutes; what is none becomes null.
    """
    whole = pl.col("AcquisitionDateTime")
    both = whole.str.extract(r"^([0-9]{8,14}(\.[0-9]+)?)([&+-].*)?$", 1)
    stated = [
        *(_day(f"{name}Date") for name in (*_DATED, "PatientBirth")),
        *(_clock(f"{name}Time") for name in _DATED),
        _read_day(both.str.head(8)).alias("AcquisitionDateTimeDate"),
        _read_clock(both.str.slice(8)).alias("AcquisitionDateTimeTime"),
        _read_offset(whole.str.extract("([+-].*)$", 1)).alias("AcquisitionDateTimeOffset"),
        _read_offset(pl.col("TimezoneOffsetFromUTC")).alias("TimezoneOffsetFromUTC"),
    ]
    split = [part for name in _EXAM for part in _split(name)]
    return stated, split, [_microseconds(name) for name in _EXAM]


def time_columns() -> list[pl.Expr]:
    """Return the columns of times, made of what `time_steps` reads."""
    times = {
        "exam": _EXAM, "series": ("Series",), "acquisition": _ACQUIRED, "content": ("Content",)
    }  # fmt: skip
    stated = pl.when(pl.col("AcquisitionDateTimeDate").is_not_null())
    general = pl.col("TimezoneOffsetFromUTC")
    return [
        *(pl.coalesce(map(_moment, of)).alias(f"{name}_time") for name, of in times.items()),
        *(pl.coalesce(map(_source, of)).alias(f"{name}_time_source") for name, of in times.items()),
        pl.coalesce(stated.then(pl.col("AcquisitionDateTimeOffset")), general).alias(
            "acquisition_offset_min"
        ),
        general.alias("timezone_offset_min"),
    ]


def _day(name: str) -> pl.Expr:
    """Read a date (DICOM PS3.5, 6.2, DA), also as ACR-NEMA wrote it: 2024.02.29."""
    text = pl.col(name).str.replace_all(".", "", literal=True)
    return _read_day(text).alias(name)


def _read_day(text: pl.Expr) -> pl.Expr:
    valid = text.str.contains("^[0-9]{8}$") & (text >= "0001")
    return pl.when(valid).then(text).str.to_date("%Y%m%d", strict=False)


def _clock(name: str) -> pl.Expr:
    return _read_clock(pl.col(name).str.replace_all(":", "", literal=True)).alias(name)


def _read_clock(text: pl.Expr) -> pl.Expr:
    """Return a time (DICOM PS3.5, 6.2, TM) if it can be one."""
    valid = text.str.contains(r"^([01][0-9]|2[0-3])([0-5][0-9](([0-5][0-9]|60)(\.[0-9]*)?)?)?$")
    return pl.when(valid).then(text)


def _split(name: str) -> tuple[pl.Expr, pl.Expr]:
    """Return HHMMSS and the millionths of a second as numbers; what is not stored is 0."""
    text = pl.col(f"{name}Time")
    parts = {"Clock": text.str.head(6), "Fraction": text.str.slice(7, 6)}
    clock, fraction = (
        part.str.pad_end(6, "0").cast(pl.Int64).alias(name + to) for to, part in parts.items()
    )
    return clock, fraction


def _microseconds(name: str) -> pl.Expr:
    """Return a time since midnight; a leap second is the one before it."""
    clock = pl.col(f"{name}Clock")
    minutes = clock // 10_000 * 60 + clock // 100 % 100
    seconds = clock % 100 - (clock % 100 == 60)
    whole = (minutes * 60 + seconds) * 1_000_000 + pl.col(f"{name}Fraction")
    return whole.alias(f"{name}Time")


def _moment(name: str) -> pl.Expr:
    clock = pl.col(f"{name}Time").fill_null(0).cast(pl.Duration("us"))
    return pl.col(f"{name}Date").cast(pl.Datetime("us")) + clock


def _source(name: str) -> pl.Expr:
    dated, timed = (pl.col(f"{name}{part}").is_not_null() for part in ("Date", "Time"))
    if name == "AcquisitionDateTime":
        return pl.when(dated).then(pl.lit(name))
    both = pl.when(dated & timed).then(pl.lit(f"{name}Date+{name}Time"))
    return both.when(dated).then(pl.lit(f"{name}Date"))


def _read_offset(text: pl.Expr) -> pl.Expr:
    """Return an offset from UTC such as +0530 (DICOM PS3.3, C.12.1.1.8) in minutes."""
    size = text.str.slice(1, 2).cast(pl.Int32, strict=False) * 60
    size = size + text.str.slice(3, 2).cast(pl.Int32, strict=False)
    offset = pl.when(text.str.starts_with("-")).then(-size).otherwise(size)
    valid = text.str.contains("^[+-][0-9]{2}[0-5][0-9]$") & offset.is_between(-720, 840)
    return pl.when(valid).then(offset)
