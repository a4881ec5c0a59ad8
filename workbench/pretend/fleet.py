"""Fleet: the register of devices of the pretend city, their clocks, their down times."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from workbench.pretend.facilities import Facility, Windows
from workbench.pretend.models import MODELS
from workbench.pretend.service import MODALITIES, Demand, day_weights
from workbench.pretend.sourced import ASSUMED, PLAN, Sourced

DEVICES = Sourced(
    {"CT": 210, "MR": 95, "MG": 140, "DX": 330, "RF": 45, "XA": 28, "US": 110, "PX": 35, "NM": 8,
     "PT": 10, "BMD": 14},
    "digital devices of the whole city; 1,025 of 1,230 are 83 percent",
    f"{PLAN}: 1,200+ devices, over 80 percent digital; how many of each is assumed",
)  # fmt: skip
FILM = Sourced(
    {"RG": 110, "MG": 25, "RF": 25, "PX": 25, "US": 20}, "devices that send nothing", ASSUMED
)
PLATES = Sourced(0.2, "share of the radiography rooms with plates (CR)", ASSUMED)
QUIETER = Sourced(
    (6, 0.06),
    "times as many devices for the exams of a small city, up to those of this share of the city",
    ASSUMED,
)
RARE = Sourced(250, "exams a year below which a small city has no such device", ASSUMED)
ATTRACTION = Sourced(
    {"hospital": 2.0, "polyclinic": 1.0, "clinic": 0.5}, "devices of a facility, parts", ASSUMED
)
LOAD = Sourced(
    {"hospital": 1.45, "polyclinic": 1.0, "clinic": 0.55},
    "exams of a device, parts; of hospitals only where they are open round the clock",
    ASSUMED,
)
LOAD_SPREAD = Sourced(0.16, "standard deviation of the logarithm of the exams of devices", ASSUMED)
NEW = Sourced(0.10, "share of the devices that are installed in the period", ASSUMED)
RETIRED = Sourced(
    0.15,
    "share of the film devices that are retired in the period",
    "assumed; the plan says that film is replaced",
)
FIRST_INSTALLED = Sourced(2007, "year of the oldest device", ASSUMED)
CLOCK = Sourced((18, 75), "s: standard deviation and largest error of a clock", ASSUMED)
BREAKDOWNS = Sourced((2.2, 0.45, 6), "a year; chance that it ends each day; days at most", ASSUMED)
NO_DOSE = Sourced(0.05, "share of the devices that send no dose", ASSUMED)
DOSE_OF_DEVICE = Sourced(
    (0.74, 0.07, 0.12),
    "typical dose over the reference level; spread and largest spread of the logarithm by device",
    "assumed, so that nine facilities of ten lie below the reference level (ICRP 135: its P75)",
)


@dataclass(frozen=True)
class Device:
    """Describe one device.

    Parameters
    ----------
    facility
        Where it stands.
    modality
        What it does; "RG" for film.
    serial, station
        Names of the device and of its place.
    manufacturer, model, software
        What it is.
    installed, retired
        First day, and first day without it; None if it is still there.
    digital
        Whether it sends images.
    clock_s
        Seconds that its clock is ahead.
    dose
        Typical dose over the reference level.
    sends_dose
        Whether its exams carry a dose.
    """

    facility: Facility
    modality: str
    serial: str
    station: str
    manufacturer: str
    model: str
    software: str
    installed: dt.date
    retired: dt.date | None = None
    digital: bool = True
    clock_s: int = 0
    dose: float = 1.0
    sends_dose: bool = True

    @property
    def windows(self) -> Windows:
        """When it is open on weekdays, Saturday and Sunday, min since midnight."""
        return self.facility.windows(self.modality)


@dataclass(frozen=True)
class Fleet:
    """Hold all devices, and how many exams each can expect a day.

    Parameters
    ----------
    devices
        Digital devices by facility and modality, then film.
    rates : (digital devices, days) float32
        Expected exams.
    """

    devices: tuple[Device, ...]
    rates: npt.NDArray[np.float32]


def place_devices(
    scale: float, facilities: tuple[Facility, ...], demand: Demand, stream: np.random.Generator
) -> tuple[Device, ...]:
    """Return the devices, those of a facility together and in the order of `MODALITIES`."""
    placed: list[Device] = []
    year = demand.exams[:, -12:].sum(axis=1) * 12 / min(12, demand.months)
    for modality, number in DEVICES.value.items():
        expected = year[MODALITIES.index(modality)]
        if scale < 1 and expected < RARE.value:
            continue
        count = max(round(number * scale), 1)
        times, most = QUIETER.value
        small = round(number * min(scale * times, most))
        count = max(count, min(len(facilities), small))
        for facility in _spread(count, modality, facilities, stream):
            plates = modality == "DX" and stream.random() < PLATES.value
            placed.append(_make(facility, "CR" if plates else modality, demand, stream, True))
    for modality, number in FILM.value.items():
        for facility in _spread(round(number * scale), modality, facilities, stream):
            placed.append(_make(facility, modality, demand, stream, False))
    placed = _renew(placed, demand, stream)
    order = [*MODALITIES, "RG"]
    placed.sort(key=lambda d: (not d.digital, d.facility.number, order.index(d.modality)))
    return tuple(_number(placed))


def _spread(
    count: int, modality: str, facilities: tuple[Facility, ...], stream: np.random.Generator
) -> list[Facility]:
    """Choose a facility for each device: the larger have more, and every district has its share."""
    kinds = ATTRACTION.value
    able = [f for f in facilities if modality != "XA" or f.kind == "hospital"] or [*facilities]
    rank = stream.permutation(len(able)) // 5
    weights = np.array([kinds[f.kind] for f in able])
    quota = count * weights / weights.sum()
    if count < len(able):
        quota = np.zeros(len(able))
    held = np.floor(quota).astype(int)
    rest = np.lexsort((stream.random(len(able)), rank))[: count - held.sum()]
    held[rest] += 1
    return [f for f, n in zip(able, held, strict=True) for _ in range(n)]


def _make(
    facility: Facility, modality: str, demand: Demand, stream: np.random.Generator, digital: bool
) -> Device:
    models = MODELS.value[modality]
    parts = np.array([part for _, _, part in models], float)
    manufacturer, model, _ = models[stream.choice(len(models), p=parts / parts.sum())]
    oldest = dt.date(FIRST_INSTALLED.value, 1, 1)
    installed = oldest + dt.timedelta(days=int(stream.integers((demand.start - oldest).days)))
    spread, most = CLOCK.value
    typical, by_device, largest = DOSE_OF_DEVICE.value
    return Device(
        facility,
        modality,
        serial=f"{manufacturer[0].upper()}{stream.integers(10**7, 10**8)}",
        station="",
        manufacturer=manufacturer,
        model=model,
        software=f"{stream.integers(2, 9)}.{stream.integers(0, 6)}",
        installed=installed,
        digital=digital,
        clock_s=round(float(np.clip(stream.normal(0, spread), -most, most))),
        dose=typical * float(np.exp(np.clip(stream.normal(0, by_device), -largest, largest))),
        sends_dose=bool(stream.random() >= NO_DOSE.value),
    )


def _renew(devices: list[Device], demand: Demand, stream: np.random.Generator) -> list[Device]:
    """Install some devices within the period, and retire some of film."""
    days = (demand.end - demand.start).days
    seen: set[str] = set()
    found = []
    for device in devices:
        day = demand.start + dt.timedelta(days=int(stream.integers(days * 3 // 4)))
        drawn = stream.random()
        if device.digital and device.modality in seen and drawn < NEW.value:
            device = replace(device, installed=day)  # noqa: PLW2901
        elif not device.digital and drawn < RETIRED.value:
            device = replace(device, retired=day)  # noqa: PLW2901
        seen.add(device.modality)  # the first of its kind was always there
        found.append(device)
    return found


def _number(devices: list[Device]) -> list[Device]:
    counts: dict[tuple[str, str], int] = {}
    serials: set[str] = set()
    found = []
    for device in devices:
        key = (device.facility.name, device.modality)
        counts[key] = counts.get(key, 0) + 1
        serial = device.serial
        while serial in serials:
            serial = f"{serial[0]}{int(serial[1:]) + 1}"
        serials.add(serial)
        found.append(replace(device, serial=serial, station=f"{''.join(key)}{counts[key]}"))
    return found


def expect(
    devices: tuple[Device, ...],
    down: npt.NDArray[np.bool_],
    demand: Demand,
    stream: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """Return the exams that each digital device can expect on each day.

    What a device that is down, or not yet there, does not do, the others of its modality do: the
    sum over the city is the demand.

    Parameters
    ----------
    devices
        Digital devices.
    down : (devices, days) bool
        When a device is down.
    demand
        Exams by modality and month.
    stream
        Random numbers.
    """
    dates = demand.dates()
    weekdays = np.array([date.weekday() for date in dates])
    kinds = {kind: day_weights(kind, dates) for kind in LOAD.value}
    rates = np.zeros((len(devices), len(dates)), np.float32)
    for row, device in enumerate(devices):
        windows = device.windows
        around = windows[2] == (0, 1440)
        kind = (
            device.facility.kind if around or device.facility.kind != "hospital" else "polyclinic"
        )
        is_open = np.array([windows[max(0, day - 4)] is not None for day in range(7)])
        there = np.arange(len(dates)) >= (device.installed - demand.start).days
        load = LOAD.value[kind] * np.exp(LOAD_SPREAD.value * stream.standard_normal())
        rates[row] = load * kinds[kind] * (is_open[weekdays] & there)
    rates *= ~down
    months = demand.first_days
    wanted = ["DX" if d.modality == "CR" else d.modality for d in devices]
    for number, modality in enumerate(MODALITIES):
        rows = np.array([i for i, name in enumerate(wanted) if name == modality], int)
        if len(rows):
            held = np.add.reduceat(rates[rows].sum(axis=0), months[:-1])
            factor = np.where(held > 0, demand.exams[number] / np.maximum(held, 1e-9), 0)
            rates[rows] *= np.repeat(factor, np.diff(months)).astype(np.float32)
    return rates


def break_down(count: int, demand: Demand, stream: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Return on which days each device is down, (devices, days)."""
    days = int(demand.first_days[-1])
    yearly, ends, most = BREAKDOWNS.value
    down = np.zeros((count, days), bool)
    for row, times in enumerate(stream.poisson(yearly * days / 365.25, count)):
        for first in stream.integers(days, size=times):
            length = min(int(stream.geometric(ends)), most)
            near = slice(max(0, first - 3), first + length + 3)
            if not down[row, near].any():  # two of them in a row would look like one long one
                down[row, first : first + length] = True
    return down
