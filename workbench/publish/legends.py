"""Legends: what the marks of heatmaps, curves, dots and fans stand for, as SVG and words."""

from __future__ import annotations

import math
from html import escape

from workbench.publish.dots import NATIONAL
from workbench.publish.fans import OPACITY, TARGET, top_of
from workbench.publish.heatmaps import ALIKE, LEAST, MOST
from workbench.publish.language import Words
from workbench.publish.levels import national_levels
from workbench.publish.outlook import LEVELS
from workbench.publish.panels import ACCENT, INK, PALETTE, SOFT, axis_limit
from workbench.publish.reading import Reading
from workbench.publish.years import TOLD

Items = list[tuple[str, str]]
HIDDEN = (
    f'<path d="M1 1h22v12h-22zM5 11l4-8M10 11l4-8M15 11l4-8" fill="#fff" '
    f'stroke="{SOFT}" stroke-dasharray="3 2"/>'
)
"""The mark of what is suppressed, 24 px wide and 14 px high as all are."""
_SHAPES = (
    '<circle cx="12" cy="7" r="4.2" fill="{c}"/>',
    '<path d="M8 3h8v8h-8z" fill="{c}"/>',
    '<path d="M12 2l5 9h-10z" fill="{c}"/>',
    '<path d="M12 1.5l5 5.5-5 5.5-5-5.5z" fill="{c}"/>',
    '<path d="M12 12l5-9h-10z" fill="{c}"/>',
    '<path d="M10 2h4v3h3v4h-3v3h-4v-3h-3v-4h3z" fill="{c}"/>',
)


def items_of(reading: Reading, words: Words) -> Items | None:
    """Return the marks of a figure and their words; None if it is none of these figures.

    Parameters
    ----------
    reading
        What is drawn.
    words
        The reader's language.
    """
    made = {"heatmap": _heatmap, "curves": _curves, "dots": _dots, "fan": _fan}
    if reading.figure not in made:
        return None
    found = made[reading.figure](reading, words)
    if reading.figure != "dots" and any(cell.how == "suppressed" for cell in reading.cells):
        fewer = words.count("fewer_patients", reading.threshold)
        found.append((HIDDEN, words.say("legend_suppressed", fewer=fewer)))
    return found


def _line(colour: str, dash: str = "", thick: float = 2) -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path d="M1 7h22" stroke="{colour}" stroke-width="{thick}" fill="none"{dashed}/>'


def _sign(sign: str) -> str:
    text = f'<text x="12" y="12" text-anchor="middle" font-size="13" fill="{INK}">'
    return f"{text}{escape(sign)}</text>"


def _heatmap(reading: Reading, words: Words) -> Items:
    ends = reading.matrix.ends if reading.matrix else None
    if reading.matrix is None or ends is None or ends[0][2].value == ends[1][2].value:
        return []
    told = [cell.value for *_, cell in reading.matrix.named if cell.shown]
    signs = zip((MOST, LEAST), ends, ("legend_most", "legend_least"), strict=True)
    return [
        (_sign(sign), words.say(key))
        for sign, (*_, cell), key in signs
        if told.count(cell.value) <= ALIKE
    ]


def _curves(reading: Reading, words: Words) -> Items:
    found = [
        (_line(PALETTE[i]) + _SHAPES[i].format(c=PALETTE[i]), curve.label)
        for i, curve in enumerate(reading.curves)
    ]
    band = f'<path d="M1 2h22v10h-22z" fill="{SOFT}" opacity=".3"/>'
    found.append((band, words.say("legend_band")))
    found.append((_line(SOFT), words.say("legend_even")))
    if any(curve.against is not None and curve.against.points for curve in reading.curves):
        found.append((_line(SOFT, "5 4", 1.4), words.say("legend_outline")))
    return found


