"""Sample: no table of a site tells of more patients than are opened, nor of others."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from tests.dose_reports.made_report import ct_event, image, report, write
from workbench.archive.archive import open_archive
from workbench.archive.site_scan import scan_site
from workbench.definition.steps import SAMPLE
from workbench.radiology.acquisitions import open_acquisitions
from workbench.radiology.site_tables import open_register, open_reports
from workbench.site import read_site

AT = dt.datetime.combine(dt.date(2023, 5, 2), dt.time(9))
PATIENTS = [f"p{n}" for n in range(9)]
SITE = '[site]\nid = "a_site"\nname = "A site"\nkind = "pretend"\n\n[archive]\n'
TABLES = '\n[tables]\nreports = "reports.csv"\ndevices = "devices.csv"\n'
ARCHIVES = {
    "exam": 'kind = "table"\npath = "exams.parquet"\nlevel = "exam"\n',
    "series": 'kind = "table"\npath = "exams.parquet"\n',
    "folder": 'kind = "folder"\npath = "dicom"\n',
}


def _declare(folder: Path, kind: str) -> Path:
    """Write a site of nine patients; one exam in three has a size that nobody believes."""
    rows = pl.DataFrame(
        {
            "exam_uid": [f"1.2.{n}" for n in range(18)],
            "patient_id": PATIENTS * 2,
            "modality": "CT",
            "exam_time": AT,
            "instances": [2**40 if n % 3 else 1 for n in range(18)],
        }
    )
    rows.write_parquet(folder / "exams.parquet")
    rows.with_columns(pl.col("patient_id") + " ", final_time="exam_time").write_csv(
        folder / "reports.csv"
    )
    pl.DataFrame({"station": PATIENTS}).write_csv(folder / "devices.csv")
    site = folder / "site.toml"
    site.write_text(SITE + ARCHIVES[kind] + TABLES)
    if kind == "folder":
        (folder / "dicom").mkdir()
        for n, patient in enumerate(PATIENTS):
            exam = f"1.2.{n}"
            told = report(
                ct_event(f"{exam}.1", "-3"), exam=exam, instance=f"{exam}.9", PatientID=patient
            )
            shown = image("CT", f"{exam}.50", exam=exam, PatientID=patient)
            shown.SeriesInstanceUID, told.SeriesInstanceUID = f"{exam}.7", f"{exam}.8"
            write(told, folder / "dicom" / f"{n}r.dcm")
            if n % 3:  # of the others the report is all there is
                write(shown, folder / "dicom" / f"{n}i.dcm")
                write(shown, folder / "dicom" / f"{n}j.dcm")
        scan_site(read_site(site))
    return site


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("size", [1, 4])
def test_all_tables_of_a_sample_are_of_the_same_patients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, size: int
) -> None:
    site = _declare(tmp_path, kind)
    everything = open_acquisitions(site)
    assert set(everything.rows.collect()["patient_id"]) == set(PATIENTS)
    assert open_reports(site).collect().height == 18
    monkeypatch.setenv(SAMPLE, str(size))
    chosen = set(open_archive(site).series().collect()["patient_id"])
    assert len(chosen) == size
    found = open_acquisitions(site)
    assert set(found.rows.collect()["patient_id"]) == chosen
    kept = everything.faults.filter(pl.col("patient_id").is_in(list(chosen)))
    assert sorted(found.faults.rows()) == sorted(kept.rows())
    reports = open_reports(site).collect()
    assert set(reports["patient_id"].str.strip_chars()) == chosen
    assert reports.height == 2 * size
    assert open_register(site).collect().height == 9  # devices are no patients


@pytest.mark.parametrize("kind", ARCHIVES)
def test_a_sample_as_large_as_the_site_leaves_nothing_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    site = _declare(tmp_path, kind)
    order = ["exam_uid", "patient_id"]
    everything = open_acquisitions(site).rows.collect().sort(order)
    monkeypatch.setenv(SAMPLE, "99")
    assert open_acquisitions(site).rows.collect().sort(order).equals(everything)
    assert open_reports(site).collect().height == 18
