"""Exams: the rules by which series become exams, and that no partition changes a number."""

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from workbench.archive.archive import KEYWORDS, Archive, Source, open_archive
from workbench.codelists import read_codelist
from workbench.definition.dimensions import StudyDimension, interval_labels
from workbench.errors import DefinitionError, SiteError
from workbench.radiology import exams as exams_module
from workbench.radiology.counting import Histogram, Moments
from workbench.radiology.exams import open_exams, write_exams
from workbench.study import read_study
from workbench.summaries.dimension import Dimension

STUDY = ROOT / "studies" / "imaging_service"
SERIES = {
    "exam_uid": "e1", "patient_id": "p1", "series_uid": None, "modality": "CT",
    "manufacturer": "SIEMENS", "model": "Sensation 64", "body_part": "CHEST",
    "exam_description": "CT CHEST", "series_description": None, "age_years": "050Y", "sex": "F",
    "instances": 10, "megabytes": 5.25,
}  # fmt: skip
TYPES = dict.fromkeys(KEYWORDS, pl.String) | {"instances": pl.Int64, "megabytes": pl.Float64}


def archive(*rows):
    frame = pl.DataFrame([SERIES | row for row in rows], schema=TYPES)
    return Archive("toy", "table", source=Source(frame.lazy, lambda: "toy"))


def coded(name, one_per="none"):
    codes = read_codelist(STUDY / "codelists" / f"{name}.csv")
    return StudyDimension(Dimension(name, codes.codes, one_per=one_per), codelist=codes)


MODALITY, MANUFACTURER, MODEL = coded("modality"), coded("manufacturer"), coded("model")
SEX, ELEMENT, BODY_PART = coded("sex", "patient"), coded("element"), coded("body_part")
EDGES = (0.0, 18.0, 65.0)
AGE = StudyDimension(
    Dimension("age_band", (*interval_labels(EDGES), "other", "missing"), labels_from="intervals"),
    edges=EDGES,
)


def exams_of(summary, **labels):
    return int(summary.data.exams.sel(labels))


def test_an_exam_of_two_modalities_counts_once_in_each_and_once_in_the_total(tmp_path):
    rows = write_exams(
        archive({"modality": "PT"}, {"modality": "CT"}, {"exam_uid": "e2"}), tmp_path
    )
    found = rows.count([MODALITY])
    assert [exams_of(found, modality=m) for m in ("all", "CT", "PT", "MR")] == [2, 2, 1, 0]
    assert int(found.data.patients.sel(modality="all")) == 1
    assert rows.frame().collect()["images"].to_list() == [20, 10]


def test_derived_objects_are_neither_exams_nor_devices_nor_images(tmp_path):
    derived = [
        {"modality": m, "manufacturer": "QIICR"}
        for m in ("SEG", "SR", "M3D", "RTSTRUCT", "pr", "KO")
    ]
    rows = write_exams(archive({}, *derived, {"exam_uid": "e2", "modality": "SR"}), tmp_path)
    assert rows.frame().select("exam_uid", "images").collect().rows() == [("e1", 10)]
    devices = rows.count([MANUFACTURER, MODEL])
    assert exams_of(devices, manufacturer="SIEMENS", model="Sensation 64") == 1
    assert exams_of(devices, manufacturer="other", model="all") == 0
    assert rows.attrition["series"].to_list() == [8, 8, 8, 1, 1]
    assert rows.attrition["exams"].to_list() == [2, 2, 2, 1, 1]


def test_an_exam_that_two_patients_claim_is_left_out_however_it_is_partitioned(tmp_path):
    twice = [{"exam_uid": "e9", "patient_id": f"p{i}", "sex": "M"} for i in range(2, 9)]
    found = [
        write_exams(archive({}, *twice), tmp_path / str(n), buckets=n).attrition for n in (1, 2, 7)
    ]
    assert found[0].equals(found[1])
    assert found[0].equals(found[2])
    assert found[0]["exams"].to_list() == [2, 2, 1, 1, 1]
    assert found[0]["patients"].to_list() == [8, 8, 1, 1, 1]


def test_series_without_identifiers_are_left_out_and_counted(tmp_path):
    rows = write_exams(archive({}, {"exam_uid": None}, {"patient_id": None}), tmp_path)
    assert rows.attrition["series"].to_list() == [3, 1, 1, 1, 1]
    assert exams_of(rows.count([MODALITY]), modality="all") == 1


