"""Measure: the radiomic features of a region of a volume, as one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.errors import UsageError
from workbench.features.discretise import discretise
from workbench.features.histogram import measure_histogram
from workbench.features.intensity import measure_intensity, measure_local_intensity
from workbench.features.intensity_volume import measure_intensity_volume
from workbench.features.morphology import measure_shape, measure_spread
from workbench.features.names import FEATURES
from workbench.features.region import Region, cut_region
from workbench.features.settings import Settings
from workbench.imaging.mask_grid import find_box, read_mask, shared_spacing
from workbench.textures.glcm import measure_glcm
from workbench.textures.gldzm import measure_gldzm
from workbench.textures.glrlm import measure_glrlm
from workbench.textures.glszm import measure_glszm
from workbench.textures.neighbourhood import Features
from workbench.textures.ngldm import measure_ngldm
from workbench.textures.ngtdm import measure_ngtdm

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr

FEATURE_OUTCOMES = {
    "ok": "measured",
    "empty_mask": "the mask holds no voxel, or resampling left none",
    "empty_range": "no voxel of the region is within the range of values",
    "not_finite": "a voxel of the region is NaN or infinite",
    "one_voxel": "not defined for a region of one voxel",
    "constant": "not defined for a region of one value",
    "one_level": "not defined where all values fall into one bin",
    "flat": "not defined for a region without extent in all directions",
    "too_large": "would take more memory than is allowed",
    "undefined": "not defined for these values: a denominator is 0, or no voxels are neighbours",
}
"""Why a row of a feature table has a value, or none."""
_PREFIXES = {
    "morphology": "morph", "local_intensity": "loc", "intensity": "stat", "histogram": "ih",
    "intensity_volume": "ivh", "glcm": "cm", "glrlm": "rlm", "glszm": "szm", "gldzm": "dzm",
    "ngtdm": "ngt", "ngldm": "ngl",
}  # fmt: skip
_LEVELS = ("histogram", "glcm", "glrlm", "glszm", "gldzm", "ngtdm", "ngldm")
_SPREAD = ("morph_com", "morph_integ_int", "morph_moran_i", "morph_geary_c")


def measure_features(
    volume: xr.DataArray, mask: xr.DataArray, settings: Settings, *, label: int | None = None
) -> pl.DataFrame:
    """Measure radiomic features of a region by the definitions of the IBSI.

    Minimum-volume boxes and ellipsoids, and the area under the intensity-volume histogram, for
    which the IBSI has no consensus, are left out.

    Parameters
    ----------
    volume : xarray.DataArray, shape (z, y, x)
        As from `open_volume`; of a lazy one, only what lies about the region is read.
    mask : xarray.DataArray, shape (z, y, x)
        Whole numbers or bool on the same grid, as from `open_segmentation`.
    settings
        What is measured, and how levels are made.
    label : int or None
        The label of `mask` that makes the region; by default all that are not 0.

    Returns
    -------
    polars.DataFrame
        One row for each feature and aggregation: `family`, `code` (permanent identifier of the
        IBSI), `tag` (of its tables of reference values), `name`, `aggregation` (null where there
        is none), `value` (null where there is none), `unit`, `outcome` (a key of
        `FEATURE_OUTCOMES`).

    Raises
    ------
    ImageError
        If the mask lies on another grid, or either array is no volume.
    UsageError
        If `settings` name no bins for values that are no levels, or bins do not hold them.

    Notes
    -----
    Zwanenburg 2020, https://doi.org/10.1148/radiol.2020191145; reference manual arXiv:1612.07003.

    Examples
    --------
    >>> import xarray as xr
    >>> values = np.arange(27.0).reshape(3, 3, 3)
    >>> volume = xr.DataArray(values, dims=("z", "y", "x"), attrs={"affine": np.eye(4).tolist()})
    >>> table = measure_features(volume, volume > 3, Settings(("intensity",), bin_width=5))
    >>> table.select("code", "name", "value", "unit", "outcome").row(0)
    ('Q4LE', 'mean', 15.0, 'value', 'ok')
    """
    spacing = shared_spacing(volume, mask)
    labels = read_mask(mask)
    if volume.dtype.kind not in "buif":
        raise UsageError("The volume holds no numbers", where="volume", todo="Pass its values")
    inside = labels.astype(np.bool_, copy=False) if label is None else labels == label
    box = find_box(inside)
    if box is None:
        return _table({}, "empty_mask", settings, volume)
    region = cut_region(volume.data, inside, box, spacing, settings)
    if not region.shape.any():
        return _table({}, "empty_mask", settings, volume)
    measured: Features = {}
    if "morphology" in settings.families:
        measured |= measure_shape(region.crop())
    values = region.values[region.chosen]
    if not values.size:
        return _table(measured, "empty_range", settings, volume)
    if not np.isfinite(values).all():
        return _table(measured, "not_finite", settings, volume)
    levels = discretise(values, settings) if set(_LEVELS) & set(settings.families) else None
    for features in _measure(region, values, levels, measured.get("morph_volume"), settings):
        measured |= features
    return _table(measured, _reason(values, levels), settings, volume)


def _measure(
    region: Region,
    values: NDArray[np.float64],
    found: NDArray[np.int64] | None,
    volume: float | None,
    settings: Settings,
) -> Iterator[Features]:
    """Yield the features that depend on values."""
    families = settings.families
    if "local_intensity" in families:
        yield measure_local_intensity(region)
    if "intensity" in families:
        yield measure_intensity(values)
    if "intensity_volume" in families:
        yield measure_intensity_volume(values, settings)
    region = region.crop()
    if volume is not None:
        yield measure_spread(region, volume)
    if found is None:
        return
    levels = np.zeros(region.shape.shape, np.int64)
    levels[region.chosen] = found
    if "histogram" in families:
        yield measure_histogram(found)
    ways: dict[str, tuple[tuple[str, ...], Callable[[str], Features]]] = {
        "glcm": (settings.aggregations, lambda way: measure_glcm(levels, way)),
        "glrlm": (settings.aggregations, lambda way: measure_glrlm(levels, way)),
        "glszm": (settings.dimensions, lambda way: measure_glszm(levels, way)),
        "gldzm": (settings.dimensions, lambda way: measure_gldzm(levels, region.shape, way)),
        "ngtdm": (settings.dimensions, lambda way: measure_ngtdm(levels, way)),
        "ngldm": (settings.dimensions, lambda way: measure_ngldm(levels, way, settings.coarseness)),
    }
    for family, (aggregations, measure) in ways.items():
        for way in aggregations if family in families else ():
            yield {f"{tag}_{way}": value for tag, value in measure(way).items()}


def _reason(values: NDArray[np.float64], levels: NDArray[np.int64] | None) -> str:
    """Return why a feature may have no value."""
    if values.size == 1:
        return "one_voxel"
    if values.min() == values.max():
        return "constant"
    return "one_level" if levels is not None and levels.min() == levels.max() else "undefined"


def _table(
    measured: Features, reason: str, settings: Settings, volume: xr.DataArray
) -> pl.DataFrame:
    import polars as pl

    unit = str(volume.attrs.get("units", "value"))
    rows = []
    for family, tag, aggregation in _expected(settings):
        value = measured.get(tag if aggregation is None else f"{tag}_{aggregation}", np.nan)
        feature = FEATURES[tag]
        if tag in ("ivh_i10", "ivh_i90", "ivh_diff_i10_i90") and settings.volume_bins:
            feature = feature._replace(unit="1")
        known = bool(np.isfinite(value))
        outcome = "ok" if known else _outcome(tag, reason)
        rows.append(
            (
                family, feature.code, tag, feature.name, aggregation, value if known else None,
                feature.unit.replace("value", unit), outcome,
            )
        )  # fmt: skip
    columns = ["family", "code", "tag", "name", "aggregation", "value", "unit", "outcome"]
    types = {name: pl.Float64 if name == "value" else pl.String for name in columns}
    return pl.DataFrame(rows, schema=types, orient="row")


def _expected(settings: Settings) -> Iterator[tuple[str, str, str | None]]:
    """Yield family, tag and aggregation of each row, in the manual's order."""
    for family, prefix in _PREFIXES.items():
        if family not in settings.families:
            continue
        ways: tuple[str | None, ...] = (None,)
        if family in ("glcm", "glrlm"):
            ways = settings.aggregations
        elif prefix in ("szm", "dzm", "ngt", "ngl"):
            ways = settings.dimensions
        tags = [tag for tag in FEATURES if tag.startswith(prefix + "_")]
        yield from ((family, tag, way) for way in ways for tag in tags)


def _outcome(tag: str, reason: str) -> str:
    if tag.startswith("morph_") and tag not in _SPREAD and reason != "empty_mask":
        return "flat"
    if reason in ("one_level", "undefined"):
        if tag in ("morph_moran_i", "morph_geary_c"):
            return "too_large"
        if not tag.startswith(("ih_", "cm_", "ngt_")):
            return "undefined"
    return reason
