"""The commands as a person types them: exit codes, three-line errors, no trace."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from tests.test_conventions import ROOT

STUDY = ROOT / "studies" / "imaging_service"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def workbench(*words: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workbench", *map(str, words)]
    return subprocess.run(
        command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


def write_hospital(folder: Path, name: str, patients: int = 240, **more: str) -> Path:
    """Write an exam table and a pretend site that holds it; return its site.toml."""
    folder.mkdir(parents=True)
    pl.DataFrame(
        {
            "exam_uid": [f"2.25.{name}.{i}" for i in range(patients * 2)],
            "patient_id": [f"MARKER-{name}-{i // 2}" for i in range(patients * 2)],
            "modality": ["CT" if i % 3 else "MR" for i in range(patients * 2)],
            "sex": ["F" if i % 4 < 2 else "M" for i in range(patients * 2)],
            "age_years": [float(20 + i // 2 % 60) for i in range(patients * 2)],
        }
    ).write_parquet(folder / "exams.parquet")
    site = folder / "site.toml"
    site.write_text(
        f'[site]\nid = "{name}"\nname = "Hospital {name}"\nkind = "pretend"\n'
        '[archive]\nkind = "table"\npath = "exams.parquet"\n'
        '[key]\nfile = "site.key"\nkind = "demo"\n' + "".join(more.values())
    )
    return site


@pytest.fixture(scope="module")
def journey(tmp_path_factory):
    """A new study from nothing to a pooled finding at two hospitals, by commands alone."""
    folder = tmp_path_factory.mktemp("journey")
    sites = [write_hospital(folder / name, name) for name in ("north", "south")]
    assert workbench("new", "studies/first_look", cwd=folder).returncode == 0
    done = {"check": workbench("check", "studies/first_look", cwd=folder)}
    with (folder / "studies/first_look/sites.toml").open("a") as pins:
        for site in sites:
            made = workbench("key", site, cwd=folder)
            assert made.returncode == 0, made.stderr
            pins.write("\n" + made.stdout[made.stdout.index("[[site]]") :])
    where = [word for site in sites for word in ("--site", site)]
    done["run"] = workbench("run", "studies/first_look", *where, "--jobs", 2, cwd=folder)
    done["again"] = workbench("run", "studies/first_look", *where, "--jobs", 2, cwd=folder)
    done["asked"] = workbench("release", "studies/first_look", *where, cwd=folder)
    done["release"] = workbench("release", "studies/first_look", *where, "--yes", cwd=folder)
    done["verify"] = workbench("verify", "studies/first_look", cwd=folder)
    done["pool"] = workbench("pool", "studies/first_look", cwd=folder)
    done["reproduce"] = workbench("reproduce", "studies/first_look", *where, cwd=folder)
    return folder, done


@pytest.mark.parametrize(
    "step", ["check", "run", "again", "release", "verify", "pool", "reproduce"]
)
def test_journey_from_nothing_to_a_pooled_finding(journey, step):
    done = journey[1][step]
    assert done.returncode == 0, done.stdout + done.stderr


def test_second_run_reuses_every_step(journey):
    assert "unchanged" in journey[1]["again"].stdout
    assert " s\n" not in journey[1]["again"].stdout


def test_release_shows_what_leaves_and_asks_first(journey):
    asked = journey[1]["asked"]
    assert asked.returncode == 2
    assert "exams_by_modality" in asked.stdout
    assert "add --yes" in asked.stderr


def test_nothing_that_is_printed_or_released_names_a_patient(journey):
    folder, done = journey
    assert not any("MARKER" in d.stdout + d.stderr for d in done.values())
    released = [p for p in (folder / "studies").rglob("*") if p.is_file()]
    assert released
    assert not any(b"MARKER" in p.read_bytes() for p in released)


def test_reproduce_names_the_number_that_was_changed(journey, tmp_path):
    folder = shutil.copytree(journey[0], tmp_path / "copy")
    table = folder / "studies/first_look/releases/north/exams_by_modality.csv"
    lines = table.read_text().splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if line.startswith("CT,exams,"))
    lines[at] = "CT,exams,325,rounded\n"
    table.write_text("".join(lines))
    assert workbench("verify", "studies/first_look", cwd=folder).returncode == 14
    done = workbench(
        "reproduce", "studies/first_look", "--site", folder / "north/site.toml", cwd=folder
    )
    assert done.returncode == 16
    assert "modality=CT" in done.stdout
    assert "325" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["check", "nowhere"], 10, "study.toml"),
        (["chek", "x"], 2, "No such command"),
        (["run", "studies/imaging_service", "--site", "nowhere.toml"], 11, "nowhere.toml"),
        (["run", "studies/imaging_service", "-p", "largest_exam_image=5"], 10, "exam_images"),
        (["run", "studies/imaging_service", "-p", "largest_exam_images=5"], 10, "1000"),
        (["run", "studies/imaging_service", "--sample", "0"], 2, "--sample"),
        (["new", "studies/imaging_service"], 10, "not empty"),
        (["verify", "datasets"], 10, "study.toml"),
        (["release", "studies/imaging_service", "--site", "datasets/idc/cmmd/site.toml",
          "--runs", "nowhere"], 12, "run"),
    ],
)  # fmt: skip
def test_errors_have_a_class_and_three_short_lines(words, code, said):
    start = time.monotonic()
    done = workbench(*words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 6
    assert time.monotonic() - start < 5


def test_unexpected_errors_show_their_class_only(tmp_path):
    code = (
        "from workbench import cli\nimport workbench.study, sys\n"
        "def fail(path): raise RuntimeError('MARKER')\nworkbench.study.read_study = fail\n"
        "sys.argv = ['workbench', 'check', 'x']\ncli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "RuntimeError" in done.stderr
    assert "MARKER" not in done.stderr


def test_dashboard_command_and_address_are_printed():
    done = workbench("publish", "studies/imaging_service", "--dry-run")
    assert done.returncode == 0
    assert "http://127.0.0.1:" in done.stdout
    assert "voila" in done.stdout


@pytest.mark.parametrize(
    ("renamed", "said"),
    [({"patient_id": "patient"}, "patient_id"), ({"modality": "Modalty"}, "modality")],
)
def test_a_table_without_a_needed_column_is_refused_by_name(tmp_path, renamed, said):
    site = write_hospital(tmp_path / "north", "north", 20)
    table = site.with_name("exams.parquet")
    pl.read_parquet(table).rename(renamed).write_parquet(table)
    start = time.monotonic()
    done = workbench("run", STUDY, "--site", site, "--runs", tmp_path / "runs")
    assert done.returncode == 11, done.stderr
    assert said in done.stderr
    assert "MARKER" not in done.stderr
    assert not (tmp_path / "runs").exists()
    assert time.monotonic() - start < 5
