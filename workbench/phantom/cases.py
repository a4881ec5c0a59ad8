"""Cases: the imaged exams of a hospital over a year, planned from a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from workbench.errors import UsageError
from workbench.phantom.anatomy import Subject, make_subject
from workbench.phantom.exam import Scan
from workbench.phantom.hospital import (
    ENRICHED,
    HOSPITALS,
    Device,
    Hospital,
    draw_age,
    draw_dose,
    draw_time,
    read_exam,
)
from workbench.phantom.nodules import Nodule, make_nodules
from workbench.phantom.noise import Kernel
from workbench.phantom.series import Label
from workbench.phantom.thorax import Thorax
from workbench.pretend.sourced import ASSUMED, Sourced

PLANTED = ("thick_slices", "missing_slices", "localiser_only", "not_chest", "corrupt_file")
"""What is wrong with some exams on purpose."""
EVERY = Sourced(60, "imaged exams, or a part of them, for one of each that is planted", ASSUMED)
THICK = Sourced(10.0, "mm, slices of the exam that is too thick", ASSUMED)
AGAIN = Sourced((0.10, 60, 150), "share of follow-up exams; days after, from and to", ASSUMED)
BESIDE = Sourced(
    (0.30, 0.12, 0.10),
    "share of exams with a localiser, a second reconstruction, and a wrong or no description",
    ASSUMED,
)
MOVED = Sourced((3.0, 8.0), "mm that the diaphragm of a patient who breathes moves", ASSUMED)
FEWEST = 10
"""Exams of a hospital at least, so that something can be planted."""


@dataclass(frozen=True)
class Case:
    """Hold the plan of one exam; nothing is painted yet.

    Parameters
    ----------
    number : int
        Of the exam in its hospital, from 0; it names the folder.
    subject : Subject
        Who is scanned.
    nodules : tuple of Nodule
        In the frame of the thorax.
    scan : Scan
        How.
    device : Device
        On what.
    label : Label
        What files state.
    readers : (int, int)
        Whether each calls it positive.
    planted : str
        What is wrong on purpose, or "".
    localiser, second : bool
        Whether there is a localiser, and a second reconstruction.
    seed : tuple of int
        Of the noise.
    """

    number: int
    subject: Subject
    nodules: tuple[Nodule, ...]
    scan: Scan
    device: Device
    label: Label
    readers: tuple[int, int]
    planted: str
    localiser: bool
    second: bool
    seed: tuple[int, ...]

    @property
    def truth(self) -> int:
        """1 where a nodule is malignant, else 0."""
        return int(any(nodule.malignant for nodule in self.nodules))

    @property
    def other_kernel(self) -> Kernel:
        """Kernel of the second reconstruction."""
        smooth, sharp = self.device.smooth, self.device.sharp
        return smooth if self.scan.kernel == sharp else sharp


def plan_cases(hospital: Hospital, exams: int, seed: int, *, pixels: int = 128) -> list[Case]:
    """Plan the imaged exams of a hospital over twelve months.

    Parameters
    ----------
    hospital
        Which.
    exams
        How many, at least 10.
    seed
        Decides everything.
    pixels
        Along a side of a slice.

    Returns
    -------
    list of Case
        By number; a follow-up exam stands behind the one that it follows.

    Raises
    ------
    UsageError
        If there are too few.

    Examples
    --------
    >>> from workbench.phantom.hospital import find_hospital
    >>> cases = plan_cases(find_hospital("hospital_osh"), 60, seed=1)
    >>> len(cases), sum(bool(case.planted) for case in cases)
    (60, 5)
    """
    if exams < FEWEST or seed < 0:
        raise UsageError(
            "The hospital cannot be made",
            where=f"exams {exams}, seed {seed}",
            todo=f"Name {FEWEST} exams or more, and a seed of 0 or more",
        )
    key = (seed, [h.id for h in HOSPITALS.value].index(hospital.id))
    stream = np.random.default_rng([*key, 0])
    thickness = stream.permutation(_quota(hospital.slices, exams))
    kinds = _plant(exams, stream)
    cases: list[Case] = []
    for number in range(exams):
        own = np.random.default_rng([*key, 1, number])
        last = cases[-1] if cases else None
        cases.append(
            _plan(
                hospital,
                key,
                number,
                last,
                own,
                float(thickness[number]),
                kinds.get(number, ""),
                pixels,
            )
        )
    return cases


def _quota(shares: tuple[tuple[float, float], ...], number: int) -> list[float]:
    """Return values in about these shares, so that every seed needs about the same disk."""
    bounds = np.cumsum([share for _, share in shares]) / sum(share for _, share in shares)
    at = (np.arange(number) + 0.5) / number
    return [shares[int(i)][0] for i in np.searchsorted(bounds, at)]


def _plant(exams: int, stream: np.random.Generator) -> dict[int, str]:
    many = -(-exams // EVERY.value)
    chosen = stream.permutation(exams)[: many * len(PLANTED)]
    return {int(number): PLANTED[i % len(PLANTED)] for i, number in enumerate(chosen)}


def _plan(  # noqa: PLR0917
    hospital: Hospital,
    key: tuple[int, int],
    number: int,
    last: Case | None,
    stream: np.random.Generator,
    slice_mm: float,
    planted: str,
    pixels: int,
) -> Case:
    share, soonest, latest = AGAIN.value
    days = int(stream.integers(0, 365))
    later = int(stream.integers(soonest, latest))
    begun = 0 if last is None else last.label.time.timetuple().tm_yday - 1
    again = stream.random() < share and last is not None and begun + later < 365
    contrast = bool(stream.random() < hospital.contrast)
    if last is not None and again:
        days = begun + later
        subject = last.subject.grown(later / 365.25)
        nodules = tuple(nodule.after(later) for nodule in last.nodules)
        patient_id = last.label.patient_id
    else:
        shape = int(np.random.default_rng([*key, 2, number]).integers(2**31))
        sex = "F" if stream.random() < hospital.women else "M"
        subject = make_subject(draw_age(hospital, stream), sex, stream, shape=shape)
        malignant = int(stream.random() < ENRICHED.value)
        nodules = make_nodules(
            Thorax(subject, contrast),
            malignant,
            int(min(stream.poisson(hospital.benign), 5)),
            stream,
        )
        patient_id = f"{hospital.id.removeprefix('hospital_').upper()}-{key[0]:03d}-{number:04d}"
    time = draw_time(days, stream)
    device, offset = hospital.device(int(stream.integers(len(hospital.devices))), time.month)
    kernel = device.sharp if stream.random() < hospital.sharp else device.smooth
    moves = stream.random() < hospital.moving
    scan = Scan(
        kernel=kernel,
        slice_mm=THICK.value if planted == "thick_slices" else slice_mm,
        ctdivol_mgy=draw_dose(hospital, subject.age_years, stream),
        field_mm=int(np.ceil(subject.width_mm * 1.09 / 10) * 10) + hospital.wider_mm,
        pixels=pixels,
        contrast=contrast,
        breathing_mm=round(float(stream.uniform(*MOVED.value)), 1) if moves else 0.0,
        hu_offset=offset,
        table_mm=round(float(stream.uniform(300, 900)), 1),
        abdomen=planted == "not_chest",
    )
    label = Label(
        key=f"workbench phantom {hospital.id} {key[0]} {number}",
        patient_id=patient_id,
        sex=subject.sex,
        age_years=subject.age_years,
        mass_kg=subject.mass_kg,
        time=time,
        attributes=_attributes(hospital, device, scan, bool(stream.random() < BESIDE.value[2])),
    )
    beside = stream.random(2)
    case = Case(number, subject, nodules, scan, device, label, (0, 0), planted,
                bool(beside[0] < BESIDE.value[0]), bool(beside[1] < BESIDE.value[1]),
                (*key, 3, number))  # fmt: skip
    return replace(case, readers=read_exam(case.truth, hospital, stream))


def _attributes(hospital: Hospital, device: Device, scan: Scan, misnamed: bool) -> dict[str, Any]:
    """Return what the files of an exam state of device and protocol."""
    exam, protocol = hospital.words
    seconds = 0.5
    current = round(scan.ctdivol_mgy * 30)
    return {
        "Manufacturer": device.manufacturer,
        "ManufacturerModelName": device.model,
        "InstitutionName": hospital.name,
        "StationName": device.station,
        "DeviceSerialNumber": device.serial,
        "SoftwareVersions": device.software[0],
        "TimezoneOffsetFromUTC": hospital.offset,
        "StudyDescription": "" if misnamed else exam,
        "SeriesDescription": "" if misnamed else f"{protocol} {scan.slice_mm:g} {scan.kernel.name}",
        "ProtocolName": protocol,
        "BodyPartExamined": "ABDOMEN" if misnamed else "CHEST",
        "ContrastBolusAgent": "Iohexol" if scan.contrast else None,
        "KVP": "120",
        "XRayTubeCurrent": current,
        "ExposureTime": int(1000 * seconds),
        "Exposure": round(current * seconds),
        "CTDIvol": scan.ctdivol_mgy,
        "ConvolutionKernel": scan.kernel.name,
        "GantryDetectorTilt": "0",
        "ReconstructionDiameter": str(scan.field_mm),
        "FilterType": "BODY",
    }
