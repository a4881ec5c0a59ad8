"""DICOM: the header of one file, read carefully with pydicom.

Nothing is believed: no length is followed beyond the end of the file, nothing is inflated beyond
the limits of `inflation`, sequences may be nested `DEEPEST` deep, and whatever pydicom raises
becomes one of the fixed reasons of `refusals`. Pixels are not read; that they are there is
checked.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import polars as pl

from workbench.dicom.attributes import (
    ATTRIBUTES,
    FRAME_GROUPS,
    REQUIRED,
    SHARED_GROUPS,
    STORED_SCHEMA,
)
from workbench.dicom.bounded_stream import BoundedStream
from workbench.dicom.inflation import inflate
from workbench.dicom.pixel_data import PIXEL_TAGS, UNDEFINED, check_end, is_encapsulated
from workbench.dicom.refusals import DEEPEST, UnreadableFile
from workbench.dicom.rows import find_bad_lengths, to_rows
from workbench.dicom.stored import quiet_pydicom, stored_text, stored_values

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

LONGEST_WALK = 64 * 2**20
"""Bytes of a header that are searched for nested sequences."""
_DEFLATED = "1.2.840.10008.1.2.1.99"
_DICOMDIR = "1.2.840.10008.1.3.10"
_RECORDS = 0x00041220
_TAGS = [a.tag for a in ATTRIBUTES] + [SHARED_GROUPS, FRAME_GROUPS, _RECORDS]
_PARSER_ERRORS = (
    *(UnreadableFile, OSError, EOFError, MemoryError, RecursionError, ValueError, TypeError),
    *(LookupError, AttributeError, NotImplementedError, OverflowError, AssertionError),
    *(struct.error, zlib.error),
)
NO_MEMORY = "not enough memory"
_REASONS = (
    (EOFError, "truncated", "inside a sequence"),
    (RecursionError, "too_deep", f"more than {DEEPEST}"),
    (MemoryError, "too_big", NO_MEMORY),
)


@dataclass(frozen=True)
class Stored:
    """Hold what a header stores.

    Parameters
    ----------
    values
        Columns of `STORED_SCHEMA` that have a value.
    pixel_length
        Declared length of native pixel data in bytes; None without it, or if it is compressed.
    fragments
        Fragments of compressed pixel data; None without it, or if it is native.
    """

    values: dict[str, Any]
    pixel_length: int | None = None
    fragments: int | None = None


def read_header(source: Path | bytes | BinaryIO, *, identified: bool = True) -> dict[str, Any]:
    """Return the row of one file.

    Parameters
    ----------
    source
        A file, its content, or a seekable stream at its start.
    identified
        Whether to refuse a file that does not say which exam, series and instance it is.

    Returns
    -------
    dict
        The columns of `columns.INSTANCE_COLUMNS`.

    Raises
    ------
    UnreadableFile
        With a reason of `refusals.REASONS`.
    """
    (row,) = stored_rows([read_stored(source, identified=identified)])
    if isinstance(row, UnreadableFile):
        raise row
    return row


def stored_rows(
    read: Sequence[Stored | UnreadableFile],
) -> list[dict[str, Any] | UnreadableFile]:
    """Return the row of each file, or why it has none.

    Parameters
    ----------
    read
        What their headers store, or why it is not known.
    """
    stored = [s for s in read if isinstance(s, Stored)]
    if not stored:
        return [known for known in read if isinstance(known, UnreadableFile)]
    rows = to_rows(stored_table(stored))
    lengths = zip(*[(s.pixel_length, s.fragments) for s in stored], strict=True)
    bad = find_bad_lengths(rows, *(pl.Series(n, dtype=pl.Int64) for n in lengths))
    found = (
        row if detail is None else UnreadableFile("bad_length", detail)
        for row, detail in zip(rows.iter_rows(named=True), bad, strict=True)
    )
    return [next(found) if isinstance(known, Stored) else known for known in read]


def header_row(dataset: Dataset) -> dict[str, Any]:
    r"""Return the row of one data set, read from a file or sent by a server.

    Parameters
    ----------
    dataset
        Any pydicom data set; no element needs to be there.

    Returns
    -------
    dict
        The columns of `columns.INSTANCE_COLUMNS`.

    Examples
    --------
    >>> from pydicom import Dataset
    >>> dataset = Dataset()
    >>> dataset.Rows, dataset.ImageType = 512, ["ORIGINAL", "PRIMARY"]
    >>> row = header_row(dataset)
    >>> row["rows"], row["image_type"], row["modality"]
    (512, 'ORIGINAL\\PRIMARY', None)
    """
    return header_rows([dataset]).row(0, named=True)


def header_rows(datasets: Sequence[Dataset]) -> pl.DataFrame:
    """Return the rows of many data sets; much faster than one at a time.

    Parameters
    ----------
    datasets
        Any pydicom data sets.

    Returns
    -------
    polars.DataFrame
        The columns of `columns.INSTANCE_COLUMNS`.
    """
    return to_rows(pl.DataFrame([stored_values(d) for d in datasets], schema=STORED_SCHEMA))


def parser_errors() -> tuple[type[BaseException], ...]:
    """Return all that pydicom was seen to raise for what it cannot parse."""
    from pydicom.errors import BytesLengthException

    return (*_PARSER_ERRORS, BytesLengthException)


def stored_table(stored: Sequence[Stored]) -> pl.DataFrame:
    """Return stored values as a table with the columns of `STORED_SCHEMA`."""
    return pl.DataFrame([s.values for s in stored], schema=STORED_SCHEMA)


def read_stored(source: Path | bytes | BinaryIO, *, identified: bool = True) -> Stored:
    """Return what the header of one file stores.

    Parameters
    ----------
    source
        A file, its content, or a seekable stream at its start.
    identified
        Whether to refuse a file that does not say which exam, series and instance it is.

    Raises
    ------
    UnreadableFile
        With a reason of `refusals.REASONS`.
    """
    quiet_pydicom()
    try:
        with _opened(source) as file:
            stream = BoundedStream(file)
            try:
                return _read(stream, identified=identified)
            except parser_errors() as error:
                raise _refusal(error, stream) from None
    except OSError as error:
        raise UnreadableFile("unreadable", error.__class__.__name__) from None


@contextmanager
def _opened(source: Path | bytes | BinaryIO) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, Path):
        with source.open("rb") as file:
            yield file
    else:
        yield source


def _refusal(error: BaseException, stream: BoundedStream) -> Exception:
    """Return the refusal that an exception of the parser stands for.

    Its message may quote a patient's value, so only its class is told.
    """
    if isinstance(error, OSError) and error.errno is None:
        # What pydicom raises where no item of a sequence follows, whatever was the cause.
        cause = error.__context__
        known = isinstance(cause, (UnreadableFile, RecursionError, MemoryError))
        error = cause if cause is not None and known else EOFError()
    if isinstance(error, (UnreadableFile, OSError)):
        return error
    for kind, reason, detail in _REASONS:
        if isinstance(error, kind):
            return UnreadableFile(reason, detail)
    if stream.ended_early:
        return UnreadableFile("truncated", "inside the header")
    return UnreadableFile("bad_meta", error.__class__.__name__)


def _read(stream: BoundedStream, *, identified: bool) -> Stored:
    from pydicom.dataset import FileMetaDataset
    from pydicom.filereader import read_dataset, read_partial

    named = check_start(stream.file)
    stream.seek(132 if named else 0)
    meta = read_dataset(
        stream.file_like, False, True, stop_when=lambda tag, _vr, _length: tag >> 16 != 2
    )
    syntax, kind = (stored_text(meta.get_item(tag)) for tag in (0x00020010, 0x00020002))
    if kind == _DICOMDIR:
        raise UnreadableFile("dicomdir")
    start = stream.tell()
    if syntax == _DEFLATED:
        content = inflate(stream.at, stream.tell(), stream.size)
        stream, start = BoundedStream(io.BytesIO(content)), 0
        stop = _StopBeforePixels(stream)
        dataset = read_dataset(stream.file_like, False, True, stop_when=stop, specific_tags=_TAGS)
        dataset.file_meta = FileMetaDataset(meta)
    else:
        stream.seek(0)
        stop = _StopBeforePixels(stream)
        dataset = read_partial(stream.file_like, stop, force=True, specific_tags=_TAGS)
    _check_header(stream, stop, start, dataset)
    values = stored_values(dataset)
    if _RECORDS in dataset:
        raise UnreadableFile("dicomdir")
    if not (named or "SOPClassUID" in values or "Modality" in values):
        raise UnreadableFile("not_dicom")
    missing = [keyword for keyword in REQUIRED if keyword not in values]
    if missing and identified:
        raise UnreadableFile("no_identifiers", missing[0])
    if stop.offset is None:
        return Stored(values)
    big = not dataset.original_encoding[1]
    fragments = check_end(
        stream.at, stop.offset, stop.length, stream.size, big=big, implicit=stop.implicit
    )
    native = stop.length != UNDEFINED and not is_encapsulated(syntax)
    return Stored(values, stop.length if native else None, fragments)


def check_start(file: BinaryIO) -> bool:
    """Return whether a file has the mark of DICOM; without it, it must look like a data set.

    Parameters
    ----------
    file
        A seekable stream at its start.

    Raises
    ------
    UnreadableFile
        `empty`, or `not_dicom`.
    """
    try:
        head = file.read(132)
    except OSError as error:
        raise UnreadableFile("unreadable", error.__class__.__name__) from None
    if not head:
        raise UnreadableFile("empty")
    named = head[128:] == b"DICM"
    if not (named or _looks_like_dicom(head)):
        raise UnreadableFile("not_dicom")
    return named


def _check_header(
    stream: BoundedStream, stop: _StopBeforePixels, start: int, dataset: Dataset
) -> None:
    """Refuse a header that ends before its file does, or is nested too deep."""
    from workbench.dicom.header_walk import depth_of

    end = stream.size
    if stop.offset is not None:
        end = stop.offset
    elif stream.ended_early:
        raise UnreadableFile("truncated", "inside the header")
    elif stream.tell() < stream.size:
        raise UnreadableFile("bad_meta", "an item ends outside a sequence")
    big = not dataset.original_encoding[1]
    header = stream.at(start, min(end - start, LONGEST_WALK))
    if depth_of(header, implicit=stop.implicit, big=big) > DEEPEST:
        raise UnreadableFile("too_deep", f"more than {DEEPEST}")


def _looks_like_dicom(head: bytes) -> bool:
    """Return whether content without the DICM mark starts with an element of group 2 or 8."""
    if len(head) < 8:
        return False
    for order in "<>":
        group, element, length = struct.unpack(f"{order}HHL", head[:8])
        if group in (2, 8) and element < 0x1000:
            return (head[4:6].isalpha() and head[4:6].isupper()) or length < 0x10000
    return False


class _StopBeforePixels:
    """Tell pydicom to stop at the pixel data, and refuse an element that the file cannot hold.

    Parameters
    ----------
    stream
        What pydicom reads from.
    """

    def __init__(self, stream: BoundedStream) -> None:
        self.stream = stream
        self.offset: int | None = None
        self.length = 0
        self.implicit = False

    def __call__(self, tag: int, vr: str | None, length: int) -> bool:
        self.implicit = vr is None
        offset = self.stream.tell()
        if tag in PIXEL_TAGS:
            self.offset, self.length = offset, length
            return True
        if length != UNDEFINED and offset + length > self.stream.size:
            raise UnreadableFile("truncated", f"{self.stream.size} of {offset + length} bytes")
        return False
