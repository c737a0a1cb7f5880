"""Expectations as text: how they are parsed, their canonical form, and the params they name."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any

from plg.diagnostics import Fault
from plg.language import strings
from plg.language.parse import parse_tree
from plg.language.source import Range
from plg.measures import MEASURES

WITHIN = {"within_after": "after", "within_of": "of"}
"""The word before the phase, by the rule of the tail that says in which time something has to come true."""
Piece = tuple[int, int, Range]
"""A part of a canonical text (first and last offset) and the stretch of the source that it came from."""


class _Words:
    """Words joined by single blanks, each remembering where it came from."""

    def __init__(self) -> None:
        self.text = ""
        self.pieces: list[Piece] = []

    def add(self, word: str, token: Any = None, *, tight: bool = False, where: Range | None = None) -> None:
        start = len(self.text) + (0 if tight or not self.text else 1)
        self.text += ("" if start == len(self.text) else " ") + word
        if token is not None:
            where = token.start_pos, token.end_pos
        if where is not None:
            self.pieces.append((start, len(self.text), where))


def canonical(node: Any) -> tuple[str, list[Piece]]:
    """The canonical text of an ``expectation`` tree, and where its parts came from."""
    words = _Words()
    for child in node.children:
        if isinstance(child, str):
            returns = child.type == "RETURNS"  # type: ignore[attr-defined]  # a token
            words.add("returns to" if returns else str(child), child)
        elif child.data == "subject":
            _add_subject(words, child)
        elif child.data == "bound":
            _add_bound(words, child)
        else:
            _add_tail(words, child)
    return words.text, words.pieces


def _add_subject(words: _Words, node: Any) -> None:
    head, *during = node.children
    if isinstance(head, str):
        words.add(str(head), head)
    else:
        aggregate, measure = head.children
        words.add(f"{aggregate}", aggregate)
        words.add("(", tight=True)
        words.add(str(measure), measure, tight=True)
        words.add(")", tight=True, where=(head.meta.end_pos - 1, head.meta.end_pos))
    for child in during:
        _add_tail(words, child)


def _add_bound(words: _Words, node: Any) -> None:
    for child in node.children:
        if isinstance(child, str):
            words.add(strings.compact(child), child)
        elif child.data == "factor":
            words.add(strings.compact(child.children[0]), child.children[0])
            words.add("*")
        else:
            _add_subject(words, child)


def _add_tail(words: _Words, node: Any) -> None:
    tokens = node.children
    if node.data == "during":
        words.add("during", where=_keyword(node, "during"))
        words.add(_phase(tokens[0]), tokens[0])
    elif node.data == "stop":
        words.add("or stop", tokens[0])
    elif node.data in WITHIN:
        words.add("within", where=_keyword(node, "within"))
        words.add(strings.compact(tokens[0]), tokens[0])
        words.add(WITHIN[node.data])
        words.add(_phase(tokens[1]), tokens[1])
    else:
        words.add("in every" if node.data == "every_window" else "in", where=_keyword(node, "in"))
        words.add(strings.compact(tokens[0]), tokens[0])
        if node.data != "every_window":
            words.add("of")
            words.add(strings.compact(tokens[1]), tokens[1])


def _phase(token: Any) -> str:
    """The name of a phase as it is written."""
    return strings.name_or_string(strings.unquote(token) if token.type == "STRING" else str(token))


def _keyword(node: Any, word: str) -> Range:
    """Where the keyword stands that a node begins with, and that is no child of it."""
    return node.meta.start_pos, node.meta.start_pos + len(word)


@functools.lru_cache(maxsize=8192)
def expectation_tree(text: str) -> tuple[Any, tuple[Fault, ...]]:
    """Lark's tree of an expectation (None where nothing could be read) and its syntax errors."""
    tree, faults, _ = parse_tree(text, "expectation")
    offsets = [_offsets(text, fault.span) for fault in faults]
    return tree, tuple(
        Fault(f.code, f.message, help=f.help, offsets=where) for f, where in zip(faults, offsets, strict=True)
    )


def _offsets(text: str, span: Any) -> tuple[int, int]:
    lines = text.split("\n")
    if span is None:
        return 0, len(text)
    start = sum(len(line) + 1 for line in lines[: span.line - 1]) + span.column - 1
    return start, max(start + 1, sum(len(line) + 1 for line in lines[: span.end_line - 1]) + span.end_column - 1)


def params_of(text: str, params: Collection[str]) -> dict[tuple[int, int], str]:
    """The references to params in an expectation: their offsets in the text and the param each names."""
    tree, _ = expectation_tree(text)
    found: dict[tuple[int, int], str] = {}
    if tree is None:
        return found
    for token in tree.scan_values(lambda node: isinstance(node, str)):
        if token.type == "REF":
            found[token.start_pos, token.end_pos] = str(token[1:])
    for node in tree.iter_subtrees():
        if node.data in ("bound", "factor", "every_window", "share_of_windows", *WITHIN):
            for child in [] if means_deadline(node) else node.children[: 1 if node.data in WITHIN else None]:
                token = _bare(child) if node.data == "bound" else child
                if token is not None and token.type == "NAME" and (node.data != "bound" or token in params):
                    found[token.start_pos, token.end_pos] = str(token)
    return found


def means_deadline(node: Any) -> bool:
    """Whether the tail ``in 45s of calm`` means ``within 45s of calm``: it has a time and a name."""
    if node.data != "share_of_windows":
        return False
    amount, width = node.children
    return amount.type == "QUANTITY" and strings.compact(amount)[-1:].isalpha() and width.type in ("NAME", "STRING")


def _bare(child: Any) -> Any:
    """The lone name that a bound consists of, which may be a param."""
    if isinstance(child, str):
        return child
    if child.data == "subject" and isinstance(child.children[0], str) and child.children[0] not in MEASURES:
        return child.children[0]
    return None


def canonical_text(text: str) -> str:
    """``text`` in canonical spacing; as it is where it cannot be parsed."""
    tree, faults = expectation_tree(text)
    return text if tree is None or faults else canonical(tree)[0]
