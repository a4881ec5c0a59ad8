"""Results of a pretend model on a phantom, for the tests of annotation."""

import datetime as dt
import shutil
import subprocess

import numpy as np

from tests.conftest import missing
from workbench.annotation.finding import (
    DIAMETER,
    LUNG,
    MILLILITRE,
    MILLIMETRE,
    NODULE,
    PROBABILITY,
    SHARE,
    VOLUME,
    Algorithm,
    Finding,
    Measurement,
)

NOW = dt.datetime(2024, 5, 6, 7, 8, 9)  # noqa: DTZ001 - DICOM's times are local
MODEL = Algorithm("Nodule finder", "1.2.0", "The Workbench", "ab" * 32)


def mask_of(volume, numbers):
    mask = np.zeros(volume.shape, np.uint8)
    rng = np.random.default_rng(4)
    for number in numbers:
        z, y, x = (int(rng.integers(3, n - 6)) for n in volume.shape)
        mask[z : z + 3, y : y + 4, x : x + 5] = number
    return volume.copy(data=mask)


def finding(number, volume_ml=1.5, diameter_mm=14.2):
    return Finding(
        number,
        NODULE,
        LUNG,
        (
            Measurement(VOLUME, volume_ml, MILLILITRE),
            Measurement(DIAMETER, diameter_mm, MILLIMETRE),
        ),
    )


def score(value):
    return Measurement(PROBABILITY, value, SHARE)


def errors_of(path):
    if shutil.which("dciodvfy") is None:
        missing("dciodvfy (dicom3tools) is not installed")
    done = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if line.startswith("Error")]
