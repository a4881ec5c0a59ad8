"""Archives: the public index, and tables of strangers."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.conftest import ROOT
from workbench.archive.archive import KEYWORDS, Archive, open_archive, tidy
from workbench.catalog.scan import scan
from workbench.errors import SiteError, UsageError

SITES = {
    "covid_19_ny_sbu": 17950,
    "upenn_gbm": 6064,
    "prostate_mri_us_biopsy": 10373,
    "fdg_pet_ct_lesions": 3042,
    "psma_pet_ct_lesions": 1791,
    "lung_pet_ct_dx": 2606,
    "cmmd": 1775,
}


@pytest.fixture
def site(tmp_path):
    """Write a site.toml with a given [archive], and return its path."""

    def write(archive):
        path = tmp_path / "site.toml"
        head = '[site]\nid = "here"\nname = "Here"\nkind = "real"\n[archive]\n'
        path.write_text(head + archive, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(("name", "series"), SITES.items())
def test_public_sites_open_with_the_series_that_the_index_lists(name, series):
    archive = open_archive(ROOT / "datasets" / "idc" / name / "site.toml")
    frame = archive.series().collect()
    assert frame.columns == list(KEYWORDS)
    assert len(frame) == series
    assert frame["series_uid"].n_unique() == series
    assert frame["age_years"].dtype == pl.Float64
    assert archive.fingerprint() == open_archive(archive_path(name)).fingerprint()


def archive_path(name):
    return ROOT / "datasets" / "idc" / name / "site.toml"


def test_fingerprint_names_version_and_collection():
    text = open_archive(archive_path("cmmd")).fingerprint()
    assert "25.0.5" in text
    assert "cmmd" in text
    assert text != open_archive(archive_path("upenn_gbm")).fingerprint()


def test_sample_keeps_whole_patients_and_is_the_same_every_time(monkeypatch):
    everything = open_archive(archive_path("upenn_gbm"))
    monkeypatch.setenv("WORKBENCH_SAMPLE", "7")
    sample = open_archive(archive_path("upenn_gbm"))
    rows = sample.series().collect()
    assert rows["patient_id"].n_unique() == 7
    assert_frame_equal(
        rows, open_archive(archive_path("upenn_gbm")).series().collect(), check_row_order=False
    )
    kept = everything.series().filter(
        pl.col("patient_id").is_in(rows["patient_id"].unique().to_list())
    )
    assert len(kept.collect()) == len(rows)
    assert sample.fingerprint() != everything.fingerprint()


@pytest.mark.parametrize("value", ["0", "-1", "ten", "1e3", "９", "9" * 100])
def test_sample_that_is_no_number_is_refused(monkeypatch, value):
    monkeypatch.setenv("WORKBENCH_SAMPLE", value)
    with pytest.raises(UsageError, match="WORKBENCH_SAMPLE"):
        open_archive(archive_path("cmmd"))


def test_unknown_kind_and_collection_name_the_nearest(site):
    with pytest.raises(SiteError, match="Did you mean 'table'"):
        open_archive(site('kind = "tabel"\n'))
    with pytest.raises(SiteError, match="Did you mean 'cmmd'"):
        open_archive(site('kind = "idc"\ncollection = "cmdd"\n'))
    with pytest.raises(SiteError, match="Did you mean 'collection'"):
        open_archive(site('kind = "idc"\ncolection = "cmmd"\n'))


def test_ages_and_sexes_nobody_can_have_are_not_known():
    ages = [
        "000D",
        "007D",
        "026W",
        "130Y",
        "131Y",
        "-01Y",
        "45",
        "N-A",
        "infY",
        "nanY",
        "Y",
        "",
        None,
    ]
    frame = tidy(pl.LazyFrame({"age_years": ages})).collect()["age_years"].to_list()
    assert frame[:4] == pytest.approx([0, 7 / 365.25, 26 * 7 / 365.25, 130])
    assert frame[4:] == [None] * 9
    sexes = ["F", "f ", "male", "O", "0000", "U", "", None]
    assert tidy(pl.LazyFrame({"sex": sexes})).collect()["sex"].to_list() == [
        "F", "F", "M", "O", None, None, None, None,
    ]  # fmt: skip


GOOD = {
    "exam_uid": ["1.1", "1.1", "1.2"],
    "patient_id": ["p1", "p1", "p2"],
    "series_uid": ["1.1.1", "1.1.2", "1.2.1"],
    "modality": ["CT", "PT", "MR"],
    "age_years": [45.0, 45.0, None],
    "sex": ["F", "F", "M"],
    "instances": [10, 20, 30],
    "megabytes": [1.5, 2.5, 3.5],
}


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_table_is_read_alike_from_parquet_and_csv(site, tmp_path, ending):
    frame = pl.DataFrame(GOOD | {"PatientName": ["secret"] * 3})
    path = tmp_path / f"t.{ending}"
    frame.write_parquet(path) if ending == "parquet" else frame.write_csv(path)
    archive = open_archive(site(f'kind = "table"\npath = "t.{ending}"\n'))
    rows = archive.series().sort("series_uid").collect()
    assert rows.columns == list(KEYWORDS)
    assert rows["age_years"].to_list() == [45.0, 45.0, None]
    assert rows["instances"].to_list() == [10, 20, 30]
    assert rows["manufacturer"].to_list() == [None] * 3
    assert any("PatientName" in note for note in archive.notes)
    assert "secret" not in str(rows) + str(archive)
    assert isinstance(archive, Archive)


def test_table_columns_are_mapped_and_dicom_keywords_known(site, tmp_path):
    frame = pl.DataFrame(GOOD).rename({"exam_uid": "StudyInstanceUID", "patient_id": "pat"})
    frame.write_parquet(tmp_path / "t.parquet")
    archive = open_archive(
        site('kind = "table"\npath = "t.parquet"\ncolumns = {patient_id = "pat"}\n')
    )
    assert archive.series().collect()["exam_uid"].unique().sort().to_list() == ["1.1", "1.2"]


def test_fingerprint_of_a_table_follows_its_content(site, tmp_path):
    pl.DataFrame(GOOD).write_csv(tmp_path / "t.csv")
    path = site('kind = "table"\npath = "t.csv"\n')
    before = open_archive(path).fingerprint()
    assert open_archive(path).fingerprint() == before
    with (tmp_path / "t.csv").open("a") as file:
        file.write("1.3,p3,1.3.1,CT,1,F,1,1\n")
    assert open_archive(path).fingerprint() != before


def test_a_catalog_is_no_site_and_says_what_opens_it(tmp_path):
    (tmp_path / "archive").mkdir()
    scan(tmp_path / "archive", tmp_path / "catalog")
    with pytest.raises(SiteError, match="This is a catalog") as caught:
        open_archive(tmp_path / "catalog")
    assert "open_catalog" in caught.value.todo
    with pytest.raises(SiteError, match="No such file") as caught:
        open_archive(tmp_path / "archive")
    assert "workbench site --new" in caught.value.todo
    with pytest.raises(SiteError, match="cannot be read"):
        open_archive("n" * 300)
