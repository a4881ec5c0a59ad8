"""Size-specific dose: CTDIvol for the size of the patient rather than of a phantom."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

SMALLEST_CM, LARGEST_CM = 8.0, 45.0
"""Diameters beyond are refused: the report gives factors for these alone."""
_FACTORS = {16.0: (1.874799, -0.03871313), 32.0: (3.704369, -0.03671937)}
"""Phantom (cm) -> a and b of a·exp(b·Dw) (AAPM Report 204, 2011)."""
REFUSALS = {
    "localizer": "a localizer: the factors are for tomographic scans",
    "no_ctdivol": "CTDIvol is missing",
    "no_phantom": "the phantom of CTDIvol is missing, or neither of 16 nor of 32 cm",
    "no_diameter": "the water-equivalent diameter is missing",
    "diameter_out_of_range": "the diameter is not between 8 and 45 cm",
}
"""Code -> sentence: why there is no size-specific dose."""
_LOCALIZER = "Constant Angle Acquisition"
Array = npt.NDArray[np.float64]


def size_factor(water_equivalent_diameter_cm: npt.ArrayLike, phantom_cm: npt.ArrayLike) -> Array:
    """Return the conversion factor from CTDIvol to the size-specific dose estimate.

    Source: AAPM Report 204 (2011); AAPM Report 220 (2014).

    Parameters
    ----------
    water_equivalent_diameter_cm, phantom_cm : array_like
        Diameters in cm.

    Returns
    -------
    ndarray of float
        NaN where the diameter is not between 8 and 45 cm, or the phantom not of 16 or 32 cm.

    Examples
    --------
    >>> size_factor([10, 20, 32, 46], 32).round(2).tolist(), size_factor(16, 16).round(2).item()
    ([2.57, 1.78, 1.14, nan], 1.01)
    """
    diameter, phantom = np.broadcast_arrays(
        np.asarray(water_equivalent_diameter_cm, np.float64), np.asarray(phantom_cm, np.float64)
    )
    factor = np.full(diameter.shape, np.nan)
    for size, (a, b) in _FACTORS.items():
        fits = (phantom == size) & (diameter >= SMALLEST_CM) & (diameter <= LARGEST_CM)
        factor[fits] = a * np.exp(b * diameter[fits])
    return factor


def water_equivalent_diameter(mean_hu: npt.ArrayLike, area_cm2: npt.ArrayLike) -> Array:
    """Return the diameter (cm) of the cylinder of water that attenuates like a slice.

    Source: AAPM Report 220 (2014).

    Parameters
    ----------
    mean_hu : array_like
        Mean CT number of the patient's cross section, in HU.
    area_cm2 : array_like
        Its area in cm².

    Examples
    --------
    >>> water_equivalent_diameter(0.0, np.pi * 15**2).item()
    30.0
    """
    water = np.asarray(mean_hu, np.float64) / 1000 + 1
    return np.asarray(2 * np.sqrt(water * np.asarray(area_cm2, np.float64) / np.pi))


def fill_size_specific_dose(events: pl.DataFrame) -> pl.DataFrame:
    """Return events with `ssde_mgy` where it can be computed, and why not where it cannot.

    What a report states is kept. Else SSDE = CTDIvol · factor of diameter and phantom.

    Source: AAPM Reports 204 (2011) and 220 (2014).

    Parameters
    ----------
    events
        Events of `DoseTables`.

    Returns
    -------
    polars.DataFrame
        With `ssde_source` (`report`, `computed` or null) and `ssde_refusal` (key of `REFUSALS`, or
        null; null too for what is not CT).

    Examples
    --------
    >>> event = {"ssde_mgy": None, "ctdivol_mgy": 10.0, "phantom_cm": 32.0, "modality": "CT",
    ...          "water_equivalent_diameter_cm": 25.0, "acquisition_type": "Spiral Acquisition"}
    >>> made = fill_size_specific_dose(pl.DataFrame([event]))
    >>> made.select(pl.col("ssde_mgy").round(1), "ssde_source").row(0)
    (14.8, 'computed')
    """
    diameter, phantom, ctdivol = (
        pl.col(n).cast(pl.Float64)
        for n in ("water_equivalent_diameter_cm", "phantom_cm", "ctdivol_mgy")
    )
    asked = (pl.col("modality") == "CT") & pl.col("ssde_mgy").is_null()
    refusal = (
        pl.when(~asked)
        .then(pl.lit(None, pl.String))
        .when(pl.col("acquisition_type") == _LOCALIZER)
        .then(pl.lit("localizer"))
        .when(ctdivol.is_null())
        .then(pl.lit("no_ctdivol"))
        .when(~phantom.is_in(list(_FACTORS)).fill_null(value=False))
        .then(pl.lit("no_phantom"))
        .when(diameter.is_null())
        .then(pl.lit("no_diameter"))
        .when(~diameter.is_between(SMALLEST_CM, LARGEST_CM))
        .then(pl.lit("diameter_out_of_range"))
    )
    factor = size_factor(
        events["water_equivalent_diameter_cm"].cast(pl.Float64).fill_null(float("nan")).to_numpy(),
        events["phantom_cm"].cast(pl.Float64).fill_null(float("nan")).to_numpy(),
    )
    made = asked & pl.col("ssde_refusal").is_null()
    computed = ctdivol * pl.Series("factor", factor)
    source = pl.when(made).then(pl.lit("computed"))
    stated = pl.when(pl.col("ssde_mgy").is_not_null()).then(pl.lit("report"))
    return events.with_columns(ssde_refusal=refusal).with_columns(
        ssde_source=source.otherwise(stated),
        ssde_mgy=pl.when(made).then(computed).otherwise(pl.col("ssde_mgy").cast(pl.Float64)),
    )
