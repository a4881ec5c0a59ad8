"""Noise: what dose, slices, kernel and the size of the patient make of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from workbench.phantom.shapes import Floats
from workbench.pretend.sourced import ASSUMED, Sourced

REFERENCE = Sourced(
    (14.0, 5.0, 3.0, 270.0),
    "HU of noise with a smooth kernel at mGy, slices of mm, water of mm",
    f"{ASSUMED}; it falls with the root of dose and of slice thickness",
)
ATTENUATION = Sourced(
    0.0095,
    "growth of the logarithm of the noise a mm of water",
    f"{ASSUMED}: half of what 120 kV lose in 1 mm of water",
)
LIMITS = Sourced((0.35, 3.5), "least and most that size makes of the noise", ASSUMED)


@dataclass(frozen=True)
class Kernel:
    """Describe a reconstruction kernel.

    Parameters
    ----------
    name : str
        As the device calls it.
    width_mm : float
        Standard deviation of its blur.
    sharp : float
        How much it adds to edges; 0 for a smooth kernel.
    noise : float
        Noise over that of a smooth kernel.
    """

    name: str
    width_mm: float
    sharp: float = 0.0
    noise: float = 1.0


def apply_kernel(volume: Floats, kernel: Kernel, pixel_mm: float) -> Floats:
    """Return a volume as a kernel shows it: each slice blurred, its edges raised.

    Parameters
    ----------
    volume : ndarray, shape (z, y, x)
    kernel
        Which.
    pixel_mm
        Size of a pixel, mm.
    """
    blur = kernel.width_mm / pixel_mm
    shown = ndimage.gaussian_filter(volume, (0, blur, blur), mode="nearest", truncate=3.0)
    if not kernel.sharp:
        return np.asarray(shown, dtype=np.float32)
    wide = ndimage.gaussian_filter(shown, (0, 1.0, 1.0), mode="nearest", truncate=3.0)
    return np.asarray(shown + np.float32(kernel.sharp) * (shown - wide), dtype=np.float32)


def make_noise(
    shape: tuple[int, int, int], kernel: Kernel, pixel_mm: float, stream: np.random.Generator
) -> Floats:
    """Return noise with the texture of a kernel, of standard deviation 1.

    White noise that went through the kernel: a smooth kernel leaves grains, neighbours of a sharp
    one are opposed. Slices are independent.

    Parameters
    ----------
    shape
        Slices, rows and columns.
    kernel
        Which.
    pixel_mm
        Size of a pixel, mm.
    stream
        Random numbers.
    """
    white = stream.standard_normal(shape, dtype=np.float32)
    peak = np.zeros((1, 33, 33), np.float32)
    peak[0, 16, 16] = 1
    answer = apply_kernel(peak, kernel, pixel_mm)
    grained = apply_kernel(white, kernel, pixel_mm)
    return np.asarray(grained / np.float32(np.sqrt((answer.astype(float) ** 2).sum())), np.float32)


def noise_level(
    kernel: Kernel, dose_mgy: float, slice_mm: float, water_mm: npt.NDArray[np.float64] | float
) -> npt.NDArray[np.float64]:
    """Return the standard deviation of the noise, HU.

    Parameters
    ----------
    kernel
        Which.
    dose_mgy
        CTDIvol, mGy.
    slice_mm
        Thickness of a slice, mm.
    water_mm
        Diameter of water that attenuates as the slice does, mm.

    Examples
    --------
    >>> smooth = Kernel("B", 1.0)
    >>> levels = [float(noise_level(smooth, dose, 3.0, 270.0)) for dose in (5.0, 20.0)]
    >>> levels
    [14.0, 7.0]
    """
    level, dose, thick, water = REFERENCE.value
    size = np.exp(ATTENUATION.value * (np.asarray(water_mm, float) - water))
    reached = np.clip(size, *LIMITS.value)
    return np.asarray(
        level * kernel.noise * np.sqrt(dose / dose_mgy) * np.sqrt(thick / slice_mm) * reached
    )


def water_diameter(volume: Floats, pixel_mm: float) -> npt.NDArray[np.float64]:
    """Return the water-equivalent diameter of each slice, mm.

    Source: AAPM Report 220, equation 2; what attenuates less than water by 900 HU is no patient.
    """
    held = np.where(volume > -900, volume / 1000 + 1, 0)
    area = held.sum(axis=(1, 2), dtype=np.float64) * pixel_mm**2
    return np.asarray(2 * np.sqrt(np.maximum(area, 1.0) / np.pi))
