"""Pipeline: a bundle over a cohort, end to end, beside the bare network and a script of MONAI.

Each measurement runs in a process of its own, with the libraries imported, the weights loaded and
the files in the page cache; measurements are taken in turns, so that a busy machine slows all.
What others do on the machine changes the clock more than the work: processor time is told beside
it. Before any time is told, the masks of the pipeline and of the script are compared.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.row import Row

ROOT = Path(__file__).parents[1]
EXAMS, SLICES, SIDE = 4, 48, 512
APART_MM, PIXEL_MM = 2.5, 0.7
REPEATS = 3
WINDOW, BATCH, OVERLAP = 96, 1, 0.25
NETWORKS = {
    "light": {"channels": [8, 16, 32], "strides": [2, 2], "num_res_units": 0},
    "usual": {"channels": [16, 32, 64, 128], "strides": [2, 2, 2], "num_res_units": 2},
}
"""A network that is cheap beside reading, and one as bundles have it."""
SPACING_MM = 1.5


def run() -> list[Row]:
    """Measure all, and return the rows."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(EXAMS):
            write_exam(folder / "dicom" / f"{number}", number)
        for kind, network in NETWORKS.items():
            write_bundle(folder / kind, network)
            compare(folder, kind)
            taken = [{who: measure(who, folder, kind) for who in WORK} for _ in range(REPEATS)]
            best = {
                (who, what): min(t[who][what] for t in taken)
                for who in WORK for what in ("wall", "cpu", "peak")
            }  # fmt: skip
            rows += _rows(kind, best)
    return rows


def _rows(kind: str, best: dict[tuple[str, str], float]) -> list[Row]:
    many = f"{EXAMS} CT, {kind} network"
    held = kind == "usual"
    return [
        Row(
            f"{many}, end to end, beside bytes read and bare network",
            best["pipeline", "wall"], best["bare", "wall"], 1.15 if held else None,
        ),
        Row(
            "the same, processor time", best["pipeline", "cpu"], best["bare", "cpu"],
        ),
        Row(
            "the same beside a script of MONAI alone, wall clock",
            best["pipeline", "wall"], best["script", "wall"], None if held else 1 / 1.5,
        ),
        Row("the same, processor time", best["pipeline", "cpu"], best["script", "cpu"]),
        Row(
            "memory at its peak, beside the script", best["pipeline", "peak"],
            best["script", "peak"], None, "GB",
        ),
    ]  # fmt: skip


def write_exam(folder: Path, seed: int) -> None:
    """Write a CT series of noise and lungs."""
    from benchmarks.ct_files import make_series, move_slice

    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    body = np.where(x**2 + (1.4 * y) ** 2 < 0.6, 1064.0, 24.0)
    dataset = make_series(0)
    dataset.PixelSpacing = [PIXEL_MM, PIXEL_MM]
    dataset.StudyInstanceUID = f"1.2.{seed + 1}"
    dataset.SeriesInstanceUID = f"1.2.{seed + 1}.1"
    for number in range(SLICES):
        move_slice(dataset, 0, number)
        dataset.ImagePositionPatient = [0, 0, APART_MM * number]
        lung = (np.abs(x) - 0.35) ** 2 + y**2 < 0.06 + 0.0005 * number
        values = np.where(lung, 200.0, body) + rng.normal(0, 12, body.shape)
        dataset.PixelData = np.clip(values, 0, 4095).astype("<u2").tobytes()
        dataset["PixelData"].VR = "OW"
        dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        dataset.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)


def write_bundle(folder: Path, network: dict[str, Any]) -> None:
    """Write a bundle with random weights."""
    import safetensors.torch
    import torch
    from monai.networks.nets import UNet

    told = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2, "norm": "BATCH"} | network
    torch.manual_seed(1)
    state = UNet(**told).state_dict()
    steps = [
        {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS", "labels": None},
        {"_target_": "Spacingd", "keys": "image", "pixdim": [SPACING_MM] * 3, "dtype": None},
        {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -1000, "a_max": 400,
         "b_min": 0, "b_max": 1, "clip": True},
    ]  # fmt: skip
    config = {
        "network_def": {"_target_": "UNet", **told},
        "preprocessing": {"_target_": "Compose", "transforms": steps},
        "inferer": {
            "_target_": "SlidingWindowInferer", "roi_size": [WINDOW] * 3, "sw_batch_size": BATCH,
            "overlap": OVERLAP,
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [{"_target_": "AsDiscreted", "keys": "pred", "argmax": True}],
        },
    }  # fmt: skip
    channels = {"0": "background", "1": "nodule"}
    pred = {"type": "image", "format": "segmentation", "num_channels": 2, "channel_def": channels}
    meta = {
        "version": "0.1.0", "monai_version": "1.6.1", "task": "Measure speed",
        "network_data_format": {"outputs": {"pred": pred}},
    }  # fmt: skip
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "configs" / "metadata.json").write_text(json.dumps(meta))
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    safetensors.torch.save_file(state, folder / "models" / "model.safetensors")


