"""CT files as scanners write them, but for their pixels, which take no room on the disk."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import Any

FILES, SERIES = 4096, 64
"""Files of a tree, and files of one series."""
SIDE = 512
_UID = "1.2.826.0.1.3680043.8.498"
_EXPLICIT, _IMPLICIT, _JPEG_LS = (f"1.2.840.10008.1.2{rest}" for rest in (".1", "", ".4.80"))
MAKERS: tuple[tuple[str, str, str, str, str], ...] = (
    ("SIEMENS", "SOMATOM Force", "ISO_IR 100", "Thorax^Routine", _EXPLICIT),
    ("GE MEDICAL SYSTEMS", "Revolution CT", "ISO_IR 100", "CHEST WO CONTRAST", _EXPLICIT),
    ("Philips", "IQon - Spectral CT", "ISO_IR 192", "Голова", _IMPLICIT),
    ("UIH", "uCT 780", "GB18030", "胸部平扫", _EXPLICIT),
    ("Canon Medical Systems", "Aquilion ONE", "ISO_IR 144", "Грудная клетка", _IMPLICIT),
    ("SIEMENS", "SOMATOM go.Top", "ISO_IR 100", "Abdomen^Nativ", _JPEG_LS),
)
"""Maker, model, character set, description and transfer syntax of the series, in turns."""


def write_tree(folder: Path, files: int = FILES) -> list[str]:
    """Write files of several exams, and return their paths relative to the folder."""
    paths = []
    for series in range(-(-files // SERIES)):
        dataset = make_series(series)
        place = folder / f"patient{series // 4:04d}" / f"exam{series // 2:04d}" / f"{series:05d}"
        place.mkdir(parents=True)
        for number in range(min(SERIES, files - series * SERIES)):
            move_slice(dataset, series, number)
            path = place / f"IM{number:05d}"
            write_file(dataset, path)
            paths.append(str(path.relative_to(folder)))
    return paths


def make_series(series: int) -> Any:  # noqa: ANN401 - a pydicom data set
    """Return the header of a series: some hundred elements, private ones and sequences."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.sequence import Sequence

    maker, model, characters, described, syntax = MAKERS[series % len(MAKERS)]
    dataset = Dataset()
    dataset.SpecificCharacterSet = characters
    values = {
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"],
        "InstanceCreationDate": "20240229",
        "InstanceCreationTime": "101500.000000",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
        "StudyDate": f"202402{1 + series % 28:02d}",
        "SeriesDate": f"202402{1 + series % 28:02d}",
        "AcquisitionDate": f"202402{1 + series % 28:02d}",
        "ContentDate": f"202402{1 + series % 28:02d}",
        "StudyTime": "101112.345000",
        "SeriesTime": "101213.000",
        "AccessionNumber": f"A{series:08d}",
        "Modality": "CT",
        "Manufacturer": maker,
        "InstitutionName": "City Hospital",
        "InstitutionAddress": "Long Road 1",
        "ReferringPhysicianName": "Nobody^N",
        "TimezoneOffsetFromUTC": "+0300",
        "StationName": f"CT{series % 7:05d}",
        "StudyDescription": described,
        "SeriesDescription": f"{described} 1.0 Br40",
        "InstitutionalDepartmentName": "Radiology",
        "PerformingPhysicianName": "Nobody^N",
        "OperatorsName": "Nobody^N",
        "ManufacturerModelName": model,
        "PatientName": "Test^Patient",
        "PatientID": f"P{series // 4:07d}",
        "PatientBirthDate": "19640301",
        "PatientSex": "FM"[series // 4 % 2],
        "PatientAge": "059Y",
        "PatientWeight": "71.5",
        "BodyPartExamined": "CHEST",
        "ScanOptions": "SPIRAL",
        "SliceThickness": "1",
        "KVP": "120",
        "DataCollectionDiameter": "500",
        "DeviceSerialNumber": f"{60000 + series % 7}",
        "SoftwareVersions": ["syngo CT VB20A", "SP1"],
        "ProtocolName": f"{described} protocol",
        "ReconstructionDiameter": "380",
        "DistanceSourceToDetector": "1085.6",
        "DistanceSourceToPatient": "595",
        "GantryDetectorTilt": "0",
        "TableHeight": "150.5",
        "RotationDirection": "CW",
        "ExposureTime": "500",
        "XRayTubeCurrent": "210",
        "Exposure": "105",
        "FilterType": "FLAT",
        "GeneratorPower": "40",
        "FocalSpots": "1.2",
        "ConvolutionKernel": ["Br40f", "3"],
        "PatientPosition": "HFS",
        "SingleCollimationWidth": 0.6,
        "TotalCollimationWidth": 57.6,
        "TableSpeed": 69.1,
        "SpiralPitchFactor": 0.6,
        "CTDIvol": 7.25,
        "StudyInstanceUID": f"{_UID}.1.{series // 2}",
        "SeriesInstanceUID": f"{_UID}.2.{series}",
        "StudyID": "1",
        "SeriesNumber": series % 9 + 1,
        "AcquisitionNumber": 2,
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "FrameOfReferenceUID": f"{_UID}.3.{series // 2}",
        "PositionReferenceIndicator": "",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": SIDE,
        "Columns": SIDE,
        "PixelSpacing": [0.7421875, 0.7421875],
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "SmallestImagePixelValue": 0,
        "LargestImagePixelValue": 4095,
        "BurnedInAnnotation": "NO",
        "WindowCenter": ["40", "-600"],
        "WindowWidth": ["400", "1200"],
        "RescaleIntercept": "-1024",
        "RescaleSlope": "1",
        "RescaleType": "HU",
        "WindowCenterWidthExplanation": ["WINDOW1", "WINDOW2"],
        "RequestedProcedureDescription": described,
        "PerformedProcedureStepStartDate": "20240229",
        "PerformedProcedureStepID": f"S{series}",
    }
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.ReferencedStudySequence = Sequence([_reference(f"{_UID}.4.{series}")])
    dataset.RequestAttributesSequence = Sequence([_request(described)])
    dataset.ProcedureCodeSequence = Sequence([_code("CTCHEST")])
    dataset.ProcedureCodeSequence.is_undefined_length = series % 3 == 0
    dataset.AnatomicRegionSequence = Sequence([_code("T-D3000")])
    for group, size in ((0x0019, 12), (0x0029, 800), (0x0043, 60)):
        block = dataset.private_block(group, f"{maker} CT HEADER", create=True)
        for element in range(6):
            block.add_new(0x10 + element, "LO", f"PRIVATE VALUE {element}")
        block.add_new(0x20, "OB", bytes(range(256)) * (size // 200) + b"\0" * size)
        block.add_new(0x21, "DS", ["1.5", "2.5"])
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    return dataset


def move_slice(dataset: Any, series: int, number: int) -> None:  # noqa: ANN401
    """Give the header of a series the values of one slice."""
    uid = f"{_UID}.5.{series}.{number}"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.InstanceNumber = number + 1
    dataset.AcquisitionTime = f"1013{number % 60:02d}.{number * 917 % 1000000:06d}"
    dataset.ContentTime = f"1014{number % 60:02d}.{number * 911 % 1000000:06d}"
    dataset.InstanceCreationTime = dataset.ContentTime
    dataset.ImagePositionPatient = ["-190", "-190", f"{-300 + number:.3f}"]
    dataset.SliceLocation = f"{-300 + number:.3f}"
    dataset.XRayTubeCurrent = 200 + number % 40


def write_file(dataset: Any, path: Path) -> None:  # noqa: ANN401
    """Write the header, and pixel data that is a hole in the file."""
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    syntax = dataset.file_meta.TransferSyntaxUID
    size = SIDE * SIDE * 2
    tag = struct.pack("<HH", 0x7FE0, 0x0010)
    if syntax == _IMPLICIT:
        stream.write(tag + struct.pack("<L", size))
    elif syntax == _EXPLICIT:
        stream.write(tag + b"OW\0\0" + struct.pack("<L", size))
    else:
        size //= 4
        stream.write(tag + b"OB\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\0\0\0\0")
        stream.write(b"\xfe\xff\x00\xe0" + struct.pack("<L", size))
    with path.open("wb") as file:
        file.write(stream.getvalue())
        file.truncate(stream.tell() + size)
        if syntax == _JPEG_LS:
            file.seek(0, os.SEEK_END)
            file.write(b"\xfe\xff\xdd\xe0\0\0\0\0")


def _reference(uid: str) -> Any:  # noqa: ANN401
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", uid
    return item


def _code(value: str) -> Any:  # noqa: ANN401
    from pydicom.dataset import Dataset

    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "99LOCAL", "a code"
    return item


def _request(described: str) -> Any:  # noqa: ANN401
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    item = Dataset()
    item.RequestedProcedureDescription, item.ScheduledProcedureStepID = described, "SPS1"
    item.ScheduledProtocolCodeSequence = Sequence([_code("CT1"), _code("CT2")])
    return item
