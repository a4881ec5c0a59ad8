"""Exams made for tests: small CT series as DICOM files, each of its own content."""

import numpy as np

from tests.imaging.made_series import make_image

SLICES, SIDE = 12, 40


def pixels(exam, number):
    """Return a slice of noise with a bright ball, different in every exam."""
    rng = np.random.default_rng((exam, number))
    y, x = np.mgrid[:SIDE, :SIDE]
    ball = (x - 20) ** 2 + (y - 14 - exam % 8) ** 2 + (4 * (number - 6)) ** 2 < 90
    return (np.where(ball, 60, -800) + rng.integers(-60, 60, (SIDE, SIDE))).astype(np.int16)


def series(exam, number=1, *, slices=SLICES, apart=4.0, **attributes):
    """Return the data sets of one series of one exam."""
    told = {
        "StudyInstanceUID": f"1.2.{exam}", "SeriesInstanceUID": f"1.2.{exam}.{number}",
        "PatientID": f"p{exam}", "PixelSpacing": [4.0, 4.0], "SliceThickness": apart,
        "ConvolutionKernel": "B30f", "Manufacturer": "Maker", "PatientSex": "F",
        "PatientAge": "050Y", "RescaleSlope": "1", "RescaleIntercept": "0", "RescaleType": "HU",
        "StudyDate": "20240102", "StudyTime": "030405",
    } | attributes  # fmt: skip
    return [
        make_image(pixels(exam, place), (0, 0, apart * place), **told) for place in range(slices)
    ]


def write_series(folder, images):
    """Write images to a folder, each under a UID of its own, and return the files."""
    folder.mkdir(parents=True)
    files = []
    for number, image in enumerate(images):
        uid = f"{image.SeriesInstanceUID}.{number + 1}"
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uid
        files.append(folder / f"{number:04d}.dcm")
        image.save_as(files[-1], enforce_file_format=True)
    return files


def write_cohort(root, exams=range(1, 7)):
    """Write one series an exam, and return name -> folder."""
    folders = {}
    for exam in exams:
        folders[f"exam {exam}"] = root / f"e{exam}"
        write_series(root / f"e{exam}", series(exam))
    return folders
