"""The tables of `studies/imaging_service` for the whole index, written by hand in polars alone.

It follows the same rules and gives the same numbers as the workbench, without it: no Summary, no
study, no cluster, no files in between. Each bucket holds whole patients, so its counts add up.
"""

from __future__ import annotations

import csv
import itertools
import tomllib
from pathlib import Path

import polars as pl

STUDY = Path(__file__).parents[2] / "studies" / "imaging_service"
DERIVED = [
    *("ANN", "ASMT", "DOC", "FID", "FUSION", "KO", "M3D", "PLAN", "PR", "REG", "RTDOSE", "RTPLAN"),
    *("RTRECORD", "RTSEGANN", "RTSTRUCT", "RWV", "SEG", "SMR", "SR", "STAIN", "TEXTUREMAP"),
]
EMPTY = ["", "NA", "N/A", "NAN", "NONE", "NULL", "UNKNOWN", "UNSPECIFIED", "NOT SPECIFIED"]
PARTS = ["modality", "manufacturer", "model", "body_part"]
AGES = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
BUCKETS = 3
col = pl.col


def read_codes(name: str) -> dict[str, str]:
    """Return the code of each raw value."""
    with (STUDY / "codelists" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    matches = {m.casefold(): r["code"] for r in rows for m in r["matches"].split("|") if m}
    return matches | {r["code"].casefold(): r["code"] for r in rows}


def read_exams(index: Path) -> pl.DataFrame:
    """Return one row an exam."""
    series = pl.scan_parquet(index).select(
        exam="StudyInstanceUID", patient="PatientID", modality="Modality",
        manufacturer="Manufacturer", model="ManufacturerModelName", body_part="BodyPartExamined",
        description="StudyDescription", age="PatientAge", sex="PatientSex",
        images="instanceCount", bytes=(col("series_size_MB") * 1e6).round().cast(pl.Int64),
    )  # fmt: skip
    key = ["exam", "patient", *PARTS, "description", "age", "sex"]
    claims = series.group_by("exam").agg(n=col("patient").n_unique()).filter(col("n") > 1)
    image_series = series.filter(~col("modality").is_in(DERIVED))
    images, shared = pl.collect_all(
        [image_series.group_by(key).agg(col("images").sum(), col("bytes").sum()), claims],
        engine="streaming",
    )
    texts = [*PARTS, "description"]
    age, sex = col("age").str.strip_chars().str.to_uppercase(), col("sex").str.to_uppercase()
    years = age.str.head(-1).cast(pl.Float64, strict=False) * age.str.tail(1).replace_strict(
        AGES, default=None, return_dtype=pl.Float64
    )
    images = (
        images.lazy()
        .filter(~col("exam").is_in(shared["exam"].to_list()))
        .with_columns(col(c).str.strip_chars() for c in texts)
        .with_columns(
            *(
                pl.when(~col(c).str.to_uppercase().is_in(EMPTY)).then(col(c)).alias(c)
                for c in texts
            ),
            age=pl.when(years.is_between(0, 130)).then(years),
            sex=pl.when(sex.is_in(["F", "M", "O"])).then(sex),
        )
        .collect()
    )
    exams = (
        images.lazy()
        .group_by("exam", "patient")
        .agg(
            col("images").sum(),
            col("bytes").sum(),
            col("age").min(),
            spread=col("age").max() - col("age").min(),
            sex=col("sex").min(),
            sex2=col("sex").max(),
            description=col("description").is_not_null().any(),
            body_part=col("body_part").is_not_null().any(),
            parts=pl.struct("modality", "manufacturer", "model"),
        )
        .with_columns(
            age=pl.when(col("spread") <= 1).then(col("age")),
            sex=pl.when(col("sex") == col("sex2")).then(col("sex")),
        )
        .collect()
    )
    sexes = exams.group_by("patient").agg(known=col("sex").min(), other=col("sex").max())
    sexes = sexes.select("patient", known=pl.when(col("known") == col("other")).then(col("known")))
    # Integers are counted faster than texts.
    return (
        exams.join(sexes, on="patient")
        .drop("exam")
        .with_row_index("exam")
        .with_columns(col("patient").rank("dense"))
    )


def encode(column: str, name: str) -> pl.Expr:
    """Return the codes of raw texts."""
    code = col(column).str.to_lowercase().replace_strict(read_codes(name), default="other")
    return pl.when(col(column).is_not_null()).then(code).otherwise(pl.lit("missing")).alias(name)


def count(rows: pl.DataFrame, by: list[str], *more: pl.Expr, always: str = "") -> pl.DataFrame:
    """Return exams and patients by every subset of `by`; the other labels are `all`."""
    found = []
    for kept in itertools.product((True, False), repeat=len(by)):
        labels = [col(d) if k else pl.lit("all").alias(d) for d, k in zip(by, kept, strict=True)]
        keys = [*labels, *([always] if always else [])]
        found.append(
            rows.lazy()
            .group_by(keys)
            .agg(
                col("exam").n_unique().alias("exams"),
                col("patient").n_unique().alias("patients"),
                *more,
            )
        )
    return pl.concat(pl.collect_all(found))


def levels(bins: int) -> list[list[tuple[int, int] | None]]:
    """Return, for each level of the tree of halves, the run of bins that holds each bin."""
    found: list[list[tuple[int, int] | None]] = []
    runs = [(0, bins)]
    while runs:
        level: list[tuple[int, int] | None] = [None] * bins
        for start, stop in runs:
            level[start:stop] = [(start, stop)] * (stop - start)
        found.append(level)
        wide = [(a, (a + b) // 2, b) for a, b in runs if b - a > 1]
        runs = [r for a, middle, b in wide for r in ((a, middle), (middle, b))]
    return found


def histogram(rows: pl.DataFrame, column: str, edges: list[float]) -> pl.DataFrame:
    """Return exams and patients by modality at every node of the tree over the bins."""
    texts = ["-inf", *(str(int(e)) for e in edges), "inf"]
    bin_of = pl.Series([float(e) for e in edges]).search_sorted(
        rows[column].cast(float), side="right"
    )
    found = []
    for level in levels(len(edges) + 1):
        names = pl.Series([None if r is None else f"[{texts[r[0]]},{texts[r[1]]})" for r in level])
        at = rows.with_columns(bin=names.gather(bin_of)).filter(col("bin").is_not_null())
        found.append(count(at, ["modality"], always="bin"))
    return pl.concat(found)


def tables(exams: pl.DataFrame, outputs: dict[str, dict]) -> dict[str, pl.DataFrame]:
    """Return the tables of one bucket."""
    ages = outputs["age_band"]["edges"]
    bands = [f"[{a},{b})" for a, b in itertools.pairwise([*ages, "inf"])]
    parts = exams.explode("parts").unnest("parts")
    parts = parts.with_columns(encode(c, c) for c in ("modality", "manufacturer", "model"))
    once = parts.unique(["exam", "modality"])
    everybody = exams.with_columns(
        age_band=col("age")
        .cut(ages[1:], labels=bands, left_closed=True)
        .cast(pl.String)
        .fill_null("missing"),
        sex=col("known").fill_null("missing"),
    )
    stated = {"body_part": col("body_part"), "description": col("description")}
    stated |= {"age": col("age").is_not_null(), "sex": col("sex").is_not_null()}
    elements = [exams.filter(s).with_columns(element=pl.lit(e)) for e, s in stated.items()]
    nothing = exams.filter(~pl.any_horizontal(stated.values())).with_columns(
        element=pl.lit("missing")
    )
    square = (col("size") * col("size")).sum().alias("square")
    sized = once.with_columns(
        size=(col("bytes") / 1e6 / 0.01).round(mode="half_to_even").cast(pl.Int64)
    )
    return {
        "exams_by_modality": count(once, ["modality"]),
        "patients_by_age_sex": count(everybody, ["age_band", "sex"]),
        "devices": count(parts, ["manufacturer", "model"]),
        "images_per_exam": histogram(once, "images", outputs["images_per_exam"]["edges"]),
        "megabytes_per_exam": histogram(
            once.with_columns(megabytes=col("bytes") / 1e6),
            "megabytes",
            outputs["megabytes_per_exam"]["edges"],
        ),
        "size_of_exam": pl.concat(
            [
                count(sized, ["modality"], col("size").sum().alias("total"), square).filter(
                    col("modality") != "all"
                ),
                count(sized.unique("exam"), [], col("size").sum().alias("total"), square).select(
                    pl.lit("all").alias("modality"), "exams", "patients", "total", "square"
                ),
            ]
        ),
        "completeness": count(pl.concat([*elements, nothing]), ["element"]),
    }


def main(index: Path) -> dict[str, pl.DataFrame]:
    """Return the tables, their labels first."""
    study = tomllib.loads((STUDY / "study.toml").read_text(encoding="utf-8"))
    declared = {o["name"]: o for step in study["step"] for o in step["output"]} | study[
        "dimensions"
    ]
    exams = read_exams(index).with_columns(bucket=col("patient").hash(seed=0) % BUCKETS)
    parts = [tables(bucket, declared) for bucket in exams.partition_by("bucket", include_key=False)]
    found = {}
    for name in parts[0]:
        rows = pl.concat([p[name] for p in parts])
        labels = [c for c in rows.columns if rows[c].dtype == pl.String]
        found[name] = rows.group_by(labels).agg(pl.all().sum())
    return found
