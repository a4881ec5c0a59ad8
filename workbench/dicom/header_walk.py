"""Header walk: from element to element through the bytes of many headers, compiled.

It knows explicit and implicit VR, nested sequences and nothing else: where it has the least doubt
it says so, and the header is read by `dicom.read_stored`.
"""

# Compiled functions have no annotations: numba finds the types.
# ruff: noqa: ANN001, ANN201, ANN202, PLR0911, PLR0912, PLR0917
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

DONE, DOUBT, MORE = 0, 1, 2
"""The header is walked to its end; it is not understood; more of it must be read."""
NO_PIXELS, FRAGMENTS = -2, -1
"""Lengths of pixel data that is not there, or in fragments."""
IMPLICIT, EXPLICIT, COMPRESSED = 0, 1, 2
"""How elements are stored: without VR, with it, with it and pixel data in fragments."""
_LIMIT = 64
_STACK = 2 * _LIMIT + 4
_LONGEST = 1024
_UNDEFINED = 0xFFFFFFFF
_UNKNOWN, _BEYOND = -1, -2
_PREFIX = np.frombuffer(b"1.2.840.10008.1.2", np.uint8)


def _codes(vrs: str) -> NDArray[np.bool_]:
    known = np.zeros(1 << 16, np.bool_)
    for vr in vrs.split():
        known[ord(vr[0]) << 8 | ord(vr[1])] = True
    return known


_TEXT = _codes("AE AS CS DA DS DT IS LO LT PN SH ST TM UI")
_SHORT = _TEXT | _codes("AT FD FL SL SS UL US")
_LONG = _codes("OB OD OF OL OV OW SQ SV UC UN UR UT UV")
_SQ, _US, _FD, _UL, _UI, _CS = (
    ord(a) << 8 | ord(b) for a, b in ("SQ", "US", "FD", "UL", "UI", "CS")
)
_CHARACTER_SET = 0x00080005
_SHORTEST_CLASS = 24
"""Bytes of the shortest SOP class of an instance; the UID of an index of a medium is shorter."""


@njit(cache=True, nogil=True, inline="always")
def _u16(buffer, at, big):
    first, second = np.int64(buffer[at]), np.int64(buffer[at + 1])
    return first << 8 | second if big else second << 8 | first


@njit(cache=True, nogil=True, inline="always")
def _u32(buffer, at, big):
    first, second = _u16(buffer, at, big), _u16(buffer, at + 2, big)
    return first << 16 | second if big else second << 16 | first


@njit(cache=True, nogil=True)
def _element(buffer, at, limit, implicit, big):
    """Return tag, VR code (0 if implicit), start and length of the value.

    The tag is `_UNKNOWN` in doubt, and `_BEYOND` if the element does not start before `limit`.
    """
    if at + 8 > limit:
        return _BEYOND, 0, at, 0
    tag = _u16(buffer, at, big) << 16 | _u16(buffer, at + 2, big)
    if implicit or tag >> 16 == 0xFFFE:
        return tag, 0, at + 8, _u32(buffer, at + 4, big)
    vr = np.int64(buffer[at + 4]) << 8 | np.int64(buffer[at + 5])
    if _SHORT[vr]:
        return tag, vr, at + 8, _u16(buffer, at + 6, big)
    if not _LONG[vr]:
        return _UNKNOWN, 0, at, 0
    if at + 12 > limit:
        return _BEYOND, 0, at, 0
    return tag, vr, at + 12, _u32(buffer, at + 8, big)


@njit(cache=True, nogil=True)
def _is_sequence(buffer, at, limit, vr, size, implicit, big):
    if vr == _SQ or size == _UNDEFINED:
        return True
    if not implicit or size < 8 or at + 4 > limit:
        return False
    return _u32(buffer, at, big) == (0xFFFEE000 if big else 0xE000FFFE)


