"""Every limit holds every time: past it no job leaves, it is seen soon, and how soon is recorded."""

from __future__ import annotations

import dataclasses
import json
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.live import QUEUE, STREAM, adds_up, agrees, drive, executed_at, most_in_a_window, seqs_in, steady
from support.virtual_runs import simulate

from plg.clock import MonotonicClock
from plg.runner.sampler import ThreadSampler
from plg.scenario import ErrorRateLimit, Guardrails
from plg.targets.base import Depth
from plg.testing import BusyClock, Gauges, Server, VirtualClock, sample

REACTION = 0.25
"""Seconds from a gauge over its limit to the last job that may have left."""
LOOK = 0.05
"""Seconds between looks at the error rate while no answers come."""

# Each gauge: its place in a sample, its unit in the limits, and a plausible limit.
GAUGES = {
    "max_queue_depth": ("queue_depth", st.integers(1, 10**6)),
    "max_queue_age": ("queue_age", st.floats(0.1, 1e4)),
    "max_cpu": ("cpu", st.floats(0.01, 4)),
    "max_memory": ("memory", st.floats(1e6, 1e11)),
}


class Late(Gauges):
    """Hands its readings out a while after they were taken."""

    def __init__(self, read, late):
        super().__init__(read)
        self._late = late

    def poll(self, now):
        return super().poll(now - self._late)


def the_stop(recording):
    [hit] = [hit for hit in recording.hits if hit.action == "stop"]
    assert all(
        hit.reaction_s == (0.0 if hit.action == "clip" else None) for hit in recording.hits if hit.action != "stop"
    )
    return hit


