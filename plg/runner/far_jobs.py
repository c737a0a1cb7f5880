"""The jobs of a run that are asked after: which they are, when each is due, and what is known of it so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from plg.dataclass import dataclass
from plg.plan import Plan
from plg.queues.tracing import SETTLED, State, Trace, Tracing
from plg.runner.far_hooks import Told
from plg.runner.recording import Floats, Ints

MOST = 100_000
"""Jobs that are asked after where a line asks what the workers did; of more a uniform sample."""
FEW = 5_000
"""The same where no line does, for the report alone."""
STATES: tuple[State | None, ...] = (None, "waiting", "delayed", "running", "completed", "dead", "gone")
"""What is known of a job: nothing yet, or its state."""
_CODES = {state: code for code, state in enumerate(STATES)}
_OPEN = np.array([state not in (*SETTLED, "gone") for state in STATES])


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Keys that the server removed by itself during the run: for want of memory, and because their time was over."""

    evicted: int = 0
    expired: int = 0


class FarJobs:
    """A uniform sample of the arrivals of a plan, by their numbers, with one entry a job in each column.

    ``due`` and ``asked_for`` are in seconds of the run: the arrival, and when a worker may start it. ``started``,
    ``began`` and ``finished`` are seconds since the epoch, NaN where not known.
    """

    def __init__(self, plan: Plan, tracings: Sequence[Tracing | None], most: int = MOST) -> None:
        index, shards = plan.shard
        self.parts = shards
        self.tracings, self.planned = tracings, plan.planned
        local = _sample(plan.planned, most, plan.seed)
        self.seq: Ints = local * shards + index
        self.due: Floats = plan.arrivals.due(self.seq) if len(local) else np.zeros(0)
        self.kind = plan.interleave.kinds(self.seq) if len(local) else np.zeros(0, dtype=np.intp)
        delays = np.array([job.delay or 0.0 for job in plan.scenario.jobs])
        self.asked_for: Floats = self.due + delays[self.kind]
        count = len(local)
        self.state: npt.NDArray[np.int8] = np.zeros(count, dtype=np.int8)
        self.started, self.began, self.finished = (np.full(count, np.nan) for _ in range(3))
        self.unstarted: Floats = np.full(count, np.nan)
        """When (s of the run) a look last found that no worker had started the job yet."""
        self.failures, self.retries, self.duplicates = (np.zeros(count, dtype=np.int32) for _ in range(3))
        self.recorded_runs = np.zeros((3, count), dtype=np.int32)
        """Failures, retries and duplicates as the framework itself has them."""
        self.recorded_state: npt.NDArray[np.int8] = np.zeros(count, dtype=np.int8)
        """Where they are as the framework itself had it at the last look."""
        self.traceable = np.array([tracing is not None for tracing in tracings])[self.kind]
        self.recorded = np.array([tracing is not None and tracing.read is not None for tracing in tracings])[self.kind]
        """Of which jobs the framework itself has a record."""
        self.dropped: dict[int, str] = {}
        """Jobs that a worker told it gave up without having run them, and why."""
        self.unwritten: set[int] = set()
        """Jobs that stand in their queue while their record is gone."""
        self.forgotten = Forgotten()
        self.doubt = ""
        """Why it is not known where all of them are; a clause."""
        self.workers: set[str] = set()
        self.hooked: npt.NDArray[np.bool_] = np.zeros(count, dtype=np.bool_)
        """Of which jobs a worker itself has told."""
        self.runs = np.zeros(count, dtype=np.int32)
        self.begun: dict[int, set[tuple[str, int]]] = {}
        """Runs that a worker has begun and not ended: who, and which run it was."""
        self._names: dict[str, int] = {"": 0}
        self.started_by, self.ended_by = (np.zeros(count, dtype=np.int32) for _ in range(2))

    def __len__(self) -> int:
        return len(self.seq)

    @property
    def all_of_them(self) -> bool:
        """Whether no arrival is left out."""
        return len(self) == self.planned and bool(self.traceable.all())

    def note(self, place: int, trace: Trace, at: float = np.nan) -> None:
        """What a look at the moment ``at`` (s of the run) found of the job at this ``place``."""
        self.recorded_state[place] = _CODES[trace.state]
        if trace.state == "gone" and STATES[self.state[place]] in SETTLED:
            return  # its record has expired since
        self.recorded_runs[:, place] = trace.failures, trace.retries, trace.duplicates
        if trace.state in ("waiting", "delayed") and not trace.failures:
            self.unstarted[place] = at
        if self.hooked[place]:
            # What its worker tells is more: only where the job is now is taken from the framework, and that it failed
            # after the worker was done with it, as one whose result cannot be stored.
            if not self.settled(place) or trace.state == "dead":
                self.state[place] = _CODES[trace.state]
            return
        self.state[place] = _CODES[trace.state]
        for column, value in (
            (self.started, trace.started),
            (self.began, trace.began),
            (self.finished, trace.finished),
        ):
            if value is not None and (column is not self.started or np.isnan(column[place])):
                column[place] = value
        self.failures[place], self.retries[place] = trace.failures, trace.retries
        self.duplicates[place] = trace.duplicates
        if trace.worker:
            self.workers.add(trace.worker)

    def hear(self, told: Told) -> None:
        """What a worker itself tells of a job."""
        place = int(np.searchsorted(self.seq, told.seq))
        if place >= len(self.seq) or self.seq[place] != told.seq:
            return  # not of the sample
        if not self.hooked[place]:
            self.hooked[place] = True
            self.started[place] = self.began[place] = self.finished[place] = np.nan
            self.failures[place] = self.retries[place] = self.duplicates[place] = 0
        who = self._names.setdefault(told.worker, len(self._names))
        self.workers.add(told.worker)
        if told.started is not None:
            self.began[place] = told.started
            if np.isnan(self.started[place]) or told.started < self.started[place]:
                self.started[place], self.started_by[place] = told.started, who
        run = (told.worker, told.attempt)
        if not told.end:
            self.begun.setdefault(place, set()).add(run)
            if not self.settled(place):
                self.state[place] = _CODES["running"]
            return
        if place in self.begun:
            self.begun[place].discard(run)
        if told.end == "dropped":
            if not self.settled(place):
                self.dropped[place] = told.why
                self.state[place] = _CODES["gone"]
            return
        self.runs[place] += 1
        if told.finished is not None:
            self.finished[place], self.ended_by[place] = told.finished, who
        self.failures[place] += told.end != "done"
        self.retries[place] += told.end == "retry"
        if told.end == "retry":
            if not self.settled(place):
                self.state[place] = _CODES["delayed"]
        elif STATES[self.state[place]] != "completed":
            self.state[place] = _CODES["completed" if told.end == "done" else "dead"]

    def correct(self, offsets: Mapping[str, float]) -> None:
        """Count repeated runs, and move what workers told to the server's clock, which is so much ahead of theirs.

        Runs in workers that do not tell of them are those that the framework counts beside the others.
        """
        # What a worker was done with and the framework still has may yet fail there, or be run again.
        still = self.recorded & self.are("completed", "dead") & _OPEN[self.recorded_state] & (self.recorded_state > 0)
        self.state[still] = self.recorded_state[still]
        begun = np.zeros(len(self), dtype=np.int32)
        for place, open_runs in self.begun.items():
            begun[place] = len(open_runs)
        runs = self.runs + begun
        self.duplicates = np.where(self.hooked, np.maximum(runs - 1 - self.retries, 0), self.duplicates)
        told = (self.failures, self.retries, self.duplicates)
        self.failures, self.retries, self.duplicates = np.maximum(told, self.recorded_runs)
        ahead = np.zeros(len(self._names))
        for name, offset in offsets.items():
            if name in self._names:
                ahead[self._names[name]] = offset
        own = self.hooked
        for column, by in (
            (self.started, self.started_by), (self.began, self.ended_by), (self.finished, self.ended_by),
        ):  # fmt: skip
            column[own] += ahead[by[own]]

    def put(self, places: npt.NDArray[np.intp], state: State | None) -> None:
        """Say of jobs, of which nobody tells by itself, where they are; None: that is not known."""
        self.state[places] = _CODES[state]

    def is_open(self, place: int) -> bool:
        """Whether a job may still change: not one that has ended, or of which there is nothing."""
        return bool(_OPEN[self.state[place]])

    def any_open(self) -> bool:
        """Whether any job has not ended, or was not asked after yet."""
        return bool(_OPEN[self.state[self.traceable]].any())

    def is_certain(self, place: int) -> bool:
        """Whether a job has ended, and its framework, where it keeps records, says so too."""
        return self.settled(place) and not (self.recorded[place] and _OPEN[self.recorded_state[place]])

    def settled(self, place: int) -> bool:
        """Whether a job has ended."""
        return STATES[self.state[place]] in SETTLED

    def are(self, *states: State | None) -> npt.NDArray[np.bool_]:
        """Which jobs are in one of these states."""
        return np.isin(self.state, [_CODES[state] for state in states])


def _sample(planned: int, most: int, seed: int) -> Ints:
    """The numbers of at most ``most`` of the arrivals: one drawn from each of as many stretches of equal length."""
    if planned <= most:
        return np.arange(planned, dtype=np.int64)
    edges = np.linspace(0, planned, most + 1).astype(np.int64)
    draws = np.random.default_rng(seed).random(most)
    return edges[:-1] + (draws * np.diff(edges)).astype(np.int64)
