"""Effective dose: what the DLP of a CT scan means for the risk of a population, roughly.

It is an estimate for a reference person, no dose of this patient: it serves to compare kinds of
exams and to add them up over a population (ICRP Publication 103, 2007).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl

from workbench.dose_reports.resource_table import read_resource_table, read_source
from workbench.errors import DefinitionError, suggest

FACTORS = "effective_dose_factors"
"""Table of factors, with age and phantom of each; `source` names where they come from."""
ADULT_YEARS = 18.0
REFUSALS = {
    "no_dlp": "the DLP is missing",
    "no_region": "the target region, or the body part, is missing",
    "no_factor": "the table has no factor for the target region",
    "no_age": "the age is missing",
    "no_phantom": "the phantom of the DLP is missing",
    "other_phantom": "the factor for this age is for the DLP of another phantom",
}
"""Code -> sentence: why there is no effective dose."""


def source() -> str:
    """Return the source of the factors, as a figure that is made with them must cite it."""
    return read_source(FACTORS)


def effective_dose_factor(region: str, age_years: float, phantom_cm: float) -> float:
    """Return k in mSv/(mGy·cm), NaN where the table has none for this phantom.

    Between the ages of the table (0, 1, 5, 10, adult from 18) k is interpolated linearly, if both
    are for the phantom of the scan. Where they are not, from 10 to 18 years of age, the factor of
    the age with the phantom of the scan is used: scanners measure the older of these as adults.

    Source: Shrimpton et al. (2004), PMC3326072, Table XII; AAPM Report 96 (2008), Table 3.

    Parameters
    ----------
    region
        `head`, `chest`, `abdomen-pelvis` or `trunk`.
    age_years
        Age at the exam.
    phantom_cm
        Diameter of the phantom of the DLP: 16 or 32.

    Raises
    ------
    DefinitionError
        If the table has no such region.

    Examples
    --------
    >>> round(443 * effective_dose_factor("chest", 50, 32), 1)
    6.2
    >>> effective_dose_factor("head", 3, 16), effective_dose_factor("chest", 3, 32)
    (0.00535, nan)
    """
    if region not in _factors():
        raise DefinitionError(
            "There is no factor for this region",
            where=f"{FACTORS}.csv",
            todo=suggest(region, _factors()),
        )
    ages, phantoms, ks = _factors()[region]
    age = min(float(age_years), ADULT_YEARS)
    if not age >= 0:
        return float("nan")
    upper = int(np.searchsorted(ages, age))
    lower = upper if ages[upper] == age else upper - 1
    fits = [i for i in (lower, upper) if phantoms[i] == phantom_cm]
    if not fits:
        return float("nan")
    if lower == upper or len(fits) == 1:
        return float(ks[fits[0]])
    share = (age - ages[lower]) / (ages[upper] - ages[lower])
    return float(round(ks[lower] + (ks[upper] - ks[lower]) * share, 12))


@cache
def _factors() -> dict[str, tuple[tuple[float, ...], ...]]:
    rows = read_resource_table(FACTORS).with_columns(pl.exclude("region").cast(pl.Float64))
    return {
        str(region): tuple(tuple(part[c]) for c in ("age_years", "phantom_cm", "k"))
        for (region,), part in rows.sort("age_years").partition_by("region", as_dict=True).items()
    }


def estimate_effective_dose(events: pl.DataFrame, exams: pl.DataFrame) -> pl.DataFrame:
    """Return the effective dose of each CT event, a population estimate, or why there is none.

    Parameters
    ----------
    events, exams
        Of `DoseTables`.

    Returns
    -------
    polars.DataFrame
        exam_uid, event_uid, region, age_years (a), phantom_cm (cm), dlp_mgy_cm (mGy·cm), k
        (mSv/(mGy·cm)), effective_dose_msv (mSv) and refusal (key of `REFUSALS`, or null).
    """
    regions = read_resource_table("dose_regions").select("region", target_region_code="code")
    rows = events.filter(pl.col("modality") == "CT").join(
        exams.select("exam_uid", "age_years"), on="exam_uid", how="left"
    )
    return _estimate(rows, regions, ("exam_uid", "event_uid"))


def estimate_exam_effective_dose(exams: pl.DataFrame) -> pl.DataFrame:
    """Return the effective dose of each CT exam of a table, by its body part and whole DLP.

    Coarser than `estimate_effective_dose`, for all scans of an exam are taken as one of its body
    part; for tables that hold no events.

    Parameters
    ----------
    exams
        exam_uid, modality, body_part (terms of DICOM PS3.16, Annex L), age_years (a), phantom_cm
        (cm), dlp_mgy_cm (mGy·cm): acquisitions that were judged by their plausibility.

    Returns
    -------
    polars.DataFrame
        As `estimate_effective_dose`, without event_uid, and with body_part.

    Examples
    --------
    >>> exams = pl.DataFrame({"exam_uid": ["1"], "modality": ["CT"], "body_part": ["CHEST"],
    ...     "age_years": [60.0], "phantom_cm": [32.0], "dlp_mgy_cm": [443.0]})
    >>> round(estimate_exam_effective_dose(exams)["effective_dose_msv"].item(), 1)
    6.2
    """
    regions = read_resource_table("dose_body_parts").select("region", "body_part")
    term = pl.col("body_part").cast(pl.String).str.strip_chars().str.to_uppercase()
    numbers = pl.col("age_years", "phantom_cm", "dlp_mgy_cm").cast(pl.Float64)
    rows = exams.filter(pl.col("modality").cast(pl.String) == "CT").with_columns(
        numbers, body_part=pl.when(term != "").then(term)
    )
    return _estimate(rows, regions, ("exam_uid", "body_part"))


def _estimate(
    rows: pl.DataFrame, regions: pl.DataFrame, identifiers: tuple[str, str]
) -> pl.DataFrame:
    """Return estimates of scans whose place is named by the column that `regions` translates."""
    (place,) = (name for name in regions.columns if name != "region")
    rows = rows.join(regions, on=place, how="left")
    keys = rows.select("region", "age_years", "phantom_cm").unique().drop_nulls()
    found = [effective_dose_factor(*key) for key in keys.rows()]
    factors = keys.with_columns(k=pl.Series(found, dtype=pl.Float64).fill_nan(None))
    rows = rows.join(factors, on=["region", "age_years", "phantom_cm"], how="left")
    checks = {
        "no_dlp": pl.col("dlp_mgy_cm").is_null(),
        "no_region": pl.col(place).is_null(),
        "no_factor": pl.col("region").is_null(),
        "no_age": pl.col("age_years").is_null(),
        "no_phantom": pl.col("phantom_cm").is_null(),
        "other_phantom": pl.col("k").is_null(),
    }
    refusals = [pl.when(check).then(pl.lit(code)) for code, check in checks.items()]
    return rows.select(
        *(*identifiers, "region", "age_years", "phantom_cm", "dlp_mgy_cm", "k"),
        effective_dose_msv=pl.col("dlp_mgy_cm") * pl.col("k"),
        refusal=pl.coalesce(refusals),
    )


def sum_effective_dose(estimates: pl.DataFrame) -> pl.DataFrame:
    """Return the effective dose of each exam, and how much of its DLP it does not cover.

    Parameters
    ----------
    estimates
        As `estimate_effective_dose` returns them.

    Returns
    -------
    polars.DataFrame
        exam_uid, effective_dose_msv (mSv, null if no event has one) and uncovered_mgy_cm, the DLP
        of events without an estimate (mGy·cm).
    """
    dose, dlp = pl.col("effective_dose_msv"), pl.col("dlp_mgy_cm")
    return (
        estimates.group_by("exam_uid")
        .agg(
            pl.when(dose.is_not_null().any()).then(dose.sum()).alias("effective_dose_msv"),
            dlp.filter(dose.is_null()).sum().alias("uncovered_mgy_cm"),
        )
        .sort("exam_uid")
    )
