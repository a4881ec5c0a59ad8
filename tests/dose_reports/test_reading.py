import random
import time
from datetime import datetime

import polars as pl
import pytest

from tests.dose_reports.made_report import ENHANCED, ct_event, ct_total, image, report, text, write
from tests.imaging.mutations import (
    change_length,
    change_syntax,
    change_vr,
    cut,
    flip_bits,
    flip_header_bits,
    move_blocks,
    strip_meta,
)
from workbench.archive.archive import open_archive
from workbench.archive.site_scan import scan_site
from workbench.catalog.catalog import open_catalog
from workbench.dose_reports.reading import read_dose_reports
from workbench.dose_reports.tables import (
    ATTRITION,
    BAD,
    EVENTS,
    EXAMS,
    FAULTS,
    FLAGS,
    REASONS,
    REFUSED,
    RULES,
    UNREADABLE,
)
from workbench.site import read_site

LATEST = datetime(2026, 1, 1)  # noqa: DTZ001


def read(source):
    tables = read_dose_reports(source, latest=LATEST)
    check(tables)
    return tables


def check(tables):
    """Hold what is true of any tables."""
    assert tables.exams.schema == EXAMS
    assert tables.events.schema == EVENTS
    assert tables.refused.schema == REFUSED
    assert tables.attrition.schema == ATTRITION
    assert set(tables.exams["flags"].explode().drop_nulls()) <= set(FLAGS)
    assert set(tables.events["flags"].explode().drop_nulls()) <= set(FLAGS)
    assert set(tables.refused["reason"]) <= set(REASONS)
    assert tables.attrition["rule"].to_list() == list(RULES)
    assert tables.faults.schema == FAULTS
    assert set(tables.faults["rule"]) <= {*BAD, UNREADABLE}
    assert {r for r in BAD if counted(tables).get(r)} <= set(tables.faults["rule"])
    counts = tables.events.group_by("exam_uid").len()
    joined = tables.exams.join(counts, on="exam_uid", how="left")
    assert (joined["n_events"] == joined["len"].fill_null(0)).all()
    assert tables.exams["exam_uid"].is_unique().all()
    assert tables.files["refused"] == len(tables.refused)
    numbers = [n for n, t in EXAMS.items() if t == pl.Float64()]
    assert (tables.exams.select(pl.col(numbers).min() >= 0).fill_null(value=True)).row(0) == (
        (True,) * len(numbers)
    )


def counted(tables):
    return dict(tables.attrition.filter(pl.col("rows") > 0).select("rule", "rows").rows())


def put(folder, *made):
    folder.mkdir(exist_ok=True)
    return [write(m, folder / f"{i}.dcm") for i, m in enumerate(made)]


def test_the_columns_are_those_that_others_count_on():
    assert list(EXAMS)[:17] == [
        *("exam_uid", "report_uid", "patient_id", "modality", "manufacturer", "model", "station"),
        *("exam_time", "age_years", "sex", "n_events", "dlp_total_mgy_cm", "dap_total_gy_cm2"),
        *("dose_rp_total_mgy", "fluoro_time_s", "agd_left_mgy", "agd_right_mgy"),
    ]
    assert list(EVENTS)[:26] == [
        *("exam_uid", "event_uid", "event_time", "acquisition_type", "target_region", "protocol"),
        *("phantom_cm", "ctdivol_mgy", "dlp_mgy_cm", "ssde_mgy", "water_equivalent_diameter_cm"),
        *("kvp_kv", "tube_current_ma", "exposure_time_s", "pitch", "scanning_length_mm"),
        *("collimation_mm", "dap_gy_cm2", "dose_rp_mgy", "agd_mgy", "laterality"),
        *("exposure_index", "target_exposure_index", "deviation_index", "dlp_alert_mgy_cm"),
        "ctdivol_alert_mgy",
    ]


