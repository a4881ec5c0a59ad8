"""Private attributes: what makers store of their own that tells apart images at one position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from workbench.imaging.element_value import numbers_of
from workbench.imaging.volume_error import VolumeError

if TYPE_CHECKING:
    import pydicom

Floats = NDArray[np.float64]
# Creator, element and index of the b-value (s/mm2), as in each maker's conformance statement.
_B_VALUES = (
    (0x0019, "SIEMENS MR HEADER", 0x0C),
    (0x0043, "GEMS_PARM_01", 0x39),
    (0x2001, "Philips Imaging DD 001", 0x03),
    (0x0065, "Image Private Header", 0x09),
)
_DIRECTIONS = (
    (0x0019, "SIEMENS MR HEADER", 0x0E),
    (0x0065, "Image Private Header", 0x37),
)
_GE_OFFSET = 1_000_000_000
"""Added by GE to a b-value that several directions share."""


def read_diffusion(paths: Sequence[str], keys: Mapping[str, Floats]) -> dict[str, Floats]:
    """Read b-values and gradient directions where a maker stores them in attributes of its own.

    Parameters
    ----------
    paths
        Files that hold one image each.
    keys
        As `Frames.keys`; what is known already is kept.

    Returns
    -------
    dict
        `b_value_s_mm2` and `direction_x`, `_y` and `_z`, shape (files,), NaN where not stored.

    Raises
    ------
    VolumeError
        If a file cannot be read.
    """
    from workbench.imaging.frames import read_header_of

    rows = np.array([_diffusion_of(read_header_of(path)) for path in paths])
    names = ("b_value_s_mm2", "direction_x", "direction_y", "direction_z")
    return {n: np.where(np.isnan(keys[n]), rows[:, i], keys[n]) for i, n in enumerate(names)}


def _diffusion_of(header: pydicom.Dataset) -> list[float]:
    vector = numbers_of(read_private(header, *_DIRECTIONS))
    b_value = next(iter(numbers_of(read_private(header, *_B_VALUES))), float("nan"))
    b_value = b_value % _GE_OFFSET if b_value >= _GE_OFFSET else b_value
    return [b_value, *(vector if len(vector) == 3 else [np.nan] * 3)]


def read_private(header: pydicom.Dataset, *places: tuple[int, str, int]) -> object:
    """Return the first private attribute that is stored, else None.

    Source: DICOM PS3.5, 7.8 (private data elements).

    Parameters
    ----------
    header
        Header of a file.
    places
        Group, creator and element (0 to 255) of each attribute to look for.

    Raises
    ------
    VolumeError
        If it cannot be read.
    """
    from workbench.dicom.header import parser_errors

    for group, creator, element in places:
        try:
            return cast("object", header.private_block(group, creator)[element].value)
        except KeyError:
            continue
        except parser_errors():
            raise VolumeError("bad_geometry", "a private attribute cannot be read") from None
    return None
