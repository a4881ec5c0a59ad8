"""Fans: months as they are told, and bands that are meant to hold those to come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from workbench.publish.histograms import axis_of
from workbench.publish.language import Words, lowered, speak
from workbench.publish.outlook import Series, Year
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
    spot,
    ticks,
    tip_of,
)

OPACITY = 0.2
"""Of one band; the bands lie on each other, so that the likeliest months are the darkest."""
TARGET = "#d55e00"


def plot_fan(
    series: Sequence[Series],
    *,
    axis: str,
    years: str,
    threshold: int = FLOOR,
    width: int = WIDE,
    language: str = "en",
) -> alt.TopLevelMixin:
    """Draw months with their forecast, and beside them the years with their targets.

    Parameters
    ----------
    series
        What is drawn, one below the other.
    axis, years
        Titles of the counts of a month and of a year.
    threshold, width, language
        As in `plot_bars`.

    Returns
    -------
    altair.TopLevelMixin
        The chart.
    """
    words = speak(language)
    wide = width > 600
    gap = 64
    left = (width - gap - 94) * 0.62 if wide else width - 66
    right = (width - gap - 94) * 0.38 if wide else width - 66
    parts = []
    for one in series:
        name = one.label or ("" if len(series) == 1 else words.say("all_together"))
        titles = [
            words.say("of_label", label=name, words=lowered(t)) if name else t
            for t in (axis, years)
        ]
        parts += [
            _months(one, titles[0], left, words, threshold),
            _years(one, titles[1], right, words, threshold),
        ]
    # In one go: each chart that holds others copies them all.
    grid = alt.ConcatChart(
        concat=parts, columns=2 if wide else 1, spacing={"row": 40, "column": gap}
    )
    return finish(grid, words)


def _months(one: Series, title: str, inner: float, words: Words, threshold: int) -> alt.LayerChart:
    height = 210
    months = len(one.cells) + len(one.middle)
    scale = alt.Scale(domain=[0, max(1, months - 1)], nice=False)
    first = -one.since % 12
    januaries: dict[float, str] = {i: str((one.since + i) // 12) for i in range(first, months, 12)}
    every = max(1, math.ceil(len(januaries) * 44 / inner))
    x = alt.X("at:Q", scale=scale, axis=axis_of(dict(list(januaries.items())[::every]), ""))
    y = alt.Y("value:Q", axis=ticks(",~s" if _large(one) else ",~r"), scale=alt.Scale(zero=True))
    told = [
        {
            "at": i,
            "value": cell.value,
            "low": cell.low,
            "high": cell.high,
            "shown": cell.shown,
            "hidden": cell.how == "suppressed",
            "tip": tip_of((one.label, _month(one.since + i)), cell, words, None, threshold),
        }
        for i, cell in enumerate(one.cells)
    ]
    base = alt.Chart(inline(told)).encode(x=x)
    now = len(one.cells) - 1
    joined = [(now, one.cells[now])] if one.middle else []
    layers: list[alt.Chart] = []
    for _, lows, highs in one.bands:
        start = [{"at": i, "low": c.value, "high": c.value} for i, c in joined]
        ends = zip(lows, highs, strict=True)
        ahead = [{"at": now + 1 + i, "low": a, "high": b} for i, (a, b) in enumerate(ends)]
        band = alt.Chart(inline([*start, *ahead])).mark_area(color=ACCENT, opacity=OPACITY)
        layers.append(band.encode(x=x, y=alt.Y("low:Q"), y2=alt.Y2("high")))
    if one.middle:
        middle = [{"at": i, "value": c.value} for i, c in joined]
        middle += [{"at": now + 1 + i, "value": v} for i, v in enumerate(one.middle)]
        line = alt.Chart(inline(middle)).mark_line(color=ACCENT, strokeWidth=2, strokeDash=[5, 3])
        layers.append(line.encode(x=x, y=y))
    layers += [
        base.mark_line(color=INK, strokeWidth=1.6).encode(y=y),
        spot(base.transform_filter("datum.shown"), INK, "circle", 18).encode(y=y, description=TIP),
    ]
    if any(cell.shown and cell.high > cell.low for cell in one.cells):
        apart = base.transform_filter("datum.shown && datum.high > datum.low")
        rule = apart.mark_rule(color=SOFT, strokeWidth=1.2)
        layers.insert(0, rule.encode(y=alt.Y("low:Q"), y2=alt.Y2("high")))
    if any(cell.how == "suppressed" for cell in one.cells):
        layers += _hidden(base, 6, height)
    return panel(layers, title, inner, height)


def _years(one: Series, title: str, inner: float, words: Words, threshold: int) -> alt.LayerChart:
    height = 210
    years = [year for year in one.years if _drawn(year)]
    top = top_of(one)
    records = [_record(year, one.label, top, words, threshold) for year in years]
    labels = [str(year.year) for year in years]
    base = alt.Chart(inline(records)).encode(
        x=alt.X("year:N", sort=labels, axis=alt.Axis(title=None, labelAngle=0, grid=False))
    )
    scale = alt.Scale(domain=[0, top], nice=False)
    y = alt.Y("value:Q", scale=scale, axis=ticks(",~s" if top >= 100_000 else ",~r"))
    bar = max(8.0, min(34.0, 0.5 * inner / max(1, len(years))))
    goal = alt.Description("goal:N")
    floor = at(alt.Y2Value, height)
    layers: list[alt.Chart] = [
        base.transform_filter("isValid(datum.value)")
        .mark_bar(width=bar, aria=True)
        .encode(
            y=y,
            y2=floor,
            color=alt.Color("colour:N", scale=None, legend=None),
            opacity=alt.Opacity("opacity:Q", scale=None, legend=None),
            description=TIP,
        )
    ]
    if any(record["ahead"] for record in records):
        ahead = base.transform_filter("datum.ahead")
        tick = ahead.mark_tick(color=INK, thickness=1.3, size=8, orient="horizontal")
        low, high = (alt.Y(f"{end}:Q", scale=scale) for end in ("low", "high"))
        rule = ahead.mark_rule(color=INK, strokeWidth=1.3)
        layers += [rule.encode(y=low, y2=alt.Y2("high")), tick.encode(y=low), tick.encode(y=high)]
    if any(record["hidden"] for record in records):
        layers += _hidden(base, bar, height)
    for beyond, shape, size in ((False, "diamond", 120), (True, "triangle-up", 90)):
        if any(r["beyond"] is beyond and math.isfinite(r["target"]) for r in records):
            which = f"isValid(datum.target) && {'' if beyond else '!'}datum.beyond"
            held = base.transform_filter(which).encode(y=alt.Y("target:Q", scale=scale))
            text = held.mark_text(dy=-13, fontWeight="bold", color=TARGET)
            layers += [
                spot(held, TARGET, shape, size).encode(description=goal),
                text.encode(text=alt.Text("chance:N")),
            ]
    return panel(layers, title, inner, height)


def top_of(one: Series) -> float:
    """Return where the axis of the years ends: a target that is far off must not flatten them."""
    told = [year.told.value for year in one.years if year.told.shown]
    expected = [year.expected.high for year in one.years if year.expected.shown]
    most = max(told + expected, default=1.0)
    return 1.15 * max([most, *(year.target for year in one.years if year.target < 3 * most)])


def _hidden(base: alt.Chart, width: float, height: float) -> list[alt.Chart]:
    """Return a hatched hollow box at the foot of whatever is suppressed."""
    hidden = base.transform_filter("datum.hidden")
    box = hidden.mark_bar(width=width, fill="#fff", stroke=SOFT, strokeDash=[2, 2], aria=True)
    ends = {"y": at(alt.YValue, height - 14), "y2": at(alt.Y2Value, height)}
    word = hidden.mark_text(color=SOFT, fontSize=9, text="╱")
    return [box.encode(**ends, description=TIP), word.encode(y=at(alt.YValue, height - 7))]


def _drawn(year: Year) -> bool:
    told = year.told.shown or year.told.how == "suppressed"
    return told or year.expected.shown or not math.isnan(year.target)


def _record(year: Year, label: str, top: float, words: Words, threshold: int) -> dict[str, Any]:
    cell = year.told if year.told.shown or not year.expected.shown else year.expected
    names = (label, str(year.year))
    goal = words.say("target")
    parts = [f"{goal} {words.number(year.target)}", year.source]
    if not math.isnan(year.chance):
        parts.insert(1, f"{words.say('chance')} {words.percent(year.chance)}")
    beyond = year.target > top
    ahead = cell is year.expected and cell.shown
    return {
        "year": str(year.year),
        "value": cell.value,
        "low": cell.low,
        "high": min(cell.high, top) if math.isfinite(cell.high) else cell.high,
        "ahead": ahead,
        "colour": ACCENT if ahead else INK,
        "opacity": 0.45 if ahead else 0.75,
        "hidden": cell.how == "suppressed",
        "target": min(year.target, 0.97 * top) if beyond else year.target,
        "beyond": beyond,
        "chance": "" if math.isnan(year.chance) else words.percent(year.chance),
        "tip": tip_of(names, cell, words, None, threshold),
        "goal": f"{words.listed(names)}: {'; '.join(filter(None, parts))}",
    }


def _month(number: int) -> str:
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def _large(one: Series) -> bool:
    highs = [cell.value for cell in one.cells if cell.shown]
    highs += [high for _, _, ends in one.bands[:1] for high in ends]
    return max(highs, default=0.0) >= 100_000
