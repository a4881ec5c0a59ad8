"""Pictures: the figure of a reading as HTML, with its legend and words for who cannot see it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any, cast

from altair import TopLevelMixin
from altair.utils.schemapi import debug_mode

from workbench.publish.curves import plot_curves
from workbench.publish.dots import plot_dots
from workbench.publish.drawing import draw
from workbench.publish.fans import plot_fan
from workbench.publish.figures import plot_bars, plot_forest, plot_grouped_bars, plot_shares
from workbench.publish.heatmaps import plot_heatmap
from workbench.publish.histograms import plot_histogram
from workbench.publish.legends import HIDDEN, items_of
from workbench.publish.panels import (
    ACCENT,
    INK,
    ON_PALETTE,
    PALE,
    PALETTE,
    SOFT,
    WIDE,
    WIDTHS,
    axis_limit,
    initials,
)
from workbench.publish.reading import Reading

if TYPE_CHECKING:
    from workbench.publish.matrix import Matrix

_MARKS = {
    "interval": f'<path d="M2 7h20M2 3v8M22 3v8" stroke="{INK}" stroke-width="1.3" fill="none"/>',
    "arrow": f'<path d="M2 7h16" stroke="{INK}" stroke-width="1.3"/><path d="M17 3l6 4-6 4z" '
    f'fill="{INK}"/>',
    "site": f'<circle cx="12" cy="7" r="3.6" stroke="{SOFT}" stroke-width="1.3" fill="#fff"/>',
    "chosen": f'<circle cx="12" cy="7" r="5" fill="{INK}"/>',
    "square": f'<path d="M8 3h8v8h-8z" fill="{SOFT}"/>',
    "pooled": f'<path d="M12 1l5 6-5 6-5-6z" fill="{ACCENT}"/>',
    "range": f'<path d="M1 7h22" stroke="{PALE}" stroke-width="3"/>',
    "quantile": f'<path d="M5 0h14v14h-14z" fill="{INK}" opacity=".14"/>'
    f'<path d="M12 0v14" stroke="{INK}" stroke-dasharray="4 3"/>',
    "merged": f'<path d="M1 6h22v8h-22z" fill="{ACCENT}"/>',
    "expected": f'<path d="M12 2l4 5-4 5-4-5z" fill="{INK}"/>',
    "outline": f'<path d="M1 12h7v-6h8v-4h7" stroke="{INK}" stroke-width="2" fill="none"/>',
    "left_out": f'<path d="M1 7h6M17 7h6" stroke="{INK}" stroke-width="2" fill="none"/>',
    "suppressed": HIDDEN,
}


def figure(reading: Reading, title: str, chosen: str) -> str:
    """Return a reading's figure, for wide and for narrow screens, with words for who cannot see it.

    Parameters
    ----------
    reading
        What is drawn.
    title
        Title of the section.
    chosen
        Name of the site that is read, "" for all.

    Returns
    -------
    str
        HTML.
    """
    words = reading.words
    kind = words.say(f"figure_{reading.figure}")
    said = words.say("alt", figure=kind, title=title, finding=reading.finding)
    return _framed(lambda width: plot(reading, chosen, width), said)


def concentration(reading: Reading, chosen: str) -> str:
    """Return how concentrated each site is, as a figure under a small title."""
    words = reading.words
    title = words.say("herfindahl")
    shown = [row for row in reading.concentration if row.cell.shown]

    def chart(width: int) -> TopLevelMixin:
        return plot_forest(
            reading.concentration,
            axis=words.say("herfindahl_axis"),
            pooled=words.say("all_sites"),
            chosen=chosen,
            write=words.hundredths,
            threshold=reading.threshold,
            width=width,
            language=words,
        )

    values = ", ".join(f"{r.label} {words.spelt(r.cell, words.hundredths)}" for r in shown)
    said = words.say("alt", figure=words.say("figure_forest"), title=title, finding=values)
    return f"<h3>{escape(title)}</h3>{_framed(chart, said)}"


def legend(reading: Reading, chosen: str) -> str:
    """Return what each kind of mark in the figure stands for.

    Parameters
    ----------
    reading
        What is drawn.
    chosen
        Name of the site that is read, "" for all.

    Returns
    -------
    str
        HTML; only marks that the figure holds are named.
    """
    items = legend_items(reading, chosen)
    svg = '<svg width="24" height="14" viewBox="0 0 24 14" aria-hidden="true">'
    listed = "".join(
        f"<li>{svg}{mark}</svg><span>{escape(said)}</span></li>" for mark, said in items
    )
    return f'<ul class="wb-legend">{listed}</ul>' if items else ""


def legend_items(reading: Reading, chosen: str) -> list[tuple[str, str]]:
    """Return each kind of mark in the figure, as SVG 24 px wide and 14 px high, and its words."""
    own = items_of(reading, reading.words)
    if own is not None:
        return own
    shown = [cell for cell in reading.cells if cell.shown]
    named = {}
    if reading.figure == "histogram":
        named["quantile"] = bool(reading.quantiles)
        named["merged"] = any(b.stop - b.start > 1 for b in reading.bins)
    else:
        named["interval"] = any(cell.high > cell.low for cell in shown)
        bars = reading.figure == "bars"
        named["arrow"] = bars and any(cell.high > axis_limit(shown) for cell in shown)
    if any(row.by_site for row in reading.rows):
        named |= dict.fromkeys(("pooled", "site", "range"), True) | {"chosen": bool(chosen)}
    if reading.figure == "forest":
        named |= {"square": True, "pooled": True}
    named["expected"] = any(row.against.shown for row in reading.rows)
    named["outline"] = any(b.cell.shown for b in reading.against)
    named["left_out"] = any(b.cell.how == "not_applicable" for b in reading.against)
    named["suppressed"] = any(cell.how == "suppressed" for cell in reading.cells)
    words = reading.words
    fewer = words.count("fewer_patients", reading.threshold)
    items = [
        _swatch(group, letter, i)
        for i, (group, letter) in enumerate(
            zip(reading.groups, initials(reading.groups), strict=True)
        )
    ]
    for key, here in named.items():
        if here:
            items.append((_MARKS[key], words.say(f"legend_{key}", fewer=fewer, site=chosen)))
    return items


def plot(reading: Reading, chosen: str, width: int) -> TopLevelMixin:
    """Return a reading's figure as a chart.

    Parameters
    ----------
    reading
        What is drawn.
    chosen
        Name of the site that is read, "" for all.
    width
        Width of the whole figure, px.
    """
    given: dict[str, Any] = {
        "axis": reading.axis,
        "threshold": reading.threshold,
        "width": width,
        "language": reading.words,
    }
    second, together = reading.second_axis, reading.words.say("all_sites")
    drawn: dict[str, Callable[[], TopLevelMixin]] = {
        "bars": lambda: plot_bars(reading.rows, share_axis=second, chosen=chosen, **given),
        "shares": lambda: plot_shares(reading.rows, chosen=chosen, **given),
        "grouped_bars": lambda: plot_grouped_bars(
            reading.rows, bands=second, groups=reading.groups, **given
        ),
        "histogram": lambda: plot_histogram(
            reading.bins,
            reading.quantiles,
            ends=reading.ends,
            values=second,
            whole=reading.whole,
            against=reading.against,
            **given,
        ),
        "forest": lambda: plot_forest(
            reading.rows, pooled=together, chosen=chosen, write=reading.write, **given
        ),
        "heatmap": lambda: plot_heatmap(cast("Matrix", reading.matrix), **given),
        "curves": lambda: plot_curves(reading.curves, ends=reading.ends, values=second, **given),
        "dots": lambda: plot_dots(reading.levels, facilities=second, **given),
        "fan": lambda: plot_fan(reading.outlook, years=second, **given),
    }
    return drawn[reading.figure]()


def _framed(chart: Callable[[int], TopLevelMixin], words: str) -> str:
    # The tests hold the charts to the schema; checking each mark again takes a quarter of the time.
    with debug_mode(False):
        drawn = [draw(chart(width)) for width in WIDTHS]
    names = ("wb-wide" if width == WIDE else "wb-narrow" for width in WIDTHS)
    inner = "".join(f'<div class="{n}">{svg}</div>' for n, svg in zip(names, drawn, strict=True))
    return f'<figure class="wb-figure" role="img" aria-label="{escape(words)}">{inner}</figure>'


def _swatch(words: str, letter: str, place: int) -> tuple[str, str]:
    text = (
        f'<text x="12" y="11" text-anchor="middle" font-size="10" font-weight="bold" '
        f'fill="{ON_PALETTE[place]}">{escape(letter)}</text>'
    )
    return f'<path d="M5 0h14v14h-14z" fill="{PALETTE[place]}"/>{text}', words
