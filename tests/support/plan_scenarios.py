"""Scenarios for the tests of plans, made without any source text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from plg.patterns.registry import read
from plg.plan import Chunk, Plan, make_plan
from plg.queues.base import Job
from plg.scenario import Arrivals, Expectation, Guardrails, Scenario

SALE: dict[str, Any] = {
    "type": "custom",
    "phases": [
        {"name": "doors", "type": "ramp", "start_rate": 10, "end_rate": 200, "duration": 4, "ramp_type": "exponential"},
        {"name": "crowd", "type": "sine", "base_rate": 200, "amplitude": 80, "period": 2, "duration": 6},
        {"name": "stampede", "type": "burst", "base_rate": 50, "burst_rate": 400, "burst_duration": 0.5,
         "burst_interval": 2, "duration": 6},
    ],
}  # fmt: skip


def scenario(
    pattern: dict[str, Any] = SALE,
    *,
    max_rate: float = 1e6,
    max_jobs: int = 10**9,
    max_duration: float = 1e7,
    emergency_stop: bool = True,
    seed: int | None = None,
    poisson: bool = False,
    pacing: Literal["economical", "precise"] = "economical",
    weights: tuple[float, ...] = (8, 2),
    expect: tuple[Expectation, ...] = (),
) -> Scenario:
    return Scenario(
        name="sale",
        pattern=read(pattern, Path()),
        jobs=tuple(Job(f"job{i}", weight=weight) for i, weight in enumerate(weights)),
        guardrails=Guardrails(max_rate, max_jobs, max_duration, emergency_stop=emergency_stop),
        arrivals=Arrivals("poisson" if poisson else "uniform", seed),
        expect=expect,
        pacing=pacing,
    )


def plan(pattern: dict[str, Any] = SALE, *, shard: tuple[int, int] = (0, 1), **more: Any) -> Plan:
    return make_plan(scenario(pattern, **more), shard=shard)


def everything(made: Plan, size: int = 8192) -> Chunk:
    """All chunks of a plan as one."""
    return joined(made.chunks(size))


def joined(chunks: Iterable[Chunk]) -> Chunk:
    nothing = Chunk(np.empty(0, np.int64), np.empty(0), np.empty(0, np.intp), np.empty(0, np.bool_))
    parts = [nothing, *chunks]
    return Chunk(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("seq", "due", "kind", "kept")))
