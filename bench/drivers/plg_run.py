"""plg's own loop in a process of its own: the whole of it but the reading of a file and the writing of reports.

Prints one line of JSON. ``cpu_s`` and ``wall_s`` are of the run alone, with every thread; the process's own figures,
which the parent reads from the system, also hold the start of Python.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import repeat
from pathlib import Path

import numpy as np

from plg.clock import MonotonicClock
from plg.language.payload import compile_value
from plg.pacing import PACINGS
from plg.patterns.registry import read
from plg.plan import Plan, make_plan
from plg.queues.base import Job, Queue
from plg.queues.registry import format_of
from plg.runner.connection import Connection
from plg.runner.encode import batch_encoder
from plg.runner.grid import Grid
from plg.runner.low_latency import low_latency
from plg.runner.monitor import Monitor
from plg.runner.prepared import Encoder
from plg.runner.recorder import Recorder
from plg.runner.recording import Recording
from plg.runner.run import Run
from plg.runner.run_clock import RunClock
from plg.runner.sampler import ThreadSampler
from plg.runner.sender import Sender
from plg.scenario import ErrorRateLimit, Guardrails, Scenario
from plg.targets.channel import SocketChannel
from plg.targets.encoding import Command, JobEncoder, Kind
from plg.targets.open import open_target

RUN = "0123456789ab"
HEAD = '{"id":"' + RUN + '-${seq}","at":${now_ms},"pad":"'


def single_values(job: Job) -> Encoder:
    """One LPUSH a job, as the rivals send it. plg itself never does this for lists; it shows what the rest costs."""
    made = format_of(job.queue.kind).recipe(job, RUN)
    kind = Kind(replace(made, jobs_a_command=1), job.queue.name, partial(compile_value, run=RUN, job=job.name))
    encoder = JobEncoder([kind])
    return lambda batch, ends, walls: encoder.encode(batch.seq, batch.due, batch.kind, ends, walls, repeat(""))


class CountingConnection(Connection):
    """Remembers the most jobs that were in flight."""

    most = 0

    def send(self, commands: Sequence[Command], now: float, *, timed: bool = True) -> bool:
        clear = super().send(commands, now, timed=timed)
        self.most = max(self.most, self.in_flight)
        return clear


def jobs_of(size: int, queue: str, encoding: str) -> tuple[Job, ...]:
    """One kind of job. ``raw``: ``size`` bytes with an id of its own and its moment. ``json``: plg's envelope."""
    if encoding == "json":
        return (Job("job", queue=Queue("list", queue), payload={"sku": "A-${seq}"}),)
    # 13 digits of time take the place of ${now_ms}, and ${seq} has up to 8 digits.
    room = size - (len(HEAD) - len("${now_ms}") + 13 - len("${seq}") + 7) - len('"}')
    return (Job("job", queue=Queue("list", queue), encoding="raw", payload=HEAD + "x" * max(room, 0) + '"}'),)


def framework_job(kind: str, queue: str) -> Job:
    """A job in the format of a framework, with an argument of 80 bytes as its own client is given."""
    takes, value = format_of(kind).expresses, "x" * 80
    given = {"args": (value,)} if "args" in takes else {"kwargs" if "kwargs" in takes else "payload": {"value": value}}
    call = "tasks.work" if "call" in takes else None
    return Job("job", queue=Queue(kind, queue), call=call, **given)


def main() -> None:
    options = parse()
    pattern = read(
        {"type": "ramp", "start_rate": 0, "end_rate": options.rate, "duration": options.duration}
        if options.ramp
        else {"type": "steady", "base_rate": options.rate, "duration": options.duration},
        Path(),
    )
    limits = Guardrails(
        max_rate=options.rate * 1.2, max_total_jobs=10**9, max_duration=1e6, max_memory=4e9, max_queue_depth=10**9,
        max_error_rate=ErrorRateLimit(0.05, 10.0),
    )  # fmt: skip
    jobs = jobs_of(options.size, options.queue, options.encoding)
    if options.kind != "list":
        jobs = (framework_job(options.kind, options.queue),)
    scenario = Scenario("bench", pattern, jobs, limits)
    plan = make_plan(scenario)
    encode: Encoder = single_values(jobs[0]) if options.single else batch_encoder(scenario, plan, RUN)
    print(json.dumps(run(options, scenario, plan, encode)))


def run(options: argparse.Namespace, scenario: Scenario, plan: Plan, encode: Encoder) -> dict[str, float]:
    clock = MonotonicClock()
    with open_target(options.url, scenario.jobs) as target:
        probe = target.probe()
        probe.look()
        connection = CountingConnection(lambda: SocketChannel(target.connect(), clock), random.Random())
        start = clock.now() + 0.02
        begun = clock.wall() - clock.now() + start
        sampler = ThreadSampler(probe, clock)
        sampler.start(start)
        recorder, run_clock = Recorder(Grid.of(plan)), RunClock(clock)
        sender = Sender(
            plan, scenario.guardrails, connection, encode, recorder, run_clock,
            max_lag=1.0 if options.held else 1e6, pacing=PACINGS[options.pacing],
        )  # fmt: skip
        monitor = Monitor(plan, scenario.guardrails, sampler, recorder, run_clock)
        with low_latency():
            clock.sleep_until(start)
            cpu, wall = time.process_time(), time.perf_counter()
            recording = Run(sender, monitor, recorder, run_clock).run(start)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        sampler.stop()
    cost = {"jobs": recording.total("acked"), "wall_s": wall, "cpu_s": cpu, "most_in_flight": connection.most}
    return cost | {"begun": begun} | own(recording)


def own(recording: Recording) -> dict[str, float]:
    """plg's own account: lag, ledger, and the windows that lie wholly within the plan."""
    lag = recording.histograms["lag"].over(recording.whole())
    p50, p99 = lag.quantile(0.5), lag.quantile(0.99)
    assert p50 is not None
    assert p99 is not None
    planned = recording.counters["planned"][:-1]
    off = np.abs(recording.counters["acked"][:-1] - planned) / np.maximum(planned, 1)
    return {
        "lag_p50_ms": p50 * 1000,
        "lag_p99_ms": p99 * 1000,
        "lag_max_ms": lag.max * 1000,
        "own_window_deviation": float(off.max()),
        "planned": recording.total("planned"),
        "late": recording.total("late"),
        "shed": recording.total("shed"),
        "lost": recording.total("failed") + recording.total("unknown"),
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--queue", default="plg:bench")
    parser.add_argument("--kind", default="list", help="the format of a framework's queue")
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--duration", type=float, required=True)
    parser.add_argument("--ramp", action="store_true", help="from 0 to the rate")
    parser.add_argument("--held", action="store_true", help="drop what is overdue by a second, as plg does by default")
    parser.add_argument("--pacing", choices=sorted(PACINGS), default="economical")
    parser.add_argument("--encoding", choices=["raw", "json"], default="raw")
    parser.add_argument("--size", type=int, default=80, help="bytes of a raw job")
    parser.add_argument("--single", action="store_true", help="one value a command")
    return parser.parse_args()


if __name__ == "__main__":
    main()
