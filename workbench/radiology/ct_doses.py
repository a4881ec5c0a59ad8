"""CT doses: one row an exam, as dose is compared between protocols, ages and facilities."""

from __future__ import annotations

import polars as pl

ADULT_YEARS = 18.0
"""Age from which on a patient is an adult."""
CHILD_BANDS = {"0": 0, "1-4": 1, "5-9": 5, "10-14": 10, "15-17": 15}
"""Bands of age of children -> first year (European Commission, Radiation Protection 185, 2018)."""


def number_facilities(acquisitions: pl.LazyFrame) -> pl.LazyFrame:
    """Return acquisitions with a number in place of the name of each facility.

    Parameters
    ----------
    acquisitions
        facility: any names.

    Returns
    -------
    polars.LazyFrame
        facility as "01", "02" and so on: the rank of its name among all of the site's, so that
        it means nothing elsewhere; null where none is stated.

    Examples
    --------
    >>> rows = pl.LazyFrame({"facility": ["West", None, "East", "West"]})
    >>> number_facilities(rows).collect()["facility"].to_list()
    ['02', None, '01', '02']
    """
    named = acquisitions.select(pl.col("facility").unique().cast(pl.String)).collect().to_series()
    names = named.drop_nulls().unique().sort()
    numbers = [f"{number:02d}" for number in range(1, len(names) + 1)]
    text = pl.col("facility").cast(pl.String)
    return acquisitions.with_columns(
        facility=text.replace_strict(names, numbers, default=None, return_dtype=pl.String)
    )


def take_ct_doses(acquisitions: pl.LazyFrame) -> pl.LazyFrame:
    """Return the dose of each CT exam.

    Parameters
    ----------
    acquisitions
        exam_uid, patient_id, modality, protocol, facility, age_years, ctdivol_mgy, dlp_mgy_cm:
        rows that were judged by their plausibility.

    Returns
    -------
    polars.LazyFrame
        One row an exam: exam_uid, patient_id, protocol, facility, age_years (the lowest);
        ctdivol_mgy, the largest of its rows, and dlp_mgy_cm, their sum; `adult`, whether it is of
        an adult (null where the age is not known); child_group, protocol and band of age of a
        child, as "CT_HEAD 1-4". An exam of several protocols has none.

    Examples
    --------
    >>> rows = pl.LazyFrame({"exam_uid": ["1", "1", "2"], "patient_id": ["a", "a", "b"],
    ...     "modality": ["CT", "CT", "MR"], "protocol": ["CT_HEAD", "CT_HEAD", "MR_HEAD"],
    ...     "facility": ["01"] * 3, "age_years": [40.0] * 3, "ctdivol_mgy": [50.0, 45.0, None],
    ...     "dlp_mgy_cm": [800.0, 100.0, None]})
    >>> doses = take_ct_doses(rows).collect()
    >>> doses.select("exam_uid", "ctdivol_mgy", "dlp_mgy_cm", "adult").rows()
    [('1', 50.0, 900.0, True)]
    """
    is_ct = pl.col("modality").cast(pl.String).str.strip_chars().str.to_uppercase() == "CT"
    one = [pl.col(name).cast(pl.String) for name in ("protocol", "facility")]
    same = [(name.min() == name.max()) & (name.null_count() == 0) for name in one]
    dlp = pl.col("dlp_mgy_cm")
    return (
        acquisitions.filter(is_ct)
        .group_by("exam_uid", "patient_id")
        .agg(
            *(pl.when(alike).then(name.min()) for name, alike in zip(one, same, strict=True)),
            pl.col("age_years").min(),
            pl.col("ctdivol_mgy").max(),
            pl.when(dlp.count() > 0).then(dlp.sum()).alias("dlp_mgy_cm"),
        )
        .with_columns(
            adult=pl.col("age_years") >= ADULT_YEARS,
            child_group=pl.when(pl.col("age_years") < ADULT_YEARS).then(
                pl.format("{} {}", "protocol", _band())
            ),
        )
    )


def _band() -> pl.Expr:
    firsts = {name: pl.col("age_years") >= first for name, first in CHILD_BANDS.items()}
    return pl.coalesce(pl.when(reached).then(pl.lit(n)) for n, reached in [*firsts.items()][::-1])
