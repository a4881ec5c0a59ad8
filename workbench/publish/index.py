"""Index: every study of a folder with its question, its sites and what it found."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from workbench.errors import DefinitionError, WorkbenchError
from workbench.publish import markup
from workbench.publish.document import document, place, write
from workbench.publish.language import LANGUAGES, say, speak


@dataclass(frozen=True)
class Line:
    """Say of one study what its releases answer.

    Parameters
    ----------
    folder
        Name of its folder.
    titles, questions
        By language; empty where the definition cannot be read.
    limits
        What the numbers do not say, by language; empty if nothing is said.
    status, version
        As the definition has them.
    sites
        Names of the sites whose release verifies.
    refused
        Folders of the releases that do not verify.
    findings
        The first answer of the study, with its interval, by language.
    problem
        Why the definition cannot be read, or what it found cannot be told; "" if all is well.
    """

    folder: str
    titles: Mapping[str, str] = field(default_factory=dict)
    questions: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    status: str = ""
    version: str = ""
    sites: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    findings: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


def read_index(folder: Path | str) -> tuple[Line, ...]:
    """Read every study below a folder, and of each the releases that verify.

    Parameters
    ----------
    folder
        Folder with one folder a study.

    Returns
    -------
    tuple of Line
        By name; a study that cannot be read is told with its reason.

    Raises
    ------
    DefinitionError
        If there is no such folder.
    """
    if not Path(folder).is_dir():
        raise DefinitionError(
            "There is no such folder", where=str(folder), todo="Name the folder of the studies"
        )
    return tuple(_line(found.parent) for found in sorted(Path(folder).glob("*/study.toml")))


def _line(folder: Path) -> Line:
    from workbench.publish.content import read_content
    from workbench.publish.parts import headline

    try:
        content = read_content(folder)
    except WorkbenchError as error:
        return Line(folder.name, problem=error.what)
    study, findings = content.study, {}
    for language in LANGUAGES:
        if answer := headline(content, language):
            findings[language] = answer
    return Line(
        folder.name,
        {code: study.titles.get(code, study.title) for code in LANGUAGES},
        {code: study.questions.get(code, study.question) for code in LANGUAGES},
        study.limits,
        study.status,
        study.version,
        tuple(content.releases),
        tuple(content.refused),
        findings,
        content.problem,
    )


def index_html(lines: Sequence[Line], pages: Mapping[str, str], language: str = "en") -> str:
    """Return the landing page.

    Parameters
    ----------
    lines
        What `read_index` returned.
    pages
        Address of a study's page by name of its folder, where there is one.
    language
        Two-letter code.

    Returns
    -------
    str
        HTML.
    """
    words = speak(language)
    notice = words.say("not_clinical")
    asked = words.say("index_question")
    parts = [_title(words.say("index_title"), asked, notice, language)]
    if not lines:
        parts.append(markup.state(words.say("index_none"), words.say("index_none_rule")))
    parts += [_section(line, pages.get(line.folder, ""), language) for line in lines]
    return markup.page(parts, language)


def write_index(folder: Path | str, out: Path | str) -> Path:
    """Write the landing page as one self-contained HTML file.

    A study is linked to the page that `write_page` wrote beside it, and else says how to open it.

    Parameters
    ----------
    folder
        Folder with one folder a study.
    out
        The file, or a folder that gets `index.html`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DefinitionError
        If there is no such folder.
    UsageError
        If the file cannot be written.
    """
    target = place(Path(out), "index.html")
    lines = read_index(folder)
    pages = {
        line.folder: quote(f"{line.folder}.html")
        for line in lines
        if (target.parent / f"{line.folder}.html").is_file()
    }
    bodies = {f"{code}-0": index_html(lines, pages, code) for code in LANGUAGES}
    titles = {code: say("index_title", code) for code in LANGUAGES}
    return write(target, document(bodies, titles))


def show(folder: Path | str, language: str = "en") -> Index:
    """Show the landing page in a notebook and in Voila.

    Parameters
    ----------
    folder
        Folder with one folder a study.
    language
        Two-letter code; the reader may choose another.

    Returns
    -------
    Index
        What the last line of a notebook's cell shows.

    Raises
    ------
    DefinitionError
        If there is no such folder.
    """
    return Index(read_index(folder), language)


class Index:
    """The landing page: a choice of language, and the same as static HTML.

    Parameters
    ----------
    lines
        What `read_index` returned.
    language
        Two-letter code.
    """

    def __init__(self, lines: Sequence[Line], language: str = "en") -> None:
        import ipywidgets

        chosen = language if language in LANGUAGES else "en"
        bodies = {code: markup.style() + index_html(lines, {}, code) for code in LANGUAGES}
        self.body = ipywidgets.HTML(bodies[chosen])
        self.tongue = ipywidgets.Dropdown(
            options=[(name, code) for code, name in LANGUAGES.items()],
            value=chosen,
            description=say("language", chosen),
            style={"description_width": "auto"},
        ).add_class("wb-select")

        def turn(change: Mapping[str, Any]) -> None:
            self.body.value = bodies[change["new"]]
            self.tongue.description = say("language", change["new"])

        self.tongue.observe(turn, "value")
        bar = ipywidgets.HBox([self.tongue]).add_class("wb-controls")
        self.widget = ipywidgets.VBox([bar, self.body]).add_class("wb-page")

    def _repr_mimebundle_(
        self, include: Sequence[str] | None = None, exclude: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Return the widgets, and the page as static HTML for whoever has none."""
        bundle: dict[str, Any] = self.widget._repr_mimebundle_(include=include, exclude=exclude)
        waiting = markup.waiting(say("connecting", self.tongue.value), LANGUAGES)
        return {**bundle, "text/html": waiting + self.body.value + markup.script()}


def _title(name: str, question: str, notice: str, language: str) -> str:
    return markup.title(name, question, "", notice, language)


def _section(line: Line, page: str, language: str) -> str:
    words = speak(language)
    name, asked = line.titles.get(language, line.folder), line.questions.get(language, "")
    if not line.titles:
        parts = [markup.state(words.say("index_unreadable"), line.problem, error=True)]
        return markup.section(name, asked, "", parts, line.folder)
    scope = " · ".join(
        (words.say(f"status_{line.status}"), words.say("version", version=line.version))
    )
    sites = words.count("n_sites", len(line.sites))
    finding = line.findings.get(language, "")
    parts = [markup.finding(finding)]
    if finding:
        parts.append(markup.limits(line.limits.get(language, line.limits.get("en", ""))))
    if not finding and not line.refused:
        parts.append(markup.state(words.say("no_release"), line.problem))
    if line.sites:
        parts.append(markup.notes([sites, words.listed(line.sites)]))
    if line.refused:
        refused = words.count("n_refused", len(line.refused))
        parts.append(markup.state(refused, words.listed(line.refused), error=True))
    if page:
        link = f'<p class="wb-link"><a href="{escape(page)}">{escape(words.say("open"))}</a></p>'
    else:
        command = f"<code>workbench publish {escape(line.folder)}</code>"
        link = f'<p class="wb-notes">{escape(words.say("open_by"))} {command}</p>'
    return markup.section(name, asked, scope, [*parts, link], line.folder)


if __name__ == "__main__":
    write_index(*map(os.fspath, sys.argv[1:3]))
