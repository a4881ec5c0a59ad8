"""Assurance: how sure the numbers of a page are, whose they are, and how to cite them."""

from __future__ import annotations

from importlib.metadata import version

from workbench.exchange.verification import Release
from workbench.publish import markup
from workbench.publish.content import Content, Refusal
from workbench.publish.language import Words, capital, speak
from workbench.publish.marks import Entry
from workbench.publish.reading import entry

SOFTWARE = "The Workbench authors. Workbench {version} (Apache-2.0)."
"""How the software that made a page is cited, as CITATION.cff has it."""


def closing_html(content: Content, language: str = "en") -> str:
    """Return what stands below all questions.

    Parameters
    ----------
    content
        What `read_content` returned.
    language
        Two-letter code.

    Returns
    -------
    str
        HTML: which releases verify and why others do not, keys, policy, what ranges mean, the last
        reproduction, run digests, which site answers what; contributors, citation, licence.
    """
    words = speak(language)
    sure = [
        markup.definitions(_facts(content, words)),
        *_releases(content, words),
        *_answers(content, words),
    ]
    parts = [
        markup.panel(words.say("how_sure"), sure, "how-sure"),
        markup.panel(
            words.say("credits"),
            [markup.definitions(_credits(content, words)), *_citations(content, words)],
            "cite",
        ),
    ]
    return markup.page(parts, language)


def status_line(content: Content, words: Words) -> str:
    """Return in one line how sure the numbers are; "" while there is no release."""
    if not content.releases and not content.refused:
        return ""
    kinds = {release.kind for release in content.releases.values()}
    keys = [words.say(f"keys_{kind}_short") for kind in sorted(kinds)]
    parts = [_verified(content, words), *keys, _reproduced(content, words)]
    return " · ".join(part.rstrip(".。") for part in parts)


def refusal_words(refusal: Refusal, words: Words) -> str:
    """Return in the reader's language why a release is not read."""
    key = f"refused_{refusal.reason}"
    return words.say(key) if words.knows(key) else words.say("refused_other")


def _verified(content: Content, words: Words) -> str:
    total = len(content.releases) + len(content.refused)
    number = words.number(len(content.releases))
    return words.say("verify_of", n=number, of=words.count("n_releases", total))


def _facts(content: Content, words: Words) -> list[tuple[str, str]]:
    study = content.study
    kinds = {release.kind for release in content.releases.values()}
    fewer = words.count("fewer_patients", content.threshold)
    policy = words.say("policy", fewer=fewer, rounding=words.between(*content.rounding))
    found = [
        (words.say("releases"), _verified(content, words)),
        (words.say("keys"), words.run_on(words.say(f"keys_{kind}") for kind in sorted(kinds))),
        (words.say("policy_in_force"), policy),
        (words.say("ranges"), words.say("intervals")),
        (words.say("heterogeneity"), words.say("i2")),
        (words.say("reproduction"), _reproduced(content, words)),
        (words.say("definition"), f"{study.id} {study.version} · {study.digest[:12]}"),
    ]
    return [(name, text) for name, text in found if text]


def _reproduced(content: Content, words: Words) -> str:
    found = content.reproduced
    if found is None:
        return words.say("reproduced_never")
    day = words.date(found.date)
    here = {release.site: release.digest for release in content.releases.values()}
    if found.manifests != here:
        return words.say("reproduced_before", date=day)
    numbers = words.count("n_numbers", sum(found.compared.values()))
    if found.moved:
        return words.say(
            "reproduced_moved", date=day, numbers=numbers, moved=words.number(found.moved)
        )
    return words.say("reproduced_same", date=day, numbers=numbers)


def _releases(content: Content, words: Words) -> list[str]:
    rows = [_release_line(content, name, words) for name in content.releases]
    rows += [
        (
            Entry(folder),
            *[Entry("–")] * 5,
            Entry(
                words.say("unverified", reason=refusal_words(refusal, words)),
                "" if words.code == "en" else refusal.what,
            ),
        )
        for folder, refusal in content.refused.items()
    ]
    if not rows:
        return []
    keys = ("site", "count_exams", "count_patients", "suppressed_column", "date", "run", "verdict")
    head = [capital(words.say(key)) for key in keys]
    return [markup.table(head, rows, words.say("releases"), words=(4, 5, 6))]


def _release_line(content: Content, name: str, words: Words) -> tuple[Entry, ...]:
    release = content.releases[name]
    manifest = release.manifest
    return (
        Entry(name),
        entry(content.count("exams", name), words),
        entry(content.count("patients", name), words),
        Entry(words.number(suppressed(release))),
        Entry(words.date(manifest.created)),
        Entry("–" if manifest.run is None else manifest.run.id[:12]),
        Entry(words.say("verified", verdict=words.say(f"verdict_{release.kind}"))),
    )


def suppressed(release: Release) -> int:
    """Return how many numbers a release holds back."""
    return sum(mark.suppressed for mark in release.manifest.tables.values())


def _answers(content: Content, words: Words) -> list[str]:
    """Return who answers each question of the page, and why others cannot."""
    rows = []
    for section in content.study.sections:
        there: list[str] = []
        why: dict[str, list[str]] = {}
        for name, release in content.releases.items():
            if section.table in release.tables:
                there.append(name)
            else:
                why.setdefault(content.reason(section, name, words.code), []).append(name)
        whole = bool(content.releases) and not why
        by = words.say("all_sites") if whole else "; ".join(there) or "–"
        lacking = [f"{'; '.join(names)}: {reason}" for reason, names in why.items()]
        if there and len(why) == 1:
            lacking = [words.say("the_others", reason=reason) for reason in why]
        title = section.title.get(words.code, section.title["en"])
        rows.append((Entry(title), Entry(by), Entry(words.run_on(lacking) or "–")))
    if not content.releases or not rows:
        return []
    keys = ("question", "answered_by", "not_answered_by")
    head = [capital(words.say(key)) for key in keys]
    return [markup.table(head, rows, words.say("answers"), words=(1, 2))]


def _credits(content: Content, words: Words) -> list[tuple[str, str]]:
    study = content.study
    title = study.titles.get(words.code, study.title)
    day = content.day
    dated = "" if day is None else f" {words.date(day)}."
    number = words.say("version", version=study.version)
    lead = study.leads.get(words.code, study.lead)
    return [
        (words.say("lead"), lead),
        (words.say("contributors"), "; ".join(content.releases) or "–"),
        (words.say("citation"), f"{lead}. {title} ({study.id}), {number}.{dated}"),
        (words.say("software"), SOFTWARE.format(version=version("imaging-workbench"))),
        (words.say("licence"), study.licence),
        (words.say("use"), words.say("not_clinical")),
    ]


def _citations(content: Content, words: Words) -> list[str]:
    if not content.citations:
        return []
    return [
        markup.notes([words.say("cite_data")]),
        markup.definitions(content.citations.items()),
    ]
