"""Volume plan: all that is known of a volume before its pixels are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import UsageError, show, suggest
from workbench.imaging.dimensions import Axis, split_dimensions
from workbench.imaging.element_value import items_of, text_of, value_of
from workbench.imaging.frames import Frames, Series, read_frames
from workbench.imaging.geometry import Grid, place_slices
from workbench.imaging.mosaic import is_mosaic, split_mosaics
from workbench.imaging.scaling import choose_dtype, read_lookup
from workbench.imaging.suv import body_weight_factor
from workbench.imaging.tilt import Straightened, straighten
from workbench.imaging.times import Moment
from workbench.imaging.volume_error import VolumeError
from workbench.imaging.volume_grid import frame_name
from workbench.imaging.voxels import Tiles, Voxels
from workbench.pixels.decoding import PixelInfo, read_pixel_info

if TYPE_CHECKING:
    import pydicom

_PET_UNITS = {"BQML": "Bq/ml", "CNTS": "counts", "GML": "SUV"}
SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""SOP classes of segmentations (DICOM PS3.4, B.5)."""
_OPTIONS = {
    "tilt": ("refuse", "resample"),
    "mosaic": ("refuse", "split"),
    "units": ("SUV",),
    "dtype": ("int32", "float32", "float64"),
}


@dataclass(frozen=True)
class VolumePlan:
    """Hold all that is known of a volume before its pixels are read.

    Parameters
    ----------
    source
        What reads the pixels.
    grid
        Where they lie.
    axes
        Dimensions before z.
    attrs
        Attributes.
    slow
        Whether pixels are compressed.
    """

    source: Voxels | Straightened
    grid: Grid
    axes: tuple[Axis, ...]
    attrs: dict[str, Any]
    slow: bool = False


def plan_volume(
    series: Series,
    *,
    tilt: str = "refuse",
    mosaic: str = "refuse",
    units: str | None = None,
    slices: int = 3,
    dtype: str | None = None,
) -> VolumePlan:
    """Read the headers of a series, and plan how its pixels make a volume.

    Parameters
    ----------
    series, tilt, mosaic, units, slices, dtype
        As for `open_volume`.

    Raises
    ------
    VolumeError
        If the images do not make a volume.
    UsageError
        If an option is not known.
    """
    _check_options(tilt=tilt, mosaic=mosaic, units=units, dtype=dtype)
    frames, tiles = _read(series, mosaic)
    grid, place = _place(frames, slices, tilt)
    if len(frames) > grid.shape[0] and not frames.close:
        frames, tiles = _read(series, mosaic, closely=True)
    axes, table = split_dimensions(place, frames.kind, frames.keys)
    source, attrs = _plan_values(frames, table, units, dtype, tiles)
    slow = source.info.encapsulated
    attrs |= {"affine": grid.affine.tolist(), "orientation": grid.orientation.tolist()}
    attrs["tilt_resampled"] = tilt == "resample" and grid.is_sheared
    if frames.left_out:
        attrs["files_left_out"] = frames.left_out
    if not attrs["tilt_resampled"]:
        return VolumePlan(source, grid, axes, attrs, slow)
    if len(source.frame_shape) > 2:
        raise VolumeError("gantry_tilt", "images in colour are not resampled")
    straight, upright = straighten(source, grid)
    attrs.pop("padding", None)  # it is NaN now
    attrs |= {"gantry_tilt_deg": grid.tilt_deg, "affine": upright.affine.tolist()}
    return VolumePlan(straight, upright, axes, attrs, slow)


def _check_options(**options: str | None) -> None:
    for name, value in options.items():
        if value is not None and value not in _OPTIONS[name]:
            todo = suggest(str(value), _OPTIONS[name])
            raise UsageError(f"{name} cannot be {show(value)}", todo=todo)


def _read(series: Series, mosaic: str, *, closely: bool = False) -> tuple[Frames, Tiles | None]:
    frames = read_frames(series, closely=closely)
    if text_of(frames.header, "SOPClassUID") in SEGMENTATIONS:
        raise VolumeError("segmentation")
    if frames.localiser.any():
        detail = f"{int(frames.localiser.sum())} of {len(frames)} images"
        raise VolumeError("localiser", detail)
    if not is_mosaic(frames):
        return frames, None
    if mosaic == "refuse":
        raise VolumeError("mosaic", f"{len(frames)} images")
    return split_mosaics(frames)


def _place(frames: Frames, slices: int, tilt: str) -> tuple[Grid, NDArray[np.int64]]:
    return place_slices(
        frames.position, frames.orientation, frames.spacing, frames.size, slices=slices, tilt=tilt
    )