def none_sent_after(moment, server, plan):
    """The first job that was due after the moment never reached the server, nor did any that follow it."""
    due = np.concatenate([chunk.due for chunk in plan.chunks()])
    first = int(np.searchsorted(due, moment, side="right"))
    assert first < plan.planned
    assert server.commands <= first
    seqs = [json.loads(job)["seq"] for job in server.jobs()]
    assert max(seqs, default=-1) < first


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(sorted(GAUGES)).flatmap(lambda name: st.tuples(st.just(name), GAUGES[name][1])),
    st.floats(0.05, 4.5),
    st.floats(1.0, 100.0),
    st.floats(2, 3000) | st.floats(10, 30),  # the latter: departures about as far apart as looks at the limits
    st.floats(0.0001, 0.03),
    st.floats(0, 0.09),
)
def test_a_gauge_past_its_limit_stops_the_run(limit, crossed, factor, rate, delay, late):
    name, bound = limit
    field = GAUGES[name][0]
    within = [0.0]

    def read(t):
        quiet = sample(t, 0.0, 0.0, 0.0, 0.0)
        if t < crossed:
            within.append(t)
        return dataclasses.replace(quiet, gauges={**quiet.gauges, field: bound * (factor if t >= crossed else 0.5)})

    limits = dataclasses.replace(Guardrails(1e6, 10**9, 1e6), **{name: bound})
    server = Server(VirtualClock(), delay=delay)
    recording, server, plan = simulate(steady(rate, 5), server=server, limits=limits, gauges=Late(read, late))
    adds_up(recording)
    assert (recording.stop, recording.stop_detail) == ("guardrail", name)
    hit = the_stop(recording)
    assert (hit.guardrail, hit.allowed) == (name, bound)
    assert crossed <= hit.start_s <= crossed + REACTION
    # The stretch that the hit tells of goes from the last reading within the limit to the stop.
    assert hit.reaction_s <= REACTION
    assert hit.reaction_s == hit.start_s - within[-1]
    none_sent_after(hit.start_s, server, plan)
    # The stop is at once, and nothing left after it: what the server executes later was on its way.
    assert recording.ended_s - hit.start_s <= 0.002
    assert max(server.times(), default=0.0) <= hit.start_s + delay + 1e-9
    assert recording.total("cancelled") == plan.planned - recording.total("sent")


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(GAUGES)),
    st.lists(st.sampled_from(["within", "unseen"]), max_size=12),
    st.floats(0, 0.09),
    st.floats(0, 0.05),
)
def test_a_reading_that_failed_says_nothing_about_the_limit(name, readings, late, look):
    """What could not be seen may have been over the limit: the reaction counts from what was seen before it."""
    field = GAUGES[name][0]
    slow = look if name.startswith("max_queue") else 0.0
    values = {"within": 0.5, "unseen": math.nan}
    told = []

    def read(t):
        told.append(readings[len(told)] if len(told) < len(readings) else "over")
        return sample(t, **{"queue_depth": 0, "queue_age": 0, "cpu": 0, "memory": 0} | {field: values.get(told[-1], 2)},
                      asked=t - look)  # fmt: skip

    limits = dataclasses.replace(Guardrails(1e6, 10**9, 1e6), **{name: 1})
    recording, server, plan = simulate(steady(500, 3), limits=limits, gauges=Late(read, late))
    hit = the_stop(recording)
    seen = [max(0.0, 0.1 * n - slow) for n, what in enumerate(readings) if what == "within"]
    assert hit.start_s - hit.reaction_s == pytest.approx(max(seen, default=0.0), abs=1e-9)
    assert hit.start_s <= 0.1 * len(readings) + late + 0.052
    none_sent_after(hit.start_s, server, plan)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(sorted(GAUGES)).flatmap(lambda name: st.tuples(st.just(name), GAUGES[name][1])),
    st.floats(0.2, 1.8),
)
def test_a_gauge_just_below_its_limit_stops_nothing(limit, rate):
    name, bound = limit
    quiet = sample(0.0, 0.0, 0.0, 0.0, 0.0)
    gauges = Gauges(
        lambda t: dataclasses.replace(quiet, t=t, gauges={**quiet.gauges, GAUGES[name][0]: bound * (1 - 1e-9)})
    )
    limits = dataclasses.replace(Guardrails(1e6, 10**9, 1e6), **{name: bound})
    recording, _, plan = simulate(steady(rate * 50, 2), limits=limits, gauges=gauges)
    assert recording.stop is None
    assert recording.total("acked") == plan.planned
    assert {(hit.action, hit.reaction_s) for hit in recording.hits} == {("warn", None)}


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3000), st.floats(10, 3000), st.booleans(), st.floats(0.0001, 0.03))
def test_the_total_is_exact(most, rate, stops, delay):
    limits = Guardrails(1e6, most, 1e6, emergency_stop=stops)
    recording, server, plan = simulate(steady(rate, 2), server=Server(VirtualClock(), delay=delay), limits=limits)
    adds_up(recording)
    sent = min(most, plan.planned)
    assert recording.total("sent") == sent == len(server.jobs())
    assert sorted(json.loads(job)["seq"] for job in server.jobs()) == list(range(sent))
    over = plan.planned > most
    assert recording.stop == ("guardrail" if over and stops else None)
    assert recording.total("cancelled" if stops else "shed") == plan.planned - sent
    # The first job over the limit is not sent, so between reaching it and the stop lies nothing at all.
    hits = [hit for hit in recording.hits if hit.action != "warn"]
    assert [(hit.guardrail, hit.action, hit.reaction_s) for hit in hits] == (
        [("max_total_jobs", "stop", 0.0) if stops else ("max_total_jobs", "clip", 0.0)] if over else []
    )


