"""Encapsulation: which compressed fragments of a file make which frame."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from workbench.dicom.pixel_data import walk_fragments
from workbench.dicom.refusals import UnreadableFile
from workbench.pixels.byte_source import ByteSource, PixelError
from workbench.pixels.pixel_info import PixelInfo

Span = tuple[int, int]
"""Offset and length of some bytes in the file."""
# What a codestream begins with: JPEG and JPEG-LS, JPEG 2000, JPEG 2000 in a JP2 file.
_BEGINNINGS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")


def find_frames(source: ByteSource, info: PixelInfo) -> list[list[Span]]:
    """Find the fragments of each frame; their content is not read.

    One fragment a frame is the rule. Where frames have several, the basic offset table tells
    where they begin, or the codestreams themselves; an extended offset table adds nothing, since
    with it every frame has one fragment.

    Source: DICOM PS3.5, annex A.4.

    Parameters
    ----------
    source
        The file.
    info
        Where its pixels lie.

    Returns
    -------
    list of list of (int, int)
        For each frame, offset and length (bytes) of its fragments.

    Raises
    ------
    PixelError
        If the fragments do not end, or cannot be told apart.
    """
    table, fragments = _walk(source, info)
    if len(fragments) == info.frames:
        return [[fragment] for fragment in fragments]
    if info.frames == 1:
        return [fragments]
    starts = _table_starts(source, info, table, fragments)
    if starts is None:
        starts = [
            i
            for i, (offset, length) in enumerate(fragments)
            if source.read(offset, min(8, length)).startswith(_BEGINNINGS)
        ]
    if len(starts) != info.frames or starts[0] != 0:
        detail = f"{len(fragments)} fragments, {info.frames} frames"
        raise PixelError("bad_fragments", detail)
    ends = [*starts[1:], len(fragments)]
    return [fragments[start:end] for start, end in zip(starts, ends, strict=True)]


def _walk(source: ByteSource, info: PixelInfo) -> tuple[Span, list[Span]]:
    """Return the place of the basic offset table, and of every fragment."""
    end = info.offset + info.length
    try:
        items = list(walk_fragments(source.read, info.offset, end))
    except UnreadableFile as error:
        reason = "truncated" if error.reason == "truncated" else "bad_fragments"
        raise PixelError(reason, error.detail) from None
    if len(items) < 2:
        raise PixelError("bad_fragments", "no fragments")
    return items[0], items[1:]


def _table_starts(
    source: ByteSource, info: PixelInfo, table: Span, fragments: Sequence[Span]
) -> list[int] | None:
    """Return the first fragment of each frame by the basic offset table, or None if it is odd."""
    raw = source.read(*table)
    if len(raw) != 4 * info.frames:
        return None
    offsets = [int.from_bytes(raw[i : i + 4], "little") for i in range(0, len(raw), 4)]
    # Offsets count from the first byte of the first fragment's item.
    places = [offset - fragments[0][0] for offset, _ in fragments]
    starts = [bisect_left(places, offset) for offset in offsets]
    told = [places[i] if i < len(places) else -1 for i in starts]
    increasing = all(a < b for a, b in pairwise(starts))
    return starts if told == offsets and increasing else None
