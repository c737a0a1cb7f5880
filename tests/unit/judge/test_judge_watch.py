"""The queue is judged over the jobs of the run: also after the last send, and never where nobody saw it."""

from __future__ import annotations

import math

import pytest
from support.judged import Glance, expect, record, steady

from plg.judge.expectations import judge
from plg.judge.stop_rules import first_breach

SPANS = {"calm": ((0.0, 4.0),), "rush": ((4.0, 8.0),), "rest": ((8.0, 10.0),)}
STEP = 0.1


def looks(until, depth, age):
    """A look every 100 ms; ``depth`` and ``age`` of the moment."""
    count = round(until / STEP)
    return [Glance(k * STEP, queue_depth=depth(k * STEP), queue_age=age(k * STEP)) for k in range(1, count + 1)]


def one(expectation, recording):
    [result] = judge([expectation], recording)
    return result


def ran(glances, events=None, **more):
    events = steady(10, 0, 8) if events is None else events
    return record(events, glances, spans=SPANS, last_send_s=8.0, start_depth=0, **more)


def test_what_waits_after_the_last_send_counts_for_the_run_and_for_the_phase_it_is_of():
    """From 10 s on, what was sent at 4.5 s is the oldest: a job of the rush, whatever second it is looked at in."""
    glances = looks(14, lambda t: 0 if t < 4.5 else 40, lambda t: 0 if t < 4.5 else t - 4.5)
    recording = ran(glances)
    whole = one(expect("queue_age", "<", 6.0), recording)
    assert (whole.verdict, whole.observed) == ("fail", pytest.approx(9.5))
    assert whole.first_breach_s == pytest.approx(10.5, abs=0.11)
    rush = one(expect("queue_age", "<", 6.0, during="rush"), recording)
    assert (rush.verdict, rush.observed) == ("fail", pytest.approx(9.5))
    assert one(expect("queue_age", "<", 6.0, during="calm"), recording).verdict == "pass"
    # The pause has its own seconds, and no jobs.
    assert one(expect("queue_age", "<", 6.0, during="rest"), recording).observed == pytest.approx(5.5, abs=0.11)
    assert one(expect("queue_depth", "<", 30.0, during="calm"), recording).verdict == "pass"
    assert one(expect("queue_depth", "<", 30.0, during="rush"), recording).verdict == "fail"


def test_an_age_counts_for_the_phase_of_the_job_that_has_it_also_before_the_last_send():
    """Jobs of the calm wait until 6 s, two seconds into the rush."""
    glances = looks(10, lambda t: 10 if 3 < t < 6 else 0, lambda t: t - 3 if 3 < t < 6 else 0)
    recording = ran(glances)
    assert one(expect("queue_age", "<", 2.0, during="calm"), recording).observed == pytest.approx(2.9)
    # What the rush adds to the depth is not the calm's.
    deep = ran(looks(10, lambda t: 500 if 4 < t < 6 else 0, lambda t: t - 3 if 4 < t < 6 else 0))
    assert one(expect("queue_depth", "<", 100.0, during="calm"), deep).verdict == "pass"


def test_without_an_age_the_order_tells_whose_jobs_wait():
    """80 acked, ten a second: with 35 left, the oldest was due at 4.55 s; with 45 left at 3.55 s."""
    events = steady(10, 0, 8)
    for left, phase, other in ((35, "rush", "calm"), (45, "calm", "rush")):
        recording = ran(
            looks(12, lambda t, n=left: n if t > 8.05 else 0, lambda t: math.nan if t > 8.05 else 0), events
        )
        assert one(expect("queue_depth", "<", 30.0, during=phase), recording).verdict == "fail", left
        assert one(expect("queue_depth", "<", 30.0, during=other), recording).verdict == "pass", left
    before = ran(looks(12, lambda t: 90, lambda t: math.nan), events)
    assert one(expect("queue_depth", "<", 100.0, during="calm"), before).verdict == "pass", "from before the run"


def test_jobs_without_an_age_leave_no_data_and_an_empty_queue_does_not_stand_for_them():
    half = ran(looks(10, lambda t: 5 if 2 < t < 3 else 0, lambda t: math.nan if 2 < t < 3 else 0))
    result = one(expect("queue_age", "<", 1.0), half)
    assert (result.verdict, result.observed) == ("no_data", None)
    assert result.detail == "9 of 100 looks found jobs that do not say when they were enqueued, the first at 2.1s"
    assert one(expect("queue_age", "<", 1.0, during="rush"), half).verdict == "pass", "that part was seen"
    windowed = one(expect("queue_age", "<", 1.0, window=1.0), half)
    assert windowed.verdict == "no_data"
    assert one(expect("queue_age", "<", 1.0, window=1.0, quota=0.8), half).verdict == "pass"
    # What was seen and broke the bound is broken, whatever was not seen.
    both = ran(looks(10, lambda t: 5, lambda t: math.nan if t < 3 else 4.0))
    assert one(expect("queue_age", "<", 1.0), both).verdict == "fail"
    assert one(expect("queue_age", ">", 1.0), both).verdict == "pass"
    assert one(expect("queue_age", "<", 5.0, "mean"), both).verdict == "no_data"
    assert one(expect("queue_age", "!=", 3.0), both).verdict == "pass"
    assert one(expect("queue_age", "==", 4.0), both).verdict == "no_data"


