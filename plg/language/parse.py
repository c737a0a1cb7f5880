"""From DSL text to Lark's tree, with every syntax error said in plain words and parsing resumed after it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from plg.diagnostics import Diagnostic
from plg.language.recovery import Recovery
from plg.resources import read_text

if TYPE_CHECKING:
    from lark import Lark, Token, Tree


@functools.cache
def parser() -> Lark:
    """The parser of the language, made once a process. Its start rules are ``file`` and ``expectation``."""
    from lark import Lark

    grammar = read_text("grammar", "scenario.lark")
    return Lark(
        grammar, parser="lalr", start=["file", "expectation"], propagate_positions=True, maybe_placeholders=False
    )


def parse_tree(text: str, start: str = "file", file: str = "<text>") -> tuple[Tree[Token] | None, list[Diagnostic]]:
    """Parse ``text``; the tree (None where nothing could be saved) and a diagnostic for each syntax error.

    After an error the parser goes on at the next statement, phase, expectation or closing brace, so a tree that comes
    with errors has ``broken`` nodes in the places that could not be read.
    """
    from lark.exceptions import UnexpectedInput

    recovery = Recovery(text, start, file)
    too_deep = recovery.depth_fault()
    if too_deep is not None:
        return None, [too_deep]
    try:
        return parser().parse(text, start=start, on_error=recovery), recovery.faults
    except UnexpectedInput:
        return None, recovery.faults
