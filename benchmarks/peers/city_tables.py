"""What the peers of `benchmarks.city` share: the labels of the study, and the rules as numbers."""

from __future__ import annotations

import csv
import datetime as dt
import itertools
import math
from pathlib import Path
from typing import Any

from benchmarks.peers.polars_tables import STUDY, levels, read_codes

DISTRICTS = ("centre", "east", "north", "south", "west")
AS_OF = dt.datetime(2024, 1, 1)  # noqa: DTZ001 - as a clock on the wall shows it
EARLIEST = dt.datetime(1980, 1, 1)  # noqa: DTZ001
OLDEST, LONGEST_MIN = 130, 720
LIMITS = {
    "ctdivol_mgy": (0, 10_000),
    "dlp_mgy_cm": (0, 100_000),
    "kvp_kv": (5, 500),
    "dap_gy_cm2": (0, 10_000),
    "dose_rp_mgy": (0, 50_000),
    "fluoro_time_s": (0, 86_400),
    "agd_mgy": (0, 100),
    "weight_kg": (0, 650),
}
SCAN_CM = (1, 2000)
"""Lengths that DLP over CTDIvol can be."""
NEVER = ("unreadable_file", "duplicate_file", "not_a_number", "unknown_unit")
"""Rules of files and dose reports: a table breaks none of them."""
ONE_ROW = ("exam_uid", "modality", "station", "device_serial")
ELEMENTS = {
    "body_part": ("body_part_code",),
    "procedure": ("procedure_code",),
    "finding": ("finding_code",),
    "category": ("rads_category",),
    "measurement": ("measurement_value", "measurement_unit"),
}


def _listed(name: str, column: str = "", one_per: str = "exam") -> dict[str, Any]:
    source = {"column": column} if column else {}
    return {"codelist": f"codelists/{name}.csv", "one_per": one_per, **source}


_AGE = {"unit": "a", "column": "age_years", "one_per": "exam"}
DIMENSIONS: dict[str, dict[str, Any]] = {
    "modality": _listed("modality", one_per="none"),
    "manufacturer": _listed("manufacturer", one_per="none"),
    "month": {"calendar": "month", "first": "2020-01", "last": "2023-12", "one_per": "none"},
    "weekday": _listed("weekday", one_per="none"),
    "hour": _listed("hour", one_per="none"),
    "rule": _listed("rule", "rules", "none"),
    "device_age": {
        "edges": [0, 5, 10, 15, 20],
        "maximum": 60,
        "unit": "a",
        "one_per": "none",
        "column": "device_age_years",
    },
    "device_kind": _listed("device_kind"),
    "protocol": _listed("protocol"),
    "drl_protocol": _listed("drl_protocol", "protocol"),
    "age_group": {"edges": [0, 1, 5, 10, 15, 18], "maximum": 130, **_AGE},
    "facility": _listed("facility"),
    "reader_group": _listed("reader_group"),
    "outcome": _listed("outcome"),
    "report_element": _listed("report_element", "element", "none"),
    "state": _listed("state", one_per="none"),
}
"""Dimensions as a study declares them; the codelists are those of the study."""
_HOURS = [0, 0.5, 1, 2, 3, 4, 6, 8, 12, 18, 24, 36, 48, 72, 96, 168, 336, 720]
_CTDI = [0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100]
_DLP = [10, 20, 30, 50, 70, 100, 140, 190, 250, 330, 430, 560, 730, 950, 1240, 1600, 2100, 3000]


def _counts(*by: str) -> dict[str, Any]:
    return {"kind": "counts", "dimensions": by, "edges": (), "unit": "1"}


def _histogram(unit: str, edges: list[float], *by: str) -> dict[str, Any]:
    return {"kind": "histogram", "dimensions": by, "edges": tuple(map(float, edges)), "unit": unit}


OUTPUTS: dict[str, dict[str, Any]] = {
    "attrition": _counts("rule"),
    "exams_by_month": _counts("month", "modality"),
    "exams_by_hour": _counts("weekday", "hour"),
    "use_of_devices": _histogram("%", list(range(0, 101, 10)), "modality"),
    "use_of_hours": {**_counts("weekday", "hour"), "kind": "moments", "unit": "%"},
    "exams_by_device_age": _counts("modality", "device_age"),
    "exams_by_manufacturer": _counts("manufacturer", "device_age"),
    "devices_in_use": _counts("modality", "device_kind"),
    "ctdivol": _histogram("mGy", _CTDI, "protocol", "age_group"),
    "dlp": _histogram("mGy.cm", _DLP, "protocol", "age_group"),
    "dlp_of_facilities": _histogram("mGy.cm", _DLP[5:-1], "drl_protocol", "facility"),
    "turnaround": _histogram("h", _HOURS, "reader_group", "outcome"),
    "preliminary": _histogram("h", _HOURS, "reader_group", "outcome"),
    "completeness_of_reports": _counts("report_element", "state", "reader_group"),
}
"""Tables as a study declares them."""


def codes(dimension: str) -> list[str]:
    """Return the codes of a codelist in order."""
    path = STUDY / DIMENSIONS[dimension]["codelist"]
    with path.open(encoding="utf-8", newline="") as file:
        return [row["code"] for row in csv.DictReader(file)]


def matches(dimension: str) -> dict[str, str]:
    """Return the code of each raw value, in small letters."""
    return read_codes(Path(DIMENSIONS[dimension]["codelist"]).stem)


def number(value: float) -> str:
    """Return a number as labels write it."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def bands(dimension: str) -> list[str]:
    """Return the labels of the intervals of a dimension."""
    edges = [*DIMENSIONS[dimension]["edges"], math.inf]
    return [f"[{number(a)},{'inf' if b == math.inf else number(b)})"
            for a, b in itertools.pairwise(edges)]  # fmt: skip


def nodes(output: str) -> list[list[str | None]]:
    """Return, for each level of the tree of halves, the node that holds each interval."""
    edges = OUTPUTS[output]["edges"]
    ends = ["-inf", *map(number, edges), "inf"]
    return [
        [None if run is None else f"[{ends[run[0]]},{ends[run[1]]})" for run in level]
        for level in levels(len(edges) + 1)
    ]
