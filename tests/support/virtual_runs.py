"""Runs on a virtual clock against the simulated server, put together for one line of a test."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from plg.answers import Answers
from plg.pacing import PACINGS
from plg.patterns.registry import read
from plg.plan import make_plan
from plg.queues.base import Job, Queue
from plg.runner.connection import Connection
from plg.runner.encode import batch_encoder
from plg.runner.grid import Grid
from plg.runner.monitor import Monitor
from plg.runner.observer import Hooks
from plg.runner.recorder import Recorder
from plg.runner.run import Run
from plg.runner.run_clock import RunClock
from plg.runner.sender import Sender
from plg.scenario import Guardrails, Scenario
from plg.testing import Gauges, Server, VirtualClock

LOOSE = Guardrails(max_rate=1e6, max_total_jobs=10**9, max_duration=1e6)


def grid_of(edges):
    """The cells between ``edges``, of which no plan says anything."""
    nothing = np.zeros(len(edges) - 1, dtype=np.int64)
    return Grid(edges, 1.0, float(edges[-2]), {}, nothing, nothing * 0.0, nothing * 0.0)


def confirmed(due, sent, moment):
    """The answer to jobs that were timed."""
    answers = Answers()
    answers.dues.append(due)
    answers.sizes.append(len(due))
    answers.moments.append(moment)
    answers.timed.append(0)
    answers.sent[0] = sent
    return answers


def build(
    plan, limits, transport, encode, clock, sampler, *,
    grid, max_lag=1.0, watch=None, hooks=None, pacing=PACINGS["economical"], budget=None,
):  # fmt: skip
    """A run put together of its parts."""
    recorder, run_clock = Recorder(grid), RunClock(clock)
    sender = Sender(plan, limits, transport, encode, recorder, run_clock, pacing=pacing, max_lag=max_lag, budget=budget)
    monitor = Monitor(plan, limits, sampler, recorder, run_clock, hooks=hooks, watch=watch)
    return Run(sender, monitor, recorder, run_clock)


def simulate(
    pattern, *, server=None, limits=LOOSE, gauges=None, hooks=None, max_lag=1.0, job=None, watch=None, expect=(),
    **patience,
):  # fmt: skip
    """``(recording, server, plan)`` of a run; ``patience`` are the patiences of `Connection`."""
    server = server or Server(VirtualClock())
    clock = server.clock
    scenario = Scenario(
        "s", read(pattern, Path()), (job or Job("job", queue=Queue("list", "q")),), limits, max_lag=max_lag
    )
    plan = make_plan(scenario, seed=1)
    run = build(
        plan, limits, Connection(server.connect, random.Random(1), **patience),
        batch_encoder(scenario, plan, "run"), clock, gauges or Gauges(),
        grid=Grid.of(plan, expect), max_lag=max_lag, hooks=hooks or Hooks(), watch=watch,
    )  # fmt: skip
    return run.run(clock.now()), server, plan
