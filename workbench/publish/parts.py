"""Parts of a study's page: its head, and each question with figure, table and sentence."""

from __future__ import annotations

from workbench.exchange.verification import Release
from workbench.publish import markup, pictures
from workbench.publish.content import Content
from workbench.publish.language import THIN, between, number, say
from workbench.publish.marks import NEEDED, Cell, Entry, enough
from workbench.publish.readings import entry, read
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
        HTML: study and question, sites and n, suppressed numbers, dates, and of each release
        whether it verifies and which run made it.
    """
    study = content.study
    parts = [
        markup.study_title(study, language),
        markup.facts(_facts(content, language)),
    ]
    if content.problem:
        parts.append(markup.state(say("nothing", language), content.problem, error=True))
    rows = [_release_line(content, name, language) for name in content.releases]
    rows += [
        (Entry(folder), *[Entry("–")] * 5, Entry(say("unverified", language, reason=reason)))
        for folder, reason in content.refused.items()
    ]
    keys = ("site", "count_exams", "count_patients", "suppressed_column", "date", "run", "verdict")
    head = [(words := say(key, language))[:1].upper() + words[1:] for key in keys]
    if rows:
        parts.append(markup.table(head, rows, say("releases", language), words=(4, 5, 6)))
    policy = say("policy", language, threshold=content.threshold, rounding=study.policy.rounding)
    parts.append(markup.notes([policy, say("intervals", language), say("i2", language)]))
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
    parts = _answer(content, section, site, title, language)
    scope = site or say("all_sites", language)
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
    state = markup.state(say("refused", language), content.refused[folder], error=True)
    return markup.page([f'<section class="wb-section">{state}</section>'], language)


def _answer(content: Content, section: Section, site: str, title: str, language: str) -> list[str]:
    if content.pooled is None:
        reason = content.problem or say("nothing_rule", language)
        return [markup.state(say("nothing", language), reason, error=True)]
    scope = content.scope(section, site, language)
    if scope is None:
        reason = content.reason(section, site, language)
        return [markup.state(say("not_answerable", language), reason)]
    reading = read(section, scope)
    numbers = markup.table(reading.head, reading.body, say("table_of", language, title=title))
    if not enough(reading.cells):
        shown, of = sum(cell.shown for cell in reading.cells), len(reading.cells)
        rule = say(
            "too_few_rule", language, needed=NEEDED, n=shown, of=of, threshold=content.threshold
        )
        return [markup.state(say("too_few", language), rule), numbers]
    parts = [
        markup.finding(reading.finding),
        pictures.figure(reading, title, site, language),
        pictures.legend(reading, site, content.threshold, language),
        numbers,
    ]
    if enough(row.cell for row in reading.concentration):
        parts.append(pictures.concentration(reading, site, language))
    return parts


def _facts(content: Content, language: str) -> list[tuple[str, str, str]]:
    def counted(key: str) -> tuple[str, str, str]:
        cell: Cell = content.count(key)
        words = say(f"count_{key}", language)
        spread = between(cell.low, cell.high) if cell.shown and cell.low < cell.high else ""
        return words[:1].upper() + words[1:], number(cell.value), spread

    releases = content.releases.values()
    dates = sorted({str(release.manifest.created) for release in releases})
    total = len(content.releases) + len(content.refused)
    return [
        (
            say("sites", language),
            number(len(content.releases)),
            say("sites_of", language, of=number(total)),
        ),
        counted("exams"),
        counted("patients"),
        (
            say("suppressed_cells", language),
            number(sum(map(_suppressed, releases))),
            say("suppressed_of", language, tables=number(sum(len(r.tables) for r in releases))),
        ),
        (
            say("released", language),
            dates[-1] if dates else "–",
            f"{dates[0]} –{THIN}{dates[-1]}" if len(dates) > 1 else "",
        ),
    ]


def _release_line(content: Content, name: str, language: str) -> tuple[Entry, ...]:
    release = content.releases[name]
    manifest = release.manifest
    return (
        Entry(name),
        entry(content.count("exams", name), language),
        entry(content.count("patients", name), language),
        Entry(number(_suppressed(release))),
        Entry(str(manifest.created)),
        Entry("–" if manifest.run is None else manifest.run.id[:12]),
        Entry(say("verified", language, verdict=release.verdict)),
    )


def _suppressed(release: Release) -> int:
    return sum(mark.suppressed for mark in release.manifest.tables.values())
