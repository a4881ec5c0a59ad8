"""Month: the exams and reports of one facility in one month, made alone and always the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from workbench.pretend import people
from workbench.pretend.defects import Spoilt, move_outside_hours, spoil_times, spoil_values
from workbench.pretend.doses import MISSING_DOSE
from workbench.pretend.people import AT_HOME
from workbench.pretend.plants import MANY
from workbench.pretend.protocols import SPREAD
from workbench.pretend.service import MODALITIES
from workbench.pretend.sourced import ASSUMED, Sourced
from workbench.pretend.tables import Rows, make_tables
from workbench.pretend.timetable import Times

if TYPE_CHECKING:
    from workbench.pretend.city import City
    from workbench.pretend.people import Persons

MISSING = Sourced(
    {"age": 0.006, "sex": 0.004, "weight": 0.35, "body_part": 0.07, "description": 0.02},
    "share of the exams that do not state it",
    ASSUMED,
)
IMAGES = Sourced(
    (0.25, 8),
    "spread of the logarithm of the images of an exam; fewer are as the protocol says",
    ASSUMED,
)


@dataclass(frozen=True)
class Month:
    """Hold what one facility did in one month.

    Parameters
    ----------
    exams, reports
        One row an exam; an exam that is planted twice stands twice in `exams`.
    planted
        Exam identifiers of what is spoilt, by kind; for `patient` those of the patient with many
        exams.
    """

    exams: pa.Table
    reports: pa.Table
    planted: dict[str, list[str]] = field(repr=False)


def make_month(city: City, facility: int, month: int) -> Month:
    """Make the exams and reports of one facility in one month.

    Parameters
    ----------
    city
        The city.
    facility, month
        Numbers of both, from 0.
    """
    place, roster, protocols = (facility, month), city.roster, city.protocols
    stream = city.stream("month", *place)
    spoilt = Spoilt(city.plants.defects.get(place, {}), city.stream("spoilt", *place))
    first, end = (int(d) for d in city.demand.first_days[month : month + 2])
    held = slice(*(int(i) for i in roster.held[facility : facility + 2]))
    counts = stream.poisson(city.rates[held, first:end]).astype(np.int64)
    n = int(counts.sum())
    bits = _draw_bits(stream, 21, n)
    normal = stream.standard_normal((8, n), np.float32)
    waits = (
        stream.standard_exponential(n, np.float32),
        stream.standard_exponential(counts.size, np.float32),
    )

    per_device = counts.sum(axis=1)
    device = np.repeat(np.arange(held.start, held.stop), per_device)
    modality = roster.modality[device]
    slices = _slices(roster.modality[held], per_device)
    protocol = protocols.choice.ravel()[modality * 4096 + (bits[0] >> 4)].astype(np.intp)
    hours = roster.hours[held][:, city.day_kinds[first:end]].ravel()
    minutes = protocols.minutes[protocol] * np.exp(normal[0] * np.float32(SPREAD.value))
    times = city.timetable.place(
        counts.ravel(), hours, minutes, roster.changeover[device], days=end - first, waits=waits
    )

    today = city.first_day + first
    persons = _invite(city, facility, modality, today, bits[1:6])
    patient = _plant_patient(city, place, slices, persons, spoilt)
    protocol[patient] = protocols.number[MANY.value[2]]
    number = people.patient_number(persons.number)
    day = times.start // 86400 + today
    age = np.maximum(day.astype(np.float32) - persons.birth, 0) / np.float32(365.25)
    weight = people.weigh(persons, number, age)
    no_dose = (bits[6] < _chance(MISSING_DOSE.value)) | ~roster.sends_dose[device]
    no_dose[patient] = False
    level = roster.dose[device]
    if facility == city.above.facility:
        level = level + (protocol == city.above.protocol) * np.float32(city.above.extra)
    doses = city.doses.draw(
        slices, protocol, level, weight, age, normal=normal[1:3], missing=no_dose
    )

    last = _last_of_day(counts.ravel())
    if spoilt.wanted:
        closes = np.repeat(roster.windows[hours, 1] * 60, counts.ravel())
        move_outside_hours(spoilt, times, closes, last)
    written = city.writing.write(
        city.habits[facility], modality, protocol, times, normal=normal[3:7], bits=bits[7:16]
    )
    ahead = roster.clock_s[device] + today * 86400
    clock = Times(times.start + ahead, times.end + ahead)
    years = np.where(age < 2, np.floor(age * 12) / np.float32(12), np.floor(age))
    unsaid = {k: bits[16 + i] < _chance(v) for i, (k, v) in enumerate(MISSING.value.items())}
    years[unsaid["age"]] = np.nan
    weight[unsaid["weight"]] = np.nan
    if spoilt.wanted:
        spoil_times(spoilt, clock, day, ~last)
        spoil_values(spoilt, years, doses, doses.dlp_mgy_cm > 0)
    images = _count_images(protocols.images[protocol], normal[7])
    rows = Rows(
        place, device, modality, protocol, number, persons.female, years, weight, clock, doses,
        images, unsaid,
    )  # fmt: skip
    exams, reports = make_tables(city, rows, written, today)
    return _finish(exams, reports, spoilt, patient)


def _finish(
    exams: pa.Table, reports: pa.Table, spoilt: Spoilt, patient: npt.NDArray[np.int64]
) -> Month:
    """Repeat some exams, and tell what is planted."""
    uid = exams["exam_uid"]
    again = spoilt.choose("duplicate", None, len(exams))
    if len(again):
        exams = pa.concat_tables([exams, exams.take(pa.array(again))])
    rows = {**spoilt.rows, "patient": [int(row) for row in patient]}
    planted = {kind: [uid[i].as_py() for i in held] for kind, held in rows.items() if held}
    return Month(exams, reports, planted)


def _chance(share: float) -> int:
    """Return a share in 65,536ths, to compare with 16 random bits."""
    return round(share * 65536)


def _draw_bits(stream: np.random.Generator, rows: int, n: int) -> npt.NDArray[np.uint16]:
    """Return 16 random bits each; drawn as 64 together, which takes half the time."""
    words = stream.integers(0, 2**64, -(-rows * n // 4), np.uint64)
    return words.view(np.uint16)[: rows * n].reshape(rows, n)


def _last_of_day(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return whether an exam is the last of its device and day."""
    last = np.zeros(int(counts.sum()), bool)
    last[np.cumsum(counts)[counts > 0] - 1] = True
    return last


