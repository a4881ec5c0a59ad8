"""Mosaic: one image that holds all slices of a volume side by side (Siemens)."""

from __future__ import annotations

import struct
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from workbench.imaging.element_value import number_of, numbers_of
from workbench.imaging.frames import Frames
from workbench.imaging.private_attributes import read_private
from workbench.imaging.volume_error import VolumeError
from workbench.imaging.voxels import Tiles

if TYPE_CHECKING:
    import pydicom

_CSA = "SIEMENS CSA HEADER"
_MR = "SIEMENS MR HEADER"
_COUNT = "NumberOfImagesInMosaic"
_NAME, _TAG, _ITEM = 64, 84, 16
_MOST_TAGS = 1000


def is_mosaic(frames: Frames) -> bool:
    """Return whether the images are mosaics, by ImageType."""
    return any("MOSAIC" in kind.split("/") for kind in frames.kind.tolist())


def split_mosaics(frames: Frames) -> tuple[Frames, Tiles]:
    """Return one frame for each slice of each mosaic, and how to cut them.

    ImagePositionPatient is that of a slice as large as the mosaic: the centre is the same. Slices
    follow each other along SliceNormalVector of the CSA header.

    Source: Siemens MR conformance statement (0019,100A); the CSA format as nibabel reads it
    (nibabel.nicom.csareader, dicomwrappers.MosaicWrapper).

    Parameters
    ----------
    frames
        Mosaics of one series.

    Raises
    ------
    VolumeError
        If the header does not say how many slices there are, or where.
    """
    header = frames.header
    csa = _read_csa(header)
    told = numbers_of(read_private(header, (0x0019, _MR, 0x0A))) or csa.get(_COUNT) or [0.0]
    distance = number_of(header, "SpacingBetweenSlices")
    normal = np.array(csa.get("SliceNormalVector", [])[:3])
    most = float(frames.size[0].min()) ** 2  # each slice has a pixel at least
    if not (1 <= told[0] <= most and 0 < distance < np.inf and normal.shape == (3,)):
        raise VolumeError("mosaic", "the header does not say where its slices lie")
    count = int(told[0])
    across = int(np.ceil(np.sqrt(count)))
    rows, columns = (int(n) // across for n in frames.size[0])
    step = np.stack([frames.orientation[:, :3], frames.orientation[:, 3:]], axis=1)
    # Half of what the mosaic is larger, along rows and along columns.
    surplus = (frames.size[:, ::-1] - [columns, rows]) / 2 * frames.spacing[:, ::-1]
    corner = frames.position + np.einsum("ni,nij->nj", surplus, step)
    place = np.arange(count)
    position = corner[:, None, :] + place[:, None] * distance * normal

    each = partial(np.repeat, repeats=count, axis=0)
    split = replace(
        frames,
        file=each(frames.file),
        index=np.tile(place, len(frames)),
        offset=each(frames.offset),
        position=position.reshape(-1, 3),
        orientation=each(frames.orientation),
        spacing=each(frames.spacing),
        size=np.full((len(frames) * count, 2), [rows, columns]),
        slope=each(frames.slope),
        intercept=each(frames.intercept),
        rescale_type=each(frames.rescale_type),
        kind=each(frames.kind),
        localiser=each(frames.localiser),
        keys={name: each(values) for name, values in frames.keys.items()},
    )
    return split, Tiles(across, rows, columns)


def _read_csa(header: pydicom.Dataset) -> dict[str, list[float]]:
    """Return the numbers of Siemens' image header as name -> values; empty without one."""
    raw = read_private(header, (0x0029, _CSA, 0x10))
    if not isinstance(raw, bytes) or raw[:4] != b"SV10":
        return {}
    try:
        return dict(_walk_csa(raw))
    except struct.error:
        return {}


def _walk_csa(raw: bytes) -> list[tuple[str, list[float]]]:
    (tags,) = struct.unpack_from("<I", raw, 8)
    at, found = 16, []
    for _ in range(min(tags, _MOST_TAGS)):
        name = raw[at : at + _NAME].split(b"\0")[0].decode("ascii", "replace")
        (items,) = struct.unpack_from("<I", raw, at + 76)
        at += _TAG
        values: list[float] = []
        for _ in range(min(items, _MOST_TAGS)):
            (length,) = struct.unpack_from("<I", raw, at + 4)
            at += _ITEM
            text = raw[at : at + length].split(b"\0")[0].decode("ascii", "replace").strip()
            if text:
                values += numbers_of(text)
            at += (length + 3) // 4 * 4
        found.append((name, values))
    return found
