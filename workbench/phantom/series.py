"""Series: images of a phantom as DICOM files that any archive reads."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from workbench.phantom.exam import Image

if TYPE_CHECKING:
    from pydicom import Dataset

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
"""CT Image Storage (DICOM PS3.4, B.5)."""
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
"""Segmentation Storage (DICOM PS3.4, B.5)."""
EXPLICIT = "1.2.840.10008.1.2.1"
"""Explicit VR Little Endian."""
WRITER = "2.25.271402914907353137431184092416385025391"
"""Implementation Class UID of what writes these files."""
INTERCEPT = -1024


@dataclass(frozen=True)
class Label:
    """Hold what the files of one exam state beside their pixels.

    Parameters
    ----------
    key : str
        What all UIDs are made of: the same key gives the same UIDs.
    patient_id : str
        Of a pretend patient.
    sex : str
        "F" or "M".
    age_years : float
        At the exam.
    mass_kg : float
        Of the patient.
    time : datetime.datetime
        Of the exam, by the clock of the device.
    attributes : mapping
        DICOM keyword to value, the same in all files of a series.
    """

    key: str
    patient_id: str
    sex: str
    age_years: float
    mass_kg: float
    time: dt.datetime
    attributes: Mapping[str, Any]

    @property
    def exam_uid(self) -> str:
        """UID of the exam."""
        return make_uid(self.key)

    def series_uid(self, number: int) -> str:
        """UID of a series of the exam."""
        return make_uid(self.key, number)


def make_uid(*parts: object) -> str:
    """Return a UID that follows from its parts alone (DICOM PS3.5, B.2).

    Examples
    --------
    >>> make_uid("a", 1) == make_uid("a", 1), make_uid("a", 1) == make_uid("a", 2)
    (True, False)
    >>> make_uid("a").startswith("2.25."), len(make_uid("a")) <= 64
    (True, True)
    """
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big') | 1 << 120}"


def write_age(age_years: float) -> str:
    """Return an age in DICOM's notation (PS3.5, 6.2, AS).

    Examples
    --------
    >>> write_age(63.4), write_age(0.5), write_age(0.01)
    ('063Y', '006M', '000M')
    """
    return f"{int(age_years):03d}Y" if age_years >= 2 else f"{int(age_years * 12):03d}M"


def write_series(
    folder: Path, image: Image, label: Label, number: int, *, skip: frozenset[int] = frozenset()
) -> list[Path]:
    """Write the slices of an image, a file each, from the feet to the head.

    Parameters
    ----------
    folder
        Is made.
    image
        What is written.
    label
        What the files state.
    number
        Of the series in its exam, from 1.
    skip
        Slices that are left out.

    Returns
    -------
    list of Path
        In the order of the slices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dataset = _new_image(label, number)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.SliceThickness = dataset.SpacingBetweenSlices = text(image.spacing_mm[0])
    dataset.PixelSpacing = [text(image.spacing_mm[1]), text(image.spacing_mm[2])]
    dataset.Rows, dataset.Columns = image.hu.shape[1:]
    x, y, z = image.origin_mm
    written = []
    for index, stored in enumerate((image.hu - np.int16(INTERCEPT)).astype("<u2")):
        if index in skip:
            continue
        height = text(z + index * image.spacing_mm[0])
        dataset.InstanceNumber = index + 1
        dataset.ImagePositionPatient = [text(x), text(y), height]
        dataset.SliceLocation = height
        written.append(_save(dataset, stored, label, (number, index + 1), folder))
    return written


def write_localiser(folder: Path, image: Image, label: Label, number: int) -> Path:
    """Write a radiograph of the patient from the front, as a device makes it before a scan."""
    folder.mkdir(parents=True, exist_ok=True)
    dataset = _new_image(label, number)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    dataset.SeriesDescription = "Topogram"
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "0", "-1"]
    high, _, pixel = image.spacing_mm
    # Along the ray: what attenuates as water does counts.
    through = (image.hu.clip(-1000, 700) / 1000.0 + 1).sum(axis=1, dtype=np.float64)
    heights = np.arange(0, (len(through) - 1) * high + 1e-6, pixel)[::-1]
    at = np.arange(len(through)) * high
    shown = np.stack([np.interp(heights, at, column) for column in through.T], axis=1)
    stored = (shown / max(float(shown.max()), 1.0) * 1500).astype("<u2")
    dataset.Rows, dataset.Columns = stored.shape
    dataset.PixelSpacing = [text(pixel), text(pixel)]
    dataset.SliceThickness = text(image.spacing_mm[1] * image.hu.shape[1])
    x, y, z = image.origin_mm
    middle = y + image.spacing_mm[1] * image.hu.shape[1] / 2
    dataset.InstanceNumber = 1
    dataset.ImagePositionPatient = [text(x), text(middle), text(z + heights[0])]
    dataset.RescaleType = "US"
    for keyword in (
        "SpacingBetweenSlices", "ConvolutionKernel", "CTDIvol", "CTDIPhantomTypeCodeSequence"
    ):  # fmt: skip
        if keyword in dataset:
            delattr(dataset, keyword)
    return _save(dataset, stored, label, (number, 1), folder)


