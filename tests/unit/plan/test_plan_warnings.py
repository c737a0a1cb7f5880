"""Warnings: what an expectation lacks, what no expectation looks at, what will be hit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.plan_scenarios import plan

from plg.language.load import load
from plg.plan import make_plan
from plg.plan.plan import PlanWarning
from plg.scenario import Expectation, Subject


def expecting(
    measure: str, aggregate: str | None = None, during: str | None = None, bound: float = 0.05, **more: Any
) -> Expectation:
    return Expectation(f"about {measure}", Subject(measure, aggregate, during), "<", bound, line=41, **more)


QUEUE = expecting("queue_depth")
"""A look at the queue, without which that is warned of."""


COMMON = ("queue-not-judged", "nothing-promised")


def warnings(*expect: Expectation, **more: Any) -> list[PlanWarning]:
    """All but that no line looks at the queue, which few of these do, or none promises anything."""
    return [found for found in plan(expect=expect, **more).warnings if found.code not in COMMON]


def codes(*expect: Expectation, **more: Any) -> list[str]:
    return [warning.code for warning in warnings(*expect, **more)]


@pytest.mark.parametrize(
    ("aggregate", "during", "warned"),
    [
        ("p50", None, False),
        ("p99", None, False),
        ("p99.9", None, True),
        ("p99", "stampede", True),
        ("p95", "stampede", False),
        ("p1", "stampede", True),
        ("max", "stampede", False),
        ("mean", "doors", False),
    ],
)
def test_a_percentile_needs_ten_samples_beyond_it(aggregate: str, during: str | None, warned: bool) -> None:
    found = codes(expecting("latency", aggregate, during), expecting("deviation"))
    assert found == (["too-few-samples"] if warned else [])


def test_the_warning_says_what_it_has_and_what_it_takes() -> None:
    (warning,) = warnings(expecting("latency", "p99.9"))
    assert warning.line == 41
    assert warning.message == "p99.9(latency) rests on 2,279 jobs; it takes 10,000 to mean something"


def test_the_other_side_of_a_comparison_counts_too() -> None:
    both = Expectation("", Subject("latency", "p95"), "<", relative=Subject("latency", "p95", "doors"), line=3)
    assert codes(both) == []
    both = Expectation("", Subject("latency", "p95"), "<", relative=Subject("latency", "p99", "doors"), line=3)
    assert codes(both) == ["too-few-samples"]


def test_windows_too_small_for_their_bound() -> None:
    assert codes(expecting("deviation", window=1.0, bound=0.2)) == []
    (warning,) = warnings(expecting("deviation", window=0.1, bound=0.2))
    assert warning.code == "few-arrivals-per-window"
    assert "of 160 windows of 100ms hold fewer than 5 arrivals (the emptiest 1)" in warning.message
    assert "already beyond 20%" in warning.message
    assert codes(expecting("latency", "p95", window=1.0)) == ["few-arrivals-per-window"]
    assert codes(expecting("latency", "p50", "crowd", window=1.0), expecting("errors")) == []


def test_a_quota_forgives_its_share_of_windows() -> None:
    assert codes(expecting("deviation", window=1.0, bound=0.05)) == ["few-arrivals-per-window"]
    assert codes(expecting("deviation", window=1.0, bound=0.05, quota=0.9)) == []


def test_measures_that_do_not_rest_on_jobs_are_let_be() -> None:
    assert codes(expecting("queue_depth", "p99"), expecting("errors"), expecting("drain_time"), expecting("cpu")) == []


def test_a_phase_that_nobody_looks_at() -> None:
    assert codes() == []
    assert codes(expecting("errors", None, "crowd")) == ["phase-not-judged"]
    (warning,) = warnings(expecting("errors", None, "crowd"))
    assert warning.message == "'doors', 'stampede' are looked at by no expectation"
    every = [expecting("errors", None, name) for name in ("doors", "crowd", "stampede")]
    assert codes(*every) == []
    assert codes(every[0], expecting("errors")) == []


def test_a_phase_inside_or_around_a_judged_one_is_looked_at() -> None:
    steady = {"type": "steady", "base_rate": 50, "duration": 5}
    inner = {"type": "custom", "name": "outer", "phases": [{**steady, "name": "a"}, {**steady, "name": "b"}]}
    assert codes(expecting("errors", None, "outer"), pattern={"type": "custom", "phases": [inner]}) == []
    found = plan({"type": "custom", "phases": [inner, steady]}, expect=(expecting("queue_depth", None, "a"),)).warnings
    assert [warning.message for warning in found] == ["'b', 'phase-1' are looked at by no expectation"]


def test_limits_the_plan_is_bound_to_hit() -> None:
    messages = [warning.message for warning in warnings(max_rate=250.0, max_jobs=1500)]
    assert messages == [
        "max_rate will clip the rate 4 times, first at 4.215s: 82 planned jobs will not be sent",
        "max_total_jobs will end the run at 10.32s: 697 planned jobs will not be sent",
    ]
    assert codes(max_duration=12.0) == ["guardrail-bound-to-hit"]


def test_a_limit_that_is_to_be_passed_over_is_not_said_to_end_the_run() -> None:
    ends, goes_on = (plan(max_jobs=50, emergency_stop=stops).warnings[-1].message for stops in (True, False))
    assert ends.startswith("max_total_jobs will end the run at ")
    assert goes_on.startswith("max_total_jobs will shed the rest of the run at ")


def test_service_time_rests_on_the_jobs_whose_answer_is_awaited() -> None:
    fast = {"type": "steady", "base_rate": 1000, "duration": 10}
    (warning,) = plan(fast, expect=(expecting("service_time", "p99"), QUEUE)).warnings
    assert warning.message == ("p99(service_time) rests on some 500 of 10,000 jobs; it takes 1,000 to mean something")
    (warning,) = plan(fast, poisson=True, seed=1, expect=(expecting("service_time", "p99.9"), QUEUE)).warnings
    assert "rests on some 8," in warning.message
    (warning,) = plan(
        {**fast, "base_rate": 3000}, pacing="precise", expect=(expecting("service_time", "p99.9"), QUEUE)
    ).warnings
    assert "rests on some 1,000 of 30,000 jobs" in warning.message
    slow = {"type": "steady", "base_rate": 200, "duration": 10}
    assert plan(slow, expect=(expecting("service_time", "p99"), QUEUE)).warnings == ()
    (windows,) = plan(fast, expect=(expecting("service_time", "p90", window=1.0), QUEUE)).warnings
    assert windows.code == "few-arrivals-per-window"
    assert "hold fewer than 100 jobs whose answer is awaited (the emptiest 50)" in windows.message


def test_clips_that_are_not_listed_are_not_said_to_be_all() -> None:
    wave = {"type": "sine", "base_rate": 5, "amplitude": 5, "period": 1, "duration": 20_000}
    message = plan(wave, max_rate=6).warnings[-1].message
    assert message.startswith("max_rate will clip the rate at least 10,000 times, first at ")
    fewer = plan({**wave, "duration": 100}, max_rate=6).warnings[-1].message
    assert fewer.startswith("max_rate will clip the rate 100 times, first at ")


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_a_plan_of_nothing_is_said(rate: float) -> None:
    found = warnings(pattern={"type": "steady", "base_rate": rate, "duration": 1})
    assert [(w.code, w.message) for w in found] == [
        ("nothing-planned", f"no job is planned: the traffic comes to {rate:g} jobs, so nothing is sent")
    ]


@pytest.mark.parametrize(("longest", "warned"), [(99, True), (100, False), (None, False)])
def test_a_stream_that_is_kept_shorter_than_the_plan_is_warned_of(
    longest: int | None, warned: bool, tmp_path: Path
) -> None:
    keeps = "" if longest is None else f"max_len {longest}"
    (tmp_path / "s.plg").write_text(
        f'scenario s {{ job a {{ stream "q" {keeps} }} traffic {{ steady 100/s over 1s }} '
        "guardrails { max_rate 200/s max_total_jobs 200 max_duration 1m } }"
    )
    found = [warning.code for warning in make_plan(load(tmp_path / "s.plg").scenario, seed=1).warnings]
    assert ("stream-trimmed" in found) is warned
