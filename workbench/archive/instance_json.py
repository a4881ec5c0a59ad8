"""Instance JSON: what a DICOMweb server tells of instances (PS3.18, F), as headers store it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import polars as pl

from workbench.archive.server_reader import NOT_GIVEN, ExamRead, name_of
from workbench.dicom.careful import read_apart
from workbench.dicom.columns import INSTANCE_COLUMNS
from workbench.dicom.header import stored_rows
from workbench.dicom.refusals import Refused, UnreadableFile
from workbench.dicom.stored import stored_values

if TYPE_CHECKING:
    from pydicom import Dataset

EXAM_UID, SERIES_UID, INSTANCE_UID = "0020000D", "0020000E", "00080018"
YEN = "¥"
_NEVER_YEN = ("CS", "DS", "IS", "DA", "TM")

Item = Mapping[str, Any]
Rescue = Callable[[tuple[str, str, str]], AbstractContextManager[Path | None]]


def uid_of(item: Item, tag: str) -> str:
    """Return a UID of an instance, or "".

    Examples
    --------
    >>> uid_of({"00080018": {"vr": "UI", "Value": ["1.2.3"]}}, "00080018")
    '1.2.3'
    >>> uid_of({}, "00080018")
    ''
    """
    values = values_of(item.get(tag))
    return str(values[0]).strip(" \0") if values else ""


def read_instances(items: Iterable[Item], exam_uid: str, rescue: Rescue) -> ExamRead:
    """Return what is told of instances.

    Parameters
    ----------
    items
        Metadata of each.
    exam_uid
        UID by which they were asked for.
    rescue
        Retrieve an instance whose metadata cannot be used; its own header is read then.
    """
    stored: list[dict[str, Any]] = []
    rows: list[pl.DataFrame] = []
    refused: list[Refused] = []
    for item in items:
        uids = (uid_of(item, EXAM_UID), uid_of(item, SERIES_UID), uid_of(item, INSTANCE_UID))
        place = name_of(exam_uid, uids[1] or "?", uids[2] or "?")
        if not all(uids):
            refused.append(Refused(place, "no_identifiers"))
        elif not is_spoilt(item):
            stored.append(stored_of(item))
        else:
            with rescue(uids) as path:
                table, bad = _read_rescued(path, place)
            rows += table
            refused += bad
    return ExamRead(stored, rows, refused)


def stored_of(item: Item) -> dict[str, Any]:
    r"""Return what the metadata of an instance stores, as `dicom.stored_values` does of a file.

    Examples
    --------
    >>> stored_of({"00280010": {"vr": "US", "Value": [512]},
    ...            "00080008": {"vr": "CS", "Value": ["ORIGINAL", "PRIMARY"]}})
    {'ImageType': 'ORIGINAL\\PRIMARY', 'Rows': 512}
    """
    return stored_values(cast("Dataset", _Instance(item)))


def is_spoilt(item: Item) -> bool:
    """Return whether a server took the backslash between values for a yen sign.

    In the character sets of Japan both have one code. Such a server has lost numbers too, so that
    nothing it says of the instance can be used.

    Examples
    --------
    >>> is_spoilt({"00080008": {"vr": "CS", "Value": ["ORIGINAL¥PRIMARY"]}})
    True
    >>> is_spoilt({"00080008": {"vr": "CS", "Value": ["ORIGINAL", "PRIMARY"]}})
    False
    """
    return any(
        isinstance(value, str) and YEN in value
        for element in item.values()
        if isinstance(element, Mapping) and element.get("vr") in _NEVER_YEN
        for value in values_of(element)
    )


class _Element(NamedTuple):
    tag: int
    VR: str
    value: list[Any]


class _Instance:
    """Metadata with the one method of a data set by which headers are read.

    Parameters
    ----------
    item
        Metadata of an instance, or an item of a sequence in it.
    """

    def __init__(self, item: Item) -> None:
        self.item = item

    def get_item(self, tag: int) -> _Element | None:
        element = self.item.get(f"{tag:08X}", {})
        values = values_of(element)
        if not values:
            return None
        vr = str(element.get("vr"))
        if vr == "SQ":
            return _Element(tag, vr, [_Instance(v) for v in values[:1] if isinstance(v, Mapping)])
        return _Element(tag, vr, [v if isinstance(v, str | int | float) else None for v in values])


def values_of(element: Any) -> list[Any]:  # noqa: ANN401 - whatever a server sends
    """Return the values of an element of DICOM JSON (PS3.18, F.2.2); none if it has none."""
    values = element.get("Value") if isinstance(element, Mapping) else None
    return values if isinstance(values, list) else []


def _read_rescued(path: Path | None, place: str) -> tuple[list[pl.DataFrame], list[Refused]]:
    if path is None:
        return [], [Refused(place, NOT_GIVEN, "its metadata cannot be read")]
    (row,) = stored_rows(list(read_apart(str(path.parent), [path.name])))
    if isinstance(row, UnreadableFile):
        return [], [Refused(place, row.reason, row.detail)]
    return [pl.DataFrame([row], schema={c.name: c.dtype for c in INSTANCE_COLUMNS})], []
