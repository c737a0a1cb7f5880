"""The engine on a virtual clock against the simulated server, put together for one line of a test."""

from __future__ import annotations

import random
from pathlib import Path

from simulated import Gauges, Server

from plg.clock import VirtualClock
from plg.patterns.registry import read
from plg.plan import make_plan
from plg.queues.base import Job, Queue
from plg.runner.connection import Connection
from plg.runner.encode import batch_encoder
from plg.runner.engine import Engine
from plg.runner.grid import Grid
from plg.runner.observer import Hooks
from plg.scenario import Guardrails, Scenario

LOOSE = Guardrails(max_rate=1e6, max_total_jobs=10**9, max_duration=1e6)


def simulate(
    pattern, *, server=None, limits=LOOSE, gauges=None, hooks=None, max_lag=1.0, job=None, watch=None, **patience
):
    """``(recording, server, plan)`` of a run; ``patience`` are the patiences of `Connection`."""
    server = server or Server(VirtualClock())
    clock = server.clock
    scenario = Scenario(
        "s", read(pattern, Path()), (job or Job("job", queue=Queue("list", "q")),), limits, max_lag=max_lag
    )
    plan = make_plan(scenario, seed=1)
    engine = Engine(
        plan, limits, Connection(server.connect, random.Random(1), **patience),
        batch_encoder(scenario, plan, "run"), clock, gauges or Gauges(),
        grid=Grid.of(plan), max_lag=max_lag, hooks=hooks or Hooks(), watch=watch,
    )  # fmt: skip
    return engine.run(clock.now()), server, plan
