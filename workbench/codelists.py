"""Codelist: the closed set of codes a raw value may become, with labels in three languages."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workbench.errors import DefinitionError, show, suggest

ALL, OTHER, MISSING = "all", "other", "missing"
LANGUAGES = ("en", "ru", "zh")
MAX_BYTES = 5_000_000
"""Largest codelist that is read."""
MAX_CODES = 20_000
LABELS_OF_ALL = {"en": "All", "ru": "Все", "zh": "全部"}
_REQUIRED = ("code", "system", "label_en", "label_ru", "label_zh")
_OPTIONAL = ("version", "matches")
# A code travels in CSV files: no separator, no quote, nothing a spreadsheet takes for a formula.
_CODE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_. /+()&-]{0,62}[A-Za-z0-9_.+()])?", re.ASCII)


def fold(value: str) -> str:
    """Return a raw value as it is compared: compatible characters, no case, single blanks.

    Examples
    --------
    >>> fold("  GE  Medical Systems ")
    'ge medical systems'
    """
    return " ".join(unicodedata.normalize("NFKC", value.replace("\0", " ")).casefold().split())


@dataclass(frozen=True)
class Codelist:
    """Name a closed set of codes and what raw values they stand for.

    Parameters
    ----------
    name
        Name of the codelist; the file name without its ending.
    system
        The coding system of the codes, e.g. "DCM" or "SCT".
    version
        Version of the coding system, or "".
    codes
        Codes in order, `other` and `missing` among them.
    labels
        For each language the label of each code, in order; "" where there is none.
    matches
        Raw value, as `fold` returns it, to code. Each code stands for itself as well.

    Raises
    ------
    DefinitionError
        When a code is malformed or double, or two codes claim the same raw value.

    Examples
    --------
    >>> sex = Codelist("sex", "DCM", "", ("F", "M", "other", "missing"), {}, {"w": "F"})
    >>> sex.encode(["f", " W", "x", None]).tolist()
    [0, 0, 2, 3]
    """

    name: str
    system: str
    version: str
    codes: tuple[str, ...]
    labels: Mapping[str, tuple[str, ...]]
    matches: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse codes that cannot travel."""
        where = f"codelist {self.name}"
        for code in self.codes:
            if not _CODE.fullmatch(code) or code == ALL:
                raise DefinitionError(
                    f"{show(code)!r} cannot be a code",
                    where=where,
                    todo="Use at most 64 letters, digits, blanks and _./+()&-; 'all' is the margin",
                )
        if len(self._own) != len(self.codes):
            folded = [fold(code) for code in self.codes]
            double = next(c for i, c in enumerate(self.codes) if self._own[folded[i]] != i)
            raise DefinitionError(
                f"The code {double!r} stands twice", where=where, todo="Remove one"
            )
        for needed in (OTHER, MISSING):
            if needed not in self._places:
                raise DefinitionError(
                    f"The code {needed!r} is missing",
                    where=where,
                    todo=f"Add a row {needed!r} with its labels",
                )
        for raw, code in self.matches.items():
            if code not in self._places or self._positions[raw] != self._places[code]:
                raise DefinitionError(
                    f"The raw value {show(raw)!r} cannot match {show(code)!r}",
                    where=where,
                    todo="Let each raw value match one code, and no other code's name",
                )

    @cached_property
    def _places(self) -> dict[str, int]:
        return {code: i for i, code in enumerate(self.codes)}

    @cached_property
    def _own(self) -> dict[str, int]:
        return {fold(code): i for i, code in enumerate(self.codes)}

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {raw: self._places.get(code, -1) for raw, code in self.matches.items()} | self._own

    @cached_property
    def digest(self) -> str:
        """Sha256 of all the codelist holds."""
        content = [
            self.name,
            self.system,
            self.version,
            self.codes,
            dict(self.labels),
            dict(self.matches),
        ]
        text = json.dumps(content, ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def label(self, code: str, language: str = "en") -> str:
        """Return the label of a code; the English one, then the code, where there is none."""
        if code == ALL:
            return LABELS_OF_ALL.get(language, LABELS_OF_ALL["en"])
        if code not in self._places:
            raise DefinitionError(
                f"Unknown code {show(code)!r}",
                where=f"codelist {self.name}",
                todo=suggest(code, self.codes),
            )
        place = self._places[code]
        found = [self.labels[lang][place] for lang in (language, "en") if lang in self.labels]
        return next((text for text in found if text), code)

    def missing_labels(self, languages: tuple[str, ...] = LANGUAGES) -> list[tuple[str, str]]:
        """Return (code, language) of every label that is not there."""
        return [
            (code, language)
            for language in languages
            for i, code in enumerate(self.codes)
            if language not in self.labels or not self.labels[language][i]
        ]

    def position(self, value: object) -> int:
        """Return the position of the code that one raw value becomes."""
        if not isinstance(value, str):
            if is_missing(value):
                return self._places[MISSING]
            value = str(value)
        folded = fold(value[:1000])
        if not folded:
            return self._places[MISSING]
        return self._positions.get(folded, self._places[OTHER])

    def encode(self, values: Iterable[object]) -> npt.NDArray[np.int32]:
        """Return for each raw value the position of its code.

        Parameters
        ----------
        values
            Strings or nulls: a sequence, numpy array, pandas or polars Series of n values.

        Returns
        -------
        numpy.ndarray
            (n,) int32 positions in `codes`; unknown values become `other`, null and "" `missing`.
        """
        return encode_unique(values, self.position)


def is_missing(value: object) -> bool:
    """Return whether a single value is a null of Python, numpy, pandas or polars."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    return type(value).__name__ in ("NAType", "NaTType")


def encode_unique(
    values: Iterable[object], position: Callable[[object], int]
) -> npt.NDArray[np.int32]:
    """Return `position` of each value, calling it once for each distinct string.

    Parameters
    ----------
    values
        n values: a sequence, numpy array, pandas or polars Series.
    position
        Function of one value; it must not depend on other values.

    Returns
    -------
    numpy.ndarray
        (n,) int32.
    """
    items = values.tolist() if isinstance(values, np.ndarray) else None
    if items is None:
        # `to_list` of polars and pandas gives Python values and keeps nulls.
        listed = getattr(values, "to_list", None)
        items = listed() if callable(listed) else list(values)
    # Equal numbers of different types share a hash: only strings go through the table.
    known = {v: position(v) for v in {v for v in items if type(v) is str}}
    found = (known[v] if type(v) is str else position(v) for v in items)
    return np.fromiter(found, dtype=np.int32, count=len(items))


def read_codelist(path: Path | str) -> Codelist:
    """Read a codelist from a CSV file.

    Parameters
    ----------
    path
        UTF-8 CSV with the columns code, system, label_en, label_ru, label_zh and optionally
        version and matches (raw values with `|` between them).

    Returns
    -------
    Codelist

    Raises
    ------
    DefinitionError
        When the file cannot be read, has unknown, double or missing columns or codes, or two
        codes claim one raw value.
    """
    path = Path(path)
    where = show(path.name, 200)
    rows = _rows(path, where)
    header = rows[0]
    _check_header(header, where)
    labels: dict[str, list[str]] = {language: [] for language in LANGUAGES}
    codes: list[str] = []
    owners: dict[str, str] = {}
    systems: dict[str, tuple[str, str]] = {}
    for number, row in enumerate(rows[1:], start=2):
        here = f"{where}, line {number}"
        if len(row) != len(header):
            raise DefinitionError(
                f"The row has {len(row)} cells, the header {len(header)}",
                where=here,
                todo="Give each row one cell a column; quote cells with commas",
            )
        cells = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
        _check_cells(cells, here)
        code = cells["code"]
        codes.append(code)
        for language in LANGUAGES:
            labels[language].append(cells[f"label_{language}"])
        if code not in (OTHER, MISSING):
            systems[code] = (cells["system"], cells.get("version", ""))
        for raw in filter(None, map(fold, cells.get("matches", "").split("|"))):
            if owners.setdefault(raw, code) != code:
                raise DefinitionError(
                    f"The raw value {show(raw)!r} matches both {owners[raw]!r} and {code!r}",
                    where=here,
                    todo="Leave it in one row",
                )
    if len(set(systems.values())) > 1:
        first, other = sorted(set(systems.values()))[:2]
        raise DefinitionError(
            f"The codes are of two systems: {show(' '.join(first))}, {show(' '.join(other))}",
            where=where,
            todo="Make one codelist for each system and version",
        )
    system, version = next(iter(systems.values()), ("", ""))
    fixed = {language: tuple(texts) for language, texts in labels.items()}
    return Codelist(path.stem, system, version, tuple(codes), fixed, owners)


def _rows(path: Path, where: str) -> list[list[str]]:
    try:
        if not path.is_file():
            raise DefinitionError("There is no such codelist", where=where, todo="Check the path")
        if path.stat().st_size > MAX_BYTES:
            raise DefinitionError(
                f"The codelist is larger than {MAX_BYTES:,} bytes", where=where, todo="Split it"
            )
        text = path.read_text(encoding="utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as exc:
        raise DefinitionError(
            f"The codelist cannot be read: {show(str(exc), 120)}",
            where=where,
            todo="Save it as UTF-8 CSV with commas",
        ) from None
    rows = [row for row in rows if row]
    if len(rows) < 2 or len(rows) > MAX_CODES:
        raise DefinitionError(
            f"The codelist has {max(len(rows) - 1, 0):,} codes",
            where=where,
            todo=f"Write a header and 1 to {MAX_CODES:,} codes",
        )
    return rows


def _check_header(header: list[str], where: str) -> None:
    allowed = (*_REQUIRED, *_OPTIONAL)
    for name in header:
        if name not in allowed:
            raise DefinitionError(
                f"Unknown column {show(name)!r}", where=where, todo=suggest(name, allowed)
            )
    if len(set(header)) != len(header):
        raise DefinitionError("A column stands twice", where=where, todo="Remove one")
    for name in _REQUIRED:
        if name not in header:
            raise DefinitionError(
                f"The column {name!r} is missing",
                where=where,
                todo=f"Needed: {', '.join(_REQUIRED)}",
            )


def _check_cells(cells: dict[str, str], here: str) -> None:
    for name, cell in cells.items():
        limit = 100_000 if name == "matches" else 200
        if len(cell) > limit:
            raise DefinitionError(
                f"{name!r} has {len(cell):,} characters",
                where=here,
                todo=f"Write at most {limit:,}",
            )
        if name != "matches" and not cell.isprintable():
            raise DefinitionError(
                f"{name!r} holds a control character: {show(cell)!r}", where=here, todo="Remove it"
            )
    if cells["code"] not in (OTHER, MISSING) and not cells["system"]:
        raise DefinitionError(
            f"The code {show(cells['code'])!r} has no system",
            where=here,
            todo="Name the coding system, or 'local'",
        )
