"""What the commands cost: help, nothing to do, the runner beside papermill, the whole study."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.row import Row

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "studies" / "imaging_service"
SITE = ROOT / "datasets" / "idc" / "upenn_gbm" / "site.toml"
WORKBENCH = [sys.executable, "-m", "workbench"]


def seconds(command: list[str], *, times: int = 1, cwd: Path = ROOT) -> float:
    """Return the median wall time of a command that must end well."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run(
            command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def run() -> list[Row]:
    """Measure each command and return one row a figure."""
    with tempfile.TemporaryDirectory() as folder:
        runs, study = (
            Path(folder) / "runs",
            Path(folder) / "repository" / "studies" / "imaging_service",
        )
        shutil.copytree(STUDY, study, ignore=shutil.ignore_patterns("releases"))
        (study.parents[1] / "datasets").symlink_to(ROOT / "datasets")
        seconds([*WORKBENCH, "--help"])
        once = [*WORKBENCH, "run", str(STUDY), "--site", str(SITE), "--runs", str(runs)]
        first = seconds(once)
        stock = seconds(
            [
                sys.executable,
                "-m",
                "benchmarks.peers.papermill_steps",
                str(STUDY),
                str(SITE),
                folder,
            ]
        )
        rows = [
            Row(
                "workbench --help",
                ours=seconds([*WORKBENCH, "--help"], times=5),
                limit=0.5,
                unit="s",
            ),
            Row("a run with nothing to do", ours=seconds(once, times=5), limit=2.0, unit="s"),
            Row(
                "one site's steps, beside papermill in one process",
                ours=first,
                peer=stock,
                limit=1.2,
                unit="s",
            ),
        ]
        collections = sorted((ROOT / "datasets" / "idc").glob("*/site.toml"))
        everywhere = [str(study), "--runs", str(Path(folder) / "all")]
        everywhere += [word for site in collections for word in ("--site", str(site))]
        start = time.perf_counter()
        for verb in (
            ["run", *everywhere, "--jobs", "2"],
            ["release", *everywhere, "--yes", "--quiet", "--jobs", "2"],
            ["pool", str(study)],
        ):
            subprocess.run([*WORKBENCH, *verb], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        rows.append(
            Row(
                f"{len(collections)} institutions: run, release, pool",
                ours=time.perf_counter() - start,
                limit=90,
                unit="s",
            )
        )
    return rows
