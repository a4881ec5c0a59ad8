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
    "one serial number": ({"device_serial": "7", "station": "CT2"}, "shared_serial"),
    "no patient": ({"patient_id": None}, "no_identifier"),
}
"""Kind of bad input of a table -> what is spoilt, and the rule that keeps it out."""


def write_table(folder: Path) -> dict[str, int]:
    """Write a table with all of it; return exams by rule."""
    good = {"modality": "CT", "exam_time": AT, "exam_end_time": AT + dt.timedelta(minutes=12),
            "station": "CT1", "device_serial": "1", "age_years": 60.0, "ctdivol_mgy": 8.0,
            "dlp_mgy_cm": 300.0}  # fmt: skip
    kinds = [({"device_serial": "7"}, "shared_serial"), *IN_TABLE.values()]
    spoilt = [(change, rule) for change, rule in kinds for _ in range(EACH)]
    rows = [good] * GOOD + [good | change for change, _ in spoilt]
    rows = [{"exam_uid": f"1.{n}", "patient_id": f"P{n}"} | row for n, row in enumerate(rows)]
    rows += rows[:EACH]  # they stand twice
    pl.DataFrame(rows).write_parquet(folder / "exams.parquet")
    found = {"duplicate_exam": EACH}
    for _, rule in spoilt:
        found[rule] = found.get(rule, 0) + 1
    return found


def write_files(folder: Path) -> dict[str, int]:
    """Write DICOM files with all of it; return exams by rule."""
    folder.mkdir()
    number = 0
    found: dict[str, int] = {}

    def put(rule, *made, spoil=None, of=EACH):
        nonlocal number
        for _ in range(of):
            number += 1
            exam = f"1.2.{number}"
            for place, make in enumerate(made):
                one = make(exam, f"{exam}.{place}")
                one.PatientID, one.StationName = f"P{number}", getattr(one, "StationName", "CT1")
                for name in ("StudyDate", "ContentDate"):  # before the tables were read
                    if getattr(one, name, "") == "20240229":
                        setattr(one, name, "20230502")
                path = write(one, folder / f"{number}-{place}.dcm")
            if spoil is not None:
                spoil(path)
        if rule:
            found[rule] = found.get(rule, 0) + of

    def scan(**header):
        return lambda exam, uid: image("CT", uid, exam=exam, **{"CTDIvol": 8.0} | header)

    def told(*items, unit="mGy.cm", dlp="300", ctdivol=8.0, total=None):
        return lambda exam, uid: report(
            *items or (ct_event(f"{uid}.7", dlp, unit=unit, ctdivol=ctdivol),
                       ct_total(total or dlp, unit=unit)),
            exam=exam, instance=uid)  # fmt: skip

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
    put("duplicate_exam", scan(), spoil=lambda path: shutil.copy(path, f"{path}.copy"))
    put("shared_serial", scan(DeviceSerialNumber="7"))
    put("shared_serial", scan(DeviceSerialNumber="7", StationName="CT2"))
    return found


def garble(path: Path) -> None:
    """Overwrite the item in which the first event is named."""
    content = path.read_bytes()
    at = content.index(b"113819")
    path.write_bytes(content[: at - 12] + b"\xff" * 40 + content[at + 28 :])


@pytest.fixture(scope="module", params=["table", "files"])
def attrition(request, tmp_path_factory):
    """Return the exact attrition of a site, the one that is released, and what was planted."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "table":
        planted, declared = write_table(folder), TABLE
    else:
        planted, declared = write_files(folder / "dicom"), FOLDER
    study, site, done = run(folder, declared + KEY + LACKS, "acquisitions")
    exact = read_summary(done.folder / "acquisitions" / "attrition.csv")
    released = pl.read_csv(release(study, site, done) / "attrition.csv", comment_prefix="#",
                           infer_schema=False)  # fmt: skip
    return exact, released, planted


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule",
    sorted(
        {rule for _, rule in IN_TABLE.values()}
        | {"duplicate_exam", "unreadable_file", "unknown_unit"}
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
    # Of an exam that stands twice in a table the first row is as good as any.
    twice = EACH if "unknown_unit" not in planted else 0
    assert touched == sum(planted.values()) - twice