def _plan_values(
    frames: Frames,
    table: NDArray[np.int64],
    units: str | None,
    dtype: str | None,
    tiles: Tiles | None,
) -> tuple[Voxels, dict[str, Any]]:
    """Return what reads the values, and what they mean."""
    header = frames.header
    modality = text_of(header, "Modality")
    info = read_pixel_info(frames.paths[int(frames.file[0])], follow_links=False)
    slope, intercept = frames.slope, frames.intercept
    lookup = read_lookup(header)
    meant = _units(frames, modality)
    if units == "SUV":
        if modality != "PT":
            raise VolumeError("no_suv", "the modality is not PT")
        factor = body_weight_factor(header, _first_acquired(frames))
        slope, intercept, meant = slope * factor, intercept * factor, "SUV"
    if not np.isfinite([slope, intercept]).all():
        raise VolumeError("bad_geometry", "RescaleSlope or RescaleIntercept is no number")
    colour = info.samples > 1 or info.photometric == "PALETTE COLOR"
    if dtype is not None:
        held = np.dtype(dtype)
        if held.kind == "i" and (np.concatenate([slope, intercept]) % 1 != 0).any():
            raise VolumeError("overflow", "values are no whole numbers")
    elif lookup is not None:
        held = lookup.values.dtype
    elif colour:
        held = np.dtype(np.uint8 if info.bits_allocated <= 8 else np.uint16)
    else:
        held = choose_dtype(info, slope, intercept, modality)
    padding = None if colour or lookup is not None else _padding(header, info)
    source = Voxels(
        paths=frames.paths, table=table, file=frames.file, index=frames.index,
        offset=frames.offset, slope=slope, intercept=intercept, info=info, dtype=held,
        lookup=lookup, tiles=tiles,
        palette=header if info.photometric == "PALETTE COLOR" else None, padding=padding,
    )  # fmt: skip
    shade = "RGB" if colour else info.photometric
    attrs: dict[str, Any] = {"units": meant, "modality": modality, "photometric": shade}
    if space := frame_name(text_of(header, "FrameOfReferenceUID")):
        attrs["frame_of_reference"] = space
    # Where slices are rescaled in several ways, no value means padding in all of them.
    if padding and np.ptp(slope) == np.ptp(intercept) == 0:
        attrs["padding"] = sorted(float(end * slope[0] + intercept[0]) for end in padding)
    return source, attrs


def _units(frames: Frames, modality: str) -> str:
    """Return what values are in.

    Source: DICOM PS3.3, C.8.2.1 (CT), C.11.1.1.2 (RescaleType, ModalityLUTType), C.8.9.1 (Units of
    PET), C.8.8.3 (DoseUnits).
    """
    header = frames.header
    if modality == "CT" and _is_hounsfield(frames):
        return "HU"
    if modality == "PT":
        units = text_of(header, "Units")
        if units == "GML" and (text_of(header, "SUVType") or "BW") != "BW":
            return "arb"
        return _PET_UNITS.get(units, "arb")
    if modality == "RTDOSE" and text_of(header, "DoseUnits") == "GY":
        return "Gy"
    return "arb"


def _is_hounsfield(frames: Frames) -> bool:
    """Return whether the values of a CT are Hounsfield units: rescaled, or looked up, to them."""
    tables = items_of(frames.header, "ModalityLUTSequence")
    if tables:
        return text_of(tables[0], "ModalityLUTType") == "HU"
    return set(frames.rescale_type.tolist()) <= {"HU", ""}


def _padding(header: pydicom.Dataset, info: PixelInfo) -> tuple[int, int] | None:
    """Return the lowest and highest stored value that mean "no pixel here".

    Source: DICOM PS3.3, C.7.5.1.1.2.
    """
    value = value_of(header, "PixelPaddingValue")
    if value is None or not isinstance(value, int):
        return None
    limit = value_of(header, "PixelPaddingRangeLimit")
    ends = [int(value), int(limit) if isinstance(limit, int) else int(value)]
    if info.signed:
        # Many store it as US whatever the pixels are: the same bits, read as pixels are.
        half = 1 << (info.bits_allocated - 1)
        ends = [(end + half) % (2 * half) - half for end in ends]
    return min(ends), max(ends)


def _first_acquired(frames: Frames) -> Moment:
    seconds, zoned = frames.keys["acquired_s"], frames.keys["zoned"] > 0
    known = ~np.isnan(seconds)
    if not known.any():
        return Moment(float("nan"))
    if zoned[known].any() != zoned[known].all():
        raise VolumeError("no_suv", "only some images state their time zone")
    return Moment(float(seconds[known].min()), bool(zoned[known].all()))
