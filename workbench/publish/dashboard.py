"""Dashboard: a study's page as widgets, for Voila and for a notebook.

The page is shown twice: as static HTML, which is there with the first bytes, and as widgets, which
take its place when the browser has connected them. Nothing is sent that a browser could miss while
it connects. So the page is whole before a browser hears of it; only the first reader of a server
gets the first question at once, and the others when the browser says that it is connected.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.publish import markup
from workbench.publish.language import LANGUAGES, say
from workbench.publish.pages import Pages, open_pages
from workbench.study import Study, read_study


def show(study: Path | str, language: str = "en") -> Page:
    """Show a study's dashboard: its head, a choice of site, and a section for each question.

    Parameters
    ----------
    study
        Folder of the study.
    language
        Two-letter code.

    Returns
    -------
    Page
        What the last line of a notebook's cell shows.

    Raises
    ------
    DefinitionError
        If the study cannot be read.
    """
    return Page(read_study(study), language)


class Page:
    """A study's page: widgets, and the same as static HTML.

    Parameters
    ----------
    study
        The definition.
    language
        Two-letter code.
    """

    def __init__(self, study: Study, language: str = "en") -> None:
        import ipywidgets

        self.study = study
        self.language = language if language in LANGUAGES and language in study.languages else "en"
        self.lacking = "" if self.language == language else language
        self.pages: Pages = open_pages(study)
        self.head = ipywidgets.HTML()
        self.site = ipywidgets.Dropdown(style={"description_width": "auto"}).add_class("wb-select")
        self.tongue = ipywidgets.Dropdown(
            options=[(name, code) for code, name in LANGUAGES.items() if code in study.languages],
            value=self.language,
            style={"description_width": "auto"},
        ).add_class("wb-select")
        self.parts = [ipywidgets.HTML() for _ in study.sections]
        self.closing = ipywidgets.HTML()
        self.hears = ipywidgets.Button().add_class("wb-hears")  # pressed by the page's own script
        self.hears.on_click(self._heard)
        self.bar = ipywidgets.HBox([self.site, self.tongue]).add_class("wb-controls")
        self.widget = ipywidgets.VBox([self.head, self.bar, *self.parts, self.closing, self.hears])
        self.widget.add_class("wb-page")
        self._site, self._turn, self._waiting = "", 0, False
        self.site.observe(self._site_chosen, "value")
        self._start()
        self.tongue.observe(self._language_chosen, "value")

    def _start(self) -> None:
        try:
            head, sites = self.pages.head(self.language), self.pages.sites
            sections = [self._first(place) for place in range(len(self.parts))]
        except WorkbenchError as error:
            said = "\n".join(filter(None, (error.where, error.todo)))
            failed = markup.state(error.what, said, error=True)
            title = markup.study_title(self.study, self.language)
            self.head.value = markup.style() + markup.page([title, failed], self.language)
            self.site.disabled = True
            return
        self._set_head(head, sites)
        self.closing.value = self.pages.closing(self.language)
        for part, html in zip(self.parts, sections, strict=True):
            part.value = html

    def _set_head(self, head: str, sites: Iterable[str]) -> None:
        lack = markup.lacking(self.lacking, self.language) if self.lacking else ""
        self.head.value = markup.style() + lack + head
        self.site.unobserve(self._site_chosen, "value")  # the site stays, only its words change
        self.site.options = [(say("all_sites", self.language), ""), *((s, s) for s in sites)]
        self.site.value = self._site
        self.site.observe(self._site_chosen, "value")
        self.site.disabled = len(self.site.options) == 1
        self.site.description = say("show_site", self.language)
        self.tongue.description = say("language", self.language)

    def _first(self, place: int) -> str:
        """Return a section as it is sent first: of those behind the first one, what is kept."""
        if place == 0 or self.pages.folder is None or self.pages.is_kept(place, "", self.language):
            return self._section(place, "")
        self._waiting = True
        return self.pages.waiting(place, self.language)

    def _heard(self, _: object) -> None:
        """Draw what a browser waits for that is connected now."""
        if self._waiting and not self._turn:
            self._refill()

    def _section(self, place: int, site: str) -> str:
        return self.pages.section(place, site, self.language)

    def _site_chosen(self, change: dict[str, Any]) -> None:
        self._site = change["new"]
        self._refill()

    def _language_chosen(self, change: dict[str, Any]) -> None:
        self.language, self.lacking = change["new"], ""
        self._set_head(self.pages.head(self.language), self.pages.sites)
        self.closing.value = self.pages.closing(self.language)
        self._refill()

    def _refill(self) -> None:
        self.widget.add_class("wb-busy")
        self._turn += 1
        self._fill(0, self._turn)

    def _fill(self, place: int, turn: int) -> None:
        """Fill one section, and the next, unless something else is chosen meanwhile."""
        if turn != self._turn:
            return
        if place == len(self.parts):
            self.widget.remove_class("wb-busy")
            return
        self.parts[place].value = self._section(place, self._site)
        _soon(self._fill, place + 1, turn)

    def _repr_mimebundle_(
        self, include: Sequence[str] | None = None, exclude: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Return the widgets, and the page as static HTML for whoever has none."""
        bundle: dict[str, Any] = self.widget._repr_mimebundle_(include=include, exclude=exclude)
        names = {code: name for name, code in self.tongue.options}
        waiting = markup.waiting(say("connecting", self.language), names)
        parts = (part.value for part in (*self.parts, self.closing))
        page = "".join((self.head.value, waiting, *parts, markup.script()))
        return {**bundle, "text/html": page}


def _soon(work: Callable[..., None], *arguments: object) -> None:
    """Do some work when the kernel has heard the page; at once where there is no kernel."""
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop().call_later(0.02, work, *arguments)
        return
    work(*arguments)
