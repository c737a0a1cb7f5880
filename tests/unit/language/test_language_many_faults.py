"""One look at a file tells of all its syntax errors, whichever form it has, and says where it gave up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plg.language.json_source import read_json
from plg.language.load import lint
from plg.language.source import MAX_SYNTAX_ERRORS, Spans

CASES = Path(__file__).parents[2] / "cases" / "valid"
MORE = "there are more: after 50 syntax errors the rest of the file is not looked at"


def document(text: str) -> tuple[object, list[str]]:
    found, faults, _ = read_json(text, "a.json", Spans(text))
    return found, [fault.message for fault in faults]


@pytest.mark.parametrize(
    ("text", "left", "count"),
    [
        ('{"a": 1 "b": 2}', {"a": 1, "b": 2}, 1),
        ('{"a": [1 2], "b": 2}', {"a": [1, 2], "b": 2}, 1),
        ('{"a": [1 oops], "b": 2}', {"a": [1], "b": 2}, 2),
        ('{"a": ["x" "y"], "b": 2}', {"a": ["x", "y"], "b": 2}, 1),
        ('{"a": [[1] [2]]}', {"a": [[1], [2]]}, 1),
        ('{"a": 1,, "b": 2,}', {"a": 1, "b": 2}, 2),
        ('{a: 1, "b" 2, c: 3}', {"a": 1, "b": 2, "c": 3}, 3),
        ('{"a": , "b": {"c": oops, "d": 4}}', {"b": {"d": 4}}, 2),
        ('{"a": "never\n "b": "ends\n "c": 3}', {"c": 3}, 2),
        ('{"a": "\\q", "b": 2 // why\n}', {"b": 2}, 2),
        ('{"a": [1, {"b": 2], "c": 3}', {"a": [1, {"b": 2}], "c": 3}, 1),
        ('{"a": {"b": 2', {"a": {"b": 2}}, 1),
        ('{"a": 1} {"b": 2}', {"a": 1}, 1),
    ],
)
def test_what_can_be_read_of_json_is_read(text: str, left: object, count: int) -> None:
    found, faults = document(text)
    assert (found, len(faults)) == (left, count), faults


@pytest.mark.parametrize("file", sorted(CASES.glob("*.json")), ids=lambda path: path.name)
def test_json_is_what_json_is(file: Path) -> None:
    """With a character too many or too few anywhere: it is refused where, and only where, any reader refuses it."""
    text = file.read_text(encoding="utf-8")[:900]
    for at in range(0, len(text), 7):
        for piece in ("", '"', ",", "}", "[", "0", "x", "\\"):
            changed = text[:at] + piece + text[at + (piece == "") :]
            try:
                wanted = json.loads(changed)
            except ValueError:
                assert document(changed)[1], changed[max(0, at - 40) : at + 40]
            else:
                found, faults = document(changed)
                assert found == wanted or "is given twice" in " ".join(faults)


def many(form: str, count: int) -> str:
    if form == "plg":
        lines = "\n".join(f"errors ! {i}" for i in range(count))
        limits = "guardrails { max_rate 1/s max_total_jobs 9 max_duration 9s }"
        return f'scenario "many" {{ traffic {{ steady 1/s over 1s }} {limits} expect {{ {lines} }} }}'
    return '{"name": "many", "tags": [' + ", ".join(["oops"] * count) + "]}"


@pytest.mark.parametrize("form", ["plg", "json"])
def test_more_than_fifty_are_said_to_be_more(tmp_path: Path, form: str) -> None:
    file = tmp_path / f"many.{form}"
    for count in (MAX_SYNTAX_ERRORS - 1, MAX_SYNTAX_ERRORS, MAX_SYNTAX_ERRORS + 1, 3000):
        file.write_text(many(form, count), encoding="utf-8")
        syntax = [d.message for d in lint(file).diagnostics if d.code == "syntax"]
        assert len(syntax) == min(count, MAX_SYNTAX_ERRORS)
        assert [MORE in message for message in syntax] == [False] * (len(syntax) - 1) + [count > MAX_SYNTAX_ERRORS]


def test_more_than_twenty_fields_of_yaml_are_said_to_be_more(tmp_path: Path) -> None:
    file = tmp_path / "many.yaml"
    for count in (20, 21):
        file.write_text(
            "name: many\n" + "".join(f'f{i}: "a" b\n' for i in range(count)) + "tags: [a]\n", encoding="utf-8"
        )
        syntax = [d.message for d in lint(file).diagnostics if d.code == "syntax"]
        assert ("there are more" in syntax[-1]) == (count > 20), syntax
        assert not any("there are more" in message for message in syntax[:-1])
