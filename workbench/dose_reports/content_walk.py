"""Content walk: from item to item through a structured report, compiled.

The tree of content items (DICOM PS3.3, C.17.3) is read straight from the bytes of a data set into
two arrays; nothing is copied and no value is converted. Whatever lengths the bytes claim, each
step moves on or leaves a level, so that a walk takes time in proportion to the bytes.
"""

# Compiled functions have no annotations: numba finds the types.
# ruff: noqa: ANN001, ANN201, ANN202, PLR0911, PLR0912, PLR0915, PLR0917
# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from workbench.dicom.refusals import DEEPEST

WHOLE, TRUNCATED, BROKEN, TOO_DEEP, TOO_MANY = 0, 1, 2, 3, 4
"""How a walk ended."""
(
    RELATIONSHIP, KIND, NAME, NAME_SCHEME, VALUE, CODE, CODE_SCHEME, MEANING, UNIT, UNIT_SCHEME,
    TEMPLATE, FLOAT, CHARACTER_SET, DATE, TIME, WEIGHT,
) = range(16)  # fmt: skip
"""What is kept of an item; the last four of the report itself only."""
FIELDS = 16
MOST_ITEMS = 100_000
"""A report of more content items is refused; a long fluoroscopy report has some ten thousand."""
_STACK = 2 * DEEPEST + 4
_UNDEFINED = 0xFFFFFFFF
_UN = ord("U") << 8 | ord("N")
_SQ = ord("S") << 8 | ord("Q")
_OTHER, _CONTENT, _NAME, _CONCEPT, _MEASURED, _UNITS, _TEMPLATE = range(7)


def _codes(vrs: str) -> NDArray[np.bool_]:
    known = np.zeros(1 << 16, np.bool_)
    for vr in vrs.split():
        known[ord(vr[0]) << 8 | ord(vr[1])] = True
    return known


_SHORT = _codes("AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US")
_LONG = _codes("OB OD OF OL OV OW SQ SV UC UN UR UT UV")


@njit(cache=True, nogil=True, inline="always")
def _u16(buffer, at, big):
    first, second = np.int64(buffer[at]), np.int64(buffer[at + 1])
    return first << 8 | second if big else second << 8 | first


@njit(cache=True, nogil=True)
def _inside(context, tag):
    """Return what a sequence of an item holds."""
    if context == _CONTENT:
        if tag == 0x0040A730:
            return _CONTENT
        if tag == 0x0040A043:
            return _NAME
        if tag == 0x0040A168:
            return _CONCEPT
        if tag == 0x0040A300:
            return _MEASURED
        if tag == 0x0040A504:
            return _TEMPLATE
    elif context == _MEASURED and tag == 0x004008EA:
        return _UNITS
    return _OTHER


@njit(cache=True, nogil=True)
def _field(context, tag, root):
    """Return which field of an item an element holds; -1 if none."""
    if context == _CONTENT:
        if tag == 0x0040A010:
            return RELATIONSHIP
        if tag == 0x0040A040:
            return KIND
        if tag in (0x0040A160, 0x0040A124, 0x0040A120):
            return VALUE
        if root and tag == 0x00080005:
            return CHARACTER_SET
        if root and tag == 0x00080023:
            return DATE
        if root and tag == 0x00080033:
            return TIME
        if root and tag == 0x00101030:
            return WEIGHT
    elif context == _MEASURED:
        if tag == 0x0040A30A:
            return VALUE
        if tag == 0x0040A161:
            return FLOAT
    elif context == _TEMPLATE:
        if tag == 0x0040DB00:
            return TEMPLATE
    elif context in (_NAME, _CONCEPT, _UNITS):
        code = NAME if context == _NAME else CODE if context == _CONCEPT else UNIT
        if tag in (0x00080100, 0x00080119, 0x00080120):
            return code
        if tag == 0x00080102:
            return code + 1
        if tag == 0x00080104 and context == _CONCEPT:
            return MEANING
    return -1


