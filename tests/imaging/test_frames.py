"""Frames: one entry an image, the same by the compiled walk and by pydicom."""

import json
import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.dicom.dicom_files import element
from tests.imaging.made_series import (
    enhanced,
    group,
    make_image,
    ramp,
    stack,
    write_series,
)
from workbench.archive.archive import SeriesFiles
from workbench.imaging import stored_frames
from workbench.imaging.frames import read_frames
from workbench.imaging.stored_frames import KEYWORDS, read_stored_frames
from workbench.imaging.times import seconds_of
from workbench.imaging.volume import load_volume
from workbench.imaging.volume_error import VolumeError
from workbench.pixels.byte_source import PixelError


def test_the_walk_and_pydicom_store_the_same(shared_data):
    """On every DICOM file of the reference data that the walk understands."""
    files = []
    for entry in json.loads((shared_data / "expected.json").read_text()):
        files += [str(shared_data / f) for f in entry.get("files", [entry["path"]])]
    columns, places, doubtful = stored_frames._walk(files, stored_frames.WINDOW)
    walked = [i for i in range(len(files)) if i not in set(doubtful)]
    assert len(walked) > 250
    for i in walked:
        slow = stored_frames._read_carefully(files[i])
        for keyword in KEYWORDS:
            assert columns[keyword][i] == slow[keyword], (files[i], keyword)
        if places[i] >= 0:
            ds = pydicom.dcmread(files[i])
            start = int(places[i])
            assert Path(files[i]).read_bytes()[start:].startswith(ds.PixelData)


def test_a_long_header_and_many_files_are_read_too(tmp_path, monkeypatch):
    images = stack(range(21))
    for image, length in zip(images, (0, 40_000, 0, 300_000, 50_000, 40_000, 0) * 3, strict=True):
        if length:
            image.add_new(0x00091010, "OB", b"\1" * length)
            image.add_new(0x00090010, "LO", "SOMEONE")
    files = write_series(tmp_path, images)
    for at_once in (3 * stored_frames.WINDOW, stored_frames.AT_ONCE):
        monkeypatch.setattr(stored_frames, "AT_ONCE", max(at_once, stored_frames.WIDE_WINDOW))
        frames = read_frames(files)
        assert frames.position[:, 2].tolist() == list(range(21))
        # The longest is read by pydicom, which does not say where its pixels are.
        assert (frames.offset > 0).tolist() == ([True] * 3 + [False] + [True] * 3) * 3
        np.testing.assert_array_equal(load_volume(files), [ramp(i) for i in range(21)])


def test_reasons_are_counted_by_file(tmp_path):
    files = [str(f) for f in write_series(tmp_path, stack(range(4)))]
    (tmp_path / "0001.dcm").write_bytes(b"")
    (tmp_path / "0002.dcm").write_bytes(b"\0" * 4000)
    stored, offset, refused = read_stored_frames([*files, str(tmp_path / "absent")])
    assert refused == {1: "empty", 2: "not_dicom", 4: "unreadable"}
    assert len(offset) == len(stored["Rows"]) == 2


def test_a_folder_a_list_a_file_and_series_files(tmp_path):
    files = write_series(tmp_path, stack([3, 1, 2]))
    for series in (tmp_path, str(tmp_path), files, SeriesFiles(tuple(files))):
        assert read_frames(series).position[:, 2].tolist() == [3, 1, 2]
    assert len(read_frames(files[0])) == 1


def test_no_files_are_refused(tmp_path):
    for series in (tmp_path, []):
        with pytest.raises(VolumeError) as caught:
            read_frames(series)
        assert caught.value.reason == "no_images"


def test_links_in_a_folder_are_not_followed(tmp_path):
    files = write_series(tmp_path / "real", stack(range(3)))
    folder = tmp_path / "linked"
    folder.mkdir()
    (folder / "a.dcm").symlink_to(files[0])
    with pytest.raises(VolumeError):
        read_frames(folder)


