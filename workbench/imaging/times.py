"""Times: DICOM's dates and times as seconds."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime

_OFFSET = re.compile(r"([+-])(0[0-9]|1[0-4])([0-5][0-9])", re.ASCII)


@dataclass(frozen=True)
class Moment:
    """Hold when something was, and whether that is the same everywhere.

    Parameters
    ----------
    seconds
        Since 1970 in UTC, or as if local time were UTC; NaN if not known.
    zoned
        Whether a time zone is known, so that `seconds` are in UTC.
    """

    seconds: float
    zoned: bool = False

    @property
    def known(self) -> bool:
        """Whether there is a moment at all."""
        return not math.isnan(self.seconds)


def offset_of(text: object) -> float:
    """Return by how much a zone is ahead of UTC (s); NaN if the text is no offset.

    Source: DICOM PS3.3, C.12.1.1.8 (TimezoneOffsetFromUTC); PS3.5, 6.2 (DT).

    Examples
    --------
    >>> offset_of("+0100"), offset_of("-0330")
    (3600.0, -12600.0)
    >>> offset_of("UTC")
    nan
    """
    found = _OFFSET.fullmatch(str(text or "").strip(" \0"))
    if found is None:
        return float("nan")
    sign, hours, minutes = found.groups()
    return float(f"{sign}1") * (int(hours) * 3600.0 + int(minutes) * 60.0)


def moment_of(text: object, zone: object = None) -> Moment:
    """Return the moment that a DICOM date and time names.

    Parameters
    ----------
    text
        Date and time, with or without an offset from UTC.
    zone
        TimezoneOffsetFromUTC of the data set, which holds where the text has none of its own.

    Source: DICOM PS3.5, 6.2 (DT); PS3.3, C.12.1.1.8.

    Examples
    --------
    >>> moment_of("19700101010010.5+0100")
    Moment(seconds=10.5, zoned=True)
    >>> moment_of("19700101010010", "+0100"), moment_of("19700101000010")
    (Moment(seconds=10.0, zoned=True), Moment(seconds=10.0, zoned=False))
    """
    stored = str(text or "").strip(" \0")
    local = re.split("[+-]", stored, maxsplit=1)[0]
    own = stored[len(local) :]
    ahead = offset_of(own or zone)
    zoned = not math.isnan(ahead)
    plain, _, fraction = local.strip().partition(".")
    if len(plain) < 10 or not plain.isdecimal() or (own and not zoned):
        return Moment(float("nan"))
    plain = plain.ljust(14, "0")
    try:
        month, day, hour, minute, second = (int(plain[i : i + 2]) for i in range(4, 14, 2))
        moment = datetime(int(plain[:4]), month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return Moment(float("nan"))
    seconds = moment.timestamp() + (float(f"0.{fraction}") if fraction.isdecimal() else 0.0)
    return Moment(seconds - (ahead if zoned else 0.0), zoned)


def seconds_of(text: object, zone: object = None) -> float:
    """Return a DICOM date and time as seconds since 1970; NaN if it is none.

    In UTC where the text or `zone` (TimezoneOffsetFromUTC) says how far ahead of it the clock is,
    else as if the clock showed UTC.

    Source: DICOM PS3.5, 6.2 (DT).

    Examples
    --------
    >>> seconds_of("19700101000010.5")
    10.5
    >>> seconds_of("")
    nan
    """
    return moment_of(text, zone).seconds
