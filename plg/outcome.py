"""What a report sees, and what is saved: scenario, plan, recording and verdicts of one run as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any, Literal

from plg.dataclass import dataclass
from plg.guardrails.guard import Hit
from plg.runner.recording import Recording, Stall

VERSION = 1

Verdict = Literal["pass", "fail", "invalid", "stopped", "error", "interrupted"]
Percentiles = Mapping[str, float | None]
"""Seconds by ``p50 p90 p95 p99 p99.9 max mean``; None without samples."""
PERCENTILES = ("p50", "p90", "p95", "p99", "p99.9", "max", "mean")


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """Who answered. ``url`` has its password redacted; ``server`` is redis, valkey, …; ``nodes`` those of a cluster."""

    kind: str
    url: str
    server: str = "unknown"
    version: str = ""
    nodes: int = 1


@dataclass(frozen=True, slots=True)
class Ledger:
    """Every planned arrival in exactly one column.

    planned = sent + shed + late + cancelled, sent = acked + failed + unknown.
    """

    planned: int
    sent: int
    shed: int
    late: int
    cancelled: int
    acked: int
    failed: int
    unknown: int

    @staticmethod
    def of(recording: Recording) -> Ledger:
        """The columns of a whole recording."""
        return Ledger(**{column.name: recording.total(column.name) for column in fields(Ledger)})

    def imbalance(self) -> int:
        """0 when the columns add up, else by how many jobs they do not."""
        return abs(self.planned - self.sent - self.shed - self.late - self.cancelled) + abs(
            self.sent - self.acked - self.failed - self.unknown
        )


@dataclass(frozen=True, slots=True)
class PhaseResult:
    name: str
    start_s: float
    duration_s: float
    planned: int
    sent: int
    acked: int
    deviation: float | None
    latency: Percentiles


@dataclass(frozen=True, slots=True)
class RecoveryResult:
    """What a line with a deadline waited for: a ``measure`` to come to ``bound`` (in its ``unit``) after ``phase`` or
    within it, from ``start_s`` to ``deadline_s`` of the run; ``at_s`` is when it did, None where it never did."""

    kind: Literal["drained", "reaches", "returns"]
    measure: str
    unit: str
    bound: float
    phase: str
    start_s: float
    deadline_s: float
    at_s: float | None


@dataclass(frozen=True, slots=True)
class ScaleUp:
    """The rise to the deepest backlog of a run and the workers that came meanwhile; moments in seconds of the run.

    The backlog began at ``backlog_s``, with ``before`` workers; the first new one registered at ``registered_s`` and
    was seen with a job at ``first_job_s`` (None where that was not seen); ``all_there_s`` is when ``most`` were there
    first, for ``growing_s`` (s) after which the backlog still grew. It was ``deepest`` at ``deepest_s`` and drained at
    ``drained_s``, None where it never was. ``slowest`` is the link that took longest, None where none took long.
    """

    backlog_s: float
    registered_s: float
    first_job_s: float | None
    all_there_s: float
    deepest_s: float
    deepest: int
    drained_s: float | None
    before: int
    most: int
    growing_s: float
    slowest: str | None


@dataclass(frozen=True, slots=True)
class ExpectationResult:
    """One judged line. ``observed`` and ``bound`` are in ``unit`` (s, jobs, jobs/s, fraction, bytes)."""

    text: str
    level: Literal["expect", "warn"]
    verdict: Literal["pass", "fail", "no_data"]
    observed: float | None
    bound: float | None
    unit: str
    op: str
    first_breach_s: float | None = None
    first_breach_phase: str | None = None
    file: str | None = None
    line: int | None = None
    detail: str = ""
    stopped: bool = False
    invalid: bool = False
    """Whether plg's own lateness keeps the line from having a verdict: it is no_data then, and the run INVALID."""
    recovery: RecoveryResult | None = None
    """Of a line with a deadline. Its ``observed`` and ``bound`` are seconds from the start that it counts from."""


@dataclass(frozen=True, slots=True)
class WorkersResult:
    """What the reference consumers did: jobs processed and how long those had waited in the queue (s).

    ``foreign`` of the jobs they took were not of the run; None where jobs do not tell whose they are.
    """

    count: int
    each_s: float
    processed: int
    wait_s: Percentiles
    foreign: int | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """What stands before all else in every report: a ``code`` for programs, and a sentence."""

    code: str
    text: str

    @property
    def title(self) -> str:
        """The code as words: ``nobody worked``."""
        return self.code.replace("-", " ")


