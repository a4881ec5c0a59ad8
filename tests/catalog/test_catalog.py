"""A catalog opens what a scan wrote, shows no patient, and serves a site's studies."""

from __future__ import annotations

import json

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.imaging.images import ROOT as UID
from tests.imaging.images import write_image
from workbench.archive.archive import KEYWORDS, open_archive
from workbench.catalog.catalog import open_catalog
from workbench.catalog.record import CATALOG
from workbench.catalog.scan import scan
from workbench.errors import ImageError, SiteError
from workbench.imaging.volume import open_volume
from workbench.radiology.exams import write_exams
from workbench.site import read_site


@pytest.fixture
def archive(tmp_path):
    root = tmp_path / "dicom"
    for patient in range(2):
        for number in range(1, 4):
            write_image(root / f"{patient}/{number}", number, patient=f"MARKER-{patient}",
                        exam=patient + 1)  # fmt: skip
    write_image(root / "other", 1, patient="MARKER-1", exam=2, series=2, Modality="MR",
                PatientAge="", PatientBirthDate="19700101", StudyDate="20200101")  # fmt: skip
    (root / "note.txt").write_text("hello")
    return root


@pytest.fixture
def site(archive, tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(
        '[site]\nid = "here"\nname = "Here"\nkind = "real"\n'
        '[archive]\nkind = "folder"\npath = "dicom"\n'
    )
    return path


def test_it_opens_as_it_was_written(archive, tmp_path):
    written = scan(archive, tmp_path / "catalog")
    opened = open_catalog(tmp_path / "catalog")
    assert opened.counts == written.counts
    assert opened.root == archive
    assert opened.fingerprint() == written.fingerprint()
    assert opened.modalities == {"CT": 6, "MR": 1}
    assert opened.reasons == {"not_dicom": 1}
    assert opened.wrong == 1
    assert_frame_equal(opened.instances().collect(), written.instances().collect())
    assert [p.parent.name for p in opened.partitions] == ["instances"]


def test_its_card_holds_counts_and_no_patient(archive, tmp_path):
    catalog = scan(archive, tmp_path / "catalog")
    for text in (repr(catalog), catalog._repr_html_()):
        assert "MARKER" not in text
        assert UID not in text
        assert "CT 6, MR 1" in text
        assert "the content is not DICOM" in text
    assert "MARKER" not in (tmp_path / "catalog" / CATALOG).read_text()


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
def test_a_modality_that_is_none_is_counted_and_not_shown(archive, tmp_path):
    for number, text in enumerate(["MARKER-X", "ct", "MARKER ANNA", ""], start=20):
        write_image(archive / f"odd{number}", number, patient="P", exam=3, Modality=text)
    catalog = scan(archive, tmp_path / "catalog")
    assert catalog.modalities == {"CT": 6, "other": 3, "MR": 1, "": 1}
    assert "CT 6, other 3, MR 1, not stated 1" in repr(catalog)
    assert "MARKER" not in repr(catalog) + (tmp_path / "catalog" / CATALOG).read_text()
    rows = catalog.instances().filter(pl.col("modality").str.starts_with("MARKER")).collect()
    assert len(rows) == 2  # as it is stored, in the tables alone


def test_the_files_of_a_series_open_as_a_volume(archive, tmp_path, site):
    scan(archive, tmp_path / "catalog")
    files = open_archive(site).open_series(f"{UID}.1.1")
    assert files.paths == tuple(archive / f"0/{n}" for n in (1, 2, 3))
    assert open_volume(files).sizes["z"] == 3
    with pytest.raises(ImageError, match="no such series"):
        open_archive(site).open_series("1.2.3")


def test_a_series_that_several_claim_is_opened_by_its_exam_alone(archive, tmp_path, site):
    shared = {"SeriesInstanceUID": f"{UID}.9"}
    own = [
        write_image(archive / f"shared{n}", n, exam=n, patient=f"P{n}", **shared) for n in (5, 6)
    ]
    catalog = scan(archive, tmp_path / "catalog")
    with pytest.raises(ImageError, match="Several exams claim"):
        catalog.series_files(f"{UID}.9")
    with pytest.raises(ImageError, match="Several exams claim"):
        open_archive(site).open_series(f"{UID}.9")
    assert catalog.series_files(f"{UID}.9", f"{UID}.5") == own[:1]
    assert open_archive(site).open_series(f"{UID}.9", f"{UID}.6").paths == (own[1],)
    with pytest.raises(ImageError, match="no such series"):
        catalog.series_files(f"{UID}.9", f"{UID}.1")
    write_image(archive / "stranger", 7, exam=5, patient="P7", **shared)
    with pytest.raises(ImageError, match="Several patients claim"):
        scan(archive, tmp_path / "catalog").series_files(f"{UID}.9", f"{UID}.5")


def test_what_is_no_catalog_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(SiteError, match="no catalog"):
            open_catalog(folder)


def test_a_catalog_of_another_version_says_what_to_do(archive, tmp_path, site):
    scan(archive, tmp_path / "catalog")
    path = tmp_path / "catalog" / CATALOG
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 0}))
    with pytest.raises(SiteError, match="another version") as caught:
        open_archive(site)
    assert "workbench scan site.toml" in str(caught.value)


