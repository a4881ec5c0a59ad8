"""Attributes: what is read of a header, and where a multi-frame instance holds it.

The columns of the catalog are made of these (`rows.to_rows`). They are read by keyword from any
pydicom data set (`dicom.stored_values`) and by tag from bytes (`headers`).
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

SHARED_GROUPS = 0x52009229
"""Tag of the functional groups that all frames share (DICOM PS3.3, C.7.6.16)."""
FRAME_GROUPS = 0x52009230
"""Tag of the functional groups of each frame."""
_DTYPES: dict[str, pl.DataType] = {"US": pl.Int64(), "FD": pl.Float64()}


@dataclass(frozen=True)
class Attribute:
    """Name one attribute that is read.

    Parameters
    ----------
    keyword
        DICOM keyword.
    tag
        Its tag.
    vr
        Its value representation in the data dictionary.
    values
        0 to keep all values as one text, 1 for the first value, n for exactly n values.
    groups
        Sequence and attribute (tags) that hold it in the functional groups of a multi-frame
        instance, the likeliest first.
    """

    keyword: str
    tag: int
    vr: str
    values: int = 1
    groups: tuple[tuple[int, int], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its columns in a table of stored values."""
        if self.values < 2:
            return (self.keyword,)
        return tuple(f"{self.keyword}.{i}" for i in range(self.values))

    @property
    def dtype(self) -> pl.DataType:
        """Type of its columns in a table of stored values: text unless it is stored binary."""
        return _DTYPES.get(self.vr, pl.String())

    @property
    def binary(self) -> bool:
        """Whether the number is stored binary."""
        return self.vr in _DTYPES


_MEASURES, _EXPOSURE, _DETAILS = 0x00289110, 0x00189321, 0x00189304
_FRAME_CONTENT, _TRANSFORMATION = 0x00209111, 0x00289145

ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("TransferSyntaxUID", 0x00020010, "UI"),
    Attribute("SpecificCharacterSet", 0x00080005, "CS", 0),
    Attribute("ImageType", 0x00080008, "CS", 0),
    Attribute("SOPClassUID", 0x00080016, "UI"),
    Attribute("SOPInstanceUID", 0x00080018, "UI"),
    Attribute("StudyDate", 0x00080020, "DA"),
    Attribute("SeriesDate", 0x00080021, "DA"),
    Attribute("AcquisitionDate", 0x00080022, "DA"),
    Attribute("ContentDate", 0x00080023, "DA"),
    Attribute("AcquisitionDateTime", 0x0008002A, "DT", 1, ((_FRAME_CONTENT, 0x00189074),)),
    Attribute("StudyTime", 0x00080030, "TM"),
    Attribute("SeriesTime", 0x00080031, "TM"),
    Attribute("AcquisitionTime", 0x00080032, "TM"),
    Attribute("ContentTime", 0x00080033, "TM"),
    Attribute("Modality", 0x00080060, "CS", 0),
    Attribute("Manufacturer", 0x00080070, "LO", 0),
    Attribute("TimezoneOffsetFromUTC", 0x00080201, "SH"),
    Attribute("StationName", 0x00081010, "SH", 0),
    Attribute("StudyDescription", 0x00081030, "LO", 0),
    Attribute("SeriesDescription", 0x0008103E, "LO", 0),
    Attribute("ManufacturerModelName", 0x00081090, "LO", 0),
    Attribute("PatientID", 0x00100020, "LO", 0),
    Attribute("PatientBirthDate", 0x00100030, "DA"),
    Attribute("PatientSex", 0x00100040, "CS", 0),
    Attribute("PatientAge", 0x00101010, "AS", 0),
    Attribute("ContrastBolusAgent", 0x00180010, "LO", 0),
    Attribute("BodyPartExamined", 0x00180015, "CS", 0),
    Attribute("SliceThickness", 0x00180050, "DS", 1, ((_MEASURES, 0x00180050),)),
    Attribute("KVP", 0x00180060, "DS", 1, ((0x00189325, 0x00180060),)),
    Attribute("RepetitionTime", 0x00180080, "DS", 1, ((0x00189112, 0x00180080),)),
    Attribute("EchoTime", 0x00180081, "DS", 1, ((0x00189114, 0x00189082),)),
    Attribute("SpacingBetweenSlices", 0x00180088, "DS", 1, ((_MEASURES, 0x00180088),)),
    Attribute("DeviceSerialNumber", 0x00181000, "LO", 0),
    Attribute("SoftwareVersions", 0x00181020, "LO", 0),
    Attribute("ProtocolName", 0x00181030, "LO", 0),
    Attribute("GantryDetectorTilt", 0x00181120, "DS", 1, ((_DETAILS, 0x00181120),)),
    Attribute("ExposureTime", 0x00181150, "IS", 1, ((_EXPOSURE, 0x00189328),)),
    Attribute("XRayTubeCurrent", 0x00181151, "IS", 1, ((_EXPOSURE, 0x00189330),)),
    Attribute("Exposure", 0x00181152, "IS", 1, ((_EXPOSURE, 0x00189332),)),
    Attribute("ConvolutionKernel", 0x00181210, "SH", 0, ((0x00189314, 0x00181210),)),
    Attribute("DiffusionBValue", 0x00189087, "FD", 1, ((0x00189117, 0x00189087),)),
    Attribute("CTDIvol", 0x00189345, "FD", 1, ((_EXPOSURE, 0x00189345),)),
    Attribute("StudyInstanceUID", 0x0020000D, "UI"),
    Attribute("SeriesInstanceUID", 0x0020000E, "UI"),
    Attribute("SeriesNumber", 0x00200011, "IS"),
    Attribute("AcquisitionNumber", 0x00200012, "IS", 1, ((_FRAME_CONTENT, 0x00209156),)),
    Attribute("InstanceNumber", 0x00200013, "IS"),
    Attribute("ImagePositionPatient", 0x00200032, "DS", 3, ((0x00209113, 0x00200032),)),
    Attribute("ImageOrientationPatient", 0x00200037, "DS", 6, ((0x00209116, 0x00200037),)),
    Attribute("FrameOfReferenceUID", 0x00200052, "UI"),
    Attribute("TemporalPositionIdentifier", 0x00200100, "IS", 1, ((_FRAME_CONTENT, 0x00209128),)),
    Attribute("SamplesPerPixel", 0x00280002, "US"),
    Attribute("PhotometricInterpretation", 0x00280004, "CS", 0),
    Attribute("NumberOfFrames", 0x00280008, "IS"),
    Attribute("Rows", 0x00280010, "US"),
    Attribute("Columns", 0x00280011, "US"),
    Attribute("PixelSpacing", 0x00280030, "DS", 2, ((_MEASURES, 0x00280030),)),
    Attribute("BitsAllocated", 0x00280100, "US"),
    Attribute("BitsStored", 0x00280101, "US"),
    Attribute("PixelRepresentation", 0x00280103, "US"),
    Attribute("BurnedInAnnotation", 0x00280301, "CS", 0),
    Attribute("RescaleIntercept", 0x00281052, "DS", 1, ((_TRANSFORMATION, 0x00281052),)),
    Attribute("RescaleSlope", 0x00281053, "DS", 1, ((_TRANSFORMATION, 0x00281053),)),
)
"""All that is read, by tag, as a file holds them."""

STORED_SCHEMA = pl.Schema({name: a.dtype for a in ATTRIBUTES for name in a.names})
"""Columns of a table of stored values."""
REQUIRED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
"""Without these an instance cannot be told from another."""
