"""Columns: what the catalog holds of one instance, under our names and with units.

A row of a multi-frame instance holds what its frames share, and of what differs between them
(position, exposure, times of a frame) the value of the first frame; `frames` says how many there
are. A number that is stored several times where one is meant is its first value.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

KINDS: dict[str, pl.DataType] = {
    "uid": pl.String(),
    "text": pl.String(),
    "age": pl.String(),
    "sex": pl.String(),
    "number": pl.Float64(),
    "numbers": pl.List(pl.Float64()),
    "integer": pl.Int64(),
    "minutes": pl.Int32(),
    "time": pl.Datetime("us"),
    "flag": pl.Boolean(),
}
"""Kind of column -> its type in a table."""


@dataclass(frozen=True)
class Column:
    """Describe one column of the catalog.

    Parameters
    ----------
    name
        Our name, with the unit where there is one.
    keyword
        DICOM keyword, or keywords joined by "+" where the value is made of several; "" for a
        property of the file.
    tag
        Tag of the (first) keyword, or None.
    kind
        A key of `KINDS`.
    unit
        Unit, or "".
    about
        What it holds, where name and keyword do not say it.
    """

    name: str
    keyword: str
    tag: int | None
    kind: str
    unit: str = ""
    about: str = ""

    @property
    def dtype(self) -> pl.DataType:
        """Type of the column in a table."""
        return KINDS[self.kind]


_TIME = "local time of the device, without zone; midnight where no time is stored"

INSTANCE_COLUMNS: tuple[Column, ...] = (
    Column("exam_uid", "StudyInstanceUID", 0x0020000D, "uid"),
    Column("series_uid", "SeriesInstanceUID", 0x0020000E, "uid"),
    Column("instance_uid", "SOPInstanceUID", 0x00080018, "uid"),
    Column("patient_id", "PatientID", 0x00100020, "text"),
    Column("modality", "Modality", 0x00080060, "text"),
    Column("sop_class", "SOPClassUID", 0x00080016, "uid"),
    Column("transfer_syntax", "TransferSyntaxUID", 0x00020010, "uid", "", "null if not stated"),
    Column("manufacturer", "Manufacturer", 0x00080070, "text"),
    Column("model", "ManufacturerModelName", 0x00081090, "text"),
    Column("station", "StationName", 0x00081010, "text"),
    Column("device_serial", "DeviceSerialNumber", 0x00181000, "text"),
    Column("software_version", "SoftwareVersions", 0x00181020, "text"),
    Column("body_part", "BodyPartExamined", 0x00180015, "text"),
    Column("exam_description", "StudyDescription", 0x00081030, "text"),
    Column("series_description", "SeriesDescription", 0x0008103E, "text"),
    Column("protocol", "ProtocolName", 0x00181030, "text"),
    Column("image_type", "ImageType", 0x00080008, "text"),
    Column("series_number", "SeriesNumber", 0x00200011, "integer"),
    Column("instance_number", "InstanceNumber", 0x00200013, "integer"),
    Column("acquisition_number", "AcquisitionNumber", 0x00200012, "integer"),
    Column("exam_time", "StudyDate+StudyTime", 0x00080020, "time", "", _TIME),
    Column("exam_time_source", "", None, "text", "", "keywords that exam_time was taken from"),
    Column("series_time", "SeriesDate+SeriesTime", 0x00080021, "time", "", _TIME),
    Column("series_time_source", "", None, "text", "", "keywords that series_time was taken from"),
    Column(
        "acquisition_time", "AcquisitionDateTime", 0x0008002A, "time", "",
        f"else AcquisitionDate+AcquisitionTime; {_TIME}",
    ),
    Column(
        "acquisition_time_source", "", None, "text", "",
        "keywords that acquisition_time was taken from",
    ),
    Column(
        "acquisition_offset_min", "AcquisitionDateTime", 0x0008002A, "minutes", "min",
        "offset from UTC of acquisition_time, and of exam_time where it was taken from "
        "AcquisitionDateTime: the one in the value, else timezone_offset_min",
    ),
    Column("content_time", "ContentDate+ContentTime", 0x00080023, "time", "", _TIME),
    Column(
        "content_time_source", "", None, "text", "", "keywords that content_time was taken from"
    ),
    Column(
        "timezone_offset_min", "TimezoneOffsetFromUTC", 0x00080201, "minutes", "min",
        "offset from UTC of every time that states no other; UTC is the time less its offset",
    ),
    Column("age", "PatientAge", 0x00101010, "age", "", "as stored, such as 045Y"),
    Column(
        "age_years", "PatientAge+PatientBirthDate", 0x00101010, "number", "a",
        "age as stored, else from birth date to exam date; null above 130",
    ),
    Column("sex", "PatientSex", 0x00100040, "sex", "", "F, M or O"),
    Column("rows", "Rows", 0x00280010, "integer"),
    Column("columns", "Columns", 0x00280011, "integer"),
    Column("frames", "NumberOfFrames", 0x00280008, "integer", "", "1 for an image without it"),
    Column("samples", "SamplesPerPixel", 0x00280002, "integer"),
    Column("bits_allocated", "BitsAllocated", 0x00280100, "integer", "bit"),
    Column("bits_stored", "BitsStored", 0x00280101, "integer", "bit"),
    Column("signed", "PixelRepresentation", 0x00280103, "flag"),
    Column("photometric", "PhotometricInterpretation", 0x00280004, "text"),
    Column("orientation", "ImageOrientationPatient", 0x00200037, "numbers", "", "6 cosines"),
    Column("position", "ImagePositionPatient", 0x00200032, "numbers", "mm", "3 numbers, LPS"),
    Column("row_spacing_mm", "PixelSpacing", 0x00280030, "number", "mm", "between rows"),
    Column("column_spacing_mm", "PixelSpacing", 0x00280030, "number", "mm", "between columns"),
    Column("slice_thickness_mm", "SliceThickness", 0x00180050, "number", "mm"),
    Column("spacing_between_slices_mm", "SpacingBetweenSlices", 0x00180088, "number", "mm"),
    Column("gantry_tilt_deg", "GantryDetectorTilt", 0x00181120, "number", "deg"),
    Column("frame_of_reference_uid", "FrameOfReferenceUID", 0x00200052, "uid"),
    Column("rescale_slope", "RescaleSlope", 0x00281053, "number"),
    Column("rescale_intercept", "RescaleIntercept", 0x00281052, "number"),
    Column("kvp_kv", "KVP", 0x00180060, "number", "kV"),
    Column("tube_current_ma", "XRayTubeCurrent", 0x00181151, "number", "mA"),
    Column("exposure_time_ms", "ExposureTime", 0x00181150, "number", "ms"),
    Column("exposure_mas", "Exposure", 0x00181152, "number", "mAs"),
    Column("ctdivol_mgy", "CTDIvol", 0x00189345, "number", "mGy"),
    Column("convolution_kernel", "ConvolutionKernel", 0x00181210, "text"),
    Column("echo_time_ms", "EchoTime", 0x00180081, "number", "ms"),
    Column("repetition_time_ms", "RepetitionTime", 0x00180080, "number", "ms"),
    Column("b_value_s_mm2", "DiffusionBValue", 0x00189087, "number", "s/mm2"),
    Column("temporal_position", "TemporalPositionIdentifier", 0x00200100, "integer"),
    Column("contrast_agent", "ContrastBolusAgent", 0x00180010, "text"),
    Column("burned_in", "BurnedInAnnotation", 0x00280301, "flag"),
    Column(
        "pixel_bytes", "Rows+Columns+NumberOfFrames+SamplesPerPixel+BitsAllocated", 0x00280010,
        "integer", "byte", "size of the pixels when not compressed",
    ),
)  # fmt: skip
"""What the header says of one instance, in the order of the table."""

FILE_COLUMNS: tuple[Column, ...] = (
    Column("path", "", None, "text", "", "relative to the root; `zip!member` in a zip file"),
    Column("size", "", None, "integer", "byte"),
    Column("mtime_ns", "", None, "integer", "ns", "time of the last change, since 1970"),
)
"""What the file system says of one instance; null on a server."""

SCHEMA = pl.Schema({c.name: c.dtype for c in (*INSTANCE_COLUMNS, *FILE_COLUMNS)})
"""Columns of the instance table, in order."""
REFUSED_SCHEMA = pl.Schema({"path": pl.String(), "reason": pl.String(), "detail": pl.String()})
"""Columns of the table of refused files."""
