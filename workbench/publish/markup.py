"""Markup: the parts of a study's page as HTML. Everything that comes from data is escaped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files

from workbench.publish.language import say
from workbench.publish.marks import Entry
from workbench.study import Study


def style() -> str:
    """Return the style sheet of the page, to stand before all else."""
    sheet = files("workbench").joinpath("resources/publish/dashboard.css")
    return f"<style>{sheet.read_text(encoding='utf-8')}</style>"


def script() -> str:
    """Return the script of the page: files of figures, light or dark, what a print says.

    The page reads without it. It stands once, anywhere: it listens to the whole document.
    """
    text = files("workbench").joinpath("resources/publish/dashboard.js")
    return f"<script>{text.read_text(encoding='utf-8')}</script>"


def page(parts: Iterable[str], language: str) -> str:
    """Return parts as one piece of the page."""
    return f'<div class="wb" lang="{escape(language)}">{"".join(parts)}</div>'


def title(name: str, question: str, kind: str, notice: str, language: str) -> str:
    """Return the title of the page, what is asked, and what it is not for."""
    dark = escape(say("theme", language))
    printed = escape(say("printed", language, date="[date]", place="[place]"))
    return (
        f'<header><div class="wb-top"><p class="wb-notice">{escape(notice)}</p>'
        f'<button type="button" class="wb-theme" aria-pressed="false">{dark}</button></div>'
        f'<p class="wb-eyebrow">{escape(kind)}</p><h1>{escape(name)}</h1>'
        f'<p class="wb-question">{escape(question)}</p>'
        f'<p class="wb-printed" data-wb-printed="{printed}"></p></header>'
    )


def headline(label: str, answer: str) -> str:
    """Return the answer to the study's question, before all figures."""
    return f'<p class="wb-answer"><strong>{escape(label)}</strong> {escape(answer)}</p>'


def limits(text: str) -> str:
    """Return in one line what the numbers do not say."""
    return f'<p class="wb-limits">{escape(text)}</p>' if text else ""


def assured(line: str, link: str) -> str:
    """Return in one line how sure the numbers are, with the way to the panel that says more."""
    if not line:
        return ""
    return f'<p class="wb-assured">{escape(line)} <a href="#how-sure">{escape(link)}</a></p>'


def contents(label: str, titles: Mapping[str, str]) -> str:
    """Return the way to each question of the page: its title by the name of its section."""
    items = (f'<li><a href="#{escape(n)}">{escape(t)}</a></li>' for n, t in titles.items())
    return f'<nav class="wb-contents" aria-label="{escape(label)}"><ul>{"".join(items)}</ul></nav>'


def panel(title: str, parts: Iterable[str], name: str) -> str:
    """Return a part of the page that answers no question of the study."""
    return (
        f'<section class="wb-section" id="{escape(name)}" aria-labelledby="{escape(name)}-title">'
        f'<h2 id="{escape(name)}-title">{escape(title)}</h2>{"".join(parts)}</section>'
    )


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """Return names and what they stand for as lines."""
    items = (f"<div><dt>{escape(n)}</dt><dd>{escape(text)}</dd></div>" for n, text in pairs)
    return f'<dl class="wb-lines">{"".join(items)}</dl>'


def study_title(study: Study, language: str) -> str:
    """Return the title of a study's page."""
    kind = (study.id, say(f"status_{study.status}", language))
    return title(
        study.titles.get(language, study.title),
        study.questions.get(language, study.question),
        " · ".join((*kind, say("version", language, version=study.version))),
        say("not_clinical", language),
        language,
    )


def lacking(code: str, language: str) -> str:
    """Return that there is no page in a language, in the one that stands in for it."""
    text = say("no_language", language, code=code[:20])
    return page([f'<p class="wb-lacking" role="status">{escape(text)}</p>'], language)


