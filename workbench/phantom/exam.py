"""Exam: one scan of a pretend patient, from the settings to an image with its masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workbench.errors import UsageError
from workbench.phantom.anatomy import Subject
from workbench.phantom.nodules import Nodule, paint_nodules
from workbench.phantom.noise import (
    Kernel,
    apply_kernel,
    make_noise,
    noise_level,
    water_diameter,
)
from workbench.phantom.shapes import Floats, Grid
from workbench.phantom.thorax import Thorax
from workbench.phantom.trees import paint_trees
from workbench.pretend.sourced import ASSUMED, Sourced

CHEST_RANGE = Sourced(
    (-0.08, 1.06), "lowest and highest slice over the height of the lungs", ASSUMED
)
ABDOMEN_RANGE = Sourced(
    (-1.15, -0.15), "lowest and highest slice over the height of the lungs", ASSUMED
)
BREATH = Sourced(
    (38.0, 0.45),
    "mm of table in a breath; height over the lungs' where it is felt to 37 %",
    ASSUMED,
)
TABLE_Y = Sourced(9.0, "mm by which the middle of the image lies below that of the chest", ASSUMED)
LOWEST, HIGHEST = -1024, 3071
"""HU that an image of 12 bits can hold."""


@dataclass(frozen=True)
class Scan:
    """Say how a patient is scanned.

    Parameters
    ----------
    kernel : Kernel
        Of the reconstruction.
    slice_mm : float
        Thickness of a slice and distance to the next, mm.
    ctdivol_mgy : float
        Dose, mGy.
    field_mm : int
        Side of the field of view, mm.
    pixels : int
        Along a side.
    contrast : bool
        Whether contrast medium was given.
    breathing_mm : float
        How far the diaphragm moves while the table does.
    hu_offset : float
        Added to all values: calibration of the device.
    table_mm : float
        Height of the table frame's origin over that of the patient's, mm.
    abdomen : bool
        Whether the abdomen is scanned, below the lungs.
    """

    kernel: Kernel
    slice_mm: float = 2.5
    ctdivol_mgy: float = 5.0
    field_mm: int = 340
    pixels: int = 128
    contrast: bool = False
    breathing_mm: float = 0.0
    hu_offset: float = 0.0
    table_mm: float = 0.0
    abdomen: bool = False

    def __post_init__(self) -> None:
        if not (0.25 <= self.slice_mm <= 20 and self.pixels >= 16 and self.ctdivol_mgy > 0):
            raise UsageError(
                "No such scan can be made",
                where="slice_mm, pixels or ctdivol_mgy",
                todo="Name slices of 0.25 to 20 mm, 16 pixels or more, and a dose above 0",
            )

    @property
    def pixel_mm(self) -> float:
        """Side of a pixel, mm."""
        return round(self.field_mm / self.pixels, 6)

    @property
    def corner_mm(self) -> tuple[float, float]:
        """Centre of the first pixel, x and y in mm."""
        side = -(self.pixels - 1) / 2 * self.pixel_mm
        return round(side, 4), round(side + TABLE_Y.value, 4)


@dataclass(frozen=True)
class Image:
    """Hold a scan and what is known of it.

    Parameters
    ----------
    hu : ndarray of int16, shape (z, y, x)
        From the feet to the head.
    labels : ndarray of uint8, shape (z, y, x)
        Number of the nodule, from 1, that covers at least half of the voxel; else 0.
    origin_mm : (float, float, float)
        Centre of the first voxel in the patient, x, y and z, LPS.
    spacing_mm : (float, float, float)
        Along z, y and x.
    centres_mm : tuple of (float, float, float)
        Of each nodule, in the patient, LPS.
    """

    hu: npt.NDArray[np.int16]
    labels: npt.NDArray[np.uint8]
    origin_mm: tuple[float, float, float]
    spacing_mm: tuple[float, float, float]
    centres_mm: tuple[tuple[float, float, float], ...]


def lay_grid(subject: Subject, scan: Scan) -> tuple[Grid, npt.NDArray[np.float64]]:
    """Return where the voxels of a scan lie in the thorax, and the heights of its slices.

    Returns
    -------
    Grid
        In the frame of the thorax.
    ndarray, shape (slices,)
        In the frame of the patient, mm.
    """
    low, high = (ABDOMEN_RANGE if scan.abdomen else CHEST_RANGE).value
    number = max(3, round((high - low) * subject.lung_mm / scan.slice_mm))
    lowest = round(low * subject.lung_mm, 1)
    still = lowest + np.arange(number, dtype=np.float64) * scan.slice_mm
    side = np.arange(scan.pixels, dtype=np.float64) * scan.pixel_mm
    spacing = (scan.slice_mm, scan.pixel_mm, scan.pixel_mm)
    corner = scan.corner_mm
    grid = Grid(corner[0] + side, corner[1] + side, _breathe(still, subject, scan), spacing)
    return grid, np.round(still - scan.table_mm, 4)


def _breathe(z: npt.NDArray[np.float64], subject: Subject, scan: Scan) -> npt.NDArray[np.float64]:
    """Return the heights of the anatomy that is at these heights while it is scanned."""
    wave, reach = BREATH.value
    felt = np.exp(-np.maximum(z, 0) / (reach * subject.lung_mm))
    return np.asarray(z + scan.breathing_mm / 2 * felt * np.sin(2 * np.pi * z / wave))


def scan_patient(
    subject: Subject, nodules: tuple[Nodule, ...], scan: Scan, stream: np.random.Generator
) -> Image:
    """Return the image of a patient.

    Parameters
    ----------
    subject
        Who is scanned.
    nodules
        In the lungs, in the frame of the thorax.
    scan
        How.
    stream
        Random numbers of the noise.

    Examples
    --------
    >>> from workbench.phantom.anatomy import make_subject
    >>> image = scan_patient(make_subject(6, "F"), (), Scan(Kernel("B", 1.0), slice_mm=5.0,
    ...     field_mm=220, pixels=64), np.random.default_rng(1))
    >>> image.hu.shape, image.hu.dtype, int(image.hu.min()) >= -1024
    ((35, 64, 64), dtype('int16'), True)
    """
    clean, labels, heights = paint_patient(subject, nodules, scan, stream)
    hu = reconstruct(clean, scan, stream)
    kept = [_held(nodule, subject, scan) for nodule in nodules]
    corner = scan.corner_mm
    return Image(
        hu=hu,
        labels=labels,
        origin_mm=(corner[0], corner[1], float(heights[0])),
        spacing_mm=(scan.slice_mm, scan.pixel_mm, scan.pixel_mm),
        centres_mm=tuple(kept),
    )


def paint_patient(
    subject: Subject, nodules: tuple[Nodule, ...], scan: Scan, stream: np.random.Generator
) -> tuple[Floats, npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Return what is scanned: HU without kernel and noise, labels, and heights of the slices."""
    grid, heights = lay_grid(subject, scan)
    thorax = Thorax(subject, scan.contrast)
    volume = thorax.paint(grid, stream)
    if not scan.abdomen:
        paint_trees(grid, volume, thorax)
    return volume, paint_nodules(grid, volume, nodules), heights


