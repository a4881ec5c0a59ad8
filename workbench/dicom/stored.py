"""Stored: what a pydicom data set says, as text and numbers that become a row.

Values are taken as they are stored, before pydicom converts them: a wrong one is left out of the
row later, and none is quoted in a warning.
"""

from __future__ import annotations

import io
import logging
import struct
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

from workbench.dicom.attributes import ATTRIBUTES, FRAME_GROUPS, SHARED_GROUPS, Attribute
from workbench.dicom.character_sets import clean, decode_text
from workbench.dicom.refusals import UnreadableFile

if TYPE_CHECKING:
    from types import ModuleType

    from pydicom.dataset import Dataset

_LONGEST_TEXT = 0xFFFF
_NUMBERS = {
    "US": "H", "SS": "h", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "UV": "Q", "SV": "q",
}  # fmt: skip
_NOT_TEXT = frozenset(("OB", "OW", "OF", "OD", "OL", "OV", "SQ", "AT"))


def quiet_pydicom() -> ModuleType:
    """Return pydicom, whose warnings and log could quote a patient's values, made silent."""
    import pydicom
    import pydicom.filereader

    # Each time, for whoever catches warnings takes this away again.
    warnings.filterwarnings("ignore", module=r"pydicom(\..*)?")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    return pydicom


def stored_values(dataset: Dataset) -> dict[str, Any]:
    """Return what a data set stores, as columns of `STORED_SCHEMA`; what is absent is left out.

    Parameters
    ----------
    dataset
        Any pydicom data set; of a multi-frame one also the functional groups are read.
    """
    meta = getattr(dataset, "file_meta", None)
    declared = _text(dataset.get_item(0x00080005), "")
    groups: list[Any] | None = None
    values: dict[str, Any] = {}
    for attribute in ATTRIBUTES:
        holder = meta if attribute.tag >> 16 == 2 and meta is not None else dataset
        _put(values, attribute, holder.get_item(attribute.tag), declared)
        if not attribute.groups or attribute.names[0] in values:
            continue
        if groups is None:
            found = (_first_item(dataset, tag) for tag in (SHARED_GROUPS, FRAME_GROUPS))
            groups = [item for item in found if item is not None]
        for group in groups:
            for sequence, tag in attribute.groups:
                item = _first_item(group, sequence)
                if item is not None and attribute.names[0] not in values:
                    _put(values, attribute, item.get_item(tag), declared)
    return values


def stored_text(element: Any) -> str:  # noqa: ANN401 - raw, converted or None
    """Return the value of an element that needs no character set as text, "" if it has none."""
    return _text(element, "").partition("\\")[0]


def _put(values: dict[str, Any], attribute: Attribute, element: Any, declared: str) -> None:  # noqa: ANN401
    """Add the columns of one attribute, if the element holds what they need."""
    text = _text(element, declared)
    if not text:
        return
    if attribute.values == 0:
        values[attribute.keyword] = text
        return
    parts = text.split("\\")
    if attribute.binary:
        try:
            number = float(parts[0])
            values[attribute.keyword] = int(number) if attribute.vr == "US" else number
        except (ValueError, OverflowError):
            return
    elif attribute.values == 1:
        if parts[0]:
            values[attribute.keyword] = parts[0]
    elif len(parts) == attribute.values:
        values.update({n: p for n, p in zip(attribute.names, parts, strict=True) if p})


def _text(element: Any, declared: str) -> str:  # noqa: ANN401 - raw or converted
    """Return the value of an element as text, several values separated by a backslash."""
    value = getattr(element, "value", None)
    if value is None:
        return ""
    vr = element.VR
    if isinstance(value, bytes):
        vr = _dictionary_vr(element.tag) if vr in (None, "UN") else vr
        if vr in _NUMBERS:
            return _unpack(value, vr, little=getattr(element, "is_little_endian", True))
        if len(value) > _LONGEST_TEXT and vr not in _NOT_TEXT:
            raise UnreadableFile("bad_meta", f"a text of {len(value)} bytes")
        return "" if vr in _NOT_TEXT else decode_text(value, declared)
    if vr in _NOT_TEXT:
        return ""
    several = not isinstance(value, (str, int, float))
    return clean("\\".join("" if v is None else str(v) for v in value) if several else str(value))


def _unpack(value: bytes, vr: str, *, little: bool) -> str:
    code = _NUMBERS[vr]
    size = struct.calcsize(f"<{code}")
    if not value or len(value) % size:
        return ""
    numbers = struct.unpack(f"{'<' if little else '>'}{len(value) // size}{code}", value)
    return "\\".join(map(repr, numbers))


@cache
def _dictionary_vr(tag: int) -> str:
    return next((a.vr for a in ATTRIBUTES if a.tag == tag), "") or _pydicom_vr(tag)


def _pydicom_vr(tag: int) -> str:
    from pydicom.datadict import dictionary_VR

    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return "UN"


def _first_item(dataset: Any, tag: int) -> Any:  # noqa: ANN401 - a data set or None
    """Return the first item of a sequence, parsed alone, or None."""
    element = dataset.get_item(tag)
    value = getattr(element, "value", None)
    if not value:
        return None
    if not isinstance(value, bytes):
        return value[0] if element.VR == "SQ" else None
    if len(value) < 8 or element.VR not in (None, "SQ", "UN"):
        return None
    filereader = quiet_pydicom().filereader
    return filereader.read_sequence_item(
        io.BytesIO(value),
        element.is_implicit_VR or element.VR == "UN",
        element.is_little_endian,
        "iso8859",
    )
