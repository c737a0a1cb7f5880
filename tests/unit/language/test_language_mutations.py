"""Scenarios with faults put in: each is told, none hides another, and nothing else is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.language_documents import CASES, UNHURRIED

from plg.diagnostics import Diagnostic
from plg.diagnostics_render import render_text
from plg.language.load import lint
from plg.language.resuming import SKIP

BASE = [
    'scenario "x" {',
    "param peak = 40/s",
    "max_lag 2s",
    "job one {",
    'queue "q"',
    "priority 1",
    'payload { a: "${seq}", b: [1, 2] }',
    "}",
    "traffic {",
    "calm: steady 5/s over 2s",
    "then rise: ramp 1/s -> 9/s over 5s",
    "then top: burst 5/s -> peak for 1s every 2s over 6s",
    "}",
    "guardrails {",
    "max_rate 500/s",
    "max_total_jobs 1_000",
    "max_duration 1m",
    "}",
    "expect {",
    "p99(latency) < 250ms during calm",
    "errors == 0",
    "deviation < 5% in every 1s",
    "}",
    "}",
]
FAULTS = [
    (1, "param peak 40/s", "expected `=`"),
    (1, "param peak = 40/s;", "unexpected `;`"),
    (1, "param peak = 40/s\nfrobnicate 7", "unexpected `frobnicate`"),
    (2, "max_lag 5x", "does not know the unit 'x'"),
    (4, 'queue "q",', "unexpected `,`"),
    (5, "prioritty 1", "a job has no setting `prioritty`"),
    (5, "priority = 1", "unexpected `=`"),
    (5, "priority 1.5", "must be a whole number"),
    (6, 'payload { a: "${sqe}", b: [1, 2] }', "there is no template ${sqe}"),
    (6, 'payload { a: "${seq}" b: [1, 2] }', "unexpected `b`"),
    (6, 'payload { a: "${seq}", b: [1 2] }', "unexpected `2`"),
    (9, "calm: staedy 5/s over 2s", "there is no phase `staedy`"),
    (9, "calm: steady 5/s over 2s;", "unexpected `;`"),
    (9, "calm: steady over 2s", "a value is missing before `over`"),
    (9, "calm: steady 5 * peak over 2s", "`5 * peak` is arithmetic"),
    (9, "calm: steady 5 over 2s", "5 has no unit"),
    (10, "rise: ramp 1/s -> 9/s over 5s", "`rise` begins a new phase"),
    (10, "then rise: ramp 1/s -> 9/s ovr 5s", "ramp takes no `ovr`"),
    (10, "then rise: ramp 1/s to 9/s over 5s", "ramp takes no `to`"),
    (10, "then rise: ramp 1/s -> 9/s over 5s exponental", "must be one of linear"),
    (11, "then top: burst 5/s -> peek for 1s every 2s over 6s", "there is no param 'peek'"),
    (11, "then top: burst 5/s -> peak for 3s every 2s over 6s", "a burst lasts longer"),
    (14, "max_rate: 500/s", "unexpected `:`"),
    (14, "max_rate 5k/s", "`5k/s` is not a rate"),
    (15, "max_total_jobs 1,000", "`1,000` has commas"),
    (15, "max_totl_jobs 1_000", "there is no guardrail `max_totl_jobs`"),
    (16, "max_duration", "a value"),
    (16, "", "guardrails` has no `max_duration`"),
    (19, "p99 latency < 250ms during calm", "`p99 latency` is not how"),
    (19, "avg(latency) < 250ms during calm", "there is no aggregate 'avg'"),
    (19, "p99(latency) < 250ms during clam", "there is no phase 'clam'"),
    (20, "errors = 0", "`=` does not compare"),
    (20, "erors == 0", "there is no measure 'erors'"),
    (21, "deviation < 5% in every 1y", "1y"),
    (21, "deviation < 5 in every 1s", "5 has no unit"),
]
"""A line of `BASE`, what to write in its place, and what must be said of it."""
LIBRARIES = (
    "unexpected token", "is not of type", "while parsing", "while scanning", "expected <block end>", "traceback",
    "lark", "jsonschema", "is not valid under", "could not determine a constructor", "_rbrace", "nonetype",
)  # fmt: skip
SEEDS = [path.read_text(encoding="utf-8") for path in sorted((CASES / "valid").glob("*.plg"))]
YAML_SEEDS = [path.read_text(encoding="utf-8") for path in sorted((CASES / "valid").glob("*.yaml"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("mutations")
    for name in ("users.csv", "traffic.csv"):
        (made / name).write_bytes((CASES / "valid" / name).read_bytes())
    return made


def linted(path: Path, text: str) -> list[Diagnostic]:
    """What lint says of ``text``, each fault found to lie in it and to be worded by plg."""
    path.write_text(text, encoding="utf-8")
    found, seen = lint(path)
    lines = seen.split("\n")
    for fault in found:
        said = f"{fault.message} {fault.help}".lower()
        assert not [word for word in LIBRARIES if word in said], fault
        assert len(fault.message) < 500
        span = fault.span
        assert span is None or (
            1 <= span.line <= span.end_line <= len(lines) and span.column <= len(lines[span.line - 1]) + 1
        ), fault
    assert len(render_text(found, {str(path): seen})) < 60_000
    return found


def with_faults(chosen: list[tuple[int, str, str]]) -> str:
    lines = list(BASE)
    for line, text, _ in chosen:
        lines[line] = text
    return "\n".join(lines)


def apart(chosen: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """One fault a line; without those that another makes to be said otherwise, or not at all."""
    kept = list({line: (line, text, said) for line, text, said in chosen}.values())
    words = {said for _, _, said in kept}
    if any("staedy" in said for said in words):
        # The phase of that name is gone with it.
        kept = [fault for fault in kept if "'clam'" not in fault[2] and "`rise` begins" not in fault[2]]
    return kept


def test_the_base_is_without_fault(folder: Path) -> None:
    assert linted(folder / "base.plg", with_faults([])) == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault[1][:40])
def test_each_fault_is_told_alone(folder: Path, fault: tuple[int, str, str]) -> None:
    found = linted(folder / "one.plg", with_faults([fault]))
    assert len(found) == 1, found
    assert fault[2] in found[0].message


@settings(parent=UNHURRIED, max_examples=250)
@given(st.lists(st.sampled_from(FAULTS), min_size=2, max_size=8).map(apart))
@example([FAULTS[22], FAULTS[27]])
@example([FAULTS[12], FAULTS[16]])
def test_every_fault_is_told_beside_others(folder: Path, chosen: list[tuple[int, str, str]]) -> None:
    found = linted(folder / "several.plg", with_faults(chosen))
    missing = [said for _, _, said in chosen if not any(said in fault.message for fault in found)]
    assert not missing, (missing, [fault.message for fault in found])
    assert len(found) <= len(chosen), [fault.message for fault in found]


@settings(parent=UNHURRIED, max_examples=300)
@given(st.sampled_from(SEEDS), st.data())
def test_tokens_deleted_doubled_and_swapped(folder: Path, text: str, data: st.DataObject) -> None:
    tokens = [match[0] for match in SKIP.finditer(text) if not match["blank"]]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(tokens) - 1))
        kind = data.draw(st.sampled_from(["delete", "double", "swap", "break"]))
        if kind == "delete" and len(tokens) > 1:
            del tokens[at]
        elif kind == "double":
            tokens.insert(at, tokens[at])
        elif kind == "swap":
            other = data.draw(st.integers(0, len(tokens) - 1))
            tokens[at], tokens[other] = tokens[other], tokens[at]
        else:
            tokens[at] = tokens[at][: len(tokens[at]) // 2] or ";"
    text = " ".join(tokens).replace("} ", "}\n")
    linted(folder / "tokens.plg", text)


@settings(parent=UNHURRIED, max_examples=200)
@given(st.sampled_from(YAML_SEEDS), st.data())
def test_lines_of_yaml_deleted_doubled_and_cut(folder: Path, text: str, data: st.DataObject) -> None:
    lines = text.split("\n")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        cut = data.draw(st.integers(0, len(lines[at])))
        changed = [
            lines[at][:cut],
            lines[at][cut:],
            lines[at] + ": x",
            '"' + lines[at],
            "  " + lines[at],
            "- " + lines[at],
        ]
        lines[at : at + 1] = data.draw(st.sampled_from([[], [lines[at]] * 2, *([line] for line in changed)]))
        lines = lines or [""]
    linted(folder / "lines.yaml", "\n".join(lines))
