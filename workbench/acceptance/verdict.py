"""Verdict: whether a model may go into use, from what was measured and what was demanded.

A measured value can lie between two ends: those of a released table, or of a confidence interval,
as the study decides. A rule is met where the whole range meets it, and broken where none of it
does; between the two it is open, and what is open is not admitted without a condition.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from workbench.acceptance.rules import EVERYONE, Rule, measures_of, require_all_stages
from workbench.display import Card, Displayed
from workbench.errors import DefinitionError, show, suggest

Outcome = Literal["met", "broken", "open", "not_measured"]
Decision = Literal["admitted", "admitted with conditions", "refused"]


@dataclass(frozen=True)
class Evidence:
    """Hold one measured value.

    Parameters
    ----------
    measure
        What was measured.
    low, high
        Ends that hold the value; the same where it is exact.
    exams
        How many exams it was measured on.
    grouping, label
        Whose value it is: of everyone, or of one label of a grouping.

    Raises
    ------
    DefinitionError
        If the ends are no range.
    """

    measure: str
    low: float
    high: float
    exams: int
    grouping: str = EVERYONE
    label: str = ""

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise DefinitionError(
                "A measured value has no range",
                where=f"{show(self.measure)}, {show(self.label) or self.grouping}",
                todo="Leave out what was not measured: it is then said to be missing",
            )

    def shown(self) -> str:
        """Return the value as a reader sees it.

        Examples
        --------
        >>> Evidence("auc", 0.8123, 0.8234, 900).shown(), Evidence("delay_s", 3, 3, 60).shown()
        ('0.812 to 0.823', '3')
        """
        if self.low == self.high:
            return f"{self.low:.3g}"
        return f"{self.low:.3g} to {self.high:.3g}"


@dataclass(frozen=True)
class Judged:
    """Hold what one rule says of one value.

    Parameters
    ----------
    rule
        What was demanded.
    evidence
        What was measured; None if nothing was.
    outcome
        "met", "broken", "open" (the range lies on both sides), or "not_measured".
    """

    rule: Rule
    evidence: Evidence | None
    outcome: Outcome

    @property
    def follows(self) -> Literal["", "condition", "refusal"]:
        """What follows for the model."""
        if self.outcome == "met":
            return ""
        return self.rule.consequence if self.outcome == "broken" else "condition"


@dataclass(frozen=True, repr=False)
class Verdict(Displayed):
    """Hold whether a model may go into use at a site, and why.

    Parameters
    ----------
    judged
        Every rule, stage by stage, and for each of its groups.
    """

    judged: tuple[Judged, ...]

    @property
    def decision(self) -> Decision:
        """The worst that follows of all rules."""
        follows = {one.follows for one in self.judged}
        if "refusal" in follows:
            return "refused"
        return "admitted with conditions" if "condition" in follows else "admitted"

    @property
    def conditions(self) -> tuple[Judged, ...]:
        """Rules from which a condition of use follows."""
        return tuple(one for one in self.judged if one.follows == "condition")

    @property
    def grounds(self) -> tuple[Judged, ...]:
        """Rules from which the refusal follows."""
        return tuple(one for one in self.judged if one.follows == "refusal")

    def rows(self) -> list[dict[str, str | float | int | None]]:
        """Return a row for each rule and group: demanded, measured, and what follows."""
        return [
            {
                "stage": one.rule.stage,
                "rule": one.rule.measure,
                "grouping": one.rule.group,
                "group": one.evidence.label if one.evidence else "",
                "direction": one.rule.direction,
                "threshold": one.rule.threshold,
                "low": one.evidence.low if one.evidence else None,
                "high": one.evidence.high if one.evidence else None,
                "exams": one.evidence.exams if one.evidence else None,
                "outcome": one.outcome,
                "follows": one.follows,
            }
            for one in self.judged
        ]

    def _card(self) -> Card:
        sign = {"at_least": "≥", "at_most": "≤"}
        rows = [
            [
                one.rule.stage.replace("_", " "),
                " ".join([one.rule.measure, one.evidence.label if one.evidence else ""]).strip(),
                one.evidence.shown() if one.evidence else "not measured",
                f"{sign[one.rule.direction]} {one.rule.threshold:g}",
                one.outcome.replace("_", " "),
                one.follows,
            ]
            for one in self.judged
        ]
        head = ["stage", "rule", "value", "demanded", "outcome", "follows"]
        return Card(f"Verdict: {self.decision}", {}, head, rows)


def judge(rules: Sequence[Rule], evidence: Iterable[Evidence], *, fewest: int = 1) -> Verdict:
    """Judge a model by every rule.

    Parameters
    ----------
    rules
        At least one for each stage.
    evidence
        What was measured.
    fewest
        Fewest exams of which a value is believed; one on fewer counts as not measured.

    Raises
    ------
    DefinitionError
        If a stage has no rule, a value was measured that no rule asks for, or one twice.

    Examples
    --------
    >>> from workbench.acceptance.rules import STAGES
    >>> rules = [Rule(stage, "auc", "at_least", 0.8, "refusal") for stage in STAGES]
    >>> judge(rules, [Evidence("auc", 0.85, 0.85, 900)]).decision
    'admitted'
    >>> judge(rules, [Evidence("auc", 0.75, 0.85, 900)]).decision
    'admitted with conditions'
    >>> judge(rules, [Evidence("auc", 0.70, 0.75, 900)]).decision
    'refused'
    """
    ordered, held = require_all_stages(rules), list(evidence)
    _require_asked(ordered, held)
    believed = [one for one in held if one.exams >= fewest]
    judged: list[Judged] = []
    for rule in ordered:
        values = [e for e in believed if (e.measure, e.grouping) == (rule.measure, rule.group)]
        judged += [Judged(rule, value, _outcome(rule, value)) for value in values]
        if not values:
            judged.append(Judged(rule, None, "not_measured"))
    return Verdict(tuple(judged))


def _require_asked(rules: Sequence[Rule], held: Sequence[Evidence]) -> None:
    asked = measures_of(rules)
    keys = [(e.measure, e.grouping, e.label) for e in held]
    for measure, grouping, label in keys:
        if measure not in asked:
            raise DefinitionError(
                f"No rule asks for {show(measure)!r}", todo=suggest(measure, asked)
            )
        if grouping not in asked[measure]:
            raise DefinitionError(
                f"No rule asks for {show(measure)!r} by {show(grouping)!r}",
                todo=suggest(grouping, asked[measure]),
            )
        if keys.count((measure, grouping, label)) > 1:
            raise DefinitionError(
                "A value was measured twice",
                where=f"{show(measure)}, {show(label) or grouping}",
                todo="Give one value for each measure and group",
            )


def _outcome(rule: Rule, value: Evidence) -> Outcome:
    low, high = value.low, value.high
    if rule.direction == "at_most":
        low, high = -high, -low
    edge = rule.threshold if rule.direction == "at_least" else -rule.threshold
    if low >= edge:
        return "met"
    return "broken" if high < edge or math.isnan(high) else "open"
