import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import polars as pl
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.uid import ImplicitVRLittleEndian

from benchmarks.ct_files import make_series, move_slice, write_file, write_tree
from tests.dicom.dicom_files import (
    HEADER,
    as_bytes,
    before_pixels,
    element,
    image,
    nested,
    real_files,
)
from tests.imaging.mutations import find_healthy, write_archive
from tests.pixels.pixel_files import RLE, make_file
from workbench.dicom import headers
from workbench.dicom.columns import SCHEMA
from workbench.dicom.header import read_header
from workbench.dicom.headers import read_headers
from workbench.dicom.refusals import Refused, UnreadableFile

ITEM = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
ENDS = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"


def read_all(paths, **options):
    sizes = [Path(p).stat().st_size for p in paths]
    return read_headers([str(p) for p in paths], sizes, **options)


def careful_row(path):
    try:
        return read_header(path)
    except UnreadableFile as error:
        return Refused(str(path), error.reason, error.detail)


def compare(paths):
    """Check that both ways tell the same of each file, and return the rows and refusals."""
    rows, refused = read_all(paths)
    assert rows.schema == SCHEMA
    by_path = {row.pop("path"): row for row in rows.to_dicts()}
    why = {r.path: r for r in refused}
    assert sorted([*by_path, *why]) == sorted(map(str, paths))
    for path in paths:
        row = careful_row(path)
        if isinstance(row, Refused):
            assert why[str(path)] == row
        else:
            assert {k: v for k, v in by_path[str(path)].items() if k in row} == row, path
    return rows, refused


@pytest.fixture
def careful(monkeypatch):
    """Count the files that are read one by one."""
    seen = []
    read = headers.read_apart

    def count(root, paths, **options):
        seen.extend(paths)
        return read(root, paths, **options)

    monkeypatch.setattr(headers, "read_apart", count)
    return seen


def test_all_real_files_give_the_same_rows_both_ways(shared_data):
    rows, refused = compare(real_files(shared_data))
    assert len(rows) > 450
    assert {r.reason for r in refused} == {
        *("not_dicom", "no_identifiers", "dicomdir", "truncated", "bad_length"),
    }


def test_broken_files_are_told_the_same_both_ways(shared_data, tmp_path):
    healthy = find_healthy(shared_data)
    assert len(healthy) > 40
    names = write_archive(tmp_path, healthy, 1000, 4)
    rows, refused = compare([tmp_path / name for name in names])
    assert len(rows) > 300
    assert len({r.reason for r in refused}) > 5


IMPLICIT = as_bytes(image(), ImplicitVRLittleEndian)
TYPED = as_bytes(image(SpecificCharacterSet="ISO_IR 100"))
NESTED = element(0x00080005, "CS", b"ISO_\0R 100")


@pytest.mark.parametrize(
    "content",
    [
        TYPED.replace(b"ISO_IR 100", b"ISO_IR\x00100"),
        TYPED.replace(b"\x08\x00\x05\x00CS", b"\x08\x00\x05\x00IS"),
        before_pixels(TYPED, element(0x0040A730, "SQ", ITEM + NESTED + ENDS, 0xFFFFFFFF)),
        TYPED.replace(b"\x02\x00\x00\x00UL", b"\x02\x00\x00\x00FD"),
        TYPED.replace(b"\x02\x00\x10\x00UI", b"\x02\x00\x10\x00IS"),
        as_bytes(image(SOPClassUID="1.2.840.10008.1.3.10")),
        # With a VR this would be an element of no length.
        IMPLICIT + b"\xfc\xff\xfc\xff\x53\0\0\0",
    ],
)
def test_what_pydicom_may_stumble_over_is_read_by_it(content, tmp_path, careful):
    (tmp_path / "file").write_bytes(content)
    compare([tmp_path / "file"])
    assert careful == [str(tmp_path / "file")]


@pytest.mark.parametrize(
    ("frames", "syntax", "detail"),
    [
        (1, RLE, None),
        (3, RLE, None),
        (4, RLE, "3 fragments for 4 frames"),
        (99_999_999, RLE, "3 fragments for 99999999 frames"),
        (99_999_999, "1.2.840.10008.1.2.4.102", None),  # video
    ],
)
def test_every_frame_has_a_fragment(frames, syntax, detail, tmp_path):
    content = make_file(np.zeros((3, 2, 2), np.uint8), syntax, encapsulated=[b"12"] * 3)
    count = str(frames).encode() + b" " * (len(str(frames)) % 2)
    at = content.index(b"\x28\x00\x08\x00IS")
    (tmp_path / "file").write_bytes(
        content[: at + 6] + len(count).to_bytes(2, "little") + count + content[at + 10 :]
    )
    _, refused = compare([tmp_path / "file"])
    assert [r.detail for r in refused] == ([] if detail is None else [detail])
    assert {r.reason for r in refused} <= {"bad_length"}


