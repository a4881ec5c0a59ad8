"""A city-year: ten million exams to the tables of all four parts, beside the same by hand.

A pretend capital is made first. Each measurement runs in a process of its own; the clock starts
when the libraries are imported, for all. The numbers are compared before any time is told, and
through a cluster they are compared bit by bit.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from benchmarks.peers.city_tables import AS_OF, DIMENSIONS, DISTRICTS, OUTPUTS
from benchmarks.peers.polars_tables import STUDY
from benchmarks.row import Row

if TYPE_CHECKING:
    from workbench.definition.steps import Output
    from workbench.site import Site
    from workbench.summaries.summary import Summary

ROOT = Path(__file__).parents[1]
PEERS = ("polars", "duckdb", "dask")
REPEATS = 2
SITE = """[site]
id = "{name}"
name = "{name}"
kind = "pretend"
[archive]
kind = "table"
level = "exam"
path = "exams.parquet"
[tables]
devices = "devices.parquet"
reports = "reports.parquet"
{dask}
"""


def run(scale: float = 1.0) -> list[Row]:
    """Make a city and a tenth of it, measure all, compare all numbers, and return the rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part, share in (("whole", scale), ("tenth", scale / 10)):
            make(folder / part, share)
        taken = []
        for _ in range(REPEATS):  # in turns, so that a busy machine slows all
            times = {who: measure(who, folder / "whole") for who in ("ours", "polars")}
            times["local"] = measure("ours", folder / "whole", "workers = 2\nprocesses = true")
            taken.append(times)
        others = {w: measure(w, folder / "whole") for w in ("duckdb", "dask")}
        compare(folder / "whole", PEERS)
        tenth = min(measure("ours", folder / "tenth")["processor"] for _ in range(REPEATS))
    ours, peer, local = (
        {k: min(t[w][k] for t in taken) for k in taken[0][w]} for w in ("ours", "polars", "local")
    )
    what = "a city-year to the tables of four parts"
    return [
        Row(what, ours["seconds"], peer["seconds"], 1.3),
        Row(f"{what}, processor time", ours["processor"], peer["processor"], 1.3),
        Row(f"{what}, beside DuckDB", ours["seconds"], others["duckdb"]["seconds"], 1),
        Row(f"{what}, beside dask.dataframe", ours["seconds"], others["dask"]["seconds"], 1),
        Row(f"{what}, peak memory", ours["gibibytes"], None, 2, "GiB"),
        Row(
            f"{what}, peak memory beside polars", ours["gibibytes"], peer["gibibytes"], None, "GiB"
        ),
        Row("ten times the exams, processor time", ours["processor"], tenth, 11),
        Row("through two local processes, bitwise equal", local["seconds"], ours["seconds"], 1.2),
    ]


def make(folder: Path, scale: float) -> None:
    """Make a year of the pretend capital."""
    from workbench.pretend.city import City

    City(7, scale, start=dt.date(2023, 1, 1), months=12).write(folder)


def measure(who: str, data: Path, dask: str = "") -> dict[str, float]:
    """Return seconds and peak memory of one run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.city", who, str(data), dask]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(data: Path, peers: Sequence[str] = PEERS) -> None:
    """Raise if a number differs between ours and a peer's."""
    paths = sorted((data / "ours").glob("*.parquet"))
    if len(paths) < len(DISTRICTS) * 10:
        raise SystemExit("Tables are missing")
    for path in paths:
        ours = pl.read_parquet(path)
        labels = [c for c in ours.columns if ours[c].dtype == pl.String]
        values = [c for c in ours.columns if c not in labels]
        if ours.is_empty() or ours.select(labels).is_duplicated().any():
            raise SystemExit(f"{path.stem}: no or doubled cells")
        for who in peers:
            theirs = pl.read_parquet(data / who / path.name).filter(pl.col("exams") > 0)
            theirs = theirs.with_columns(
                pl.col(labels).cast(pl.String), pl.col(values).cast(pl.Int64)
            )
            if theirs.select(labels).is_duplicated().any():
                raise SystemExit(f"{path.stem}: doubled cells of {who}")
            both = ours.filter(pl.col("exams") > 0).join(
                theirs, on=labels, how="full", suffix="_peer"
            )
            wrong = [pl.col(v).ne_missing(pl.col(f"{v}_peer")) for v in values]
            if number := len(both.filter(pl.any_horizontal(wrong))):
                raise SystemExit(f"{path.stem}: {number} of {len(both)} cells of {who} differ")


def declare() -> dict[str, Output]:
    """Return the tables to make, as a study declares them."""
    from workbench.definition.dimensions import DimensionTable, make_dimension
    from workbench.definition.steps import Output

    dimensions = {
        name: make_dimension(
            name, DimensionTable.model_validate({"label": {"en": name}} | table), STUDY
        )
        for name, table in DIMENSIONS.items()
    }
    same = {"release": True, "requires": (), "about": "", "step": "", "zeros": "public"}
    return {
        name: Output(
            name=name, path=f"{name}.csv", population=name, kind=table["kind"],
            dimensions=tuple(dimensions[d] for d in table["dimensions"]), unit=table["unit"],
            edges=table["edges"], resolution=0.01, **same,
        )
        for name, table in OUTPUTS.items()
    }  # fmt: skip


