"""Made-up runs job by job, put into cells by plain loops: the truth that the judge's figures are checked against."""

from __future__ import annotations

import bisect
import gc
import math
import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plg.histogram import bucket_of
from plg.judge import make_outcome
from plg.measures import GAUGES
from plg.outcome import Outcome
from plg.patterns.steady import Steady
from plg.queues.base import Job, Queue
from plg.runner.recording import COUNTERS, TIMES, Histograms, Recording, cell_edges
from plg.scenario import Expectation, Guardrails, Scenario, Subject

SPANS = {"doors": ((0.0, 4.0),), "crowd": ((4.0, 6.0), (8.0, 9.0)), "stampede": ((6.0, 8.0), (9.0, 10.0))}
DURATION = 10.0


@dataclass(frozen=True)
class Event:
    """One arrival: when it was due, what became of it, and when it was sent and answered (s), where it was."""

    due: float
    fate: str
    sent: float | None = None
    answered: float | None = None
    held: bool = False


@dataclass(frozen=True)
class Glance:
    """One sample of the gauges; NaN where it could not be taken."""

    t: float
    queue_depth: float = 0.0
    queue_age: float = 0.0
    cpu: float = 0.1
    memory: float = 5e7
    in_flight: float = math.nan
    delayed: float = math.nan
    workers: float = math.nan


def acked(due: float, lag: float = 0.0, service: float = 0.001) -> Event:
    return Event(due, "acked", due + lag, due + lag + service)


def steady(rate: float, start: float = 0.0, end: float = DURATION, service: float = 0.001) -> list[Event]:
    """Acknowledged jobs at equal distances, none on a seam."""
    count = round((end - start) * rate)
    return [acked(start + (k + 0.5) / rate, service=service) for k in range(count)]


def random_events(seed: int, jobs: int, bad: float = 0.1, duration: float = DURATION) -> list[Event]:
    """Jobs at random moments with random fates."""
    draw = random.Random(seed)
    events = []
    for due in sorted(draw.random() * duration for _ in range(jobs)):
        fate = draw.choice(("shed", "late", "failed", "unknown")) if draw.random() < bad else "acked"
        if fate in ("shed", "late"):
            events.append(Event(due, fate))
            continue
        sent = due + draw.expovariate(200)
        events.append(Event(due, fate, sent, sent + draw.lognormvariate(-5, 1.2)))
    return events


def record(
    events: Sequence[Event],
    glances: Iterable[Glance] = (),
    *,
    duration: float = DURATION,
    window: float = 0.5,
    spans: Mapping[str, tuple[tuple[float, float], ...]] | None = None,
    cuts: Iterable[float] = (),
    **more: Any,
) -> Recording:
    """A recording of the events. Further keywords are fields of the recording."""
    phases = SPANS if spans is None else spans
    seams = [edge for pieces in phases.values() for piece in pieces for edge in piece]
    edges = cell_edges(duration, window, [*seams, *cuts])
    cells = len(edges) - 1
    inner = edges[:-1].tolist()

    def cell(t: float) -> int:
        return bisect.bisect_right(inner, t) - 1

    counters = {name: np.zeros(cells, dtype=np.int64) for name in COUNTERS}
    times: dict[str, list[list[float]]] = {name: [[] for _ in range(cells)] for name in TIMES}
    for event in events:
        counters["planned"][cell(event.due)] += 1
        counters["held"][cell(event.due)] += event.held
        if event.fate in ("shed", "late", "cancelled"):
            counters[event.fate][cell(event.due)] += 1
            continue
        assert event.sent is not None
        assert event.answered is not None
        counters["sent"][cell(event.sent)] += 1
        counters[event.fate][cell(event.answered)] += 1
        times["lag"][cell(event.due)].append(event.sent - event.due)
        if event.fate == "acked":
            times["latency"][cell(event.due)].append(event.answered - event.due)
            times["service_time"][cell(event.due)].append(event.answered - event.sent)
    seen = sorted(glances, key=lambda glance: glance.t)
    return Recording(**{
        "edges": edges, "window": window, "duration": duration, "spans": phases, "counters": counters,
        "histograms": {name: _histograms(columns) for name, columns in times.items()},
        "sample_times": np.array([glance.t for glance in seen]),
        "samples": {name: np.array([getattr(glance, name) for glance in seen], dtype=float) for name in GAUGES},
        "target_rate": counters["planned"] / np.minimum(np.diff(edges), window),
        "allowed_rate": counters["planned"] / np.minimum(np.diff(edges), window),
        "ended_s": duration, **more,
    })  # fmt: skip


def _histograms(columns: list[list[float]]) -> Histograms:
    offsets, buckets, counts = [0], [], []
    for values in columns:
        tally: dict[int, int] = {}
        for value in values:
            bucket = int(bucket_of(np.array([value]))[0])
            tally[bucket] = tally.get(bucket, 0) + 1
        for bucket in sorted(tally):
            buckets.append(bucket)
            counts.append(tally[bucket])
        offsets.append(len(buckets))
    return Histograms(
        np.array(offsets, dtype=np.int64), np.array(buckets, dtype=np.int64), np.array(counts, dtype=np.int64),
        np.array([math.fsum(values) for values in columns]),
        np.array([min(values, default=math.inf) for values in columns]),
        np.array([max(values, default=-math.inf) for values in columns]),
    )  # fmt: skip


def expect(measure: str, op: str, bound: float | None, aggregate: str | None = None, **more: Any) -> Expectation:
    """An expectation; ``during`` goes into its subject."""
    during = more.pop("during", None)
    name = f"{aggregate}({measure})" if aggregate else measure
    text = more.pop("text", f"{name}{f' during {during}' if during else ''} {op} {bound}")
    return Expectation(text=text, subject=Subject(measure, aggregate, during), op=op, bound=bound, **more)  # type: ignore[arg-type]


def steps(run: Callable[[], object]) -> int:
    """Calls of functions, Python's and C's alike, that ``run`` makes."""
    count = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    gc.collect()
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


@dataclass(frozen=True)
class Answering:
    """Who answered a made-up run."""

    url: str
    kind: str = "url"
    name: str = "valkey"
    version: str = "9.1.2"
    nodes: int = 1


def outcome_of(
    recording: Recording,
    *,
    expectations: tuple[Expectation, ...] = (),
    document: Mapping[str, Any] | None = None,
    plan_document: Mapping[str, Any] | None = None,
    url: str = "redis://localhost:6379/0",
    **more: Any,
) -> Outcome:
    """The outcome of a made-up run."""
    scenario = Scenario(
        name="made-up", pattern=Steady(20.0, DURATION), jobs=(Job("job", queue=Queue("list", "plg:jobs")),),
        guardrails=Guardrails(500.0, 20_000, 120.0), expect=expectations, file="made-up.plg",
        document=document or {"name": "made-up", "expect": [e.text for e in expectations]},
    )  # fmt: skip
    return make_outcome(
        scenario, plan_document or {}, recording, run_id="0123456789ab", seed=None,
        started_at="2026-11-23T18:30:05.123Z", server=Answering(url), **more,
    )  # fmt: skip
