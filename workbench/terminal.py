"""What a command prints: tables on a terminal, tab-separated lines in a pipe, JSON if asked.

What a command found goes to standard output, what it has to say about it to standard error. JSON
is one document of ASCII, so that no name in it can act on a terminal.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from textwrap import fill
from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from workbench.display import LONGEST, Card, aligned
from workbench.errors import show

if TYPE_CHECKING:
    from workbench.disclosure.check import Checked
    from workbench.exchange.preview import Preview
    from workbench.findings import Finding
    from workbench.reproduction import Reproduction
    from workbench.summaries.summary import Summary

GAP = 3
"""Spaces between the columns of a table."""
READABLE = 14
"""A column of words is not made narrower than this."""
NAMED = 3
"""Tables with nothing left that are named."""
EVERY = 10.0
"""Seconds between lines that tell how much is done."""
MARKS = {"suppressed": "—", "not_applicable": "·"}
"""What stands in the place of a value that does not leave."""


def console() -> Console:
    """Return a console for standard output; plain where it is no terminal."""
    return Console(highlight=False, markup=False, soft_wrap=True)


def say(text: str, *, wrap: bool = False) -> None:
    """Print a line; a long one is wrapped between words if wanted, where there is a terminal."""
    target = console()
    if wrap and target.is_terminal:
        text = fill(text, target.width, subsequent_indent="  ", break_long_words=False)
    target.print(text)


def print_card(card: Card) -> None:
    """Print a card, wrapped where there is a terminal."""
    target = console()
    target.print(card.text(target.width if target.is_terminal else None))


def note(text: str) -> None:
    """Say a line that is no part of what was asked for, on standard error."""
    sys.stderr.write(f"{text}\n")


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show how much of some work is done, on standard error.

    A bar on a terminal; elsewhere a line now and then, so that a log shows that it goes on.

    Parameters
    ----------
    what
        Words for the work.

    Yields
    ------
    callable
        Takes how much is done, and of how much.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    target = Console(stderr=True, highlight=False)
    if not target.is_terminal:
        yield _lines(what)
        return
    with Progress(*columns, console=target, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(what: str) -> Callable[[int, int], None]:
    """Return what says in a line how much is done, once in `EVERY` seconds."""
    said = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said >= EVERY:
            said = time.monotonic()
            note(f"{what}: {done} of {total} parts")

    return tell


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
    cells = [[show(cell, LONGEST) for cell in row] for row in rows]
    if not target.is_terminal:
        lines = [title] if title else []
        lines += ["\t".join(row) for row in [list(head), *cells]]
        sys.stdout.write("".join(f"{line}\n" for line in lines))  # rich would expand the tabs
        sys.stdout.flush()
        return
    columns = list(zip(head, *cells, strict=True))
    if sum(map(_narrowest, columns)) + GAP * (len(columns) - 1) > target.width:
        if title:
            target.print(Text(title, "bold"))
        for row in cells:  # words would be broken, paths among them: one line a cell instead
            target.print()
            target.print("\n".join(aligned(list(zip(head, row, strict=True)), target.width)))
        target.print()
        return
    right = set(numbers)
    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1),
        pad_edge=False,
    )
    for name, column in zip(head, columns, strict=True):
        side: JustifyMethod = "right" if name in right else "left"
        # Only a column of several words may become narrower.
        whole = _widest(column) == _narrowest(column)
        table.add_column(name, justify=side, no_wrap=whole, overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    target.print(table)
    target.print()


def _widest(column: Sequence[str]) -> int:
    return max(map(cell_len, column))


def _narrowest(column: Sequence[str]) -> int:
    """Return the width that a column can still be read at: no word is broken."""
    longest = max(cell_len(word) for cell in column for word in (cell.split() or [""]))
    return max(longest, min(READABLE, _widest(column)))


def print_json(document: object) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(document, indent=1, allow_nan=False, default=str) + "\n")
    sys.stdout.flush()


def print_findings(findings: Iterable[Finding]) -> None:
    """Print what a check found, worst first; nothing where all passed.

    Tables of which no cell can be told are one line together.
    """
    order = {"fail": 0, "review": 1}
    found = sorted((f for f in _fold(findings) if f.level in order), key=lambda f: order[f.level])
    if found:
        rows = [[f.level, f.rule, f.where, f.message, f.todo] for f in found]
        print_table(["level", "rule", "where", "message", "do"], rows)


def _fold(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings, those of several tables with nothing left as one."""
    found = list(findings)
    empty = [f for f in found if (f.level, f.rule) == ("review", "nothing_left")]
    if len(empty) < 2:
        return found
    names = [f.where for f in empty]
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    one = replace(
        empty[0],
        message=f"{len(names):,} tables: no cell can be told",
        where=", ".join(names[:NAMED]) + more,
        todo="Approve them as they are: their dimensions are the study's",
        value=None,
        threshold=None,
    )
    return [one, *(f for f in found if f not in empty)]