def test_real_reports_and_images_become_exams(shared_data):
    tables = read(shared_data / "openrem")
    by_model = {row["model"]: row for row in tables.exams.iter_rows(named=True)}
    assert len(by_model) == len(tables.exams) == 10
    optima = by_model["Optima CT660"]
    assert (optima["dlp_total_mgy_cm"], optima["n_events"]) == (415.82, 6)
    events = tables.events.filter(pl.col("exam_uid") == optima["exam_uid"]).drop_nulls("dlp_mgy_cm")
    assert events["dlp_mgy_cm"].to_list() == [155.97, 259.85]
    assert events["ctdivol_mgy"].to_list() == [3.23, 5.30]
    assert "enhanced_sr" in optima["flags"]
    assert by_model["LightSpeed RT16"]["dlp_total_mgy_cm"] == 586.34
    assert by_model["LightSpeed RT16"]["age_years"] == 100.0
    assert by_model["SOMATOM Definition Flash"]["dlp_total_mgy_cm"] == 724.52
    assert by_model["Aquilion Precision"]["dlp_total_mgy_cm"] == 502.4
    assert by_model["SOMATOM Confidence"]["dlp_total_mgy_cm"] == 236.09
    surgery = by_model["ESP 21 cm FPD Super-C"]
    assert (surgery["dap_total_gy_cm2"], surgery["dose_rp_total_mgy"]) == (2.4126, 11.7317)
    assert (surgery["fluoro_time_s"], surgery["modality"]) == (72.46, "RF")
    mammography = by_model["Selenia Dimensions"]
    assert (mammography["agd_left_mgy"], mammography["agd_right_mgy"]) == (1.3, 1.28)
    assert by_model["CXDI Control Software NE"]["dap_total_gy_cm2"] == 0.107
    radiographs = by_model["Optima XR220"]
    assert (radiographs["n_events"], radiographs["report_uid"]) == (3, None)
    assert radiographs["dap_total_gy_cm2"] == pytest.approx(0.041 + 0.082 + 0.205)
    assert tables.files == {"report": 10, "image": 6, "other": 0, "refused": 2}
    assert sorted(tables.refused["reason"]) == ["not_dicom", "not_dose"]
    assert counted(tables) == {"earlier_report": 2}


@pytest.mark.parametrize("order", [(1,), (2, 1), (1, 2, 3), (3, 2, 1), (2, 3, 1), (1, 3, 2)])
def test_cumulative_reports_end_at_the_last_in_any_order(shared_data, order):
    folder = shared_data / "openrem"
    tables = read([folder / f"CT-RDSR-Siemens-Multi-{n}.dcm" for n in order])
    last = {1: (7.46, 1), 2: (77.27, 2), 3: (236.09, 3)}[max(order)]
    assert tables.exams.select("dlp_total_mgy_cm", "n_events").row(0) == last


def test_sum_of_events_equals_the_total_in_real_ct_reports(shared_data):
    tables = read(shared_data / "openrem")
    sums = tables.events.group_by("exam_uid").agg(pl.col("dlp_mgy_cm").sum())
    both = tables.exams.drop_nulls("dlp_total_mgy_cm").join(sums, on="exam_uid")
    assert len(both) == 5
    assert ((both["dlp_total_mgy_cm"] - both["dlp_mgy_cm"]).abs() < 0.001).all()


def test_an_image_counts_where_no_report_of_its_kind_is(tmp_path):
    ct = report(ct_event("1.2.3.1", "5"), ct_total("5"))
    made = [image("CT", f"1.2.3.5{n}", CTDIvol=3.0) for n in range(3)]
    dx = image("DX", "1.2.3.60", ImageAndFluoroscopyAreaDoseProduct="4")
    tables = read(put(tmp_path, ct, *made, dx))
    assert tables.exams.select("dlp_total_mgy_cm", "dap_total_gy_cm2").row(0) == (5.0, 0.4)
    assert tables.exams["modalities"].to_list() == [["CT", "DX"]]
    assert tables.files == {"report": 1, "image": 1, "other": 3, "refused": 0}
    assert counted(tables) == {"image_of_reported_exam": 3}


