"""Functional groups: what a file of many frames says of each of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from workbench.imaging.element_value import items_of, numbers_of, text_of, texts_of, value_of
from workbench.imaging.geometry import SAME_COSINE, SAME_MM
from workbench.imaging.times import seconds_of
from workbench.imaging.volume_error import VolumeError
from workbench.pixels.decoding import read_pixel_info

if TYPE_CHECKING:
    import pydicom

    from workbench.imaging.frames import Frames

Floats = NDArray[np.float64]
# What is wanted of a frame -> group and attribute that hold it (DICOM PS3.3, C.7.6.16).
_PLACES: dict[str, tuple[str, str]] = {
    "position": ("PlanePositionSequence", "ImagePositionPatient"),
    "orientation": ("PlaneOrientationSequence", "ImageOrientationPatient"),
    "spacing": ("PixelMeasuresSequence", "PixelSpacing"),
    "slope": ("PixelValueTransformationSequence", "RescaleSlope"),
    "intercept": ("PixelValueTransformationSequence", "RescaleIntercept"),
    "rescale_type": ("PixelValueTransformationSequence", "RescaleType"),
    "echo_time_ms": ("MREchoSequence", "EffectiveEchoTime"),
    "flip_angle_deg": ("MRTimingAndRelatedParametersSequence", "FlipAngle"),
    "inversion_time_ms": ("MRModifierSequence", "InversionTimes"),
    "b_value_s_mm2": ("MRDiffusionSequence", "DiffusionBValue"),
    "temporal_position": ("FrameContentSequence", "TemporalPositionIndex"),
    "offset_s": ("TemporalPositionSequence", "TemporalPositionTimeOffset"),
    "trigger_ms": ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    "acquired_s": ("FrameContentSequence", "FrameAcquisitionDateTime"),
    "reference_s": ("FrameContentSequence", "FrameReferenceDateTime"),
}
_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence")
_GRID = "GridFrameOffsetVector"
MOST_FRAMES = 200_000
"""Frames that do not say where they lie, and are still counted one by one."""


def read_multiframe(paths: Sequence[str]) -> Frames:
    """Read what files of many frames say of each frame.

    A group of one frame goes before the group that all frames share, and that before the
    attribute of the file (DICOM PS3.3, C.7.6.16.1).

    Parameters
    ----------
    paths
        Files of one series.

    Raises
    ------
    VolumeError
        If a file has no group for each of its frames, or what it says of them cannot be read.
    """
    from workbench.imaging.frames import (
        KEYS,
        Frames,
        acquired_keys,
        is_localiser,
        kind_of,
        read_header_of,
        rescale_type,
    )

    headers = [read_header_of(path) for path in paths]
    found: list[dict[str, Any]] = []
    for number, (path, header) in enumerate(zip(paths, headers, strict=True)):
        # The header alone may claim any number; this one is held against the pixels.
        info = read_pixel_info(path, follow_links=False)
        size = info.rows, info.columns
        zone = value_of(header, "TimezoneOffsetFromUTC")
        for index, frame in enumerate(_frames_of(header, info.frames)):
            found.append(frame | {"file": number, "index": index, "size": size, "zone": zone})

    def column(name: str, length: int = 1, missing: float = np.nan) -> Floats:
        rows = np.array([_numbers(f.get(name), length, missing) for f in found])
        return rows[:, 0] if length == 1 else rows

    keys = [name for name in (*KEYS, "offset_s") if name in _PLACES]
    zones = [f["zone"] for f in found]
    reference = [seconds_of(f.get("reference_s"), z) for f, z in zip(found, zones, strict=True)]
    directions = np.array([_numbers(f.get("direction"), 3, np.nan) for f in found])
    return Frames(
        paths=tuple(paths),
        header=headers[0],
        file=np.array([f["file"] for f in found]),
        index=np.array([f["index"] for f in found]),
        offset=np.full(len(found), -1),
        position=column("position", 3),
        orientation=column("orientation", 6),
        spacing=column("spacing", 2),
        size=np.array([f["size"] for f in found], dtype=np.int64),
        slope=column("slope", missing=1.0),
        intercept=column("intercept", missing=0.0),
        rescale_type=np.array(
            [
                rescale_type(*(f.get(n) for n in ("slope", "intercept", "rescale_type")))
                for f in found
            ]
        ),
        kind=np.array([f["component"] or kind_of(f["type"]) for f in found]),
        localiser=np.array([is_localiser(f["type"]) for f in found]),
        keys={name: column(name) for name in keys}
        | acquired_keys([f.get("acquired_s") for f in found], zones)
        | {"reference_s": np.array(reference)}
        | {f"direction_{a}": directions[:, i] for i, a in enumerate("xyz")},
        close=True,
    )


def _frames_of(header: pydicom.Dataset, count: int) -> Iterator[dict[str, Any]]:
    shared = items_of(header, "SharedFunctionalGroupsSequence")[:1]
    each = items_of(header, "PerFrameFunctionalGroupsSequence")
    if not each:
        yield from _frames_without_groups(header, count)
        return
    if len(each) != count:
        raise VolumeError("bad_geometry", f"{len(each)} groups of attributes, {count} frames")
    for groups in each:
        scopes = [groups, *shared]
        frame = {
            name: _look_up(scopes, header, sequence, keyword)
            for name, (sequence, keyword) in _PLACES.items()
        }
        frame["direction"] = _direction(scopes)
        item = next((t[0] for s in scopes for n in _TYPES if (t := items_of(s, n))), header)
        frame["type"] = texts_of(item, "FrameType") or texts_of(header, "ImageType")
        frame["component"] = text_of(item, "ComplexImageComponent")
        yield frame


def _frames_without_groups(header: pydicom.Dataset, count: int) -> Iterator[dict[str, Any]]:
    """Yield frames of an object without functional groups: one image, or a grid of dose.

    Source: DICOM PS3.3, C.8.8.3.2 (GridFrameOffsetVector), C.8.8.3 (DoseGridScaling).
    """
    frame = {name: value_of(header, keyword) for name, (_, keyword) in _PLACES.items()}
    if "DoseGridScaling" in header:
        frame["slope"] = value_of(header, "DoseGridScaling")
    frame["type"] = texts_of(header, "ImageType")
    frame["component"] = text_of(header, "ComplexImageComponent")
    if count == 1:
        yield frame
        return
    offsets = np.array(numbers_of(value_of(header, _GRID)))
    first, cosines = (np.array(numbers_of(frame[n])) for n in ("position", "orientation"))
    if len(offsets) != count or not len(first) or not len(cosines):
        if count > MOST_FRAMES:
            raise VolumeError("no_position", f"{count} images")
        for _ in range(count):
            yield frame | {"position": None}
        return
    whole = np.isfinite(np.concatenate([offsets, first, cosines])).all()
    if first.shape != (3,) or cosines.shape != (6,) or not whole:
        raise VolumeError("bad_geometry", f"{_GRID}, a position or an orientation")
    normal = np.cross(cosines[:3], cosines[3:])
    step = normal
    if offsets[0] != 0:
        # Then they are the patient's z, which axial images alone may say.
        axial = np.hypot(*normal[:2]) <= SAME_COSINE
        if not axial or abs(offsets[0] - first[2]) > SAME_MM:
            raise VolumeError("bad_geometry", f"{_GRID} begins neither with 0 nor with z")
        step, offsets = np.array([0.0, 0.0, 1.0]), offsets - first[2]
    for offset in offsets:
        yield frame | {"position": (first + offset * step).tolist()}


def _look_up(scopes: list[Any], header: pydicom.Dataset, sequence: str, keyword: str) -> object:
    for scope in scopes:
        for item in items_of(scope, sequence)[:1]:
            value = value_of(item, keyword)
            if value not in (None, ""):
                return cast("object", value)
    return cast("object", value_of(header, keyword))


def _direction(scopes: list[Any]) -> object:
    for scope in scopes:
        for item in items_of(scope, "MRDiffusionSequence")[:1]:
            for inner in items_of(item, "DiffusionGradientDirectionSequence")[:1]:
                return cast("object", value_of(inner, "DiffusionGradientOrientation"))
    return None


def _numbers(value: object, length: int, missing: float) -> list[float]:
    """Return `length` numbers, `missing` where nothing is stored, NaN where they are no such."""
    numbers = numbers_of(value)
    if not numbers or value in ("", b""):
        return [missing] * length
    good = len(numbers) == length and not any(np.isnan(numbers))
    return numbers if good else [float("nan")] * length
