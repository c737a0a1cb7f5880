"""``or stop``: what ends a run at once, what must wait, and that nothing ends a run that would have been well."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.judged import DURATION, Event, Glance, acked, expect, random_events, record, steady

from plg.judge import first_breach, judge
from plg.runner.recording import Recording
from plg.scenario import Expectation, Subject


def so_far(events: list[Event], now: float, glances: list[Glance] | None = None) -> Recording:
    """What a run knows of itself at ``now``: the whole plan, and what has happened."""
    known = []
    for event in events:
        happened = event.answered is not None and event.answered <= now
        if event.fate in ("shed", "late"):
            happened = event.due <= now
        if happened:
            known.append(event)
    recording = record(known, [g for g in glances or [] if g.t <= now], ended_s=now, stop="live")
    planned = record(events).counters["planned"]
    left = np.maximum(np.cumsum(planned) - len(known), 0)
    return replace(
        recording,
        counters={
            **recording.counters,
            "planned": planned,
            "cancelled": np.diff(left, prepend=0),
            "in_flight": 0 * planned,
        },
    )


def breach_at(expectation: Expectation, events: list[Event], glances: list[Glance] | None = None) -> float | None:
    """When a run that looks every quarter of a second would be ended; None where it runs to its end."""
    for step in range(1, int(DURATION * 4) + 1):
        found = first_breach([replace(expectation, stop=True)], so_far(events, step / 4, glances))
        if found is not None:
            assert found.verdict == "fail"
            return step / 4
    return None


def test_only_expectations_marked_so_are_watched() -> None:
    recording = so_far([Event(0.1, "failed", 0.1, 0.2)], 1.0)
    asked = expect("errors", "==", 0.0)
    assert first_breach([asked], recording) is None
    found = first_breach([expect("acked", ">", 0.0, stop=True), replace(asked, stop=True)], recording)
    assert found is not None
    assert (found.text, found.observed, found.first_breach_s, found.first_breach_phase) == (
        asked.text,
        1.0,
        1.0,
        "doors",
    )


def test_a_count_ends_the_run_with_the_event_too_many() -> None:
    events = [*steady(20), Event(3.3, "failed", 3.3, 3.4), Event(5.3, "unknown", 5.3, 5.4)]
    assert breach_at(expect("errors", "==", 0.0), events) == 3.5
    assert breach_at(expect("errors", "<=", 1.0), events) == 5.5
    assert breach_at(expect("errors", "<", 3.0), events) is None
    assert breach_at(expect("errors", "==", 0.0, during="crowd"), events) == 5.5


def test_a_count_that_must_grow_is_given_until_its_span_is_past() -> None:
    assert breach_at(expect("acked", ">=", 30.0, during="doors"), steady(10)) is None
    assert breach_at(expect("acked", ">=", 50.0, during="doors"), steady(10)) == 4.0
    assert breach_at(expect("acked", "==", 40.0, during="doors"), steady(10)) is None
    assert breach_at(expect("acked", "==", 35.0, during="doors"), steady(10)) == 3.75


def test_the_first_jobs_do_not_end_a_run() -> None:
    events = [Event(0.05, "failed", 0.05, 0.06), *steady(20, service=0.002)]
    assert breach_at(expect("error_rate", "<", 0.02), events) is None
    assert breach_at(expect("deviation", "<", 0.05), events) is None
    slow_start = [acked(e.due, service=0.5 if e.due < 0.1 else 0.001) for e in steady(20)]
    assert breach_at(expect("latency", "<", 0.1, "p95"), slow_start) is None


def test_jobs_on_their_way_are_no_deviation() -> None:
    assert breach_at(expect("deviation", "<", 0.05), [acked(e.due, service=0.9) for e in steady(50)]) is None
    lost = [e if e.due < 5 else Event(e.due, "late") for e in steady(50)]
    ended = breach_at(expect("deviation", "<", 0.05), lost)
    assert ended == 5.5


def test_a_share_of_errors_ends_the_run_once_there_are_enough() -> None:
    events = [Event(e.due, "failed", e.due, e.due + 0.001) if i % 4 == 0 else e for i, e in enumerate(steady(100))]
    assert breach_at(expect("error_rate", "<", 0.1), events) == 1.0


def test_percentiles_end_the_run_once_there_are_enough() -> None:
    events = [acked(e.due, service=0.3 if e.due > 4 else 0.001) for e in steady(100)]
    assert breach_at(expect("latency", "<", 0.1, "p50", during="crowd"), events) == 5.5
    # p99 needs 200 samples, or the end of its phase, whichever comes first.
    assert (
        breach_at(expect("latency", "<", 0.1, "p99", during="doors"), [acked(e.due, 0, 0.3) for e in steady(100)])
        == 2.5
    )


def test_throughput_waits_for_its_span_unless_it_is_too_high_already() -> None:
    ramp = [acked(10 * ((k + 0.5) / 1000) ** 0.5) for k in range(1000)]
    assert breach_at(expect("throughput", ">=", 99.0), ramp) is None
    assert breach_at(expect("throughput", ">=", 99.0, during="doors"), ramp) == 4.0
    assert breach_at(expect("throughput", "<", 50.0), ramp) == pytest.approx(7.25)


def test_windows_are_judged_when_past_and_the_quota_counts_all_to_come() -> None:
    events = [e for e in steady(20) if not 3 <= e.due < 5] + [Event(e.due, "late") for e in steady(20, 3, 5)]
    assert breach_at(expect("deviation", "<", 0.2, window=1.0), events) == 4.0
    assert breach_at(expect("deviation", "<", 0.2, window=1.0, quota=0.9), events) == 5.0
    assert breach_at(expect("deviation", "<", 0.2, window=1.0, quota=0.8), events) is None


def test_the_last_window_waits_for_the_last_answers() -> None:
    events = [acked(e.due, service=0.4) if e.due > 9 else e for e in steady(20)]
    asked = expect("deviation", "<", 0.2, window=1.0)
    assert judge([asked], record(events))[0].verdict == "pass"
    assert breach_at(asked, events) is None


@pytest.mark.parametrize(
    ("asked", "ends"),
    [
        # Of the fourth second half of the answers are in when it is over, and those are the quick ones.
        (expect("latency", ">", 0.55, "p50", window=1.0), None),
        (expect("latency", ">", 0.55, "p50", during="doors"), None),
        (expect("latency", "<", 0.45, "max", window=1.0), 1.0),
        (expect("latency", "<", 0.45, "p50", window=1.0), 1.75),
        (expect("latency", "<", 0.45, "p50", during="doors"), 4.75),
    ],
    ids=lambda value: value.text if isinstance(value, Expectation) else "",
)
def test_times_of_a_window_or_phase_are_judged_when_all_answers_are_in(asked: Expectation, ends: float | None) -> None:
    slow = [acked(e.due, service=(0.6 if i % 20 >= 8 else 0.5)) for i, e in enumerate(steady(20))]
    if asked.op == ">":
        assert judge([asked], record(slow, cuts=[float(k) for k in range(10)]))[0].verdict == "pass"
    assert breach_at(asked, slow) == ends


def test_lag_waits_for_jobs_that_have_yet_to_leave() -> None:
    """A target that takes nothing for a second: what leaves then is due in windows that are past."""
    events = [acked(e.due, lag=0.8 if i % 10 >= 4 else 0.0) for i, e in enumerate(steady(20))]
    asked = expect("lag", ">", 0.1, "p50", window=0.5)
    assert judge([asked], record(events))[0].verdict == "pass"
    assert breach_at(asked, events) is None


def test_what_is_still_to_come_does_not_count_as_cancelled() -> None:
    for asked in (expect("cancelled", "==", 0.0), expect("cancelled", "<", 5.0, during="crowd")):
        assert breach_at(asked, steady(20)) is None
    windows = expect("cancelled", "==", 0.0, window=1.0)
    assert breach_at(windows, [acked(e.due, service=0.4) for e in steady(20)]) is None


def test_gauges_end_the_run_at_their_peak() -> None:
    glances = [Glance(t / 10, queue_depth=10 * t) for t in range(100)]
    assert breach_at(expect("queue_depth", "<", 500.0), steady(10), glances) == 5.0
    assert breach_at(expect("queue_depth", ">", 500.0, "min"), steady(10), glances) == 0.25
    assert breach_at(expect("queue_depth", "<", 100.0, "mean"), steady(10), glances) == 2.0


def test_a_relative_bound_is_known_when_its_phase_is_past() -> None:
    events = [acked(e.due, service=0.1 if e.due < 4 else 0.3) for e in steady(100)]
    asked = Expectation(
        "…", Subject("latency", "p50", "crowd"), "<=", None, Subject("latency", "p50", "doors"), 1.2, stop=True
    )
    assert breach_at(asked, events) == 5.5
    reverse = replace(
        asked, subject=Subject("latency", "p50", "doors"), relative=Subject("latency", "p50", "crowd"), op=">="
    )
    assert breach_at(reverse, events) == 9.5, "the answers to the last jobs of crowd come until 9.3"


def test_drain_time_and_unknown_phases_never_end_a_run() -> None:
    recording = replace(so_far(steady(20), 5.0), drain_waited_s=100.0)
    asked = [expect("drain_time", "<", 1.0, stop=True), expect("errors", "==", 0.0, during="lunch", stop=True)]
    assert first_breach(asked, recording) is None


UPPER = st.sampled_from([
    expect("errors", "<=", 12.0), expect("shed", "<", 10.0), expect("acked", "<", 150.0),
    expect("latency", "<", 0.2, "max"),
    expect("deviation", "<", 0.1, window=1.0, quota=0.5), expect("errors", "<=", 2.0, during="crowd"),
    expect("throughput", "<=", 18.0), expect("acked", ">=", 40.0, window=2.0),
])  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 1000), st.integers(50, 200), UPPER)
def test_what_time_cannot_mend_ends_a_run_only_if_it_fails_at_the_end_too(
    seed: int, jobs: int, asked: Expectation
) -> None:
    cuts = [float(k) for k in range(10)]
    events = random_events(seed, jobs)
    ended = breach_at(asked, events)
    final = judge([asked], record(events, cuts=cuts))[0]
    if ended is not None:
        assert final.verdict == "fail"
    elif asked.op in ("<", "<=") and asked.window is None:
        # What fails at the end without having ended the run fails by answers that came after it.
        late = [e for e in events if e.answered is not None and e.answered > DURATION]
        assert final.verdict == "pass" or late
