"""Frames: a flat table of all images of a series, whether each has a file or many share one."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from workbench.dicom.refusals import UnreadableFile
from workbench.errors import UsageError, show
from workbench.imaging.series_folder import follow, list_path, refuse_nested
from workbench.imaging.stored_frames import Column, read_header, read_stored_frames
from workbench.imaging.times import moment_of
from workbench.imaging.volume_error import VolumeError

if TYPE_CHECKING:
    import pydicom

    from workbench.archive.archive import SeriesFiles

Floats = NDArray[np.float64]
Texts = NDArray[np.str_]

NOT_IMAGES = ("not_dicom", "dicomdir", "empty")
"""Why a file found in a folder may be left out: it is no image, so that none is lost."""
STORED_ALIKE = ("SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
"""Attributes that must be the same in all files: how pixels are stored."""
STORED_AS = ("TransferSyntaxUID", "PhotometricInterpretation")
"""Attributes that may differ between files; each file that does is searched for its pixels."""
KEYS = {
    "echo_time_ms": "EchoTime",
    "flip_angle_deg": "FlipAngle",
    "inversion_time_ms": "InversionTime",
    "b_value_s_mm2": "DiffusionBValue",
    "temporal_position": "TemporalPositionIdentifier",
    "trigger_ms": "TriggerTime",
    "frame_reference_ms": "FrameReferenceTime",
    "acquisition_number": "AcquisitionNumber",
}
"""Name of `Frames.keys` -> the attribute of a file that holds it."""
RESCALE = ("RescaleSlope", "RescaleIntercept", "RescaleType")
LOCALISER = ("LOCALIZER", "SCOUT")
NOT_RESCALED = "none"
LARGEST = 2**16 - 1
"""Rows and columns that an image may have (DICOM PS3.3, C.7.6.3)."""


Series: TypeAlias = "str | Path | Sequence[str | Path] | SeriesFiles"
"""A folder, a list of files, or what `Archive.open_series` returns."""


@dataclass(frozen=True)
class Frames:
    """Hold what is known of each image of a series, one entry an image.

    Parameters
    ----------
    paths
        The files.
    header
        Header of the first file, without its pixels.
    file, index
        Which file the image is in, and which frame of it (counted from 0), shape (images,).
    offset
        Where the value of PixelData begins in the image's file (bytes), shape (images,); -1 where
        that is not known, or pixels are not stored as `STORED_AS` of the first file says.
    position, orientation, spacing
        ImagePositionPatient (mm, LPS), ImageOrientationPatient, PixelSpacing (between rows, between
        columns, mm), shapes (images, 3), (images, 6), (images, 2); NaN where not stored.
    size
        Rows and columns, shape (images, 2).
    slope, intercept
        From stored values to values, shape (images,) (DICOM PS3.3, C.11.1).
    rescale_type
        What RescaleSlope and RescaleIntercept give, shape (images,): RescaleType, "" where that is
        not stored, `NOT_RESCALED` where they are not.
    kind
        Values of ImageType from the third on, or ComplexImageComponent, shape (images,).
    localiser
        Whether the image is one, shape (images,) (DICOM PS3.3, C.8.2.1.1.1).
    keys
        What tells apart images at one position, each of shape (images,), NaN where not stored:
        those of `KEYS`, `acquired_s`, `direction_x`, `_y` and `_z`; of frames that
        share a file `offset_s` and `reference_s` too. `zoned` is 1 where `acquired_s` is in UTC,
        0 where its time zone is not known.
    close
        Whether the makers' own attributes were read too.
    left_out
        Files of the folder that hold no images.
    """

    paths: tuple[str, ...]
    header: pydicom.Dataset = field(repr=False)
    file: NDArray[np.int64]
    index: NDArray[np.int64]
    offset: NDArray[np.int64]
    position: Floats
    orientation: Floats
    spacing: Floats
    size: NDArray[np.int64]
    slope: Floats
    intercept: Floats
    rescale_type: Texts
    kind: Texts
    localiser: NDArray[np.bool_]
    keys: dict[str, Floats]
    close: bool = False
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.file)


def list_files(series: Series) -> tuple[list[str], bool]:
    """Return the files of a series, and whether they were found in a folder.

    A path that the user gives may be a link, and what it leads to is returned; paths of an archive
    are returned as they are, and refused when they are opened, should they have become links.

    Raises
    ------
    ImageError
        If there is no such path, or the folder cannot be read.
    UsageError
        If it is nothing that names files.
    """
    from workbench.archive.archive import SeriesFiles

    if isinstance(series, SeriesFiles):
        return [os.fspath(p) for p in series.paths], False
    if isinstance(series, (str, Path)):
        return list_path(series)
    # An iterator gives its files once, and they are looked at twice.
    several = isinstance(series, Iterable) and not isinstance(series, (bytes, Iterator, Mapping))
    if not several or not all(isinstance(path, (str, Path)) for path in series):
        raise UsageError(
            f"A series cannot be {show(type(series).__name__)}",
            where="series",
            todo="Give a folder, a list of files, or what Archive.open_series returns",
        )
    return [follow(p) for p in series], False


def read_frames(series: Series, *, closely: bool = False) -> Frames:
    """Read where the images of one series lie and how their values are meant; no pixels are read.

    Parameters
    ----------
    series
        A folder, a list of files, or what `Archive.open_series` returns.
    closely
        Read the makers' own attributes of every file too, to tell apart images at one position.
        What a file of many frames says of each is always read.

    Returns
    -------
    Frames
        One entry an image, in the order of the files.

    Raises
    ------
    VolumeError
        If files cannot be read, are of several series, hold no images, or store them differently.
    """
    paths, folder = list_files(series)
    stored, offset, reasons = read_stored_frames(paths)
    none = len(reasons) == len(paths) and set(reasons.values()) <= set(NOT_IMAGES)
    lost = Counter(r for r in reasons.values() if not (folder and r in NOT_IMAGES))
    if lost and not none:
        absent = sum(not Path(paths[i]).exists() for i in reasons)
        listed = ", ".join(f"{reason} {n}" for reason, n in sorted(lost.items()))
        listed += f", {absent} of them not there" if absent else ""
        raise VolumeError("unreadable_files", f"{listed}; of {len(paths)} files")
    good = tuple(p for i, p in enumerate(paths) if i not in reasons)
    if not good:
        if folder and isinstance(series, (str, Path)):
            refuse_nested(series)
        raise VolumeError("no_images", f"{len(paths)} files{', none is DICOM' if paths else ''}")
    _check_alike(stored)
    header = read_header_of(good[0])
    many = not set(stored["NumberOfFrames"]) <= {"", "0", "1"}
    if many or "PerFrameFunctionalGroupsSequence" in header:
        from workbench.imaging.functional_groups import read_multiframe

        found = read_multiframe(good)
    else:
        found = _from_files(good, stored, offset, header)
        if closely:
            from workbench.imaging.private_attributes import read_diffusion

            found = replace(found, keys=found.keys | read_diffusion(good, found.keys), close=True)
    return replace(found, left_out=len(paths) - len(good))


def read_header_of(path: str) -> pydicom.Dataset:
    """Read the header of one file of a series, without its pixels; a link is not followed.

    `dicom.header.read_header` reads the row of a catalog instead, `stored_frames` a few columns of
    many files at once; this is all that one file holds, as pydicom has it.

    Raises
    ------
    VolumeError
        If it cannot be read.
    """
    try:
        return read_header(path)
    except UnreadableFile as error:
        raise VolumeError("unreadable_files", f"{error.reason} 1") from None


def _check_alike(stored: Mapping[str, Column]) -> None:
    """Refuse what is not the images of one series, stored in one way."""
    series = len(set(stored["SeriesInstanceUID"]))
    if series > 1:
        raise VolumeError("several_series", f"{series} series")
    # A series UID that two exams share is a mistake of an archive or of a pseudonymisation.
    for keyword, what in (("PatientID", "patients"), ("StudyInstanceUID", "exams")):
        found = len({value.strip(" \0") for value in stored[keyword]} - {""})
        if found > 1:
            raise VolumeError("several_exams", f"{found} {what}")
    spaces = len({uid.strip(" \0") for uid in stored["FrameOfReferenceUID"]} - {""})
    if spaces > 1:
        raise VolumeError("several_spaces", f"{spaces} frames of reference")
    without = sum(
        not (rows and columns)
        for rows, columns in zip(stored["Rows"], stored["Columns"], strict=True)
    )
    if without:
        count = len(stored["Rows"])
        raise VolumeError("no_images", f"{without} of {count} files hold no pixels")
    shades = {"RGB" if p.startswith("YBR") else p for p in stored["PhotometricInterpretation"]}
    if len(shades) > 1:
        raise VolumeError("mixed_pixels", f"PhotometricInterpretation: {len(shades)} values")
    for keyword in STORED_ALIKE:
        values = len(set(stored[keyword]))
        if values > 1:
            raise VolumeError("mixed_pixels", f"{keyword}: {values} values")


def _from_files(
    paths: tuple[str, ...],
    stored: Mapping[str, Column],
    offset: NDArray[np.int64],
    header: pydicom.Dataset,
) -> Frames:
    """Return the frames of files that hold one image each."""
    count = len(paths)
    types = [text.split("\\") for text in stored["ImageType"]]
    size = np.hstack([_numbers(stored[keyword], 1) for keyword in ("Rows", "Columns")])
    if not ((size >= 1) & (size % 1 == 0) & (size <= LARGEST)).all():
        raise VolumeError("bad_geometry", "Rows or Columns is no number of pixels")
    direction = _numbers(stored["DiffusionGradientOrientation"], 3)
    stored_as = list(zip(*(stored[k] for k in STORED_AS), strict=True))
    as_first = np.array([told == stored_as[0] for told in stored_as])
    return Frames(
        paths=paths,
        header=header,
        file=np.arange(count),
        index=np.zeros(count, dtype=np.int64),
        offset=np.where(as_first, offset, -1),
        position=_numbers(stored["ImagePositionPatient"], 3),
        orientation=_numbers(stored["ImageOrientationPatient"], 6),
        spacing=_numbers(stored["PixelSpacing"], 2),
        size=size.astype(np.int64),
        slope=_numbers(stored["RescaleSlope"], 1, 1.0)[:, 0],
        intercept=_numbers(stored["RescaleIntercept"], 1, 0.0)[:, 0],
        rescale_type=np.array(
            [rescale_type(*told) for told in zip(*(stored[k] for k in RESCALE), strict=True)]
        ),
        kind=np.array(
            [c or kind_of(t) for c, t in zip(stored["ComplexImageComponent"], types, strict=True)]
        ),
        localiser=np.array([is_localiser(t) for t in types]),
        keys={name: _numbers(stored[k], 1)[:, 0] for name, k in KEYS.items()}
        | {f"direction_{axis}": direction[:, i] for i, axis in enumerate("xyz")}
        | _acquired(stored),
    )


def _numbers(texts: Column, length: int, missing: float = np.nan) -> Floats:
    """Return `length` numbers of each text, `missing` for an empty one, else NaN."""
    known: dict[str, list[float]] = {}
    rows = []
    for text in texts:
        row = known.get(text)
        if row is None:
            row = known[text] = _parse(text, length, missing)
        rows.append(row)
    return np.array(rows, dtype=np.float64).reshape(-1, length)


def _parse(text: str, length: int, missing: float) -> list[float]:
    if not text:
        return [missing] * length
    try:
        row = [float(part) for part in text.split("\\")]
    except ValueError:
        row = []
    return row if len(row) == length else [float("nan")] * length


def _acquired(stored: Mapping[str, Column]) -> dict[str, Floats]:
    """Return when each image was acquired, and whether that is in UTC."""
    columns = (stored[f"Acquisition{part}"] for part in ("DateTime", "Date", "Time"))
    texts = [m or (f"{d}{t}" if d and t else "") for m, d, t in zip(*columns, strict=True)]
    return acquired_keys(texts, stored["TimezoneOffsetFromUTC"])


def acquired_keys(texts: Sequence[object], zones: Sequence[object]) -> dict[str, Floats]:
    """Return `acquired_s` and `zoned` of `Frames.keys`.

    Parameters
    ----------
    texts
        Date and time of each image.
    zones
        TimezoneOffsetFromUTC of each image's file.
    """
    pairs = [(str(t or ""), str(z or "")) for t, z in zip(texts, zones, strict=True)]
    known = {pair: moment_of(*pair) for pair in set(pairs)}
    return {
        "acquired_s": np.array([known[pair].seconds for pair in pairs], dtype=np.float64),
        "zoned": np.array([known[pair].zoned for pair in pairs], dtype=np.float64),
    }


def rescale_type(slope: object, intercept: object, kind: object) -> str:
    """Return an entry of `Frames.rescale_type` from what an image stores.

    Examples
    --------
    >>> rescale_type("1", "-1024", "HU"), rescale_type("1", "", "HU")
    ('HU', 'none')
    """
    empty = (None, "", b"")
    return NOT_RESCALED if slope in empty or intercept in empty else str(kind or "").strip()


def kind_of(image_type: Sequence[str]) -> str:
    r"""Return what ImageType says beyond origin and examination (DICOM PS3.3, C.7.6.1.1.2).

    Examples
    --------
    >>> kind_of(["ORIGINAL", "PRIMARY", "M", "ND"])
    'M/ND'
    """
    return "/".join(image_type[2:])


def is_localiser(image_type: Sequence[str]) -> bool:
    """Return whether ImageType says that the image is a localiser.

    Examples
    --------
    >>> is_localiser(["ORIGINAL", "PRIMARY", "LOCALIZER"])
    True
    """
    return any(value.strip().upper() in LOCALISER for value in image_type[2:])
