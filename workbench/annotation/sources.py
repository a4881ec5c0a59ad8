"""Sources: the images that a result was computed on, each with its slice of the volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ImageError
from workbench.imaging.frames import Series, read_frames, read_header_of
from workbench.imaging.volume_grid import SPACE, affine_of

if TYPE_CHECKING:
    import pydicom
    import xarray as xr

_NEAR = 0.01
"""Part of a voxel that a slice may lie beside the grid."""


@dataclass(frozen=True)
class Sources:
    """Hold the images of a series.

    Parameters
    ----------
    headers
        Header of each file, without its pixels.
    slices : (images,) int
        Slice of the volume that each image is, in the order of files and frames.
    """

    headers: tuple[pydicom.Dataset, ...]
    slices: NDArray[np.int64]

    @property
    def series_uid(self) -> str:
        """Series Instance UID of the images."""
        return str(self.headers[0].SeriesInstanceUID)


def read_sources(series: Series, like: xr.DataArray) -> Sources:
    """Read the headers of the images that a volume is made of.

    Parameters
    ----------
    series
        The images, as `open_volume` takes them.
    like : xarray.DataArray, shape (z, y, x)
        The volume, or a mask on its grid.

    Raises
    ------
    ImageError
        If the array is not on the grid of the images: cut, resampled, or of another series.
    VolumeError
        If the images cannot be read.
    """
    frames = read_frames(series)
    place = np.linalg.inv(affine_of(like))
    corners = frames.position @ place[:3, :3].T + place[:3, 3]
    slices = np.rint(corners[:, 2])
    fits = bool(
        like.dims == SPACE
        and np.abs(corners - np.column_stack([np.zeros((len(slices), 2)), slices])).max() < _NEAR
        and (frames.size == [like.sizes["y"], like.sizes["x"]]).all()
        and sorted(slices.tolist()) == list(range(like.sizes["z"]))
    )
    if not fits:
        raise ImageError(
            "The mask is not on the grid of the images",
            where=f"mask {'x'.join(map(str, like.shape))}, {len(frames):,} images",
            todo="Give a mask of the whole volume, one slice for each image of one series",
        )
    headers = tuple(read_header_of(path) for path in frames.paths)
    return Sources(headers, slices.astype(np.int64))
