"""Picture: what a browser is given of a volume.

The voxels are turned so that they run to the patient's left, back and head, thinned out where they
would be too many, and encoded as one block of 8- or 16-bit integers a frame. Nothing is
interpolated: a voxel that is shown is a voxel of the volume.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench.errors import ImageError, show
from workbench.imaging.volume_grid import SPACE, affine_of

if TYPE_CHECKING:
    import xarray as xr

LARGEST = 64_000_000
"""Bytes of one frame and its labels that a browser is sent at most."""
GAP = -32768
"""Stands for a voxel without a value."""
LETTERS = (("R", "L"), ("A", "P"), ("F", "H"))
"""Ends of the axes x, y and z of the patient (DICOM PS3.3 C.7.6.1.1.1)."""
OBLIQUE = 0.35
"""Cosine from which on a second letter tells where an axis leads as well (about 20 degrees)."""
PERPENDICULAR = 0.01
"""Cosine between two axes from which on planes cannot be drawn as rectangles."""


@dataclass(frozen=True)
class Axis:
    """Say how one axis of a picture is taken from the volume.

    Parameters
    ----------
    name
        Dimension of the volume.
    size
        Voxels along it in the volume.
    backwards
        Whether the picture runs against it.
    step
        Every how many voxels one is shown.
    """

    name: str
    size: int
    backwards: bool
    step: int = 1

    @property
    def shown(self) -> int:
        """Voxels along it in the picture."""
        return math.ceil(self.size / self.step)

    @property
    def taken(self) -> slice:
        """What is taken of the dimension, in the order of the picture."""
        return slice(None, None, -self.step if self.backwards else self.step)


@dataclass(frozen=True)
class Frame:
    """One block of voxels as bytes.

    Parameters
    ----------
    data
        Little-endian integers, the first axis running fastest.
    type
        "uint8" or "int16"; of labels "uint8" or "uint16".
    slope, intercept
        Value = slope x stored + intercept. -32768 stands for no value.
    """

    data: bytes
    type: str
    slope: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True)
class Picture:
    """Turn, thin out and encode a volume.

    Parameters
    ----------
    volume : xr.DataArray
        Dimensions (..., z, y, x); `attrs["affine"]` and coordinates as `open_volume` makes them.
    segmentation : xr.DataArray, optional
        Label numbers over (z, y, x) of the same grid.
    largest
        Bytes of a frame and its labels at most.

    Raises
    ------
    ImageError
        If the volume or segmentation cannot be shown; the reason is named.
    """

    volume: xr.DataArray
    segmentation: xr.DataArray | None = None
    largest: int = LARGEST

    def __post_init__(self) -> None:
        named = [str(name) for name in getattr(self.volume, "dims", ())]
        if not set(SPACE) <= set(named) or not self.volume.size:
            raise ImageError(
                "This is no volume that can be shown",
                where=f"dimensions {show(', '.join(named) or 'without names')}",
                todo="Give a DataArray with voxels along z, y and x, as open_volume makes it",
            )
        if self.volume.dtype.kind not in "biuf":
            raise ImageError(
                "These values cannot be shown as grey",
                where=f"dtype {self.volume.dtype}",
                todo="Give integers or real numbers, such as abs(volume)",
            )
        self._check_axes()
        if self.segmentation is not None:
            self._check_segmentation(self.segmentation)

    def _check_axes(self) -> None:
        axes = self._given / self._spacings
        cosines = np.abs(axes.T @ axes)[np.triu_indices(3, 1)]
        if cosines.max() > PERPENDICULAR:
            raise ImageError(
                "The axes of the volume are not perpendicular",
                where=f"affine: an angle of {math.degrees(math.acos(cosines.max())):.1f} degrees",
                todo="Resample it first, as open_volume does for a tilted gantry when asked",
            )

    def _check_segmentation(self, labels: xr.DataArray) -> None:
        sizes = {str(k): v for k, v in self.volume.sizes.items() if k in SPACE}
        if dict(labels.sizes) != sizes or labels.dtype.kind not in "biu":
            raise ImageError(
                "The segmentation does not lie on the volume's grid",
                where=f"segmentation {dict(labels.sizes)} of {labels.dtype}, volume {sizes}",
                todo="Give label numbers over z, y and x: open_segmentation(path, like=volume)",
            )
        if "affine" in labels.attrs:
            apart = np.abs(_affine_of(labels) - self._voxels_to_mm).max()
            if not apart <= 1e-3:
                raise ImageError(
                    "The segmentation lies elsewhere than the volume",
                    where=f"affine: up to {apart:.3g} mm apart",
                    todo="Open it on this volume's grid: open_segmentation(path, like=volume)",
                )

    @cached_property
    def _voxels_to_mm(self) -> npt.NDArray[np.float64]:
        return _affine_of(self.volume)

    @property
    def _given(self) -> npt.NDArray[np.float64]:
        return self._voxels_to_mm[:3, :3]

    @cached_property
    def _spacings(self) -> npt.NDArray[np.float64]:
        spacings: npt.NDArray[np.float64] = np.sqrt((self._given**2).sum(axis=0))
        return spacings

    @cached_property
    def units(self) -> str:
        """Units of the values; "" if there are none to tell."""
        units = show(str(self.volume.attrs.get("units", "")), 20)
        return "" if units == "arb" else units

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The axes that run to the patient's left, back and head."""
        cosines = self._given / self._spacings
        order = max(
            permutations(range(3)),
            key=lambda chosen: sum(abs(cosines[row, column]) for row, column in enumerate(chosen)),
        )
        names = SPACE[::-1]
        steps = self._steps([self.volume.sizes[name] for name in names])
        return tuple(
            Axis(names[c], self.volume.sizes[names[c]], bool(cosines[row, c] < 0), steps[c])
            for row, c in enumerate(order)
        )

    def _steps(self, sizes: list[int]) -> list[int]:
        """Return every how many voxels of x, y, z one is shown: the finest axes give way first."""
        wide = 1 if self.volume.dtype.kind in "bu" and self.volume.dtype.itemsize == 1 else 2
        wide += 0 if self.segmentation is None else self._label_type.itemsize
        steps = [1, 1, 1]
        while math.prod(map(math.ceil, np.divide(sizes, steps))) * wide > self.largest:
            apart = [
                spacing * step if step < size else math.inf
                for spacing, step, size in zip(self._spacings, steps, sizes, strict=True)
            ]
            steps = [s + int(a <= min(apart) * 1.01) for s, a in zip(steps, apart, strict=True)]
        return steps

    @cached_property
    def affine(self) -> npt.NDArray[np.float64]:
        """Matrix (4, 4) from the picture's voxels (left, back, head) to mm, LPS."""
        affine = self._voxels_to_mm
        turned = affine.copy()
        for column, axis in enumerate(self.axes):
            direction = affine[:, SPACE[::-1].index(axis.name)]
            turned[:, column] = direction * (-axis.step if axis.backwards else axis.step)
            turned[:, 3] += direction * (axis.size - 1 if axis.backwards else 0)
        return turned

    @cached_property
    def ends(self) -> list[tuple[str, str]]:
        """Letters of the beginning and the end of each axis."""
        return [letters(column) for column in self.affine[:3, :3].T]

    @cached_property
    def further(self) -> tuple[str, ...]:
        """Dimensions beside space: each of their places is a frame."""
        return tuple(str(name) for name in self.volume.dims if name not in SPACE)

    def values(self, place: tuple[int, ...]) -> npt.NDArray[Any]:
        """Return the values of a frame over (head, back, left).

        Parameters
        ----------
        place
            Position along each of the `further` dimensions.
        """
        return self._turned(self.volume.isel(dict(zip(self.further, place, strict=True))))

    @property
    def _label_type(self) -> np.dtype[Any]:
        numbers = [number for number, _ in self.labels]
        return np.dtype(np.uint8 if max(numbers, default=0) <= 255 else np.uint16)

    def label_values(self) -> npt.NDArray[Any] | None:
        """Return the label numbers over (head, back, left), if there is a segmentation."""
        if self.segmentation is None:
            return None
        return np.ascontiguousarray(self._turned(self.segmentation), dtype=self._label_type)

    @cached_property
    def labels(self) -> list[tuple[int, str]]:
        """Numbers that occur in the segmentation, with their names."""
        if self.segmentation is None:
            return []
        found = np.unique(np.concatenate([np.unique(plane) for plane in self.segmentation.values]))
        if found.size and not 0 <= found[0] <= found[-1] <= 65535:
            raise ImageError(
                "A label is no number from 0 to 65535",
                where=f"labels {found[0]} to {found[-1]}",
                todo="Give label numbers, where 0 is what has no label",
            )
        # Numbers are text where attributes have been through JSON.
        names = {str(k): str(v) for k, v in dict(self.segmentation.attrs.get("labels", {})).items()}
        return [(int(n), show(names.get(str(n), ""), 80)) for n in found if n]

    def _turned(self, array: xr.DataArray) -> npt.NDArray[Any]:
        turned = array.isel({axis.name: axis.taken for axis in self.axes})
        return turned.transpose(*(axis.name for axis in reversed(self.axes))).values


