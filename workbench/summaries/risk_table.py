"""Risk table: times until an event, in bins, and times that were broken off before it.

It is a histogram with the dimension `outcome`. So it combines exactly, and disclosure merges its
bins like those of any histogram; `workbench.statistics.survival` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from workbench.errors import DefinitionError
from workbench.summaries import histogram
from workbench.summaries.dimension import Dimension, Zeros
from workbench.summaries.summary import Summary

OUTCOME = "outcome"
"""Name of the dimension that says how a time ended."""
EVENT, CENSORED = "event", "censored"
"""Its labels: the event happened then; it had not happened when it was last looked."""


def outcomes(zeros: Zeros = "protected") -> Dimension:
    """Return the dimension of how a time ended.

    Examples
    --------
    >>> outcomes().labels
    ('event', 'censored')
    """
    return Dimension(OUTCOME, (EVENT, CENSORED), "exam", zeros)


def summarise(
    dimensions: Sequence[Dimension],
    columns: Mapping[str, npt.ArrayLike],
    exam: npt.ArrayLike,
    patient: npt.ArrayLike,
    times: npt.ArrayLike,
    *,
    happened: npt.ArrayLike,
    edges: Sequence[float],
    unit: str,
    zeros: Zeros = "protected",
    population: str = "exams",
    margins: bool = True,
) -> Summary:
    """Count exams and patients by the time until an event, and by whether it happened.

    Parameters
    ----------
    dimensions, columns, exam, patient, population, margins
        As for `workbench.summaries.counts.summarise`.
    times : (n,) float
        Time until the event or, if it had not happened, until it was last looked; in `unit`, at
        least 0. NaN where it is not known: such an exam is not counted.
    happened : (n,) bool
        Whether the event had happened.
    edges : (k,) float
        Declared edges; the first one is 0.
    unit
        UCUM unit of the times.
    zeros
        "public" if an empty interval may be published as empty.

    Raises
    ------
    DefinitionError
        If the first edge is not 0, a time is negative, or the rows do not fit.

    Examples
    --------
    >>> s = summarise([], {}, exam=[1, 2, 3], patient=[7, 8, 9], times=[2, 30, 4],
    ...               happened=[True, True, False], edges=[0, 10], unit="h", margins=False)
    >>> s.data.exams.sel(bin="[0,10)").values.tolist()
    [1, 1]
    """
    if not len(edges) or float(edges[0]) != 0.0:
        raise DefinitionError("Times start at 0", where="edges", todo="Let the first edge be 0")
    values, event = np.asarray(times, np.float64), np.asarray(happened)
    if event.dtype != np.bool_ or event.shape != values.shape:
        raise DefinitionError(
            "It must be said of every time whether the event happened",
            where=f"happened, shape {event.shape} of type {event.dtype}",
            todo="Give True or False for each time",
        )
    if (values < 0).any():
        raise DefinitionError(
            "A time until an event is negative",
            where="times",
            todo="Leave out, and count, what ends before it starts",
        )
    ended = np.where(event, 0, 1)
    return histogram.summarise(
        (*dimensions, outcomes(zeros)),
        {**columns, OUTCOME: ended},
        exam,
        patient,
        values,
        edges=edges,
        unit=unit,
        zeros=zeros,
        population=population,
        margins=margins,
    )


def require_risk_table(summary: Summary) -> None:
    """Raise if a Summary is no risk table.

    Raises
    ------
    DefinitionError
        If it is no histogram, or has no dimension `outcome`.
    """
    named = [d for d in summary.dimensions if d.name == OUTCOME]
    if summary.kind != "histogram" or not named or not {EVENT, CENSORED} <= set(named[0].labels):
        raise DefinitionError(
            f"{summary!r} is no risk table", todo="Give what risk_table.summarise made"
        )