def test_contradictions_within_an_exam_are_not_known_and_counted(tmp_path):
    rows = write_exams(
        archive(
            {"age_years": "050Y"}, {"age_years": "051Y"},
            {"exam_uid": "e2", "age_years": "020Y"}, {"exam_uid": "e2", "age_years": "060Y"},
            {"exam_uid": "e3", "patient_id": "p3", "sex": "F"},
            {"exam_uid": "e3", "patient_id": "p3", "sex": "M"},
            {"exam_uid": "e4", "patient_id": "p4", "sex": "6657", "age_years": "999Y"},
        ),
        tmp_path,
    )  # fmt: skip
    assert rows.frame().select("exam_uid", "age_years", "sex").collect().rows() == [
        ("e1", 50.0, "F"), ("e2", None, "F"), ("e3", 50.0, None), ("e4", None, None),
    ]  # fmt: skip
    assert dict(rows.unclear) == {
        "series whose age_years is not believed": 1,
        "series whose sex is not believed": 1,
        "exams of two ages": 1,
        "exams of two sexes": 1,
        "patients of two sexes": 0,
        "exams whose images are not believed": 0,
        "exams whose megabytes are not believed": 0,
    }


def test_a_patient_has_one_sex_and_the_description_says_what_the_exam_states(tmp_path):
    rows = write_exams(
        archive(
            {},
            {"exam_uid": "e2", "sex": None},
            {"exam_uid": "e3", "patient_id": "p2", "sex": "F"},
            {"exam_uid": "e4", "patient_id": "p2", "sex": "M"},
        ),
        tmp_path,
    )
    assert rows.frame().collect()["sex"].to_list() == ["F", "F", None, None]
    assert exams_of(rows.count([ELEMENT]), element="sex") == 3
    assert rows.unclear["patients of two sexes"] == 1
    rows.count([AGE, SEX])  # refused if a patient had two sexes


def test_completeness_counts_what_is_stated_and_its_margin_is_all_exams(tmp_path):
    nothing = {"body_part": "UNKNOWN", "exam_description": " ", "age_years": None, "sex": None}
    rows = write_exams(archive({}, {"exam_uid": "e2", "patient_id": "p2"} | nothing), tmp_path)
    found = rows.count([ELEMENT])
    held = {label: exams_of(found, element=label) for label in found.labels("element")}
    assert held == {
        "all": 2,
        "body_part": 1,
        "description": 1,
        "age": 1,
        "sex": 1,
        "other": 0,
        "missing": 1,
    }


def test_images_are_not_known_if_one_series_does_not_say(tmp_path):
    rows = write_exams(
        archive({}, {"instances": None, "megabytes": None}, {"exam_uid": "e2"}), tmp_path
    )
    assert rows.frame().select("images", "megabytes").collect().rows() == [(None, None), (10, 5.25)]
    assert exams_of(rows.summarise(Moments((), "exams", "images", "1", 1))) == 1
    assert exams_of(rows.count()) == 2


@pytest.mark.parametrize(
    ("bad", "images", "megabytes"),
    [
        ({"megabytes": 3e7}, 20, None),  # 2**31 resolutions of 0.01 MB are fewer
        ({"megabytes": 1e300}, 20, None),
        ({"megabytes": -1.0}, 20, None),
        ({"megabytes": float("nan")}, 20, None),
        ({"instances": 2**40}, None, 10.5),
        ({"instances": -1}, None, 10.5),
    ],
)
def test_a_size_that_cannot_be_believed_is_not_known(tmp_path, bad, images, megabytes):
    rows = write_exams(archive({}, bad, {"exam_uid": "e2"}), tmp_path)
    held = rows.frame().select("images", "megabytes").collect().rows()
    assert held == [(images, megabytes), (10, 5.25)]
    size = rows.summarise(Moments((), "exams", "megabytes", "MB", 0.01))
    assert exams_of(size) == (2 if megabytes else 1)
    stated = bad.get("megabytes") == bad.get("megabytes")
    assert sum(n for rule, n in rows.unclear.items() if "not believed" in rule) == stated
    refused = rows.quality.filter(pl.col("column").is_in(["instances", "megabytes"]))
    assert (refused["not_understood"].sum() > 0) == stated