@pytest.mark.parametrize(("blind", "verdict"), [((3.0, 3.8), "pass"), ((3.0, 4.6), "no_data"), ((8.8, 99), "no_data")])
def test_a_second_without_a_look_is_no_data(blind, verdict):
    def depth(t):
        return math.nan if blind[0] < t < blind[1] else 3.0

    recording = ran(looks(10, depth, lambda t: 0 if not math.isnan(depth(t)) else math.nan))
    assert one(expect("queue_depth", "<", 5.0), recording).verdict == verdict
    assert one(expect("queue_age", "<", 5.0), recording).verdict == verdict
    assert one(expect("queue_depth", "<", 2.0), recording).verdict == "fail"


def test_a_bound_of_what_was_not_seen_is_no_bound():
    recording = ran(looks(10, lambda t: math.nan if 1 < t < 3.5 else 3.0, lambda t: 0))
    line = expect(
        "queue_depth", "<", None, during="rush", relative=expect("queue_depth", "<", 1.0, during="calm").subject
    )
    assert one(line, recording).verdict == "no_data"


def test_windows_go_on_through_the_watch():
    recording = ran(looks(30, lambda t: 5 if t > 7 else 0, lambda t: t - 7 if t > 7 else 0))
    assert one(expect("queue_age", "<", 5.0, window=1.0, quota=0.8), recording).verdict == "fail"
    assert "windows" in one(expect("queue_age", "<", 5.0, window=1.0, quota=0.8), recording).detail


def test_processor_and_memory_are_judged_while_it_sends_alone():
    glances = [*looks(10, lambda t: 1, lambda t: 0), Glance(11.0, cpu=0.9), Glance(12.0, cpu=0.9)]
    assert one(expect("cpu", "<", 0.5), ran(glances)).verdict == "pass"


def test_a_line_that_may_stop_the_run_is_seen_broken_in_the_watch():
    glances = looks(13, lambda t: 5 if t > 8 else 0, lambda t: t - 8 if t > 8 else 0)
    recording = ran(glances, ended_s=13.0)
    for line in (expect("queue_age", "<", 4.0, stop=True), expect("queue_age", "<", 3.0, window=1.0, stop=True)):
        assert first_breach([line], recording) is not None
    assert first_breach([expect("queue_age", "<", 4.0, window=1.0, quota=0.9, stop=True)], recording) is None
    early = record(steady(10, 0, 5), looks(5, lambda t: 1, lambda t: 0), spans=SPANS, ended_s=5.0)
    for line in (
        expect("queue_depth", "<", 4.0, "mean", stop=True),
        expect("queue_depth", "<", 4.0, window=1.0, stop=True),
    ):
        assert first_breach([line], early) is None, "what is to come is not missing"
    assert first_breach([expect("queue_depth", "<", 0.5, "mean", stop=True)], early) is not None


def test_a_drain_that_nobody_saw_is_judged_only_as_far_as_it_is_known():
    def drained(op, bound, **marks):
        return one(expect("drain_time", op, bound), ran([], **marks))

    assert drained("<", 5.0, drain_s=6.0, drain_waited_s=1.0).verdict == "no_data"
    assert drained("<", 5.0, drain_s=6.0, drain_waited_s=5.9).verdict == "fail"
    assert drained("<", 9.0, drain_s=6.0, drain_waited_s=1.0).verdict == "pass"
    assert drained("<", 0.5, drain_s=6.0, drain_waited_s=1.0).verdict == "fail"
    assert drained("<", 5.0).detail == "the queue could not be looked at after the last send"


@pytest.mark.parametrize("aggregate", [None, "mean", "p50"])
def test_jobs_that_still_wait_when_nobody_looks_any_more_keep_no_upper_bound(aggregate):
    """The watch ends at 9 s; the job of 7 s waits on, two seconds old, and may wait for ever."""
    waiting = ran(looks(9, lambda t: 0 if t < 7 else 10, lambda t: 0 if t < 7 else t - 7))
    result = one(expect("queue_age", "<", 5.0, aggregate), waiting)
    assert (result.verdict, result.detail) == (
        "no_data", "jobs still waited at the last look, the oldest for 2s: how old they became was not seen",
    )  # fmt: skip
    assert one(expect("queue_age", "<", 5.0, aggregate, during="rush"), waiting).verdict == "no_data"
    assert one(expect("queue_age", "<", 5.0, aggregate, window=1.0), waiting).verdict == "no_data"
    # Those that wait were due after the calm, and a lower bound needs no later look.
    assert one(expect("queue_age", "<", 5.0, aggregate, during="calm"), waiting).verdict == "pass"
    taken = ran(looks(9, lambda t: 10 if 7 <= t < 8.8 else 0, lambda t: t - 7 if 7 <= t < 8.8 else 0))
    assert one(expect("queue_age", "<", 5.0, aggregate), taken).verdict == "pass"
    # What was sent after the run is of somebody else.
    others = ran(looks(9, lambda t: 0 if t < 8.5 else 10, lambda t: 0 if t < 8.5 else t - 8.5))
    assert one(expect("queue_age", "<", 5.0, aggregate), others).verdict == "pass"
