"""The commands as a person types them: exit codes, three-line errors, no trace."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import polars as pl
import psutil
import pytest

from tests.measured import all_gone
from tests.test_conventions import ROOT
from workbench.exchange.reproduced import read_reproduced
from workbench.running.lock import lock_folder
from workbench.study import read_study

README = ROOT / "README.md"
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
    alone = ["run", "studies/first_look", "--site", sites[0]]
    done["alone"] = workbench(*alone, cwd=folder)
    done["papermill"] = workbench(*alone, "--papermill", cwd=folder)
    done["preview"] = workbench("release", "studies/first_look", *where, "--dry-run", cwd=folder)
    done["asked"] = workbench("release", "studies/first_look", *where, cwd=folder)
    done["release"] = workbench("release", "studies/first_look", *where, "--yes", cwd=folder)
    done["verify"] = workbench("verify", "studies/first_look", cwd=folder)
    done["pool"] = workbench("pool", "studies/first_look", "--json", cwd=folder)
    done["reproduce"] = workbench("reproduce", "studies/first_look", *where, "--json", cwd=folder)
    return folder, done


@pytest.mark.parametrize(
    "step", ["check", "run", "again", "preview", "release", "verify", "pool", "reproduce"]
)
def test_journey_from_nothing_to_a_pooled_finding(journey, step):
    done = journey[1][step]
    assert done.returncode == 0, done.stdout + done.stderr


def test_second_run_reuses_every_step_and_shows_no_papermill_line_unasked(journey):
    done = journey[1]
    assert "1 unchanged" in done["again"].stdout
    assert " s\n" not in done["again"].stdout
    assert "papermill" not in done["alone"].stdout
    asked = done["papermill"].stdout
    assert asked.index("1 unchanged") < asked.index("PYTHONHASHSEED=0 papermill ")


def test_a_run_says_where_it_is_kept_and_how_far_the_data_was_understood(tmp_path):
    site = write_hospital(tmp_path / "north", "north")
    table = site.with_name("exams.parquet")
    number = pl.int_range(pl.len())
    pl.read_parquet(table).with_columns(
        patient_id=pl.when(number >= 7).then("patient_id"),
        age_years=pl.when(number < 40).then(-4.0).otherwise("age_years"),
    ).write_parquet(table)
    assert workbench("new", "studies/first_look", cwd=tmp_path).returncode == 0
    words = ["studies/first_look", "--site", site]
    done = workbench("run", *words, cwd=tmp_path)
    assert done.stdout.count(f"{tmp_path}/runs/first_look/SITE/RUN") == 1
    assert "in the archive\t480\t480\t" in done.stdout
    assert "with exam and patient identifier\t473\t473\t" in done.stdout
    assert re.search(r"^age_years\t473\t33\t7.0%\t", done.stdout, re.M)
    assert "were understood" not in done.stdout
    assert "MARKER" not in done.stdout
    assert "\t1 ran\n" in done.stdout
    assert "papermill" not in done.stdout
    preview = workbench("release", *words, "--dry-run", cwd=tmp_path)
    assert "age_years\t473\t33\t" in preview.stdout


def test_data_that_was_understood_takes_one_line(journey):
    for step in ("run", "preview"):
        shown = journey[1][step].stdout
        told = "480 exams of 240 patients, nothing was left out; all columns were understood"
        assert f"north: {told}" in shown
        assert f"south: {told}" in shown


def test_release_shows_what_leaves_and_asks_first(journey):
    asked = journey[1]["asked"]
    assert asked.returncode == 2
    assert "exams_by_modality" in asked.stdout
    assert "add --yes" in asked.stderr


def test_release_says_what_its_marks_mean_what_to_send_and_which_key_signed(journey):
    folder, done = journey
    shown = done["release"].stdout
    assert "fewer than 10 patients" in shown
    assert re.search(r"rows not shown: \d+ of zeros, \d+ suppressed", shown)
    assert "—\t—" not in shown
    assert "Send studies/first_look/releases/north\n" in shown
    key = workbench("key", "north/site.toml", "--show", cwd=folder).stdout
    (fingerprint,) = set(re.findall(r"[0-9a-f]{16}", key))
    assert f"signed with key {fingerprint}" in shown


def test_a_key_is_shown_again_and_named_as_verify_names_it(journey, tmp_path):
    folder = shutil.copytree(journey[0], tmp_path / "copy")
    key = folder / "north/site.key"
    before = (key.read_bytes(), key.stat().st_mtime_ns)
    shown = workbench("key", "north/site.toml", "--show", cwd=folder)
    assert shown.returncode == 0
    block = shown.stdout[shown.stdout.index("[[site]]") :]
    assert block in (folder / "studies/first_look/sites.toml").read_text() + "\n"
    again = workbench("key", "north/site.toml", cwd=folder)
    assert again.returncode == 14
    assert "the key exists" in again.stderr
    assert "--show" in again.stderr
    assert before == (key.read_bytes(), key.stat().st_mtime_ns)
    (folder / "studies/first_look/sites.toml").write_text("")
    refused = workbench("verify", "studies/first_look", cwd=folder)
    (fingerprint,) = set(re.findall(r"[0-9a-f]{16}", shown.stdout))
    assert f"pins no key {fingerprint}" in refused.stderr


def test_a_key_that_cannot_be_written_is_named_in_full(tmp_path):
    site = write_hospital(tmp_path / "north", "north", 20)
    (tmp_path / "north/keys").write_text("no folder")
    site.write_text(site.read_text().replace('"site.key"', '"keys/site.key"'))
    done = workbench("key", site)
    assert done.returncode == 14
    assert f"{tmp_path}/north/keys/site.key" in done.stderr


def test_pool_says_what_it_replaces_before_it_does(journey, tmp_path):
    folder = shutil.copytree(journey[0], tmp_path / "copy")
    unchanged = workbench("pool", "studies/first_look", cwd=folder)
    assert "Replacing" not in unchanged.stdout
    shutil.rmtree(folder / "studies/first_look/releases/south")
    done = workbench("pool", "studies/first_look", cwd=folder)
    assert done.returncode == 0
    told = done.stdout.splitlines()
    assert told[0].endswith("2 releases before, 1 now")
    assert told[1] == "  no longer pooled: south"
    assert told[2].startswith("Pooled 1 release")


def test_a_study_leads_on_from_each_command_to_the_next(tmp_path):
    made = workbench("new", "first_look", cwd=tmp_path).stdout
    order = ["check", "key", "run", "release", "verify", "pool", "publish"]
    assert re.findall(r"^  workbench ([a-z]+) ", made, re.M) == order
    checked = workbench("check", "first_look", cwd=tmp_path).stdout
    assert "Next: workbench run first_look --site FILE" in checked
    assert (
        "Next: workbench run studies/imaging_service\n"
        in workbench("check", STUDY.relative_to(ROOT)).stdout
    )


@pytest.mark.parametrize("command", ["run", "release", "reproduce"])
def test_sites_that_are_not_here_are_asked_for(tmp_path, command):
    study = tmp_path / "first_look"
    assert workbench("new", study).returncode == 0
    (study / "sites.toml").write_text("")
    refused = workbench(command, study)
    assert refused.returncode == 11
    assert "do:    Add --site FILE" in refused.stderr
    shutil.copytree(ROOT / "datasets/idc/cmmd", tmp_path / "datasets/idc/cmmd")
    refused = workbench(command, study, cwd=tmp_path)
    assert refused.returncode == 11
    todo = "Add --site FILE, e.g. --site datasets/idc/cmmd/site.toml, or pin sites in sites.toml"
    assert todo in refused.stderr


def test_a_folder_without_sites_says_so(tmp_path):
    done = workbench("datasets", cwd=tmp_path)
    assert done.returncode == 0
    assert f"no site.toml below {tmp_path}/datasets" in done.stdout
    assert "declaration" not in done.stdout
    assert document("datasets", cwd=tmp_path)[0] == []


@pytest.mark.parametrize(("command", "code"), [("verify", "14"), ("pool", "9")])
def test_help_names_the_code_of_a_refusal(command, code):
    assert f"Exit code {code} if" in workbench(command, "--help").stdout


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_empty_dashboard_says_what_comes_before_and_ends_whole(tmp_path, stop):
    assert workbench("new", "first_look", cwd=tmp_path).returncode == 0
    child = subprocess.Popen(
        [sys.executable, "-m", "workbench", "publish", "first_look"],
        cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    said = []
    for line in child.stdout:
        said.append(line)
        if "Ctrl-C" in line:
            break
    started = psutil.Process(child.pid).children(recursive=True)
    assert started
    child.send_signal(stop)
    child.communicate(timeout=30)
    assert child.returncode == 130
    assert all_gone(started, 10)
    assert "nothing to show yet" in said[0]
    assert said[2].startswith("  workbench run first_look")
    assert "?token=" in said[-2]


def test_nothing_that_is_printed_or_released_names_a_patient(journey):
    folder, done = journey
    assert not any("MARKER" in d.stdout + d.stderr for d in done.values())
    released = [p for p in (folder / "studies").rglob("*") if p.is_file()]
    assert released
    assert not any(b"MARKER" in p.read_bytes() for p in released)


def document(*words: object, cwd: Path = ROOT, code: int = 0):
    """Return the one JSON document that a command prints, and what it says besides."""
    done = workbench(*words, "--json", cwd=cwd)
    assert done.returncode == code, done.stderr
    assert done.stdout.isascii()
    return json.loads(done.stdout), done.stderr


def test_pool_and_reproduce_print_one_document(journey):
    pooled = json.loads(journey[1]["pool"].stdout)
    assert set(pooled["releases"]) == {"north", "south"}
    assert pooled["tables"]
    assert pooled["keys"] == "demo"
    again = json.loads(journey[1]["reproduce"].stdout)
    assert again["reproduced"] is True
    assert again["moved"] == []
    assert again["compared"]["north"] > 0
    assert "running north again" in journey[1]["reproduce"].stderr


def test_verify_prints_one_document(journey, tmp_path):
    folder = shutil.copytree(journey[0], tmp_path / "copy")
    found, _ = document("verify", "studies/first_look", cwd=folder)
    assert [r["site"] for r in found["releases"]] == ["north", "south"]
    assert found["refusals"] == {}
    (folder / "studies/first_look/releases/north/manifest.json").write_text("{}")
    found, said = document("verify", "studies/first_look", cwd=folder, code=14)
    assert found["refusals"]["north"]["reason"] == "envelope_mismatch"
    assert "envelope_mismatch" in said


def test_a_dry_run_tells_what_would_leave_and_packs_nothing(journey):
    shown = journey[1]["preview"].stdout
    assert "north: what would leave" in shown
    assert "exams_by_modality\tcounts\t480\t240\t" in shown
    assert "Nothing was packed" in shown


def test_a_dry_run_needs_no_key_and_prints_one_document(journey, tmp_path):
    folder = shutil.copytree(journey[0], tmp_path / "copy")
    (folder / "north/site.key").unlink()
    words = ["release", "studies/first_look", "--site", folder / "north/site.toml"]
    before = sorted(folder.rglob("*"))
    (found,), _ = document(*words, "--dry-run", cwd=folder)
    assert sorted(folder.rglob("*")) == before
    assert (found["site"], found["sample"], found["verdict"]) == ("north", None, "pass")
    assert [t["exams"] for t in found["tables"] if t["name"] == "exams_by_modality"] == [480]


def test_a_sample_can_be_looked_at_but_not_released(journey):
    folder, _ = journey
    where = ["studies/first_look", "--site", folder / "north/site.toml"]
    ran = workbench("run", *where, "--sample", 60, cwd=folder)
    assert ran.returncode == 0, ran.stderr
    shown = workbench("release", *where, "--dry-run", "--sample", 60, cwd=folder)
    assert shown.returncode == 0, shown.stderr
    assert "A sample of 60 patients: to be looked at" in ran.stdout + ran.stderr
    assert "A sample of 60 patients. It can never be released".casefold() in shown.stdout.casefold()
    assert "MARKER" not in shown.stdout
    refused = workbench("release", *where, "--sample", 60, "--yes", cwd=folder)
    assert refused.returncode == 2
    assert "never be released" in refused.stderr


def test_clean_asks_keeps_what_is_in_use_and_leaves_releases(journey, tmp_path):
    folder = shutil.copytree(journey[0], tmp_path / "copy", symlinks=True)
    runs = sorted((folder / "runs/first_look").glob("*/*"))
    found, said = document("clean", "--older-than", 0, "--dry-run", cwd=folder)
    assert len(found["runs"]) == len(runs) >= 2
    assert {r["site"]: r["released"] for r in found["runs"] if not r["sample"]} == {
        "north": True, "south": True,
    }  # fmt: skip
    assert not any(run["removed"] for run in found["runs"])
    assert "not used for 0 days" in said
    assert document("clean", cwd=folder)[0]["runs"] == []  # younger than 90 days
    asked = workbench("clean", "--older-than", 0, cwd=folder)
    assert asked.returncode == 2
    assert "add --yes" in asked.stderr
    assert all(run.is_dir() for run in runs)
    with lock_folder(runs[0]):
        done = workbench("clean", "--older-than", 0, "--yes", cwd=folder)
    assert done.returncode == 9
    assert "in use" in done.stderr
    assert [run.is_dir() for run in runs] == [True] + [False] * (len(runs) - 1)
    assert workbench("clean", "--older-than", 0, "--yes", cwd=folder).returncode == 0
    assert workbench("verify", "studies/first_look", cwd=folder).returncode == 0
    assert sorted(p.name for p in folder.glob("runs/.ledgers/*.jsonl")) == [
        "north.jsonl", "south.jsonl",
    ]  # fmt: skip


def test_clean_sweeps_what_a_stop_left_though_no_run_is_old(tmp_path):
    left = tmp_path / "runs" / ".removing-abcd"
    left.mkdir(parents=True)
    (left / "exams.parquet").write_text("patient")
    listed = workbench("clean", "--dry-run", cwd=tmp_path)
    assert ".removing-abcd" in listed.stdout
    assert left.is_dir()
    assert document("clean", "--dry-run", cwd=tmp_path)[0]["left"] == [".removing-abcd"]
    done = workbench("clean", cwd=tmp_path)  # was asked for when it began
    assert done.returncode == 0, done.stderr
    assert not left.exists()


def test_a_new_site_is_written_checked_and_run(tmp_path):
    table = write_hospital(tmp_path / "data", "north").with_name("exams.parquet")
    words = ["--id", "east", "--name", "Восток", "--country", "KG", "--archive", table]
    lacking = workbench("site", "--new", "east", "--name", "East", cwd=tmp_path)
    assert lacking.returncode == 2
    assert "--country" in lacking.stderr
    assert "--name" not in lacking.stderr
    made = workbench("site", "--new", "east", *words, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "workbench key east/site.toml" in made.stdout
    assert workbench("site", "--new", "east", *words, cwd=tmp_path).returncode == 11
    found, _ = document("site", "east/site.toml", cwd=tmp_path)
    assert found["name"] == "Восток"
    assert {"exam_uid", "modality", "age_years"} <= set(found["answers"])
    assert "manufacturer" not in found["answers"]
    assert {f["rule"] for f in found["findings"]} == {"key", "cannot_answer"}
    assert workbench("key", "east/site.toml", cwd=tmp_path).returncode == 0
    shown = workbench("site", "east", cwd=tmp_path)
    assert "site.key, real" in shown.stdout
    assert "mode 0600" in shown.stdout
    (tmp_path / "east/site.key").chmod(0o644)
    bad = workbench("site", "east", cwd=tmp_path)
    assert bad.returncode == 11
    assert "can be read by others" in bad.stdout


def test_a_site_without_its_table_is_a_finding_and_a_code(tmp_path):
    site = write_hospital(tmp_path / "north", "north", 20)
    site.with_name("exams.parquet").unlink()
    found, said = document("site", site, code=11)
    assert [f["level"] for f in found["findings"] if f["rule"] == "paths"] == ["fail"]
    assert "1 problem" in said


def test_a_new_site_asks_on_a_terminal(tmp_path):
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "workbench", "site", "--new", "west", "--country", "RU"],
        cwd=tmp_path, env=ENVIRONMENT, stdin=theirs, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.write(ours, "My Lab\n\nЗапад\ns3://bucket\n/data/exams.csv\n".encode())
    said, refused = child.communicate(timeout=60)
    os.close(theirs)
    os.close(ours)
    assert child.returncode == 0
    assert said.count("Id (a-z, 0-9, _) [west]") == 2  # asked again, and the others are kept
    assert "'My Lab' cannot be" in refused
    assert "s3://" in refused
    assert "Id (a-z, 0-9, _) [west]" in said
    text = (tmp_path / "west/site.toml").read_text()
    assert 'name = "Запад"' in text
    assert 'path = "/data/exams.csv"' in text


def test_datasets_and_check_print_one_document():
    sites, _ = document("datasets")
    assert any({"site": "cmmd", "kind": "public"}.items() <= site.items() for site in sites)
    found, said = document("check", "studies/imaging_service")
    assert found["study"] == "imaging_service"
    assert not [f for f in found["findings"] if f["level"] == "fail"]
    assert "nothing wrong" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [('[[site]]\nid = "north"\n', "public_key"), ("[[sites]]\n", "sites"), ("x", "TOML")],
)
def test_check_reads_the_pinned_keys(tmp_path, text, said):
    assert workbench("new", "first_look", cwd=tmp_path).returncode == 0
    (tmp_path / "first_look/sites.toml").write_text(text)
    found, error = document("check", "first_look", cwd=tmp_path, code=10)
    (finding,) = [f for f in found["findings"] if f["level"] == "fail"]
    assert finding["rule"] == "participants"
    assert said in str(finding)
    assert "1 problem" in error
    assert "sites" in workbench("check", "first_look", cwd=tmp_path).stdout


def test_a_reader_that_stops_and_a_narrow_encoding_stop_nothing():
    command = f"{sys.executable} -m workbench datasets"
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1; echo ${{PIPESTATUS[0]}}"],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.split()[-1] in ("0", "141")
    ascii_only = subprocess.run(
        command.split(), cwd=ROOT, env={**ENVIRONMENT, "PYTHONIOENCODING": "ascii"},
        capture_output=True, check=False,
    )  # fmt: skip
    assert ascii_only.returncode == 0
    assert rb"T\xfcbingen" in ascii_only.stdout


def test_reproduce_writes_its_result_down_when_asked(journey, tmp_path):
    folder = shutil.copytree(journey[0], tmp_path / "copy", symlinks=True)
    study, kept = folder / "studies/first_look", "releases/reproduced.json"
    assert not (study / kept).exists()  # the journey did not ask for it
    words = ["reproduce", study, *(w for n in ("north", "south") for w in
             ("--site", folder / n / "site.toml"))]  # fmt: skip
    said, _ = document(*words, "--record", cwd=folder)
    found = read_reproduced(read_study(study))
    assert found.compared == said["compared"]
    assert (set(found.compared), found.moved) == ({"north", "south", "pooled"}, 0)
    assert set(found.manifests) == {"north", "south"}
    assert (
        workbench("verify", study, cwd=folder).returncode == 0
    )  # the file is taken for no release


def test_a_dashboard_is_written_as_a_file_for_one_study_and_for_a_folder_of_them(journey, tmp_path):
    folder, out = journey[0], tmp_path / "pages"
    done = workbench("publish", "studies/first_look", "--static", out / "one.html", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in out.iterdir()] == ["one.html"]
    said = "Drawing first_look in 9 parts: all sites and 2 alone, in 3 languages"
    assert said in done.stderr
    copy = shutil.copytree(folder / "studies", tmp_path / "studies")
    broken = copy / "broken"
    broken.mkdir()
    (broken / "study.toml").write_text("[study]\n")
    done = workbench("publish", copy, "--static", out, cwd=folder)
    assert done.returncode == 9, done.stderr  # the others are written
    assert sorted(p.name for p in out.iterdir()) == ["first_look.html", "index.html", "one.html"]
    assert "broken gets no page" in done.stderr
    assert 'href="first_look.html"' in (out / "index.html").read_text()


def test_a_dashboard_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "nothing").mkdir()
    for words, code, said in (
        (["nothing", "--static", "out"], 10, "no study here"),
        (["nowhere", "--static", "out"], 10, "no such folder"),
        ([ROOT / "studies", "--static", "out.html"], 2, "Name a folder"),
        (["nothing", "--dry-run"], 10, "study.toml"),
        (["nothing"], 10, "study.toml"),
    ):
        done = workbench("publish", *words, cwd=tmp_path)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["nothing"]


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
        (["site"], 2, "--new"),
        (["site", "nowhere.toml"], 11, "nowhere.toml"),
        (["site", "datasets/idc/cmmd", "--new", "x"], 2, "one site"),
        (["clean", "--runs", "nowhere"], 2, "nowhere"),
        (["clean", "--older-than", "-1"], 2, "--older-than"),
        (["release", "studies/imaging_service", "--json"], 2, "--dry-run"),
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
    command, address = done.stdout.splitlines()
    assert command.endswith("workbench publish studies/imaging_service --port 8866")
    assert "voila" in address
    assert "http://127.0.0.1:8866/" in address
    assert max(len(command), len(address)) <= 80
    verbose = workbench("publish", "studies/imaging_service", "--dry-run", "--verbose").stdout
    assert "--VoilaConfiguration.template=workbench" in verbose
    assert "--open" not in verbose


def test_the_index_of_a_folder_of_studies_is_served(tmp_path):
    done = workbench("publish", "studies", "--dry-run")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "studies"
    shutil.copytree(ROOT / "studies" / "imaging_service", folder / "one")
    for name in ("releases", "dashboard.ipynb"):
        path = folder / "one" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    refused = workbench("publish", folder)
    assert (refused.returncode, "index.ipynb" in refused.stderr) == (10, True), refused.stderr
    shutil.copy(ROOT / "studies" / "index.ipynb", folder)
    command = [sys.executable, "-m", "workbench", "publish", str(folder)]
    with subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    ) as server:
        url = server.stdout.readline().strip()
        text, until = "", time.monotonic() + 120
        while "The imaging service" not in text and time.monotonic() < until:
            with urllib.request.urlopen(url, timeout=120) as answer:
                text = answer.read().decode()
            time.sleep(1)
        server.send_signal(signal.SIGINT)
    assert "What has been asked, where, and what was found?" in text
    assert "No release yet" in text


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


def test_the_readme_names_the_commands_that_print_json():
    from typer.main import get_command

    from workbench.cli import app

    offered = {
        name
        for name, command in get_command(app).commands.items()
        if any("--json" in option.opts for option in command.params)
    }
    (said,) = re.findall(r"^With `--json`, (.+?) print one", README.read_text(), re.M | re.S)
    assert {words.split()[0] for words in re.findall(r"`([a-z][^`]*)`", said)} == offered
