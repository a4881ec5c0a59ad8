"""Rows: stored values of headers to rows of the catalog, many at once.

There is one way from a stored value to a column, whoever read the header: a file parsed fast, a
file parsed carefully and the metadata of a server give the same row.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import polars as pl

from workbench.dicom.attributes import STORED_SCHEMA
from workbench.dicom.columns import INSTANCE_COLUMNS

OLDEST = 130
"""An age above this many years is not believed."""
YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
"""Last letter of an age -> years."""
SEXES = {"F": "F", "FEMALE": "F", "W": "F", "M": "M", "MALE": "M", "O": "O", "OTHER": "O"}
"""Stored sex -> F, M or O."""
_JOINED_FRAMES = r"^1\.2\.840\.10008\.1\.2\.4\.(9[23]|10[0-9])"
"""Transfer syntaxes in which one fragment may hold several frames: JPEG 2000 with several
components, and video (DICOM PS3.5, A.4.4, A.4.5 and following)."""
_TEXTS = {
    "exam_uid": "StudyInstanceUID",
    "series_uid": "SeriesInstanceUID",
    "instance_uid": "SOPInstanceUID",
    "patient_id": "PatientID",
    "modality": "Modality",
    "sop_class": "SOPClassUID",
    "transfer_syntax": "TransferSyntaxUID",
    "manufacturer": "Manufacturer",
    "model": "ManufacturerModelName",
    "station": "StationName",
    "device_serial": "DeviceSerialNumber",
    "software_version": "SoftwareVersions",
    "body_part": "BodyPartExamined",
    "exam_description": "StudyDescription",
    "series_description": "SeriesDescription",
    "protocol": "ProtocolName",
    "image_type": "ImageType",
    "age": "PatientAge",
    "photometric": "PhotometricInterpretation",
    "frame_of_reference_uid": "FrameOfReferenceUID",
    "convolution_kernel": "ConvolutionKernel",
    "contrast_agent": "ContrastBolusAgent",
}
_NUMBERS = {
    "row_spacing_mm": "PixelSpacing.0",
    "column_spacing_mm": "PixelSpacing.1",
    "slice_thickness_mm": "SliceThickness",
    "spacing_between_slices_mm": "SpacingBetweenSlices",
    "gantry_tilt_deg": "GantryDetectorTilt",
    "rescale_slope": "RescaleSlope",
    "rescale_intercept": "RescaleIntercept",
    "kvp_kv": "KVP",
    "tube_current_ma": "XRayTubeCurrent",
    "exposure_time_ms": "ExposureTime",
    "exposure_mas": "Exposure",
    "ctdivol_mgy": "CTDIvol",
    "echo_time_ms": "EchoTime",
    "repetition_time_ms": "RepetitionTime",
    "b_value_s_mm2": "DiffusionBValue",
}
_INTEGERS = {
    "series_number": "SeriesNumber",
    "instance_number": "InstanceNumber",
    "acquisition_number": "AcquisitionNumber",
    "rows": "Rows",
    "columns": "Columns",
    "samples": "SamplesPerPixel",
    "bits_allocated": "BitsAllocated",
    "bits_stored": "BitsStored",
    "temporal_position": "TemporalPositionIdentifier",
}
_ORIENTATION = tuple(f"ImageOrientationPatient.{i}" for i in range(6))
_POSITION = tuple(f"ImagePositionPatient.{i}" for i in range(3))
_DATED = ("Study", "Series", "Acquisition", "Content")
_EXAM_TIMES = ("Study", "Series", "AcquisitionDateTime", "Acquisition", "Content")
"""Where the time of an exam is taken from, the first that has a date."""


def to_rows(stored: pl.DataFrame) -> pl.DataFrame:
    """Return the columns that the header fills.

    Parameters
    ----------
    stored
        Columns of `STORED_SCHEMA`, one row an instance; "" counts as null.

    Returns
    -------
    polars.DataFrame
        The columns of `INSTANCE_COLUMNS`. Where a date has no valid time the time is midnight and
        the source names the date alone; a date that never was is null.

    Examples
    --------
    >>> stored = pl.DataFrame({"StudyDate": ["20240229", "20230229"], "StudyTime": ["0915", ""],
    ...                        "PatientAge": ["059Y", None]})
    >>> to_rows(stored).select("exam_time", "exam_time_source", "age_years").row(0)
    (datetime.datetime(2024, 2, 29, 9, 15), 'StudyDate+StudyTime', 59.0)
    >>> to_rows(stored)["exam_time"][1] is None
    True
    """
    held = stored.schema
    other = [
        (pl.col(n) if n in held else pl.lit(None)).cast(d).alias(n)
        for n, d in STORED_SCHEMA.items()
        if held.get(n) != d
    ]
    frame = stored.with_columns(other)
    for expressions in _steps():
        frame = frame.with_columns(expressions)
    return frame.select(pl.col(c.name).cast(c.dtype) for c in INSTANCE_COLUMNS)


@cache
def _steps() -> tuple[list[pl.Expr], ...]:
    """Return the expressions of each step; the later ones use columns of those before."""
    numbers = (*_NUMBERS.values(), *_INTEGERS.values(), *_ORIENTATION, *_POSITION)
    times = {name: _moment(name) for name in _EXAM_TIMES}
    both = pl.col("AcquisitionDateTime").str.extract(r"^([0-9]{8,14}(\.[0-9]+)?)([&+-].*)?$", 1)
    stated = [
        *(_day(f"{name}Date") for name in (*_DATED, "PatientBirth")),
        *(_clock(f"{name}Time") for name in _DATED),
        # The zone is left out: the time is local.
        _read_day(both.str.head(8)).alias("AcquisitionDateTimeDate"),
        _read_clock(both.str.slice(8)).alias("AcquisitionDateTimeTime"),
        pl.col(*numbers, "NumberOfFrames").cast(pl.Float64, strict=False),
    ]
    counted = [_microseconds(f"{name}Time") for name in _EXAM_TIMES]
    final = [
        *(_text(source).alias(name) for name, source in _TEXTS.items()),
        *(_number(source).alias(name) for name, source in _NUMBERS.items()),
        *(_integer(source).alias(name) for name, source in _INTEGERS.items()),
        pl.coalesce(times[name] for name in _EXAM_TIMES).alias("exam_time"),
        pl.coalesce(_source(name) for name in _EXAM_TIMES).alias("exam_time_source"),
        times["Series"].alias("series_time"),
        pl.coalesce(times["AcquisitionDateTime"], times["Acquisition"]).alias("acquisition_time"),
        times["Content"].alias("content_time"),
        _offset("TimezoneOffsetFromUTC").alias("timezone_offset_min"),
        _one_of("PatientSex", SEXES).alias("sex"),
        _flag("PixelRepresentation", 1, 0).alias("signed"),
        _flag("BurnedInAnnotation", "YES", "NO").alias("burned_in"),
        _list(_ORIENTATION).alias("orientation"),
        _list(_POSITION).alias("position"),
        _frames().alias("frames"),
    ]
    return stated, counted, final, [_age().alias("age_years"), _pixel_bytes().alias("pixel_bytes")]


def find_bad_lengths(
    rows: pl.DataFrame, lengths: pl.Series, fragments: pl.Series | None = None
) -> pl.Series:
    """Return what is wrong with the length of pixel data, or null.

    Parameters
    ----------
    rows
        Rows as `to_rows` returns them.
    lengths : Int64, n
        Declared length of native pixel data in bytes; null if there is none or it is compressed.
    fragments : Int64, n
        Fragments of compressed pixel data; null if there is none or it is native.

    Returns
    -------
    polars.Series
        "<declared> bytes for <needed>" where they are too few, or hold a further frame;
        "<fragments> fragments for <frames> frames" where they are too few.
    """
    halved = (pl.col("photometric") == "YBR_FULL_422") & (pl.col("samples") == 3)
    needed = (
        pl.when(halved.fill_null(value=False))
        .then(pl.col("pixel_bytes") * 2 // 3)
        .otherwise(pl.col("pixel_bytes"))
    )
    frame = needed // pl.max_horizontal(pl.col("frames"), 1)
    bad = (pl.col("declared") < needed) | (
        (pl.col("declared") >= needed + frame) & (pl.col("declared") > needed + 1)
    )
    told = pl.format("{} bytes for {}", pl.col("declared"), needed)
    joined = pl.col("transfer_syntax").str.contains(_JOINED_FRAMES).fill_null(value=False)
    few = (pl.col("fragments") < pl.col("frames")) & ~joined
    counted = pl.format("{} fragments for {} frames", pl.col("fragments"), pl.col("frames"))
    table = rows.select("transfer_syntax", "photometric", "samples", "frames", "pixel_bytes")
    if fragments is None:
        fragments = pl.Series([None], dtype=pl.Int64).new_from_index(0, len(rows))
    table = table.with_columns(lengths.alias("declared"), fragments.alias("fragments"))
    return table.select(pl.when(bad).then(told).when(few).then(counted)).to_series()


def _text(name: str) -> pl.Expr:
    return pl.when(pl.col(name) != "").then(pl.col(name))


def _number(name: str) -> pl.Expr:
    return pl.when(pl.col(name).is_finite()).then(pl.col(name))


def _integer(name: str) -> pl.Expr:
    number = pl.col(name)
    whole = (number == number.floor()) & (number.abs() < 2**53)
    return pl.when(whole).then(number).cast(pl.Int64, strict=False)


def _list(names: Sequence[str]) -> pl.Expr:
    whole = pl.all_horizontal(pl.col(name).is_finite() for name in names).fill_null(value=False)
    # Many times as fast as `concat_list`.
    return pl.when(whole).then(pl.concat_arr(names).arr.to_list())


def _flag(name: str, yes: object, no: object) -> pl.Expr:
    return pl.when(pl.col(name) == yes).then(pl.lit(True)).when(pl.col(name) == no).then(False)


def _one_of(name: str, known: dict[str, str]) -> pl.Expr:
    text = pl.col(name).str.to_uppercase()
    return text.replace_strict(known, default=None, return_dtype=pl.String)


def _day(name: str) -> pl.Expr:
    """Read a date (DICOM PS3.5, 6.2, DA), also as ACR-NEMA wrote it: 2024.02.29."""
    text = pl.col(name).str.replace_all(".", "", literal=True)
    return _read_day(text).alias(name)


def _read_day(text: pl.Expr) -> pl.Expr:
    valid = text.str.contains("^[0-9]{8}$") & (text >= "0001")
    return pl.when(valid).then(text).str.to_date("%Y%m%d", strict=False)


def _clock(name: str) -> pl.Expr:
    return _read_clock(pl.col(name).str.replace_all(":", "", literal=True)).alias(name)


def _read_clock(text: pl.Expr) -> pl.Expr:
    """Return a time (DICOM PS3.5, 6.2, TM) if it can be one."""
    valid = text.str.contains(r"^([01][0-9]|2[0-3])([0-5][0-9](([0-5][0-9]|60)(\.[0-9]*)?)?)?$")
    return pl.when(valid).then(text)


def _microseconds(name: str) -> pl.Expr:
    """Return a time since midnight; a leap second is the one before it."""
    parts = [pl.col(name).str.slice(start, 2).str.pad_end(2, "0") for start in (0, 2, 4)]
    hours, minutes, seconds = (part.cast(pl.Int64) for part in parts)
    fraction = pl.col(name).str.slice(7, 6).str.pad_end(6, "0").cast(pl.Int64)
    whole = (hours * 60 + minutes) * 60 + pl.min_horizontal(seconds, 59)
    return (whole * 1_000_000 + fraction).alias(name)


def _moment(name: str) -> pl.Expr:
    clock = pl.duration(microseconds=pl.col(f"{name}Time").fill_null(0))
    return pl.col(f"{name}Date").cast(pl.Datetime("us")) + clock


def _source(name: str) -> pl.Expr:
    dated, timed = (pl.col(f"{name}{part}").is_not_null() for part in ("Date", "Time"))
    if name == "AcquisitionDateTime":
        return pl.when(dated).then(pl.lit(name))
    both = pl.when(dated & timed).then(pl.lit(f"{name}Date+{name}Time"))
    return both.when(dated).then(pl.lit(f"{name}Date"))


def _offset(name: str) -> pl.Expr:
    """Read an offset from UTC such as +0530 (DICOM PS3.3, C.12.1.1.8)."""
    text = pl.col(name)
    size = text.str.slice(1, 2).cast(pl.Int32, strict=False) * 60
    size = size + text.str.slice(3, 2).cast(pl.Int32, strict=False)
    offset = pl.when(text.str.starts_with("-")).then(-size).otherwise(size)
    valid = text.str.contains("^[+-][0-9]{2}[0-5][0-9]$") & offset.is_between(-720, 840)
    return pl.when(valid).then(offset)


def _age() -> pl.Expr:
    """Read an age (DICOM PS3.5, 6.2, AS), else count from birth to exam."""
    lived = (pl.col("exam_time").cast(pl.Date) - pl.col("PatientBirthDate")).dt.total_days()
    # Not divided: polars divides one row and many by different roundings.
    days = lived * YEARS["D"]
    return pl.coalesce(
        read_age(pl.col("PatientAge")), pl.when(days.is_between(0, OLDEST)).then(days)
    )


def read_age(stored: pl.Expr) -> pl.Expr:
    """Return an age string (DICOM PS3.5, 6.2, AS) in years; null where it is none.

    Examples
    --------
    >>> ages = pl.DataFrame({"age": ["045Y", "018M", "45", "999Y"]})
    >>> ages.select(read_age(pl.col("age")))["age"].to_list()
    [45.0, 1.5, None, None]
    """
    text = stored.str.to_uppercase()
    factor = text.str.tail(1).replace_strict(YEARS, default=None, return_dtype=pl.Float64)
    valid = text.str.contains("^[0-9]{1,3}[DWMY]$")
    age = pl.when(valid).then(text.str.head(-1)).cast(pl.Float64) * factor
    return pl.when(age.is_between(0, OLDEST)).then(age)


def _frames() -> pl.Expr:
    declared = _integer("NumberOfFrames")
    image = pl.col("Rows").is_not_null() & pl.col("Columns").is_not_null()
    return pl.when(declared > 0).then(declared).when(image).then(1)


def _pixel_bytes() -> pl.Expr:
    factors = ("rows", "columns", "frames", "samples", "bits_allocated")
    columns = [pl.col(f).fill_null(1) if f == "samples" else pl.col(f) for f in factors]
    rough, bits = pl.lit(1.0), pl.lit(1, pl.Int64)
    for column in columns:
        rough, bits = rough * column, bits * column
    return pl.when(rough < 2.0**62).then((bits + 7) // 8)