def test_a_site_without_a_catalog_says_what_to_do(site):
    with pytest.raises(SiteError, match="no catalog") as caught:
        open_archive(site)
    assert "Run 'workbench scan site.toml'" in str(caught.value)


def test_a_site_whose_path_changed_is_scanned_first(archive, tmp_path, site):
    scan(archive, tmp_path / "catalog")
    site.write_text(site.read_text().replace('"dicom"', '"elsewhere"'))
    with pytest.raises(SiteError, match="another folder"):
        open_archive(site)
    site.write_text(site.read_text().replace('path = "elsewhere"', 'pth = "dicom"'))
    with pytest.raises(SiteError, match="Did you mean 'path'"):
        open_archive(site)


def test_the_series_of_a_folder_are_those_of_any_archive(archive, tmp_path, site):
    scan(archive, tmp_path / "catalog")
    opened = open_archive(site)
    series = opened.series().sort("series_uid").collect()
    assert series.columns == list(KEYWORDS)
    assert series.schema["instances"] == pl.Int64
    assert series["instances"].to_list() == [3, 3, 1]
    assert series["megabytes"].to_list() == pytest.approx([96e-6, 96e-6, 32e-6])
    assert series["age_years"].to_list() == pytest.approx([45, 45, 50], abs=0.01)
    assert series["sex"].to_list() == ["F"] * 3
    before = opened.fingerprint()
    assert open_archive(site).fingerprint() == before
    write_image(archive / "new", 9, patient="MARKER-9", exam=9)
    scan(archive, tmp_path / "catalog")
    assert open_archive(site).fingerprint() != before


def test_exams_of_a_folder_are_made_unchanged(archive, tmp_path, site):
    scan(archive, tmp_path / "catalog")
    exams = write_exams(open_archive(site), tmp_path / "exams").frame().sort("exam_uid").collect()
    assert exams["images"].to_list() == [3, 4]
    assert exams["modality"].to_list() == [["CT"], ["CT", "MR"]]


def test_exams_of_the_real_files_are_those_that_pydicom_finds(shared_data, tmp_path):
    import pydicom

    (tmp_path / "site.toml").write_text(
        '[site]\nid = "here"\nname = "Here"\nkind = "real"\n'
        f'[archive]\nkind = "folder"\npath = "{shared_data.resolve()}"\ncatalog = "tables"\n'
    )
    site = read_site(tmp_path)
    assert site.stamps() == {"archive.catalog": "absent"}
    catalog = scan(shared_data, tmp_path / "tables")
    assert site.stamps()["archive.catalog"].startswith("1:")
    series = open_archive(site).series().collect()
    assert series["instances"].sum() == catalog.counts["instances"]
    exams = write_exams(open_archive(site), tmp_path / "exams")
    rows = exams.frame().collect()
    images: dict[str, int] = {}
    paths = catalog.instances().select("path", "exam_uid", "patient_id", "modality").collect()
    for path, exam_uid, patient, modality in paths.iter_rows():
        if "!" in path or patient is None or modality in ("SR", "SEG", "RTSTRUCT"):
            continue
        header = pydicom.dcmread(
            shared_data / path, force=True, stop_before_pixels=True,
            specific_tags=["StudyInstanceUID"],
        )  # fmt: skip
        assert header.StudyInstanceUID == exam_uid
        images[exam_uid] = images.get(exam_uid, 0) + 1
    counted = dict(rows.select("exam_uid", "images").iter_rows())
    assert set(images) <= set(counted)
    same = {uid for uid, number in images.items() if counted[uid] == number}
    members = {e for p, e in paths.select("path", "exam_uid").iter_rows() if "!" in p}
    series = catalog.instances().group_by("exam_uid", "series_uid").agg(pl.col("modality").unique())
    mixed = set(series.filter(pl.col("modality").list.len() > 1).collect()["exam_uid"])
    assert set(images) - same <= members | mixed
    assert len(same) > 20
