"""Bad input of a table and of DICOM files: each kind stands in the attrition that is released."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import polars as pl
import pytest

from tests.dose_reports.made_report import container, ct_event, ct_total, image, report, write
from tests.studies.test_imaging_dose import FOLDER, KEY, TABLE, counted, release, run
from workbench import read_summary

EACH = 15
"""Exams of each kind of bad input, of as many patients: more than the threshold of disclosure."""
GOOD = 60
AT = dt.datetime.combine(dt.date(2023, 5, 2), dt.time(9))
LACKS = "".join(
    f'\n[[cannot_answer]]\ncolumn = "{column}"\nreason = "Nobody wrote it down."\n'
    for column in ("devices", "reports")
)
IN_TABLE = {
    "ends before it starts": ({"exam_end_time": AT - dt.timedelta(minutes=5)}, "ends_before_start"),
    "age of 155": ({"age_years": 155.0}, "age_not_possible"),
    "age of -1": ({"age_years": -1.0}, "age_not_possible"),
    "in 1900": ({"exam_time": AT.replace(year=1900)}, "time_not_possible"),
    "in 9999": ({"exam_time": AT.replace(year=9999)}, "time_not_possible"),
    "negative dose": ({"dlp_mgy_cm": -300.0}, "negative_value"),
    "absurd dose": ({"ctdivol_mgy": 1e6}, "absurd_value"),
    "DLP in dGy.cm": ({"dlp_mgy_cm": 3.0}, "wrong_unit"),
    "DLP in Gy.cm": ({"dlp_mgy_cm": 0.3}, "wrong_unit"),
    "mSv for DLP": ({"dlp_mgy_cm": 4.2}, "wrong_unit"),
    "CTDIvol in Gy": ({"ctdivol_mgy": 0.008}, "wrong_unit"),
    "size of 30 terabytes": ({"megabytes": 3e7}, "absurd_value"),
    "size of 1e300": ({"megabytes": 1e300}, "absurd_value"),
    "size below 0": ({"megabytes": -5.0}, "negative_value"),
    "images below 0": ({"instances": -3}, "negative_value"),
    "images of a storage error": ({"instances": 2**35}, "absurd_value"),
    "one serial number": ({"device_serial": "7", "station": "CT2"}, "shared_serial"),
    "no patient": ({"patient_id": None}, "no_identifier"),
}
"""Kind of bad input of a table -> what is spoilt, and the rule that keeps it out."""


def write_table(folder: Path) -> tuple[dict[str, int], set[str]]:
    """Write a table with all of it; return exams by rule, and those that are left out."""
    good = {"modality": "CT", "exam_time": AT, "exam_end_time": AT + dt.timedelta(minutes=12),
            "station": "CT1", "device_serial": "1", "age_years": 60.0, "ctdivol_mgy": 8.0,
            "dlp_mgy_cm": 300.0, "instances": 200, "megabytes": 100.0}  # fmt: skip
    kinds = [({"device_serial": "7"}, "shared_serial"), *IN_TABLE.values()]
    spoilt = [(change, rule) for change, rule in kinds for _ in range(EACH)]
    rows = [good] * GOOD + [good | change for change, _ in spoilt]
    rows = [{"exam_uid": f"1.{n}", "patient_id": f"P{n}"} | row for n, row in enumerate(rows)]
    shared = rows[EACH : 2 * EACH]
    rows += rows[:EACH]  # they stand twice
    rows += [row | {"patient_id": f"Q{row['exam_uid']}"} for row in shared]
    pl.DataFrame(rows).write_parquet(folder / "exams.parquet")
    found = {"duplicate_exam": 2 * EACH, "two_patients": 2 * EACH}  # the second is both
    for _, rule in spoilt:
        found[rule] = found.get(rule, 0) + 1
    return found, {str(row["exam_uid"]) for row in shared}


def write_files(folder: Path) -> tuple[dict[str, int], set[str]]:
    """Write DICOM files with all of it; return exams by rule, and those that are left out."""
    folder.mkdir()
    number = 0
    found: dict[str, int] = {}
    gone: set[str] = set()

    def put(rule, *made, spoil=None, of=EACH, other_patient=False):
        nonlocal number
        for _ in range(of):
            number += 1
            exam = f"1.2.{number}"
            for place, make in enumerate(made):
                one = make(exam, f"{exam}.{place}")
                one.PatientID, one.StationName = f"P{number}", getattr(one, "StationName", "CT1")
                if other_patient and place == len(made) - 1:
                    one.PatientID = f"Q{number}"
                for name in ("StudyDate", "ContentDate"):  # before the tables were read
                    if getattr(one, name, "") == "20240229":
                        setattr(one, name, "20230502")
                path = write(one, folder / f"{number}-{place}.dcm")
                if rule in ("two_patients", "duplicate_exam"):
                    gone.add(str(one.StudyInstanceUID))
            if spoil is not None:
                spoil(path)
            gone.discard(exam if rule == "duplicate_exam" else "")
        if rule:  # what two patients claim counts for each of them
            found[rule] = found.get(rule, 0) + of * (1 + other_patient)

    def scan(again="", **header):
        return lambda exam, uid: image("CT", uid, exam=exam + again,
                                       **{"CTDIvol": 8.0} | header)  # fmt: skip

    def told(*items, unit="mGy.cm", dlp="300", ctdivol=8.0, total=None):
        return lambda exam, uid: report(
            *items or (ct_event(f"{uid}.7", dlp, unit=unit, ctdivol=ctdivol),
                       ct_total(total or dlp, unit=unit)),
            exam=exam, instance=uid)  # fmt: skip

    def repeated(again="", series=""):
        def make(exam, uid):
            one = report(ct_event(f"{exam}.7", "300", ctdivol=8.0), ct_total("300"),
                         exam=exam + again, instance=uid)  # fmt: skip
            one.SeriesInstanceUID += series
            return one

        return make

    deep = ct_event("1.3.2", "5")
    for _ in range(90):
        deep = container("113819", deep)
    put("", scan(), of=GOOD)
    put("", scan(), told())
    put("unreadable_file", told(), spoil=lambda path: path.write_bytes(path.read_bytes()[:-60]))
    put("unreadable_file", told(deep), of=2)
    put("unreadable_file", scan(), lambda exam, uid: report(exam=exam, instance=uid))
    put("unreadable_file", scan(), told(), spoil=garble)
    put("age_not_possible", scan(PatientAge="155Y", PatientBirthDate="19800101"))
    put("age_not_possible", scan(PatientAge="-01Y"))
    put("time_not_possible", scan(StudyDate="19000101", AcquisitionDate="19000101",
                                  AcquisitionTime="101500"))  # fmt: skip
    put("time_not_possible", scan(StudyDate="99991231"))
    put("negative_value", scan(CTDIvol=-8.0))
    put("negative_value", scan(), told(dlp="-300", total="300"))
    put("absurd_value", scan(CTDIvol=1e6))
    put("absurd_value", scan(), told(dlp="1e7", total="300"))
    put("wrong_unit", scan(), told(unit="mGy"))
    put("wrong_unit", told(dlp="0.3"))
    put("unknown_unit", scan(), told(unit="furlong"))
    put("duplicate_file", scan(), spoil=lambda path: shutil.copy(path, f"{path}.copy"))
    put("duplicate_file", scan(), told(), spoil=lambda path: shutil.copy(path, f"{path}.copy"))
    put("duplicate_exam", scan(), repeated(), scan(".9"), repeated(".9"))
    put("two_patients", scan(), repeated(), repeated(), other_patient=True)
    put("two_patients", scan(), repeated(), repeated(series=".8"), other_patient=True)
    put("shared_serial", scan(DeviceSerialNumber="7"))
    put("shared_serial", scan(DeviceSerialNumber="7", StationName="CT2"))
    return found, gone


def garble(path: Path) -> None:
    """Overwrite the item in which the first event is named."""
    content = path.read_bytes()
    at = content.index(b"113819")
    path.write_bytes(content[: at - 12] + b"\xff" * 40 + content[at + 28 :])


@pytest.fixture(scope="module", params=["table", "files"])
def site(request, tmp_path_factory):
    """Return the folder of a run and of its release, what was planted, and what is left out."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "table":
        (planted, gone), declared = write_table(folder), TABLE
    else:
        (planted, gone), declared = write_files(folder / "dicom"), FOLDER
    study, site, done = run(
        folder, declared + KEY + LACKS, "exams", "size", "acquisitions", "equipment", "dose"
    )
    return done.folder, release(study, site, done), planted, gone


