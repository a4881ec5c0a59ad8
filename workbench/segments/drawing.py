"""Drawing: what a DICOM SEG or RTSTRUCT holds, ready to be drawn on the slices of a volume."""

from __future__ import annotations

import os
import struct
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ImageError, UsageError, nearest, show
from workbench.imaging.volume_plan import SEGMENTATIONS
from workbench.pixels.decoding import decode_frames
from workbench.pixels.pixel_info import PixelInfo, read_pixel_info
from workbench.segments.contours import fill, to_slices
from workbench.segments.segment_frames import SegmentFrames, read_segment_frames
from workbench.segments.segment_grid import count_outside, place, sample
from workbench.segments.structure_set import Region, read_regions

if TYPE_CHECKING:
    from pydicom import Dataset

T = TypeVar("T")
Mask = NDArray[np.bool_]
Shape = tuple[int, int, int]
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
"""RT Structure Set Storage (DICOM PS3.4, B.5)."""
GREATEST = 65_535
"""Largest number that a label may have."""
_TODO = "Ask the archive for the file again, or leave it out"
_MALFORMED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
"""What pydicom raises on files that are not what they say."""


@dataclass(frozen=True)
class Drawing:
    """Hold what a file says of its segments, and how each is drawn on the volume.

    Parameters
    ----------
    modality : str
        SEG or RTSTRUCT.
    names : dict of int to str
        Number of a segment to its name.
    codes : dict of int to list of str
        Number of a segment to value, scheme and meaning of its code.
    draw : callable
        Yields, for the number of a segment, slices and where it lies on them.
    facts : dict of str to dict
        Attributes that tell what was left out.
    """

    modality: str
    names: dict[int, str]
    codes: dict[int, list[str]]
    draw: Callable[[int], Iterator[tuple[int, Mask]]]
    facts: dict[str, dict[int, Any]]


def draw_file(
    path: str,
    affine: NDArray[np.float64],
    shape: Shape,
    names: Sequence[str] | None,
    *,
    threshold: float,
    resample: bool,
    require_frame: Callable[[str, frozenset[str]], None] | None = None,
) -> Drawing:
    """Read a file, and say how its segments are drawn on a volume.

    Parameters
    ----------
    path
        A DICOM SEG or RTSTRUCT.
    affine : ndarray, shape (4, 4)
        From voxel (x, y, z) of the volume to mm.
    shape
        Slices, rows and columns of the volume.
    names, threshold, resample
        As of `open_segmentation`.
    require_frame
        Called before any grid is compared, with "SEG" or "RTSTRUCT" and the UIDs of the frames of
        reference that positions are given in; refuses what is counted from elsewhere.

    Raises
    ------
    ImageError
        If it cannot be read, or does not lie on the grid of the volume.
    UsageError
        If there is no such name.
    """
    with about("the file"), _reading():
        dataset = _read_dataset(path)
        sop_class = str(dataset.get("SOPClassUID", ""))
        uid = str(dataset.get("FrameOfReferenceUID") or "")
    if sop_class == RTSTRUCT:
        with about("the RTSTRUCT"), _reading():
            regions = read_regions(dataset)
        chosen = _choose(_number(regions), names)
        if require_frame:
            drawn = [region for region in chosen.values() if region.contours]
            require_frame("RTSTRUCT", frozenset(region.frame_uid for region in drawn))
        return _draw_regions(chosen, affine, shape, resample=resample)
    if sop_class not in SEGMENTATIONS:
        raise ImageError(
            "The file is neither a segmentation nor a structure set",
            where=f"it is of the class {_class_name(sop_class)}",
            todo="Give a DICOM SEG or RTSTRUCT; read_volume reads label maps in NIfTI",
        )
    with about("the SEG"), _reading():
        frames = read_segment_frames(dataset)
    wanted = _choose(frames.names, names)
    if require_frame:
        require_frame("SEG", frozenset([uid]))
    store = Store(path, frames, wanted, threshold)
    with about("the SEG"):
        return _draw_segments(store, affine, shape, resample=resample)


@contextmanager
def about(kind: str) -> Iterator[None]:
    """Let an ImageError that names no place say of what kind the file is.

    Examples
    --------
    >>> with about("the SEG"):
    ...     raise ImageError("Two segments have the same number")
    Traceback (most recent call last):
    workbench.errors.ImageError: Two segments have the same number
      where: the SEG
    """
    try:
        yield
    except ImageError as error:
        error.where = error.where or kind
        raise


def _class_name(uid: str) -> str:
    """Return the standard's name of a SOP class; what the file itself says is not repeated."""
    from pydicom.config import IGNORE
    from pydicom.uid import UID

    name = UID(uid, IGNORE).name
    return "that the standard does not name" if name == uid else name


def _read_dataset(path: str) -> Dataset:
    """Return the attributes of a file but its pixels, once a process apart has read its header."""
    import pydicom

    from workbench.dicom.careful import read_apart
    from workbench.dicom.refusals import REASONS, UnreadableFile

    (read,) = read_apart("", [os.path.abspath(path)], identified=False)  # noqa: PTH100 - as named
    if isinstance(read, UnreadableFile):
        sentence = f"The segmentation cannot be read: {REASONS[read.reason]}"
        raise ImageError(sentence, where=read.detail, todo=_TODO)
    return pydicom.dcmread(path, stop_before_pixels=True, force=True)


