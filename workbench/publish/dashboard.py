"""Dashboard: a study's page as widgets, for Voila and for a notebook.

The page appears before anything is verified or pooled: what takes time is imported and done when
the kernel is idle, while the browser loads the widgets.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.publish import markup
from workbench.publish.language import say
from workbench.study import Study, read_study

if TYPE_CHECKING:
    from ipywidgets import VBox

    from workbench.publish.content import Content

_PAUSE = 0.05
"""Seconds the kernel has for messages of the page between two parts of the work."""
_AGAIN = (2.0, 8.0, 30.0)
"""Seconds after which the first page is sent again: a slow browser misses what comes while it
connects its widgets."""


def show(study: Path | str, language: str = "en") -> VBox:
    """Show a study's dashboard: its head, a choice of site, and a section for each question.

    Parameters
    ----------
    study
        Folder of the study.
    language
        Two-letter code.

    Returns
    -------
    ipywidgets.VBox
        What the last line of a notebook's cell shows.

    Raises
    ------
    DefinitionError
        If the study cannot be read.
    """
    page = Page(read_study(study), language)
    _when_idle(page.start)
    return page.widget


class Page:
    """The widgets of a dashboard, and what fills them.

    Parameters
    ----------
    study
        The definition.
    language
        Two-letter code.
    """

    def __init__(self, study: Study, language: str = "en") -> None:
        import ipywidgets

        self.study, self.language = study, language
        self.content: Content | None = None
        self.head = ipywidgets.HTML()
        self.choice = ipywidgets.Dropdown(
            options=[(say("all_sites", language), "")],
            description=say("show_site", language),
            style={"description_width": "auto"},
            disabled=True,
        ).add_class("wb-select")
        self.parts = [ipywidgets.HTML() for _ in study.sections]
        bar = ipywidgets.HBox([self.choice]).add_class("wb-controls")
        self.widget = ipywidgets.VBox([self.head, bar, *self.parts]).add_class("wb-page")
        waiting = markup.notes([say("verifying", language)])
        self._set_head([markup.study_title(study, language), waiting])

    def start(self) -> None:
        """Verify and pool the releases, and fill the page."""
        from workbench.publish.content import read_content
        from workbench.publish.parts import header_html

        try:
            self.content = read_content(self.study.folder)
        except WorkbenchError as error:
            failed = markup.state(error.what, error.where, error=True)
            self._set_head([markup.study_title(self.study, self.language), failed])
            return
        self.head.value = markup.style() + header_html(self.content, self.language)
        names = [*self.content.releases, *self.content.refused]
        self.choice.options = [*self.choice.options, *((name, name) for name in names)]
        self.choice.disabled = False
        self.choice.observe(self._chosen, "value")
        self.fill(0, "")
        for pause in _AGAIN:
            _when_idle(self.send_again, pause=pause)

    def send_again(self) -> None:
        """Send what the page shows once more."""
        for widget in (self.head, self.choice, *self.parts):
            widget.send_state()

    def fill(self, place: int, site: str) -> None:
        """Fill one section, and the ones after it unless another site is chosen meanwhile."""
        from workbench.publish.parts import refusal_html, section_html

        content = self.content
        if content is None or place == len(self.parts) or site != self.choice.value:
            return
        if site in content.refused:  # once is enough
            html = "" if place else refusal_html(content, site, self.language)
        else:
            html = section_html(content, self.study.sections[place], site, self.language)
        self.parts[place].value = html
        _when_idle(self.fill, place + 1, site)

    def _chosen(self, change: dict[str, Any]) -> None:
        self.fill(0, change["new"])

    def _set_head(self, parts: list[str]) -> None:
        self.head.value = markup.style() + markup.page(parts, self.language)


def _when_idle(work: Callable[..., None], *arguments: object, pause: float = _PAUSE) -> None:
    """Do some work when the kernel has answered the page; at once where there is no kernel."""
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop().call_later(pause, work, *arguments)
        return
    work(*arguments)
