"""What leaves within the next moments, made ahead in one go, so that little is left to be done at each wake-up."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Generator, Sequence
from typing import Protocol, TypeVar, cast

import numpy as np

from plg.dataclass import dataclass
from plg.pacing import Pacing
from plg.runner.recording import Floats
from plg.runner.schedule import AHEAD, Batch, Schedule
from plg.runner.transmit import Departure
from plg.targets.encoding import PAUSE, Parcels

T = TypeVar("T")
DENSE = 600
"""Jobs a departure beyond which nothing is gained by preparing them: they are the cost, and not the wake-up."""

MOST = AHEAD // 2 - 100
"""Most jobs of one batch, so that the one behind it can be seen too; and as many as one batch of rows can hold."""
_PIECE = 16
"""Departures put together at a time."""
_INEXACT = 1e-6
"""Due times are no more exact than this (s): a job a tick behind another is not within the tick."""


class Encoder(Protocol):
    def __call__(self, batch: Batch, ends: Sequence[int], walls: Sequence[float]) -> Parcels:
        """The commands for each part of a batch: part i ends before job ``ends[i]`` and leaves at ``walls[i]`` (s since
        the epoch)."""


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """Departures in order; after departure i the jobs before ``ends[i]`` of ``kept`` are gone.

    ``batch`` holds the arrivals that the rate limit sheds too; ``timings`` tells from when (s of the run) answers are
    waited for again after each departure.
    """

    batch: Batch
    kept: Batch
    ends: list[int]
    departures: list[Departure]
    timings: list[float]

    @property
    def end(self) -> float:
        """When the last departure is (s of the run)."""
        return self.departures[-1].moment

    def dealt_with(self, departures: int) -> tuple[Batch, Floats]:
        """The batch up to the last job of the first ``departures``, and due times of what is shed in it."""
        batch = self.batch
        if departures < len(self.ends) and batch.kept is not None:
            until = int(np.flatnonzero(batch.kept)[self.ends[departures - 1] - 1]) + 1
        elif departures < len(self.ends):
            until = self.ends[departures - 1]
        else:
            until = len(batch)
        shed = batch.due[:0] if batch.kept is None else batch.due[:until][~batch.kept[:until]]
        return Batch(batch.seq[:until], batch.due[:until], batch.kind[:until]), shed


def exhaust(pieces: Generator[None, None, T]) -> T:
    """Do all pieces of a work at once, and return what comes of it."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            return cast(T, end.value)


def is_dense(schedule: Schedule, passed: int, tick: float) -> bool:
    """Whether the arrivals behind the first ``passed`` are too many a tick (s) to be made ahead."""
    return schedule.due_after(passed + DENSE) < schedule.due_after(passed) + tick


def prepare(
    schedule: Schedule,
    encode: Encoder,
    room: int,
    *,
    passed: int,
    earliest: float,
    until: float,
    pacing: Pacing,
    timed_from: float,
    wall: float,
) -> Generator[None, None, PreparedBatch | None]:
    """The departures up to ``until`` (s of the run) of at most ``room`` jobs, the first not before ``earliest``.

    The first ``passed`` arrivals of the schedule are spoken for. A departure takes all that are due within a tick of
    its first job, and leaves when the last of them is due. Timed are the first one at or after ``timed_from``, and
    those before a lull. ``wall`` is the start of the run in seconds since the epoch. None where nothing is to be sent
    in that time. The work is done in pieces, with a ``yield`` between.
    """
    if is_dense(schedule, passed, pacing.tick):
        return None
    limit = min(MOST, room)
    batch = schedule.ahead(max(until, earliest) + pacing.lull + pacing.tick, limit, passed)
    if batch is None:
        return None
    due = batch.split()[1].due
    moments, ends, behind = _departures(due, earliest, pacing.tick, until, cut=len(batch) == limit)
    if not moments:
        return None
    yield
    batch = _trimmed(batch, moments[-1])
    kept = batch.split()[1]
    following = [*moments[1:], behind]
    departures: list[Departure] = []
    timings: list[float] = []
    for commands in encode(kept, ends, [wall + moment for moment in moments]):
        if commands is PAUSE:
            yield
            continue
        moment = moments[len(departures)]
        timed = moment >= timed_from
        if timed:
            timed_from = moment + pacing.timing
        in_lull = following[len(departures)] - moment > pacing.lull
        departures.append(Departure.of(moment, commands, timed or in_lull))
        timings.append(timed_from)
        if len(departures) % _PIECE == 0:
            yield
    return PreparedBatch(batch, kept, ends, departures, timings)


def _departures(
    due: Floats, earliest: float, tick: float, until: float, *, cut: bool
) -> tuple[list[float], list[int], float]:
    """Moments of departure up to ``until`` and how many jobs are gone after each, of jobs that are due at ``due``; and
    the moment of the next one after them, infinity where it is not known.

    To leave with the last that is due within a tick, and not a tick after the last departure, takes no more wake-ups,
    and lets no job wait for one that it has just missed. What is overdue leaves at ``earliest``. Where the jobs were
    ``cut`` short, the last departure might leave some behind: it is left for the next look.
    """
    moments: list[float] = []
    ends: list[int] = []
    gone, dues, behind = 0, due.tolist(), math.inf
    while gone < len(dues):
        first = dues[gone]
        if first < earliest:
            end, moment = bisect_right(dues, earliest, gone), earliest
        else:
            end = bisect_left(dues, first + tick - _INEXACT, gone + 1)
            moment = dues[end - 1]
        if moment > until:
            behind = moment
            break
        gone = end
        moments.append(moment)
        ends.append(gone)
    if cut and len(ends) > 1 and gone == len(due):
        return moments[:-1], ends[:-1], math.inf
    return moments, ends, behind


def _trimmed(batch: Batch, until: float) -> Batch:
    """The batch without what is due after ``until``."""
    end = int(batch.due.searchsorted(until, "right"))
    if end == len(batch):
        return batch
    kept = None if batch.kept is None else batch.kept[:end]
    return Batch(batch.seq[:end], batch.due[:end], batch.kind[:end], kept)
