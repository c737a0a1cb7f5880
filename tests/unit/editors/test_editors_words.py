"""The colours of ``.plg``: they know the words that the grammar knows, and leave none of a scenario uncoloured."""

from __future__ import annotations

import json
import re
from importlib.metadata import entry_points
from itertools import chain
from pathlib import Path

import pytest
from pygments.token import Error, Keyword, Token

from plg.language.vocabulary import PHASES
from plg.pygments_lexer import CLAUSES, STATEMENTS, PlgLexer
from plg.pygments_lexer import PHASES as COLOURED

ROOT = Path(__file__).parents[3]
GRAMMAR = (ROOT / "grammar" / "scenario.lark").read_text(encoding="utf-8")
TEXTMATE = json.loads((ROOT / "editors" / "plg.tmLanguage.json").read_text(encoding="utf-8"))
SCENARIOS = [*sorted((ROOT / "scenarios").glob("*.plg")), *sorted((ROOT / "tests/cases/valid").glob("*.plg"))]


def words_of_the_grammar() -> set[str]:
    """The literal words among its terminals, ``step`` and ``steps`` for ``steps?``."""
    found = re.findall(r"^_?[A-Z_]+\.2: /([a-z_]+)(\??)\(\?!", GRAMMAR, re.MULTILINE)
    return {form for word, optional in found for form in ((word, word[:-1]) if optional else (word,))}


def test_the_lexer_knows_all_words() -> None:
    phases = {name for name, kind in PHASES.items() if kind.first} | {"points", "pause", "repeat", "together"}
    assert set(COLOURED) == phases
    assert {*STATEMENTS, *CLAUSES} | {"points", "repeat", "together"} == words_of_the_grammar()
    assert len({*STATEMENTS, *COLOURED, *CLAUSES}) == len((*STATEMENTS, *COLOURED, *CLAUSES))


@pytest.mark.parametrize(("rule", "words"), [("statement", STATEMENTS), ("phase", COLOURED), ("clause", CLAUSES)])
def test_the_textmate_grammar_knows_them_too(rule: str, words: tuple[str, ...]) -> None:
    [alternatives] = re.findall(r"\(\?:([a-z_|]+)\)", TEXTMATE["repository"][rule]["match"])
    assert tuple(alternatives.split("|")) == words
    assert all(pattern["include"][1:] in TEXTMATE["repository"] for pattern in TEXTMATE["patterns"])


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.name)
def test_every_character_of_a_scenario_has_a_meaning(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tokens = list(PlgLexer(stripnl=False, ensurenl=False).get_tokens(text))
    assert "".join(value for _, value in tokens) == text.replace("\r\n", "\n").removeprefix("\ufeff")
    assert [value for kind, value in tokens if kind is Error or kind is Token] == []
    assert ("scenario" in text) <= any(kind in Keyword for kind, _ in tokens)


def test_words_inside_of_strings_and_comments_are_none() -> None:
    tokens = list(PlgLexer().get_tokens('# steady\nqueue "ramp over ${seq} every" steady-state 5/s'))
    assert list(chain.from_iterable([value] for kind, value in tokens if kind in Keyword)) == []


def test_pygments_finds_it_by_itself() -> None:
    [found] = [entry for entry in entry_points(group="pygments.lexers") if entry.name == "plg"]
    assert found.value == "plg.pygments_lexer:PlgLexer"
