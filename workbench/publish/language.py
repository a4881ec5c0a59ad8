"""Language: every word, number and date that a reader sees, in the reader's language.

Words come from the gettext catalogues in `resources/locale`, read as text, so that no compiled file
has to be kept in step; numbers and dates are written as Babel says the language writes them.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import gettext
import math
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from importlib.resources import files
from io import BytesIO
from typing import TYPE_CHECKING

from workbench.publish.marks import Cell

if TYPE_CHECKING:
    from babel import Locale

LANGUAGES = {"en": "English", "ru": "Русский", "zh": "中文"}
"""Languages of the catalogues, each by its own name."""
MINUS = "\u2212"


class Words:
    """Say words and write numbers in one language.

    Parameters
    ----------
    code
        Two-letter code; a language without a catalogue is English.
    counted
        What is counted, in the plural, where that is no exams; "" for exams and patients.

    Examples
    --------
    >>> Words("ru").count("n_patients", 21)
    '21 пациент'
    >>> Words("xx").say("median")
    'median'
    >>> Words("en", "device-days").count("fewer_patients", 10)
    'fewer than 10 device-days'
    """

    def __init__(self, code: str, counted: str = "") -> None:
        self.code = code if code in LANGUAGES else "en"
        self.counted = counted

    @cached_property
    def _locale(self) -> Locale:
        from babel import Locale

        return Locale.parse({"zh": "zh_Hans"}.get(self.code, self.code))

    @cached_property
    def _catalogue(self) -> gettext.NullTranslations:
        return _read_catalogue(self.code)

    @cached_property
    def separators(self) -> tuple[str, str, str]:
        """What stands before decimals, between groups of three digits, and for percent."""
        from babel.numbers import get_decimal_symbol, get_group_symbol

        pattern = self._locale.percent_formats[None].pattern
        sign = pattern.lstrip("#,0.")
        return get_decimal_symbol(self._locale), get_group_symbol(self._locale), sign

    def say(self, key: str, **values: object) -> str:
        """Return the words for a key.

        Parameters
        ----------
        key
            A `msgid` of the catalogues.
        **values
            What the words leave open.

        Returns
        -------
        str
            Plain text; the caller escapes it where it becomes HTML.

        Raises
        ------
        KeyError
            If the catalogue has no such words.
        """
        if self.counted and self.knows(f"{key}_counted"):
            key, values = f"{key}_counted", values | {"counted": self.counted}
        return self._catalogue.gettext(key).format(**values)

    def knows(self, key: str) -> bool:
        """Tell whether there are words for a key."""
        with contextlib.suppress(KeyError):
            return bool(self._catalogue.gettext(key))
        return False

    def count(self, key: str, n: float, text: str = "") -> str:
        """Return a number of things in the form their noun takes after that number.

        Parameters
        ----------
        key
            A `msgid` with plural forms.
        n
            The number.
        text
            How it is written, if not as a plain number.
        """
        written = text or self.number(n)
        if self.counted and self.knows(f"{key}_counted"):
            return self.say(key, n=written)
        return self._catalogue.ngettext(key, key, round(n)).format(n=written)

    def run_on(self, sentences: Iterable[str]) -> str:
        """Return sentences one after the other."""
        return ("" if self.code == "zh" else " ").join(sentences)

    def listed(self, parts: Iterable[str]) -> str:
        """Return what is not empty as a list."""
        return self.say("list_comma").join(filter(None, parts))

    def number(self, value: float, digits: int = 3) -> str:
        r"""Return a number with grouped digits; fractions with so many significant digits.

        Examples
        --------
        >>> Words("en").number(1234567), Words("ru").number(1234567).replace("\xa0", " ")
        ('1,234,567', '1 234 567')
        >>> Words("en").number(0.04567), Words("ru").number(12.345)
        ('0.0457', '12,3')
        >>> Words("zh").number(float("nan")), Words("zh").number(float("inf"))
        ('–', '∞')
        """
        if math.isnan(value):
            return "–"
        if math.isinf(value):
            return "∞" if value > 0 else f"{MINUS}∞"
        size = abs(value)
        whole = value == round(value) or size >= 10 ** (digits - 1)
        text = self._fixed(size, 0 if whole else digits - 1 - math.floor(math.log10(size)))
        return f"{MINUS}{text}" if value < 0 else text

    def edge(self, value: float) -> str:
        """Return a number with the digits that it has, as an edge of a bin is declared.

        Examples
        --------
        >>> Words("en").edge(0.25), Words("en").edge(1200.0)
        ('0.25', '1,200')
        """
        digits = f"{value:.6g}".replace(".", "").replace("-", "").lstrip("0")
        return self.number(value, max(1, len(digits)))

    def percent(self, share: float) -> str:
        r"""Return a share of 1 as percent with one decimal; none at the ends.

        Examples
        --------
        >>> [Words("en").percent(x) for x in (0, 0.0004, 0.0312, 0.5, 0.99999, 1)]
        ['0%', '<0.1%', '3.1%', '50.0%', '>99.9%', '100%']
        >>> Words("ru").percent(0.0312).replace("\xa0", " ")
        '3,1 %'
        """
        if math.isnan(share):
            return "–"
        points, sign = 100 * share, self.separators[2]
        if points in (0, 100):
            return f"{points:.0f}{sign}"
        if points < 0.05:
            return f"<{self._fixed(0.1, 1)}{sign}"
        almost = 99.95 <= points < 100
        return f">{self._fixed(99.9, 1)}{sign}" if almost else f"{self._fixed(points, 1)}{sign}"

    def points(self, share: float) -> str:
        """Return a share of 1 as whole percent.

        Examples
        --------
        >>> [Words("en").points(x) for x in (0.124, 0.999, 1)]
        ['12%', '>99%', '100%']
        """
        text, sign = f"{100 * share:.0f}", self.separators[2]
        return f">99{sign}" if text == "100" and share < 1 else f"{text}{sign}"

    def hundredths(self, value: float) -> str:
        """Return an index between 0 and 1 with two decimals."""
        return self._fixed(value, 2)

    def between(self, low: float, high: float, write: Callable[[float], str] | None = None) -> str:
        """Return an interval; one number if both ends are written alike, one end if it is open.

        Examples
        --------
        >>> en = Words("en")
        >>> en.between(1, 2), en.between(3, 3), en.between(7, math.inf), en.between(-math.inf, 7)
        ('1–2', '3', '≥7', '≤7')
        """
        write = write or self.number
        if math.isinf(high) and high > 0:
            return f"≥{write(low)}" if math.isfinite(low) else self.say("unknown")
        if math.isinf(low):
            return f"≤{write(high)}"
        first, last = write(low), write(high)
        return first if first == last else f"{first.removesuffix(self.separators[2])}–{last}"

    def spelt(self, cell: Cell, write: Callable[[float], str] | None = None) -> str:
        """Return a figure with its interval in brackets, if it has one.

        Examples
        --------
        >>> Words("en").spelt(Cell(120, 118, 122)), Words("en").spelt(Cell(3, 3, 3))
        ('120 (118–122)', '3')
        """
        write = write or self.number
        spread = self.between(cell.low, cell.high, write)
        return spread if spread == write(cell.value) else f"{write(cell.value)} ({spread})"

    def placed(self, cell: Cell, write: Callable[[float], str] | None = None) -> str:
        """Return a percentile as `spelt` does; its interval alone if over half as wide as it.

        Its place within so wide a bin is a guess.

        Examples
        --------
        >>> Words("en").placed(Cell(6.22, 6, 24)), Words("en").placed(Cell(6.41, 6, 8))
        ('6–24', '6.41 (6–8)')
        """
        bounded = math.isfinite(cell.low) or math.isfinite(cell.high)
        wide = bounded and cell.high - cell.low > abs(cell.value) / 2
        return self.between(cell.low, cell.high, write) if wide else self.spelt(cell, write)

    def rule(self, cell: Cell, threshold: int) -> str:
        """Return why a figure is not exact, or not told; "" if it is exact.

        Examples
        --------
        >>> Words("en").rule(Cell(math.nan, 1, 9, "suppressed"), 10)
        'suppressed, not zero: fewer than 10 patients, or hidden to protect such a number'
        """
        if cell.how == "exact":
            return ""
        if cell.how == "suppressed":
            return self.say("legend_suppressed", fewer=self.count("fewer_patients", threshold))
        return self.say({"not_applicable": "not_told"}.get(cell.how, f"how_{cell.how}"))

    def date(self, day: dt.date) -> str:
        """Return a day as it is written.

        Examples
        --------
        >>> day = dt.date(2026, 11, 2)
        >>> Words("ru").date(day), Words("zh").date(day)
        ('02.11.2026', '2026/11/2')
        """
        from babel.dates import format_date

        # Short English dates put the month first in some countries, and last in others.
        pattern = "d MMM y" if self.code == "en" else "short"
        return format_date(day, pattern, locale=self._locale).replace(" ", "\xa0")

    def _fixed(self, value: float, places: int) -> str:
        decimal, group, _ = self.separators
        whole, _, rest = f"{value:,.{places}f}".partition(".")
        return whole.replace(",", group) + (decimal + rest if rest else "")


class _Nothing(gettext.NullTranslations):
    """What a catalogue falls back to: words that are asked for must be there."""

    def gettext(self, message: str) -> str:
        raise KeyError(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:  # noqa: ARG002  # as gettext has it
        raise KeyError(msgid1)


@lru_cache
def _read_catalogue(code: str) -> gettext.NullTranslations:
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    path = files("workbench").joinpath(f"resources/locale/{code}/LC_MESSAGES/workbench.po")
    compiled = BytesIO()
    write_mo(compiled, read_po(BytesIO(path.read_bytes()), locale=code))
    compiled.seek(0)
    catalogue = gettext.GNUTranslations(compiled)
    catalogue.add_fallback(_Nothing())
    return catalogue


@lru_cache
def speak(language: str | Words, counted: str = "") -> Words:
    """Return the words of a language, read once; words themselves are returned as they are."""
    return language if isinstance(language, Words) else Words(language, counted)


def say(key: str, language: str = "en", **values: object) -> str:
    """Return the words for a key in a language; see `Words.say`.

    Examples
    --------
    >>> say("version", version="1.0")
    'version 1.0'
    """
    return speak(language).say(key, **values)


def lowered(words: str) -> str:
    """Return words with a small letter at their beginning, unless an abbreviation stands there.

    Examples
    --------
    >>> [lowered(text) for text in ("Body part", "CT", "X-ray angiography", "Мужчины", "男")]
    ['body part', 'CT', 'X-ray angiography', 'мужчины', '男']
    """
    return words[:1].lower() + words[1:] if words[1:2].islower() else words


def capital(words: str) -> str:
    """Return words with a capital at their beginning."""
    return words[:1].upper() + words[1:]