def test_an_image_of_no_irradiation_is_left_out(tmp_path):
    made = [image("MR", "1.2.3.50"), image("CT", "1.2.3.51", ImageType=["DERIVED", "SECONDARY"])]
    tables = read(put(tmp_path, *made))
    assert tables.exams.is_empty()
    assert tables.files["other"] == 2
    assert counted(tables) == {"derived_image": 1}


@pytest.mark.parametrize(
    ("header", "column", "rule"),
    [
        ({"PatientAge": "155Y"}, "age_years", "age_not_possible"),
        ({"PatientAge": "-01Y"}, "age_years", "age_not_possible"),
        ({"StudyDate": "19000101"}, "exam_time", "time_not_possible"),
        ({"StudyDate": "99991231"}, "exam_time", "time_not_possible"),
    ],
)
def test_an_age_or_a_date_nobody_has_is_missing_and_counted(tmp_path, header, column, rule):
    made = report(ct_event("1.2.3.1", "5"), ct_total("5"), **header)
    if column == "exam_time":
        made.ContentDate = header["StudyDate"]
    tables = read(put(tmp_path, made))
    assert tables.exams[column].to_list() == [None]
    assert tables.exams["dlp_total_mgy_cm"].to_list() == [5.0]
    assert counted(tables) == {rule: 1}


def test_the_weight_of_a_patient_is_read_from_reports_and_images(tmp_path):
    made = [
        report(ct_event("1.2.3.1", "5"), PatientWeight="70.5"),
        image("DX", "1.2.4.1", exam="1.2.4", PatientWeight="12"),
        report(ct_event("1.2.5.1", "5"), exam="1.2.5", instance="1.2.5.4", PatientWeight="0"),
    ]
    tables = read(put(tmp_path, *made))
    assert tables.exams["weight_kg"].to_list() == [70.5, 12.0, None]
    assert counted(tables) == {}


def test_doses_nobody_can_have_are_kept_out_and_counted(tmp_path):
    made = report(
        ct_event("1.2.3.1", "-5"),
        ct_event("1.2.3.2", "1e7"),
        ct_event("1.2.3.3", "7", unit="mGy"),
        ct_event("1.2.3.4", "9"),
        ct_total("-3"),
    )
    tables = read(put(tmp_path, made))
    assert tables.exams["dlp_total_mgy_cm"].to_list() == [9.0]
    assert set(tables.exams["flags"][0]) == {"value_refused", "total_missing"}
    assert counted(tables) == {"negative_value": 2, "absurd_value": 1, "wrong_unit": 1}


def test_faults_name_the_exam_that_they_are_of(tmp_path):
    made = [
        report(ct_event("1.2.3.1", "-5"), ct_event("1.2.3.2", "-7"), ct_total("3")),
        report(exam="1.2.4", instance="1.2.4.4", PatientID="p2"),
        report(ct_event("1.2.5.1", "5"), exam="1.2.5", instance="1.2.5.4", PatientID="p3"),
    ]
    put(tmp_path, *made)
    (tmp_path / "text.dcm").write_text("no DICOM")
    assert read(tmp_path).faults.rows() == [
        ("1.2.3", "p1", "negative_value"),
        ("1.2.4", "p2", UNREADABLE),
        (None, None, UNREADABLE),
    ]


def test_images_are_left_unopened_if_reports_alone_are_asked_for(tmp_path):
    made = [report(ct_event("1.2.3.1", "5"), ct_total("5")), image("CT", "1.2.6.1", exam="1.2.6")]
    tables = read_dose_reports(put(tmp_path, *made), latest=LATEST, images=False)
    assert tables.exams["exam_uid"].to_list() == ["1.2.3"]


