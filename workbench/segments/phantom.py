"""Phantom: a PET/CT of nobody with its structure set, as DICOM files, to learn and to test with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.segments.drawing import RTSTRUCT

if TYPE_CHECKING:
    from pydicom import Dataset

Floats = NDArray[np.float64]

HEIGHTS = np.arange(40) * 5.0
"""Heights of the slices of CT and PET, mm."""
WIDE = {"CT": (128, 3.0), "PT": (96, 4.0)}
"""Pixels along a row and column, and their size in mm."""
CLASSES = {"CT": "1.2.840.10008.5.1.4.1.1.2", "PT": "1.2.840.10008.5.1.4.1.1.128"}
"""CT Image Storage and Positron Emission Tomography Image Storage (DICOM PS3.4, B.5)."""
WEIGHT_KG = 70.0
DOSE_BQ = 350e6
HALF_LIFE_S = 6586.2
"""Of fluorine-18."""
UPTAKE_S = 3600.0
"""From injection to scan."""
SLOPE = 2.0
"""Bq/ml of one stored value of the PET."""
AROUND = 90
"""Points of a contour."""


@dataclass(frozen=True)
class Organ:
    """Describe an ellipsoid, or, with an infinite last radius, a cylinder.

    Parameters
    ----------
    name : str
        Of its region, where it is drawn.
    centre, radii : (float, float, float)
        In the patient, mm, LPS.
    hu, suv : float
        Value in the CT and in the PET.
    code : (str, str) or None
        SNOMED CT code and meaning of what is drawn; None for what is not.
    """

    name: str
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    hu: float
    suv: float
    code: tuple[str, str] | None = None


ORGANS = (
    Organ("body", (0, 0, 0), (150, 105, np.inf), 20, 0.7),
    Organ("left lung", (70, -5, 115), (48, 72, 80), -850, 0.4),
    Organ("right lung", (-70, -5, 115), (50, 72, 80), -850, 0.4),
    Organ("heart", (22, -30, 85), (45, 38, 45), 45, 3.0),
    Organ("spine", (0, 72, 0), (18, 16, np.inf), 350, 1.2),
    Organ("liver", (-55, -10, 10), (80, 75, 38), 60, 2.2, ("10200004", "Liver")),
    Organ("lesion", (-75, 5, 130), (16, 16, 16), 40, 8.0, ("108369006", "Neoplasm")),
)
"""Each covers those before it."""


@dataclass(frozen=True)
class Phantom:
    """Say where the files of a phantom are.

    Parameters
    ----------
    ct, pet : Path
        Folders of one series each.
    structures : Path
        An RTSTRUCT with liver and lesion, in the frame of reference of both.
    """

    ct: Path
    pet: Path
    structures: Path


def write_phantom(folder: Path | str) -> Phantom:
    """Write a small PET/CT of a made chest and its structure set into a folder.

    Shapes, HU and SUV are those of `ORGANS`, with a little noise that is the same every time.

    Parameters
    ----------
    folder
        Where folders `ct` and `pet` and the file `structures.dcm` are made.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     made = write_phantom(folder)
    ...     len(list(made.ct.iterdir())), len(list(made.pet.iterdir())), made.structures.name
    (40, 40, 'structures.dcm')
    """
    made = Phantom(Path(folder) / "ct", Path(folder) / "pet", Path(folder) / "structures.dcm")
    random = np.random.default_rng(0)
    hu = _fill("CT", -1000, [organ.hu for organ in ORGANS])
    hu += random.normal(0, 12, hu.shape)
    _write_series(made.ct, "CT", hu.clip(-1024, 3071), RescaleType="HU")
    suv = _fill("PT", 0, [organ.suv for organ in ORGANS])
    suv *= random.normal(1, 0.05, suv.shape)
    left = DOSE_BQ * 2.0 ** (-UPTAKE_S / HALF_LIFE_S)
    _write_series(made.pet, "PT", suv * left / (WEIGHT_KG * 1000), SLOPE, **_tracer())
    _save(_structures(), made.structures)
    return made


def _fill(modality: str, outside: float, values: list[float]) -> Floats:
    """Return the value of the last organ around the centre of each voxel."""
    pixels, size = WIDE[modality]
    along = (np.arange(pixels) - (pixels - 1) / 2) * size
    z, y, x = np.meshgrid(HEIGHTS, along, along, indexing="ij", sparse=True)
    filled = np.full((len(HEIGHTS), pixels, pixels), float(outside))
    for organ, value in zip(ORGANS, values, strict=True):
        parts = [
            ((p - c) / r) ** 2 for p, c, r in zip((x, y, z), organ.centre, organ.radii, strict=True)
        ]
        filled[sum(parts) < 1] = value
    return filled


def _write_series(
    folder: Path, modality: str, values: Floats, slope: float = 1.0, **attributes: object
) -> None:
    folder.mkdir()
    pixels, size = WIDE[modality]
    corner = -(pixels - 1) / 2 * size
    for k, plane in enumerate(values):
        image = _new(modality, CLASSES[modality], k)
        image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.InstanceNumber = k + 1
        image.ImagePositionPatient = [corner, corner, HEIGHTS[k]]
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        image.PixelSpacing = [size, size]
        image.SliceThickness = HEIGHTS[1] - HEIGHTS[0]
        image.Rows = image.Columns = pixels
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
        image.PixelRepresentation = 1
        image.RescaleSlope, image.RescaleIntercept = slope, 0
        for keyword, value in attributes.items():
            setattr(image, keyword, value)
        image.PixelData = np.rint(plane / slope).astype("<i2").tobytes()
        _save(image, folder / f"{k + 1:03d}.dcm")


def _tracer() -> dict[str, Any]:
    """Return what SUV needs (DICOM PS3.3, C.8.9.1 and C.8.9.2)."""
    from pydicom import Dataset

    tracer = Dataset()
    tracer.RadionuclideTotalDose = DOSE_BQ
    tracer.RadionuclideHalfLife = HALF_LIFE_S
    tracer.RadiopharmaceuticalStartDateTime = "20000101090000"
    return {
        "Units": "BQML",
        "DecayCorrection": "START",
        "CorrectedImage": ["ATTN", "DECY"],
        "PatientWeight": WEIGHT_KG,
        "RadiopharmaceuticalInformationSequence": [tracer],
    }


def _structures() -> Dataset:
    """Return the contours of all that has a code (DICOM PS3.3, C.8.8.5, C.8.8.6, C.8.8.8)."""
    from pydicom import Dataset

    structures = _new("RTSTRUCT", RTSTRUCT, 0)
    structures.StructureSetLabel = "phantom"
    frame = Dataset()
    frame.FrameOfReferenceUID = structures.FrameOfReferenceUID
    structures.ReferencedFrameOfReferenceSequence = [frame]
    rois, drawn, observed = [], [], []
    for number, organ in enumerate((o for o in ORGANS if o.code), 1):
        roi, contours, observation, code = Dataset(), Dataset(), Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, organ.name
        roi.ReferencedFrameOfReferenceUID = structures.FrameOfReferenceUID
        roi.ROIGenerationAlgorithm = "AUTOMATIC"
        contours.ReferencedROINumber = number
        contours.ContourSequence = [_contour(organ, z) for z in HEIGHTS if _share(organ, z) > 0]
        observation.ObservationNumber = observation.ReferencedROINumber = number
        observation.RTROIInterpretedType, observation.ROIInterpreter = "", ""
        code.CodeValue, code.CodeMeaning = organ.code or ("", "")
        code.CodingSchemeDesignator = "SCT"
        observation.RTROIIdentificationCodeSequence = [code]
        rois.append(roi)
        drawn.append(contours)
        observed.append(observation)
    structures.StructureSetROISequence = rois
    structures.ROIContourSequence = drawn
    structures.RTROIObservationsSequence = observed
    return structures


def _share(organ: Organ, z: float) -> float:
    """Return the square of the part that is left of an organ's radii at a height."""
    return 1 - ((z - organ.centre[2]) / organ.radii[2]) ** 2


