"""Volume: a series of CT files to one array of Hounsfield units in memory, beside others.

Each measurement runs in a process of its own on one processor, unless it says all, with the
libraries imported, the compiled code loaded and the files in the page cache. Before any time is
told the voxels and their places are compared with SimpleITK's. Decoders are measured alone, on
bytes already in memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.row import Row

ROOT = Path(__file__).parents[1]
SLICES, COMPRESSED = 200, 24
SIDE = 512
REPEATS = 5
J2K, RLE = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"
FOLDERS = {"native": (SLICES, None), "j2k": (COMPRESSED, J2K), "rle": (SLICES, RLE)}


def run() -> list[Row]:
    """Measure all, and return the rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, (slices, syntax) in FOLDERS.items():
            write_series(folder / kind, slices, syntax)
            compare(folder / kind)
        # Taken in turns, so that a busy machine slows all.
        taken = [{who: measure(who, folder) for who in WORK} for _ in range(REPEATS)]
        best = {who: min(t[who] for t in taken) for who in WORK}
    ours, many, few = best["load"], f"{SLICES} CT slices", f"{COMPRESSED} slices"
    return [
        Row(f"{many} to one array, beside numpy.fromfile", ours, best["numpy"], 1.3),
        Row("the same beside reading into the array itself", ours, best["bytes"]),
        Row("the same on all processors, beside that on one", best["load on all"], best["bytes"]),
        Row("the same beside SimpleITK", ours, best["SimpleITK"], 1 / 3),
        Row("the same beside pydicom", ours, best["pydicom"], 1 / 3),
        Row("the same, opened and not loaded", best["open"], None, None),
        Row("the same, opened, then loaded by Dask", best["dask"], best["numpy"], None),
        Row(f"{few} of JPEG 2000, beside the decoder", best["j2k"], best["j2k alone"], 1.2),
        Row(f"{many} of RLE, beside imagecodecs' decoder", best["rle"], best["rle alone"], 1.2),
    ]


def write_series(folder: Path, slices: int, syntax: str | None) -> None:
    """Write a series of CT files with a body, noise and air, in no order."""
    from benchmarks.ct_files import make_series, move_slice

    folder.mkdir()
    rng = np.random.default_rng(7)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    body = np.where(x**2 + (1.4 * y) ** 2 < 0.6, 1064.0, 24.0)
    dataset = make_series(0)
    for number in range(slices):
        move_slice(dataset, 0, number)
        lung = (np.abs(x) - 0.35) ** 2 + y**2 < 0.06 + 0.0002 * number
        pixels = np.where(lung, 200.0, body) + rng.normal(0, 12, body.shape)
        dataset.PixelData = np.clip(pixels, 0, 4095).astype("<u2").tobytes()
        dataset["PixelData"].VR = "OW"
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        if syntax:
            dataset.compress(syntax, generate_instance_uid=False)
        dataset.save_as(folder / f"{number * 89 % slices:04d}", enforce_file_format=True)


def compare(folder: Path) -> None:
    """Raise if voxels or places are not those of SimpleITK."""
    from workbench.imaging.volume import load_volume

    volume, image = load_volume(folder), _simpleitk(folder)
    if not np.array_equal(volume.values, _array(image)):
        raise SystemExit(f"{folder.name}: the voxels differ")
    affine = np.array(volume.attrs["affine"])
    if not np.allclose(affine[:3, 3], image.GetOrigin(), atol=1e-3):
        raise SystemExit(f"{folder.name}: the places differ")
    if not np.allclose(np.diag(affine)[:3], image.GetSpacing(), atol=1e-3):
        raise SystemExit(f"{folder.name}: the spacings differ")