def text(value: float) -> str:
    """Return a number as DICOM's decimal string holds it, at most 16 characters.

    Examples
    --------
    >>> text(2.5), text(-171.15234375), text(-0.00001)
    ('2.5', '-171.15234375', '-0.00001')
    """
    return f"{value:.8f}".rstrip("0").rstrip(".") or "0"


def _new(label: Label, number: int, sop_class: str) -> Dataset:
    """Return what any object of an exam states (DICOM PS3.3, C.7.1 to C.7.5, C.12.1)."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.FileMetaInformationVersion = b"\x00\x01"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = UID(sop_class)
    dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT)
    dataset.file_meta.ImplementationClassUID = UID(WRITER)
    dataset.file_meta.ImplementationVersionName = "WORKBENCH"
    day, clock = label.time.strftime("%Y%m%d"), label.time.strftime("%H%M%S")
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for name in ("Study", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{name}Date", day)
        setattr(dataset, f"{name}Time", clock)
    dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.PatientName, dataset.PatientID = "Phantom^Nobody", label.patient_id
    dataset.PatientBirthDate, dataset.PatientSex = "", label.sex
    dataset.PatientAge = write_age(label.age_years)
    dataset.PatientWeight = text(round(label.mass_kg, 1))
    dataset.StudyInstanceUID = label.exam_uid
    dataset.SeriesInstanceUID = label.series_uid(number)
    dataset.StudyID, dataset.SeriesNumber = "1", number
    dataset.FrameOfReferenceUID = make_uid(label.key, "frame")
    dataset.PositionReferenceIndicator = ""
    return dataset


def _new_image(label: Label, number: int) -> Dataset:
    """Return what any CT image of an exam states (DICOM PS3.3, C.7.6 and C.8.2)."""
    dataset = _new(label, number, CT_IMAGE)
    dataset.Modality = "CT"
    dataset.PatientPosition = "HFS"
    dataset.AcquisitionNumber = number
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.BurnedInAnnotation = "NO"
    dataset.RescaleIntercept, dataset.RescaleSlope = str(INTERCEPT), "1"
    dataset.RescaleType = "HU"
    dataset.WindowCenter, dataset.WindowWidth = ["40", "-500"], ["400", "1500"]
    dataset.CTDIPhantomTypeCodeSequence = [_code("113691", "DCM", "IEC Body Dosimetry Phantom")]
    for keyword, value in label.attributes.items():
        if value is not None:
            setattr(dataset, keyword, value)
    return dataset


def _save(
    dataset: Dataset,
    stored: npt.NDArray[Any],
    label: Label,
    place: tuple[int, int],
    folder: Path,
) -> Path:
    from pydicom.uid import UID

    uid = UID(make_uid(label.key, *place))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW"
    path = folder / f"{place[1]:04d}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_masks(folder: Path, image: Image, label: Label, number: int, source: int) -> Path | None:
    """Write the nodules as a DICOM segmentation, one segment each, drawn by nobody.

    Source: DICOM PS3.3, A.51, C.8.20.2 and C.8.20.3.

    Parameters
    ----------
    folder
        Is made.
    image
        Whose labels are written.
    label
        What the files state.
    number
        Of the series of the segmentation.
    source
        Number of the series that it is drawn on.

    Returns
    -------
    Path or None
        The file; None where there is no nodule.
    """
    from pydicom.sequence import Sequence

    frames = list(_list_frames(image.labels))
    if not frames:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    dataset = _new(label, number, SEGMENTATION)
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.InstanceNumber, dataset.Modality = 1, "SEG"
    for keyword in ("AcquisitionDate", "AcquisitionTime"):
        delattr(dataset, keyword)
    dataset.Manufacturer = dataset.ManufacturerModelName = "Phantom"
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = "0", "1"
    dataset.SeriesDescription = "Nodules of the phantom"
    dataset.ContentLabel, dataset.ContentDescription = "NODULES", "Known from the recipe"
    dataset.ContentCreatorName = "Phantom^"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = image.labels.shape[1:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 1, 0
    dataset.PixelRepresentation, dataset.LossyImageCompression = 0, "00"
    dataset.SegmentationType, dataset.SegmentsOverlap = "BINARY", "NO"
    present = sorted({nodule for nodule, _ in frames})
    numbers = {nodule: rank for rank, nodule in enumerate(present, 1)}
    dataset.SegmentSequence = Sequence([_segment(numbers[n], n) for n in present])
    dataset.NumberOfFrames = len(frames)
    dataset.DimensionOrganizationSequence = Sequence(
        [_item(DimensionOrganizationUID=make_uid(label.key, number, "dimensions"))]
    )
    pointers = ((0x0062000B, 0x0062000A), (0x00200032, 0x00209113))
    dataset.DimensionIndexSequence = Sequence(
        [
            _item(DimensionOrganizationUID=make_uid(label.key, number, "dimensions"),
                  DimensionIndexPointer=pointer, FunctionalGroupPointer=group)
            for pointer, group in pointers
        ]
    )  # fmt: skip
    measures = _item(SliceThickness=text(image.spacing_mm[0]),
                     SpacingBetweenSlices=text(image.spacing_mm[0]),
                     PixelSpacing=[text(mm) for mm in image.spacing_mm[1:]])  # fmt: skip
    turned = _item(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])
    dataset.SharedFunctionalGroupsSequence = Sequence(
        [_item(PixelMeasuresSequence=[measures], PlaneOrientationSequence=[turned])]
    )
    heights = sorted({index for _, index in frames})
    x, y, z = image.origin_mm
    own = []
    purpose = _code("121322", "DCM", "Source image for image processing operation")
    for nodule, index in frames:
        place = [text(x), text(y), text(z + index * image.spacing_mm[0])]
        rank = [numbers[nodule], heights.index(index) + 1]
        origin = _item(ReferencedSOPClassUID=CT_IMAGE,
                       ReferencedSOPInstanceUID=make_uid(label.key, source, index + 1),
                       SpatialLocationsPreserved="YES",
                       PurposeOfReferenceCodeSequence=[purpose])  # fmt: skip
        drawn = _item(SourceImageSequence=[origin],
                      DerivationCodeSequence=[_code("113076", "DCM", "Segmentation")])  # fmt: skip
        own.append(
            _item(FrameContentSequence=[_item(DimensionIndexValues=rank)],
                  PlanePositionSequence=[_item(ImagePositionPatient=place)],
                  DerivationImageSequence=[drawn],
                  SegmentIdentificationSequence=[_item(ReferencedSegmentNumber=numbers[nodule])])
        )  # fmt: skip
    dataset.PerFrameFunctionalGroupsSequence = Sequence(own)
    used = [_item(ReferencedSOPClassUID=CT_IMAGE,
                  ReferencedSOPInstanceUID=make_uid(label.key, source, index + 1))
            for index in heights]  # fmt: skip
    series = _item(SeriesInstanceUID=label.series_uid(source), ReferencedInstanceSequence=used)
    dataset.ReferencedSeriesSequence = Sequence([series])
    bits = np.stack([image.labels[index] == nodule for nodule, index in frames])
    packed = np.packbits(bits.ravel(), bitorder="little")
    if len(packed) % 2:
        packed = np.append(packed, np.uint8(0))
    return _save(dataset, packed, label, (number, 1), folder)


def _list_frames(labels: npt.NDArray[np.uint8]) -> Iterator[tuple[int, int]]:
    """Return each nodule and slice that show something, by nodule."""
    for nodule in range(1, int(labels.max(initial=0)) + 1):
        for index in np.flatnonzero((labels == nodule).any(axis=(1, 2))):
            yield nodule, int(index)


def _segment(number: int, nodule: int) -> Dataset:
    return _item(
        SegmentNumber=number,
        SegmentLabel=f"nodule {nodule}",
        SegmentAlgorithmType="MANUAL",
        SegmentedPropertyCategoryCodeSequence=[
            _code("49755003", "SCT", "Morphologically Abnormal Structure")
        ],
        SegmentedPropertyTypeCodeSequence=[_code("27925004", "SCT", "Nodule")],
        AnatomicRegionSequence=[_code("39607008", "SCT", "Lung")],
    )


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    return _item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def _item(**attributes: object) -> Dataset:
    from pydicom import Dataset

    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset
