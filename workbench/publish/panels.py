"""Panels that figures are put together from: bars, dots, whiskers and hatched boxes.

Colours are Okabe and Ito's, and whatever differs in colour differs in lightness, shape or place
too, so a grey print keeps the meaning. A suppressed number is a hatched hollow box, never a bar of
no length. No word of the data enters an expression; labels are values only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import altair as alt

from workbench.publish.language import Words
from workbench.publish.lettering import drawn_width, fit, wrapped
from workbench.publish.marks import Cell, Row

ACCENT = "#0072b2"
PALETTE = (ACCENT, "#e69f00", "#56b4e9", "#d55e00", "#009e73", "#cc79a7")
INK = "#1f2933"
ON_PALETTE = ("#ffffff", INK, INK, "#ffffff", "#ffffff", INK)
"""Colours of the letters that stand on those of the palette."""
SOFT = "#66727d"
PALE = "#b9c3cb"
FONT = "Liberation Sans, Arial, Helvetica, Noto Sans CJK SC, Noto Sans, sans-serif"
WIDE = 960
"""Width of a figure for a screen or a page, px."""
NARROW = 350
"""Width of a figure for a telephone, px."""
WIDTHS = (WIDE, NARROW)
FLOOR = 10
"""Fewest patients that any release may tell of."""
BESIDE = 84
"""Room for the number beside the longest bar, px."""
NOTES = 46
"""Room for the notes beside the shares, px."""
TIP = alt.Description("tip:N")
"""What a mark says when it is pointed at; `draw` makes it a title."""
_BOX = 30
_LINE = 15


class Frame:
    """Rows of a horizontal figure: where the labels stand and how high the rows are.

    Parameters
    ----------
    rows
        What is drawn, from top to bottom.
    width
        Width of the whole figure, px; below 600 the labels stand above their marks.
    words
        The reader's language.
    threshold
        Fewest patients that are told.
    widest
        Most room for the labels, px.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        width: int,
        words: Words,
        threshold: int,
        widest: float = 270,
    ) -> None:
        self.rows = rows
        self.words = words
        self.threshold = threshold
        self.wide = width > 600
        self.labels = list(dict.fromkeys(row.label for row in rows))
        self.height = (28 if self.wide else 42) * len(self.labels)
        longest = 24 + max(map(drawn_width, self.labels), default=0)
        self.gutter = min(widest, longest) if self.wide else 0
        self.inner = width - self.gutter
        room = self.gutter - 20 if self.wide else NARROW - 30
        short = [fit(label, room) for label in self.labels]
        distinct = len(set(short)) == len(short)
        self.shown = dict(zip(self.labels, short if distinct else self.labels, strict=True))
        """What is written for each label."""

    def y(self, named: bool = True) -> alt.Y:
        """Return the vertical place of a row, with its label beside it where there is room."""
        beside = alt.Axis(
            title=None,
            grid=False,
            domain=False,
            labelLimit=self.gutter - 12,
            labelPadding=12,
            minExtent=self.gutter,
            maxExtent=self.gutter,
        )
        return alt.Y(
            "label:N", sort=list(self.shown.values()), axis=beside if self.wide and named else None
        )

    def names(self, base: alt.Chart) -> list[alt.Chart]:
        """Return the labels above the marks, where there is no room beside them."""
        if self.wide:
            return []
        text = base.mark_text(align="left", dy=-15, limit=NARROW - 20)
        return [text.encode(x=at(alt.XValue, 0), text=alt.Text("label:N"))]


def bar_panel(frame: Frame, axis: str, inner: float) -> alt.LayerChart:
    """Return bars with whiskers and numbers, hatched boxes where a number is suppressed."""
    limit = axis_limit(row.cell for row in frame.rows)
    records = [
        record(row, row.cell, frame.words, threshold=frame.threshold, limit=limit)
        | {"against": row.against.value, "label": frame.shown[row.label]}
        for row in frame.rows
    ]
    base = alt.Chart(inline(records)).encode(y=frame.y())
    shown = base.transform_filter("datum.shown")
    scale = alt.Scale(zero=True, nice=True, range=[0, inner - BESIDE])
    layers = [
        shown.mark_bar(height=13, color=ACCENT, aria=True).encode(
            x=alt.X("value:Q", scale=scale, axis=ticks()), description=TIP
        ),
        *whiskers(shown, scale),
        shown.mark_text(align="left", dx=7).encode(
            x=alt.X("high:Q", scale=scale), text=alt.Text("text:N")
        ),
        *hatched(base),
        *frame.names(base),
    ]
    if any(row.against.shown for row in frame.rows):
        beside = base.transform_filter("isValid(datum.against)")
        layers.append(spot(beside, INK, "diamond", 80).encode(x=alt.X("against:Q", scale=scale)))
    return panel(layers, axis, inner, frame.height)