def measure(who: str, folder: Path, kind: str) -> dict[str, float]:
    """Return seconds, seconds of processors and peak memory (GB) in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.pipeline", who, str(folder), kind],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(folder: Path, kind: str) -> None:
    """Raise if the masks of the pipeline and of the script differ."""
    from workbench.pipelines.results import Results

    measure("pipeline", folder, kind)
    measure("script", folder, kind)
    ours = Results(folder / f"{kind} results")
    for number in range(EXAMS):
        theirs = np.load(folder / f"{kind} script" / f"{number}.npy")
        agree = float((ours.mask(str(number)).values == theirs).mean())
        if agree < 0.9999:
            raise SystemExit(f"{kind}: masks agree in {agree:.4%} of the voxels only")


def _pipeline(folder: Path, kind: str) -> Callable[[], object]:
    """Apply a pipeline, all cores."""
    import shutil

    from workbench.pipelines.pipeline import Pipeline

    pipeline = Pipeline.load(folder / kind)
    exams = {path.name: path for path in sorted((folder / "dicom").iterdir())}
    out = folder / f"{kind} results"
    shutil.rmtree(out, ignore_errors=True)

    def work() -> None:
        found = pipeline.apply(exams, out, device=DEVICE)
        if set(found.rows()["reason"]) != {""}:
            raise SystemExit(str(found))

    return work


def _network(folder: Path, kind: str) -> Any:  # noqa: ANN401 - a torch.nn.Module
    from workbench.pipelines.bundle import read_bundle

    return read_bundle(folder / kind).network().to(_device())


def _bare(folder: Path, kind: str) -> Callable[[], object]:
    """Read the bytes, and call the network as often, on as large batches, with all cores."""
    import torch

    network = _network(folder, kind)
    exams = sorted((folder / "dicom").iterdir())
    windows = count_windows()
    batch = torch.rand(BATCH, 1, WINDOW, WINDOW, WINDOW, device=_device())

    def work() -> None:
        for exam in exams:
            for path in exam.iterdir():
                path.read_bytes()
            with torch.inference_mode():
                for _ in range(-(-windows // BATCH)):
                    network(batch)
        if _device() == "cuda":
            torch.cuda.synchronize()

    return work


def count_windows() -> int:
    """Return how many windows a sliding window has over one exam."""
    from monai.data.utils import dense_patch_slices
    from monai.inferers.utils import _get_scan_interval

    plane = (SIDE - 1) * PIXEL_MM / SPACING_MM + 1
    depth = (SLICES - 1) * APART_MM / SPACING_MM + 1
    size = [max(round(n), WINDOW) for n in (plane, plane, depth)]
    interval = _get_scan_interval(size, [WINDOW] * 3, 3, [OVERLAP] * 3)
    return len(dense_patch_slices(size, [WINDOW] * 3, interval))


def _script(folder: Path, kind: str) -> Callable[[], object]:
    """Do the same as scripts of MONAI do it: one exam after another, with all cores."""
    import torch
    from monai.data.meta_tensor import MetaTensor
    from monai.inferers.inferer import SlidingWindowInferer
    from monai.transforms import (
        AsDiscreted,
        Compose,
        EnsureChannelFirstd,
        Invertd,
        LoadImaged,
        Orientationd,
        SaveImaged,
        ScaleIntensityRanged,
        Spacingd,
    )  # fmt: skip

    network = _network(folder, kind)
    before = Compose([
        LoadImaged("image", reader="PydicomReader"), EnsureChannelFirstd("image"),
        Orientationd("image", axcodes="RAS", labels=None),
        Spacingd("image", pixdim=[SPACING_MM] * 3, dtype=None),
        ScaleIntensityRanged("image", -1000, 400, 0, 1, clip=True),
    ])  # fmt: skip
    out = folder / f"{kind} script"
    after = Compose([
        AsDiscreted("pred", argmax=True),
        Invertd("pred", before, orig_keys="image", nearest_interp=True, to_tensor=True),
    ])  # fmt: skip
    save = SaveImaged("pred", output_dir=out, print_log=False)
    inferer = SlidingWindowInferer([WINDOW] * 3, BATCH, OVERLAP)
    exams = sorted((folder / "dicom").iterdir())
    keep = not out.exists()

    def work() -> None:
        for exam in exams:
            item = before({"image": exam})
            with torch.inference_mode():
                raw = inferer(item["image"][None].to(_device()), network)[0].cpu()
            item["pred"] = MetaTensor(raw, affine=item["image"].affine, meta=item["image"].meta)
            item = save(after(item))
            if keep:
                np.save(out / f"{exam.name}.npy", np.asarray(item["pred"])[0].T.astype("u1"))

    return work


DEVICE = "auto"


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


WORK = {"pipeline": _pipeline, "bare": _bare, "script": _script}
"""What is measured -> how it is made."""


def _watch(peak: list[float], end: threading.Event) -> None:
    """Note the largest resident memory (GB) while something runs."""
    while not end.wait(0.02):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        peak[0] = max(peak[0], pages * resource.getpagesize() / 1e9)


def main(who: str, folder: Path, kind: str) -> None:
    """Measure in this process, and print what it took."""
    import monai.transforms  # noqa: F401 - it takes 8 s, and is not what is measured
    import zarr  # noqa: F401

    import workbench.imaging.volume_file  # noqa: F401
    from workbench.dicom.headers import read_headers

    first = next((folder / "dicom" / "0").iterdir())
    read_headers([str(first)], [first.stat().st_size])  # compiled code is loaded once
    work = WORK[who](folder, kind)
    peak, end = [0.0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(peak, end))
    watcher.start()
    start, used = time.perf_counter(), os.times()
    work()
    taken, now = time.perf_counter() - start, os.times()
    end.set()
    watcher.join()
    cpu = now.user + now.system - used.user - used.system
    print(json.dumps({"wall": taken, "cpu": cpu, "peak": peak[0]}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