def test_groups_of_a_frame_go_before_those_of_all(tmp_path):
    shared = group(
        PlaneOrientationSequence={"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
        PixelMeasuresSequence={"PixelSpacing": [0.5, 0.25]},
        PixelValueTransformationSequence={"RescaleSlope": 2, "RescaleIntercept": 1},
        MREchoSequence={"EffectiveEchoTime": 7.5},
    )
    per_frame = [
        group(
            PlanePositionSequence={"ImagePositionPatient": [0, 0, z]},
            FrameContentSequence={"FrameAcquisitionDateTime": f"202001011200{z:02d}.5"},
        )
        for z in (4, 2, 0)
    ]
    per_frame[1].PixelValueTransformationSequence = group(
        PixelValueTransformationSequence={"RescaleSlope": 3, "RescaleIntercept": 0}
    ).PixelValueTransformationSequence
    write_series(tmp_path, [enhanced(per_frame, shared)])
    frames = read_frames(tmp_path)
    assert frames.position[:, 2].tolist() == [4, 2, 0]
    assert frames.spacing.tolist() == [[0.5, 0.25]] * 3
    assert frames.slope.tolist() == [2, 3, 2]
    assert frames.intercept.tolist() == [1, 0, 1]
    assert frames.keys["echo_time_ms"].tolist() == [7.5] * 3
    assert np.diff(frames.keys["acquired_s"]).tolist() == [-2, -2]
    assert frames.index.tolist() == [0, 1, 2]


def test_groups_must_be_as_many_as_frames(tmp_path):
    ds = enhanced([group()] * 3, group(), NumberOfFrames=4)
    ds.PixelData = b"\0" * 4 * 60
    write_series(tmp_path, [ds])
    with pytest.raises(VolumeError) as caught:
        read_frames(tmp_path)
    assert caught.value.reason == "bad_geometry"


def test_a_grid_of_dose_lies_along_its_offsets(tmp_path):
    ds = make_image(ramp(0), (5, 6, -7), Modality="RTDOSE", NumberOfFrames=3)
    ds.GridFrameOffsetVector, ds.DoseGridScaling = [0, 2.5, 5], "0.001"
    ds.PixelData = np.stack([ramp(i) for i in range(3)]).tobytes()
    write_series(tmp_path, [ds])
    frames = read_frames(tmp_path)
    assert frames.position.tolist() == [[5, 6, -7], [5, 6, -4.5], [5, 6, -2]]
    assert frames.slope.tolist() == [0.001] * 3


@pytest.mark.parametrize(
    ("orientation", "z", "offsets", "heights"),
    [
        ([1, 0, 0, 0, 1, 0], -7, [-7, -4.5, -2], [-7, -4.5, -2]),
        ([1, 0, 0, 0, -1, 0], -7, [-7, -4.5, -2], [-7, -4.5, -2]),
        ([1, 0, 0, 0, -1, 0], -7, [0, 2.5, 5], [-7, -9.5, -12]),
        ([1, 0, 0, 0, 1, 0], 0, [0, -2.5, -5], [0, -2.5, -5]),
        ([1, 0, 0, 0, 1, 0], -7, [2.5, 5, 7.5], None),
        ([1, 0, 0, 0, 0, -1], -7, [-7, -4.5, -2], None),
    ],
)
def test_offsets_of_a_grid_are_relative_or_the_patients_z(
    tmp_path, orientation, z, offsets, heights
):
    ds = make_image(ramp(0), (5, 6, z), Modality="RTDOSE", NumberOfFrames=3)
    ds.ImageOrientationPatient, ds.GridFrameOffsetVector = orientation, offsets
    ds.PixelData = np.stack([ramp(i) for i in range(3)]).tobytes()
    write_series(tmp_path, [ds])
    if heights is None:
        with pytest.raises(VolumeError) as caught:
            read_frames(tmp_path)
        assert caught.value.reason == "bad_geometry"
        return
    assert read_frames(tmp_path).position.tolist() == [[5, 6, h] for h in heights]


@pytest.mark.parametrize("keyword", ["PatientID", "StudyInstanceUID"])
def test_files_of_two_exams_are_refused_whatever_their_series(tmp_path, keyword):
    images = stack(range(4))
    setattr(images[2], keyword, "9.8.7654")
    write_series(tmp_path, images)
    with pytest.raises(VolumeError) as caught:
        read_frames(tmp_path)
    assert caught.value.reason == "several_exams"
    assert "7654" not in str(caught.value)


@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x3004000C, "DS", b"0\\1A\\5 "),
        (0x3004000C, "DS", b"0\\inf\\5"),
        (0x00200032, "DS", b"1\\2 "),
        (0x00200037, "DS", b"1\\0\\0\\0\\1\\0\\0 "),
        (0x00280008, "IS", b"1A"),
        (0x3004000E, "DS", b"nan "),
        (0x00080008, "FD", b"123"),
        (0x52009229, "LO", b"text"),
    ],
)
def test_values_of_a_stranger_are_refused_by_name(tag, vr, value, tmp_path):
    ds = make_image(ramp(0), (5, 6, -7), Modality="RTDOSE", NumberOfFrames=3)
    ds.GridFrameOffsetVector, ds.DoseGridScaling = [0, 2.5, 5], "0.001"
    ds.PixelData = np.stack([ramp(i) for i in range(3)]).tobytes()
    (file,) = write_series(tmp_path, [ds])
    content = file.read_bytes()
    old = content.find(struct.pack("<HH", tag >> 16, tag & 0xFFFF))
    if old < 0:
        old, size = content.index(b"\xe0\x7f\x10\x00"), 0
    else:
        size = 8 + int.from_bytes(content[old + 6 : old + 8], "little")
    file.write_bytes(content[:old] + element(tag, vr, value) + content[old + size :])
    with pytest.raises((VolumeError, PixelError)) as caught:
        load_volume([file])
    assert caught.value.reason in {"bad_geometry", "unreadable_files", "bad_pixels"}
    assert "1A" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("19700102", None),
        ("1970010201", 90_000.0),
        ("19700101030001.25+0300", 1.25),
        ("19700101000001-0530", 19801.0),
        ("19700101000001+03", None),
        ("19700101000001.5+9900", None),
        ("19701301000000", None),
        ("nonsense", None),
        ("19700101000001.²", 1.0),
        ("²²²²²²²²²²", None),
        (None, None),
    ],
)
def test_moments(text, seconds):
    found = seconds_of(text)
    assert np.isnan(found) if seconds is None else found == seconds
