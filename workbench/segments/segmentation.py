"""Segmentation: a DICOM SEG or RTSTRUCT as a label map on the grid of a volume."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ImageError, UsageError, show, suggest
from workbench.imaging.frames import Series, list_files
from workbench.imaging.volume_grid import SPACE, affine_of, frame_name
from workbench.segments.drawing import Drawing, about, draw_file

if TYPE_CHECKING:
    import xarray as xr

_OVERLAP = ("refuse", "channel")
_SHARED_ATTRIBUTES = ("affine", "orientation", "frame_of_reference")


def open_segmentation(
    path: Series,
    like: xr.DataArray,
    *,
    names: Sequence[str] | None = None,
    overlap: str = "refuse",
    resample: bool = False,
    threshold: float = 0.5,
    check_frame: bool = True,
) -> xr.DataArray:
    """Open a segmentation as a label map on the grid of a volume.

    A voxel belongs to a region of an RTSTRUCT if its centre lies inside the contours, by the
    even-odd rule: see `workbench.segments.contours.fill`. Frames of a SEG are put on slices by
    their position, whatever their order; slices without a frame hold no voxel of the segment.

    Parameters
    ----------
    path
        A DICOM SEG (binary, fractional or labelmap) or RTSTRUCT, or the series that it is.
    like
        The volume that it was drawn on: dimensions z, y, x, `attrs["affine"]`.
    names
        Names of the segments wanted; all by default.
    overlap
        "refuse", or "channel": a dimension `segment` before z with one map of 0 and 1 for each,
        drawn when it is computed.
    resample
        Whether a segmentation on another grid may be brought to this one, nearest voxel; it is
        refused otherwise.
    threshold
        Part from which on a voxel of a fractional SEG belongs (0 to 1).
    check_frame
        Whether segmentation and volume must state the same frame of reference. Pass False for a
        volume that states none, such as one of another program, if you know that they fit.

    Returns
    -------
    xarray.DataArray, shape (z, y, x) or (segment, z, y, x)
        uint8 or uint16; 0 is no segment. `attrs["labels"]`: number to name; `attrs["codes"]`:
        number to [value, scheme, meaning]; `attrs["outside"]`: number to how many of its contours
        or frames lie outside of the volume, wholly or in part; of an RTSTRUCT also
        `attrs["skipped"]`: number to how many points and open curves it has as well, and
        `attrs["not_drawn"]`: number to name of the regions that enclose nothing.

    Raises
    ------
    ImageError
        If it cannot be read, or does not fit the volume, or segments overlap.
    UsageError
        If there is no such name, or `overlap` or `threshold` cannot be.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from workbench.imaging.volume import open_volume
    >>> from workbench.segments.phantom import write_phantom
    >>> with TemporaryDirectory() as folder:
    ...     made = write_phantom(folder)
    ...     labels = open_segmentation(made.structures, like=open_volume(made.ct))
    >>> labels.attrs["labels"], labels.attrs["codes"][1]
    ({1: 'liver', 2: 'lesion'}, ['10200004', 'SCT', 'Liver'])
    >>> int((labels == 2).sum())  # voxels of 0.045 ml
    384
    """
    if overlap not in _OVERLAP:
        todo = suggest(overlap, _OVERLAP)
        raise UsageError(f"Unknown overlap {show(overlap)!r}", where="overlap", todo=todo)
    if not 0 < threshold <= 1:
        raise UsageError("The threshold is no part of 1", where="threshold", todo="Pass 0.5")
    files, _ = list_files(path)
    if len(files) != 1:
        raise ImageError(
            "A segmentation is one file",
            where=f"{len(files):,} files",
            todo="Give the one file of the SEG or RTSTRUCT",
        )
    affine = affine_of(like)
    shape = like.sizes["z"], like.sizes["y"], like.sizes["x"]
    drawing = draw_file(
        files[0], affine, shape, names, threshold=threshold, resample=resample,
        require_frame=partial(_require_frame, like) if check_frame else None,
    )  # fmt: skip
    if overlap == "channel":
        return _array(_stack(drawing, shape), drawing, like)
    with about(f"the {drawing.modality}"):
        return _array(_merge(drawing, shape), drawing, like)


def _require_frame(like: xr.DataArray, modality: str, uids: frozenset[str]) -> None:
    """Refuse a segmentation whose positions are counted from elsewhere than the volume's.

    Raises
    ------
    ImageError
        If one of them states no frame of reference, or they state different ones.
    """
    stated = like.attrs.get("frame_of_reference")
    if not stated:
        raise ImageError(
            "The volume does not state its frame of reference",
            where='attrs["frame_of_reference"] of like=',
            todo="Pass check_frame=False if you know that the segmentation was made on it",
        )
    if any(frame_name(uid) != stated for uid in uids):
        raise ImageError(
            "The segmentation is in another frame of reference than the volume",
            where=f"the {modality}",
            todo="Give the series that it was made on as like=",
        )


def _merge(drawing: Drawing, shape: tuple[int, int, int]) -> NDArray[Any]:
    """Return one label map.

    Raises
    ------
    ImageError
        If two segments overlap.
    """
    labels = np.zeros(shape, np.uint8 if max(drawing.names, default=0) < 256 else np.uint16)
    for number in drawing.names:
        for k, mask in drawing.draw(number):
            held = labels[k]
            others = np.unique(held[mask])
            others = others[(others != 0) & (others != number)]
            if others.size:
                voxels = int(((held == others[0]) & mask).sum())
                raise ImageError(
                    f"Segments {others[0]} and {number} overlap",
                    where=f"the {drawing.modality}, slice {k}, {voxels:,} voxels",
                    todo='Pass overlap="channel", or choose segments with names=',
                )
            held[mask] = number
    return labels


def _stack(drawing: Drawing, shape: tuple[int, int, int]) -> Any:  # noqa: ANN401 - a Dask array
    """Return one map of 0 and 1 for each segment, drawn when it is computed."""
    import dask
    import dask.array as da

    def draw(number: int) -> NDArray[np.uint8]:
        labels = np.zeros(shape, np.uint8)
        with about(f"the {drawing.modality}"):
            for k, mask in drawing.draw(number):
                labels[k] |= mask
        return labels

    later = dask.delayed(draw, pure=False)  # type: ignore[attr-defined]
    maps = [
        da.from_delayed(later(number), shape, np.uint8)  # type: ignore[no-untyped-call]
        for number in drawing.names
    ]
    return da.stack(maps) if maps else np.zeros((0, *shape), np.uint8)  # type: ignore[no-untyped-call]


def _array(labels: Any, drawing: Drawing, like: xr.DataArray) -> xr.DataArray:  # noqa: ANN401
    """Return label maps with the coordinates of the volume, names and codes."""
    import xarray as xr

    coords = {name: like.coords[name].variable for name in SPACE if name in like.coords}
    dims = SPACE if labels.ndim == 3 else ("segment", *SPACE)
    if labels.ndim > 3:
        coords["segment"] = xr.Variable("segment", list(drawing.names))
    shared = {n: like.attrs[n] for n in _SHARED_ATTRIBUTES if n in like.attrs}
    attrs = shared | {
        "affine": affine_of(like).tolist(),
        "modality": drawing.modality,
        "labels": drawing.names,
        "codes": drawing.codes,
    }
    return xr.DataArray(labels, coords, dims, "segmentation", attrs | drawing.facts)
