"""Walk: a large archive scanned by one process and by two, scanned again, and listed in memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.row import Row

ROOT = Path(__file__).parents[1]
FILES = 200_000
REPEATS = 7
ENTRIES = 10_000_000
MEMORY = "/dev/shm"
"""Files in memory: how fast a disk writes differs from minute to minute."""
IMAGE_BYTES = 524_288
_SERIES, _EXAM, _PATIENT = 200, 400, 800
"""Files of a series, of an exam and of a patient."""
_UID = "1.2.826.0.1.3680043.8.498.1%014d"
_SCAN = """
import json, sys, time
from benchmarks.walk import warm
from workbench.catalog import scan as module
folder, out, workers, ready = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "warm"
warm(0)
crew = module.Crew(workers)
if ready:  # imports are not counted, in whichever process
    list(crew.compute(warm, range(4 * workers)))
    module.Crew = lambda _: crew
start = time.perf_counter()
catalog = module.scan(folder, out, workers=workers)
print(json.dumps([time.perf_counter() - start, catalog.counts["instances"]]))
"""
_WALK = """
import os, sys, time
start, waiting = time.perf_counter(), [sys.argv[1]]
while waiting:
    with os.scandir(waiting.pop()) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            else:
                entry.stat(follow_symlinks=False)
print(time.perf_counter() - start)
"""
_MEMORY = """
import resource, sys
from pathlib import Path
from benchmarks.walk import make_archive, reader_of, simulate
import workbench.catalog.part as part
import workbench.catalog.scan as module
folder, number, changed = Path(sys.argv[1]), int(sys.argv[2]), 0
make_archive(folder / "one", 1)
(folder / "archive").mkdir()
part.read_headers = reader_of(folder / "one")
module.walk = lambda *_, **__: simulate(number, changed)
first = module.scan(folder / "archive", folder / "catalog")
again = module.scan(folder / "archive", folder / "catalog")
changed = 1
other = module.scan(folder / "archive", folder / "catalog")
assert first.counts["instances"] == again.counts["instances"] == other.counts["instances"] == number
assert first.record["generation"] == again.record["generation"] < other.record["generation"]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def run() -> Iterator[Row]:
    held = MEMORY if Path(MEMORY).is_dir() else None
    with tempfile.TemporaryDirectory(prefix="walk-", dir=held) as name:
        folder = Path(name)
        make_archive(folder / "archive", FILES)
        kinds = {"one": (1, "warm"), "two": (2, "warm"), "cold": (2, "cold")}
        taken = []
        for i in range(REPEATS):  # in turns, so that a busy machine slows all
            catalogs = {kind: f"catalog-{kind}-{i}" for kind in kinds}
            times = {kind: _scan(folder, catalogs[kind], *kinds[kind]) for kind in kinds}
            with ThreadPoolExecutor(2) as both:  # what this machine's two cores give at best
                alone = [both.submit(_scan, folder, f"catalog-{k}-{i}", 1, "warm") for k in "ab"]
                times["both"] = max(scan.result() for scan in alone) / 2
            times["again"] = _scan(folder, catalogs["one"], 1, "warm")
            times["walk"] = _walk(folder / "archive")
            taken.append(times)
        best = {kind: min(times[kind] for times in taken) for kind in taken[0]}
        one = best["one"]
        yield Row(f"scan of {FILES:,} files, one process", one)
        yield Row(f"scan of {FILES:,} files, two processes over one", best["two"], one, 1 / 1.7)
        yield Row("two such scans at once, each by one process, for one", best["both"], one)
        yield Row("the two processes of one scan, their start counted", best["cold"], one)
        yield Row(
            f"scan of {FILES:,} unchanged files over os.scandir with stat",
            best["again"], best["walk"], 1.5,
        )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="walk-") as name:
        peak = float(_python(_MEMORY, name, str(ENTRIES)))
        about = f"memory to scan {ENTRIES:,} files, unchanged and changed ones again"
        yield Row(about, peak, limit=1.5, unit="GiB")


def warm(_: int) -> None:
    """Import and load what reads headers, and writes tables of them."""
    import workbench.catalog.scan  # noqa: F401
    from workbench.dicom.headers import read_headers

    read_headers(["x"], [0])
    time.sleep(0.2)  # so that another process takes the next


def _scan(folder: Path, catalog: str, workers: int, start: str) -> float:
    words = (str(folder / "archive"), str(folder / catalog), str(workers), start)
    seconds, instances = json.loads(_python(_SCAN, *words))
    if instances != FILES:
        raise RuntimeError(f"{instances} instances")
    return float(seconds)


def _walk(folder: Path) -> float:
    return float(_python(_WALK, str(folder)))


