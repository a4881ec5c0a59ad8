"""Doubtful files are read apart: what hangs, swells or dies costs one file."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.dicom.dicom_files import as_bytes, before_pixels, element, image
from workbench.dicom import careful
from workbench.dicom.careful import read_apart
from workbench.dicom.header import read_stored
from workbench.dicom.headers import read_headers
from workbench.dicom.refusals import UnreadableFile
from workbench.errors import ExecutionError
from workbench.running.limited import MEMORY

ITEM, ENDS = b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\xfe\xff\x0d\xe0\0\0\0\0"
LAST = b"\xfe\xff\xdd\xe0\0\0\0\0"
GROUPS = 0x52009230


def slow_file(items=200_000):
    """Return an image with so many empty items that pydicom takes many seconds for them."""
    many = element(0x0040A730, "SQ", (ITEM + ENDS) * items + LAST, 0xFFFFFFFF)
    return before_pixels(as_bytes(image()), many)


@pytest.fixture
def folder(tmp_path):
    """Return a folder of doubtful, healthy files and one that takes long, the third by name."""
    for name in "abde":
        (tmp_path / name).write_bytes(as_bytes(image(PatientID=name), "1.2.840.10008.1.2.1.99"))
    (tmp_path / "c").write_bytes(slow_file())
    return tmp_path


@pytest.fixture
def process(folder):
    """Return the process that reads next."""
    list(read_apart(str(folder), "a"))
    return careful._pool._idle[-1]._process


def told(read):
    return (read.reason, read.detail) if isinstance(read, UnreadableFile) else read


def expected(folder, third):
    here = {name: read_stored(folder / name) for name in "abde"}
    return [here.get(name, third) for name in "abcde"]


def test_a_file_that_takes_too_long_is_refused_alone(folder):
    start = time.monotonic()
    found = [told(r) for r in read_apart(str(folder), "abcde", seconds=1)]
    assert time.monotonic() - start < 15
    assert found == expected(folder, ("too_slow", "more than 1 s"))


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSEGV])
def test_a_file_that_ends_the_process_is_refused_alone(folder, process, sent):
    killer = threading.Timer(0.5, process.send_signal, (sent,))
    killer.start()
    found = [told(r) for r in read_apart(str(folder), "abcde")]
    assert found == expected(folder, ("too_big", "reading it ended the process"))
    assert process.returncode == -sent


def test_a_file_that_takes_too_much_memory_is_refused_alone(folder, process):
    before, after = as_bytes(image()).split(b"\xe0\x7f\x10\x00")
    size = 200 * 2**20
    with (folder / "c").open("wb") as file:
        file.write(before + element(GROUPS, "SQ", b"", size))
        file.seek(size, os.SEEK_CUR)
        file.write(b"\xe0\x7f\x10\x00" + after)
    status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    (line,) = [line for line in status if line.startswith("VmSize")]
    most = 2**10 * int(line.split()[1]) + 2**26
    resource.prlimit(process.pid, resource.RLIMIT_AS, (most, MEMORY))
    found = [told(r) for r in read_apart(str(folder), "abcde")]
    assert found == expected(folder, ("too_big", "not enough memory"))
    # A new one has all its memory.
    assert process.returncode is not None
    assert [told(r) for r in read_apart(str(folder), "c")] == [read_stored(folder / "c")]


def test_the_process_has_a_limit_of_memory(process):
    limits = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
    (line,) = [line for line in limits if line.startswith("Max address space")]
    assert line.split()[3:5] == [str(MEMORY)] * 2
    assert MEMORY <= 1.5 * 2**30


def test_one_process_reads_many_and_ends_with_who_asked(folder, process):
    (folder / "c").unlink()
    found = [told(r) for r in read_apart(str(folder), "abdec" * 200)]
    assert found == [*expected(folder, None)[:2], *expected(folder, None)[3:],
                     ("unreadable", "No such file or directory")] * 200  # fmt: skip
    assert careful._pool._idle[-1]._process is process
    code = (
        "import os\nfrom workbench.dicom import careful\n"
        f"list(careful.read_apart({str(folder)!r}, 'a'))\n"
        "print(careful._pool._idle[-1]._process.pid, flush=True)\nos._exit(1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{int(done.stdout)}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_healthy_files_and_what_is_no_dicom_start_no_process(tmp_path):
    (tmp_path / "a").write_bytes(as_bytes(image()))
    (tmp_path / "b").write_bytes(b"hello")
    (tmp_path / "c").write_bytes(b"")
    careful._pool.end_idle(-1)
    rows, refused = read_headers(["a", "b", "c", "d"], [(tmp_path / "a").stat().st_size, 5, 0, 9],
                                 root=tmp_path)  # fmt: skip
    assert rows["path"].to_list() == ["a"]
    assert [r.reason for r in refused] == ["not_dicom", "empty", "unreadable"]
    assert careful._pool._idle == []


def test_that_no_process_starts_is_no_fault_of_the_file(folder, monkeypatch):
    careful._pool.end_idle(-1)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ExecutionError, match="does not start"):
        list(read_apart(str(folder), "a"))
    monkeypatch.setattr(sys, "executable", "/bin/absent")
    with pytest.raises(ExecutionError, match="does not start"):
        list(read_apart(str(folder), "a"))
