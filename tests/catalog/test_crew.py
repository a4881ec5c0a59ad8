"""Processes compute, are replaced when they die, and end with the one that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.test_conventions import ROOT
from workbench.catalog.crew import Crew, Lost
from workbench.errors import ExecutionError, SiteError


def square(number):
    return number * number, os.getpid()


def die_of_seven(number):
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def fail(kind):
    if kind == "ours":
        raise SiteError("Not done", where="here", todo="nothing")
    raise ValueError("MARKER^NAME")


class Unpicklable:
    """Something that cannot be read where it arrives."""

    def __reduce__(self):
        return fail, ("other",)


def test_an_item_that_does_not_arrive_is_told_and_ends_nothing():
    with Crew(2) as crew:
        with pytest.raises(ExecutionError, match="failed: ValueError"):
            list(crew.compute(square, [Unpicklable()]))
        assert len(crew._crew) == 2


def test_one_worker_is_this_process():
    with Crew(1) as crew:
        assert list(crew.compute(square, [1, 2])) == [(1, os.getpid()), (4, os.getpid())]


def test_processes_share_the_work_and_take_it_as_they_are_free():
    with Crew(2) as crew:
        done = list(crew.compute(square, range(20)))
        again = list(crew.compute(square, range(20)))
    assert sorted(n for n, _ in done) == [n * n for n in range(20)]
    others = {pid for _, pid in done + again}
    assert len(others) == 2
    assert os.getpid() not in others
    assert not any(Path(f"/proc/{pid}").exists() for pid in others)


def test_an_item_whose_process_dies_is_told_and_the_others_are_done():
    with Crew(2) as crew:
        done = list(crew.compute(die_of_seven, range(20)))
    assert [d for d in done if isinstance(d, Lost)] == [Lost(7)]
    assert sorted(d for d in done if not isinstance(d, Lost)) == [n for n in range(20) if n != 7]


def test_an_error_arrives_and_a_stranger_s_words_do_not():
    with pytest.raises(SiteError, match="Not done"), Crew(2) as crew:
        list(crew.compute(fail, ["ours"]))
    with pytest.raises(ExecutionError, match="ValueError") as caught, Crew(2) as crew:
        list(crew.compute(fail, ["other"]))
    assert "MARKER" not in str(caught.value)


def test_processes_end_when_the_one_that_asked_is_killed():
    code = (
        "import time\nfrom tests.catalog import test_crew\n"
        "from workbench.catalog.crew import Crew\n"
        "with Crew(2) as crew:\n"
        "    print(*{p for _, p in crew.compute(test_crew.square, range(20))}, flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    others = process.stdout.readline().split()
    assert len(others) == 2
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 20
    while any(_runs(pid) for pid in others):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_worker_runs_nothing_of_the_folder_that_it_stands_in(tmp_path, monkeypatch):
    (tmp_path / "socket.py").write_text("open('run', 'w').close()")
    monkeypatch.chdir(tmp_path)
    with Crew(2) as crew:
        assert len(list(crew.compute(square, range(4)))) == 4
    assert not (tmp_path / "run").exists()


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_a_process_that_the_system_does_not_start_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with Crew(2) as crew, pytest.raises(ExecutionError, match="does not start: No such file"):
        list(crew.compute(square, [1]))
