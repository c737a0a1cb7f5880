"""JSON to the plain document, with the place of every node. Iterative, strict, and worded for people.

After a syntax error reading goes on as near behind it as it can, so that one look tells of all of them.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

from plg.dataclass import dataclass
from plg.diagnostics import Diagnostic, Path
from plg.language.source import MAX_DEPTH, MAX_SYNTAX_ERRORS, MORE_ERRORS, Range, Spans
from plg.language.strings import number
from plg.units import plain_digits

_TOKEN = re.compile(
    r'[ \t\r\n]*(?:(?P<text>"(?:[^"\\\x00-\x1f]++|\\.)*+")'
    r"|(?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?(?![\w.%/]))"
    r"|(?P<word>[A-Za-z_]\w*+)|(?P<mark>[\[\]{}:,])"
    r"|(?P<figure>[-+.]?\d[\w.%/]*+)|(?P<single>'[^'\n]*+')|(?P<comment>(?://|\#)[^\n]*+)|(?P<other>\S))"
)
_AFTER_STRING = re.compile(r'\n(?=[ \t]*(?:"[^"\n]*"[ \t]*[:,\]}\n]|[\]}]))')
"""Where a string that is never closed ends at the latest: before a line that begins with a whole one, or with a sign
that closes something."""
_WORDS = {"true": True, "false": False, "null": None}
_KEYS, _NO_COMMA = 'keys are written in "double quotes"', "no comma stands before `}`"
_QUOTES = 'strings are written in "double quotes"'
_LOST = object()
"""A value that could not be read."""


class Read(NamedTuple):
    """The document in a text (None where nothing could be read), the faults, and the fields that are not whole."""

    document: Any
    faults: list[Diagnostic]
    lost: frozenset[str] = frozenset()


def read_json(text: str, file: str, spans: Spans, what: str = "scenario") -> Read:
    """The document in ``text``, as far as it can be read, which should hold a scenario or ``what`` else; ``spans`` is
    filled."""
    reader = _Reader(text, file, spans)
    if not text.strip():
        return Read(None, [reader.fault("empty-file", f"there is no {what} in this file", (0, 0))])
    try:
        document = reader.read()
    except _End:
        document = reader.outermost()
    return Read(document, reader.faults, frozenset(reader.lost))


class _End(Exception):
    """Nothing more is read."""


@dataclass(slots=True)
class _Open:
    """A container that is being filled."""

    container: Any
    path: Path
    start: int

    @property
    def closing(self) -> str:
        return "]" if isinstance(self.container, list) else "}"


class _Reader:
    """A loop over tokens with a stack of open containers: nesting costs no recursion."""

    def __init__(self, text: str, file: str, spans: Spans) -> None:
        self.text, self.file, self.spans = text, file, spans
        self.faults: list[Diagnostic] = []
        self.lost: set[str] = set()
        self.stack: list[_Open] = []
        self.position = 0
        self.errors = 0
        self.broken_at = -1
        self.result: Any = None

    def fault(self, code: str, message: str, where: Range, help: str = "") -> Diagnostic:
        return Diagnostic(code, message, self.file, self.spans.lines.span(where), help)

    def wrong(self, message: str, where: Range, help: str = "", code: str = "syntax") -> None:
        """Tell of a syntax error. Raises `_End` where it is one too many."""
        if self.errors >= MAX_SYNTAX_ERRORS:
            self.faults[-1] = replace(self.faults[-1], message=self.faults[-1].message + MORE_ERRORS)
            raise _End
        self.errors += 1
        self.faults.append(self.fault(code, message, where, help))

    def lose(self, path: Path) -> None:
        """What stands at ``path`` is not whole."""
        self.lost.add(str(path[0]) if path else "scenario")

    def outermost(self) -> Any:
        """What was read of the document that has not ended."""
        self.lost.add("scenario")
        for opened in self.stack:
            self.spans.places[opened.path] = (opened.start, len(self.text.rstrip()))
        for outer, inner in reversed(list(pairwise(self.stack))):
            if isinstance(outer.container, list):
                outer.container.append(inner.container)
            else:
                outer.container.setdefault(inner.path[-1], inner.container)
        return self.stack[0].container if self.stack else self.result

    # Tokens --------------------

    def token(self) -> tuple[str, str, Range]:
        """The next token: its kind, its text, its place. Kind ``end`` at the end."""
        while True:
            match = _TOKEN.match(self.text, self.position)
            if match is None:
                end = len(self.text.rstrip())
                return "end", "", (end, end)
            self.position = match.end()
            kind = match.lastgroup or "other"
            where = match.span(kind)
            if kind == "comment":
                self.wrong("JSON has no comments", where, "leave it out, or write the scenario in YAML")
                continue
            if kind == "other" and match[kind] == '"':
                help = "close it on the same line; \\n stands for a new line"
                self.wrong("this string is never closed", where, help, "unterminated-string")
                after = _AFTER_STRING.search(self.text, self.position)
                self.position = self.broken_at = after.start() if after else len(self.text)
                return "broken", "", where
            return kind, match[kind], where

    def back_to(self, where: Range) -> None:
        """Read the token at ``where`` again."""
        self.position = where[0]

    @staticmethod
    def instead(kind: str, found: str) -> str:
        return ", but the text ends here" if kind == "end" else f", not `{found[:30]}`"

    # Containers --------------------

    def read(self) -> Any:
        path: Path = ()
        while True:
            kind, found, where = self.token()
            if kind == "mark" and found in "[{":
                if len(self.stack) >= MAX_DEPTH:
                    self.faults.append(self.fault("too-deep", f"values nest more than {MAX_DEPTH} deep", where))
                    raise _End
                self.stack.append(_Open([] if found == "[" else {}, path, where[0]))
                following = self.entered(self.stack[-1])
                if following is not None:
                    path = following
                    continue
                value, path, where = self.closed()
            else:
                value = self.scalar(kind, found, where, path)
            following = self.stored(value, path, where)
            if following is None:
                return self.result
            path = following

    def entered(self, opened: _Open) -> Path | None:
        """The path of the first value of a container, or None where it is empty."""
        before = self.position
        kind, found, _ = self.token()
        if kind == "mark" and found == opened.closing:
            return None
        self.position = before
        return self.next_path(opened)

    def next_path(self, opened: _Open) -> Path | None:
        """Where the next value of a container goes; of an object its key is read. None where it ends instead."""
        if isinstance(opened.container, list):
            return (*opened.path, len(opened.container))
        while True:
            kind, found, where = self.token()
            if kind in ("text", "word", "single"):
                key = self.key(opened, kind, found, where)
                if key is not None:
                    return key
            elif kind == "broken":
                self.lose(opened.path)
                continue
            else:
                help = _NO_COMMA if found == "}" else "" if kind == "end" else _KEYS
                self.wrong(f"expected a key{self.instead(kind, found)}", where, help)
                if found != "}":
                    self.lose(opened.path)
                if kind == "mark":
                    self.back_to(where)
            if not self.passed_over():
                return None

    def key(self, opened: _Open, kind: str, found: str, where: Range) -> Path | None:
        """The path of the value behind a key; None where there is none."""
        if kind != "text":
            self.wrong(f"expected a key{self.instead(kind, found)}", where, _KEYS)
        key = found.strip("'") if kind != "text" else self.string(found, where)
        if key is _LOST:
            self.lose(opened.path)
            key = found
        elif key in opened.container:
            self.faults.append(self.fault("duplicate-key", f"`{key}` is given twice", where))
        path = (*opened.path, key)
        kind, found, place = self.token()
        if kind != "mark" or found != ":":
            if kind != "broken":
                self.wrong(f"expected `:` after the key{self.instead(kind, found)}", place)
                self.back_to(place)
            if kind in ("end", "broken") or found in (",", "]", "}"):
                self.lose(path)
                return None
        self.spans.key_places[path] = where
        return path

    def passed_over(self) -> bool:
        """Pass over what cannot be read up to the next comma of the container; False where it ends first."""
        depth = 0
        while True:
            kind, found, where = self.token()
            if kind == "end":
                raise _End
            if kind != "mark":
                continue
            if depth == 0 and found in "]}":
                self.ended(found, where)
                return False
            if depth == 0 and found == ",":
                return True
            depth += (found in "[{") - (found in "]}")

    def ended(self, found: str, where: Range) -> None:
        """End the innermost container by a sign that closes something, and one around it where the sign is for that."""
        if found != self.stack[-1].closing and any(opened.closing == found for opened in self.stack[:-1]):
            self.back_to(where)

    def closed(self) -> tuple[Any, Path, Range]:
        """Take the innermost container, which ends here, off the stack: the container, its path, its place."""
        opened = self.stack.pop()
        return opened.container, opened.path, (opened.start, self.position)

    def stored(self, value: Any, path: Path, where: Range) -> Path | None:
        """Store a finished value and go on; None when the whole text is read."""
        while True:
            self.spans.places[path] = where
            if not self.stack:
                self.result = None if value is _LOST else value
                kind, _, place = self.token()
                if kind != "end":
                    self.wrong("expected the end of the file", place)
                return None
            opened = self.stack[-1]
            if value is _LOST:
                self.lose(path)
            elif isinstance(opened.container, list):
                opened.container.append(value)
            else:
                opened.container.setdefault(path[-1], value)
            following = self.next_path(opened) if self.followed(opened) else None
            if following is not None:
                return following
            value, path, where = self.closed()

    def followed(self, opened: _Open) -> bool:
        """Whether another value follows in a container; what stands between two is read."""
        after_broken = self.position == self.broken_at
        kind, found, place = self.token()
        if kind == "mark" and found in (",", opened.closing):
            return found == ","
        if after_broken and kind == "text":
            self.back_to(place)  # its comma was taken for a part of the string
            return True
        if kind == "broken":
            return True
        self.wrong(f"expected `,` or `{opened.closing}`{self.instead(kind, found)}", place)
        if kind == "end":
            raise _End
        if kind == "mark" and found in "]}":
            self.ended(found, place)
            return False
        in_list = isinstance(opened.container, list)
        if kind == "text" or (in_list and kind != "other" and found != ":"):
            self.back_to(place)  # only the comma is missing
            return True
        self.lose(opened.path)
        if kind == "mark":
            self.back_to(place)
        return self.passed_over()

    # Values --------------------

    def scalar(self, kind: str, found: str, where: Range, path: Path) -> Any:
        """The value that a token spells, or `_LOST`."""
        if kind == "text":
            return self.string(found, where)
        if kind == "number":
            return self.number(found, where)
        if kind == "word" and found in _WORDS:
            return _WORDS[found]
        if kind == "word" and found in ("NaN", "Infinity"):
            self.wrong(f"JSON knows no {found}", where)
        elif kind in ("word", "single"):
            help = f"write {found.lower()}" if found.lower() in _WORDS else _QUOTES
            self.wrong(f"`{found[:30]}` is not a JSON value", where, help)
        elif kind == "figure":
            self.wrong(f"`{found[:30]}` is not a JSON number", where, self.figure_help(found))
        elif kind != "broken":
            help = "no comma stands before `]`" if found == "]" and path and path[-1] else ""
            self.wrong(f"expected a value{self.instead(kind, found)}", where, help)
            if kind == "end":
                raise _End
            if found in (",", "]", "}"):
                self.back_to(where)
        return _LOST

    @staticmethod
    def figure_help(found: str) -> str:
        written = plain_digits(found)
        if re.search(r"[A-Za-zµ%/]", written) or "_" in written:
            return (
                f'a quantity with a unit is a string: write "{written}"' if "_" not in written else "leave the `_` out"
            )
        return f"write {written}" if written != found else ""

    def string(self, found: str, where: Range) -> Any:
        try:
            value: str = json.loads(found)
            value.encode("utf-8")
        except ValueError:
            self.wrong("this string has a backslash that is no escape", where, code="bad-escape")
            return _LOST
        return value

    def number(self, found: str, where: Range) -> int | float:
        try:
            return number(found)
        except ValueError:
            pass
        self.faults.append(self.fault("out-of-range", f"{found[:20]} is too large a number", where))
        return 1
