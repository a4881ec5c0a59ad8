"""Presentation: a Summary as a line of text, a long table and a small card."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.display import Card
from workbench.errors import show
from workbench.summaries.summary import HIDDEN, Summary

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 8  # of a card


def line(summary: Summary) -> str:
    """Return one line: what is counted, along what, and how exactly."""
    along = ", ".join(
        f"{d.name} ({len(d.labels)} labels{' and all' if d.name in summary.margins else ''})"
        for d in summary.dimensions
    )
    population = show(summary.attributes.get("population", "?"))
    return (
        f"<Summary {show(summary.kind)} of {population}: {along or 'one cell'}; "
        f"{', '.join(summary.fields)}; {_exactness(summary)}>"
    )


def frame(summary: Summary) -> pd.DataFrame:
    """Return a long table: dimensions, variable, value (missing if hidden), status."""
    import pandas as pd

    names = [d.name for d in summary.dimensions]
    index = pd.MultiIndex.from_product(
        [*(summary.labels(n) for n in names), summary.fields], names=[*names, "variable"]
    )
    fields = [summary.data[n].values for n in summary.fields]
    values = np.stack([f.astype(object) for f in fields], axis=-1).ravel()
    status = np.stack([summary.statuses[n].values for n in summary.fields], axis=-1).ravel()
    column = pd.Series(values, dtype=object).mask(np.isin(status, HIDDEN), pd.NA)
    kinds = {f.dtype.kind for f in fields}
    if "O" not in kinds:
        column = column.astype("Float64" if "f" in kinds else "Int64")
    return index.to_frame(index=False).assign(value=column, status=status.astype(object))


def card(summary: Summary) -> Card:
    """Return a card: the line, the attributes, the first rows."""
    rows = frame(summary)
    more = len(rows) - _ROWS
    notes = [f"and {more:,} more rows"] if more > 0 else []
    notes += ["exact: it stays at this site"] if summary.exact else []
    return Card(
        line(summary)[1:-1],
        {name: show(value) for name, value in sorted(summary.attributes.items())},
        [str(column) for column in rows.columns],
        [[str(value) for value in row] for row in rows.head(_ROWS).itertuples(index=False)],
        "; ".join(notes),
    )


def _exactness(summary: Summary) -> str:
    if summary.exact:
        return "exact"
    words = np.concatenate([summary.statuses[n].values.ravel() for n in summary.fields])
    counted = zip(*np.unique(words, return_counts=True), strict=True)
    return "released: " + ", ".join(f"{n} {word}" for word, n in counted)
