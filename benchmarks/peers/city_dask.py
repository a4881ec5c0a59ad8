"""The tables of a city-year by dask.dataframe: a district is a partition, and pandas counts it.

A patient belongs to one district, so that what partitions count stands side by side.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import dask.dataframe as dd
import numpy as np
import pandas as pd
import polars as pl

from benchmarks.peers.city_tables import (
    AS_OF,
    DIMENSIONS,
    EARLIEST,
    ELEMENTS,
    LIMITS,
    LONGEST_MIN,
    NEVER,
    OLDEST,
    ONE_ROW,
    OUTPUTS,
    SCAN_CM,
    bands,
    codes,
    matches,
    nodes,
)

EXAMS = ["exam_uid", "patient_id", "modality", "exam_time", "exam_end_time", "facility", "station",
         "device_serial", "manufacturer", "protocol", "age_years", *LIMITS]  # fmt: skip
REPORTS = ["exam_uid", "patient_id", "modality", "reader_group", "acquired_time",
           "preliminary_time", "final_time", *itertools.chain(*ELEMENTS.values())]  # fmt: skip
NOW = pd.Timestamp(AS_OF)
LABELS = 4
"""Most dimensions of a table, the interval included."""


def read(path: Path, columns: list[str], one_row: list[str]) -> pd.DataFrame:
    """Read a table, and find the rows that are left out."""
    table = pd.read_parquet(path, columns=columns)
    named = table["exam_uid"].notna() & table["patient_id"].notna()
    table["exam"] = pd.util.hash_array(table["exam_uid"].to_numpy(), categorize=False)
    table["patient"] = pd.factorize(table["patient_id"])[0]
    table = table.drop(columns=["exam_uid", "patient_id"])
    several = table[named & table["exam"].duplicated(keep=False)]
    number = several.groupby("exam")["patient"].nunique()
    table["no_identifier"] = ~named
    table["two_patients"] = named & table["exam"].isin(number[number > 1].index)
    table["duplicate_exam"] = False
    again = several.duplicated(one_row)
    table.loc[again[again].index, "duplicate_exam"] = True
    table.loc[table["exam"].isin([]) | ~named, "exam"] = np.arange((~named).sum(), dtype=np.uint64)
    table["left_out"] = table["no_identifier"] | table["two_patients"] | table["duplicate_exam"]
    return table


def label(column: pd.Series, dimension: str) -> pd.Categorical:
    """Return the codes of texts; each text is looked up once."""
    found, names = matches(dimension), codes(dimension)
    places, raw = pd.factorize(column)
    to = [names.index(found.get(str(r).strip().lower(), "other") if str(r).strip() else "missing")
          for r in raw]  # fmt: skip
    lookup = np.array([*to, names.index("missing")])
    return pd.Categorical.from_codes(lookup[places], names)


def band(column: pd.Series, dimension: str) -> pd.Categorical:
    """Return the interval of a number."""
    edges, labels = DIMENSIONS[dimension]["edges"], bands(dimension)
    value = column.to_numpy(float)
    place = np.searchsorted(edges, value, side="right") - 1
    place[(value < edges[0]) | (value > DIMENSIONS[dimension]["maximum"])] = len(labels)
    place[np.isnan(value)] = len(labels) + 1
    return pd.Categorical.from_codes(place, [*labels, "other", "missing"])


def named(part: pd.DataFrame, by: list[str], table: str) -> pd.DataFrame:
    """Return a part of a table in the columns that all tables share."""
    made = {"table": table}
    for place in range(LABELS):
        name = by[place] if place < len(by) else None
        made[f"label_{place}"] = part[name].astype(str) if name in part else "all"
    for name in ("exams", "patients", "total", "square"):
        made[name] = part.get(name, 0)
    return pd.DataFrame(made, index=part.index)


def count(rows: pd.DataFrame, by: list[str], table: str, *, one: bool = False) -> pd.DataFrame:
    """Return exams and patients by every subset of `by`."""
    parts = []
    for kept in itertools.product((True, False), repeat=len(by)):
        keys = [d for d, k in zip(by, kept, strict=True) if k]
        groups = rows.groupby(keys or np.zeros(len(rows), int), observed=True)
        exams = groups.size() if one else groups["exam"].nunique()
        made = pd.DataFrame({"exams": exams, "patients": groups["patient"].nunique()})
        parts.append(named(made.reset_index(), by, table))
    return pd.concat(parts)


def histogram(rows: pd.DataFrame, by: list[str], column: str, output: str) -> pd.DataFrame:
    """Return exams and patients at every node of the tree over the intervals of a number."""
    rows = rows.loc[rows[column].notna(), [*by, "patient", column]]
    leaf = np.searchsorted(OUTPUTS[output]["edges"], rows[column].astype(float), side="right")
    parts = []
    for level in nodes(output):
        names = list(dict.fromkeys(n for n in level if n is not None))
        place = np.array([-1 if n is None else names.index(n) for n in level])
        here = rows.assign(bin=pd.Categorical.from_codes(place[leaf], names))
        for kept in itertools.product((True, False), repeat=len(by)):
            keys = [*(d for d, k in zip(by, kept, strict=True) if k), "bin"]
            groups = here.groupby(keys, observed=True)
            made = pd.DataFrame({"exams": groups.size(), "patients": groups["patient"].nunique()})
            parts.append(named(made.reset_index(), [*by, "bin"], output))
    return pd.concat(parts)


def judge(exams: pd.DataFrame) -> pd.DataFrame:
    """Add which rule each row breaks, and take out what cannot be believed."""
    start, end = exams["exam_time"], exams["exam_end_time"]
    first = pd.Timestamp(EARLIEST)
    late = NOW + pd.Timedelta(days=1)
    wrong = (start.notna() & ~start.between(first, NOW)) | (end.notna() & ~end.between(first, late))
    minutes = (end - start).dt.total_seconds() / 60
    exams["time_not_possible"] = wrong
    exams["ends_before_start"] = ~wrong & (minutes < 0)
    exams["takes_too_long"] = ~wrong & (minutes > LONGEST_MIN)
    age = exams["age_years"]
    exams["age_not_possible"] = age.notna() & ~age.between(0, OLDEST)
    low, high = (np.zeros(len(exams), bool) for _ in range(2))
    for column, (least, most) in LIMITS.items():
        value = exams[column].to_numpy()
        low |= (value < least) & (value < 0)
        high |= (value > most) | ((value < least) & (value >= 0))
        exams[column] = exams[column].where((value >= least) & (value <= most))
    exams["negative_value"], exams["absurd_value"] = low, high
    ctdivol, dlp = exams["ctdivol_mgy"], exams["dlp_mgy_cm"]
    exams["wrong_unit"] = (ctdivol > 0) & (dlp > 0) & ~(dlp / ctdivol).between(*SCAN_CM)
    for column in ("ctdivol_mgy", "dlp_mgy_cm"):
        exams[column] = exams[column].mask(exams["wrong_unit"])
    pairs = exams[["station", "device_serial"]].dropna().drop_duplicates()
    serials = pairs["device_serial"].astype(str).value_counts()
    exams["shared_serial"] = exams["device_serial"].isin(serials.index[serials > 1])
    exams["exam_time"] = start.mask(wrong)
    exams["exam_end_time"] = end.mask(wrong | exams["ends_before_start"] | exams["takes_too_long"])
    exams["age_years"] = age.mask(exams["age_not_possible"])
    return exams


def attrition(exams: pd.DataFrame) -> pd.DataFrame:
    """Return exams and patients by the rule that they break."""
    rules = [r for r in codes("rule") if r not in ("other", "missing", *NEVER)]
    masks = {r: exams[r].to_numpy() for r in rules}
    masks["missing"] = ~np.logical_or.reduce(list(masks.values()))
    masks["all"] = np.ones(len(exams), bool)
    rows = [
        {"rule": r, "exams": exams["exam"][m].nunique(), "patients": exams["patient"][m].nunique()}
        for r, m in masks.items()
    ]
    return named(pd.DataFrame(rows), ["rule"], "attrition")


def count_exams(kept: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the tables of months and hours."""
    start = kept["exam_time"]
    months = [f"{y}-{m:02d}" for y in range(2020, 2024) for m in range(1, 13)]
    place = (start.dt.year - 2020) * 12 + start.dt.month - 1
    place = place.where(place.between(0, 47) | place.isna(), 48).fillna(49).astype(int)
    days, hours = codes("weekday"), codes("hour")
    placed = kept[["exam", "patient"]].assign(
        modality=label(kept["modality"], "modality"),
        month=pd.Categorical.from_codes(place, [*months, "other", "missing"]),
        weekday=pd.Categorical.from_codes(start.dt.weekday.fillna(8).astype(int), days),
        hour=pd.Categorical.from_codes(start.dt.hour.fillna(25).astype(int), hours),
    )
    return [
        count(placed, ["month", "modality"], "exams_by_month"),
        count(placed, ["weekday", "hour"], "exams_by_hour"),
    ]


