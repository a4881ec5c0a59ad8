"""A scan accounts for every file, can be killed at any time, and reads only what changed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.imaging.images import ROOT as UID
from tests.imaging.images import write_image
from tests.test_conventions import ROOT
from workbench.catalog import buckets, part
from workbench.catalog import scan as scanning
from workbench.catalog.catalog import open_catalog
from workbench.catalog.scan import Progress, scan
from workbench.catalog.series import SERIES
from workbench.catalog.walk import escape, split_member
from workbench.dicom.columns import SCHEMA
from workbench.dicom.refusals import REASONS
from workbench.errors import ExecutionError, SiteError
from workbench.running.lock import lock_folder


@pytest.fixture
def archive(tmp_path):
    """Twelve images of three patients, and what is no image."""
    root = tmp_path / "archive"
    for patient in range(3):
        for number in range(1, 5):
            write_image(
                root / f"p{patient}/{number}.dcm", number, patient=f"P{patient}", exam=patient + 1
            )
    (root / "readme.txt").write_text("hello")
    (root / "empty").touch()
    return root


def paths(catalog):
    return set(catalog.instances().collect()["path"])


def reasons(catalog):
    return {path: (r, d) for path, r, d in catalog.refused().collect().iter_rows()}


def content(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != "lock"
    }


def check(catalog):
    """Every file is accounted for, and the tables say what the counts say."""
    counts = catalog.counts
    rows, refused = catalog.instances().collect(), catalog.refused().collect()
    assert rows.schema == SCHEMA
    assert catalog.series().collect_schema() == SERIES
    assert (len(rows), len(refused)) == (counts["instances"], counts["refused"])
    assert set(refused["reason"]) <= set(REASONS)
    assert rows["instance_uid"].n_unique() == len(rows)
    listed = [*rows["path"], *refused["path"]]
    assert len(set(listed)) == len(listed)
    on_disk = [Path(p, f) for p, _, files in os.walk(catalog.root) for f in files]
    on_disk += [Path(p, d) for p, dirs, _ in os.walk(catalog.root) for d in dirs
                if Path(p, d).is_symlink()]  # fmt: skip
    assert len(on_disk) == counts["files"]
    known = {p for p in listed if not split_member(p)[1]}
    zips = [p for p in on_disk if escape(str(p.relative_to(catalog.root))) not in known]
    links = [p for p in zips if p.is_symlink()]
    zips = [p for p in zips if not p.is_symlink()]
    assert (len(links), len(zips)) == (counts["links"], counts["containers"])
    members = sum(not m.is_dir() for z in zips for m in zipfile.ZipFile(z).infolist())
    assert members == counts["members"] == sum(bool(split_member(p)[1]) for p in listed)
    total = counts["instances"] + counts["refused"] + counts["links"] + counts["containers"]
    assert counts["files"] + counts["members"] == total
    for partition in catalog.partitions:
        others = rows.filter(~pl.col("path").is_in(pl.read_parquet(partition)["path"].implode()))
        mine = pl.read_parquet(partition)["patient_id"].drop_nulls()
        assert not set(mine) & set(others["patient_id"].drop_nulls())


def test_every_file_is_a_row_or_refused(archive, tmp_path):
    catalog = scan(archive, tmp_path / "catalog")
    check(catalog)
    assert catalog.counts == {
        "files": 14, "links": 0, "containers": 0, "members": 0, "instances": 12, "refused": 2,
        "series": 3, "exams": 3, "patients": 3,
    }  # fmt: skip
    assert reasons(catalog)["empty"][0] == "empty"
    assert reasons(catalog)["readme.txt"][0] == "not_dicom"
    series = catalog.series().collect()
    assert series["slices"].to_list() == [4, 4, 4]
    assert series["spacing_mm"].to_list() == [2.5, 2.5, 2.5]
    assert (tmp_path / "catalog").stat().st_mode & 0o777 == 0o700
    assert not list((tmp_path / "catalog").glob("unfinished*"))
    assert_frame_equal(open_catalog(tmp_path / "catalog").series().collect(), series)


def test_real_files_are_all_accounted_for(shared_data, tmp_path):
    catalog = scan(shared_data, tmp_path / "catalog")
    check(catalog)
    assert catalog.counts["instances"] > 200
    assert catalog.counts["members"] > 0
    assert "MARKER" not in repr(catalog)
    for patient in catalog.instances().collect()["patient_id"].drop_nulls().unique():
        if len(patient) > 5:
            assert patient not in catalog._repr_html_()
    again = scan(shared_data, tmp_path / "again")
    assert_frame_equal(again.instances().collect(), catalog.instances().collect())
    assert again.fingerprint() == catalog.fingerprint()


def test_what_is_unchanged_is_not_read_and_nothing_is_written(archive, tmp_path, monkeypatch):
    first = scan(archive, tmp_path / "catalog")
    before = content(tmp_path / "catalog")
    stamp = (tmp_path / "catalog/catalog.json").stat()
    monkeypatch.setattr(scanning, "read_named", None)  # it would fail
    steps = []
    again = scan(archive, tmp_path / "catalog", progress=steps.append)
    assert content(tmp_path / "catalog") == before
    assert (tmp_path / "catalog/catalog.json").stat() == stamp
    assert again.fingerprint() == first.fingerprint()
    assert steps == [Progress("walk", 14)]


def read_paths(monkeypatch):
    """Note the paths of every file that is read."""
    found = []
    really = part.read_headers

    def noting(paths, *words, **more):
        found.extend(paths)
        return really(paths, *words, **more)

    monkeypatch.setattr(part, "read_headers", noting)
    return found


def test_only_new_changed_and_vanished_files_cost_anything(archive, tmp_path, monkeypatch):
    first = scan(archive, tmp_path / "catalog")
    before = paths(first)
    write_image(archive / "p0/1.dcm", 1, patient="P0", exam=1, pixel=1, Manufacturer="Other")
    write_image(archive / "p9/new.dcm", 9, patient="P9", exam=9)
    (archive / "p1/2.dcm").unlink()
    (archive / "empty").unlink()
    (archive / "readme.txt").rename(archive / "renamed.txt")
    read = read_paths(monkeypatch)
    second = scan(archive, tmp_path / "catalog")
    assert sorted(read) == ["p0/1.dcm", "p9/new.dcm", "renamed.txt"]
    check(second)
    assert paths(second) == (before | {"p9/new.dcm"}) - {"p1/2.dcm"}
    assert set(reasons(second)) == {"renamed.txt"}
    assert second.fingerprint() != first.fingerprint()
    fresh = scan(archive, tmp_path / "fresh")
    assert_frame_equal(second.instances().collect(), fresh.instances().collect())
    assert_frame_equal(second.series().collect(), fresh.series().collect())
    assert second.fingerprint() == fresh.fingerprint()
    assert second.counts == fresh.counts


def test_a_file_with_its_old_size_and_time_is_known_by_its_inode(archive, tmp_path):
    scan(archive, tmp_path / "catalog")
    place = archive / "p0/1.dcm"
    times = place.stat()
    other = write_image(tmp_path / "other.dcm", 1, patient="P0", exam=1, Manufacturer="Changed")
    assert other.stat().st_size == place.stat().st_size
    other.replace(place)
    os.utime(place, ns=(times.st_atime_ns, times.st_mtime_ns))
    catalog = scan(archive, tmp_path / "catalog")
    row = catalog.instances().filter(pl.col("path") == "p0/1.dcm").collect()
    assert row["manufacturer"].to_list() == ["Changed"]


def test_rows_in_many_buckets_are_those_of_one(archive, tmp_path, monkeypatch):
    whole = scan(archive, tmp_path / "whole")
    monkeypatch.setattr(buckets, "ROWS_PER_BUCKET", 2)
    several = scan(archive, tmp_path / "several")
    check(several)
    assert len(several.partitions) == 6
    order = ["patient_id", "path"]
    assert_frame_equal(
        several.instances().collect().sort(order), whole.instances().collect().sort(order)
    )
    # One patient's image changes: only that bucket is written again.
    before = set(several.partitions)
    write_image(archive / "p0/1.dcm", 1, patient="P0", exam=1, Manufacturer="Other")
    changed = scan(archive, tmp_path / "several")
    check(changed)
    assert len(before & set(changed.partitions)) == 5
    assert {p.name for p in (tmp_path / "several/instances").iterdir()} == {
        p.name for p in changed.partitions
    }
    # The archive shrinks, and the buckets with it.
    shutil.rmtree(archive / "p0")
    shutil.rmtree(archive / "p1")
    monkeypatch.setattr(buckets, "ROWS_PER_BUCKET", 50)
    small = scan(archive, tmp_path / "several")
    check(small)
    assert len(small.partitions) == 1


def test_an_archive_that_is_empty_all_at_once_is_refused(archive, tmp_path):
    first = scan(archive, tmp_path / "catalog")
    archive.rename(tmp_path / "mounted")
    archive.mkdir()
    (archive / "lost+found").symlink_to("nowhere")  # listed, and nothing to read
    with pytest.raises(SiteError) as caught:
        scan(archive, tmp_path / "catalog")
    assert str(caught.value).startswith(
        "The archive holds no file any more, the catalog 12 instances\n"
    )
    assert "--emptied" in caught.value.todo
    assert_frame_equal(
        open_catalog(tmp_path / "catalog").instances().collect(), first.instances().collect()
    )
    (archive / "lost+found").unlink()
    # Neither is a catalog believed to be empty that cannot be read any more.
    record = tmp_path / "catalog/catalog.json"
    whole = record.read_text()
    record.write_text(whole.replace('"rows": 12', '"rows": 13'))
    with pytest.raises(SiteError, match="the catalog 12 instances"):
        scan(archive, tmp_path / "catalog")
    record.write_text(whole)
    archive.rmdir()
    (tmp_path / "mounted").rename(archive)
    assert scan(archive, tmp_path / "catalog").fingerprint() == first.fingerprint()


def test_an_archive_that_was_emptied_is_an_empty_catalog(archive, tmp_path):
    scan(archive, tmp_path / "catalog")
    shutil.rmtree(archive)
    archive.mkdir()
    catalog = scan(archive, tmp_path / "catalog", emptied=True)
    check(catalog)
    assert scan(archive, tmp_path / "catalog").counts == catalog.counts
    check(catalog)
    assert set(catalog.counts.values()) == {0}
    check(scan(archive, tmp_path / "new"))
    assert str(catalog).startswith("Catalog")


def test_links_special_files_and_odd_names_are_accounted_for(archive, tmp_path):
    outside = write_image(tmp_path / "outside.dcm", 77)
    (archive / "out").symlink_to(outside)
    (archive / "in").symlink_to("p0/1.dcm")
    (archive / "folder").symlink_to("p0")
    os.mkfifo(archive / "pipe")
    for number, name in enumerate([b"latin-\xe9.dcm", b"back\\slash", b"x.zip!y"]):
        write_image(tmp_path / "odd", 20 + number, exam=7, patient="P7")
        (tmp_path / "odd").rename(os.fsdecode(bytes(archive) + b"/" + name))
    catalog = scan(archive, tmp_path / "catalog")
    check(catalog)
    assert {p: r for p, (r, _) in reasons(catalog).items()} == {
        "empty": "empty", "readme.txt": "not_dicom", "out": "link_out", "pipe": "special_file",
    }  # fmt: skip
    assert catalog.counts["links"] == 2
    assert f"{UID}.1.1.77" not in set(catalog.instances().collect()["instance_uid"])
    odd = catalog.series_files(f"{UID}.7.1")
    assert len(odd) == 3
    assert all(path.is_file() for path in odd)
    check(scan(archive, tmp_path / "catalog"))


def test_members_of_zip_files_are_rows_and_go_with_the_file(archive, tmp_path):
    zipped = archive / "disc.ZIP"
    with zipfile.ZipFile(zipped, "w") as target:
        for number in range(1, 4):
            image = write_image(tmp_path / "image", number, exam=5, patient="P5")
            target.write(image, f"DICOM/{number}")
        target.writestr("note.txt", "hello")
    (archive / "broken.zip").write_bytes(b"PK\x03\x04 and no more")
    catalog = scan(archive, tmp_path / "catalog")
    check(catalog)
    assert (catalog.counts["containers"], catalog.counts["members"]) == (1, 4)
    assert reasons(catalog)["disc.ZIP!note.txt"][0] == "not_dicom"
    assert reasons(catalog)["broken.zip"][0] == "not_dicom"
    files = catalog.series_files(f"{UID}.5.1")
    assert sorted(f.read_bytes() for f in files)[0] == min(
        write_image(tmp_path / "image", n, exam=5, patient="P5").read_bytes() for n in range(1, 4)
    )
    before = paths(catalog)
    zipped.unlink()
    without = scan(archive, tmp_path / "catalog")
    check(without)
    assert paths(without) == {p for p in before if "!" not in p}


def test_duplicates_of_the_same_content_are_one_row_of_other_content_none(archive, tmp_path):
    shutil.copy(archive / "p0/1.dcm", archive / "p0/z-copy.dcm")
    os.link(archive / "p0/2.dcm", archive / "p0/a-link.dcm")
    with zipfile.ZipFile(archive / "p0/a.zip", "w") as target:
        target.write(archive / "p0/3.dcm", "3")
    write_image(archive / "p2/other.dcm", 1, patient="P2", exam=2, pixel=9)  # of p1/1.dcm
    write_image(archive / "p2/longer.dcm", 2, patient="P2", exam=2, SeriesDescription="longer")
    catalog = scan(archive, tmp_path / "catalog")
    check(catalog)
    found = {p: d for p, (r, d) in reasons(catalog).items() if r == "duplicate"}
    assert found == {
        "p0/z-copy.dcm": "same content as p0/1.dcm",
        "p0/a-link.dcm": "same content as p0/2.dcm",
        "p0/a.zip!3": "same content as p0/3.dcm",
        "p1/1.dcm": "other content than p2/other.dcm",
        "p2/other.dcm": "other content than p1/1.dcm",
        "p1/2.dcm": "other content than p2/longer.dcm",
        "p2/longer.dcm": "other content than p1/2.dcm",
    }
    # What was set aside comes back when the other is gone, and is not read again.
    (archive / "p0/1.dcm").unlink()
    (archive / "p2/other.dcm").unlink()
    again = scan(archive, tmp_path / "catalog")
    check(again)
    found = {p for p, (r, _) in reasons(again).items() if r == "duplicate"}
    assert found == {"p0/a-link.dcm", "p0/a.zip!3", "p1/2.dcm", "p2/longer.dcm"}
    assert_frame_equal(
        again.instances().collect(), scan(archive, tmp_path / "fresh").instances().collect()
    )


def test_of_three_duplicates_each_names_one_with_other_content(archive, tmp_path):
    shutil.copy(archive / "p1/1.dcm", archive / "p1/a-copy.dcm")
    write_image(archive / "p2/other.dcm", 1, patient="P2", exam=2, pixel=9)
    catalog = scan(archive, tmp_path / "catalog")
    check(catalog)
    assert {p: d for p, (r, d) in reasons(catalog).items() if r == "duplicate"} == {
        "p1/1.dcm": "other content than p2/other.dcm",
        "p1/a-copy.dcm": "other content than p2/other.dcm",
        "p2/other.dcm": "other content than p1/1.dcm",
    }


def test_contents_are_compared_once(archive, tmp_path, monkeypatch):
    from workbench.catalog import duplicates

    shutil.copy(archive / "p0/1.dcm", archive / "p0/z-copy.dcm")
    first = reasons(scan(archive, tmp_path / "catalog"))
    monkeypatch.setattr(duplicates, "_digest", None)
    write_image(archive / "new.dcm", 50, exam=8)
    second = scan(archive, tmp_path / "catalog")
    check(second)
    assert reasons(second) == first


def test_a_series_that_two_patients_claim_is_two_series_and_marked(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(buckets, "ROWS_PER_BUCKET", 1)  # they lie in different tables
    uid = f"{UID}.1.1"
    write_image(archive / "p1/x.dcm", 31, patient="P1", exam=2, SeriesInstanceUID=uid)
    write_image(archive / "p2/x.dcm", 32, patient="P2", exam=3)
    catalog = scan(archive, tmp_path / "catalog")
    series = catalog.series().collect()
    marked = series.filter("shared")
    assert set(marked["series_uid"]) == {uid}
    assert set(marked["patient_id"]) == {"P0", "P1"}
    assert len(series) == 4
    (archive / "p1/x.dcm").unlink()
    assert not scan(archive, tmp_path / "catalog").series().collect()["shared"].any()


def test_images_without_patient_are_kept_together_by_exam(tmp_path, monkeypatch):
    monkeypatch.setattr(buckets, "ROWS_PER_BUCKET", 2)
    for exam in range(1, 5):
        for number in range(1, 4):
            write_image(tmp_path / f"a/{exam}-{number}", number, patient=None, exam=exam)
    catalog = scan(tmp_path / "a", tmp_path / "catalog")
    check(catalog)
    assert len(catalog.partitions) == 6
    for partition in catalog.partitions:
        assert set(pl.read_parquet(partition).group_by("exam_uid").len()["len"]) <= {3}
    assert catalog.counts["patients"] == 0


def test_what_the_system_could_not_read_is_tried_again(archive, tmp_path, monkeypatch):
    from workbench.dicom.refusals import Refused

    really = part.read_headers

    def failing(paths, sizes, *words, **more):
        rows, refused = really(paths, sizes, *words, **more)
        kept = rows.filter(pl.col("path") != "p0/1.dcm")
        return kept, [*refused, Refused("p0/1.dcm", "unreadable", "Input/output error")]

    monkeypatch.setattr(part, "read_headers", failing)
    first = scan(archive, tmp_path / "catalog")
    assert reasons(first)["p0/1.dcm"][0] == "unreadable"
    before = content(tmp_path / "catalog")
    scan(archive, tmp_path / "catalog")
    assert content(tmp_path / "catalog") == before  # as before: no study has to run again
    monkeypatch.setattr(part, "read_headers", really)
    second = scan(archive, tmp_path / "catalog")
    check(second)
    assert "p0/1.dcm" in paths(second)


KILLED = """
import os, signal, sys
from workbench.catalog import commit, part, scan, unfinished
scan.BATCH = scan.SMALLEST = 3
module, name, number = sys.argv[3], sys.argv[4], int(sys.argv[5])
place = {"part": part, "scan": scan, "commit": commit, "unfinished": unfinished}[module]
really, calls = getattr(place, name), 0
def killing(*words, **more):
    global calls
    calls += 1
    if calls == number:
        os.kill(os.getpid(), signal.SIGKILL)
    return really(*words, **more)
