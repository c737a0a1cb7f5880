"""The saved tables are those of the grammar: the same trees and faults come of them.

``PLG_UPDATE_GOLDEN=1`` writes them anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.shipped import FOLDER

from plg.language import parse
from plg.resources import locate, read_text

CASES = Path(__file__).parents[2] / "cases"
TEXTS = sorted([*FOLDER.glob("*.plg"), *CASES.rglob("*.plg")])


def test_the_tables_are_made_of_the_grammar() -> None:
    if os.environ.get("PLG_UPDATE_GOLDEN"):
        locate("grammar", parse.TABLES).write_text(parse.tables(), encoding="utf-8")
    made_of = json.loads(read_text("grammar", parse.TABLES))["made_of"]
    # With another Lark the tables are computed at each start, which is right, and slower.
    assert made_of.partition(", ")[2] == parse._made_of(read_text("grammar", "scenario.lark")).partition(", ")[2]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_computed_tables_give_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = path.read_text(encoding="utf-8", errors="replace")
    saved = parse.parse_tree(text)
    computed = parse.make_parser(read_text("grammar", "scenario.lark"))
    monkeypatch.setattr(parse, "parser", lambda: computed)
    again = parse.parse_tree(text)
    assert saved == again


def test_tables_of_another_grammar_or_none_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for content in ('{"made_of": "lark 0.1, grammar 00", "data": {}, "memo": {}}', "no JSON", "{}"):
        files = {parse.TABLES: content, "scenario.lark": read_text("grammar", "scenario.lark")}
        monkeypatch.setattr(parse, "read_text", lambda folder, name, files=files: files[name])
        parse.parser.cache_clear()
        assert parse.parse_tree('scenario "x" { traffic { steady 1/s over 1s } }').faults == []
    parse.parser.cache_clear()
