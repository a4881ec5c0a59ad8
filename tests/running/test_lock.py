"""The lock: one process alone, and no notebook can let a second one in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from workbench.errors import ExecutionError
from workbench.running.lock import lock_folder

HOLD = """
import sys, time
from pathlib import Path
from workbench.running.lock import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_at_once_and_the_first_is_named(tmp_path):
    process = hold(tmp_path)
    try:
        start = time.monotonic()
        with (
            pytest.raises(ExecutionError, match=f"process {process.pid} on {os.uname().nodename}"),
            lock_folder(tmp_path),
        ):
            pass
        assert time.monotonic() - start < 2
    finally:
        process.kill()
        process.wait()


def test_a_nameless_holder_is_refused_within_two_seconds(tmp_path):
    process = hold(tmp_path)
    try:
        (tmp_path / "lock").write_text("")
        start = time.monotonic()
        with pytest.raises(ExecutionError, match="another process"), lock_folder(tmp_path):
            pass
        assert time.monotonic() - start < 2
    finally:
        process.kill()
        process.wait()


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    process = hold(tmp_path)
    process.kill()
    process.wait()
    with lock_folder(tmp_path) as lock:
        assert lock.dead.pid == process.pid
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    with lock_folder(tmp_path) as lock:
        assert lock.dead is None


def test_an_unreadable_lock_is_taken_over(tmp_path):
    (tmp_path / "lock").write_bytes(b"\x00\xff{")
    with lock_folder(tmp_path) as lock:
        assert lock.dead is None


def test_a_lock_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ExecutionError, match="symbolic links") as caught, lock_folder(tmp_path):
        pass
    assert caught.value.where == str(tmp_path / "lock")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_stands_in_the_place_of_the_lock_is_named(tmp_path, make):
    make(tmp_path / "lock")
    with pytest.raises(ExecutionError) as caught, lock_folder(tmp_path):
        pass
    assert caught.value.where == str(tmp_path / "lock")
    assert caught.value.todo


def test_a_lock_that_was_removed_or_replaced_is_noticed(tmp_path):
    with lock_folder(tmp_path) as lock:
        lock.validate()
        (tmp_path / "lock").unlink()
        with pytest.raises(ExecutionError, match="removed or replaced"):
            lock.validate()
        (tmp_path / "lock").write_text("")
        with pytest.raises(ExecutionError, match="removed or replaced"):
            lock.validate()
