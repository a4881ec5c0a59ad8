"""What doctor says is what there is: each lack is made, and found."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.test_conventions import HEAVY, ROOT
from workbench import machine
from workbench.machine import Fact, inspect_machine


def doctor(*words: object, **environment: str) -> tuple[int, dict[str, dict], str]:
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "doctor", "--json", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    facts = json.loads(done.stdout)["facts"]
    return done.returncode, {fact["what"]: fact for fact in facts}, done.stderr


def fact(what: str, **options: object) -> Fact:
    (found,) = [f for f in inspect_machine(**options) if f.what == what]
    return found


def install(folder: Path, name: str, version: str, entry_points: str = "") -> dict[str, str]:
    """Write the metadata of a package where Python finds it first."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(entry_points)
    return {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


def test_here_a_study_can_run():
    start = time.monotonic()
    code, facts, _ = doctor()
    assert time.monotonic() - start < 4  # 2 s on an idle machine; this one may be shared
    assert code == 0
    assert {f["status"] for f in facts.values()} <= {"ok", "lacks"}
    assert all(f["follows"] for f in facts.values() if f["status"] == "lacks")


def test_nothing_heavy_is_imported_and_nothing_is_written(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom workbench.machine import inspect_machine\n"
        f"inspect_machine(Path('runs'))\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


def test_a_papermill_plug_in_that_is_gone_stops(tmp_path):
    points = "[papermill.io]\ngone = papermill_gone:Handler\n"
    code, facts, said = doctor(**install(tmp_path, "papermill-gone", "1.0", points))
    assert code == 12
    assert "papermill-gone" in facts["papermill plug-ins"]["found"]
    assert "papermill plug-ins" in said


@pytest.mark.parametrize(("version", "status"), [("1.0", "stops"), ("99.0", "ok")])
def test_an_old_package_stops(tmp_path, version, status):
    code, facts, _ = doctor(**install(tmp_path, "papermill", version))
    assert facts["packages"]["status"] == status
    assert (f"papermill {version}" in facts["packages"]["found"]) or status == "ok"
    assert code == (12 if status == "stops" else 0)


def test_a_package_that_is_too_new_stops(tmp_path):
    assert doctor(**install(tmp_path, "pandas", "3.0"))[1]["packages"]["status"] == "stops"


def test_a_lacking_extra_says_what_does_not_work(tmp_path):
    code, facts, _ = doctor(**install(tmp_path, "voila", "0.1"))
    assert code == 0
    assert facts["packages, lab"]["status"] == "lacks"
    assert "[lab]" in facts["packages, lab"]["follows"]


def test_a_terminal_without_russian_and_chinese_is_named():
    _, facts, _ = doctor(PYTHONIOENCODING="ascii")
    assert facts["terminal encoding"]["status"] == "lacks"
    assert "PYTHONUTF8" in facts["terminal encoding"]["follows"]


def test_programs_that_are_not_on_the_path_are_lacking(tmp_path):
    _, facts, _ = doctor(PATH=str(tmp_path))
    assert {facts[name]["status"] for name in machine.PROGRAMS} == {"lacks"}
    (tmp_path / "dciodvfy").touch(mode=0o755)
    assert doctor(PATH=str(tmp_path))[1]["dicom3tools"]["status"] == "ok"


def test_runs_that_cannot_be_kept_stop(tmp_path):
    (tmp_path / "file").touch()
    code, facts, _ = doctor("--runs", tmp_path / "file" / "runs")
    assert (code, facts["runs folder"]["status"]) == (12, "stops")
    assert doctor("--runs", tmp_path / "not" / "yet")[1]["runs folder"]["status"] == "ok"
    assert not (tmp_path / "not").exists()


def test_a_full_disk_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "RUN_DISK", 10**18)
    assert fact("runs folder", runs=tmp_path).status == "lacks"


def test_a_missing_or_broken_kernel_stops(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    assert fact("kernel python3").status == "stops"
    spec = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    for text, status in (
        ("{", "stops"),
        ('{"argv": ["/no/such/python"]}', "stops"),
        (json.dumps({"argv": [sys.executable]}), "ok"),
    ):
        spec.write_text(text)
        assert fact("kernel python3").status == status


def test_too_little_memory_is_named(monkeypatch):
    for free, status, says in ((5e8, "lacks", "close"), (1.2e9, "ok", "one site"),
                               (4.5e9, "ok", "4 sites")):  # fmt: skip
        monkeypatch.setattr(machine, "read_memory", lambda free=free: (int(free), int(8e9)))
        found = fact("memory")
        assert found.status == status
        assert says in found.follows


def test_a_font_of_the_workbench_or_of_the_system_serves_chinese(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "machine.py"))
    monkeypatch.setattr(machine, "_ask", lambda *command, **_: "")
    assert fact("Chinese font").status == "lacks"
    monkeypatch.setattr(machine, "_ask", lambda *command, **_: "Noto Sans CJK SC,x\n")
    assert fact("Chinese font").found == "Noto Sans CJK SC"
    (tmp_path / "resources" / "fonts").mkdir(parents=True)
    (tmp_path / "resources" / "fonts" / "Sans.otf").touch()
    assert fact("Chinese font").found == "Sans, part of the Workbench"


def test_torch_is_asked_in_a_process_of_its_own(monkeypatch):
    asked = []
    monkeypatch.setattr(machine, "_ask", lambda *command, **_: asked.append(command) or "2.6 CUDA")
    assert fact("torch", torch=True).found == "2.6 CUDA"
    assert any(command[0] == sys.executable for command in asked)
    assert "torch" not in {f.what for f in inspect_machine()}


def test_no_path_and_no_name_of_the_machine_is_told_but_of_programs():
    told = [
        f"{fact.found} {fact.follows}" if fact.what not in machine.PROGRAMS else fact.follows
        for fact in inspect_machine()
    ]
    private = (str(Path.home()), str(ROOT), socket.gethostname())
    assert not [text for text in told if any(name in text for name in private)]