@settings(max_examples=40, deadline=None)
@given(st.floats(0.01, 3), st.floats(10, 3000), st.booleans(), st.floats(0.0001, 0.03))
def test_the_duration_is_exact(longest, rate, stops, delay):
    limits = Guardrails(1e6, 10**9, longest, emergency_stop=stops)
    recording, server, plan = simulate(steady(rate, 2), server=Server(VirtualClock(), delay=delay), limits=limits)
    adds_up(recording)
    # A plan that fits may send its last jobs a moment late, as at any other time; one that does not stops to the point.
    grace = 0.0 if plan.duration > longest else 0.05
    assert max(server.times(), default=0.0) <= longest + grace + delay + 1e-9
    due = np.concatenate([chunk.due for chunk in plan.chunks()])
    assert recording.total("sent") >= np.sum(due < longest - 0.002)
    cut_off = bool(np.any(due >= longest))
    assert recording.stop == ("guardrail" if cut_off and stops else None)
    if recording.stop:
        hit = the_stop(recording)
        assert (hit.guardrail, hit.reaction_s) == ("max_duration", 0.0)
        none_sent_after(longest, server, plan)


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 0.9), st.floats(0.1, 2), st.floats(0.05, 1.5), st.floats(20, 2000), st.floats(0.0001, 0.03))
def test_an_error_rate_past_its_limit_stops_the_run(fraction, over, from_s, rate, delay):
    server = Server(VirtualClock(), delay=delay)
    bad = int(from_s * rate)
    server.refuse = lambda n: "OOM no" if n >= bad else None
    limits = Guardrails(1e6, 10**9, 1e6, max_error_rate=ErrorRateLimit(fraction, over))
    recording, server, plan = simulate(steady(rate, 12), server=server, limits=limits)
    adds_up(recording)
    # With so long a stretch of errors alone a target counts as refusing, if the window did not fill first.
    assert recording.stop in ("guardrail", "target")
    if recording.stop == "target":
        assert over * fraction > 0.5
        return
    assert recording.stop_detail == "max_error_rate"
    hit = the_stop(recording)
    assert hit.requested > fraction
    assert recording.ended_s - hit.start_s <= 0.002
    # Before anything has left the window it is an answer that passes the limit; later it may be what leaves.
    assert 0 <= hit.reaction_s <= (0 if hit.start_s <= over else LOOK + 0.002)
    none_sent_after(hit.start_s, server, plan)
    # Nothing was left out of the reckoning: before the stop the window was within the limit.
    assert recording.total("failed") / max(1, recording.total("acked") + recording.total("failed")) <= max(
        fraction + (2 + 4 * delay * rate + 0.06 * rate) / max(1.0, min(over, from_s) * rate),
        1.0 if fraction == 0 else 0.95,
    )


@settings(max_examples=40, deadline=None)
@given(
    st.floats(5, 1500),
    st.floats(0.05, 1),
    st.floats(0.2, 3),
    st.lists(st.tuples(st.floats(0.1, 3), st.floats(0.05, 1.5)).map(lambda p: (p[0], p[0] + p[1])), max_size=2),
    st.lists(st.tuples(st.floats(0.1, 3), st.floats(0.05, 1.0)).map(lambda p: (p[0], p[0] + p[1])), max_size=2),
    st.floats(0.05, 0.6),
    st.floats(0.0001, 0.02),
    st.none() | st.integers(0, 2**16),
)
def test_no_window_holds_more_than_the_limit_whatever_happens(
    rate, window, asked, stalls, downs, patience, delay, busy
):
    """Outages, stalls longer than plg's patience, old jobs that are executed after all: the limit is the limit."""
    clock = VirtualClock() if busy is None else BusyClock(busy)
    server = Server(clock, delay=delay, stalled=stalls, down=downs)
    limits = Guardrails(rate, 10**9, 1e6, rate_limit_window=window)
    recording, server, _ = simulate(
        steady(rate * asked, 4), server=server, limits=limits, answer_timeout=patience, give_up_after=30.0, max_lag=2.0
    )
    adds_up(recording)
    # What is over the rate is never sent, and the run goes on.
    assert {(hit.action, hit.reaction_s) for hit in recording.hits} <= {("clip", 0.0), ("warn", None)}
    seqs = [json.loads(job)["seq"] for job in server.jobs()]
    assert len(seqs) == len(set(seqs))
    assert recording.total("acked") <= len(seqs) <= recording.total("acked") + recording.total("unknown")
    times = np.array(server.times())
    # A job is whole: the window is as much longer as the job takes that it ends in.
    capacity = math.ceil(rate * window - 1e-9)
    width = capacity / rate
    if len(times):
        inside = np.searchsorted(times, times + width - 1e-9) - np.arange(len(times))
        assert inside.max() <= capacity


