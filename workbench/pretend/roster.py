"""Roster: the digital devices as arrays, one entry a device, and the names that codes stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from workbench.pretend.columns import texts
from workbench.pretend.facilities import DISTRICTS, Facility
from workbench.pretend.fleet import Device
from workbench.pretend.models import MODELS
from workbench.pretend.protocols import CHANGEOVER, ProtocolTable
from workbench.pretend.reports import FINDINGS, GROUPS, ReportTable
from workbench.pretend.service import MODALITIES

_MAKERS = sorted({maker for held in MODELS.value.values() for maker, _, _ in held})
_MODELS = sorted({model for held in MODELS.value.values() for _, model, _ in held})


@dataclass(frozen=True)
class Names:
    """Hold the names of a district.

    Parameters
    ----------
    prefix
        Begin of its patients' identifiers.
    facilities, stations, serials
        What its codes stand for.
    """

    prefix: str
    facilities: pa.Array
    stations: pa.Array
    serials: pa.Array


@dataclass(frozen=True)
class Roster:
    """Hold the digital devices as arrays.

    Parameters
    ----------
    modality, station, serial, maker, model : (devices,) integers
        Codes.
    clock_s : (devices,) int64
        Seconds that the clock is ahead.
    dose : (devices,) float32
        Logarithm of the typical dose over the reference level.
    sends_dose : (devices,) bool
        Whether exams carry a dose.
    changeover : (devices,) float32
        min between two exams.
    hours : (devices, 3)
        Number of the opening hours on weekdays, Saturday and Sunday.
    windows : (k, 2)
        Opening hours, min since midnight.
    held : (facilities + 1,)
        First device of each facility, and the end.
    facility : (facilities,)
        Code of the facility in its district.
    names
        Names by district.
    """

    modality: npt.NDArray[np.intp]
    station: npt.NDArray[np.int16]
    serial: npt.NDArray[np.int16]
    maker: npt.NDArray[np.int16]
    model: npt.NDArray[np.int16]
    clock_s: npt.NDArray[np.int64]
    dose: npt.NDArray[np.float32]
    sends_dose: npt.NDArray[np.bool_]
    changeover: npt.NDArray[np.float32]
    hours: npt.NDArray[np.int64]
    windows: npt.NDArray[np.int64]
    held: npt.NDArray[np.int64]
    facility: npt.NDArray[np.int16]
    names: tuple[Names, ...]


def make_roster(devices: tuple[Device, ...], facilities: tuple[Facility, ...]) -> Roster:
    """Return the digital devices, which are ordered by facility, as arrays."""
    names = []
    facility = np.zeros(len(facilities), np.int16)
    station, serial = np.zeros((2, len(devices)), np.int16)
    for number, district in enumerate(DISTRICTS):
        ours = [f for f in facilities if f.district == number]
        facility[[f.number for f in ours]] = np.arange(len(ours))
        rows = [i for i, d in enumerate(devices) if d.facility.district == number]
        serials = sorted({devices[i].serial for i in rows})
        station[rows] = np.arange(len(rows))
        serial[rows] = [serials.index(devices[i].serial) for i in rows]
        names.append(
            Names(
                f"{district[:3].upper()}-",
                texts([f.name for f in ours]),
                texts([devices[i].station for i in rows]),
                texts(serials),
            )
        )
    windows = sorted({w for d in devices for w in d.windows if w is not None})
    hours = [[windows.index(w) if w is not None else 0 for w in d.windows] for d in devices]
    counts = np.bincount([d.facility.number for d in devices], minlength=len(facilities))
    return Roster(
        modality=np.array([MODALITIES.index(d.modality) for d in devices]),
        station=station,
        serial=serial,
        maker=np.array([_MAKERS.index(d.manufacturer) for d in devices], np.int16),
        model=np.array([_MODELS.index(d.model) for d in devices], np.int16),
        clock_s=np.array([d.clock_s for d in devices], np.int64),
        dose=np.log([d.dose for d in devices]).astype(np.float32),
        sends_dose=np.array([d.sends_dose for d in devices]),
        changeover=np.array([CHANGEOVER.value[d.modality] for d in devices], np.float32),
        hours=np.array(hours),
        windows=np.array(windows),
        held=np.concatenate([[0], np.cumsum(counts)]),
        facility=facility,
        names=tuple(names),
    )


class Words:
    """Hold the names that the whole city uses, as Arrow texts.

    Parameters
    ----------
    protocols, reports
        Where they come from.
    """

    def __init__(self, protocols: ProtocolTable, reports: ReportTable) -> None:
        held = protocols.protocols
        parts, codes = sorted({p.body_part for p in held}), sorted({p.code for p in held})
        self.makers, self.models = texts(_MAKERS), texts(_MODELS)
        self.modalities, self.sexes, self.groups = texts(MODALITIES), texts("MF"), texts(GROUPS)
        self.protocols = texts([p.name for p in held])
        self.descriptions = texts([p.text for p in held])
        self.procedures = texts([f"P-{p.name}" for p in held])
        self.body_parts, self.codes = texts(parts), texts(codes)
        self.body_part = np.array([parts.index(p.body_part) for p in held], np.int16)
        self.code = np.array([codes.index(p.code) for p in held], np.int16)
        self.findings = texts([f"N-{i + 1:02d}" for i in range(FINDINGS.value)])
        self.rads = texts(reports.categories)
        self.units = texts(["mm"])
