"""Parts of a study's page: its head, and each question with figure, table and sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from workbench.errors import PoolingError
from workbench.publish import markup, pictures
from workbench.publish.assurance import refusal_words, status_line, suppressed
from workbench.publish.content import Content
from workbench.publish.downloads import file_name, links
from workbench.publish.language import Words, capital, speak
from workbench.publish.marks import NEEDED, SUPPRESSED, Cell, enough
from workbench.publish.reading import Reading
from workbench.publish.readings import read
from workbench.publish.scope import Scope
from workbench.study import Section

_NAMED = 5
"""Sites that are named above a question; all are in the table of who answers what."""


def header_html(content: Content, language: str = "en") -> str:
    """Return what stands above all questions.

    Parameters
    ----------
    content
        What `read_content` returned.
    language
        Two-letter code.

    Returns
    -------
    str
        HTML: study and question, the answer in a sentence and what it does not say, sites and n,
        suppressed numbers, dates, in one line how sure they are, and a link to each question.
    """
    words = speak(language)
    parts = [markup.study_title(content.study, language)]
    if not content.releases and not content.refused:
        return markup.page(parts, language)
    answer = headline(content, language)
    if not answer and _all_suppressed(content):
        answer = words.say("all_suppressed")
    if answer:
        parts.append(markup.headline(words.say("in_short"), answer))
    limits = content.study.limits
    parts.append(markup.limits(limits.get(language, limits.get("en", ""))))
    parts.append(markup.facts(_facts(content, language)))
    parts.append(markup.assured(status_line(content, words), words.say("how_sure")))
    if not content.empty:
        sections = content.study.sections
        titles = {s.id: s.title.get(language, s.title["en"]) for s in sections}
        parts.append(markup.contents(words.say("contents"), titles))
    return markup.page(parts, language)


def section_html(content: Content, section: Section, site: str = "", language: str = "en") -> str:
    """Return one question with its figure, table and sentence, or why there is none.

    Parameters
    ----------
    content
        What `read_content` returned.
    section
        A section of the study's dashboard.
    site
        Name of a site whose release verifies; "" for all sites.
    language
        Two-letter code.

    Returns
    -------
    str
        HTML.
    """
    title, question = (t.get(language, t["en"]) for t in (section.title, section.question))
    if content.empty:
        return nothing_html(content, language)
    words, scope = speak(language), None
    try:
        scope = content.scope(section, site, language)
        parts = _answer(content, section, scope, site, language)
    except PoolingError as error:
        said = words.say("not_pooled")
        parts = [markup.state(said, error.what, error=True, hint=error.where)]
    whose = _whose(scope, site, words)
    return markup.page([markup.section(title, question, whose, parts, section.id)], language)


def refusal_html(content: Content, folder: str, language: str = "en") -> str:
    """Return why a release is not read.

    Parameters
    ----------
    content
        What `read_content` returned.
    folder
        Folder of a release that does not verify.
    language
        Two-letter code.

    Returns
    -------
    str
        HTML.
    """
    words, refusal = speak(language), content.refused[folder]
    reason = refusal_words(refusal, words)
    state = markup.state(words.say("refused"), reason, error=True, hint=refusal.what)
    return markup.page([f'<section class="wb-section">{state}</section>'], language)


def nothing_html(content: Content, language: str = "en") -> str:
    """Return why there is nothing to show.

    Parameters
    ----------
    content
        What `read_content` returned, with nothing pooled.
    language
        Two-letter code.

    Returns
    -------
    str
        HTML.
    """
    refused = bool(content.refused)
    words = speak(language)
    title = words.say("nothing" if refused else "no_release")
    rule = words.say("nothing_rule" if refused else "no_release_rule")
    state = markup.state(title, content.problem or rule, error=refused)
    return markup.page([f'<section class="wb-section">{state}</section>'], language)


def readings_of(content: Content, language: str = "en") -> Iterator[Reading]:
    """Yield the reading of each section that can be answered for all sites together."""
    for section in content.study.sections:
        with contextlib.suppress(PoolingError):  # its own section says so
            scope = content.scope(section, "", language)
            if scope is not None:
                yield read(section, scope)


def _answer(
    content: Content, section: Section, scope: Scope | None, site: str, language: str
) -> list[str]:
    words, title = speak(language), section.title.get(language, section.title["en"])
    if scope is None:
        reason = content.reason(section, site, language)
        return [markup.state(words.say("not_answerable"), reason)]
    reading = read(section, scope)
    whose = content.releases[site].site if site else ""
    name = file_name(content.study.id, section.id, whose, content.day)
    drawn = enough(reading.cells)
    rule = reading.words.rule(SUPPRESSED, content.threshold)
    numbers = markup.table(
        reading.head,
        reading.body,
        words.say("table_of", title=title),
        reading.texts,
        rule=rule,
    )
    if reading.more is not None:
        named, head, body = reading.more
        numbers += markup.folded(named, markup.table(head, body, named, rule=rule))
    numbers += links(reading, name, drawn=drawn)
    if not drawn:
        return [_undrawn(reading, scope), numbers]
    parts = [
        markup.finding(reading.finding),
        pictures.figure(reading, title, site),
        pictures.legend(reading, site),
        numbers,
    ]
    if enough(row.cell for row in reading.concentration):
        parts.append(pictures.concentration(reading, site))
    return parts


def _whose(scope: Scope | None, site: str, words: Words) -> str:
    """Return whose numbers answer a question: one site's, or those of all that can."""
    if scope is not None and scope.alone:
        return words.say("one_site", site=next(iter(scope.there)))
    if site or scope is None or len(scope.there) == len(scope.sites):
        return site or words.say("all_sites")
    there, of = scope.there, len(scope.sites)
    some = words.say("some_sites", n=words.number(len(there)), of=words.number(of))
    return f"{some}: {'; '.join(there)}" if len(there) <= _NAMED else some


