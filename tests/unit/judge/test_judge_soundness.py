"""What plg itself held up: lines without a verdict, and lines that have one all the same."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from support.judged import Event, Glance, acked, expect, record, steady

from plg.judge import decide, first_breach, judge
from plg.judge.shards import merge
from plg.judge.soundness import held_share
from plg.judge.verdict import Decision
from plg.outcome import ExpectationResult
from plg.runner.recording import Recording, Stall
from plg.scenario import Expectation


def slept(rate: float, start: float, end: float, *, patience: float = 1.0) -> tuple[list[Event], Stall]:
    """A run in which plg stood still: what was due meanwhile is sent at the end of it, or late."""
    events = []
    for event in steady(rate):
        if start <= event.due < end - 0.05:
            late = end - event.due > patience
            event = Event(event.due, "late" if late else "acked", *(() if late else (end, end + 0.001)), held=True)
        events.append(event)
    return events, Stall(start, end)


def stood_still(rate: float, start: float, end: float, patience: float = 1.0, **more: object) -> Recording:
    events, stall = slept(rate, start, end, patience=patience)
    recording = record(events, stalls=(stall,), **more)
    back = int(np.searchsorted(recording.edges, end, "right")) - 1
    recording.counters["overdue"][back] += sum(e.held and e.fate == "acked" for e in events)
    return recording


def judged(recording: Recording, *asked: Expectation) -> tuple[list[ExpectationResult], Decision]:
    results = judge(asked, recording)
    return list(results), decide(results, recording)


LATE = [
    expect("latency", "<", 0.25, "p99"), expect("latency", "<", 0.25, "max"), expect("lag", "<", 0.02, "p99"),
    expect("deviation", "<", 0.05), expect("deviation", "<", 0.05, window=1.0), expect("late", "==", 0.0),
    expect("acked", "==", 1000.0), expect("throughput", ">", 99.0), expect("queue_depth", "<", 10.0),
    expect("latency", "<", 0.25, "p90", window=1.0), expect("service_time", "<", 0.1, "p99"),
]  # fmt: skip


@pytest.mark.parametrize("asked", LATE, ids=[e.text + str(e.window or "") for e in LATE])
def test_invalid_comes_before_fail_for_what_lateness_can_have_caused(asked: Expectation) -> None:
    recording = stood_still(100, 2.0, 4.5)
    [result], decision = judged(recording, asked)
    assert (result.verdict, result.invalid) == ("no_data", True)
    assert (decision.exit_code, decision.verdict) == (5, "invalid")
    assert "plg itself held up" in decision.reason


@pytest.mark.parametrize("measure", ["errors", "failed", "error_rate"])
def test_an_error_fails_an_invalid_run(measure: str) -> None:
    recording = stood_still(100, 2.0, 4.5)
    recording.counters["acked"][15] -= 3
    recording.counters["failed"][15] += 3
    results, decision = judged(recording, expect(measure, "<=", 0.0), expect("deviation", "<", 0.01))
    assert [r.verdict for r in results] == ["fail", "no_data"]
    assert (decision.exit_code, decision.verdict) == (3, "fail")
    assert decision.reason.startswith("1 of 2 expectations failed")
    assert "besides, the generator could not hold the schedule" in decision.reason


def test_what_lateness_has_no_say_in_is_judged_as_ever() -> None:
    recording = stood_still(100, 2.0, 4.5)
    results, decision = judged(
        recording, expect("guardrail_hits", "==", 0.0), expect("planned", "==", 1000.0), expect("shed", ">", 1.0)
    )
    assert [r.verdict for r in results] == ["pass", "pass", "fail"]
    assert decision.exit_code == 3


def test_a_phase_that_was_slept_through_has_no_verdict_of_its_own() -> None:
    """24 of 10,000 jobs are held up: next to nothing of the run, and nearly all of the phase."""
    spans = {"calm": ((0.0, 6.0),), "stampede": ((6.0, 6.5),), "after": ((6.5, 10.0),)}
    events = [*steady(1600, 0, 6), *(Event(6.05 + k / 100, "late", held=True) for k in range(24)), *steady(100, 6.5)]
    events += [acked(6.01 + k / 1000) for k in range(20)]
    recording = record(events, spans=spans, cuts=[6.0, 6.5], stalls=(Stall(6.03, 7.5),))
    assert held_share(recording) < 0.01
    asked = [
        expect("latency", "<", 0.25, "p95", during="stampede"), expect("errors", "==", 0.0, during="stampede"),
        expect("latency", "<", None, "p95", during="calm"), expect("latency", "<", 0.25, "p95", during="calm"),
    ]  # fmt: skip
    asked[2] = replace(asked[2], relative=asked[0].subject, factor=1.2)
    results, decision = judged(recording, *asked)
    assert [(r.verdict, r.invalid) for r in results] == [("no_data", True)] * 3 + [("pass", False)]
    told = "plg itself held up 54.5% of the arrivals in stampede and had to drop 54.5% (at most 1% may be)"
    assert results[0].detail.startswith(told)
    assert (decision.exit_code, decision.verdict) == (5, "invalid")
    assert judged(recording, asked[3], replace(asked[0], level="warn"))[1].exit_code == 0


def test_jobs_of_another_phase_that_plg_sends_late_spoil_the_one_they_fall_into() -> None:
    spans = {"rush": ((0.0, 5.0),), "calm": ((5.0, 10.0),)}
    events = [*steady(1000, 0, 4.96), *steady(10, 5)]
    late = [Event(4.96 + k / 1000, "acked", 5.3, 5.301, held=True) for k in range(40)]
    recording = record([*events, *late], spans=spans, cuts=[5.0], stalls=(Stall(4.95, 5.3),))
    recording.counters["overdue"][int(np.searchsorted(recording.edges, 5.3, "right")) - 1] = 40
    results, decision = judged(recording, expect("throughput", "<", 12.0, during="calm"))
    assert (results[0].verdict, results[0].invalid) == ("no_data", True)
    assert decision.exit_code == 5


SHORT = [
    expect("latency", "<", 0.25, "max"), expect("latency", "<", 0.25, "p99.9"), expect("acked", ">=", 5000.0),
    expect("deviation", "<", 0.001), expect("late", "<", 1.0), expect("throughput", ">=", 500.0),
    expect("deviation", "<", 0.01, window=0.5),
]  # fmt: skip


@pytest.mark.parametrize("asked", SHORT, ids=[e.text + str(e.window or "") for e in SHORT])
def test_a_line_that_broke_by_less_than_the_share_allowed_did_not_break_by_the_target(asked: Expectation) -> None:
    late = stood_still(500, 2.0, 2.12, patience=0.09)
    assert 0 < held_share(late) < 0.01
    asked = replace(asked, bound=0.05) if asked.subject.measure == "latency" else asked
    [result], decision = judged(late, asked)
    assert (result.verdict, result.invalid) == ("no_data", True), result
    assert decision.exit_code == 5


def test_a_slow_target_fails_beside_a_short_stall() -> None:
    events, stall = slept(500, 2.0, 2.12)
    slow = [acked(e.due, service=0.3) if 6 < e.due < 8 else e for e in events]
    asked = [expect("latency", "<", 0.25, "p90"), expect("latency", "<", 0.25, "max"), expect("deviation", "<", 0.001)]
    results, decision = judged(record(slow, stalls=(stall,)), *asked)
    assert [r.verdict for r in results] == ["fail", "fail", "pass"]
    assert decision.exit_code == 3


def test_a_moment_of_lateness_in_a_short_phase_or_window_spoils_nothing_that_holds() -> None:
    """Nine jobs of a hundred leave a tenth of a second late, and all of them are measured."""
    recording = stood_still(100, 5.0, 5.14)
    spans = {"before": ((0.0, 5.0),), "short": ((5.0, 6.0),), "after": ((6.0, 10.0),)}
    short = replace(recording, spans=spans)
    held = expect("latency", "<", 0.25, "p95", during="short")
    windows = expect("deviation", "<", 0.05, window=1.0)
    results, decision = judged(short, held, windows, expect("errors", "==", 0.0, during="short"))
    assert [r.verdict for r in results] == ["pass"] * 3
    assert decision.exit_code == 0
    assert judged(short, replace(held, bound=0.05))[1].exit_code == 5


def test_one_job_that_was_sent_late_is_no_share() -> None:
    events = [replace(event, held=k == 7) for k, event in enumerate(steady(5))]
    recording = record(events, stalls=(Stall(1.4, 1.5),))
    assert held_share(recording) == 0.02
    assert judged(recording, expect("deviation", "<", 0.05), expect("late", "==", 0.0))[1].exit_code == 0
    dropped = [Event(e.due, "late", held=True) if k == 7 else e for k, e in enumerate(events)]
    assert judged(record(dropped), expect("errors", "==", 0.0))[1].exit_code == 5


def test_windows_that_plg_spoiled_neither_pass_nor_fail() -> None:
    recording = stood_still(100, 2.0, 2.08, patience=9.0)
    assert held_share(recording) < 0.01
    asked = expect("latency", "<", 0.07, "max", window=1.0)
    [result], _ = judged(recording, asked)
    assert (result.verdict, result.invalid) == ("no_data", True)
    assert "1 window spoiled by what plg itself held up" in result.detail
    [quota], decision = judged(recording, replace(asked, quota=0.8))
    assert quota.verdict == "pass"
    assert decision.exit_code == 0
    slow = replace(recording.histograms["latency"], maxima=np.where(np.arange(recording.cells) > 9, 0.2, 0.001))
    truly = replace(recording, histograms={**recording.histograms, "latency": slow})
    assert judged(truly, asked)[1].exit_code == 3


def test_what_plg_held_up_does_not_stop_a_run() -> None:
    recording = stood_still(100, 2.0, 3.5)
    asked = [
        expect("late", "==", 0.0, stop=True), expect("latency", "<", 0.25, "max", stop=True),
        expect("deviation", "<", 0.05, window=1.0, stop=True),
    ]  # fmt: skip
    assert first_breach(asked, recording, 6.0) is None
    recording.counters["failed"][12] += 1
    assert first_breach([*asked, expect("errors", "==", 0.0, stop=True)], recording, 7.0) is not None


def glances(*, blind: tuple[float, float] = (math.inf, math.inf), depth: float = 3.0) -> list[Glance]:
    return [Glance(t / 10, queue_depth=depth) for t in range(100) if not blind[0] <= t / 10 < blind[1]]


def test_gauges_that_nobody_could_look_at_have_no_data() -> None:
    spans = {"load": ((0.0, 4.0),), "rest": ((4.0, 10.0),)}
    asked = expect("queue_depth", "<", 10.0, during="rest")
    stall = (Stall(5.0, 8.0),)
    unseen = record(steady(50, 0, 4), glances(blind=(5.0, 8.0)), spans=spans, stalls=stall)
    [result], decision = judged(unseen, asked)
    assert (result.verdict, result.invalid, decision.exit_code) == ("no_data", True, 5)
    assert result.detail.startswith("plg itself stood still for 3s in rest and saw nothing")
    # Another generator of the run looked meanwhile.
    seen = record(steady(50, 0, 4), glances(), spans=spans, stalls=stall)
    assert judged(seen, asked)[1].exit_code == 0


def test_a_drain_that_plg_slept_through_is_not_slow() -> None:
    late = record(steady(50), drain_s=4.0, drain_waited_s=4.0, last_send_s=9.99, stalls=(Stall(10.2, 13.5),))
    [result], decision = judged(late, expect("drain_time", "<", 2.0))
    assert (result.verdict, decision.exit_code) == ("no_data", 5)
    slow = record(steady(50), drain_s=8.0, drain_waited_s=8.0, last_send_s=9.99, stalls=(Stall(10.2, 13.5),))
    assert judged(slow, expect("drain_time", "<", 2.0))[1].exit_code == 3


def test_a_machine_that_was_suspended_says_nothing() -> None:
    recording = record(steady(50), stalls=(Stall(4.1, 4.1, 8.0),))
    results, decision = judged(recording, expect("deviation", "<", 0.05), expect("latency", "<", 1.0, "p99"))
    assert [r.verdict for r in results] == ["no_data", "no_data"]
    assert decision.reason == (
        "the generator could not hold the schedule: the machine was suspended for 8s"
        "; run it again on a calmer or larger machine, or with less load"
    )
    assert decision.exit_code == 5


def test_shards_are_judged_by_what_all_of_them_held_up() -> None:
    part = stood_still(100, 2.0, 4.5)
    whole = merge([record(steady(100)), part], 2, {})
    assert whole.stalls == part.stalls
    assert held_share(whole) == pytest.approx(held_share(part) / 2)
    assert judged(whole, expect("latency", "<", 0.25, "p99"))[1].exit_code == 5


def test_a_plan_of_nothing_keeps_no_promise() -> None:
    asked = [
        expect("errors", "==", 0.0), expect("deviation", "<", 0.05), expect("throughput", "<", 500.0),
        expect("queue_depth", "<", 100.0), expect("guardrail_hits", "==", 0.0),
        expect("deviation", "<", 0.05, window=1.0),
    ]  # fmt: skip
    nothing = record([], glances())
    results, decision = judged(nothing, *asked)
    assert [r.verdict for r in results] == ["no_data"] * len(asked)
    assert {r.detail for r in results} == {"no job was planned", "no window had anything to judge: nothing was planned"}
    assert decision.exit_code == 3
    assert judged(nothing, expect("planned", "==", 0.0))[1].exit_code == 0
    assert judged(nothing)[1].reason == "no job was planned or sent"


def test_errors_are_looked_for_in_vain_where_nothing_was_sent() -> None:
    shed = [Event(e.due, "shed") if e.due < 4 else e for e in steady(20)]
    for measure in ("errors", "failed", "unknown"):
        results, _ = judged(record(shed), expect(measure, "==", 0.0, during="doors"), expect(measure, "==", 0.0))
        assert [(r.verdict, r.detail) for r in results] == [("no_data", "nothing was sent in doors"), ("pass", "")]
    pause = record(steady(20, 4.0))
    assert judged(pause, expect("errors", "==", 0.0, during="doors"))[0][0].verdict == "pass"


def test_jobs_that_fall_late_into_a_pause_are_not_held_up_arrivals_of_it() -> None:
    spans = {"rush": ((0.0, 5.0),), "gap": ((5.0, 10.0),)}
    late = [Event(4.9 + k / 1000, "acked", 5.3, 5.301, held=True) for k in range(4)]
    recording = record([*steady(1000, 0, 4.9), *late], spans=spans, cuts=[5.0], stalls=(Stall(4.88, 5.3),))
    recording.counters["overdue"][int(np.searchsorted(recording.edges, 5.3, "right")) - 1] = 4
    [result], decision = judged(recording, expect("acked", "==", 0.0, during="gap"))
    assert (result.invalid, decision.exit_code) == (True, 5)
    assert result.detail.startswith("plg itself sent 4 jobs late, and so in gap, where none was due")


def growing(rate: float, start: float) -> list[Glance]:
    """Looks at a queue that grows by ``rate`` jobs a second from ``start`` on, the oldest as old as that is ago."""
    times = [k / 10 for k in range(100)]
    return [Glance(t, max(0.0, rate * (t - start)), max(0.0, t - start)) for t in times]


IDLE = Stall(4.0, 9.0, workers=True)


@pytest.mark.parametrize(
    "asked",
    [
        expect("queue_depth", "<", 50.0), expect("queue_age", "<", 1.0), expect("drain_time", "<", 1.0),
        expect("queue_depth", "<", 50.0, window=1.0), expect("queue_age", "<", 1.0, during="stampede"),
        # What holds may do so by the same stall.
        expect("queue_depth", ">", 50.0), expect("drain_time", ">", 1.0), expect("queue_depth", "<", 5000.0),
    ],
    ids=lambda e: e.text + str(e.window or ""),
)  # fmt: skip
def test_lines_of_the_queue_have_no_verdict_where_plgs_own_workers_stood_still(asked: Expectation) -> None:
    recording = record(
        steady(100), growing(100, 4.0), stalls=(IDLE,), last_send_s=10.0, drain_s=3.0, drain_waited_s=2.9, start_depth=0
    )
    [result, errors], decision = judged(recording, asked, expect("errors", "==", 0.0))
    assert (result.verdict, result.invalid, errors.verdict) == ("no_data", True, "pass")
    assert decision.exit_code == 5
    assert "the generator could not hold" not in decision.reason
    assert "plg's own reference workers took no jobs for " in decision.reason
    assert judged(replace(recording, stalls=()), asked)[1].exit_code in (0, 3)


def test_a_line_that_ended_the_run_by_idle_workers_is_no_failure_of_the_target() -> None:
    asked = expect("queue_depth", "<", 50.0, stop=True)
    recording = record(
        steady(100, 0, 6), [g for g in growing(100, 4.0) if g.t < 6], stalls=(Stall(4.0, 6.0, workers=True),),
        ended_s=6.0, stop="expectation", stop_detail=asked.text,
    )  # fmt: skip
    [result], decision = judged(recording, asked)
    assert (result.verdict, result.stopped, decision.exit_code) == ("no_data", True, 5)
    assert asked.text in decision.reason


def test_a_short_stall_is_no_excuse_for_a_queue_that_grows_beyond_what_it_can_have_added() -> None:
    """A tenth of a second asleep holds up ten jobs, and no more: the 500 that wait in the end are the target's."""
    events, stall = slept(100, 2.0, 2.1)
    recording = record(events, growing(100, 2.0), stalls=(stall,))
    for asked in (
        expect("queue_depth", "<", 100.0), expect("queue_age", "<", 2.0), expect("queue_depth", "<", 100.0, window=1.0),
    ):  # fmt: skip
        [result], decision = judged(recording, asked)
        assert (result.verdict, decision.exit_code) == ("fail", 3), result
    assert judged(recording, expect("queue_age", "<", 7.85))[1].exit_code == 5
