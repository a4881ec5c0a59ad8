"""Broken files among healthy ones: refused by name, and nothing else changes."""

import json
import subprocess
import sys
import time
from collections import Counter

import polars as pl
import pytest

from tests.imaging.mutations import WAYS, find_healthy, write_archive, write_healthy
from workbench.catalog.catalog import open_catalog
from workbench.dicom.headers import read_headers
from workbench.dicom.refusals import REASONS
from workbench.errors import REFUSALS

BROKEN = 320
SEED = 20_031
LONGEST_S = 20
MOST_MIB = 1536


@pytest.fixture(scope="module")
def archive(shared_data, tmp_path_factory):
    """Return a folder with healthy files alone, and one with broken ones among them."""
    folder = tmp_path_factory.mktemp("archive")
    healthy = find_healthy(shared_data)
    assert len(healthy) > 40
    write_healthy(folder / "healthy", healthy)
    ways = write_archive(folder / "mixed", healthy, BROKEN, SEED)
    assert set(ways.values()) == {way.__name__ for way in WAYS}
    return folder


def _read(folder):
    done = subprocess.run(
        [sys.executable, "-m", "tests.imaging.reading", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    # A crash or a lack of memory of the process ends it before its last line.
    assert done.returncode == 0, done.stderr[-2000:]
    *files, memory = map(json.loads, done.stdout.splitlines())
    return {told.pop("file"): told for told in files}, memory


@pytest.fixture(scope="module")
def read(archive):
    """Return what every file of both folders comes to, and the memory of the mixed one."""
    mixed, memory = _read(archive / "mixed")
    return _read(archive / "healthy")[0], mixed, memory


def test_every_file_is_read_or_refused_by_name(read):
    healthy, mixed, _ = read
    assert len(mixed) == BROKEN + len(healthy)
    faults = Counter()
    for told in mixed.values():
        faults.update(
            f"{n}: {told[n]}" for n in ("header", "pixels", "volume") if "FAULT" in told[n]
        )
    assert not faults


def test_no_file_takes_long(read):
    slow = {
        name: {key: value for key, value in told.items() if key.endswith("_s")}
        for name, told in read[1].items()
        if any(told[f"{n}_s"] > LONGEST_S for n in ("header", "pixels", "volume"))
    }
    assert not slow


def test_no_process_takes_much_memory(read):
    assert max(read[2].values()) < MOST_MIB


def test_healthy_files_are_read_as_without_the_others(read):
    healthy, mixed, _ = read
    for name, told in healthy.items():
        for key in ("header", "pixels", "volume"):
            assert mixed[name][key] == told[key], name
        assert not told["header"].startswith("refused"), name


def _scan(folder, out):
    """Scan in one process, and return its exit code and the most memory a process of it took."""
    command = [sys.executable, "-m", "workbench", "scan", str(folder), "--out", str(out), "--json"]
    # Waited for by a small process: the memory of one that starts another counts for both.
    code = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], capture_output=True)\n"
        "most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n"
        "print(done.returncode, most)"
    )
    told = subprocess.run(
        [sys.executable, "-S", "-c", code, *command], capture_output=True, text=True, check=True
    )
    returncode, kib = map(int, told.stdout.split())
    return returncode, kib / 1024


@pytest.fixture(scope="module")
def scanned(archive):
    """Return the exit codes of the scans of both folders, their catalogs, and the memory (MiB)."""
    names = ("healthy", "mixed")
    done = {name: _scan(archive / name, archive / f"{name}_catalog") for name in names}
    catalogs = {name: open_catalog(archive / f"{name}_catalog") for name in names}
    return {n: code for n, (code, _) in done.items()}, catalogs, max(m for _, m in done.values())


def test_a_scan_takes_little_memory_and_time_a_file(archive, scanned):
    assert scanned[2] < MOST_MIB
    slow = {}
    for path in sorted((archive / "mixed").iterdir()):
        start = time.monotonic()
        rows, refused = read_headers([path.name], [path.stat().st_size], root=path.parent)
        taken = time.monotonic() - start
        assert len(rows) + len(refused) == 1
        if taken > LONGEST_S:
            slow[path.name] = taken
    assert not slow


def test_a_scan_finishes_with_refusals(archive, scanned):
    codes, catalogs, _ = scanned
    assert codes == {"healthy": 0, "mixed": REFUSALS}
    names = {path.name for path in (archive / "mixed").iterdir()}
    rows = catalogs["mixed"].instances().collect()["path"].to_list()
    refused = catalogs["mixed"].refused().collect()
    assert Counter(rows) + Counter(refused["path"].to_list()) == Counter(names)
    assert set(refused["reason"]) <= set(REASONS)


def test_a_scan_finds_of_healthy_files_what_it_finds_without_the_others(scanned):
    catalogs = scanned[1]
    with_others, alone = (
        catalogs[name].instances().filter(pl.col("path").str.starts_with("healthy")).collect()
        for name in ("mixed", "healthy")
    )
    assert with_others.sort("path").equals(alone.sort("path"))


def test_a_scan_refuses_what_reading_one_file_refuses(read, scanned):
    refused = scanned[1]["mixed"].refused().collect()
    reasons = dict(zip(refused["path"], refused["reason"], strict=True))
    for name, told in read[1].items():
        if reasons.get(name) == "duplicate":
            continue
        expected = f"refused {reasons[name]}" if name in reasons else "read"
        found = told["header"] if told["header"].startswith("refused") else "read"
        assert found == expected, name