setattr(place, name, killing)
scan.scan(sys.argv[1], sys.argv[2])
"""
STOPS = [
    ("scan", "walk", 1),
    ("part", "read_headers", 3),
    ("part", "write_table", 5),
    ("commit", "write_bucket", 1),
    ("commit", "write_table", 2),
    ("commit", "sync", 2),
    ("commit", "write_record", 1),
    ("commit", "sync", 4),
    ("unfinished", "remove_left", 1),
]


@pytest.mark.parametrize(("module", "name", "number"), STOPS)
def test_killed_anywhere_it_goes_on_and_the_catalog_is_the_same(
    archive, tmp_path, module, name, number
):
    shutil.copy(archive / "p0/1.dcm", archive / "p0/z-copy.dcm")
    out = tmp_path / "catalog"

    def kill():
        words = [str(archive), str(out), module, name, str(number)]
        done = subprocess.run([sys.executable, "-c", KILLED, *words], cwd=ROOT, check=False)
        assert done.returncode == -signal.SIGKILL

    kill()
    first = scan(archive, out)
    check(first)
    fresh = scan(archive, tmp_path / "fresh")
    assert first.fingerprint() == fresh.fingerprint()
    assert reasons(first) == reasons(fresh)
    if name in ("judge_duplicates", "remove_left", "walk") or (name, number) == ("sync", 4):
        return
    # And a second scan, killed over the first.
    for number_now in range(1, 5):
        write_image(archive / f"p0/{number_now}.dcm", number_now, patient="P0", pixel=5)
        write_image(archive / f"p8/{number_now}.dcm", number_now, patient="P8", exam=8)
    for number_now in range(9, 20):
        write_image(archive / f"p8/{number_now}.dcm", number_now, patient="P8", exam=8)
    (archive / "p1/1.dcm").unlink()
    kill()
    assert_frame_equal(
        open_catalog(out).instances().collect(), first.instances().collect()
    )  # still the last one, whole
    second = scan(archive, out)
    check(second)
    again = scan(archive, tmp_path / "fresh again")
    assert_frame_equal(second.instances().collect(), again.instances().collect())
    assert reasons(second) == reasons(again)
    assert {p.name for p in (out / "instances").iterdir()} == {p.name for p in second.partitions}


def test_what_was_read_before_a_kill_is_not_read_again(archive, tmp_path, monkeypatch):
    words = [str(archive), str(tmp_path / "catalog"), "part", "read_headers", "4"]
    subprocess.run([sys.executable, "-c", KILLED, *words], cwd=ROOT, check=False)
    assert len(list((tmp_path / "catalog").glob("unfinished-*/part-*"))) == 3
    write_image(archive / "p0/2.dcm", 2, patient="P0", pixel=5)  # changed meanwhile
    (archive / "p2/4.dcm").unlink()
    read = read_paths(monkeypatch)
    catalog = scan(archive, tmp_path / "catalog")
    check(catalog)
    assert 0 < len(read) < 13
    assert {"p0/2.dcm", "p2/1.dcm"} <= set(read)
    fresh = scan(archive, tmp_path / "fresh")
    assert_frame_equal(catalog.instances().collect(), fresh.instances().collect())


def test_what_is_one_batch_is_read_and_not_written_before_the_tables(
    archive, tmp_path, monkeypatch
):
    several = scan(archive, tmp_path / "several")
    monkeypatch.setattr(part, "write_part", None)  # it would fail
    catalog = scan(archive, tmp_path / "catalog")
    check(catalog)
    write_image(archive / "p9/new.dcm", 9, patient="P9", exam=9)
    again = scan(archive, tmp_path / "catalog")
    check(again)
    assert len(paths(again)) == 1 + len(paths(several))


def test_after_a_kill_at_the_end_the_last_batch_alone_is_read_again(archive, tmp_path, monkeypatch):
    words = [str(archive), str(tmp_path / "catalog"), "commit", "write_record", "1"]
    subprocess.run([sys.executable, "-c", KILLED, *words], cwd=ROOT, check=False)
    assert len(list((tmp_path / "catalog").glob("unfinished-*/part-*"))) == 4
    read = read_paths(monkeypatch)
    catalog = scan(archive, tmp_path / "catalog")
    check(catalog)
    assert read == ["p2/4.dcm", "readme.txt"]  # of 14 files in batches of three


def test_the_last_batches_of_several_processes_are_small(monkeypatch):
    monkeypatch.setattr(scanning, "BATCH", 1_000)
    monkeypatch.setattr(scanning, "SMALLEST", 50)
    waiting, sizes = 20_000, []
    while waiting > 0:
        sizes.append(min(waiting, scanning._size_of_batch(waiting, 2)))
        waiting -= sizes[-1]
    assert sizes[0] == 1_000
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-2] == 50
    assert len(sizes) < 30
    assert scanning._size_of_batch(3, 1) == 1_000


def test_killed_at_any_moment_with_processes_it_goes_on(tmp_path):
    for number in range(1, 401):
        write_image(tmp_path / f"a/{number % 9}/{number}.dcm", number, patient=f"P{number % 9}")
    code = (
        "import sys\nfrom workbench.catalog import scan\n"
        "scan.BATCH = scan.SMALLEST = 20\nscan.FEW = 0\n"
        "scan.scan(sys.argv[1], sys.argv[2], workers=2)"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "a"), str(tmp_path / "catalog")]
    for wait_s in (1.0, 1.6, 2.2, 2.8):
        process = subprocess.Popen(words, cwd=ROOT)
        time.sleep(wait_s)
        process.kill()
        process.wait()
    done = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    catalog = open_catalog(tmp_path / "catalog")
    check(catalog)
    fresh = scan(tmp_path / "a", tmp_path / "fresh")
    assert_frame_equal(catalog.instances().collect(), fresh.instances().collect())
    assert catalog.fingerprint() == fresh.fingerprint()


def test_a_file_that_ends_its_process_is_refused_alone(archive, tmp_path, monkeypatch):
    # The process reads what this test's module gives it: a reader that dies of one file.
    monkeypatch.setattr(scanning, "read_named", die_of_one)
    monkeypatch.setattr(scanning, "FEW", 0)
    catalog = scan(archive, tmp_path / "catalog", workers=2)
    check(catalog)
    assert reasons(catalog)["p1/3.dcm"] == ("too_big", "reading it ended the process")
    assert catalog.counts["instances"] == 11


def test_processes_that_end_whatever_they_read_end_the_scan(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(scanning, "read_named", die)
    monkeypatch.setattr(scanning, "FEW", 0)
    with pytest.raises(ExecutionError, match="end, whatever they read"):
        scan(archive, tmp_path / "catalog", workers=2)
    monkeypatch.undo()
    check(scan(archive, tmp_path / "catalog"))


def die(batch):
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_archive_that_goes_away_while_it_is_read_is_named(archive, tmp_path, monkeypatch):
    def go_away(batch):
        archive.rename(tmp_path / "away")
        return part.read_batch(batch)

    monkeypatch.setattr(scanning, "read_batch", go_away)
    with pytest.raises(SiteError, match="The archive cannot be read: No such file") as caught:
        scan(archive, tmp_path / "catalog")
    assert str(archive) in str(caught.value)
    (tmp_path / "away").rename(archive)
    monkeypatch.undo()
    check(scan(archive, tmp_path / "catalog"))


def die_of_one(batch):
    if "p1/3.dcm" in batch.entries["path"] and not batch.lost:
        os.kill(os.getpid(), signal.SIGKILL)
    return part.read_batch(batch)


def test_two_scans_of_one_catalog_do_not_meet(archive, tmp_path):
    scan(archive, tmp_path / "catalog")
    with lock_folder(tmp_path / "catalog"), pytest.raises(ExecutionError) as caught:
        scan(archive, tmp_path / "catalog")
    assert f"The catalog is in use by process {os.getpid()} on" in str(caught.value)


def test_places_that_cannot_be_are_refused(archive, tmp_path):
    for out in (archive, archive / "catalog", tmp_path):
        with pytest.raises(SiteError, match="inside the archive"):
            scan(archive, out)
    (tmp_path / "link").symlink_to(archive / "p0")
    with pytest.raises(SiteError, match="inside the archive"):
        scan(archive, tmp_path / "link/catalog")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.tex").write_text("x")
    with pytest.raises(SiteError, match="not empty"):
        scan(archive, tmp_path / "full")
    with pytest.raises(SiteError, match="No such file"):
        scan(tmp_path / "absent", tmp_path / "catalog")
    with pytest.raises(SiteError, match="Not a directory"):
        scan(archive / "readme.txt", tmp_path / "catalog")
    assert not (tmp_path / "catalog").exists()
    scan(archive, tmp_path / "catalog")
    shutil.copytree(archive / "p0", tmp_path / "other")
    with pytest.raises(SiteError, match="another archive"):
        scan(tmp_path / "other", tmp_path / "catalog")


def test_an_archive_that_moved_is_not_read_again(archive, tmp_path, monkeypatch):
    scan(archive, tmp_path / "catalog")
    archive.rename(tmp_path / "moved")
    monkeypatch.setattr(scanning, "read_named", None)
    catalog = scan(tmp_path / "moved", tmp_path / "catalog")
    check(catalog)
    assert open_catalog(tmp_path / "catalog").root == tmp_path / "moved"


def test_an_archive_restored_to_another_disk_is_the_same(archive, tmp_path):
    first = scan(archive, tmp_path / "catalog")
    shutil.copytree(archive, tmp_path / "restored")  # with times, and other inodes
    shutil.rmtree(archive)
    for number in range(30, 60):  # it grew meanwhile
        write_image(tmp_path / f"restored/p7/{number}.dcm", number, patient="P7", exam=7)
    catalog = scan(tmp_path / "restored", tmp_path / "catalog")
    check(catalog)
    assert catalog.counts["instances"] == first.counts["instances"] + 30


@pytest.mark.parametrize("told", ["whole", "damaged", "another version"])
def test_another_archive_does_not_take_the_catalog_of_one_that_is_away(archive, tmp_path, told):
    scan(archive, tmp_path / "catalog")
    place = tmp_path / "catalog/catalog.json"
    record = json.loads(place.read_text())
    edits = {"whole": {}, "damaged": {"buckets": []}, "another version": {"format": 1}}
    place.write_text(json.dumps(record | edits[told]))
    before = content(tmp_path / "catalog")
    archive.rename(tmp_path / "away")
    for number in range(1, 9):  # some names are the same, and that is all
        write_image(tmp_path / f"other/p0/{number}.dcm", number, patient="Q0", exam=8)
    with pytest.raises(SiteError, match="another archive"):
        scan(tmp_path / "other", tmp_path / "catalog")
    after = content(tmp_path / "catalog")
    assert {n: b for n, b in after.items() if not n.startswith("unfinished")} == before


def test_a_catalog_of_other_columns_is_made_anew(archive, tmp_path, monkeypatch):
    first = scan(archive, tmp_path / "catalog").instances().collect()
    from workbench.catalog import commit, record

    monkeypatch.setattr(record, "FORMAT", 99)
    with pytest.raises(SiteError, match="another version"):
        open_catalog(tmp_path / "catalog")
    monkeypatch.setattr(commit, "FORMAT", 99)
    read = read_paths(monkeypatch)
    again = scan(archive, tmp_path / "catalog")
    assert len(read) == 14
    assert again.notes == ("The last catalog was of another version: everything was read anew",)
    assert scan(archive, tmp_path / "catalog").notes == ()
    check(again)
    assert_frame_equal(again.instances().collect(), first)
    assert len(list((tmp_path / "catalog/instances").iterdir())) == 1