def axis_limit(cells: Iterable[Cell]) -> float:
    """Return where whiskers of bars end: a row of which little is known must not flatten others."""
    return 1.25 * max((cell.value for cell in cells if cell.shown), default=1)


def dot_panel(
    frame: Frame, axis: str, chosen: str, inner: float, *, note: str, named: bool = True
) -> alt.LayerChart:
    """Return the share of each row at every site, their range, and that of all sites."""
    rows, sites = [], []
    for row in frame.rows:
        # Where all together is suppressed, a dot at zero would be read as the answer.
        told = row.share.how != "suppressed"
        seen = [(site, cell) for site, cell in row.by_site if cell.shown and told]
        values = [cell.value for _, cell in seen]
        ends = {"first": min(values, default=math.nan), "last": max(values, default=math.nan)}
        words, percent, threshold = frame.words, frame.words.percent, frame.threshold
        whole = record(row, row.share, words, percent, threshold=threshold)
        whose = words.say("all_sites") if row.by_site else ""
        tip = tip_of((row.label, whose), row.share, words, percent, threshold)
        label = frame.shown[row.label]
        rows.append(whole | ends | {"note": row.note, "tip": tip, "label": label})
        sites += [
            {
                "label": label,
                "value": cell.value,
                "chosen": site == chosen,
                "tip": tip_of((row.label, site), cell, words, percent, threshold),
            }
            for site, cell in seen
        ]
    base = alt.Chart(inline(rows)).encode(y=frame.y(named))
    each = alt.Chart(inline(sites)).encode(y=frame.y(named))
    together = base.transform_filter("datum.shown")
    scale = alt.Scale(domain=[0, 1])
    quarters = ticks(".0%", values=[0, 0.25, 0.5, 0.75, 1])
    x = alt.X("value:Q", scale=scale, axis=quarters)
    layers = [
        base.transform_filter("isValid(datum.first)")
        .mark_rule(color=PALE, strokeWidth=3)
        .encode(x=alt.X("first:Q", scale=scale), x2=alt.X2("last")),
        each.transform_filter("!datum.chosen")
        .mark_point(size=42, stroke=SOFT, strokeWidth=1.3, fill="#fff", opacity=1, aria=True)
        .encode(x=x, description=TIP),
        *whiskers(together, scale),
        spot(together, ACCENT, "diamond", 110).encode(x=x, description=TIP),
        spot(each.transform_filter("datum.chosen"), INK, "circle", 80).encode(x=x, description=TIP),
        *hatched(base),
        base.mark_text(align="right", color=SOFT).encode(
            x=at(alt.XValue, inner + NOTES - 2), text=alt.Text("note:N")
        ),
        *(frame.names(base) if named else []),
    ]
    if any(row.note for row in frame.rows):
        layers.append(heading(note, inner + NOTES - 2, "right"))
    return panel(layers, axis, inner, frame.height)


def spot(base: alt.Chart, colour: str, shape: str, size: float) -> alt.Chart:
    """Return a filled mark for each row."""
    mark: alt.Chart = base.mark_point(
        shape=shape, color=colour, size=size, filled=True, opacity=1, aria=True
    )
    return mark


def whiskers(shown: alt.Chart, scale: alt.Scale) -> list[alt.Chart]:
    """Return the interval of each row as a line with ends, or an arrow where it goes on."""
    wide = shown.transform_filter("datum.high > datum.low")
    low, high = (alt.X(f"{end}:Q", scale=scale) for end in ("low", "high"))
    end = wide.mark_tick(color=INK, thickness=1.3, size=8)
    rule = wide.mark_rule(color=INK, strokeWidth=1.3)
    beyond = spot(wide.transform_filter("datum.beyond"), INK, "triangle-right", 50)
    return [
        rule.encode(x=low, x2=alt.X2("high")),
        end.encode(x=low),
        end.transform_filter("!datum.beyond").encode(x=high),
        beyond.encode(x=high),
    ]


def hatched(base: alt.Chart) -> list[alt.Chart]:
    """Return a hatched hollow box, and a word, for each row whose number is suppressed."""
    hidden = base.transform_filter("datum.hidden")
    box = hidden.mark_bar(height=13, fill="#fff", stroke=SOFT, strokeDash=[3, 2], aria=True)
    word = hidden.mark_text(align="left", dx=7, color=SOFT)
    return [
        box.encode(x=at(alt.XValue, 0), x2=at(alt.X2Value, _BOX), description=TIP),
        hidden.mark_text(color=SOFT, fontSize=9, text="╱╱╱").encode(x=at(alt.XValue, _BOX / 2)),
        word.encode(x=at(alt.XValue, _BOX), text=alt.Text("text:N")),
    ]


