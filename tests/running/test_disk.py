"""Disk: every refusal of the system is named, and strange folders do no harm."""

from __future__ import annotations

import errno
import os
import resource
import subprocess

import pytest

from workbench.errors import ExecutionError
from workbench.running.disk import remove, size_of, walk, writing
from workbench.running.publication import write_whole


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


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "Ivanova", "/data/Ivanova"), "Permission denied"),
        (OSError(errno.EROFS, ""), "Read-only file system"),
        (OSError("Ivanova"), "the system refuses"),
        (RecursionError("Ivanova"), "nested too deeply"),
    ],
)
def test_what_the_system_refuses_is_named_without_the_words_of_the_error(tmp_path, error, words):
    with pytest.raises(ExecutionError, match=words) as caught, writing(tmp_path / "x"):
        raise error
    assert caught.value.where == str(tmp_path / "x")
    assert caught.value.todo
    assert "Ivanova" not in str(caught.value)


def test_a_listener_that_is_gone_is_no_fault_of_the_disk(tmp_path):
    with pytest.raises(BrokenPipeError), writing(tmp_path):
        raise BrokenPipeError(errno.EPIPE, "")


def nest(folder, depth):
    """Make folders inside each other, deeper than any path can name."""
    folder.mkdir()
    handle = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d" * 20, dir_fd=handle)
        below = os.open("d" * 20, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
    os.close(handle)


def test_folders_of_any_depth_are_walked_to_a_limit_and_removed(tmp_path):
    nest(tmp_path / "deep", 3000)
    with pytest.raises(RecursionError):
        list(walk(tmp_path / "deep", 32))
    assert size_of(tmp_path / "deep") == 0
    remove(tmp_path / "deep")
    assert list(tmp_path.iterdir()) == []


def test_files_links_and_folders_without_rights_are_removed(tmp_path):
    outside = tmp_path / "outside"
    (outside / "kept").mkdir(parents=True)
    folder = tmp_path / "folder"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "file").write_text("1")
    (folder / "a" / "link").symlink_to(outside)
    os.mkfifo(folder / "pipe")
    for place in ("a/b", "a", "."):
        (folder / place).chmod(0)
    remove(folder)
    link = tmp_path / "link"
    link.symlink_to(outside)
    remove(link)
    remove(tmp_path / "nothing")
    assert [p.name for p in tmp_path.iterdir()] == ["outside"]
    assert (outside / "kept").is_dir()


def test_sizes_are_summed(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for i in range(3):
        (tmp_path / "a" / "b" / f"{i}.txt").write_text("new" + " 1")
    assert size_of(tmp_path / "a") == 15
    assert size_of(tmp_path / "none") == 0
    assert size_of(tmp_path / "a" / "b" / "0.txt") == 5