def _contour(organ: Organ, z: float) -> Dataset:
    from pydicom import Dataset

    angle = np.arange(AROUND) / AROUND * 2 * np.pi
    (cx, cy, _), (rx, ry, _), part = organ.centre, organ.radii, np.sqrt(_share(organ, z))
    points = [cx + rx * part * np.cos(angle), cy + ry * part * np.sin(angle), np.full(AROUND, z)]
    contour = Dataset()
    contour.ContourGeometricType = "CLOSED_PLANAR"
    contour.NumberOfContourPoints = AROUND
    contour.ContourData = [f"{v:.3f}" for v in np.stack(points, axis=1).ravel()]
    return contour


def _new(modality: str, sop_class: str, number: int) -> Dataset:
    """Return a data set of the phantom's one exam, in the one frame of reference of all."""
    from pydicom import Dataset
    from pydicom.uid import generate_uid

    made = Dataset()
    made.SOPClassUID = sop_class
    made.SOPInstanceUID = generate_uid(entropy_srcs=["phantom", modality, str(number)])
    made.SeriesInstanceUID = generate_uid(entropy_srcs=["phantom", modality])
    made.StudyInstanceUID = generate_uid(entropy_srcs=["phantom", "exam"])
    made.FrameOfReferenceUID = generate_uid(entropy_srcs=["phantom", "frame"])
    made.Modality, made.Manufacturer = modality, ""
    made.PatientName, made.PatientID = "Phantom", "phantom"
    made.PatientBirthDate, made.PatientSex, made.PositionReferenceIndicator = "", "", ""
    made.StudyID, made.AccessionNumber, made.ReferringPhysicianName = "", "", ""
    made.SeriesNumber = 1
    made.StudyDate = made.SeriesDate = made.AcquisitionDate = made.StructureSetDate = "20000101"
    made.StudyTime = made.SeriesTime = made.AcquisitionTime = made.StructureSetTime = "100000"
    return made


def _save(made: Dataset, path: Path) -> None:
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.save_as(path, enforce_file_format=True)
