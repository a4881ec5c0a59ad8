"""Rules: what a model must show before it goes into use, stage by stage, each with its threshold.

The seven stages are those of a published method for admitting AI services (Vasiliev et al. 2023,
Digital Diagnostics 4(3), 252-267, doi:10.17816/DD321971): self-test, functional test, calibration
test, technological monitoring, clinical monitoring, feedback, and refinement, which is followed
by a re-test here. The thresholds are the study's: none is a constant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from workbench.errors import DefinitionError, show, suggest

Stage = Literal[
    "self_test",
    "functional_test",
    "calibration_test",
    "technological_monitoring",
    "clinical_monitoring",
    "feedback",
    "re_test",
]
STAGES: tuple[Stage, ...] = get_args(Stage)
"""In the order in which a model passes them."""
Consequence = Literal["refusal", "condition"]
EVERYONE = "everyone"
"""The group that is all exams."""


@dataclass(frozen=True)
class Rule:
    """Demand one thing of a model.

    Parameters
    ----------
    stage
        When it is asked.
    measure
        What is judged, such as "auc" or "share_answered".
    direction
        Whether the value must be "at_least" or "at_most" the threshold.
    threshold
        Finite, in the unit of the measure.
    consequence
        What follows where the rule is not met: "refusal", or a "condition" of use.
    group
        Exams that it is asked of: `EVERYONE`, or the name of a grouping such as "age_group", each
        of whose groups is judged by itself.
    about
        The demand as a sentence.

    Raises
    ------
    DefinitionError
        If stage, direction or consequence is unknown, or the threshold not finite.
    """

    stage: Stage
    measure: str
    direction: Literal["at_least", "at_most"]
    threshold: float
    consequence: Consequence
    group: str = EVERYONE
    about: str = ""

    def __post_init__(self) -> None:
        known = {
            "stage": STAGES,
            "direction": ("at_least", "at_most"),
            "consequence": get_args(Consequence),
        }
        for name, words in known.items():
            if getattr(self, name) not in words:
                raise DefinitionError(
                    f"There is no {name} {show(getattr(self, name))!r}",
                    where=f"rule on {show(self.measure)}",
                    todo=suggest(str(getattr(self, name)), words),
                )
        if not math.isfinite(self.threshold):
            raise DefinitionError(
                "The threshold of a rule is no number",
                where=f"rule on {show(self.measure)}",
                todo="Give the value below or above which the model is not let in",
            )

    @property
    def name(self) -> str:
        """Name of the rule, such as "auc of each age_group"."""
        return self.measure if self.group == EVERYONE else f"{self.measure} of each {self.group}"


def require_all_stages(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Return rules in the order of the stages.

    Raises
    ------
    DefinitionError
        If a stage has no rule, or a rule stands twice.
    """
    held = sorted(rules, key=lambda rule: STAGES.index(rule.stage))
    lacking = [stage for stage in STAGES if stage not in {rule.stage for rule in held}]
    if lacking:
        raise DefinitionError(
            "Not every stage has a rule",
            where=", ".join(lacking),
            todo="Ask at least one thing at each of the seven stages",
        )
    keys = [(rule.stage, rule.name) for rule in held]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice:
        raise DefinitionError(
            "A rule stands twice", where=" ".join(twice), todo="Keep one of its thresholds"
        )
    return tuple(held)


def measures_of(rules: Sequence[Rule]) -> dict[str, set[str]]:
    """Return the measures that rules judge, each with its groupings.

    Examples
    --------
    >>> measures_of([Rule("self_test", "share_read", "at_least", 1, "refusal")])
    {'share_read': {'everyone'}}
    """
    found: dict[str, set[str]] = {}
    for rule in rules:
        found.setdefault(rule.measure, set()).add(rule.group)
    return found
