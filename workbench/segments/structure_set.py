"""Structure set: the regions of an RTSTRUCT, as closed curves in mm."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ImageError

if TYPE_CHECKING:
    from pydicom import Dataset

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
"""Geometric types that enclose an area; points and open curves do not."""
FARTHEST_MM = 1e5
"""No coordinate of a patient is larger."""
_LEAVE_OUT = "Export the structure set again, or leave it out"


@dataclass(frozen=True)
class Region:
    """Hold one region of interest.

    Parameters
    ----------
    number : int
        ROI Number.
    name : str
        ROI Name, free text.
    code : list of str or None
        Value, scheme and meaning of its identification code, if it has one.
    frame_uid : str
        UID of its frame of reference.
    contours : tuple of ndarray, shape (points, 3)
        Its closed planar contours, in mm.
    skipped : int
        Number of contours that enclose nothing: points and open curves.
    """

    number: int
    name: str
    code: list[str] | None
    frame_uid: str
    contours: tuple[NDArray[np.float64], ...]
    skipped: int


def read_regions(dataset: Dataset) -> list[Region]:
    """Return the regions of a structure set, in the order of their numbers.

    Source: DICOM PS3.3, C.8.8.5 (Structure Set), C.8.8.6 (ROI Contour) and C.8.8.8 (RT ROI
    Observations).

    Parameters
    ----------
    dataset : pydicom.Dataset
        An RTSTRUCT.

    Raises
    ------
    ImageError
        If a contour cannot be read, or a region is declared twice or not at all.
    """
    declared = {}
    for item in dataset.get("StructureSetROISequence") or []:
        number = _number(item.get("ROINumber"))
        if number in declared:
            raise ImageError("Two regions have the same number", todo=_LEAVE_OUT)
        declared[number] = item
    drawn: dict[int, list[Dataset]] = {number: [] for number in declared}
    for item in dataset.get("ROIContourSequence") or []:
        number = _number(item.get("ReferencedROINumber"))
        if number not in drawn:
            raise ImageError("Contours refer to a region that is not declared", todo=_LEAVE_OUT)
        drawn[number] += item.get("ContourSequence") or []
    codes = dict(_codes(dataset))
    return [
        _region(number, declared[number], drawn[number], codes.get(number))
        for number in sorted(declared)
    ]


def read_code(sequence: Any) -> list[str] | None:  # noqa: ANN401 - pydicom's own type is Any
    """Return value, scheme and meaning of the first code of a sequence, or None.

    Source: DICOM PS3.3, 8.8 (Code Sequence macro).
    """
    if not sequence:
        return None
    code = sequence[0]
    value = code.get("CodeValue") or code.get("LongCodeValue") or code.get("URNCodeValue")
    scheme, meaning = code.get("CodingSchemeDesignator"), code.get("CodeMeaning")
    return [str(value or ""), str(scheme or ""), str(meaning or "")] if value else None


def _codes(dataset: Dataset) -> Iterator[tuple[int, list[str]]]:
    for item in dataset.get("RTROIObservationsSequence") or []:
        code = read_code(item.get("RTROIIdentificationCodeSequence"))
        if code:
            yield _number(item.get("ReferencedROINumber")), code


def _region(
    number: int, declared: Dataset, contours: list[Dataset], code: list[str] | None
) -> Region:
    closed = [c for c in contours if str(c.get("ContourGeometricType", "")) in CLOSED]
    points = [_points(c) for c in closed]
    around = tuple(p for p in points if len(p) >= 3)
    name = str(declared.get("ROIName") or "").strip()
    frame_uid = str(declared.get("ReferencedFrameOfReferenceUID") or "")
    return Region(number, name, code, frame_uid, around, len(contours) - len(around))


def _points(contour: Dataset) -> NDArray[np.float64]:
    """Return the points of a contour; read from the stored text at once, not number by number."""
    from pydicom.dataelem import RawDataElement

    element: object = contour.get_item("ContourData") if "ContourData" in contour else None
    try:
        if isinstance(element, RawDataElement):
            text = (element.value or b"").strip(b" \0")
            flat = np.array(text.split(b"\\") if text else [], np.bytes_).astype(np.float64)
        else:
            flat = np.array(contour.get("ContourData") or [], np.float64)
    except ValueError:
        raise ImageError("A contour holds what is not a number", todo=_LEAVE_OUT) from None
    if flat.size % 3 or not (np.abs(flat) <= FARTHEST_MM).all():
        raise ImageError(
            "The coordinates of a contour cannot be points of a patient", todo=_LEAVE_OUT
        )
    return flat.reshape(-1, 3)


def _number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise ImageError("A region has no number", todo=_LEAVE_OUT) from None