def test_generated_ct_is_read_fast_and_the_same(tmp_path, careful):
    paths = [tmp_path / p for p in write_tree(tmp_path, 6 * 64)]
    rows, refused = compare(paths)
    assert (len(rows), refused, careful) == (384, [], [])
    assert set(rows["exam_description"]) >= {"Голова", "胸部平扫", "Грудная клетка"}
    assert rows["position"].list.get(2).n_unique() == 64
    dataset = pydicom.dcmread(paths[70], stop_before_pixels=True)
    row = rows.row(70, named=True)
    assert row["position"] == [float(v) for v in dataset.ImagePositionPatient]
    assert row["content_time"].strftime("%H%M%S.%f") == dataset.ContentTime
    assert row["software_version"] == "\\".join(dataset.SoftwareVersions)


def test_most_real_files_are_read_fast(shared_data, careful):
    files = real_files(shared_data)
    rows, _ = read_all(files)
    assert len(set(careful) & set(rows["path"])) < len(rows) / 4


@pytest.fixture(scope="module")
def ct(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ct")
    dataset = make_series(1)
    move_slice(dataset, 1, 3)
    write_file(dataset, folder / "ct")
    return (folder / "ct").read_bytes()


def test_a_file_cut_anywhere_is_refused_both_ways(ct, tmp_path):
    header = ct.rindex(b"\xe0\x7f\x10\x00")
    paths = []
    for end in (*range(512, header + 512, 512), len(ct) // 2, len(ct) - 1):
        paths.append(tmp_path / f"{end:07d}")
        paths[-1].write_bytes(ct[:end])
    rows, refused = compare(paths)
    assert len(rows) == 0
    assert {r.reason for r in refused} <= {"truncated", "no_identifiers"}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_give_the_same_both_ways(ct, tmp_path, data):
    header = ct.rindex(b"\xe0\x7f\x10\x00") + 12
    content = bytearray(ct[: header + 524_288])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(128, header - 1))
        content[at] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(content)
    compare([path])


@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize("depth", [3, 64, 65, 100])
def test_nesting_is_counted_both_ways(tmp_path, depth, *, defined):
    path = tmp_path / "nested"
    path.write_bytes(before_pixels(as_bytes(image()), nested(depth, defined=defined)))
    refused = compare([path])[1]
    assert [r.reason for r in refused] == ([] if depth <= 64 else ["too_deep"])


def test_a_long_header_is_read_in_a_wider_window(tmp_path, careful):
    sizes = (20_000, 100_000, 300_000)
    paths = [tmp_path / str(size) for size in sizes]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(before_pixels(as_bytes(image()), element(0x00291010, "OB", bytes(size))))
    rows, refused = compare(paths)
    assert (len(rows), refused) == (3, [])
    # The last one is skipped to its pixel data by no window.
    assert [Path(p).name for p in careful] == ["300000"]


def test_headers_longer_than_those_before_are_read_on(tmp_path, monkeypatch, careful):
    monkeypatch.setattr(headers, "AT_ONCE", 4 * headers.WINDOW)  # four files at once
    read, widths = headers._Batch._fill, []
    monkeypatch.setattr(
        headers._Batch,
        "_fill",
        lambda self, buffer, files: widths.append(buffer.shape) or read(self, buffer, files),
    )
    sizes = [*[100] * 6, 9_000, *[100] * 9, 100_000, *[5_000] * 8]
    paths = [tmp_path / f"{i:03d}" for i in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(before_pixels(as_bytes(image()), element(0x00291010, "OB", bytes(size))))
    rows, refused = compare(paths)
    assert (rows["path"].to_list(), refused, careful) == ([str(p) for p in paths], [], [])
    assert tuple(dict.fromkeys(width for _, width in widths)) == (2**14, 2**12, 2**13, 2**18)


def test_lengths_are_checked_against_the_file_and_the_image(tmp_path):
    contents = {
        "good": as_bytes(image()),
        "short": as_bytes(image(PixelData=bytes(126))),
        "long": as_bytes(image(PixelData=bytes(256))),
        "cut": as_bytes(image())[:-1],
        "more": as_bytes(image()) + element(0xFFFCFFFC, "OB", bytes(20)),
        "more cut": as_bytes(image()) + element(0xFFFCFFFC, "OB", bytes(20))[:-1],
        "zeros": as_bytes(image()) + bytes(512),
        "implicit": as_bytes(image(), ImplicitVRLittleEndian),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    rows, refused = compare([tmp_path / name for name in contents])
    assert {Path(p).name for p in rows["path"]} == {"good", "more", "zeros", "implicit"}
    reasons = {Path(r.path).name: r.reason for r in refused}
    assert reasons == {
        "short": "bad_length",
        "long": "bad_length",
        "cut": "truncated",
        "more cut": "truncated",
    }


def test_text_in_every_set_and_with_every_blank(tmp_path, careful):
    told = {
        ("ISO_IR 144", "Грудь".encode("iso8859_5")): "Грудь",
        ("GB18030", "誠\\胸".encode("gb18030")): "誠\\胸",
        ("\\ISO 2022 IR 87", "山\\田".encode("iso2022_jp")): "山\\田",
        ("\\ISO 2022 IR 149", b"\x1b$)C" + "가슴".encode("euc_kr")): "가슴",
        ("ISO_IR 192", "Brust ü".encode()): "Brust ü",
        ("ISO_IR 999", b"Br\xfcst"): "Brüst",
        ("", "Thorax é".encode()): "Thorax é",
        ("ISO_IR 100", b" A \\ B\0C \0"): "A\\B\ufffdC",
        ("ISO_IR 100", b"  \0"): None,
    }
    paths = []
    for i, (characters, stored) in enumerate(told):
        content = as_bytes(image(SpecificCharacterSet=characters.split("\\"), StudyID="1"))
        at = content.index(b"\x10\x00\x20\x00")
        described = element(0x00081030, "LO", stored + b" " * (len(stored) % 2))
        paths.append(tmp_path / str(i))
        paths[-1].write_bytes(content[:at] + described + content[at:])
    rows, refused = compare(paths)
    assert (rows["exam_description"].to_list(), refused) == (list(told.values()), [])
    assert careful == []


def test_zones_and_sources_of_times_are_the_same_both_ways(tmp_path, careful):
    stored = {"zone": "20200101120000+0800", "none": "20200101120000.5", "day": "20200101"}
    for name, text in stored.items():
        content = as_bytes(image(AcquisitionDateTime=text, TimezoneOffsetFromUTC="-0330"))
        (tmp_path / name).write_bytes(content)
    rows, refused = compare([tmp_path / name for name in stored])
    assert (refused, careful) == ([], [])
    assert rows["acquisition_offset_min"].to_list() == [480, -210, -210]
    assert set(rows["acquisition_time_source"]) == {"AcquisitionDateTime"}
    assert set(rows["timezone_offset_min"]) == {-210}


def test_doubt_is_left_to_the_careful_reader(tmp_path, careful):
    contents = {
        "twice": before_pixels(as_bytes(image()), element(0x00280010, "US", b"\x08\0")),
        "other vr": as_bytes(image()).replace(
            element(0x00280010, "US", b"\x08\0"), element(0x00280010, "IS", b"8 ")
        ),
        "bytes": as_bytes(image(KVP="120")).replace(b"120 ", b"12\xff "),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    compare([tmp_path / name for name in contents])
    assert {Path(p).name for p in careful} == set(contents)


def test_what_is_no_file_any_more_is_refused(tmp_path):
    (tmp_path / "link").symlink_to(get_testdata_file("CT_small.dcm"))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    names = ["absent", "link", "pipe", "folder"]
    rows, refused = read_headers(names, [100] * 4, root=tmp_path)
    assert len(rows) == 0
    assert [r.path for r in refused] == names
    assert {r.reason for r in refused} <= {"unreadable", "empty", "truncated"}


def test_a_file_that_has_grown_or_shrunk_is_read_as_it_is(tmp_path):
    (tmp_path / "a").write_bytes(as_bytes(image()))
    for size in (0, 10, 10_000_000):
        rows, refused = read_headers(["a"], [size], root=tmp_path)
        assert (len(rows), refused) == (1, [])


def test_rows_carry_their_files_in_order(tmp_path):
    names = [f"{i:02d}" for i in range(9)]
    for i, name in enumerate(names):
        content = as_bytes(image(InstanceNumber=i))
        (tmp_path / name).write_bytes(content if i % 3 else content.replace(b"DICM", b"DICX"))
    sizes = [(tmp_path / n).stat().st_size for n in names]
    rows, refused = read_headers(names, sizes, list(range(9)), root=tmp_path)
    assert rows["path"].to_list() == [n for n in names if int(n) % 3]
    assert rows["mtime_ns"].to_list() == [int(n) for n in names if int(n) % 3]
    assert rows["instance_number"].to_list() == rows["mtime_ns"].to_list()
    assert [r.path for r in refused] == ["00", "03", "06"]
    assert read_headers([], [], root=tmp_path)[0].schema == SCHEMA


def test_threads_give_the_same(tmp_path):
    paths = write_tree(tmp_path, 256)
    sizes = [(tmp_path / p).stat().st_size for p in paths]
    whole, _ = read_headers(paths, sizes, root=tmp_path)
    with ThreadPoolExecutor(4) as pool:
        parts = pool.map(
            lambda i: read_headers(paths[i::4], sizes[i::4], root=tmp_path)[0], range(4)
        )
        assert pl.concat(parts).sort("path").equals(whole.sort("path"))


def test_series_of_no_identifiers_are_read_where_none_are_asked_for(shared_data):
    files = sorted((shared_data / "totalseg" / "example_ct_dicom").iterdir())
    assert read_all(files)[0].is_empty()
    rows, refused = read_all(files, identified=False)
    assert (len(rows), refused) == (20, [])
    assert np.ptp(rows["position"].list.get(2).to_numpy()) == pytest.approx(38)


def test_importing_loads_no_compiler():
    code = "import workbench.dicom.headers, sys; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
    assert HEADER[0] == "exam_uid"
