"""Scaling: from stored values to values, in the smallest type that is exact."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from workbench.imaging.element_value import items_of, number_of, numbers_of, value_of
from workbench.imaging.volume_error import VolumeError
from workbench.pixels.pixel_cells import keep_stored_bits

if TYPE_CHECKING:
    import pydicom

    from workbench.pixels.decoding import PixelInfo

MOST_ENTRIES = 1 << 16
"""Entries that a lookup table may have; stored as 0 (DICOM PS3.3, C.11.1.1)."""
EXACT_BITS = 24
"""Integers of so many bits are exact in float32 (IEEE 754)."""


@dataclass(frozen=True)
class Lookup:
    """Hold a modality lookup table (DICOM PS3.3, C.11.1.1).

    Parameters
    ----------
    first
        Stored value that the first entry stands for; smaller ones have the first entry's value,
        those beyond the table the last one's.
    values
        Entries.
    """

    first: int
    values: NDArray[Any]

    def apply(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return the entry of each stored value."""
        place = np.clip(stored.astype(np.int64) - self.first, 0, len(self.values) - 1)
        return self.values[place]


def read_lookup(header: pydicom.Dataset) -> Lookup | None:
    """Return the modality lookup table of a header, if it has one.

    Raises
    ------
    VolumeError
        If the table is none, or not as long as it says.
    """
    items = items_of(header, "ModalityLUTSequence")
    if not items:
        return None
    descriptor = numbers_of(value_of(items[0], "LUTDescriptor"))
    if len(descriptor) != 3 or not (np.abs(descriptor) <= MOST_ENTRIES).all():
        raise VolumeError("bad_geometry", "LUTDescriptor is no three numbers")
    entries, first, bits = (int(v) for v in descriptor)
    entries = entries or MOST_ENTRIES
    data = value_of(items[0], "LUTData")
    if isinstance(data, bytes):
        # In a file of implicit VR the entries have the width that the descriptor names.
        width = 1 if len(data) < 2 * entries else 2
        order = "<" if getattr(header, "original_encoding", (True, True))[1] else ">"
        data = np.frombuffer(data[: len(data) // width * width], dtype=f"{order}u{width}")
    numbers = np.array(numbers_of(data))
    if not 0 < entries <= len(numbers) or not (np.abs(numbers) < MOST_ENTRIES).all():
        raise VolumeError("bad_geometry", f"a lookup table of {len(numbers)} of {entries} entries")
    values = numbers.astype(np.int64).astype(np.uint8 if bits <= 8 else np.uint16)
    if first > 0x7FFF and number_of(header, "PixelRepresentation") == 1:
        first -= 1 << 16
    return Lookup(first, values[:entries])


def choose_dtype(
    info: PixelInfo, slopes: Iterable[float], intercepts: Iterable[float], modality: str
) -> np.dtype[Any]:
    """Return the smallest type that holds all values exactly.

    Integers stay integers where slope and intercept are whole numbers. CT is held in int16:
    Hounsfield units fit, though 16 stored bits with an intercept could hold more, which is
    refused when it is read. All else becomes float32, and float64 beyond 24 bits.

    Parameters
    ----------
    info
        How values are stored.
    slopes, intercepts
        Of each image.
    modality
        Modality of the series.

    Examples
    --------
    >>> from workbench.pixels.decoding import PixelInfo
    >>> info = PixelInfo("", 1, 1, 1, 1, 16, 12, False, "MONOCHROME2", 0, 0, 2, 2, 11)
    >>> choose_dtype(info, [1.0], [-1024.0], "CT"), choose_dtype(info, [0.5], [0.0], "PT")
    (dtype('int16'), dtype('float32'))
    """
    slope, intercept = np.unique(list(slopes)), np.unique(list(intercepts))
    if info.floating:
        return np.dtype(info.dtype)
    if slope.tolist() == [1.0] and intercept.tolist() == [0.0]:
        return np.dtype(info.dtype)
    if (slope % 1 != 0).any() or (intercept % 1 != 0).any():
        return np.dtype(np.float32 if info.bits_stored <= EXACT_BITS else np.float64)
    ends = np.outer(slope, np.array(stored_range(info), dtype=np.float64))
    low, high = float(ends.min() + intercept.min()), float(ends.max() + intercept.max())
    for dtype in (np.int16, np.int32):
        limits = np.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            return np.dtype(dtype)
        if dtype is np.int16 and modality == "CT" and slope.tolist() == [1.0]:
            return np.dtype(dtype)
    return np.dtype(np.float64)


def scale_into(
    stored: NDArray[Any], slope: float, intercept: float, out: NDArray[Any], info: PixelInfo
) -> None:
    """Write values into `out`, each rounded once.

    Parameters
    ----------
    stored
        Stored values.
    slope, intercept
        Slope and intercept (DICOM PS3.3, C.11.1.1.2).
    out
        Values, of the same shape; may share its memory with `stored`.
    info
        Which bits are stored.

    Raises
    ------
    VolumeError
        If a value does not fit the type of `out`.
    """
    if slope == 1 and intercept == 0 and stored.dtype == out.dtype:
        if not np.shares_memory(stored, out):
            out[...] = stored
        return
    if out.dtype.kind == "f":
        values = stored.astype(np.float64)
        values *= slope
        values += intercept
        out[...] = values
        return
    _check_fits(stored, slope, intercept, out.dtype, info)
    if not np.shares_memory(stored, out):
        out[...] = stored
    # Arithmetic of the final width wraps, and the final value fits: what is between is exact.
    by, offset = np.array([slope, intercept]).astype(np.int64).astype(out.dtype)
    if slope != 1:
        np.multiply(out, by, out=out)
    if intercept != 0:
        np.add(out, offset, out=out)


def scale_in_place(
    stored: NDArray[Any], slope: float, intercept: float, out: NDArray[Any], info: PixelInfo
) -> None:
    """Turn cells as they lie in the file into values: `keep_stored_bits`, then `scale_into`.

    Parameters
    ----------
    stored
        Cells, contiguous; afterwards the memory holds the values.
    slope, intercept, info
        As for `scale_into`.
    out
        The same memory as the type of the values.

    Raises
    ------
    VolumeError
        If a value does not fit the type of `out`.
    """
    plain = info.high_bit + 1 == info.bits_stored and slope == 1 and stored.dtype == np.uint16
    if plain and intercept != 0 and all(fitting(slope, intercept, out.dtype, info)):
        from workbench.imaging.shifting import shift_cells

        mask, offset = (1 << info.bits_stored) - 1, int(intercept) % (1 << 16)
        shift_cells(stored.reshape(-1), np.uint16(mask), np.uint16(offset))
        return
    keep_stored_bits(stored, info)
    scale_into(stored, slope, intercept, out, info)


def _check_fits(
    stored: NDArray[Any], slope: float, intercept: float, dtype: DTypeLike, info: PixelInfo
) -> None:
    if max(abs(slope), abs(intercept)) >= 2.0**63:
        raise VolumeError("overflow", "RescaleSlope or RescaleIntercept")
    limits = np.iinfo(dtype)
    # Only an end that may not fit is looked for.
    fits = fitting(slope, intercept, dtype, info)
    for fit, extreme in zip(fits, (stored.min, stored.max), strict=True):
        if not fit:
            value = slope * float(extreme()) + intercept
            if not limits.min <= value <= limits.max:
                raise VolumeError("overflow", f"{value:g} in {np.dtype(dtype)}")


def fitting(slope: float, intercept: float, dtype: DTypeLike, info: PixelInfo) -> tuple[bool, bool]:
    """Return whether the least and the largest value that may be stored fit a type of integers.

    Examples
    --------
    >>> from workbench.pixels.decoding import PixelInfo
    >>> info = PixelInfo("", 1, 1, 1, 1, 16, 16, False, "MONOCHROME2", 0, 0, 2, 2, 15)
    >>> fitting(1.0, -1024.0, np.int16, info)
    (True, False)
    """
    limits = np.iinfo(dtype)
    low, high = (limits.min <= slope * v + intercept <= limits.max for v in stored_range(info))
    return low, high


def stored_range(info: PixelInfo) -> tuple[int, int]:
    """Return the least and the largest value that the stored bits can hold.

    Examples
    --------
    >>> from workbench.pixels.decoding import PixelInfo
    >>> stored_range(PixelInfo("", 1, 1, 1, 1, 16, 12, True, "MONOCHROME2", 0, 0, 2, 2, 11))
    (-2048, 2047)
    """
    half = 1 << (info.bits_stored - 1)
    return (-half, half - 1) if info.signed else (0, 2 * half - 1)
