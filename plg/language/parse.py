"""From DSL text to Lark's tree, with every syntax error said in plain words and parsing resumed after it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

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


class Parsed(NamedTuple):
    """A syntax tree (None where nothing could be saved), and a diagnostic for each syntax error.

    ``lost`` names the statements of which a part could not be read; the tree has ``broken`` nodes there.
    """

    tree: Tree[Token] | None
    faults: list[Diagnostic]
    lost: frozenset[str] = frozenset()


def parse_tree(text: str, start: str = "file", file: str = "<text>") -> Parsed:
    """Parse ``text``, every syntax error said. After one, the parser goes on as near behind it as it can."""
    from lark.exceptions import UnexpectedInput

    recovery = Recovery(text, start, file)
    too_deep = recovery.depth_fault()
    if too_deep is not None:
        return Parsed(None, [too_deep])
    try:
        tree = parser().parse(text, start=start, on_error=recovery)
    except UnexpectedInput:
        tree = None
    return Parsed(tree, recovery.faults, frozenset(recovery.resuming.lost))
