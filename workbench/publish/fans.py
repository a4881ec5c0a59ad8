"""Fans: months as they are told, and bands that are meant to hold those to come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from workbench.publish.histograms import axis_of
from workbench.publish.language import Words, lowered, speak
from workbench.publish.outlook import Fan, Series
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
from workbench.publish.years import Year

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
    language: str | Words = "en",
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
    months = max([len(one.cells), *(fan.start + len(fan.middle) for fan in one.fans)])
    scale = alt.Scale(domain=[0, max(1, months - 1)], nice=False)
    first = -one.since % 12
    januaries: dict[float, str] = {i: str((one.since + i) // 12) for i in range(first, months, 12)}
    every = max(1, math.ceil(len(januaries) * 44 / inner))
    x = alt.X("at:Q", scale=scale, axis=axis_of(dict(list(januaries.items())[::every]), ""))
    y = alt.Y("value:Q", axis=_ticks(_largest(one)), scale=alt.Scale(zero=True))
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
    layers: list[alt.Chart] = []
    for fan in one.fans:
        layers += _bands(one, fan, x, y)
    if one.tested is not None:
        layers.append(_mark_start(one.tested.start - 1, x, height))
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


def _bands(one: Series, fan: Fan, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Return a forecast, joined to the month before it."""
    before = one.cells[fan.start - 1]
    joined = [before] if before.shown else []
    months = range(fan.start - len(joined), fan.start + len(fan.middle))
    layers = []
    for _, lows, highs in fan.bands:
        ends = [(cell.value, cell.value) for cell in joined] + list(zip(lows, highs, strict=True))
        rows = [
            {"at": month, "low": low, "high": high}
            for month, (low, high) in zip(months, ends, strict=True)
        ]
        band = alt.Chart(inline(rows)).mark_area(color=ACCENT, opacity=OPACITY)
        layers.append(band.encode(x=x, y=alt.Y("low:Q"), y2=alt.Y2("high")))
    middle = [
        {"at": month, "value": value}
        for month, value in zip(months, [*(c.value for c in joined), *fan.middle], strict=True)
    ]
    line = alt.Chart(inline(middle)).mark_line(color=ACCENT, strokeWidth=2, strokeDash=[5, 3])
    return [*layers, line.encode(x=x, y=y)]


def _mark_start(place: int, x: alt.X, height: float) -> alt.Chart:
    """Return a line where a forecast begins that does not know the months drawn over it."""
    rule = alt.Chart(inline([{"at": place}])).mark_rule(color=SOFT, strokeDash=[2, 3])
    drawn: alt.Chart = rule.encode(x=x, y=at(alt.YValue, 0), y2=at(alt.Y2Value, height))
    return drawn


def _years(one: Series, title: str, inner: float, words: Words, threshold: int) -> alt.LayerChart:
    height = 210
    years = [year for year in one.years if _drawn(year)]
    top, step = top_of(one), inner / max(1, len(years))
    bar = max(8.0, min(34.0, 0.5 * step))
    scale = alt.Scale(domain=[0, top], nice=False)
    places = {i + 0.5: str(year.year) for i, year in enumerate(years)}
    x = alt.X("at:Q", scale=alt.Scale(domain=[0, len(years)], nice=False), axis=axis_of(places, ""))
    y = alt.Y("value:Q", scale=scale, axis=_ticks(top))
    bars = [
        record
        for place, year in zip(places, years, strict=True)
        for record in _bars(year, place, (bar, step), (one.label, words, threshold))
    ]
    base = alt.Chart(inline(bars)).encode(x=x)
    layers: list[alt.Chart] = [
        base.transform_filter("isValid(datum.value)")
        .mark_bar(aria=True)
        .encode(
            y=y,
            y2=at(alt.Y2Value, height),
            size=alt.Size("thick:Q", scale=None, legend=None),
            color=alt.Color("colour:N", scale=None, legend=None),
            opacity=alt.Opacity("opacity:Q", scale=None, legend=None),
            description=TIP,
        )
    ]
    if any(record["ahead"] for record in bars):
        ahead = base.transform_filter("datum.ahead")
        tick = ahead.mark_tick(color=INK, thickness=1.3, size=8, orient="horizontal")
        low, high = (alt.Y(f"{end}:Q", scale=scale) for end in ("low", "high"))
        rule = ahead.mark_rule(color=INK, strokeWidth=1.3)
        layers += [rule.encode(y=low, y2=alt.Y2("high")), tick.encode(y=low), tick.encode(y=high)]
    if any(record["hidden"] for record in bars):
        layers += _hidden(base, bar, height)
    goals = [
        _goal(year, place, one.label, top, words)
        for place, year in zip(places, years, strict=True)
        if year.target.shown
    ]
    for beyond, shape, size in ((False, "diamond", 120), (True, "triangle-up", 90)):
        if any(goal["beyond"] is beyond for goal in goals):
            there = [goal for goal in goals if goal["beyond"] is beyond]
            held = alt.Chart(inline(there)).encode(x=x, y=alt.Y("target:Q", scale=scale))
            text = held.mark_text(dy=-13, fontWeight="bold", color=TARGET)
            layers += [
                spot(held, TARGET, shape, size).encode(description=alt.Description("goal:N")),
                text.encode(text=alt.Text("chance:N")),
            ]
    return panel(layers, title, inner, height)


