"""Register: the devices of the pretend city as the table that a site keeps of them."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from workbench.pretend.facilities import DISTRICTS
from workbench.pretend.fleet import Device
from workbench.pretend.sourced import Sourced

TIME_ZONE = Sourced("Europe/Moscow", "IANA name", "no daylight saving since 2014")
_DAYS = ("weekday", "saturday", "sunday")


def register(devices: Iterable[Device]) -> pa.Table:
    """Return one row a device.

    Returns
    -------
    pyarrow.Table
        device_serial, station, facility, district, facility_kind, modality, manufacturer, model,
        software; installed_date, retired_date; digital; time_zone; and for weekday, saturday and
        sunday `<day>_open_min` and `<day>_close_min`, minutes since midnight, null if closed.
    """
    rows = []
    for device in devices:
        facility = device.facility
        row = {
            "device_serial": device.serial,
            "station": device.station,
            "facility": facility.name,
            "district": DISTRICTS[facility.district],
            "facility_kind": facility.kind,
            "modality": device.modality,
            "manufacturer": device.manufacturer,
            "model": device.model,
            "software": device.software,
            "installed_date": device.installed,
            "retired_date": device.retired,
            "digital": device.digital,
            "time_zone": TIME_ZONE.value,
        }
        for day, window in zip(_DAYS, device.windows, strict=True):
            opens, closes = window or (None, None)
            row |= {f"{day}_open_min": opens, f"{day}_close_min": closes}
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in (
            "device_serial", "station", "facility", "district", "facility_kind", "modality",
            "manufacturer", "model", "software")),
        ("installed_date", pa.date32()),
        ("retired_date", pa.date32()),
        ("digital", pa.bool_()),
        ("time_zone", pa.string()),
        *((f"{day}_{edge}_min", pa.int16()) for day in _DAYS for edge in ("open", "close")),
    ]
)  # fmt: skip
