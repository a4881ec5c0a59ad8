"""Publication: whole or not at all, whatever moment a process dies at."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from workbench.errors import ExecutionError
from workbench.running.publication import (
    TEMPORARY,
    publish,
    recover,
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


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    make(tmp_path / "made", "new")
    os.mkfifo(tmp_path / "made" / "pipe")
    with pytest.raises(ExecutionError, match="cannot be used"):
        publish(tmp_path / "made", tmp_path / "step")


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


def test_nothing_is_written_through_a_link_in_the_place_of_the_temporary_file(tmp_path):
    outside = tmp_path / "outside"
    (tmp_path / ".record.json.tmp").symlink_to(outside)
    write_whole(tmp_path / "record.json", "new")
    assert (tmp_path / "record.json").read_text() == "new"
    assert not outside.exists()


def test_what_stands_in_the_place_of_a_step_is_replaced(tmp_path):
    for number, put in enumerate((Path.touch, lambda p: p.symlink_to("/nowhere"), os.mkfifo)):
        run = tmp_path / str(number)
        make(run / TEMPORARY / "step.1", "new")
        put(run / "step")
        publish(run / TEMPORARY / "step.1", run / "step")
        assert sorted(content_of(run / "step")) == ["0.txt", "1.txt", "2.txt"]
        assert {p.name for p in run.iterdir()} == {"step", TEMPORARY}
