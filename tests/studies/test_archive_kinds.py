"""One study on one archive that is a folder, and that is a server: nobody can tell which."""

from __future__ import annotations

import datetime as dt
import shutil
from collections import Counter

import numpy as np
import polars as pl
import pytest

from tests.archive.dicom_sources import copy_files, dicomweb, differences, list_files, write_site
from tests.archive.orthanc import PASSWORD, run_orthanc
from tests.conftest import ROOT
from tests.released import TODAY, pin
from workbench import open_archive, read_study, write_exams
from workbench.archive.site_scan import scan_site
from workbench.exchange.keys import make_key
from workbench.execution import run_study
from workbench.release import pack
from workbench.site import read_site

STUDY = ROOT / "studies" / "imaging_service"
EXAMS = 360
KEY = '[key]\nfile = "site.key"\nkind = "real"\n' + "".join(
    f'\n[[cannot_answer]]\ncolumn = "{column}"\nreason = "Images alone do not say it."\n'
    for column in ("devices", "ctdivol_mgy", "dlp_mgy_cm", "reports")
)
DEVICES = (
    ("CT", "1.2.840.10008.5.1.4.1.1.2", "SIEMENS", "SOMATOM Definition AS", "CHEST"),
    ("MR", "1.2.840.10008.5.1.4.1.1.4", "Philips Medical Systems", "Achieva", "BRAIN"),
    ("DX", "1.2.840.10008.5.1.4.1.1.1.1", "GE MEDICAL SYSTEMS", "Definium 8000", "CHEST"),
)
"""Modality, SOP class, manufacturer, model and body part."""


def scan(site):
    return scan_site(read_site(site))


def summarise(site, folder):
    """Return every exact table of the study, before any check."""
    study = read_study(STUDY)
    exams = write_exams(open_archive(site), folder)
    columns = {"size_of_exam": "megabytes"}
    tables = {
        o.name: exams.tabulate(o, columns.get(o.name))
        for o in study.released
        if o.population == "exams"
    }
    return tables, exams


def test_summaries_of_real_files_are_equal(shared_data, tmp_path):
    folder = tmp_path / "dicom"
    copy_files(list_files(shared_data), folder)
    first = scan(write_site(tmp_path / "first", {"kind": "folder", "path": "../dicom"}))
    known = set(first.instances().collect()["path"])
    with run_orthanc(tmp_path / "orthanc") as server:
        for path in sorted(folder.iterdir()):
            # What one of the two refuses is compared with the archive's own tests.
            if path.name not in known or server.fill([path]):
                path.unlink()
        sites = {
            "folder": write_site(tmp_path / "folder", {"kind": "folder", "path": "../dicom"}),
            "server": write_site(tmp_path / "server", dicomweb(server)),
        }
        catalogs = {kind: scan(site) for kind, site in sites.items()}
    assert catalogs["folder"].counts["instances"] == catalogs["server"].counts["instances"] > 380
    assert differences(catalogs["folder"], catalogs["server"]) == []
    found = {kind: summarise(site, tmp_path / f"exams-{kind}") for kind, site in sites.items()}
    (ours, our_exams), (theirs, their_exams) = found["folder"], found["server"]
    assert ours.keys() == theirs.keys()
    for name, table in ours.items():
        assert table.data.identical(theirs[name].data), name
    assert our_exams.attrition.equals(their_exams.attrition)
    assert our_exams.unclear == their_exams.unclear
    assert our_exams.quality.equals(their_exams.quality)
    assert int(ours["exams_by_modality"].data["exams"].max()) > 20


