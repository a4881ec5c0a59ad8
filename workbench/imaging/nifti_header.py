"""NIfTI header: what a NIfTI-1 or NIfTI-2 header says of a volume, and the other way round.

Its axes lead to the right, front and head (RAS) where DICOM's lead to the left, back and head
(LPS), and its affine has 32 bits in NIfTI-1.

Source: nifti1.h (https://nifti.nimh.nih.gov/nifti-1) and nifti2.h.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import ImageError, show
from workbench.imaging.volume_description import Coordinate, Description
from workbench.imaging.volume_grid import check_affine

LABEL_MAP = 1002
SPACES = {1: None, 2: "aligned", 3: "talairach", 4: "mni", 5: "template"}
"""qform_code and sform_code -> `attrs["space"]`: 1 is the scanner, which is not written."""
_MM = {1: 1e3, 3: 1e-3}
"""Units of length that are not mm -> mm; none stated is mm."""
_SECONDS = {8: 1.0, 16: 1e-3, 24: 1e-6}
_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SIZES = (348, 540)
TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}
TYPES |= {1024: "i8", 1280: "u8"}
"""NIfTI datatype -> type; what is not here, such as colours and complex numbers, is refused."""
_TODO = "Get the file again, or leave it out"


def new_header(description: Description) -> Any:  # noqa: ANN401 - nibabel has no types
    """Return the header of a volume: NIfTI-1, or NIfTI-2 where a dimension is too long for it.

    Raises
    ------
    ImageError
        If NIfTI cannot hold such voxels.
    """
    if description.dtype == "f2" or len(description.shape) > 7:
        raise ImageError(
            "NIfTI cannot hold this volume",
            where=f"{len(description.shape)} dimensions of {description.dtype}",
            todo="Write it as .zarr, or convert it with astype",
        )
    header = _header_class(348 if max(description.shape) < 2**15 else 540)(endianness="<")
    header.set_data_dtype(np.dtype(stored_type(description.dtype)))
    header.set_data_shape(description.shape[::-1])
    header.set_slope_inter(1, 0)
    affine = _RAS @ np.array(description.attrs["affine"], np.float64)
    space = description.attrs.get("space")
    code = next((n for n, name in SPACES.items() if name == space), 0)
    header["pixdim"][1:4] = np.linalg.norm(affine[:3, :3], axis=0)
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    if np.allclose(directions.T @ directions, np.eye(3), atol=1e-4):
        header.set_qform(affine, code)  # a sheared grid has no quaternion
    header.set_sform(affine, code)
    time = _even_time(description)
    header.set_xyzt_units("mm", "sec" if time else "unknown")
    if time:
        header["toffset"], header["pixdim"][4] = time
    header["intent_code"] = LABEL_MAP if "labels" in description.attrs else 0
    return header


def _even_time(description: Description) -> tuple[float, float] | None:
    """Return first and step of a fourth dimension of time in even seconds."""
    further = description.dims[:-3]
    time = description.coordinates.get("time")
    if not further or further[-1] != "time" or time is None or time.attrs.get("units") != "s":
        return None
    steps = np.diff(np.asarray(time.values, np.float64))
    even = len(steps) > 0 and np.allclose(steps, steps[0]) and steps[0] > 0
    return (float(time.values[0]), float(steps[0])) if even else None


def stored_type(code: str) -> str:
    """Return the type in which a file holds voxels.

    Examples
    --------
    >>> stored_type("bool"), stored_type("i2")
    ('<u1', '<i2')
    """
    return "<u1" if code == "bool" else f"<{code}"


def header_size(first: bytes) -> int:
    """Return the size of a header from its first four bytes, in either byte order.

    Raises
    ------
    ImageError
        If it is none of NIfTI.
    """
    for order in ("little", "big"):
        size = int.from_bytes(first, "little" if order == "little" else "big")
        if size in _SIZES:
            return size
    raise ImageError("The file is not NIfTI", todo="Give a .nii or .nii.gz file")


def parse_header(block: bytes) -> Any:  # noqa: ANN401 - nibabel has no types
    """Return a header, if voxels of this type and place can be read.

    Raises
    ------
    ImageError
        If they cannot.
    """
    from nibabel.spatialimages import HeaderDataError

    order = "<" if int.from_bytes(block[:4], "little") in _SIZES else ">"
    header = _header_class(len(block))(block, order, check=False)
    if not bytes(header["magic"]).startswith((b"n+1", b"n+2")):
        raise ImageError(
            "The header and the voxels of the NIfTI file are two files",
            todo="Convert it to one .nii or .nii.gz file",
        )
    if int(header["datatype"]) not in TYPES:
        raise ImageError(
            "The NIfTI file holds colours, complex numbers or another type that is not read",
            where=f"datatype {int(header['datatype'])}",
            todo="Convert it to whole or real numbers",
        )
    try:
        header.get_qform()
    except (HeaderDataError, ValueError):
        raise ImageError("The header of the NIfTI file contradicts itself", todo=_TODO) from None
    return header


def _header_class(size: int) -> Any:  # noqa: ANN401
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    return Nifti1Header if size == 348 else Nifti2Header


def shape_of(header: Any) -> tuple[int, ...]:  # noqa: ANN401
    """Return the sizes, slowest first, without further dimensions of one.

    Raises
    ------
    ImageError
        If they cannot be.
    """
    count, *sizes = (int(size) for size in header["dim"])
    sizes = sizes[: max(count, 0)]
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    if not 2 <= count <= 7 or min(sizes) < 1:
        raise ImageError(
            "The dimensions of the NIfTI file cannot be",
            where=show(", ".join(map(str, header["dim"].tolist()))),
            todo=_TODO,
        )
    return tuple([*sizes, 1][: max(len(sizes), 3)][::-1])


def agrees(described: Description, header: Any, shape: tuple[int, ...]) -> bool:  # noqa: ANN401
    """Return whether the header still says what the description says."""
    affine = (_RAS @ np.array(described.attrs["affine"], np.float64))[:3]
    stored = np.stack([header[f"srow_{axis}"] for axis in "xyz"]).astype(np.float64)
    sizes = described.shape
    while len(sizes) > 3 and sizes[0] == 1:
        sizes = sizes[1:]
    return (
        header["sform_code"] > 0
        and np.array_equal(affine.astype(stored.dtype).astype(np.float32), stored.astype("f4"))
        and sizes == shape
        and header.get_data_dtype().newbyteorder("=") == np.dtype(stored_type(described.dtype))
    )


def affine_and_space(header: Any) -> tuple[NDArray[np.float64], str | None]:  # noqa: ANN401
    """Return the affine (mm, LPS) and the space it leads to: the scanner's, if it is stated.

    Raises
    ------
    ImageError
        If no place is stated, or rows and columns are not at right angles.
    """
    forms = [
        (int(header["sform_code"]), header.get_sform()),
        (int(header["qform_code"]), header.get_qform()),
    ]
    known = [form for form in forms if form[0] in SPACES]
    if not known:
        raise ImageError(
            "The NIfTI file does not say where it lies",
            where="qform_code and sform_code are 0",
            todo="Write it with its affine, or get the images that it was made from",
        )
    code, affine = min(known, key=lambda form: form[0] > 2)
    scale = _MM.get(int(header["xyzt_units"]) & 7, 1.0)
    affine = np.diag([scale, scale, scale, 1]) @ _RAS @ np.asarray(affine, np.float64)
    return check_affine(affine), SPACES[code]


def time_coordinate(header: Any, count: int) -> Coordinate:  # noqa: ANN401
    """Return the coordinate of time: in seconds, or counted from 0 where its step is not known."""
    step, first = float(header["pixdim"][4]), float(header["toffset"])
    unit = int(header["xyzt_units"]) & 0x38
    if unit not in _SECONDS or not np.isfinite([step, first]).all() or step <= 0:
        return Coordinate(("time",), np.arange(count, dtype=np.float64), {"units": "1"})
    values = (first + step * np.arange(count)) * _SECONDS[unit]
    return Coordinate(("time",), values, {"units": "s"})
