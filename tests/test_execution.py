"""A run: finished steps stay, nothing half is ever seen, and every stop can be resumed."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from tests.measured import all_gone
from tests.toy import (
    FIRST,
    SECOND,
    THIRD,
    write_notebook,
    write_toy_site,
    write_toy_study,
)
from tests.toy_command import SOURCE
from workbench import cache
from workbench.cache import digest_path
from workbench.errors import DefinitionError, ExecutionError, SiteError, UsageError
from workbench.execution import run_study
from workbench.running.disk import remove
from workbench.running.run import open_run
from workbench.site import read_site
from workbench.study import read_study

ROOT = Path(__file__).parents[1]
STEPS = ("first", "second", "third")


class Toy:
    """A toy study, a toy site and a folder of runs."""

    def __init__(self, folder):
        self.folder = folder
        self.study_path = write_toy_study(folder / "studies")
        self.site_path = write_toy_site(folder / "sites")
        self.runs = folder / "runs"
        self.seen = []

    @property
    def study(self):
        return read_study(self.study_path)

    @property
    def site(self):
        return read_site(self.site_path)

    def run(self, parameters=None, **options):
        self.seen = []
        options = {"runs": self.runs, "progress": self.seen.append} | options
        return run_study(self.study, self.site, parameters, **options)

    def command(self, *more, runs=None):
        return [
            sys.executable, "-m", "tests.toy_command",
            str(self.study_path), str(self.site_path), str(runs or self.runs), *map(str, more),
        ]  # fmt: skip

    def folder_of_run(self, runs=None):
        return next((runs or self.runs).glob("toy/north/*"))

    def kernels(self):
        return [event.step for event in self.seen if event.name == "kernel started"]

    def change(self, number, text="# changed"):
        """Append to the last code cell of a notebook."""
        name, title, cells = {
            1: ("01_first.ipynb", "How many rows?", FIRST),
            2: ("02_second.ipynb", "How many parts?", SECOND),
            3: ("03_third.ipynb", "What is the report?", THIRD),
        }[number]
        write_notebook(self.study_path / name, title, *cells, text)


@pytest.fixture(scope="module", autouse=True)
def _fixed_source():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "workbench_digest", lambda: SOURCE)
        yield


@pytest.fixture
def toy(tmp_path):
    return Toy(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that ended well; tests do not change it."""
    toy = Toy(tmp_path_factory.mktemp("finished"))
    return toy, toy.run()


def outputs(run_folder):
    """Return path and digest of every file of the steps that a study declares."""
    return {
        str(p.relative_to(run_folder)): digest_path(p)
        for step in STEPS
        for p in sorted((run_folder / step).rglob("*"))
        if p.is_file() and ".step" not in p.parts
    }


