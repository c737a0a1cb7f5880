"""The whole way, from a scenario file to a judged outcome: what every entry calls."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from plg.clock import MonotonicClock
from plg.guardrails.policy import Policy
from plg.judge import first_breach, make_outcome
from plg.language.load import Loaded, load
from plg.outcome import Outcome
from plg.plan import Plan, make_plan
from plg.redaction import redact
from plg.runner.cells import edges_of, nothing_sent, window_width
from plg.runner.dialer import ThreadDialer
from plg.runner.encode import batch_encoder
from plg.runner.engine import Drain, Engine, Hooks, Progress
from plg.runner.lane import Lane
from plg.runner.recording import Recording
from plg.runner.sampler import ThreadSampler
from plg.scenario import Scenario
from plg.targets.base import Server, Target, TargetError
from plg.targets.open import open_target
from plg.targets.wire import Wire
from plg.targets.worker import ReferenceWorkers, WorkersReport

LEAD = 0.02
"""Seconds between the last preparation and the first moment of the schedule."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked beside the file: overrides of params, target and seed, and the policy to apply."""

    overrides: Mapping[str, str]
    target: str | None = None
    seed: int | None = None
    policy: Policy | None = None
    environment: str | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A scenario that can be run: loaded, under policy, planned. ``notes`` are remarks the report repeats."""

    loaded: Loaded
    scenario: Scenario
    plan: Plan
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Observer:
    """Where a run tells how it goes, and hears that it should stop."""

    progress: Callable[[Progress], None] | None = None
    interrupted: Callable[[], str | None] = lambda: None
    progress_every: float = 1.0


def prepare(file: Path, request: Request) -> Prepared:
    """Read, validate, put under policy and plan. Raises `ScenarioError` with every fault."""
    loaded = load(file, overrides=request.overrides, target=request.target)
    scenario = loaded.scenario
    notes: tuple[str, ...] = ()
    if request.policy is not None:
        scenario, notes = request.policy.apply(scenario, request.environment)
    plan = make_plan(scenario, seed=request.seed)
    edges_of(plan, scenario.expect)
    return Prepared(loaded, scenario, plan, notes)


def run(prepared: Prepared, observer: Observer) -> Outcome:
    """Run and judge. Whatever the target does, an outcome comes back."""
    run_id = uuid.uuid4().hex[:12]
    started = datetime.now(UTC)
    scenario, plan = prepared.scenario, prepared.plan
    workers: WorkersReport | None = None
    server = Server("unknown", redact(scenario.target), "unknown", "")
    notes = list(prepared.notes)
    try:
        with open_target(scenario.target, scenario.jobs) as target:
            server = target.server
            notes += target.notes
            recording, workers, more = _run_on(target, prepared, run_id, observer)
            notes += more
    except TargetError as error:
        recording = nothing_sent(plan, scenario.expect, "target", str(error))
    return make_outcome(
        scenario,
        plan.to_document(),
        recording,
        run_id=run_id,
        seed=plan.seed,
        started_at=started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        server=server,
        workers=workers,
        warnings=tuple(notes),
    )


def _run_on(
    target: Target, prepared: Prepared, run_id: str, observer: Observer
) -> tuple[Recording, WorkersReport | None, list[str]]:
    scenario, plan = prepared.scenario, prepared.plan
    clock = MonotonicClock()
    probe = target.probe()
    depth = probe.look().waiting
    lane = Lane(lambda: Wire(target.connect(), clock), random.Random(), dialer=ThreadDialer())
    consumers = _start_workers(target, scenario)
    start = clock.now() + LEAD
    sampler = ThreadSampler(probe, clock, start)
    sampler.start()
    engine = Engine(
        plan,
        scenario.guardrails,
        lane,
        batch_encoder(scenario, plan, run_id),
        clock,
        sampler,
        start=start,
        edges=edges_of(plan, scenario.expect),
        window=window_width(plan.duration),
        max_lag=scenario.max_lag,
        drain=Drain(depth, _drain_patience(scenario)),
        hooks=Hooks(
            interrupted=observer.interrupted,
            watch=_watch(scenario),
            progress=observer.progress,
            progress_every=observer.progress_every,
        ),
    )
    clock.sleep_until(start)
    try:
        recording = engine.run()
    finally:
        sampler.stop()
        report = consumers.stop() if consumers is not None else None
    return recording, report, list(report.warnings) if report else []


def _start_workers(target: Target, scenario: Scenario) -> ReferenceWorkers | None:
    if scenario.workers is None:
        return None
    workers = ReferenceWorkers(target, scenario.jobs, scenario.workers.count, scenario.workers.each)
    workers.start()
    return workers


def _drain_patience(scenario: Scenario) -> float:
    """How long to wait for the queue to drain: somewhat beyond what is asked of it; not at all when nobody asks."""
    bounds = [e.bound for e in scenario.expect if e.subject.measure == "drain_time" and e.bound is not None]
    if bounds:
        return max(bounds) * 1.1 + 1.0
    return 30.0 if scenario.workers is not None else 0.0


def _watch(scenario: Scenario) -> Callable[[Recording], str | None] | None:
    stopping = tuple(e for e in scenario.expect if e.stop)
    if not stopping:
        return None

    def breach(recording: Recording) -> str | None:
        found = first_breach(stopping, recording)
        return found.text if found is not None else None

    return breach