def real_limits():
    tight = Guardrails(1e6, 10**9, 1e6)
    return [
        ("max_queue_depth", dataclasses.replace(tight, max_queue_depth=200)),
        ("max_queue_age", dataclasses.replace(tight, max_queue_age=0.4)),
        ("max_cpu", dataclasses.replace(tight, max_cpu=0.0001)),
        ("max_memory", dataclasses.replace(tight, max_memory=1e6)),
        ("max_total_jobs", dataclasses.replace(tight, max_total_jobs=321)),
        ("max_duration", dataclasses.replace(tight, max_duration=0.5)),
    ]


@pytest.mark.parametrize(("name", "limits"), real_limits(), ids=lambda value: value if isinstance(value, str) else "")
def test_each_limit_stops_a_real_run(server, name, limits):
    ran = drive(server.url(), steady(800, 20), job=STREAM, limits=limits)
    agrees(ran, seqs_in(server))
    assert ran.code == 4
    assert ran.recording.stop_detail == name
    hit = the_stop(ran.recording)
    assert ran.recording.ended_s - hit.start_s < 0.05
    assert 0 <= hit.reaction_s <= (0 if name in ("max_total_jobs", "max_duration") else REACTION)
    times = executed_at(server)
    if name == "max_queue_depth":
        crossed = np.sort(times)[199]
        assert times.max() - crossed <= REACTION
        # By the server's own clock no more time went by than the hit tells of, the way there aside.
        assert times.max() - crossed <= hit.reaction_s + 0.02
    if name == "max_total_jobs":
        assert len(times) == 321
    if name in ("max_duration", "max_queue_age"):
        longest = limits.max_duration if name == "max_duration" else limits.max_queue_age + REACTION
        assert times.max() - times.min() <= longest + 0.01


def test_the_rate_limit_clips_a_real_run(server):
    limits = Guardrails(300, 10**9, 1e6, rate_limit_window=0.5)
    ran = drive(server.url(), steady(900, 1), job=STREAM, limits=limits)
    agrees(ran, seqs_in(server))
    assert ran.code == 0
    assert most_in_a_window(executed_at(server), 0.5) <= 150
    assert ran.total("shed") + ran.total("late") >= 590
    assert ran.total("acked") >= 200


def test_memory_and_processor_are_seen_while_the_server_is_silent(server):
    """A paused server answers no question about its queues; what plg itself uses is watched all the same."""
    limits = dataclasses.replace(Guardrails(1e6, 10**9, 1e6), max_memory=1e6)
    ran = drive(
        server.url(), steady(400, 20), job=QUEUE, limits=limits,
        happen=[(0.0, lambda: server.ask("CLIENT", "PAUSE", 1200, "ALL"))],
    )  # fmt: skip
    adds_up(ran.recording)
    assert (ran.code, ran.recording.stop_detail) == (4, "max_memory")
    assert ran.recording.ended_s < 0.6
    assert the_stop(ran.recording).reaction_s <= REACTION


def test_queues_are_dated_by_the_moment_they_were_asked_for():
    class Slow:
        def look(self):
            time.sleep(0.03)  # the slow answer that this is about
            return Depth(7, 1.0)

        def close(self):
            pass

    clock = MonotonicClock()
    sampler = ThreadSampler(Slow(), clock, interval=0.01)
    zero = clock.now()
    sampler.start(zero)
    time.sleep(0.25)  # six looks or so; one is enough
    sampler.stop()
    samples = [sample for sample in sampler.poll(0.0) if sample["queue_depth"] == 7]
    assert samples
    assert all(0 <= sample.asked <= sample.t - 0.03 + 1e-6 for sample in samples)
