"""Scores: what a model gave each exam, in bins, for exams with and without the finding.

It is a histogram with the dimension `truth`. So it combines exactly, and disclosure merges its
bins until each holds the threshold in its class; `workbench.statistics.score_tables` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from workbench.errors import DefinitionError
from workbench.summaries import histogram
from workbench.summaries.dimension import Dimension, Zeros
from workbench.summaries.summary import Summary

TRUTH = "truth"
"""Name of the dimension that says whether an exam has the finding."""
NEGATIVE, POSITIVE = "negative", "positive"
"""Its labels."""


def truths(zeros: Zeros = "protected") -> Dimension:
    """Return the dimension of whether an exam has the finding.

    Examples
    --------
    >>> truths().labels
    ('negative', 'positive')
    """
    return Dimension(TRUTH, (NEGATIVE, POSITIVE), "exam", zeros)


def summarise(
    dimensions: Sequence[Dimension],
    columns: Mapping[str, npt.ArrayLike],
    exam: npt.ArrayLike,
    patient: npt.ArrayLike,
    scores: npt.ArrayLike,
    *,
    truth: npt.ArrayLike,
    edges: Sequence[float],
    zeros: Zeros = "protected",
    population: str = "exams",
    margins: bool = True,
) -> Summary:
    """Count exams and patients by the score of a model, and by the truth.

    Parameters
    ----------
    dimensions, columns, exam, patient, population, margins
        As for `workbench.summaries.counts.summarise`.
    scores : (n,) float
        What the model gave, 0 to 1. NaN where it gave nothing: such an exam is not counted.
    truth : (n,) bool
        Whether the exam has the finding.
    edges : (k,) float
        Declared edges between 0 and 1. The more there are, the closer the area under the curve
        is bounded; disclosure merges those that hold too few.
    zeros
        "public" if an empty interval may be published as empty.

    Raises
    ------
    DefinitionError
        If a score or an edge is not between 0 and 1, or the rows do not fit.

    Examples
    --------
    >>> s = summarise([], {}, exam=[1, 2, 3], patient=[7, 8, 9], scores=[0.2, 0.9, 0.4],
    ...               truth=[False, True, True], edges=[0, 0.5, 1], margins=False)
    >>> s.data.exams.sel(bin="[0,0.5)").values.tolist()
    [1, 1]
    """
    values, found = np.asarray(scores, np.float64), np.asarray(truth)
    if found.dtype != np.bool_ or found.shape != values.shape:
        raise DefinitionError(
            "It must be said of every score whether the exam has the finding",
            where=f"truth, shape {found.shape} of type {found.dtype}",
            todo="Give True or False for each score",
        )
    if ((values < 0) | (values > 1)).any():
        raise DefinitionError(
            "A score is not between 0 and 1", where="scores", todo="Scale the scores, or leave out"
        )
    if not all(0 <= float(edge) <= 1 for edge in edges):
        raise DefinitionError(
            "An edge of the scores is not between 0 and 1", where="edges", todo="Correct the edges"
        )
    return histogram.summarise(
        (*dimensions, truths(zeros)),
        {**columns, TRUTH: np.where(found, 1, 0)},
        exam,
        patient,
        values,
        edges=edges,
        unit="1",
        zeros=zeros,
        population=population,
        margins=margins,
    )


def require_scores(summary: Summary) -> None:
    """Raise if a Summary is no score table.

    Raises
    ------
    DefinitionError
        If it is no histogram, or has no dimension `truth`.
    """
    named = [d for d in summary.dimensions if d.name == TRUTH]
    if summary.kind != "histogram" or not named or not {NEGATIVE, POSITIVE} <= set(named[0].labels):
        raise DefinitionError(
            f"{summary!r} is no score table", todo="Give what scores.summarise made"
        )
