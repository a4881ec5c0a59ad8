"""Character sets: stored bytes to text that may stand in a table.

What a file declares is tried first. If it declares nothing, an unknown name, or a set in which
the bytes mean nothing, they are read as UTF-8; and if that fails as ISO 8859-1, in which every
byte is a character. No text holds control characters: white space becomes a space, and any other
becomes U+FFFD, the replacement character.
"""

from __future__ import annotations

import re
from functools import cache

_SINGLE = {
    "100": "latin_1",
    "101": "iso8859_2",
    "109": "iso8859_3",
    "110": "iso8859_4",
    "126": "iso8859_7",
    "127": "iso8859_6",
    "138": "iso8859_8",
    "144": "iso8859_5",
    "148": "iso8859_9",
    "166": "tis_620",
    "203": "iso8859_15",
    "13": "shift_jis",
}
_ENCODINGS = (
    {f"ISOIR{number}": encoding for number, encoding in _SINGLE.items()}
    | {f"ISO2022IR{number}": encoding for number, encoding in _SINGLE.items()}
    | {"ISOIR192": "utf_8", "UTF8": "utf_8", "GB18030": "gb18030"}
    | {"GBK": "gbk", "ISO2022GBK": "gbk", "ISO2022IR149": "euc_kr", "ISO2022IR58": "gb2312"}
    | {"ISO202258": "gb2312"}
)
"""Defined term without blanks, hyphens and underscores -> codec (DICOM PS3.3, C.12.1.1.2)."""
_ESCAPES = {
    b"(B": "ascii",
    b"(J": "shift_jis",
    b")I": "shift_jis",
    b"-A": "latin_1",
    b"-B": "iso8859_2",
    b"-C": "iso8859_3",
    b"-D": "iso8859_4",
    b"-F": "iso8859_7",
    b"-G": "iso8859_6",
    b"-H": "iso8859_8",
    b"-L": "iso8859_5",
    b"-M": "iso8859_9",
    b"-T": "tis_620",
    b"-b": "iso8859_15",
    b"$B": "iso2022_jp",
    b"$(D": "iso2022_jp_2",
    b"$)A": "gb2312",
    b"$)C": "euc_kr",
}
"""What follows ESC -> codec of the bytes behind it (DICOM PS3.3, tables C.12-3 and C.12-4)."""
_ESCAPE = re.compile(rb"\x1b(\$?[()\-]?[A-Za-z])")
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), "\ufffd") | dict.fromkeys(
    map(ord, "\t\n\v\f\r\x85"), " "
)


def decode_text(stored: bytes, declared: str = "") -> str:
    r"""Return stored bytes as text.

    Parameters
    ----------
    stored
        Value of a text element; several values are separated by a backslash.
    declared
        SpecificCharacterSet of the data set, its values separated by a backslash.

    Returns
    -------
    str
        Without control characters, and without blanks around a value.

    Examples
    --------
    >>> decode_text(b"\xbb\xee\xda", "ISO_IR 144")
    'Люк'
    >>> decode_text("Люк ".encode())
    'Люк'
    >>> decode_text(b"ORIGINAL\\PRIMARY \0")
    'ORIGINAL\\PRIMARY'
    """
    return clean(_decode(stored.strip(b" \0"), declared))


def clean(text: str) -> str:
    r"""Return text without control characters, and without blanks around each value.

    Examples
    --------
    >>> clean("A \\ B\x07")
    'A\\B\ufffd'
    """
    values = (value.strip(" \0").translate(_CONTROLS).strip(" ") for value in text.split("\\"))
    return "\\".join(values).encode("utf-8", "replace").decode()


def _decode(stored: bytes, declared: str) -> str:
    if stored.isascii() and b"\x1b" not in stored:
        return stored.decode("ascii")
    encoding = _encoding(declared.partition("\\")[0])
    attempts = [encoding, "utf_8"] if encoding else ["utf_8"]
    if b"\x1b" in stored:
        try:
            return _decode_escaped(stored, encoding or "ascii")
        except (UnicodeError, LookupError):
            pass
    for attempt in attempts:
        try:
            return stored.decode(attempt)
        except UnicodeError:
            continue
    return stored.decode("latin_1")


@cache
def _encoding(term: str) -> str:
    return _ENCODINGS.get(re.sub("[ _-]", "", term.upper()), "")


def _decode_escaped(stored: bytes, first: str) -> str:
    """Decode code extensions (DICOM PS3.5, 6.1.2.5): each ESC names the set of what follows."""
    pieces = _ESCAPE.split(stored)
    text = pieces[0].decode(first)
    for escape, part in zip(pieces[1::2], pieces[2::2], strict=True):
        encoding = _ESCAPES[escape]
        if encoding.startswith("iso2022"):
            text += (b"\x1b" + escape + part).decode(encoding)
            continue
        # A separator of values ends the extension; one of its bytes may look like one.
        value, separator, rest = part.partition(b"\\")
        text += value.decode(encoding) + (separator + rest).decode(first)
    return text