def _affine_of(array: xr.DataArray) -> npt.NDArray[np.float64]:
    """Return the matrix of an array in whatever order its dimensions stand."""
    return affine_of(array.transpose(..., *SPACE))


def letters(direction: npt.NDArray[np.float64]) -> tuple[str, str]:
    """Return the letters of where a direction comes from and where it leads.

    Parameters
    ----------
    direction : (3,) array
        In the patient's axes, LPS.

    Examples
    --------
    >>> letters(np.array([0.0, 0.0, 3.0])), letters(np.array([-0.8, 0.6, 0.0]))
    (('F', 'H'), ('LA', 'RP'))
    """
    cosines = direction / np.linalg.norm(direction)
    order = sorted(range(3), key=lambda row: -abs(cosines[row]))
    told = [row for number, row in enumerate(order) if not number or abs(cosines[row]) > OBLIQUE]
    first, last = (
        "".join(LETTERS[row][int((cosines[row] > 0) == end)] for row in told[:2])
        for end in (False, True)
    )
    return first, last


def encode(values: npt.NDArray[Any]) -> Frame:
    """Return values as bytes: whole numbers as they are, others in 65,535 steps of their range.

    Parameters
    ----------
    values : (head, back, left) array
        Integers or real numbers; what is not finite becomes a gap.

    Examples
    --------
    >>> frame = encode(np.array([[[0.0, 0.5, np.nan]]]))
    >>> np.frombuffer(frame.data, "<i2").tolist(), frame.intercept
    ([-32767, 32767, -32768], 0.25)
    """
    low, high, gaps, whole = _range_of(values)
    if whole and not gaps and low >= 0 and high <= 255:
        return Frame(np.ascontiguousarray(values, np.uint8).tobytes(), "uint8")
    slope, intercept = 1.0, 0.0
    if not whole or high - low > 65534:
        slope = (high - low) / 65534 or 1.0
    if not whole or low < -32767 or high > 32767:
        intercept = (low + high) / 2 if not whole or slope != 1 else low + 32767
    stored = np.empty(values.shape, "<i2")
    for plane, given in zip(stored, values, strict=True):  # a plane at a time: little memory
        as_is = slope == 1 and intercept == 0 and given.dtype.kind in "iu"
        scaled = given if as_is else np.rint((given.astype(np.float64) - intercept) / slope)
        plane[:] = np.nan_to_num(scaled, nan=GAP, posinf=GAP, neginf=GAP) if gaps else scaled
    return Frame(stored.tobytes(), "int16", slope, intercept)


def _range_of(values: npt.NDArray[Any]) -> tuple[float, float, bool, bool]:
    """Return lowest and highest value, whether some are missing, and whether all are whole."""
    low, high, gaps, whole = math.inf, -math.inf, False, True
    for plane in values:
        known = plane
        if plane.dtype.kind == "f" and not np.isfinite(plane).all():
            gaps, known = True, plane[np.isfinite(plane)]
        if known.size:
            low, high = min(low, float(known.min())), max(high, float(known.max()))
            whole = whole and (known.dtype.kind != "f" or bool((known == np.rint(known)).all()))
    return (low, high, gaps, whole) if low <= high else (0.0, 0.0, gaps, whole)
