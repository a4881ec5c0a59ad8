"""Heatmaps: numbers by two dimensions as colours, light to dark as low to high.

The colours are those of cividis (Nuñez, Anderton & Renslow 2018, doi:10.1371/journal.pone.0199239),
which looks alike to eyes with and without a colour deficiency, and whose lightness falls evenly, so
that a grey print keeps the order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import altair as alt
import numpy as np

from workbench.publish.language import Words, speak
from workbench.publish.lettering import drawn_width, fit
from workbench.publish.matrix import Matrix
from workbench.publish.panels import (
    FLOOR,
    INK,
    SOFT,
    TIP,
    WIDE,
    at,
    finish,
    heading,
    inline,
    panel,
    tip_of,
)

_STOPS = ("fee838", "dec958", "bcad6c", "9b9476", "7c7b78", "5e656f", "3c4d6e", "123570", "00224e")
_DARK, _LIGHT = "#14202b", "#fbfdff"
"""Letters on light and on dark cells: not those of the page, which change with it."""
MOST, LEAST = "▲", "▽"
"""What marks the highest and the lowest cell."""
ALIKE = 7
"""Cells of the same number that are marked at most: more would be a pattern, not a mark."""
_STEPS = 60
_FEW = 12


def shade(part: float) -> str:
    """Return the colour of a place between the lowest, 0, and the highest, 1.

    Examples
    --------
    >>> shade(0), shade(1)
    ('#fee838', '#00224e')
    """
    stops = np.array([[int(s[i : i + 2], 16) for i in (0, 2, 4)] for s in _STOPS])
    at_stop = np.linspace(0, 1, len(_STOPS))
    mixed = [round(float(np.interp(part, at_stop, stops[:, i]))) for i in range(3)]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def plot_heatmap(
    matrix: Matrix,
    *,
    axis: str,
    threshold: int = FLOOR,
    width: int = WIDE,
    language: str | Words = "en",
) -> alt.TopLevelMixin:
    """Draw numbers by two dimensions as colours, with the scale below.

    Parameters
    ----------
    matrix
        The numbers; on a narrow figure the dimension of more labels stands down.
    axis
        Title of the scale, with its unit.
    threshold, width, language
        As in `plot_bars`.

    Returns
    -------
    altair.TopLevelMixin
        The chart.
    """
    words = speak(language)
    wide = width > 600
    if (len(matrix.rows) > len(matrix.columns)) == wide:
        matrix = matrix.turned
    gutter = 24 + min(max(map(drawn_width, matrix.rows), default=0), 200 if wide else 90)
    inner = width - gutter - 10
    step = inner / max(1, len(matrix.columns))
    told = [cell.value for *_, cell in matrix.named if cell.shown]
    low, high = min(told), max(told)
    marked = {v for v in (low, high) if low < high and told.count(v) <= ALIKE}
    records = []
    for row, column, cell in matrix.named:
        part = (cell.value - low) / (high - low) if cell.shown and high > low else 0.0
        mark = _mark(cell.value, low, high) if cell.shown and cell.value in marked else ""
        records.append(
            {
                "row": row,
                "column": column,
                "fill": shade(part) if cell.shown else "#fff",
                "on": _LIGHT if part > 0.5 else _DARK,
                "mark": mark,
                "shown": cell.shown,
                "hidden": cell.how == "suppressed",
                "tip": tip_of((row, column), cell, words, matrix.write, threshold),
            }
        )
    base = alt.Chart(inline(records)).encode(
        x=alt.X(
            "column:N",
            sort=list(matrix.columns),
            axis=_below(matrix.columns, matrix.titles[1], step),
            scale=alt.Scale(padding=0),
        ),
        y=alt.Y(
            "row:N",
            sort=list(matrix.rows),
            axis=alt.Axis(
                title=None,
                domain=False,
                grid=False,
                labelLimit=gutter - 14,
                minExtent=gutter,
                maxExtent=gutter,
                labelOverlap=False,
            ),
            scale=alt.Scale(padding=0),
        ),
    )
    layers = [
        base.transform_filter("datum.shown")
        .mark_rect(stroke="#fff", strokeWidth=1, aria=True)
        .encode(color=alt.Color("fill:N", scale=None, legend=None), description=TIP),
        base.transform_filter("datum.mark")
        .mark_text(fontSize=12 if step > 20 else 10)
        .encode(text=alt.Text("mark:N"), color=alt.Color("on:N", scale=None, legend=None)),
    ]
    if any(record["hidden"] for record in records):
        hidden = base.transform_filter("datum.hidden")
        box = hidden.mark_rect(fill="#fff", stroke=SOFT, strokeDash=[2, 2], aria=True)
        word = hidden.mark_text(color=SOFT, fontSize=10, text="╱╱" if step > 20 else "╱")
        layers += [box.encode(description=TIP), word]
    height = (max(30.0, min(step, 34.0)) if wide else 18.0) * len(matrix.rows)
    drawn = panel(layers, matrix.titles[0], inner, height)
    scale = _scale((low, high), axis, min(inner, 420), matrix.write)
    return finish(alt.vconcat(drawn, scale, spacing=24), words)


def _mark(value: float, low: float, high: float) -> str:
    return MOST if value == high else LEAST if value == low else ""


def _below(labels: Sequence[str], title: str, step: float) -> alt.Axis:
    """Return the axis below: every label, each second … of a long row, or all of them upright."""
    widest = max(map(drawn_width, labels), default=0)
    every = math.ceil((widest + 6) / step)
    upright = every > 3 or (every > 1 and len(labels) <= _FEW)
    kept = labels if upright else labels[::every]
    return alt.Axis(
        title=title,
        values=list(kept),
        labelAngle=-90 if upright else 0,
        labelLimit=110,
        labelOverlap=False,
        domain=False,
        grid=False,
    )


def _scale(
    ends: tuple[float, float], title: str, room: float, write: Callable[[float], str]
) -> alt.LayerChart:
    """Return the scale of the colours, with numbers at its ends and in its middle."""
    low, high = ends
    steps = [
        {"from": room * i / _STEPS, "to": room * (i + 1) / _STEPS, "fill": shade(i / (_STEPS - 1))}
        for i in range(_STEPS if high > low else 1)
    ]
    place = alt.Scale(domain=[0, room], range=[0, room])
    x = alt.X("from:Q", scale=place, axis=None)
    bar = (
        alt.Chart(inline(steps))
        .mark_bar(height=12)
        .encode(
            x=x,
            x2=alt.X2("to"),
            y=at(alt.YValue, 6),
            color=alt.Color("fill:N", scale=None, legend=None),
        )
    )
    parts = (0, 0.5, 1) if high > low else (0,)
    written = [
        {"from": part * room, "text": fit(write(low + part * (high - low)), 120)} for part in parts
    ]
    sides = {0: "left", 0.5: "center", 1: "right"}
    texts = [
        alt.Chart(inline([one]))
        .mark_text(align=sides[part], color=INK, fontSize=12)  # type: ignore[arg-type]
        .encode(x=x, y=at(alt.YValue, 24), text=alt.Text("text:N"))
        for one, part in zip(written, parts, strict=True)
    ]
    layers = [heading(title, y=-12, room=room), bar, *texts]
    drawn: alt.LayerChart = alt.LayerChart(layer=layers).properties(width=room, height=32)
    return drawn
