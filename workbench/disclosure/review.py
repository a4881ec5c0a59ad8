"""Review: what no rule forbids, but a person should see before it leaves."""

from __future__ import annotations

import numpy as np

from workbench.disclosure.cells import leaves
from workbench.disclosure.intervals import TOLD
from workbench.disclosure.policy import Policy
from workbench.findings import Finding
from workbench.summaries.summary import Summary

EXAMS_PER_PATIENT = 50
"""More exams per patient than this in a whole cell is a phantom, a test patient or a slip."""
DOMINANCE = 0.5
"""One exam with this share of a told total nearly tells its own value (dominance rule)."""


def review(name: str, exact: Summary, view: Summary, policy: Policy) -> list[Finding]:
    """Return what a person should judge; at most one finding per rule.

    The rules: `nothing_left` (no cell but margins is told of a table that counted patients),
    `exams_per_patient` (a told cell has more than 50 exams per patient) and `dominance` (one exam
    may make up half of a told total: its square alone could be the sum of squares).

    Parameters
    ----------
    name
        Name of the table.
    exact, view
        What was counted, and what would leave.
    policy
        The policy in force.

    Examples
    --------
    >>> from workbench.disclosure.cells import protect
    >>> from workbench.summaries.counts import summarise
    >>> s = summarise([], {}, exam=range(1000), patient=[i % 10 for i in range(1000)])
    >>> print(review("exams", s, protect(s, Policy()), Policy())[0])
    review  exams_per_patient: A cell has too many exams per patient [100.0 against 50] (exams)
    """
    told = np.isin(view.statuses["patients"].values, TOLD)
    exams, patients = (exact.data[n].values for n in ("exams", "patients"))
    found = []
    cells = leaves(view)
    if patients.any() and not (told & cells & (patients > 0)).any():
        found.append(
            Finding(
                "review",
                "nothing_left",
                "No cell of the table is told: is it worth releasing",
                name,
                0,
                policy.threshold,
                "Use fewer dimensions or coarser labels",
            )
        )
    per_patient = np.where(told & (patients > 0), exams / np.maximum(patients, 1), 0)
    if per_patient.max(initial=0) > EXAMS_PER_PATIENT:
        found.append(
            Finding(
                "review",
                "exams_per_patient",
                "A cell has too many exams per patient",
                name,
                round(float(per_patient.max()), 1),
                EXAMS_PER_PATIENT,
                "Leave out phantoms and test patients, or say why this is right",
            )
        )
    if "mean" in view.data:
        share = [
            float(square) / float(total) ** 2
            for square, total, is_told in zip(
                exact.data["square"].values.ravel(),
                exact.data["total"].values.ravel(),
                (view.statuses["mean"].values == "rounded").ravel(),
                strict=True,
            )
            if is_told and total
        ]
        if max(share, default=0) >= DOMINANCE:
            found.append(
                Finding(
                    "review",
                    "dominance",
                    "One exam may make up half of the total of a cell",
                    name,
                    round(max(share), 2),
                    DOMINANCE,
                    "Look for a wrong value; otherwise say why it may leave",
                )
            )
    return found
