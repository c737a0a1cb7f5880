"""What a wake-up and a job cost, in things that every machine counts alike: system calls, Python calls, bytes kept.

Bounds are somewhat above what the loop needs today, so that a test fails when something is added to every wake-up or
every job, and growth is fitted over doublings, so that it fails when work or memory grows faster than the run.
"""

from __future__ import annotations

import gc
import random
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
from support.virtual_runs import build

from plg.pacing import PACINGS
from plg.patterns.registry import read
from plg.plan import make_plan
from plg.queues.base import Job, Queue
from plg.runner.connection import Connection
from plg.runner.encode import batch_encoder
from plg.runner.grid import Grid
from plg.scenario import ErrorRateLimit, Guardrails, Scenario
from plg.targets.channel import SocketChannel
from plg.testing import Gauges, VirtualClock


class Socket:
    """Takes everything at once and has each answer ready as soon as it is looked for. Counts the calls."""

    def __init__(self, calls: Counter) -> None:
        self.calls = calls
        self.pending = 0
        self.answers = b""

    def setblocking(self, flag):
        pass

    def send(self, data):
        self.calls["send"] += 1
        self.calls["bytes"] += len(data)
        self.pending += bytes(data).count(b"LPUSH\r\n")
        return len(data)

    def sendmsg(self, pieces):
        return self.send(b"".join(pieces))

    def recv(self, size):
        self.calls["recv"] += 1
        self.answers += b":1\r\n" * self.pending
        self.pending = 0
        if not self.answers:
            raise BlockingIOError
        read, self.answers = self.answers[:size], self.answers[size:]
        return read

    def close(self):
        pass


class Waiting:
    """Stands in for the select module and the sleeps of the clock: time passes at once, and each wait is counted."""

    def __init__(self, clock: VirtualClock, socket: Socket) -> None:
        self._clock, self._socket = clock, socket

    def select(self, readers, writers, errors, timeout):
        self._socket.calls["wait"] += 1
        if not self._socket.pending:
            self._clock.advance(timeout)


class CountingClock(VirtualClock):
    def __init__(self, calls: Counter) -> None:
        super().__init__()
        self._calls = calls

    def sleep_until(self, deadline):
        self._calls["wait"] += 1
        super().sleep_until(deadline)


LIMITS = Guardrails(1e9, 10**9, 1e6, max_memory=1e9, max_queue_depth=10**9, max_error_rate=ErrorRateLimit(0.05, 10.0))


def run_for(rate, duration, monkeypatch, pacing="economical"):
    """A run over the real wire code, and the counter of its calls. Nothing real is waited for."""
    calls: Counter = Counter()
    clock, socket = CountingClock(calls), Socket(calls)
    monkeypatch.setattr("plg.targets.channel.select", Waiting(clock, socket))
    pattern = read({"type": "steady", "base_rate": rate, "duration": duration}, Path())
    scenario = Scenario("cost", pattern, (Job("job", queue=Queue("list", "q"), payload={"sku": "A-${seq}"}),), LIMITS)
    plan = make_plan(scenario)
    run = build(
        plan, LIMITS, Connection(lambda: SocketChannel(socket, clock), random.Random(1)),
        batch_encoder(scenario, plan, "0123456789ab"), clock, Gauges(), grid=Grid.of(plan), pacing=PACINGS[pacing],
    )  # fmt: skip
    return run, calls


def ran(run):
    recording = run.run(0.0)
    assert recording.total("acked") == recording.total("planned") > 0
    return recording


def calls_of(rate, duration, monkeypatch):
    """Calls of Python and C functions in one run, and the number of its sends; the run before warms the caches."""
    ran(run_for(rate, 0.1, monkeypatch)[0])
    run, calls = run_for(rate, duration, monkeypatch)
    seen: Counter = Counter()

    def notice(frame, event, argument):
        seen[event] += 1

    sys.setprofile(notice)
    try:
        run.run(0.0)
    finally:
        sys.setprofile(None)
    return seen["call"], seen["c_call"], calls["send"]


@pytest.mark.parametrize(
    ("pacing", "sends", "calls"),
    # A send, a look for answers and a wait for ten jobs (three with precise pacing: a fourth is due after the tick); a
    # second look and wait for each answer that is timed.
    [("economical", 1000, 3 + 2 / 20), ("precise", 10_000 / 3, 3 + 2 / 33)],
)
def test_system_calls_of_a_wake_up(pacing, sends, calls, monkeypatch):
    run, seen = run_for(10_000, 2.0, monkeypatch, pacing)
    ran(run)
    assert seen["send"] == pytest.approx(2 * sends, rel=0.02)
    total = seen["send"] + seen["recv"] + seen["wait"]
    assert total / seen["send"] <= calls * 1.05


