"""Problems: all that is wrong with a definition, refused together as one error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from workbench.errors import WorkbenchError
from workbench.findings import Finding


def problem(what: str, where: str = "", todo: str = "") -> Finding:
    """Return one thing that is wrong with a declaration: what, where and what to do."""
    return Finding("fail", "declaration", what, where, todo=todo)


def refuse(problems: Sequence[Finding], error: type[WorkbenchError], total: int = 0) -> None:
    """Raise all findings as one error, the first as its `what`; do nothing if there are none.

    Parameters
    ----------
    problems
        What is wrong, the most important first.
    error
        Class of the error.
    total
        Number of problems, if not all are in `problems`.

    Raises
    ------
    WorkbenchError
        Of the class `error`.
    """
    if not problems:
        return
    first, rest = problems[0], problems[1:]
    more = max(total, len(problems)) - 1
    lines = [first.todo] if first.todo else []
    if rest:
        lines.append(f"and {more:,} more:" if first.todo else f"correct {more:,} more:")
        lines += [
            f"  {p.message} ({p.where})" + (f": {p.todo}" if p.todo else "") for p in rest[:9]
        ]
    if more > 9:
        lines.append(f"  … {more - 9:,} not listed")
    raise error(first.message, where=first.where, todo="\n         ".join(lines))


def refuse_failures(findings: Iterable[Finding], error: type[WorkbenchError]) -> None:
    """Raise all findings that fail as one error; do nothing if none does.

    Raises
    ------
    WorkbenchError
        Of the class `error`.
    """
    refuse([finding for finding in findings if finding.level == "fail"], error)
