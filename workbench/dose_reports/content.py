"""Content: the tree of a structured report, read from one file within bounds."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from workbench.dicom.character_sets import decode_text
from workbench.dicom.inflation import inflate
from workbench.dicom.refusals import DEEPEST, UnreadableFile

LARGEST = 64 * 2**20
"""A report of more bytes is refused."""
LONGEST = 1024
"""A code, number or text of more bytes counts as absent: none that is looked for is as long."""
_SHORTEST_ITEM = 8
_LONG_VRS = (b"OB", b"OW", b"UN", b"UT", b"SQ", b"OF", b"UC", b"UR", b"OD", b"OL", b"OV")
_IMPLICIT, _EXPLICIT = b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1"
_DEFLATED, _BIG = b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2"
_SYNTAXES = {
    _IMPLICIT: (True, False),
    _EXPLICIT: (False, False),
    _DEFLATED: (False, False),
    _BIG: (False, True),
}
"""Transfer syntax -> whether elements have no VR, and are big endian (DICOM PS3.5, A)."""


@dataclass(slots=True)
class Item:
    """Hold one content item (DICOM PS3.3, C.17.3).

    Parameters
    ----------
    concept
        Its concept name: the code where the DICOM dictionary defines it, as "113830", else scheme
        and code, as "SCT:272741003"; "" without one.
    kind
        Value type, as NUM, CODE or CONTAINER.
    relationship
        How it belongs to the item above, as CONTAINS.
    value
        Number, text, UID or time as it is stored; of a code its concept, as for `concept`.
    meaning
        Meaning of a code.
    unit, unit_scheme
        Code of the unit of a number, and its coding scheme.
    number
        Number stored binary beside `value`, or None.
    template
        Identifier of the template of a container.
    items
        Items below it.
    """

    concept: str
    kind: str
    relationship: str = ""
    value: str = ""
    meaning: str = ""
    unit: str = ""
    unit_scheme: str = ""
    number: float | None = None
    template: str = ""
    items: list[Item] = field(default_factory=list)

    def find(self, concept: str) -> Item | None:
        """Return the first item directly below with a concept name, or None."""
        return next((item for item in self.items if item.concept == concept), None)

    def find_all(self, concept: str) -> list[Item]:
        """Return the items directly below with a concept name."""
        return [item for item in self.items if item.concept == concept]


@dataclass(frozen=True)
class Content:
    """Hold the content of a report.

    Parameters
    ----------
    root
        The report itself.
    written
        Date and time of the content as digits, to tell the later of two reports; "" if not stated.
    weight
        Weight of the patient in kg as it is stored; "" if it is not.
    """

    root: Item
    written: str
    weight: str = ""


def read_content(source: Path | bytes) -> Content:
    """Return the content of a structured report.

    Source: DICOM PS3.3, C.17.3 (SR Document Content Module); PS3.10, 7.1 (file meta information).

    Parameters
    ----------
    source
        A file of any transfer syntax without compressed pixels, or its bytes.

    Raises
    ------
    UnreadableFile
        With a reason of `refusals.REASONS`: the file is no DICOM, has an unknown transfer syntax,
        ends too early, is nested too deep, or has too many items.
    """
    try:
        stored = source if isinstance(source, bytes) else _bounded(source)
    except OSError as error:
        raise UnreadableFile("unreadable", error.__class__.__name__) from None
    syntax, at = _read_meta(stored)
    if at >= len(stored):
        raise UnreadableFile("truncated", "no data set")
    if syntax not in _SYNTAXES:
        raise UnreadableFile("bad_meta", "not a transfer syntax of reports")
    implicit, big = _SYNTAXES[syntax]
    if syntax == _DEFLATED:
        stored = inflate(lambda start, count: stored[start : start + count], at, len(stored))
        at = 0
    return _build(stored, at, implicit=implicit, big=big)


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        stored = file.read(LARGEST + 1)
    if len(stored) > LARGEST:
        raise UnreadableFile("too_big", f"a report of more than {LARGEST} bytes")
    return stored


def _read_meta(stored: bytes) -> tuple[bytes, int]:
    """Return the transfer syntax, and where the data set starts."""
    if not stored:
        raise UnreadableFile("empty")
    at, syntax = 132 if stored[128:132] == b"DICM" else 0, b""
    if at == 0 and stored[:2] not in (b"\x02\x00", b"\x08\x00"):
        raise UnreadableFile("not_dicom")
    while stored[at : at + 2] == b"\x02\x00":
        long = stored[at + 4 : at + 6] in _LONG_VRS
        head = 12 if long else 8
        if at + head > len(stored):
            raise UnreadableFile("truncated", "inside the header")
        (size,) = struct.unpack_from("<L" if long else "<H", stored, at + (8 if long else 6))
        if stored[at : at + 4] == b"\x02\x00\x10\x00":
            syntax = stored[at + head : at + head + size].rstrip(b"\0 ")
        at += head + size
    # Without meta information the first element tells whether elements have a VR.
    guess = _EXPLICIT if stored[at + 4 : at + 6].isalpha() else _IMPLICIT
    return syntax or guess, at


def _build(stored: bytes, at: int, *, implicit: bool, big: bool) -> Content:
    from workbench.dose_reports import content_walk as walk

    most = min((len(stored) - at) // _SHORTEST_ITEM + 1, walk.MOST_ITEMS)
    parents = np.empty(max(most, 1), np.int32)
    places = np.empty((max(most, 1), walk.FIELDS, 2), np.int32)
    status, count = walk.walk_content(
        np.frombuffer(stored, np.uint8), at, implicit, big, parents, places
    )
    if status != walk.WHOLE:
        reason, detail = {
            walk.TRUNCATED: ("truncated", "inside the content"),
            walk.BROKEN: ("bad_meta", "an item that does not fit what holds it"),
            walk.TOO_DEEP: ("too_deep", f"more than {DEEPEST}"),
            walk.TOO_MANY: ("too_big", f"more than {walk.MOST_ITEMS} content items"),
        }[status]
        raise UnreadableFile(reason, detail)
    rows = places[:count].reshape(count, -1).tolist()
    declared = _slice(stored, rows[0], walk.CHARACTER_SET).decode("ascii", "replace")
    items = [_item(stored, row, declared, big=big) for row in rows]
    for item, parent in zip(items[1:], parents[1:count].tolist(), strict=True):
        items[parent].items.append(item)
    written = _slice(stored, rows[0], walk.DATE) + _slice(stored, rows[0], walk.TIME)
    weight = _slice(stored, rows[0], walk.WEIGHT).decode("ascii", "replace").strip(" \0")
    return Content(items[0], "".join(chr(c) for c in written if c in b"0123456789"), weight)


def _item(stored: bytes, row: list[int], declared: str, *, big: bool) -> Item:
    # Places of one item, by field: start and length after each other (`content_walk`).
    def text(number: int) -> bytes:
        start, size = row[2 * number], row[2 * number + 1]
        return stored[start : start + size] if 0 < size <= LONGEST else b""

    kind = _token(text(1))
    value, meaning, unit, unit_scheme, number = "", "", "", "", None
    if kind == "CODE":
        value, meaning = _concept(text(5), text(6)), _text(text(7), declared)
    elif kind == "NUM":
        value, unit, unit_scheme = (
            text(4).decode("ascii", "replace").strip(" \0"),
            _token(text(8)),
            _token(text(9)),
        )
        binary = text(11)
        number = struct.unpack(">d" if big else "<d", binary)[0] if len(binary) == 8 else None
    elif kind != "CONTAINER":
        value = decode_text(text(4), declared) if text(4) else ""
    template = _token(text(10)) if row[21] > 0 else ""
    return Item(
        _concept(text(2), text(3)), kind, _token(text(0)), value, meaning, unit, unit_scheme,
        number, template,
    )  # fmt: skip


def _slice(stored: bytes, row: list[int], number: int) -> bytes:
    start, size = row[2 * number], row[2 * number + 1]
    return stored[start : start + size] if size > 0 else b""


@lru_cache(4096)
def _token(stored: bytes) -> str:
    return stored.decode("latin_1").strip(" \0")


@lru_cache(4096)
def _text(stored: bytes, declared: str) -> str:
    return decode_text(stored, declared)


@cache
def _canonical_scheme(scheme: str) -> str:
    return _SCHEMES.get(scheme.upper(), scheme)


_SCHEMES = {"SNOMED": "SRT", "99SDM": "SRT", "SNM3": "SRT", "SCT": "SCT", "SRT": "SRT"}
"""Names of one coding scheme that stand for another (DICOM PS3.16, 8, table 8-1)."""


@lru_cache(4096)
def _concept(code: bytes, scheme: bytes) -> str:
    value, name = _token(code), _token(scheme)
    if not value or name.upper() == "DCM":
        return value
    return f"{_canonical_scheme(name)}:{value}"
