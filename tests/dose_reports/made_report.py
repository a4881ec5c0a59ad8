"""Dose reports and images of any content, made with pydicom."""

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

RDSR = "1.2.840.10008.5.1.4.1.1.88.67"
ENHANCED = "1.2.840.10008.5.1.4.1.1.88.22"
RADIOPHARMACEUTICAL = "1.2.840.10008.5.1.4.1.1.88.68"
SYNTAXES = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


def coded(code, scheme="DCM", meaning="meaning"):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, scheme, meaning
    return item


def item(kind, name, *items, scheme="DCM", relationship="CONTAINS"):
    made = Dataset()
    made.RelationshipType, made.ValueType = relationship, kind
    made.ConceptNameCodeSequence = Sequence([coded(name, scheme)])
    if items:
        made.ContentSequence = Sequence(items)
    return made


def container(name, *items):
    return item("CONTAINER", name, *items)


def num(name, value, unit, *items, unit_scheme="UCUM"):
    made = item("NUM", name, *items)
    made.MeasuredValueSequence = Sequence()
    if value is not None:
        measured = Dataset()
        measured.add_new(0x0040A30A, "DS", str(value))
        measured.MeasurementUnitsCodeSequence = Sequence([coded(unit, unit_scheme)])
        made.MeasuredValueSequence.append(measured)
    return made


def code(name, value, *items, value_scheme="DCM", meaning="meaning", scheme="DCM"):
    made = item("CODE", name, *items, scheme=scheme)
    made.ConceptCodeSequence = Sequence([coded(value, value_scheme, meaning)])
    return made


def text(name, value):
    made = item("TEXT", name)
    made.TextValue = value
    return made


def uid(name, value):
    made = item("UIDREF", name)
    made.UID = value
    return made


def time(name, value):
    made = item("DATETIME", name)
    made.DateTime = value
    return made


def ct_event(event_uid, dlp=None, *, unit="mGy.cm", ctdivol=None, more=(), phantom="113691"):
    dose = [num("113830", ctdivol, "mGy"), num("113838", dlp, unit), code("113835", phantom)]
    named = [uid("113769", event_uid)] if event_uid else []
    scan = code("113820", "116152004", value_scheme="SCT", meaning="Spiral")
    return container("113819", *named, scan, container("113829", *dose), *more)


def ct_total(dlp, *, events=None, unit="mGy.cm"):
    count = [] if events is None else [num("113812", events, "{events}")]
    return container("113811", *count, num("113813", dlp, unit))


def report(*items, exam="1.2.3", instance="1.2.3.4", title="113701", sop_class=RDSR, **header):
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = sop_class, instance, "SR"
    made.StudyInstanceUID, made.SeriesInstanceUID = exam, f"{exam}.9"
    made.PatientID, made.PatientAge, made.PatientSex = "p1", "040Y", "F"
    made.StudyDate, made.StudyTime = "20240229", "101500"
    made.ContentDate, made.ContentTime = "20240229", "110000"
    for name, value in header.items():
        setattr(made, name, value)
    made.ValueType = "CONTAINER"
    made.ConceptNameCodeSequence = Sequence([coded(title)])
    made.ContentSequence = Sequence(items)
    return made


def image(modality, instance, *, exam="1.2.3", sop_class="1.2.840.10008.5.1.4.1.1.2", **header):
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = sop_class, instance, modality
    made.StudyInstanceUID, made.SeriesInstanceUID = exam, f"{exam}.7"
    made.PatientID, made.ImageType = "p1", ["ORIGINAL", "PRIMARY"]
    made.StudyDate, made.StudyTime = "20240229", "101500"
    for name, value in header.items():
        setattr(made, name, value)
    return made


def write(dataset, path, syntax=ExplicitVRLittleEndian):
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path, enforce_file_format=True)
    return path
