"""Tables: what is known of the dose of exams, and what was kept out, by fixed names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from workbench.dicom.refusals import REASONS as FILE_REASONS

_TEXT, _NUMBER, _COUNT, _LIST = pl.String(), pl.Float64(), pl.Int64(), pl.List(pl.String)
_TIME = pl.Datetime("us")

EXAMS = pl.Schema(
    {
        "exam_uid": _TEXT,
        "report_uid": _TEXT,
        "patient_id": _TEXT,
        "modality": _TEXT,
        "manufacturer": _TEXT,
        "model": _TEXT,
        "station": _TEXT,
        "exam_time": _TIME,
        "age_years": _NUMBER,
        "sex": _TEXT,
        "n_events": _COUNT,
        "dlp_total_mgy_cm": _NUMBER,
        "dap_total_gy_cm2": _NUMBER,
        "dose_rp_total_mgy": _NUMBER,
        "fluoro_time_s": _NUMBER,
        "agd_left_mgy": _NUMBER,
        "agd_right_mgy": _NUMBER,
        "activity_total_mbq": _NUMBER,
        "weight_kg": _NUMBER,
        "exam_description": _TEXT,
        "modalities": _LIST,
        "n_reports": _COUNT,
        "flags": _LIST,
    }
)
"""Columns of exams, one row an exam.

`report_uid` is the most complete report, null where only images are; `modality` the first of
`modalities`, those with the highest dose first (`MODALITIES`); `exam_time` is as clocks showed it.
"""
EVENTS = pl.Schema(
    {
        "exam_uid": _TEXT,
        "event_uid": _TEXT,
        "event_time": _TIME,
        "acquisition_type": _TEXT,
        "target_region": _TEXT,
        "protocol": _TEXT,
        "phantom_cm": _NUMBER,
        "ctdivol_mgy": _NUMBER,
        "dlp_mgy_cm": _NUMBER,
        "ssde_mgy": _NUMBER,
        "water_equivalent_diameter_cm": _NUMBER,
        "kvp_kv": _NUMBER,
        "tube_current_ma": _NUMBER,
        "exposure_time_s": _NUMBER,
        "pitch": _NUMBER,
        "scanning_length_mm": _NUMBER,
        "collimation_mm": _NUMBER,
        "dap_gy_cm2": _NUMBER,
        "dose_rp_mgy": _NUMBER,
        "agd_mgy": _NUMBER,
        "laterality": _TEXT,
        "exposure_index": _NUMBER,
        "target_exposure_index": _NUMBER,
        "deviation_index": _NUMBER,
        "dlp_alert_mgy_cm": _NUMBER,
        "ctdivol_alert_mgy": _NUMBER,
        "dlp_notification_mgy_cm": _NUMBER,
        "ctdivol_notification_mgy": _NUMBER,
        "dlp_forward_mgy_cm": _NUMBER,
        "ctdivol_forward_mgy": _NUMBER,
        "administered_activity_mbq": _NUMBER,
        "radiopharmaceutical": _TEXT,
        "plane": _TEXT,
        "target_region_code": _TEXT,
        "modality": _TEXT,
        "flags": _LIST,
    }
)
"""Columns of events, one row an irradiation event or administration.

