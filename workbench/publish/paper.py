"""Paper: the figure of a section as a chart and as a file, for who writes about a study."""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path
from typing import Any

import altair as alt

from workbench.errors import DefinitionError, UsageError, show, suggest
from workbench.publish import pictures
from workbench.publish.content import read_content
from workbench.publish.fonts import FONT, missing_characters
from workbench.publish.language import LANGUAGES
from workbench.publish.lettering import drawn_width, wrapped
from workbench.publish.panels import FONT as LETTERS
from workbench.publish.panels import INK, SOFT, WIDE
from workbench.publish.readings import read

_SIZE = re.compile(r'width="(\d+)" height="(\d+)" viewBox="0 0 \d+ \d+">')
_LETTERS = f'font-family="{LETTERS}"'
_LEFT, _STEP = 8, 18


def plot_section(
    study: Path | str, section: str, site: str = "", *, language: str = "en", width: int = WIDE
) -> alt.TopLevelMixin:
    """Draw the figure of one question of a study, from its releases that verify.

    Parameters
    ----------
    study
        Folder of the study.
    section
        Id of a `[[dashboard.section]]` of its study.toml.
    site
        Name of a site; "" for all together.
    language
        Two-letter code.
    width
        Width of the figure, px.

    Returns
    -------
    altair.TopLevelMixin
        The chart; `write_figure` makes it a file.

    Raises
    ------
    UsageError
        If the study has no such section or site, or the language is not known.
    DefinitionError
        If the study cannot be read, or its releases do not answer the question.

    Examples
    --------
    >>> chart = plot_section("studies/imaging_service", "activity", language="ru")
    >>> chart.to_dict()["config"]["locale"]["number"]["decimal"]
    ','
    """
    content = read_content(study)
    sections = {known.id: known for known in content.study.sections}
    for given, known, what in (
        (section, tuple(sections), "section"),
        (site, ("", *content.releases), "site with a verified release"),
        (language, tuple(LANGUAGES), "language"),
    ):
        if given not in known:
            raise UsageError(
                f"The study has no {what} {show(given)!r}",
                where=content.study.id,
                todo=suggest(given, filter(None, known)),
            )
    scope = content.scope(sections[section], site, language)
    if scope is None:
        raise DefinitionError(
            f"The question {show(section)!r} cannot be answered",
            where=f"{content.study.id}, {site or 'all sites'}",
            todo=content.reason(sections[section], site, language),
        )
    reading = read(sections[section], scope)
    chart: Any = pictures.plot(reading, site, width)
    whose = next(iter(scope.there)) if scope.alone else site or scope.say("all_sites")
    titles = content.study.titles, sections[section].title
    caption = [*(texts.get(language, texts["en"]) for texts in titles), whose]
    # Kept with the chart, and written below it by `write_figure`.
    chart.usermeta = {
        "legend": pictures.legend_items(reading, site),
        "caption": " · ".join(caption),
    }
    drawn: alt.TopLevelMixin = chart
    return drawn


def write_figure(chart: alt.TopLevelMixin, path: Path | str, *, scale: float = 3) -> Path:
    """Write a figure as SVG or PNG, without a browser and without a network.

    Below one that `plot_section` drew stand its legend, and whose numbers it shows.

    Parameters
    ----------
    chart
        What a `plot_` function returned.
    path
        File to write; its suffix says which.
    scale
        Dots of a PNG for each px of the figure.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    UsageError
        If the suffix is neither, or the shipped font cannot draw a character of a PNG.
    """
    import vl_convert

    path = Path(path)
    spec: dict[str, Any] = chart.to_dict()
    if path.suffix == ".svg":
        path.write_text(_with_words(spec), encoding="utf-8")
    elif path.suffix == ".png":
        _require_drawn(spec)
        vl_convert.register_font_directory(str(FONT.parent))
        path.write_bytes(vl_convert.svg_to_png(_with_words(spec, "white"), scale=scale))
    else:
        raise UsageError(
            f"A figure is not written as {show(path.suffix)!r}",
            where=show(path.name),
            todo="Name a file that ends with .svg or .png",
        )
    return path


def _with_words(spec: dict[str, Any], background: str = "none") -> str:
    """Return a chart as SVG with the legend and the caption that it was given."""
    import vl_convert

    told = spec.get("usermeta", {})
    svg: str = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    size = _SIZE.search(svg)
    if size is None:
        raise UsageError("The chart has no size", todo="Give a chart that a plot_ function made")
    width, top = int(size[1]), int(size[2])
    x, y, below = _LEFT, top + 2 * _STEP, []
    for mark, words in told.get("legend", ()):
        lines = wrapped(words, width - 2 * _LEFT - 32)
        room = 32 + max(map(drawn_width, lines)) + 22
        if x > _LEFT and x + room > width:
            x, y = _LEFT, y + _STEP
        below.append(f'<g transform="translate({x},{y - 11})" {_LETTERS}>{mark}</g>')
        below += [_text(line, x + 32, y + i * _STEP) for i, line in enumerate(lines)]
        x, y = (x + room, y) if len(lines) == 1 else (_LEFT, y + len(lines) * _STEP)
    y += _STEP + 6 if x > _LEFT else 6
    lines = wrapped(told.get("caption", ""), width - 2 * _LEFT)
    below += [_text(line, _LEFT, y + i * _STEP, SOFT) for i, line in enumerate(lines)]
    height = y + len(lines) * _STEP if told else top
    paper = f'<rect width="100%" height="100%" fill="{background}"/>'
    new = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}">{paper}'
    head, drawn = svg.replace(size[0], new, 1).rsplit("</svg>", 1)
    return f"{head}{''.join(below) if told else ''}</svg>{drawn}"


def _text(words: str, x: float, y: float, colour: str = INK) -> str:
    return (
        f'<text x="{x}" y="{y}" {_LETTERS} font-size="12px" fill="{colour}">{escape(words)}</text>'
    )


def _require_drawn(spec: dict[str, Any]) -> None:
    if lacking := missing_characters(json.dumps(spec, ensure_ascii=False)):
        raise UsageError(
            f"The shipped font cannot draw {show(lacking)}",
            where=FONT.name,
            todo="Write the figure as SVG",
        )