@njit(cache=True, nogil=True)
def walk_content(buffer, at, implicit, big, parents, places):
    """Find the content items of a data set.

    Parameters
    ----------
    buffer : uint8
        The whole data set.
    at
        Where its first element starts.
    implicit, big
        How its elements are stored.
    parents : int32, n
        Filled with the item that holds each; the report itself is item 0.
    places : int32, n x FIELDS x 2
        Filled with start and length of each field; a length of -1 is absent.

    Returns
    -------
    status
        `WHOLE`, or why it ended.
    count
        How many items were found.
    """
    limit = len(buffer)
    ends = np.empty(_STACK, np.int64)
    contexts = np.empty(_STACK, np.int64)
    owners = np.empty(_STACK, np.int64)
    seen = np.empty(_STACK, np.int64)  # items of a sequence; -1 on the level of an item
    plain = np.empty(_STACK, np.bool_)  # whether elements have no VR
    ends[0], contexts[0], owners[0], seen[0], plain[0] = limit, _CONTENT, 0, -1, implicit
    parents[0] = -1
    places[0, :, 1] = -1
    level, sequences, count = 0, 0, 1
    while True:
        while ends[level] == at:
            if level == 0:
                return WHOLE, count
            sequences -= seen[level] >= 0
            level -= 1
        if 0 <= ends[level] < at:
            return BROKEN, count
        if at + 8 > limit:
            return TRUNCATED, count
        tag = _u16(buffer, at, big) << 16 | _u16(buffer, at + 2, big)
        low, high = _u16(buffer, at + 4, big), _u16(buffer, at + 6, big)
        size = low << 16 | high if big else high << 16 | low
        start, vr = at + 8, np.int64(0)
        if tag >> 16 == 0xFFFE:
            at = start
            if tag == 0xFFFEE000 and seen[level] >= 0:
                context, owner = contexts[level], owners[level]
                if context == _CONTENT:
                    if count == len(parents):
                        return TOO_MANY, count
                    parents[count] = owner
                    places[count, :, 1] = -1
                    owner = count
                    count += 1
                elif seen[level] > 0:
                    context = _OTHER  # one code names an item, the others are not asked for
                seen[level] += 1
                if level + 1 == _STACK:
                    return TOO_DEEP, count
                plain[level + 1] = plain[level]
                level += 1
                ends[level] = -1 if size == _UNDEFINED else at + size
                contexts[level], owners[level], seen[level] = context, owner, -1
                if ends[level] > limit:
                    return TRUNCATED, count
                continue
            ends_item = tag == 0xFFFEE00D and seen[level] < 0
            ends_sequence = tag == 0xFFFEE0DD and seen[level] >= 0
            if level == 0 or ends[level] >= 0 or not (ends_item or ends_sequence):
                return BROKEN, count
            sequences -= seen[level] >= 0
            level -= 1
            continue
        if seen[level] >= 0:
            return BROKEN, count
        if not plain[level]:
            vr = np.int64(buffer[at + 4]) << 8 | np.int64(buffer[at + 5])
            if _SHORT[vr]:
                size = _u16(buffer, at + 6, big)
            elif not _LONG[vr]:
                return BROKEN, count
            else:
                if at + 12 > limit:
                    return TRUNCATED, count
                low, high = _u16(buffer, at + 8, big), _u16(buffer, at + 10, big)
                size = low << 16 | high if big else high << 16 | low
                start = at + 12
        inside = _inside(contexts[level], tag)
        at = start
        if size == _UNDEFINED or (inside != _OTHER and vr in (0, _SQ, _UN)):
            sequences += 1
            if sequences > DEEPEST or level + 1 == _STACK:
                return TOO_DEEP, count
            # What is of unknown VR is stored without VR (DICOM PS3.5, 6.2.2, note).
            plain[level + 1] = plain[level] or vr == _UN
            level += 1
            ends[level] = -1 if size == _UNDEFINED else at + size
            contexts[level], owners[level], seen[level] = inside, owners[level - 1], 0
            if ends[level] > limit:
                return TRUNCATED, count
            continue
        at += size
        if at > limit:
            return TRUNCATED, count
        field = _field(contexts[level], tag, level == 0)
        if field >= 0 and places[owners[level], field, 1] < 0:
            places[owners[level], field, 0] = start
            places[owners[level], field, 1] = size
