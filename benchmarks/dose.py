"""Dose: CT dose reports to events, beside the same walk with pydicom, element by element.

Each measurement runs in a process of its own, with the libraries imported, the compiled code
loaded and the files in the page cache. Before any time is told the events are compared.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.row import Row

ROOT = Path(__file__).parents[1]
REPORTS, EVENTS = 100, 4
REPEATS = 5
_UID = "1.2.826.0.1.3680043.8.498"


def run() -> list[Row]:
    """Measure all, and return the rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(REPORTS):
            write_report(folder / f"{number:04d}.dcm", number)
        compare(folder)
        # Taken in turns, so that a busy machine slows all.
        taken = [{who: measure(who, folder) for who in WORK} for _ in range(REPEATS)]
    best = {who: min(t[who] for t in taken) for who in WORK}
    per = 1000 / REPORTS
    peer = best["pydicom"] * per
    return [
        Row("one CT dose report to events, beside pydicom", best["walk"] * per, peer, 1 / 3, "ms"),
        Row("the same with its header, merged and in tables", best["all"] * per, peer, 1 / 3, "ms"),
    ]


def write_report(path: Path, number: int) -> None:
    """Write a CT dose report as scanners do: a localizer and scans, some hundred items."""
    from pydicom.dataset import Dataset, FileMetaDataset

    def coded(value: str, scheme: str, meaning: str) -> list[Dataset]:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
        return [code]

    def item(kind: str, name: str, *items: Dataset, **values: Any) -> Dataset:  # noqa: ANN401
        made = Dataset()
        made.RelationshipType, made.ValueType = "CONTAINS", kind
        made.ConceptNameCodeSequence = coded(name, "DCM", f"Concept {name}")
        for keyword, value in values.items():
            setattr(made, keyword, value)
        if items:
            made.ContentSequence = list(items)
        return made

    def num(name: str, value: float, unit: str) -> Dataset:
        measured = Dataset()
        measured.NumericValue = f"{value:.2f}"
        measured.MeasurementUnitsCodeSequence = coded(unit, "UCUM", unit)
        return item("NUM", name, MeasuredValueSequence=[measured])

    def code(name: str, value: str, scheme: str, meaning: str) -> Dataset:
        return item("CODE", name, ConceptCodeSequence=coded(value, scheme, meaning))

    def event(place: int) -> Dataset:
        current = 40.0 + place
        source = item(
            "CONTAINER", "113831", item("TEXT", "113832", TextValue="A"),
            num("113733", 120, "kV"), num("113833", 2 * current, "mA"),
            num("113734", current, "mA"), num("113834", 0.5, "s"),
        )  # fmt: skip
        scan = item(
            "CONTAINER", "113822", num("113824", 5.28 + place, "s"),
            num("113825", 514 + place, "mm"), num("113826", 0.6, "mm"),
            num("113827", 38.4, "mm"), num("113828", 0.6, "{ratio}"),
            num("113823", 1, "{X-Ray sources}"), source,
        )  # fmt: skip
        dose = item(
            "CONTAINER", "113829", num("113830", 8.13 + place, "mGy"),
            code("113835", "113691", "DCM", "IEC Body Dosimetry Phantom"),
            num("113838", 69.81 + number + place, "mGy.cm"),
        )  # fmt: skip
        return item(
            "CONTAINER", "113819", item("TEXT", "125203", TextValue=f"Thorax {place}"),
            code("123014", "T-D3000", "SRT", "Chest"),
            code("113820", "P5-08001", "SRT", "Spiral Acquisition"),
            item("UIDREF", "113769", UID=f"{_UID}.{number}.{place}"), scan, dose,
            item("TEXT", "121106", TextValue="Internal technical scan parameters"),
            code("113876", "113859", "DCM", "Irradiating Device"),
        )  # fmt: skip

    report = Dataset()
    report.SOPClassUID, report.Modality = "1.2.840.10008.5.1.4.1.1.88.67", "SR"
    report.SOPInstanceUID = report.StudyInstanceUID = f"{_UID}.{number}"
    report.SeriesInstanceUID, report.PatientID = f"{_UID}.{number}.9", f"p{number}"
    report.PatientAge, report.StudyDate, report.StudyTime = "060Y", "20240229", "101500"
    report.Manufacturer, report.ManufacturerModelName = "SIEMENS", "SOMATOM Force"
    report.ValueType = "CONTAINER"
    report.ConceptNameCodeSequence = coded("113701", "DCM", "X-Ray Radiation Dose Report")
    total = sum(69.81 + number + place for place in range(EVENTS))
    accumulated = item(
        "CONTAINER", "113811", num("113812", EVENTS, "{events}"),
        num("113813", total, "mGy.cm"),
    )  # fmt: skip
    report.ContentSequence = [accumulated, *(event(place) for place in range(EVENTS))]
    report.file_meta = FileMetaDataset()
    report.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    report.file_meta.MediaStorageSOPClassUID = report.SOPClassUID
    report.file_meta.MediaStorageSOPInstanceUID = report.SOPInstanceUID
    report.save_as(path, enforce_file_format=True)


def read_ours(paths: list[Path]) -> list[list[dict[str, Any]]]:
    from workbench.dose_reports.content import read_content
    from workbench.dose_reports.limits import latest_time
    from workbench.dose_reports.report import read_report

    latest = latest_time()
    return [read_report(read_content(path), "", latest)[0].events for path in paths]


def read_peer(paths: list[Path]) -> list[list[dict[str, Any]]]:
    from benchmarks.peers.pydicom_dose import read_events

    return [read_events(path) for path in paths]


def read_all(paths: list[Path]) -> object:
    from workbench.dose_reports.reading import read_dose_reports

    return read_dose_reports(paths)


WORK: dict[str, Callable[[list[Path]], object]] = {
    "walk": read_ours,
    "all": read_all,
    "pydicom": read_peer,
}


def compare(folder: Path) -> None:
    """Raise if what the peer reads of an event differs from ours."""
    paths = sorted(folder.glob("*.dcm"))
    for ours, peer in zip(read_ours(paths), read_peer(paths), strict=True):
        told = [{k: e[k] for k in p} for e, p in zip(ours, peer, strict=True)]
        if len(ours) != EVENTS or told != peer:
            raise SystemExit("the events differ")


def measure(who: str, folder: Path) -> float:
    """Return the seconds of one run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.dose", who, str(folder)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    _who, _folder = sys.argv[1:]
    _paths = sorted(Path(_folder).glob("*.dcm"))
    WORK[_who](_paths)
    _start = time.perf_counter()
    WORK[_who](_paths)
    print(json.dumps(time.perf_counter() - _start))
