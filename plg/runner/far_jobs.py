"""The jobs of a run that are asked after: which they are, when each is due, and what is known of it so far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from plg.plan import Plan
from plg.queues.tracing import SETTLED, State, Trace, Tracing
from plg.runner.recording import Floats, Ints

MOST = 100_000
"""Jobs that are asked after where a line asks what the workers did; of more a uniform sample."""
FEW = 5_000
"""The same where no line does, for the report alone."""
STATES: tuple[State | None, ...] = (None, "waiting", "delayed", "running", "completed", "dead", "gone")
"""What is known of a job: nothing yet, or its state."""
_CODES = {state: code for code, state in enumerate(STATES)}
_OPEN = np.array([state not in (*SETTLED, "gone") for state in STATES])


class FarJobs:
    """A uniform sample of the arrivals of a plan, by their numbers, with one entry a job in each column.

    ``due`` and ``asked_for`` are in seconds of the run: the arrival, and when a worker may start it. ``started``,
    ``began`` and ``finished`` are seconds since the epoch, NaN where not known.
    """

    def __init__(self, plan: Plan, tracings: Sequence[Tracing | None], most: int = MOST) -> None:
        index, shards = plan.shard
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
        self.failures, self.retries, self.duplicates = (np.zeros(count, dtype=np.int32) for _ in range(3))
        self.traceable = np.array([tracing is not None for tracing in tracings])[self.kind]
        self.workers: set[str] = set()

    def __len__(self) -> int:
        return len(self.seq)

    @property
    def all_of_them(self) -> bool:
        """Whether no arrival is left out."""
        return len(self) == self.planned and bool(self.traceable.all())

    def note(self, place: int, trace: Trace) -> None:
        """What was found of the job at this ``place``."""
        if trace.state == "gone" and STATES[self.state[place]] in SETTLED:
            return  # its record has expired since
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

    def is_open(self, place: int) -> bool:
        """Whether a job may still change: not one that has ended, or of which there is nothing."""
        return bool(_OPEN[self.state[place]])

    def any_open(self) -> bool:
        """Whether any job has not ended, or was not asked after yet."""
        return bool(_OPEN[self.state[self.traceable]].any())

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