def waiting(text: str, languages: Mapping[str, str]) -> str:
    """Return the place of the controls until the browser has connected them.

    Parameters
    ----------
    text
        Words for who waits.
    languages
        Name by code of those that can be chosen: the script chooses the reader's.
    """
    names = escape(json.dumps(languages, ensure_ascii=False))
    return (
        f'<div class="wb-controls wb-waiting" data-wb-languages="{names}">'
        f'<p role="status">{escape(text)}</p></div>'
    )


def notes(texts: Iterable[str]) -> str:
    """Return remarks on how to read the page."""
    return "".join(f'<p class="wb-notes">{escape(text)}</p>' for text in texts)


def facts(pairs: Iterable[tuple[str, str, str]]) -> str:
    """Return names, values and remarks as a row of large numbers."""
    items = (
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(remark)}</small></dd></div>"
        for name, value, remark in pairs
    )
    return f'<dl class="wb-facts">{"".join(items)}</dl>'


def table(
    head: Sequence[str],
    body: Iterable[Sequence[Entry]],
    caption: str,
    words: Iterable[int] = (),
    rule: str = "",
) -> str:
    """Return a table that scrolls sideways where it has no room.

    Parameters
    ----------
    head
        Titles of the columns.
    body
        Rows; the first entry of each names the row.
    caption
        What the table holds, for who cannot see where it stands.
    words
        Positions of columns that hold words, not numbers.
    rule
        Why a number is held back, for whoever points at one.

    Returns
    -------
    str
        HTML.

    Examples
    --------
    >>> "&lt;b&gt;" in table(["Site"], [[Entry("<b>")]], "Sites")
    True
    """
    texts = set(words)

    def kind(column: int) -> str:
        return ' class="wb-words"' if column in texts else ""

    titles = "".join(
        f'<th scope="col"{kind(i)}>{escape(title)}</th>' for i, title in enumerate(head)
    )
    rows = []
    for row in body:
        first, *rest = row
        cells = "".join(f"<td{kind(i)}>{_entry(e, rule)}</td>" for i, e in enumerate(rest, start=1))
        rows.append(f'<tr><th scope="row">{_entry(first)}</th>{cells}</tr>')
    return (
        f'<div class="wb-scroll" role="region" tabindex="0" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption>"
        f"<thead><tr>{titles}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def folded(title: str, inner: str) -> str:
    """Return what is long under a title that opens it."""
    return f"<details><summary>{escape(title)}</summary>{inner}</details>"


def state(title: str, text: str, *, error: bool = False, hint: str = "") -> str:
    """Return the words that stand where a figure cannot; the hint as whoever mends it needs it."""
    kind, mark = ("wb-state wb-error", "✕ ") if error else ("wb-state", "")
    small = f"<p><small>{escape(hint)}</small></p>" if hint and hint != text else ""
    return (
        f'<div class="{kind}" role="note"><h3>{mark}{escape(title)}</h3><p>{escape(text)}</p>'
        f"{small}</div>"
    )


def section(title: str, question: str, scope: str, parts: Iterable[str], name: str) -> str:
    """Return one question with what answers it, and for whom."""
    return (
        f'<section class="wb-section" id="{escape(name)}" aria-labelledby="{escape(name)}-title">'
        f'<p class="wb-scope">{escape(scope)}</p>'
        f'<h2 id="{escape(name)}-title">{escape(title)}</h2>'
        f'<p class="wb-asks">{escape(question)}</p>{"".join(parts)}</section>'
    )


def finding(text: str) -> str:
    """Return the sentence that reads a figure."""
    return f'<p class="wb-finding">{escape(text)}</p>' if text else ""


def _entry(entry: Entry, rule: str = "") -> str:
    text = escape(entry.text)
    if entry.hidden:
        why = f' title="{escape(rule)}"' if rule else ""
        text = f'<span class="wb-hidden"{why}>{text}</span>'
    return f"{text}<small>{escape(entry.detail)}</small>" if entry.detail else text
