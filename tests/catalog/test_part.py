"""What hangs or kills the reading of a batch is refused, and nothing else is lost."""

from __future__ import annotations

import os
import shutil
import threading
import zipfile

import polars as pl
import pytest

from tests.dicom.dicom_files import as_bytes, image
from tests.dicom.test_careful import slow_file
from workbench.catalog.crew import Crew
from workbench.catalog.members import read_members
from workbench.catalog.part import REFUSED, ROWS, Batch, list_parts, read_batch
from workbench.catalog.scan import scan
from workbench.catalog.walk import walk
from workbench.dicom import careful
from workbench.dicom.careful import read_apart

SECONDS = 1.5
DEFLATED = "1.2.840.10008.1.2.1.99"


@pytest.fixture
def archive(tmp_path):
    """Return a folder of files that are read in every way, one of them slow in each."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for name in ("1.dcm", "3.dcm"):
        (folder / name).write_bytes(as_bytes(image()))
    for name in ("4.dcm", "6.dcm", "odd\\4", "odd\\6"):
        (folder / name).write_bytes(as_bytes(image(), DEFLATED))
    with zipfile.ZipFile(folder / "a.zip", "w") as target:
        for name in "1234":
            target.writestr(name, as_bytes(image()))
    return folder


def plant(archive):
    """Put a slow file between the others, by name."""
    slow = slow_file()
    for name in ("2.dcm", "5.dcm", "odd\\5"):
        (archive / name).write_bytes(slow)
    with zipfile.ZipFile(archive / "a.zip") as source:
        members = {name: source.read(name) for name in source.namelist()}
    with zipfile.ZipFile(archive / "a.zip", "w") as target:
        for name in ("1", "2", "slow", "3", "4"):
            target.writestr(name, members.get(name, slow))
    return {"2.dcm", "5.dcm", "odd\\x5c5", "a.zip!slow"}


def rows_of(catalog):
    return catalog.instances().drop("path", "mtime_ns").collect().sort("instance_uid")


def read_sooner(batch):
    careful.TIME_S = SECONDS
    return read_batch(batch)


def test_a_scan_refuses_what_takes_too_long_and_reads_the_others(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(careful, "TIME_S", SECONDS)
    healthy = scan(archive, tmp_path / "healthy")
    assert healthy.reasons == {}
    slow = plant(archive)
    catalog = scan(archive, tmp_path / "catalog")
    assert rows_of(catalog).equals(rows_of(healthy))
    refused = catalog.refused().collect()
    assert set(refused["path"]) == slow
    assert set(refused["reason"]) == {"too_slow"}
    counts = catalog.counts
    assert counts["instances"] + counts["refused"] == 10 + len(slow)
    # There is more time now.
    monkeypatch.setattr(careful, "TIME_S", 120.0)
    for name in ("2.dcm", "5.dcm", "a.zip"):  # they are the same image
        (archive / name).unlink()
    again = scan(archive, tmp_path / "catalog")
    assert again.reasons == {}
    assert len(rows_of(again)) == 7


def test_processes_that_share_the_reading_do_not_wait_for_ever(archive, tmp_path):
    healthy = scan(archive, tmp_path / "healthy")
    slow = plant(archive)
    entries = pl.concat(walk(archive)).drop("reason", "detail").sort("path")
    batches = [
        Batch(str(archive), tmp_path, number, some)
        for number, some in enumerate(entries.iter_slices(4))
    ]
    with Crew(2) as crew:
        done = list(crew.compute(read_sooner, batches))
    assert sum(d.files for d in done) == len(entries)
    parts = list_parts(tmp_path)
    rows = pl.concat([pl.read_parquet(part / ROWS) for part in parts])
    assert sorted(rows["instance_uid"]) == rows_of(healthy)["instance_uid"].to_list()
    refused = pl.concat([pl.read_parquet(part / REFUSED) for part in parts])
    assert dict(refused.select("path", "reason").rows()) == dict.fromkeys(slow, "too_slow")


def test_a_file_that_ends_the_process_costs_itself(archive, tmp_path):
    (archive / "5.dcm").write_bytes(slow_file())
    (archive / "a.zip").unlink()
    list(read_apart(str(archive), ["4.dcm"]))
    process = careful._pool._idle[-1]._process
    threading.Timer(1, process.kill).start()
    catalog = scan(archive, tmp_path / "catalog")
    assert catalog.refused().collect().select("path", "reason", "detail").rows() == [
        ("5.dcm", "too_big", "reading it ended the process")
    ]
    assert catalog.counts["instances"] == 6


def test_a_member_that_ends_the_process_costs_itself(archive):
    plant(archive)
    list(read_apart(str(archive), ["4.dcm"]))
    process = careful._pool._idle[-1]._process
    threading.Timer(1, process.kill).start()
    found = read_members(archive, "a.zip", 7)
    assert [(r.path, r.reason) for r in found.refused] == [("a.zip!slow", "too_big")]
    assert [row["path"] for row in found.rows] == [f"a.zip!{n}" for n in "1234"]
    assert found.members == 5


def test_a_batch_is_written_whole_and_its_counts_add_up(archive, tmp_path):
    shutil.copy(archive / "1.dcm", archive / "short.dcm")
    os.truncate(archive / "short.dcm", 300)
    entries = pl.concat(walk(archive)).drop("reason", "detail")
    with Crew(1) as crew:
        (done,) = crew.compute(read_batch, [Batch(str(archive), tmp_path, 1, entries)])
    assert (done.files, done.rows, done.refused) == (8, 10, 1)
    part = tmp_path / "part-000001"
    assert len(pl.read_parquet(part / ROWS)) == done.rows
    assert len(pl.read_parquet(part / REFUSED)) == done.refused
