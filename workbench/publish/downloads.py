"""Downloads: the numbers of a section as a file for a spreadsheet, and names for its figure."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import io
import math
import re
from html import escape

from workbench.publish.language import capital
from workbench.publish.reading import Reading

_HEAD = (
    "file_quantity",
    "file_value",
    "file_low",
    "file_high",
    "file_unit",
    "file_status",
    "file_rule",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def numbers_csv(reading: Reading) -> str:
    r"""Return every number of a reading, one a line, with its interval, unit, status and rule.

    Parameters
    ----------
    reading
        What stands in the table; its words are the reader's.

    Returns
    -------
    str
        CSV with a head. Numbers are plain, with a point, whatever the language; shares are in
        percent. A number that is held back is empty, and its status says so.
    """
    words = reading.words
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([_plain(reading.head[0]), *(capital(words.say(key)) for key in _HEAD)])
    tables = [(reading.head, reading.body), *([reading.more[1:]] if reading.more else [])]
    lines = ((head, line) for head, body in tables for line in body)
    for titles, (first, *entries) in lines:
        for head, entry in zip(titles[1:], entries, strict=True):
            cell = entry.cell
            if cell is None:
                continue
            scale = 100 if entry.share else 1
            ends = (cell.low, cell.high)
            writer.writerow(
                [
                    _plain(first.text),
                    _plain(head),
                    _number(cell.value * scale) if cell.shown else "",
                    *(_number(end * scale) for end in ends),
                    entry.unit,
                    words.say(f"status_{cell.how}"),
                    words.rule(cell, reading.threshold),
                ]
            )
    return text.getvalue()


def file_name(study: str, section: str, site: str, day: dt.date | None) -> str:
    """Return the name of a file, without its kind: study, section, site and day.

    Examples
    --------
    >>> file_name("imaging_service", "activity", "", dt.date(2026, 11, 5))
    'imaging_service_activity_all-sites_2026-11-05'
    """
    parts = (study, section, site or "all-sites", "" if day is None else day.isoformat())
    return "_".join(re.sub(r"[^\w.-]+", "-", part) for part in parts if part)


def links(reading: Reading, name: str, *, drawn: bool = True) -> str:
    """Return the files of a section as links: the numbers, and the figure as SVG and PNG.

    The figure is made a file in the browser, from what is drawn there: only its buttons are here.

    Parameters
    ----------
    reading
        What stands in the table.
    name
        What `file_name` returned.
    drawn
        True if there is a figure.

    Returns
    -------
    str
        HTML.
    """
    words = reading.words
    content = base64.b64encode(("\ufeff" + numbers_csv(reading)).encode()).decode()
    numbers = escape(words.say("save_csv"))
    link = (
        f'<a download="{escape(name)}.csv" href="data:text/csv;charset=utf-8;base64,{content}">'
        f"{numbers}</a>"
    )
    kinds = ("svg", "png") if drawn else ()
    figures = {kind: escape(words.say("save_figure", kind=kind.upper())) for kind in kinds}
    buttons = "".join(
        f'<button type="button" data-wb-save="{kind}" data-wb-name="{escape(name)}">{said}</button>'
        for kind, said in figures.items()
    )
    return f'<p class="wb-files"><span>{escape(words.say("save"))}</span>{link}{buttons}</p>'


def _plain(text: str) -> str:
    """Return words that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _number(value: float) -> str:
    if not math.isfinite(value):
        return ""
    return f"{value:.12g}"
