"""An hour at a steady rate through plg's own loop, on a virtual clock, against a server that answers at once.

Prints one line of JSON: resident memory (MB) at the start, in the fifth minute, and the largest seen. Jobs and windows
are as many as in a real hour, at plg's own tick unless told otherwise, and every wake-up is late by a tenth of a
millisecond on average, so that the histograms hold what a real machine would put into them.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from plg.pacing import PACINGS
from plg.patterns.registry import read
from plg.plan import make_plan
from plg.queues.base import Job, Queue
from plg.runner.connection import Connection
from plg.runner.encode import batch_encoder
from plg.runner.grid import Grid
from plg.runner.monitor import Monitor
from plg.runner.recorder import Recorder
from plg.runner.run import Run
from plg.runner.run_clock import RunClock
from plg.runner.sampler import Sample, resident_bytes
from plg.runner.sender import Sender
from plg.scenario import Guardrails, Scenario
from plg.targets.encoding import Piece
from plg.testing import VirtualClock


class Answering:
    """A link whose server has answered every command by the time somebody looks."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._late = random.Random(1)
        self._waiting = 0
        self.backlog = 0

    def send(self, data: bytes) -> bool:
        self._waiting += data.count(b"LPUSH\r\n")
        return True

    def gather(self, pieces: Sequence[Piece]) -> bool:
        return self.send(b"".join(pieces))

    def receive(self) -> list[tuple[int, str | None]]:
        waiting, self._waiting = self._waiting, 0
        return [(waiting, None)] if waiting else []

    def wait(self, deadline: float, *, answers: bool = True, others: object = ()) -> None:
        self._clock.sleep_until(deadline + self._late.expovariate(10_000))

    def close(self) -> None:
        pass


class Scale:
    """Weighs the process ten times a virtual second, as the sampler of a real run does."""

    def __init__(self) -> None:
        self._next = 0.0
        self.minutes: dict[int, float] = {}

    def poll(self, now: float) -> list[Sample]:
        samples = []
        memory = resident_bytes() if self._next <= now else 0.0
        while self._next <= now:
            gauges = {"queue_depth": 100.0, "queue_age": 0.01, "cpu": 0.05, "memory": memory}
            samples.append(Sample(self._next, gauges))
            minute = int(self._next / 60)
            self.minutes[minute] = max(self.minutes.get(minute, 0.0), memory / 1e6)
            self._next += 0.1
        return samples

    def hurry(self) -> None:
        """The next sample is never more than a tenth of a virtual second away."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=10_000)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--tick", type=float, default=PACINGS["economical"].tick)
    options = parser.parse_args()
    jobs = (Job("job", queue=Queue("list", "q"), payload={"sku": "A-${seq}"}),)
    limits = Guardrails(options.rate * 1.2, 10**9, 1e6, max_queue_depth=10**9, max_memory=4e9)
    pattern = read({"type": "steady", "base_rate": options.rate, "duration": options.minutes * 60}, Path())
    scenario = Scenario("hour", pattern, jobs, limits)
    plan = make_plan(scenario)
    clock, scale = VirtualClock(), Scale()
    recorder, run_clock = Recorder(Grid.of(plan)), RunClock(clock)
    sender = Sender(
        plan, limits, Connection(lambda: Answering(clock), random.Random(1)),
        batch_encoder(scenario, plan, "0123456789ab"), recorder, run_clock,
        pacing=replace(PACINGS["economical"], tick=options.tick),
    )  # fmt: skip
    monitor = Monitor(plan, limits, scale, recorder, run_clock)
    wall = time.perf_counter()
    recording = Run(sender, monitor, recorder, run_clock).run(0.0)
    report(scale.minutes, recording.total("acked"), time.perf_counter() - wall)


def report(minutes: dict[int, float], acked: int, wall: float) -> None:
    """``settled_mb`` is the largest of the fifth minute (of a shorter run: its middle), growth is counted from it."""
    middle = min(4, max(minutes) // 2)
    print(
        json.dumps(
            {
                "jobs": acked,
                "compute_s": wall,
                "start_mb": minutes[0],
                "settled_mb": minutes[middle],
                "most_mb": max(minutes.values()),
                "growth_mb": max(v for m, v in minutes.items() if m >= middle) - minutes[middle],
            }
        )
    )


if __name__ == "__main__":
    main()
