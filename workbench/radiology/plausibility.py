"""Plausibility: which values of an acquisition can be believed; each rule is named and counted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from workbench.dicom.rows import OLDEST
from workbench.dose_reports.limits import EARLIEST, latest_time
from workbench.dose_reports.resource_table import read_resource_table
from workbench.dose_reports.tables import UNREADABLE
from workbench.radiology.equipment import LONGEST_MIN
from workbench.radiology.reported_doses import DUPLICATE_FILE

RULES: Mapping[str, str] = {
    UNREADABLE: "a file, or a dose report, that cannot be read or has the UID of another: left out",
    DUPLICATE_FILE: "a file stands twice with the same content: it counts once",
    "no_identifier": "exam or patient is not stated: left out",
    "two_patients": "two patients claim the exam: left out",
    "duplicate_exam": "the exam stands before, on the same device or under another UID: left out",
    "time_not_possible": "a time before 1980 or after the table was made: the times are missing",
    "ends_before_start": "the exam ends before it starts: its end is missing",
    "takes_too_long": "the exam takes longer than 12 hours: its end is missing",
    "age_not_possible": "an age below 0 or above 130 years: it is missing",
    "negative_value": "a number below 0: it is missing",
    "absurd_value": "a number beyond the limits of doses and sizes: it is missing",
    "not_a_number": "a text where a dose report has a number: it is missing",
    "unknown_unit": "a unit in a dose report that nobody knows: its number is missing",
    "wrong_unit": "a unit of another quantity, or CTDIvol and DLP that fit no scan: missing",
    "shared_serial": "two devices state one serial number: it is missing",
}
"""Rule -> what it does, in the order in which they are told."""
LEFT_OUT = ("no_identifier", "two_patients", "duplicate_exam")
"""Rules by which a row is left out as a whole."""
SCAN_CM = "scan_length_cm"
"""Row of `dose_limits` that says which lengths a scan can have: DLP over CTDIvol (IEC 60601-2-44).
Beyond, one of the two is in another unit, as Gy, dGy.cm, or mSv; nobody can say which."""
_ROW = "row number"
ONE_ROW = ("exam_uid", "modality", "station", "device_serial")
"""Columns that tell the rows of an exam apart: one of PET and CT has two."""


@dataclass(frozen=True)
class Judged:
    """Hold acquisitions after the rules.

    Parameters
    ----------
    rows
        All rows, with values that cannot be believed taken out, and `rules`: those that took
        something out, or the row itself. A row without an exam is an exam of its own here; all
        without a patient are of one patient, so that nothing is told of them.
    kept
        The rows that are not left out, without `rules`.
    """

    rows: pl.LazyFrame
    kept: pl.LazyFrame

    def attrition(self) -> pl.DataFrame:
        """Return how many rows each rule touched.

        Returns
        -------
        polars.DataFrame
            rule, rows, what.
        """
        counted = self.rows.select(pl.col("rules").explode()).group_by("rules").agg(rows=pl.len())
        found = dict(counted.collect().iter_rows())
        rows = [(rule, int(found.get(rule, 0)), what) for rule, what in RULES.items()]
        schema = {"rule": pl.String(), "rows": pl.Int64(), "what": pl.String()}
        return pl.DataFrame(rows, schema, orient="row")


def judge_plausibility(
    table: pl.LazyFrame,
    as_of: dt.datetime | None = None,
    *,
    one_row: Sequence[str] = ONE_ROW,
    faults: pl.DataFrame | None = None,
) -> Judged:
    """Apply the rules to acquisitions, or to another table with rows of exams.

    Parameters
    ----------
    table
        exam_uid, patient_id and any of the columns that the rules speak of, by the names of
        `acquisitions.COLUMNS`.
    as_of
        When the table was made, by the clock of the devices; tomorrow by default.
    one_row
        Columns of which no two rows share all values, as far as they are there; of rows that do,
        the first is kept.
    faults
        exam_uid, patient_id and rule of what was kept out before, `Acquisitions.faults`: told
        beside what is found here. By the rules of `LEFT_OUT` all rows of the exam are left out.

    Returns
    -------
    Judged

    Examples
    --------
    >>> rows = pl.LazyFrame({"exam_uid": ["1", "1", "2"], "patient_id": ["a", "a", "b"],
    ...                      "age_years": [40.0, 40.0, 155.0], "ctdivol_mgy": [9.0, 9.0, -1.0]})
    >>> judged = judge_plausibility(rows)
    >>> judged.attrition().filter(pl.col("rows") > 0)["rule"].to_list()
    ['duplicate_exam', 'age_not_possible', 'negative_value']
    >>> judged.kept.collect().rows()
    [('1', 'a', 40.0, 9.0), ('2', 'b', None, None)]
    """
    held = list(table.collect_schema())
    again, claimed = _find_repeated(table, [name for name in one_row if name in held])
    table = table.with_row_index(_ROW)
    key = pl.col("exam_uid").hash(seed=0)
    named = pl.col("exam_uid").is_not_null() & pl.col("patient_id").is_not_null()
    never = pl.lit(value=False)
    broken = {
        "no_identifier": ~named,
        "two_patients": named & (key.is_in(claimed.implode()) if len(claimed) else never),
        "duplicate_exam": pl.col(_ROW).is_in(again.implode()) if len(again) else never,
    }
    for rule, exams in _find_left_out(faults).items():
        broken[rule] |= named & pl.col("exam_uid").cast(pl.String).is_in(exams)
    changed: dict[str, pl.Expr] = {}
    if "exam_time" in held:
        broken |= _time_rules(held, as_of or latest_time())
        wrong_time = broken["time_not_possible"]
        changed["exam_time"] = pl.when(~wrong_time).then("exam_time")
        if "exam_end_time" in held:
            wrong = wrong_time | broken["ends_before_start"] | broken["takes_too_long"]
            changed["exam_end_time"] = pl.when(~wrong).then("exam_end_time")
    if "age_years" in held:
        good = pl.col("age_years").is_between(0, OLDEST)
        broken["age_not_possible"] = ~good
        changed["age_years"] = pl.when(good).then("age_years")
    low, high = [], []
    for column, least, most in _limits(held):
        value = pl.col(column)
        changed[column] = pl.when(value.is_between(least, most)).then(value)
        low.append((value < least) & (value < 0))
        high.append((value > most) | ((value < least) & (value >= 0)) | value.is_nan())
    if low:
        broken |= {
            "negative_value": pl.any_horizontal(low),
            "absurd_value": pl.any_horizontal(high),
        }
    if {"ctdivol_mgy", "dlp_mgy_cm"} <= changed.keys():
        broken["wrong_unit"] = misfit = _find_misfit(changed["ctdivol_mgy"], changed["dlp_mgy_cm"])
        for column in ("ctdivol_mgy", "dlp_mgy_cm"):
            changed[column] = pl.when(~misfit.fill_null(value=False)).then(changed[column])
    if {"station", "device_serial"} <= set(held) and len(shared := _find_shared_serials(table)):
        serial = pl.col("device_serial")
        broken["shared_serial"] = serial.is_in(shared.implode())
        changed["device_serial"] = pl.when(~broken["shared_serial"]).then(serial)
    applied = [rule for rule in RULES if rule in broken]
    flags = [broken[rule].fill_null(value=False) for rule in applied]
    number = pl.sum_horizontal(flag.cast(pl.UInt16) * 2**place for place, flag in enumerate(flags))
    rules = pl.lit(_list_sets(applied)).gather(number)
    stand_in = pl.format("no exam, row {}", _ROW)
    rows = table.with_columns(**changed, rules=rules).with_columns(
        exam_uid=pl.coalesce(pl.col("exam_uid").cast(pl.String), stand_in),
        patient_id=pl.col("patient_id").cast(pl.String).fill_null("no patient"),
    )
    left_out = pl.any_horizontal(broken[rule].fill_null(value=False) for rule in LEFT_OUT)
    kept = table.filter(~left_out).with_columns(**changed)
    rows = rows.drop(_ROW)
    if faults is not None and len(faults):
        rows = _add_faults(rows, faults)
    return Judged(rows, kept.drop(_ROW))


def _find_left_out(faults: pl.DataFrame | None) -> dict[str, list[str]]:
    """Return the exams that were left out before, by rule."""
    if faults is None:
        return {}
    some = faults.drop_nulls("exam_uid").filter(pl.col("rule").is_in(LEFT_OUT))
    return dict(some.group_by("rule").agg(pl.col("exam_uid").unique()).iter_rows())


def _add_faults(rows: pl.LazyFrame, faults: pl.DataFrame) -> pl.LazyFrame:
    """Return rows with the rules that were broken before, and rows of exams that are not there.

    A fault that names no patient is of the one whose exam it is, if that is one.
    """
    stand_in = pl.format("no exam, file {}", pl.int_range(pl.len()))
    kind = pl.List(pl.Enum(list(RULES)))
    whose = (
        rows.group_by("exam_uid")
        .agg(pl.col("patient_id").unique().alias("known"))
        .filter(pl.col("known").list.len() == 1)
        .with_columns(pl.col("known").list.first())
    )
    told = (
        faults.lazy()
        .join(whose, on="exam_uid", how="left", maintain_order="left")
        .with_columns(
            pl.coalesce("exam_uid", stand_in),
            pl.coalesce("patient_id", "known", pl.lit("no patient")),
        )
        .group_by("exam_uid", "patient_id", maintain_order=True)
        .agg(pl.col("rule").unique(maintain_order=True).cast(kind.inner).alias("before"))
    )
    key = ["exam_uid", "patient_id"]
    both = pl.col("rules").cast(kind).list.set_union(pl.col("before").fill_null([]))
    beside = rows.join(told, on=key, how="left").with_columns(rules=both).drop("before")
    alone = told.join(rows.select(key), on=key, how="anti").rename({"before": "rules"})
    return pl.concat([beside, alone], how="diagonal")


def _find_misfit(ctdivol: pl.Expr, dlp: pl.Expr) -> pl.Expr:
    """Return whether CTDIvol and DLP, each possible, are those of no scan."""
    table = read_resource_table("dose_limits").filter(pl.col("column") == SCAN_CM)
    low, high = (float(table[name].item()) for name in ("low", "high"))
    return (ctdivol > 0) & (dlp > 0) & ~(dlp / ctdivol).is_between(low, high)


def _find_shared_serials(table: pl.LazyFrame) -> pl.Series:
    """Return the serial numbers that several stations state."""
    pairs = table.select("station", "device_serial").drop_nulls().unique()
    several = pairs.group_by("device_serial").len().filter(pl.col("len") > 1)
    return several.select("device_serial").collect(engine="streaming").to_series()


def _find_repeated(table: pl.LazyFrame, one_row: list[str]) -> tuple[pl.Series, pl.Series]:
    """Return the numbers of rows that repeat one, and hashes of exams that two patients claim."""
    named = table.with_row_index(_ROW).drop_nulls(["exam_uid", "patient_id"])
    exam, patient = (pl.col(name).hash(seed=0) for name in ("exam_uid", "patient_id"))
    hashes = np.sort(named.select(exam).collect(engine="streaming").to_series().to_numpy())
    repeated = pl.Series(np.unique(hashes[1:][hashes[1:] == hashes[:-1]]), dtype=pl.UInt64)
    if not len(repeated):
        return pl.Series(dtype=pl.UInt32), repeated
    others = [pl.col(name).hash(seed=0) for name in one_row if name != "exam_uid"]
    several = (
        named.filter(exam.is_in(repeated.implode()))
        .select(_ROW, *others, exam=exam, patient=patient)
        .collect(engine="streaming")
        .sort(_ROW)
    )
    first = several.drop(_ROW, "patient").to_struct().is_first_distinct()
    claims = several.group_by("exam").agg(several=pl.col("patient").n_unique() > 1)
    return several[_ROW].filter(~first), claims.filter("several")["exam"]


def _list_sets(rules: Sequence[str]) -> pl.Series:
    """Return every set of rules as a list, at the number of which each bit is a rule."""
    sets = [
        [rule for place, rule in enumerate(rules) if number >> place & 1]
        for number in range(2 ** len(rules))
    ]
    return pl.Series("rules", sets, pl.List(pl.Enum(list(RULES))))


def _time_rules(held: list[str], latest: dt.datetime) -> dict[str, pl.Expr]:
    start = pl.col("exam_time")
    wrong = ~start.is_between(EARLIEST, latest)
    if "exam_end_time" not in held:
        return {"time_not_possible": wrong}
    minutes = (pl.col("exam_end_time") - start).dt.total_seconds() / 60
    end_wrong = ~pl.col("exam_end_time").is_between(EARLIEST, latest + dt.timedelta(days=1))
    wrong = wrong.fill_null(value=False) | end_wrong.fill_null(value=False)
    return {
        "time_not_possible": wrong,
        "ends_before_start": ~wrong & (minutes < 0),
        "takes_too_long": ~wrong & (minutes > LONGEST_MIN),
    }


def _limits(held: list[str]) -> list[tuple[str, float, float]]:
    table = read_resource_table("dose_limits").select("column", "low", "high")
    return [(c, float(low), float(high)) for c, low, high in table.iter_rows() if c in held]