def test_series_whose_sum_is_absurd(tmp_path):
    rows = write_exams(archive(*({"megabytes": 9e6} for _ in range(3))), tmp_path)
    assert rows.frame().collect()["megabytes"].item() is None


def test_sizes_are_summed_as_whole_bytes(tmp_path):
    sizes = [1 / 3, 1e4 / 7, 1e-7, 1e7 / 11, 0.1, 0.2]
    rows = write_exams(archive(*({"megabytes": size} for size in sizes)), tmp_path)
    held = rows.frame().collect()["megabytes"].item()
    assert held == sum(round(size * 1e6) for size in sizes) / 1e6


def test_exams_larger_than_allowed_are_left_out_and_counted(tmp_path):
    rows = write_exams(
        archive({}, {"exam_uid": "e2", "instances": 11}), tmp_path, largest_images=10
    )
    assert rows.frame().collect()["exam_uid"].to_list() == ["e1"]
    assert rows.attrition["exams"].to_list() == [2, 2, 2, 2, 1]


def test_moments_and_histogram_agree_with_numpy(tmp_path):
    sizes = [1, 2, 4, 8, 16, 700]
    rows = write_exams(archive(*({"exam_uid": f"e{n}", "instances": n} for n in sizes)), tmp_path)
    found = rows.summarise(Moments((MODALITY,), "exams", "images", "1", 1)).data.sel(modality="CT")
    assert int(found.total) == sum(sizes)
    assert int(found.square) == int(np.square(sizes).sum())
    bins = rows.summarise(Histogram((), "exams", "images", "1", (0, 5, 100), "protected"))
    assert exams_of(bins, bin="[0,5)") == 3
    assert exams_of(bins, bin="[100,inf)") == 1


series_rows = st.lists(
    st.fixed_dictionaries(
        {
            "exam_uid": st.sampled_from(["a", "b", "c", "d", "e", "f", None]),
            "patient_id": st.sampled_from(["1", "2", "3"]),
            "modality": st.sampled_from(["CT", "PT", "MR", "SEG", None, "??"]),
            "body_part": st.sampled_from(["CHEST", " chest", None, "TOE"]),
            "age_years": st.sampled_from(["001Y", "050Y", "051Y", "018M", "x", None]),
            "sex": st.sampled_from(["F", "M", None]),
            "instances": st.integers(0, 2000) | st.none(),
            "megabytes": st.floats(0, 1e4) | st.none(),
        }
    ),
    min_size=1,
    max_size=30,
)


def tables(exams):
    return [
        exams.count([MODALITY, BODY_PART]),
        exams.count([AGE, SEX]),
        exams.count([ELEMENT]),
        exams.summarise(Moments((MODALITY,), "exams", "megabytes", "MB", 0.01)),
        exams.summarise(
            Histogram((MODALITY,), "exams", "images", "1", (0, 10, 100, 1000), "protected")
        ),
    ]


@settings(max_examples=25)
@given(rows=series_rows, shuffle=st.randoms(use_true_random=False))
def test_no_partition_and_no_order_changes_a_bit(tmp_path_factory, rows, shuffle):
    rows = [{"exam_uid": "z", "patient_id": "9"}, *rows]
    folder = tmp_path_factory.mktemp("exams")
    one = write_exams(archive(*rows), folder / "one", buckets=1)
    shuffle.shuffle(rows)
    many = write_exams(archive(*rows), folder / "many", buckets=3)
    assert one.attrition.equals(many.attrition)
    assert one.unclear == many.unclear
    for a, b in zip(tables(one), tables(many), strict=True):
        assert a.equals(b)


def test_reading_in_several_passes_changes_nothing(tmp_path, monkeypatch):
    rows = [{"exam_uid": f"e{i}", "patient_id": f"p{i % 5}", "instances": i} for i in range(40)]
    rows += [{"exam_uid": "e1", "patient_id": "p3"}]
    one = write_exams(archive(*rows), tmp_path / "one", buckets=1)
    monkeypatch.setattr(exams_module, "SERIES_PER_PASS", 5)
    many = write_exams(archive(*rows), tmp_path / "many", buckets=4)
    assert len(many.partitions) > 1
    assert one.attrition.equals(many.attrition)
    for a, b in zip(tables(one), tables(many), strict=True):
        assert a.equals(b)


