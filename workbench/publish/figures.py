"""Figures of released counts and shares, for print and for every eye.

Each `plot_` function takes rows and returns an Altair chart, which `drawing.draw` makes SVG. None
decides whether there is enough to draw: see `workbench.publish.marks.enough`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import altair as alt

from workbench.publish.language import Words, speak
from workbench.publish.lettering import drawn_width
from workbench.publish.marks import Cell, Row
from workbench.publish.panels import (
    ACCENT,
    BESIDE,
    FLOOR,
    INK,
    NOTES,
    ON_PALETTE,
    PALETTE,
    SOFT,
    TIP,
    WIDE,
    Frame,
    at,
    bar_panel,
    dot_panel,
    finish,
    hatched,
    initials,
    inline,
    panel,
    record,
    spot,
    ticks,
    whiskers,
)


def plot_bars(
    rows: Sequence[Row],
    *,
    axis: str,
    share_axis: str = "",
    chosen: str = "",
    threshold: int = FLOOR,
    width: int = WIDE,
    language: str | Words = "en",
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
    threshold
        Fewest patients that are told, for the words of what is not.
    width
        Width of the whole figure, px; below 600 the labels stand above their bars.
    language
        Two-letter code, or the words themselves.

    Returns
    -------
    altair.TopLevelMixin
        The chart.

    Examples
    --------
    >>> from workbench.publish.drawing import draw
    >>> from workbench.publish.marks import Cell
    >>> chart = plot_bars([Row("CT", Cell(120, 118, 122))], axis="Exams")
    >>> draw(chart).startswith("<svg")
    True
    """
    words = speak(language)
    frame = Frame(rows, width, words, threshold)
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
    rows: Sequence[Row],
    *,
    axis: str,
    chosen: str = "",
    threshold: int = FLOOR,
    width: int = WIDE,
    language: str | Words = "en",
) -> alt.TopLevelMixin:
    """Draw the share of each row at every site, their range, and all sites together.

    Parameters
    ----------
    rows, axis, chosen, threshold, width, language
        As in `plot_bars`.

    Returns
    -------
    altair.TopLevelMixin
        The chart.
    """
    words = speak(language)
    frame = Frame(rows, width, words, threshold)
    note = words.say("heterogeneity")
    return finish(dot_panel(frame, axis, chosen, frame.inner - NOTES, note=note), words)


def plot_forest(
    rows: Sequence[Row],
    *,
    axis: str,
    pooled: str,
    chosen: str = "",
    write: Callable[[float], str] | None = None,
    threshold: int = FLOOR,
    width: int = WIDE,
    language: str | Words = "en",
) -> alt.TopLevelMixin:
    """Draw one figure a site with its interval, and that of all sites as a diamond.

    Parameters
    ----------
    rows
        One a site; the row labelled `pooled` is the diamond.
    axis, chosen, threshold, width, language
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
    frame = Frame(rows, width, words, threshold, widest=400)
    base = alt.Chart(
        inline(
            [
                record(row, row.cell, words, write, threshold=threshold)
                | {"label": frame.shown[row.label]}
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
        *(
            spot(shown.transform_filter(f"{which} && {other}"), colour, shape, size).encode(
                x=x, description=TIP
            )
            for which, other, colour, shape, size in (
                ("!datum.pooled", "!datum.chosen", SOFT, "square", 60),
                ("datum.chosen", "!datum.pooled", INK, "square", 110),
                ("datum.pooled", "true", ACCENT, "diamond", 170),
            )
        ),
        shown.mark_text(align="left", dx=9).encode(
            x=alt.X("high:Q", scale=scale), text=alt.Text("text:N")
        ),
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
    threshold: int = FLOOR,
    width: int = WIDE,
    language: str | Words = "en",
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
    threshold, width, language
        As in `plot_bars`.

    Returns
    -------
    altair.TopLevelMixin
        The chart.
    """
    words = speak(language)
    labels = list(dict.fromkeys(row.label for row in rows))
    signs = dict(zip(groups, initials(groups), strict=True))
    inner, height = width - 60, 300 if width > 600 else 230
    step = inner / max(1, len(labels))
    bar = max(2.0, 0.78 * step / max(1, len(groups)) - 2)
    turned = max(map(drawn_width, labels), default=0) > step
    below = alt.Axis(title=bands, labelAngle=-90 if turned else 0, labelLimit=120, grid=False)
    spacing = alt.Scale(paddingInner=0.22, paddingOuter=0.12)
    most = max((row.cell.value for row in rows if row.cell.shown), default=0)

    def room(cell: Cell) -> bool:
        return cell.shown and cell.value > 0.07 * most

    drawn = [
        record(row, row.cell, words, threshold=threshold)
        | {"against": row.against.value, "sign": signs[row.group] if room(row.cell) else ""}
        | {"on": ON_PALETTE[list(groups).index(row.group)]}
        for row in rows
    ]
    base = alt.Chart(inline(drawn)).encode(
        x=alt.X("label:N", sort=labels, scale=spacing, axis=below),
        xOffset=alt.XOffset("group:N", sort=list(groups)),
    )
    colours = alt.Scale(domain=list(groups), range=list(PALETTE[: len(groups)]))
    shown, hidden = base.transform_filter("datum.shown"), base.transform_filter("datum.hidden")
    layers = [
        shown.mark_bar(width=bar, aria=True).encode(
            y=alt.Y("value:Q", axis=ticks(), scale=alt.Scale(nice=True)),
            color=alt.Color("group:N", legend=None, scale=colours),
            description=TIP,
        ),
        shown.transform_filter("datum.high > datum.low")
        .mark_rule(color=INK, strokeWidth=1.2)
        .encode(y=alt.Y("low:Q"), y2=alt.Y2("high")),
        hidden.mark_bar(width=bar, fill="#fff", stroke=SOFT, strokeDash=[2, 2], aria=True).encode(
            y=at(alt.YValue, height - 14), y2=at(alt.Y2Value, height), description=TIP
        ),
        hidden.mark_text(color=SOFT, fontSize=10, text="╱").encode(y=at(alt.YValue, height - 7)),
        *_signs(shown, bar, height),
        *_against(base.transform_filter("isValid(datum.against)"), rows),
    ]
    return finish(panel(layers, axis, inner, height), words)


def _signs(shown: alt.Chart, bar: float, height: float) -> list[alt.Chart]:
    """Return the sign of its group at the foot of each bar: colours are lost in a grey print."""
    if bar < 9:
        return []
    text = shown.mark_text(fontSize=10, fontWeight="bold")
    colour = alt.Color("on:N", scale=None, legend=None)
    return [text.encode(y=at(alt.YValue, height - 8), text=alt.Text("sign:N"), color=colour)]


def _against(base: alt.Chart, rows: Sequence[Row]) -> list[alt.Chart]:
    """Return what all sites together would give, beside the bars of one."""
    if not any(row.against.shown for row in rows):
        return []
    halo = spot(base, "#ffffff", "diamond", 90).encode(y=alt.Y("against:Q"))
    return [halo, spot(base, INK, "diamond", 45).encode(y=alt.Y("against:Q"))]
