"""The study on its real data: what the institutions released holds against the unreleased truth."""

from __future__ import annotations

import numpy as np
import pytest

from tests.test_conventions import ROOT
from workbench import combine, open_archive, pool, read_study, write_exams
from workbench.datasets import list_sites
from workbench.disclosure.attack import attack, default_classes
from workbench.exchange.verification import find_releases, verify_all
from workbench.pooling import read_pooled
from workbench.publish.content import read_content
from workbench.publish.marks import enough
from workbench.publish.readings import read
from workbench.summaries import moments
from workbench.summaries.histogram import quantile

STUDY = ROOT / "studies" / "imaging_service"
SITES = list_sites(ROOT / "datasets" / "idc")
DLP = ("dlp", "dlp_of_facilities")
DISTRICTS = list_sites(ROOT / "datasets" / "capital")


@pytest.fixture(scope="module")
def study():
    return read_study(STUDY)


@pytest.fixture(scope="module")
def releases(study):
    verified = verify_all(find_releases(study), study)
    assert verified.refusals == {}
    return {release.site: release for release in verified.releases}


@pytest.fixture(scope="module")
def truth(study, tmp_path_factory):
    """Return every exact Summary, by site and table."""
    found = {}
    for name, site in (SITES | DISTRICTS).items():
        folder = tmp_path_factory.mktemp(name)
        exams = write_exams(open_archive(site), folder, largest_images=50_000)
        found[name] = {
            o.name: exams.tabulate(o, "megabytes" if o.name == "size_of_exam" else None)
            for o in study.released
            if o.population == "exams"
        }
    return found


@pytest.fixture(scope="module")
def pooled(releases, study):
    return pool(releases.values(), study)


def test_all_seven_institutions_and_five_districts_released(releases):
    assert set(releases) == set(SITES) | set(DISTRICTS)
    assert (len(SITES), len(DISTRICTS)) == (7, 5)
    assert {release.kind for release in releases.values()} == {"demo"}


def test_what_a_site_cannot_answer_is_named_and_not_released(releases):
    assert "devices" in releases["cmmd"].not_answered
    assert "manufacturer" in releases["cmmd"].not_answered["devices"]["en"]
    assert "devices" not in releases["cmmd"].tables


@pytest.mark.parametrize(
    "table", ["exams_by_modality", "patients_by_age_sex", "devices", "completeness"]
)
def test_pooled_intervals_hold_the_unreleased_truth(table, truth, releases, pooled):
    exact = combine(*(truth[site][table] for site in releases if table in releases[site].tables))
    data = pooled.tables[table].data
    for quantity in ("exams", "patients"):
        told = data.sel(quantity=quantity)
        names = [d.name for d in exact.dimensions]
        real = (
            exact.data[quantity]
            .sel({n: told[n].values for n in names})
            .transpose(*told["low"].dims)
        )
        assert np.all(told["low"].values <= real.values)
        assert np.all(real.values <= told["high"].values)
        told_at_all = np.isfinite(told["high"].values) & (told["how"].values != "")
        assert told_at_all.any()


def test_pooled_means_hold_the_unreleased_truth(truth, releases, pooled):
    table = "size_of_exam"
    exact = combine(*(truth[site][table] for site in releases if table in releases[site].tables))
    finished = moments.finish(exact)
    data = pooled.tables[table].data
    for quantity in ("mean", "sd"):
        told = data.sel(quantity=quantity)
        real = finished[quantity].sel(modality=told["modality"].values).values
        known = np.isfinite(told["value"].values)
        assert known.sum() >= 3
        assert np.all(told["low"].values[known] <= real[known])
        assert np.all(real[known] <= told["high"].values[known])


@pytest.mark.parametrize("table", ["images_per_exam", "megabytes_per_exam"])
@pytest.mark.parametrize(("name", "q"), [("median", 0.5), ("p90", 0.9)])
def test_pooled_quantiles_meet_the_unreleased_truth(table, name, q, truth, releases, pooled):
    exact = combine(*(truth[site][table] for site in releases if table in releases[site].tables))
    real = quantile(exact, q)
    data = pooled.tables[table].data.sel(quantity=name)
    data = data.isel(bin=0, drop=True) if "bin" in data.dims else data
    known = np.isfinite(data["value"].values)
    assert known.sum() >= 2
    for modality in data["modality"].values[known]:
        told = data.sel(modality=modality)
        # Both intervals hold the exact percentile of all exams, so they overlap.
        assert float(told["low"]) <= float(real.high.sel(modality=modality))
        assert float(real.low.sel(modality=modality)) <= float(told["high"])


def test_pooled_tables_in_the_repository_are_those_of_the_releases(pooled):
    written = read_pooled(STUDY / "releases" / "pooled")
    assert {u.manifest for u in written.releases} == {u.manifest for u in pooled.releases}
    for name, table in pooled.tables.items():
        for end in ("value", "low", "high"):
            np.testing.assert_array_equal(table.data[end], written.tables[name].data[end], name)


def test_the_attack_on_each_institution_finds_nothing(releases):
    for release in releases.values():
        # Two histograms of one dose: a bin that one tells to be empty is empty in the other.
        classes = default_classes(release.tables)
        classes |= {n: "adults with a DLP" for n in DLP if n in release.tables}
        assert attack(release.tables, release.policy, classes=classes) == []


def test_the_same_attack_on_exact_tables_finds_small_cells(truth, releases):
    exact = [truth["lung_pet_ct_dx"][name] for name in ("exams_by_modality", "patients_by_age_sex")]
    assert attack(exact, releases["lung_pet_ct_dx"].policy) != []


def test_every_figure_has_three_marks_at_four_institutions(study):
    content = read_content(STUDY)
    assert content.problem == ""
    for section in study.sections:
        scopes = {name: content.scope(section, name) for name in content.releases}
        drawn = [n for n, scope in scopes.items() if scope and enough(read(section, scope).cells)]
        assert len(drawn) >= 4, (section.id, drawn)
    fleet = study.section("fleet")
    told = read(fleet, content.scope(fleet)).finding.replace("\xa0", " ")
    assert "–9 years comes first" in told


def test_no_identifier_of_any_patient_is_in_a_release(releases):
    import idc_index_data
    import polars as pl

    index = pl.scan_parquet(str(idc_index_data.IDC_INDEX_PARQUET_FILEPATH))
    for site in SITES.values():
        rows = index.filter(pl.col("collection_id") == site.archive["collection"])
        ids = rows.select(pl.col("PatientID", "StudyInstanceUID").unique().implode()).collect()
        text = b"".join(p.read_bytes() for p in (STUDY / "releases" / site.id).iterdir()).decode()
        for column in ids.columns:
            found = [i for i in ids[column].item() if len(i) > 5 and i in text]
            assert found == []
