"""Headers: many files to rows, as fast as the disk gives them.

The first 16 KB of each file are read into one buffer and walked by compiled code; columns are
made of all of them at once. A header that this does not understand to the last byte is read by
`dicom.read_stored`, so that the rows are the same, only later.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.dicom.attributes import ATTRIBUTES
from workbench.dicom.columns import SCHEMA
from workbench.dicom.header import Stored, read_stored, stored_table
from workbench.dicom.header_table import NUMBER_BYTES, tabulate
from workbench.dicom.pixel_data import UNDEFINED, check_end
from workbench.dicom.refusals import Refused, UnreadableFile
from workbench.dicom.rows import find_bad_lengths, to_rows

WINDOW = 16 * 2**10
"""Bytes of a file that are read first."""
WIDE_WINDOW = 256 * 2**10
"""Bytes that are read of a file whose header does not end before."""
AT_ONCE = 2 * 2**20
"""Bytes of the buffer that windows are read into: it stays in the processor's cache."""
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TAGS = np.array([a.tag for a in ATTRIBUTES], np.int64)
_CLASSES = np.array([NUMBER_BYTES.get(a.vr, 0) for a in ATTRIBUTES], np.int64)


def read_headers(
    paths: Sequence[str],
    sizes: Sequence[int],
    mtimes_ns: Sequence[int] | None = None,
    *,
    root: str | Path = ".",
    identified: bool = True,
) -> tuple[pl.DataFrame, list[Refused]]:
    """Read the headers of many files.

    Parameters
    ----------
    paths
        Paths relative to `root`; a link is not followed.
    sizes
        Their sizes in bytes.
    mtimes_ns
        Times of their last change, for the column `mtime_ns`; null without.
    root
        Folder that the paths start from.
    identified
        Whether to refuse a file that does not say which exam, series and instance it is.

    Returns
    -------
    polars.DataFrame
        One row a file that could be read, with the columns of `columns.SCHEMA`, in the order of
        `paths`.
    list of Refused
        One a file that could not, in the order of `paths`.

    Raises
    ------
    OSError
        If `root` cannot be opened.
    """
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        batch = _Batch(folder, paths, np.asarray(sizes, np.int64), identified=identified)
        batch.read(np.arange(len(paths)), WINDOW)
        batch.read(batch.take_wider(), WIDE_WINDOW)
        batch.make_table()
        batch.read_carefully()
    finally:
        os.close(folder)
    return batch.finish(mtimes_ns)


