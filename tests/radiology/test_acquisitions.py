"""Acquisitions: from a table of the site's, and from the catalog of real DICOM files."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import polars as pl
import pytest

from tests.radiology.declared import SITE
from workbench.archive.site_scan import scan_site
from workbench.errors import SiteError
from workbench.radiology.acquisitions import COLUMNS, FROM_CATALOG, open_acquisitions
from workbench.radiology.grouping import find_size_faults, sum_sizes
from workbench.radiology.plausibility import judge_plausibility
from workbench.radiology.site_tables import open_reports, open_table
from workbench.site import read_site

AT = dt.datetime.combine(dt.date(2023, 5, 2), dt.time(9))


def _site(folder: Path, archive: str, tables: str = "") -> Path:
    path = folder / "site.toml"
    path.write_text(SITE + archive + tables, encoding="utf-8")
    return path


def _table(folder: Path, name: str = "exams.parquet") -> pl.DataFrame:
    rows = pl.DataFrame(
        {
            "exam_uid": ["1", "2"],
            "patient_id": ["a", "b"],
            "Modality": ["CT", None],
            "exam_time": [AT, AT + dt.timedelta(hours=1)],
            "station": ["CT1", "CT1"],
            "ctdivol_mgy": [8.5, None],
            "their_dlp": [300, 12],
        }
    )
    if name.endswith(".csv"):
        rows.write_csv(folder / name)
    else:
        rows.write_parquet(folder / name)
    return rows


@pytest.mark.parametrize("name", ["exams.parquet", "exams.csv"])
def test_a_table(tmp_path: Path, name: str) -> None:
    _table(tmp_path, name)
    archive = f'kind = "table"\npath = "{name}"\nlevel = "exam"\n'
    path = _site(tmp_path, archive + 'columns = { dlp_mgy_cm = "their_dlp" }\n')
    found = open_acquisitions(path)
    rows = found.rows.collect()
    assert rows.columns == COLUMNS.names()
    assert rows["exam_time"].to_list() == [AT, AT + dt.timedelta(hours=1)]
    assert rows["dlp_mgy_cm"].to_list() == [300, 12]
    assert rows["ctdivol_mgy"].to_list() == [8.5, None]
    assert "exam_end_time" in found.missing
    assert "station" not in found.missing


@pytest.mark.parametrize("level", ["exam", "series"])
def test_sizes_that_cannot_be_believed_are_faults(tmp_path: Path, level: str) -> None:
    sizes = [(7, 3.0), (7, 3e7), (2**40, 3.0), (None, None)]
    rows = [
        {"exam_uid": f"{n}", "patient_id": "a", "modality": "CT", "instances": images,
         "SeriesMegabytes": megabytes}
        for n, (images, megabytes) in enumerate(sizes)
    ]  # fmt: skip
    pl.DataFrame(rows).write_parquet(tmp_path / "exams.parquet")
    path = _site(tmp_path, f'kind = "table"\npath = "exams.parquet"\nlevel = "{level}"\n')
    found = open_acquisitions(path)
    assert sorted(found.faults.rows()) == [("1", "a", "absurd_value"), ("2", "a", "absurd_value")]
    judged = judge_plausibility(found.rows, faults=found.faults)
    assert judged.kept.collect().height == 4
    counted = dict(judged.attrition().select("rule", "rows").iter_rows())
    assert counted["absurd_value"] == 2


def test_a_series_below_0_is_not_summed_away() -> None:
    rows = {"exam_uid": ["1"] * 2, "patient_id": ["a"] * 2, "instances": [-1, 5],
            "megabytes": [6e6, 6e6]}  # fmt: skip
    found = find_size_faults(sum_sizes(pl.LazyFrame(rows)))
    assert found["rule"].to_list() == ["negative_value", "absurd_value"]


def test_texts_that_are_no_numbers(tmp_path: Path) -> None:
    (tmp_path / "exams.csv").write_text(
        "exam_uid,patient_id,modality,ctdivol_mgy\n1,a,CT,8.5\n2,b,CT,\n3,c,CT,high\n"
    )
    path = _site(tmp_path, 'kind = "table"\npath = "exams.csv"\nlevel = "exam"\n')
    with pytest.raises(SiteError, match="row 3") as caught:
        open_acquisitions(path)
    assert "high" not in str(caught.value)
    assert "column ctdivol_mgy" in caught.value.what


def test_times_with_a_zone_are_refused(tmp_path: Path) -> None:
    rows = _table(tmp_path).with_columns(pl.col("exam_time").dt.replace_time_zone("UTC"))
    rows.write_parquet(tmp_path / "exams.parquet")
    path = _site(tmp_path, 'kind = "table"\npath = "exams.parquet"\nlevel = "exam"\n')
    with pytest.raises(SiteError, match="cannot be 'exam_time'"):
        open_acquisitions(path)


def test_tables_beside_the_archive(tmp_path: Path) -> None:
    _table(tmp_path)
    _table(tmp_path, "devices.parquet")
    archive = 'kind = "table"\npath = "exams.parquet"\nlevel = "exam"\n'
    path = _site(tmp_path, archive, '\n[tables]\ndevices = "devices.parquet"\n')
    assert open_table(path, "devices").collect().height == 2
    with pytest.raises(SiteError, match="no table 'device'") as caught:
        open_table(path, "device")
    assert "devices" in (caught.value.todo or "")


def test_an_archive_that_tells_little(tmp_path: Path) -> None:
    """A study runs there too; what needs times, devices and doses is not answerable."""
    _table(tmp_path)
    path = _site(tmp_path, 'kind = "table"\npath = "exams.parquet"\nlevel = "series"\n')
    found = open_acquisitions(path)
    rows = found.rows.sort("exam_uid").collect()
    assert rows.columns == COLUMNS.names()
    assert rows["modality"].to_list() == ["CT", None]
    assert {"exam_time", "station", "dlp_mgy_cm"} <= set(found.missing)
    assert open_reports(path).collect().is_empty()


def test_real_files(tmp_path: Path, shared_data: Path) -> None:
    """The catalog's own times and doses, by exam and device."""
    shutil.copytree(shared_data / "dicom2nifti", tmp_path / "dicom")
    path = _site(tmp_path, 'kind = "folder"\npath = "dicom"\n')
    catalog = scan_site(read_site(path))
    instances = catalog.instances().collect()
    found = open_acquisitions(path)
    rows = found.rows.collect()
    assert rows.columns == COLUMNS.names()
    assert set(found.missing) >= FROM_CATALOG
    assert {n for n in rows.columns if not rows[n].count()} == set(found.missing)
    assert set(rows["exam_uid"]) == set(instances["exam_uid"])
    for row in rows.iter_rows(named=True):
        same = instances.filter(
            (pl.col("exam_uid") == row["exam_uid"]) & (pl.col("modality") == row["modality"])
        )
        times = same["acquisition_time"].drop_nulls()
        if len(times):
            assert row["exam_time"] <= times.max()
        of_series = same.group_by("series_uid").agg(pl.col("ctdivol_mgy").mean())
        assert row["ctdivol_mgy"] == of_series["ctdivol_mgy"].max()
        if row["exam_end_time"] is not None:
            assert row["exam_end_time"] > row["exam_time"]
