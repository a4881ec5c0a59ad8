"""Truth: what is planted in a pretend city, written beside it; no analysis may read it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from workbench.pretend.facilities import DISTRICTS
from workbench.pretend.month import make_month
from workbench.pretend.plants import CLOCK_OFF, KINDS, MANY
from workbench.pretend.sourced import Sourced

if TYPE_CHECKING:
    from workbench.pretend.city import City
    from workbench.pretend.fleet import Device

EFFECTIVE = Sourced(
    0.015,
    "mSv for 1 mGy·cm, trunk of adults",
    "Shrimpton, in Christner and others 2010 (PMC3326072), table XII",
)


def tell_truth(city: City) -> dict[str, Any]:
    """Return what is planted, as JSON holds it.

    Only the months that hold something planted are made again.

    Returns
    -------
    dict
        `seed`, `scale`, `start`, `months`, `as_of` (first day behind the data); `plants` by name;
        `defects` by kind, each a list of `district` and `exam_uid`.
    """
    plants, planted = city.plants, city.plants.defects
    defects: dict[str, list[dict[str, str]]] = {kind: [] for kind in KINDS}
    for place in sorted(planted):
        found = make_month(city, *place).planted
        district = DISTRICTS[city.facilities[place[0]].district]
        for kind in KINDS:
            uids = found.get(kind, [])
            defects[kind] += [{"district": district, "exam_uid": uid} for uid in uids]
    told: dict[str, Any] = {}
    if plants.clock is not None:
        device = city.digital[plants.clock]
        minutes = CLOCK_OFF.value if device.clock_s > 0 else -CLOCK_OFF.value
        told["clock_offset"] = _name(device) | {"minutes": minutes}
    if plants.above is not None:
        facility = city.facilities[plants.above[0]]
        told["above_drl"] = {
            "district": DISTRICTS[facility.district],
            "facility": facility.name,
            "modality": "CT",
            "protocols": [plants.above[1]],
        }
    if plants.patient is not None:
        told["patient_above_limit"] = _patient(city, *plants.patient)
    if plants.down is not None:
        row, first, days = plants.down
        begin = city.demand.start + dt.timedelta(days=first)
        told["down_month"] = _name(city.digital[row]) | {
            "first_date": begin.isoformat(),
            "last_date": (begin + dt.timedelta(days=days - 1)).isoformat(),
        }
    if plants.shared is not None:
        pair = [city.digital[i] for i in plants.shared]
        told["shared_serial"] = {
            "district": DISTRICTS[pair[0].facility.district],
            "device_serial": pair[0].serial,
            "stations": [device.station for device in pair],
        }
    return {
        "seed": city.seed,
        "scale": city.scale,
        "start": city.demand.start.isoformat(),
        "months": city.demand.months,
        "as_of": city.demand.end.isoformat(),
        "plants": told,
        "defects": defects,
    }


def _name(device: Device) -> dict[str, str]:
    return {
        "district": DISTRICTS[device.facility.district],
        "facility": device.facility.name,
        "station": device.station,
        "device_serial": device.serial,
        "modality": device.modality,
    }


def _patient(city: City, facility: int, months: dict[int, int]) -> dict[str, Any]:
    uids: list[str] = []
    rows = []
    for month in months:
        made = make_month(city, facility, month)
        held = made.planted.get("patient", [])
        uids += held
        rows += made.exams.filter(
            pc.is_in(made.exams["exam_uid"], pa.array(held, pa.string()))
        ).to_pylist()
    product = sum(row["dlp_mgy_cm"] or 0.0 for row in rows)
    return {
        "district": DISTRICTS[city.facilities[facility].district],
        "facility": city.facilities[facility].name,
        "patient_id": rows[0]["patient_id"] if rows else None,
        "exams": len(uids),
        "protocol": MANY.value[2],
        "dlp_total_mgy_cm": round(product, 1),
        "effective_dose_msv": round(product * EFFECTIVE.value, 1),
        "first": min((row["exam_time"] for row in rows), default=city.demand.start).isoformat(),
        "last": max((row["exam_time"] for row in rows), default=city.demand.start).isoformat(),
        "exam_uids": uids,
    }
