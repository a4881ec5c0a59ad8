"""Image header: what images say of the irradiation that made them, where no report does.

Source: DICOM PS3.3, C.8.2.1 (CT), C.8.7.1 and C.8.7.2 (X-ray), C.8.11.7 (mammography), C.4.16
(radiation dose), C.8.9.2 (PET) and C.8.4.10 (nuclear medicine).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import fsum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.dicom.refusals import UnreadableFile
from workbench.dose_reports.concepts import PHANTOMS
from workbench.dose_reports.limits import find_fault, is_possible
from workbench.dose_reports.report import Report, local_time
from workbench.imaging.element_value import items_of, text_of, value_of
from workbench.imaging.volume_error import VolumeError

if TYPE_CHECKING:
    from datetime import datetime

    from pydicom.dataset import Dataset

KINDS = {
    "CT": "ct",
    **dict.fromkeys(("MG", "DX", "CR", "RF", "XA", "PX", "IO"), "projection"),
    **dict.fromkeys(("PT", "NM"), "radiopharmaceutical"),
}
"""Modality of an image -> kind of irradiation."""
_CAPTURED = "1.2.840.10008.5.1.4.1.1.7"
"""SOP classes of secondary capture."""
_NUMBERS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "ct": (
        ("ctdivol_mgy", "CTDIvol", "1"),
        ("pitch", "SpiralPitchFactor", "1"),
        ("collimation_mm", "TotalCollimationWidth", "1"),
        ("water_equivalent_diameter_cm", "WaterEquivalentDiameter", "1e-1"),
        ("tube_current_ma", "XRayTubeCurrentInmA", "1"),
        ("tube_current_ma", "XRayTubeCurrent", "1"),
        ("kvp_kv", "KVP", "1"),
    ),
    "projection": (
        ("exposure_index", "ExposureIndex", "1"),
        ("target_exposure_index", "TargetExposureIndex", "1"),
        ("deviation_index", "DeviationIndex", "1"),
        ("dap_gy_cm2", "ImageAndFluoroscopyAreaDoseProduct", "1e-1"),  # stored in dGy.cm2
        ("dap_gy_cm2", "AcquiredImageAreaDoseProduct", "1e-1"),
        ("agd_mgy", "OrganDose", "1e2"),  # stored in dGy
        ("kvp_kv", "KVP", "1"),
        ("tube_current_ma", "XRayTubeCurrentInuA", "1e-3"),
        ("tube_current_ma", "XRayTubeCurrentInmA", "1"),
        ("tube_current_ma", "XRayTubeCurrent", "1"),
        ("exposure_time_s", "ExposureTimeInuS", "1e-6"),
        ("exposure_time_s", "ExposureTimeInms", "1e-3"),
        ("exposure_time_s", "ExposureTime", "1e-3"),
    ),
    "radiopharmaceutical": (),
}
"""Column, keyword and factor; the first that states a number."""
_NESTED = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_CT_GROUPS = ("CTExposureSequence", "CTAcquisitionDetailsSequence", "CTXRayDetailsSequence")
_READ = sorted(
    {keyword for rows in _NUMBERS.values() for _, keyword, _ in rows}
    | {
        *("IrradiationEventUID", "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime"),
        *("ImageLaterality", "Laterality", "ViewPosition", "AcquisitionProtocolName"),
        *("RadiopharmaceuticalInformationSequence", "CTDIPhantomTypeCodeSequence"),
        *("OrganExposed", "PatientWeight", "SpecificCharacterSet", *_NESTED),
    }
)


def is_irradiation(row: Mapping[str, Any]) -> bool:
    r"""Return whether an image was made by irradiation, not computed from others or captured.

    Parameters
    ----------
    row
        A row with the columns of `columns.SCHEMA`.

    Examples
    --------
    >>> is_irradiation({"modality": "CT", "sop_class": "1.2", "image_type": "DERIVED\\PRIMARY"})
    False
    >>> is_irradiation({"modality": "DX", "sop_class": "1.2", "image_type": "DERIVED\\PRIMARY"})
    True
    """
    if row["modality"] in ("PT", "NM"):
        return True  # what was administered is the same, however the image was made
    types = [part.strip() for part in (row["image_type"] or "").split("\\")]
    if (row["sop_class"] or "").startswith(_CAPTURED) or "SECONDARY" in types[1:2]:
        return False
    # What a radiograph shows is derived from what the detector gave; a slice of CT is not.
    return row["modality"] != "CT" or types[0] in ("", "ORIGINAL")


def read_images(rows: Sequence[tuple[Path, Mapping[str, Any]]], latest: datetime) -> Report:
    """Return what the images of one exam and one kind of irradiation say.

    An event is what has one irradiation event UID. Without one it is a series of CT, an
    acquisition time, side and view of projection, or one start of one administration: an image for
    processing and one for presentation are of one event.

    Parameters
    ----------
    rows
        Files, and their rows with the columns of `columns.SCHEMA`.
    latest
        Time after which nothing can have been.

    Raises
    ------
    UnreadableFile
        If one of the files cannot be read.
    """
    modality = rows[0][1]["modality"]
    report = Report(KINDS[modality], modality=modality, flags={"from_images"})
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for path, row in sorted(rows, key=lambda r: r[1]["instance_uid"]):
        try:
            reading = _Reading(report, _open(path), row, latest)
            key, event = reading.read()
            report.weight_kg = report.weight_kg or reading.read_weight()
        except VolumeError as error:
            raise UnreadableFile("bad_meta", error.__class__.__name__) from None
        if event:
            groups.setdefault(key, []).append(event)
    events = [_join(events) for events in groups.values()]
    report.events = sorted(events, key=lambda event: event.get("event_time", latest))
    return report


def _open(path: Path) -> Dataset:
    from workbench.dicom.bounded_stream import BoundedStream
    from workbench.dicom.header import parser_errors
    from workbench.dicom.stored import quiet_pydicom

    pydicom = quiet_pydicom()
    try:
        with path.open("rb") as file:
            header: Dataset = pydicom.dcmread(
                BoundedStream(file).file_like,
                stop_before_pixels=True,
                force=True,
                specific_tags=_READ,
            )
            return header
    except parser_errors() as error:
        raise UnreadableFile("bad_meta", error.__class__.__name__) from None


def _join(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one event of what its images say: CTDIvol is their mean, else the first that says."""
    joined: dict[str, Any] = {"flags": set[str]()}
    for event in events:
        joined["flags"] |= event["flags"]
        for name, value in event.items():
            joined.setdefault(name, value)
    for name in ("ctdivol_mgy", "tube_current_ma", "water_equivalent_diameter_cm"):
        values = [e[name] for e in events if name in e]
        if values:
            joined[name] = fsum(values) / len(values)
    return joined


