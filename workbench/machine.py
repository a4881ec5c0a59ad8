"""Machine: what this computer has, what it lacks, and what follows for a study.

Only the standard library is used, so the report also comes where the environment is broken.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distributions, entry_points, requires, version
from pathlib import Path
from typing import Literal

from workbench.capacity import read_cores, read_memory
from workbench.display import size
from workbench.running.publication import RUNS

PROJECT = "imaging-workbench"
PYTHONS = ((3, 11), (3, 13))
"""From the first, below the second."""
RUN_MEMORY = 1_000_000_000
"""Bytes that the run of one site needs: twice what a million series took when measured."""
RUN_DISK = 200_000_000
"""Bytes free for runs, below which a study should not start."""
GROUPS = {
    "lab": "JupyterLab, figures and dashboards do not work",
    "datasets": "the public sites of this checkout cannot be opened",
    "imaging": "images themselves cannot be read or computed",
}
"""Extra of the project -> what does not work without it."""
PROGRAMS = {
    "Chromium": (("chromium", "chromium-browser", "google-chrome"), "tests of pages are skipped"),
    "Orthanc": (("Orthanc", "orthanc"), "tests against a DICOM server of others are skipped"),
    "DCMTK": (("storescp", "dcmqrscp"), "tests against the DICOM tools of others are skipped"),
    "dicom3tools": (("dciodvfy",), "written DICOM objects are not validated by others"),
}
"""Program of others -> its commands, and what follows where there is none."""
_SAMPLE = "Aя中—"

Status = Literal["ok", "lacks", "stops"]


@dataclass(frozen=True)
class Fact:
    """Say what the machine has of one thing.

    Parameters
    ----------
    what
        The thing.
    found
        What there is of it.
    status
        "ok", "lacks" (something does not work, or slowly) or "stops" (no study can run).
    follows
        What follows, and what to do about it.

    Examples
    --------
    >>> Fact("cores", "2", follows="run --jobs 2 runs two sites at a time").status
    'ok'
    """

    what: str
    found: str
    status: Status = "ok"
    follows: str = ""


def inspect_machine(runs: Path = RUNS, *, torch: bool = False) -> list[Fact]:
    """Return what the machine has and lacks; changes nothing and reaches no network.

    Parameters
    ----------
    runs
        Where runs are kept; the nearest folder above counts if it does not exist.
    torch
        Whether to start torch as well, which takes seconds, and ask what it can use.
    """
    checks: tuple[Callable[[], Iterator[Fact]], ...] = (
        _python,
        _packages,
        _papermill,
        _kernel,
        _memory,
        _cores,
        lambda: _folders(runs),
        _encoding,
        _fonts,
        _programs,
        lambda: _gpu(torch),
    )
    return [fact for check in checks for fact in check()]


def _python() -> Iterator[Fact]:
    here = sys.version_info[:2]
    found = sys.version.split()[0]
    if PYTHONS[0] <= here < PYTHONS[1]:
        yield Fact("Python", found)
    else:
        yield Fact("Python", found, "stops", "Make the environment with Python 3.11 or 3.12")


def _packages() -> Iterator[Fact]:
    try:
        yield Fact("Workbench", version(PROJECT))
        asked = requires(PROJECT) or []
    except PackageNotFoundError:
        yield Fact("Workbench", "not installed", "stops", "Install it: make study, or pip install")
        return
    installed: dict[str, str] = {}
    for held in distributions():
        installed.setdefault(_normal(held.name), held.version)  # the first one is imported
    for group in ("", *GROUPS):
        wanted = [_requirement(text) for text in asked if _group(text) == group]
        bad = [
            f"{name} {installed.get(name) or 'missing'}"
            for name, least, below in wanted
            if not _fits(installed.get(name), least, below)
        ]
        name = f"packages, {group}" if group else "packages"
        if bad:
            follows = f"pip install '{PROJECT}[{group}]'" if group else "pip install -r the lock"
            what = f"{_upper(GROUPS[group])}: " if group else "A study cannot run: "
            status: Status = "lacks" if group else "stops"
            listed = ", ".join(bad[:4]) + (f" and {len(bad) - 4} more" if len(bad) > 4 else "")
            yield Fact(name, listed, status, what + follows)
        else:
            count = f"all {len(wanted)}: " if len(wanted) > 1 else ""
            yield Fact(name, count + _notable(wanted, installed))


def _notable(wanted: list[tuple[str, str, str]], installed: dict[str, str]) -> str:
    keys = ("papermill", "dask", "polars", "xarray", "jupyterlab", "voila", "torch", "monai")
    names = {name for name, _, _ in wanted}
    shown = [f"{key} {installed[key]}" for key in keys if key in names]
    return ", ".join(shown or [f"{name} {installed[name]}" for name in sorted(names)])


def _papermill() -> Iterator[Fact]:
    broken = sorted(
        {
            f"{point.name} ({point.dist.name if point.dist else point.module})"
            for group in ("papermill.io", "papermill.engine", "papermill.translators")
            for point in entry_points(group=group)
            if importlib.util.find_spec(point.module.partition(".")[0]) is None
        }
    )
    if broken:
        follows = "papermill fails at its start: uninstall or repair these packages"
        yield Fact("papermill plug-ins", f"broken: {', '.join(broken)}", "stops", follows)
    else:
        yield Fact("papermill plug-ins", "all can be found")


def _kernel() -> Iterator[Fact]:
    places = [Path(p) for p in os.environ.get("JUPYTER_PATH", "").split(os.pathsep) if p]
    places += [Path(sys.prefix, "share/jupyter"), Path.home() / ".local/share/jupyter"]
    places += [Path("/usr/local/share/jupyter"), Path("/usr/share/jupyter")]
    todo = "No notebook can run: python -m ipykernel install --sys-prefix"
    for place in places:
        path = place / "kernels/python3/kernel.json"
        try:
            command = json.loads(path.read_text("utf-8"))["argv"][0]
        except (OSError, ValueError, KeyError, IndexError, TypeError):
            continue
        if shutil.which(str(command)):
            yield Fact("kernel python3", "installed")
        else:
            yield Fact("kernel python3", "names a Python that is not there", "stops", todo)
        return
    yield Fact("kernel python3", "not installed", "stops", todo)


def _memory() -> Iterator[Fact]:
    free, total = read_memory()
    sites = int(free // RUN_MEMORY)
    found = f"{size(free)} free of {size(total)}"
    if not sites:
        follows = f"A run needs about {size(RUN_MEMORY)} a site: close other programs"
        yield Fact("memory", found, "lacks", follows)
        return
    room = "enough for one site" if sites == 1 else f"enough for {sites} sites"
    yield Fact("memory", found, "ok", f"{room} at a time, at about {size(RUN_MEMORY)} each")


def _cores() -> Iterator[Fact]:
    cores = read_cores()
    follows = f"run --jobs {cores} runs as many sites at a time" if cores > 1 else ""
    yield Fact("cores", f"{cores}", "ok", follows)


def _folders(runs: Path) -> Iterator[Fact]:
    place = runs.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        follows = "No run can be kept: name another folder with --runs"
        yield Fact("runs folder", "cannot be written to", "stops", follows)
    else:
        free = shutil.disk_usage(place).free
        found = f"{size(free)} free"
        if free < RUN_DISK:
            follows = "Make room: workbench clean, or name another disk with --runs"
            yield Fact("runs folder", found, "lacks", follows)
        else:
            follows = "a run takes 1 MB and its exam table; images are not copied"
            yield Fact("runs folder", found, "ok", follows)
    try:
        with tempfile.TemporaryFile():
            yield Fact("temporary folder", "can be written to")
    except OSError:
        follows = "No kernel can start: set TMPDIR to a folder that can be written to"
        yield Fact("temporary folder", "cannot be written to", "stops", follows)


def _encoding() -> Iterator[Fact]:
    encoding = getattr(sys.stdout, "encoding", None) or "none"
    try:
        _SAMPLE.encode(encoding)
        yield Fact("terminal encoding", encoding)
    except (UnicodeEncodeError, LookupError):
        follows = "Russian and Chinese cannot be printed: export PYTHONUTF8=1 LANG=C.UTF-8"
        yield Fact("terminal encoding", encoding, "lacks", follows)


def _fonts() -> Iterator[Fact]:
    shipped = Path(__file__).parent / "resources"
    files = [p for p in shipped.rglob("*") if p.suffix in (".otf", ".ttf", ".woff2")]
    if files:
        yield Fact("Chinese font", f"{files[0].stem}, part of the Workbench")
        return
    listed = _ask("fc-list", ":lang=zh", "family").splitlines()
    if listed:
        yield Fact("Chinese font", listed[0].split(",")[0])
    else:
        follows = "Chinese in PNG is drawn as boxes (not in SVG): install fonts-noto-cjk"
        yield Fact("Chinese font", "none", "lacks", follows)


def _programs() -> Iterator[Fact]:
    for name, (commands, follows) in PROGRAMS.items():
        found = next((path for c in commands if (path := shutil.which(c))), None)
        yield Fact(
            name, found or "none", "ok" if found else "lacks", "" if found else _upper(follows)
        )


def _gpu(torch: bool) -> Iterator[Fact]:
    cards = []
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        model = re.search(r"^Model:\s*(.+)$", path.read_text(errors="replace"), re.MULTILINE)
        cards.append(model[1] if model else "NVIDIA")
    if not cards and shutil.which("nvidia-smi"):
        cards = _ask("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines()
    if not cards and Path("/dev/kfd").exists():
        cards = ["AMD"]
    if cards:
        yield Fact("GPU", ", ".join(cards))
    else:
        yield Fact(
            "GPU", "none", "ok", "models train on the processor, slowly; all else is the same"
        )
    if torch:
        yield _torch()


def _torch() -> Fact:
    # In a process of its own: a broken build ends its process, and a good one takes 2 GB.
    code = "import torch; print(torch.__version__, 'CUDA', torch.cuda.is_available())"
    said = _ask(sys.executable, "-P", "-c", code, timeout_s=60).strip()
    if said:
        return Fact("torch", said)
    follows = "Images cannot be computed: pip install 'imaging-workbench[imaging]'"
    return Fact("torch", "cannot be loaded", "lacks", follows)


def _ask(*command: str, timeout_s: float = 1.0) -> str:
    """Return what a program prints, or nothing if it fails or takes too long."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=True
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return done.stdout


def _requirement(text: str) -> tuple[str, str, str]:
    """Return name, least version and first version that is too new."""
    name = re.match(r"[A-Za-z0-9._-]+", text)
    least = re.search(r"(?:>=|==)\s*([0-9.]+)", text)
    below = re.search(r"<\s*([0-9.]+)", text)
    return (
        _normal(name[0] if name else text),
        least[1] if least else "",
        below[1] if below else "",
    )


def _group(text: str) -> str:
    extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", text)
    return extra[1] if extra else ""


def _fits(held: str | None, least: str, below: str) -> bool:
    if held is None:
        return False
    return (not least or _parts(held) >= _parts(least)) and (
        not below or _parts(held) < _parts(below)
    )


def _parts(text: str) -> list[int]:
    numbers = [int(n) for n in re.findall(r"\d+", re.split(r"[a-z+]", text)[0])]
    return numbers + [0] * (4 - len(numbers))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
