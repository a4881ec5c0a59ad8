"""Dots: the median of each facility with its bound, and the levels that follow from all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from workbench.publish.histograms import axis_of
from workbench.publish.language import Words, lowered, speak
from workbench.publish.lettering import drawn_width
from workbench.publish.levels import Levels
from workbench.publish.marks import Cell
from workbench.publish.panels import (
    ACCENT,
    FLOOR,
    INK,
    PALETTE,
    SOFT,
    TIP,
    WIDE,
    at,
    axis_limit,
    finish,
    inline,
    panel,
    spot,
    ticks,
    tip_of,
)

NATIONAL = PALETTE[3]
SIZES = (26, 320)
"""Areas of the smallest and the largest dot, px²."""
_LETTERS = 17
"""Height of a line of words, px."""
_ROOMY = 13
"""Room of a facility that can be named, px."""


def plot_dots(
    levels: Sequence[Levels],
    *,
    axis: str,
    facilities: str,
    threshold: int = FLOOR,
    width: int = WIDE,
    language: str | Words = "en",
) -> alt.TopLevelMixin:
    """Draw the median of each facility as a dot by size, and the levels as lines.

    Each kind of exam has a panel of its own, below the one before.

    Parameters
    ----------
    levels
        What is drawn, one a panel.
    axis, facilities
        Titles of the value, with its unit, and of the facilities.
    threshold, width, language
        As in `plot_bars`.

    Returns
    -------
    altair.TopLevelMixin
        The chart.
    """
    words = speak(language)
    titles = (axis, facilities)
    panels = [_dots(one, titles, words, threshold=threshold, width=width) for one in levels]
    return finish(alt.ConcatChart(concat=panels, columns=1, spacing=36), words)


def _dots(
    levels: Levels, titles: tuple[str, str], words: Words, *, threshold: int, width: int
) -> alt.LayerChart:
    wide = width > 600
    inner, height = width - (60 if wide else 46), 280 if wide else 240
    title = words.say("of_label", label=levels.label, words=lowered(titles[0]))
    limit = axis_limit(f.median for f in levels.facilities)
    lines = _lines(levels, words, limit)
    records = [
        {
            "place": i + 0.5,
            "label": f.label,
            "value": f.median.value,
            "low": max(0.0, f.median.low),
            "high": min(f.median.high, limit),
            "beyond": f.median.high > limit,
            "exams": f.exams.value,
            "tip": "; ".join(
                (
                    tip_of((f.label,), f.median, words, None, threshold),
                    words.count("n_exams", f.exams.value, words.spelt(f.exams)),
                )
            ),
        }
        for i, f in enumerate(levels.facilities)
    ]
    many = len(records)
    tall = max([limit / 1.25, *(line["value"] for line in lines)])
    scale = alt.Scale(domain=[0, max(limit, 1.08 * tall)], nice=False)
    named: dict[float, str] = {i + 0.5: f.label for i, f in enumerate(levels.facilities)}
    place = alt.Scale(domain=[0, many], nice=False)
    x = alt.X("place:Q", scale=place, axis=_below(named, inner / many, titles[1]))
    y = alt.Y("value:Q", scale=scale, axis=ticks())
    base = alt.Chart(inline(records)).encode(x=x)
    apart = base.transform_filter("datum.high > datum.low")
    largest = min(SIZES[1], max(2 * SIZES[0], (2.5 * inner / many) ** 2))
    size = alt.Size(
        "exams:Q", legend=None, scale=alt.Scale(type="sqrt", zero=True, range=[SIZES[0], largest])
    )
    layers: list[alt.Chart] = [
        *(_band(line, scale, inner) for line in lines if line["low"] < line["high"]),
        apart.mark_rule(
            color=SOFT, strokeWidth=1.3, opacity=1 if inner / many > _ROOMY else 0.35
        ).encode(y=alt.Y("low:Q", scale=scale), y2=alt.Y2("high")),
        spot(base.transform_filter("datum.beyond"), SOFT, "triangle-up", 40).encode(
            y=alt.Y("high:Q", scale=scale)
        ),
        base.mark_point(
            shape="circle", filled=True, color=ACCENT, opacity=0.85, stroke="#fff", aria=True
        ).encode(y=y, size=size, description=TIP),
    ]
    return panel([*layers, *_rules(lines, scale, inner)], title, inner, height)


def _lines(levels: Levels, words: Words, limit: float) -> list[dict[str, Any]]:
    """Return the levels that are drawn across: words, value, ends, colour and dashes."""
    typical = "line_achievable" if levels.level.shown else "typical_value"
    named: tuple[tuple[str, Cell, str, list[int], float], ...] = (
        ("line_level", levels.level, INK, [], 2.0),
        (typical, levels.middle, INK, [6, 4], 1.6),
        ("line_of_all", levels.against, SOFT, [2, 3], 1.8),
        ("line_national", _exact(levels.national), NATIONAL, [9, 3, 2, 3], 1.8),
    )
    return [
        {
            "value": cell.value,
            "low": max(0.0, cell.low),
            "high": min(cell.high, limit),
            "text": f"{words.say(key)} {words.spelt(cell)}",
            "colour": colour,
            "dash": dash,
            "thick": thick,
        }
        for key, cell, colour, dash, thick in named
        if cell.shown
    ]


def _exact(value: float) -> Cell:
    how = "not_applicable" if math.isnan(value) else "exact"
    return Cell(value, value, value, how)  # type: ignore[arg-type]


def _band(line: dict[str, Any], scale: alt.Scale, inner: float) -> alt.Chart:
    """Return the range that holds a level, as a band across."""
    band = alt.Chart(inline([line])).mark_rect(color=INK, opacity=0.12)
    drawn: alt.Chart = band.encode(
        x=at(alt.XValue, 0),
        x2=at(alt.X2Value, inner),
        y=alt.Y("low:Q", scale=scale),
        y2=alt.Y2("high"),
    )
    return drawn


def _rules(lines: list[dict[str, Any]], scale: alt.Scale, inner: float) -> list[alt.Chart]:
    """Return levels as lines across, and their words in the corner that low medians leave free."""
    rules: list[alt.Chart] = []
    words: list[alt.Chart] = []
    for number, line in enumerate(sorted(lines, key=lambda line: -line["value"])):
        mark = alt.Chart(inline([line]))
        look = {"color": line["colour"], "strokeWidth": line["thick"], "strokeDash": line["dash"]}
        across = mark.mark_rule(**look).encode(x=at(alt.XValue, 0), x2=at(alt.X2Value, inner))
        rules.append(across.encode(y=alt.Y("value:Q", scale=scale)))
        top = at(alt.YValue, 10 + _LETTERS * number)
        sample = mark.mark_rule(**look).encode(x=at(alt.XValue, 6), x2=at(alt.X2Value, 32), y=top)
        side: dict[str, Any] = {"align": "left", "fontWeight": "bold"}
        halo = mark.mark_text(**side, color="#fff", stroke="#fff", strokeWidth=4)
        text = mark.mark_text(**side, color=line["colour"])
        place = {"x": at(alt.XValue, 38), "y": top, "text": alt.Text("text:N")}
        words += [sample, halo.encode(**place), text.encode(**place)]
    return [*rules, *words]


def _below(named: dict[float, str], step: float, title: str) -> alt.Axis:
    """Return the axis of the facilities: their names where there is room for all."""
    widest = max(map(drawn_width, named.values()), default=0)
    if step < _ROOMY:
        return axis_of({}, title)
    axis = axis_of(named, title)
    axis.labelAngle = 0 if widest + 6 < step else -90
    axis.labelLimit = 230
    return axis