@contextmanager
def _reading() -> Iterator[None]:
    """Turn what pydicom raises into an ImageError, and silence warnings, which show values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except _MALFORMED:
            raise ImageError("The segmentation cannot be read", todo=_TODO) from None


def _number(regions: list[Region]) -> dict[int, Region]:
    """Return regions by label: their own numbers if all can be labels, else counted from 1."""
    own = all(1 <= region.number <= GREATEST for region in regions)
    return {region.number if own else i: region for i, region in enumerate(regions, 1)}


def _choose(held: dict[int, T], names: Sequence[str] | None) -> dict[int, T]:
    """Return what bears one of the names; all if none is given.

    Names are free text, and may tell of whom: only one that is nearly what was asked for is shown.
    """
    if names is None:
        return held
    known = {n: str(getattr(one, "name", one)) for n, one in held.items()}
    for name in [names] if isinstance(names, str) else names:
        if name not in known.values():
            close = nearest(name, known.values())
            raise UsageError(
                f"There is no segment {show(name)!r}",
                where=f"names, of {len(known):,} segments",
                todo=(f"Did you mean {show(close)!r}? " if close else "")
                + 'Open it without names=; attrs["labels"] lists them',
            )
    return {n: one for n, one in held.items() if known[n] in names}


def _draw_regions(
    regions: dict[int, Region], affine: NDArray[np.float64], shape: Shape, *, resample: bool
) -> Drawing:
    drawn = {n: region for n, region in regions.items() if region.contours}
    slices: dict[int, dict[int, list[NDArray[np.float64]]]] = {}
    outside: dict[int, int] = {}
    for n, region in drawn.items():
        try:
            slices[n], outside[n] = to_slices(region.contours, affine, shape, resample=resample)
        except ImageError as error:
            where = f"the RTSTRUCT, region {n}"
            raise ImageError(error.what, where=where, todo=error.todo) from None

    def draw(number: int) -> Iterator[tuple[int, Mask]]:
        for k, contours in slices[number].items():
            yield k, fill(contours, shape[1:])

    return Drawing(
        "RTSTRUCT",
        {n: region.name for n, region in drawn.items()},
        {n: region.code for n, region in drawn.items() if region.code},
        draw,
        {
            "outside": outside,
            "skipped": {n: region.skipped for n, region in drawn.items()},
            "not_drawn": {n: region.name for n, region in regions.items() if n not in drawn},
        },
    )


@dataclass(frozen=True)
class Store:
    """Read the pixels of a SEG as they are wanted.

    Parameters
    ----------
    path : str
        The file.
    frames : SegmentFrames
        What its frames are.
    names : dict of int to str
        The segments wanted.
    threshold : float
        Part from which on a voxel of a fractional segmentation belongs.
    """

    path: str
    frames: SegmentFrames
    names: dict[int, str]
    threshold: float

    def masks(self, number: int) -> Iterator[Mask]:
        """Yield where a segment lies on each of its frames."""
        labelmap = self.frames.kind == "LABELMAP"
        for i in self.frames.of(number):
            image = self._all[i] if labelmap else self._decode([i])[0]
            yield self.frames.mask(image, number, self.threshold)

    @cached_property
    def _all(self) -> NDArray[Any]:
        return self._decode(None)  # each segment needs all frames of a label map

    @cached_property
    def _info(self) -> PixelInfo:
        info = read_pixel_info(self.path, follow_links=False)
        if info.frame_shape != self.frames.shape or info.frames != len(self.frames.segments):
            raise ImageError("The frames of the segmentation are of another shape", todo=_TODO)
        return info

    def _decode(self, wanted: Sequence[int] | None) -> NDArray[Any]:
        return decode_frames(self.path, self._info, wanted, follow_links=False)


def _draw_segments(
    store: Store, affine: NDArray[np.float64], shape: Shape, *, resample: bool
) -> Drawing:
    frames, names = store.frames, store.names
    placements = place(frames.affines, frames.shape, affine)
    if placements is None and not resample:
        raise ImageError(
            "The segmentation is on another grid than the volume",
            todo="Give the series that it was made on as like=, or pass resample=True",
        )
    if placements and _repeated(zip(frames.segments, placements, strict=True)):
        raise ImageError("Two frames of a segment stand in the same place", todo=_TODO)

    def draw(number: int) -> Iterator[tuple[int, Mask]]:
        chosen = frames.of(number)
        if placements is None:
            stack = np.array(list(store.masks(number)))
            yield from sample(stack, frames.affines[chosen], affine, shape)
            return
        for i, mask in zip(chosen, store.masks(number), strict=True):
            if 0 <= placements[i].k < shape[0]:
                yield placements[i].k, placements[i].put(mask, shape[1:])

    outside = {
        n: count_outside(frames.affines[frames.of(n)], frames.shape, affine, shape) for n in names
    }
    codes = {n: code for n, code in frames.codes.items() if n in names}
    return Drawing("SEG", names, codes, draw, {"outside": outside})


def _repeated(values: Iterable[object]) -> bool:
    return max(Counter(values).values(), default=0) > 1
