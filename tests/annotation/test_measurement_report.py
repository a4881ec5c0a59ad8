import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.annotation.results import MODEL, NOW, errors_of, finding, mask_of, score
from workbench.annotation.finding import (
    MILLILITRE,
    VOLUME,
    Measurement,
    require_distinct,
)
from workbench.annotation.measurement_report import read_measurements, write_measurements
from workbench.annotation.segmentation_file import write_segmentation
from workbench.errors import ImageError


def test_every_number_comes_back_as_it_was(written):
    _, findings, seg, report = written
    back = read_measurements(report)
    assert back.algorithm == MODEL
    assert back.findings == require_distinct(findings)
    assert back.measurements == (score(1 / 3),)
    assert back.findings[1].measurements[0].value == 0.1 + 0.2  # not rounded to 16 characters
    import pydicom

    assert back.segmentation_uid == pydicom.dcmread(seg).SOPInstanceUID


def test_dciodvfy_finds_no_error(written):
    _, _, seg, report = written
    assert errors_of(seg) == []
    assert errors_of(report) == []


def test_the_results_belong_to_the_patient_and_exam_of_the_images(written, ct):
    import pydicom

    source = pydicom.dcmread(sorted(Path(ct).iterdir())[0], stop_before_pixels=True)
    for path in written[2:]:
        made = pydicom.dcmread(path)
        for keyword in ("PatientID", "StudyInstanceUID", "PatientSex"):
            assert made.get(keyword) == source.get(keyword)
        assert made.SeriesInstanceUID != source.SeriesInstanceUID
        assert made.get("FrameOfReferenceUID", source.FrameOfReferenceUID) == (
            source.FrameOfReferenceUID
        )


def test_one_finding_alone_has_its_report(ct, volume, tmp_path):
    mask, found = mask_of(volume, (1,)), (finding(1),)
    seg = write_segmentation(mask, ct, found, MODEL, tmp_path / "seg.dcm", moment=NOW)
    report = write_measurements(
        ct, mask, MODEL, tmp_path / "sr.dcm", findings=found, measurements=[score(0.5)],
        segmentation=seg, moment=NOW,
    )  # fmt: skip
    assert errors_of(report) == []
    assert read_measurements(report).findings == found


def test_an_exam_without_a_finding_has_a_report_that_says_so(ct, volume, tmp_path):
    path = write_measurements(
        ct, volume, MODEL, tmp_path / "sr.dcm", measurements=[score(0.0)], moment=NOW
    )
    assert errors_of(path) == []
    back = read_measurements(path)
    assert (back.findings, back.segmentation_uid) == ((), None)
    assert back.measurements == (score(0.0),)
    with pytest.raises(ImageError, match="holds no finding"):
        write_segmentation(mask_of(volume, ()), ct, [], MODEL, tmp_path / "s.dcm", moment=NOW)


def test_made_again_the_files_have_the_same_bytes(written, ct, tmp_path):
    mask, findings, seg, report = written
    again = write_segmentation(mask, ct, findings, MODEL, tmp_path / "seg.dcm", moment=NOW)
    assert again.read_bytes() == seg.read_bytes()
    other = write_measurements(
        ct, mask, MODEL, tmp_path / "sr.dcm", findings=findings, measurements=[score(1 / 3)],
        segmentation=again, moment=NOW,
    )  # fmt: skip
    assert other.read_bytes() == report.read_bytes()


def test_a_report_is_held_to_its_segmentation(written, ct, volume, tmp_path):
    _, _, seg, report = written
    for drawn, what in ((None, "not drawn"), (seg, "not of these"), (report, "cannot be read")):
        with pytest.raises(ImageError, match=what):
            write_measurements(
                ct, volume, MODEL, tmp_path / "sr.dcm", findings=[finding(1)],
                measurements=[score(0.5)], segmentation=drawn, moment=NOW,
            )  # fmt: skip


def test_what_is_no_report_is_refused(written, tmp_path):
    (tmp_path / "text.dcm").write_text("no DICOM")
    for path in (written[2], tmp_path / "text.dcm", tmp_path / "missing.dcm"):
        with pytest.raises(ImageError, match="report cannot be read"):
            read_measurements(path)


@settings(max_examples=15, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_comes_back(ct, volume, value):
    with tempfile.TemporaryDirectory() as folder:
        path = write_measurements(
            ct, volume, MODEL, Path(folder) / "sr.dcm",
            measurements=[Measurement(VOLUME, value, MILLILITRE)], moment=NOW,
        )  # fmt: skip
        assert read_measurements(path).measurements[0].value == value


def test_no_name_of_a_patient_is_said(ct, volume, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_measurements(
            ct, volume, MODEL, tmp_path / "sr.dcm", measurements=[score(1)], moment=NOW
        )
    import pydicom

    for file in Path(ct).iterdir():
        dataset = pydicom.dcmread(file)
        dataset.PatientName = "Secret^Name"
        del dataset.StudyInstanceUID
        dataset.save_as(tmp_path / file.name)
    (tmp_path / "sr.dcm").unlink()
    with pytest.raises(ImageError) as told:
        write_measurements(
            tmp_path, volume, MODEL, tmp_path / "x.dcm", measurements=[score(1)], moment=NOW
        )
    assert "Secret" not in str(told.value)
    assert told.value.__cause__ is None
