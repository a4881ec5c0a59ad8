"""Volume: the images of a series as one labelled array, with its place in the patient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.imaging.frames import Series
from workbench.imaging.volume_plan import VolumePlan, plan_volume
from workbench.imaging.voxels import Voxels

if TYPE_CHECKING:
    import dask.array as da
    import xarray as xr

CHUNK_BYTES = 16 * 2**20
"""Bytes of a chunk of uncompressed slices."""
CHUNK_COMPRESSED = 4
"""Slices of a chunk of compressed ones, which cost much more than their bytes."""


def open_volume(
    series: Series,
    *,
    tilt: str = "refuse",
    mosaic: str = "refuse",
    units: str | None = None,
    slices: int = 3,
    dtype: str | None = None,
) -> xr.DataArray:
    """Open a series as a volume; headers are read now, pixels when they are asked for.

    Values are what the device means by them: rescaled, or looked up in the modality table, in the
    smallest type that is exact: int16 for CT, the stored type where nothing is to be rescaled,
    float32 where a slope is no whole number. Padding keeps its value, which `attrs["padding"]`
    names (lowest, highest), so that ``volume.where(volume > padding[1])`` leaves it out; it is not
    named where slices are rescaled in several ways, and is NaN in a stack that was resampled.
    MONOCHROME1 is not inverted: `attrs["photometric"]` says so. Colours are red, green and blue.

    Parameters
    ----------
    series
        A folder, a list of files, or what `Archive.open_series` returns.
    tilt
        "refuse" a stack sheared by a tilted gantry, or "resample" it straight; values between
        voxels are then linear, and NaN where there was no slice.
    mosaic
        "refuse" images that hold all slices side by side (Siemens), or "split" them.
    units
        "SUV" for a PET series in body-weight SUV; by default as stored.
    slices
        Fewest slices that make a volume. With two, even spacing cannot be told.
    dtype
        "int32", "float32" or "float64" instead of the smallest exact type.

    Returns
    -------
    xarray.DataArray
        Dimensions `z, y, x`, and before them `channel` (colour), `time` (s), `b_value` (s/mm2),
        `echo` (ms), `flip_angle` (deg), `inversion_time` (ms) and `component` where they are
        needed; backed by Dask. Coordinates in mm:
        position along the normal, along columns and along rows, which for transverse slices
        are the patient's (LPS). Attributes: `affine` (4 x 4, voxel (i, j, k) of `x, y, z` to
        patient, mm, LPS), `orientation` (6 cosines), `units` ("HU", "SUV", "Bq/ml", "arb"),
        `modality`, `photometric`, `tilt_resampled`, and where there are any `gantry_tilt_deg` (of
        the stack that was resampled), `padding` and `files_left_out` (files of a folder that are
        no images).

    Raises
    ------
    VolumeError
        If the images do not make a volume; `reason` is a key of `VOLUME_REASONS`.
    ImageError
        If there is no such file or folder, or only the folders below it hold images.
    UsageError
        If an option is not known, or `series` names no files.

    Examples
    --------
    >>> from pathlib import Path
    >>> from pydicom.data import get_testdata_file
    >>> tests = Path(str(get_testdata_file("CT_small.dcm"))).parent
    >>> volume = open_volume(tests / "dicomdirtests" / "98892001" / "CT5N")
    >>> dict(volume.sizes), volume.attrs["modality"], volume.attrs["units"]
    ({'z': 5, 'y': 16, 'x': 16}, 'CT', 'HU')
    >>> volume.z.diff("z").round(3).values.tolist()
    [2.5, 2.5, 2.5, 2.5]
    """
    plan = plan_volume(series, tilt=tilt, mosaic=mosaic, units=units, slices=slices, dtype=dtype)
    return _label(_lazy(plan), plan)


def load_volume(
    series: Series,
    *,
    tilt: str = "refuse",
    mosaic: str = "refuse",
    units: str | None = None,
    slices: int = 3,
    dtype: str | None = None,
) -> xr.DataArray:
    """Load a series as a volume into memory: pixels are read straight into one array.

    As `open_volume`, and the same values; faster than loading what that returns, since nothing
    is copied together from chunks.

    Parameters
    ----------
    series, tilt, mosaic, units, slices, dtype
        As for `open_volume`.

    Returns
    -------
    xarray.DataArray
        As from `open_volume`, in memory.

    Raises
    ------
    VolumeError
        If the images do not make a volume, or a value does not fit.
    PixelError
        If pixels cannot be read.
    ImageError, UsageError
        As for `open_volume`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from pydicom.data import get_testdata_file
    >>> tests = Path(str(get_testdata_file("CT_small.dcm"))).parent
    >>> volume = load_volume(tests / "dicomdirtests" / "98892001" / "CT5N")
    >>> volume.dtype, int(volume.min()), int(volume.max())
    (dtype('int16'), -888, 85)
    """
    plan = plan_volume(series, tilt=tilt, mosaic=mosaic, units=units, slices=slices, dtype=dtype)
    if isinstance(plan.source, Voxels):
        return _label(plan.source.load(), plan)
    return _label(_lazy(plan), plan).load()


def _lazy(plan: VolumePlan) -> da.Array:
    import dask.array as da

    source = plan.source
    lazy: da.Array = da.from_array(  # type: ignore[no-untyped-call]
        source, chunks=_chunks(plan), name=False, asarray=False, inline_array=True,
        meta=np.empty((0,) * source.ndim, dtype=source.dtype),
    )  # fmt: skip
    return lazy


def _chunks(plan: VolumePlan) -> tuple[int, ...]:
    """Return the shape of a chunk: whole slices, several of one volume."""
    source = plan.source
    outer, slices = source.table.ndim - 1, source.table.shape[-1]
    plane = source.shape[outer + 1 :]
    held = int(np.prod(plane)) * source.dtype.itemsize
    many = CHUNK_COMPRESSED if plan.slow else max(1, CHUNK_BYTES // held)
    return (*[1] * outer, min(many, slices), *plane)


def _label(data: NDArray[Any] | da.Array, plan: VolumePlan) -> xr.DataArray:
    import xarray as xr

    names = [*(axis.name for axis in plan.axes), "z", "y", "x"]
    coordinates: dict[str, Any] = {
        name: (name, values, {"units": "mm"}) for name, values in plan.grid.coordinates().items()
    }
    for axis in plan.axes:
        attrs = {"units": axis.unit} if axis.unit else {}
        coordinates[axis.name] = (axis.name, axis.values, attrs)
        if axis.directions is not None:
            for letter, part in zip("xyz", axis.directions.T, strict=True):
                coordinates[f"direction_{letter}"] = (axis.name, part)
    if data.ndim > len(names):
        names.append("channel")
        coordinates["channel"] = ("channel", ["red", "green", "blue"][: data.shape[-1]])
    volume = xr.DataArray(data, coordinates, names, attrs=plan.attrs)
    volume.name = None  # else the key of the Dask array
    return volume.transpose("channel", ...) if "channel" in names else volume
