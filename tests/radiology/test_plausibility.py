"""Plausibility: each rule takes out what it names, counts it, and touches nothing else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np
import polars as pl
import pytest

from workbench.radiology.plausibility import LEFT_OUT, RULES, judge_plausibility

AT = dt.datetime.combine(dt.date(2023, 5, 2), dt.time(9))
NOW = AT + dt.timedelta(days=100)
GOOD = {
    "exam_uid": "1",
    "patient_id": "a",
    "exam_time": AT,
    "exam_end_time": AT + dt.timedelta(minutes=12),
    "age_years": 60.0,
    "ctdivol_mgy": 9.0,
    "dlp_mgy_cm": 300.0,
    "agd_mgy": None,
}


def _table(*rows: Mapping[str, object]) -> pl.LazyFrame:
    table = [{**GOOD, "exam_uid": str(i), **row} for i, row in enumerate(rows)]
    return pl.LazyFrame(table, schema_overrides={"agd_mgy": pl.Float64()})


BAD: list[tuple[str, dict[str, object]]] = [
    ("no_identifier", {"patient_id": None}),
    ("no_identifier", {"exam_uid": None}),
    ("time_not_possible", {"exam_time": AT.replace(year=1900)}),
    ("time_not_possible", {"exam_time": AT.replace(year=9999)}),
    ("time_not_possible", {"exam_end_time": AT.replace(year=9999)}),
    ("ends_before_start", {"exam_end_time": AT - dt.timedelta(minutes=1)}),
    ("takes_too_long", {"exam_end_time": AT + dt.timedelta(hours=13)}),
    ("age_not_possible", {"age_years": 155.0}),
    ("age_not_possible", {"age_years": -1.0}),
    ("negative_value", {"dlp_mgy_cm": -300.0}),
    ("absurd_value", {"ctdivol_mgy": 1e6}),
    ("absurd_value", {"agd_mgy": float("nan")}),
]
UNITS: list[tuple[float, float, bool]] = [
    (8.0, 300.0, True),
    (222.59, 111.3 * 3, True),  # three rotations of 5 mm
    (8.0, 3.0, False),  # dGy.cm
    (8.0, 0.3, False),  # Gy.cm
    (8.0, 4.2, False),  # mSv
    (0.008, 300.0, False),  # Gy
    (0.0, 300.0, True),  # no scan has 0: nothing to compare with
]


@pytest.mark.parametrize(("rule", "change"), BAD)
def test_one_rule(rule: str, change: dict[str, object]) -> None:
    judged = judge_plausibility(_table({}, change, {}), NOW)
    counted = dict(judged.attrition().select("rule", "rows").iter_rows())
    assert counted == dict.fromkeys(RULES, 0) | {rule: 1}
    kept = judged.kept.collect()
    assert len(kept) == (2 if rule in LEFT_OUT else 3)
    good = kept.filter(pl.col("exam_uid") != "1").drop("exam_uid", "patient_id")
    assert good.unique().height == 1
    if rule not in LEFT_OUT:
        row = kept.filter(pl.col("exam_uid") == "1").row(0, named=True)
        (column,) = change
        gone = {"exam_time", "exam_end_time"} if rule == "time_not_possible" else {column}
        assert all(row[name] is None for name in gone)
        assert {n: v for n, v in row.items() if n not in gone} == {
            n: v for n, v in (GOOD | {"exam_uid": "1"}).items() if n not in gone
        }


def test_exams_that_stand_twice() -> None:
    same, other = {"exam_uid": "7"}, {"exam_uid": "8"}
    judged = judge_plausibility(_table(same, other, same, same, other | {"patient_id": "b"}), NOW)
    counted = dict(judged.attrition().select("rule", "rows").iter_rows())
    assert counted["duplicate_exam"] == 3  # two of exam 7, one of exam 8
    assert counted["two_patients"] == 2
    assert judged.kept.collect()["exam_uid"].to_list() == ["7"]


def test_a_row_that_breaks_several_rules() -> None:
    bad = {"age_years": -1.0, "ctdivol_mgy": -1.0, "dlp_mgy_cm": 1e9}
    judged = judge_plausibility(_table(bad), NOW)
    assert judged.rows.collect()["rules"].to_list() == [
        ["age_not_possible", "negative_value", "absurd_value"]
    ]


def test_what_is_not_stated_is_not_wrong() -> None:
    empty = dict.fromkeys(set(GOOD) - {"exam_uid", "patient_id"})
    judged = judge_plausibility(
        pl.concat([_table({}), _table(empty).cast(_table({}).collect_schema())]).with_columns(
            exam_uid=pl.Series(["1", "2"])
        ),
        NOW,
    )
    assert judged.attrition()["rows"].sum() == 0


def test_few_columns_are_enough() -> None:
    judged = judge_plausibility(pl.LazyFrame({"exam_uid": ["1", "2"], "patient_id": ["a", None]}))
    assert judged.attrition()["rows"].sum() == 1


def test_a_million_rows_take_seconds() -> None:
    n = 1_000_000
    random = np.random.default_rng(1)
    rows = pl.LazyFrame(
        {
            "exam_uid": np.arange(n).astype(str),
            "patient_id": random.integers(0, n // 3, n).astype(str),
            "age_years": random.uniform(0, 90, n),
            "ctdivol_mgy": random.gamma(2, 5, n),
        }
    )
    judged = judge_plausibility(rows)
    assert judged.attrition()["rows"].sum() == 0
    assert judged.kept.select(pl.len()).collect().item() == n


def test_an_exam_of_two_devices_stands_once_on_each() -> None:
    """The catalog has a row for PET and one for CT: neither repeats the other."""
    pet, ct = {"exam_uid": "7", "modality": "PT"}, {"exam_uid": "7", "modality": "CT"}
    judged = judge_plausibility(_table(pet, ct, ct), NOW)
    counted = dict(judged.attrition().select("rule", "rows").iter_rows())
    assert counted["duplicate_exam"] == 1
    assert judged.kept.collect()["modality"].to_list() == ["PT", "CT"]
    one = judge_plausibility(_table(pet, ct, ct), NOW, one_row=["exam_uid"])
    assert one.kept.collect()["modality"].to_list() == ["PT"]


def test_rows_without_identifiers_are_counted_as_one_patient() -> None:
    judged = judge_plausibility(
        _table({"patient_id": None}, {"patient_id": None}, {"exam_uid": None})
    )
    rows = judged.rows.filter(pl.col("rules").list.contains("no_identifier")).collect()
    assert len(rows) == rows["exam_uid"].n_unique() == 3
    assert rows.filter(pl.col("patient_id") != "a")["patient_id"].n_unique() == 1


@pytest.mark.parametrize(("ctdivol", "dlp", "fits"), UNITS)
def test_doses_that_fit_no_scan(ctdivol: float, dlp: float, fits: bool) -> None:
    judged = judge_plausibility(_table({"ctdivol_mgy": ctdivol, "dlp_mgy_cm": dlp}), NOW)
    assert judged.rows.collect()["rules"].to_list() == [[] if fits else ["wrong_unit"]]
    kept = judged.kept.select("ctdivol_mgy", "dlp_mgy_cm").collect().row(0)
    assert kept == ((ctdivol, dlp) if fits else (None, None))


def test_an_absurd_dose_is_not_compared_with_another() -> None:
    judged = judge_plausibility(_table({"ctdivol_mgy": 1e6}), NOW)
    assert judged.rows.collect()["rules"].to_list() == [["absurd_value"]]
    assert judged.kept.collect()["dlp_mgy_cm"].item() == GOOD["dlp_mgy_cm"]


@pytest.mark.parametrize("kind", [pl.String(), pl.Categorical()])
def test_two_devices_with_one_serial_number(kind: pl.DataType) -> None:
    devices = [("A", "1"), ("B", "1"), ("A", "1"), ("C", "2"), ("D", None), ("E", None)]
    rows = _table(*({"station": station, "device_serial": serial} for station, serial in devices))
    judged = judge_plausibility(rows.cast({"station": kind, "device_serial": kind}), NOW)
    assert judged.kept.collect()["device_serial"].to_list() == [None] * 3 + ["2", None, None]
    told = judged.rows.collect()["rules"].to_list()
    assert told == [["shared_serial"]] * 3 + [[]] * 3


def test_what_was_kept_out_before_is_told_beside() -> None:
    faults = pl.DataFrame(
        [("0", "a", "wrong_unit"), ("9", "z", "unreadable_file"), (None, None, "unreadable_file"),
         (None, None, "unreadable_file"), ("1", "a", "negative_value")],
        schema=["exam_uid", "patient_id", "rule"], orient="row",
    )  # fmt: skip
    judged = judge_plausibility(_table({}, {"dlp_mgy_cm": -1.0}, {}), NOW, faults=faults)
    told = judged.rows.select("exam_uid", "rules").sort("exam_uid").collect()
    assert dict(told.iter_rows()) == {
        "0": ["wrong_unit"],
        "1": ["negative_value"],
        "2": [],
        "9": ["unreadable_file"],
        "no exam, file 2": ["unreadable_file"],
        "no exam, file 3": ["unreadable_file"],
    }
    assert len(judged.kept.collect()) == 3


@pytest.mark.parametrize("rule", ["two_patients", "duplicate_exam"])
def test_an_exam_that_was_left_out_before_is_left_out_of_what_is_kept(rule: str) -> None:
    faults = pl.DataFrame(
        [("0", "a", rule), ("9", "a", rule), ("2", "a", "duplicate_file")],
        schema=["exam_uid", "patient_id", "rule"], orient="row",
    )  # fmt: skip
    pet, ct = {"exam_uid": "0", "modality": "PT"}, {"exam_uid": "0", "modality": "CT"}
    judged = judge_plausibility(_table(pet, ct, {"modality": "CT"}), NOW, faults=faults)
    assert judged.kept.collect()["exam_uid"].to_list() == ["2"]
    counted = dict(judged.attrition().select("rule", "rows").iter_rows())
    assert counted == dict.fromkeys(RULES, 0) | {rule: 3, "duplicate_file": 1}


def test_a_fault_that_names_no_patient_is_of_the_one_whose_exam_it_is() -> None:
    told = [("0", None, "unreadable_file"), ("9", None, "wrong_unit")]
    faults = pl.DataFrame(told, schema=["exam_uid", "patient_id", "rule"], orient="row")
    judged = judge_plausibility(_table({}, {}), NOW, faults=faults)
    rows = judged.rows.select("exam_uid", "patient_id", "rules").sort("exam_uid").collect()
    assert rows.rows() == [
        ("0", "a", ["unreadable_file"]),
        ("1", "a", []),
        ("9", "no patient", ["wrong_unit"]),
    ]
