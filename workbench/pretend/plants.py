"""Plants: what is wrong in the pretend city on purpose, and where."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from workbench.pretend.fleet import Device
from workbench.pretend.sourced import ASSUMED, Sourced

CLOCK_OFF = Sourced(12, "min that one device is ahead or behind", ASSUMED)
ABOVE = Sourced(
    (1.5, ("CT_HEAD", "CT_CHEST", "CT_ABDPELVIS")),
    "dose of one facility over the reference level; for one of these protocols",
    ASSUMED,
)
MANY = Sourced((36, 10, "CT_CAP"), "exams of one patient; months; protocol", ASSUMED)
DOWN = Sourced((32, 45), "days that one device is down: shortest and longest", ASSUMED)
DEFECTS = Sourced((2e-5, 8), "exams of each kind of defect, share and at least", ASSUMED)
KINDS = (
    "ends_before_start",
    "age_impossible",
    "date_impossible",
    "dose_negative",
    "dose_absurd",
    "duplicate",
    "overlap",
    "outside_hours",
)
Place = tuple[int, int]
"""Number of a facility, and of a month."""


@dataclass(frozen=True)
class Plants:
    """Hold what is planted, by position in the list of digital devices and by facility.

    Parameters
    ----------
    clock
        Device whose clock is wrong.
    above
        Facility, and name of the protocol, above the reference level.
    down
        Device, first day and number of days.
    shared
        Two devices with one serial number: the second has that of the first.
    patient
        Facility of the patient with many exams, and exams of each month.
    defects
        For each place the exams of each kind.
    """

    clock: int | None = None
    above: tuple[int, str] | None = None
    down: tuple[int, int, int] | None = None
    shared: tuple[int, int] | None = None
    patient: tuple[int, dict[int, int]] | None = None
    defects: dict[Place, dict[str, int]] = field(default_factory=dict)


def plant_faults(
    devices: tuple[Device, ...], start: dt.date, days: int, months: int, stream: np.random.Generator
) -> tuple[Plants, tuple[Device, ...]]:
    """Choose what is wrong with devices and patients.

    Parameters
    ----------
    devices
        Digital devices.
    start
        First day of the period: what is installed later is left alone.
    days, months
        Length of the period.
    stream
        Random numbers.

    Returns
    -------
    tuple
        What is planted, and the devices as they then are.
    """
    made = list(devices)
    wanted = ("CT", "DX", "MR", "MG", "CR")
    old = [i for i, d in enumerate(made) if d.modality in wanted and d.installed < start]
    free = [int(i) for i in stream.permutation(old)]
    shared = _pair(made, free)
    if shared:
        made[shared[1]] = replace(made[shared[1]], serial=made[shared[0]].serial)
    clock = free.pop()
    ahead = 60 * CLOCK_OFF.value * (1 if stream.random() < 0.5 else -1)
    made[clock] = replace(made[clock], clock_s=made[clock].clock_s + ahead)
    down = None
    shortest, longest = DOWN.value
    if days > 2 * longest and free:
        length = int(stream.integers(shortest, longest + 1))
        # Not at the edges, where it would look like a device that came later or left.
        down = (free.pop(), int(stream.integers(15, days - length - 15)), length)
    scanners = sorted({made[i].facility.number for i in old if made[i].modality == "CT"})
    numbers = [int(n) for n in stream.permutation(scanners)][:2]
    for i, device in enumerate(made):
        if device.modality == "CT" and device.facility.number in numbers:
            made[i] = replace(device, sends_dose=True)
    above = (numbers[0], str(stream.choice(ABOVE.value[1])))
    exams, span, _ = MANY.value
    first = int(stream.integers(max(1, months - span + 1)))
    held = range(first, min(first + span, months))
    each = np.diff(np.round(np.linspace(0, exams, len(held) + 1)).astype(int))
    patient = (numbers[-1], dict(zip(held, map(int, each), strict=True)))
    return Plants(clock, above, down, shared, patient), tuple(made)


def plant_defects(
    expected: npt.NDArray[np.float64], stream: np.random.Generator
) -> dict[Place, dict[str, int]]:
    """Choose how many exams of each kind of defect each place has.

    Parameters
    ----------
    expected : (facilities, months)
        Exams that each place can expect; 0 where none shall be planted.
    stream
        Random numbers.
    """
    share, least = DEFECTS.value
    total = float(expected.sum())
    found: dict[Place, dict[str, int]] = {}
    for kind in KINDS:
        number = max(least, round(share * total))
        for place in stream.choice(expected.size, size=number, p=expected.ravel() / total):
            held = found.setdefault(divmod(int(place), expected.shape[1]), {})
            held[kind] = held.get(kind, 0) + 1
    return found


def _pair(devices: Sequence[Device], free: list[int]) -> tuple[int, int] | None:
    """Return two free devices of one modality and district in two facilities."""
    for place, first in enumerate(free):
        for second in free[place + 1 :]:
            one, two = devices[first], devices[second]
            if (
                one.modality == two.modality
                and one.facility.district == two.facility.district
                and one.facility != two.facility
            ):
                free.remove(first)
                free.remove(second)
                return first, second
    return None
