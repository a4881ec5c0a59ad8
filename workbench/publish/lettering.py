"""Lettering: the room that words take in a figure, and how they are made to fit it."""

from __future__ import annotations

import re

_PARTS = re.compile(r"[\u2e80-\uffef][\u3001-\u3011\uff01-\uff1f]*|[^\s\u2e80-\uffef]+\s*|\s+")
"""What a line is not broken within: a CJK character with the marks behind it, or a word."""


def drawn_width(label: str) -> int:
    """Return the room a label of 12 px takes: CJK and Cyrillic are wider than Latin letters."""
    return sum(13 if ord(c) > 0x2E80 else 7 if ord(c) > 0x2FF else 6 for c in label)


def wrapped(text: str, room: float) -> list[str]:
    """Return words of 12 px in lines that take no more room, px; CJK breaks anywhere.

    Examples
    --------
    >>> wrapped("Computed radiography: share of exams, %", 150)
    ['Computed radiography:', 'share of exams, %']
    >>> wrapped("计算机X线摄影：占检查的比例", 100)
    ['计算机X线摄影：', '占检查的比例']
    """
    lines = [""]
    for part in _PARTS.findall(text):
        if lines[-1] and drawn_width((lines[-1] + part).rstrip()) > room:
            lines.append("")
        lines[-1] += part if lines[-1] else part.lstrip()
    return [line.rstrip() for line in lines]


def fit(label: str, room: float) -> str:
    """Return a label that takes no more room, px; its middle is left out, for names differ last.

    Examples
    --------
    >>> fit("Department of Diagnostic Radiology No. 12", 150)
    'Department of…gy No. 12'
    """
    kept = label
    size = len(label)
    while drawn_width(kept) > room and size > 4:
        size -= 1
        tail = size * 2 // 5
        kept = f"{label[: size - tail].rstrip()}…{label[len(label) - tail :].lstrip()}"
    return kept