class _Batch:
    """Collect the stored values of some files.

    Parameters
    ----------
    folder
        Descriptor of the folder that the paths start from.
    paths
        Their paths.
    sizes : int64, n
        Their sizes in bytes.
    identified
        Whether to refuse a file without identifiers.
    """

    def __init__(
        self, folder: int, paths: Sequence[str], sizes: NDArray[np.int64], *, identified: bool
    ) -> None:
        self.folder, self.paths, self.sizes = folder, paths, sizes
        self.identified = identified
        self.known: list[tuple[NDArray[Any], ...]] = []
        self.tables: list[pl.DataFrame] = []
        self.places: list[NDArray[np.int64]] = []
        self.lengths: list[NDArray[np.int64]] = []  # of native pixels, and how many fragments
        self.doubtful: list[int] = []
        self.wider: list[int] = []
        self.refused: dict[int, Refused] = {}

    def take_wider(self) -> NDArray[np.int64]:
        """Return the files that need a wider window; a second time they are doubtful."""
        taken, self.wider = self.wider, self.doubtful
        return np.array(taken, np.int64)

    def read(self, files: NDArray[np.int64], window: int) -> None:
        """Read the first bytes of files, walk them and keep what they store."""
        at_once = max(1, AT_ONCE // window)
        if not len(files):
            return
        buffer = np.empty((min(at_once, len(files)), window), np.uint8)
        for first in range(0, len(files), at_once):
            some = files[first : first + at_once]
            used = self._fill(buffer, some)
            self._walk(buffer[: len(some)], used, some)

    def _fill(self, buffer: NDArray[np.uint8], files: NDArray[np.int64]) -> NDArray[np.int64]:
        """Read the first bytes of each file; -1 where that is not possible."""
        used = np.empty(len(files), np.int64)
        window, folder, paths = buffer.shape[1], self.folder, self.paths
        whole = memoryview(buffer.data).cast("B")
        for i, file in enumerate(files.tolist()):
            try:
                descriptor = os.open(paths[file], _OPEN, dir_fd=folder)
            except (OSError, ValueError):
                used[i] = -1
                continue
            try:
                start = i * window
                used[i] = os.preadv(descriptor, [whole[start : start + window]], 0)
            except OSError:
                used[i] = -1
            finally:
                os.close(descriptor)
        return used

    def _walk(
        self, buffer: NDArray[np.uint8], used: NDArray[np.int64], files: NDArray[np.int64]
    ) -> None:
        from workbench.dicom.header_values import copy_values
        from workbench.dicom.header_walk import (
            COMPRESSED,
            DONE,
            DOUBT,
            FRAGMENTS,
            IMPLICIT,
            MORE,
            walk_headers,
        )

        count, sizes = len(files), self.sizes[files]
        starts = np.zeros((count, len(_TAGS)), np.int32)
        lengths = np.empty_like(starts)
        found = np.empty((count, 3), np.int64)
        status = np.empty(count, np.uint8)
        # A file that has changed since its size was taken is doubtful.
        used = np.where(used == np.minimum(sizes, buffer.shape[1]), used, 0)
        walk_headers(buffer, used, sizes, _TAGS, _CLASSES, starts, lengths, found, status)
        offset, declared, way = found.T
        fragments = np.full(count, -1)
        last = (declared < 0) | (offset + declared == sizes)
        for i in np.flatnonzero((status == DONE) & ((declared == FRAGMENTS) | ~last)).tolist():
            try:
                number = self._check_end(files[i], sizes[i], found[i], implicit=way[i] == IMPLICIT)
                fragments[i] = -1 if number is None else number
            except (UnreadableFile, OSError):
                status[i] = DOUBT
        rows = np.flatnonzero(status == DONE)
        held = lengths[rows]
        values = np.empty(int(np.maximum(held, 0).sum()), np.uint8)
        moved = np.empty(held.shape, np.int64)
        copy_values(buffer, rows, starts, lengths, values, moved)
        native = np.where(way == COMPRESSED, -1, declared)
        lengths_of = np.stack([native, fragments], axis=1)[rows]
        self.known.append((files[rows], lengths_of, values, moved, held))
        self.doubtful += files[status == DOUBT].tolist()
        self.wider += files[status == MORE].tolist()

    def make_table(self) -> None:
        """Make a table of the headers that were walked."""
        if not self.known:
            return
        files, pixels, values, starts, lengths = zip(*self.known, strict=True)
        before = np.cumsum([0, *(len(v) for v in values[:-1])])
        moved = [s + b for s, b in zip(starts, before, strict=True)]
        table, good = tabulate(*map(np.concatenate, (values, moved, lengths)))
        places = np.concatenate(files)
        self.tables.append(table)
        self.places.append(places[good])
        self.lengths.append(np.concatenate(pixels)[good])
        self.doubtful += places[~good].tolist()
        self.known = []

    def _check_end(
        self, file: int, size: int, found: NDArray[np.int64], *, implicit: bool
    ) -> int | None:
        """Refuse pixel data that is not all there; return how many fragments it has."""
        offset, length, _ = found.tolist()
        descriptor = os.open(self.paths[file], _OPEN, dir_fd=self.folder)
        try:
            return check_end(
                lambda at, count: os.pread(descriptor, count, at),
                offset,
                length if length >= 0 else UNDEFINED,
                int(size),
                implicit=bool(implicit),
            )
        finally:
            os.close(descriptor)

    def read_carefully(self) -> None:
        """Read the doubtful files one by one."""
        kept: list[Stored] = []
        places = []
        for file in self.doubtful:
            try:
                kept.append(self._read_one(file))
                places.append(file)
            except UnreadableFile as error:
                self.refused[file] = Refused(self.paths[file], error.reason, error.detail)
        if kept:
            self.tables.append(stored_table(kept))
            self.places.append(np.array(places, np.int64))
            lengths = [
                [-1 if n is None else n for n in (k.pixel_length, k.fragments)] for k in kept
            ]
            self.lengths.append(np.array(lengths, np.int64))

    def _read_one(self, file: int) -> Stored:
        try:
            descriptor = os.open(self.paths[file], _OPEN, dir_fd=self.folder)
            with os.fdopen(descriptor, "rb") as stream:
                return read_stored(stream, identified=self.identified)
        except (OSError, ValueError) as error:
            raise UnreadableFile("unreadable", error.__class__.__name__) from None

    def finish(self, mtimes_ns: Sequence[int] | None) -> tuple[pl.DataFrame, list[Refused]]:
        """Return the rows and the refusals in the order of the files."""
        if not self.places:
            return pl.DataFrame(schema=SCHEMA), [self.refused[i] for i in sorted(self.refused)]
        places = np.concatenate(self.places)
        declared = (pl.Series(n) for n in np.concatenate(self.lengths).T.copy())
        rows = to_rows(pl.concat(self.tables))
        bad = find_bad_lengths(rows, *(n.set(n < 0, None) for n in declared))
        rows = rows.with_columns(
            pl.Series("path", [self.paths[i] for i in places.tolist()], pl.String),
            pl.Series("size", self.sizes[places], pl.Int64),
            _taken(mtimes_ns, places).alias("mtime_ns"),
            pl.Series("_place", places),
            bad.alias("_bad"),
        )
        for place, detail in (
            rows.filter(pl.col("_bad").is_not_null()).select("_place", "_bad").rows()
        ):
            self.refused[place] = Refused(self.paths[place], "bad_length", detail)
        good = rows.filter(pl.col("_bad").is_null()).sort("_place").select(SCHEMA.names())
        return good, [self.refused[i] for i in sorted(self.refused)]


def _taken(values: Sequence[int] | None, places: NDArray[np.int64]) -> pl.Series:
    if values is None:
        return pl.Series([None], dtype=pl.Int64).new_from_index(0, len(places))
    return pl.Series(np.asarray(values, np.int64)[places])
