"""Outputs: what is declared must be there, and nothing else."""

from __future__ import annotations

import os

import pytest

from tests.toy import write_toy_study
from workbench.errors import ExecutionError
from workbench.provenance import StepRecord
from workbench.running.outputs import collect_outputs, is_intact, take_fingerprint
from workbench.running.publication import publish
from workbench.study import read_study


@pytest.fixture
def step(tmp_path):
    return read_study(write_toy_study(tmp_path / "studies")).step("second")


@pytest.fixture
def made(tmp_path):
    folder = tmp_path / "output"
    (folder / "parts" / "deep").mkdir(parents=True)
    (folder / "parts" / "deep" / "1.txt").write_text("1")
    (folder / "tables").mkdir()
    (folder / "tables" / "total.csv").write_text("total\n3\n")
    return folder


def test_declared_outputs_are_recorded(step, made):
    found = collect_outputs(step, made)
    assert list(found) == ["many", "total"]
    assert found["total"].path == "tables/total.csv"
    assert found["total"].size == 8
    assert len(found["many"].sha256) == 64


@pytest.mark.parametrize(
    ("name", "advice"),
    [("tables/totals.csv", "Did you mean 'tables/total.csv'"), (".step/record.json", "Declared:")],
)
def test_an_undeclared_file_is_refused_by_name(step, made, name, advice):
    (made / name).parent.mkdir(exist_ok=True)
    (made / name).write_text("")
    with pytest.raises(ExecutionError, match=f"wrote '{name}'") as caught:
        collect_outputs(step, made, f"path = '{name}'")
    assert advice in caught.value.todo


@pytest.mark.parametrize("name", ["tables/IVANOV.csv", "parts/IVANOV", "IVANOV/total.csv"])
def test_a_name_that_a_notebook_made_of_data_is_not_told(step, made, name):
    (made / name).parent.mkdir(exist_ok=True)
    os.mkfifo(made / name) if "parts" in name else (made / name).write_text("")
    with pytest.raises(ExecutionError, match="wrote something, which") as caught:
        collect_outputs(step, made, "(folder / f'{patient}.csv').touch()")
    assert "IVANOV" not in str(caught.value)


def test_an_undeclared_empty_folder_is_refused_by_name(step, made):
    (made / "parts" / "empty").mkdir()
    collect_outputs(step, made)
    (made / "tables" / "more").mkdir()
    with pytest.raises(ExecutionError, match="wrote 'tables/more'"):
        collect_outputs(step, made, "more")
    (made / "tables" / "more").rmdir()
    (made / ".fingerprint").mkdir()
    with pytest.raises(ExecutionError, match=r"wrote '\.fingerprint'"):
        collect_outputs(step, made)


def test_folders_nested_too_deeply_are_refused_and_never_intact(step, made):
    record = StepRecord(
        step="second", key="k", parts={}, outputs=collect_outputs(step, made),
        started="", ended="", seconds=0.0,
    )  # fmt: skip
    made.joinpath("parts", *["d"] * 400).mkdir(parents=True)
    with pytest.raises(ExecutionError, match="more than 32 deep"):
        collect_outputs(step, made)
    assert not is_intact(record, made)


def test_a_fingerprint_that_is_no_file_is_refused(step, made):
    os.mkfifo(made / ".fingerprint")
    with pytest.raises(ExecutionError, match="neither file nor folder"):
        collect_outputs(step, made)


def test_a_name_with_control_characters_is_shown_escaped(step, made):
    (made / "a\x1b[31mb").write_text("")
    with pytest.raises(ExecutionError, match="31mb") as caught:
        collect_outputs(step, made, "a\x1b[31mb")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("make", ["link", "folder link", "pipe"])
def test_only_plain_files_are_taken(step, made, make):
    if make == "pipe":
        os.mkfifo(made / "parts" / "pipe")
    else:
        target = made / "parts" / "out"
        target.symlink_to("/etc/passwd" if make == "link" else "/etc")
    with pytest.raises(ExecutionError, match="neither file nor folder"):
        collect_outputs(step, made)


def test_a_missing_output_is_named(step, made):
    (made / "tables" / "total.csv").unlink()
    with pytest.raises(ExecutionError, match="did not write its output 'total'"):
        collect_outputs(step, made)


def test_a_file_where_a_folder_is_declared_is_refused(step, made):
    for path in sorted((made / "parts").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (made / "parts").rmdir()
    (made / "parts").write_text("")
    with pytest.raises(ExecutionError, match="'parts'"):
        collect_outputs(step, made)


def test_a_fingerprint_is_kept_as_a_digest_only(step, made):
    assert take_fingerprint(made) == ""
    (made / ".fingerprint").write_text("/data/IVANOV.dcm:12\n")
    assert set(collect_outputs(step, made)) == {"many", "total"}
    digest = take_fingerprint(made)
    assert len(digest) == 64
    assert not (made / ".fingerprint").exists()
    (made / ".fingerprint").write_text("/data/IVANOV.dcm:13\n")
    assert take_fingerprint(made) != digest


def test_changed_outputs_are_noticed_and_touched_ones_kept(step, made):
    record = StepRecord(
        step="second", key="k", parts={}, outputs=collect_outputs(step, made),
        started="", ended="", seconds=0.0,
    )  # fmt: skip
    assert is_intact(record, made)
    os.utime(made / "tables" / "total.csv", (1, 1))
    assert is_intact(record, made)
    (made / "tables" / "total.csv").write_text("total\n4\n")
    assert not is_intact(record, made)
    (made / "tables" / "total.csv").unlink()
    assert not is_intact(record, made)
    assert not is_intact(record, made / "nowhere")


def test_an_output_overwritten_by_one_of_its_size_and_time_is_not_intact(step, made, tmp_path):
    record = StepRecord(
        step="second", key="k", parts={}, outputs=collect_outputs(step, made),
        started="", ended="", seconds=0.0,
    )  # fmt: skip
    for path in (made / "tables" / "total.csv", made / "parts" / "deep" / "1.txt"):
        held, before = path.read_bytes(), path.stat()
        path.chmod(0o644)
        path.write_bytes(held[::-1] if len(held) > 1 else b"2")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        path.chmod(0o444)
        assert path.stat().st_size == before.st_size
        assert not is_intact(record, made)
        path.chmod(0o644)
        path.write_bytes(held)
        assert is_intact(record, made)


def test_publishing_leaves_the_stamp_so_that_nothing_is_read_again(
    step, made, tmp_path, monkeypatch
):
    record = StepRecord(
        step="second", key="k", parts={}, outputs=collect_outputs(step, made),
        started="", ended="", seconds=0.0,
    )  # fmt: skip
    publish(made, tmp_path / "second")
    monkeypatch.setattr("workbench.running.outputs.digest_path", lambda path: pytest.fail("read"))
    assert is_intact(record, tmp_path / "second")


def test_an_output_folder_that_was_replaced_is_refused(step, made, tmp_path):
    made.rename(tmp_path / "elsewhere")
    made.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ExecutionError, match="removed or replaced its output_dir"):
        collect_outputs(step, made)