def _dots(reading: Reading, words: Words) -> Items:
    kinds = reading.levels
    if not kinds:
        return []
    medians = [facility.median for levels in kinds for facility in levels.facilities]
    dots = f'<circle cx="6" cy="7" r="3" fill="{ACCENT}"/><circle cx="17" cy="7" r="6" '
    found = [(f'{dots}fill="{ACCENT}"/>', words.say("legend_facility"))]
    if any(cell.high > cell.low for cell in medians):
        upright = f'<path d="M12 1v12" stroke="{SOFT}" stroke-width="1.3"/>'
        found.append((upright, words.say("legend_interval")))
    if any(
        facility.median.high > axis_limit(f.median for f in levels.facilities)
        for levels in kinds
        for facility in levels.facilities
    ):
        arrow = f'<path d="M12 1l5 9h-10z" fill="{SOFT}"/>'
        found.append((arrow, words.say("legend_arrow")))
    if any(levels.level.shown for levels in kinds):
        found.append((_line(INK), words.say("legend_level")))
        found.append((_line(INK, "6 4", 1.6), words.say("legend_achievable")))
    if not all(levels.level.shown for levels in kinds):
        found.append((_line(INK, "6 4", 1.6), words.say("legend_typical")))
    lines = [cell for levels in kinds for cell in (levels.level, levels.middle)]
    if any(cell.shown and cell.high > cell.low for cell in lines):
        band = f'<path d="M1 2h22v10h-22z" fill="{INK}" opacity=".14"/>'
        found.append((band, words.say("legend_level_band")))
    if any(levels.against.shown for levels in kinds):
        found.append((_line(SOFT, "2 3", 1.8), words.say("level_of_all")))
    if any(not math.isnan(levels.national) for levels in kinds):
        said = f"{words.say('national')} ({national_levels()[0]})"
        found.append((_line(NATIONAL, "9 3 2 3", 1.8), said))
    return found


def _fan(reading: Reading, words: Words) -> Items:
    told = f'<path d="M1 7h22" stroke="{INK}" stroke-width="1.6"/><circle cx="12" cy="7" r="2.6" '
    found = [(f'{told}fill="{INK}"/>', words.say("legend_told"))]
    years = [year for one in reading.outlook for year in one.years]
    if any(year.told.shown for year in years):
        bar = f'<path d="M7 3h10v11h-10z" fill="{INK}" opacity=".75"/>'
        beside = any(year.told.shown and year.expected.shown for year in years)
        found.append((bar, words.say("legend_year_beside" if beside else "legend_year_told")))
    if any(one.fans for one in reading.outlook):
        found.append((_line(ACCENT, "5 3"), words.say("legend_middle")))
        heights = (14, 9, 4)
        bands = "".join(
            f'<path d="M1 {7 - h / 2}h22v{h}h-22z" fill="{ACCENT}" opacity="{OPACITY}"/>'
            for h in heights
        )
        levels = words.listed(words.points(level) for level in sorted(LEVELS))
        found.append((bands, words.say("legend_bands", levels=levels)))
        bar = f'<path d="M7 3h10v11h-10z" fill="{ACCENT}" opacity=".45"/>'
        bar += f'<path d="M12 1v8M9 1h6M9 9h6" stroke="{INK}" stroke-width="1.3"/>'
        found.append((bar, words.say("legend_year", level=words.points(TOLD))))
    if any(one.tested for one in reading.outlook):
        start = f'<path d="M12 0v14" stroke="{SOFT}" stroke-dasharray="2 3"/>'
        found.append((start, words.say("legend_tested")))
    if any(year.target.shown for year in years):
        goal = f'<path d="M12 1l5 6-5 6-5-6z" fill="{TARGET}"/>'
        found.append((goal, words.say("legend_target")))
    if any(year.target.value > top_of(one) for one in reading.outlook for year in one.years):
        beyond = f'<path d="M12 2l5 9h-10z" fill="{TARGET}"/>'
        found.append((beyond, words.say("legend_target_beyond")))
    return found