def print_checked(checked: Checked, site: str, *, threshold: int, tables: bool) -> None:
    """Print what would leave a site, what its marks mean, and what the check found.

    Parameters
    ----------
    checked
        What the check decided.
    site
        Id of the site.
    threshold
        Fewest patients that a cell may tell of.
    tables
        Whether to print the tables themselves.
    """
    if tables:
        used: set[str] = set()
        for name, view in checked.views.items():
            used |= print_view(view, title=f"{site}: {name} ({view.kind})")
        print_legend(used, threshold)
    print_findings(checked.findings)


def print_legend(statuses: Iterable[str], threshold: int) -> None:
    """Print what the marks of hidden values mean; nothing where no value is hidden.

    Parameters
    ----------
    statuses
        Statuses of the values that were shown.
    threshold
        Fewest patients that a cell may tell of.
    """
    means = {
        "suppressed": f"suppressed: fewer than {threshold} patients, or held to protect such cells",
        "not_applicable": "held back though large enough, or does not apply",
    }
    lines = [f"{MARKS[status]} {text}" for status, text in means.items() if status in statuses]
    if lines:
        say("\n".join([*lines, ""]))


def print_preview(preview: Preview) -> None:
    """Print what a run would release: what we hold, what is missing, what is suppressed."""
    head = ["table", "kind", "exams", "patients", "cells", "suppressed"]
    rows = [
        [t.name, t.kind, "refused"] + [""] * 3 if t.refused
        else [t.name, t.kind, _count(t.exams, t.kind), _count(t.patients, t.kind), f"{t.cells:,}",
              f"{t.suppressed:,}"]
        for t in preview.tables
    ]  # fmt: skip
    print_table(head, rows, title=f"{preview.site}: what would leave", numbers=head[2:])
    if any(table.suppressed for table in preview.tables):
        print_legend({"suppressed"}, preview.threshold)
    if preview.gaps:
        shares = [
            [g.table, g.dimension, {"missing": "not stated", "other": "no code matches"}[g.label],
             "few, suppressed" if g.share is None else f"{g.share:.1%}"]
            for g in preview.gaps
        ]  # fmt: skip
        head = ["table", "dimension", "gap", "share of exams"]
        print_table(head, shares, title=f"{preview.site}: what is missing", numbers=head[3:])
    reasons = [["table", *pair] for pair in preview.not_answered.items()]
    reasons += [["column", *pair] for pair in preview.cannot_answer.items()]
    if reasons:
        title = f"{preview.site}: what cannot be answered"
        print_table(["what", "name", "because"], reasons, title=title)
    print_findings(preview.findings)
    if preview.sample is not None:
        say(f"{preview.site}: a sample of {preview.sample} patients. It can never be released.")
    else:
        words = {"pass": "nothing stands in the way", "review": "a person must approve it",
                 "fail": "it could not be released"}  # fmt: skip
        say(f"{preview.site}: {words[preview.verdict]}. Nothing was packed.")


def _count(number: int | None, kind: str) -> str:
    if number is None:
        return "in bins" if kind == "histogram" else MARKS["suppressed"]
    return f"{number:,}"


def print_view(view: Summary, *, title: str) -> set[str]:
    """Print a released table: one row a cell that tells something, and a count of the others.

    Returns
    -------
    set of str
        Statuses of the hidden values among them, those that are only counted too.
    """
    names = [d.name for d in view.dimensions]
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for record in view.to_frame().to_dict("records"):
        cell = rows.setdefault(tuple(str(record[n]) for n in names), {})
        cell[str(record["variable"])] = _written(record["value"], str(record["status"]))
    shown: list[list[str]] = []
    left = dict.fromkeys(("of zeros", "suppressed", "held back"), 0)
    dash, dot = MARKS.values()
    used: set[str] = set()
    for key, cell in rows.items():
        texts = set(cell.values())
        if texts == {dot}:  # a node of a histogram that is merged into another
            continue
        if texts <= {"0", dot}:
            left["of zeros"] += 1
            continue
        if texts == {dash}:
            left["suppressed"] += 1
        elif texts == {dash, dot}:
            left["held back"] += 1
        else:
            shown.append([*key, *(cell[field] for field in view.fields)])
        used |= texts
    counted = ", ".join(f"{number:,} {what}" for what, number in left.items() if number)
    title += f"; rows not shown: {counted}" if counted else ""
    if shown:
        print_table([*names, *view.fields], shown, title=title, numbers=view.fields)
    else:
        say(f"{title}\n")
    return {status for status, mark in MARKS.items() if mark in used}


def print_reproduction(reproduction: Reproduction) -> None:
    """Print each number that moved, or that none did."""
    rows = [
        [m.site, m.table, m.cell, m.variable, str(m.old), str(m.new), str(m.tolerance)]
        for m in reproduction.moved
    ]
    if rows:
        print_table(["site", "table", "cell", "number", "old", "new", "tolerance"], rows)


def _written(value: object, status: str) -> str:
    if status in MARKS:
        return MARKS[status]
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,g}"
    return f"{int(value):,}" if isinstance(value, (int, float)) else str(value)
