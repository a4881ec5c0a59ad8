"""Doses of a site with reports, of one with images alone and of one with a table: exact tables."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest

from tests.conftest import ROOT
from tests.dose_reports.made_report import image, write
from tests.released import TODAY, pin
from workbench import pack, read_site, read_study, read_summary, run_study
from workbench.archive.site_scan import scan_site
from workbench.exchange.keys import make_key

STUDY = ROOT / "studies" / "imaging_service"
SITE = '[site]\nid = "{name}"\nname = "A site"\nkind = "real"\n\n[archive]\n'
FOLDER = 'kind = "folder"\npath = "dicom"\n'
TABLE = 'kind = "table"\npath = "exams.parquet"\nlevel = "exam"\n'
KEY = '\n[key]\nfile = "site.key"\nkind = "real"\n'
LACKS = "".join(
    f'\n[[cannot_answer]]\ncolumn = "{column}"\nreason = "Nobody wrote it down."\n'
    for column in ("dlp_mgy_cm", "facility")
)
DOSES = ("ctdivol", "dlp", "dlp_of_facilities", "dlp_of_children")


def copy_study(folder: Path, *steps: str) -> Path:
    """Copy the study with some of its steps, and without its dashboard."""
    copy = folder / "imaging_service"
    shutil.copytree(STUDY, copy, ignore=shutil.ignore_patterns("releases", ".ipynb_checkpoints"))
    text = (copy / "study.toml").read_text(encoding="utf-8").partition("[[dashboard.section]]")[0]
    head, *parts = re.split(r"(?m)^\[\[step\]\]$", text)
    pool = re.search(r"(?ms)^\[pool\].*", parts[-1])
    assert pool is not None
    parts[-1] = parts[-1][: pool.start()]
    kept = [part for part in parts if re.search(r'(?m)^id = "(\w+)"$', part)[1] in steps]
    (copy / "study.toml").write_text("[[step]]".join([head, *kept]) + pool[0], encoding="utf-8")
    (copy / "sites.toml").write_text("")
    return copy


def run(folder: Path, declared: str, *steps: str, name: str = "here"):
    """Run some steps at a site; return the study, the site and the run."""
    path = folder / "site.toml"
    path.write_text(SITE.format(name=name) + declared, encoding="utf-8")
    site = read_site(path)
    if FOLDER in declared:
        scan_site(site)
    study = read_study(copy_study(folder, *steps))
    return study, site, run_study(study, site, runs=folder / "runs")


def release(study, site, done) -> Path:
    """Pack what ran; return the folder of the release."""
    public = make_key(site.path.parent / "site.key", "real").public
    pin(study, site.id, public, "real")
    study = read_study(study.folder)
    out = study.folder / "releases" / site.id
    done = run_study(study, site, runs=done.folder.parents[2])
    pack(done, study, site, out=out, approver="A. Person", reason="Pretend", date=TODAY,
         today=TODAY)  # fmt: skip
    return out


def read_doses(study, done) -> dict[str, object]:
    outputs = {o.name: o for o in study.released if o.name in DOSES}
    return {n: read_summary(done.folder / o.step / o.path) for n, o in outputs.items()}


def counted(table, **labels):
    return int(table.data["exams"].sel(labels))


def adults(done) -> pl.DataFrame:
    return pl.read_parquet(sorted((done.folder / "dose" / "adults").glob("*.parquet")))


@pytest.mark.slow
def test_a_site_with_dose_reports(tmp_path, shared_data):
    shutil.copytree(shared_data / "openrem", tmp_path / "dicom")
    study, _, done = run(tmp_path, FOLDER, "acquisitions", "dose")
    expected: dict[str, tuple[float, float]] = {}
    for one in json.loads((shared_data / "expected.json").read_text()):
        told = one.get("expected", {})
        if not one["path"].startswith("openrem/CT") or "accumulated" not in told:
            continue
        total = told["accumulated"][0]["CT Dose Length Product Total"][0]
        scans = [e for e in told["events"] if "DLP" in e]
        main = max(scans, key=lambda e: e["DLP"][0])["Mean CTDIvol"][0]
        # Three reports of one exam are cumulative: the last tells all.
        expected[told["study_uid"]] = max(
            expected.get(told["study_uid"], (0.0, 0.0)), (total, main)
        )
    found = adults(done).select("dlp_mgy_cm", "ctdivol_mgy", "protocol")
    assert sorted(found.select("dlp_mgy_cm", "ctdivol_mgy").rows()) == sorted(expected.values())
    assert sorted(found["dlp_mgy_cm"]) == [236.09, 415.82, 502.4, 586.34, 724.52]
    tables = read_doses(study, done)
    assert counted(tables["dlp"], drl_protocol="all", bin="[-inf,inf)") == 5
    assert counted(tables["dlp"], drl_protocol="other", bin="[560,730)") == 2
    assert found["protocol"].to_list().count("CT_CAP") == 1  # named TAP
    assert counted(tables["dlp"], drl_protocol="missing", bin="[330,430)") == 1
    assert counted(tables["dlp"], drl_protocol="other", bin="[-inf,inf)") == 4
    assert counted(tables["ctdivol"], drl_protocol="other", bin="[60,80)") == 1


@pytest.mark.slow
def test_a_site_with_images_alone(tmp_path):
    folder = tmp_path / "dicom"
    folder.mkdir()
    for n in range(24):
        for slice_, ctdivol in enumerate((6.0, 8.0)):  # of a modulated scan: 7 is its own
            made = image("CT", f"1.2.{n}.{slice_}", exam=f"1.2.{n}", CTDIvol=ctdivol,
                         PatientAge="040Y", ProtocolName="КТ ОГК")  # fmt: skip
            made.SpecificCharacterSet = "ISO_IR 192"
            made.PatientID = f"P{n}"
            write(made, folder / f"{n}-{slice_}.dcm")
    study, site, done = run(tmp_path, FOLDER + KEY + LACKS, "acquisitions", "dose")
    assert adults(done)["ctdivol_mgy"].unique().to_list() == [7.0]
    tables = read_doses(study, done)
    assert counted(tables["ctdivol"], drl_protocol="CT_CHEST", bin="[6,8)") == 24
    out = release(study, site, done)
    manifest = json.loads((out / "manifest.json").read_text())
    assert {p.stem for p in out.glob("*.csv")} & set(DOSES) == {"ctdivol"}
    assert {"dlp", "dlp_of_facilities", "dlp_of_children"} <= set(manifest["not_answered"])


@pytest.mark.slow
def test_a_site_with_a_table_alone(tmp_path):
    rows = [
        {"exam_uid": str(n), "patient_id": f"P{n}", "modality": "CT", "protocol": name,
         "facility": "West", "age_years": age, "ctdivol_mgy": 8.0, "dlp_mgy_cm": 300.0}
        for n, (name, age) in enumerate([("Our thorax", 40.0), ("Thorax", 50.0), ("Knee", 60.0),
                                         ("HRCT", 3.0), (None, 70.0)])
    ]  # fmt: skip
    pl.DataFrame(rows).write_parquet(tmp_path / "exams.parquet")
    pl.DataFrame({"name": ["OUR THORAX"], "protocol": ["CT_CHEST"]}).write_csv(tmp_path / "own.csv")
    own = '\n[tables]\nprotocols = "own.csv"\n'
    study, _, done = run(tmp_path, TABLE + own, "acquisitions", "dose")
    tables = read_doses(study, done)
    found = {
        code: counted(tables["dlp"], drl_protocol=code, bin="[250,330)")
        for code in ("CT_CHEST", "other", "missing", "CT_HEAD")
    }
    assert found == {"CT_CHEST": 2, "other": 1, "missing": 1, "CT_HEAD": 0}
    assert counted(tables["dlp_of_facilities"], drl_protocol="CT_CHEST", facility="01",
                   bin="[-inf,inf)") == 2  # fmt: skip
    assert counted(tables["dlp_of_children"], child_group="all", bin="[-inf,inf)") == 1
