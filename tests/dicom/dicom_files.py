"""DICOM files that tests write, and those that there are."""

import os
import struct
from io import BytesIO
from pathlib import Path

from pydicom.data import get_charset_files, get_testdata_files
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from workbench.dicom.columns import INSTANCE_COLUMNS

HEADER = [c.name for c in INSTANCE_COLUMNS]


def image(**values):
    """Return an image of 8 x 8 pixels."""
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.SOPInstanceUID, dataset.StudyInstanceUID = generate_uid(), generate_uid()
    dataset.SeriesInstanceUID, dataset.Modality, dataset.PatientID = generate_uid(), "CT", "P1"
    dataset.Rows = dataset.Columns = 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = bytes(128)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def as_bytes(dataset, syntax=ExplicitVRLittleEndian):
    """Return a data set as the content of a file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def element(tag, vr, value=b"", length=None):
    """Return an element in explicit VR little endian."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    length = len(value) if length is None else length
    if vr in ("SQ", "UN", "OB", "OW"):
        return head + b"\0\0" + struct.pack("<L", length) + value
    return head + struct.pack("<H", length) + value


def nested(depth, *, defined):
    """Return a sequence that is nested so deep."""
    content = element(0x00080100, "SH", b"CODE")
    for _ in range(depth):
        if defined:
            item = struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content
            content = element(0x0040A730, "SQ", item)
        else:
            item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) + content
            item += struct.pack("<HHL", 0xFFFE, 0xE00D, 0) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
            content = element(0x0040A730, "SQ", item, 0xFFFFFFFF)
    return content


def before_pixels(content, more):
    """Return a file with elements put in before its pixel data."""
    at = content.rindex(b"\xe0\x7f\x10\x00")
    return content[:at] + more + content[at:]


def real_files(shared_data):
    """Return all files of the reference data and of pydicom."""
    ours = [Path(d, f) for d, _, files in os.walk(shared_data) for f in files]
    theirs = [Path(f) for f in (*get_testdata_files(), *get_charset_files())]
    return sorted({p for p in (*ours, *theirs) if p.is_file()})
