"""Publication: whole or not at all, whatever moment a process dies at."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import time

import pytest

from workbench.errors import ExecutionError
from workbench.running import publication
from workbench.running.publication import (
    TEMPORARY,
    full_disk,
    lock_folder,
    publish,
    recover,
    size_of,
    write_whole,
)


class Crash(BaseException):
    """Stands for a process that dies: nothing catches it."""


def make(folder, content):
    folder.mkdir(parents=True)
    for i in range(3):
        (folder / f"{i}.txt").write_text(f"{content} {i}")


def content_of(folder):
    return {p.name: p.read_text() for p in folder.iterdir()} if folder.exists() else None


def crash_at(monkeypatch, number):
    """Die before the given call among all that change or sync the disk; return the counter."""
    calls = []

    def wrapped(original):
        def call(*args, **kwargs):
            calls.append(original.__name__)
            if len(calls) == number:
                raise Crash
            return original(*args, **kwargs)

        return call

    for module, name in (
        (os, "rename"),
        (os, "replace"),
        (os, "fsync"),
        (os, "unlink"),
        (os, "rmdir"),
        (shutil, "rmtree"),
    ):
        monkeypatch.setattr(module, name, wrapped(getattr(module, name)))
    return calls


@pytest.mark.parametrize("earlier", [False, True])
def test_any_crash_leaves_the_earlier_or_the_new(tmp_path, earlier):
    new = {f"{i}.txt": f"new {i}" for i in range(3)}
    old = {f"{i}.txt": f"old {i}" for i in range(3)} if earlier else None
    outcomes, number = [], 0
    while True:
        number += 1
        run = tmp_path / str(number)
        made = run / TEMPORARY / "step.1"
        make(made, "new")
        if earlier:
            make(run / "step", "old")
        with pytest.MonkeyPatch.context() as patch:
            crash_at(patch, number)
            try:
                publish(made, run / "step")
            except Crash:
                crashed = True
            else:
                crashed = False
        recover(run, ["step"])
        found = content_of(run / "step")
        assert found in (old, new)
        assert sorted(p.name for p in run.iterdir()) == (["step"] if found else [])
        outcomes.append(found == new)
        if not crashed:
            break
    assert number > 5
    assert outcomes[-1]
    # Once the new one is there, a later crash does not take it back.
    assert outcomes == sorted(outcomes)


def test_a_crash_while_recovering_is_recovered(tmp_path):
    for first in range(1, 30):
        for second in range(1, 12):
            run = tmp_path / f"{first}_{second}"
            make(run / TEMPORARY / "step.1", "new")
            make(run / "step", "old")
            with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Crash):
                crash_at(patch, first)
                publish(run / TEMPORARY / "step.1", run / "step")
            with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Crash):
                crash_at(patch, second)
                recover(run, ["step"])
            recover(run, ["step"])
            found = content_of(run / "step")
            assert found is not None
            assert len({text.split()[0] for text in found.values()}) == 1
            assert len(found) == 3


def test_everything_is_synced_before_the_rename(tmp_path, monkeypatch):
    make(tmp_path / TEMPORARY / "step.1" / "below", "new")
    calls = crash_at(monkeypatch, -1)
    publish(tmp_path / TEMPORARY / "step.1", tmp_path / "step")
    # Three files, two folders, then one rename, then the run folder.
    assert calls == ["fsync"] * 5 + ["rename", "fsync"]


def test_published_files_are_read_only(tmp_path):
    make(tmp_path / TEMPORARY / "step.1", "new")
    publish(tmp_path / TEMPORARY / "step.1", tmp_path / "step")
    assert all(p.stat().st_mode & 0o222 == 0 for p in (tmp_path / "step").iterdir())


HOLD = """
import sys, time
from pathlib import Path
from workbench.running.publication import lock_folder
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
    with lock_folder(tmp_path) as dead:
        assert dead.pid == process.pid
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    with lock_folder(tmp_path) as dead:
        assert dead is None


def test_an_unreadable_lock_is_taken_over(tmp_path):
    (tmp_path / "lock").write_bytes(b"\x00\xff{")
    with lock_folder(tmp_path) as dead:
        assert dead is None


def test_a_lock_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="lock"), lock_folder(tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "record.json"
    write_whole(path, "old")
    number = 0
    while True:
        number += 1
        with pytest.MonkeyPatch.context() as patch:
            crash_at(patch, number)
            try:
                write_whole(path, "new")
            except Crash:
                assert path.read_text() in ("old", "new")
            else:
                break
        path.write_text("old")
        recover(tmp_path, [])
        assert [p.name for p in tmp_path.iterdir()] == ["record.json"]
    assert path.read_text() == "new"
    assert number > 2


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "toy", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a file system can only be mounted as root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_named_with_path_and_bytes(small_disk):
    path = small_disk / "record.json"
    write_whole(path, "old")
    with pytest.raises(ExecutionError, match="No space left for 1,000,000 bytes") as caught:
        write_whole(path, b"x" * 1_000_000)
    assert caught.value.where == str(path)
    assert path.read_text() == "old"
    assert [p.name for p in small_disk.iterdir()] == ["record.json"]


def test_a_file_size_limit_is_named_too(tmp_path):
    path = tmp_path / "record.json"
    write_whole(path, "old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(ExecutionError, match="20,000 bytes"):
            write_whole(path, b"x" * 20_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "old"


def test_other_errors_of_the_system_pass(tmp_path):
    with pytest.raises(PermissionError), full_disk(tmp_path):
        raise PermissionError(errno.EACCES, "no")


def test_sizes_are_summed(tmp_path):
    make(tmp_path / "a" / "b", "new")
    assert size_of(tmp_path / "a") == 15
    assert size_of(tmp_path / "none") == 0
    assert publication.size_of(tmp_path / "a" / "b" / "0.txt") == 5