class _Reading:
    """Read the event of one image."""

    def __init__(
        self, report: Report, header: Dataset, row: Mapping[str, Any], latest: datetime
    ) -> None:
        self.report, self.header, self.row, self.latest = report, header, row, latest
        self.event: dict[str, Any] = {"flags": {"from_images"}, "modality": row["modality"]}

    def read(self) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Return what tells the event from others, and its columns; none if there is none."""
        kind, header = self.report.kind, self.header
        if kind == "radiopharmaceutical":
            return self._read_administration()
        holders = [header, *self._groups()]
        for column, keyword, factor in _NUMBERS[kind]:
            self._add(holders, column, keyword, factor)
        if text_of(header, "OrganExposed") not in ("BREAST", ""):
            self.event.pop("agd_mgy", None)
        self._add_words(holders)
        uid = text_of(header, "IrradiationEventUID").partition("\\")[0]
        if uid:
            self.event["event_uid"] = uid
            return ("uid", uid), self.event
        if kind == "ct":
            return ("series", self.row["series_uid"]), self.event
        if "event_time" not in self.event:
            return ("image", self.row["instance_uid"]), self.event
        side, view = self.event.get("laterality", ""), text_of(header, "ViewPosition")
        return ("acquisition", str(self.event["event_time"]), side, view), self.event

    def read_weight(self) -> float | None:
        """Return the weight of the patient in kg, or None."""
        self._add([self.header], "weight_kg", "PatientWeight", "1")
        weight: float | None = self.event.pop("weight_kg", None)
        return weight or None  # 0 is what forms say for nothing

    def _groups(self) -> list[Dataset]:
        """Return the functional groups of CT of a multi-frame image, first shared, then a frame."""
        firsts = [items_of(self.header, sequence)[:1] for sequence in _NESTED]
        inner = [items_of(g[0], keyword)[:1] for g in firsts if g for keyword in _CT_GROUPS]
        return [items[0] for items in inner if items]

    def _add(self, holders: Sequence[Dataset], column: str, keyword: str, factor: str) -> None:
        if column in self.event:
            return
        for holder in holders:
            value = value_of(holder, keyword)
            if value in (None, "") or isinstance(value, (list, tuple)):
                continue
            try:
                number = float(Decimal(str(value)) * Decimal(factor))
            except (ArithmeticError, ValueError):
                self._refuse("not_a_number")
                continue
            fault = "not_a_number" if number != number else find_fault(column, number)  # noqa: PLR0124
            if fault:
                self._refuse(fault)
                continue
            self.event[column] = number
            return

    def _refuse(self, fault: str) -> None:
        self.report.faults[fault] += 1
        self.event["flags"].add("value_refused")
        self.report.flags.add("value_refused")

    def _add_words(self, holders: Sequence[Dataset]) -> None:
        header, row = self.header, self.row
        for holder in holders:
            for item in items_of(holder, "CTDIPhantomTypeCodeSequence")[:1]:
                phantom = PHANTOMS.get(text_of(item, "CodeValue"))
                if phantom:
                    self.event.setdefault("phantom_cm", phantom)
        side = text_of(header, "ImageLaterality") or text_of(header, "Laterality")
        if side in ("L", "R", "B"):
            self.event["laterality"] = side
        words = {
            "protocol": text_of(header, "AcquisitionProtocolName") or row["protocol"],
            "target_region": row["body_part"],
        }
        self.event |= {name: word for name, word in words.items() if word}
        stated = text_of(header, "AcquisitionDateTime")
        date, time = text_of(header, "AcquisitionDate"), text_of(header, "AcquisitionTime")
        self._add_time(stated or (date + time if time else ""))

    def _add_time(self, text: str) -> None:
        moment = local_time(text)
        if moment is not None and is_possible(moment, self.latest):
            self.event["event_time"] = moment
        elif moment is not None:
            self._refuse("time_not_possible")

    def _read_administration(self) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Return the first radiopharmaceutical of a PET or nuclear medicine image."""
        items = items_of(self.header, "RadiopharmaceuticalInformationSequence")[:1]
        if not items:
            return (), {}
        item = items[0]
        # PET stores Bq (C.8.9.2), nuclear medicine MBq (C.8.4.10).
        factor = "1e-6" if self.row["modality"] == "PT" else "1"
        self._add([item], "administered_activity_mbq", "RadionuclideTotalDose", factor)
        agent = text_of(item, "Radiopharmaceutical")
        for sequence in ("RadiopharmaceuticalCodeSequence", "RadionuclideCodeSequence"):
            for code in items_of(item, sequence)[:1]:
                agent = agent or text_of(code, "CodeMeaning")
        if agent:
            self.event["radiopharmaceutical"] = agent
        start = text_of(item, "RadiopharmaceuticalStartDateTime")
        time = text_of(item, "RadiopharmaceuticalStartTime")
        day = self.row["exam_time"]
        self._add_time(start or (f"{day:%Y%m%d}{time}" if time and day else ""))
        self.event["acquisition_type"] = "Radiopharmaceutical Administration"
        uid = text_of(item, "RadiopharmaceuticalAdministrationEventUID")
        if uid:
            self.event["event_uid"] = uid
            return ("uid", uid), self.event
        moment = str(self.event.get("event_time", ""))
        return ("administration", agent, moment), self.event
