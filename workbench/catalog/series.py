"""Series: one row a series, made of the rows of its instances, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import polars as pl

from workbench.dicom.columns import SCHEMA
from workbench.dicom.rows import read_age

KEYS = ("exam_uid", "patient_id", "series_uid")
"""What makes a series; one UID that two exams or patients claim is two series, both marked."""
SAME = tuple(
    name for name in (
        "modality", "sop_class", "transfer_syntax", "manufacturer", "model", "station",
        "device_serial", "software_version", "body_part", "exam_description", "series_description",
        "protocol", "series_number", "exam_time", "exam_time_source", "series_time",
        "series_time_source", "timezone_offset_min", "age", "age_years", "sex", "rows", "columns",
        "samples",
        "bits_allocated", "bits_stored", "signed", "photometric", "row_spacing_mm",
        "column_spacing_mm", "slice_thickness_mm", "gantry_tilt_deg", "frame_of_reference_uid",
        "kvp_kv", "convolution_kernel", "repetition_time_ms", "contrast_agent", "burned_in",
    ) if name in SCHEMA
)  # fmt: skip
"""Columns that all instances of a series should share: the smallest value that is stated."""
COSINES, MM = 4, 3
"""Decimals by which two orientations, and two positions in mm, are told apart."""
MADE = pl.Schema(
    {
        "instances": pl.Int64(),
        "frames": pl.Int64(),
        "megabytes": pl.Float64(),
        "orientations": pl.Int64(),
        "slices": pl.Int64(),
        "spacing_mm": pl.Float64(),
        "differing": pl.Int64(),
        "shared": pl.Boolean(),
    }
)
"""Columns that are made: instances and frames (1); megabytes of pixels, not compressed, null where
an instance does not say; orientations (1); slices (1), positions along the normal, and the median
spacing (mm) between them, of a series of one orientation; differing (1), columns of `SAME` in which
instances differ; shared, whether another exam or patient claims the series UID."""
SERIES = pl.Schema({n: SCHEMA[n] for n in (*KEYS, *SAME)} | dict(MADE))
"""Columns of the series table, in order."""


def summarise_series(instances: pl.DataFrame) -> pl.DataFrame:
    """Return one row a series.

    Parameters
    ----------
    instances
        Rows of `columns.SCHEMA`; file columns may be missing.

    Returns
    -------
    polars.DataFrame
        Columns of `SERIES`, sorted by exam, patient and series.

    Examples
    --------
    >>> rows = [{"exam_uid": "1", "patient_id": "p", "series_uid": "1.1", "modality": "CT",
    ...          "rows": n, "pixel_bytes": 500_000} for n in (512, 256)]
    >>> made = summarise_series(pl.DataFrame(rows, SCHEMA))
    >>> made.select("modality", "rows", "instances", "megabytes", "differing").row(0)
    ('CT', 256, 2, 1.0, 1)
    """
    placing, grouping, finishing = _steps()
    made = instances.with_columns(placing).group_by(KEYS).agg(grouping).with_columns(finishing)
    return made.sort(KEYS).select(pl.col(n).cast(t) for n, t in SERIES.items())


@cache
def _steps() -> tuple[list[pl.Expr], ...]:
    """Return what is made of instances, then of a series of them, then of the series."""
    depth = pl.sum_horizontal(
        pl.col("position").list.get(i, null_on_oob=True) * _normal(i) for i in range(3)
    )
    known = (pl.col("position").list.len() == 3) & (pl.col("orientation").list.len() == 6)
    turned = pl.col("orientation").list.eval(pl.element().round(COSINES)).hash()
    placing = [
        pl.when(known).then(depth.round(MM)).alias("_depth"),
        pl.when(pl.col("orientation").is_not_null()).then(turned).alias("_turned"),
    ]
    unknown = pl.col("pixel_bytes").null_count() > 0
    grouping = [
        *(pl.col(name).min() for name in SAME),
        *(pl.col(name).max().alias(f"{name} at most") for name in SAME),
        pl.len().alias("instances"),
        pl.col("frames").sum(),
        pl.when(~unknown).then(pl.col("pixel_bytes").sum() / 1e6).alias("megabytes"),
        pl.col("_turned").drop_nulls().n_unique().alias("orientations"),
        pl.col("_depth").drop_nulls().unique().sort().alias("_depths"),
    ]
    one = pl.col("orientations") == 1
    slices = pl.col("_depths").list.len()
    spacing = pl.col("_depths").list.diff().list.median()
    differs = (pl.col(n) != pl.col(f"{n} at most") for n in SAME)
    finishing = [
        pl.when(one & (slices > 0)).then(slices).alias("slices"),
        pl.when(one).then(spacing.round(MM)).alias("spacing_mm"),
        pl.sum_horizontal(d.fill_null(value=False) for d in differs).alias("differing"),
        (pl.len().over("series_uid") > 1).alias("shared"),
    ]
    return placing, grouping, finishing


def _normal(axis: int) -> pl.Expr:
    """Return one part of the normal of the slices: the product of its two directions."""
    row = [pl.col("orientation").list.get(n, null_on_oob=True) for n in range(6)]
    i, j = (axis + 1) % 3, (axis + 2) % 3
    return row[i] * row[3 + j] - row[j] * row[3 + i]


def as_stored(series: pl.LazyFrame, names: Iterable[str]) -> pl.LazyFrame:
    """Return series as `archive.Source.scan` does: ages as text in DICOM's notation.

    An age that is stored but is none, such as one without unit, gives way to one that is known.

    Parameters
    ----------
    series
        Rows of `SERIES`.
    names
        Columns to return.

    Examples
    --------
    >>> rows = pl.LazyFrame({"age": ["045Y", None, "45"], "age_years": [45.0, 30.5, 44.8]})
    >>> as_stored(rows, ["age_years"]).collect()["age_years"].to_list()
    ['045Y', '30.5Y', '44.8Y']
    """
    made = pl.concat_str(pl.col("age_years").cast(pl.String), pl.lit("Y"))
    stated = pl.when(read_age(pl.col("age")).is_not_null()).then(pl.col("age"))
    return series.with_columns(age_years=pl.coalesce(stated, made, "age")).select(list(names))
