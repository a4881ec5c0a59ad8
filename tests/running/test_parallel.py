"""Several sites at a time: each ends for itself."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from tests.measured import all_gone
from tests.toy import write_toy_site, write_toy_study
from workbench.errors import ExecutionError, UsageError
from workbench.running.parallel import at_sites, run_sites
from workbench.running.run import Run
from workbench.site import read_site
from workbench.study import read_study

ROOT = Path(__file__).parents[2]


@pytest.fixture
def study(tmp_path):
    return read_study(write_toy_study(tmp_path / "studies"))


def sites(tmp_path, *names):
    return [read_site(write_toy_site(tmp_path / "sites", name)) for name in names]


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_one_site_that_fails_does_not_stop_the_others(study, tmp_path, jobs):
    three = sites(tmp_path, "north", "east", "south")
    (three[1].folder / "exams.csv").unlink()
    seen = []
    north, east, south = run_sites(
        study, three, {"factor": 5}, jobs=jobs, runs=tmp_path / "runs", progress=seen.append
    )
    assert isinstance(north, Run)
    assert isinstance(south, Run)
    assert south.site.id == "south"
    assert north.output("total").read_text() == "total\n25\n"
    assert isinstance(east, ExecutionError)
    assert "FileNotFoundError" in str(east)
    assert "east" in east.where
    ended = [(e.site, e.step) for e in seen if e.name == "step ended"]
    assert {(s, p) for s in ("north", "south") for p in ("first", "second", "third")} == set(ended)
    failed = [(e.site, e.step) for e in seen if e.name == "step failed"]
    assert failed == [("east", "first")]
    again = run_sites(study, [three[0], three[2]], {"factor": 5}, jobs=jobs, runs=tmp_path / "runs")
    assert [run.run_id for run in again] == [north.run_id, south.run_id]


def test_a_site_named_twice_is_refused(study, tmp_path):
    (north,) = sites(tmp_path, "north")
    with pytest.raises(UsageError, match="'north' is named twice"):
        run_sites(study, [north, north], runs=tmp_path / "runs")


def end_slowly(study, site, tell, options):
    """Tell a result, and write a file some seconds later, as what cleans up at its end."""
    ended = Path(options["folder"], site.id)
    atexit.register(lambda: (time.sleep(4), ended.touch()))
    time.sleep(2 if site.id == "north" else 0)
    return site.id


def test_results_come_in_order_and_what_has_told_its_own_ends_by_itself(study, tmp_path):
    three = sites(tmp_path, "north", "east", "south")
    found = list(at_sites(end_slowly, study, three, {"folder": str(tmp_path)}, jobs=3))
    assert found == ["north", "east", "south"]
    assert all((tmp_path / name).exists() for name in found)


DRIVER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from workbench.running.parallel import run_sites
    from workbench.site import read_site
    from workbench.study import read_study

    if __name__ == "__main__":
        study, runs, *sites = map(Path, sys.argv[1:])
        try:
            found = run_sites(read_study(study), [read_site(s) for s in sites], runs=runs)
        except KeyboardInterrupt:
            raise SystemExit(130)
        print(*(type(f).__name__ for f in found))
        for error in found:
            if not hasattr(error, "run_id"):
                print(error)
    """
)


def start(study, tmp_path, places):
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER)
    command = [sys.executable, driver, study.folder, tmp_path / "runs", *(s.path for s in places)]
    environment = os.environ | {"TOY_SECONDS": "30", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        list(map(str, command)), env=environment, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    pattern = "toy/*/*/events.jsonl"
    while (
        sum("kernel started" in p.read_text() for p in (tmp_path / "runs").glob(pattern)) < 2
        and time.monotonic() < deadline
    ):
        time.sleep(0.05)
    time.sleep(1)
    return process


@pytest.mark.slow
def test_ctrl_c_stops_all_and_leaves_folders_that_can_be_resumed(study, tmp_path):
    places = sites(tmp_path, "north", "east")
    process = start(study, tmp_path, places)
    below = psutil.Process(process.pid).children(recursive=True)
    assert len(below) >= 4
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 130
    assert all_gone(below, 5)
    assert all(isinstance(r, Run) for r in run_sites(study, places, runs=tmp_path / "runs"))


@pytest.mark.slow
def test_a_killed_parent_takes_the_others_with_it(study, tmp_path):
    places = sites(tmp_path, "north", "east")
    process = start(study, tmp_path, places)
    below = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    assert all_gone(below, 10)
    assert all(isinstance(r, Run) for r in run_sites(study, places, runs=tmp_path / "runs"))


@pytest.mark.slow
def test_a_killed_worker_is_an_error_of_its_site(study, tmp_path):
    places = sites(tmp_path, "north", "east")
    process = start(study, tmp_path, places)
    workers = [
        child
        for child in psutil.Process(process.pid).children()
        if "spawn_main" in " ".join(child.cmdline())
    ]
    for worker in workers:
        worker.kill()
    out, _ = process.communicate(timeout=30)
    assert out.startswith("ExecutionError ExecutionError")
    assert "The process of the site 'north' died" in out
