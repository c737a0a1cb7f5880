"""Runs on a virtual clock against a simulated server: what it holds is checked on the server's side."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import virtual_runs
from support.virtual_runs import build

from plg.guardrails.limiter import whole_jobs
from plg.pacing import PACINGS
from plg.patterns.registry import read
from plg.plan import make_plan
from plg.queues.base import Job, Queue
from plg.runner.connection import Connection
from plg.runner.encode import batch_encoder
from plg.runner.grid import Grid
from plg.runner.observer import Hooks
from plg.runner.run import Run
from plg.runner.transmit import STALE
from plg.runner.watch import Watch
from plg.scenario import Arrivals, ErrorRateLimit, Guardrails, Scenario
from plg.stop import Stop
from plg.testing import BusyClock, Gauges, Server, VirtualClock, sample

LOOSE = Guardrails(max_rate=1e6, max_total_jobs=10**9, max_duration=1e6)


JOB = Job("job", queue=Queue("list", "q"))


def simulate(
    pattern,
    *,
    limits=LOOSE,
    server=None,
    jobs=(JOB,),
    gauges=None,
    hooks=None,
    watch=None,
    arrivals=None,
    max_lag=1.0,
    seed=1,
    pacing=PACINGS["economical"],
):
    clock = server.clock if server else VirtualClock()
    server = server or Server(clock)
    scenario = Scenario(
        "s", read(pattern, Path()), tuple(jobs), limits, arrivals=arrivals or Arrivals(), max_lag=max_lag
    )
    plan = make_plan(scenario, seed=seed)
    run = build(
        plan, limits, Connection(server.connect, random.Random(1)), batch_encoder(scenario, plan, "run"), clock,
        gauges or Gauges(), grid=Grid.of(plan),
        max_lag=max_lag, hooks=hooks, watch=watch, pacing=pacing,
    )  # fmt: skip
    return run.run(clock.now()), server, plan


def steady(rate, duration):
    return {"type": "steady", "base_rate": rate, "duration": duration}


def adds_up(recording):
    t = recording.total
    assert t("planned") == t("sent") + t("shed") + t("late") + t("cancelled")
    assert t("sent") == t("acked") + t("failed") + t("unknown")


def test_every_job_arrives_once_and_on_time():
    recording, server, plan = simulate({"type": "ramp", "start_rate": 0, "end_rate": 1000, "duration": 10})
    adds_up(recording)
    assert recording.total("acked") == plan.planned == 5000
    seqs = [json.loads(job)["seq"] for job in server.jobs()]
    assert sorted(seqs) == list(range(5000))
    due = np.concatenate([c.due for c in plan.chunks()])
    late = np.array(server.times()) - np.sort(due)
    assert late.min() >= 0
    assert late.max() <= 0.0012
    assert recording.histograms["lag"].over(recording.whole()).max <= 0.001 + 1e-9


def test_an_hour_of_virtual_time_has_no_drift():
    recording, server, _ = simulate(steady(4, 3600))
    assert recording.total("acked") == 14_400
    assert abs(server.times()[-1] - (3600 - 0.125)) < 0.002
    per_window = recording.counters["acked"][: recording.cells - 1]
    assert recording.window == 5
    assert per_window.min() >= 19
    assert per_window.max() <= 21


def test_rates_below_one_a_second_and_pauses():
    pattern = {"type": "custom", "phases": [steady(0.5, 10), steady(0, 5), steady(0.25, 8)]}
    recording, server, _ = simulate(pattern)
    assert server.times() == pytest.approx([1, 3, 5, 7, 9, 17, 21], abs=0.002)
    assert recording.total("acked") == 7


def test_kinds_keep_their_weights_and_queues():
    jobs = (
        Job("a", weight=8, queue=Queue("list", "x")),
        Job("b", weight=2, queue=Queue("list", "y")),
        Job("c", weight=5, queue=Queue("stream", "z")),
    )
    _, server, _ = simulate(steady(300, 5), jobs=jobs)
    assert {key: len(found) for key, found in server.held.items()} == {"x": 800, "y": 200, "z": 500}
    assert Counter(json.loads(j)["job"] for j in server.jobs()) == {"a": 800, "b": 200, "c": 500}


def test_a_stalled_server_cannot_hide_in_latency():
    clock = VirtualClock()
    server = Server(clock, stalled=[(2.0, 4.0)])
    recording, _, _ = simulate(steady(1000, 6), server=server)
    adds_up(recording)
    assert recording.histograms["latency"].over(recording.whole()).max == pytest.approx(2.0, abs=0.01)
    acked = recording.counters["acked"]
    starts = recording.edges[:-1]
    assert acked[(starts >= 2.05) & (starts < 3.9)].sum() == 0


def test_back_pressure_makes_arrivals_late_not_a_burst():
    clock = VirtualClock()
    server = Server(clock, stalled=[(1.0, 5.0)], buffer=4096)
    recording, server, _ = simulate(steady(1000, 8), server=server, limits=Guardrails(1200, 10**9, 1e6))
    adds_up(recording)
    assert recording.total("late") > 2000
    assert recording.total("held") == 0
    times = np.array(server.times())
    inside = np.searchsorted(times, times + 1.0 - 1e-9) - np.arange(len(times))
    assert inside.max() <= 1200


def test_a_lost_connection_leaves_unknown_and_nothing_twice():
    clock = VirtualClock()
    server = Server(clock, delay=0.004, down=[(1.0, 1.5), (3.0, 3.2)])
    recording, server, _ = simulate(steady(1000, 5), server=server)
    adds_up(recording)
    assert recording.total("unknown") > 0
    seqs = [json.loads(job)["seq"] for job in server.jobs()]
    assert len(seqs) == len(set(seqs))
    assert recording.total("acked") <= len(seqs) <= recording.total("acked") + recording.total("unknown")
    assert recording.stop is None


def test_a_target_that_stays_away_ends_the_run():
    clock = VirtualClock()
    recording, _, _ = simulate(steady(100, 60), server=Server(clock, down=[(2.0, 1e9)]))
    adds_up(recording)
    assert (recording.stop, recording.stop_detail) == ("target", "connection refused")
    assert recording.ended_s == pytest.approx(17, abs=1.5)


@pytest.mark.parametrize(
    "words", ["READONLY You can't write against a read only replica.", "NOAUTH Authentication required."]
)
def test_a_refusal_for_good_stops_at_once(words):
    clock = VirtualClock()
    server = Server(clock, refuse=lambda n: words if n >= 100 else None)
    recording, _, _ = simulate(steady(100, 60), server=server)
    adds_up(recording)
    assert (recording.stop, recording.stop_detail) == ("target", words)
    assert recording.total("failed") <= 2
    assert recording.errors[0][0] == words


def test_a_passing_refusal_is_counted_and_survived():
    clock = VirtualClock()
    server = Server(clock, refuse=lambda n: "OOM command not allowed" if 100 <= n < 150 else None)
    recording, _, _ = simulate(steady(100, 10), server=server)
    adds_up(recording)
    assert recording.stop is None
    assert recording.total("failed") == 50


def test_an_endless_refusal_is_a_refused_target():
    recording, _, _ = simulate(
        steady(100, 60), server=Server(VirtualClock(), refuse=lambda n: "OOM command not allowed")
    )
    adds_up(recording)
    assert recording.stop == "target"
    assert recording.ended_s < 1.5


def test_counted_limits_are_exact():
    recording, server, _ = simulate(steady(1000, 10), limits=Guardrails(1e6, 1234, 1e6))
    assert len(server.jobs()) == recording.total("sent") == 1234
    assert (recording.stop, recording.stop_detail) == ("guardrail", "max_total_jobs")
    recording, server, _ = simulate(steady(1000, 10), limits=Guardrails(1e6, 10**9, 2.5))
    assert max(server.times()) <= 2.5005
    assert recording.stop_detail == "max_duration"
    adds_up(recording)
    recording, server, _ = simulate(steady(1000, 10), limits=Guardrails(1e6, 1234, 1e6, emergency_stop=False))
    assert len(server.jobs()) == 1234
    assert recording.stop is None
    assert recording.total("shed") == 10_000 - 1234
    adds_up(recording)
    [hit] = [hit for hit in recording.hits if hit.action == "clip"]
    assert (hit.start_s, hit.end_s) == (pytest.approx(1.234, abs=0.002), 10.0), "it lasts as long as what it shed"
    recording, _, _ = simulate(steady(1000, 10), limits=Guardrails(1e6, 10**9, 2.5, emergency_stop=False))
    assert [hit.end_s for hit in recording.hits if hit.action == "clip"] == [10.0]


@pytest.mark.parametrize(("rate", "limit", "window"), [(14, 15, 0.1), (15, 15, 0.1), (2.4, 2.5, 1.0), (0.9, 1.9, 1.0)])
def test_a_window_that_holds_no_whole_number_of_jobs_lets_the_mean_rate_through(rate, limit, window):
    limits = replace(LOOSE, max_rate=limit, rate_limit_window=window)
    recording, server, plan = simulate(steady(rate, 40), limits=limits)
    adds_up(recording)
    assert plan.clips == ()
    assert recording.total("acked") == plan.planned == rate * 40
    assert recording.total("late") == recording.total("shed") == 0
    assert recording.histograms["lag"].over(recording.whole()).max < 0.1
    times = np.array(server.times())
    jobs, width = whole_jobs(limit, window)
    assert max(np.count_nonzero((times >= t) & (times < t + width - 1e-9)) for t in times) <= jobs


def test_a_plan_that_max_duration_cuts_inside_a_pause_is_stopped_though_no_job_is_lost():
    pattern = {"type": "custom", "phases": [steady(50, 1), steady(0, 3)]}
    limits = replace(LOOSE, max_duration=2.0)
    recording, _, plan = simulate(pattern, limits=limits)
    assert [clip.guardrail for clip in plan.clips] == ["max_duration"]
    assert (recording.stop, recording.stop_detail) == ("guardrail", "max_duration")
    assert recording.ended_s == pytest.approx(2.0, abs=0.002)
    assert [(h.action, h.requested, h.allowed) for h in recording.hits if h.action != "warn"] == [("stop", 4.0, 2.0)]
    assert recording.total("cancelled") == 0
    passed, _, _ = simulate(pattern, limits=replace(limits, emergency_stop=False))
    assert passed.stop is None
    assert passed.ended_s == pytest.approx(2.0, abs=0.002)
    assert [(h.action, h.end_s) for h in passed.hits if h.action != "warn"] == [("clip", 4.0)]
    whole, _, _ = simulate(pattern, limits=replace(limits, max_duration=4.0))
    assert whole.stop is None
    assert not [h for h in whole.hits if h.action != "warn"]


@pytest.mark.parametrize("repeats", [1, 1000])
def test_the_shortest_plan_is_sent_as_it_was_planned(repeats):
    length = 1e-9 / repeats
    pattern = {"type": "custom", "phases": [steady(1e9 * repeats, length)], "repeat": repeats}
    recording, server, plan = simulate(pattern, limits=replace(LOOSE, max_rate=1e15))
    adds_up(recording)
    assert recording.edges[0] == 0
    assert recording.total("acked") == plan.planned == repeats == len(server.times())
    assert recording.stop is None


def test_exactly_the_limit_is_no_breach():
    recording, _, _ = simulate(steady(100, 10), limits=Guardrails(1e6, 1000, 10))
    assert recording.stop is None
    assert recording.total("acked") == 1000
    assert [h for h in recording.hits if h.action != "warn"] == []


@pytest.mark.parametrize(
    ("limits", "gauge"),
    [
        (Guardrails(1e6, 10**9, 1e6, max_cpu=0.5), lambda t: sample(t, 0, 0, 0.9 if t > 3 else 0.1, 1e6)),
        (Guardrails(1e6, 10**9, 1e6, max_memory=1e8), lambda t: sample(t, 0, 0, 0.1, 2e8 if t > 3 else 1e6)),
        (Guardrails(1e6, 10**9, 1e6, max_queue_depth=100), lambda t: sample(t, 500 if t > 3 else 0, 0, 0, 1e6)),
        (Guardrails(1e6, 10**9, 1e6, max_queue_age=5.0), lambda t: sample(t, 0, 9 if t > 3 else 0, 0, 1e6)),
    ],
)  # fmt: skip
def test_sampled_limits_stop_within_a_quarter_of_a_second(limits, gauge):
    recording, server, _ = simulate(steady(1000, 10), limits=limits, gauges=Gauges(gauge))
    adds_up(recording)
    assert recording.stop == "guardrail"
    assert max(server.times()) <= 3.25
    assert any(h.action == "stop" and h.guardrail == recording.stop_detail for h in recording.hits)


def test_the_error_rate_stops_the_run():
    limits = Guardrails(1e6, 10**9, 1e6, max_error_rate=ErrorRateLimit(0.2, 1.0))
    server = Server(VirtualClock(), refuse=lambda n: "OOM no" if n > 300 and n % 2 else None)
    recording, _, _ = simulate(steady(100, 10), limits=limits, server=server)
    adds_up(recording)
    assert recording.stop_detail == "max_error_rate"
    assert 3.3 < recording.ended_s < 3.8


def test_a_rate_over_the_limit_is_clipped_once_an_excursion():
    burst = {
        "type": "burst",
        "base_rate": 50,
        "burst_rate": 400,
        "burst_duration": 0.5,
        "burst_interval": 2,
        "duration": 6,
    }
    recording, server, _ = simulate(burst, limits=Guardrails(200, 10**9, 1e6, warn_at=1.0))
    adds_up(recording)
    assert recording.total("shed") == pytest.approx(3 * 0.5 * 200, abs=2)
    assert sum(h.guardrail == "max_rate" and h.action == "clip" for h in recording.hits) == 3
    times = np.array(server.times())
    assert (np.searchsorted(times, times + 1.0 - 1e-9) - np.arange(len(times))).max() <= 200


def test_a_signal_cancels_what_is_left():
    clock = VirtualClock()
    server = Server(clock)
    hooks = Hooks(interrupted=lambda: Stop.signal("SIGINT") if clock.now() > 3 else None)
    recording, server, _ = simulate(steady(100, 10), server=server, hooks=hooks)
    adds_up(recording)
    assert (recording.stop, recording.stop_detail) == ("signal", "SIGINT")
    assert recording.total("cancelled") == pytest.approx(700, abs=10)
    assert len(server.jobs()) == recording.total("sent") == recording.total("acked")


def test_drain_time_is_from_the_last_send_to_the_depth_at_the_start():
    gauges = Gauges(lambda t: sample(t, max(5.0, 105 - 50 * max(0, t - 2)), 0, 0, 1e6))
    recording, _, _ = simulate(steady(100, 2), gauges=gauges, watch=Watch(5, 30))
    assert recording.drain_s == pytest.approx(2.0, abs=0.15)
    recording, _, _ = simulate(steady(100, 2), gauges=Gauges(lambda t: sample(t, 99, 0, 0, 1e6)), watch=Watch(5, 3))
    assert recording.drain_s is None
    assert recording.drain_waited_s == pytest.approx(3, abs=0.1)


limits = st.builds(
    Guardrails,
    max_rate=st.floats(1, 2000),
    max_total_jobs=st.integers(1, 3000),
    max_duration=st.floats(0.1, 8),
    max_error_rate=st.none() | st.builds(ErrorRateLimit, st.floats(0, 1), st.floats(0.1, 3)),
    rate_limit_window=st.floats(0.05, 2),
    emergency_stop=st.booleans(),
)
interval = st.tuples(st.floats(0, 5), st.floats(0.01, 2)).map(lambda p: (p[0], p[0] + p[1]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    limits,
    st.lists(interval, max_size=2),
    st.lists(interval.filter(lambda i: i[0] > 0.02), max_size=2),
    st.integers(1, 60),
    st.sampled_from(["uniform", "poisson"]),
    st.floats(0.0001, 0.05),
    st.none() | st.integers(0, 2**16),
)
def test_the_ledger_adds_up_and_agrees_with_the_server_whatever_happens(
    limits, stalls, downs, nth, process, delay, busy
):
    clock = VirtualClock() if busy is None else BusyClock(busy)
    server = Server(
        clock,
        delay=delay,
        stalled=stalls,
        down=downs,
        buffer=20_000,
        refuse=lambda n: "OOM no" if n % nth == nth - 1 else None,
    )
    pattern = {"type": "sine", "base_rate": 200, "amplitude": 250, "period": 2, "duration": 5}
    recording, server, plan = simulate(pattern, limits=limits, server=server, arrivals=Arrivals(process), seed=3)
    adds_up(recording)
    assert recording.total("planned") == plan.planned
    seqs = [json.loads(job)["seq"] for job in server.jobs()]
    assert len(seqs) == len(set(seqs))
    assert recording.total("acked") <= len(seqs) <= recording.total("acked") + recording.total("unknown")
    assert recording.total("sent") <= limits.max_total_jobs
    times = np.array(server.times())
    if len(times):
        capacity, width = whole_jobs(limits.max_rate, limits.rate_limit_window)
        inside = np.searchsorted(times, times + width - 1e-9) - np.arange(len(times))
        assert inside.max() <= capacity


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**16), st.floats(200, 5000), st.sampled_from(sorted(PACINGS)), st.sampled_from([1, 3, 40]))
def test_made_ahead_or_step_by_step_the_same_jobs_leave(seed, rate, pacing, nth):
    """On a machine where everything takes time, with errors in between: each job once, stamped when it left."""
    server = Server(
        BusyClock(seed), delay=0.0003, refuse=lambda n: "OOM no" if n % 500 == 499 and n % nth == 0 else None
    )
    recording, server, plan = simulate(steady(rate, 2), server=server, pacing=PACINGS[pacing])
    adds_up(recording)
    assert recording.total("late") == recording.total("unknown") == 0
    held = {json.loads(job)["seq"]: (at, json.loads(job)["enqueued_at"]) for at, job in server.held["q"]}
    assert len(held) == len(server.jobs()) == recording.total("acked") == plan.planned - recording.total("failed")
    offset = VirtualClock().wall()
    due = np.concatenate([chunk.due for chunk in plan.chunks()])
    for seq, (at, stamp) in held.items():
        # A stamp is that of the departure, known to the accuracy with which two clocks can be read as one.
        assert due[seq] - 1e-4 <= stamp - offset <= at
        assert at - (stamp - offset) <= STALE + 0.0003 + 2 * 0.0055  # the clock may stand still twice on the way
    lag = recording.histograms["lag"].over(recording.whole())
    assert lag.total == plan.planned
    assert recording.histograms["latency"].over(recording.whole()).min >= 0.0006


def test_a_full_connection_is_no_lost_target_though_it_was_lost_a_while_ago():
    server = Server(VirtualClock(), down=[(1.0, 1.2)], stalled=[(8.0, 8.8)], buffer=1000)
    recording, _, _ = virtual_runs.simulate(steady(300, 10), server=server, give_up_after=3.0)
    adds_up(recording)
    assert recording.stop is None
    assert recording.total("late") == 0


def test_timed_answers_are_not_kept_waiting_by_other_work(monkeypatch):
    """service_time is exact on the sends that are timed, however much there is to be counted and made meanwhile."""
    server = Server(BusyClock(3, longest=2e-5), delay=0.0002)
    background_of = Run._background

    def slow(self, counting, batch, following):
        yield from background_of(self, counting, batch, following)
        for _ in range(len(batch.departures) // 4):
            server.clock.advance(0.0006)
            yield 0.0

    monkeypatch.setattr(Run, "_background", slow)
    recording, _, _ = simulate(steady(10_000, 3), server=server)
    taken = recording.histograms["service_time"].over(recording.whole())
    assert taken.total >= 3 * 45 * 5
    assert 0.0004 <= taken.quantile(0.5) <= 0.0006
    assert taken.quantile(0.95) <= 0.0006


@pytest.mark.parametrize("rate", [40, 260, 400, 750, 1300])
def test_answers_are_read_as_they_come_where_there_is_time(rate):
    """Whatever else is to be done between two sends: only next to a send is a latency rounded up."""
    recording, _, _ = simulate(steady(rate, 4), server=Server(BusyClock(3, longest=2e-5), delay=0.0003))
    adds_up(recording)
    for time in ("service_time", "latency"):
        taken = recording.histograms[time].over(recording.whole())
        assert taken.total >= 0.97 * recording.total("sent")
        waited = 0.0008 if rate > 1000 and time == "latency" else 0.0
        assert 0.0006 <= taken.quantile(0.05) <= taken.quantile(0.9) <= 0.0009 + waited


@pytest.mark.parametrize("rate", [40, 400, 750])
def test_answers_are_read_as_they_come_step_by_step_too(rate, monkeypatch):
    monkeypatch.setattr(Connection, "sole", None)
    recording, _, _ = simulate(steady(rate, 4), server=Server(VirtualClock(), delay=0.0003))
    for time in ("service_time", "latency"):
        taken = recording.histograms[time].over(recording.whole())
        assert taken.total == 4 * rate
        assert taken.quantile(0.98) <= 0.0007


def test_answers_are_read_as_they_come_where_what_follows_is_shed():
    limits = Guardrails(max_rate=150, max_total_jobs=10**9, max_duration=1e6)
    recording, _, _ = simulate(steady(3000, 3), limits=limits, server=Server(VirtualClock(), delay=0.0003))
    assert recording.total("sent") == pytest.approx(450, abs=1)
    assert recording.histograms["lag"].over(recording.whole()).max <= 0.0025
    assert recording.histograms["latency"].over(recording.whole()).max <= 0.0035


@pytest.mark.parametrize("delay", [0.0002, 0.02, 0.3, 0.375, 0.425, 0.475])
@pytest.mark.parametrize("rate", [3, 12.93, 21.5, 40, 260, 400, 700, 1300, 10_000])
def test_limits_are_looked_at_every_50_ms_at_any_rate(rate, delay):
    """Also where each answer comes shortly before the next send: a ``delay`` above 0.1 is a share of the time between.

    Half of it is the way there, half the way back.
    """
    moments = [0.0]
    delay = delay if delay < 0.1 else delay / min(rate, 1000)

    class Noting(Gauges):
        def poll(self, now):
            moments.append(now)
            return super().poll(now)

    recording, _, _ = simulate(steady(rate, 4), server=Server(VirtualClock(), delay=delay), gauges=Noting())
    sending = [moment for moment in moments if moment <= recording.ended_s]
    assert np.diff(sending).max() <= 0.056


@pytest.mark.parametrize("pacing", ["economical", "precise"])
@pytest.mark.parametrize("process", ["uniform", "poisson"])
@pytest.mark.parametrize("rate", [20, 300, 700, 1000, 3000, 15_000])
def test_how_many_jobs_have_a_service_time_is_known_beforehand(rate, process, pacing):
    recording, _, plan = simulate(steady(rate, 4), arrivals=Arrivals(process, 1), pacing=PACINGS[pacing])
    timed = recording.histograms["service_time"].over(recording.whole()).total
    expected = 4 * float(PACINGS[pacing].timed(np.array(plan.planned / 4), random=process == "poisson"))
    assert timed == pytest.approx(expected, rel=0.6)
