"""Layout: comments stay with what they speak of, nothing but blanks moves, and a second time changes nothing."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.language_documents import CASES, UNHURRIED, documents, golden

from plg.diagnostics import ScenarioError
from plg.language.format import format_text
from plg.language.load import read_text
from plg.language.strings import STRING
from plg.language.write import write_plg

TOKENS = re.compile(rf"{STRING}|\s+|[^\s\"]+")


def scattered(text: str, rnd: random.Random) -> tuple[str, list[str]]:
    """``text`` with its blanks at random and comments strewn between its words; the comments are returned too."""
    pieces, comments = [], []
    for match in TOKENS.finditer(text):
        if not match[0].isspace():
            pieces.append(match[0])
            continue
        kind = rnd.randrange(6)
        if kind == 0:
            comments.append(f'# comment {len(comments)} }} {{ "')
            pieces.append(f"{rnd.choice(['', ' ', chr(10)])}{comments[-1]}\n")
        else:
            pieces.append(rnd.choice([" ", "\n", "\n\n\n", "\t", "  \r\n"]))
    return "".join(pieces), comments


@settings(parent=UNHURRIED, max_examples=80)
@given(documents(), st.integers(0, 2**32))
def test_any_layout_becomes_one(document: dict[str, object], number: int) -> None:
    text = write_plg(document)
    messy, comments = scattered(text, random.Random(number))
    laid_out = format_text(messy)
    assert format_text(laid_out) == laid_out
    assert read_text(laid_out, "x.plg").document == read_text(text, "x.plg").document
    assert sorted(re.findall(r"# comment \d+ } \{ \"", laid_out)) == sorted(comments)
    # Without its comments the text is the canonical one again, blanks aside.
    bare = [re.sub(r"\s*# comment \d+ .*", "", line) for line in laid_out.split("\n")]
    assert "".join("".join(bare).split()) == "".join(text.split())


@pytest.mark.parametrize("path", sorted((CASES / "layout").glob("*.plg")), ids=lambda path: path.name)
def test_golden_layouts(path: Path) -> None:
    laid_out = format_text(path.read_text(encoding="utf-8"))
    assert laid_out == golden(path.with_name(path.name + ".expected"), laid_out)
    assert format_text(laid_out) == laid_out


def test_long_payloads_are_broken_and_short_ones_joined() -> None:
    payload = "{ " + ", ".join(f'key{i}: "value number {i}"' for i in range(8)) + " }"
    tail = " traffic { steady 1/s over 1s } guardrails { max_rate 1/s max_total_jobs 1 max_duration 1s } }"
    laid_out = format_text("scenario x { job a { payload " + payload + "}" + tail)
    assert max(map(len, laid_out.split("\n"))) <= 100
    assert '      key0: "value number 0",\n' in laid_out
    joined = format_text("scenario x { job a { payload {\n a:\n 1 } }" + tail)
    assert "    payload { a: 1 }\n" in joined


def test_line_ends_and_byte_order_mark() -> None:
    text = (CASES / "valid" / "flash-sale.plg").read_text(encoding="utf-8")
    assert format_text("\ufeff" + text.replace("\n", "\r\n")) == format_text(text)


def test_what_cannot_be_parsed_is_refused_with_every_fault() -> None:
    with pytest.raises(ScenarioError) as caught:
        format_text("scenario x { parm a = 1 traffic { steady } }", "some.plg")
    assert [d.code for d in caught.value.diagnostics] == ["syntax", "syntax"]
    assert caught.value.sources["some.plg"].startswith("scenario")


def test_a_remark_behind_points_and_before_their_clause_leaves_them_on_their_line() -> None:
    text = """scenario p {
  traffic {
    points step { 0s 10/s, 5s 80/s } # top
    max_rate 60/s
  }
  guardrails { max_rate 100/s max_total_jobs 1_000 max_duration 1m }
}
"""
    once = format_text(text)
    assert "# top" in once
    assert format_text(once) == once
