"""The pretend city: exams made a second of one processor core, in memory and to Parquet.

Each measurement runs in a process of its own with one thread, and counts processor time, so that
a busy machine does not make it slower.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.row import Row

ROOT = Path(__file__).parents[1]
REPEATS = 3
MONTHS = (2, 8)
"""A short and a long period, to see that memory does not grow with it."""


def run() -> list[Row]:
    """Measure, and return the rows."""
    taken = [
        {what: measure(what, MONTHS[0]) for what in ("memory", "parquet")} for _ in range(REPEATS)
    ]
    seconds = {what: min(t[what]["seconds"] for t in taken) for what in ("memory", "parquet")}
    short, long = (measure("parquet", months)["megabytes"] for months in MONTHS)
    return [
        Row("a million exams and reports of a pretend city, one core", seconds["memory"], None, 1),
        Row("the same to Parquet", seconds["parquet"], None, 2.5),
        Row("peak memory of eight months beside two", long, short, 1.2, "MB"),
    ]


def measure(what: str, months: int) -> dict[str, float]:
    """Return processor seconds for a million exams, and peak memory, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.city_making", what, str(months)]
    single = os.environ | {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, env=single)
    return json.loads(done.stdout.splitlines()[-1])


def main(what: str, months: int) -> None:
    import pyarrow as pa

    from workbench.pretend.city import City

    pa.set_cpu_count(1)
    city = City(1, 1.0, months=months)
    next(iter(city.chunks("south")))  # the first call imports what it needs
    district, exams = "north", 0
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        if what == "memory":
            for part in city.chunks(district):
                exams += len(part.reports)
        else:
            city.write(folder, [district])
        seconds = time.process_time() - start
        if what == "parquet":
            import pyarrow.parquet as pq

            path = Path(folder) / district / "reports.parquet"
            exams = pq.ParquetFile(path).metadata.num_rows
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
    print(json.dumps({"seconds": seconds / exams * 1e6, "megabytes": peak}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
