"""DICOM inside zip files is read within limits, and strange members are refused by name."""

from __future__ import annotations

import io
import os
import struct
import zipfile

import pytest

from tests.dicom.test_careful import slow_file
from tests.imaging.images import write_image
from workbench.catalog import members
from workbench.catalog.members import MOST_MEMBERS, copy_member, read_members
from workbench.dicom.header import read_header
from workbench.dicom.inflation import ALWAYS_INFLATED
from workbench.dicom.refusals import UnreadableFile


@pytest.fixture
def image(tmp_path):
    return write_image(tmp_path / "image.dcm").read_bytes()


def pack(path, members, kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def read(path):
    found = read_members(path.parent, path.name, 7)
    reasons = {r.path: (r.reason, r.detail) for r in found.refused}
    assert found.members == len(found.rows) + len(found.refused)
    return found, reasons


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_members_are_rows_like_files(tmp_path, image, kind):
    path = pack(tmp_path / "a.zip", [("d/1", image), ("d/", b""), ("note.txt", b"hello")], kind)
    found, reasons = read(path)
    (row,) = found.rows
    assert row == read_header(tmp_path / "image.dcm") | {
        "path": "a.zip!d/1",
        "size": len(image),
        "mtime_ns": 7,
    }
    assert reasons["a.zip!note.txt"][0] == "not_dicom"
    target = io.BytesIO()
    copy_member(tmp_path, "a.zip!d/1", target)
    assert target.getvalue() == image


def test_a_zip_file_in_a_zip_file_is_not_opened(tmp_path, image):
    inner = pack(tmp_path / "inner.zip", [("1", image)])
    _, reasons = read(pack(tmp_path / "a.zip", [("inner", inner.read_bytes())]))
    assert reasons == {"a.zip!inner": ("not_dicom", "a zip file in a zip file is not opened")}


def test_bombs_are_refused_before_they_are_inflated(tmp_path, image):
    bomb = image + bytes(40 * ALWAYS_INFLATED)
    _, reasons = read(pack(tmp_path / "a.zip", [("bomb", bomb), ("good", image)]))
    assert list(reasons) == ["a.zip!bomb"]
    assert reasons["a.zip!bomb"][0] == "too_big_to_inflate"
    with pytest.raises(UnreadableFile, match="too_big_to_inflate"):
        read(pack(tmp_path / "b.zip", [(str(n), bytes(40 * ALWAYS_INFLATED)) for n in range(3)]))
    # An empty image is small enough to inflate from anything.
    found, _ = read(pack(tmp_path / "c.zip", [("1", image + bytes(ALWAYS_INFLATED // 2))]))
    assert len(found.rows) == 1


def test_a_member_that_says_it_is_smaller_gives_no_more_than_it_said(tmp_path, image):
    path = pack(tmp_path / "a.zip", [("bomb", bytes(200 * ALWAYS_INFLATED))])
    content = path.read_bytes()
    size = struct.pack("<I", 200 * ALWAYS_INFLATED)
    assert content.count(size) == 2
    path.write_bytes(content.replace(size, struct.pack("<I", 1000)))
    _, reasons = read(path)
    assert reasons["a.zip!bomb"][0] in ("truncated", "not_dicom")


def test_encrypted_repeated_and_broken_members_are_refused_alone(tmp_path, image):
    path = pack(tmp_path / "a.zip", [("one", image), ("two", image), ("three", image)])
    content = bytearray(path.read_bytes())
    second = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1)
    content[second + 8] |= 1  # the flag of encryption, in the directory
    first = content.index(b"one") + 60
    content[first] ^= 0xFF
    path.write_bytes(content)
    found, reasons = read(path)
    assert [row["path"] for row in found.rows] == ["a.zip!three"]
    assert reasons["a.zip!two"] == ("unreadable", "encrypted")
    assert reasons["a.zip!one"][0] == "truncated"
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = pack(tmp_path / "b.zip", [("one", image), ("one", image)])
    _, reasons = read(twice)
    assert reasons == {"b.zip!one": ("duplicate", "a second member of this name")}


def test_members_that_take_too_long_together_cost_the_zip_file(tmp_path, image, monkeypatch):
    path = pack(tmp_path / "a.zip", [("1", image), ("2", slow_file())], zipfile.ZIP_STORED)
    found = read_members(tmp_path, "a.zip", 7, seconds=1.5)
    assert [(r.path, r.reason) for r in found.refused] == [("a.zip!2", "too_slow")]
    assert len(found.rows) == 1
    monkeypatch.setattr(members, "SLOWEST", 2**40)
    with pytest.raises(UnreadableFile, match="too_slow: its members together"):
        read_members(tmp_path, path.name, 7, seconds=1.5)


def test_a_list_of_very_many_members_is_refused_whole(tmp_path, image):
    content = pack(tmp_path / "a.zip", [("1", b"")]).read_bytes()
    entry = content[content.index(b"PK\x01\x02") : content.index(b"PK\x05\x06")]
    count = MOST_MEMBERS + 1
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, len(entry) * count, 0, 0)
    (tmp_path / "a.zip").write_bytes(entry * count + end)
    with pytest.raises(UnreadableFile, match="too_big: a zip file of more than"):
        read(tmp_path / "a.zip")


def test_what_is_no_zip_file_is_refused_whole(tmp_path):
    for content in (b"", b"PK\x03\x04", os.urandom(1000)):
        (tmp_path / "a.zip").write_bytes(content)
        with pytest.raises(UnreadableFile, match="not a zip file"):
            read(tmp_path / "a.zip")
    with pytest.raises(UnreadableFile, match="unreadable: No such file"):
        read_members(tmp_path, "absent.zip", 0)
    with pytest.raises(UnreadableFile, match="no such member"):
        copy_member(tmp_path, f"{pack(tmp_path / 'b.zip', []).name}!x", io.BytesIO())


def test_damaged_zip_files_are_refused_or_read_and_never_crash(tmp_path, image):
    import random

    made = random.Random(4)
    content = pack(tmp_path / "good.zip", [(str(n), image) for n in range(3)]).read_bytes()
    for number in range(200):
        broken = bytearray(content)
        for _ in range(made.randrange(1, 6)):
            broken[made.randrange(len(broken))] = made.randrange(256)
        path = tmp_path / "a.zip"
        path.write_bytes(broken[: made.randrange(1, len(broken))] if number % 4 == 0 else broken)
        told = None
        try:
            read(path)
        except UnreadableFile as error:
            told = error.reason
        assert told in (None, "not_dicom", "too_big_to_inflate", "too_big")
