"""Small DICOM files to scan."""

from __future__ import annotations

from pathlib import Path

ROOT = "1.2.826.0.1.3680043.8.498"


def write_image(
    path: Path,
    number: int = 1,
    *,
    patient: str | None = "P1",
    exam: int = 1,
    series: int = 1,
    pixel: int = 0,
    **values: object,
) -> Path:
    """Write a CT image of 4 x 4 pixels; `values` are more attributes by keyword."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = f"{ROOT}.{exam}.{series}.{number}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    image.StudyInstanceUID, image.SeriesInstanceUID = f"{ROOT}.{exam}", f"{ROOT}.{exam}.{series}"
    if patient is not None:
        image.PatientID = patient
    image.PatientName, image.PatientSex, image.PatientAge = "MARKER^NAME", "F", "045Y"
    image.Modality, image.Manufacturer, image.InstanceNumber = "CT", "Pretend", number
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.ImagePositionPatient = [0, 0, number * 2.5]
    image.PixelSpacing = [1, 1]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns, image.BitsAllocated, image.BitsStored = 4, 4, 16, 16
    image.HighBit, image.PixelRepresentation = 15, 0
    image.PixelData = bytes([pixel] * 32)
    image["PixelData"].VR = "OW"
    for keyword, value in values.items():
        setattr(image, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path, enforce_file_format=True)
    return path
