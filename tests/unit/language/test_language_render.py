"""Diagnostics as text, JSON and workflow commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plg.diagnostics import Diagnostic, Span
from plg.diagnostics_render import MOST, render_github, render_json, render_text
from plg.language.load import lint

FAULT = Diagnostic("unknown-unit", "no unit 'x'", "a.plg", Span(2, 5, 2, 8), "known units: s", path=("pattern", 0))


def test_text() -> None:
    assert render_text([FAULT], {"a.plg": "one\nabcdefgh\nthree"}) == (
        "error[unknown-unit]: no unit 'x'\n --> a.plg:2:5\n  |\n2 | abcdefgh\n  |     ^^^\n  = help: known units: s"
    )


def test_without_place_or_source() -> None:
    assert (
        render_text([Diagnostic("syntax", "bad", "a.plg", severity="warning")]) == "warning[syntax]: bad\n  --> a.plg"
    )
    assert render_text([FAULT]) == "error[unknown-unit]: no unit 'x'\n --> a.plg:2:5\n  = help: known units: s"


@pytest.mark.parametrize(
    ("line", "start", "end", "shown", "carets"),
    [
        ("\tab", 2, 3, "    ab", "    ^"),
        ("日本 ab", 4, 6, "日本 ab", "     ^^"),
        ("日本 ab", 2, 3, "日本 ab", "  ^^"),
        ("e\u0301 ab", 4, 6, "e\u0301 ab", "  ^^"),
        ("ab", 3, 3, "ab", "  ^"),
        ("a\x1b[31mb", 2, 3, "a\ufffd[31mb", " ^"),
        ("a\u202eb", 3, 4, "a\ufffdb", "  ^"),
    ],
)
def test_columns_on_screen(line: str, start: int, end: int, shown: str, carets: str) -> None:
    fault = Diagnostic("x", "m", "f", Span(1, start, 1, end))
    rows = render_text([fault], {"f": line}).split("\n")
    assert rows[3] == f"1 | {shown}"
    assert rows[4] == f"  | {carets}"


def test_a_span_over_several_lines_is_underlined_to_the_end_of_the_first() -> None:
    rows = render_text([Diagnostic("x", "m", "f", Span(1, 3, 2, 2))], {"f": "ab{ c  \n }"}).split("\n")
    assert rows[4] == "  |   ^^^"


def test_long_lines_are_cut_around_the_fault() -> None:
    line = "a" * 5000 + "FAULT" + "b" * 5000
    rows = render_text([Diagnostic("x", "m", "f", Span(1, 5001, 1, 5006))], {"f": line}).split("\n")
    assert max(map(len, rows)) < 200
    start = rows[4].index("^")
    assert rows[3][start : start + 5] == "FAULT"
    assert rows[4].count("^") == 5


def test_colour_only_when_asked() -> None:
    sources = {"a.plg": "one\nabcdefgh"}
    plain, coloured = render_text([FAULT], sources), render_text([FAULT], sources, colour=True)
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
    assert "\x1b[1;31m" in coloured


def test_messages_cannot_move_the_cursor() -> None:
    fault = Diagnostic("x", "evil \x1b[2J\nline", "f", None, "more\x07")
    shown = render_text([fault])
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert len(shown.split("\n")) == 3


def test_json() -> None:
    rows = json.loads(render_json([FAULT, Diagnostic("syntax", "é")]))
    assert rows[0] == {
        "code": "unknown-unit", "severity": "error", "message": "no unit 'x'", "help": "known units: s",
        "file": "a.plg",
        "line": 2, "column": 5, "end_line": 2, "end_column": 8, "path": ["pattern", 0],
    }  # fmt: skip
    assert rows[1]["line"] is None
    assert json.loads(render_json([])) == []


def test_github() -> None:
    assert render_github([FAULT]) == (
        "::error file=a.plg,line=2,endLine=2,col=5,endColumn=8,title=plg%3A unknown-unit"
        "::no unit 'x'%0Ahelp: known units: s"
    )
    strange = Diagnostic("x", "100%\nsure", "a,b:c.plg", Span(1, 1, 2, 2), severity="warning")
    assert render_github([strange]) == "::warning file=a%2Cb%3Ac.plg,line=1,endLine=2,title=plg%3A x::100%25%0Asure"
    assert render_github([]) == ""


@given(st.text(max_size=30), st.integers(1, 40), st.integers(1, 40), st.integers(1, 3), st.integers(1, 3))
def test_any_span_can_be_shown(text: str, column: int, end: int, line: int, end_line: int) -> None:
    fault = Diagnostic("x", text, "f", Span(line, column, end_line, end), text)
    for rendered in (render_text([fault], {"f": text}, colour=True), render_github([fault])):
        assert rendered
    assert len(render_github([fault]).split("\n")) == 1


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('target "redis://:pa ss@h:1/0"', 'target "redis://:***@h:1/0"'),
        ('target "redis:/:pass@h" workers 1', 'target "redis:***@h" workers 1'),
        ('target ":pass@h"', 'target ":***@h"'),
        ("target: redis://u:pa'ss@h", "target: redis://u:***@h"),
        ("target: 'redis://u:pa ss@h'", "target: 'redis://u:***@h'"),
        ('{"target": "unix:///s?db=1&password=pass"}', '{"target": "unix:///s?db=1&password=***"}'),
        ('target "redis://:pass@h', 'target "redis://:***@h'),
        (
            'param a = "redis://:pass@a" param b = "redis://:pass@b"',
            'param a = "redis://:***@a" param b = "redis://:***@b"',
        ),
    ],
)
def test_no_line_that_is_shown_holds_a_password(line: str, shown: str) -> None:
    fault = Diagnostic("x", "y", "f.plg", Span(1, len(line) + 1, 1, len(line) + 2))
    text = render_text([fault], {"f.plg": line + "\u00e9"})
    assert text.splitlines()[3] == "1 | " + shown + "\u00e9"
    # What is underlined is still what was meant, though the line has become shorter.
    assert text.splitlines()[4] == "  | " + " " * len(shown) + "^"


@pytest.mark.parametrize("line", ['payload { to: "${seq}@x.org" }', "tags: [a@b, c]", 'target "redis://h:1/0"  # 5:1'])
def test_other_lines_are_shown_as_they_are(line: str) -> None:
    fault = Diagnostic("x", "y", "f.plg", Span(1, 1, 1, 2))
    assert render_text([fault], {"f.plg": line}).splitlines()[3] == "1 | " + line


def test_of_very_many_faults_the_first_are_shown_and_the_rest_counted() -> None:
    faults = [
        Diagnostic("syntax", f"fault {n}", "x.plg", severity="warning" if n < 40 else "error") for n in range(362)
    ]
    shown = render_text(faults)
    assert shown.endswith("\n\nand 312 more")
    assert shown.count("error[syntax]") == MOST  # errors before warnings
    assert "and" not in render_text(faults[:MOST])
    assert len(json.loads(render_json(faults))) == len(faults)


def test_nothing_as_long_as_a_file_is_repeated() -> None:
    source = "x" * 2_000_000
    fault = Diagnostic("syntax", f"there is no {source}", "x.plg", Span(1, 5, 1, 1_999_999), f"not {source}")
    for shown in (render_text([fault], {"x.plg": source}), render_json([fault]), render_github([fault])):
        assert len(shown) < 2000


@pytest.mark.parametrize("suffix", [".plg", ".yaml", ".json"])
def test_a_file_of_one_line_is_answered_shortly(tmp_path: Path, suffix: str) -> None:
    """Two megabytes in one line, and a fault near its end: what is shown is the stretch around it."""
    fields = ", ".join(f'"k{n}": "{"v" * 90}"' for n in range(20_000))
    if suffix == ".plg":
        text = f"scenario x {{ traffic {{ steady 5/s over 1s }} job a {{ payload {{ {fields} }} prioritty 5 }} "
        text += "guardrails { max_rate 9/s max_total_jobs 9 max_duration 1m } }"
    else:
        text = '{"name": "x", "pattern": {"type": "steady", "base_rate": 5, "duration": 1}, '
        text += '"guardrails": {"max_rate": 9, "max_total_jobs": 9, "max_duration": 60}, '
        text += f'"jobs": [{{"name": "a", "payload": {{{fields}}}, "prioritty": 5}}]}}'
    path = tmp_path / f"x{suffix}"
    path.write_text(text, encoding="utf-8")
    found, seen = lint(path)
    assert [fault.code for fault in found] == ["unknown-key"]
    shown = render_text(found, {str(path): seen})
    assert "prioritty" in shown.split("\n")[3]
    assert len(shown) < 1500
