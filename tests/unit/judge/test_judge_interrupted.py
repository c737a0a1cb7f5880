"""A signal that comes while a run is judged: what was judged stands, and the run ends as one that was interrupted."""

from __future__ import annotations

import pytest
from support.judged import expect, record, steady

from plg.judge import decide, outcome
from plg.judge.outcome import judge_attended
from plg.stop import Stop

ASKED = tuple(expect("acked", ">=", float(bound)) for bound in range(20))


class Asked:
    """A stop that is asked for at the n-th look."""

    def __init__(self, after: int, stop: Stop) -> None:
        self.looks, self.after, self.stop = 0, after, stop

    def __call__(self) -> Stop | None:
        self.looks += 1
        return self.stop if self.looks > self.after else None


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_what_is_left_is_given_up(monkeypatch: pytest.MonkeyPatch, name: str, code: int) -> None:
    monkeypatch.setattr(outcome, "GRACE", -1.0)
    results, recording = judge_attended(ASKED, record(steady(10)), Asked(5, Stop("signal", name)))
    assert [result.verdict for result in results] == ["pass"] * 5 + ["no_data"] * 15
    assert results[5].detail == "a signal came before it was judged"
    decision = decide(results, recording)
    assert (decision.verdict, decision.exit_code) == ("interrupted", code)
    assert decision.reason == f"interrupted by {name} while it was judged"


def test_a_moment_is_left_to_judge_the_rest() -> None:
    results, recording = judge_attended(ASKED, record(steady(10)), Asked(5, Stop("signal", "SIGINT")))
    assert {result.verdict for result in results} == {"pass"}
    assert decide(results, recording).exit_code == 130


def test_a_run_that_was_stopped_before_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    stopped = replace(record(steady(10)), stop="signal", stop_detail="SIGTERM", ended_s=4.0)
    results, recording = judge_attended(ASKED, stopped, Asked(0, Stop("signal", "SIGTERM")))
    assert recording is stopped
    assert {result.verdict for result in results} == {"pass"}


def test_without_a_signal_all_is_judged() -> None:
    results, recording = judge_attended(ASKED, record(steady(10)), lambda: None)
    assert {result.verdict for result in results} == {"pass"}
    assert decide(results, recording).exit_code == 0