`event_uid` is null where none is stated; `laterality` is L, R or B (both); `phantom_cm` is 16 or
32; `plane` is A, B or null; `target_region_code` is scheme and code.
"""
REFUSED = pl.Schema({"path": _TEXT, "reason": _TEXT, "detail": _TEXT})
FAULTS = pl.Schema({"exam_uid": _TEXT, "patient_id": _TEXT, "rule": _TEXT})
ATTRITION = pl.Schema({"rule": _TEXT, "rows": _COUNT, "what": _TEXT})
MODALITIES = ("CT", "XA", "RF", "MG", "DX", "CR", "PX", "IO", "PT", "NM")
"""Modalities of `exams.modality`, that of the first in this order that an exam has."""

REASONS: Mapping[str, str] = {
    **FILE_REASONS,
    "not_dose": "a structured report that is no dose report",
    "no_events": "a dose report that holds neither an event nor a total",
    "two_patients": "another file claims the same exam for another patient",
}
"""Code -> sentence; every file that is given is used, or has one of these, or is counted."""

RULES: Mapping[str, str] = {
    "age_not_possible": "a stated age that is no age of 0 to 130 years: the age is missing",
    "time_not_possible": "a time before 1980 or in the future: the time is missing",
    "negative_value": "a number below 0: the value is missing",
    "absurd_value": "a number beyond `dose_limits.csv`: the value is missing",
    "not_a_number": "a text where a number should be: the value is missing",
    "unknown_unit": "a unit that `dose_units.csv` does not know: the value is missing",
    "wrong_unit": "a unit of another quantity: the value is missing",
    "duplicate_report": "a report that is given twice: counted once",
    "earlier_report": "a report whose events a later report holds too: replaced",
    "duplicate_event": "an event that one report lists twice alike: counted once",
    "duplicate_exam": "an exam whose events another exam of the patient holds: left out",
    "two_patients": "an exam that two patients claim: left out",
    "image_of_reported_exam": "an image of an exam that has a dose report: not counted beside it",
    "derived_image": "an image that was computed or captured: no irradiation of its own",
}
"""Code -> sentence: what is kept out of the figures, and counted."""
UNREADABLE = "unreadable_file"
BAD = (
    *("age_not_possible", "time_not_possible", "negative_value", "absurd_value", "not_a_number"),
    *("unknown_unit", "wrong_unit", "duplicate_exam", "two_patients"),
)
"""The rules that say that something is wrong; by the others nothing is lost."""

FLAGS: Mapping[str, str] = {
    "total_missing": "no total is stated: the sum of the events is used",
    "total_zero": "the total is 0, the events are not: the sum of the events is used",
    "total_differs": "total and sum of the events differ, none is missing: the sum is used",
    "events_missing": "total and sum differ, and events or their values are missing: the total is "
    "used",
    "events_repeated": "total and sum differ, and more events are listed than the report counts: "
    "the total is used",
    "events_zero": "the events are 0, the total is not: the total is used",
    "reports_overlap": "two reports share some events, neither holds all: the sum of all is used",
    "event_differs": "two reports give one event other values: the more complete, then later, wins",
    "event_in_two_exams": "another exam holds one of the events too",
    "event_without_uid": "an event has no UID: told from others by its values",
    "event_uid_reused": "two events of one report have one UID and other values: both are kept",
    "several_sources": "a scan with several tubes: kV and mA are those of the first",
    "biplane": "two planes: totals are their sum",
    "value_refused": "a value was refused by a rule",
    "from_images": "read from the headers of images: no report tells of it",
    "unit_spelling": "a unit that is not spelt as UCUM",
    "unit_scheme": "a unit that names another coding scheme than UCUM",
    "uid_as_text": "a UID that is stated as text",
    "enhanced_sr": "stored as another kind of report than a dose report",
}
"""Code -> sentence: what to know before a row is believed."""


@dataclass(frozen=True)
class DoseTables:
    """Hold what dose reports and image headers say.

    Parameters
    ----------
    exams
        Columns of `EXAMS`, sorted by exam.
    events
        Columns of `EVENTS`, by exam and in the order of the report.
    refused
        Path, reason (`REASONS`) and detail of each file that is not used.
    attrition
        Rule, number of rows and sentence of what was kept out (`RULES`).
    faults
        Exam, patient and rule (`BAD`, or `UNREADABLE` for a file that is refused): one row for each
        exam and rule, and for each file of which neither is known.
    files
        Number of files by what became of them: `report`, `image`, `other` (no irradiation, or told
        by a report) and `refused`.
    """

    exams: pl.DataFrame
    events: pl.DataFrame
    refused: pl.DataFrame
    attrition: pl.DataFrame
    faults: pl.DataFrame
    files: Mapping[str, int] = field(default_factory=dict)


def count_rules(counted: Mapping[str, int]) -> pl.DataFrame:
    """Return all rules with how many rows each kept out.

    Examples
    --------
    >>> count_rules({"wrong_unit": 2}).filter(pl.col("rows") > 0)["rule"].to_list()
    ['wrong_unit']
    """
    rows = [(rule, counted.get(rule, 0), what) for rule, what in RULES.items()]
    return pl.DataFrame(rows, schema=ATTRITION, orient="row")
