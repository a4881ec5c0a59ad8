"""Figures of released counts and shares, for print and for every eye.

Each `plot_` function takes rows and returns an Altair chart; `draw` makes it SVG without a browser
or a network. None decides whether there is enough to draw: see `workbench.publish.marks.enough`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence

import altair as alt

from workbench.publish.language import Words, speak
from workbench.publish.marks import Bin, Quantile, Row
from workbench.publish.panels import (
    ACCENT,
    BESIDE,
    INK,
    NARROW,
    NOTES,
    PALETTE,
    SOFT,
    Frame,
    bar_panel,
    dot_panel,
    drawn_width,
    finish,
    hatched,
    inline,
    panel,
    record,
    spot,
    ticks,
    whiskers,
)

WIDE = 960
"""Width of a figure for a screen or a page, px."""
WIDTHS = (WIDE, NARROW)


def draw(chart: alt.TopLevelMixin) -> str:
    """Return a chart as SVG, made without a browser and without a network.

    Parameters
    ----------
    chart
        What a `plot_` function returned.

    Returns
    -------
    str
        One `svg` element, hidden from screen readers: the caller says what it shows.
    """
    import vl_convert

    # The tests hold the charts to the schema; checking each again would take a third of the time.
    spec = chart.to_dict(validate=False)
    svg: str = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    head, rest = svg.split(">", 1)
    return f'{head} aria-hidden="true" focusable="false">{rest}'


def plot_bars(
    rows: Sequence[Row],
    *,
    axis: str,
    share_axis: str = "",
    chosen: str = "",
    width: int = WIDE,
    language: str = "en",
) -> alt.TopLevelMixin:
    """Draw a bar a row with its interval and, if there are several sites, its share at each.

    Parameters
    ----------
    rows
        In the order in which they are drawn.
    axis, share_axis
        Titles with units; without `share_axis` the shares are left out.
    chosen
        Name of the site whose dot is filled.
    width
        Width of the whole figure, px; below 600 the labels stand above their bars.
    language
        Two-letter code.

    Returns
    -------
    altair.TopLevelMixin
        The chart.

    Examples
    --------
    >>> from workbench.publish.marks import Cell
    >>> chart = plot_bars([Row("CT", Cell(120, 118, 122))], axis="Exams")
    >>> draw(chart).startswith("<svg")
    True
    """
    words = speak(language)
    frame = Frame(rows, width, words)
    note = words.say("heterogeneity")
    if not share_axis:
        return finish(bar_panel(frame, axis, frame.inner), words)
    if not frame.wide:
        dots = dot_panel(frame, share_axis, chosen, frame.inner - NOTES, note=note)
        return finish(alt.vconcat(bar_panel(frame, axis, frame.inner), dots, spacing=30), words)
    gap = 40
    half = (frame.inner - gap) * 0.54
    rest = frame.inner - gap - half - NOTES
    dots = dot_panel(frame, share_axis, chosen, rest, note=note, named=False)
    return finish(alt.hconcat(bar_panel(frame, axis, half), dots, spacing=gap), words)


def plot_shares(
    rows: Sequence[Row], *, axis: str, chosen: str = "", width: int = WIDE, language: str = "en"
) -> alt.TopLevelMixin:
    """Draw the share of each row at every site, their range, and all sites together.

    Parameters
    ----------
    rows, axis, chosen, width, language
        As in `plot_bars`.

    Returns
    -------
    altair.TopLevelMixin
        The chart.
    """
    words = speak(language)
    frame = Frame(rows, width, words)
    note = words.say("heterogeneity")
    return finish(dot_panel(frame, axis, chosen, frame.inner - NOTES, note=note), words)


def plot_forest(
    rows: Sequence[Row],
    *,
    axis: str,
    pooled: str,
    chosen: str = "",
    write: Callable[[float], str] | None = None,
    width: int = WIDE,
    language: str = "en",
) -> alt.TopLevelMixin:
    """Draw one figure a site with its interval, and that of all sites as a diamond.

    Parameters
    ----------
    rows
        One a site; the row labelled `pooled` is the diamond.
    axis, chosen, width, language
        As in `plot_bars`.
    pooled
        Label of the row of all sites.
    write
        How a figure is written; None for plain numbers.

    Returns
    -------
    altair.TopLevelMixin
        The chart.
    """
    words = speak(language)
    frame = Frame(rows, width, words, widest=400)
    base = alt.Chart(
        inline(
            [
                record(row, row.cell, words, write)
                | {"pooled": row.label == pooled, "chosen": row.label == chosen}
                for row in rows
            ]
        )
    ).encode(y=frame.y())
    shown = base.transform_filter("datum.shown")
    scale = alt.Scale(zero=True, nice=True, range=[0, frame.inner - BESIDE])
    x = alt.X("value:Q", scale=scale, axis=ticks())
    layers = [
        *whiskers(shown, scale),
        spot(shown.transform_filter("!datum.pooled"), SOFT, "square", 60).encode(x=x),
        spot(shown.transform_filter("datum.chosen"), INK, "square", 60).encode(x=x),
        spot(shown.transform_filter("datum.pooled"), ACCENT, "diamond", 170).encode(x=x),
        shown.mark_text(align="left", dx=9).encode(x=alt.X("high:Q", scale=scale), text="text:N"),
        *hatched(base),
        *frame.names(base),
    ]
    return finish(panel(layers, axis, frame.inner, frame.height), words)


def plot_grouped_bars(
    rows: Sequence[Row],
    *,
    axis: str,
    bands: str,
    groups: Sequence[str],
    width: int = WIDE,
    language: str = "en",
) -> alt.TopLevelMixin:
    """Draw bars side by side for every band, one colour a group.

    Parameters
    ----------
    rows
        One a band and group.
    axis, bands
        Titles of the two axes, with units.
    groups
        Labels of the groups in order.
    width, language
        As in `plot_bars`.

    Returns
    -------
    altair.TopLevelMixin
        The chart.
    """
    words = speak(language)
    labels = list(dict.fromkeys(row.label for row in rows))
    inner, height = width - 60, 300 if width > 600 else 230
    step = inner / max(1, len(labels))
    bar = max(2.0, 0.78 * step / max(1, len(groups)) - 2)
    turned = max(map(drawn_width, labels), default=0) > step
    below = alt.Axis(title=bands, labelAngle=-90 if turned else 0, labelLimit=120, grid=False)
    spacing = alt.Scale(paddingInner=0.22, paddingOuter=0.12)
    base = alt.Chart(inline([record(row, row.cell, words) for row in rows])).encode(
        x=alt.X("label:N", sort=labels, scale=spacing, axis=below),
        xOffset=alt.XOffset("group:N", sort=list(groups)),
    )
    colours = alt.Scale(domain=list(groups), range=list(PALETTE[: len(groups)]))
    shown, hidden = base.transform_filter("datum.shown"), base.transform_filter("datum.hidden")
    layers = [
        shown.mark_bar(width=bar).encode(
            y=alt.Y("value:Q", axis=ticks(), scale=alt.Scale(nice=True)),
            color=alt.Color("group:N", legend=None, scale=colours),
        ),
        shown.transform_filter("datum.high > datum.low")
        .mark_rule(color=INK, strokeWidth=1.2)
        .encode(y="low:Q", y2="high:Q"),
        hidden.mark_bar(width=bar, fill="#fff", stroke=SOFT, strokeDash=[2, 2]).encode(
            y=alt.value(height - 14), y2=alt.value(height)
        ),
        hidden.mark_text(color=SOFT, fontSize=10, text="╱").encode(y=alt.value(height - 7)),
    ]
    return finish(panel(layers, axis, inner, height), words)


def plot_histogram(
    bins: Sequence[Bin],
    quantiles: Sequence[Quantile],
    *,
    ends: Sequence[float],
    axis: str,
    values: str,
    width: int = WIDE,
    language: str = "en",
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
    width, language
        As in `plot_bars`.

    Returns
    -------
    altair.TopLevelMixin
        The chart.
    """
    inner, height = width - 60, 280 if width > 600 else 220
    first, last = min(b.start for b in bins), max(b.stop for b in bins)
    scale = alt.Scale(domain=[first, last], nice=False)
    words = speak(language)
    edges = _edge_ticks(ends, (first, last), values, inner, words)
    drawn = [
        {
            "start": b.start,
            "stop": b.stop,
            "value": 100 * b.cell.value / (b.stop - b.start),
            "shown": b.cell.shown,
            "middle": (b.start + b.stop) / 2,
        }
        for b in bins
    ]
    base = alt.Chart(inline(drawn)).encode(
        x=alt.X("start:Q", scale=scale, axis=edges), x2=alt.X2("stop:Q")
    )
    shown, hidden = base.transform_filter("datum.shown"), base.transform_filter("!datum.shown")
    floor = alt.value(height)
    up = alt.Y("value:Q", axis=ticks(), scale=alt.Scale(zero=True, nice=True))
    box = hidden.mark_bar(fill="#fff", stroke=SOFT, strokeDash=[2, 2])
    layers: list[alt.Chart] = [
        shown.mark_bar(color=ACCENT, stroke="#fff", strokeWidth=1).encode(y=up, y2=floor),
        box.encode(y=alt.value(height - 14), y2=floor),
        alt.Chart(inline([d for d in drawn if not d["shown"]]))
        .mark_text(color=SOFT, fontSize=10, text="╱╱")
        .encode(x=alt.X("middle:Q", scale=scale), y=alt.value(height - 7)),
    ]
    marked = [q for q in quantiles if q.cell.shown]
    for line, quantile in enumerate(reversed(marked)):  # the words of a lower one pass above
        layers += _quantile(quantile, scale, -8 - 18 * line, height, words)
    top = -18 - 18 * len(marked)
    return finish(panel(layers, axis, inner, height, top=top), words)


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
        band.encode(x=low, x2="high:Q", y=alt.value(0), y2=alt.value(height)),
        rule.encode(x=middle, y=alt.value(top), y2=alt.value(height)),
        text.encode(x=middle, y=alt.value(top), text="text:N"),
    ]


def _edge_ticks(
    ends: Sequence[float], span: tuple[int, int], title: str, room: float, words: Words
) -> alt.Axis:
    first, last = span
    every = max(1, math.ceil((last - first) * 42 / room))
    finite = [i for i in range(first, last + 1) if math.isfinite(ends[i])]
    written = {str(i): words.number(ends[i]) for i in finite[::every]}
    return alt.Axis(
        title=title,
        values=[int(i) for i in written],
        labelExpr=f"({json.dumps(written)})['' + datum.value]",
        grid=False,
    )
