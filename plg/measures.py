"""What an expectation can speak about: one table of measures, shared by the language and the judge.

A *time* measure is a distribution and needs an aggregate (``p99(latency)``); a *gauge* is sampled, and bare it means
its maximum; a *count* and a *figure* stand alone.
"""

from __future__ import annotations

import math
import re
from typing import Literal

from plg.dataclass import dataclass

Kind = Literal["time", "gauge", "count", "figure"]
Unit = Literal["s", "jobs", "jobs/s", "fraction", "bytes"]
Lateness = Literal["changes", "thins", "none"]
"""What a generator that is late does to a measure: it *changes* its value; or it can have caused no breach, only sent
fewer of the jobs that the measure looks for one in (*thins*); or it has no say in it (*none*)."""

AGGREGATES = ("p50", "p75", "p90", "p95", "p99", "p99.9", "min", "max", "mean")
"""The aggregates shown to users; any percentile ``pN`` with 0 < N < 100 is accepted."""

_PERCENTILE = re.compile(r"^p([0-9]{1,2}(?:\.[0-9]{1,9})?)$")


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure: its kind, the unit its bound is written in, a sentence for people, and what lateness does to it."""

    name: str
    kind: Kind
    unit: Unit
    meaning: str
    lateness: Lateness = "changes"


@dataclass(frozen=True, slots=True)
class Gauge(Measure):
    """A measure that is sampled: of the ``queue``, and counted on until the watch is over, or of the generator itself.

    The outcome's series show it as ``column``, its value times ``factor``.
    """

    queue: bool = False
    column: str = ""
    factor: float = 1.0


GAUGES: dict[str, Gauge] = {
    g.name: g
    for g in (
        Gauge(
            "queue_depth", "gauge", "jobs", "jobs waiting in the queues of the scenario",
            queue=True, column="queue_depth",
        ),
        Gauge("queue_age", "gauge", "s", "age of the oldest waiting job", queue=True, column="queue_age_s"),
        Gauge(
            "cpu", "gauge", "fraction", "processor time of the generator, 1 = one core", "none",
            column="cpu_percent", factor=100.0,
        ),
        Gauge(
            "memory", "gauge", "bytes", "resident memory of the generator", "none", column="memory_mb", factor=1e-6,
        ),
        Gauge("in_flight", "gauge", "jobs", "jobs that workers have at hand", queue=True, column="in_flight"),
        Gauge("delayed", "gauge", "jobs", "jobs that are not due yet", queue=True, column="delayed"),
        Gauge("workers", "gauge", "jobs", "workers alive", "none", queue=True, column="workers"),
    )
}  # fmt: skip
"""All gauges, in the order in which they are recorded and shown. Sampler, recorder, recording and series read them
here."""
QUEUE_GAUGES = tuple(name for name, gauge in GAUGES.items() if gauge.queue)
BACKLOG = ("queue_depth", "queue_age")
"""The gauges of what waits, which every format has; the other gauges of the queue only some can give."""
RECKONED_FROM = {"backlog_slope": "queue_depth", "flaps": "workers"}
"""Figures that are reckoned from the samples of a gauge."""

MEASURES: dict[str, Measure] = {
    m.name: m
    for m in (
        Measure("lag", "time", "s", "sent - due: how late plg itself was"),
        Measure("service_time", "time", "s", "acked - sent: how long the queue took to answer"),
        Measure("latency", "time", "s", "acked - due: what a caller would have waited"),
        Measure("planned", "count", "jobs", "arrivals that were due", "none"),
        Measure("sent", "count", "jobs", "jobs written to the queue's connection"),
        Measure("acked", "count", "jobs", "jobs the queue confirmed"),
        Measure("failed", "count", "jobs", "jobs the queue refused", "thins"),
        Measure("unknown", "count", "jobs", "jobs whose connection died before the answer", "thins"),
        Measure("shed", "count", "jobs", "arrivals clipped by a guardrail", "none"),
        Measure("late", "count", "jobs", "arrivals dropped because they were overdue by more than max_lag"),
        Measure("cancelled", "count", "jobs", "arrivals left when the run was stopped", "none"),
        Measure("guardrail_hits", "count", "jobs", "times a guardrail acted", "none"),
        Measure("errors", "count", "jobs", "failed + unknown: Redis' errors, not those of workers", "thins"),
        Measure("error_rate", "figure", "fraction", "errors / sent", "thins"),
        Measure("throughput", "figure", "jobs/s", "acked jobs per second"),
        Measure("deviation", "figure", "fraction", "|acked - planned| / planned"),
        Measure("drain_time", "figure", "s", "from the last send until the queue is back to its depth at the start"),
        Measure("residue", "figure", "jobs", "jobs of which something is left in the target at the end", "none"),
        *GAUGES.values(),
        Measure("backlog_slope", "figure", "jobs/s", "how fast the number of waiting jobs grows, by least squares"),
        Measure("flaps", "count", "jobs", "changes of direction of the number of workers", "none"),
        Measure("queue_wait", "time", "s", "started by a worker - due"),
        Measure("run_time", "time", "s", "finished - started: how long a worker had the job", "none"),
        Measure("end_to_end", "time", "s", "finished - due"),
        Measure("completed", "count", "jobs", "jobs that a worker has done"),
        Measure("job_failures", "count", "jobs", "runs of jobs that failed in a worker", "thins"),
        Measure("retried", "count", "jobs", "runs of jobs that failed before", "thins"),
        Measure("dead", "count", "jobs", "jobs that failed in a worker for good", "thins"),
        Measure("lost", "count", "jobs", "jobs that Redis confirmed and nobody has, waiting or done", "thins"),
        Measure("duplicates", "count", "jobs", "runs of jobs that had been given to a worker already", "thins"),
    )
}
OF_THE_RUN = ("drain_time", "residue")
"""What is one value of the whole run: it has no phase and no windows, and bounds nothing."""
FAR_TIMES = ("queue_wait", "run_time", "end_to_end")
FAR_COUNTS = ("completed", "job_failures", "retried", "dead", "lost", "duplicates")
FAR = (*FAR_TIMES, *FAR_COUNTS)
"""What the workers did: read from what they, or their framework, record of each job."""


LATENCY = "latency is the answer of Redis and not the work"
TAKEN = "queue_age, drain_time and queue_depth tell when jobs were taken"
"""What is read off the queue: a worker that takes a job and fails looks well there."""
NOTHING_JUDGED = "no line says what must hold, so nothing was judged"
ON_TAKEN = f"{TAKEN}, not whether they were done"
ON_LATENCY = f"{LATENCY}; {ON_TAKEN}"


def percentile(aggregate: str) -> float | None:
    """``p99.9`` as the fraction 0.999; None for an aggregate that is not a percentile."""
    match = _PERCENTILE.match(aggregate)
    if not match:
        return None
    fraction = float(match[1]) / 100
    return fraction if 0 < fraction < 1 else None


def samples_needed(q: float) -> int:
    """Fewest samples that tell the quantile ``q`` from the largest or smallest: 100 for p99, 1,000 for p99.9."""
    return math.ceil(1 / min(q, 1 - q) - 1e-6)


def is_aggregate(name: str) -> bool:
    """Whether ``name`` is an aggregate a time measure or a gauge takes."""
    return name in AGGREGATES or percentile(name) is not None
