"""A scenario as frozen values, read from a valid document: names and types live here, constraints in the schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from plg.dataclass import dataclass
from plg.patterns.base import Pattern
from plg.queues.base import Job
from plg.target_url import WORDS, normalized


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How due times fall on the curve."""

    process: Literal["uniform", "poisson"] = "uniform"
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class ErrorRateLimit:
    """``max_error_rate N% over W``: ``fraction`` of the jobs answered in the last ``over`` seconds."""

    fraction: float
    over: float


@dataclass(frozen=True, slots=True)
class Guardrails:
    """Limits on what is really sent. Rates in jobs/s, times in s, memory in bytes, CPU and thresholds as fractions."""

    max_rate: float
    max_total_jobs: int
    max_duration: float
    max_memory: float | None = None
    max_cpu: float | None = None
    max_queue_depth: int | None = None
    max_queue_age: float | None = None
    max_error_rate: ErrorRateLimit | None = None
    rate_limit_window: float = 1.0
    warn_at: float = 0.8
    emergency_stop: bool = True

    @property
    def queue_limits(self) -> tuple[str, ...]:
        """The names of those that hang on looks at the queues."""
        limits = {"max_queue_depth": self.max_queue_depth, "max_queue_age": self.max_queue_age}
        return tuple(name for name, limit in limits.items() if limit is not None)


@dataclass(frozen=True, slots=True)
class Subject:
    """What one side of an expectation reads: ``p99(latency) during stampede``."""

    measure: str
    aggregate: str | None = None
    during: str | None = None


@dataclass(frozen=True, slots=True)
class Recovery:
    """What has to come true in time, each time that ``phase`` stands: at most ``within`` seconds ``since`` its start or
    its end.

    The queue is *drained* (back to its depth at the start), or the subject *reaches* its bound, or it *returns* to it:
    it is at most the bound for a whole window.
    """

    kind: Literal["drained", "reaches", "returns"]
    within: float
    phase: str
    since: Literal["start", "end"]


@dataclass(frozen=True, slots=True)
class Expectation:
    """One line of ``expect``.

    ``bound`` is in the measure's base unit; where ``relative`` is set the bound is ``factor`` times that subject.
    ``window`` (s) asks for each window of that width, of which the fraction ``quota`` must hold. A line with a
    ``recovery`` need not hold all the time, but from some moment on; that the queue is drained is told as the subject
    queue_depth, which is to have nothing above its start.
    """

    text: str
    subject: Subject
    op: Literal["<", "<=", ">", ">=", "==", "!="]
    bound: float | None = None
    relative: Subject | None = None
    factor: float = 1.0
    window: float | None = None
    quota: float = 1.0
    level: Literal["expect", "warn"] = "expect"
    stop: bool = False
    file: str | None = None
    line: int | None = None
    recovery: Recovery | None = None


@dataclass(frozen=True, slots=True)
class Workers:
    """The reference consumer: ``count`` of them, each busy ``each`` seconds with a job.

    ``only`` "embedded": they take jobs from a server that plg started, and from no other.
    """

    count: int
    each: float
    only: Literal["embedded"] | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario, ready to plan.

    ``target`` is a URL, ``embedded`` or ``fake``; where it is not ``placed`` yet, as nothing is sent, that stands for
    whatever the target will be. ``data`` maps a name to its table, a `plg.language.tables.Table`; ``connections`` is
    how many the jobs go over (to each node of a cluster). ``watch`` is how long (s) the queue is watched after the last
    send, None for as long as the expectations need.
    """

    name: str
    pattern: Pattern
    jobs: tuple[Job, ...]
    guardrails: Guardrails
    target: str = "embedded"
    description: str = ""
    tags: tuple[str, ...] = ()
    arrivals: Arrivals = Arrivals()
    expect: tuple[Expectation, ...] = ()
    workers: Workers | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    connections: int = 1
    pacing: Literal["economical", "precise"] = "economical"
    max_lag: float = 1.0
    watch: float | None = None
    file: str | None = None
    document: Mapping[str, Any] = field(default_factory=dict)
    placed: bool = True

    @property
    def longest_delay(self) -> float:
        """Seconds after its sending at which the job is due that is delayed the longest."""
        return max((job.delay or 0.0 for job in self.jobs), default=0.0)

    @property
    def own_workers(self) -> Workers | None:
        """The reference consumers that start with a run at this target; None where none do."""
        asked = self.workers
        elsewhere = not self.placed or normalized(self.target) not in WORDS
        return None if asked is None or (asked.only is not None and elsewhere) else asked
