"""Review: what no rule forbids, but a person should see before it leaves."""

from __future__ import annotations

import math

import numpy as np

from workbench.disclosure.cells import leaves
from workbench.disclosure.intervals import TOLD
from workbench.disclosure.policy import Policy
from workbench.findings import Finding
from workbench.summaries.summary import Summary

EXAMS_PER_PATIENT = 50
"""More exams per patient than this in a whole cell is a phantom, a test patient or a slip."""
DOMINANCE = 0.5
"""One patient with this share of a told total nearly tells their own value (dominance rule)."""


def review(name: str, exact: Summary, view: Summary, policy: Policy) -> list[Finding]:
    """Return what a person should judge; at most one finding per rule.

    The rules: `nothing_left` (no cell but margins is told of a table that counted patients),
    `exams_per_patient` (a told cell has more than 50 exams per patient) and `dominance` (one
    patient may make up half of a told total).

    Parameters
    ----------
    name
        Name of the table.
    exact, view
        What was counted, and what would leave.
    policy
        The policy in force.

    Notes
    -----
    Moments hold sums over exams, not over patients, so a share of one patient is not known. k
    exams have at most √(k × square) of a total (Cauchy-Schwarz). `dominance` takes k as the mean
    number of exams per patient, rounded up: that is a bound where each patient has as many, and
    for a single exam always. A patient with many more exams than others can be missed; a bound
    for every case (exams - patients + 1) would ask for a review of nearly every table.

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
        sums = zip(
            *(exact.data[n].values.ravel().tolist() for n in ("square", "total")),
            (-(-exams // np.maximum(patients, 1))).ravel().tolist(),
            (view.statuses["mean"].values == "rounded").ravel(),
            strict=True,
        )
        share = [
            math.sqrt(float(k) * float(square)) / abs(float(total))
            for square, total, k, is_told in sums
            if is_told and total
        ]
        if max(share, default=0) >= DOMINANCE:
            found.append(
                Finding(
                    "review",
                    "dominance",
                    "One patient may make up half of the total of a cell",
                    name,
                    round(min(max(share), 1.0), 2),
                    DOMINANCE,
                    "Look for a wrong value; otherwise say why it may leave",
                )
            )
    return found
