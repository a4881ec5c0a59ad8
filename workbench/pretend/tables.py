"""Tables: the exams and reports of a pretend facility as Arrow tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from workbench.pretend.columns import named, numbered, numeric, timed

if TYPE_CHECKING:
    from workbench.pretend.city import City
    from workbench.pretend.doses import Doses
    from workbench.pretend.reports import Written
    from workbench.pretend.timetable import Times

EXAMS = (
    *("exam_uid", "patient_id", "modality", "exam_time", "exam_end_time", "facility"),
    *("device_serial", "station", "manufacturer", "model", "body_part", "protocol"),
    *("exam_description", "age_years", "sex", "weight_kg", "kvp_kv", "phantom_cm"),
    *("ctdivol_mgy", "dlp_mgy_cm", "agd_mgy", "dap_gy_cm2", "dose_rp_mgy", "fluoro_time_s"),
    *("instances", "megabytes"),
)
"""Columns of exams; a unit stands in a name."""
REPORTS = (
    *("exam_uid", "patient_id", "facility", "modality", "station", "ordered_time"),
    *("arrival_time", "acquired_time", "preliminary_time", "final_time", "promised_hours"),
    *("reader_group", "body_part_code", "procedure_code", "finding_code", "rads_category"),
    *("measurement_value", "measurement_unit"),
)
"""Columns of reports."""


@dataclass(frozen=True)
class Rows:
    """Hold the exams of one facility and month as arrays, one entry an exam.

    Parameters
    ----------
    place
        Numbers of facility and month.
    device, modality, protocol : (n,)
        Codes.
    patient : (n,)
        Number in the identifier.
    female : (n,) bool
        Sex.
    years, weight : (n,) float32
        Age and kg; NaN is missing.
    clock
        When the device says it was, s since 1970-01-01.
    doses
        Doses.
    images : (n,) float32
        Number of images.
    unsaid
        Where a column is missing, by name.
    """

    place: tuple[int, int]
    device: npt.NDArray[np.intp]
    modality: npt.NDArray[np.intp]
    protocol: npt.NDArray[np.intp]
    patient: npt.NDArray[np.int64]
    female: npt.NDArray[np.bool_]
    years: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    clock: Times
    doses: Doses
    images: npt.NDArray[np.float32]
    unsaid: dict[str, npt.NDArray[np.bool_]]


def make_tables(city: City, rows: Rows, written: Written, today: int) -> tuple[pa.Table, pa.Table]:
    """Return exams and reports as tables.

    Parameters
    ----------
    city
        The city.
    rows
        The exams.
    written
        What their reports say.
    today
        First day of the month, since 1970-01-01.
    """
    facility, month = rows.place
    roster, words, n = city.roster, city.words, len(rows.device)
    names = roster.names[city.facilities[facility].district]
    shared = {
        "exam_uid": numbered(f"2.25.1{facility:03d}{month:03d}", np.arange(n)),
        "patient_id": numbered(names.prefix, rows.patient),
        "facility": named(np.full(n, roster.facility[facility]), names.facilities),
        "modality": named(rows.modality, words.modalities),
        "station": named(roster.station[rows.device], names.stations),
    }
    protocol, unsaid = rows.protocol, rows.unsaid
    exams = {
        **shared,
        "exam_time": timed(rows.clock.start),
        "exam_end_time": timed(rows.clock.end),
        "device_serial": named(roster.serial[rows.device], names.serials),
        "manufacturer": named(roster.maker[rows.device], words.makers),
        "model": named(roster.model[rows.device], words.models),
        "body_part": named(words.body_part[protocol], words.body_parts, unsaid["body_part"]),
        "protocol": named(protocol, words.protocols),
        "exam_description": named(protocol, words.descriptions, unsaid["description"]),
        "age_years": numeric(rows.years),
        "sex": named(rows.female, words.sexes, unsaid["sex"]),
        "weight_kg": numeric(rows.weight),
        **{name: numeric(values) for name, values in vars(rows.doses).items()},
        "instances": pa.array(rows.images.astype(np.int32)),
        "megabytes": pa.array(np.round(rows.images * city.protocols.megabytes[protocol], 1)),
    }
    reports = {**shared, **_report_columns(city, written, protocol, today)}
    return (
        pa.table({name: exams[name] for name in EXAMS}),
        pa.table({name: reports[name] for name in REPORTS}),
    )


def _report_columns(
    city: City, written: Written, protocol: npt.NDArray[np.intp], today: int
) -> dict[str, pa.Array]:
    words, epoch = city.words, today * 86400
    extract = (city.first_day + int(city.demand.first_days[-1])) * 86400 - epoch
    no_preliminary = written.no_preliminary | (written.preliminary >= extract)
    return {
        "ordered_time": timed(written.ordered + epoch),
        "arrival_time": timed(written.arrival + epoch),
        "acquired_time": timed(written.acquired + epoch),
        "preliminary_time": timed(written.preliminary + epoch, no_preliminary),
        "final_time": timed(written.final + epoch, written.never | (written.final >= extract)),
        "promised_hours": pa.array(written.promised),
        "reader_group": named(written.group, words.groups),
        "body_part_code": named(words.code[protocol], words.codes, ~written.body_part),
        "procedure_code": named(protocol, words.procedures, ~written.procedure),
        "finding_code": named(written.finding, words.findings),
        "rads_category": named(written.rads, words.rads),
        "measurement_value": numeric(written.measurement),
        "measurement_unit": named(np.zeros(len(protocol), np.int16), words.units, ~written.unit),
    }
