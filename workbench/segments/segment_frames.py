"""Segment frames: the frames of a DICOM SEG, each where it stands in the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ImageError
from workbench.segments.structure_set import read_code

if TYPE_CHECKING:
    from pydicom import Dataset

_LEAVE_OUT = "Export the segmentation again, or leave it out"


@dataclass(frozen=True)
class SegmentFrames:
    """Say which frames a SEG has, and where they stand.

    Parameters
    ----------
    kind : str
        BINARY, FRACTIONAL or LABELMAP.
    names : dict of int to str
        Segment Number to Segment Label.
    codes : dict of int to list of str
        Segment Number to value, scheme and meaning of its Segmented Property Type.
    segments : sequence of int
        For each frame its Segment Number; 0 where a frame holds the numbers itself.
    affines : ndarray, shape (frames, 4, 4)
        For each frame, from (column, row, mm along the normal) to mm in the patient.
    shape : (int, int)
        Rows and columns of a frame.
    full : int
        Value of a voxel that wholly belongs, of a FRACTIONAL segmentation.
    """

    kind: str
    names: dict[int, str]
    codes: dict[int, list[str]]
    segments: Sequence[int]
    affines: NDArray[np.float64]
    shape: tuple[int, int]
    full: int

    def of(self, number: int) -> list[int]:
        """Return the frames that may hold voxels of a segment."""
        return [i for i, segment in enumerate(self.segments) if segment in {0, number}]

    def mask(self, stored: NDArray[Any], number: int, threshold: float) -> NDArray[np.bool_]:
        """Return where stored values belong to a segment."""
        if self.kind == "LABELMAP":
            belongs: NDArray[np.bool_] = stored == number
        elif self.kind == "FRACTIONAL":
            belongs = stored >= max(threshold * self.full, 1)
        else:
            belongs = stored > 0
        return belongs


def read_segment_frames(dataset: Dataset) -> SegmentFrames:
    """Return what the frames of a SEG are; pixels are not read.

    Source: DICOM PS3.3, C.8.20.2 (Segmentation Image), C.8.20.3 (functional groups), C.7.6.16.2
    (Pixel Measures, Plane Position, Plane Orientation).

    Parameters
    ----------
    dataset : pydicom.Dataset
        A SEG.

    Raises
    ------
    ImageError
        If segments or frames are not declared as they must be.
    """
    kind = str(dataset.get("SegmentationType", ""))
    if kind not in {"BINARY", "FRACTIONAL", "LABELMAP"}:
        raise ImageError("The segmentation is of no known type", todo=_LEAVE_OUT)
    names: dict[int, str] = {}
    codes: dict[int, list[str]] = {}
    for item in dataset.get("SegmentSequence") or []:
        number = int(item.get("SegmentNumber") or 0)
        if number in names:
            raise ImageError("Two segments have the same number", todo=_LEAVE_OUT)
        if number == 0:  # the background of a LABELMAP
            continue
        names[number] = str(item.get("SegmentLabel") or "").strip()
        code = read_code(item.get("SegmentedPropertyTypeCodeSequence"))
        if code:
            codes[number] = code
    segments, affines = [], []
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    for own in dataset.get("PerFrameFunctionalGroupsSequence") or []:
        segments.append(0 if kind == "LABELMAP" else _segment(own, shared))
        affines.append(_affine(own, shared))
    if not affines or len(affines) != int(dataset.get("NumberOfFrames") or 1):
        raise ImageError("The segmentation does not say where its frames stand", todo=_LEAVE_OUT)
    if set(segments) - {0} - set(names):
        raise ImageError("A frame is of a segment that is not declared", todo=_LEAVE_OUT)
    shape = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    full = int(dataset.get("MaximumFractionalValue") or 255)
    return SegmentFrames(kind, names, codes, segments, np.array(affines), shape, full)


def _group(own: Dataset, shared: Dataset | None, macro: str) -> Any:  # noqa: ANN401
    """Return the item of a functional group: the frame's own, else the one that all share."""
    items = own.get(macro) or (shared.get(macro) if shared is not None else None)
    return items[0] if items else {}


def _segment(own: Dataset, shared: Dataset | None) -> int:
    item = _group(own, shared, "SegmentIdentificationSequence")
    return int(item.get("ReferencedSegmentNumber") or -1)


def _affine(own: Dataset, shared: Dataset | None) -> NDArray[np.float64]:
    position = _group(own, shared, "PlanePositionSequence").get("ImagePositionPatient")
    cosines = _group(own, shared, "PlaneOrientationSequence").get("ImageOrientationPatient")
    spacing = _group(own, shared, "PixelMeasuresSequence").get("PixelSpacing")
    values = [np.array(v or [], np.float64) for v in (position, cosines, spacing)]
    if [v.size for v in values] != [3, 6, 2] or not all(np.isfinite(v).all() for v in values):
        raise ImageError(
            "The frames of the segmentation have no place in the patient",
            todo="Only segmentations of images with position and orientation are read",
        )
    along_row, down_column = values[1][:3], values[1][3:]
    affine = np.eye(4)
    affine[:3, 0] = along_row * values[2][1]
    affine[:3, 1] = down_column * values[2][0]
    affine[:3, 2] = np.cross(along_row, down_column)
    affine[:3, 3] = values[0]
    if not abs(np.linalg.det(affine)) > 1e-9:
        raise ImageError("The orientation of a frame cannot be", todo=_LEAVE_OUT)
    return affine
