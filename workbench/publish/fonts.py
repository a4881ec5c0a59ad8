"""Fonts: the Chinese font that travels with the Workbench, and the characters it can draw.

A new machine has no Chinese font, and what it draws comes out as boxes. Shipped is a part of Noto
Sans CJK SC (SIL Open Font License 1.1): the 3,755 most frequent characters of GB 2312-1980, level
1, and those that the Workbench and its studies write.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from workbench.errors import UsageError, show

FONT = Path(__file__).parents[1] / "resources" / "fonts" / "NotoSansCJKsc-Regular-Subset.otf"
FAMILY = "Noto Sans CJK SC"
_FIRST_CJK = 0x2E80
_PUNCTUATION = "　、。·…—～「」『』《》〈〉（）［］【】！，．：；？％＋－＝／×÷≥≤°±"
_WRITTEN = ("*.po", "*.csv", "*.toml")
"""Files of a repository whose words a page shows."""


def missing_characters(text: str) -> str:
    """Return the Chinese characters of a text that the shipped font cannot draw, sorted.

    Examples
    --------
    >>> missing_characters("CT 检查 𠮷"), missing_characters("число снимков")
    ('𠮷', '')
    """
    asked = {c for c in text if ord(c) >= _FIRST_CJK}
    return "".join(sorted(asked - _drawn())) if asked else ""


@cache
def _drawn() -> frozenset[str]:
    from fontTools.ttLib import TTFont

    return frozenset(map(chr, TTFont(FONT, lazy=True).getBestCmap()))


def frequent_characters() -> str:
    """Return the characters of GB 2312-1980, level 1, rows 16 to 55 by pronunciation.

    Examples
    --------
    >>> len(frequent_characters()), frequent_characters()[:3]
    (3755, '啊阿埃')
    """
    rows, cells = range(0xB0, 0xD8), range(0xA1, 0xFF)
    return "".join(bytes([row, cell]).decode("gb2312", "ignore") for row in rows for cell in cells)


def written_characters(folders: Iterable[Path]) -> str:
    """Return the Chinese characters of the catalogues, codelists and declarations in folders."""
    files = (path for folder in folders for name in _WRITTEN for path in folder.rglob(name))
    text = "".join(path.read_text(encoding="utf-8") for path in sorted(files))
    return "".join(sorted({c for c in text if ord(c) >= _FIRST_CJK}))


def write_font(source: Path, characters: str, target: Path = FONT) -> Path:
    """Write the part of a font that draws some characters.

    Parameters
    ----------
    source
        A collection that holds Noto Sans CJK SC, as `fonts-noto-cjk` of Debian installs it.
    characters
        What the part must draw.
    target
        Where it is written.

    Raises
    ------
    UsageError
        If the collection does not hold the font.
    """
    from fontTools import subset
    from fontTools.ttLib import TTCollection, TTLibError

    try:
        with TTCollection(str(source)) as held:
            families = [font["name"].getDebugName(1) for font in held.fonts]
        number = families.index(FAMILY)
    except (OSError, TTLibError, ValueError):
        raise UsageError(
            f"There is no {FAMILY} here",
            where=show(str(source), 200),
            todo="Install fonts-noto-cjk, and name NotoSansCJK-Regular.ttc",
        ) from None
    options = subset.Options(
        font_number=number,
        hinting=False,
        layout_features=[],
        name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14],
        notdef_outline=True,
        recalc_timestamp=False,
    )
    font = subset.load_font(str(source), options)
    part = subset.Subsetter(options)
    part.populate(text=characters + _PUNCTUATION)
    part.subset(font)
    target.parent.mkdir(exist_ok=True)
    subset.save_font(font, str(target), options)
    return target


if __name__ == "__main__":
    collection, *written = map(Path, sys.argv[1:])
    write_font(collection, frequent_characters() + written_characters(written))
