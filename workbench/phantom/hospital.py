"""Hospital: five pretend hospitals, whom they scan, on what, how, and how well they read it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np

from workbench.errors import UsageError, show, suggest
from workbench.phantom.noise import Kernel
from workbench.pretend.sourced import ASSUMED, Sourced

START = Sourced(dt.date(2025, 1, 1), "first day of the twelve months", ASSUMED)
UPDATE_MONTH = Sourced(7, "month of the software update, from 1", ASSUMED)
CHILD_DOSE = Sourced(0.22, "dose at birth over that of an adult", ASSUMED)
DOSE_SPREAD = Sourced(0.28, "spread of the logarithm of CTDIvol", ASSUMED)
SHARED_ERRORS = Sourced(0.3, "share of the exams in which both readers fail together", ASSUMED)
ENRICHED = Sourced(
    0.45,
    "share of the imaged exams with a malignant nodule",
    f"{ASSUMED}: enriched, as test sets are",
)


@dataclass(frozen=True)
class Device:
    """Describe a scanner.

    Parameters
    ----------
    manufacturer, model, station, serial : str
        As its files state them.
    software : (str, str)
        Version before and after the update.
    smooth, sharp : Kernel
        For soft tissue and for the lung.
    hu_offset : float
        Error of its calibration, HU.
    """

    manufacturer: str
    model: str
    station: str
    serial: str
    software: tuple[str, str]
    smooth: Kernel
    sharp: Kernel
    hu_offset: float = 0.0


@dataclass(frozen=True)
class Update:
    """Say what the software update changes.

    Parameters
    ----------
    hu_shift : float
        Added to all values, HU.
    width, edges, noise : float
        What kernels are multiplied by in width and noise, and what is added to their edges.
    suffix : str
        Put behind the name of a kernel.
    """

    hu_shift: float
    width: float = 0.8
    edges: float = 0.35
    noise: float = 1.25
    suffix: str = "+"

    def change(self, kernel: Kernel) -> Kernel:
        """Return what a kernel has become."""
        return Kernel(
            kernel.name + self.suffix,
            kernel.width_mm * self.width,
            kernel.sharp + self.edges,
            kernel.noise * self.noise,
        )


@dataclass(frozen=True)
class Hospital:
    """Describe a pretend hospital.

    Parameters
    ----------
    id, name : str
        For files and for people.
    devices : tuple of Device
        Each exam is on one of them, evenly.
    update : Update
        What the software of all devices becomes.
    slices : tuple of (float, float)
        Thickness in mm, and share of the exams.
    dose_mgy : float
        Median CTDIvol of adults.
    sharp, contrast, moving : float
        Share of the exams with a sharp kernel, with contrast medium, and of patients who breathe.
    children : float
        Share of the exams of patients below 18.
    adult_age : (float, float)
        Mean and spread, years.
    women : float
        Share.
    prevalence : float
        Share of the exams of a year with a malignant nodule.
    benign : float
        Benign nodules a patient, mean.
    readers : tuple of (float, float)
        Sensitivity and specificity of the first and the second reader.
    words : (str, str)
        What exam and protocol are called.
    offset : str
        Of its clocks from UTC, as DICOM writes it.
    wider_mm : int
        Added to the field of view.
    """

    id: str
    name: str
    devices: tuple[Device, ...]
    update: Update
    slices: tuple[tuple[float, float], ...]
    dose_mgy: float
    sharp: float
    contrast: float
    moving: float
    children: float
    adult_age: tuple[float, float]
    women: float
    prevalence: float
    benign: float
    readers: tuple[tuple[float, float], tuple[float, float]]
    words: tuple[str, str]
    offset: str
    wider_mm: int = 0

    def device(self, number: int, month: int) -> tuple[Device, float]:
        """Return a device as it is in a month, and the error of its values in HU."""
        device = self.devices[number % len(self.devices)]
        if month < UPDATE_MONTH.value:
            return replace(device, software=device.software[:1] * 2), device.hu_offset
        changed = replace(
            device,
            software=device.software[1:] * 2,
            smooth=self.update.change(device.smooth),
            sharp=self.update.change(device.sharp),
        )
        return changed, device.hu_offset + self.update.hu_shift


def _device(  # noqa: PLR0917
    made: tuple[str, str], number: str, software: tuple[str, str], smooth: tuple[str, float],
    sharp: tuple[str, float], hu_offset: float,
) -> Device:  # fmt: skip
    return Device(
        *made, f"CT{number}", f"ph{number}", software, Kernel(smooth[0], smooth[1]),
        Kernel(sharp[0], 0.7 * sharp[1], 0.9, 1.7), hu_offset,
    )  # fmt: skip


_CANON = ("Canon Medical Systems", "Aquilion Prime SP")
_TOP = ("SIEMENS", "SOMATOM go.Top")
_UIH = ("UIH", "uCT 760")
_NEUSOFT = ("Neusoft Medical Systems", "NeuViz 128")
_GE = ("GE MEDICAL SYSTEMS", "Revolution EVO")
_PHILIPS = ("Philips", "Ingenuity CT")
_TOSHIBA = ("TOSHIBA", "Aquilion 64")

HOSPITALS = Sourced(
    (
        Hospital(
            id="hospital_moscow", name="Pretend hospital, Moscow-like",
            devices=(_device(_CANON, "101", ("V10.6", "V10.9"), ("FC08", 1.25), ("FC52", 0.9),
                             0.0),
                     _device(_TOP, "102", ("VA30A", "VA40A"), ("Br40", 1.15), ("Bl57", 0.9), 2.0)),
            update=Update(hu_shift=8.0), slices=((5.0, 0.78), (3.0, 0.17), (2.0, 0.05)),
            dose_mgy=5.5, sharp=0.25, contrast=0.15, moving=0.10, children=0.06,
            adult_age=(61.0, 12.0), women=0.48, prevalence=0.09, benign=0.8,
            readers=((0.90, 0.90), (0.86, 0.93)),
            words=("КТ органов грудной клетки", "Грудная клетка"), offset="+0300",
        ),
        Hospital(
            id="hospital_chengdu", name="Pretend hospital, Chengdu-like",
            devices=(_device(_UIH, "201", ("R004", "R006"), ("B_SOFT_B", 1.2), ("B_SHARP_C", 0.8),
                             -3.0),
                     _device(_NEUSOFT, "202", ("9.3", "9.8"), ("F20", 1.3), ("F60", 0.9),
                             4.0)),
            update=Update(hu_shift=12.0), slices=((5.0, 0.86), (2.5, 0.11), (1.0, 0.03)),
            dose_mgy=6.5, sharp=0.35, contrast=0.25, moving=0.12, children=0.08,
            adult_age=(57.0, 13.0), women=0.45, prevalence=0.12, benign=1.2,
            readers=((0.88, 0.88), (0.84, 0.92)), words=("胸部CT平扫", "胸部"), offset="+0800",
            wider_mm=10,
        ),
        Hospital(
            id="hospital_beijing", name="Pretend hospital, Beijing-like, for children",
            devices=(_device(_GE, "301", ("23MW04", "24MW10"), ("STANDARD", 1.1), ("LUNG", 0.8),
                             1.0),),
            update=Update(hu_shift=10.0),
            slices=((5.0, 0.45), (3.0, 0.40), (2.0, 0.13), (1.0, 0.02)),
            dose_mgy=6.0, sharp=0.20, contrast=0.40, moving=0.35, children=1.0,
            adult_age=(40.0, 10.0), women=0.47, prevalence=0.10, benign=0.6,
            readers=((0.90, 0.91), (0.87, 0.93)), words=("儿童胸部CT", "儿童胸部"), offset="+0800",
        ),
        Hospital(
            id="hospital_hong_kong", name="Pretend hospital, Hong Kong-like",
            devices=(_device(_PHILIPS, "401", ("4.1.7", "4.1.10"), ("B", 1.2), ("YC", 0.85), 0.0),
                     _device(_TOP, "402", ("VA40A", "VA50A"), ("Br36", 1.25),
                             ("Bl60", 0.85), -1.0)),
            update=Update(hu_shift=6.0), slices=((5.0, 0.80), (3.0, 0.18), (1.0, 0.02)),
            dose_mgy=4.5, sharp=0.30, contrast=0.45, moving=0.10, children=0.05,
            adult_age=(66.0, 12.0), women=0.50, prevalence=0.14, benign=1.0,
            readers=((0.92, 0.92), (0.90, 0.94)), words=("CT Thorax", "THORAX"), offset="+0800",
        ),
        Hospital(
            id="hospital_osh", name="Pretend hospital, Osh-like",
            devices=(_device(_TOSHIBA, "501", ("V4.8", "V5.1"), ("FC10", 1.4), ("FC50", 1.0),
                             6.0),),
            update=Update(hu_shift=15.0), slices=((5.0, 0.90), (3.0, 0.10)),
            dose_mgy=8.5, sharp=0.15, contrast=0.10, moving=0.20, children=0.15,
            adult_age=(52.0, 15.0), women=0.52, prevalence=0.08, benign=0.9,
            readers=((0.84, 0.85), (0.80, 0.88)),
            words=("КТ грудной клетки", "Көкүрөк КТ"), offset="+0600", wider_mm=20,
        ),
    ),
    "hospitals",
    f"{ASSUMED}; the names of devices are those of real ones, their kernels only look alike",
)  # fmt: skip


def find_hospital(name: str) -> Hospital:
    """Return one of the hospitals by its id.

    Raises
    ------
    UsageError
        If there is none.
    """
    known = {hospital.id: hospital for hospital in HOSPITALS.value}
    if name not in known:
        raise UsageError(
            f"There is no pretend hospital {show(name)!r}",
            where="hospitals",
            todo=suggest(name, list(known)),
        )
    return known[name]


def draw_age(hospital: Hospital, stream: np.random.Generator) -> float:
    """Return an age: of a child, evenly from birth, or of an adult."""
    if stream.random() < hospital.children:
        return float(stream.uniform(0, 18))
    mean, spread = hospital.adult_age
    return float(np.clip(stream.normal(mean, spread), 18, 95))


def draw_dose(hospital: Hospital, age_years: float, stream: np.random.Generator) -> float:
    """Return a CTDIvol, mGy: lower in children."""
    part = CHILD_DOSE.value + (1 - CHILD_DOSE.value) * min(age_years / 18, 1)
    spread = np.exp(DOSE_SPREAD.value * np.clip(stream.standard_normal(), -2.5, 2.5))
    return round(float(hospital.dose_mgy * part * spread), 2)


def draw_time(days: int, stream: np.random.Generator) -> dt.datetime:
    """Return a time in the working hours of a day, counted from the first."""
    midnight = dt.datetime.combine(START.value + dt.timedelta(days=days), dt.time())
    return midnight + dt.timedelta(seconds=int(stream.integers(8 * 3600, 19 * 3600)))


def read_exam(truth: int, hospital: Hospital, stream: np.random.Generator) -> tuple[int, int]:
    """Return whether each of two readers calls an exam positive; some errors are of both."""
    chances = stream.random(2)
    if stream.random() < SHARED_ERRORS.value:
        chances[1] = chances[0]
    said = []
    for chance, (sensitivity, specificity) in zip(chances, hospital.readers, strict=True):
        right = chance < (sensitivity if truth else specificity)
        said.append(int(truth if right else 1 - truth))
    return said[0], said[1]
