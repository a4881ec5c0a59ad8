"""Header values: from places in many headers to columns, compiled.

The bytes of all texts of all headers go into one buffer with offsets, as Arrow holds them, so
that no text becomes a Python object by itself. A text that is not printable ASCII is only noted.
"""

# Compiled functions have no annotations: numba finds the types.
# ruff: noqa: ANN001, ANN201, ANN202, PLR0917
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit

PLAIN, STRANGE = 0, 1
"""Printable ASCII; anything else."""


@njit(cache=True, nogil=True, inline="always")
def _blank(byte):
    return byte in (32, 0)


@njit(cache=True, nogil=True)
def _trim(row, start, end):
    while end > start and _blank(row[end - 1]):
        end -= 1
    while start < end and _blank(row[start]):
        start += 1
    return start, end


@njit(cache=True, nogil=True)
def _part(row, start, end, index, count):
    """Return the place of one of several values; an empty one unless there are `count`."""
    seen, first, last = 0, start, end
    for at in range(start, end):
        if row[at] == 92:
            seen += 1
            if seen == index:
                first = at + 1
            elif seen == index + 1:
                last = at
    if count > 1 and seen != count - 1:
        return start, start
    return _trim(row, first, last)


@njit(cache=True, nogil=True)
def _is_same(row, start, other, before, length):
    at = 0
    while at < length and row[start + at] == other[before + at]:
        at += 1
    return at >= length


@njit(cache=True, nogil=True)
def copy_values(buffer, rows, starts, lengths, values, moved, changed):
    """Copy the values of many headers into one buffer without what lies between them.

    A value that is that of the header before is not copied again: most are the same in all files
    of a series.

    Parameters
    ----------
    buffer : uint8, n x window
        The first bytes of each file.
    rows : int64, k
        Rows of `buffer` that are wanted.
    starts, lengths : int32, n x m
        Places of the values, as `header_walk.walk_headers` fills them.
    values : uint8
        Filled with the values.
    moved : int64, k x m
        Filled with where each starts in `values`.
    changed : bool, k x m
        Filled with whether it is another than in the row before.

    Returns
    -------
    int
        How many bytes of `values` are filled.
    """
    at = 0
    for j in range(len(rows)):
        row, before = buffer[rows[j]], buffer[rows[j - 1]]
        for m in range(starts.shape[1]):
            start, length = starts[rows[j], m], lengths[rows[j], m]
            same = j > 0 and length == lengths[rows[j - 1], m]
            if same and _is_same(row, start, before, starts[rows[j - 1], m], length):
                moved[j, m], changed[j, m] = moved[j - 1, m], False
                continue
            moved[j, m], changed[j, m] = at, True
            for i in range(start, start + length):
                values[at] = row[i]
                at += 1
    return at


@njit(cache=True, nogil=True)
def locate_texts(values, starts, lengths, columns, places, kinds):
    """Find each text without the blanks around it.

    Parameters
    ----------
    values : uint8
        Values of many headers.
    starts : int64, m x k
        Where each starts.
    lengths : int32, m x k
        How long it is; -1 if it is absent.
    columns : int64, c x 3
        Attribute (one of m), which of its values, and how many values it has (0: all as one).
    places : int64, c x k x 2
        Filled with start and length.
    kinds : uint8, c x k
        Filled with `PLAIN` or `STRANGE`.
    """
    for c in range(len(columns)):
        attribute, index, count = columns[c]
        for j in range(starts.shape[1]):
            length = lengths[attribute, j]
            places[c, j, 1], kinds[c, j] = 0, PLAIN
            if length <= 0:
                continue
            start = starts[attribute, j]
            start, end = _trim(values, start, start + length)
            for at in range(start, end):
                if not 32 <= values[at] <= 126:
                    kinds[c, j] = STRANGE
                    break
            if count > 0 and kinds[c, j] == PLAIN:
                start, end = _part(values, start, end, index, count)
            places[c, j, 0], places[c, j, 1] = start, end - start


@njit(cache=True, nogil=True)
def gather_texts(values, columns, places, kinds, data, offsets, valid):
    """Copy each plain text, without blanks around its parts, column by column.

    Parameters
    ----------
    values, columns, places, kinds
        As `locate_texts` has them.
    data : uint8
        Filled with the texts.
    offsets : int64, c * k + 1
        Filled with where each starts.
    valid : bool, c * k
        Filled with whether there is a text.
    """
    at, cell = 0, 0
    offsets[0] = 0
    for c in range(len(columns)):
        for j in range(kinds.shape[1]):
            start, length = places[c, j]
            begin = at
            if kinds[c, j] == PLAIN:
                after_separator = True
                for i in range(start, start + length):
                    byte = values[i]
                    if byte == 92:
                        while at > begin and data[at - 1] == 32:
                            at -= 1
                    elif byte == 32 and after_separator:
                        continue
                    after_separator = byte == 92
                    data[at] = byte
                    at += 1
            valid[cell] = at > begin
            cell += 1
            offsets[cell] = at


@njit(cache=True, nogil=True)
def gather_numbers(values, starts, lengths, attribute, size, words, valid):
    """Copy the first number of an attribute that is stored binary, little endian.

    Parameters
    ----------
    values, starts, lengths
        As `locate_texts` has them.
    attribute
        One of m.
    size
        Bytes of a number.
    words : uint64, k
        Filled with its bits.
    valid : bool, k
        Filled with whether there is one.
    """
    for j in range(starts.shape[1]):
        valid[j] = lengths[attribute, j] >= size
        words[j] = 0
        if valid[j]:
            start = starts[attribute, j]
            for i in range(size):
                words[j] |= np.uint64(values[start + i]) << np.uint64(8 * i)
