"""Values of Lark's tree: each as the document holds it, with its place, and with what is wrong with its spelling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plg.diagnostics import Diagnostic, Path, nearest
from plg.language import strings
from plg.language.kinds import size_in_mb
from plg.language.resuming import MISSING
from plg.language.source import Document, Range, Spans
from plg.language.vocabulary import CHOICES
from plg.units import UnitError

Node = Any
"""A node of Lark's tree: a `lark.Tree`, or a `lark.Token` (which is a `str`). Lark is not loaded here."""
Token = Any

_NONE: Mapping[str, str] = {}
_WORDS = {"true": True, "false": False, "on": True, "off": False, "null": None}
_STRINGS = {"text", "key", "queue", "call", "file", "url", "name"}
_EXAMPLES = {
    "rate": "/s",
    "positiveRate": "/s",
    "duration": "s",
    "time": "s",
    "percent": "%",
    "cpuPercent": "%",
    "megabytes": "MB",
}


def is_token(node: Any) -> bool:
    """Whether ``node`` is a token (a leaf) of the tree."""
    return isinstance(node, str)


def place(node: Any) -> Range:
    """Where a node or token of the tree stands."""
    if is_token(node):
        return node.start_pos, node.end_pos
    meta = node.meta
    return (meta.start_pos, meta.end_pos) if not meta.empty else (0, 0)


class Values:
    """Reads values, and keeps their places and the faults found on the way."""

    def __init__(self, spans: Spans, file: str) -> None:
        self.spans, self.file_name = spans, file
        self.faults: list[Diagnostic] = []
        self.lost: set[str] = set()

    # Bookkeeping --------------------

    def fault(self, code: str, message: str, where: Range, help: str = "") -> None:
        self.faults.append(Diagnostic(code, message, self.file_name, self.spans.lines.span(where), help))

    def mark(self, path: Path, node: Any, key: Any = None) -> None:
        self.spans.places[path] = place(node)
        if key is not None:
            self.spans.key_places[path] = place(key)

    def put(self, owner: Document, path: Path, name: str, value: Any, node: Any, key: Any = None) -> None:
        """Set a field, once."""
        if name in owner:
            self.fault("duplicate-key", f"`{name}` is given twice", place(key if key is not None else node))
            return
        owner[name] = value
        self.mark((*path, name), node, key)

    # Values --------------------

    def value(self, token: Token, kind: str) -> Any:
        """A value where a ``kind`` is due: a number, a string, a word, or a reference to a param."""
        if token == MISSING:  # told where it was noticed; the rest of the block is looked at all the same
            return True if kind == "switch" else "x" if kind in (*_STRINGS, "place") else 1
        if token.type == "STRING":
            return self.string(token)
        if token.type == "REF":
            return {"param": str(token[1:])}
        if token.type == "NAME":
            return self.word(token, kind)
        if token.type == "PATH":
            if kind != "place":
                self.fault("wrong-type", f"{token} is not a value", place(token), f'write "{token}" for a text')
            return str(token)
        text = strings.compact(token)
        if strings.PLAIN_NUMBER.fullmatch(text):
            if kind in _EXAMPLES:
                unit = _EXAMPLES[kind]
                self.fault("missing-unit", f"{text} has no unit", place(token), f"write {text}{unit}")
            return self.number(token, text)
        if kind in _STRINGS:
            self.fault("wrong-type", f"{text} is not a string", place(token), f'write "{text}"')
        return self.with_unit(text, kind)

    def string(self, token: Token) -> str:
        try:
            return strings.unquote(token)
        except strings.BadEscape as error:
            start = place(token)[0] + 1 + error.offset
            help = 'the escapes are \\n \\t \\r \\b \\f \\" \\\\ \\/ and \\uXXXX'
            self.fault("bad-escape", str(error), (start, start + 2), help)
            return str(token[1:-1])

    def number(self, token: Token, text: str) -> int | float:
        try:
            return strings.number(text)
        except ValueError:
            self.fault("out-of-range", f"{text[:20]}… is too large a number", place(token))
            return 1

    @staticmethod
    def word(token: Token, kind: str) -> Any:
        if kind in CHOICES:
            return str(token)
        if kind in ("switch", "json") and token in _WORDS:
            return _WORDS[token]
        return {"param": str(token)}

    @staticmethod
    def with_unit(text: str, kind: str) -> Any:
        """The document's form of a quantity; one with the wrong unit stays as it is, for the validation to name."""
        try:
            if kind in ("rate", "positiveRate") and text.endswith("/s"):
                amount = strings.number(text[:-2])
                return int(amount) if isinstance(amount, float) and amount == int(amount) else amount
            if kind == "cpuPercent" and text.endswith("%"):
                return strings.number(text[:-1])
            if kind == "megabytes":
                return size_in_mb(text)
        except (UnitError, ValueError):
            pass
        return text

    def json(self, node: Any, path: Path) -> Any:
        """A value of a payload."""
        self.mark(path, node)
        if is_token(node):
            if node.type == "STRING" and "\\" not in node:
                self.spans.verbatim.add(path)
            value = self.value(node, "json")
            if isinstance(value, str) and node.type == "QUANTITY":
                self.fault("wrong-type", f"{value} is not a plain number", place(node), f'write "{value}"')
            return value
        if node.data == "array":
            return [self.json(child, (*path, index)) for index, child in enumerate(node.children)]
        result: Document = {}
        for pair in node.children:
            key = self.string(pair.children[0]) if pair.children[0].type == "STRING" else str(pair.children[0])
            if key in result:
                self.fault("duplicate-key", f"`{key}` is given twice", place(pair.children[0]))
                continue
            result[key] = self.json(pair.children[1], (*path, key))
            self.spans.key_places[(*path, key)] = place(pair.children[0])
        return result

    def title(self, token: Any) -> str:
        return self.string(token) if token.type == "STRING" else str(token)

    def unknown(self, message: str, word: str, known: Any, where: Any, others: Mapping[str, str] = _NONE) -> None:
        """``others``: what other tools call what is ``known``."""
        suggestion = others.get(word) or nearest(word, known)
        help = f"did you mean `{suggestion}`?" if suggestion else "known: " + ", ".join(known)
        self.fault("unknown-key", message, place(where), help)
