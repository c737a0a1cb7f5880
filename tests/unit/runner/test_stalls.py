"""plg itself stands still: on the virtual clock it is stopped at a moment, as by SIGSTOP, and goes on later."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.virtual_runs import build

from plg.judge import judge
from plg.pacing import PACINGS
from plg.patterns.registry import read
from plg.plan import make_plan
from plg.queues.base import Job, Queue
from plg.runner.connection import Connection
from plg.runner.encode import batch_encoder
from plg.runner.grid import Grid
from plg.runner.observer import Hooks
from plg.runner.pool import Pool
from plg.runner.watch import Watch
from plg.scenario import Expectation, Guardrails, Scenario, Subject
from plg.testing import Gauges, Server, VirtualClock, sample

LOOSE = Guardrails(max_rate=1e8, max_total_jobs=10**9, max_duration=1e6)


class StoppedClock(VirtualClock):
    """Stands still for whoever looks at it: once it passes ``at``, it is ``length`` seconds later."""

    def __init__(self, *stops: tuple[float, float]) -> None:
        super().__init__()
        self._stops = sorted(stops)

    def _pass(self, moment: float) -> float:
        while self._stops and moment >= self._stops[0][0]:
            at, length = self._stops.pop(0)
            moment = max(moment, at + length)
        return moment

    def sleep_until(self, deadline: float) -> None:
        super().sleep_until(self._pass(deadline))

    def advance(self, seconds: float) -> None:
        super().advance(self._pass(self.now() + seconds) - self.now())


def steady(rate, duration):
    return {"type": "steady", "base_rate": rate, "duration": duration}


def run(
    pattern, *stops, limits=LOOSE, max_lag=1.0, server=None, count=1, watch=None, gauges=None, hooks=None, expect=()
):
    clock = server.clock if server else StoppedClock(*stops)
    server = server or Server(clock)
    scenario = Scenario("s", read(pattern, Path()), (Job("job", queue=Queue("list", "q")),), limits, max_lag=max_lag)
    plan = make_plan(scenario, seed=1)
    connections = [Connection(server.connect, random.Random(1)) for _ in range(count)]
    made = build(
        plan, limits, connections[0] if count == 1 else Pool(connections),
        batch_encoder(scenario, plan, "run"), clock, gauges or Gauges(),
        grid=Grid.of(plan, expect), max_lag=max_lag, watch=watch, hooks=hooks,
        pacing=PACINGS["economical"],
    )  # fmt: skip
    recording = made.run(clock.now())
    t = recording.total
    assert t("planned") == t("sent") + t("shed") + t("late") + t("cancelled")
    assert t("sent") == t("acked") + t("failed") + t("unknown")
    return recording


def expectation(measure, op, bound, aggregate=None):
    return Expectation(f"{measure} {op} {bound}", Subject(measure, aggregate), op, bound)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("rate", [500, 5000, 800_000])
def test_a_stall_under_load_is_recorded_and_what_was_due_in_it_is_held_up(rate, count):
    recording = run(steady(rate, 3), (1.0004, 1.5), count=count)
    [stall] = recording.stalls
    assert stall.start_s == pytest.approx(1.0, abs=0.011)
    assert stall.length_s == pytest.approx(1.5, abs=0.011)
    held = recording.total("held")
    assert held == pytest.approx(1.45 * rate, rel=0.02)
    assert recording.total("late") == pytest.approx(0.5 * rate, rel=0.03)
    assert recording.total("overdue") == pytest.approx(held - recording.total("late"), abs=2)
    cells = recording.counters["overdue"]
    assert set(np.flatnonzero(cells)) <= set(range(*np.searchsorted(recording.edges, [2.49, 2.7])))


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(("rate", "length"), [(0.5, 1.5), (0.5, 0.2), (2, 0.4), (10, 0.08)])
def test_a_stall_between_a_send_and_its_answer_is_plgs_own(rate, length, count):
    """However sparse the traffic: the answer was there all the time."""
    sent = 0.5 / rate
    recording = run(steady(rate, 4 / rate), (sent + 5e-5, length), count=count)
    [stall] = recording.stalls
    assert stall.start_s <= sent + 0.021
    assert recording.total("held") == 1
    assert recording.total("overdue") == recording.total("late") == 0
    slow = expectation("latency", "<", 0.015, "max")
    assert recording.histograms["latency"].over(recording.whole()).max > slow.bound
    [result] = judge([slow], recording)
    assert (result.verdict, result.invalid) == ("no_data", True)


def test_a_stall_in_which_nothing_was_due_and_nothing_awaited_is_recorded_and_harms_nothing():
    recording = run({"type": "custom", "phases": [steady(50, 1), steady(0, 2), steady(50, 1)]}, (1.5, 0.9))
    [stall] = recording.stalls
    assert stall.length_s == pytest.approx(0.9, abs=0.06)
    assert recording.total("held") == 0


@pytest.mark.parametrize("at", [0.0, 0.01, 0.5])
def test_a_stall_at_the_start(at):
    recording = run(steady(100, 2), (at, 0.4))
    assert recording.total("held") == pytest.approx(35, abs=2)
    assert len(recording.stalls) == 1


def test_a_stall_while_the_last_answers_are_awaited_is_not_the_targets_silence():
    """Seven seconds, and the answers come after half of one: nothing is unknown, and nothing took seven seconds."""
    clock = StoppedClock((2.0, 7.0))
    recording = run(steady(100, 2), server=Server(clock, delay=0.25))
    assert recording.total("acked") == 200
    assert len(recording.stalls) == 1
    latency = recording.histograms["latency"]
    calm = recording.counters["held"] == 0
    assert recording.total("held") == pytest.approx(50, abs=2)
    assert latency.over(calm).max < 0.6


def test_a_stall_longer_than_the_patience_with_a_silent_connection():
    recording = run(steady(100, 3), (1.0, 12.0))
    assert recording.total("unknown") == 0
    assert recording.stop is None


def test_a_stall_during_a_reconnection_does_not_give_the_target_up():
    clock = StoppedClock((1.2, 20.0))
    server = Server(clock, down=[(1.0, 22.0)])
    recording = run(steady(100, 30), server=server)
    assert recording.stop is None
    assert recording.total("acked") > 100


def test_a_stall_in_the_watch_after_the_last_send_is_recorded():
    def read_at(t):
        return sample(t, 5.0 if t < 2.2 else 0.0, 0.0, 0.01, 5e7)

    clock = StoppedClock((2.1, 1.5))
    recording = run(
        steady(50, 2), server=Server(clock), watch=Watch(0, 30.0), gauges=Gauges(read_at),
    )  # fmt: skip
    [stall] = recording.stalls
    assert stall.start_s == pytest.approx(2.1, abs=0.06)
    assert stall.length_s == pytest.approx(1.5, abs=0.06)


def test_a_stall_across_the_end_of_max_duration_is_no_guardrail_stop():
    limits = replace(LOOSE, max_duration=2.0)
    recording = run(steady(100, 2), (1.5, 3.0), limits=limits)
    assert recording.stop is None
    assert {hit.action for hit in recording.hits} == {"warn"}
    assert recording.total("late") == recording.total("held") == pytest.approx(50, abs=1)
    cut = run(steady(100, 4), (1.5, 3.0), limits=limits)
    assert (cut.stop, cut.stop_detail) == ("guardrail", "max_duration")


def test_catching_up_at_the_rate_limit_is_still_plgs_own():
    """What waits for the limit behind a stall waits for plg; what waits for the target does not."""
    limits = replace(LOOSE, max_rate=600.0, rate_limit_window=0.1)
    recording = run(steady(500, 4), (1.0, 0.8), limits=limits)
    late = recording.histograms["lag"].over(recording.whole())
    over = sum(int(n) for bucket, n in zip(*late_counts(late), strict=True) if bucket > 0.051)
    assert over > 1000
    assert recording.total("held") == pytest.approx(over, rel=0.05)
    stalled_server = run(steady(5000, 4), server=Server(VirtualClock(), stalled=[(1.0, 2.0)], buffer=100))
    assert stalled_server.total("held") == 0
    assert stalled_server.stalls == ()


def late_counts(distribution):
    from plg.histogram import lower_edge

    found = np.flatnonzero(distribution.counts)
    return lower_edge(found), distribution.counts[found]


def test_jobs_dropped_for_want_of_patience_are_plgs_own():
    """Less patience than what counts as a delay else: a job that was lost through plg is held up all the same."""
    recording = run(steady(100, 2), (1.0, 0.04), max_lag=0.005)
    assert recording.total("late") == recording.total("held") == pytest.approx(3, abs=1)


def test_a_suspended_machine_shows_though_its_clock_stood_still():
    clock = VirtualClock()
    told = []

    def progress(glance):
        if not told and glance.t > 1:
            told.append(glance.t)
            clock.suspend(30.0)

    recording = run(steady(50, 3), server=Server(clock), hooks=Hooks(progress=progress))
    [stall] = recording.stalls
    assert (stall.suspended_s, stall.end_s - stall.start_s) == (30.0, 0.0)
    assert stall.start_s == pytest.approx(told[0], abs=0.06)


def test_of_very_many_stalls_the_longest_are_kept():
    recording = run(steady(20, 60), *((0.2 * k, 0.16 if k % 50 else 0.19) for k in range(1, 290)))
    assert len(recording.stalls) == 200
    assert sum(stall.length_s > 0.17 for stall in recording.stalls) == 5
    assert sorted(recording.stalls, key=lambda stall: stall.start_s) == list(recording.stalls)
