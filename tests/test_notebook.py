"""One notebook: typed parameters in, outputs out, and no word of its data on the way."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.toy import write_notebook
from workbench import notebook
from workbench.errors import ExecutionError
from workbench.notebook import Kernel, Stopped, kernel_environment, run_notebook, sweep_sockets

NAME = "workbench-test"


@pytest.fixture
def execute(tmp_path):
    """Return a function that runs cells and returns what came of it."""

    def run(*cells, sample=None, parameters=None, on_cell=lambda done, total: None):
        source = tmp_path / "in {a}.ipynb"
        (tmp_path / "out {b}.ipynb").unlink(missing_ok=True)
        write_notebook(source, "What?", *cells)
        kernel = Kernel(tmp_path, kernel_environment(sample), NAME)
        try:
            values = {"output_dir": str(tmp_path)} | (parameters or {})
            ended = run_notebook(source, tmp_path / "out {b}.ipynb", values, kernel, on_cell)
            kernel.close()
        finally:
            kernel.kill()
        return ended

    run.executed = tmp_path / "out {b}.ipynb"
    return run


def test_parameters_keep_their_types(execute, tmp_path):
    values = {
        "factor": 7,
        "words": ["ü", '"; import os', "\\", "'", "{x}", "中"],
        "since": "2020-02-30",
        "yes": True,
        "tiny": 1e-320,
    }
    ended = execute(
        "names = ('factor', 'words', 'since', 'yes', 'tiny')",
        "text = json.dumps({name: globals()[name] for name in names})",
        "written = (Path(output_dir) / 'values.json').write_text(text)",
        parameters=values,
    )
    assert ended is None
    assert json.loads((tmp_path / "values.json").read_text()) == values


def test_open_files_are_flushed_and_exit_hooks_run(execute, tmp_path):
    ended = execute(
        "file = open(Path(output_dir) / 'unflushed.txt', 'w')",
        "written = file.write('all of it')",
        "import atexit, time",
        "hook = atexit.register(lambda: (Path(output_dir) / 'hook.txt').write_text('ran'))",
    )
    assert ended is None
    assert (tmp_path / "unflushed.txt").read_text() == "all of it"
    assert (tmp_path / "hook.txt").read_text() == "ran"


def test_only_the_class_of_an_exception_is_told(execute, capfd):
    ended = execute("print('IVANOV')", "raise ValueError('IVANOV 1950')")
    assert ended == Stopped("ValueError", 5)
    assert "IVANOV" in execute.executed.read_text()
    out, err = capfd.readouterr()
    assert "IVANOV" not in out + err


TELL = "from workbench.errors import SiteError; raise SiteError"


def test_a_closed_list_of_lines_is_told(execute, capfd):
    ended = execute(f"{TELL}('No exam is left', where='IVANOV', todo='IVANOV')")
    assert (ended.error, ended.cell, ended.told) == ("SiteError", 4, "No exam is left")
    assert "open_archive" in ended.todo
    assert "IVANOV" not in str(ended) + "".join(capfd.readouterr())
    assert execute(f"{TELL}('No exam of IVANOV is left')") == Stopped("SiteError", 4)
    assert execute("raise ValueError('No exam is left')") == Stopped("ValueError", 4)


@pytest.mark.parametrize("put", ["os.mkfifo(out)", "out.touch()", "out.symlink_to('x')"])
def test_what_stands_in_the_place_of_the_executed_notebook_is_refused(execute, put):
    start = time.monotonic()
    with pytest.raises(ExecutionError, match="in the place of its own executed form") as caught:
        execute("import os; out = Path(output_dir) / 'out {b}.ipynb'", put)
    assert time.monotonic() - start < 30
    assert "out {b}.ipynb" in caught.value.where


def test_a_class_that_is_no_name_is_not_told(execute):
    ended = execute("raise type('IVANOV 1950', (Exception,), {})('x')")
    assert ended == Stopped("Exception", 4)


def test_no_text_of_a_kernel_reaches_the_terminal(execute, capfd):
    execute(
        "import logging, os, sys",
        "print('IVANOV'); print('IVANOV', file=sys.stderr)",
        "written = os.write(1, b'IVANOV'), os.write(2, b'IVANOV')",
        "os.system('echo IVANOV')",
        "logging.error('IVANOV')",
        "sys.__stderr__.write('IVANOV')",
    )
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("how", ["os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_a_kernel_that_dies_is_told_and_its_notebook_kept(execute, how):
    ended = execute("before = 1", how)
    assert ended == Stopped("DeadKernelError", 5)
    assert how in execute.executed.read_text()


def test_a_full_disk_in_a_notebook_is_told(execute):
    assert execute("raise OSError(28, 'No space', 'IVANOV.csv')") == Stopped(
        "OSError", 4, full=True
    )
    other = "raise RuntimeError('No space left on device (os error 28)')"
    assert execute(other) == Stopped("RuntimeError", 4, full=True)


def test_the_number_of_each_cell_is_told(execute):
    seen = []
    execute("a = 1", "b = 2", on_cell=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 5) for i in range(1, 6)]


def test_the_environment_is_fixed(monkeypatch):
    monkeypatch.setenv("WORKBENCH_SAMPLE", "10")
    environment = kernel_environment(None)
    assert environment["PYTHONHASHSEED"] == "0"
    assert "WORKBENCH_SAMPLE" not in environment
    assert kernel_environment(5)["WORKBENCH_SAMPLE"] == "5"
    assert environment["PATH"] == os.environ["PATH"]


def test_a_kernel_takes_commands_over_private_sockets_only(tmp_path):
    kernel = Kernel(tmp_path, kernel_environment(None), NAME)
    try:
        deadline = time.monotonic() + 30
        while len(list(kernel._folder.glob("k-*"))) < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(list(kernel._folder.glob("k-*"))) == 5
        assert kernel._folder.stat().st_mode & 0o077 == 0
        # The one that ipykernel opens for the output of forked processes.
        open_ports = psutil.Process(kernel._process.pid).net_connections("inet")
        assert {c.laddr.ip for c in open_ports if c.status == psutil.CONN_LISTEN} <= {"127.0.0.1"}
        assert len([c for c in open_ports if c.status == psutil.CONN_LISTEN]) <= 1
        assert os.getpgid(kernel._process.pid) == kernel._process.pid
    finally:
        kernel.kill()
    assert not kernel._folder.exists()
    kernel.kill()


def test_a_long_temporary_folder_is_left_for_a_short_one(execute, tmp_path, monkeypatch):
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr(notebook.tempfile, "gettempdir", lambda: str(long))
    assert execute("a = 1") is None
    assert list(long.iterdir()) == []


def test_without_any_short_folder_tcp_is_used(execute, monkeypatch):
    monkeypatch.setattr(notebook, "SOCKET_PATH", 10)
    assert execute("a = 1") is None


def test_sockets_of_dead_processes_are_swept(tmp_path):
    folder = notebook._socket_folder(NAME)
    sweep_sockets("workbench-other")
    assert folder.is_dir()
    sweep_sockets(NAME)
    assert not folder.exists()


def test_it_runs_where_an_event_loop_runs(execute):
    async def inside():
        return execute("a = 1")

    assert asyncio.run(inside()) is None


def test_an_unused_kernel_is_closed_at_once(tmp_path):
    kernel = Kernel(tmp_path, kernel_environment(None), NAME)
    start = time.monotonic()
    kernel.close()
    assert time.monotonic() - start < 1
    assert not psutil.pid_exists(kernel._process.pid)


def test_papermill_is_imported_only_to_run():
    code = (
        "import sys, workbench.execution, workbench.running.parallel\n"
        "heavy = ('papermill', 'nbclient', 'nbformat', 'jupyter_client', 'rocrate', 'zmq')\n"
        "sys.exit(', '.join(m for m in heavy if m in sys.modules) or None)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
