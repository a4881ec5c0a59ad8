"""The whole public index: 1,044,191 series to exams to every table, beside polars by hand.

Each measurement runs in a process of its own; the clock starts when the libraries are imported,
for both. The numbers are compared before any time is told, and through a cluster they are
compared bit by bit.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from benchmarks.row import Row

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "studies" / "imaging_service"
COLUMNS = {"size_of_exam": "megabytes"}
"""Number that an output describes, where its name does not say."""
REPEATS = 5


def run() -> list[Row]:
    """Measure both, compare all numbers, and return the rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Taken in turns, so that a busy machine slows both.
        taken = [{w: measure(w, folder) for w in ("ours", "peer")} for _ in range(REPEATS)]
        compare(folder)
        best = {w: {k: min(t[w][k] for t in taken) for k in taken[0][w]} for w in ("ours", "peer")}
        local = measure("ours", folder, "workers = 2")
        with scheduler() as address:
            remote = measure("ours", folder, f'scheduler = "{address}"')
    ours, peer = best["ours"], best["peer"]
    return [
        Row("full index to all tables", ours["seconds"], peer["seconds"], 1.3),
        Row("full index to all tables, processor time", ours["processor"], peer["processor"]),
        Row("full index, peak memory", ours["gigabytes"], None, 1.5, "GB"),
        Row(
            "full index, peak memory beside the peer",
            ours["gigabytes"],
            peer["gigabytes"],
            None,
            "GB",
        ),
        Row("the same through two local processes, started", local["seconds"]),
        Row("the same through a running scheduler, reached", remote["seconds"]),
    ]


def measure(who: str, folder: Path, dask: str = "") -> dict[str, float]:
    """Return seconds and peak memory of one run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.exams", who, str(folder), dask]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def scheduler() -> Iterator[str]:
    """Start a scheduler and a worker as commands of their own, and yield the address."""
    with tempfile.TemporaryDirectory() as name:
        file, quiet = Path(name) / "scheduler.json", {"stdout": -3, "stderr": -3}
        start = [sys.executable, "-m", "dask", "scheduler", "--port", "0", "--no-dashboard"]
        started = [
            subprocess.Popen(
                [*start, "--host", "127.0.0.1", "--scheduler-file", str(file)], cwd=ROOT, **quiet
            )
        ]
        try:
            deadline = time.monotonic() + 60
            while not (file.exists() and file.read_text()) and time.monotonic() < deadline:
                time.sleep(0.1)
            address = json.loads(file.read_text())["address"]
            worker = [
                sys.executable,
                "-m",
                "dask",
                "worker",
                address,
                "--nthreads",
                "2",
                "--no-dashboard",
            ]
            started.append(
                subprocess.Popen([*worker, "--local-directory", name], cwd=ROOT, **quiet)
            )
            yield address
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait(30)


def compare(folder: Path) -> None:
    """Raise if a number differs between the two."""
    for path in sorted(folder.glob("ours-*.parquet")):
        name = path.stem.removeprefix("ours-")
        ours, peer = pl.read_parquet(path), pl.read_parquet(folder / f"peer-{name}.parquet")
        values = [c for c in ours.columns if ours[c].dtype != pl.String]
        labels = [c for c in ours.columns if c not in values]
        for frame, what in ((ours, "the workbench"), (peer, "polars by hand")):
            if frame.is_empty() or frame.select(labels).is_duplicated().any():
                raise SystemExit(f"{name}: {what} has no or doubled cells")
        both = ours.filter(pl.col("exams") > 0).join(
            peer.with_columns(pl.col(values).cast(pl.Int64)), on=labels, how="full", suffix="_peer"
        )
        for value in values:
            wrong = both.filter(pl.col(value).ne_missing(pl.col(f"{value}_peer")))
            if len(wrong):
                raise SystemExit(f"{name}: {len(wrong)} of {len(both)} cells differ in {value}")


def ours(folder: Path, dask: str) -> None:
    """Make all tables with the workbench, and keep them."""
    import idc_index_data  # noqa: F401 - imported before the clock starts

    from workbench.archive.archive import open_archive
    from workbench.archive.cluster import Workers, connect
    from workbench.radiology.exams import open_exams, table_of, write_exams
    from workbench.site import read_site
    from workbench.study import read_study
    from workbench.summaries.table import write_summary

    site_file = Path(tempfile.mkdtemp(dir=folder)) / "site.toml"
    site_file.write_text(
        '[site]\nid = "index"\nname = "Index"\nkind = "public"\n'
        f'[archive]\nkind = "idc"\ncollection = "*"\n{f"[dask]{chr(10)}{dask}" if dask else ""}\n'
    )
    Workers().map(str, [1])  # imports what it needs

    start = time.perf_counter(), time.process_time()
    site = read_site(site_file)
    study = read_study(STUDY)
    outputs = [o for o in study.outputs.values() if o.is_summary]
    write_exams(open_archive(site), site_file.parent / "exams")
    exams = open_exams(site_file.parent / "exams", site)
    found = exams.summarise_all([table_of(o, COLUMNS.get(o.name)) for o in outputs])
    _report(start)
    if dask and connect(site).client is None:
        raise SystemExit("No cluster was used")
    for output, summary in zip(outputs, found, strict=True):
        path = site_file.parent / f"{output.name}.csv"
        write_summary(summary, path)
        first = folder / path.name
        if not first.exists():
            first.write_bytes(path.read_bytes())
            long = pl.from_pandas(
                summary.to_frame().astype({"value": "int64"}).drop(columns="status")
            )
            labels = [c for c in long.columns if c not in ("variable", "value")]
            wide = long.pivot("variable", index=labels, values="value")
            wide.write_parquet(folder / f"ours-{output.name}.parquet")
        elif first.read_bytes() != path.read_bytes():
            raise SystemExit(f"{output.name}: not the same bits")


def peer(folder: Path) -> None:
    """Make all tables by hand, and keep them."""
    import idc_index_data

    from benchmarks.peers.polars_tables import main

    start = time.perf_counter(), time.process_time()
    tables = main(Path(str(idc_index_data.IDC_INDEX_PARQUET_FILEPATH)))
    _report(start)
    for name, rows in tables.items():
        rows.write_parquet(folder / f"peer-{name}.parquet")


def _report(start: tuple[float, float]) -> None:
    end = time.perf_counter(), time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    seconds, processor = (b - a for a, b in zip(start, end, strict=True))
    found = {"seconds": seconds, "processor": processor, "gigabytes": peak}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    _who, _folder, _dask = sys.argv[1:]
    os.environ.pop("WORKBENCH_SAMPLE", None)
    if _who == "ours":
        ours(Path(_folder), _dask)
    else:
        peer(Path(_folder))