def test_a_stated_age_that_is_none_is_not_mended_by_a_date_of_birth(tmp_path):
    made = report(ct_event("1.2.3.1", "5"), PatientAge="155Y", PatientBirthDate="19800101")
    assert read(put(tmp_path, made)).exams["age_years"].to_list() == [None]


def test_an_exam_stored_under_two_uids_counts_once(tmp_path):
    events = [ct_event("1.2.3.1", "5"), ct_event("1.2.3.2", "7"), ct_total("12")]
    first = report(*events)
    copy = report(*events, exam="1.2.4", instance="1.2.4.4")
    part = report(*events[:1], exam="1.2.5", instance="1.2.5.4")
    other = report(*events, exam="1.2.6", instance="1.2.6.4", PatientID="p2")
    tables = read(put(tmp_path, copy, other, part, first))
    assert tables.exams["exam_uid"].to_list() == ["1.2.3", "1.2.6"]
    assert tables.exams["flags"].to_list() == [["event_in_two_exams"]] * 2
    assert counted(tables) == {"duplicate_exam": 2}


def test_a_uid_that_many_exams_claim_tells_nothing(tmp_path):
    made = [
        report(ct_event("1.2.3.1", "5"), exam=f"1.2.{n}", instance=f"1.2.{n}.4")
        for n in range(3, 15)
    ]
    tables = read(put(tmp_path, *made))
    assert len(tables.exams) == 12
    assert counted(tables) == {}


def test_a_hostile_report_takes_no_long_time(tmp_path):
    many = [ct_event("1.2.3.1", f"{n}.5") for n in range(1000)]
    other = [ct_event("1.2.4.1", "7") for _ in range(1000)]
    put(tmp_path, report(*many), report(*other, exam="1.2.4", instance="1.2.4.4"))
    start = time.monotonic()
    tables = read(tmp_path)
    assert time.monotonic() - start < LONGEST_S
    assert tables.exams["n_events"].to_list() == [1000, 1]
    assert counted(tables) == {"duplicate_event": 999}


def test_a_long_text_is_no_protocol(tmp_path):
    made = report(ct_event("1.2.3.1", "5", more=[text("125203", "x" * 100_000)]))
    assert read(put(tmp_path, made)).events["protocol"].to_list() == [None]


def test_modalities_of_one_exam_are_all_told(tmp_path):
    made = [image(m, f"1.2.3.{n}", AcquisitionDate="20240229", AcquisitionTime=f"10150{n}")
            for n, m in enumerate(("CR", "DX"))]  # fmt: skip
    tables = read(put(tmp_path, *made))
    assert tables.exams.select("modality", "modalities").row(0) == ("DX", ["DX", "CR"])
    assert tables.events["modality"].to_list() == ["CR", "DX"]


def test_exams_that_share_some_events_are_kept_and_flagged(tmp_path):
    first = report(ct_event("1.2.3.1", "5"), ct_event("1.2.3.2", "7"))
    second = report(ct_event("1.2.3.2", "7"), ct_event("1.2.3.3", "9"), exam="1.2.4",
                    instance="1.2.4.4")  # fmt: skip
    tables = read(put(tmp_path, first, second))
    assert tables.exams["dlp_total_mgy_cm"].to_list() == [12.0, 16.0]
    assert all("event_in_two_exams" in flags for flags in tables.exams["flags"])


def test_an_exam_of_two_patients_is_left_out(tmp_path):
    made = [report(ct_event(f"1.2.3.{n}", "5"), instance=f"1.2.9.{n}", PatientID=f"p{n}")
            for n in (1, 2)]  # fmt: skip
    tables = read(put(tmp_path, *made))
    assert tables.exams.is_empty()
    assert tables.refused["reason"].to_list() == ["two_patients"] * 2
    assert tables.files == {"report": 0, "other": 0, "refused": 2}
    assert counted(tables) == {"two_patients": 1}


