"""Finding: one thing a check saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.display import Card, Displayed
from workbench.errors import show

Level = Literal["pass", "review", "fail"]
_LEVELS: tuple[Level, ...] = ("fail", "review", "pass")


@dataclass(frozen=True)
class Finding:
    """Hold what one rule of a check saw at one place.

    Parameters
    ----------
    level
        "pass", "review" (a person must decide) or "fail".
    rule
        Name of the rule, e.g. "missing_label".
    message
        What was seen, as one sentence without a full stop.
    where
        File and key, or table and cell.
    value
        The value that was judged, if the rule judges one.
    threshold
        What the value was judged against.
    todo
        What the reader can do about it.

    Examples
    --------
    >>> print(Finding("fail", "missing_notebook", "There is no notebook '01.ipynb'", "study.toml"))
    fail    missing_notebook: There is no notebook '01.ipynb' (study.toml)
    """

    level: Level
    rule: str
    message: str
    where: str = ""
    value: float | int | str | None = None
    threshold: float | int | str | None = None
    todo: str = ""

    def __str__(self) -> str:
        """Return the finding as one line."""
        judged = "" if self.threshold is None else f" [{self.value} against {self.threshold}]"
        place = f" ({show(self.where, 200)})" if self.where else ""
        return f"{self.level:<7} {self.rule}: {show(self.message, 400)}{judged}{place}"


class Findings(Displayed, list[Finding]):
    """Hold the findings of a check, and show them as a table, the worst first.

    Examples
    --------
    >>> Findings([Finding("pass", "labels", "All are there"), Finding("fail", "key", "None")])
    1 fail, 1 pass
    <BLANKLINE>
      level  rule    where  message        do
      fail   key            None
      pass   labels         All are there
    """

    def _card(self) -> Card:
        levels = [level for level in _LEVELS for finding in self if finding.level == level]
        counts = [f"{levels.count(level)} {level}" for level in dict.fromkeys(levels)]
        rows = [
            [f.level, f.rule, f.where, f.message, f.todo]
            for f in sorted(self, key=lambda finding: _LEVELS.index(finding.level))
        ]
        head = ["level", "rule", "where", "message", "do"]
        return Card(", ".join(counts) or "No findings", {}, head, rows)
