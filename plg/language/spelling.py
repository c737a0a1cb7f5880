"""How a value is written: as JSON, as plain text, or as Python's pickle."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from plg.queues.recipe import Slot

Text = Callable[[int, float, str], str]
"""What a template writes for job ``seq``, at ``now`` (s since the epoch), in a phase."""
Piece = str | Slot | Text


class Spelling(Protocol):
    """The words around and between values. ``quotes`` stand around a string, ``number`` around a number that is a slot
    by itself."""

    quotes: tuple[str, str]
    number: tuple[str, str]

    def whole(self, value: Any) -> str:
        """A value by itself."""

    def inside(self, value: Any) -> str:
        """A value as a part of a string."""

    def mapping(self, items: Iterable[tuple[str, list[Piece]]]) -> list[Piece]:
        """A mapping of keys to values that are written already."""

    def sequence(self, items: Iterable[list[Piece]]) -> list[Piece]:
        """A list of values that are written already."""


def plain(value: Any) -> str:
    """A string as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class JsonSpelling:
    """JSON without blanks between its tokens, other than in constants with none to save."""

    quotes = ('"', '"')
    number = ("", "")

    def whole(self, value: Any) -> str:
        return str(value) if type(value) is int else json.dumps(value, ensure_ascii=False)

    def inside(self, value: Any) -> str:
        return str(value) if type(value) is int else json.dumps(plain(value), ensure_ascii=False)[1:-1]

    def mapping(self, items: Iterable[tuple[str, list[Piece]]]) -> list[Piece]:
        pieces: list[Piece] = ["{"]
        for index, (key, value) in enumerate(items):
            pieces += [("," if index else "") + json.dumps(key, ensure_ascii=False) + ":", *value]
        return [*pieces, "}"]

    def sequence(self, items: Iterable[list[Piece]]) -> list[Piece]:
        pieces: list[Piece] = ["["]
        for index, value in enumerate(items):
            pieces += ["," if index else "", *value]
        return [*pieces, "]"]


class TextSpelling(JsonSpelling):
    """A string as it is, anything else as JSON. For a string alone; what holds strings is JSON."""

    quotes = ("", "")

    def whole(self, value: Any) -> str:
        return plain(value)

    def inside(self, value: Any) -> str:
        return plain(value)


class JsonTextSpelling(JsonSpelling):
    """JSON as a part of a JSON string: what stands between the quotes of a string that holds it."""

    quotes = ('\\"', '\\"')

    def whole(self, value: Any) -> str:
        return _quoted(super().whole(value))

    def inside(self, value: Any) -> str:
        return _quoted(super().inside(value))

    def mapping(self, items: Iterable[tuple[str, list[Piece]]]) -> list[Piece]:
        found: list[Piece] = ["{"]
        for index, (key, value) in enumerate(items):
            found += [("," if index else "") + self.whole(key) + ":", *value]
        return [*found, "}"]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


class PickleSpelling:
    """Python's pickle protocol 0, which is lines of text and can be made without running anything.

    Opcodes after the table in CPython's ``pickle.py``: ``(d`` and ``(l`` begin a dict and a list, ``s`` and ``a`` add
    to them, ``V`` is a string, ``I`` an integer (and a boolean), ``L`` a long one, ``F`` a float, ``N`` is None. All
    text is ASCII: other characters, and those that would end a line, are written as ``\\uXXXX``.
    """

    quotes = ("V", "\n")
    number = ("I", "\n")

    def whole(self, value: Any) -> str:
        match value:
            case None:
                return "N"
            case bool():
                return "I01\n" if value else "I00\n"
            case int():
                return f"I{value}\n" if abs(value) < 2**31 else f"L{value}L\n"
            case float():
                return f"F{value!r}\n"
            case str():
                return f"V{self.inside(value)}\n"
            case dict():
                return "".join(map(str, self.mapping((key, [self.whole(child)]) for key, child in value.items())))
            case _:
                return "".join(map(str, self.sequence([self.whole(child)] for child in value)))

    def inside(self, value: Any) -> str:
        return "".join(map(_escaped, plain(value)))

    def mapping(self, items: Iterable[tuple[str, list[Piece]]]) -> list[Piece]:
        pieces: list[Piece] = ["(d"]
        for key, value in items:
            pieces += [self.whole(key), *value, "s"]
        return pieces

    def sequence(self, items: Iterable[list[Piece]]) -> list[Piece]:
        pieces: list[Piece] = ["(l"]
        for value in items:
            pieces += [*value, "a"]
        return pieces


def _escaped(character: str) -> str:
    code = ord(character)
    if 32 <= code < 127 and character != "\\":
        return character
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


JSON, TEXT, JSON_TEXT, PICKLE = JsonSpelling(), TextSpelling(), JsonTextSpelling(), PickleSpelling()
