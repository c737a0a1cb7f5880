"""What a server, a file or the environment says reaches each output as text, whatever it holds."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.report_samples import failing

from plg.cli.console import Console
from plg.diagnostics import Diagnostic, ScenarioError, Span
from plg.diagnostics_render import render_github, render_json, render_text
from plg.outcome import Outcome
from plg.outcome_io import from_json, to_json
from plg.reports import terminal
from plg.reports.github import annotate, annotate_invalid
from plg.reports.html import html
from plg.reports.junit import InvalidScenario, junit
from plg.reports.markdown import markdown

EVIL = "\x1b[2J\x1b]0;t\x07\r\b\x9b31m\u202e\u2066\u200f\u2028\ufffe\x00\ue000<b>&]]>|`%0A::error::,x:y"
EVIL += "\n::stop-commands::z"
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


def with_text(where: str) -> Outcome:
    """A failed run in which one source of text is evil."""
    outcome = failing()
    result, phase = outcome.expectations[0], outcome.phases[0]
    plan = outcome.plan
    changes: dict[str, Any] = {
        "server's version": {"target": replace(outcome.target, version=EVIL)},
        "server's name": {"target": replace(outcome.target, server=EVIL)},
        "server's error": {"errors": ((EVIL, 3),), "recording": replace(outcome.recording, errors=((EVIL, 3),))},
        "reason": {"reason": EVIL, "verdict": "error", "exit_code": 6},
        "remark": {"warnings": (EVIL,)},
        "scenario's name": {"scenario": {**outcome.scenario, "name": EVIL}},
        "description": {"scenario": {**outcome.scenario, "description": EVIL, "tags": [EVIL]}},
        "payload": {"scenario": {**outcome.scenario, "jobs": [{"name": EVIL, "payload": {EVIL: EVIL}}]}},
        "expectation": {"expectations": (replace(result, text=EVIL, detail=EVIL, verdict="fail"),)},
        "file's name": {"scenario_file": EVIL, "expectations": (replace(result, file=EVIL, verdict="fail"),)},
        "phase": {"phases": (replace(phase, name=EVIL),), "plan": {**plan, "phases": [
            {"name": EVIL, "start_s": 0.0, "duration_s": 1.0, "planned": 1}]}},
        "queue": {"queue": replace(outcome.queue, nobody_worked=True, said=EVIL)},
    }  # fmt: skip
    return replace(outcome, **changes[where])


SOURCES = (
    "server's version", "server's name", "server's error", "reason", "remark", "scenario's name", "description",
    "payload", "expectation", "file's name", "phase", "queue",
)  # fmt: skip


def in_terminal(outcome: Outcome) -> str:
    return terminal.summary(outcome, colour=False)


def in_annotation(outcome: Outcome) -> str:
    text = annotate(outcome, ())
    for line in text.splitlines():
        assert re.fullmatch(r"::(error|warning) [a-z]+=[^,:]*(,[a-z]+=[^,:]*)*::.*", line), line
    return text


def in_html(outcome: Outcome) -> str:
    page = html([outcome])
    assert "<b>" not in page.replace("<body>", "")
    # What plg's own scripts hold is not from elsewhere.
    return re.sub(r"<(script|style)(?! type=.application/json).*?</\1>", "", page, flags=re.DOTALL)


def in_junit(outcome: Outcome) -> str:
    text = junit([outcome])
    ElementTree.fromstring(text)
    return text


OUTPUTS = {
    "terminal": in_terminal, "annotation": in_annotation, "markdown": lambda outcome: markdown([outcome]),
    "html": in_html, "junit": in_junit,
}  # fmt: skip


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("source", SOURCES)
def test_no_text_is_obeyed(source: str, output: str) -> None:
    text = OUTPUTS[output](with_text(source))
    assert FORBIDDEN.findall(text) == []
    assert output in ("html", "junit") or not re.search("^::stop-commands", text, re.MULTILINE)


@pytest.mark.parametrize("source", SOURCES)
def test_what_was_said_is_saved_as_it_is(source: str) -> None:
    outcome = with_text(source)
    assert from_json(to_json(outcome), trusted=True).reason == outcome.reason


FAULT = Diagnostic("syntax", EVIL, EVIL, Span(1, 1, 1, 3), EVIL)
REFUSED = InvalidScenario(EVIL, ScenarioError([FAULT], {EVIL: EVIL}), EVIL)


@pytest.mark.parametrize(
    "render",
    [
        lambda: render_text([FAULT], {EVIL: EVIL}), lambda: render_github([FAULT]), lambda: render_json([FAULT]),
        lambda: annotate_invalid(REFUSED.error, Path()), lambda: junit([REFUSED]), lambda: markdown([REFUSED]),
    ],
    ids=["terminal", "lint annotation", "lint JSON", "annotation", "junit", "markdown"],
)  # fmt: skip
def test_no_fault_is_obeyed(render: Any) -> None:
    text = render()
    assert FORBIDDEN.findall(text) == []
    assert text.startswith("<?xml") or not re.search("^::stop-commands", text, re.MULTILINE)


def test_no_complaint_is_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    Console(sys.stdout, sys.stderr).error(EVIL)
    assert FORBIDDEN.findall(capsys.readouterr().err) == []
