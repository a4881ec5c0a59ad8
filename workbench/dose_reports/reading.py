"""Reading: dose reports, and images where there is none, to tables of exams and events."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

import polars as pl

from workbench.dicom.refusals import Refused, UnreadableFile
from workbench.dose_reports.content import read_content
from workbench.dose_reports.files import Exam, File, Source, open_files
from workbench.dose_reports.image_header import is_irradiation, read_images
from workbench.dose_reports.limits import is_possible, latest_time
from workbench.dose_reports.merging import Merged, merge_reports
from workbench.dose_reports.repeated import drop_repeated
from workbench.dose_reports.report import KINDS, Report, is_dose_report, read_report
from workbench.dose_reports.tables import (
    BAD,
    EVENTS,
    EXAMS,
    FAULTS,
    MODALITIES,
    REFUSED,
    UNREADABLE,
    DoseTables,
    count_rules,
)

DOSE_SR = ("1.2.840.10008.5.1.4.1.1.88.67", "1.2.840.10008.5.1.4.1.1.88.68")
"""SOP classes made for dose reports; others may carry one."""
_Row: TypeAlias = dict[str, Any]
_WHO = ("manufacturer", "model", "station", "exam_description", "sex")


def read_dose_reports(
    source: Source, *, latest: datetime | None = None, images: bool = True
) -> DoseTables:
    """Read the dose of exams: from their reports, and from images where there is no report.

    Reports are read by template and code: X-Ray Radiation Dose SR (TID 10001 and 10011 with what
    they include), radiopharmaceutical dose SR (TID 10021), and any other structured report that
    carries one of these. A number without a value is missing, one that nobody can have or in a unit
    of another quantity is kept out by a rule and counted. Several reports of one exam are told
    apart by the UIDs of their events (`merging`).

    Where a report states a total, and its events add up to another figure, the exam is flagged:
    the sum is used if the total is 0 or if all events are listed with their value, else the total.

    Source: DICOM PS3.16, TID 10001-10024; PS3.3, C.8 and C.17.

    Parameters
    ----------
    source
        An archive, a catalog, a folder, or files.
    latest
        Time after which nothing can have been; tomorrow by default.
    images
        Whether images are read where there is no report. Without, they are left unopened.

    Returns
    -------
    DoseTables
        Exams, events, and what is not in them. All files are accounted for.
    """
    reading = _Reading(latest or latest_time())
    files = open_files(source)
    for file in files.reports():
        reading.add_report(file)
    reported = {(exam, told.report.kind) for exam, all_ in reading.told.items() for told in all_}
    for file in files.images(reported) if images else ():
        reading.add_image(file)
    for exam, patient in files.claims:
        reading.claims[exam].add(patient or None)
    reading.read_images()
    reading.counted["image_of_reported_exam"] += files.skipped
    reading.files["other"] += files.others + files.skipped
    return reading.finish()


@dataclass(frozen=True)
class _Told:
    """Hold what one report, or the images of an exam, say, and the files that say it."""

    report: Report
    files: tuple[File, ...]


@dataclass
class _Reading:
    latest: datetime
    told: defaultdict[str, list[_Told]] = field(default_factory=lambda: defaultdict(list))
    images: defaultdict[Exam, list[File]] = field(default_factory=lambda: defaultdict(list))
    refused: list[Refused] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)
    claims: defaultdict[str, set[str | None]] = field(default_factory=lambda: defaultdict(set))
    known: set[tuple[str, str | None, str]] = field(default_factory=set)
    unknown: int = 0

    def refuse(self, file: File | Refused, reason: str = "", detail: str = "") -> None:
        """Add a file that is not used."""
        if isinstance(file, Refused):
            self.refused.append(file)
            self.unknown += 1
            return
        self.refused.append(Refused(str(file.path), reason, detail))
        if reason not in ("not_dose", *BAD):
            self.blame(file.row["exam_uid"], file.row["patient_id"], [UNREADABLE])

    def blame(self, exam: str, patient: str | None, rules: Iterable[str]) -> None:
        """Add the rules that say that something is wrong with an exam."""
        wanted = (*BAD, UNREADABLE)
        self.known |= {(exam, patient or None, rule) for rule in rules if rule in wanted}

    def add_report(self, file: File | Refused) -> None:
        """Add a structured report."""
        if isinstance(file, Refused):
            self.refuse(file)
            return
        try:
            content = read_content(file.path)
            if not is_dose_report(content):
                self.refuse(file, "not_dose")
                return
            reports = read_report(content, file.row["instance_uid"], self.latest)
        except UnreadableFile as error:
            self.refuse(file, error.reason, error.detail)
            return
        reports = [report for report in reports if report.events or report.totals]
        if not reports:
            self.refuse(file, "no_events")
            return
        self.files["report"] += 1
        for report in reports:
            if file.row["sop_class"] not in DOSE_SR:
                report.flags.add("enhanced_sr")
            self.told[file.row["exam_uid"]].append(_Told(report, (file,)))

    def add_image(self, file: File | Refused) -> None:
        """Add an image of an exam without a report."""
        if isinstance(file, Refused):
            self.refuse(file)
        elif is_irradiation(file.row):
            self.images[file.row["exam_uid"], file.kind].append(file)
        else:
            self.counted["derived_image"] += 1
            self.files["other"] += 1

    def read_images(self) -> None:
        """Read the images that were added, exam by exam."""
        for (exam, _), files in self.images.items():
            good, report = self._read_exam(files)
            if report is not None and report.events:
                self.files["image"] += len(good)
                self.told[exam].append(_Told(report, tuple(good)))
            else:
                self.files["other"] += len(good)

    def _read_exam(self, files: list[File]) -> tuple[list[File], Report | None]:
        good = sorted(files, key=lambda file: file.row["instance_uid"])
        try:
            return good, read_images([(f.path, f.row) for f in good], self.latest)
        except UnreadableFile:
            pass  # which of them, is found one by one
        tried, good = good, []
        for file in tried:
            try:
                read_images([(file.path, file.row)], self.latest)
                good.append(file)
            except UnreadableFile as error:
                self.refuse(file, error.reason, error.detail)
        return good, read_images([(f.path, f.row) for f in good], self.latest) if good else None

    def finish(self) -> DoseTables:
        """Return the tables."""
        exams, events = [], []
        for uid in sorted({*self.told, *self.claims}):
            told = self.told[uid]
            patients = {f.row["patient_id"] for t in told for f in t.files}
            patients = (patients | self.claims[uid]) - {None}
            if len(patients) > 1:
                self.counted["two_patients"] += 1
                for patient in patients:
                    self.blame(uid, patient, ["two_patients"])
                files = {file.path: file for t in told for file in t.files}
                for file in files.values():
                    self.refuse(file, "two_patients")
                    self.files["report" if file.is_report else "image"] -= 1
                continue
            if self.claims[uid]:  # by a patient and by nobody
                self.blame(uid, next(iter(patients), None), [UNREADABLE])
            if not told:
                continue
            exam, of_exam = self._make_exam(uid, told)
            exams.append(exam)
            events += of_exam
        table, of_table, again = drop_repeated(
            pl.DataFrame(exams, schema=EXAMS), pl.DataFrame(events, schema=EVENTS)
        )
        self.counted["duplicate_exam"] += again
        left = set(table["exam_uid"])
        for exam in exams:
            if exam["exam_uid"] not in left:
                self.blame(exam["exam_uid"], exam["patient_id"], ["duplicate_exam"])
        self.files["refused"] = len(self.refused)
        rows = sorted((r.path, r.reason, r.detail) for r in self.refused)
        refused = pl.DataFrame(rows, schema=REFUSED, orient="row")
        found = [*sorted(self.known, key=str), *[(None, None, UNREADABLE)] * self.unknown]
        faults = pl.DataFrame(found, schema=FAULTS, orient="row")
        counted = count_rules(self.counted)
        return DoseTables(table, of_table, refused, counted, faults, dict(self.files))

    def _make_exam(
        self, uid: str, told: list[_Told]
    ) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        merged = [
            merge_reports([t.report for t in told if t.report.kind == kind])
            for kind in KINDS
            if any(t.report.kind == kind for t in told)
        ]
        by_report = {id(t.report): t.files for t in told}
        used = [report for m in merged for report in m.reports]
        rows = [file.row for report in used for file in by_report[id(report)]]
        described, wrong = self._describe(rows)
        exam = described | _add_up(merged) | {"exam_uid": uid}
        self.blame(uid, exam["patient_id"], {*wrong, *(r for m in merged for r in m.counted)})
        exam["report_uid"] = next((r.report_uid for r in used if r.report_uid), None)
        exam["weight_kg"] = next((r.weight_kg for r in used if r.weight_kg is not None), None)
        exam["n_reports"] = sum(bool(report.report_uid) for report in used)
        for one in merged:
            self.counted.update(one.counted)
        events = [
            e | {"exam_uid": uid, "flags": sorted(e["flags"])} for m in merged for e in m.events
        ]
        return exam, events

    def _describe(self, rows: list[_Row]) -> tuple[_Row, set[str]]:
        """Return who was examined where and when, of the first row that says; broken rules."""
        found = {n: next((r[n] for r in rows if r[n] is not None), None) for n in _WHO}
        found["patient_id"] = next((r["patient_id"] for r in rows if r["patient_id"]), None)
        # What is no age is not mended by a date of birth: one of the two is wrong.
        stated = [r["age_years"] for r in rows if not r["age_refused"]]
        found["age_years"] = min((age for age in stated if age is not None), default=None)
        times = [r["exam_time"] for r in rows if r["exam_time"] is not None]
        possible = [t for t in times if is_possible(t, self.latest)]
        found["exam_time"] = min(possible, default=None)
        broken = {
            "age_not_possible": len(stated) < len(rows),
            "time_not_possible": len(possible) < len(times),
        }
        wrong = {rule for rule, is_so in broken.items() if is_so}
        self.counted.update(wrong)
        return found, wrong


def _add_up(merged: list[Merged]) -> _Row:
    """Return the totals of all kinds of irradiation of an exam."""
    modalities = {report.modality for m in merged for report in m.reports}
    modalities |= {event["modality"] for m in merged for event in m.events}
    flags = {flag for m in merged for flag in m.flags}
    known = [name for name in MODALITIES if name in modalities]
    return {
        "modality": known[0] if known else None,
        "modalities": known,
        "n_events": sum(len(m.events) for m in merged),
        "flags": sorted(flags),
        **{name: value for m in merged for name, value in m.totals.items()},
    }
