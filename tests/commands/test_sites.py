"""The site command: from nothing to a run on a folder of DICOM, and what it says on the way."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys

import pytest
from pydicom.data import get_testdata_file

from tests.archive.dicom_sources import write_site
from tests.test_cli import ENVIRONMENT, STUDY, workbench, write_hospital
from workbench.catalog.catalog import open_catalog
from workbench.radiology.opening_hours import HOURS
from workbench.study import read_study

IMAGES = ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "waveform_ecg.dcm", "examples_overlay.dcm")
HOW = ("--id", "here", "--name", "Here", "--country", "KG")
DIMSE = {"kind": "dimse", "host": "pacs.example", "port": 104, "ae_title": "PACS", "tls": True}
DICOMWEB = {"kind": "dicomweb", "url": "https://pacs.example/dicom-web"}


@pytest.fixture
def dicom(tmp_path):
    (tmp_path / "dicom").mkdir()
    for name in IMAGES:
        shutil.copy(get_testdata_file(name, download=False), tmp_path / "dicom" / name)
    return tmp_path / "dicom"


def check(site):
    """Return the findings about an archive, and the exit code."""
    done = workbench("site", site, "--json")
    found = [f for f in json.loads(done.stdout)["findings"] if f["rule"] in ("archive", "catalog")]
    return found, done


def test_a_folder_of_dicom_becomes_a_site_that_runs_by_commands_alone(dicom, tmp_path):
    made = workbench("site", "--new", "site", *HOW, "--archive", "dicom", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    steps = [line.split(". ", 1)[1] for line in made.stdout.splitlines()[1:]]
    assert [" ".join(step.split()[:2]) for step in steps[1:]] == [
        "workbench site", "workbench scan", "workbench key", "workbench run",
    ]  # fmt: skip
    site = tmp_path / "site/site.toml"
    assert f'path = "{dicom}"' in site.read_text()

    found, done = check(site)
    assert done.returncode == 0, done.stderr
    assert [(f["level"], f["rule"], f["where"]) for f in found] == [
        ("review", "catalog", "site.toml, archive.catalog")
    ]
    assert "not scanned yet" in found[0]["message"]
    assert f"Next: workbench scan {site}" in done.stderr
    refused = workbench("run", STUDY, "--site", site, cwd=tmp_path)
    assert refused.returncode == 11
    assert "workbench scan" in refused.stderr

    scanned = workbench("scan", site)
    assert scanned.returncode == 0, scanned.stdout + scanned.stderr
    assert open_catalog(tmp_path / "site/catalog").counts["instances"] == len(IMAGES)
    shown = workbench("site", site)
    assert shown.returncode == 0
    assert "workbench scan" not in shown.stdout + shown.stderr
    assert workbench("key", site).returncode == 0

    ran = workbench("run", STUDY, "--site", site, "--runs", tmp_path / "runs", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    steps = [line for line in ran.stdout.splitlines() if line.startswith("here   ")]
    assert len(steps) == len(read_study(STUDY).steps)
    assert all(line.endswith(" s") for line in steps)
    assert "with images, not derived objects alone" in ran.stdout
    assert "papermill" not in ran.stdout + ran.stderr


def test_a_run_on_a_terminal_ends_each_step_with_a_line(tmp_path):
    site = write_hospital(tmp_path / "north", "north", 40)
    assert workbench("new", "first_look", cwd=tmp_path).returncode == 0
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "workbench", "run", "first_look", "--site", site], cwd=tmp_path,
        env=ENVIRONMENT | {"TERM": "xterm", "COLUMNS": "100"}, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    said = b""
    try:
        while part := os.read(ours, 65_536):
            said += part
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert child.wait(60) == 0, said
    lines = said.decode(errors="replace").replace("\x1b[2K", "\n").replace("\r", "\n").split("\n")
    (line,) = [line for line in lines if line.startswith("north   exams   ")]
    assert line.rstrip().endswith(" s")
    assert b"papermill" not in said


@pytest.mark.parametrize(
    ("archive", "said", "where"),
    [
        ({"kind": "folder", "path": "nowhere"}, "cannot be read", "archive.path"),
        ({"kind": "folder", "path": "password"}, "cannot be read", "archive.path"),
        ({"kind": "folder"}, "says no folder", "archive.path"),
        ({"kind": "folder", "path": "../dicom", "catalgo": "x"}, "'catalgo'", "archive"),
        ({"kind": "folder", "path": ".."}, "inside of the archive", "archive.catalog"),
        (DICOMWEB | {"url": "pacs.example"}, "none of a web server", "archive.url"),
        (DICOMWEB | {"url": "http://pacs.example"}, "without TLS", "archive.url"),
        (DICOMWEB | {"user": "me", "password_file": "open"}, "Others may read", "password_file"),
        (DICOMWEB | {"token_file": "nowhere"}, "cannot be read", "archive.token_file"),
        (DICOMWEB | {"page": 0}, "'page' cannot be 0", "archive.page"),
        (DIMSE | {"port": "104"}, "'port' cannot be", "archive.port"),
        (DIMSE | {"tls": False}, "without TLS", "archive.tls"),
        (DIMSE | {"ca_file": "password"}, "cannot be used", "archive.ca_file"),
        (DIMSE | {"client_key": "open", "client_certificate": "open"}, "Others", "client_key"),
    ],
)  # fmt: skip
def test_an_archive_that_no_scan_could_read_is_refused_before_one(
    dicom, tmp_path, archive, said, where
):
    site = write_site(tmp_path / "site", archive)
    (site.parent / "open").write_text("hush")
    (site.parent / "open").chmod(0o644)
    (finding,), done = check(site)
    assert done.returncode == 11
    assert finding["level"] == "fail"
    assert said in finding["message"]
    assert where in finding["where"]
    assert "hush" not in done.stdout + done.stderr


@pytest.mark.parametrize("archive", [DICOMWEB | {"user": "me", "password_file": "password"}, DIMSE])
def test_a_server_that_is_declared_right_is_told_to_be_scanned(tmp_path, archive):
    (finding,), done = check(write_site(tmp_path, archive))
    assert (done.returncode, finding["level"], finding["rule"]) == (0, "review", "catalog")


def test_an_empty_folder_and_a_catalog_of_another_one_are_told(dicom, tmp_path):
    (tmp_path / "empty").mkdir()
    site = write_site(tmp_path / "site", {"kind": "folder", "path": "../empty"})
    found, done = check(site)
    assert done.returncode == 0
    assert [f["message"] for f in found] == [
        "The folder is empty",
        "The archive was not scanned yet",
    ]
    assert workbench("scan", site).returncode == 0
    write_site(tmp_path / "site", {"kind": "folder", "path": "../dicom"})
    (finding,), done = check(site)
    assert (done.returncode, finding["message"]) == (0, "The catalog is of another folder")
    assert "Next: workbench scan" in done.stderr


def test_a_typed_path_starts_where_it_is_typed(dicom, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/inner").mkdir()
    words = ("site", "--new", "site", *HOW, "--archive")
    assert workbench(*words, "./site/inner/../inner", cwd=tmp_path).returncode == 0
    assert 'path = "inner"' in (tmp_path / "site/site.toml").read_text()
    wrong = workbench("site", "--new", "dicom/site", *HOW, "--archive", "dicom", cwd=tmp_path)
    assert wrong.returncode == 11
    assert "inside of its archive" in wrong.stderr
    assert not (dicom / "site").exists()


DEVICES = (
    "station,time_zone,room," + ",".join(HOURS) + "\nMARKER-1,Europe/Moscow,MARKER-2,480,1200,,,,\n"
)
REPORTS = (
    "exam_uid,patient_id,acquired_time,preliminary_time,final_time\n"
    "MARKER-3,MARKER-4,2024-03-01T08:00:00,,2024-03-01T09:00:00\n"
)


def write_tables(folder, **tables):
    """Write a site with tables beside its archive; return its site.toml."""
    declared = "".join(f'{name} = "{name}.csv"\n' for name in tables)
    site = write_hospital(folder, "north", 20, tables=f"[tables]\n{declared}")
    for name, text in tables.items():
        if text is not None:
            (folder / f"{name}.csv").write_text(text)
    return site


def test_the_tables_of_a_site_are_opened_and_told(tmp_path):
    site = write_tables(tmp_path / "north", devices=DEVICES, reports=REPORTS, protcols="a\n1\n")
    said = json.loads(workbench("site", site, "--json").stdout)
    devices, reports = (said["tables"][name] for name in ("devices", "reports"))
    assert devices["rows"] == reports["rows"] == devices["ignored"] == 1
    assert "station" in devices["understood"]
    assert {"sunday_open_min", "manufacturer"} <= set(devices["missing"])
    assert {"acquired_time", "final_time"} <= set(reports["understood"])
    assert "preliminary_time" in reports["missing"]
    (finding,) = [f for f in said["findings"] if f["rule"] == "tables"]
    assert (finding["level"], finding["where"]) == ("review", "site.toml, tables.protcols")
    assert "'protocols'" in finding["todo"]
    shown = workbench("site", site)
    assert shown.returncode == 0, shown.stderr
    assert "1 row; understood: station, time_zone, weekday_open_min" in shown.stdout
    assert "MARKER" not in shown.stdout + shown.stderr + json.dumps(said)


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"devices": DEVICES + DEVICES.split("\n", 1)[1]}, "stands twice in the register"),
        ({"devices": DEVICES, "reports": REPORTS.replace("08:00:00", "MARKER")}, "acquired_time"),
        ({"protocols": "MARKER-6\nMARKER-7\n"}, "does not look like column names"),
        ({"wards": b"MARKER \xff".decode("latin-1") + "\0"}, "neither Parquet nor UTF-8"),
        ({"reports": None}, "There is nothing here"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_without_its_values(tmp_path, tables, said):
    site = write_tables(tmp_path / "north", **tables)
    done = workbench("site", site)
    assert done.returncode == 11
    assert said in done.stdout
    assert "1 problem(s)" in done.stderr
    assert f"tables.{[*tables][-1]}" in done.stdout
    assert "MARKER" not in done.stdout + done.stderr


def test_what_a_recipe_made_is_told(tmp_path):
    folder = tmp_path / "datasets/city"
    site = write_hospital(folder / "north", "north", 20)
    (folder / "recipe.py").write_text("def main(arguments):\n    pass\n")
    told = workbench("datasets", folder.parent, "--build", "city").stdout
    assert told.startswith(f"Wrote {folder}\n")
    assert re.search(rf"^north\t[1-9]\d*\t{site}$", told, re.MULTILINE)
    assert told.endswith(f"Next: workbench run STUDY --site {site}\n")


def test_a_key_that_is_not_there_yet_is_said_to_be_made(tmp_path):
    made = workbench("site", "--new", "here", *HOW, "--archive", "dicom", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    (tmp_path / "here/dicom").mkdir()
    told = workbench("site", "here", cwd=tmp_path).stdout
    assert "site.key: no key yet" in told
    assert "There is no key yet\tMake one: workbench key here/site.toml" in told
    assert "cannot be opened" not in told
