"""The pages on the language tell the truth: every example is run, every code is explained, every field is named."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from support.language_documents import CASES

from plg.diagnostics import ScenarioError
from plg.language.load import lint, load
from plg.language.vocabulary import GUARDRAILS, JOB, PHASES, SCENARIO_FIELDS
from plg.measures import AGGREGATES, MEASURES

ROOT = Path(__file__).parents[3]
DIAGNOSTICS = (ROOT / "docs" / "diagnostics.md").read_text(encoding="utf-8")
LANGUAGE = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^### ([a-z-]+)\n(.*?)(?=^##)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(plg|yaml|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TRAFFIC = "traffic { steady 5/s over 10s }"
LIMITS = "guardrails { max_rate 100/s max_total_jobs 1_000 max_duration 1m }"


def whole(language: str, text: str) -> str:
    """A fragment of the DSL in the frame that the page describes."""
    if language != "plg" or re.search(r"^scenario ", text, re.MULTILINE) or not re.sub(r"#.*", "", text).strip():
        return text
    frame = [
        block
        for word, block in (("traffic", TRAFFIC), ("guardrails", LIMITS))
        if not re.search(rf"^{word}\b", text, re.M)
    ]
    return "scenario example {\n" + text + "\n".join(frame) + "\n}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("users.csv", "traffic.csv"):
        (tmp_path / name).write_bytes((CASES / "valid" / name).read_bytes())
    monkeypatch.delenv("PLG_EXAMPLE_UNSET", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    return tmp_path


def codes_of(path: Path) -> list[str]:
    """Every code that linting and planning the file bring up."""
    from plg.plan import make_plan

    found = lint(path).diagnostics
    if any(diagnostic.severity == "error" for diagnostic in found):
        return [diagnostic.code for diagnostic in found]
    try:
        plan = make_plan(load(path, environ={}).scenario)
    except ScenarioError as error:
        return [diagnostic.code for diagnostic in error.diagnostics]
    return [*(diagnostic.code for diagnostic in found), *(warning.code for warning in plan.warnings)]


@pytest.mark.parametrize(
    ("code", "body"), SECTION.findall(DIAGNOSTICS), ids=lambda value: value if len(value) < 40 else ""
)
def test_each_code_is_brought_about_and_mended(code: str, body: str, folder: Path) -> None:
    (language, bad), (language2, good) = BLOCK.findall(body)
    file = folder / f"bad.{language}"
    file.write_text(whole(language, bad), encoding="utf-8")
    # Only this fault: an example that is wrong in two ways teaches neither.
    assert {found for found in codes_of(file) if found not in SEEN_PAST or found == code} == {code}
    file = folder / f"good.{language2}"
    file.write_text(whole(language2, good), encoding="utf-8")
    assert [found for found in codes_of(file) if found not in SEEN_PAST or found == code] == []


SEEN_PAST = {"queue-not-judged", "work-not-judged", "nothing-promised"}
"""Examples show one line: many are about no promise, and few of those that are look at the queue."""
MAKERS = {
    "Diagnostic", "Fault", "PlanWarning", "TemplateError",
    "fault",
    "fail", "refusal", "refuse", "_warn", "Foreseen",
}  # fmt: skip


def codes_in_source() -> set[str]:
    """The first argument of everything that makes a diagnostic, and codes handed on in tuples with their sentences."""
    found: set[str] = set()
    for path in (ROOT / "plg").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            first: ast.expr | None = None
            if isinstance(node, ast.Call) and node.args:
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                first = node.args[0] if name in MAKERS else None
            elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and path.name.startswith("check_"):
                first = node.value.elts[0]
            elif isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") == "StoreError" for base in node.bases):
                first = next(each.value for each in node.body if isinstance(each, ast.Assign))
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.add(first.value)
    return {code for code in found if re.fullmatch(r"[a-z]+(-[a-z]+)*", code)}


def test_every_code_is_explained_and_no_other() -> None:
    explained = {code for code, _ in SECTION.findall(DIAGNOSTICS)}
    explained |= set(re.findall(r"^\| `([a-z-]+)` \|", DIAGNOSTICS, re.MULTILINE))
    assert codes_in_source() - explained == set()
    # Handed on in variables, where no reading of the source finds them.
    assert explained - codes_in_source() <= {
        "bad-pattern",
        "too-large",
        "missing-unit",
        "unknown-unit",
        "wrong-unit",
        "not-a-scenario",
    }


def test_there_are_examples() -> None:
    assert len(SECTION.findall(DIAGNOSTICS)) >= 40
    assert len(BLOCK.findall(LANGUAGE)) >= 15


@pytest.mark.parametrize(("language", "text"), BLOCK.findall(LANGUAGE), ids=str)
def test_each_example_of_the_language_is_valid(language: str, text: str, folder: Path) -> None:
    file = folder / f"example.{language}"
    file.write_text(whole(language, text), encoding="utf-8")
    found = lint(file).diagnostics
    assert [d for d in found if d.code != "unused-param"] == []


def test_the_language_page_names_everything() -> None:
    for word in [*SCENARIO_FIELDS, *PHASES, *JOB, *GUARDRAILS, *MEASURES, *AGGREGATES, "pause", "repeat", "together"]:
        assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", LANGUAGE), word
    for kind in PHASES.values():
        for field in kind.fields:
            assert f"`{field}`" in LANGUAGE, field
