"""Words of the DSL and how they are quoted."""

from __future__ import annotations

import json
import re
import sys
from decimal import Decimal

_IN_HOLE = r'\{(?:[^{}"\\\n]++|"[^"\\\n]*+")*+\}'
HOLE = rf"\${_IN_HOLE}"
STRING = rf'"(?:[^"\\\n$]++|\\.|{HOLE}|\$(?!{_IN_HOLE}))*+"'
"""A string of the DSL, as the grammar has it: inside ``${…}`` it may hold quotes of its own.

Every loop is possessive: a string that is never closed is given up at its end, with no way back to each character.
"""
NAME = re.compile(r"[^\W\d]\w*(?:-\w+)*")
BARE_PATH = re.compile(r"[^\W\d]\w*(?:-\w+)*(?:\.\w+(?:-\w+)*)*")
"""A place in a payload that needs no quotes."""
QUANTITY = re.compile(
    r"-?[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+(?![A-Za-zµ0-9]))?"
    r"(?:/[A-Za-zµ]+|%|[A-Za-zµ]+(?:[0-9][0-9_]*(?:\.[0-9]+)?[A-Za-zµ]+)*)?"
)
PLAIN_NUMBER = re.compile(r"-?[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\", "/": "/"}
MAX_DIGITS = 400
"""Numbers of more digits are refused: none is meant, and converting them is slow."""


HUGE = int(sys.float_info.max)
"""No number in a document is larger."""


class BadEscape(ValueError):
    """A backslash in a string followed by something it does not go with. ``offset`` counts from the opening quote."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


def unquote(text: str) -> str:
    """The string that a quoted ``text`` stands for, with JSON's escapes."""
    if "\\" not in text:
        return text[1:-1]

    def replace(match: re.Match[str]) -> str:
        escape = match[1]
        if len(escape) == 5:
            return chr(int(escape[1:], 16))
        if escape not in _ESCAPES:
            raise BadEscape(f"`\\{escape}` is no escape", match.start())
        return _ESCAPES[escape]

    value = _ESCAPE.sub(replace, text[1:-1])
    # Escaped surrogate pairs become one character, as in JSON; a lone half cannot be written anywhere.
    try:
        return value.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise BadEscape("`\\u` names half a character", 0) from None


_QUOTED_HOLE = re.compile(r'(?<!\\)\$\{(?:[^{}"\\]|\\"[^"\\]*\\")*\}')


def quote(value: str) -> str:
    """``value`` as a string of the DSL; quotes inside a template stand bare."""
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return _QUOTED_HOLE.sub(lambda match: match[0].replace("\\", ""), text)


def name_or_string(value: str) -> str:
    """``value`` bare where it is a plain word, quoted elsewhere."""
    return value if NAME.fullmatch(value) else quote(value)


def number(text: str) -> int | float:
    """The number that ``text`` spells: int where it is written as one. ValueError where it is not finite."""
    plain = text.replace("_", "")
    if len(plain) > MAX_DIGITS:
        raise ValueError("too many digits")
    value = int(plain) if re.fullmatch(r"[-+]?[0-9]+", plain) else float(plain)
    if abs(value) > HUGE:
        raise ValueError("too large")
    return value


def compact(text: str) -> str:
    """A quantity without blanks inside: ``10 /s`` is ``10/s``."""
    return "".join(text.split())


def plain_number(value: int | float) -> str:
    """A number without an exponent: ``0.00001``. Exact: reading it gives the same number."""
    if isinstance(value, int):
        return str(value)
    if value == int(value) and abs(value) < 1e16:
        return str(int(value)) + ".0"
    return format(Decimal(repr(value)), "f")
