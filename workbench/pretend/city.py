"""City: the radiology service of a pretend capital, made from a seed at any scale."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import UsageError, show, suggest
from workbench.pretend.doses import DoseTable
from workbench.pretend.facilities import DISTRICTS, make_facilities
from workbench.pretend.fleet import DOSE_OF_DEVICE, break_down, expect, place_devices
from workbench.pretend.month import Month, make_month
from workbench.pretend.people import PEOPLE, Quarter
from workbench.pretend.plants import ABOVE, Plants, plant_defects, plant_faults
from workbench.pretend.protocols import ProtocolTable
from workbench.pretend.register import register
from workbench.pretend.reports import ReportTable, make_habits
from workbench.pretend.roster import Words, make_roster
from workbench.pretend.service import make_demand
from workbench.pretend.timetable import Timetable
from workbench.pretend.truth import tell_truth

PARTS = ("facilities", "devices", "down", "plants", "rates", "habits", "defects", "month", "spoilt")
"""What has random numbers of its own; the order is part of the recipe."""
ROWS_PER_GROUP = 131_072
"""Rows that are held in memory before they are written."""


class Above(NamedTuple):
    """Say which facility lies above the reference level.

    Parameters
    ----------
    facility, protocol
        Numbers of both; -1 for none.
    extra
        Added to the logarithm of the dose.
    """

    facility: int
    protocol: int
    extra: float


class City:
    """Make the exams, devices and reports of a pretend capital.

    Nothing is made until rows are asked for; any facility and month is made alone, and is the
    same whatever else is made.

    Parameters
    ----------
    seed
        Decides everything, from 0.
    scale
        Share of the city, more than 0 and at most 1.
    start
        First day of a month.
    months
        Number of months.
    growth
        Ratios of 2023 to 2020 that differ from the published ones: mammography, radiography.
    plant
        Whether something is wrong on purpose.

    Raises
    ------
    UsageError
        If the city cannot be made.

    Examples
    --------
    >>> city = City(seed=1, scale=0.001, months=1)
    >>> sorted(city.districts)
    ['centre', 'east', 'north', 'south', 'west']
    >>> city.exams("north").schema.names[:3]
    ['exam_uid', 'patient_id', 'modality']
    """

    districts = DISTRICTS

    def __init__(
        self,
        seed: int,
        scale: float = 0.01,
        *,
        start: dt.date = dt.date(2020, 1, 1),
        months: int = 48,
        growth: Mapping[str, float] | None = None,
        plant: bool = True,
    ) -> None:
        if seed < 0:
            raise UsageError("The seed is negative", where=f"seed {seed}", todo="Name 0 or more")
        self.seed, self.scale = seed, scale
        self.demand = make_demand(scale, start, months, growth)
        self.first_day = (start - dt.date(1970, 1, 1)).days
        self.facilities = make_facilities(scale, self.stream("facilities"))
        placed = place_devices(scale, self.facilities, self.demand, self.stream("devices"))
        digital = tuple(d for d in placed if d.digital)
        down = break_down(len(digital), self.demand, self.stream("down"))
        days = down.shape[1]
        self.plants = Plants()
        if plant:
            self.plants, digital = plant_faults(digital, start, days, months, self.stream("plants"))
            if self.plants.down is not None:
                row, first, length = self.plants.down
                down[row, first : first + length] = True
        self.digital = digital
        self.devices = (*digital, *(d for d in placed if not d.digital))
        self.rates = expect(digital, down, self.demand, self.stream("rates"))
        self.protocols = ProtocolTable()
        self.doses, self.writing = DoseTable(self.protocols), ReportTable(self.protocols)
        self.roster = make_roster(digital, self.facilities)
        self.words = Words(self.protocols, self.writing)
        self.timetable = Timetable(self.roster.windows)
        self.day_kinds = np.array([max(0, d.weekday() - 4) for d in self.demand.dates()])
        self.quarter = Quarter(round(PEOPLE.value * scale / len(self.facilities)))
        by_district = [[f.number for f in self.facilities if f.district == i]
                       for i in range(len(DISTRICTS))]  # fmt: skip
        self.quarters = [np.array(numbers) for numbers in by_district]
        stream = self.stream("habits")
        self.habits = [make_habits(f.kind, stream) for f in self.facilities]
        self.above = Above(-1, -1, 0.0)
        if plant:
            self._plant_more()

    def _plant_more(self) -> None:
        expected = self.expected()
        scanners = [d.facility.number for d in self.digital if d.modality == "CT" and d.sends_dose]
        fit = np.isin(np.arange(len(self.facilities)), scanners)[:, None]
        chosen = plant_defects(expected * fit, self.stream("defects"))
        self.plants = replace(self.plants, defects=chosen)
        if self.plants.above is not None:
            facility, name = self.plants.above
            extra = float(np.log(ABOVE.value[0])) - float(np.log(DOSE_OF_DEVICE.value[0]))
            self.above = Above(facility, self.protocols.number[name], extra)

    def expected(self) -> npt.NDArray[np.float64]:
        """Return the exams that each facility can expect each month, (facilities, months)."""
        by_month = np.add.reduceat(self.rates, self.demand.first_days[:-1], axis=1, dtype=float)
        sums = np.concatenate([np.zeros((1, by_month.shape[1])), np.cumsum(by_month, axis=0)])
        return np.diff(sums[self.roster.held], axis=0)

    def stream(self, part: str, *place: int) -> np.random.Generator:
        """Return the random numbers of one part of the city, the same at every call."""
        key = (PARTS.index(part), *place)
        return np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=key))
        )

    def _number(self, district: str) -> int:
        if district not in DISTRICTS:
            raise UsageError(
                f"The city has no district {show(district)!r}",
                where="districts",
                todo=suggest(district, DISTRICTS),
            )
        return DISTRICTS.index(district)

    def chunks(self, district: str) -> Iterator[Month]:
        """Make one facility and month after the other, month by month.

        Raises
        ------
        UsageError
            If the city has no such district.
        """
        ours = self.quarters[self._number(district)]
        for month in range(self.demand.months):
            for facility in ours:
                yield make_month(self, int(facility), month)

    def exams(self, district: str) -> pa.Table:
        """Return all exams of a district; see `workbench.pretend.tables.EXAMS`.

        Raises
        ------
        UsageError
            If the city has no such district.
        """
        return pa.concat_tables(part.exams for part in self.chunks(district))

    def reports(self, district: str) -> pa.Table:
        """Return all reports of a district; see `workbench.pretend.tables.REPORTS`.

        Raises
        ------
        UsageError
            If the city has no such district.
        """
        return pa.concat_tables(part.reports for part in self.chunks(district))

    def register(self, district: str) -> pa.Table:
        """Return the register of the devices of a district, those of film too.

        Raises
        ------
        UsageError
            If the city has no such district.
        """
        number = self._number(district)
        return register(d for d in self.devices if d.facility.district == number)

    def truth(self) -> dict[str, Any]:
        """Return what is planted; see `workbench.pretend.truth.tell_truth`."""
        return tell_truth(self)

    def write(self, folder: Path | str, districts: Iterable[str] = DISTRICTS) -> None:
        """Write the tables of districts, each in a folder of its own.

        Parameters
        ----------
        folder
            Gets `<district>/exams.parquet`, `reports.parquet` and `devices.parquet`.
        districts
            Names of districts.

        Raises
        ------
        UsageError
            If the city has no such district.
        """
        for district in districts:
            place = Path(folder) / district
            place.mkdir(parents=True, exist_ok=True)
            pq.write_table(self.register(district), place / "devices.parquet")
            with ExitStack() as stack:
                writers: dict[str, pq.ParquetWriter] = {}
                for tables in _gather(self.chunks(district)):
                    for name, table in tables.items():
                        if name not in writers:
                            writer = _open_writer(place / f"{name}.parquet", table.schema)
                            writers[name] = stack.enter_context(writer)
                        if len(table):
                            writers[name].write_table(table, row_group_size=len(table))


def _open_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a file; encodings are chosen by what a column holds, instead of tried."""
    kinds = {field.name: field.type for field in schema}
    times = [name for name, kind in kinds.items() if pa.types.is_timestamp(kind)]
    return pq.ParquetWriter(
        path,
        schema,
        use_dictionary=[name for name, kind in kinds.items() if pa.types.is_dictionary(kind)],
        column_encoding=dict.fromkeys(times, "DELTA_BINARY_PACKED"),
        write_statistics=times,
    )


def _gather(chunks: Iterable[Month]) -> Iterator[dict[str, pa.Table]]:
    """Put chunks together until they make a row group."""
    held: list[Month] = []
    rows = 0
    for chunk in chunks:
        held.append(chunk)
        rows += len(chunk.reports)
        if rows >= ROWS_PER_GROUP:
            yield _join(held)
            held, rows = [], 0
    if held:
        yield _join(held)


def _join(chunks: list[Month]) -> dict[str, pa.Table]:
    return {
        "exams": pa.concat_tables(chunk.exams for chunk in chunks),
        "reports": pa.concat_tables(chunk.reports for chunk in chunks),
    }
