"""Volume file: a volume in Zarr or NIfTI and back, without loss, whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import ImageError, UsageError, nearest, show
from workbench.imaging.nifti_file import read_nifti, write_nifti
from workbench.imaging.zarr_file import read_zarr, write_zarr

if TYPE_CHECKING:
    import xarray as xr

SUFFIXES: dict[str, tuple[Callable[[xr.DataArray, Path], None], Callable[[Path], xr.DataArray]]] = {
    ".zarr": (write_zarr, read_zarr),
    ".nii": (write_nifti, read_nifti),
    ".nii.gz": (write_nifti, read_nifti),
}
"""End of a file's name -> what writes it, and what reads it."""
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


def write_volume(
    volume: xr.DataArray, path: Path | str, *, overwrite: bool = False, names: bool = False
) -> None:
    """Write a volume, or a label map, as Zarr (`.zarr`) or NIfTI (`.nii`, `.nii.gz`).

    `read_volume` gives back the same voxels, type, dimensions, coordinates and attributes. The
    file appears whole or not at all. It holds what the volume measures and nothing of whom:
    attributes beyond those of `open_volume` and `open_segmentation` are refused by name. An array
    that was cut, thinned out or reversed is written with the affine of the part that is left.

    NIfTI holds x, y, z and up to four further dimensions, whole and real numbers of 8 to 64 bits;
    its own affine has 32 bits, and coordinates, names and units stand as JSON in a header
    extension. What it cannot hold is refused by name; Zarr holds it.

    Names of segments are free text, in which a person may be named. Without `names` they stay
    behind: a segment is then called as its code says, or "roi" and its number.

    Parameters
    ----------
    volume : xarray.DataArray, shape (..., z, y, x)
        In memory, or backed by Dask: it is then computed a few chunks at a time.
    path
        Ends in `.zarr`, `.nii` or `.nii.gz`.
    overwrite
        Whether what is there may be replaced.
    names
        Whether the names of segments are written as they are, because none tells of whom.

    Raises
    ------
    ImageError
        If it is no volume, or holds what a file may not, or cannot be written, or the path exists.
    UsageError
        If the name has another ending.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> from tempfile import TemporaryDirectory
    >>> affine = np.diag([1.0, 1.0, 3.0, 1.0]).tolist()
    >>> attrs = {"affine": affine, "labels": {1: "GTV J. Doe", 2: "liver, J. Doe"}}
    >>> attrs["codes"] = {2: ["10200004", "SCT", "Liver"]}
    >>> labels = xr.DataArray(np.zeros((4, 5, 6), "u1"), dims=("z", "y", "x"), attrs=attrs)
    >>> with TemporaryDirectory() as folder:
    ...     write_volume(labels, f"{folder}/labels.nii.gz")
    ...     read_volume(f"{folder}/labels.nii.gz").attrs["labels"]
    {1: 'roi 1', 2: 'Liver'}
    """
    path = Path(path)
    write, _ = SUFFIXES[_suffix(path)]
    if os.path.lexists(path) and not overwrite:
        raise _exists(path)
    if not path.parent.is_dir():
        raise ImageError(
            "The folder to write into does not exist",
            where=f"for {show(path.name)}",
            todo="Make it first",
        )
    made = path.with_name(f".{secrets.token_hex(8)}.tmp{_suffix(path)}")
    try:
        with _telling("written", path):
            write(volume if names else _without_names(volume), made)
            _sync(made)
            _publish(made, path, overwrite=overwrite)
    finally:
        _remove(made)