def _undrawn(reading: Reading, scope: Scope) -> str:
    """Return why there is no figure."""
    words = scope.words
    if scope.alone and reading.figure == "forest":
        title = words.say("one_site", site=next(iter(scope.there)))
        return markup.state(title, words.say("one_site_rule"))
    shown, of = sum(cell.shown for cell in reading.cells), len(reading.cells)
    fewer = words.count("fewer_patients", scope.threshold)
    key = "too_few_told" if shown == of else "too_few_rule"
    rule = words.say(key, needed=NEEDED, n=shown, of=of, fewer=fewer)
    return markup.state(words.say("too_few"), rule)


def headline(content: Content, language: str) -> str:
    """Return the sentence of the first section that can be answered, with number and interval."""
    return next((found.answer for found in readings_of(content, language) if found.answer), "")


def _all_suppressed(content: Content) -> bool:
    """Tell whether all that is asked for is held back, but for zeros that are told."""
    cells = [cell for found in readings_of(content) for cell in found.cells]
    held = any(cell.how == "suppressed" for cell in cells)
    return held and not any(cell.shown and cell.value > 0 for cell in cells)


def _facts(content: Content, language: str) -> list[tuple[str, str, str]]:
    words = speak(language)

    def counted(key: str) -> tuple[str, str, str]:
        cell: Cell = content.count(key)
        spread = words.between(cell.low, cell.high) if cell.shown and cell.low < cell.high else ""
        said = words.say("suppressed") if cell.how == "suppressed" else words.number(cell.value)
        return capital(words.say(f"count_{key}")), said, spread

    releases = content.releases.values()
    dates = sorted({release.manifest.created for release in releases})
    days = [words.date(day) for day in dates]
    hidden = sum(map(suppressed, releases))
    tables = sum(len(release.tables) for release in releases)
    total = len(content.releases) + len(content.refused)
    return [
        (words.say("sites"), words.number(len(releases)), words.count("sites_of", total)),
        counted("exams"),
        counted("patients"),
        (
            words.say("suppressed_cells"),
            words.number(hidden),
            words.count("suppressed_of", tables),
        ),
        (
            words.say("released"),
            days[-1] if days else "–",
            f"{days[0]} – {days[-1]}" if len(days) > 1 else "",
        ),
    ]