def make_files(folder):
    """Write small images of pretend patients: 360 exams of 1 or 2 series of 1 to 4 instances."""
    import pydicom
    from pydicom.dataset import FileDataset, FileMetaDataset

    folder.mkdir()
    random = np.random.default_rng(4)
    base = "1.2.826.0.1.3680043.10.1"
    number = 0
    for exam in range(EXAMS):
        patient = int(random.integers(0, 260))
        own = np.random.default_rng(patient)
        sex, age = own.choice(["F", "M"]), int(own.integers(25, 75))
        modality, sop_class, maker, model, part = DEVICES[int(random.choice(3, p=[0.5, 0.3, 0.2]))]
        day = dt.date(2025, 1, 1) + dt.timedelta(days=int(random.integers(0, 300)))
        for series in range(1 + int(random.random() < 0.3)):
            for instance in range(int(random.integers(1, 5))):
                number += 1
                meta = FileMetaDataset()
                meta.MediaStorageSOPClassUID = sop_class
                meta.MediaStorageSOPInstanceUID = f"{base}.{exam}.{series}.{instance}"
                meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
                image = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
                image.SpecificCharacterSet = "ISO_IR 192"
                image.PatientID, image.PatientName = f"P{patient:04d}", f"Пациент^{patient}"
                image.PatientSex, image.PatientAge = sex, f"{age:03d}Y"
                image.StudyInstanceUID, image.SeriesInstanceUID = (
                    f"{base}.{exam}", f"{base}.{exam}.{series}",
                )  # fmt: skip
                image.SOPClassUID = sop_class
                image.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
                image.Modality, image.Manufacturer = modality, maker
                image.ManufacturerModelName, image.BodyPartExamined = model, part
                image.StudyDate, image.StudyTime = f"{day:%Y%m%d}", "101500"
                image.StudyDescription = "Routine" if exam % 3 else ""
                image.SeriesNumber, image.InstanceNumber = series + 1, instance + 1
                image.Rows, image.Columns, image.SamplesPerPixel = 16, 16, 1
                image.PhotometricInterpretation = "MONOCHROME2"
                image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
                image.PixelRepresentation = 0
                image.PixelData = random.integers(0, 4096, 256, np.uint16).tobytes()
                image.save_as(folder / f"{number:05d}.dcm")
    return number


@pytest.mark.slow
def test_releases_of_a_generated_site_are_equal(tmp_path):
    number = make_files(tmp_path / "dicom")
    copy = tmp_path / "imaging_service"
    shutil.copytree(STUDY, copy, ignore=shutil.ignore_patterns("releases", ".ipynb_checkpoints"))
    (copy / "sites.toml").write_text("")
    study = read_study(copy)
    packed = {}
    with run_orthanc(tmp_path / "orthanc") as server:
        assert server.fill(sorted((tmp_path / "dicom").iterdir())) == []
        archives = {
            "folder": {"kind": "folder", "path": "../dicom"},
            "server": dicomweb(server),
        }
        for kind, archive in archives.items():
            path = write_site(tmp_path / kind, archive, name=kind, more=KEY)
            public = make_key(path.parent / "site.key", "real").public
            pin(study, kind, public, "real")
            catalog = scan(path)
            assert catalog.counts["instances"] == number
            assert catalog.counts["exams"] == EXAMS >= 300
    # The server is gone: a run reads the catalog.
    study = read_study(copy)
    for kind in archives:
        site = read_site(tmp_path / kind)
        run = run_study(study, site, runs=tmp_path / "runs")
        out = copy / "releases" / kind
        packed[kind] = pack(
            run, study, site, out=out, approver="A. Person", reason="Pretend", date=TODAY,
            today=TODAY,
        )  # fmt: skip
        written = [p.read_bytes() for p in run.folder.rglob("*") if p.is_file()]
        assert not any(PASSWORD.encode() in content for content in written)
    ours, theirs = packed["folder"], packed["server"]
    assert ours.tables.keys() == theirs.tables.keys()
    assert len(ours.tables) >= 5
    for name in ours.tables:
        files = [copy / "releases" / kind / f"{name}.csv" for kind in archives]
        assert files[0].read_bytes() == files[1].read_bytes(), name
    cells = Counter(s for name in ours.tables for s in read_status(out / f"{name}.csv"))
    # Cells that are 0 in public ("ok") and cells that cannot be are not counted.
    assert cells["rounded"] >= cells["suppressed"], cells


def read_status(path):
    """Return the status of each cell of a released table."""
    return pl.read_csv(path, comment_prefix="#", infer_schema=False)["status"].to_list()
