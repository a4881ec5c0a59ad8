"""What a command prints: tables on a terminal, tab-separated lines in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from workbench.errors import show

if TYPE_CHECKING:
    from workbench.disclosure.check import Checked
    from workbench.findings import Finding
    from workbench.reproduction import Reproduction
    from workbench.summaries.summary import Summary


def console() -> Console:
    """Return a console for standard output; plain where it is no terminal."""
    return Console(highlight=False, markup=False, soft_wrap=True)


def say(text: str) -> None:
    """Print one line."""
    console().print(text)


def print_table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str = "",
    numbers: Iterable[str] = (),
) -> None:
    """Print rows under a head.

    Parameters
    ----------
    head
        Names of the columns.
    rows
        One sequence of cells a row; control characters are escaped.
    title
        Line above the table.
    numbers
        Columns to align right.
    """
    target = console()
    cells = [[show(cell, 100) for cell in row] for row in rows]
    if not target.is_terminal:
        lines = [title] if title else []
        lines += ["\t".join(row) for row in [list(head), *cells]]
        sys.stdout.write("".join(f"{line}\n" for line in lines))  # rich would expand the tabs
        sys.stdout.flush()
        return
    right = set(numbers)
    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for name in head:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    target.print(table)


def print_findings(findings: Iterable[Finding]) -> None:
    """Print what a check found, worst first; nothing where all passed."""
    order = {"fail": 0, "review": 1}
    found = sorted((f for f in findings if f.level in order), key=lambda f: order[f.level])
    if found:
        rows = [[f.level, f.rule, f.where, f.message] for f in found]
        print_table(["level", "rule", "where", "message"], rows)


def print_checked(checked: Checked, site: str, *, tables: bool) -> None:
    """Print what would leave a site, and what the check found.

    Parameters
    ----------
    checked
        What the check decided.
    site
        Id of the site.
    tables
        Whether to print the tables themselves.
    """
    if tables:
        for name, view in checked.views.items():
            print_view(view, title=f"{site}: {name} ({view.kind})")
    print_findings(checked.findings)


def print_view(view: Summary, *, title: str) -> None:
    """Print a released table: one row a cell, an em dash where a value is suppressed."""
    names = [d.name for d in view.dimensions]
    frame = view.to_frame()
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for record in frame.to_dict("records"):
        if record["status"] != "not_applicable":
            cell = rows.setdefault(tuple(str(record[n]) for n in names), {})
            cell[str(record["variable"])] = _written(record["value"], str(record["status"]))
    empty = [cell for cell in rows.values() if all(text == "0" for text in cell.values())]
    shown = [[*key, *(cell.get(f, "") for f in view.fields)] for key, cell in rows.items()
             if cell not in empty]  # fmt: skip
    note = f"; {len(empty)} rows of zeros not shown" if empty else ""
    print_table([*names, *view.fields], shown, title=title + note, numbers=view.fields)


def print_reproduction(reproduction: Reproduction) -> None:
    """Print each number that moved, or that none did."""
    rows = [
        [m.site, m.table, m.cell, m.variable, str(m.old), str(m.new), str(m.tolerance)]
        for m in reproduction.moved
    ]
    if rows:
        print_table(["site", "table", "cell", "number", "old", "new", "tolerance"], rows)


def _written(value: object, status: str) -> str:
    if status == "suppressed":
        return "—"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,g}"
    return f"{int(value):,}" if isinstance(value, (int, float)) else str(value)
