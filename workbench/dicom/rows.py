"""Rows: stored values of headers to rows of the catalog, many at once.

There is one way from a stored value to a column, whoever read the header: a file parsed fast, a
file parsed carefully and the metadata of a server give the same row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from workbench.dicom.attributes import STORED_SCHEMA
from workbench.dicom.columns import INSTANCE_COLUMNS
from workbench.dicom.times import time_columns, time_steps

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
_TYPES = {c.name: c.dtype for c in INSTANCE_COLUMNS}


def to_rows(
    stored: pl.DataFrame,
    shared: pl.DataFrame | None = None,
    places: NDArray[np.int64] | None = None,
) -> pl.DataFrame:
    """Return the columns that the header fills.

    Parameters
    ----------
    stored
        Columns of `STORED_SCHEMA`, one row an instance; "" counts as null.
    shared
        Its other columns, whose rows several instances share: read once for all of them.
    places : int64, n
        Row of `shared` of each instance.

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
    if shared is None or places is None:
        shared, places = pl.DataFrame({"": [None]}), np.zeros(len(stored), np.int64)
    shared = shared.with_columns(
        pl.lit(None, dtype).alias(name) for name, dtype in STORED_SCHEMA.items()
        if name not in shared.columns and name not in stored.columns
    )  # fmt: skip
    stored = _cast(stored, STORED_SCHEMA)
    rows = pl.Series(places)
    for step in _steps():
        known = set(shared.columns)
        once = [e for e, used in step if used <= known]
        each = [(e, used) for e, used in step if not used <= known]
        needed = {n for _, used in each for n in used} - set(stored.columns)
        stored = _with(stored, shared, sorted(needed), rows).with_columns(e for e, _ in each)
        shared = shared.with_columns(once)
    known = set(stored.columns)
    whole = _with(stored, shared, [n for n in _TYPES if n not in known], rows)
    return _cast(whole.select(*_TYPES), _TYPES)


def _with(
    table: pl.DataFrame, shared: pl.DataFrame, names: list[str], rows: pl.Series
) -> pl.DataFrame:
    """Add columns of a shared table to one that has a row of it for each of its own."""
    return table.hstack(shared.select(names)[rows]) if names else table


def _cast(table: pl.DataFrame, types: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Cast the columns that are of another type, which is seldom one."""
    other = [pl.col(n).cast(types[n]) for n, t in table.schema.items() if t != types[n]]
    return table.with_columns(other)


@cache
def _steps() -> list[list[tuple[pl.Expr, frozenset[str]]]]:
    """Return the expressions of each step, and the columns that each uses.

    A step uses columns of those before; one that it makes anew is used by itself alone.
    """
    numbers = (*_NUMBERS.values(), *_INTEGERS.values(), *_ORIENTATION, *_POSITION)
    stated, split, counted = time_steps()
    stated = [
        *stated,
        *(pl.col(name).cast(pl.Float64, strict=False) for name in (*numbers, "NumberOfFrames")),
    ]
    final = [
        *(_text(source).alias(name) for name, source in _TEXTS.items()),
        *(_number(source).alias(name) for name, source in _NUMBERS.items()),
        *(_integer(source).alias(name) for name, source in _INTEGERS.items()),
        *time_columns(),
        _one_of("PatientSex", SEXES).alias("sex"),
        _flag("PixelRepresentation", 1, 0).alias("signed"),
        _flag("BurnedInAnnotation", "YES", "NO").alias("burned_in"),
        _list(_ORIENTATION).alias("orientation"),
        _list(_POSITION).alias("position"),
        _frames().alias("frames"),
        read_age(pl.col("PatientAge")).alias("age_stated"),
    ]
    last = [_age().alias("age_years"), _pixel_bytes().alias("pixel_bytes")]
    steps = (stated, split, counted, final, last)
    return [[(e, frozenset(e.meta.root_names())) for e in step] for step in steps]


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


def _age() -> pl.Expr:
    """Read an age (DICOM PS3.5, 6.2, AS), else count from birth to exam."""
    lived = (pl.col("exam_time").cast(pl.Date) - pl.col("PatientBirthDate")).dt.total_days()
    # Not divided: polars divides one row and many by different roundings.
    days = lived * YEARS["D"]
    return pl.coalesce("age_stated", pl.when(days.is_between(0, OLDEST)).then(days))


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