@dataclass(frozen=True, slots=True)
class FarSide:
    """What the workers did with the jobs that Redis confirmed, at the end of the watch.

    acked = completed + dead + waiting + in_flight + delayed + lost, where every job was asked after; ``lost`` is None
    where not. ``failed_attempts`` counts runs that failed, ``retried`` those that followed one, ``duplicates`` those
    that nothing explains. Of ``residue`` jobs something is left; None where nobody looked. ``read`` of ``jobs`` were
    asked after, by ``source``. ``said`` tells in a sentence whether the workers kept up.
    """

    completed: int
    failed_attempts: int
    retried: int
    dead: int
    waiting: int
    in_flight: int
    delayed: int
    lost: int | None
    duplicates: int | None
    residue: int | None = None
    read: int = 0
    jobs: int = 0
    source: str = ""
    clock_offset_s: float | None = None
    said: str = ""
    doubt: str = ""
    found: tuple[str, ...] = ()

    @staticmethod
    def of_saved(saved: Mapping[str, Any]) -> FarSide:
        """As it was saved."""
        return FarSide(**{**saved, "found": tuple(saved["found"])})


@dataclass(frozen=True, slots=True)
class QueueResult:
    """The queues of the scenario: jobs waiting before the run and at the last look after it, and the age (s) of the
    oldest then; None where that is not known.

    ``failed`` jobs failed in the workers during the run, where the framework keeps count of them in Redis; None where
    it does not. ``nobody_worked``: no job was taken, all that was acked still waits. ``said`` is what every report says
    of it, a sentence; empty where nothing is left.
    """

    start: int | None = None
    end: int | None = None
    oldest_s: float | None = None
    nobody_worked: bool = False
    said: str = ""
    failed: int | None = None


@dataclass(frozen=True, slots=True)
class ShardInfo:
    """Which ``parts`` (from 1) of a run that was divided among ``of`` generators this is: one, or those merged.

    ``group`` is the run id they share. ``limits`` are the guardrails of the whole run that are divided among the
    generators, by name; ``lines`` has the source line of each expectation of the document, for the judgement of the
    whole.
    """

    group: str
    of: int
    parts: tuple[int, ...]
    limits: Mapping[str, float] = field(default_factory=dict)
    lines: tuple[int | None, ...] = ()
    begun_s: float | None = None
    """Of one shard: seconds from the first moment of the schedule, by its own clock, to when it had woken for it."""


@dataclass(frozen=True, slots=True)
class ShardResult:
    """One generator of a merged run: ``part`` (from 1) was made at ``where``, in words.

    ``skew_s`` is how long (s) after the first one it began, by the clock of whoever merged; ``clock_s`` how far its own
    clock was ahead of that. None where it is not known. ``reason`` says what became of it.
    """

    part: int
    where: str
    verdict: str
    reason: str
    skew_s: float | None = None
    clock_s: float | None = None
    planned: int | None = None
    acked: int | None = None
    deviation: float | None = None


@dataclass(frozen=True, slots=True)
class StopResult:
    """A stop by its ``name`` (one of `plg.stop.STOPS`), ``by`` whom, in which words and when (s of the run).

    ``by`` is an account, a signal, a limit, or the shard that found the reason; empty where it is the run itself.
    """

    name: str
    by: str
    detail: str
    at_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One judged run. Field for field the saved JSON.

    ``series`` is columnar, one list a column, over the plain windows (see `plg.judge.series`).
    """

    scenario: Mapping[str, Any]
    scenario_file: str | None
    scenario_hash: str
    run_id: str
    seed: int | None
    verdict: Verdict
    exit_code: int
    reason: str
    started_at: str
    duration_s: float
    target: TargetInfo
    plan: Mapping[str, Any]
    ledger: Ledger
    deviation: float | None
    phases: tuple[PhaseResult, ...]
    lag_s: Percentiles
    service_time_s: Percentiles
    latency_s: Percentiles
    expectations: tuple[ExpectationResult, ...]
    guardrail_hits: tuple[Hit, ...]
    warnings: tuple[str, ...]
    series: Mapping[str, list[float | None]]
    recording: Recording
    queue: QueueResult = QueueResult()
    scale_up: ScaleUp | None = None
    far_side: FarSide | None = None
    residue: int | None = None
    queue_wait_s: Percentiles | None = None
    run_time_s: Percentiles | None = None
    end_to_end_s: Percentiles | None = None
    workers_seen: int | None = None
    workers: WorkersResult | None = None
    errors: tuple[tuple[str, int], ...] = field(default=())
    stalls: tuple[Stall, ...] = ()
    shard: ShardInfo | None = None
    shards: tuple[ShardResult, ...] = ()
    plg_version: str = ""
    version: int = VERSION

    @property
    def name(self) -> str:
        return str(self.scenario["name"])

    @property
    def stop(self) -> StopResult | None:
        """What ended the run before its plan did."""
        recording = self.recording
        if recording.stop is None:
            return None
        by = recording.stop_by or (recording.stop_detail if recording.stop in ("signal", "guardrail") else "")
        return StopResult(recording.stop, by.partition(": ")[0], recording.stop_detail, recording.stopped_s)
