"""Headers: many files to rows, as fast as the disk gives them.

The first 16 KB of each file are read into one buffer and walked by compiled code; columns are
made of all of them at once. A header that this does not understand to the last byte is read by
`careful.read_apart`, so that the rows are the same, only later.
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
from workbench.dicom.careful import read_apart
from workbench.dicom.columns import SCHEMA
from workbench.dicom.header import Stored, stored_table
from workbench.dicom.header_table import CHARACTER_SET, NUMBER_BYTES, tabulate
from workbench.dicom.pixel_data import UNDEFINED, check_end
from workbench.dicom.refusals import Refused, UnreadableFile
from workbench.dicom.rows import find_bad_lengths, to_rows

WINDOW = 16 * 2**10
"""Bytes of a file that are read first."""
WIDE_WINDOW = 256 * 2**10
"""Bytes that are read of a file whose header does not end before."""
AT_ONCE = 4 * 2**20
"""Bytes of the buffer that windows are read into; most of it stays in the processor's cache."""
NARROWEST = 4 * 2**10
"""Bytes that are read of a file at least."""
AFTER = 32
"""Bytes behind the header that tell how its pixel data starts."""
OFTEN = 1 / 8
"""Part of the files from which on a value that changes is read of each file."""
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TAGS = np.array([a.tag for a in ATTRIBUTES], np.int64)
_CLASSES = np.array([NUMBER_BYTES.get(a.vr, 0) for a in ATTRIBUTES], np.int64)
_INSTANCE = [a.keyword for a in ATTRIBUTES].index("SOPInstanceUID")


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
        batch.read_carefully(str(Path(root).absolute()))
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
        """Read the first bytes of files, walk them and keep what they store.

        Not more of a file is read than the headers before took, unless that is too little.
        """
        at_once, width = max(1, AT_ONCE // window), window
        space = np.empty(min(at_once, len(files)) * window, np.uint8)
        for first in range(0, len(files), at_once):
            some = files[first : first + at_once]
            short, longest = self._read(space, some, width)
            if len(short) and width < window:
                short, _ = self._read(space, short, window)
            width = window if len(short) else min(window, max(NARROWEST, 1 << longest.bit_length()))
            self.wider += short.tolist()

    def _read(
        self, space: NDArray[np.uint8], files: NDArray[np.int64], width: int
    ) -> tuple[NDArray[np.int64], int]:
        """Return the files of which more must be read, and the end of the longest header."""
        buffer = space[: len(files) * width].reshape(len(files), width)
        return self._walk(buffer, self._fill(buffer, files), files)

    def _fill(self, buffer: NDArray[np.uint8], files: NDArray[np.int64]) -> NDArray[np.int64]:
        """Read the first bytes of each file; -1 where that is not possible."""
        used = []
        folder, paths = self.folder, self.paths
        for file, row in zip(files.tolist(), buffer, strict=True):
            try:
                descriptor = os.open(paths[file], _OPEN, dir_fd=folder)
            except (OSError, ValueError):
                used.append(-1)
                continue
            try:
                used.append(os.readv(descriptor, (row,)))
            except OSError:
                used.append(-1)
            finally:
                os.close(descriptor)
        return np.array(used, np.int64)

    def _walk(
        self, buffer: NDArray[np.uint8], used: NDArray[np.int64], files: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], int]:
        from workbench.dicom.header_values import copy_values
        from workbench.dicom.header_walk import (
            COMPRESSED,
            DONE,
            DOUBT,
            FRAGMENTS,
            IMPLICIT,
            MORE,
            NO_PIXELS,
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
                head = buffer[i, : used[i]].tobytes()
                number = self._check_end(head, files[i], sizes[i], found[i], way[i] == IMPLICIT)
                fragments[i] = -1 if number is None else number
            except (UnreadableFile, OSError):
                status[i] = DOUBT
        rows = np.flatnonzero(status == DONE)
        held = lengths[rows]
        values = np.empty(int(np.maximum(held, 0).sum()), np.uint8)
        moved, changed = np.empty(held.shape, np.int32), np.empty(held.shape, np.bool_)
        copied = copy_values(buffer, rows, starts, lengths, values, moved, changed)
        native = np.where(way == COMPRESSED, -1, declared)
        lengths_of = np.stack([native, fragments], axis=1)[rows]
        known = (files[rows], lengths_of, values[:copied].copy(), moved, held, changed)
        self.known.append(known)
        self.doubtful += files[status == DOUBT].tolist()
        ends = np.where(declared == NO_PIXELS, sizes, offset + AFTER)[rows]
        return files[status == MORE], int(ends.max(initial=0))

    def make_table(self) -> None:
        """Make a table of the headers that were walked."""
        if not self.known:
            return
        files, pixels, values, starts, lengths, changed = zip(*self.known, strict=True)
        before = np.cumsum([0, *(len(v) for v in values[:-1])])
        before = np.repeat(before, [len(f) for f in files])[:, None]
        value, start, length, new = map(np.concatenate, (values, starts, lengths, changed))
        # What most files share with the one before is made a column once for all of them.
        often = new.sum(axis=0) > len(new) * OFTEN
        often[CHARACTER_SET], often[_INSTANCE] = False, True
        first = np.flatnonzero(new[:, ~often].any(axis=1))
        wanted = np.flatnonzero(~often)
        some = np.ix_(first, wanted)
        shared, fine = tabulate(value, before[first] + start[some], length[some], wanted)
        often[CHARACTER_SET] = True
        wanted = np.flatnonzero(often)
        own, good = tabulate(value, before + start[:, wanted], length[:, wanted], wanted)
        own = own.drop("SpecificCharacterSet")
        run = np.searchsorted(first, np.arange(len(new)), "right") - 1
        good &= fine[run]
        places = np.concatenate(files)
        self.tables.append(to_rows(own.filter(good), shared, run[good]))
        self.places.append(places[good])
        self.lengths.append(np.concatenate(pixels)[good])
        self.doubtful += places[~good].tolist()
        self.known = []

    def _check_end(
        self, head: bytes, file: int, size: int, found: NDArray[np.int64], implicit: bool
    ) -> int | None:
        """Refuse pixel data that is not all there; return how many fragments it has."""
        offset, length, _ = found.tolist()
        descriptor = os.open(self.paths[file], _OPEN, dir_fd=self.folder)

        def read(at: int, count: int) -> bytes:
            if at + count <= len(head):
                return head[at : at + count]
            return os.pread(descriptor, count, at) if at < size else b""

        try:
            length = length if length >= 0 else UNDEFINED
            return check_end(read, offset, length, size, implicit=implicit)
        finally:
            os.close(descriptor)

    def read_carefully(self, root: str) -> None:
        """Read the doubtful files one by one, apart."""
        kept: list[Stored] = []
        places = []
        paths = [self.paths[file] for file in self.doubtful]
        found = read_apart(root, paths, identified=self.identified)
        for file, read in zip(self.doubtful, found, strict=True):
            if isinstance(read, UnreadableFile):
                self.refused[file] = Refused(self.paths[file], read.reason, read.detail)
            else:
                kept.append(read)
                places.append(file)
        if kept:
            self.tables.append(to_rows(stored_table(kept)))
            self.places.append(np.array(places, np.int64))
            lengths = [
                [-1 if n is None else n for n in (k.pixel_length, k.fragments)] for k in kept
            ]
            self.lengths.append(np.array(lengths, np.int64))

    def finish(self, mtimes_ns: Sequence[int] | None) -> tuple[pl.DataFrame, list[Refused]]:
        """Return the rows and the refusals in the order of the files."""
        if not self.places:
            return pl.DataFrame(schema=SCHEMA), [self.refused[i] for i in sorted(self.refused)]
        places = np.concatenate(self.places)
        declared = (pl.Series(n) for n in np.concatenate(self.lengths).T.copy())
        rows = pl.concat(self.tables)
        bad = find_bad_lengths(rows, *(n.set(n < 0, None) for n in declared))
        for i in bad.is_not_null().arg_true().to_list():
            path = self.paths[places[i]]
            self.refused[int(places[i])] = Refused(path, "bad_length", bad[i])
        order = np.argsort(places)
        order = order[bad.is_null().to_numpy()[order]]
        if len(order) < len(places) or (places[1:] < places[:-1]).any():
            rows, places = rows[order], places[order]
        rows = rows.with_columns(
            pl.Series("path", self.paths, pl.String).gather(places),
            pl.Series("size", self.sizes[places], pl.Int64),
            _taken(mtimes_ns, places).alias("mtime_ns"),
        )
        return rows, [self.refused[i] for i in sorted(self.refused)]


def _taken(values: Sequence[int] | None, places: NDArray[np.int64]) -> pl.Series:
    if values is None:
        return pl.Series([None], dtype=pl.Int64).new_from_index(0, len(places))
    return pl.Series(np.asarray(values, np.int64)[places])
