"""Counting in polars by hand: labels, margins and the nodes of a tree of intervals."""

from __future__ import annotations

import itertools

import polars as pl

from benchmarks.peers.city_tables import DIMENSIONS, OUTPUTS, bands, codes, matches, nodes

col, when = pl.col, pl.when


def label(table: pl.DataFrame, column: str, dimension: str) -> pl.Series:
    """Return the codes of texts; each text is looked up once."""
    found, names = matches(dimension), codes(dimension)
    raw = table[column].unique().drop_nulls().cast(pl.String)
    to = pl.Series([found.get(r.strip().lower(), "other" if r.strip() else "missing") for r in raw])
    kind = pl.Enum(names)
    if not len(raw):
        return pl.repeat("missing", len(table), dtype=kind, eager=True).alias(dimension)
    return (
        table[column]
        .cast(pl.String)
        .replace_strict(raw, to, return_dtype=kind)
        .fill_null("missing")
        .alias(dimension)
    )


def band(column: str, dimension: str) -> pl.Expr:
    """Return the interval of a number."""
    edges, labels = DIMENSIONS[dimension]["edges"], bands(dimension)
    value = col(column)
    good = value.is_between(edges[0], DIMENSIONS[dimension]["maximum"])
    cut = value.cut(edges[1:], labels=labels, left_closed=True).cast(pl.String)
    text = when(value.is_null()).then(pl.lit("missing")).when(good).then(cut)
    return text.otherwise(pl.lit("other")).cast(pl.Enum([*labels, "other", "missing"]))


def subsets(by: list[str]) -> list[tuple[list[str], list[str]]]:
    """Return every choice of the dimensions that are kept, and those that become `all`."""
    return [
        ([d for d, k in zip(by, kept, strict=True) if k],
         [d for d, k in zip(by, kept, strict=True) if not k])
        for kept in itertools.product((True, False), repeat=len(by))
    ]  # fmt: skip


def count(rows: pl.DataFrame, by: list[str], *, one: bool) -> pl.DataFrame:
    """Return exams and patients by every subset of `by`.

    Where an exam has one row, rows are counted; otherwise exams are told apart.
    """
    exams = pl.len() if one else col("exam").n_unique()
    numbers = {"exams": exams.cast(pl.Int64), "patients": col("patient").n_unique().cast(pl.Int64)}
    found = [
        rows.lazy().group_by(kept).agg(**numbers) if kept else rows.lazy().select(**numbers)
        for kept, _ in subsets(by)
    ]
    return pl.concat([named(part, by) for part in pl.collect_all(found)])


def named(part: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Return a part of a table with all its labels; what it was not grouped by is `all`."""
    labels = [col(d).cast(pl.String) if d in part.columns else pl.lit("all").alias(d) for d in by]
    return part.select(*labels, pl.exclude(by))


def histogram(rows: pl.DataFrame, by: list[str], column: str, output: str) -> pl.DataFrame:
    """Return exams and patients at every node of the tree over the intervals of a number."""
    rows = rows.filter(col(column).is_not_null())
    edges = pl.Series([float(e) for e in OUTPUTS[output]["edges"]])
    leaf = edges.search_sorted(rows[column].cast(pl.Float64), side="right")
    rows = rows.select(*by, "patient", leaf=leaf)
    exams = rows.group_by(*by, "leaf").agg(exams=pl.len().cast(pl.Int64))
    found = []
    for level in nodes(output):
        names = pl.Series(level, dtype=pl.Enum([n for n in dict.fromkeys(level) if n is not None]))
        here = exams.with_columns(bin=names.gather(exams["leaf"])).drop_nulls("bin").lazy()
        who = rows.with_columns(bin=names.gather(rows["leaf"])).drop_nulls("bin").lazy()
        patients = col("patient").n_unique().cast(pl.Int64)
        parts = [
            here.group_by(*kept, "bin").agg(col("exams").sum())
            .join(who.group_by(*kept, "bin").agg(patients=patients), on=[*kept, "bin"])
            for kept, _ in subsets(by)
        ]  # fmt: skip
        found += [named(part, [*by, "bin"]) for part in pl.collect_all(parts)]
    return pl.concat(found)