def top_of(one: Series) -> float:
    """Return where the axis of the years ends: a target that is far off must not flatten them."""
    told = [year.told.value for year in one.years if year.told.shown]
    expected = [year.expected.high for year in one.years if year.expected.shown]
    most = max(told + expected, default=1.0)
    aims = [year.target.value for year in one.years if year.target.shown]
    return 1.15 * max([most, *(aim for aim in aims if aim < 3 * most)])


def _hidden(base: alt.Chart, width: float, height: float) -> list[alt.Chart]:
    """Return a hatched hollow box at the foot of whatever is suppressed."""
    hidden = base.transform_filter("datum.hidden")
    box = hidden.mark_bar(width=width, fill="#fff", stroke=SOFT, strokeDash=[2, 2], aria=True)
    ends = {"y": at(alt.YValue, height - 14), "y2": at(alt.Y2Value, height)}
    word = hidden.mark_text(color=SOFT, fontSize=9, text="╱")
    return [box.encode(**ends, description=TIP), word.encode(y=at(alt.YValue, height - 7))]


def _drawn(year: Year) -> bool:
    told = year.told.shown or year.told.how == "suppressed"
    return told or year.expected.shown or year.target.shown


def _bars(
    year: Year, place: float, room: tuple[float, float], said: tuple[str, Words, int]
) -> list[dict[str, Any]]:
    """Return a year as told, as forecast, or as both beside each other."""
    (bar, step), (label, words, threshold) = room, said
    told, ahead = year.told, year.expected
    drawn = [cell for cell in (told, ahead) if cell.shown] or [told]
    thick = bar if len(drawn) == 1 else 0.62 * bar
    first = place - (len(drawn) - 1) * thick / 2 / step
    return [
        {
            "at": first + i * thick / step,
            "thick": thick,
            "value": cell.value,
            "low": cell.low,
            "high": cell.high,
            "ahead": cell is ahead and cell.shown,
            "colour": ACCENT if cell is ahead else INK,
            "opacity": 0.45 if cell is ahead else 0.75,
            "hidden": cell.how == "suppressed",
            "tip": tip_of((label, str(year.year)), cell, words, None, threshold),
        }
        for i, cell in enumerate(drawn)
    ]


def _goal(year: Year, place: float, label: str, top: float, words: Words) -> dict[str, Any]:
    chance = words.spelt(year.chance, words.percent) if year.chance.shown else ""
    parts = [f"{words.say('target')} {words.spelt(year.target)}"]
    parts += [f"{words.say('chance')} {chance}"] if chance else []
    parts += [words.say(f"outcome_{year.outcome}")] if year.outcome else []
    beyond = year.target.value > top
    return {
        "at": place,
        "target": 0.97 * top if beyond else year.target.value,
        "beyond": beyond,
        "chance": words.percent(year.chance.value) if chance else "",
        "goal": f"{words.listed((label, str(year.year)))}: {'; '.join([*parts, year.source])}",
    }


def _month(number: int) -> str:
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def _ticks(largest: float) -> alt.Axis:
    """Return an axis of counts; from a million on they would be wider than its margin."""
    return ticks(",~r") if largest < 1_000_000 else ticks(",~s")


def _largest(one: Series) -> float:
    highs = [cell.value for cell in one.cells if cell.shown]
    highs += [high for fan in one.fans for high in fan.bands[0][2]]
    return max(highs, default=0.0)
