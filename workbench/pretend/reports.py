"""Reports: when an exam was ordered, reported and finished, and how it was described."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.pretend.protocols import ProtocolTable
from workbench.pretend.service import MODALITIES
from workbench.pretend.sourced import ASSUMED, Sourced
from workbench.pretend.timetable import Times

GROUPS = ("facility", "centre", "on_call")
"""Who reads: the facility's own readers, the city's reading centre, the reader on call."""
READERS = Sourced(
    {"hospital": (0.70, 0.12, 0.18), "polyclinic": (0.25, 0.75, 0.0), "clinic": (0.10, 0.90, 0.0)},
    "share of the exams by group of readers",
    ASSUMED,
)
WAIT = Sourced((13.0, 0.5, 0.06), "min from arrival to exam, median; spread of the logarithm by "
               "exam and by facility", ASSUMED)  # fmt: skip
LEAD = Sourced(
    {"hospital": (7.0, 1.3), "polyclinic": (110.0, 0.9), "clinic": (90.0, 0.9)},
    "h from order to arrival, median; spread of the logarithm",
    ASSUMED,
)
CLOSING = Sourced((40, 150), "s from the end of the exam until it is closed", ASSUMED)
DELAY = Sourced(
    {"CT": 6.0, "MR": 11.0, "MG": 22.0, "DX": 4.5, "CR": 4.5, "RF": 5.0, "XA": 4.0, "US": 0.4,
     "PX": 8.0, "NM": 14.0, "PT": 20.0, "BMD": 6.0},
    "h from exam to final report, median",
    ASSUMED,
)  # fmt: skip
GROUP_DELAY = Sourced((1.0, 1.25, 0.16), "times the delay, by group of readers", ASSUMED)
DELAY_SPREAD = Sourced((0.75, 0.15), "spread of the logarithm by exam and by facility", ASSUMED)
PROMISED = Sourced(
    {"CT": 24, "MR": 48, "MG": 72, "DX": 24, "CR": 24, "RF": 24, "XA": 24, "US": 4, "PX": 48,
     "NM": 72, "PT": 72, "BMD": 48},
    "h promised; 2 h on call",
    ASSUMED,
)  # fmt: skip
PROMISED_ON_CALL = Sourced(2, "h", ASSUMED)
PRELIMINARY = Sourced((0.45, 0.0, 0.8), "share with a preliminary report, by group", ASSUMED)
NEVER = Sourced(0.004, "share that is never finished", ASSUMED)
STATED = Sourced(
    {"body_part_code": 0.92, "procedure_code": 0.88, "finding_code": 0.62, "rads_category": 0.74,
     "measurement": 0.38, "unit": 0.90},
    "share of the reports that state it (of the measurements: their unit)",
    ASSUMED,
)  # fmt: skip
STATED_SPREAD = Sourced(0.35, "spread by facility, on the logit", ASSUMED)
GROUP_STATED = Sourced((0.0, 0.5, -0.9), "added on the logit, by group of readers", ASSUMED)
FINDINGS = Sourced(24, "codes of findings", ASSUMED)
MEASURED = Sourced((14.0, 0.6), "mm, median; spread of the logarithm", ASSUMED)
CATEGORIES = Sourced(
    {"BI-RADS": (("0", 6), ("1", 38), ("2", 42), ("3", 8), ("4", 5), ("5", 1)),
     "Lung-RADS": (("1", 45), ("2", 38), ("3", 9), ("4A", 5), ("4B", 3)),
     "PI-RADS": (("1", 12), ("2", 38), ("3", 25), ("4", 17), ("5", 8))},
    "category, parts",
    "categories of the American College of Radiology; parts assumed",
)  # fmt: skip
FIELDS = tuple(STATED.value)


@dataclass(frozen=True)
class Habits:
    """Hold how a facility works, drawn once.

    Parameters
    ----------
    readers : (65,536,) uint8
        Group of readers by 16 random bits.
    wait, delay
        Logarithm of the factors on waits and delays.
    stated : (groups, fields) uint16
        Chance that a report states a field, in 65,536ths.
    lead
        Median and spread of the time from order to arrival, h.
    """

    readers: npt.NDArray[np.uint8]
    wait: float
    delay: float
    stated: npt.NDArray[np.uint16]
    lead: tuple[float, float]


def make_habits(kind: str, stream: np.random.Generator) -> Habits:
    """Draw how a facility of a kind works."""
    ends = np.round(np.cumsum(READERS.value[kind]) * 65536).astype(int)
    chance = np.array(list(STATED.value.values()))
    logit = np.log(chance / (1 - chance)) + STATED_SPREAD.value * stream.standard_normal(
        len(chance)
    )
    logit = logit + np.array(GROUP_STATED.value)[:, None]
    return Habits(
        np.repeat(np.arange(len(GROUPS), dtype=np.uint8), np.diff(ends, prepend=0)),
        WAIT.value[2] * float(np.clip(stream.standard_normal(), -2, 2)),
        DELAY_SPREAD.value[1] * float(stream.standard_normal()),
        np.round(65535 / (1 + np.exp(-logit))).astype(np.uint16),
        LEAD.value[kind],
    )


@dataclass(frozen=True)
class Written:
    """Hold what the reports of exams say; -1 as a code and NaN are missing.

    Parameters
    ----------
    ordered, arrival, acquired, preliminary, final : (n,) int64
        s since midnight of the first day; those that are not yet there lie behind the extract.
    no_preliminary : (n,) bool
        Where there never is one.
    promised, measurement : (n,) float32
        h, mm.
    group, procedure, finding, rads : (n,) integers
        Codes.
    body_part, unit : (n,) bool
        Whether they are stated.
    """

    ordered: npt.NDArray[np.int64]
    arrival: npt.NDArray[np.int64]
    acquired: npt.NDArray[np.int64]
    preliminary: npt.NDArray[np.int64]
    final: npt.NDArray[np.int64]
    no_preliminary: npt.NDArray[np.bool_]
    never: npt.NDArray[np.bool_]
    promised: npt.NDArray[np.float32]
    measurement: npt.NDArray[np.float32]
    group: npt.NDArray[np.intp]
    finding: npt.NDArray[np.int16]
    rads: npt.NDArray[np.int16]
    body_part: npt.NDArray[np.bool_]
    procedure: npt.NDArray[np.bool_]
    unit: npt.NDArray[np.bool_]


class ReportTable:
    """Write reports.

    Parameters
    ----------
    protocols
        The protocols.
    """

    def __init__(self, protocols: ProtocolTable) -> None:
        self.delay = np.log(np.array([DELAY.value[m] * 3600 for m in MODALITIES], np.float32))
        promised = [[PROMISED.value[m]] * 2 + [PROMISED_ON_CALL.value] for m in MODALITIES]
        self.promised = np.array(promised, np.float32)
        self.group_delay = np.log(np.array(GROUP_DELAY.value, np.float32))
        self.preliminary = np.array([int(s * 65535) for s in PRELIMINARY.value], np.uint16)
        self.categories = [f"{name} {c}" for name, held in CATEGORIES.value.items()
                           for c, _ in held]  # fmt: skip
        self.rads = np.full((len(protocols.protocols), 256), -1, np.int16)
        first = 0
        for name, held in CATEGORIES.value.items():
            parts = np.cumsum([part for _, part in held])
            ends = np.round(parts / parts[-1] * 256).astype(int)
            codes = np.repeat(np.arange(first, first + len(held)), np.diff(ends, prepend=0))
            for i, protocol in enumerate(protocols.protocols):
                if protocol.rads == name:
                    self.rads[i] = codes
            first += len(held)

    def write(
        self,
        habits: Habits,
        modality: npt.NDArray[np.intp],
        protocol: npt.NDArray[np.intp],
        times: Times,
        *,
        normal: npt.NDArray[np.float32],
        bits: npt.NDArray[np.uint16],
    ) -> Written:
        """Return the reports of exams.

        Parameters
        ----------
        habits
            How the facility works.
        modality, protocol : (n,)
            Numbers of both.
        times
            True begin and end of the exams, s since midnight of the first day.
        normal : (4, n)
            Random numbers.
        bits : (9, n) uint16
            Random bits.
        """
        group = habits.readers[bits[0]].astype(np.intp)
        median, spread, _ = WAIT.value
        wait = np.exp(
            normal[0] * np.float32(spread) + np.float32(np.log(median * 60) + habits.wait)
        )
        arrival = times.start - wait.astype(np.int64)
        hours, spread = habits.lead
        lead = np.exp(normal[1] * np.float32(spread) + np.float32(np.log(hours * 3600)))
        soon, late = CLOSING.value
        acquired = times.end + soon + ((bits[1].astype(np.uint32) * (late - soon)) >> 16)
        delay = normal[2] * np.float32(DELAY_SPREAD.value[0]) + np.float32(habits.delay)
        delay += self.delay[modality] + self.group_delay[group]
        delay = np.exp(delay)
        share = np.float32(0.15) + bits[2] * np.float32(0.7 / 65536)
        stated = habits.stated.T.astype(np.uint16)
        chances = {name: stated[i][group] for i, name in enumerate(FIELDS)}
        median, spread = MEASURED.value
        size = np.exp(normal[3] * np.float32(spread) + np.float32(np.log(median)))
        measured = bits[5] < chances["measurement"]
        finding = (bits[4] & 0xFF) * FINDINGS.value >> 8
        rads = self.rads[protocol, bits[4] >> 8]
        return Written(
            ordered=arrival - lead.astype(np.int64),
            arrival=arrival,
            acquired=acquired,
            preliminary=acquired + (delay * share).astype(np.int64),
            final=acquired + delay.astype(np.int64),
            no_preliminary=bits[3] >= self.preliminary[group],
            never=bits[7] < int(NEVER.value * 65536),
            promised=self.promised.ravel()[modality * len(GROUPS) + group],
            measurement=np.where(measured, np.round(size, 1), np.float32(np.nan)),
            group=group,
            finding=np.where(bits[8] < chances["finding_code"], finding, -1).astype(np.int16),
            rads=np.where(bits[1] < chances["rads_category"], rads, -1).astype(np.int16),
            body_part=bits[2] < chances["body_part_code"],
            procedure=bits[6] < chances["procedure_code"],
            unit=measured & (bits[7] < chances["unit"]),
        )
