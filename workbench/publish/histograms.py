"""Histograms: shares of exams in bins of a declared grid, with quantiles marked above."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from workbench.publish.language import Words, speak
from workbench.publish.lettering import drawn_width
from workbench.publish.marks import Bin, Quantile
from workbench.publish.panels import (
    ACCENT,
    FLOOR,
    INK,
    SOFT,
    TIP,
    WIDE,
    at,
    finish,
    inline,
    panel,
    ticks,
    tip_of,
)


def plot_histogram(
    bins: Sequence[Bin],
    quantiles: Sequence[Quantile],
    *,
    ends: Sequence[float],
    axis: str,
    values: str,
    whole: bool = False,
    against: Sequence[Bin] = (),
    threshold: int = FLOOR,
    width: int = WIDE,
    language: str | Words = "en",
) -> alt.TopLevelMixin:
    """Draw shares of exams in bins of a declared grid, with quantiles marked above.

    Every declared bin is drawn equally wide, whatever its edges, with the edges written between;
    a bin merged from several spans them all, at their mean height, so that area stays the share.

    Parameters
    ----------
    bins
        The published bins.
    quantiles
        What is marked above the bars, each with the interval that holds it.
    ends
        Ends of the declared bins, infinite where a bin is open.
    axis, values
        Titles of the share and of the binned value, with units.
    whole
        True if the values are whole numbers: a bin from 2 to 5 holds 2 to 4.
    against
        Bins of all sites together, drawn as an outline over those of one.
    threshold, width, language
        As in `plot_bars`.

    Returns
    -------
    altair.TopLevelMixin
        The chart.
    """
    inner, height = width - 60, 280 if width > 600 else 220
    spanned = (*bins, *(b for b in against if b.cell.shown))
    first, last = min(b.start for b in spanned), max(b.stop for b in spanned)
    scale = alt.Scale(domain=[first, last], nice=False)
    words = speak(language)
    scaled = (_bin_ticks if whole else edge_ticks)(ends, (first, last), inner, words)
    edges = axis_of(scaled, values)
    drawn = [
        {
            "start": b.start,
            "stop": b.stop,
            "value": 100 * b.cell.value / (b.stop - b.start),
            "shown": b.cell.shown,
            "middle": (b.start + b.stop) / 2,
            "tip": tip_of(
                [words.between(ends[b.start], ends[b.stop] - whole)],
                b.cell,
                words,
                words.percent,
                threshold,
            ),
        }
        for b in bins
    ]
    base = alt.Chart(inline(drawn)).encode(
        x=alt.X("start:Q", scale=scale, axis=edges), x2=alt.X2("stop:Q")
    )
    shown, hidden = base.transform_filter("datum.shown"), base.transform_filter("!datum.shown")
    floor = at(alt.Y2Value, height)
    up = alt.Y("value:Q", axis=ticks(), scale=alt.Scale(zero=True, nice=True))
    box = hidden.mark_bar(fill="#fff", stroke=SOFT, strokeDash=[2, 2], aria=True)
    bar = shown.mark_bar(color=ACCENT, stroke="#fff", strokeWidth=1, aria=True)
    layers: list[alt.Chart] = [
        bar.encode(y=up, y2=floor, description=TIP),
        box.encode(y=at(alt.YValue, height - 14), y2=floor, description=TIP),
        *_outline(against, scale),
        alt.Chart(inline([d for d in drawn if not d["shown"]]))
        .mark_text(color=SOFT, fontSize=10, text="╱╱")
        .encode(x=alt.X("middle:Q", scale=scale), y=at(alt.YValue, height - 7)),
    ]
    marked = [q for q in quantiles if q.cell.shown]
    for line, quantile in enumerate(reversed(marked)):  # the words of a lower one pass above
        layers += _quantile(quantile, scale, -8 - 18 * line, height, words)
    top = -18 - 18 * len(marked)
    return finish(panel(layers, axis, inner, height, top=top), words)


def _outline(bins: Sequence[Bin], scale: alt.Scale) -> list[alt.Chart]:
    """Return bins as a stepped line; it stops where a bin is not told."""
    if not any(b.cell.shown for b in bins):
        return []
    steps: list[dict[str, Any]] = []
    for b in bins:
        height = 100 * b.cell.value / (b.stop - b.start) if b.cell.shown else math.nan
        steps += [{"at": b.start, "value": height, "n": 2 * len(steps)}]
        steps += [{"at": b.stop, "value": height, "n": 2 * len(steps)}]
    line = alt.Chart(inline(steps)).mark_line(color=INK, strokeWidth=2)
    return [line.encode(x=alt.X("at:Q", scale=scale), y=alt.Y("value:Q"), order=alt.Order("n:Q"))]


def _quantile(
    quantile: Quantile, scale: alt.Scale, top: float, height: float, words: Words
) -> list[alt.Chart]:
    mark = alt.Chart(
        inline(
            [
                {
                    "low": quantile.low,
                    "high": quantile.high,
                    "middle": quantile.place,
                    "text": f"{quantile.label} {words.spelt(quantile.cell)}",
                }
            ]
        )
    )
    low, middle = alt.X("low:Q", scale=scale), alt.X("middle:Q", scale=scale)
    band = mark.mark_bar(color=INK, opacity=0.14)
    rule = mark.mark_rule(color=INK, strokeDash=[4, 3])
    text = mark.mark_text(align="left", dx=5, dy=2, fontWeight="bold")
    return [
        band.encode(x=low, x2=alt.X2("high"), y=at(alt.YValue, 0), y2=at(alt.Y2Value, height)),
        rule.encode(x=middle, y=at(alt.YValue, top), y2=at(alt.Y2Value, height)),
        text.encode(x=middle, y=at(alt.YValue, top), text=alt.Text("text:N")),
    ]


def edge_ticks(
    ends: Sequence[float], span: tuple[int, int], room: float, words: Words
) -> dict[float, str]:
    """Return what is written between the bins, by place."""
    first, last = span
    every = max(1, math.ceil((last - first) * 42 / room))
    finite = [i for i in range(first, last + 1) if math.isfinite(ends[i])]
    return {i: words.edge(ends[i]) for i in finite[::every]}


def _bin_ticks(
    ends: Sequence[float], span: tuple[int, int], room: float, words: Words
) -> dict[float, str]:
    """Return the whole numbers that each bin holds, written in its middle."""
    first, last = span
    written = {i + 0.5: words.between(ends[i], ends[i + 1] - 1) for i in range(first, last)}
    widest = max(map(drawn_width, written.values()))
    every = max(1, math.ceil((last - first) * (widest + 8) / room))
    return dict(list(written.items())[::every])


def axis_of(written: dict[float, str], title: str) -> alt.Axis:
    """Return an axis with words at some places."""
    return alt.Axis(
        title=title,
        values=list(written),
        labelExpr=f"({json.dumps(written, ensure_ascii=False)})['' + datum.value]",
        grid=False,
    )