def record(
    row: Row,
    cell: Cell,
    words: Words,
    write: Callable[[float], str] | None = None,
    *,
    threshold: int,
    limit: float = math.inf,
) -> dict[str, Any]:
    """Return the values of one mark; its interval is cut at the limit."""
    end = min(cell.high, limit)
    return {
        "label": row.label,
        "group": row.group,
        "value": cell.value,
        "low": cell.low,
        "high": end,
        "beyond": cell.high > limit,
        "text": (write or words.number)(cell.value) if cell.shown else words.say("suppressed"),
        "shown": cell.shown,
        "hidden": cell.how == "suppressed",
        "tip": tip_of((row.label, row.group), cell, words, write, threshold),
    }


def tip_of(
    names: Iterable[str],
    cell: Cell,
    words: Words,
    write: Callable[[float], str] | None,
    threshold: int,
) -> str:
    """Return what a mark says when it is pointed at: its figure, its interval and the rule.

    Examples
    --------
    >>> from workbench.publish.language import speak
    >>> tip_of(["CT", ""], Cell(120, 118, 122, "rounded"), speak("en"), None, 10)
    'CT: 120 (118–122); rounded, the range holds the exact number'
    """
    figure = words.spelt(cell, write) if cell.shown else ""
    said = "; ".join(filter(None, (figure, words.rule(cell, threshold))))
    return f"{words.listed(names)}: {said}"


def at(channel: Callable[[float], Any], place: float) -> Any:  # noqa: ANN401  # any of a dozen
    """Return a place in px, whatever the data."""
    return channel(place)


def inline(records: Sequence[dict[str, Any]]) -> alt.InlineData:
    """Return records as data of a chart; JSON has no NaN, so what cannot be drawn is null."""
    values = [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in r.items()}
        for r in records
    ]
    # As text: Altair copies a list, cell by cell, with every mark and every encoding.
    text = json.dumps(values, ensure_ascii=False)
    return alt.InlineData(values=text, format=alt.JsonDataFormat(type="json"))


def ticks(form: str = ",~r", values: Sequence[float] | None = None) -> alt.Axis:
    """Return an axis of few numbers and no line."""
    chosen = alt.Undefined if values is None else list(values)
    return alt.Axis(title=None, tickCount=4, domain=False, format=form, values=chosen)


def panel(
    layers: Sequence[alt.Chart], title: str, width: float, height: float, top: float = -18
) -> alt.LayerChart:
    """Return layers as one panel under a title, which names what is measured and its unit."""
    layered = alt.LayerChart(layer=[heading(title, y=top, room=width), *layers])
    return layered.properties(width=width, height=height)


def heading(
    text: str,
    x: float = 0,
    align: Literal["left", "right"] = "left",
    y: float = -18,
    room: float = NARROW,
) -> alt.Chart:
    """Return words above a panel, in as many lines as they need."""
    lines = wrapped(text, room)
    mark = alt.Chart(inline([{}])).mark_text(align=align, color=SOFT, text=lines, lineHeight=_LINE)
    top = y - _LINE * (len(lines) - 1)
    placed: alt.Chart = mark.encode(x=at(alt.XValue, x), y=at(alt.YValue, top))
    return placed


def finish(chart: alt.TopLevelMixin, words: Words) -> alt.TopLevelMixin:
    """Return a chart with the fonts and lines of all figures, and the numbers of a language."""
    decimal, thousands, percent = words.separators
    form = {"decimal": decimal, "thousands": thousands, "percent": percent}
    written = {"number": {**form, "grouping": [3], "currency": ["", ""]}}
    finished: alt.TopLevelMixin = chart.configure(**_CONFIG, locale=written)
    return finished


_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "padding": 4,
    "font": FONT,
    "aria": False,
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": 12,
        "labelColor": INK,
        "labelPadding": 6,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titleColor": SOFT,
        "titlePadding": 10,
        "ticks": False,
        "gridColor": "#dde3e8",
        "domainColor": SOFT,
    },
    "axisX": {"labelFlush": False},
    "text": {"fontSize": 12, "color": INK},
    "legend": {"disable": True},
}


def initials(labels: Sequence[str]) -> list[str]:
    """Return a sign for each label: its first letter, or its number where letters are not distinct.

    Examples
    --------
    >>> initials(["Female", "Male"]), initials(["Siemens", "Samsung"])
    (['F', 'M'], ['1', '2'])
    """
    letters = [label[:1].upper() for label in labels]
    distinct = len(set(letters)) == len(letters)
    return letters if distinct else [str(i) for i in range(1, len(labels) + 1)]
