"""Selection: the series of an exam that a pipeline may use, by what it holds and where it lies.

A description is what somebody typed, and is not looked at. Two looks decide: the first at what the
headers say, which needs no pixels; the second at the volume itself, whose spacing, coverage and
plane come from positions, and whose values tell what is in it. What a header does not say passes
the first look, and is judged at the second.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import show
from workbench.pipelines.attrition import Refusal
from workbench.pipelines.requirement import PLANES, Range, Requirement

if TYPE_CHECKING:
    import polars as pl
    import xarray as xr

OBLIQUE = math.cos(math.radians(20.0))
"""Cosine between a normal and an axis of the body from which on the plane has its name."""
PROJECTIONS = (
    "LOCALIZER", "MINIP", "MIP", "PROJECTION IMAGE", "SCOUT", "SCREEN SAVE", "SECONDARY CAPTURE",
)  # fmt: skip
"""Words of ImageType that no volume to be judged by a model has."""
THINNED = 4
"""Values are looked at in every so many slices, rows and columns."""


@dataclass(frozen=True)
class Candidate:
    """Hold what the headers of one series say; what is not known is None.

    Parameters
    ----------
    series_uid
        The series.
    modality, image_type, contrast, kernel
        As stored; contrast is whether an agent is stated.
    orientation
        6 cosines.
    slices, spacing_mm, coverage_mm, thickness_mm, pixel_mm
        Of its slices.
    context
        Columns of the exam that go with a result, such as age_years.
    """

    series_uid: str
    modality: str | None = None
    image_type: str | None = None
    contrast: bool | None = None
    kernel: str | None = None
    orientation: tuple[float, ...] | None = None
    slices: int | None = None
    spacing_mm: float | None = None
    coverage_mm: float | None = None
    thickness_mm: float | None = None
    pixel_mm: float | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


def describe_series(instances: pl.LazyFrame) -> pl.DataFrame:
    """Return what `Candidate` holds of each series, one row each.

    Parameters
    ----------
    instances
        Rows of `workbench.dicom.columns.SCHEMA`.
    """
    import polars as pl

    from workbench.catalog.series import KEYS, summarise_series

    held = instances.collect()
    further = held.lazy().group_by(KEYS).agg(
        image_type=pl.col("image_type").drop_nulls().mode().sort().first(),
        orientation=pl.col("orientation").drop_nulls().first(),
        thickest=pl.col("slice_thickness_mm").max(),
    )  # fmt: skip
    return summarise_series(held).join(
        further.collect(), on=KEYS, how="left", nulls_equal=True, maintain_order="left"
    )


CONTEXT = ("age_years", "sex", "manufacturer", "exam_time")


def to_candidate(row: Mapping[str, Any]) -> Candidate:
    """Return one row of `describe_series` as a candidate."""
    one = row["slices"] is not None and (row["frames"] or 0) == row["instances"]
    slices, spacing = (row["slices"], row["spacing_mm"]) if one else (None, None)
    pixels = [p for p in (row["row_spacing_mm"], row["column_spacing_mm"]) if p is not None]
    agent = (row["contrast_agent"] or "").strip()
    return Candidate(
        series_uid=row["series_uid"],
        modality=row["modality"],
        image_type=row["image_type"],
        contrast=bool(agent) and agent.casefold() not in ("none", "no", "without"),
        kernel=row["convolution_kernel"],
        orientation=tuple(row["orientation"]) if row["orientation"] else None,
        slices=slices,
        spacing_mm=spacing,
        coverage_mm=slices * spacing if slices and spacing else None,
        thickness_mm=row["thickest"],
        pixel_mm=max(pixels, default=None),
        context={name: row[name] for name in CONTEXT}
        | {"slice_thickness_mm": row["thickest"], "kernel": row["convolution_kernel"]},
    )


def judge_header(  # noqa: PLR0911 - one return a reason
    candidate: Candidate, wanted: Requirement
) -> tuple[str, str] | None:
    """Return reason and detail why headers rule a series out, or None.

    Examples
    --------
    >>> judge_header(Candidate("1", modality="MR"), Requirement(modality=("CT",)))
    ('wrong_modality', 'MR')
    """
    held = candidate
    if wanted.modality and held.modality not in wanted.modality:
        return "wrong_modality", show(held.modality or "not stated", 16)
    words = [word.strip().upper() for word in (held.image_type or "").split("\\")]
    projection = next((word for word in words if word in PROJECTIONS), None)
    if projection:
        return "wrong_series", projection
    lacking = [w for w in wanted.image_type if held.image_type and w.upper() not in words]
    if lacking:
        return "wrong_series", f"without {lacking[0]}"
    if wanted.orientation and held.orientation:
        plane = plane_of(held.orientation)
        if plane != wanted.orientation:
            return "wrong_orientation", plane
    if wanted.kernels:
        kernel = (held.kernel or "").casefold()
        if kernel not in [k.casefold() for k in wanted.kernels]:
            return "wrong_kernel", show(held.kernel or "not stated", 32)
    if wanted.contrast is not None and bool(held.contrast) != wanted.contrast:
        return ("no_contrast" if wanted.contrast else "with_contrast"), ""
    return _judge_sizes(held, wanted)


def _judge_sizes(held: Candidate, wanted: Requirement) -> tuple[str, str] | None:
    for value, range_, reasons, unit in (
        (held.thickness_mm, wanted.thickness_mm, ("thin_slices", "thick_slices"), "mm thick"),
        (held.spacing_mm, wanted.spacing_mm, ("thin_slices", "thick_slices"), "mm apart"),
        (held.pixel_mm, wanted.pixel_mm, ("coarse_pixels", "coarse_pixels"), "mm a pixel"),
        (held.slices, wanted.slices, ("too_few_slices", "too_short"), "slices"),
        (held.coverage_mm, wanted.coverage_mm, ("too_short", "too_short"), "mm covered"),
    ):
        side = _outside(value, range_)
        if side is not None:
            return reasons[side], f"{value:.4g} {unit}"
    return None


def _outside(value: float | None, range_: Range | None) -> int | None:
    """Return 0 for below, 1 for above, None for inside or not known."""
    if value is None or range_ is None:
        return None
    low, high = range_
    if low is not None and value < low:
        return 0
    return 1 if high is not None and value > high else None


def plane_of(orientation: Sequence[float]) -> str:
    """Return the plane of slices: transverse, coronal, sagittal or oblique.

    Examples
    --------
    >>> plane_of([1, 0, 0, 0, 1, 0]), plane_of([1, 0, 0, 0, 0, -1])
    ('transverse', 'coronal')
    """
    normal = np.abs(np.cross(orientation[:3], orientation[3:]))
    axis = int(normal.argmax())
    return PLANES[axis] if normal[axis] >= OBLIQUE else "oblique"


def judge_volume(volume: xr.DataArray, wanted: Requirement) -> tuple[str, str] | None:
    """Return reason and detail why the geometry of a volume rules it out, or None; reads no voxel.

    Parameters
    ----------
    volume : xarray.DataArray, shape (..., z, y, x)
        As of `open_volume`.
    wanted
        What it must be.
    """
    from workbench.imaging.volume_grid import affine_of, orientation_of

    if volume.ndim != 3:
        return "several_volumes", ", ".join(f"{d} {n}" for d, n in volume.sizes.items())
    modality = volume.attrs.get("modality")
    if wanted.modality and modality not in (*wanted.modality, "OT", None):
        return "wrong_modality", show(modality, 16)
    if wanted.units and volume.attrs.get("units") != wanted.units:
        return "wrong_units", show(volume.attrs.get("units"), 16)
    affine = affine_of(volume)
    plane = plane_of(orientation_of(affine))
    if wanted.orientation and plane != wanted.orientation:
        return "wrong_orientation", plane
    column, row, apart = (float(np.linalg.norm(affine[:3, i])) for i in range(3))
    slices = volume.sizes["z"]
    held = Candidate(
        "", slices=slices, spacing_mm=apart, coverage_mm=slices * apart, pixel_mm=max(row, column)
    )
    return _judge_sizes(held, wanted)


def judge_content(volume: xr.DataArray, wanted: Requirement) -> tuple[str, str] | None:
    """Return reason and detail why the values of a volume rule it out, or None.

    Examples
    --------
    >>> import xarray as xr
    >>> from workbench.pipelines.requirement import Content
    >>> air = xr.DataArray(np.full((8, 8, 8), -1000), dims=("z", "y", "x"))
    >>> judge_content(air, Requirement(content=(Content(-950, -600, 0.05),)))
    ('wrong_content', '0.0 % between -950 and -600')
    """
    if not wanted.content:
        return None
    seen = np.asarray(volume[tuple(slice(None, None, THINNED) for _ in range(3))])
    for part in wanted.content:
        share = float(((seen >= part.low) & (seen <= part.high)).mean())
        if not part.least <= share <= part.most:
            detail = f"{100 * share:.1f} % between {part.low:g} and {part.high:g}"
            return "wrong_content", detail
    return None


def rank(candidates: Iterable[Candidate], wanted: Requirement) -> list[Candidate]:
    """Return candidates, the best first: kernel, then thin slices, coverage, and UID.

    Examples
    --------
    >>> both = [Candidate("1", spacing_mm=5.0), Candidate("2", spacing_mm=1.0)]
    >>> [candidate.series_uid for candidate in rank(both, Requirement())]
    ['2', '1']
    """
    order = [kernel.casefold() for kernel in wanted.kernels or ()]

    def key(held: Candidate) -> tuple[float, float, float, str]:
        kernel = (held.kernel or "").casefold()
        place = order.index(kernel) if kernel in order else len(order)
        apart = held.spacing_mm or held.thickness_mm or math.inf
        return place, apart, -(held.coverage_mm or 0.0), held.series_uid

    return sorted(candidates, key=key)


def select_series(
    exam_uid: str, candidates: Iterable[Candidate], wanted: Requirement
) -> tuple[list[Candidate], list[Refusal]]:
    """Return the series of an exam that pass the first look, the best first, and the others.

    Parameters
    ----------
    exam_uid
        The exam.
    candidates
        Its series.
    wanted
        What a series must be.
    """
    good, refused = [], []
    for candidate in candidates:
        found = judge_header(candidate, wanted)
        if found is None:
            good.append(candidate)
        else:
            refused.append(Refusal(exam_uid, candidate.series_uid, *found))
    return rank(good, wanted), refused
