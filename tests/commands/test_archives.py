"""The scan command: tables and refusals, exit codes, a stop and what goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.imaging.images import write_image
from tests.test_cli import ENVIRONMENT, workbench
from tests.test_conventions import ROOT
from workbench.catalog.catalog import open_catalog


@pytest.fixture
def archive(tmp_path):
    for number in range(1, 4):
        write_image(tmp_path / f"dicom/{number}.dcm", number, patient="MARKER-1")
    return tmp_path / "dicom"


def write_site(folder, archive='kind = "folder"\npath = "dicom"\n'):
    path = folder / "site.toml"
    path.write_text(f'[site]\nid = "here"\nname = "Here"\nkind = "real"\n[archive]\n{archive}')
    return path


def test_a_folder_is_scanned_and_refusals_have_their_own_exit_code(archive, tmp_path):
    words = ("scan", archive, "--out", tmp_path / "catalog")
    done = workbench(*words)
    assert done.returncode == 0, done.stderr
    assert "CT\t3\n" in done.stdout
    assert "3 files: 3 instances and 0 refused; 1 series, 1 exams, 1 patients" in done.stdout
    assert "MARKER" not in done.stdout + done.stderr
    (archive / "note\x1b.txt").write_text("hello")
    done = workbench(*words)
    assert done.returncode == 9
    assert "not_dicom\t1\tthe content is not DICOM\n" in done.stdout
    assert "--list-refused" in done.stdout
    done = workbench(*words, "--list-refused")
    assert done.returncode == 9
    assert "note\\x1b.txt\tnot_dicom\t" in done.stdout


def test_json_is_one_document(archive, tmp_path):
    (archive / "note.txt").write_text("hello")
    done = workbench("scan", archive, "--out", tmp_path / "catalog", "--json", "--list-refused")
    assert done.returncode == 9
    told = json.loads(done.stdout)
    assert told["counts"]["instances"] == 3
    assert told["modalities"] == {"CT": 3}
    assert told["refused"] == {"not_dicom": 1}
    assert [file["path"] for file in told["files"]] == ["note.txt"]
    assert told["fingerprint"] == open_catalog(tmp_path / "catalog").fingerprint()
    assert done.stderr == ""


def test_an_index_of_a_medium_is_accounted_for_and_no_fault(tmp_path):
    from pydicom.fileset import FileSet

    files = FileSet()
    more = {"StudyDate": "20200101", "StudyTime": "10", "StudyID": "1", "SeriesNumber": 1}
    files.add(write_image(tmp_path / "image", AccessionNumber="1", **more))
    files.write(tmp_path / "medium")
    done = workbench("scan", tmp_path / "medium", "--out", tmp_path / "catalog")
    assert done.returncode == 0, done.stdout
    assert "dicomdir\t1\t" in done.stdout
    assert open_catalog(tmp_path / "catalog").counts["instances"] == 1


def test_a_site_says_itself_where_its_catalog_is(archive, tmp_path):
    site = write_site(tmp_path)
    assert "Run 'workbench scan site.toml'" in workbench("site", site).stdout
    done = workbench("scan", site)
    assert done.returncode == 0, done.stderr
    assert open_catalog(tmp_path / "catalog").root == archive
    assert "not scanned yet" not in workbench("site", site).stdout
    wrong = workbench("scan", site, "--out", tmp_path / "other")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "Leave out --out" in wrong.stderr


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_folder_of_a_site_is_the_site(archive, tmp_path, slash):
    write_site(tmp_path)
    done = workbench("scan", f"{tmp_path}{slash}")
    assert done.returncode == 0, done.stderr
    assert open_catalog(tmp_path / "catalog").root == archive
    # With a place for the catalog it is a folder like any other.
    done = workbench("scan", archive, "--out", tmp_path / "other")
    assert done.returncode == 0, done.stderr


def test_an_archive_that_is_gone_is_refused_unless_it_was_emptied(archive, tmp_path):
    site = write_site(tmp_path)
    assert workbench("scan", site).returncode == 0
    archive.rename(tmp_path / "mounted")
    archive.mkdir()
    done = workbench("scan", site)
    assert done.returncode == 11
    assert "holds no file any more, the catalog 3 instances" in done.stderr
    assert "--emptied" in done.stderr
    assert open_catalog(tmp_path / "catalog").counts["instances"] == 3
    done = workbench("scan", site, "--emptied")
    assert done.returncode == 0, done.stderr
    assert "0 files: 0 instances and 0 refused" in done.stdout


def test_a_damaged_catalog_is_said_and_made_anew(archive, tmp_path):
    site = write_site(tmp_path)
    assert workbench("scan", site).stderr == ""
    (tmp_path / "catalog/catalog.json").write_text("{")
    assert "The catalog is damaged" in workbench("site", site).stdout
    done = workbench("scan", site)
    assert done.returncode == 0
    assert done.stderr == "The last catalog was damaged: everything was read anew\n"
    assert workbench("scan", site).stderr == ""


@pytest.mark.parametrize(
    ("archive", "told"),
    [
        ('kind = "table"\npath = "exams.csv"\n', "kind 'table' is not scanned"),
        ('kind = "folder"\n', 'Write path = "…"'),
    ],
)
def test_what_cannot_be_scanned_is_said(tmp_path, archive, told):
    done = workbench("scan", write_site(tmp_path, archive))
    assert done.returncode == 11
    assert told in done.stderr


def test_a_folder_needs_a_place_for_its_catalog(archive, tmp_path):
    done = workbench("scan", archive)
    assert done.returncode == 2
    assert "Add --out FOLDER" in done.stderr
    done = workbench("scan", archive, "--out", archive / "catalog")
    assert done.returncode == 11
    assert "inside the archive" in done.stderr
    done = workbench("scan", tmp_path / "absent", "--out", tmp_path / "catalog")
    assert done.returncode == 11


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_stopped_by_hand_or_service_it_says_so_and_goes_on(tmp_path, stop):
    for number in range(1, 1200):
        write_image(tmp_path / f"dicom/{number % 7}/{number}.dcm", number, patient="MARKER-1")
    code = (
        "import sys, time\nfrom workbench import cli\nfrom workbench.catalog import part, scan\n"
        "really = part.read_headers\n"
        "def slowly(*words, **more):\n"
        "    time.sleep(0.3)\n"
        "    return really(*words, **more)\n"
        "part.read_headers = slowly\nscan.BATCH = scan.SMALLEST = 50\n"
        "sys.argv = ['workbench', 'scan', *sys.argv[1:]]\ncli.main()"
    )
    words = [str(tmp_path / "dicom"), "--out", str(tmp_path / "catalog"), "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words], cwd=ROOT, env=ENVIRONMENT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list((tmp_path / "catalog").glob("unfinished-*/part-*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, stop)
    out, error = process.communicate()
    assert process.returncode == 130
    assert (out, error) == ("", "Stopped. The same command goes on from here.\n")
    parts = len(list((tmp_path / "catalog").glob("unfinished-*/part-*")))
    assert 0 < parts < 24
    done = workbench("scan", *words)
    assert done.returncode == 0, done.stderr
    assert open_catalog(tmp_path / "catalog").counts["instances"] == 1199


def test_a_scan_says_what_comes_next_and_what_nobody_can_count(archive, tmp_path):
    site = write_site(tmp_path)
    write_image(archive / "4.dcm", 4, patient="", StudyInstanceUID="1.2.3", SeriesInstanceUID="1.4")
    (archive / "a.txt").write_text("hello")
    (archive / "b.txt").write_text("hello")
    (archive / "empty").touch()
    told = workbench("scan", site).stdout
    assert told.index("empty\t1\t") < told.index("not_dicom\t2\t")
    assert "1 exam without a patient: no study counts them" in told
    assert told.endswith(f"Next: workbench run STUDY --site {site}\n")
    told = workbench("scan", archive, "--out", tmp_path / "other").stdout
    assert "Next:" not in told


def test_a_series_without_identifiers_is_said_to_open_as_a_folder(archive, tmp_path):
    (archive / "1.dcm").unlink()
    write_image(archive / "1.dcm", 1, patient="MARKER-1", SOPInstanceUID="")
    told = workbench("scan", archive, "--out", tmp_path / "catalog").stdout
    assert "no_identifiers\t1\t" in told
    assert "open_volume(FOLDER)" in told
    assert "without a patient" not in told
