"""Whole runs and their shards on the virtual clock: the same plan made by one run, and by n."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

from plg.guardrails.dividing import divide
from plg.patterns.registry import read
from plg.plan import Plan, make_plan
from plg.queues.base import Job, Queue
from plg.runner.connection import Connection
from plg.runner.encode import batch_encoder
from plg.runner.grid import Grid
from plg.runner.recording import Recording
from plg.scenario import Arrivals, Guardrails, Scenario
from plg.testing import Gauges, Server, VirtualClock
from support.virtual_runs import build

LIMITS = Guardrails(max_rate=400.0, max_total_jobs=100_000, max_duration=60.0)
JOBS = (Job("a", weight=3, queue=Queue("list", "qa")), Job("b", weight=1, queue=Queue("list", "qb")))
WAVES = {
    "type": "custom",
    "phases": [
        {"name": "up", "type": "ramp", "start_rate": 20, "end_rate": 300, "duration": 3},
        {"name": "top", "type": "sine", "base_rate": 380, "amplitude": 200, "period": 1, "duration": 3},
        {"name": "rest", "type": "steady", "base_rate": 40, "duration": 1},
    ],
}


def scenario(pattern=None, limits: Guardrails = LIMITS, poisson: bool = False) -> Scenario:
    arrivals = Arrivals("poisson", 7) if poisson else Arrivals()
    return Scenario("s", read(pattern or WAVES, Path()), JOBS, limits, arrivals=arrivals)


def planned(of: Scenario, shard: tuple[int, int] = (0, 1)) -> Plan:
    return make_plan(of, shard=shard)


def simulate(of: Scenario, shard: tuple[int, int] = (0, 1)) -> tuple[Recording, list[int], list[float]]:
    """The recording of a shard, the numbers of the jobs its server holds, and when it got them."""
    plan = planned(of, shard)
    clock = VirtualClock()
    server = Server(clock)
    limits = divide(of.guardrails, plan)
    run = build(
        plan, limits, Connection(server.connect, random.Random(1)), batch_encoder(of, plan, "run"), clock, Gauges(),
        grid=Grid.of(plan),
    )  # fmt: skip
    recording = run.run(clock.now())
    return recording, [json.loads(job)["seq"] for job in server.jobs()], server.times()


def with_limits(**more: object) -> Guardrails:
    return replace(LIMITS, **more)  # type: ignore[arg-type]