def tabulate(site: Site, outputs: dict[str, Output], folder: Path) -> dict[str, Summary]:
    """Make the tables of one district as the notebooks of the study do."""
    import workbench as wb

    found: dict[str, Summary] = {}

    def add(rows: pl.LazyFrame, *wanted: tuple[str, str | None]) -> None:
        place = folder / wanted[0][0]
        wb.write_records(rows, place)
        tables = [(outputs[name], column) for name, column in wanted]
        made = wb.open_records(place, site).tabulate_all(tables)
        found.update(zip([name for name, _ in wanted], made, strict=True))

    judged = wb.judge_plausibility(wb.open_acquisitions(site).rows, AS_OF)
    add(judged.rows.select("exam_uid", "patient_id", "rules"), ("attrition", None))
    held = ("exam_uid", "patient_id")
    register = wb.open_register(site)
    aged = wb.add_device_age(judged.kept, register)
    columns = ("modality", "manufacturer", "device_age_years", "month", "weekday", "hour")
    counted = ("exams_by_month", "exams_by_hour", "exams_by_device_age", "exams_by_manufacturer")
    add(wb.place_in_calendar(aged).select(*held, *columns), *((name, None) for name in counted))

    use = wb.measure_use(judged.kept, register)
    add(wb.list_device_days(use, register), ("use_of_devices", "use_percent"))
    add(wb.list_device_hours(use, judged.kept, 0), ("use_of_hours", "use_percent"))
    fleet = wb.list_devices(wb.open_fleet(register, AS_OF.date()))
    add(fleet, ("devices_in_use", None))

    doses = wb.take_ct_doses(wb.number_facilities(judged.kept)).collect().lazy()
    add(doses, ("ctdivol", "ctdivol_mgy"), ("dlp", "dlp_mgy_cm"))
    add(doses.filter("adult"), ("dlp_of_facilities", "dlp_mgy_cm"))

    reports = wb.judge_plausibility(wb.open_reports(site), AS_OF, one_row=["exam_uid"]).kept
    for name, stage in (("turnaround", "final"), ("preliminary", "preliminary")):
        timed = wb.measure_turnaround(reports, stage, AS_OF).rows
        add(timed.select(*held, "reader_group", "hours", "outcome"), (name, "hours"))
    described = wb.describe_reports(reports).select(*held, "reader_group", "element", "state")
    add(described, ("completeness_of_reports", None))
    return found


def ours(data: Path, dask: str) -> None:
    """Make all tables with the workbench, and keep them."""
    import workbench as wb
    from workbench.archive.cluster import Workers, connect
    from workbench.site import read_site
    from workbench.summaries.table import render_summary

    Workers().map(str, [1])  # imports what it needs
    names = ("judge_plausibility", "measure_use", "open_acquisitions", "open_reports",
             "write_records")  # fmt: skip
    for name in names:
        getattr(wb, name)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.perf_counter(), time.process_time()
        outputs, tables = declare(), {}
        for district in DISTRICTS:
            file = data / district / "site.toml"
            declared = f"[dask]\n{dask}" if dask else ""
            file.write_text(SITE.format(name=district, dask=declared))
            site = read_site(file)
            tables |= {
                (district, output): table
                for output, table in tabulate(site, outputs, folder / district).items()
            }
        _report(start)
        if dask and connect(site).client is None:
            raise SystemExit("No cluster was used")
    kept = data / "ours"
    kept.mkdir(exist_ok=True)
    for (district, output), table in tables.items():
        content, first = render_summary(table), kept / f"{district}-{output}.csv"
        if first.exists() and first.read_bytes() != content:
            raise SystemExit(f"{output} of {district}: not the same bits")
        first.write_bytes(content)
        _long(table).write_parquet(first.with_suffix(".parquet"))


def _long(table: Summary) -> pl.DataFrame:
    """Return a Summary with a row a cell, its labels first."""
    rows = table.to_frame().astype({"value": "int64"}).drop(columns="status")
    long = pl.from_pandas(rows)
    labels = [c for c in long.columns if c not in ("variable", "value")]
    wide = long.pivot("variable", index=labels, values="value")
    return wide.with_columns(pl.col(labels).cast(pl.String))


def peer(who: str, data: Path) -> None:
    """Make all tables by hand, and keep them."""
    from importlib import import_module

    module: Any = import_module(f"benchmarks.peers.city_{who}")
    start = time.perf_counter(), time.process_time()
    if who == "dask":
        made = module.main(data, *DISTRICTS)
        _report(start)
        tables = {district: module.split(made, district) for district in DISTRICTS}
    else:
        tables = {district: module.main(data, district) for district in DISTRICTS}
        _report(start)
    (data / who).mkdir(exist_ok=True)
    for district, found in tables.items():
        for name, rows in found.items():
            rows.write_parquet(data / who / f"{district}-{name}.parquet")


def _report(start: tuple[float, float]) -> None:
    end = time.perf_counter(), time.process_time()
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 2**20
    seconds, processor = (b - a for a, b in zip(start, end, strict=True))
    found = {"seconds": seconds, "processor": processor, "gibibytes": peak}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    _who, _data, _dask = sys.argv[1:]
    os.environ.pop("WORKBENCH_SAMPLE", None)
    if _who == "ours":
        ours(Path(_data), _dask)
    else:
        peer(_who, Path(_data))
