"""Units: numbers of dose reports in the unit of our column, by the UCUM code of theirs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from workbench.dose_reports.resource_table import read_resource_table

DIMENSIONS = {
    "mgy": ("dose", "mGy"),
    "mgy_cm": ("dose_length", "mGy.cm"),
    "gy_cm2": ("dose_area", "Gy.cm2"),
    "s": ("time", "s"),
    "mm": ("length", "mm"),
    "cm": ("length", "cm"),
    "kv": ("voltage", "kV"),
    "ma": ("current", "mA"),
    "mbq": ("activity", "MBq"),
    "kg": ("mass", "kg"),
    "": ("ratio", "1"),
}
"""Unit at the end of a column's name -> dimension and UCUM code."""
_RATIO = re.compile(r"\{[^{}]*\}|1|no units|ratio|", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,32}\.?[0-9]{0,32}|\.[0-9]{1,32})(?:[eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True)
class Converted:
    """Hold a number in the unit of a column, or why there is none.

    Parameters
    ----------
    value
        The number; None if it is refused.
    fault
        "" or the rule that refuses it: `not_a_number`, `unknown_unit` or `wrong_unit`.
    quirk
        "" or the quirk of the unit (`dose_quirks.csv`).
    """

    value: float | None
    fault: str = ""
    quirk: str = ""


def convert(number: str, unit: str, column: str, scheme: str = "UCUM") -> Converted:
    """Return a stored number in the unit of a column.

    The decimal digits are kept: what is stored as 0.00024126 Gy.m2 is 2.4126 Gy.cm2.

    Source: DICOM PS3.3, C.18.1 (Numeric Measurement Macro); UCUM.

    Parameters
    ----------
    number
        As it is stored; not empty.
    unit, scheme
        Code of its unit, and the coding scheme of that.
    column
        Name of a column of `tables.EXAMS` or `tables.EVENTS`.

    Examples
    --------
    >>> convert("0.00024126", "Gy.m2", "dap_gy_cm2").value
    2.4126
    >>> convert("11.51", "mGycm", "dlp_mgy_cm")
    Converted(value=11.51, fault='', quirk='unit_spelling')
    >>> convert("11.51", "mGy", "dlp_mgy_cm").fault, convert("11,5", "mGy", "ctdivol_mgy").fault
    ('wrong_unit', 'not_a_number')
    """
    if not _NUMBER.fullmatch(number):
        return Converted(None, "not_a_number")
    factor, fault, quirk = _factor(unit, scheme, column)
    if factor is None:
        return Converted(None, fault)
    return Converted(float(Decimal(number) * factor), quirk=quirk)


def unit_of(column: str) -> str:
    """Return the unit at the end of a column's name; "" if it has none.

    Examples
    --------
    >>> unit_of("dlp_total_mgy_cm"), unit_of("ctdivol_mgy"), unit_of("pitch")
    ('mgy_cm', 'mgy', '')
    """
    return next((u for u in _BY_LENGTH if u and column.endswith(f"_{u}")), "")


_BY_LENGTH = sorted(DIMENSIONS, key=len, reverse=True)


@cache
def _units() -> dict[str, tuple[str, Decimal, bool]]:
    rows = read_resource_table("dose_units").select("code", "dimension", "factor", "spelling")
    return {c: (d, Decimal(f), s == "ucum") for c, d, f, s in rows.iter_rows()}


@cache
def _own(column: str) -> tuple[str, Decimal]:
    dimension, code = DIMENSIONS[unit_of(column)]
    return dimension, _units()[code][1]


def _factor(unit: str, scheme: str, column: str) -> tuple[Decimal | None, str, str]:
    """Return factor, fault and quirk."""
    dimension, own = _own(column)
    if dimension == "ratio" and _RATIO.fullmatch(unit):
        return Decimal(1), "", ""
    found = _units().get(unit)
    if found is None:
        return None, "unknown_unit", ""
    if found[0] != dimension:
        return None, "wrong_unit", ""
    quirk = "unit_scheme" if scheme != "UCUM" else "" if found[2] else "unit_spelling"
    return found[1] / own, "", quirk
