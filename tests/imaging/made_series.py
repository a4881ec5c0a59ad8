"""Series made for tests: one file an image, of known geometry and pixels."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

TRANSVERSE = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def make_image(pixels, position, **attributes):
    """Return the data set of one image."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = attributes.pop("syntax", ExplicitVRLittleEndian)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.3", "1.2.3.1"
    ds.PatientID, ds.PatientName, ds.Modality = "1", "Doe^Jane", "CT"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.Rows, ds.Columns = pixels.shape[:2]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8 * pixels.dtype.itemsize
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds.ImageOrientationPatient = list(TRANSVERSE)
    ds.PixelSpacing = [0.5, 0.5]
    if position is not None:
        ds.ImagePositionPatient = [f"{v:.10g}" for v in position]
    for keyword, value in attributes.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    ds.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    ds["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    return ds


def write_series(folder, images, names=None):
    """Write images to a folder, and return the files in the order of the images."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, ds in enumerate(images):
        name = f"{number:04d}.dcm" if names is None else names[number]
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{number + 1}"
        ds.save_as(folder / name, enforce_file_format=True)
        files.append(folder / name)
    return files


def ramp(number, rows=6, columns=5, dtype=np.int16):
    """Return pixels that no other image of a series has."""
    return (np.arange(rows * columns).reshape(rows, columns) + 100 * number).astype(dtype)


def stack(heights, **attributes):
    """Return transverse images at these heights (mm), whose pixels tell which is which."""
    return [make_image(ramp(i), (10, 20, z), **attributes) for i, z in enumerate(heights)]


def enhanced(per_frame, shared, **attributes):
    """Return an enhanced multi-frame data set."""
    pixels = np.stack([ramp(i) for i in range(len(per_frame))])
    ds = make_image(ramp(0), None, Modality="MR", ImageOrientationPatient=None, PixelSpacing=None)
    ds.NumberOfFrames = len(per_frame)
    ds.PixelData = pixels.tobytes()
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = per_frame
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def group(**items):
    """Return the functional groups of a frame: sequence -> attributes of its item."""
    ds = Dataset()
    for sequence, values in items.items():
        item = Dataset()
        for keyword, value in values.items():
            setattr(item, keyword, value)
        setattr(ds, sequence, [item])
    return ds
