"""Golden cases on disk: every file in tests/cases is read, and what comes out is compared with the file beside it.

PLG_UPDATE_GOLDEN=1 writes the expected files anew; look at the difference before committing it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.language_documents import CASES, golden

from plg.diagnostics import ScenarioError
from plg.diagnostics_render import render_text
from plg.language.format import format_text
from plg.language.load import SUFFIXES, lint, load, read_source, read_text
from plg.language.write import write_json, write_plg, write_yaml


def files(folder: str) -> list[Path]:
    found = sorted(path for path in (CASES / folder).iterdir() if path.suffix in SUFFIXES)
    return [path for path in found if not path.name.endswith(".expected.json")]


@pytest.fixture(autouse=True)
def _no_such_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLG_TEST_UNSET_VARIABLE", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)


def test_there_are_cases() -> None:
    assert len(files("valid")) >= 10
    assert len(files("invalid")) >= 30


@pytest.mark.parametrize("path", files("valid"), ids=lambda path: path.name)
def test_valid(path: Path) -> None:
    source = read_source(path)
    assert source.faults == ()
    text = json.dumps(source.document, indent=1, ensure_ascii=False) + "\n"
    assert json.loads(golden(path.with_name(path.name + ".expected.json"), text)) == source.document
    assert lint(path).diagnostics == []
    assert load(path).scenario.name == source.document["name"]


@pytest.mark.parametrize("path", files("valid"), ids=lambda path: path.name)
def test_valid_in_every_spelling(path: Path) -> None:
    document = read_source(path).document
    for suffix, write in ((".yaml", write_yaml), (".json", write_json)):
        assert read_text(write(document), "x" + suffix, suffix).document == document
    text = write_plg(document)
    if path.suffix == ".plg":
        assert read_text(text, "x.plg").document == document
    assert write_plg(read_text(text, "x.plg").document) == text


@pytest.mark.parametrize("path", [p for p in files("valid") if p.suffix == ".plg"], ids=lambda path: path.name)
def test_formatting_a_case_changes_nothing_but_the_layout(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    laid_out = format_text(text)
    assert format_text(laid_out) == laid_out
    assert read_text(laid_out, "x.plg").document == read_text(text, "x.plg").document
    assert all(line == line.rstrip() for line in laid_out.split("\n"))


@pytest.mark.parametrize("path", files("invalid"), ids=lambda path: path.name)
def test_invalid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    name = Path(path.name)
    found, text = lint(name)
    assert any(diagnostic.severity == "error" for diagnostic in found)
    rendered = render_text(found, {str(name): text}) + "\n"
    assert rendered == golden(path.with_name(path.name + ".expected"), rendered)
    with pytest.raises(ScenarioError) as caught:
        load(name)
    assert list(caught.value.diagnostics) == found


@pytest.mark.parametrize("path", files("invalid"), ids=lambda path: path.name)
def test_no_wording_of_a_library_reaches_a_user(path: Path) -> None:
    shown = path.with_name(path.name + ".expected").read_text(encoding="utf-8").lower()
    for word in (
        "lark",
        "jsonschema",
        "traceback",
        "token(",
        "anyof",
        "is not valid under",
        "yaml.",
        "terminal",
        "_rbrace",
    ):
        assert word not in shown


@pytest.mark.parametrize("path", files("invalid"), ids=lambda path: path.name)
def test_every_span_lies_in_the_text(path: Path) -> None:
    found, text = lint(path)
    lines = text.split("\n")
    for diagnostic in found:
        span = diagnostic.span
        if span is not None and text:
            assert 1 <= span.line <= span.end_line <= len(lines)
            assert 1 <= span.column <= len(lines[span.line - 1]) + 1
            assert 1 <= span.end_column <= len(lines[span.end_line - 1]) + 1
            assert (span.line, span.column) <= (span.end_line, span.end_column)