def read_volume(path: Path | str) -> xr.DataArray:
    """Read a volume that `write_volume` wrote, or a NIfTI file of any program.

    Zarr is backed by Dask, and its voxels are read when they are computed; NIfTI is read into
    memory. A NIfTI file of another program has no modality: `units` is "arb", `modality` "OT".

    Parameters
    ----------
    path
        Ends in `.zarr`, `.nii` or `.nii.gz`.

    Returns
    -------
    xarray.DataArray, shape (..., z, y, x)
        As of `open_volume`. `attrs["space"]` names the space of a NIfTI file that is not the
        scanner's: aligned, talairach, mni or template.

    Raises
    ------
    ImageError
        If there is none, or it is damaged, or does not say where it lies.
    UsageError
        If the name has another ending.

    Examples
    --------
    >>> from importlib.resources import files
    >>> brain = read_volume(f"{files('nibabel')}/tests/data/example4d.nii.gz")
    >>> dict(brain.sizes), brain.attrs["units"]
    ({'time': 2, 'z': 24, 'y': 96, 'x': 128}, 'arb')
    """
    path = Path(path)
    suffix = _suffix(path)
    if not (path.is_dir() if suffix == ".zarr" else path.is_file()):
        kind = "folder" if suffix == ".zarr" else "file"
        raise ImageError(
            f"There is no such {kind}", where=show(path.name), todo="Give one that exists"
        )
    with _telling("read", path):
        return SUFFIXES[suffix][1](path)


def _without_names(volume: xr.DataArray) -> xr.DataArray:
    """Return a label map whose segments are called by the meaning of their code, or by number."""
    called = {}
    codes = {n: code for n, code in volume.attrs.get("codes", {}).items() if len(code) == 3}
    for kind in ("labels", "not_drawn"):
        numbers = volume.attrs.get(kind, {})
        if not isinstance(numbers, Mapping) or not all(str(n).isdigit() for n in numbers):
            raise ImageError(
                "Segments are not called by number",
                where=f"attrs[{kind!r}]",
                todo="Give a dict of numbers to names",
            )
        if numbers:
            called[kind] = {n: codes.get(n, ("", "", ""))[2] or f"roi {n}" for n in numbers}
    return volume.assign_attrs(called)


def _suffix(path: Path) -> str:
    name = path.name.lower()
    for suffix in reversed(SUFFIXES):
        if path.name.endswith(suffix):
            return suffix
    found = "".join(Path(name).suffixes[-2:])
    close = nearest(found, SUFFIXES)
    raise UsageError(
        "A volume is not written or read under such a name",
        where=f"it ends in {show(found, 20)!r}",
        todo=(f"Did you mean {close!r}? " if close else "") + f"Known: {', '.join(SUFFIXES)}",
    )


@contextmanager
def _telling(done: str, path: Path) -> Iterator[None]:
    """Turn what the system refuses into an ImageError with the file's own name."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "the system refuses"
        raise ImageError(
            f"The volume cannot be {done}: {reason}",
            where=show(path.name),
            todo="Check the space that is left, and the rights of file and folder",
        ) from None


def _exists(path: Path) -> ImageError:
    return ImageError(
        "Something stands there already",
        where=show(path.name),
        todo="Choose another name, or pass overwrite=True",
    )


def _sync(path: Path) -> None:
    """Wait until a file, or all files below a folder, are on the disk."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            handle = os.open(file, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _publish(made: Path, path: Path, *, overwrite: bool) -> None:
    """Give what was made its name; what another writer put there is replaced only if wanted."""
    if overwrite and os.path.lexists(path):
        old = made.with_name(f"{made.name}.old")
        path.rename(old)
        try:
            made.rename(path)
        except OSError:
            old.rename(path)
            raise
        _remove(old)
        return
    try:
        if made.is_dir():
            made.rename(path)
        else:
            _rename_new(made, path)
    except OSError as error:
        if error.errno in _TAKEN:
            raise _exists(path) from None
        raise


def _rename_new(made: Path, path: Path) -> None:
    try:
        path.hardlink_to(made)  # unlike a rename, never replaces
    except FileExistsError:
        raise
    except OSError:  # a disk without hard links
        if os.path.lexists(path):
            raise _exists(path) from None
        made.rename(path)


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