def reconstruct(clean: Floats, scan: Scan, stream: np.random.Generator) -> npt.NDArray[np.int16]:
    """Return what a device shows of a patient: kernel, noise, offset, whole HU."""
    pixel = scan.pixel_mm
    water = water_diameter(clean, pixel)
    shown = apply_kernel(clean, scan.kernel, pixel)
    level = noise_level(scan.kernel, scan.ctdivol_mgy, scan.slice_mm, water)
    noise = make_noise(shown.shape, scan.kernel, pixel, stream)
    shown += noise * level.astype(np.float32)[:, None, None]
    shown += np.float32(scan.hu_offset)
    return np.rint(np.clip(shown, LOWEST, HIGHEST)).astype(np.int16)


def thicken(clean: Floats, factor: int) -> Floats:
    """Return slices that are the mean of so many neighbours; what is left over is cut off."""
    number = clean.shape[0] // factor
    grouped = clean[: number * factor].reshape(number, factor, *clean.shape[1:])
    return np.asarray(grouped.mean(axis=1), dtype=np.float32)


def _held(nodule: Nodule, subject: Subject, scan: Scan) -> tuple[float, float, float]:
    """Return where the image shows the centre of a nodule."""
    x, y, z = nodule.centre_mm
    fine = np.arange(-1.5 * subject.lung_mm, 1.5 * subject.lung_mm, 0.05)
    shown = (
        fine[int(np.argmin(np.abs(_breathe(fine, subject, scan) - z)))] if scan.breathing_mm else z
    )
    return round(x, 3), round(y, 3), round(float(shown) - scan.table_mm, 3)
