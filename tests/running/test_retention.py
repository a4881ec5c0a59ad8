"""Old runs go, and nothing else: not one in use, not a link, not a ledger, not a neighbour."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.released import make_hospital, write_study
from workbench.errors import ExecutionError, UsageError
from workbench.running.lock import lock_folder
from workbench.running.retention import (
    KEEP_DAYS,
    KeptRun,
    list_left,
    list_runs,
    remove_run,
    sweep,
)

OLD = "0123456789ab"
NEW = "ba9876543210"


def write_run(runs: Path, name: str, days: float, site: str = "north", **record: object) -> Path:
    folder = runs / "toy" / site / name
    (folder / "exams").mkdir(parents=True)
    (folder / "exams" / "exams.parquet").write_bytes(b"x" * 5000)
    (folder / "exams" / "exams.parquet").chmod(0o444)
    (folder / "lock").touch()
    (folder / "record.json").write_text(
        json.dumps({"status": "finished", "sample": None, **record})
    )
    then = time.time() - days * 86_400
    for path in (folder / "lock", folder / "record.json", folder):
        os.utime(path, (then, then))
    return folder


def only(runs: Path) -> KeptRun:
    (run,) = list_runs(runs)
    return run


def test_runs_are_listed_oldest_first_with_age_size_and_status(tmp_path):
    write_run(tmp_path, NEW, 2, status="failed")
    write_run(tmp_path, OLD, 100, sample=50)
    old, new = list_runs(tmp_path)
    assert (old.run_id, new.run_id) == (OLD, NEW)
    assert old.age_days() == pytest.approx(100, abs=0.1)
    assert 5000 < old.bytes < 6000
    assert (old.status, old.sample) == ("finished", True)
    assert (new.status, new.sample) == ("failed", False)


def test_a_run_that_was_used_again_is_young(tmp_path):
    folder = write_run(tmp_path, OLD, 100)
    (folder / "events.jsonl").write_text("{}\n")
    os.utime(folder, (0, 0))  # a file that grows leaves the times of its folder
    assert only(tmp_path).age_days() < 1


def test_removing_takes_the_run_and_empty_folders_and_nothing_else(tmp_path):
    write_run(tmp_path, OLD, 100)
    write_run(tmp_path, NEW, 100, site="south")
    ledger = tmp_path / ".ledgers" / "north.jsonl"
    ledger.parent.mkdir()
    ledger.write_text("kept\n")
    freed = remove_run(next(run for run in list_runs(tmp_path) if run.site == "north"))
    assert freed >= 5000
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.glob("*/*")) == [
        ".ledgers/north.jsonl",
        "toy/south",
    ]
    assert [run.site for run in list_runs(tmp_path)] == ["south"]


def test_a_run_in_use_stays(tmp_path):
    folder = write_run(tmp_path, OLD, 100)
    run = only(tmp_path)
    with lock_folder(folder), pytest.raises(ExecutionError, match="in use"):
        remove_run(run)
    assert (folder / "exams" / "exams.parquet").is_file()
    remove_run(run)
    assert not folder.exists()


def test_a_run_that_another_process_holds_stays(tmp_path):
    folder = write_run(tmp_path, OLD, 100)
    code = (
        "import sys; from pathlib import Path; from workbench.running.lock import lock_folder\n"
        "with lock_folder(Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ExecutionError, match=str(other.pid)):
            remove_run(only(tmp_path))
        other.stdin.close()
    assert folder.is_dir()


@pytest.mark.parametrize("place", ["run", "site", "study", "inside"])
def test_links_are_never_followed(tmp_path, place):
    outside = tmp_path / "outside"
    runs = tmp_path / "runs"
    real = write_run(outside, OLD, 100)
    if place == "inside":
        folder = write_run(runs, NEW, 100)
        (folder / "exams" / "link").symlink_to(real)
        remove_run(only(runs))
        assert not folder.exists()
    else:
        links = {
            "run": (runs / "toy" / "north" / OLD, real),
            "site": (runs / "toy" / "north", real.parent),
            "study": (runs / "toy", real.parents[1]),
        }
        link, target = links[place]
        link.parent.mkdir(parents=True)
        link.symlink_to(target)
        assert list_runs(runs) == []
    assert (real / "exams" / "exams.parquet").is_file()


def test_a_folder_swapped_for_a_link_after_listing_stays(tmp_path):
    runs = tmp_path / "runs"
    folder = write_run(runs, OLD, 100)
    run = only(runs)
    real = folder.rename(tmp_path / OLD)
    folder.symlink_to(real)
    with pytest.raises(ExecutionError, match="no longer"):
        remove_run(run)
    assert (real / "exams" / "exams.parquet").is_file()


@pytest.mark.parametrize(
    "odd", ["toy/north/notes", "toy/north/0123456789AB", "toy/0123456789ab", ".hidden/north/" + OLD]
)
def test_only_what_is_called_and_kept_like_a_run_is_one(tmp_path, odd):
    folder = tmp_path / odd
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    assert list_runs(tmp_path) == []
    (tmp_path / "toy" / "north" / OLD).mkdir(parents=True)  # no lock
    assert list_runs(tmp_path) == []


BROKEN = [
    "",
    "[]",
    '{"status": 5, "steps": {"a": 1}}',
    '{"steps": [{"outputs": {"x": {"sha256": []}}}]}',
    "{" * 9000,
]


@pytest.mark.parametrize("record", BROKEN)
def test_a_broken_record_hides_no_run(tmp_path, record):
    folder = write_run(tmp_path, OLD, 100)
    (folder / "record.json").write_text(record)
    assert only(tmp_path).status == "unfinished"


@pytest.mark.parametrize("name", ["record.json", "params.yaml", "ledger"])
def test_a_pipe_or_a_link_in_the_place_of_a_file_is_not_read(tmp_path, name):
    folder = write_run(tmp_path, OLD, 100)
    path = folder / name
    if name == "ledger":
        path = tmp_path / ".ledgers" / "north.jsonl"
        path.parent.mkdir()
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    code = "import sys; from pathlib import Path; from workbench.running.retention import list_runs"
    subprocess.run(  # in a process of its own: whoever waits for a pipe cannot be interrupted
        [sys.executable, "-c", f"{code}\nassert len(list_runs(Path(sys.argv[1]))) == 1", tmp_path],
        timeout=20,
        check=True,
    )
    path.unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text('{"status": "failed"}')
    path.symlink_to(elsewhere)
    assert only(tmp_path).status != "failed"


def test_what_a_stop_left_is_swept_though_no_run_is_old(tmp_path):
    young = write_run(tmp_path, NEW, 1)
    left = tmp_path / ".removing-abc"
    (left / "exams").mkdir(parents=True)
    (left / "exams" / "exams.parquet").write_bytes(b"x" * 700)
    link = tmp_path / ".removing-link"
    link.symlink_to(young)
    assert list_left(tmp_path) == {left: 700}
    assert left.exists()
    assert sweep(tmp_path) == 700
    assert not left.exists()
    assert (young / "exams" / "exams.parquet").is_file()
    assert list_left(tmp_path) == {}


def test_a_removal_that_stops_halfway_leaves_what_sweep_finds(tmp_path, monkeypatch):
    folder = write_run(tmp_path, OLD, 100)
    with monkeypatch.context() as stop:
        stop.setattr("workbench.running.retention.remove", lambda path: None)
        with pytest.raises(ExecutionError, match="could not be removed"):
            remove_run(only(tmp_path))
    assert not folder.exists()
    assert list_runs(tmp_path) == []
    assert sweep(tmp_path) >= 5000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("declared", "days"),
    [
        ('id = "north"\n{}\n[retention]\ndays = 30\n', 30),
        ('id = "north"\n{}\n', KEEP_DAYS),
        ('id = "south"\n{}\n[retention]\ndays = 30\n', KEEP_DAYS),
        ('id = "north"\n{}\n[retention]\ndays = 0\n', KEEP_DAYS),
        (None, KEEP_DAYS),
    ],
)
def test_a_site_says_how_long_its_runs_are_kept(tmp_path, declared, days):
    runs, site = tmp_path / "runs", tmp_path / "site.toml"
    folder = write_run(runs, OLD, 40)
    (folder / "params.yaml").write_text(f"site: {site}\n")
    os.utime(folder, (time.time() - 40 * 86_400,) * 2)
    if declared is not None:
        rest = 'name = "N"\nkind = "pretend"\n[archive]\nkind = "table"\npath = "t.csv"'
        site.write_text("[site]\n" + declared.format(rest))
    run = only(runs)
    assert run.keep_days == days
    assert run.is_past() == (days == 30)
    assert run.is_past(39)
    assert not run.is_past(41)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UsageError, match="no folder of runs"):
        list_runs(tmp_path / "nowhere")


@pytest.mark.parametrize("kind", ["pretend", "real"])
def test_the_ledger_tells_what_was_released(tmp_path, kind):
    study = write_study(tmp_path / "study")
    north = make_hospital(tmp_path, study, "north", 1, kind=kind)
    folder = north.run()
    (folder / "lock").touch()
    (folder / "params.yaml").write_text(f"site: {north.site.path}\nyears: 3\n")
    assert only(north.runs).released is False
    north.pack()
    (folder / "lock").touch()
    assert only(north.runs).released is True
    ledgers = [*north.runs.glob(".ledgers/*.jsonl"), *north.site.folder.glob("ledger.jsonl")]
    assert len(ledgers) == 1
    remove_run(only(north.runs))
    assert ledgers[0].is_file()
    assert (north.out / "manifest.json").is_file()


def test_a_ledger_that_cannot_be_read_says_unknown(tmp_path):
    write_run(tmp_path, OLD, 100)
    ledger = tmp_path / ".ledgers" / "north.jsonl"
    ledger.parent.mkdir()
    ledger.write_text("torn")
    assert only(tmp_path).released is None
