"""Planted truth: in pretend cities the library finds what was planted, and nothing else.

Each city is read as five institutions read theirs, district by district, by finders with their
defaults. What is true of a city is known from what its recipe wrote down, and from nothing else:
no constant of the recipe stands here.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pytest

from workbench.dose_reports.resource_table import read_resource_table
from workbench.pretend.city import City
from workbench.radiology.ct_doses import take_ct_doses
from workbench.radiology.device_faults import find_faults
from workbench.radiology.dose_alerts import find_patient_totals
from workbench.radiology.effective_dose import estimate_exam_effective_dose, sum_effective_dose
from workbench.radiology.equipment import measure_use
from workbench.radiology.plausibility import judge_plausibility
from workbench.radiology.reference_levels import find_rooms_above

SEEDS = (
    31, 47, 113, 256, 404, 577, 811, 1009, 1492, 1666,
    1812, 1895, 2718, 3141, 4096, 5040, 6174, 7919, 8128, 9973,
)  # fmt: skip
RULES = {
    "ends_before_start": "ends_before_start",
    "age_impossible": "age_not_possible",
    "date_impossible": "time_not_possible",
    "dose_negative": "negative_value",
    "dose_absurd": "absurd_value",
    "duplicate": "duplicate_exam",
}
"""Defect -> the rule that keeps it out."""
INDICATIONS = {
    "CT_HEAD": "head (stroke)",
    "CT_CHEST": "chest (lung cancer)",
    "CT_HRCT": "HRCT",
    "CT_CTPA": "CTPA",
    "CT_CAP": "chest-abdomen-pelvis (cancer)",
    "CT_ABDPELVIS": "abdomen-pelvis",
    "CT_KUB": "KUB",
    "CT_CSPINE": "C-spine",
    "CT_SINUSES": "sinuses",
}
"""Protocol -> indication of the national level."""
TOTALS = {
    "dlp_mgy_cm": "dlp_total_mgy_cm",
    "dap_gy_cm2": "dap_total_gy_cm2",
    "dose_rp_mgy": "dose_rp_total_mgy",
}
LARGEST_ERROR_MIN = 2.0


@dataclass(frozen=True)
class District:
    """Hold the tables of a district."""

    exams: pl.DataFrame
    reports: pl.DataFrame
    register: pl.DataFrame

    @classmethod
    def make(cls, city: City, name: str) -> District:
        made = (city.exams(name), city.reports(name), city.register(name))
        exams, reports, register = (pl.DataFrame(pl.from_arrow(table)) for table in made)
        return cls(exams.with_columns(pl.col(pl.Categorical).cast(pl.String)), reports, register)


@dataclass
class Told:
    """Hold what is told of a city: alarms, offsets of clocks, rows that rules touch, days."""

    alarms: set[tuple[str, ...]] = field(default_factory=set)
    offsets: dict[str, float] = field(default_factory=dict)
    rules: set[tuple[str, str]] = field(default_factory=set)
    overlaps: Counter[tuple[str, dt.date]] = field(default_factory=Counter)
    outside: Counter[tuple[str, dt.date]] = field(default_factory=Counter)


def find_in_district(district: District, as_of: dt.datetime, told: Told) -> None:
    """Add what the finders tell of a district."""
    judged = judge_plausibility(district.exams.lazy(), as_of)
    touched = judged.rows.select("rules", "exam_uid").filter(pl.col("rules").list.len() > 0)
    told.rules.update(touched.collect().explode("rules", empty_as_null=True).iter_rows())

    kept = judged.kept.collect()
    register = district.register.lazy()
    use = measure_use(kept.lazy(), register)
    faults = find_faults(use, kept.lazy(), district.reports.lazy(), register)
    for row in faults.iter_rows(named=True):
        dates = (str(row[name]) for name in ("first_date", "last_date") if row[name])
        told.alarms.add((row["fault"], row["device"], *dates))
        if row["fault"] == "clock":
            told.offsets[row["device"]] = row["size"]
    for name in ("overlaps", "outside"):
        some = use.days.filter(pl.col(name) > 0).select("device", "date", name)
        getattr(told, name).update({(device, date): n for device, date, n in some.iter_rows()})

    doses = take_ct_doses(kept.lazy()).filter("adult").collect().rename(TOTALS, strict=False)
    indication = pl.col("protocol").replace_strict(INDICATIONS, default=None)
    rooms = find_rooms_above(
        doses.with_columns(indication=indication),
        read_resource_table("reference_levels"),
        room="facility",
        by=["indication"],
    )
    for facility, indication in rooms.select("facility", "indication").iter_rows():
        told.alarms.add(("room above level", facility, indication))

    estimated = sum_effective_dose(estimate_exam_effective_dose(kept))
    totals = kept.rename(TOTALS).join(estimated, on="exam_uid", how="left")
    for patient, quantity in find_patient_totals(totals).select("patient_id", "quantity").rows():
        told.alarms.add(("patient total", patient, quantity))


def read_truth(truth: dict[str, Any], districts: dict[str, District]) -> Told:
    """Return what must be told of a city."""
    clock, down, serial, above, patient = (
        truth["plants"][name]
        for name in (
            *("clock_offset", "down_month", "shared_serial", "above_drl"),
            "patient_above_limit",
        )
    )
    defects = truth["defects"]
    return Told(
        alarms={
            ("clock", clock["station"]),
            ("down", down["station"], *_open_ends(down, districts[down["district"]].register)),
            *(("shared serial", station) for station in serial["stations"]),
            *(("room above level", above["facility"], INDICATIONS[p]) for p in above["protocols"]),
            ("patient total", patient["patient_id"], "effective_dose_msv"),
        },
        offsets={clock["station"]: clock["minutes"]},
        rules={(rule, one["exam_uid"]) for name, rule in RULES.items() for one in defects[name]}
        | {("shared_serial", uid) for uid in _exams_on(serial["stations"], districts)},
        overlaps=_count_days(defects["overlap"], districts),
        outside=_count_days(defects["outside_hours"], districts),
    )


def _exams_on(stations: list[str], districts: dict[str, District]) -> set[str]:
    """Return the exams on some devices."""
    on = [d.exams.filter(pl.col("station").is_in(stations))["exam_uid"] for d in districts.values()]
    return set(pl.concat(on))


def _open_ends(down: dict[str, Any], register: pl.DataFrame) -> tuple[str, str]:
    """Return the first and the last day of a down time on which the device would be open."""
    device = register.row(by_predicate=pl.col("station") == down["station"], named=True)
    kinds = [*["weekday"] * 5, "saturday", "sunday"]
    first, last = (dt.date.fromisoformat(str(down[f"{end}_date"])) for end in ("first", "last"))
    days = [first + dt.timedelta(n) for n in range((last - first).days + 1)]
    is_open = [d for d in days if device[f"{kinds[d.weekday()]}_open_min"] is not None]
    return str(is_open[0]), str(is_open[-1])


def _count_days(
    defects: list[dict[str, str]], districts: dict[str, District]
) -> Counter[tuple[str, dt.date]]:
    """Count exams by device and day."""
    counted: Counter[tuple[str, dt.date]] = Counter()
    for name, district in districts.items():
        uids = [one["exam_uid"] for one in defects if one["district"] == name]
        exams = district.exams.filter(pl.col("exam_uid").is_in(uids)).unique("exam_uid")
        counted.update(exams.select("station", pl.col("exam_time").dt.date()).rows())
    return counted


def _drop_device(counted: Counter[tuple[str, dt.date]], device: str) -> None:
    for key in [key for key in counted if key[0] == device]:
        del counted[key]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_planted_in_a_city_is_found(seed: int) -> None:
    city = City(seed=seed, scale=0.1, months=12, start=dt.date(2023, 1, 1))
    truth = city.truth()
    districts = {name: District.make(city, name) for name in city.districts}
    told, planted = Told(), read_truth(truth, districts)
    for district in districts.values():
        find_in_district(district, dt.datetime.fromisoformat(truth["as_of"]), told)

    assert told.rules == planted.rules
    assert planted.alarms - told.alarms == set()
    assert len(told.alarms - planted.alarms) <= 1, told.alarms - planted.alarms
    for device, minutes in planted.offsets.items():
        assert told.offsets[device] == pytest.approx(minutes, abs=LARGEST_ERROR_MIN)
        for counted in (told.outside, planted.outside):
            _drop_device(counted, device)  # its exams leave the hours by its clock
    assert told.overlaps == planted.overlaps
    assert told.outside == planted.outside
