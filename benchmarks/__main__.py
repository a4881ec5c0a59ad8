"""Measure what the README claims: `python -m benchmarks`, or `python -m benchmarks exams`."""

from __future__ import annotations

import sys
from importlib import import_module

from rich.console import Console
from rich.table import Table

from benchmarks.row import Row

MODULES = (
    *("city", "city_making", "commands", "dashboard", "dose", "exams", "pipeline", "scan"),
    *("statistics", "volume", "walk"),
)


def main(names: list[str]) -> int:
    for name in names:
        if name not in MODULES:
            sys.stderr.write(f"There is no benchmark {name!r}. Known: {', '.join(MODULES)}\n")
            return 2
    rows = [row for name in names or MODULES for row in import_module(f"benchmarks.{name}").run()]
    Console().print(_table(rows))
    return 0 if all(row.good for row in rows) else 1


def _table(rows: list[Row]) -> Table:
    table = Table("measured", "ours", "peer", "ratio", "limit", "holds")
    for row in rows:
        table.add_row(
            row.name,
            f"{row.ours:.2f} {row.unit}",
            "" if row.peer is None else f"{row.peer:.2f} {row.unit}",
            "" if row.ratio is None else f"{row.ratio:.2f}",
            "" if row.limit is None else f"{row.limit:g}{'' if row.peer else f' {row.unit}'}",
            "" if row.limit is None else ("yes" if row.good else "no"),
        )
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