def test_partitions_hold_whole_patients_and_the_files_are_the_same_every_time(tmp_path):
    rows = [{"exam_uid": f"e{i}", "patient_id": f"p{i % 7}"} for i in range(40)]
    found = [write_exams(archive(*rows), tmp_path / str(i), buckets=4) for i in range(2)]
    patients = [set(pl.read_parquet(p)["patient_id"]) for p in found[0].partitions]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 7
    for a, b in zip(found[0].partitions, found[1].partitions, strict=True):
        assert a.read_bytes() == b.read_bytes()
    assert str(tmp_path) not in (tmp_path / "0" / "exams.json").read_text()


PUBLIC = {
    "covid_19_ny_sbu": (7361, 1384, {"CR": 5526, "DX": 1214, "CT": 617}),
    "upenn_gbm": (3301, 630, {"MR": 3301}),
    "prostate_mri_us_biopsy": (2799, 1151, {"US": 1762, "MR": 1037}),
    "fdg_pet_ct_lesions": (1014, 900, {"CT": 1014, "PT": 1014}),
    "psma_pet_ct_lesions": (597, 378, {"CT": 597, "PT": 597}),
    "lung_pet_ct_dx": (436, 355, {"CT": 433, "PT": 133}),
    "cmmd": (1775, 1775, {"MG": 1775}),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_sites_have_the_exams_that_their_cards_tell(tmp_path, name):
    number, patients, modalities = PUBLIC[name]
    folder = ROOT / "datasets" / "idc" / name
    study = read_study(STUDY)
    found = write_exams(open_archive(folder / "site.toml"), tmp_path).tabulate(
        study.output("exams_by_modality")
    )
    held = found.data.sel(modality="all")
    assert (int(held.exams), int(held.patients)) == (number, patients)
    assert {m: exams_of(found, modality=m) for m in modalities} == modalities
    card = (folder / "card.md").read_text(encoding="utf-8")
    assert f"| {number:,} | {patients:,} |" in card


def test_tabulate_makes_what_the_study_declares(tmp_path):
    study = read_study(STUDY)
    rows = write_exams(archive({}, {"exam_uid": "e2", "modality": "MR"}), tmp_path)
    for output in study.outputs.values():
        if output.is_summary and output.population == "exams":
            column = "megabytes" if output.name == "size_of_exam" else None
            found = rows.tabulate(output, column)
            assert found.kind == output.kind
            assert [d.name for d in found.dimensions][: len(output.dimensions)] == [
                d.name for d in output.dimensions
            ]
    with pytest.raises(DefinitionError, match="not a table"):
        rows.tabulate(study.output("exams"))
    with pytest.raises(DefinitionError, match="Did you mean 'images'"):
        rows.tabulate(study.output("images_per_exam"), "image")


def test_a_dimension_that_exams_lack_names_the_nearest(tmp_path):
    rows = write_exams(archive({}), tmp_path)
    wrong = StudyDimension(Dimension("modalty", ("CT", "other", "missing")))
    with pytest.raises(DefinitionError, match="Did you mean 'modality'"):
        rows.count([wrong])


def test_folders_that_hold_something_else_are_refused(tmp_path):
    with pytest.raises(SiteError, match="holds no exams"):
        open_exams(tmp_path)
    (tmp_path / "exams.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(SiteError, match="holds no exams"):
        open_exams(tmp_path)
    with pytest.raises(SiteError, match="not empty"):
        write_exams(archive({}), tmp_path)
    with pytest.raises(SiteError, match="No exam is left"):
        write_exams(archive({}), tmp_path / "new", largest_images=0)
    with pytest.raises(SiteError, match="No exam is left"):
        write_exams(archive({"modality": "SR", "patient_id": None}), tmp_path / "other")


def test_an_archive_of_dose_reports_alone_has_no_exams(tmp_path):
    rows = write_exams(archive({"modality": "SR"}), tmp_path)
    assert rows.frame().collect().is_empty()
    assert not rows.count([MODALITY]).data["exams"].any()
    assert rows.attrition["series"].to_list()[2:4] == [1, 0]
    assert open_exams(tmp_path).frame().collect_schema() == rows.frame().collect_schema()


def test_opened_exams_are_those_that_were_written(tmp_path):
    written = write_exams(archive({}, {"exam_uid": "e2", "modality": "MR"}), tmp_path)
    opened = open_exams(tmp_path)
    assert opened.fingerprint == written.fingerprint == "toy; all patients"
    assert opened.count([MODALITY]).equals(written.count([MODALITY]))
