"""What a scenario of thousands of lines costs: counted in calls and bytes, so that a busy machine changes nothing."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from plg import diagnostics
from plg.diagnostics import ScenarioError, Words, nearest
from plg.language import expectation_text
from plg.language.load import lint
from plg.language.parse import parse_tree
from plg.prepare import Request, prepare

GUARDRAILS = "guardrails { max_rate 100_000/s max_total_jobs 10_000_000 max_duration 2h }"


def scenario(*, traffic: str = "p0: steady 10/s over 1s", expect: str = "errors == 0", before: str = "") -> str:
    return f'scenario "big" {{ target fake {before} traffic {{ {traffic} }} {GUARDRAILS} expect {{ {expect} }} }}'


def phases(count: int, one: str = "steady 200/s over 10ms") -> str:
    return "\nthen ".join(f"p{i}: {one}" for i in range(count))


def lines(count: int, one: str) -> str:
    return "\n".join(one.format(i) for i in range(count))


SHAPES: dict[str, Callable[[int], str]] = {
    "a line a phase": lambda n: scenario(traffic=phases(n), expect=lines(n, "p50(latency) < 9ms during p{}")),
    "half judged": lambda n: scenario(traffic=phases(n), expect=lines(n // 2, "p50(latency) < 9ms during p{}")),
    "ages": lambda n: scenario(traffic=phases(n), expect=lines(n, "max(queue_age) < 9s during p{}")),
    "phases that are not there": lambda n: scenario(traffic=phases(n), expect=lines(n, "errors == 0 during q{}")),
    "params": lambda n: scenario(before=lines(n, "param a{0} = {0}ms"), expect=lines(n, "p50(latency) < $a{}")),
    "unknown params": lambda n: scenario(before=lines(n, "param a{0} = {0}ms"), expect=lines(n, "errors < $b{}")),
    "a chain of params": lambda n: scenario(
        before="\n".join(f"param a{i} = $a{i + 1}" for i in range(n)) + f"\nparam a{n} = 1s",
        traffic="steady 10/s over $a0",
    ),
    "params in a circle": lambda n: scenario(
        before="\n".join(f"param a{i} = $a{(i + 1) % n}" for i in range(n)), traffic="steady 10/s over $a0"
    ),
    "jobs whose age is not known": lambda n: scenario(
        before=lines(n, "job j{} {{ encoding raw }}"), expect=lines(n, "max(queue_age) < {0}s")
    ),
    "layers": lambda n: scenario(
        traffic="together { " + " and ".join(f"l{i}: steady 1/s over 1s" for i in range(n)) + " }",
        expect=lines(n, "errors == 0 during l{}"),
    ),
}


def calls_of(work: Callable[[], Any]) -> int:
    """Calls of functions of Python, and of its built-in ones, while ``work`` goes on."""
    calls = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


def read_and_plan(file: Path) -> None:
    with suppress(ScenarioError):
        prepare(file, Request({}))


@pytest.mark.parametrize("shape", SHAPES)
def test_reading_and_planning_cost_grows_with_the_scenario(tmp_path: Path, shape: str) -> None:
    file = tmp_path / "big.plg"
    costs = []
    for number in (60, 150, 300):  # the first one imports and fills the tables of a process
        expectation_text.expectation_tree.cache_clear()
        file.write_text(SHAPES[shape](number), encoding="utf-8")
        costs.append(calls_of(lambda: read_and_plan(file)))
    assert costs[2] < 2.5 * costs[1], costs


def test_each_line_is_parsed_once_however_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []
    real = expectation_text.parse_tree

    def parse(text: str, *rest: Any) -> Any:
        parsed.append(text)
        return real(text, *rest)

    monkeypatch.setattr(expectation_text, "parse_tree", parse)
    expectation_text.expectation_tree.cache_clear()
    file = tmp_path / "big.plg"
    file.write_text(scenario(expect=lines(1500, "errors < {}")), encoding="utf-8")
    assert not [d for d in lint(file).diagnostics if d.severity == "error"]
    assert len(parsed) == 1500


def test_what_is_near_is_found_without_a_look_at_each(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    real = diagnostics.difflib.get_close_matches

    def close(word: str, known: list[str], **rest: Any) -> list[str]:
        looked.append(len(known))
        return real(word, known, **rest)

    monkeypatch.setattr(diagnostics.difflib, "get_close_matches", close)
    long = "a-name-that-is-longer-than-what-is-left-out-of"
    names = Words([*(f"phase-number-{i}" for i in range(3000)), "warm-up", "stampede", long])
    meant = {
        "stampedes": "stampede", "stmpede": "stampede", "stampade": "stampede", "tsampede": "stampede",
        "warm_up": "warm-up", long.replace("name", "nmae"): long, long.replace("out-of", "out-off"): long,
        "phase-numbr-77": "phase-number-77",
    }  # fmt: skip
    assert {word: nearest(word, names) for word in meant} == meant
    assert nearest("quite-another-thing", names) is None
    assert max(looked) <= 100


ENDLESS = {
    "plain": '"' + "a" * 1_000_000,
    "with dollars": '"' + "a b$ " * 200_000 + "\n",
    "with holes that do not close": '"' + "${a" * 330_000 + "\n",
    "with quotes in holes": '"' + '${choice(\\"' * 90_000 + "\n",
    "of backslashes": '"' + "\\" * 999_999 + "\n",
}


@pytest.mark.parametrize("string", ENDLESS)
def test_a_string_that_is_never_closed_is_given_up_at_its_end(string: str) -> None:
    """A way back to each of its characters would take tens of bytes for each of them, and as much time."""
    text = f'scenario "endless" {{ description {ENDLESS[string]}'
    parse_tree('scenario "what is loaded once is none of it" {')
    tracemalloc.start()
    try:
        faults = parse_tree(text).faults
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert faults[0].code in ("unterminated-string", "syntax")
    assert most < 60 * len(text)
