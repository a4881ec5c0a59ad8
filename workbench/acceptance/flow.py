"""Flow: how the exams of a study came to be the ones that were analysed (STARD 2015, CLAIM 2024).

Every exam that enters is either left out for one reason at one stage, or goes on; a flow that does
not add up is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.display import Card, Displayed
from workbench.errors import DefinitionError, show


@dataclass(frozen=True)
class Box:
    """Hold one stage of a flow.

    Parameters
    ----------
    name
        What the exams are now, such as "read by the model".
    exams
        How many there are.
    left_out
        How many were left out before it, by reason.
    """

    name: str
    exams: int
    left_out: Mapping[str, int]


@dataclass(frozen=True, repr=False)
class Flow(Displayed):
    """Hold the stages of a flow, and how its last one divides.

    Parameters
    ----------
    boxes
        Stages, from all exams to those analysed. The first leaves nobody out.
    ends
        How the last stage divides, such as by truth and answer; empty if it is not divided.

    Raises
    ------
    DefinitionError
        If a stage does not add up.

    Examples
    --------
    >>> flow = Flow((Box("found", 60, {}), Box("read", 57, {"thick slices": 3})), {"nodule": 57})
    >>> flow
    57 of 60 exams analysed
    <BLANKLINE>
      stage  exams  left out  why
      found  60     0
      read   57     3         thick slices 3
    """

    boxes: tuple[Box, ...]
    ends: Mapping[str, int]

    def __post_init__(self) -> None:
        if not self.boxes:
            raise DefinitionError("A flow has no stage", todo="Begin with all exams found")
        for box in self.boxes:
            counts = [box.exams, *box.left_out.values()]
            if any(type(n) is not int or n < 0 for n in counts):
                raise DefinitionError(
                    "A flow counts what are no exams",
                    where=show(box.name),
                    todo="Give whole numbers, 0 or more",
                )
        before = self.boxes[0].exams
        for box in self.boxes:
            out = sum(box.left_out.values())
            if before - out != box.exams:
                raise DefinitionError(
                    "The flow of exams does not add up",
                    where=f"{show(box.name)}: {before} less {out} is not {box.exams}",
                    todo="Give each exam that was left out one reason",
                )
            before = box.exams
        if self.ends and sum(self.ends.values()) != before:
            raise DefinitionError(
                "The flow of exams does not add up",
                where=f"its ends hold {sum(self.ends.values())} of {before}",
                todo="Put each analysed exam in one end",
            )

    @property
    def analysed(self) -> int:
        """How many exams were analysed."""
        return self.boxes[-1].exams

    def rows(self) -> list[dict[str, str | int]]:
        """Return a row for each stage and reason, and for each end.

        Examples
        --------
        >>> Flow((Box("found", 2, {}), Box("read", 1, {"damaged": 1})), {}).rows()[1]
        {'stage': 'read', 'reason': 'damaged', 'exams': 1}
        """
        found: list[dict[str, str | int]] = []
        for box in self.boxes:
            found += [
                {"stage": box.name, "reason": reason, "exams": n}
                for reason, n in box.left_out.items()
            ]
            found.append({"stage": box.name, "reason": "", "exams": box.exams})
        return found + [
            {"stage": "end", "reason": name, "exams": n} for name, n in self.ends.items()
        ]

    def _card(self) -> Card:
        rows = [
            [
                box.name,
                str(box.exams),
                str(sum(box.left_out.values())),
                ", ".join(f"{reason} {n}" for reason, n in box.left_out.items()),
            ]
            for box in self.boxes
        ]
        title = f"{self.analysed} of {self.boxes[0].exams} exams analysed"
        return Card(title, {}, ["stage", "exams", "left out", "why"], rows)


def make_flow(
    found: int, steps: Sequence[tuple[str, Mapping[str, int]]], ends: Mapping[str, int]
) -> Flow:
    """Return the flow that the reasons of each step make.

    Parameters
    ----------
    found
        Exams that enter.
    steps
        Name of each stage, and how many were left out before it by reason.
    ends
        How the last stage divides.

    Raises
    ------
    DefinitionError
        If it does not add up.

    Examples
    --------
    >>> make_flow(60, [("chosen", {"thick slices": 3}), ("answered", {"time-out": 1})], {}).analysed
    56
    """
    boxes, left = [Box("found", found, {})], found
    for name, reasons in steps:
        left -= sum(reasons.values())
        boxes.append(Box(name, left, dict(reasons)))
    return Flow(tuple(boxes), dict(ends))
