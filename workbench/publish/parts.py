"""Parts of a study's page: its head, and each question with figure, table and sentence."""

from __future__ import annotations

from workbench.publish import markup, pictures
from workbench.publish.assurance import refusal_words, status_line, suppressed
from workbench.publish.content import Content
from workbench.publish.downloads import file_name, links
from workbench.publish.language import capital, speak
from workbench.publish.marks import NEEDED, SUPPRESSED, Cell, enough
from workbench.publish.readings import read
from workbench.study import Section


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
        HTML: study and question, the answer in a sentence, sites and n, suppressed numbers, dates,
        and in one line how sure they are.
    """
    words = speak(language)
    parts = [markup.study_title(content.study, language)]
    if not content.releases and not content.refused:
        return markup.page(parts, language)
    answer = _headline(content, language)
    if answer:
        parts.append(markup.headline(words.say("in_short"), answer))
    parts.append(markup.facts(_facts(content, language)))
    parts.append(markup.assured(status_line(content, words), words.say("how_sure")))
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
    if content.pooled is None:
        return nothing_html(content, language)
    parts = _answer(content, section, site, title, language)
    scope = site or speak(language).say("all_sites")
    return markup.page([markup.section(title, question, scope, parts, section.id)], language)


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


def _answer(content: Content, section: Section, site: str, title: str, language: str) -> list[str]:
    words = speak(language)
    scope = content.scope(section, site, language)
    if scope is None:
        reason = content.reason(section, site, language)
        return [markup.state(words.say("not_answerable"), reason)]
    reading = read(section, scope)
    whose = content.releases[site].site if site else ""
    name = file_name(content.study.id, section.id, whose, content.day)
    numbers = markup.table(
        reading.head,
        reading.body,
        words.say("table_of", title=title),
        rule=words.rule(SUPPRESSED, content.threshold),
    ) + links(reading, name)
    if not enough(reading.cells):
        shown, of = sum(cell.shown for cell in reading.cells), len(reading.cells)
        fewer = words.count("fewer_patients", content.threshold)
        rule = words.say("too_few_rule", needed=NEEDED, n=shown, of=of, fewer=fewer)
        return [markup.state(words.say("too_few"), rule), numbers]
    parts = [
        markup.finding(reading.finding),
        pictures.figure(reading, title, site, language),
        pictures.legend(reading, site, language),
        numbers,
    ]
    if enough(row.cell for row in reading.concentration):
        parts.append(pictures.concentration(reading, site, language))
    return parts


def _headline(content: Content, language: str) -> str:
    """Return the sentence of the first section that can be answered, with number and interval."""
    for section in content.study.sections:
        scope = content.scope(section, "", language)
        answer = "" if scope is None else read(section, scope).answer
        if answer:
            return answer
    return ""


def _facts(content: Content, language: str) -> list[tuple[str, str, str]]:
    words = speak(language)

    def counted(key: str) -> tuple[str, str, str]:
        cell: Cell = content.count(key)
        spread = words.between(cell.low, cell.high) if cell.shown and cell.low < cell.high else ""
        return capital(words.say(f"count_{key}")), words.number(cell.value), spread

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