@njit(cache=True, nogil=True)
def _is_plain_set(buffer, start, limit, vr, size):
    """Return whether pydicom reads a character set, which it does wherever it meets one."""
    if (vr not in (0, _CS)) or start + size > limit:
        return False
    for i in range(start, start + size):
        if not 32 <= buffer[i] <= 126 and (buffer[i] != 0 or i < start + size - 1):
            return False
    return True


@njit(cache=True, nogil=True)
def _nested(buffer, at, limit, length, implicit, big):
    """Walk a sequence.

    Return where it ends, or a negative code, how deep it is nested, and whether all character
    sets in it are plain.
    """
    ends = np.full(_STACK, -1, np.int64)
    items = np.zeros(_STACK, np.bool_)  # whether a level is a sequence, which holds items
    declared = np.int64(_UNKNOWN) if length == _UNDEFINED else at + length
    ends[0], items[0] = declared, True
    level, sequences, deepest, plain = 0, 1, 1, True
    while True:
        while ends[level] == at:
            sequences -= items[level]
            level -= 1
            if level < 0:
                return at, deepest, plain
        tag, vr, start, size = _element(buffer, at, limit, implicit, big)
        if tag == _BEYOND:
            return np.int64(_BEYOND), deepest, plain
        if ends[level] >= 0 and at > ends[level]:
            return declared, deepest, plain
        at = start
        if items[level]:
            if tag == 0xFFFEE0DD and ends[level] < 0:
                sequences -= 1
                level -= 1
                if level < 0:
                    return at, deepest, plain
                continue
            if tag != 0xFFFEE000:
                return declared, deepest, plain
            level += 1
            ends[level], items[level] = _UNKNOWN if size == _UNDEFINED else at + size, False
        elif tag == 0xFFFEE00D and ends[level] < 0:
            level -= 1
        elif tag < 0 or tag >> 16 == 0xFFFE:
            return declared, deepest, plain
        elif _is_sequence(buffer, at, limit, vr, size, implicit, big):
            level += 1
            sequences += 1
            deepest = max(deepest, sequences)
            if sequences > _LIMIT:
                return declared, deepest, plain
            ends[level], items[level] = _UNKNOWN if size == _UNDEFINED else at + size, True
        else:
            if tag == _CHARACTER_SET:
                plain = plain and _is_plain_set(buffer, at, limit, vr, size)
            at += size


@njit(cache=True, nogil=True)
def walk_depth(buffer, at, implicit, big):
    """Return how deep the sequences of a data set are nested, as far as it is understood."""
    limit, deepest = len(buffer), 0
    while True:
        tag, vr, start, size = _element(buffer, at, limit, implicit, big)
        if tag < 0:
            return deepest
        at = start + size
        if _is_sequence(buffer, start, limit, vr, size, implicit, big):
            at, depth, _ = _nested(buffer, start, limit, size, implicit, big)
            deepest = max(deepest, depth)
            if at < 0:
                return deepest


@njit(cache=True, nogil=True)
def _syntax(row, start, length):
    """Return how elements are stored, -1 if that is not known."""
    while length > 0 and (row[start + length - 1] == 0 or row[start + length - 1] == 32):
        length -= 1
    if length < len(_PREFIX):
        return -1
    for i in range(len(_PREFIX)):
        if row[start + i] != _PREFIX[i]:
            return -1
    rest = length - len(_PREFIX)
    if rest == 0:
        return IMPLICIT
    first = row[start + len(_PREFIX) + 1]
    if rest == 2 and first == 49:  # .1
        return EXPLICIT
    if (rest == 2 and first == 53) or (rest == 5 and first == 52):  # .5, .4.xx
        return COMPRESSED
    return -1


@njit(cache=True, nogil=True)
def _is_usual_meta(tag, last, vr, length):
    """Return whether pydicom can use what it converts of the file meta information."""
    if last < 0:
        return tag == 0x00020000 and vr == _UL and length == 4
    if tag == 0x00020002:
        return length >= _SHORTEST_CLASS
    return tag != 0x00020010 or vr == _UI


