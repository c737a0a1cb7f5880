"""From DSL text to Lark's tree, with every syntax error said in plain words and parsing resumed after it."""

from __future__ import annotations

import functools
import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from plg.diagnostics import Diagnostic
from plg.language.recovery import Recovery
from plg.resources import read_text

if TYPE_CHECKING:
    from lark import Lark, Token, Tree


TABLES = "scenario.tables.json"
"""Beside the grammar: what Lark makes of it. Loading that takes a tenth of the time of making it."""


@functools.cache
def parser() -> Lark:
    """The parser of the language, made once a process. Its start rules are ``file`` and ``expectation``."""
    from lark import Lark

    grammar = read_text("grammar", "scenario.lark")
    try:
        saved = json.loads(read_text("grammar", TABLES), object_hook=_numbered)
    except (OSError, ValueError):
        saved = {}
    if saved.get("made_of") == _made_of(grammar):
        made: Lark = Lark._load_from_dict(saved["data"], saved["memo"])  # type: ignore[no-untyped-call]  # Lark has none
        return made
    return make_parser(grammar)


def make_parser(grammar: str) -> Lark:
    """The parser of a grammar, its tables computed."""
    from lark import Lark

    return Lark(
        grammar, parser="lalr", start=["file", "expectation"], propagate_positions=True, maybe_placeholders=False
    )


def tables() -> str:
    """The text of the file `TABLES` for the grammar as it is, and the Lark that is installed."""
    from lark.grammar import Rule
    from lark.lexer import TerminalDef

    grammar = read_text("grammar", "scenario.lark")
    data, memo = make_parser(grammar).memo_serialize([TerminalDef, Rule])
    saved = {"made_of": _made_of(grammar), "data": data, "memo": memo}
    return json.dumps(saved, separators=(",", ":"), sort_keys=True, default=sorted) + "\n"


def _made_of(grammar: str) -> str:
    """What the tables follow from: with any other, they are computed anew."""
    import lark

    return f"lark {lark.__version__}, grammar {hashlib.sha256(grammar.encode()).hexdigest()}"


def _numbered(found: dict[str, Any]) -> dict[str | int, Any]:
    """States and entries are numbered, which JSON writes as text."""
    return {int(key) if key.isdecimal() else key: value for key, value in found.items()}


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
