"""The tables of a city-year written by hand in polars: one district after the other.

Identifiers become small numbers once, texts become enumerations once, and each table is counted
in one pass for each set of its margins.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import polars as pl

from benchmarks.peers.city_polars_counts import band, count, histogram, label
from benchmarks.peers.city_polars_devices import count_devices
from benchmarks.peers.city_tables import (
    AS_OF,
    EARLIEST,
    ELEMENTS,
    LIMITS,
    LONGEST_MIN,
    NEVER,
    OLDEST,
    ONE_ROW,
    SCAN_CM,
    codes,
)

col, when = pl.col, pl.when
EXAMS = ("exam_uid", "patient_id", "modality", "exam_time", "exam_end_time", "facility", "station",
         "device_serial", "manufacturer", "protocol", "age_years", *LIMITS)  # fmt: skip
REPORTS = ("exam_uid", "patient_id", "modality", "reader_group", "acquired_time",
           "preliminary_time", "final_time", *itertools.chain(*ELEMENTS.values()))  # fmt: skip
Tables = dict[str, pl.DataFrame]


def read(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    """Read a table with numbers in place of exams and patients."""
    table = (
        pl.scan_parquet(path)
        .select(*columns)
        .with_columns(exam=col("exam_uid").hash(), patient=col("patient_id").hash())
        .drop("exam_uid", "patient_id")
        .collect(engine="streaming")
    )
    return table.with_columns(
        patient=when(col("patient").is_not_null()).then(col("patient").rank("dense")),
    )


def leave_out(table: pl.DataFrame, one_row: list[str]) -> pl.DataFrame:
    """Add which rows have no exam or patient, are claimed by two patients, or repeat one."""
    table = table.with_row_index("row")
    named = table.select("row", "patient", *one_row).drop_nulls(["exam", "patient"])
    several = named.filter(col("exam").is_duplicated())
    claims = several.group_by("exam").agg(n=col("patient").n_unique()).filter(col("n") > 1)["exam"]
    again = several.filter(~pl.struct(one_row).is_first_distinct())["row"]
    return table.with_columns(
        no_identifier=col("exam").is_null() | col("patient").is_null(),
        two_patients=col("exam").is_in(claims.implode()).fill_null(value=False),
        duplicate_exam=col("row").is_in(again.implode()),
    ).with_columns(kept=~pl.any_horizontal("no_identifier", "two_patients", "duplicate_exam"))


def judge(exams: pl.DataFrame) -> pl.DataFrame:
    """Add which rule each row breaks, and take out what cannot be believed."""
    start, end, age = col("exam_time"), col("exam_end_time"), col("age_years")
    day = pl.duration(days=1)
    wrong = (~start.is_between(EARLIEST, AS_OF)).fill_null(value=False) | (
        ~end.is_between(EARLIEST, pl.lit(AS_OF) + day)
    ).fill_null(value=False)
    minutes = (end - start).dt.total_seconds() / 60
    low = [(col(c) < least) & (col(c) < 0) for c, (least, _) in LIMITS.items()]
    high = [(col(c) > most) | ((col(c) < least) & (col(c) >= 0)) | col(c).is_nan()
            for c, (least, most) in LIMITS.items()]  # fmt: skip
    flagged = exams.with_columns(
        time_not_possible=wrong,
        ends_before_start=(~wrong & (minutes < 0)).fill_null(value=False),
        takes_too_long=(~wrong & (minutes > LONGEST_MIN)).fill_null(value=False),
        age_not_possible=(~age.is_between(0, OLDEST)).fill_null(value=False),
        negative_value=pl.any_horizontal(low).fill_null(value=False),
        absurd_value=pl.any_horizontal(high).fill_null(value=False),
    )
    ctdivol, dlp = (when(col(c).is_between(*LIMITS[c])).then(col(c))
                    for c in ("ctdivol_mgy", "dlp_mgy_cm"))  # fmt: skip
    misfit = (ctdivol > 0) & (dlp > 0) & ~(dlp / ctdivol).is_between(*SCAN_CM)
    pairs = exams.select("station", "device_serial").drop_nulls().unique()
    shared = pairs.group_by("device_serial").len().filter(col("len") > 1)["device_serial"]
    flagged = flagged.with_columns(
        wrong_unit=misfit.fill_null(value=False),
        shared_serial=col("device_serial").is_in(shared.implode()).fill_null(value=False),
    )
    no_end = pl.any_horizontal("time_not_possible", "ends_before_start", "takes_too_long")
    return flagged.with_columns(
        exam_time=when(~col("time_not_possible")).then(start),
        exam_end_time=when(~no_end).then(end),
        age_years=when(~col("age_not_possible")).then(age),
        ctdivol_mgy=when(~col("wrong_unit")).then(ctdivol),
        dlp_mgy_cm=when(~col("wrong_unit")).then(dlp),
    )


def attrition(flagged: pl.DataFrame) -> pl.DataFrame:
    """Return exams and patients by the rule that they break."""
    named = flagged.select(
        "row", "exam", "patient",
        **{r: col(r) for r in codes("rule") if r not in ("other", "missing", *NEVER)},
    )  # fmt: skip
    # A row without an exam is an exam of its own; those without a patient are of one.
    named = named.with_columns(
        exam=col("exam").fill_null(col("row").cast(pl.UInt64)),
        patient=col("patient").fill_null(0),
    )
    rules = named.columns[3:]
    broken = [named.filter(r).select("exam", "patient", rule=pl.lit(r)) for r in rules]
    none = named.filter(~pl.any_horizontal(rules)).select("exam", "patient", rule=pl.lit("missing"))
    each = [
        part.select("rule", "exam", "patient")
        .group_by("rule")
        .agg(exams=col("exam").n_unique(), patients=col("patient").n_unique())
        for part in (*broken, none)
    ]
    every = named.select(
        rule=pl.lit("all"), exams=col("exam").n_unique(), patients=col("patient").n_unique()
    )
    return pl.concat([*each, every]).with_columns(col("exams", "patients").cast(pl.Int64))


def count_exams(kept: pl.DataFrame) -> Tables:
    """Return the tables of months and hours."""
    start = col("exam_time")
    months = [f"{y}-{m:02d}" for y in range(2020, 2024) for m in range(1, 13)]
    place = (start.dt.year().cast(pl.Int32) - 2020) * 12 + start.dt.month() - 1
    placed = kept.select(
        "exam",
        "patient",
        label(kept, "modality", "modality"),
        month=when(start.is_null()).then(49).when(place.is_between(0, 47)).then(place)
        .otherwise(48).cast(pl.UInt8).cat.to(pl.Enum([*months, "other", "missing"])),
        weekday=(start.dt.weekday() - 1).fill_null(8).cast(pl.UInt8)
        .cat.to(pl.Enum([*codes("weekday")])),
        hour=start.dt.hour().fill_null(25).cast(pl.UInt8).cat.to(pl.Enum([*codes("hour")])),
    )  # fmt: skip
    return {
        "exams_by_month": count(placed, ["month", "modality"], one=False),
        "exams_by_hour": count(placed, ["weekday", "hour"], one=False),
    }


def count_doses(kept: pl.DataFrame) -> Tables:
    """Return the tables of dose."""
    names = kept["facility"].unique().drop_nulls().cast(pl.String).sort()
    numbers = [f"{n:02d}" for n in range(1, len(names) + 1)]

    def same(name: str) -> pl.Expr:
        return when(col(name).n_unique() == 1).then(col(name).first())

    dlp = col("dlp_mgy_cm")
    doses = (
        kept.lazy()
        .filter(col("modality") == "CT")
        .with_columns(col("protocol", "facility").to_physical(), old_protocol="protocol",
                      old_facility="facility")
        .group_by("exam", "patient")
        .agg(
            rows=pl.len(),
            protocol=col("old_protocol").first(), p1=col("protocol").min(),
            p2=col("protocol").max(), p3=col("protocol").null_count(),
            facility=col("old_facility").first(), f1=col("facility").min(),
            f2=col("facility").max(), f3=col("facility").null_count(),
            age_years=col("age_years").min().cast(pl.Float64),
            ctdivol_mgy=col("ctdivol_mgy").max().cast(pl.Float64),
            dlp_mgy_cm=dlp.cast(pl.Float64).sum(), dlps=dlp.count(),
        )
        .with_columns(
            dlp_mgy_cm=when(col("dlps") > 0).then("dlp_mgy_cm"),
            protocol=when((col("p1") == col("p2")) & (col("p3") == 0)).then("protocol"),
            facility=when((col("f1") == col("f2")) & (col("f3") == 0)).then("facility"),
        )
        .collect()
    )  # fmt: skip
    doses = doses.with_columns(
        label(doses, "protocol", "protocol"),
        label(doses, "protocol", "drl_protocol"),
        facility=col("facility").cast(pl.String)
        .replace_strict(names, numbers, return_dtype=pl.String),
        age_group=band("age_years", "age_group"),
    )  # fmt: skip
    adults = doses.filter(col("age_years") >= 18)
    adults = adults.with_columns(label(adults, "facility", "facility"))
    both = ["protocol", "age_group"]
    return {
        "ctdivol": histogram(doses, both, "ctdivol_mgy", "ctdivol"),
        "dlp": histogram(doses, both, "dlp_mgy_cm", "dlp"),
        "dlp_of_facilities": histogram(
            adults, ["drl_protocol", "facility"], "dlp_mgy_cm", "dlp_of_facilities"
        ),
    }


def count_reports(reports: pl.DataFrame) -> Tables:
    """Return the tables of reports."""
    reports = reports.with_columns(label(reports, "reader_group", "reader_group"))
    begin, found = col("acquired_time"), {}
    outcome = pl.Enum(codes("outcome"))
    for name, end in (
        ("turnaround", col("final_time")),
        ("preliminary", pl.min_horizontal("preliminary_time", "final_time")),
    ):
        there = end.is_not_null() & (end <= AS_OF)
        until = when(there).then(end).otherwise(pl.lit(AS_OF))
        timed = (
            reports.lazy()
            .select(
                "exam", "patient", "reader_group",
                hours=(until - begin).dt.total_microseconds() / 3.6e9,
                outcome=when(there).then(pl.lit("event", outcome))
                .otherwise(pl.lit("censored", outcome)),
                late=begin > AS_OF,
            )
            .filter(
                col("hours").is_not_null() & ~col("late") & (
                    (col("outcome") == "censored") | col("hours").is_between(0, 24 * 365)
                )
            )
            .collect()
        )  # fmt: skip
        found[name] = histogram(timed, ["reader_group", "outcome"], "hours", name)
    return found | {"completeness_of_reports": describe(reports)}


def describe(reports: pl.DataFrame) -> pl.DataFrame:
    """Return exams and patients by element, state and reader group.

    A column says whether an exam, and then whether a patient, is in a cell: no row is repeated.
    """
    cells: dict[tuple[str, str], pl.Expr] = {}
    for element, columns in ELEMENTS.items():
        held = [
            col(c).is_not_null()
            & (col(c).is_not_nan() if c.endswith("value")
               else col(c).cast(pl.String).str.contains(r"\S"))
            for c in columns
        ]  # fmt: skip
        stated = pl.all_horizontal(held).fill_null(value=False)
        expected = col("modality") == "MG" if element == "category" else pl.lit(value=True)
        cells[element, "stated"] = expected & stated
        cells[element, "lacking"] = expected & ~stated
    names = {cell: " ".join(cell) for cell in cells}
    exams = reports.select("patient", "reader_group", **{names[c]: e for c, e in cells.items()})
    wider = {
        **{("all", s): [names[e, s] for e in ELEMENTS] for s in ("stated", "lacking")},
        **{(e, "all"): [names[e, s] for s in ("stated", "lacking")] for e in ELEMENTS},
        ("all", "all"): list(names.values()),
    }
    exams = exams.with_columns(pl.any_horizontal(c).alias(" ".join(n)) for n, c in wider.items())
    every = [" ".join(cell) for cell in (*cells, *wider)]
    patients = exams.group_by("patient", "reader_group").agg(col(every).any())
    both = patients.group_by("patient").agg(col(every).any())
    found = []
    for who, alone in ((exams, exams), (patients, both)):
        by_group = who.group_by("reader_group").agg(col(every).sum())
        one = alone.select(pl.lit("all").alias("reader_group"), col(every).sum())
        long = pl.concat([by_group.with_columns(col("reader_group").cast(pl.String)), one]).unpivot(
            every, index="reader_group"
        )
        found.append(long)
    made = found[0].join(found[1], on=["reader_group", "variable"]).select(
        report_element=col("variable").str.split(" ").list[0],
        state=col("variable").str.split(" ").list[1],
        reader_group="reader_group",
        exams=col("value").cast(pl.Int64),
        patients=col("value_right").cast(pl.Int64),
    )  # fmt: skip
    return made.filter(col("exams") > 0)


def main(data: Path, district: str) -> Tables:
    """Return all tables of a district."""
    exams = read(data / district / "exams.parquet", EXAMS)
    flagged = judge(leave_out(exams, ["exam", *ONE_ROW[1:]]))
    del exams
    found = {"attrition": attrition(flagged)}
    kept = flagged.filter("kept").select(
        "exam", "patient", "modality", "exam_time", "exam_end_time", "facility", "station",
        "manufacturer", "protocol", "age_years", "ctdivol_mgy", "dlp_mgy_cm",
    )  # fmt: skip
    del flagged
    found |= count_exams(kept)
    found |= count_devices(kept, pl.read_parquet(data / district / "devices.parquet"))
    found |= count_doses(kept)
    del kept
    reports = leave_out(read(data / district / "reports.parquet", REPORTS), ["exam"])
    return found | count_reports(reports.filter("kept"))