def test_jobs_a_tick_apart_leave_by_themselves(monkeypatch):
    run, seen = run_for(1000, 2.0, monkeypatch)
    ran(run)
    assert seen["send"] == 2000


def test_a_tick_is_one_write_up_to_a_batch(monkeypatch):
    run, seen = run_for(1_000_000, 0.5, monkeypatch)
    ran(run)
    assert seen["send"] <= 0.5 * 1000 * 1.15


def test_nothing_wakes_where_nothing_is_due(monkeypatch):
    run, seen = run_for(2, 30.0, monkeypatch)
    ran(run)
    jobs, looks = 60, 30 / 0.05
    assert seen["send"] == jobs
    assert seen["wait"] <= looks + 3 * jobs


def test_bytes_of_a_job(monkeypatch):
    run, seen = run_for(1_000_000, 0.2, monkeypatch)
    ran(run)
    assert seen["bytes"] / 200_000 <= 185


def test_calls_of_a_wake_up(monkeypatch):
    """With all that is done beside it: making departures ahead, counting, keeping house."""
    few, many = calls_of(10_000, 1.0, monkeypatch), calls_of(10_000, 3.0, monkeypatch)
    sends = many[2] - few[2]
    python, native = (many[0] - few[0]) / sends, (many[1] - few[1]) / sends
    assert python <= 27
    assert native <= 42


def test_a_job_costs_no_call_of_its_own(monkeypatch):
    """Two hundred times the jobs in as many wake-ups: what is added is by the batch, not by the job."""
    python, native, _ = calls_of(1_000_000, 1.0, monkeypatch)
    assert (python + native) / 1_000_000 <= 0.3


def objects_of(rate, duration, monkeypatch):
    """Containers (tuples, lists, arrays' views …) that were made and not given back at once, and the sends of a run."""
    run, calls = run_for(rate, duration, monkeypatch)
    rounds, before = Counter(), gc.get_threshold()

    def notice(phase, info):
        rounds[phase, info["generation"]] += 1

    gc.collect()
    gc.callbacks.append(notice)
    gc.set_threshold(100, 1_000_000, 1_000_000)
    try:
        run.run(0.0)
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(notice)
    return 100 * rounds["start", 0], calls["send"]


def test_objects_of_a_wake_up(monkeypatch):
    """A departure, its command, its flight, its answer and their lists; the same however many jobs there are."""
    ran(run_for(10_000, 0.1, monkeypatch)[0])
    objects, sends = objects_of(10_000, 3.0, monkeypatch)
    assert objects / sends <= 5
    objects, sends = objects_of(100_000, 3.0, monkeypatch)
    assert objects / sends <= 5


def test_work_grows_as_the_run_does(monkeypatch):
    totals = [sum(calls_of(20_000, seconds, monkeypatch)[:2]) for seconds in (1.0, 2.0, 4.0)]
    assert totals[1] / totals[0] <= 2.1
    assert totals[2] / totals[1] <= 2.1


def kept_bytes(run):
    """What the run leaves behind and the most it held, beyond what stood before it."""
    gc.collect()
    tracemalloc.start()
    try:
        recording = run.run(0.0)
        gc.collect()
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert recording.total("acked") > 0
    return kept, most


def test_memory_is_of_the_windows_and_not_of_the_jobs(monkeypatch):
    """Sixteen times the jobs in the same windows: histograms fill up, and nothing else is kept."""
    ran(run_for(10_000, 0.1, monkeypatch)[0])
    slow, _ = kept_bytes(run_for(20_000, 4.0, monkeypatch)[0])
    fast, _ = kept_bytes(run_for(320_000, 4.0, monkeypatch)[0])
    assert fast <= 3 * slow


def test_what_is_held_while_running_is_bounded(monkeypatch):
    """Twice the jobs and windows: what is on its way levels off, and of what has been only the windows are held."""
    ran(run_for(10_000, 0.1, monkeypatch)[0])
    kept_short, short = kept_bytes(run_for(100_000, 10.0, monkeypatch)[0])
    kept_long, long = kept_bytes(run_for(100_000, 20.0, monkeypatch)[0])
    assert kept_long <= 2.1 * kept_short
    assert long <= 1.6 * short
    assert long <= 20e6


def test_memory_of_a_longer_run_is_that_of_its_windows(monkeypatch):
    """Both runs have 1,000 windows, the second four times as many jobs and wake-ups."""
    ran(run_for(100, 0.1, monkeypatch)[0])
    short, _ = kept_bytes(run_for(100, 50.0, monkeypatch)[0])
    long, _ = kept_bytes(run_for(100, 200.0, monkeypatch)[0])
    assert long <= 2 * short