def measure(who: str, folder: Path) -> float:
    """Return the seconds of one run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.volume", who, str(folder)],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return float(json.loads(done.stdout.splitlines()[-1]))


def _files(folder: Path) -> list[str]:
    return sorted(str(p) for p in folder.iterdir())


def _load(folder: Path) -> Callable[[], object]:
    from workbench.imaging.volume import load_volume

    return lambda: load_volume(folder)


def _open(folder: Path) -> Callable[[], object]:
    from workbench.imaging.volume import open_volume

    return lambda: open_volume(folder)


def _dask(folder: Path) -> Callable[[], object]:
    from workbench.imaging.volume import open_volume

    return lambda: open_volume(folder).load()


def _numpy(folder: Path) -> Callable[[], object]:
    """Read the bytes of the pixels, where they are known to be, into one array."""
    files, count = _files(folder), SIDE * SIDE
    offsets = [Path(f).stat().st_size - 2 * count for f in files]

    def read() -> np.ndarray:
        out = np.empty((len(files), SIDE, SIDE), "<u2")
        for i, file in enumerate(files):
            out[i] = np.fromfile(file, "<u2", count, offset=offsets[i]).reshape(SIDE, SIDE)
        return out

    return read


def _bytes(folder: Path) -> Callable[[], object]:
    """Read the same straight into the array: what no reader can do without."""
    files, count = _files(folder), SIDE * SIDE
    offsets = [Path(f).stat().st_size - 2 * count for f in files]

    def read() -> np.ndarray:
        out = np.empty((len(files), SIDE, SIDE), "<u2")
        for path, offset, target in zip(files, offsets, out, strict=True):
            with Path(path).open("rb", buffering=0) as file:
                file.seek(offset)
                file.readinto(target.data)
        return out

    return read


def _simpleitk(folder: Path) -> Any:  # noqa: ANN401 - an image of SimpleITK
    import SimpleITK

    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    return SimpleITK.ReadImage(names)


def _array(image: Any) -> np.ndarray:  # noqa: ANN401
    import SimpleITK

    return SimpleITK.GetArrayFromImage(image)


def _by_simpleitk(folder: Path) -> Callable[[], object]:
    return lambda: _array(_simpleitk(folder))


def _by_pydicom(folder: Path) -> Callable[[], object]:
    """Stack pixel arrays by position, as pydicom's manual does."""
    import pydicom
    from pydicom.pixels import apply_rescale

    def read() -> np.ndarray:
        slices = [pydicom.dcmread(f) for f in _files(folder)]
        slices.sort(key=lambda s: s.ImagePositionPatient[2])
        return np.stack([apply_rescale(s.pixel_array, s) for s in slices])

    return read


def _j2k_alone(folder: Path) -> Callable[[], object]:
    from imagecodecs import jpeg2k_decode

    streams = _streams(folder)
    return lambda: [jpeg2k_decode(s) for s in streams]


def _rle_alone(folder: Path) -> Callable[[], object]:
    from imagecodecs import dicomrle_decode

    streams = _streams(folder)
    return lambda: [dicomrle_decode(s, "u2") for s in streams]


def _streams(folder: Path) -> list[bytes]:
    """Return the compressed frame of each file."""
    import pydicom
    from pydicom.encaps import generate_frames

    read = (pydicom.dcmread(f).PixelData for f in _files(folder))
    return [next(generate_frames(data, number_of_frames=1)) for data in read]


WORK: dict[str, tuple[Callable[[Path], Callable[[], object]], str]] = {
    "load": (_load, "native"),
    "load on all": (_load, "native"),
    "open": (_open, "native"),
    "dask": (_dask, "native"),
    "numpy": (_numpy, "native"),
    "bytes": (_bytes, "native"),
    "SimpleITK": (_by_simpleitk, "native"),
    "pydicom": (_by_pydicom, "native"),
    "j2k": (_load, "j2k"),
    "j2k alone": (_j2k_alone, "j2k"),
    "rle": (_load, "rle"),
    "rle alone": (_rle_alone, "rle"),
}
"""What is measured -> how it is made, and on which series."""


def main(who: str, folder: Path) -> None:
    """Measure in this process, and print seconds."""
    if not who.endswith("on all"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    make, kind = WORK[who]
    work = make(folder / kind)
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    print(json.dumps(min(taken[1:])), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