def events(folder):
    lines = (folder / "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


# ---------------------------------------------------------------- what a run is


def test_a_run_publishes_declared_outputs_and_records(finished):
    toy, run = finished
    assert run.folder == toy.runs / "toy" / "north" / run.run_id
    assert [(s.id, s.reused) for s in run.steps] == [(step, False) for step in STEPS]
    assert json.loads(run.output("numbers").read_text()) == {
        "rows": 5, "factor": 3, "words": ["a", "b"], "since": "2020-02-29",
    }  # fmt: skip
    assert run.output("total").read_text() == "total\n15\n"
    assert sorted(p.name for p in run.output("many").iterdir()) == [f"{i}.txt" for i in range(5)]
    assert {p.name for p in run.folder.iterdir()} == {
        "params.yaml", "record.json", "ro-crate-metadata.json", "lock", "events.jsonl",
        "study.toml", *STEPS,
    }  # fmt: skip
    for step in STEPS:
        assert {p.name for p in (run.folder / step / ".step").iterdir()} == {
            "notebook.ipynb", "record.json",
        }  # fmt: skip
    assert run.folder.stat().st_mode & 0o077 == 0
    assert (run.folder / "lock").read_text() == ""


def test_a_finished_run_is_found_again_without_a_kernel(finished):
    toy, run = finished
    before = (run.folder / "record.json").read_bytes()
    again = toy.run()
    assert again.run_id == run.run_id
    assert all(step.reused for step in again.steps)
    assert toy.kernels() == []
    assert (run.folder / "record.json").read_bytes() == before
    assert open_run(toy.study, toy.site, runs=toy.runs).output("report").is_file()


def test_a_run_with_nothing_to_do_takes_less_than_two_seconds(finished):
    toy, _ = finished
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(toy.command(), check=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Time of the processor: other work on the machine does not count.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2


@pytest.mark.slow
def test_the_stock_papermill_line_gives_the_same_outputs(finished, tmp_path):
    _, run = finished
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    }
    for step in STEPS:
        line = run.papermill_command(step, tmp_path / step)
        subprocess.run(line, shell=True, check=True, env=environment, capture_output=True)
        assert (tmp_path / step / "notebook.ipynb").is_file()
        (tmp_path / step / "output" / ".fingerprint").unlink(missing_ok=True)
        made = {
            p.relative_to(tmp_path / step / "output"): p.read_bytes()
            for p in (tmp_path / step / "output").rglob("*")
            if p.is_file()
        }
        expected = {
            p.relative_to(run.folder / step): p.read_bytes()
            for p in (run.folder / step).rglob("*")
            if p.is_file() and ".step" not in p.parts
        }
        assert made == expected


# ---------------------------------------------------------------- what runs again, and why


def reasons(run):
    return {step.id: step.reasons for step in run.steps if not step.reused}


@pytest.mark.slow
def test_only_what_a_change_reaches_runs_again(toy):
    first = toy.run()
    before = outputs(first.folder)
    toy.change(1)
    again = toy.run(explain=True)
    # The first step wrote the same, so nothing behind it runs.
    assert reasons(again) == {"first": ("notebook code cell 8: new",)}
    assert [e.detail for e in toy.seen if e.name == "step explained"] == [
        "notebook code cell 8: new"
    ]
    assert toy.kernels() == ["first"]
    assert outputs(again.folder) == before
    # A changed table changes the first output, and with it what reads it.
    with (toy.site_path.parent / "exams.csv").open("a") as file:
        file.write("1.2.3.9,P9\n")
    again = toy.run()
    assert again.run_id == first.run_id
    found = reasons(again)
    assert found["first"][0].startswith("input of the site archive.path: 1:")
    assert "output of step first: numbers: changed" in found["second"]
    assert "output of step first: what it opened: changed" in found["third"]
    assert again.output("total").read_text() == "total\n18\n"
    # Another parameter is another run; the earlier one stays, and the reason names it.
    other = toy.run({"factor": 4})
    assert other.run_id != first.run_id
    assert reasons(other)["first"][0] == f"parameter factor: 3 -> 4 (against run {first.run_id})"
    assert first.output("total").read_text() == "total\n18\n"
    # What someone changed by hand is made again.
    path = other.output("report")
    path.chmod(0o644)
    path.write_text("better")
    repaired = toy.run({"factor": 4})
    assert reasons(repaired) == {"third": ("published outputs were changed or removed",)}
    assert repaired.output("report").read_text() != "better"


@pytest.mark.slow
def test_without_the_cache_everything_runs(toy):
    toy.run()
    again = toy.run(use_cache=False)
    assert set(reasons(again)) == set(STEPS)
    assert toy.kernels() == list(STEPS)


@pytest.mark.slow
def test_a_sample_is_another_run_and_marked(toy, monkeypatch):
    text = "sample = os.environ.get('WORKBENCH_SAMPLE', 'all')"
    cells = (*THIRD[:-1], text, "(Path(output_dir) / 'report.txt').write_text(sample)")
    write_notebook(toy.study_path / "03_third.ipynb", "What is the sample?", *cells)
    monkeypatch.setenv("WORKBENCH_SAMPLE", "7")
    whole, sample = toy.run(), toy.run(sample=2)
    assert (whole.sample, sample.sample) == (None, 2)
    assert whole.run_id != sample.run_id
    assert whole.output("report").read_text() == "all"
    assert sample.output("report").read_text() == "2"
    assert (whole.record.sample, sample.record.sample) == (None, 2)
    assert "WORKBENCH_SAMPLE=2" in sample.papermill_command("first")


@pytest.mark.parametrize("sample", [0, -1, True, 1.5])
def test_a_sample_is_a_positive_number(toy, sample):
    with pytest.raises(UsageError, match="sample"):
        toy.run(sample=sample)


# ---------------------------------------------------------------- refusals and failures


def test_nothing_runs_with_wrong_definitions(toy):
    with pytest.raises(DefinitionError, match="factro"):
        toy.run({"factro": 3})
    with pytest.raises(DefinitionError, match="out of range"):
        toy.run({"factor": 0})
    path = toy.study_path / "01_first.ipynb"
    text = path.read_text()
    path.write_text(text.replace("factor = 3", "factor = 4"))
    with pytest.raises(DefinitionError, match="factor"):
        toy.run()
    path.unlink()
    with pytest.raises(DefinitionError, match="01_first"):
        toy.run()
    assert not toy.runs.exists()


@pytest.mark.slow
def test_a_failed_step_keeps_its_notebook_and_the_earlier_results(toy):
    run = toy.run()
    before = outputs(run.folder)
    toy.change(2, "raise ValueError('IVANOV')")
    with pytest.raises(
        ExecutionError, match=r"Step 'second' stopped at cell In \[11\]: ValueError"
    ) as caught:
        toy.run()
    kept = run.folder / "second.failed" / "notebook.ipynb"
    assert caught.value.where == str(kept)
    assert "IVANOV" in kept.read_text()
    assert "IVANOV" not in str(caught.value)
    assert outputs(run.folder) == before
    record = json.loads((run.folder / "record.json").read_text())
    assert record["status"] == "failed"
    assert record["failure"] == {"step": "second", "cell": 11, "error": "ValueError"}
    assert not (run.folder / "ro-crate-metadata.json").exists()
    with pytest.raises(ExecutionError, match="it is failed"):
        open_run(toy.study, toy.site, runs=toy.runs)
    toy.change(2, "mended = 1")
    toy.run()
    assert not kept.parent.exists()
    assert "finished" in (run.folder / "record.json").read_text()


@pytest.mark.slow
def test_what_the_library_says_of_the_table_is_told_in_place_of_the_notebook(toy):
    toy.change(1, "from workbench.errors import SiteError; raise SiteError('No exam is left')")
    with pytest.raises(
        SiteError, match=r"Step 'first' stopped at cell In \[\d+\]: No exam is left"
    ) as caught:
        toy.run()
    assert "run again" in caught.value.todo
    assert "Open" not in caught.value.todo
    assert caught.value.where.endswith("first.failed/notebook.ipynb")


@pytest.mark.slow
def test_an_undeclared_file_publishes_nothing(toy):
    toy.change(1, "(Path(output_dir) / 'number.json').write_text('')")
    with pytest.raises(ExecutionError, match=r"wrote 'number\.json'") as caught:
        toy.run()
    assert "Did you mean 'numbers.json'?" in caught.value.todo
    assert "first.failed" in caught.value.todo
    folder = toy.folder_of_run()
    assert not (folder / "first").exists()
    assert not (folder / ".tmp").exists()


def test_a_second_run_is_refused_and_names_the_first(toy):
    process = subprocess.Popen(toy.command(), cwd=ROOT, env=os.environ | {"TOY_SECONDS": "30"})
    try:
        wait_for(lambda: list(toy.runs.glob("toy/north/*/events.jsonl")))
        wait_for(lambda: any(e["name"] == "kernel started" for e in events(toy.folder_of_run())))
        start = time.monotonic()
        with pytest.raises(ExecutionError, match=f"process {process.pid} on {os.uname().nodename}"):
            toy.run()
        assert time.monotonic() - start < 2
        second = subprocess.run(toy.command(), cwd=ROOT, capture_output=True, check=False)
        assert second.returncode == 12
        assert f"process {process.pid}".encode() in second.stderr
    finally:
        process.kill()
        process.wait()
    toy.run()
    assert any(e.name == "lock taken over" and str(process.pid) in e.detail for e in toy.seen)


@pytest.mark.slow
def test_ctrl_c_stops_kernels_and_can_be_resumed(toy):
    process = subprocess.Popen(toy.command(), cwd=ROOT, env=os.environ | {"TOY_SECONDS": "30"})
    wait_for(lambda: list(toy.runs.glob("toy/north/*/events.jsonl")))
    wait_for(lambda: sum(e["name"] == "kernel started" for e in events(toy.folder_of_run())) == 2)
    time.sleep(1.5)
    kernels = psutil.Process(process.pid).children(recursive=True)
    assert len(kernels) == 2
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130
    assert all_gone(kernels, 5)
    folder = toy.folder_of_run()
    assert json.loads((folder / "record.json").read_text())["status"] == "interrupted"
    assert not (folder / ".tmp").exists()
    assert toy.run().record.status == "finished"


@pytest.mark.slow
@pytest.mark.parametrize("where", ["notebook", "runner"])
def test_no_space_is_an_error_with_path_and_bytes(toy, where):
    run = toy.run()
    before = outputs(run.folder)
    text = {
        "notebook": "(Path(output_dir) / 'numbers.json').write_text('x' * 5_000_000)",
        "runner": "print('x' * 5_000_000)",
    }[where]
    toy.change(1, text)
    done = subprocess.run(
        toy.command(), cwd=ROOT, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000)),
    )  # fmt: skip
    assert done.returncode == 12
    assert "No space left for" in done.stderr
    assert f"{run.folder}/.tmp/first." in done.stderr
    assert "bytes are free" in done.stderr
    assert outputs(run.folder) == before
    toy.change(1, "fits = 1")
    assert outputs(toy.run().folder) == before


