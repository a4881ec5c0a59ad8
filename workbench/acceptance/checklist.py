"""Checklist: what a report on imaging AI must say (CLAIM, 2024 update), filled from the run.

Source: Tejani et al. (2024), "Checklist for Artificial Intelligence in Medical Imaging (CLAIM):
2024 Update", Radiology: Artificial Intelligence 6(4), e240300, doi:10.1148/ryai.240300; the items
are named here in words of our own.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from workbench.errors import ReleaseError, UsageError, show
from workbench.findings import Finding, Findings

NOT_APPLICABLE = "not applicable:"
"""How an answer begins that says why an item does not concern the study."""
SHORTEST = 2
"""Words of such a reason, at least."""


@dataclass(frozen=True)
class Item:
    """Hold one item of the checklist.

    Parameters
    ----------
    number
        As published.
    section
        Where in a report it stands.
    asks
        What must be said.
    """

    number: int
    section: str
    asks: str


@cache
def claim_items() -> tuple[Item, ...]:
    """Return the items of CLAIM.

    Examples
    --------
    >>> len(claim_items()), claim_items()[34].asks
    (44, 'How many exams were included and excluded and why')
    """
    table = files("workbench.resources") / "tables" / "claim_2024.csv"
    rows = csv.DictReader(table.read_text(encoding="utf-8").splitlines())
    return tuple(Item(int(row["item"]), row["section"], row["asks"]) for row in rows)


def check_checklist(answers: Mapping[int, str]) -> Findings:
    """Return a finding for each item: what fills it, or that nothing does.

    Parameters
    ----------
    answers
        Text by number of the item, such as a figure of the run, or a reason that begins with
        "not applicable: ".

    Raises
    ------
    UsageError
        If a number is that of no item.

    Examples
    --------
    >>> found = check_checklist({1: "Title", 34: "not applicable: no"})
    >>> [f.level for f in found if f.rule == "claim_1"], found[33].level
    (['pass'], 'fail')
    """
    items = claim_items()
    strange = set(answers) - {item.number for item in items}
    if strange:
        raise UsageError(
            f"CLAIM has no item {show(min(strange))}", todo=f"Its items are 1 to {len(items)}"
        )
    return Findings([_judge(item, answers.get(item.number, "").strip()) for item in items])


def require_complete(answers: Mapping[int, str]) -> None:
    """Raise if an item is not filled: what cannot be reported is not published.

    Raises
    ------
    ReleaseError
        With the first items that lack an answer.
    UsageError
        If a number is that of no item.
    """
    lacking = [f for f in check_checklist(answers) if f.level == "fail"]
    if lacking:
        numbers = ", ".join(f.rule.removeprefix("claim_") for f in lacking[:8])
        more = f" and {len(lacking) - 8} more" if len(lacking) > 8 else ""
        raise ReleaseError(
            "The study was not published: its checklist is not filled",
            where=f"CLAIM items {numbers}{more}",
            todo=f"Item {lacking[0].rule.removeprefix('claim_')}: {lacking[0].message.lower()}",
        )


def _judge(item: Item, answer: str) -> Finding:
    rule = f"claim_{item.number}"
    reason = answer.removeprefix(NOT_APPLICABLE)
    if answer.startswith(NOT_APPLICABLE) and len(reason.split()) < SHORTEST:
        todo = "Say in a few words why it does not concern the study"
        return Finding("fail", rule, item.asks, item.section, todo=todo)
    if not answer:
        return Finding("fail", rule, item.asks, item.section, todo="Say it, or why not")
    return Finding("pass", rule, item.asks, item.section)
