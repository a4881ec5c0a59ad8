"""The dose of a CT report by hand: pydicom, and element access for each code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

DOSE = {"113830": "ctdivol_mgy", "113838": "dlp_mgy_cm"}
SCAN = {"113824": "exposure_time_s", "113825": "scanning_length_mm", "113828": "pitch",
        "113827": "collimation_mm"}  # fmt: skip
SOURCE = {"113733": "kvp_kv", "113734": "tube_current_ma"}
UNITS = {"mGy", "mGy.cm", "s", "mm", "{ratio}", "kV", "mA"}


def read_events(path: Path) -> list[dict[str, object]]:
    """Return the events of a CT report."""
    return [_event(item) for item in _below(dcmread(path), "113819")]


def _below(item: Dataset, code: str) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", []):
        if child.ConceptNameCodeSequence[0].CodeValue == code:
            yield child


def _event(item: Dataset) -> dict[str, object]:
    event: dict[str, object] = {}
    for child in _below(item, "113769"):
        event["event_uid"] = str(child.UID)
    for child in _below(item, "125203"):
        event["protocol"] = child.TextValue
    for code, name in (("123014", "target_region"), ("113820", "acquisition_type")):
        for child in _below(item, code):
            event[name] = child.ConceptCodeSequence[0].CodeMeaning
    for scan in _below(item, "113822"):
        _numbers(scan, SCAN, event)
        for source in _below(scan, "113831"):
            _numbers(source, SOURCE, event)
    for dose in _below(item, "113829"):
        _numbers(dose, DOSE, event)
        for child in _below(dose, "113835"):
            phantom = child.ConceptCodeSequence[0].CodeValue
            event["phantom_cm"] = 32.0 if phantom == "113691" else 16.0
    return event


def _numbers(item: Dataset, names: dict[str, str], event: dict[str, object]) -> None:
    for code, name in names.items():
        for child in _below(item, code):
            if child.MeasuredValueSequence:
                value = child.MeasuredValueSequence[0]
                if value.MeasurementUnitsCodeSequence[0].CodeValue not in UNITS:
                    raise ValueError(name)
                event[name] = float(value.NumericValue)
