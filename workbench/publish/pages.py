"""Pages: the parts of a study's page as HTML, each drawn once for all who read it.

A server hands its kernels a private folder; what one of them has drawn the others read there. The
name of a kept part holds a digest of all it is made from, so a release that has changed is never
answered by what was drawn before.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.study import Study

if TYPE_CHECKING:
    from workbench.publish.content import Content

FOLDER = "WORKBENCH_PAGES"
"""Environment variable that names the private folder; without it nothing is kept."""


class Pages:
    """Give the head and the sections of a study's page, for every site and in every language.

    Parameters
    ----------
    study
        The definition.
    folder
        Where parts are kept; None to draw each anew.

    Examples
    --------
    >>> from workbench.study import read_study
    >>> pages = Pages(read_study("studies/imaging_service"))
    >>> next(iter(pages.sites))
    'Pretend capital, centre'
    """

    def __init__(self, study: Study, folder: Path | None = None) -> None:
        self.study = study
        self.folder = folder
        self._digest = digest_of(study.folder) if folder else ""

    @cached_property
    def content(self) -> Content:
        """What the verified releases say; verified and pooled when it is first asked for."""
        # Heavy, and not needed where every part is kept.
        from workbench.publish.content import read_content
        from workbench.publish.drawing import warm

        warm()
        return read_content(self.study.folder)

    @cached_property
    def sites(self) -> dict[str, str]:
        """Name of a file by that of each site whose release verifies, then by folder of others."""

        def found() -> str:
            ids = {name: release.site for name, release in self.content.releases.items()}
            # No id of a site has a hyphen, so that no file is taken for another's.
            others = {folder: f"refused-{folder}" for folder in self.content.refused}
            return json.dumps(ids | others)

        return dict(json.loads(self._kept(found, "sites")))

    def head(self, language: str) -> str:
        """Return what stands above all questions."""

        def drawn() -> str:
            from workbench.publish.parts import header_html

            return header_html(self.content, language)

        return self._kept(drawn, "head", language)

    def closing(self, language: str) -> str:
        """Return what stands below all questions."""

        def drawn() -> str:
            from workbench.publish.assurance import closing_html

            return closing_html(self.content, language)

        return self._kept(drawn, "closing", language)

    def section(self, place: int, site: str, language: str) -> str:
        """Return one question answered for a site, "" for all sites together."""

        def drawn() -> str:
            from workbench.publish.parts import nothing_html, refusal_html, section_html

            if place and (site in self.content.refused or self.content.empty):
                return ""  # once is enough
            if site in self.content.refused:
                return refusal_html(self.content, site, language)
            if self.content.empty:
                return nothing_html(self.content, language)
            return section_html(self.content, self.study.sections[place], site, language)

        return self._kept(drawn, "section", str(place), site, language)

    def is_kept(self, place: int, site: str, language: str) -> bool:
        """Tell whether a section need not be drawn."""
        return (
            self.folder is not None and self._path("section", str(place), site, language).is_file()
        )

    def waiting(self, place: int, language: str) -> str:
        """Return what stands for a question until it is drawn."""
        from workbench.publish import markup
        from workbench.publish.language import say

        section = self.study.sections[place]
        title, question = (t.get(language, t["en"]) for t in (section.title, section.question))
        said = markup.notes([say("drawing", language)])
        return markup.page([markup.section(title, question, "", [said], section.id)], language)

    def _path(self, *name: str) -> Path:
        digest = hashlib.sha256(json.dumps([self._digest, *name]).encode()).hexdigest()
        return (self.folder or Path()) / f"{digest}.html"

    def _kept(self, draw: Callable[[], str], *name: str) -> str:
        if self.folder is None:
            return draw()
        path = self._path(*name)
        if path.is_file():
            return path.read_text(encoding="utf-8")
        text = draw()
        write_whole(path, text)
        return text


def write_whole(path: Path, text: str, mode: int = 0o600) -> Path:
    """Write a file whole or not at all, and leave no part of it behind.

    Parameters
    ----------
    path
        The file; another of that name is replaced.
    text
        What it holds.
    mode
        Who may read it.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    part = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        part.chmod(mode)
        return part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def open_pages(study: Study) -> Pages:
    """Return the pages of a study, kept where the server says."""
    folder = os.environ.get(FOLDER)
    return Pages(study, Path(folder) if folder else None)


def digest_of(folder: Path) -> str:
    """Return a digest of all a page is made from: definition, codelists, releases and the day."""
    digest = hashlib.sha256(str(dt.datetime.now(dt.UTC).date()).encode())  # keys expire
    patterns = ("*.toml", "codelists/*", "releases/**/*")
    for path in sorted({p for pattern in patterns for p in folder.glob(pattern) if p.is_file()}):
        name = path.relative_to(folder).as_posix()
        digest.update(json.dumps([name, path.stat().st_size]).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
