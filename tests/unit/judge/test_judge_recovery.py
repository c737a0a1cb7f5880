"""Lines with a deadline: when they came true, and where nobody can tell."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from support.judged import Glance, acked, record, steady

from plg.judge.expectations import judge
from plg.language.expectation import read_expectation
from plg.outcome import ExpectationResult
from plg.plan.watching import deadlines
from plg.runner.merge import merge
from plg.runner.recording import Recording, Stall
from plg.scenario import Recovery

SPANS = {"calm": ((0.0, 4.0),), "rush": ((4.0, 8.0),), "rest": ((8.0, 10.0),)}


def ran(depth: Any, until: float = 20.0, *, workers: Any = None, step: float = 0.1, **more: Any) -> Recording:
    """A run of ten seconds, its queue looked at until ``until``; ``depth`` and ``workers`` by the moment."""
    moments = [round(k * step, 6) for k in range(1, round(until / step) + 1)]
    crew = workers or (lambda t: math.nan)
    glances = [Glance(t, queue_depth=depth(t), workers=crew(t)) for t in moments if depth(t) is not None]
    events = more.pop("events", steady(10, 0, 10))
    cuts = [round(8 + k * 0.5, 6) for k in range(5)]
    more = {"spans": SPANS, "last_send_s": 9.95, "start_depth": 0, "cuts": cuts, **more}
    return record(events, glances, **more)


def judged(text: str, recording: Recording) -> ExpectationResult:
    line, faults = read_expectation(text, list(recording.spans))
    assert line is not None, faults
    [result] = judge([line], recording)
    return result


def hill(t: float) -> float:
    """A backlog that grows from 4 s on and is gone at 14.05 s."""
    return 0 if t < 4 or t > 14.05 else 30


def test_drained_counts_from_the_end_of_its_phase() -> None:
    result = judged("drained within 7s after rush", ran(hill))
    assert (result.verdict, result.observed, result.bound, result.unit) == ("pass", pytest.approx(6.1), 7.0, "s")
    assert result.detail == "drained 6.1s after rush (bound 7s)"
    assert result.recovery is not None
    assert (result.recovery.start_s, result.recovery.deadline_s) == (8.0, 15.0)
    assert result.recovery.at_s == pytest.approx(14.1)


def test_too_late_is_a_failure_at_the_deadline() -> None:
    result = judged("drained within 5s after rush", ran(hill))
    assert (result.verdict, result.observed, result.first_breach_s) == ("fail", pytest.approx(6.1), 13.0)
    assert result.detail == "drained 6.1s after rush (bound 5s)"


def test_what_was_there_before_the_run_need_not_go() -> None:
    assert judged("drained within 1s after rush", ran(lambda t: 5, start_depth=5)).verdict == "pass"
    assert judged("drained within 1s after rush", ran(lambda t: 5, start_depth=None)).verdict == "no_data"


def test_never_drained_tells_what_is_left() -> None:
    result = judged("drained within 5s after rush", ran(lambda t: 0 if t < 4 else 12))
    assert (result.verdict, result.observed) == ("fail", pytest.approx(12.0))
    assert result.detail == "not drained by 12s after rush (bound 5s): 12 jobs left"


@pytest.mark.parametrize(
    ("until", "blind", "verdict"),
    [
        (20, (15, 18), "pass"),  # after it had come true
        (20, (10, 13), "pass"),  # it had not before, or had: it came true in time all the same
        (12, (30, 31), "no_data"),  # the watch ended before the deadline
    ],
)
def test_what_was_not_seen_is_neither_kept_nor_broken(until: float, blind: Any, verdict: str) -> None:
    recording = ran(lambda t: None if blind[0] < t < blind[1] else hill(t), until)
    assert judged("drained within 9s after rush", recording).verdict == verdict


def test_what_nobody_saw_does_not_count_as_having_stayed() -> None:
    """It was at 5 when it was seen, before and after four seconds in which it was not."""
    recording = ran(lambda t: None if 10.2 < t < 14.9 else 30 if 4 <= t <= 9.9 else 5)
    result = judged("queue_depth returns to 20 in every 5s within 6s after rush", recording)
    assert (result.verdict, result.detail) == ("no_data", "the queue could not be seen from 10.3s to 14.9s")
    later = judged("queue_depth returns to 20 in every 5s within 10s after rush", recording)
    assert (later.verdict, later.observed) == ("pass", pytest.approx(6.9))


def test_a_queue_that_nobody_saw_before_the_deadline_has_no_data() -> None:
    recording = ran(lambda t: None if 11 < t < 13.5 else hill(t))
    result = judged("drained within 5s after rush", recording)
    assert (result.verdict, result.observed) == ("no_data", None)
    assert "could not be seen" in result.detail


def test_of_counts_from_the_start_and_every_time_counts() -> None:
    crew = ran(lambda t: 0, workers=lambda t: 1 if t < 6.55 else 4)
    result = judged("workers >= 4 within 3s of rush", crew)
    assert (result.verdict, result.observed) == ("pass", pytest.approx(2.6))
    assert result.detail == "workers came to 4 2.6s into rush (bound 3s)"
    twice = {"rush": ((0.0, 2.0), (4.0, 6.0))}
    assert deadlines(Recovery("drained", 3.0, "rush", "end"), twice["rush"]) == [(2.0, 5.0), (6.0, 9.0)]
    slow = ran(lambda t: 9 if 2 <= t < 2.5 or 6 <= t < 8 else 0, spans=twice)
    assert judged("drained within 3s after rush", slow).observed == pytest.approx(2.0, abs=0.11)


def test_too_few_workers_are_named() -> None:
    result = judged("workers >= 8 within 3s of rush", ran(lambda t: 0, workers=lambda t: 1 if t < 6.55 else 4))
    assert result.verdict == "fail"
    assert result.detail.startswith("workers had not come to >= 8 by")
    assert result.detail.endswith("(bound 3s), 4 at best")


def test_workers_that_nobody_counted_have_no_data() -> None:
    assert judged("workers >= 1 within 3s of rush", ran(lambda t: 0)).verdict == "no_data"


def test_to_return_it_has_to_hold() -> None:
    """One look in the middle of the backlog finds the queue almost empty."""
    recording = ran(lambda t: 1 if 9.95 < t < 10.05 else hill(t))
    assert judged("queue_depth <= 2 within 8s after rush", recording).observed == pytest.approx(2.0, abs=0.11)
    back = judged("queue_depth returns to 2 within 8s after rush", recording)
    assert (back.verdict, back.observed) == ("pass", pytest.approx(6.1))
    assert back.detail == "queue_depth returned to 0 6.1s after rush (bound 8s)"


def test_times_are_read_in_windows_by_the_moment_at_which_jobs_are_due() -> None:
    slow = [acked(8 + k / 100, service=0.2) for k in range(100)]
    fast = [acked(9 + k / 100, service=0.0015) for k in range(100)]
    recording = ran(lambda t: 0, events=[*steady(50, 0, 8), *slow, *fast])
    line = "p95(latency) returns to 2 * p95(latency) during calm in every 500ms within 2s after rush"
    result = judged(line, recording)
    assert (result.verdict, result.observed) == ("pass", pytest.approx(1.0))
    tight = judged(line.replace("within 2s", "within 800ms"), recording)
    assert tight.verdict == "fail"
    assert tight.detail.endswith("at best")


def test_times_without_jobs_have_no_data() -> None:
    recording = ran(lambda t: 0, events=steady(50, 0, 8))
    assert judged("p50(latency) returns to 1s within 2s after rush", recording).verdict == "no_data"
    mixed = [acked(8 + k / 10, service=0.002 if k % 2 else 0.0002) for k in range(20)]
    few = ran(lambda t: 0, events=[*steady(50, 0, 8), *mixed])
    result = judged("p99(latency) returns to 1ms in every 500ms within 2s after rush", few)
    assert (result.verdict, result.observed) == ("no_data", None)
    assert "too few samples" in result.detail


def test_a_run_that_ended_before_has_no_data() -> None:
    result = judged("drained within 5s after rush", ran(hill, 6, stop="user", ended_s=6.0))
    assert (result.verdict, result.detail) == ("no_data", "the run ended before rush was over")


def test_what_plg_held_up_is_no_failure() -> None:
    recording = ran(hill, stalls=(Stall(9.0, 10.5, workers=True),))
    result = judged("drained within 5s after rush", recording)
    assert (result.verdict, result.invalid) == ("no_data", True)


def test_lost_jobs_drain_nothing() -> None:
    result = judged("drained within 7s after rush", ran(hill, lost="3 jobs vanished"))
    assert (result.verdict, result.detail) == ("no_data", "3 jobs vanished")


def test_the_slope_of_a_backlog_is_that_of_least_squares() -> None:
    """Five more a second in the rush, from 4 s to 8 s; then two less."""
    recording = ran(lambda t: 0 if t < 4 else 5 * (t - 4) if t < 8 else 20 - 2 * (t - 8), 16)
    rush = judged("backlog_slope <= 4/s during rush", recording)
    assert (rush.verdict, rush.observed, rush.unit) == ("fail", pytest.approx(5.0, rel=0.02), "jobs/s")
    assert rush.first_breach_s is None
    assert judged("backlog_slope <= -1.9/s during rest", recording).verdict == "pass"
    windows = judged("backlog_slope < 5.2/s in every 2s", recording)
    assert (windows.verdict, windows.observed) == ("pass", pytest.approx(5.0, rel=0.02))
    # Against NumPy's own fit, on samples that lie nowhere near a line.
    wild = ran(lambda t: (37 * t * t) % 23, 12)
    times, depth = wild.sample_times, wild.samples["queue_depth"]
    whole = times <= 10
    slope = float(np.polyfit(times[whole], depth[whole], 1)[0])
    assert judged("backlog_slope < 1000/s", wild).observed == pytest.approx(slope, abs=1e-9)


def test_a_slope_needs_samples() -> None:
    assert judged("backlog_slope < 1/s during rest", ran(hill, 8.15)).verdict == "no_data"
    assert judged("backlog_slope < 1/s", ran(hill, 0.0)).verdict == "no_data"
    unseen = judged("backlog_slope < 1/s during rush", ran(lambda t: None if 5 < t < 7 else hill(t)))
    assert (unseen.verdict, "could not be seen" in unseen.detail) == ("no_data", True)


def test_flaps_are_turns_of_the_number_of_workers_until_the_watch_is_over() -> None:
    def crew(t: float) -> float:
        return 1 if t < 4 else 8 if t < 9 else 3 if t < 12 else 5 if t < 13 else 1

    recording = ran(hill, 15, workers=crew)
    assert (judged("flaps <= 3", recording).verdict, judged("flaps <= 3", recording).observed) == ("pass", 3.0)
    assert judged("flaps <= 2", recording).verdict == "fail"
    assert judged("flaps <= 0 during rush", recording).verdict == "pass"
    assert judged("flaps <= 1", ran(hill)).verdict == "no_data"


def test_nothing_is_drained_before_the_last_delayed_job_is_due() -> None:
    """Jobs are due two seconds after they are sent: until then the queue looks empty."""
    recording = ran(lambda t: 0 if t < 10.05 or t > 12.05 else 9, delayed_s=2.0)
    assert judged("drained within 9s after rush", recording).observed == pytest.approx(2.0, abs=0.11)
    late = ran(lambda t: 0 if t < 9.95 or t > 12.05 else 9, delayed_s=2.0)
    assert judged("drained within 9s after rush", late).observed == pytest.approx(4.1)


def test_shards_look_at_one_crew() -> None:
    """Two generators count the same workers at other moments; the whole run has what either saw."""
    first = ran(hill, workers=lambda t: 1 if t < 6 else 4)
    second = ran(lambda t: 0 if t < 4 or t > 14.25 else 30, workers=lambda t: 1 if t < 5.55 else 4)
    whole = merge([first, second], 2, {})
    assert judged("workers >= 4 within 3s of rush", whole).observed == pytest.approx(1.6)
    assert judged("drained within 9s after rush", whole).observed == pytest.approx(6.1)
    assert judged("flaps <= 1", ran(hill, workers=lambda t: 1 if t < 6 or t > 9 else 4)).observed == 1
