"""How wide text stands on a terminal: letters of East Asia and pictures take two columns, marks over others none."""

from __future__ import annotations

import unicodedata


def columns(text: str) -> int:
    """The columns that ``text`` takes; it holds no colours and no control characters."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def cut(text: str, width: int) -> str:
    """As much of the beginning of ``text`` as fits into ``width`` columns."""
    if columns(text) <= width:
        return text
    end = taken = 0
    while end < len(text) and (taken := taken + _columns(text[end])) <= width:
        end += 1
    return text[:end]


def pad(text: str, width: int) -> str:
    """``text`` and as many spaces as it takes to fill ``width`` columns."""
    return text + " " * (width - columns(text))


def _columns(letter: str) -> int:
    # Vowels and finals of Hangul written in pieces stand within the syllable that their first letter began.
    if (
        "\u1160" <= letter <= "\u11ff"
        or unicodedata.combining(letter)
        or unicodedata.category(letter) in ("Mn", "Me", "Cf")
    ):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
