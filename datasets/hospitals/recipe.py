"""Make the pretend hospitals: `python datasets/hospitals/recipe.py --exams 60`."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import workbench.phantom
from workbench.phantom.building import build_hospital
from workbench.phantom.cases import FEWEST
from workbench.phantom.hospital import HOSPITALS
from workbench.phantom.scores import MODELS

SEED = 2025
EXAMS, SCORES = 60, 3600
FOLDERS = {h.id: h.id.removeprefix("hospital_") for h in HOSPITALS.value}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write images, truth and scores beside each site.toml, and what is planted in truth.json.

    A hospital that was made by this recipe with the same arguments is left as it is.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exams", type=int, default=EXAMS, help="with images, a hospital")
    parser.add_argument("--scale", type=float, help=f"share of {EXAMS} exams, instead of --exams")
    parser.add_argument("--scores", type=int, default=SCORES, help="without images, a hospital")
    parser.add_argument("--seed", type=int, default=SEED, help="decides everything")
    parser.add_argument("--pixels", type=int, default=128, help="along a side of a slice")
    parser.add_argument("--model", choices=list(MODELS), default="good", help="of the scores")
    parser.add_argument("--hospital", action="append", choices=list(FOLDERS), help="only this one")
    parser.add_argument("--workers", type=int, default=1, help="processes, a hospital each")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder")
    asked = vars(parser.parse_args(arguments))
    out, workers, scale = asked.pop("out"), asked.pop("workers"), asked.pop("scale")
    if scale is not None:
        asked["exams"] = max(FEWEST, round(EXAMS * scale))
    wanted = asked.pop("hospital") or list(FOLDERS)
    told = asked | {"recipe": _digest()}
    missing = [name for name in wanted if not _is_made(out / FOLDERS[name], told)]
    make = partial(_make, out, asked, told)
    if workers == 1 or len(missing) < 2:
        for name in missing:
            make(name)
    else:
        with ProcessPoolExecutor(workers) as pool:
            list(pool.map(make, missing))


def _make(out: Path, asked: dict[str, Any], told: dict[str, Any], name: str) -> None:
    folder = out / FOLDERS[name]
    truth = folder / "truth.json"
    truth.unlink(missing_ok=True)  # written last: it says that all the others are there
    shutil.rmtree(folder / "images", ignore_errors=True)
    planted = build_hospital(name, folder, **asked)
    text = json.dumps(told | planted, indent=1, ensure_ascii=False)
    truth.write_text(text + "\n", encoding="utf-8")


def _digest() -> str:
    """Return a digest of the recipe's code."""
    (folder,) = workbench.phantom.__path__
    code = b"".join(path.read_bytes() for path in sorted(Path(folder).glob("*.py")))
    return hashlib.sha256(code).hexdigest()


def _is_made(folder: Path, told: dict[str, Any]) -> bool:
    try:
        made = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    there = all((folder / f"{table}.parquet").is_file() for table in ("truth", "scores"))
    counted = sum(1 for _ in folder.glob("images/*")) == told["exams"]
    return there and counted and all(made.get(name) == value for name, value in told.items())


if __name__ == "__main__":
    main()
