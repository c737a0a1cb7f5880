"""Sends what a schedule asks for: step by step, each decided anew, or in batches that were prepared ahead.

Moments of departure are computed from due times and never from the moment of waking, so nothing drifts; and since the
number sent is "all that is due", no fraction of a job is ever rounded away.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import NamedTuple

import numpy as np

from plg.answers import Answers
from plg.guardrails.limiter import RateLimiter
from plg.pacing import DEFAULT_PACING, GLANCE, HELD_LAG, PACINGS, Pacing
from plg.plan import Plan
from plg.runner.budget import Budget
from plg.runner.lateness import Lateness
from plg.runner.prepared import Encoder, PreparedBatch, exhaust, is_dense, prepare
from plg.runner.recorder import Recorder
from plg.runner.run_clock import RunClock
from plg.runner.schedule import Batch, Schedule
from plg.runner.transmit import STALE, Background, Transmitted
from plg.runner.transport import Transport, wait_on
from plg.scenario import Guardrails
from plg.targets.encoding import parcels

MOST_AT_ONCE = 2000
"""Most arrivals encoded between two looks at the answers."""
_LEAST_LAG = 0.01
"""With less patience for late arrivals (s) than this each step is decided anew."""
_SHORTEST = 4
"""Ticks for which departures are prepared at the least."""
_APART = 0.0001
"""Seconds within which two clocks count as read at one moment."""


class Sent(NamedTuple):
    """What became of a prepared ``batch``; ``whole``: all of it left, and nothing is in the way of the next."""

    batch: PreparedBatch
    done: Transmitted
    answers: Answers
    whole: bool


class Sender:
    """Sends the arrivals of one plan over a transport. Times are seconds of the run.

    ``last_send`` is when the last job left, None before. It is ``blocked`` while neither a step nor a batch can be
    sent. All that happened until ``counted_until`` is counted. The plan ends at ``planned_end`` and the sending at
    ``end``, which is earlier where the plan does not fit (``fits``) into max_duration.
    """

    def __init__(
        self,
        plan: Plan,
        limits: Guardrails,
        transport: Transport,
        encode: Encoder,
        recorder: Recorder,
        clock: RunClock,
        *,
        pacing: Pacing = PACINGS[DEFAULT_PACING],
        max_lag: float = 1.0,
        budget: Budget | None = None,
    ) -> None:
        self.transport, self._encode, self._recorder, self._clock = transport, encode, recorder, clock
        self._schedule = Schedule.of(plan)
        self._limiter = RateLimiter(limits.max_rate, limits.rate_limit_window)
        self._budget = budget or Budget(limits.max_total_jobs)
        self._lateness = Lateness(recorder, max_lag)
        self._pacing, self._max_lag = pacing, max_lag
        self.fits = plan.duration <= limits.max_duration
        self.planned_end = plan.duration
        self.end = min(plan.duration, limits.max_duration)
        # A plan that fits the limit to the full is not stopped for the moment by which its last job is sent late.
        self._cutoff = limits.max_duration + (HELD_LAG if self.fits else 0.0)
        self._earliest = self._timed_from = 0.0
        """The next departure is not before the one, the next whose answers are waited for not before the other."""
        self._ahead = _SHORTEST * pacing.tick
        self._reserved = 0
        self.last_send: float | None = None
        self.blocked = False
        self.counted_until = 0.0

    @property
    def done(self) -> bool:
        """Whether no arrival is left."""
        return math.isinf(self._schedule.head)

    @property
    def taken(self) -> int:
        """How many arrivals have been dealt with."""
        return self._schedule.taken

    @property
    def trouble(self) -> str | None:
        """Why it is not known how many jobs may still be sent, which ends the run."""
        return self._budget.trouble

    def look(self) -> float:
        """The moment. If plg stood still before it, the target is not blamed for that time."""
        now, stalled = self._clock.look()
        if stalled:
            self._forgive(stalled, now)
        return now

    def _forgive(self, stalled: float, now: float) -> None:
        self._lateness.stalled(now)
        self.transport.pardon(stalled)

    # -- answers --------------------------------------------------------------------------------------------------

    def collect(self) -> Answers:
        """What was answered since the last time."""
        before = self.look()
        answers = self.transport.collect(self.look)
        if self._clock.spoiled:
            self._lateness.read_late(answers)
        self._clock.spoiled = False
        self.counted_until = before
        return answers

    def take(self, answers: Answers) -> None:
        """Jobs that are answered make room for others."""
        self._limiter.take(answers)

    # -- step by step ---------------------------------------------------------------------------------------------

    def step(self, now: float) -> str | None:
        """Send all that is due. Returns the counted limit that is reached with work left, if one is."""
        self.blocked = not self.transport.ready(now)
        self._lateness.step(now, ready=not self.blocked)
        if now >= self._cutoff and not self._slept_past(now):
            return "max_duration"
        self._drop_before(now - self._max_lag, now)
        if self.blocked:
            return None
        self._limiter.resolve(now)
        if self._schedule.head > now:
            self._lateness.caught_up()
        if now < self._earliest or self._schedule.head > now:
            return None
        # The next send is a tick after this one was meant to be, so a late wake-up does not delay those after it.
        self._earliest = max(self._earliest, self._schedule.head) + self._pacing.tick
        while self._schedule.head <= now and not self.blocked:
            room = min(MOST_AT_ONCE, self._limiter.allowance(now), self._budget.left(self._recorder.sent))
            if room <= 0:
                self._lateness.out_of_room(now)
                self.blocked = True
                return "max_total_jobs" if self._budget.exhausted(self._recorder.sent) else None
            batch = self._schedule.take(now, room)
            if batch is not None:
                self._send(batch)
            self.blocked = self.transport.down or self.transport.backlog > 0
        return None

    def _send(self, batch: Batch) -> None:
        if batch.kept is not None:
            shed, batch = batch.split()
            self._recorder.add_shed(shed)
        jobs = len(batch)
        if not jobs:
            return
        commands = next(parcels(self._encode(batch, [jobs], [self._clock.wall()])))
        now = self._clock.now()
        timed = now >= self._timed_from
        if timed:
            self._timed_from = now + self._pacing.timing
        in_lull = self._schedule.head - now > self._pacing.lull
        self.transport.send(commands, now, timed=timed or in_lull)
        self._clock.give_way()  # to the server, which may have been woken on this processor
        self._limiter.leave(jobs)
        self._recorder.add_sent(batch.due, [now], [jobs])
        self._lateness.sent(batch.due, now)
        self.last_send = now

    def rest(self, now: float, poll_at: float) -> None:
        """Sleep from ``now`` until the next step, or until the run is to be looked at if that is before."""
        deadline = self._deadline(now, poll_at)
        if self.blocked:
            self._lateness.blocked(deadline)
        self.wait(deadline)

    def wait(self, until: float) -> None:
        """Sleep ``until`` then, or until an answer comes that is waited for."""
        now = self.look()
        # A wake-up for an answer costs as much as one for a send, so between close sends only some are awaited.
        answers = self.transport.awaited > 0 or until - now > self._pacing.lull
        if answers and self.transport.in_flight:
            until = min(until, now + GLANCE)
        self._clock.sleep(until)
        wait_on(self.transport.links, self._clock.clock, self._clock.start + until, answers=answers)
        self.look()

    def _deadline(self, now: float, poll_at: float) -> float:
        """When to wake next if no answer comes before."""
        due = self._schedule.head
        soonest = min(poll_at, self._cutoff)
        overdue = due + self._max_lag + self._pacing.tick
        if self.transport.down:
            return min(soonest, self.transport.retry_at, overdue)
        if self.transport.backlog:
            return min(soonest, overdue)
        if due <= now and self._limiter.allowance(now) <= 0:
            release = self._limiter.next_release()
            return min(soonest, overdue if release is None else max(release, self._earliest))
        departure = max(due, self._earliest)
        if departure < poll_at + self._pacing.tick:
            return min(departure, self._cutoff)  # one wake-up does for both
        return min(soonest, departure)

    # -- arrivals that cannot be sent as planned --------------------------------------------------------------------

    def _slept_past(self, now: float) -> bool:
        """Whether a plan that fits into max_duration is not over by then through plg alone: what is left is late."""
        own = self.fits and self._lateness.own(np.array([self._schedule.head]), now) > 0
        if own:
            self._drop_before(math.inf, now)
        return own

    def _drop_before(self, horizon: float, now: float) -> None:
        while self._schedule.head < horizon:
            batch = self._schedule.take(math.nextafter(horizon, -math.inf), 1 << 16)
            if batch is None:
                return
            shed, kept = batch.split()
            self._recorder.add_shed(shed)
            self._recorder.add_late(kept.due)
            self._lateness.dropped(kept.due, now)

    def shed_rest(self) -> None:
        """Nothing is sent any more: a limit clips what is left."""
        while (batch := self._schedule.take(math.inf, 1 << 16)) is not None:
            self._recorder.add_shed(batch.due)

    # -- in prepared batches ----------------------------------------------------------------------------------------

    def first_batch(self) -> PreparedBatch | None:
        """The departures of the next moments; None where there are none, or a step serves as well."""
        return None if is_dense(self._schedule, 0, self._pacing.tick) else exhaust(self.prepare())

    def prepare(self, behind: PreparedBatch | None = None) -> Generator[None, None, PreparedBatch | None]:
        """The departures of the next moments, or those ``behind`` a batch, if there are any and nothing is in their
        way. Their jobs have a place in the limits from then on. In pieces, with a ``yield`` between."""
        now = self._clock.now()
        if behind is None:
            earliest, timed_from, passed = self._earliest, self._timed_from, 0
            until = now + self._ahead
        else:
            earliest, timed_from, passed = behind.end, behind.timings[-1], len(behind.batch)
            until = earliest + self._ahead
        if self._schedule.due_after(passed) > until or self.transport.sole is None or self._max_lag < _LEAST_LAG:
            return None
        batch = yield from prepare(
            self._schedule,
            self._encode,
            min(self._limiter.allowance(now), self._budget.left(self._recorder.sent + self._reserved)),
            passed=passed,
            earliest=earliest,
            until=min(until, self._cutoff - STALE),
            pacing=self._pacing,
            timed_from=timed_from,
            wall=self._epoch(),
        )
        if batch is not None:
            self._reserved += len(batch.kept)
            self._limiter.leave(len(batch.kept))
        return batch

    def transmit(self, batch: PreparedBatch, background: Background) -> Sent | None:
        """Let a batch leave, and do pieces of the ``background`` meanwhile. What it did is counted by `count`.

        None where plg has just stood still: then the batch is made anew.
        """
        stalls = self._clock.lost_s
        self.look()
        connection = self.transport.sole
        if self._clock.lost_s > stalls or connection is None:
            self.release(len(batch.kept))
            return None
        done, answers = connection.send_ahead(
            batch.departures, self._clock.clock, self._clock.start, self._pacing, background
        )
        stalled = self._clock.looked(done.by, done.at)
        if stalled:
            self._forgive(stalled, done.at)
        whole = len(done.left) == len(batch.ends) and self.transport.sole is not None
        # Where the machine often comes late, what was made ahead is often made in vain.
        shortest = _SHORTEST * self._pacing.tick
        self._ahead = min(self._pacing.ahead, 2 * self._ahead) if whole else max(shortest, self._ahead / 2)
        return Sent(batch, done, answers, whole)

    def count(self, sent: Sent) -> None:
        """Count the departures of a batch that left, and note which answers were read late."""
        batch, left = sent.batch, sent.done.left
        ends = batch.ends[: len(left)]
        jobs = ends[-1] if ends else 0
        self._reserved -= jobs
        self.release(len(batch.kept) - jobs)
        if left:
            gone, shed = batch.dealt_with(len(left))
            self._schedule.skip(len(gone))
            self._recorder.add_shed(shed)
            sizes = [end - start for start, end in zip([0, *ends[:-1]], ends, strict=True)]
            self._recorder.add_sent(batch.kept.due[:jobs], left, sizes)
            self.last_send = left[-1]
            self._timed_from = batch.timings[len(left) - 1]
            meant = batch.departures[len(left) - 1].moment
            self._earliest = meant if self._schedule.head <= meant else meant + self._pacing.tick
        if sent.done.overslept:
            self._lateness.read_late(sent.answers, since=sent.done.at)

    def release(self, jobs: int) -> None:
        """Jobs that were prepared do not leave after all."""
        self._reserved -= jobs
        self._limiter.stay(jobs)

    def _epoch(self) -> float:
        """The start of the run in seconds since the epoch, by both clocks read as one."""
        for _ in range(3):
            before, wall, after = self._clock.now(), self._clock.wall(), self._clock.now()
            if after - before < _APART:
                break  # else something came between
        return wall - (before + after) / 2
