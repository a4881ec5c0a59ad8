"""Reported doses: a report is believed before images, and no dose counts twice."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tests.dose_reports.made_report import ct_event, ct_total, image, report, write
from workbench.archive.site_scan import scan_site
from workbench.dose_reports.tables import EVENTS, EXAMS, DoseTables
from workbench.radiology.acquisitions import COLUMNS, Acquisitions, open_acquisitions
from workbench.radiology.ct_doses import take_ct_doses
from workbench.radiology.plausibility import judge_plausibility
from workbench.radiology.reported_doses import use_dose_reports
from workbench.site import read_site

SITE = """
[site]
id = "here"
name = "Here"
kind = "pretend"

[archive]
kind = "folder"
path = "dicom"
"""


def _open(folder: Path, *made: object) -> Acquisitions:
    (folder / "dicom").mkdir()
    for number, one in enumerate(made):
        write(one, folder / "dicom" / f"{number}.dcm")
    site = folder / "site.toml"
    site.write_text(SITE)
    scan_site(read_site(site))
    return open_acquisitions(site)


def _doses(found: Acquisitions) -> list[tuple[object, ...]]:
    columns = ("exam_uid", "modality", "station", "ctdivol_mgy", "dlp_mgy_cm")
    return found.rows.select(columns).collect().sort(columns).rows()


def test_a_report_is_believed_before_images(tmp_path: Path) -> None:
    scans = [ct_event("1.2.3.1", "5", ctdivol=90), ct_event("1.2.3.2", "300", ctdivol=8)]
    found = _open(
        tmp_path,
        report(*scans, ct_total("305")),
        image("CT", "1.2.3.50", CTDIvol=11.0, StationName="A"),
        image("CT", "1.2.4.50", exam="1.2.4", CTDIvol=12.0, StationName="A"),
    )
    # The scan with the highest DLP tells the CTDIvol, not the test bolus.
    assert _doses(found) == [("1.2.3", "CT", "A", 8.0, 305.0), ("1.2.4", "CT", "A", 12.0, None)]
    assert "dlp_mgy_cm" not in found.missing


def test_no_dose_counts_twice(tmp_path: Path) -> None:
    """An exam on two scanners, and on another kind of device, has one report of CT."""
    rows = [("CT", "B"), ("CT", "A"), ("PT", "A"), ("DX", "D")]
    images = [
        image(modality, f"1.2.3.{n}0", CTDIvol=11.0, StationName=station)
        for n, (modality, station) in enumerate(rows)
    ]
    for n, one in enumerate(images):
        one.SeriesInstanceUID = f"1.2.3.7{n}"
    found = _open(tmp_path, report(ct_event("1.2.3.1", "300", ctdivol=8), ct_total("300")), *images)
    told = [(m, s, c, d) for _, m, s, c, d in _doses(found)]
    assert told == [
        ("CT", "A", 8.0, 300.0), ("CT", "B", None, None), ("DX", "D", 11.0, None),
        ("PT", "A", 11.0, None),
    ]  # fmt: skip
    doses = take_ct_doses(found.rows).select("ctdivol_mgy", "dlp_mgy_cm").collect()
    assert doses.rows() == [(8.0, 300.0)]


def test_a_report_without_an_image_is_an_exam(tmp_path: Path) -> None:
    found = _open(tmp_path, report(ct_event("1.2.3.1", "300", ctdivol=8), StationName="A"))
    row = found.rows.collect().row(0, named=True)
    assert (row["patient_id"], row["modality"], row["station"]) == ("p1", "CT", "A")
    assert (row["age_years"], row["sex"], row["dlp_mgy_cm"]) == (40.0, "F", 300.0)
    assert row["phantom_cm"] == 32.0


def test_a_report_of_another_patient_is_not_taken(tmp_path: Path) -> None:
    found = _open(
        tmp_path,
        report(ct_event("1.2.3.1", "300", ctdivol=8), PatientID="p2"),
        image("CT", "1.2.3.50", CTDIvol=11.0),
    )
    rows = found.rows.select("patient_id", "ctdivol_mgy", "dlp_mgy_cm").sort("patient_id").collect()
    assert rows.rows() == [("p1", 11.0, None), ("p2", 8.0, 300.0)]  # two patients: judged later


def test_images_of_a_modulated_scan(tmp_path: Path) -> None:
    """Mean of the series, largest of the exam; a value below 0 is not averaged away."""
    made = []
    for n, (series, value) in enumerate([("1", 6.0), ("1", 8.0), ("2", 7.5), ("2", 5.5)]):
        one = image("CT", f"1.2.3.{n}", CTDIvol=value)
        one.SeriesInstanceUID = f"1.2.3.7.{series}"
        made.append(one)
    bad = [image("CT", f"1.2.4.{n}", exam="1.2.4", CTDIvol=v) for n, v in enumerate((-6.0, 80.0))]
    found = _open(tmp_path, *made, *bad)
    assert [row[3] for row in _doses(found)] == [7.0, -6.0]


def test_faults_of_files_and_reports(tmp_path: Path) -> None:
    twice = image("CT", "1.2.3.50", CTDIvol=11.0)
    found = _open(tmp_path, twice, twice, report(ct_event("1.2.4.1", "-3"), exam="1.2.4"))
    assert sorted(found.faults.rows()) == [
        ("1.2.3", "p1", "duplicate_file"),
        ("1.2.4", "p1", "negative_value"),
    ]
    assert isinstance(found.rows, pl.LazyFrame)


def test_files_of_one_uid_and_other_content_are_of_nobody(tmp_path: Path) -> None:
    one, other = (image("CT", "1.2.3.50", CTDIvol=value) for value in (11.0, 12.0))
    found = _open(tmp_path, one, other, image("CT", "1.2.4.50", exam="1.2.4"))
    assert found.faults.rows() == [(None, None, "unreadable_file")] * 2


def test_an_exam_whose_reports_claim_two_patients_has_no_dose(tmp_path: Path) -> None:
    told = [
        report(ct_event(f"1.2.3.{n}", "300", ctdivol=8), instance=f"1.2.9.{n}", PatientID=f"p{n}")
        for n in (1, 2)
    ]
    other = image("CT", "1.2.4.50", exam="1.2.4", CTDIvol=12.0)
    found = _open(tmp_path, *told, image("CT", "1.2.3.50", CTDIvol=11.0), other)
    judged = judge_plausibility(found.rows, faults=found.faults)
    assert judged.kept.collect()["exam_uid"].to_list() == ["1.2.4"]
    rows = judged.rows.filter(pl.col("rules").list.contains("two_patients")).collect()
    assert sorted(rows["patient_id"]) == ["p1", "p2"]


def test_an_exam_that_was_stored_under_two_uids_counts_once(tmp_path: Path) -> None:
    made = []
    for exam in ("1.2.3", "1.2.4"):
        made.append(report(ct_event("1.2.9.1", "300", ctdivol=8), exam=exam, instance=f"{exam}.1"))
        made.append(image("CT", f"{exam}.50", exam=exam, CTDIvol=11.0))
    found = _open(tmp_path, *made)
    judged = judge_plausibility(found.rows, faults=found.faults)
    doses = take_ct_doses(judged.kept).select("exam_uid", "ctdivol_mgy", "dlp_mgy_cm").collect()
    assert doses.rows() == [("1.2.3", 8.0, 300.0)]
    assert judged.rows.select(pl.col("rules").list.len()).collect().sum().item() == 1


def _tables(**exam: object) -> DoseTables:
    told = {"exam_uid": "1", "patient_id": "a", "modality": "MG", "modalities": ["MG"]} | exam
    none = pl.DataFrame()
    return DoseTables(pl.DataFrame([told], EXAMS), pl.DataFrame(schema=EVENTS), none, none, none)


def _rows(*rows: dict[str, object]) -> pl.LazyFrame:
    key = {"exam_uid": "1", "patient_id": "a"}
    return pl.LazyFrame([key | row for row in rows], schema=COLUMNS)


def test_a_dose_stands_with_the_device_that_the_report_is_of() -> None:
    rows = _rows({"modality": "DX", "station": "A"}, {"modality": "MG", "station": "B"})
    told = use_dose_reports(rows, _tables(agd_left_mgy=1.2)).collect()
    assert told.sort("modality")["agd_mgy"].to_list() == [None, 1.2]


def test_two_rows_of_one_device_share_no_dose() -> None:
    rows = _rows({"modality": "CT", "station": ""}, {"modality": "CT", "station": None})
    report_ = _tables(modality="CT", modalities=["CT"], dlp_total_mgy_cm=300.0)
    told = use_dose_reports(rows, report_).collect()
    assert told["dlp_mgy_cm"].drop_nulls().to_list() == [300.0]


def test_a_report_of_a_total_alone_takes_nothing_from_the_images() -> None:
    rows = _rows({"modality": "CT", "ctdivol_mgy": 9.0, "phantom_cm": 32.0})
    report_ = _tables(modality="CT", modalities=["CT"], dlp_total_mgy_cm=300.0)
    told = use_dose_reports(rows, report_).collect()
    assert told.select("ctdivol_mgy", "phantom_cm", "dlp_mgy_cm").row(0) == (9.0, 32.0, 300.0)