@pytest.mark.parametrize(
    ("patients", "faults"),
    [
        (("p1", "p2"), [("p1", "two_patients"), ("p2", "two_patients")]),
        (("p1", ""), [("p1", "unreadable_file")]),
    ],
)
def test_a_series_of_two_patients_is_not_opened(tmp_path, patients, faults):
    made = [report(ct_event(f"1.2.3.{n}", "5"), instance=f"1.2.9.{n}", PatientID=patient)
            for n, patient in enumerate(patients, start=1)]  # fmt: skip
    folder = tmp_path / "dicom"
    folder.mkdir()
    good = report(ct_event("1.2.4.1", "5"), exam="1.2.4", instance="1.2.4.4")
    put(folder, *made, good)
    site = tmp_path / "site.toml"
    site.write_text('[site]\nid = "s"\nname = "S"\nkind = "real"\n'
                    '[archive]\nkind = "folder"\npath = "dicom"\n')  # fmt: skip
    scan_site(read_site(site))
    tables = read(open_archive(site))
    assert tables.exams["exam_uid"].to_list() == ["1.2.4"]
    assert tables.faults.rows() == [("1.2.3", patient, rule) for patient, rule in faults]
    assert tables.files == {"report": 1, "other": 2, "refused": 0}


def test_what_is_no_dose_report_is_listed_as_such(tmp_path):
    empty = report(title="113701")
    other = report(title="126000", instance="1.2.3.5", sop_class=ENHANCED)
    put(tmp_path, empty, other)
    (tmp_path / "notes.txt").write_text("no DICOM")
    tables = read(tmp_path)
    assert tables.refused["reason"].to_list() == ["no_events", "not_dose", "not_dicom"]
    assert tables.refused["path"].to_list() == [
        str(tmp_path / name) for name in ("0.dcm", "1.dcm", "notes.txt")
    ]


def test_a_file_that_is_not_there_is_refused(tmp_path):
    tables = read(tmp_path / "none.dcm")
    assert tables.refused["reason"].to_list() == ["unreadable"]


def test_an_empty_folder_gives_empty_tables(tmp_path):
    assert read(tmp_path).exams.is_empty()


def test_an_archive_and_its_catalog_give_what_the_folder_gives(shared_data, tmp_path):
    folder = read(shared_data / "openrem")
    (tmp_path / "site.toml").write_text(
        '[site]\nid = "s"\nname = "S"\nkind = "real"\n[archive]\nkind = "folder"\n'
        f'path = "{(shared_data / "openrem").resolve()}"\n'
    )
    scan_site(read_site(tmp_path / "site.toml"))
    for source in (open_archive(tmp_path / "site.toml"), open_catalog(tmp_path / "catalog")):
        tables = read(source)
        assert tables.exams.equals(folder.exams)
        assert tables.events.equals(folder.events)
        assert tables.attrition.equals(folder.attrition)


WAYS = (
    *(cut, flip_bits, flip_header_bits, change_vr, change_length, strip_meta, change_syntax),
    move_blocks,
)
MUTANTS = 200
LONGEST_S = 60


def test_broken_reports_are_read_or_refused_and_none_is_lost(shared_data, tmp_path):
    dice = random.Random(20_260)
    healthy = [p.read_bytes() for p in sorted((shared_data / "openrem").glob("*.dcm"))]
    used = set()
    for number in range(MUTANTS):
        way = dice.choice(WAYS)
        base = dice.choice(healthy)
        try:
            broken = way(base, dice)
        except (ValueError, IndexError):  # the file has not what this breaks
            way, broken = cut, cut(base, dice)
        used.add(way)
        (tmp_path / f"{number:03}.dcm").write_bytes(broken)
    assert used == set(WAYS)
    start = time.monotonic()
    tables = read(tmp_path)
    assert time.monotonic() - start < LONGEST_S
    assert sum(tables.files.values()) == MUTANTS
    assert 50 < tables.files["refused"] < MUTANTS - 20
    assert tables.files["report"] > 10
    assert tables.files["image"] > 10
