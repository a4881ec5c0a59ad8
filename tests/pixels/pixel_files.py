"""DICOM files made of an array, in memory."""

import io

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"


def make_file(pixels, syntax=EXPLICIT, *, encapsulated=None, **changed):
    """Return the bytes of a file whose pixels are these.

    `pixels` has shape (frames, rows, columns[, samples]); `encapsulated` is the value of PixelData
    or a list of compressed frames; `changed` holds other keywords.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = "2.25.1"
    meta.TransferSyntaxUID = syntax
    dataset = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, "2.25.1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "2.25.2", "2.25.3"
    dataset.PatientID, dataset.Modality = "one", "OT"
    samples = pixels.shape[3] if pixels.ndim == 4 else 1
    dataset.SamplesPerPixel = samples
    dataset.PhotometricInterpretation = "MONOCHROME2" if samples == 1 else "RGB"
    if samples > 1:
        dataset.PlanarConfiguration = 0
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pixels.shape[:3]
    bits = 8 * pixels.dtype.itemsize
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    little = syntax != BIG_ENDIAN
    if pixels.dtype.kind == "f":
        keyword = "FloatPixelData" if bits == 32 else "DoubleFloatPixelData"
        setattr(dataset, keyword, pixels.astype("<f4" if bits == 32 else "<f8").tobytes())
    elif encapsulated is None:
        stored = pixels.astype(pixels.dtype.newbyteorder("<" if little else ">")).tobytes()
        dataset.PixelData = stored + bytes(len(stored) % 2)
    else:
        whole = isinstance(encapsulated, bytes)
        dataset.PixelData = encapsulated if whole else encapsulate(list(encapsulated))
        dataset["PixelData"].is_undefined_length = True
    if "PixelData" in dataset:
        dataset["PixelData"].VR = "OB" if bits == 8 or encapsulated is not None else "OW"
    for keyword, value in changed.items():
        setattr(dataset, keyword, value)
    written = io.BytesIO()
    # A transfer syntax newer than pydicom is written as what it is but for the pixels.
    known = pydicom.uid.UID(syntax).is_transfer_syntax
    meta.TransferSyntaxUID = syntax if known else RLE
    pydicom.dcmwrite(
        written,
        dataset,
        implicit_vr=syntax == IMPLICIT,
        little_endian=little,
        enforce_file_format=True,
    )
    if not known:
        return _rename_syntax(written.getvalue(), syntax)
    return written.getvalue()


def make_noise(shape, dtype, seed=0):
    """Return an array of all the values its type has."""
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return random.normal(size=shape).astype(dtype)
    limits = np.iinfo(dtype)
    return random.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def _rename_syntax(file, syntax):
    """Write another transfer syntax into a file."""
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    head = b"\x02\x00\x10\x00UI"
    at = file.index(head) + len(head)
    end = at + 2 + int.from_bytes(file[at : at + 2], "little")
    return file[:at] + len(uid).to_bytes(2, "little") + uid + file[end:]