def _python(code: str, *words: str) -> str:
    # One thread of polars for each process: processes are compared, not threads.
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "POLARS_MAX_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def make_archive(root: Path, files: int) -> None:
    """Write CT files that differ in patient, exam, series, instance and place; pixels are holes."""
    content = _template()
    places = {name: content.index(_marker(name)) for name in ("patient", "exam", "series", "file")}
    slots = {"patient": _PATIENT, "exam": _EXAM, "series": _SERIES, "file": 1}
    twice = content.index(_marker("file"), places["file"] + 1)  # in the file meta information too
    z = content.index(b"-12345.5")
    for number in range(files):
        header = bytearray(content)
        for name, place in places.items():
            header[place : place + len(_marker(name))] = _value(name, number // slots[name])
        header[twice : twice + len(_marker("file"))] = _value("file", number)
        header[z : z + 8] = b"%-8.2f" % (number % _SERIES * 1.25)
        folder = root / f"p{number // _PATIENT:05d}" / f"s{number // _SERIES:05d}"
        if number % _SERIES == 0:
            folder.mkdir(parents=True)
        with (folder / f"image-{number % _SERIES:04d}.dcm").open("wb") as file:
            file.write(header)
            file.truncate(len(header) + IMAGE_BYTES)


def _marker(name: str) -> bytes:
    numbers = {"patient": 900001, "exam": 900002, "series": 900003, "file": 900004}
    return _value(name, numbers[name])


def _value(name: str, number: int) -> bytes:
    kinds = {"patient": 1, "exam": 2, "series": 3, "file": 4}
    return (_UID % (number * 10 + kinds[name])).encode()


def _template() -> bytes:
    """Return a CT header as scanners write it, up to the pixels."""
    from io import BytesIO

    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = _marker("file").decode()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    d.SpecificCharacterSet = "ISO_IR 100"
    d.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    d.SOPClassUID, d.SOPInstanceUID = CTImageStorage, _marker("file").decode()
    d.StudyDate = d.SeriesDate = d.AcquisitionDate = d.ContentDate = "20240311"
    d.StudyTime = d.SeriesTime = d.AcquisitionTime = d.ContentTime = "101112.5"
    d.AccessionNumber, d.Modality, d.Manufacturer = "1", "CT", "PRETEND"
    d.StationName, d.StudyDescription, d.SeriesDescription = "CT1", "CT Chest", "Axial 1.25"
    d.ManufacturerModelName, d.PatientName, d.PatientID = "One", "A^B", _marker("patient").decode()
    d.PatientBirthDate, d.PatientSex, d.PatientAge = "19700101", "F", "054Y"
    d.BodyPartExamined, d.SliceThickness, d.KVP, d.DeviceSerialNumber = "CHEST", 1.25, 120, "1"
    d.SoftwareVersions, d.ProtocolName, d.GantryDetectorTilt = "1.0", "Chest", 0
    d.ExposureTime, d.XRayTubeCurrent, d.Exposure, d.ConvolutionKernel = 500, 200, 100, "STD"
    d.StudyInstanceUID, d.SeriesInstanceUID = _marker("exam").decode(), _marker("series").decode()
    d.SeriesNumber, d.AcquisitionNumber, d.InstanceNumber = 2, 1, 1
    d.ImagePositionPatient = [-250, -250, "-12345.5"]
    d.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    d.FrameOfReferenceUID = "1.2.3"
    d.SamplesPerPixel, d.PhotometricInterpretation, d.Rows, d.Columns = 1, "MONOCHROME2", 512, 512
    d.PixelSpacing = [0.9765625, 0.9765625]
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 12, 11, 1
    d.RescaleIntercept, d.RescaleSlope = -1024, 1
    d.PixelData = b"\0" * IMAGE_BYTES
    d["PixelData"].VR = "OW"
    held = BytesIO()
    d.save_as(held, enforce_file_format=True)
    return held.getvalue()[:-IMAGE_BYTES]


def simulate(number: int, changed: int = 0) -> Iterator[object]:
    """Yield the entries of an archive that is not there, in the order of no sort.

    Parameters
    ----------
    number
        How many.
    changed
        How many of a hundred have another time.
    """
    import numpy as np
    import polars as pl

    for start in range(0, number, 100_000):
        place = np.arange(start, min(number, start + 100_000)) * 2654435761 % number
        text = pl.Series(place).cast(pl.String)
        yield pl.DataFrame(
            {
                "path": "archive/hospital/" + text.str.zfill(9) + "/exam-1.2.826.0.1.3680043/"
                + "series-" + text.str.tail(2) + "/image-" + text + ".dcm",
                "size": pl.Series(np.full(len(place), IMAGE_BYTES)),
                "mtime_ns": pl.Series(1_700_000_000_000_000_000 + place + (place % 100 < changed)),
                "inode": pl.Series(place.astype(np.uint64)),
            }
        ).with_columns(reason=pl.lit(None, pl.String), detail=pl.lit(None, pl.String))  # fmt: skip


def reader_of(folder: Path) -> Callable[..., tuple[object, list[object]]]:
    """Return what reads the headers of a simulated archive: each is that of the one file here."""
    import numpy as np
    import polars as pl

    from workbench.dicom.headers import read_headers

    path = next(folder.rglob("*.dcm"))
    one, _ = read_headers([path.name], [path.stat().st_size], [0], root=path.parent)

    def read(
        paths: Sequence[str], sizes: Sequence[int], mtimes_ns: Sequence[int], *, root: str
    ) -> tuple[object, list[object]]:
        del root
        number = pl.Series(paths).str.extract("image-([0-9]+)").cast(pl.Int64)
        slots = {
            "patient_id": _PATIENT,
            "exam_uid": _EXAM,
            "series_uid": _SERIES,
            "instance_uid": 1,
        }
        names = [
            (f"1.2.826.0.1.3680043.8.498.{kind}." + (number // of).cast(pl.String)).alias(name)
            for kind, (name, of) in enumerate(slots.items())
        ]
        files = {"path": paths, "size": sizes, "mtime_ns": mtimes_ns}
        given = [pl.Series(name, values) for name, values in files.items()]
        return one[np.zeros(len(number), np.int64)].with_columns(*names, *given), []

    return read