@pytest.fixture(scope="module")
def attrition(site):
    """Return the exact attrition of a site, the one that is released, and what was planted."""
    folder, out, planted, _ = site
    exact = read_summary(folder / "acquisitions" / "attrition.csv")
    released = pl.read_csv(out / "attrition.csv", comment_prefix="#", infer_schema=False)
    return exact, released, planted


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule",
    sorted(
        {rule for _, rule in IN_TABLE.values()}
        | {"duplicate_exam", "duplicate_file", "two_patients", "unreadable_file", "unknown_unit"}
    ),
)
def test_bad_input_stands_in_the_released_attrition(attrition, rule):
    exact, released, planted = attrition
    assert counted(exact, rule=rule) == planted.get(rule, 0)
    row = released.filter(rule=rule, variable="exams").row(0, named=True)
    if rule == "no_identifier" and rule in planted:
        assert row["status"] == "suppressed"  # of one patient, for nobody knows whose they are
        return
    assert abs(int(float(row["value"])) - planted.get(rule, 0)) <= 2
    assert row["status"] == ("rounded" if rule in planted else "ok")


@pytest.mark.slow
def test_what_no_rule_touched_is_counted_as_such(attrition):
    exact, _, planted = attrition
    touched = counted(exact, rule="all") - counted(exact, rule="missing")
    # Of an exam that stands twice in a table the first row is as good as any, and of two patients
    # the second is a repetition too.
    twice = 2 * EACH if "unknown_unit" not in planted else 0
    assert touched == sum(planted.values()) - twice


@pytest.mark.slow
def test_what_is_left_out_is_in_no_figure(site):
    folder, _, _, gone = site
    assert len(gone) >= EACH
    kept = pl.read_parquet(folder / "acquisitions" / "kept.parquet")
    assert not gone & set(kept["exam_uid"])
    assert kept.filter(pl.col("patient_id").str.starts_with("Q")).is_empty()
    aged = kept.filter(pl.col("age_years") >= 18)["exam_uid"].n_unique()
    placed, adults = (
        pl.read_parquet(sorted((folder / path).glob("*.parquet")))
        for path in ("acquisitions/acquisitions", "dose/adults")
    )
    assert (len(placed), len(adults)) == (len(kept), aged)


@pytest.mark.slow
def test_an_absurd_size_stops_nothing(site):
    folder, _, planted, _ = site
    images, size = (
        counted(read_summary(folder / "size" / f"{name}.csv"), modality="all", **bins)
        for name, bins in (("images_per_exam", {"bin": "[-inf,inf)"}), ("size_of_exam", {}))
    )
    headers_alone = "unknown_unit" in planted  # without pixels no size is known
    assert images - size == (images if headers_alone else 2 * EACH)  # three have no size
    assert images > GOOD
