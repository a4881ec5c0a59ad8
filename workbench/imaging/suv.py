"""SUV: standardised uptake values by body weight, from what PET scanners store.

Source: QIBA, "Vendor-neutral pseudo-code for SUV calculation" (happy path), as Slicer's PET DICOM
extension follows it; DICOM PS3.3, C.8.9.1 (PET series), C.8.9.2 (isotope).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.imaging.element_value import items_of, numbers_of, text_of, texts_of, value_of
from workbench.imaging.private_attributes import read_private
from workbench.imaging.times import Moment, moment_of
from workbench.imaging.volume_error import VolumeError

if TYPE_CHECKING:
    import pydicom

DAY_S = 86_400.0
LONGEST_S = DAY_S
"""Longest time from injection to scan that is believed."""
_PHILIPS = (0x7053, "Philips PET Private Group")
_GE = (0x0009, "GEMS_PETD_01")


def body_weight_factor(header: pydicom.Dataset, acquired: Moment) -> float:
    """Return what turns the values of a PET series into SUV by body weight (g/ml).

    ======== ==============================================================================
    Units    factor
    ======== ==============================================================================
    GML      1, if SUVType is BW or not stated
    CNTS     Philips' SUV factor (7053,1000); else its activity factor (7053,1009) and as BQML
    BQML     weight (g) over the dose at the time that decay is corrected to
    ======== ==============================================================================

    With DecayCorrection ADMIN the dose is the injected one. With START it decays from injection to
    the start of the scan: the series' time, unless that is after the first acquisition, as in a
    series made later; then GE's scan time (0009,100D), else the first acquisition. Times are
    compared in UTC where a zone is stated, and as they are where none is.

    Parameters
    ----------
    header
        Header of an image of the series.
    acquired
        Time of the series' first acquisition.

    Raises
    ------
    VolumeError
        If something is missing, or the values are no activity; it says what.
    """
    units = text_of(header, "Units")
    if units == "GML":
        kind = text_of(header, "SUVType") or "BW"
        if kind != "BW":
            raise VolumeError("no_suv", "values are SUV of another kind than body weight")
        return 1.0
    corrections = set(texts_of(header, "CorrectedImage"))
    if not {"ATTN", "DECY"} <= corrections:
        raise VolumeError("no_suv", "CorrectedImage lacks ATTN or DECY")
    activity = 1.0
    if units == "CNTS":
        factor = _first(read_private(header, (*_PHILIPS, 0x00)))
        if factor > 0:
            return factor
        activity = _first(read_private(header, (*_PHILIPS, 0x09)))
        if not activity > 0:
            raise VolumeError("no_suv", "Units is CNTS, and there is no factor (7053,1000)")
    elif units != "BQML":
        raise VolumeError("no_suv", "Units is none of BQML, CNTS and GML")
    weight = _positive(header, "PatientWeight")
    return activity * weight * 1000.0 / _dose(header, acquired)


def _dose(header: pydicom.Dataset, acquired: Moment) -> float:
    """Return the dose (Bq) at the time that decay is corrected to."""
    items = items_of(header, "RadiopharmaceuticalInformationSequence")
    if len(items) != 1:
        raise VolumeError("no_suv", f"{len(items)} radiopharmaceuticals")
    dose = _positive(items[0], "RadionuclideTotalDose")
    corrected_to = text_of(header, "DecayCorrection")
    if corrected_to == "ADMIN":
        return dose
    if corrected_to != "START":
        raise VolumeError("no_suv", "DecayCorrection is neither START nor ADMIN")
    half_life = _positive(items[0], "RadionuclideHalfLife")
    scanned = _scan_start(header, acquired)
    zone = value_of(header, "TimezoneOffsetFromUTC")
    passed = _passed(_injection(items[0], scanned, zone), scanned)
    if not 0 <= passed <= LONGEST_S:
        raise VolumeError("no_suv", "the injection is not within a day before the scan")
    left = float(dose * 2.0 ** (-passed / half_life))
    if not left > 0:
        raise VolumeError("no_suv", "RadionuclideHalfLife is too short for the scan")
    return left


def _scan_start(header: pydicom.Dataset, acquired: Moment) -> Moment:
    series = _moment(header, "SeriesDate", "SeriesTime")
    if not acquired.known:
        acquired = _moment(header, "AcquisitionDate", "AcquisitionTime")
    if series.known and acquired.known and _passed(series, acquired) >= 0:
        return series
    zone = value_of(header, "TimezoneOffsetFromUTC")
    private = moment_of(read_private(header, (*_GE, 0x0D)), zone)
    for found in (private, acquired):
        if found.known:
            return found
    raise VolumeError("no_suv", "AcquisitionDate or AcquisitionTime is missing")


def _injection(item: pydicom.Dataset, scanned: Moment, zone: object) -> Moment:
    """Return when it was injected; a time without a date is the last such before the scan."""
    stored = moment_of(value_of(item, "RadiopharmaceuticalStartDateTime"), zone)
    if stored.known:
        return stored
    time = text_of(item, "RadiopharmaceuticalStartTime") or "none"
    clock = moment_of(f"19700101{time}", zone)
    if not clock.known:
        raise VolumeError("no_suv", "RadiopharmaceuticalStartTime is missing")
    return Moment(scanned.seconds - _passed(clock, scanned) % DAY_S, scanned.zoned)


def _passed(before: Moment, after: Moment) -> float:
    """Return the seconds between two moments, if both are told by one clock."""
    if before.zoned != after.zoned:
        raise VolumeError("no_suv", "of two times, only one states its time zone")
    return after.seconds - before.seconds


def _moment(header: pydicom.Dataset, date: str, time: str) -> Moment:
    stored = f"{text_of(header, date) or 'none'}{text_of(header, time) or 'none'}"
    return moment_of(stored, value_of(header, "TimezoneOffsetFromUTC"))


def _positive(header: pydicom.Dataset, keyword: str) -> float:
    number = _first(value_of(header, keyword))
    if not 0 < number < np.inf:
        raise VolumeError("no_suv", f"{keyword} is missing")
    return number


def _first(value: object) -> float:
    return next(iter(numbers_of(value)), float("nan"))