def spread(spans: pd.DataFrame, begin: str, end: str) -> pd.Series:
    """Return the seconds of each device, month, day of the week and hour."""
    first = spans[begin] // 3600
    number = (spans[end] - 1) // 3600 - first + 1
    each = spans.loc[spans.index.repeat(number)]
    each["hour"] = first.loc[each.index] + each.groupby(level=0).cumcount()
    stop = np.minimum(each[end], (each["hour"] + 1) * 3600)
    each["seconds"] = stop - np.maximum(each[begin], each["hour"] * 3600)
    each["month"] = pd.to_datetime(each["day"], unit="D").dt.strftime("%Y-%m")
    return each.groupby(["device", "month", "weekday", "hour"])["seconds"].sum()


def count_devices(kept: pd.DataFrame, register: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the tables of use and of the fleet."""
    register = register.reset_index(names="device")
    devices = register[register["digital"]]
    epoch = (kept["exam_time"] - pd.Timestamp(0)) // pd.Timedelta(seconds=1)
    rows = pd.DataFrame(
        {
            "station": kept["station"].astype(object),
            "day": epoch // 86400,
            "start": epoch % 86400,
            "length": (kept["exam_end_time"] - kept["exam_time"]).dt.total_seconds(),
        }
    )
    rows = rows.dropna(subset="day").merge(devices[["station", "device"]], on="station")
    first, last = int(rows["day"].min()), int(rows["day"].max())
    calendar = devices.merge(pd.DataFrame({"day": np.arange(first, last + 1)}), how="cross")
    calendar["weekday"] = (calendar["day"] + 3) % 7
    for end in ("open", "close"):
        kinds = [calendar["weekday"] < 5, calendar["weekday"] == 5]
        columns = [calendar[f"{d}_{end}_min"] for d in ("weekday", "saturday", "sunday")]
        calendar[f"{end}s"] = 60 * np.select(kinds, columns[:2], columns[2]).astype(float)
    date = pd.to_datetime(calendar["day"], unit="D")
    installed, retired = (
        pd.to_datetime(calendar[c]) for c in ("installed_date", "retired_date")
    )  # fmt: skip
    calendar = calendar[
        (calendar["closes"] > calendar["opens"]) & ~(date < installed) & ~(date > retired)
    ][["device", "modality", "day", "weekday", "opens", "closes"]]
    calendar = calendar.astype({"opens": int, "closes": int})
    timed = rows.dropna(subset="length").astype({"day": int, "start": int, "length": int})
    late = timed[(timed["start"] + timed["length"] > 86400) & (timed["day"] < last)].copy()
    late["day"], late["length"] = late["day"] + 1, late["start"] + late["length"] - 86400
    late["start"] = 0
    busy = pd.concat([timed, late]).merge(calendar, on=["device", "day"])
    stop = np.minimum(busy["start"] + busy["length"], 86400)
    busy["b"] = np.maximum(busy["start"], busy["opens"])
    busy["e"] = np.minimum(stop, busy["closes"])
    busy = busy[busy["e"] > busy["b"]].sort_values(["device", "day", "b"])
    groups = busy.groupby(["device", "day"])["e"]
    before = groups.cummax().groupby([busy["device"], busy["day"]]).shift(1).fillna(0).astype(int)
    busy["b"] = np.maximum(busy["b"], before)
    busy = busy[busy["e"] > busy["b"]].reset_index(drop=True)
    busy["s"] = busy["e"] - busy["b"]
    by_day = busy.groupby(["device", "day"])["s"].sum().reset_index()
    days = calendar.merge(by_day, on=["device", "day"], how="left")
    days["use"] = 100 * (days["s"].fillna(0) / 60) / ((days["closes"] - days["opens"]) / 60)
    days["modality"], days["patient"] = label(days["modality"], "modality"), np.arange(len(days))
    opened = spread(calendar.reset_index(drop=True), "opens", "closes")
    used = spread(busy, "b", "e").reindex(opened.index, fill_value=0)
    hours = (100 * used / opened).rename("use").reset_index()
    hours["total"] = np.rint(hours["use"] / 0.01).astype(int)
    hours["square"] = hours["total"] ** 2
    hours["weekday"] += 1
    by = ["weekday", "hour"]
    parts = []
    for kept_dims in (by, by[:1], by[1:], []):
        made = hours.groupby(kept_dims or np.zeros(len(hours), int)).agg(
            exams=("use", "size"), patients=("use", "size"), total=("total", "sum"),
            square=("square", "sum"),
        )  # fmt: skip
        parts.append(named(made.reset_index(), by, "use_of_hours"))
    return [histogram(days, ["modality"], "use", "use_of_devices"), *parts]


def count_ages(kept: pd.DataFrame, register: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the tables of exams by the age of their devices."""
    installed = register.set_index("station")["installed_date"]
    known = kept["station"].astype(object).map(installed)
    years = (kept["exam_time"].dt.normalize() - pd.to_datetime(known)).dt.days / 365.25
    aged = kept[["exam", "patient"]].assign(
        modality=label(kept["modality"], "modality"),
        manufacturer=label(kept["manufacturer"], "manufacturer"),
        device_age=band(years.where(years.between(0, 60)), "device_age"),
    )
    return [
        count(aged, ["modality", "device_age"], "exams_by_device_age"),
        count(aged, ["manufacturer", "device_age"], "exams_by_manufacturer"),
    ]


def count_fleet(register: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the table of the devices."""
    register = register.reset_index(names="device")
    today = NOW
    installed, retired = (
        pd.to_datetime(register[c]) for c in ("installed_date", "retired_date")
    )  # fmt: skip
    fleet = register[~(installed > today) & ~(retired <= today)].copy()
    fleet["modality"] = label(fleet["modality"], "modality")
    fleet["device_kind"] = fleet["digital"].map({True: "digital", False: "film"}).fillna("missing")
    fleet["patient"] = fleet["device"]
    return [count(fleet, ["modality", "device_kind"], "devices_in_use", one=True)]


def count_doses(kept: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the tables of dose."""
    names = sorted(kept["facility"].dropna().astype(str).unique())
    ct = kept[kept["modality"] == "CT"].copy()
    numbers = {name: f"{n:02d}" for n, name in enumerate(names, 1)}
    for column in ("protocol", "facility"):
        ct[column], texts = pd.factorize(ct[column])
        if column == "protocol":
            protocols = np.append(texts.astype(str), None)
        else:
            facilities = np.append([numbers[str(t)] for t in texts], None)
    dose = ct.astype({"ctdivol_mgy": float, "dlp_mgy_cm": float}).groupby(["exam", "patient"])
    doses = dose.agg(
        p=("protocol", "min"), p2=("protocol", "max"), f=("facility", "min"),
        f2=("facility", "max"), age_years=("age_years", "min"),
        ctdivol_mgy=("ctdivol_mgy", "max"),
    )  # fmt: skip
    doses["dlp_mgy_cm"] = dose["dlp_mgy_cm"].sum(min_count=1)
    doses = doses.reset_index()
    protocol = pd.Series(protocols[np.where(doses["p"] == doses["p2"], doses["p"], -1)])
    facility = pd.Series(facilities[np.where(doses["f"] == doses["f2"], doses["f"], -1)])
    doses["protocol"], doses["drl_protocol"] = (
        label(protocol, d) for d in ("protocol", "drl_protocol")
    )
    doses["facility"] = label(facility, "facility")
    doses["age_group"] = band(doses["age_years"], "age_group")
    adults = doses[doses["age_years"] >= 18]
    both = ["protocol", "age_group"]
    return [
        histogram(doses, both, "ctdivol_mgy", "ctdivol"),
        histogram(doses, both, "dlp_mgy_cm", "dlp"),
        histogram(adults, ["drl_protocol", "facility"], "dlp_mgy_cm", "dlp_of_facilities"),
    ]


def count_reports(reports: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the tables of reports."""
    reports["reader_group"] = label(reports["reader_group"], "reader_group")
    begin, found = reports["acquired_time"], []
    first = reports[["preliminary_time", "final_time"]].min(axis=1)
    for name, end in (("turnaround", reports["final_time"]), ("preliminary", first)):
        there = end.notna() & (end <= NOW)
        hours = (end.where(there, NOW) - begin).dt.total_seconds() / 3600
        timed = reports[["patient", "reader_group"]].assign(
            hours=hours,
            outcome=pd.Categorical.from_codes((~there).astype(int), ["event", "censored"]),
        )
        timed = timed[begin.notna() & (begin <= NOW) & (~there | hours.between(0, 24 * 365))]
        found.append(histogram(timed, ["reader_group", "outcome"], "hours", name))
    parts = []
    for element, columns in ELEMENTS.items():
        rows = reports[reports["modality"] == "MG"] if element == "category" else reports
        held = np.ones(len(rows), bool)
        for column in columns:
            held &= rows[column].notna().to_numpy()
            if not column.endswith("value"):
                blank = [c for c in pd.unique(rows[column].dropna()) if not str(c).strip()]
                held &= ~rows[column].isin(blank).to_numpy()
        parts.append(
            rows[["exam", "patient", "reader_group"]].assign(
                report_element=pd.Categorical([element] * len(rows), list(ELEMENTS)),
                state=pd.Categorical.from_codes(held.astype(int), ["lacking", "stated"]),
            )
        )
    by = ["report_element", "state", "reader_group"]
    return [*found, count(pd.concat(parts), by, "completeness_of_reports")]


def tables(place: Path) -> pd.DataFrame:
    """Return all tables of a district, one below the other."""
    exams = judge(read(place / "exams.parquet", EXAMS, ["exam", *ONE_ROW[1:]]))
    made = [attrition(exams)]
    kept = exams[~exams["left_out"]]
    del exams
    made += count_exams(kept)
    register = pd.read_parquet(place / "devices.parquet")
    made += count_devices(kept, register) + count_ages(kept, register) + count_fleet(register)
    made += count_doses(kept)
    del kept
    reports = read(place / "reports.parquet", REPORTS, ["exam"])
    made += count_reports(reports[~reports["left_out"]].copy())
    return pd.concat(made, ignore_index=True).assign(district=place.name)


def main(data: Path, *districts: str) -> pd.DataFrame:
    """Return all tables of all districts, one below the other."""
    texts = ["table", *(f"label_{n}" for n in range(LABELS)), "district"]
    numbers = ["exams", "patients", "total", "square"]
    meta = pd.DataFrame({c: pd.Series(dtype=str if c in texts else int)
                         for c in [*texts[:-1], *numbers, "district"]})  # fmt: skip
    places = [data / district for district in districts]
    return dd.from_map(tables, places, meta=meta, enforce_metadata=False).compute()


def split(made: pd.DataFrame, district: str) -> dict[str, pl.DataFrame]:
    """Return the tables of a district by name, as the other peers return them."""
    found = {}
    rows = pl.from_pandas(made[made["district"] == district])
    for name in OUTPUTS:
        table = rows.filter(pl.col("table") == name)
        by = list(OUTPUTS[name]["dimensions"])
        by += ["bin"] * (OUTPUTS[name]["kind"] == "histogram")
        values = ["exams", "patients", *(("total", "square") if name == "use_of_hours" else ())]
        found[name] = table.select(
            *(pl.col(f"label_{n}").cast(pl.String).alias(d) for n, d in enumerate(by)), *values
        )
    return found
