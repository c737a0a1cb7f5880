"""What a run will send, and when: everything that is known before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from plg.dataclass import dataclass
from plg.patterns.base import Floats, Pattern, TooManyPieces
from plg.patterns.spans import MOST_INTERVALS, PhaseSpan
from plg.plan.arrivals import Arrivals, Chunk, Counts
from plg.plan.interleave import Interleave
from plg.plan.shedding import Shedding
from plg.plan.watching import Awaited
from plg.scenario import Scenario

CHUNK = 8192
MOST_CLIPS = 10_000
"""The most excursions that are listed one by one; those after are told as one."""


@dataclass(frozen=True, slots=True)
class PhasePlan:
    """One phase as planned. ``start_s`` and ``duration_s`` are of its first occurrence; ``planned`` sums over all.

    ``planned`` counts every arrival due while the phase stands, also those of a layer beside it; beyond the first
    100,000 occurrences it goes on as before them. ``peak_rate`` (jobs/s) is that of the phase's own curve.
    """

    name: str
    start_s: float
    duration_s: float
    planned: int
    peak_rate: float
    span: PhaseSpan

    @property
    def spans(self) -> tuple[tuple[float, float], ...]:
        """Start and end of each occurrence in seconds, of the first 10,000 where there are more.

        An expectation that asks of a phase with more than those is refused when the plan is made.
        """
        return tuple((start, end) for start, end in self.span.first(MOST_INTERVALS).tolist())


@dataclass(frozen=True, slots=True)
class Clip:
    """A stretch of the run in which a guardrail will keep arrivals from being sent, and how many of the whole run."""

    guardrail: str
    start_s: float
    end_s: float
    shed: int


@dataclass(frozen=True, slots=True)
class PlanWarning:
    """Something worth knowing before the run. ``line`` is that of the expectation it speaks of, where it has one."""

    code: str
    message: str
    line: int | None = None
    file: str | None = None


@dataclass(frozen=True)
class Plan:
    """The due times of one scenario, or of the shard ``(i, n)`` of it: the arrivals k with ``k mod n == i``.

    ``planned`` counts the shard's arrivals, ``planned_total`` those of the whole run, of which ``clips`` speak.
    ``stop_s`` is when a limit on jobs or time will end the run, if one will, and ``cut_seq`` the first arrival of the
    whole run that ``max_total_jobs`` refuses (``planned_total`` where it refuses none). ``seed`` repeats the run.
    ``sent_estimate`` is exact for a whole run and, where the rate is clipped, an even share of it for a shard.
    ``awaited`` is the line that the queue is watched for the longest after the traffic.
    """

    scenario: Scenario
    duration: float
    planned: int
    planned_total: int
    sent_estimate: int
    peak_rate: float
    seed: int
    phases: tuple[PhasePlan, ...]
    clips: tuple[Clip, ...]
    warnings: tuple[PlanWarning, ...]
    jobs: tuple[str, ...]
    shard: tuple[int, int] = (0, 1)
    stop_s: float | None = None
    cut_seq: int = 0
    awaited: Awaited | None = None
    pattern: Pattern = field(repr=False, kw_only=True)
    allowed: Pattern = field(repr=False, kw_only=True)
    arrivals: Arrivals = field(repr=False, kw_only=True)
    shedding: Shedding = field(repr=False, kw_only=True)
    interleave: Interleave = field(repr=False, kw_only=True)

    def target_rate(self, t: Floats) -> Floats:
        """The rate asked for at ``t``, jobs/s; zero outside the run.

        A shard has its n-th part, so that the shards of a run add up to it.
        """
        t = np.asarray(t, dtype=np.float64)
        return np.where((t >= 0) & (t < self.duration), self.pattern.rate(t), 0.0) / self.shard[1]

    def allowed_rate(self, t: Floats) -> Floats:
        """The rate that the guardrails leave of `target_rate`; zero once one of them has ended the run."""
        t = np.asarray(t, dtype=np.float64)
        end = self.duration if self.stop_s is None else self.stop_s
        return np.where((t >= 0) & (t < end), self.allowed.rate(t), 0.0) / self.shard[1]

    def target_count(self, t: Floats) -> Floats:
        """The integral of `target_rate` from the start to ``t``, jobs."""
        return self.pattern.count(np.asarray(t, dtype=np.float64)) / self.shard[1]

    def allowed_count(self, t: Floats) -> Floats:
        """The integral of `allowed_rate` from the start to ``t``, jobs."""
        end = self.duration if self.stop_s is None else self.stop_s
        return self.allowed.count(np.minimum(np.asarray(t, dtype=np.float64), end)) / self.shard[1]

    def jumps(self, most: int) -> Floats:
        """The moments (s) within the run at which the rate asked for jumps; none where there are more than ``most``."""
        try:
            moments = self.pattern.breaks()
        except TooManyPieces:
            return np.empty(0)
        if len(moments) > 10 * most:  # most of them kinks, if at all
            return np.empty(0)
        after, before = self.pattern.rate(moments), self.pattern.rate(moments - 1e-7 * np.minimum(1.0, self.duration))
        found = moments[np.abs(after - before) > 0.01 * np.maximum(after, before)]
        return found if len(found) <= most else np.empty(0)

    def planned_before(self, t: Floats) -> Counts:
        """How many of the arrivals are due before each ``t``."""
        return share(self.arrivals.before(np.asarray(t, dtype=np.float64)), self.shard)

    def planned_in(self, edges: Floats) -> Counts:
        """How many arrivals are due in each ``[edges[i], edges[i+1])``."""
        return np.diff(self.planned_before(edges))

    def chunks(self, size: int = CHUNK) -> Iterator[Chunk]:
        """The arrivals in order, ``size`` at a time; nothing is kept of a chunk once the next is asked for."""
        index, shards = self.shard
        latest = 0.0
        for first in range(0, self.planned, size):
            k = np.arange(first, min(first + size, self.planned), dtype=np.int64) * shards + index
            raw = self.arrivals.due(k)
            due = np.maximum.accumulate(np.maximum(raw, latest))  # rounding must not let a due time fall back
            latest = float(due[-1])
            yield Chunk(k, due, self.interleave.kinds(k), self.shedding.kept(k, raw))

    def phase_of(self, t: Floats) -> npt.NDArray[np.intp]:
        """Index into ``phases`` of the innermost phase at each ``t``, -1 where there is none.

        Of phases side by side in an overlay it is the last one written.
        """
        t = np.asarray(t, dtype=np.float64)
        found = np.full(t.shape, -1, dtype=np.intp)
        if not t.size:
            return found
        starts, ends = self._extents
        for i in np.flatnonzero((starts <= t.max()) & (ends > t.min())).tolist():
            found[self.phases[i].span.contains(t)] = i
        return found

    def phase_names(self, t: Floats) -> list[str]:
        """Name of the innermost phase at each ``t``, empty where there is none."""
        names = [*(phase.name for phase in self.phases), ""]  # index -1 is the last: no phase
        return [names[i] for i in self.phase_of(t).tolist()]

    @cached_property
    def _extents(self) -> tuple[Floats, Floats]:
        return np.array([p.span.start for p in self.phases]), np.array([p.span.end for p in self.phases])

    def to_document(self) -> dict[str, Any]:
        """The plan as plain data, as ``plg plan --json`` prints it."""
        return {
            "scenario": self.scenario.name,
            "duration_s": self.duration,
            "planned": self.planned,
            "peak_rate": self.peak_rate,
            "sent_estimate": self.sent_estimate,
            "seed": self.seed,
            "shard": list(self.shard),
            "phases": [
                {
                    "name": phase.name,
                    "start_s": phase.start_s,
                    "duration_s": phase.duration_s,
                    "planned": phase.planned,
                    "peak_rate": phase.peak_rate,
                    "times": phase.span.times,
                }
                for phase in self.phases
            ],
            "clips": [
                {"guardrail": clip.guardrail, "start_s": clip.start_s, "end_s": clip.end_s, "shed": clip.shed}
                for clip in self.clips
            ],
            "delays": [{"job": job.name, "delay_s": job.delay} for job in self.scenario.jobs if job.delay],
            "watched_for": None
            if self.awaited is None
            else {"line": self.awaited.text, "until_s": self.awaited.until_s},
            "warnings": [
                {"code": warning.code, "message": warning.message, "line": warning.line} for warning in self.warnings
            ],
        }


def share(total: Counts, shard: tuple[int, int]) -> Counts:
    """How many of the first ``total`` arrivals belong to shard i of n."""
    index, shards = shard
    return np.maximum((total - index + shards - 1) // shards, 0)