DAMAGES = {
    "no lock": ("(Path(run_dir) / 'lock').unlink()", "lock of the run folder was removed"),
    "another lock": (
        "(Path(run_dir) / 'lock').unlink(); (Path(run_dir) / 'lock').touch()",
        "lock of the run folder was removed",
    ),
    "no run folder": (
        "import shutil; shutil.rmtree(run_dir)",
        "lock of the run folder was removed|cannot be used",
    ),
    "no output folder": ("Path(output_dir).rmdir()", "removed or replaced its output_dir"),
    "file for folder": (
        "Path(output_dir).rmdir(); Path(output_dir).touch()",
        "removed or replaced its output_dir",
    ),
    "events in a folder": (
        "p = Path(run_dir) / 'events.jsonl'; p.unlink(); p.mkdir()",
        "Is a directory",
    ),
    "events through a link": (
        "p = Path(run_dir, 'events.jsonl'); p.unlink(); p.symlink_to(p.parents[1] / 'outside')",
        "symbolic links",
    ),
    "crate a folder": (
        "p = Path(run_dir, 'ro-crate-metadata.json'); p.mkdir(); (p / 'x').touch()",
        "Is a directory",
    ),
    "deep folders": (
        "Path(output_dir, *['d'] * 900).mkdir(parents=True)",
        "wrote folders more than 32 deep",
    ),
    "pipe for its executed notebook": (
        "os.mkfifo(Path(output_dir).parent / 'notebook.ipynb')",
        "in the place of its own executed form",
    ),
    "first step": (
        "import shutil; shutil.rmtree(Path(run_dir) / 'first')",
        "outputs of step 'first' were changed",
    ),
    "first step a link": (
        "p = Path(run_dir, 'first'); p.symlink_to(p.rename(p.parents[1] / 'x'))",
        "outputs of step 'first' were changed",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", DAMAGES)
def test_a_notebook_that_damages_its_run_is_named_and_can_be_run_again(toy, case):
    code, words = DAMAGES[case]
    third = ("[p.unlink() for p in Path(output_dir).glob('*')]",) if "output" in code else ()
    write_notebook(toy.study_path / "03_third.ipynb", "What?", *THIRD, *third, code)
    with pytest.raises(ExecutionError, match=words) as caught:
        toy.run()
    assert caught.value.where
    assert caught.value.todo
    assert not any(toy.runs.glob("toy/north/outside"))
    for place in toy.runs.glob("toy/north/x"):
        place.rename(toy.folder / "x")
    for folder in toy.runs.glob("toy/north/*"):
        if not (folder / "events.jsonl").is_file():
            remove(folder / "events.jsonl")
    toy.change(3)
    assert toy.run().record.status == "finished"


@pytest.mark.slow
def test_inputs_that_a_notebook_removed_are_written_again(toy):
    code = "(Path(run_dir) / 'params.yaml').unlink(); (Path(run_dir) / 'params.yaml').mkdir()"
    write_notebook(toy.study_path / "03_third.ipynb", "What?", *THIRD, code)
    run = toy.run()
    assert "factor: 3" in (run.folder / "params.yaml").read_text()


def test_a_folder_of_runs_that_cannot_be_used_is_named(toy, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "gone").symlink_to(tmp_path / "file" / "below")
    for name in ("file", "gone", "x" * 300, "/proc/runs"):
        with pytest.raises(ExecutionError, match="cannot be used") as caught:
            toy.run(runs=tmp_path / name)
        assert caught.value.where
        assert caught.value.todo
    for name in ("loop", "a\0b"):
        with pytest.raises(UsageError, match="cannot be used"):
            toy.run(runs=tmp_path / name)


def bind_by_rights():
    """Take from root what lets it pass over the rights of files: CAP_DAC_* (capabilities(7))."""
    for capability in (1, 2):
        ctypes.CDLL(None).prctl(24, capability)  # PR_CAPBSET_DROP


@pytest.mark.slow
def test_folders_without_rights_are_named_and_cleared_away(toy):
    def refused(folder):
        done = subprocess.run(
            toy.command(), check=False, cwd=ROOT, text=True, capture_output=True,
            preexec_fn=bind_by_rights,
        )  # fmt: skip
        assert done.returncode == 12, done.stderr
        assert "cannot be used: Permission denied" in done.stderr
        assert f"where: {folder}" in done.stderr
        assert "output_dir" in done.stderr

    toy.change(1, "os.chmod(output_dir, 0o500)")
    refused(toy.runs)
    folder = toy.folder_of_run()
    assert not (folder / ".tmp").exists()
    toy.change(1, "(Path(output_dir) / 'x').mkdir(); os.chmod(Path(output_dir) / 'x', 0)")
    refused(folder / ".tmp" / "first.")
    assert not (folder / ".tmp").exists()
    for rights in (0o500, 0):
        folder.chmod(rights)
        refused(folder)
    folder.chmod(0o700)
    toy.change(1)
    assert toy.run().record.status == "finished"


def fill(path):
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


@pytest.mark.slow
def test_a_full_disk_is_an_error_and_leaves_old_results_whole(toy):
    toy.runs.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "toy", str(toy.runs)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system can only be mounted as root")
    try:
        run = toy.run()
        before = outputs(run.folder)
        toy.change(1, "(Path(output_dir) / 'numbers.json').write_bytes(os.urandom(2_000_000))")
        with pytest.raises(ExecutionError, match=r"No space left for [\d,]{7,} bytes") as caught:
            toy.run()
        assert str(run.folder) in caught.value.where
        assert outputs(run.folder) == before
        # Now so full that not even a record fits.
        fill(toy.runs / "filler")
        toy.change(1, "fits = 1")
        with pytest.raises(ExecutionError, match="No space left"):
            toy.run()
        assert outputs(run.folder) == before
        (toy.runs / "filler").unlink()
        assert outputs(toy.run().folder) == before
    finally:
        subprocess.run(["umount", str(toy.runs)], check=True)


# ---------------------------------------------------------------- SIGKILL at any moment


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def published(folder):
    return {step for step in STEPS if (folder / step / ".step" / "record.json").is_file()}


def kill(process, everything):
    """Kill the runner alone, so that its kernels are orphans, or all its processes."""
    victims = [psutil.Process(process.pid)]
    if everything:
        victims += victims[0].children(recursive=True)
    for victim in victims:
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


@pytest.mark.slow
def test_thirty_kills_lose_nothing_and_repeat_nothing(finished, tmp_path):
    source, run = finished
    expected = outputs(run.folder)
    toy = Toy(tmp_path)
    assert outputs(source.folder_of_run()) == expected
    chance = random.Random(20261122)
    kills = rounds = 0
    pending = None
    while kills < 30:
        if pending is None:
            # Every notebook changes: finished steps are replaced, and a crash meets both.
            rounds += 1
            pending = set(STEPS)
            for number in (1, 2, 3):
                toy.change(number, f"# round {rounds}")
        folder = next(iter(toy.runs.glob("toy/north/*")), None)
        log = len(events(folder)) if folder and (folder / "events.jsonl").exists() else 0
        at_call = chance.random() < 0.5
        if at_call:
            process = subprocess.Popen(toy.command(chance.randint(1, 45)), cwd=ROOT)
            process.wait()
        else:
            process = subprocess.Popen(toy.command(), cwd=ROOT)
            try:
                process.wait(chance.uniform(0.2, 2.2))
            except subprocess.TimeoutExpired:
                kill(process, everything=chance.random() < 0.5)
        kills += process.returncode == -signal.SIGKILL
        assert process.returncode in (0, -signal.SIGKILL)
        folder = next(iter(toy.runs.glob("toy/north/*")), None)
        if folder is None or not (folder / "events.jsonl").exists():
            continue
        new = events(folder)[log:]
        started = {e["step"] for e in new if e["name"] == "kernel started"}
        # No kernel for a step that had ended well in this round.
        assert started <= pending, [e for e in new if e["name"] == "step explained"]
        pending -= {e["step"] for e in new if e["name"] in ("step ended", "step reused")}
        # What is under its name is whole at every moment.
        for path, digest in outputs(folder).items():
            assert expected[path] == digest
        if process.returncode == 0:
            assert outputs(folder) == expected
            pending = None
    final = subprocess.run(toy.command(), cwd=ROOT, check=False)
    assert final.returncode == 0
    assert outputs(toy.folder_of_run()) == expected
    assert published(toy.folder_of_run()) == set(STEPS)
    names = {p.name for p in toy.folder_of_run().iterdir()}
    assert not {n for n in names if n.endswith((".new", ".old", ".failed", ".tmp"))}
    assert rounds > 3
    sockets = f"workbench-{cache.digest_value(str(toy.folder_of_run()))[:8]}-*"
    assert list(Path(tempfile.gettempdir()).glob(sockets)) == []