@njit(cache=True, nogil=True)
def _walk(row, limit, size, tags, classes, starts, lengths, found):
    """Walk one header; return a status, and fill in its row of `walk_headers`."""
    short = DOUBT if limit == size else MORE
    if limit < 140 or row[128] != 68 or row[129] != 73 or row[130] != 67 or row[131] != 77:
        return DOUBT
    at, last, wanted = np.int64(132), np.int64(-1), 0
    meta, implicit = True, False
    while at != size:
        if at > size:
            return DOUBT
        if meta and at + 8 <= limit and _u16(row, at, False) != 2:
            syntax = _syntax(row, starts[0], lengths[0]) if lengths[0] > 0 else -1
            capitals = 65 <= row[at + 4] <= 90 and 65 <= row[at + 5] <= 90
            if syntax < 0 or (syntax == IMPLICIT) == capitals:
                return DOUBT
            meta, implicit, found[2] = False, syntax == IMPLICIT, syntax
        tag, vr, start, length = _element(row, at, limit, implicit, False)
        if tag == _BEYOND:
            return short
        group = tag >> 16
        if tag <= last or group in (0, 4, 0x5200, 0xFFFE):
            return DOUBT
        if meta and not _is_usual_meta(tag, last, vr, length):
            return DOUBT
        last = tag
        if 0x7FE00008 <= tag <= 0x7FE00010:
            found[0], found[1] = start, FRAGMENTS if length == _UNDEFINED else length
            return DONE if start + max(found[1], 0) <= size else DOUBT
        while wanted < len(tags) and tags[wanted] < tag:
            wanted += 1
        at = start + length
        if wanted < len(tags) and tags[wanted] == tag:
            kind = classes[wanted]
            fits = implicit or (_TEXT[vr] if kind == 0 else vr == (_US if kind == 2 else _FD))
            if not fits or length > _LONGEST or (kind > 0 and length % kind):
                return DOUBT
            if at > limit:
                return short
            if tag == _CHARACTER_SET and not _is_plain_set(row, start, limit, vr, length):
                return DOUBT
            starts[wanted], lengths[wanted] = start, length
        elif _is_sequence(row, start, limit, vr, length, implicit, False):
            if not implicit and vr != _SQ:
                return DOUBT
            at, depth, plain = _nested(row, start, limit, length, implicit, False)
            if at == _BEYOND:
                return short
            if at < 0 or depth > _LIMIT or not plain:
                return DOUBT
    return DOUBT if meta else DONE


@njit(cache=True, nogil=True)
def walk_headers(buffer, used, sizes, tags, classes, starts, lengths, found, status):
    """Walk many headers.

    Parameters
    ----------
    buffer : uint8, n x window
        The first bytes of each file.
    used : int64, n
        How many of them there are.
    sizes : int64, n
        Size of each file in bytes.
    tags : int64, m
        Tags that are wanted, ascending.
    classes : int64, m
        0 for text, else the bytes of one number.
    starts, lengths : int32, n x m
        Filled with the place of each value in the row of `buffer`; a length of -1 is absent.
    found : int64, n x 3
        Filled with start and length of the pixel data, and how elements are stored.
    status : uint8, n
        Filled with `DONE`, `DOUBT` or `MORE`.
    """
    for i in range(len(used)):
        lengths[i] = -1
        found[i, 0], found[i, 1], found[i, 2] = 0, NO_PIXELS, EXPLICIT
        status[i] = _walk(
            buffer[i], used[i], sizes[i], tags, classes, starts[i], lengths[i], found[i]
        )


def depth_of(header: bytes, *, implicit: bool, big: bool) -> int:
    """Return how deep the sequences of a data set are nested, counted up to 65.

    Parameters
    ----------
    header
        Bytes of a data set, from its first element.
    implicit, big
        How its elements are stored.
    """
    return int(walk_depth(np.frombuffer(header, np.uint8), 0, implicit, big))
