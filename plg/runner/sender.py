"""Prepared batches, one behind the other: while one leaves, the one before is counted and the next is made."""

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
from plg.runner.budget import Budget
from plg.runner.connection import STALE, Answer, Chores, Confirmed, Transmitted, Transport
from plg.runner.lateness import Lateness
from plg.runner.observer import ProgressMeter
from plg.runner.prepared import Encoder, PreparedBatch, exhaust, is_dense, prepare
from plg.runner.schedule import Schedule

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

    next_poll: float
    counted_until: float
    lateness: Lateness

    @property
    def stopped(self) -> bool: ...
    def overslept(self) -> bool: ...
    def transmitted(self, transmitted: Transmitted) -> None: ...
    def confirm(self, confirmed: Confirmed) -> None: ...
    def take(self, heard: Sequence[tuple[float, list[Answer]]]) -> None: ...
    def poll(self, now: float) -> None: ...


class Sender:
    """Sends what a schedule asks for as long as nothing is out of the ordinary. ``start`` is that of the run."""

    def __init__(
        self,
        schedule: Schedule,
        transport: Transport,
        encode: Encoder,
        clock: Clock,
        account: Account,
        limiter: RateLimiter,
        budget: Budget,
        meter: ProgressMeter,
        pace: Pace,
        house: House,
        pacing: Pacing,
        *,
        max_lag: float,
        cutoff: float,
    ) -> None:
        self._schedule, self._transport, self._encode, self._clock = schedule, transport, encode, clock
        self._account, self._limiter, self._budget, self._meter = account, limiter, budget, meter
        self._pace, self._house, self._pacing = pace, house, pacing
        self._patient = max_lag >= _LEAST_LAG
        self._cutoff = cutoff
        self._ahead = _SHORTEST * pacing.tick
        self._reserved = 0
        self._over = False
        self.start = 0.0

    def send_ahead(self) -> bool:
        """Let departures leave, batch after batch, until there are no more or something is out of the ordinary.

        False when there was nothing to be made ahead.
        """
        if is_dense(self._schedule, 0, self._pacing.tick):
            return False
        first = exhaust(self._prepare())
        if first is None:
            return False
        self._over = False
        following: deque[PreparedBatch] = deque([first])
        done: list[tuple[PreparedBatch, Transmitted]] = []
        while following:
            prepared = following.popleft()
            if self._house.overslept():
                self._release(len(prepared.kept))
                break
            chores = self._chores(done, prepared, following)
            sent = self._transport.send_ahead(prepared.departures, self._clock, self.start, self._pacing, chores)
            self._house.transmitted(sent)
            whole = len(sent.left) == len(prepared.ends) and self._transport.can_send_ahead
            self._adapt(whole)
            self._over = not whole or self._house.stopped
            for _ in chores:  # what was left undone is done now: it counts what has happened
                self._over = self._over or self._house.stopped
            done = [(prepared, sent)]
            if following and self._over:
                self._release(len(following.popleft().kept))
        for last in done:
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

    def _prepare(self, behind: PreparedBatch | None = None) -> Generator[None, None, PreparedBatch | None]:
        """The departures of the next moments, or those ``behind`` a batch, if there are any and nothing is in their
        way. Their jobs have a place in the limits from then on."""
        now = self._now()
        if behind is None:
            earliest, timed_from, passed = self._pace.earliest, self._pace.timed_from, 0
            until = now + self._ahead
        else:
            earliest, timed_from, passed = behind.end, behind.timings[-1], len(behind.batch)
            until = earliest + self._ahead
        if self._schedule.due_after(passed) > until or not self._transport.can_send_ahead or not self._patient:
            return None
        prepared = yield from prepare(
            self._schedule,
            self._encode,
            min(self._limiter.allowance(now), self._budget.left(self._account.sent + self._reserved)),
            passed=passed,
            earliest=earliest,
            until=min(until, self._cutoff - STALE),
            pacing=self._pacing,
            timed_from=timed_from,
            wall=self._epoch(),
        )
        if prepared is not None:
            self._reserved += len(prepared.kept)
            self._limiter.leave(len(prepared.kept))
        return prepared

    def _release(self, jobs: int) -> None:
        """So many jobs that were made ahead do not leave after all."""
        self._reserved -= jobs
        self._limiter.stay(jobs)

    def _chores(
        self,
        done: Sequence[tuple[PreparedBatch, Transmitted]],
        prepared: PreparedBatch,
        following: deque[PreparedBatch],
    ) -> Chores:
        """What is to be done while ``prepared`` leaves; what is found behind it is put into ``following``."""
        house = self._house
        for before in done:
            for _ in self._count(*before):
                yield _AT_ONCE
        making = self._prepare(prepared)
        while not self._over:
            try:
                next(making)
            except StopIteration as made:
                if made.value is not None:
                    following.append(made.value)
                break
            yield _AT_ONCE
        while not self._over and house.next_poll < prepared.end:
            yield house.next_poll
            house.poll(self._now())
            yield None if house.stopped else _AT_ONCE

    def _count(self, prepared: PreparedBatch, sent: Transmitted) -> Iterator[None]:
        """The first departures of a batch left, and answers came. Done in pieces, with a ``yield`` between."""
        left, confirmed, heard, looked = sent.left, sent.confirmed, sent.heard, sent.looked
        ends = prepared.ends[: len(left)]
        jobs = ends[-1] if ends else 0
        self._reserved -= jobs
        self._release(len(prepared.kept) - jobs)
        if left:
            batch, shed = prepared.dealt_with(len(left))
            self._schedule.skip(len(batch))
            self._account.count_shed(shed)
            starts = [0, *ends[:-1]]
            due = prepared.kept.due[:jobs]
            self._account.count_sent(due, left, [end - start for start, end in zip(starts, ends, strict=True)])
            self._pace.last_send = left[-1]
            self._pace.timed_from = prepared.timings[len(left) - 1]
            meant = prepared.departures[len(left) - 1].moment
            self._pace.earliest = meant if self._schedule.head <= meant else meant + self._pacing.tick
            self._meter.lag = max(self._meter.lag, float((np.array(left) - due[starts]).max()))
        yield
        self._house.confirm(confirmed)
        self._house.take(heard)
        if sent.overslept:
            self._house.lateness.confirmed_late(confirmed, heard, sent.at)
        yield
        self._house.counted_until = max(self._house.counted_until, looked)
        yield from self._account.tidy()
