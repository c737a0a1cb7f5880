"""The verdict of a run: each exit code, and which one wins."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.judged import Event, expect, record, steady

from plg.guardrails.guard import Hit
from plg.judge import decide, judge, worst
from plg.judge.soundness import held_share
from plg.judge.verdict import PRECEDENCE
from plg.outcome import ExpectationResult
from plg.runner.recording import Recording


def result(verdict: str, level: str = "expect", text: str = "deviation < 5%") -> ExpectationResult:
    observed = None if verdict == "no_data" else 0.073
    return ExpectationResult(text, level, verdict, observed, 0.05, "fraction", "<", detail="no samples")  # type: ignore[arg-type]


def held(recording: Recording, jobs: int) -> Recording:
    column = np.zeros(recording.cells, dtype=np.int64)
    column[0] = jobs
    return replace(recording, counters={**recording.counters, "held": column})


def unbalanced(recording: Recording) -> Recording:
    return replace(recording, counters={**recording.counters, "late": recording.counters["late"] + 1})


RUN = record(steady(20))

CASES: dict[str, tuple[dict[str, Any], list[ExpectationResult], int, str]] = {
    "pass": ({}, [result("pass")], 0, "pass"),
    "nothing asked": ({}, [], 0, "pass"),
    "warned": ({}, [result("pass"), result("fail", "warn"), result("no_data", "warn")], 0, "pass"),
    "fail": ({}, [result("pass"), result("fail")], 3, "fail"),
    "no data": ({}, [result("pass"), result("no_data")], 3, "fail"),
    "guardrail": ({"stop": "guardrail", "stop_detail": "max_cpu", "ended_s": 4.5}, [], 4, "stopped"),
    "target": ({"stop": "target", "stop_detail": "connection reset", "ended_s": 4.5}, [], 6, "error"),
    "sigint": ({"stop": "signal", "stop_detail": "SIGINT", "ended_s": 4.5}, [], 130, "interrupted"),
    "user": ({"stop": "user", "stop_by": "ann", "ended_s": 4.5}, [result("fail")], 130, "interrupted"),
    "shard": ({"stop": "shard", "stop_detail": "shard 2 of 4 is lost", "ended_s": 4.5}, [result("fail")], 5, "invalid"),
    "sigterm": ({"stop": "signal", "stop_detail": "SIGTERM", "ended_s": 4.5}, [], 143, "interrupted"),
}


@pytest.mark.parametrize("name", CASES)
def test_each_end_has_its_code(name: str) -> None:
    changes, results, code, word = CASES[name]
    decision = decide(results, replace(RUN, **changes))
    assert (decision.exit_code, decision.verdict) == (code, word)
    assert decision.reason
    assert "\n" not in decision.reason


def test_a_generator_that_was_slow_makes_the_run_invalid_beyond_one_percent() -> None:
    assert decide([result("pass")], held(RUN, 2)).exit_code == 0
    decision = decide([result("pass")], held(RUN, 3))
    assert (decision.exit_code, decision.verdict) == (5, "invalid")
    assert decision.reason == (
        "the generator could not hold the schedule: plg itself held up 1.5% of the arrivals (at most 1% may be)"
        "; run it again on a calmer or larger machine, or with less load"
    )
    assert held_share(record([])) == 0.0


def test_a_ledger_that_does_not_add_up_is_said_loudly() -> None:
    for changes, results, _, _ in CASES.values():
        decision = decide(results, unbalanced(replace(RUN, **changes)))
        assert (decision.exit_code, decision.verdict) == (1, "error")
        assert decision.reason.startswith("INTERNAL ERROR: the ledger does not add up by ")


@pytest.mark.parametrize(
    ("stop", "failing", "slow"),
    list(itertools.product([None, "guardrail", "target", "signal"], [False, True], [False, True])),
)
def test_precedence(stop: str | None, failing: bool, slow: bool) -> None:
    recording = replace(RUN, stop=stop, stop_detail="SIGTERM", ended_s=5.0) if stop else RUN
    recording = held(recording, 100) if slow else recording
    applying = {{"guardrail": 4, "target": 6, "signal": 143}.get(stop or "", 0), 3 if failing else 0, 5 if slow else 0}
    expected = next(code for code in (143, 6, 4, 3, 5, 0) if code in applying)
    decision = decide([result("fail" if failing else "pass")], recording)
    assert decision.exit_code == expected
    # Over several scenarios nothing says that it was not the lateness of the one that broke the line of the other.
    assert worst(applying) == next(code for code in (143, 6, 4, 5, 3, 0) if code in applying)


def test_over_several_scenarios_the_gravest_code_wins() -> None:
    stated = [2, 6, 4, 5, 3]
    for a, b in itertools.combinations(stated, 2):
        assert worst([b, 0, a]) == a
    assert worst([]) == 0
    assert worst([0, 0]) == 0
    assert worst([3, 130]) == 130
    assert worst([130, 1]) == 1
    assert worst([0, 77]) == 77
    assert set(PRECEDENCE) == {0, 1, 2, 3, 4, 5, 6, 129, 130, 143}


REASONS = [
    ([result("pass")] * 7, RUN, "all 7 expectations held"),
    ([result("pass")], RUN, "the one expectation held"),
    ([result("pass")] * 2 + [result("fail", "warn")], RUN, "all 2 expectations held (1 warning)"),
    ([], RUN, "no line says what must hold, so nothing was judged"),
    ([result("pass"), result("fail")], RUN, "1 of 2 expectations failed: deviation < 5% (observed 7.3%)"),
    ([result("no_data")], RUN, "1 of 1 expectation had no data: deviation < 5% (no samples)"),
    (
        [result("fail"), result("no_data"), result("fail")], RUN,
        "2 of 3 expectations failed and 1 had no data: deviation < 5% (observed 7.3%), and 2 others",
    ),
    (
        [replace(result("fail"), stopped=True)],
        replace(RUN, stop="expectation", stop_detail="deviation < 5%", ended_s=8.5),
        "1 of 1 expectation failed: deviation < 5% (observed 7.3%); the run ended at 8.5s in crowd",
    ),
    (
        [result("fail"), replace(result("fail", text="errors == 0"), stopped=True)],
        replace(RUN, stop="expectation", stop_detail="errors == 0", ended_s=8.5),
        "2 of 2 expectations failed: errors == 0 (observed 7.3%), and 1 other; the run ended at 8.5s in crowd",
    ),
    (
        [result("fail")], held(RUN, 100),
        "1 of 1 expectation failed: deviation < 5% (observed 7.3%); besides, "
        "the generator could not hold the schedule: plg itself held up 50% of the arrivals (at most 1% may be)",
    ),
    (
        [result("pass"), replace(result("fail", "warn", "warn lag"), stopped=True)],
        replace(RUN, stop="expectation", stop_detail="warn lag", ended_s=8.5),
        "the run was ended at 8.5s in crowd by warn lag (observed 7.3%); what was to come is not measured",
    ),
    (
        [result("pass")], replace(RUN, stop="expectation", stop_detail="errors == 0 or stop", ended_s=10.0),
        "the watch after the last send was ended by errors == 0 or stop; what was to come is not measured",
    ),
    (
        [result("fail"), replace(result("fail", "warn", "warn lag"), stopped=True)],
        replace(RUN, stop="expectation", stop_detail="warn lag", ended_s=8.5),
        "1 of 1 expectation failed: deviation < 5% (observed 7.3%); "
        "the run was ended at 8.5s in crowd by warn lag (observed 7.3%)",
    ),
    (
        [result("no_data", text="errors == 0"), result("fail"), result("fail", text="late == 0")], RUN,
        "2 of 3 expectations failed and 1 had no data: deviation < 5% (observed 7.3%), and 2 others",
    ),
    (
        [], replace(RUN, stop="signal", stop_detail="SIGINT", ended_s=10.0, stop_s=4.5, stop_by="shard 2 of 3"),
        "interrupted by SIGINT at 4.5s in crowd (shard 2 of 3)",
    ),
    (
        [], replace(
            RUN, stop="guardrail", stop_detail="max_queue_depth", ended_s=4.5,
            hits=(Hit("max_queue_depth", 4.5, 4.5, 51_204, 50_000, "stop"),),
        ), "stopped by max_queue_depth at 4.5s in crowd: 51,204 of at most 50,000",
    ),
    (
        [], replace(
            RUN, stop="guardrail", stop_detail="max_total_jobs", ended_s=4.5,
            hits=(Hit("max_total_jobs", 4.5, 4.5, 10, 5, "stop"),),
        ), "stopped by max_total_jobs at 4.5s in crowd: 10 asked of at most 5",
    ),
    ([], replace(RUN, stop="signal", stop_detail="SIGINT", ended_s=4.5), "interrupted by SIGINT at 4.5s in crowd"),
    (
        [], replace(RUN, stop="target", stop_detail="connection reset", ended_s=4.5),
        "the target failed at 4.5s in crowd: connection reset",
    ),
    ([], replace(RUN, stop="target", stop_detail="refused", ended_s=0.0), "the target could not be used: refused"),
    ([], replace(RUN, stop="user", stop_by="ann", ended_s=4.5), "stopped by ann at 4.5s in crowd"),
    (
        [], replace(RUN, stop="user", stop_detail="too slow", stop_by="ann", ended_s=4.5),
        "stopped by ann at 4.5s in crowd: too slow",
    ),
    (
        [], replace(RUN, stop="guardrail", stop_detail="max_cpu", stop_by="shard 2 of 4", ended_s=4.5),
        "stopped by max_cpu at 4.5s in crowd (seen by shard 2 of 4)",
    ),
    (
        [], replace(RUN, stop="target", stop_detail="refused", stop_by="shard 2 of 4", ended_s=4.5),
        "the target failed at 4.5s in crowd (seen by shard 2 of 4): refused",
    ),
    (
        [], replace(RUN, stop="shard", stop_detail="shard 2 of 4 is lost", ended_s=4.5),
        "not judged: stopped at 4.5s in crowd: shard 2 of 4 is lost",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("results", "recording", "reason"), REASONS)
def test_the_reason_is_one_plain_sentence(results: list[ExpectationResult], recording: Recording, reason: str) -> None:
    assert decide(results, recording).reason == reason


@pytest.mark.parametrize("level", ["expect", "warn"])
def test_a_run_that_a_line_ended_early_never_passes(level: str) -> None:
    """Also by other lines, asked afterwards: nobody saw what the rest of the run would have brought."""
    asked = expect("errors", "==", 0.0, stop=True, level=level, text="errors == 0 or stop")
    recording = record(
        [*steady(20, 0, 3), Event(0.01, "failed", 0.01, 0.02)], stop="expectation", stop_detail=asked.text, ended_s=3.0
    )
    for lines in ([asked, expect("acked", ">", 5.0)], [expect("acked", ">", 5.0)], []):
        decision = decide(judge(lines, recording), recording)
        assert decision.exit_code == 3
        assert "errors == 0 or stop" in decision.reason


def test_a_run_ended_by_an_expectation_fails_even_where_late_answers_mended_it() -> None:
    asked = expect("error_rate", "<", 0.05, stop=True)
    recording = record(
        [*steady(20, 0, 3), Event(0.01, "failed", 0.01, 0.02)], stop="expectation", stop_detail=asked.text, ended_s=3.0
    )
    assert decide(judge([asked], recording), recording).exit_code == 3
