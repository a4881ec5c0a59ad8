"""Stored frames: what the headers of many files store of where their images lie.

The first 16 KB of each file are walked by the compiled walk of the scan, for the few attributes
that a volume needs; a header that it does not understand is read by pydicom.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.dicom.refusals import UnreadableFile
from workbench.imaging.element_value import value_of

if TYPE_CHECKING:
    import pydicom

WINDOW = 16 * 2**10
"""Bytes of a file that are read first."""
WIDE_WINDOW = 256 * 2**10
"""Bytes that are read of a file whose header does not end before."""
AT_ONCE = 16 * 2**20
"""Bytes that are read before they are walked."""
# Keyword, tag and bytes of a number, 0 for text; tags ascend (DICOM PS3.6, 6). What places and
# scales an image is not what `dicom.attributes` tells of it in a catalog: here all values of an
# attribute are wanted, as stored, and of one image a file; `functional_groups` has the places of
# the same in files of many images, and `pixel_search` what pixels alone can be read with.
_WANTED = (
    ("TransferSyntaxUID", 0x00020010, 0),
    ("ImageType", 0x00080008, 0),
    ("AcquisitionDate", 0x00080022, 0),
    ("AcquisitionDateTime", 0x0008002A, 0),
    ("AcquisitionTime", 0x00080032, 0),
    ("TimezoneOffsetFromUTC", 0x00080201, 0),
    ("ComplexImageComponent", 0x00089208, 0),
    ("PatientID", 0x00100020, 0),
    ("EchoTime", 0x00180081, 0),
    ("InversionTime", 0x00180082, 0),
    ("TriggerTime", 0x00181060, 0),
    ("FlipAngle", 0x00181314, 0),
    ("DiffusionBValue", 0x00189087, 8),
    ("DiffusionGradientOrientation", 0x00189089, 8),
    ("StudyInstanceUID", 0x0020000D, 0),
    ("SeriesInstanceUID", 0x0020000E, 0),
    ("AcquisitionNumber", 0x00200012, 0),
    ("ImagePositionPatient", 0x00200032, 0),
    ("ImageOrientationPatient", 0x00200037, 0),
    ("FrameOfReferenceUID", 0x00200052, 0),
    ("TemporalPositionIdentifier", 0x00200100, 0),
    ("SamplesPerPixel", 0x00280002, 2),
    ("PhotometricInterpretation", 0x00280004, 0),
    ("NumberOfFrames", 0x00280008, 0),
    ("Rows", 0x00280010, 2),
    ("Columns", 0x00280011, 2),
    ("PixelSpacing", 0x00280030, 0),
    ("BitsAllocated", 0x00280100, 2),
    ("BitsStored", 0x00280101, 2),
    ("HighBit", 0x00280102, 2),
    ("PixelRepresentation", 0x00280103, 2),
    ("RescaleIntercept", 0x00281052, 0),
    ("RescaleSlope", 0x00281053, 0),
    ("RescaleType", 0x00281054, 0),
    ("FrameReferenceTime", 0x00541300, 0),
)
KEYWORDS = tuple(keyword for keyword, _, _ in _WANTED)
_TAGS = np.array([tag for _, tag, _ in _WANTED], dtype=np.int64)
_CLASSES = np.array([size for _, _, size in _WANTED], dtype=np.int64)
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

Column = list[str]
"""One text a file, as stored, values parted by a backslash; "" where there is none."""


def read_stored_frames(
    paths: Sequence[str],
) -> tuple[dict[str, Column], NDArray[np.int64], dict[int, str]]:
    """Read what the headers of files store of their images.

    Parameters
    ----------
    paths
        The files.

    Returns
    -------
    dict
        Keyword -> one text a file, the good files in their order.
    numpy.ndarray, shape (good files,)
        Where the value of PixelData begins; -1 where that is not known.
    dict
        Place of each file that cannot be read -> a key of `refusals.REASONS`.

    Raises
    ------
    VolumeError
        If an attribute that is needed cannot be read.
    """
    parts: dict[str, Column] = {keyword: [] for keyword in KEYWORDS}
    offsets: list[int] = []
    refused: dict[int, str] = {}
    at_once = max(1, AT_ONCE // WINDOW)
    for first in range(0, len(paths), at_once):
        some = paths[first : first + at_once]
        columns, places, doubtful = _walk(some, WINDOW)
        for i in doubtful:
            try:
                stored = _read_carefully(some[i])
            except UnreadableFile as error:
                refused[first + i] = error.reason
                stored = {}
            for keyword in KEYWORDS:
                columns[keyword][i] = stored.get(keyword, "")
        good = [i for i in range(len(some)) if first + i not in refused]
        for keyword, column in columns.items():
            parts[keyword] += column if len(good) == len(some) else [column[i] for i in good]
        offsets += places[good].tolist()
    return parts, np.array(offsets, dtype=np.int64), refused


def _walk(
    paths: Sequence[str], window: int
) -> tuple[dict[str, Column], NDArray[np.int64], list[int]]:
    """Return columns and offsets of pixels, and the places of headers not understood."""
    from workbench.dicom.header_walk import COMPRESSED, DONE, FRAGMENTS, MORE, walk_headers

    count = len(paths)
    buffer = np.empty((count, window), dtype=np.uint8)
    used, sizes = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    for i, path in enumerate(paths):
        with suppress(OSError):
            descriptor = os.open(path, _OPEN)
            try:
                sizes[i] = os.fstat(descriptor).st_size
                used[i] = os.preadv(descriptor, [buffer[i]], 0)
            finally:
                os.close(descriptor)
    starts = np.zeros((count, len(_TAGS)), dtype=np.int32)
    lengths = np.empty_like(starts)
    found = np.empty((count, 3), dtype=np.int64)
    status = np.empty(count, dtype=np.uint8)
    walk_headers(buffer, used, sizes, _TAGS, _CLASSES, starts, lengths, found, status)
    columns = {
        keyword: list(_texts(buffer, starts[:, k], lengths[:, k], int(_CLASSES[k])))
        for k, keyword in enumerate(KEYWORDS)
    }
    seen = np.where(found[:, 2] == COMPRESSED, found[:, 1] == FRAGMENTS, found[:, 1] >= 0)
    places = np.where(seen & (status == DONE), found[:, 0], -1)
    doubtful = set(np.flatnonzero(status != DONE).tolist())
    longer = np.flatnonzero(status == MORE).tolist() if window < WIDE_WINDOW else []
    for first in range(0, len(longer), AT_ONCE // WIDE_WINDOW):
        some = longer[first : first + AT_ONCE // WIDE_WINDOW]
        wider, offsets, unclear = _walk([paths[i] for i in some], WIDE_WINDOW)
        for keyword, column in wider.items():
            for i, text in zip(some, column, strict=True):
                columns[keyword][i] = text
        places[some] = offsets
        doubtful -= {i for j, i in enumerate(some) if j not in set(unclear)}
    return columns, places, sorted(doubtful)


def _texts(
    buffer: NDArray[np.uint8],
    starts: NDArray[np.int32],
    lengths: NDArray[np.int32],
    size: int,
) -> Iterator[str]:
    """Yield the text of one attribute in each header; equal ones are made once."""
    length = int(lengths[0])
    if (lengths == length).all():
        if length <= 0:
            yield from [""] * len(lengths)
            return
        cells = np.take_along_axis(buffer, starts[:, None] + np.arange(length), axis=1)
        if (cells == cells[0]).all():
            yield from [_text(cells[0].tobytes(), size)] * len(lengths)
            return
        raw = cells.tobytes()
        yield from (_text(raw[at : at + length], size) for at in range(0, len(raw), length))
        return
    for row, start, count in zip(buffer, starts.tolist(), lengths.tolist(), strict=True):
        yield _text(row[start : start + count].tobytes(), size) if count > 0 else ""


def _text(raw: bytes, size: int) -> str:
    if size:
        kind = {2: "<u2", 8: "<f8"}[size]
        return "\\".join(repr(v) for v in np.frombuffer(raw, dtype=kind).tolist())
    return "\\".join(part.strip(" \0") for part in raw.decode("latin-1").split("\\"))


def _read_carefully(path: str) -> dict[str, str]:
    """Return what one header stores.

    Raises
    ------
    UnreadableFile
        If it cannot be read.
    VolumeError
        If an attribute that is needed cannot be.
    """
    from workbench.dicom.careful import open_file
    from workbench.dicom.header import read_stored

    try:
        with open_file(path) as file:
            read_stored(file)
    except UnreadableFile as error:
        # An image without a UID has no place in a catalog, but it has one in space.
        if error.reason != "no_identifiers":
            raise
    header = read_header(path)
    stored = {k: _as_text(value_of(header, k)) for k in KEYWORDS}
    return stored | {"TransferSyntaxUID": _as_text(value_of(header.file_meta, "TransferSyntaxUID"))}


def read_header(path: str) -> pydicom.Dataset:
    """Read the header of one file, without its pixels; a link is not followed.

    Parameters
    ----------
    path
        A file.

    Raises
    ------
    UnreadableFile
        If it is no DICOM file.
    """
    import pydicom

    from workbench.dicom.careful import open_file
    from workbench.dicom.header import parser_errors
    from workbench.dicom.stored import quiet_pydicom

    quiet_pydicom()
    try:
        with open_file(path) as file:
            return pydicom.dcmread(file, stop_before_pixels=True, force=True)
    except UnreadableFile:
        raise
    except parser_errors():
        raise UnreadableFile("bad_meta") from None


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return "\\".join(map(_as_text, value))
    return str(value).strip(" \0")