def _count_images(
    typical: npt.NDArray[np.float32], normal: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    spread, few = IMAGES.value
    varied = np.rint(typical * np.exp(normal * np.float32(spread)))
    images: npt.NDArray[np.float32] = np.where(typical > few, varied, typical)
    return images


def _slices(modality: npt.NDArray[np.intp], counts: npt.NDArray[np.int64]) -> dict[str, slice]:
    """Return the rows of each modality; devices of one modality stand together."""
    found: dict[str, slice] = {}
    end = 0
    for code, number in zip(modality, counts, strict=True):
        name = MODALITIES[code]
        start = found[name].start if name in found else end
        end += int(number)
        found[name] = slice(start, end)
    return found


def _invite(
    city: City,
    facility: int,
    modality: npt.NDArray[np.intp],
    day: int,
    bits: npt.NDArray[np.uint16],
) -> Persons:
    """Choose who comes: most live in the quarter of the facility, the others in its district."""
    quarters = city.quarters[city.facilities[facility].district]
    other = quarters[(bits[0].astype(np.uint32) * np.uint32(len(quarters))) >> np.uint32(16)]
    quarter = np.where(bits[1] < _chance(AT_HOME.value), facility, other)
    return city.quarter.draw(modality, quarter, day, bits[2:5])


def _plant_patient(
    city: City,
    place: tuple[int, int],
    slices: dict[str, slice],
    persons: Persons,
    spoilt: Spoilt,
) -> npt.NDArray[np.int64]:
    """Let many exams be those of one patient, and return their rows."""
    planned = city.plants.patient
    if planned is None or planned[0] != place[0] or "CT" not in slices:
        return np.zeros(0, np.int64)
    scans = np.arange(slices["CT"].start, slices["CT"].stop)
    rows = np.sort(spoilt.stream.permutation(scans)[: planned[1].get(place[1], 0)])
    person = city.quarter.find(place[0], female=False, born=1958)
    persons.number[rows], persons.birth[rows], persons.female[rows] = person
    spoilt.kept.update(int(row) for row in rows)
    return rows
