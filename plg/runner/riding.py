"""Stretches of departures one behind the other: while one leaves, the one before is counted and the next is made."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from plg.clock import Clock
from plg.guardrails.limiter import RateLimiter
from plg.pacing import Pacing
from plg.runner.account import Account
from plg.runner.hooks import Meter
from plg.runner.lane import STALE, Answer, Chores, Confirmed, Line, Ridden
from plg.runner.lateness import Lateness
from plg.runner.permits import Permits
from plg.runner.schedule import Schedule
from plg.runner.stretch import Encoder, Stretch, exhaust, is_dense, look_ahead

_LEAST_LAG = 0.01
"""With less patience for late arrivals (s) than this each step is decided anew."""

_SHORTEST = 4
"""Ticks for which departures are made ahead at the least."""

_AT_ONCE = -math.inf
_APART = 0.0001
"""Clocks that were read within so many seconds were read as one."""


@dataclass(slots=True)
class Pace:
    """Where the departures stand, in seconds of the run: the next is not before ``earliest``, the next whose answers
    are waited for not before ``timed_from``; ``last_send`` is when the last one left."""

    earliest: float = 0.0
    timed_from: float = 0.0
    last_send: float = 0.0


class House(Protocol):
    """What goes on beside the departures."""

    next_housekeeping: float
    counted_until: float
    lateness: Lateness

    @property
    def stopped(self) -> bool: ...
    def overslept(self) -> bool: ...
    def rode(self, ridden: Ridden) -> None: ...
    def confirm(self, confirmed: Confirmed) -> None: ...
    def settle(self, heard: Sequence[tuple[float, list[Answer]]]) -> None: ...
    def keep_house(self, now: float) -> None: ...


class Rider:
    """Sends what a schedule asks for as long as nothing is out of the ordinary. ``start`` is that of the run."""

    def __init__(
        self,
        schedule: Schedule,
        lane: Line,
        encode: Encoder,
        clock: Clock,
        account: Account,
        limiter: RateLimiter,
        permits: Permits,
        meter: Meter,
        pace: Pace,
        house: House,
        pacing: Pacing,
        *,
        max_lag: float,
        cutoff: float,
    ) -> None:
        self._schedule, self._lane, self._encode, self._clock = schedule, lane, encode, clock
        self._account, self._limiter, self._permits, self._meter = account, limiter, permits, meter
        self._pace, self._house, self._pacing = pace, house, pacing
        self._patient = max_lag >= _LEAST_LAG
        self._cutoff = cutoff
        self._ahead = _SHORTEST * pacing.tick
        self._reserved = 0
        self._over = False
        self.start = 0.0

    def ride(self) -> bool:
        """Let departures leave, stretch after stretch, until there are no more or something is out of the ordinary.

        False when there was nothing to be made ahead.
        """
        if is_dense(self._schedule, 0, self._pacing.tick):
            return False
        first = exhaust(self._look_ahead())
        if first is None:
            return False
        self._over = False
        line: deque[Stretch] = deque([first])
        ridden: list[tuple[Stretch, Ridden]] = []
        while line:
            stretch = line.popleft()
            if self._house.overslept():
                self._release(len(stretch.kept))
                break
            chores = self._chores(ridden, stretch, line)
            ride = self._lane.ride(stretch.departures, self._clock, self.start, self._pacing, chores)
            self._house.rode(ride)
            whole = len(ride.left) == len(stretch.ends) and self._lane.rides
            self._adapt(whole)
            self._over = not whole or self._house.stopped
            for _ in chores:  # what was left undone is done now: it counts what has happened
                self._over = self._over or self._house.stopped
            ridden = [(stretch, ride)]
            if line and self._over:
                self._release(len(line.popleft().kept))
        for last in ridden:
            for _ in self._count(*last):
                pass
        return True

    def _adapt(self, whole: bool) -> None:
        """Where the machine often comes late, what was made ahead is often made in vain."""
        longest, shortest = self._pacing.ahead, _SHORTEST * self._pacing.tick
        self._ahead = min(longest, 2 * self._ahead) if whole else max(shortest, self._ahead / 2)

    def _now(self) -> float:
        return self._clock.now() - self.start

    def _epoch(self) -> float:
        """The start of the run in seconds since the epoch, by both clocks read as one."""
        for _ in range(3):
            before, wall, after = self._now(), self._clock.wall(), self._now()
            if after - before < _APART:
                break  # else something came between
        return wall - (before + after) / 2

    def _look_ahead(self, behind: Stretch | None = None) -> Generator[None, None, Stretch | None]:
        """The departures of the next moments, or those ``behind`` a stretch, if there are any and nothing is in their
        way. Their jobs have a place in the limits from then on."""
        now = self._now()
        if behind is None:
            earliest, timed_from, passed = self._pace.earliest, self._pace.timed_from, 0
            until = now + self._ahead
        else:
            earliest, timed_from, passed = behind.end, behind.timings[-1], len(behind.batch)
            until = earliest + self._ahead
        if self._schedule.due_after(passed) > until or not self._lane.rides or not self._patient:
            return None
        stretch = yield from look_ahead(
            self._schedule,
            self._encode,
            min(self._limiter.allowance(now), self._permits.left(self._account.sent + self._reserved)),
            passed=passed,
            earliest=earliest,
            until=min(until, self._cutoff - STALE),
            pacing=self._pacing,
            timed_from=timed_from,
            wall=self._epoch(),
        )
        if stretch is not None:
            self._reserved += len(stretch.kept)
            self._limiter.leave(len(stretch.kept))
        return stretch

    def _release(self, jobs: int) -> None:
        """So many jobs that were made ahead do not leave after all."""
        self._reserved -= jobs
        self._limiter.stay(jobs)

    def _chores(self, ridden: Sequence[tuple[Stretch, Ridden]], stretch: Stretch, line: deque[Stretch]) -> Chores:
        """What is to be done while ``stretch`` leaves; what is found behind it is put into ``line``."""
        house = self._house
        for before in ridden:
            for _ in self._count(*before):
                yield _AT_ONCE
        making = self._look_ahead(stretch)
        while not self._over:
            try:
                next(making)
            except StopIteration as made:
                if made.value is not None:
                    line.append(made.value)
                break
            yield _AT_ONCE
        while not self._over and house.next_housekeeping < stretch.end:
            yield house.next_housekeeping
            house.keep_house(self._now())
            yield None if house.stopped else _AT_ONCE

    def _count(self, stretch: Stretch, ride: Ridden) -> Iterator[None]:
        """The first departures of a stretch left, and answers came. Done in pieces, with a ``yield`` between."""
        left, confirmed, heard, looked = ride.left, ride.confirmed, ride.heard, ride.looked
        ends = stretch.ends[: len(left)]
        jobs = ends[-1] if ends else 0
        self._reserved -= jobs
        self._release(len(stretch.kept) - jobs)
        if left:
            batch, shed = stretch.dealt_with(len(left))
            self._schedule.skip(len(batch))
            self._account.count_shed(shed)
            starts = [0, *ends[:-1]]
            due = stretch.kept.due[:jobs]
            self._account.count_sent(due, left, [end - start for start, end in zip(starts, ends, strict=True)])
            self._pace.last_send = left[-1]
            self._pace.timed_from = stretch.timings[len(left) - 1]
            meant = stretch.departures[len(left) - 1].moment
            self._pace.earliest = meant if self._schedule.head <= meant else meant + self._pacing.tick
            self._meter.lag = max(self._meter.lag, float((np.array(left) - due[starts]).max()))
        yield
        self._house.confirm(confirmed)
        self._house.settle(heard)
        if ride.overslept:
            self._house.lateness.confirmed_late(confirmed, heard, ride.at)
        yield
        self._house.counted_until = max(self._house.counted_until, looked)
        yield from self._account.tidy()
