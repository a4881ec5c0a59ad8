"""Make the tables of the pretend capital: `python datasets/capital/recipe.py --scale 0.01`."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import workbench.pretend
from workbench.pretend.city import City

SEED = 2023
TABLES = ("exams", "devices", "reports")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the tables beside each site.toml, and what is planted beside this file.

    Tables that were made by this recipe with the same seed and scale are left as they are.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=0.01, help="share of the city, 0.001 to 1")
    parser.add_argument("--seed", type=int, default=SEED, help="decides everything")
    parser.add_argument("--months", type=int, default=48, help="months from January 2020")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder")
    asked = vars(parser.parse_args(arguments))
    out: Path = asked.pop("out")
    asked["recipe"] = _digest()
    truth = out / "truth.json"
    if _is_made(out, asked):
        return
    city = City(asked["seed"], asked["scale"], months=asked["months"])
    truth.unlink(missing_ok=True)  # written last: it says that all the others are there
    city.write(out)
    text = json.dumps(asked | city.truth(), indent=1)
    truth.write_text(text + "\n", encoding="utf-8")


def _digest() -> str:
    """Return a digest of the recipe's code."""
    (folder,) = workbench.pretend.__path__
    code = b"".join(path.read_bytes() for path in sorted(Path(folder).glob("*.py")))
    return hashlib.sha256(code).hexdigest()


def _is_made(out: Path, asked: dict[str, Any]) -> bool:
    try:
        made = json.loads((out / "truth.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    there = all((out / d / f"{t}.parquet").is_file() for d in City.districts for t in TABLES)
    return there and all(made.get(name) == value for name, value in asked.items())


if __name__ == "__main__":
    main()
