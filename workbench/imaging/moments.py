"""Moments: DICOM's dates and times as seconds."""

from __future__ import annotations

from datetime import UTC, datetime


def seconds_of(text: object) -> float:
    """Return a DICOM date and time as seconds since 1970, as if in UTC; NaN if it is none.

    Source: DICOM PS3.5, 6.2 (DT).

    Examples
    --------
    >>> seconds_of("19700101000010.5")
    10.5
    >>> seconds_of("")
    nan
    """
    stored = str(text or "").strip()
    plain, _, fraction = stored.split("+")[0].split("-")[0].partition(".")
    if len(plain) < 10 or not plain.isdecimal():
        return float("nan")
    plain = plain.ljust(14, "0")
    try:
        month, day, hour, minute, second = (int(plain[i : i + 2]) for i in range(4, 14, 2))
        moment = datetime(int(plain[:4]), month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return float("nan")
    return moment.timestamp() + (float(f"0.{fraction}") if fraction.isdecimal() else 0.0)
