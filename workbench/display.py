"""Display: small cards that show an object in a notebook and on a terminal.

A card holds what its maker gives it: names, counts and statuses, never a row of a patient. All
text is escaped. The HTML takes its colours from JupyterLab, so it follows light and dark, and
falls back to those of the page elsewhere; it loads nothing.
"""

from __future__ import annotations

import html
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import wrap

from workbench.errors import show

ROWS = 12
"""Most rows of a table that a card shows."""
LONGEST = 400
"""Most characters of one text that a card shows."""
NARROWEST = 16
"""A column that would become narrower than this is not wrapped."""
_FAINT = "color:var(--jp-content-font-color2,inherit)"
_BORDER = "var(--jp-border-color2,currentColor)"
_FRAME = (
    f"color:var(--jp-content-font-color1,inherit);border-left:3px solid {_BORDER};padding-left:10px"
)
_TABLE = "margin:4px 0;color:inherit;font-size:inherit;border-collapse:collapse"
_CELL = "padding:2px 12px 2px 0;text-align:left;vertical-align:top;white-space:normal"


@dataclass(frozen=True)
class Card:
    """Hold what is shown of an object: a title, facts, and one table.

    Parameters
    ----------
    title
        One line.
    facts
        Text by name; those without text are not shown.
    head, rows
        Names of the table's columns, and its cells.
    note
        One line below, such as what the table leaves out.

    Examples
    --------
    >>> print(Card("North", {"kind": "real"}, ["table", "cells"], [["exams", "12"]]))
    North
      kind  real
    <BLANKLINE>
      table  cells
      exams  12
    """

    title: str
    facts: Mapping[str, str] = field(default_factory=dict)
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    note: str = ""

    def __str__(self) -> str:
        """Return the card as lines of text."""
        return self.text()

    def text(self, width: int | None = None) -> str:
        """Return the card as lines of text, at most `width` characters wide where that is given."""
        facts = [(name, text) for name, text in self.facts.items() if text]
        lines = [show(self.title, LONGEST), *aligned(facts, width)]
        if self.rows:
            lines += ["", *aligned([self.head, *self.rows[:ROWS]], width)]
        lines += [f"  {show(text, LONGEST)}" for text in self._notes()]
        return "\n".join(lines)

    def html(self) -> str:
        """Return the card as HTML that needs nothing else."""
        parts = [f'<div style="font-weight:600">{_text(self.title)}</div>']
        facts = [
            _cell("th", name, f'scope="row" style="{_CELL};font-weight:normal;{_FAINT}"')
            + _cell("td", text)
            for name, text in self.facts.items()
            if text
        ]
        parts += [_table("", facts)] if facts else []
        if self.rows:
            style = f'scope="col" style="{_CELL};border-bottom:1px solid {_BORDER}"'
            head = "".join(_cell("th", name, style) for name in self.head)
            rows = ["".join(_cell("td", text) for text in row) for row in self.rows[:ROWS]]
            parts.append(_table(f"<thead><tr>{head}</tr></thead>", rows))
        parts += [f'<div style="{_FAINT}">{_text(text)}</div>' for text in self._notes()]
        return f'<div style="{_FRAME}">{"".join(parts)}</div>'

    def _notes(self) -> list[str]:
        more = len(self.rows) - ROWS
        return ([f"and {more:,} more rows"] if more > 0 else []) + (
            [self.note] if self.note else []
        )


class Displayed(ABC):
    """Show an object by its card: as HTML in a notebook, as text elsewhere."""

    @abstractmethod
    def _card(self) -> Card:
        """Return what is shown of the object."""

    def _repr_html_(self) -> str:
        return self._card().html()

    def __repr__(self) -> str:
        return str(self._card())


def size(count: float) -> str:
    """Return a number of bytes for people, in powers of ten.

    Examples
    --------
    >>> size(999), size(716_000), size(21.4e9)
    ('999 B', '716 kB', '21.4 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit != "GB" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _text(value: str) -> str:
    return html.escape(show(value, LONGEST))


def _cell(tag: str, text: str, attributes: str = f'style="{_CELL}"') -> str:
    return f"<{tag} {attributes}>{_text(text)}</{tag}>"


def _table(head: str, rows: Sequence[str]) -> str:
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table style="{_TABLE}">{head}<tbody>{body}</tbody></table>'


def aligned(rows: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    r"""Return rows as lines with aligned columns.

    Parameters
    ----------
    rows
        Cells of text; a Chinese character takes two places.
    width
        Where to wrap the last column, if at all.

    Examples
    --------
    >>> print("\n".join(aligned([["北方", "real"], ["south", "public"]])))
      北方   real
      south  public
    >>> aligned([["a", "one two three four five six seven"]], 25)
    ['  a  one two three four', '     five six seven']
    """
    cells = [[show(cell, LONGEST) for cell in row] for row in rows]
    columns = max(map(len, cells), default=0)
    cells = [row + [""] * (columns - len(row)) for row in cells]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    room = 0 if width is None else width - 2 - sum(w + 2 for w in widths[:-1])
    lines = []
    for row in cells:
        wrapped = _wrapped(row[-1], room) if room >= NARROWEST else [row[-1]]
        for number, last in enumerate(wrapped):
            texts = [*(row[:-1] if number == 0 else [""] * (columns - 1)), last]
            padded = (t + " " * (w - _width(t)) for t, w in zip(texts, widths, strict=True))
            lines.append(f"  {'  '.join(padded)}".rstrip())
    return lines


def _wrapped(text: str, room: int) -> list[str]:
    # A word that is broken, such as a path, can no longer be copied.
    return wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
