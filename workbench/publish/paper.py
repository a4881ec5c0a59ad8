"""Paper: the figure of a section as a chart and as a file, for who writes about a study."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import altair as alt

from workbench.errors import DefinitionError, UsageError, show, suggest
from workbench.publish import pictures
from workbench.publish.content import read_content
from workbench.publish.fonts import FONT, missing_characters
from workbench.publish.language import LANGUAGES
from workbench.publish.panels import WIDE
from workbench.publish.readings import read


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
    return pictures.plot(read(sections[section], scope), site, width, language)


def write_figure(chart: alt.TopLevelMixin, path: Path | str, *, scale: float = 3) -> Path:
    """Write a figure as SVG or PNG, without a browser and without a network.

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
        path.write_text(vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]), encoding="utf-8")
    elif path.suffix == ".png":
        _require_drawn(spec)
        vl_convert.register_font_directory(str(FONT.parent))
        spec["background"] = spec["config"]["background"] = "white"
        path.write_bytes(vl_convert.vegalite_to_png(spec, scale=scale, allowed_base_urls=[]))
    else:
        raise UsageError(
            f"A figure is not written as {show(path.suffix)!r}",
            where=show(path.name),
            todo="Name a file that ends with .svg or .png",
        )
    return path


def _require_drawn(spec: dict[str, Any]) -> None:
    if lacking := missing_characters(json.dumps(spec, ensure_ascii=False)):
        raise UsageError(
            f"The shipped font cannot draw {show(lacking)}",
            where=FONT.name,
            todo="Write the figure as SVG",
        )
