"""The study at a district of a pretend city, and at a site that holds little: exact tables."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.conftest import ROOT
from workbench import read_site, read_study, read_summary, run_study
from workbench.archive.site_scan import scan_site
from workbench.pretend.city import City
from workbench.summaries.moments import finish

STUDY = ROOT / "studies" / "imaging_service"
AS_OF = dt.datetime.combine(dt.date(2024, 1, 1), dt.time())
SITE = """
[site]
id = "{name}"
name = "A pretend site"
kind = "pretend"

[archive]
kind = "table"
path = "exams.parquet"
level = "{level}"
"""
TABLES = '\n[tables]\ndevices = "devices.parquet"\nreports = "reports.parquet"\n'
CITY = City(seed=31, scale=0.05, months=6, start=dt.date(2023, 7, 1))


def run(folder: Path, site: Path) -> dict[str, object]:
    """Return every exact table of the study at a site, and the files that stay there."""
    copy = folder / "imaging_service"
    shutil.copytree(STUDY, copy, ignore=shutil.ignore_patterns("releases", ".ipynb_checkpoints"))
    study = read_study(copy)
    done = run_study(study, read_site(site), runs=folder / "runs")
    found: dict[str, object] = {"folder": done.folder}
    for output in study.released:
        found[output.name] = read_summary(done.folder / output.step / output.path)
    return found


@pytest.fixture(scope="module")
def district(tmp_path_factory):
    """Return the tables of the study at one district, and its own tables without what is wrong."""
    folder = tmp_path_factory.mktemp("city")
    CITY.write(folder, ["north"])
    site = folder / "north" / "site.toml"
    site.write_text(SITE.format(name="north", level="exam") + TABLES)
    own = {n: pl.read_parquet(folder / "north" / f"{n}.parquet") for n in ("exams", "reports")}
    texts = pl.col(pl.Categorical).cast(pl.String)
    return run(folder, site), own["exams"].with_columns(texts), own["reports"].with_columns(texts)


def counted(table, **labels):
    return int(table.data["exams"].sel(labels))


@pytest.mark.slow
def test_exams_by_month_and_hour(district):
    tables, exams, _ = district
    exams = exams.unique("exam_uid")
    possible = exams.filter(pl.col("exam_time").is_between(AS_OF.replace(year=1980), AS_OF))
    by = possible.group_by(pl.col("exam_time").dt.strftime("%Y-%m").alias("m"), "modality").agg(
        n=pl.len(), p=pl.col("patient_id").n_unique()
    )
    table = tables["exams_by_month"]
    for month, modality, n, p in by.iter_rows():
        assert counted(table, month=month, modality=modality) == n
        assert int(table.data["patients"].sel(month=month, modality=modality)) == p
    assert counted(table, month="all", modality="all") == len(exams)
    assert counted(table, month="missing", modality="all") >= len(exams) - len(possible)
    hours = possible.group_by(
        pl.col("exam_time").dt.weekday().cast(pl.String).alias("d"),
        pl.col("exam_time").dt.hour().cast(pl.String).alias("h"),
    ).len()
    found = {
        (d, h): counted(tables["exams_by_hour"], weekday=d, hour=h) for d, h, _ in hours.rows()
    }
    # An exam whose end is impossible has no believed start either.
    assert sum(abs(found[d, h] - n) for d, h, n in hours.rows()) <= 10


@pytest.mark.slow
def test_what_is_planted_is_counted_in_the_attrition(district):
    tables, exams, _ = district
    defects = CITY.truth()["defects"]
    rules = {
        "duplicate": "duplicate_exam", "age_impossible": "age_not_possible",
        "date_impossible": "time_not_possible", "ends_before_start": "ends_before_start",
        "dose_negative": "negative_value", "dose_absurd": "absurd_value",
    }  # fmt: skip
    for defect, rule in rules.items():
        ours = [d for d in defects[defect] if d["district"] == "north"]
        assert counted(tables["attrition"], rule=rule) == len(ours), defect
    stations = CITY.truth()["plants"]["shared_serial"]["stations"]
    shared = exams.filter(pl.col("station").is_in(stations))["exam_uid"].n_unique()
    assert counted(tables["attrition"], rule="shared_serial") == shared
    assert counted(tables["attrition"], rule="all") == exams["exam_uid"].n_unique()


@pytest.mark.slow
def test_dose_of_adults(district):
    tables, exams, _ = district
    adults = exams.unique("exam_uid").filter(
        (pl.col("modality") == "CT")
        & pl.col("age_years").is_between(18, 130)
        & pl.col("dlp_mgy_cm").is_between(0, 100_000)
    )
    table = tables["dlp"]
    for (protocol,), some in adults.partition_by("protocol", as_dict=True).items():
        if protocol not in ("CT_HEAD", "CT_CHEST", "CT_ABDPELVIS"):
            continue
        for low, high in ((190, 250), (430, 560)):
            n = some.filter(pl.col("dlp_mgy_cm").is_between(low, high, closed="left"))
            found = counted(table, drl_protocol=protocol, bin=f"[{low},{high})")
            assert found == len(n), (protocol, low)
    ranks = {name: f"{i:02d}" for i, name in enumerate(sorted(exams["facility"].unique()), 1)}
    heads = adults.filter(pl.col("protocol") == "CT_HEAD")
    for (facility,), some in heads.partition_by("facility", as_dict=True).items():
        found = counted(
            tables["dlp_of_facilities"],
            drl_protocol="CT_HEAD",
            facility=ranks[facility],
            bin="[-inf,inf)",
        )
        assert found == len(some)


@pytest.mark.slow
def test_use_is_that_of_a_count_of_every_minute(district):
    """One device on one day: minutes with an exam, counted one by one, over minutes open."""
    tables, exams, _ = district
    step = tables["folder"] / "equipment"
    register = pl.DataFrame(CITY.register("north"))
    use = pl.read_csv(step / "use.csv")
    in_use = register.filter(pl.col("digital"))
    assert set(use["device"]) == set(in_use["station"])
    open_days = pl.scan_parquet(step / "device_days" / "*.parquet").select(pl.len()).collect()
    cell = tables["use_of_devices"].data.sel(modality="all", bin="[-inf,inf)")
    # A day of a device is exam and patient: nobody has many exams, and few devices are told.
    assert int(cell["patients"]) == int(cell["exams"]) == open_days.item() == use["open_days"].sum()
    ct = in_use.filter(pl.col("modality") == "CT").row(0, named=True)
    rows = exams.filter(pl.col("station") == ct["station"]).unique("exam_uid")
    minutes: set[tuple[dt.date, int]] = set()
    total = 0
    for start, end in rows.select("exam_time", "exam_end_time").iter_rows():
        if start.year != 2023 or not start <= end <= start + dt.timedelta(hours=12):
            continue
        day = "weekday" if start.weekday() < 5 else ("saturday", "sunday")[start.weekday() - 5]
        opens, closes = ct[f"{day}_open_min"], ct[f"{day}_close_min"]
        if opens is None:
            continue
        first = 60 * start.hour + start.minute
        last = first + (end - start).total_seconds() / 60
        minutes |= {(start.date(), m) for m in range(max(first, opens), int(min(last, closes)))}
    day = max(ct["installed_date"], exams["exam_time"].dt.date().sort()[10])
    while day <= dt.date(2023, 12, 31):
        name = "weekday" if day.weekday() < 5 else ("saturday", "sunday")[day.weekday() - 5]
        total += (ct[f"{name}_close_min"] or 0) - (ct[f"{name}_open_min"] or 0)
        day += dt.timedelta(days=1)
    told = use.filter(pl.col("device") == ct["station"])["use"].item()
    assert told == pytest.approx(len(minutes) / total, rel=0.05)
    hours = finish(tables["use_of_hours"])["mean"]
    assert 0 < float(hours.sel(weekday="2", hour="10")) < 100
    # Tuesday at ten every device is open that is open at all: once in each of the six months.
    data = tables["use_of_hours"].data.sel(weekday="2", hour="10")
    there = sum(
        6 if row["installed_date"] < dt.date(2023, 8, 1) else 0
        for row in in_use.filter(pl.col("weekday_open_min") <= 600).iter_rows(named=True)
    )
    assert int(data["exams"]) == int(data["patients"]) >= there > 10


@pytest.mark.slow
def test_ages_of_devices_are_those_on_the_day_of_the_exam(district):
    tables, exams, _ = district
    register = pl.DataFrame(CITY.register("north")).select("station", "installed_date")
    possible = exams.unique("exam_uid").filter(
        pl.col("exam_time").is_between(AS_OF.replace(year=1980), AS_OF)
        & (pl.col("exam_time") <= pl.col("exam_end_time"))
    )
    aged = possible.join(register, on="station").with_columns(
        age=(pl.col("exam_time").dt.date() - pl.col("installed_date")).dt.total_days() / 365.25
    )
    bands = {"[0,5)": (0, 5), "[5,10)": (5, 10), "[10,15)": (10, 15), "[15,20)": (15, 20)}
    seen = 0
    for name, by in (("exams_by_device_age", "modality"), ("exams_by_manufacturer", None)):
        for label, (low, high) in bands.items():
            some = aged.filter((pl.col("age") >= low) & (pl.col("age") < high))
            place = {"device_age": label, ("modality" if by else "manufacturer"): "all"}
            cell = tables[name].data.sel(place)
            # An exam that never ended, or ends before it starts, is nevertheless one.
            assert 0 <= int(cell["exams"]) - len(some) <= 10, (name, label)
            seen += len(some)
            if by:
                ct = some.filter(pl.col("modality") == "CT")
                cell = tables[name].data.sel(device_age=label, modality="CT")
                assert 0 <= int(cell["exams"]) - len(ct) <= 10
                assert abs(int(cell["patients"]) - ct["patient_id"].n_unique()) <= 10
    assert seen > len(aged)
    devices = tables["devices_in_use"]
    register = pl.DataFrame(CITY.register("north")).filter(
        (pl.col("installed_date") <= AS_OF.date())
        & (pl.col("retired_date").is_null() | (pl.col("retired_date") > AS_OF.date()))
    )
    digital = register["digital"].sum()
    assert counted(devices, modality="all", device_kind="digital") == digital
    assert counted(devices, modality="all", device_kind="film") == len(register) - digital


@pytest.mark.slow
def test_needs_stay_at_the_site_and_are_unknown_after_half_a_year(district):
    tables, _, _ = district
    needs = pl.read_csv(tables["folder"] / "equipment" / "needs.csv")
    in_use = pl.DataFrame(CITY.register("north")).filter("digital")
    assert set(needs["modality"]) == set(in_use["modality"])
    assert needs["devices"].sum() == pytest.approx(len(in_use), rel=0.1)
    assert needs["devices_ahead"].null_count() == len(needs)


@pytest.mark.slow
def test_turnaround_and_completeness(district):
    tables, _, reports = district
    hours = (pl.col("final_time") - pl.col("acquired_time")).dt.total_microseconds() / 3.6e9
    done = reports.filter(pl.col("final_time").is_not_null()).with_columns(hours=hours)
    for (group,), some in done.partition_by("reader_group", as_dict=True).items():
        for low, high in ((4, 6), (24, 48)):
            n = some.filter(pl.col("hours").is_between(low, high, closed="left"))
            label = {"reader_group": group, "outcome": "event", "bin": f"[{low},{high})"}
            assert counted(tables["turnaround"], **label) == len(n)
    open_ones = counted(
        tables["turnaround"], reader_group="all", outcome="censored", bin="[-inf,inf)"
    )
    assert open_ones == reports["final_time"].null_count()
    first = counted(tables["preliminary"], reader_group="all", outcome="event", bin="[0,1)")
    assert first > counted(tables["turnaround"], reader_group="all", outcome="event", bin="[0,1)")
    mammograms = reports.filter(pl.col("modality") == "MG")
    table = tables["completeness_of_reports"]
    assert (
        counted(table, report_element="category", state="stated", reader_group="all")
        == mammograms["rads_category"].count()
    )
    assert counted(table, report_element="category", state="all", reader_group="all") == len(
        mammograms
    )


@pytest.mark.slow
def test_what_stays_at_the_site_names_devices_and_what_leaves_does_not(district):
    tables, exams, _ = district
    faults = pl.read_csv(tables["folder"] / "equipment" / "faults.csv")
    assert set(faults["fault"]) <= {"down", "clock", "shared serial", "overlap"}
    released = [n for n in tables if n != "folder"]
    names = {
        *exams["station"].unique(),
        *exams["facility"].unique(),
        *exams["device_serial"].unique(),
    }
    for name in released:
        labels = {str(v) for d in tables[name].dimensions for v in d.labels}
        assert names.isdisjoint(labels), name


@pytest.mark.slow
def test_a_site_that_holds_little_takes_part(tmp_path):
    """A list of series: no times, no devices, no doses, no reports; the study runs all the same."""
    random = np.random.default_rng(5)
    n = 400
    pl.DataFrame(
        {
            "series_uid": [f"1.2.{i}" for i in range(n)],
            "exam_uid": [f"1.{i // 2}" for i in range(n)],
            "patient_id": [f"P{i // 4}" for i in range(n)],
            "modality": np.repeat(random.choice(["CT", "MR"], n // 2), 2),
            "instances": [12] * n,
        }
    ).write_parquet(tmp_path / "exams.parquet")
    site = tmp_path / "site.toml"
    site.write_text(SITE.format(name="little", level="series"))
    tables = run(tmp_path, site)
    assert counted(tables["exams_by_modality"], modality="all") == n // 2
    assert counted(tables["attrition"], rule="missing") == n // 2
    assert counted(tables["exams_by_month"], month="missing", modality="all") == n // 2
    for name in ("exams_by_device_age", "exams_by_manufacturer"):
        ages = tables[name].data["exams"]
        assert int(ages.sel(device_age="missing").max()) == n // 2
        assert int(ages.drop_sel(device_age=["all", "missing"]).max()) == 0, name
    for name in ("use_of_devices", "use_of_hours", "devices_in_use", "ctdivol", "dlp",
                 "dlp_of_facilities", "dlp_of_children", "turnaround", "preliminary",
                 "completeness_of_reports"):  # fmt: skip
        assert int(tables[name].data["exams"].max()) == 0, name


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["images", "dose reports"])
def test_a_folder_of_files_of_one_kind_takes_part(shared_data, tmp_path, kind):
    """Image headers alone, or dose reports alone: every step ends, and nothing is made up."""
    (tmp_path / "dicom").mkdir()
    for path in sorted((shared_data / "openrem").glob("*.dcm")):
        if ("SR-" in path.name) == (kind == "dose reports"):
            shutil.copy(path, tmp_path / "dicom" / path.name)
    site = tmp_path / "site.toml"
    declared = 'kind = "folder"\npath = "dicom"\ncatalog = "catalog"'
    site.write_text(
        f'[site]\nid = "{kind[:4]}"\nname = "Files"\nkind = "pretend"\n[archive]\n{declared}\n'
    )
    scan_site(read_site(site))
    tables = run(tmp_path, site)
    exams = counted(tables["exams_by_modality"], modality="all")
    assert (exams > 0) == (kind == "images")
    assert counted(tables["attrition"], rule="all") > 0
    for name in ("use_of_devices", "use_of_hours", "devices_in_use", "turnaround", "preliminary",
                 "completeness_of_reports"):  # fmt: skip
        assert int(tables[name].data["exams"].max()) == 0, name
    for name in ("use", "fleet", "needs", "faults"):
        assert pl.read_csv(tables["folder"] / "equipment" / f"{name}.csv").is_empty(), name
