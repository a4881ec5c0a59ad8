"""Page: a study's dashboard as a file, which is read without a server and printed.

All sites together stand in the file, and each site alone as well, in every language. Where that is
more than a file should hold, each site has a file of its own, which the choice of site leads to.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from workbench.errors import UsageError
from workbench.publish.document import COMMON, document, is_ours, place, write
from workbench.publish.language import LANGUAGES
from workbench.publish.pages import Pages, open_pages
from workbench.study import Study, read_study

Progress = Callable[[int, int], None]
LARGEST = 3_000_000
"""Bytes of a file that a mail or a slow line takes."""


def write_page(
    study: Study | Path | str,
    out: Path | str,
    *,
    whole: bool = True,
    largest: int = LARGEST,
    progress: Progress = lambda done, total: None,  # noqa: ARG005
) -> Path:
    """Write a study's dashboard as one self-contained HTML file.

    Parameters
    ----------
    study
        The definition, or the folder that holds it.
    out
        The file, or a folder that gets `<study>.html`.
    whole
        False to leave out the sites' own pages, which is soon done.
    largest
        Bytes above which each site gets a file of its own, in the folder `<file>_sites`.
    progress
        Told how many parts are drawn, and of how many.

    Returns
    -------
    Path
        The file. The same releases make the same bytes.

    Raises
    ------
    DefinitionError
        If the study cannot be read.
    UsageError
        If the file cannot be written, or another would be lost.
    """
    definition = study if isinstance(study, Study) else read_study(study)
    target = place(Path(out), f"{definition.id}.html")
    pages = open_pages(definition)
    parts = draw_parts(pages, whole=whole, progress=progress)
    titles = titles_of(definition)
    sites = ["", *(pages.sites if whole else ())]
    text, apart = document(parts, titles, sites), {}
    folder = sites_of(target)
    if len(sites) > 1 and len(text.encode()) > largest:
        names = [f"{pages.sites[site]}.html" for site in sites[1:]]
        there = _addresses(target.name, *(f"{folder.name}/{name}" for name in names))
        text = document(_of(0, parts), titles, sites, addresses=there)
        there = _addresses(f"../{target.name}", *names)
        for number, name in enumerate(names, start=1):
            own = _of(number, parts)
            apart[folder / name] = document(own, titles, sites, shown=number, addresses=there)
    for path, html in apart.items():  # first, so that every choice leads somewhere
        write(path, html)
    _remove(set(folder.glob("*.html")) - set(apart))
    return write(target, text)


def page_html(
    pages: Pages,
    *,
    whole: bool = True,
    progress: Progress = lambda done, total: None,  # noqa: ARG005
) -> str:
    """Return a study's dashboard as one HTML document.

    Parameters
    ----------
    pages
        The parts of the page.
    whole
        False to leave out the sites' own pages.
    progress
        Told how many parts are drawn, and of how many.

    Returns
    -------
    str
        HTML that names no other file and no other machine.
    """
    parts = draw_parts(pages, whole=whole, progress=progress)
    return document(parts, titles_of(pages.study), ["", *(pages.sites if whole else ())])


def draw_parts(pages: Pages, *, whole: bool, progress: Progress) -> dict[str, str]:
    """Return what a document of these pages is made of, as `document` takes it."""
    study = pages.study
    sites = ["", *(pages.sites if whole else ())]
    places = range(len(study.sections))
    parts: dict[str, str] = {}
    total = len(titles_of(study)) * len(sites)
    for language in titles_of(study):
        for number, site in enumerate(sites):
            progress(len(parts), total)
            parts[f"{language}-{number}"] = "".join(
                pages.section(place, site, language) for place in places
            )
    for language in titles_of(study):
        above, below = (f"{language}-{name}" for name in COMMON)
        parts |= {above: pages.head(language), below: pages.closing(language)}
    return parts


def titles_of(study: Study) -> dict[str, str]:
    """Return the title of a study by each of its languages."""
    return {
        code: study.titles.get(code, study.title) for code in LANGUAGES if code in study.languages
    }


def sites_of(page: Path) -> Path:
    """Return the folder of the sites' own pages, for a page that cannot hold them all."""
    return page.with_name(f"{page.stem}_sites")


def _of(number: int, parts: Mapping[str, str]) -> dict[str, str]:
    """Return the parts that the page of one site needs."""
    wanted = {str(number), *COMMON}
    return {name: html for name, html in parts.items() if name.partition("-")[2] in wanted}


def _addresses(*paths: str) -> list[str]:
    """Return paths as addresses; a name with a colon in it is no scheme."""
    return [f"./{quote(path)}" for path in paths]


def _remove(paths: set[Path]) -> None:
    """Remove earlier pages of sites: what one of them tells may have been withdrawn."""
    try:
        for path in paths:
            if is_ours(path):
                path.unlink()
    except OSError as error:
        raise UsageError(
            f"An earlier page cannot be removed: {error.strerror}",
            where=str(error.filename),
            todo="Remove it, or name another file",
        ) from error


if __name__ == "__main__":
    # The server's own: first what all sites say together, which is soon there, then every site.
    # It serves one file only.
    for everything in (False, True):
        write_page(sys.argv[1], sys.argv[2], whole=everything, largest=sys.maxsize)
