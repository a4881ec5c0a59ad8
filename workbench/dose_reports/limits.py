"""Limits: values that no exam and no person can have, kept out by a named rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

from workbench.dose_reports.resource_table import read_resource_table

EARLIEST = datetime(1980, 1, 1)  # noqa: DTZ001 - as a clock on the wall showed it
"""An exam before is not believed; assumed, for no image was stored then, and 1900 and 1970 are what
software writes for nothing."""


@cache
def _limits() -> dict[str, tuple[float, float]]:
    rows = read_resource_table("dose_limits").select("column", "low", "high")
    return {column: (float(low), float(high)) for column, low, high in rows.iter_rows()}


def find_fault(column: str, value: float) -> str:
    """Return the rule that refuses a value; "" if it is possible.

    Parameters
    ----------
    column
        Column of `tables.EXAMS` or `tables.EVENTS`.
    value
        In the unit of the column.

    Examples
    --------
    >>> find_fault("dlp_mgy_cm", 251.2), find_fault("dlp_mgy_cm", -1), find_fault("kvp_kv", 1e5)
    ('', 'negative_value', 'absurd_value')
    """
    low, high = _limits().get(column, (-float("inf"), float("inf")))
    if low <= value <= high:
        return ""
    return "negative_value" if value < 0 <= low else "absurd_value"


def latest_time() -> datetime:
    """Return the time after which nothing can have been: tomorrow, wherever the clock hung."""
    return datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)


def is_possible(moment: datetime, latest: datetime) -> bool:
    """Return whether an exam can have been at a moment."""
    return EARLIEST <= moment <= latest
