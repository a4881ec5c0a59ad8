"""Scan: 4,096 CT files to a table of their headers in Parquet, and to a catalog, beside others.

Each measurement runs in a process of its own on one processor, with the libraries imported, the
compiled code loaded and the files in the page cache. It is processor time, which on one processor
is the time that it takes when nobody else asks for it. Before any time is told the rows are
compared with those that pydicom reads.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.row import Row

ROOT = Path(__file__).parents[1]
REPEATS = 5
SLOW = 512
"""Files that a slow peer reads."""
PEERS = ("fastdicom", "dicomsdl", "fw-file-rs")
FIRST_BYTES = 16 * 2**10


def run() -> list[Row]:
    """Measure all, and return the rows."""
    from benchmarks.ct_files import FILES, write_tree

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tree(folder)
        compare(folder)
        everyone = ("headers", "catalog", "first-bytes", "pydicom", *PEERS)
        # Taken in turns, so that a busy machine slows all.
        taken = [{who: measure(who, folder) for who in everyone} for _ in range(REPEATS)]
        best = {who: min(t[who] for t in taken) for who in everyone}
        cold = measure("cold", folder)
    unit = "µs"
    fastest = min(PEERS, key=lambda who: best[who])
    rows = []
    for ours, name in (("headers", "header to Parquet"), ("catalog", "scan to a catalog")):
        own = best[ours]
        rows += [
            Row(f"{name}, a file, beside pydicom", own, best["pydicom"], 1 / 40, unit),
            Row(f"the same beside {fastest}, the fastest peer", own, best[fastest], 1 / 4, unit),
            Row("the same beside reading 16 KB a file", own, best["first-bytes"], 8, unit),
        ]
    return [
        *rows,
        *(Row(f"{who} itself", best[who], None, None, unit) for who in PEERS),
        Row(f"compiling for the first time, {FILES:,} files", cold * FILES / 1e6),
    ]


def measure(who: str, folder: Path) -> float:
    """Return the time of one run in a process of its own, in microseconds a file."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"POLARS_MAX_THREADS": "1"}
        if who == "cold":
            environment["NUMBA_CACHE_DIR"] = cache
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.scan", who, str(folder)],
            cwd=ROOT, env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
    return float(json.loads(done.stdout.splitlines()[-1]))


def compare(folder: Path) -> None:
    """Raise if the fast rows are not those of the careful reader."""
    import polars as pl

    from workbench.dicom.columns import INSTANCE_COLUMNS
    from workbench.dicom.header import read_header
    from workbench.dicom.headers import read_headers

    paths, sizes = listed(folder)
    rows, refused = read_headers(paths, sizes, root=folder)
    if refused:
        raise SystemExit(f"{len(refused)} files refused, the first as {refused[0].reason}")
    some = range(0, len(paths), 17)
    careful = [read_header(folder / paths[i]) for i in some]
    names = [c.name for c in INSTANCE_COLUMNS]
    if not rows[list(some)].select(names).equals(pl.DataFrame(careful, rows.select(names).schema)):
        raise SystemExit("The rows of the fast and the careful reader differ")


def listed(folder: Path) -> tuple[list[str], list[int]]:
    """Return the paths of a tree, relative to it, and the sizes of the files."""
    files = sorted(p for p in folder.rglob("IM*") if p.is_file())
    return [str(p.relative_to(folder)) for p in files], [p.stat().st_size for p in files]


def _work(who: str, folder: Path, out: Path) -> tuple[Callable[[], object], int]:
    """Return what is measured, and the number of files it reads."""
    paths, sizes = listed(folder)
    whole = [str(folder / path) for path in paths]
    if who in ("headers", "cold"):
        from workbench.dicom.headers import read_headers

        def headers() -> None:
            read_headers(paths, sizes, root=folder)[0].write_parquet(out)

        if who == "cold":
            import numba  # noqa: F401
        return headers, len(paths)
    if who == "catalog":
        from workbench.catalog.scan import scan

        number = itertools.count()
        return lambda: scan(folder, out.with_name(f"catalog-{next(number)}")), len(paths)
    if who == "first-bytes":

        def first_bytes() -> None:
            for path in whole:
                descriptor = os.open(path, os.O_RDONLY)
                os.pread(descriptor, FIRST_BYTES, 0)
                os.close(descriptor)

        return first_bytes, len(paths)
    from benchmarks.peers.headers import PEERS as READERS
    from benchmarks.peers.headers import write_rows

    some = whole[:: len(whole) // SLOW] if who == "pydicom" else whole
    return lambda: write_rows(READERS[who](some), out), len(some)


def main(who: str, folder: Path) -> None:
    """Measure in this process, and print microseconds a file."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as name:
        work, files = _work(who, folder, Path(name) / "out.parquet")
        taken = []
        for _ in range(1 if who == "cold" else 4):
            start = time.process_time()
            work()
            taken.append(time.process_time() - start)
    # The first run loads what is compiled, and the files.
    print(json.dumps(min(taken[1:] or taken) / files * 1e6), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
