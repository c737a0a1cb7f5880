"""JSON to the plain document, with the place of every node. Iterative, strict, and worded for people."""

from __future__ import annotations

import json
import re
from typing import Any

from plg.diagnostics import Diagnostic, Path
from plg.language.source import MAX_DEPTH, Range, Spans
from plg.language.strings import number

_TOKEN = re.compile(
    r'[ \t\r\n]*(?:(?P<text>"(?:[^"\\\x00-\x1f]|\\.)*")'
    r"|(?P<number>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w.]))"
    r"|(?P<word>[A-Za-z_]\w*)|(?P<mark>[\[\]{}:,])|(?P<other>\S))"
)
_WORDS = {"true": True, "false": False, "null": None}


class _JsonFault(Exception):
    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def read_json(text: str, file: str, spans: Spans, what: str = "scenario") -> tuple[Any, list[Diagnostic]]:
    """The document in ``text`` (None where it cannot be read), which should hold a scenario or ``what`` else, and the
    faults found; ``spans`` is filled."""
    reader = _Reader(text, file, spans)
    if not text.strip():
        return None, [reader.fault("empty-file", f"there is no {what} in this file", (0, 0))]
    try:
        return reader.read(), reader.faults
    except _JsonFault as error:
        return None, [*reader.faults, error.diagnostic]


class _Reader:
    """A loop over tokens with a stack of open containers: nesting costs no recursion."""

    def __init__(self, text: str, file: str, spans: Spans) -> None:
        self.text, self.file, self.spans = text, file, spans
        self.faults: list[Diagnostic] = []
        self.position = 0

    def fault(self, code: str, message: str, where: Range, help: str = "") -> Diagnostic:
        return Diagnostic(code, message, self.file, self.spans.lines.span(where), help)

    def syntax(self, message: str, where: Range, help: str = "") -> _JsonFault:
        return _JsonFault(self.fault("syntax", message, where, help))

    def token(self) -> tuple[str, str, Range]:
        """The next token: its kind, its text, its place. Kind ``end`` at the end."""
        match = _TOKEN.match(self.text, self.position)
        if match is None:
            end = len(self.text.rstrip())
            return "end", "", (end, end)
        self.position = match.end()
        kind = match.lastgroup or "other"
        where = match.span(kind)
        found = match[kind]
        if kind == "other" and found == '"':
            raise _JsonFault(
                self.fault(
                    "unterminated-string",
                    "this string is never closed",
                    where,
                    "close it on the same line; \\n stands for a new line",
                )
            )
        return kind, found, where

    def read(self) -> Any:
        stack: list[tuple[Any, Path, int]] = []
        path: Path = ()
        while True:
            kind, found, where = self.token()
            if kind == "mark" and found in "[{":
                container: Any = [] if found == "[" else {}
                if len(stack) >= MAX_DEPTH:
                    raise _JsonFault(self.fault("too-deep", f"values nest more than {MAX_DEPTH} deep", where))
                stack.append((container, path, where[0]))
                following = self.enter(container, path)
                if following is not None:
                    path = following
                    continue
                value: Any = stack.pop()[0]
                where = (where[0], self.position)
            else:
                value = self.scalar(kind, found, where)
            outcome = self.finish(stack, value, path, where)
            if outcome is None:
                return self.result
            path = outcome

    def enter(self, container: Any, path: Path) -> Path | None:
        """Step into a container: the path of its first value, or None where it is empty."""
        before = self.position
        kind, found, _ = self.token()
        if kind == "mark" and found == ("]" if isinstance(container, list) else "}"):
            return None
        self.position = before
        return (*path, 0) if isinstance(container, list) else self.key(container, path)

    def key(self, container: dict[str, Any], path: Path) -> Path:
        kind, found, where = self.token()
        if kind != "text":
            help = "no comma stands before `}`" if found == "}" else 'keys are written in "double quotes"'
            raise self.syntax(f"expected a key{self.instead(kind, found)}", where, help)
        key = self.string(found, where)
        if key in container:
            self.faults.append(self.fault("duplicate-key", f"`{key}` is given twice", where))
        kind, found, place = self.token()
        if found != ":" or kind != "mark":
            raise self.syntax(f"expected `:` after the key{self.instead(kind, found)}", place)
        self.spans.key_places[(*path, key)] = where
        return (*path, key)

    def finish(self, stack: list[tuple[Any, Path, int]], value: Any, path: Path, where: Range) -> Path | None:
        """Store a finished value and go on; None when the whole text is read."""
        while True:
            self.spans.places[path] = where
            if not stack:
                self.result = value
                kind, _, place = self.token()
                if kind != "end":
                    raise self.syntax("expected the end of the file", place)
                return None
            container, owner, start = stack[-1]
            if isinstance(container, list):
                container.append(value)
            else:
                container.setdefault(path[-1], value)
            kind, found, place = self.token()
            closing = "]" if isinstance(container, list) else "}"
            if kind == "mark" and found == ",":
                return (*owner, len(container)) if isinstance(container, list) else self.key(container, owner)
            if kind != "mark" or found != closing:
                raise self.syntax(f"expected `,` or `{closing}`{self.instead(kind, found)}", place)
            value, path, where = container, owner, (start, place[1])
            stack.pop()

    @staticmethod
    def instead(kind: str, found: str) -> str:
        return ", but the text ends here" if kind == "end" else f", not `{found[:30]}`"

    def scalar(self, kind: str, found: str, where: Range) -> Any:
        if kind == "text":
            return self.string(found, where)
        if kind == "number":
            return self.number(found, where)
        if kind == "word" and found in _WORDS:
            return _WORDS[found]
        if found in ("NaN", "Infinity"):
            raise self.syntax(f"JSON knows no {found}", where)
        if kind == "word":
            raise self.syntax(f"`{found[:30]}` is not a JSON value", where, 'strings are written in "double quotes"')
        raise self.syntax(f"expected a value{self.instead(kind, found)}", where)

    def string(self, found: str, where: Range) -> str:
        try:
            value: str = json.loads(found)
            value.encode("utf-8")
        except ValueError:
            raise _JsonFault(self.fault("bad-escape", "this string has a backslash that is no escape", where)) from None
        return value

    def number(self, found: str, where: Range) -> int | float:
        try:
            return number(found)
        except ValueError:
            pass
        self.faults.append(self.fault("out-of-range", f"{found[:20]} is too large a number", where))
        return 1
