"""Facilities: where the devices of the pretend city stand, and when they are open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from workbench.pretend.sourced import ASSUMED, PLAN, Sourced

DISTRICTS = ("centre", "north", "east", "south", "west")
FACILITIES = Sourced(155, "facilities", PLAN)
KINDS = Sourced(
    {"hospital": 0.32, "polyclinic": 0.58, "clinic": 0.10}, "share of the facilities", ASSUMED
)
SMALL = Sourced(
    {0.0: 5, 0.005: 15},
    "facilities at least, from this scale on",
    "assumed: below a tenth of the city there are fewer facilities, and then smaller ones",
)
SMALL_CITY = Sourced(0.02, "scale below which all but one facility a district are clinics", ASSUMED)
ROUND_THE_CLOCK = Sourced(("CT", "DX", "CR", "XA"), "modalities of a hospital", ASSUMED)
OPEN = Sourced(
    {
        "round the clock": ((0, 1440), (0, 1440), (0, 1440)),
        "hospital": ((480, 1200), (540, 900), None),
        "polyclinic": ((480, 1200), (540, 900), None),
        "clinic": ((480, 840), None, None),
    },
    "min since midnight on weekdays, Saturday, Sunday; none: closed",
    "assumed: two shifts, one shift in a clinic",
)
Windows = tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True)
class Facility:
    """Describe one facility.

    Parameters
    ----------
    number
        Number in the city, from 0.
    kind
        hospital, polyclinic or clinic.
    district
        Number of the district.
    """

    number: int
    kind: str
    district: int

    @property
    def name(self) -> str:
        """Code of the facility, e.g. F001."""
        return f"F{self.number + 1:03d}"

    def windows(self, modality: str) -> Windows:
        """Return when a modality is open on weekdays, Saturday and Sunday, min since midnight."""
        if self.kind == "hospital" and modality in ROUND_THE_CLOCK.value:
            return OPEN.value["round the clock"]
        return OPEN.value[self.kind]


def make_facilities(scale: float, stream: np.random.Generator) -> tuple[Facility, ...]:
    """Return the facilities of the city, spread over its districts in turn.

    A smaller city has fewer facilities, not emptier ones; but at least `SMALL`, so that there are
    districts to compare, and these are clinics with one shift, so that their use stays real.
    """
    least = max(number for bound, number in SMALL.value.items() if scale >= bound)
    count = max(round(FACILITIES.value * scale), least)
    if scale < SMALL_CITY.value:
        names = ["polyclinic" if i < len(DISTRICTS) else "clinic" for i in range(count)]
    else:
        shares = list(KINDS.value.values())
        ends = np.round(np.cumsum(shares) * count).astype(int)
        kinds = np.repeat(list(KINDS.value), np.diff(ends, prepend=0))
        names = [str(name) for name in stream.permutation(kinds)]
    return tuple(Facility(i, name, i % len(DISTRICTS)) for i, name in enumerate(names))
