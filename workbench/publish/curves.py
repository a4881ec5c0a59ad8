"""Curves: the share that is still open over time, with a band that holds it, one a group."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt

from workbench.publish.histograms import axis_of, edge_ticks
from workbench.publish.language import Words, speak
from workbench.publish.open_share import Curve
from workbench.publish.panels import (
    FLOOR,
    PALETTE,
    TIP,
    WIDE,
    finish,
    inline,
    panel,
    ticks,
    tip_of,
)

SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
"""Marks of the curves: colours are lost in a grey print."""


def plot_curves(
    curves: Sequence[Curve],
    *,
    ends: Sequence[float],
    axis: str,
    values: str,
    threshold: int = FLOOR,
    width: int = WIDE,
    language: str | Words = "en",
) -> alt.TopLevelMixin:
    """Draw the open share of each group as a line, with a band in steps.

    Every declared bin is drawn equally wide, as in a histogram. The band holds the share at every
    time, not at the edges only: within a bin it lies between the shares at its two ends.

    Parameters
    ----------
    curves
        One a group.
    ends
        Ends of the declared bins.
    axis, values
        Titles of the share and of the time, with units.
    threshold, width, language
        As in `plot_bars`.

    Returns
    -------
    altair.TopLevelMixin
        The chart.
    """
    words = speak(language)
    inner, height = width - 60, 320 if width > 600 else 250
    start = next(i for i, end in enumerate(ends) if end >= 0)
    last = max(
        place for c in curves for place, e in zip(c.places, c.edges, strict=True) if e < math.inf
    )
    scale = alt.Scale(domain=[start, last], nice=False)
    x = alt.X(
        "at:Q", scale=scale, axis=axis_of(edge_ticks(ends, (start, last), inner, words), values)
    )
    y = alt.Y("value:Q", axis=ticks(".0%", [0, 0.25, 0.5, 0.75, 1]), scale=alt.Scale(domain=[0, 1]))
    layers: list[alt.Chart] = []
    for number, curve in enumerate(curves):
        colour = PALETTE[number]
        band = alt.Chart(inline(_band(curve, start))).mark_area(
            color=colour, opacity=0.16, interpolate="step-after"
        )
        layers.append(band.encode(x=x, y=alt.Y("high:Q"), y2=alt.Y2("low")))
        if curve.against is not None and curve.against.points:
            dashed = alt.Chart(inline(_line(curve.against, ends, start, words, threshold)))
            layers.append(
                dashed.mark_line(color=colour, strokeWidth=1.4, strokeDash=[5, 4]).encode(
                    x=x, y=y, order=alt.Order("at:Q")
                )
            )
    for number, curve in enumerate(curves):
        colour = PALETTE[number]
        points = alt.Chart(inline(_line(curve, ends, start, words, threshold)))
        line = points.mark_line(color=colour, strokeWidth=2)
        marks = points.transform_filter("datum.tip").mark_point(
            shape=SHAPES[number], color=colour, size=60, filled=True, opacity=1, aria=True
        )
        layers += [
            line.encode(x=x, y=y, order=alt.Order("at:Q")),
            marks.encode(x=x, y=y, description=TIP),
        ]
    return finish(panel(layers, axis, inner, height), words)


def _line(
    curve: Curve, ends: Sequence[float], start: int, words: Words, threshold: int
) -> list[dict[str, object]]:
    """Return the share at each finite edge, the whole first.

    In a bin that joins several declared ones the events are taken to be even in time.
    """
    found: list[dict[str, object]] = [{"at": start, "value": 1.0, "tip": ""}]
    before, value = start, 1.0
    for edge, place, point in zip(curve.edges, curve.places, curve.points, strict=True):
        if not math.isfinite(edge):
            break
        for between in range(before + 1, place):
            part = (ends[between] - ends[before]) / (edge - ends[before])
            found.append({"at": between, "value": value + (point.value - value) * part, "tip": ""})
        tip = tip_of((curve.label, words.edge(edge)), point, words, words.percent, threshold)
        found.append({"at": place, "value": point.value, "tip": tip})
        before, value = place, point.value
    return found


def _band(curve: Curve, start: int) -> list[dict[str, float]]:
    """Return what holds the share from each edge to the next: what it was, and what it will be."""
    finite = [
        (place, point)
        for edge, place, point in zip(curve.edges, curve.places, curve.points, strict=True)
        if math.isfinite(edge)
    ]
    highs = [1.0, *(point.high for _, point in finite)]
    lows = [*(point.low for _, point in finite), finite[-1][1].low]
    places = [start, *(place for place, _ in finite)]
    return [
        {"at": place, "high": high, "low": low}
        for place, high, low in zip(places, highs, lows, strict=True)
    ]
