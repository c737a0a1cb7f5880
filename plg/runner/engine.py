"""The loop that holds the schedule: an open-loop sender that wakes at absolute deadlines.

Moments of departure are computed from due times and never from the moment of waking, so nothing drifts; and since the
number sent is "all that is due", no fraction of a job is ever rounded away.

As long as all goes well the departures of the next moments are prepared in one go (`plg.runner.prepared`), so that a
wake-up only reads answers and writes bytes, and what it did is counted afterwards, again in one go. Anything out of the
ordinary (an error, a full socket, a late wake-up, a limit) ends that. Then each step decides anew: a departure
sends all that is due in one write, and is never less than a tick after the one before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from plg.clock import Clock
from plg.guardrails.limiter import RateLimiter
from plg.pacing import GLANCE, HELD_LAG, PACINGS, Pacing
from plg.plan import Plan
from plg.plan.plan import CHUNK
from plg.runner.abort import AbortConditions
from plg.runner.account import Account
from plg.runner.budget import Budget, OwnBudget
from plg.runner.connection import Answer, Confirmed, Transmitted, Transport
from plg.runner.grid import Grid
from plg.runner.lateness import Lateness
from plg.runner.observer import Hooks, ProgressMeter
from plg.runner.prepared import Encoder
from plg.runner.recorder import Sample
from plg.runner.recording import Recording
from plg.runner.sampler import Sampler
from plg.runner.schedule import Batch, Schedule
from plg.runner.sender import Pace, Sender
from plg.runner.watch import INTERRUPTED_PATIENCE, LOOK_PATIENCE, Remains, Watch
from plg.scenario import Guardrails
from plg.stop import Stop
from plg.targets.encoding import parcels

POLL_INTERVAL = 0.05
"""Seconds between looks at samples and limits when nothing else wakes the loop."""
WATCH = 0.25
"""Least seconds between judgements of the expectations that may stop the run."""
ANSWERS_GRACE = 5.0
"""Seconds without any answer after the last send before what is in flight becomes unknown."""
_LOOKING = 0.005
"""Seconds between two glances at whether the last look has ended."""
INTERRUPTED_GRACE = 0.5
"""The same after a signal: somebody is waiting for the prompt."""
_CHUNK_S, _FEWEST = 0.1, 2048
"""Arrivals are worked out for so many seconds at a time, and at least so many: a piece of work that fits between two
departures."""
BATCH = 2000
"""Most arrivals encoded between two looks at the answers."""


class Engine:
    """One run of one plan over one transport. `run` returns its recording whatever happened."""

    def __init__(
        self,
        plan: Plan,
        limits: Guardrails,
        transport: Transport,
        encode: Encoder,
        clock: Clock,
        sampler: Sampler,
        *,
        grid: Grid,
        max_lag: float = 1.0,
        watch: Watch | None = None,
        hooks: Hooks | None = None,
        pacing: Pacing = PACINGS["economical"],
        budget: Budget | None = None,
    ) -> None:
        self._plan, self._limits, self._transport, self._encode = plan, limits, transport, encode
        self._clock, self._sampler, self._start = clock, sampler, clock.now()
        self._max_lag, self._watch, self._hooks = max_lag, watch or Watch(None), hooks or Hooks()
        self._remains = Remains(self._watch.start_depth, self._watch.start_untaken)
        self._pacing = pacing
        self._account = Account(plan, grid, limits.max_rate)
        self._abort = AbortConditions(limits, self._account, self._hooks)
        self._meter = ProgressMeter(plan, self._account, self._hooks)
        self._schedule = Schedule(plan.chunks(max(_FEWEST, min(CHUNK, int(plan.peak_rate * _CHUNK_S)))))
        self._limiter = RateLimiter(limits.max_rate, limits.rate_limit_window)
        self._budget = budget or OwnBudget(limits.max_total_jobs)
        self._pace = Pace()
        self.lateness = Lateness(self._account, max_lag)
        self._blocked = False
        self._unresolved = 0
        self.next_poll = self._next_watch = 0.0
        self.counted_until = 0.0
        """Seconds of the run up to which all that happened is counted."""
        self._rest_shed = False
        # A plan that fits the limit to the full is not stopped for the moment by which its last job is sent late.
        self._fits = plan.duration <= limits.max_duration
        self._cutoff = limits.max_duration + (HELD_LAG if self._fits else 0.0)
        self._sender = Sender(
            self._schedule, transport, encode, clock, self._account, self._limiter, self._budget, self._meter,
            self._pace, self, pacing, max_lag=max_lag, cutoff=self._cutoff,
        )  # fmt: skip

    # -- the run, in its three stages ---------------------------------------------------------------------------

    def run(self, start: float) -> Recording:
        """Send the plan, await the answers, watch the queue drain; the schedule begins at ``start`` of the clock.

        All times of the recording are seconds from then.
        """
        self._start = self._sender.start = start
        self._send_plan()
        ended = self._now()
        self._await_answers()
        self._watch_queue()
        self._transport.close()
        return self._recording(ended if self._abort.stop else min(ended, self._plan.duration), self._abort.stop)

    def _send_plan(self) -> None:
        while self._schedule.head < math.inf:
            now = self.look()
            self._collect(now)
            if now >= self.next_poll:
                self.poll(now)
            if self._abort.stop is not None:
                return
            self._dispatch(now)
            if self._abort.stop is not None:
                return
            deadline = self._deadline(now)
            if self._blocked:
                self.lateness.blocked(deadline)
            elif self._sender.send_ahead():
                continue
            self._wait(deadline)
        # A plan may end on a stretch without arrivals: the run lasts until its end all the same.
        end = min(self._plan.duration, self._limits.max_duration)
        while self._abort.stop is None and not self._rest_shed and self._now() < end:
            self._wait(min(self.next_poll, end))
            self._collect(self.look())
            if not self._transport.in_flight:
                self._begin_watch(self._now())
            self.poll(self._now())
        if self._abort.stop is None and not self._rest_shed and not self._fits:
            # No job is lost, and yet the run is not the one that was planned: nobody saw how it ended.
            self._reach("max_duration", self._now(), self._plan.duration, self._limits.max_duration)

    def _await_answers(self) -> None:
        heard, grace = self._awake(), ANSWERS_GRACE
        while self._transport.in_flight and self._awake() - heard < grace:
            if self._interrupted():
                grace = INTERRUPTED_GRACE
            before = self._transport.in_flight
            self._wait(self._now() + POLL_INTERVAL)
            self._collect(self.look())
            if self._transport.in_flight < before:
                heard = self._awake()
        now = self._now()
        if self._transport.in_flight:
            self.take([(now, self._transport.abandon(now, f"no answer within {grace:g} s of the end"))])
        if self._account.acked == 0 and self._account.errors > 0:
            self._abort.halt("target", self._account.last_error)
        if self._transport.down:
            self._abort.halt("target", self._transport.last_words)

    def _watch_queue(self) -> None:
        """Take the last look, and go on looking while jobs of the run wait and the watch is not over."""
        if self._abort.stop is not None and self._abort.stop.name == "target":
            return
        self._begin_watch(self._now())
        self._take_last_look()
        # What plg sleeps through is no watching.
        end = self._pace.last_send + self._watch.length - self.lateness.lost_s
        while self._remains.waits and self._abort.stop is None and self._awake() < end and not self._interrupted():
            self._wait(self._now() + POLL_INTERVAL / 2)
            now = self._now()
            self._take_samples(now)
            self._look_for_breach(now, now)
            self._meter.show(now, "draining")

    def _take_last_look(self) -> None:
        self._sampler.hurry()
        begin, patience = self._awake(), LOOK_PATIENCE
        while not self._remains.looked and self._awake() - begin < patience:
            if self._interrupted():
                patience = INTERRUPTED_PATIENCE
            self._wait(self._now() + _LOOKING)
            self._take_samples(self._now())

    def _begin_watch(self, now: float) -> None:
        self._remains.begin(self._pace.last_send if self._account.sent else None, now)

    # -- one wake-up --------------------------------------------------------------------------------------------

    def _now(self) -> float:
        return self._clock.now() - self._start

    def look(self) -> float:
        """The moment (s of the run); what plg slept through before it is noted."""
        now = self._now()
        self._forgive(self.lateness.look(now))
        return now

    def overslept(self) -> bool:
        """Look at the clock; whether plg slept through something before."""
        stalled = self.lateness.look(self._now())
        self._forgive(stalled)
        return stalled > 0

    def transmitted(self, transmitted: Transmitted) -> None:
        """Note what a send_ahead slept through."""
        self._forgive(self.lateness.transmitted(transmitted.by, transmitted.at))

    def _forgive(self, stalled: float) -> None:
        if stalled:
            self._transport.pardon(stalled)
            self._abort.pardon(stalled)

    def _awake(self) -> float:
        """Seconds of the run for which plg was awake."""
        return self.look() - self.lateness.lost_s

    def _wait(self, until: float) -> None:
        now = self.look()
        # A wake-up for an answer costs as much as one for a send, so between close sends only some are awaited.
        answers = self._transport.awaited > 0 or until - now > self._pacing.lull
        if answers and self._transport.in_flight:
            until = min(until, now + GLANCE)
        self.lateness.sleep(until)
        self._transport.wait(self._clock, self._start + until, answers=answers)
        self.look()

    def _collect(self, now: float) -> None:
        answers = self._transport.collect(now)
        if answers:
            # The moment after the reading, never before: a job is not answered before it was executed.
            self.take([(self.look(), answers)])
            self.lateness.heard(answers)
        self.lateness.spoiled = False
        self.counted_until = now

    def confirm(self, confirmed: Confirmed) -> None:
        """Count jobs that were found confirmed."""
        if confirmed.moments:
            self._limiter.answered_each(confirmed.sizes, confirmed.moments)
            self._abort.on_confirmed(confirmed.moments, confirmed.sizes)
            self._account.count_acked(confirmed)

    def take(self, heard: Sequence[tuple[float, list[Answer]]]) -> None:
        """Count answers of any kind, each list with the moment at which it was read."""
        confirmed = Confirmed.nothing()
        for now, answers in heard:
            fine = failed = unknown = 0
            for answer in answers:
                jobs = len(answer.due)
                if answer.error is None:
                    confirmed.dues.append(answer.due)
                    if answer.timed:
                        confirmed.timed.append((answer.due, now - answer.sent_at))
                    fine += jobs
                    continue
                self._account.count_error(answer, now)
                if answer.unknown:
                    unknown += jobs
                else:
                    failed += jobs
            # What was in flight on a lost connection may still be executed: it keeps its place until the server is
            # heard.
            self._unresolved += unknown
            if fine or failed:
                self._limiter.answered(fine + failed, now)
            if fine:
                confirmed.moments.append(now)
                confirmed.sizes.append(fine)
            self._abort.on_answers(answers, now, fine, failed, unknown)
        if confirmed.moments:
            self._account.count_acked(confirmed)

    def _dispatch(self, now: float) -> None:
        self._blocked = not self._transport.ready(now)
        self.lateness.step(now, ready=not self._blocked)
        if now >= self._cutoff and not self._slept_past(now):
            self._reach("max_duration", now, self._plan.duration, self._limits.max_duration)
            return
        self._drop_overdue(now)
        if self._blocked:
            if self._transport.given_up(now):
                self._abort.halt("target", self._transport.last_words)
            return
        if self._unresolved:
            self._limiter.answered(self._unresolved, self._now())
            self._unresolved = 0
        if self._schedule.head > now:
            self.lateness.caught_up()
        if now < self._pace.earliest or self._schedule.head > now:
            return
        # The next send is a tick after this one was meant to be, so a late wake-up does not delay those after it.
        self._pace.earliest = max(self._pace.earliest, self._schedule.head) + self._pacing.tick
        while self._abort.stop is None and self._schedule.head <= now:
            room = min(BATCH, self._limiter.allowance(now), self._budget.left(self._account.sent))
            if room <= 0:
                if self._budget.exhausted(self._account.sent):
                    self._reach("max_total_jobs", now, self._plan.planned, self._limits.max_total_jobs)
                self.lateness.out_of_room(now)
                self._blocked = True
                return
            batch = self._schedule.take(now, room)
            if batch is not None:
                self._send(batch, self._now())
            if self._transport.down or self._transport.backlog:
                self._blocked = True
                return

    def _send(self, batch: Batch, now: float) -> None:
        if batch.kept is not None:
            shed, batch = batch.split()
            self._account.count_shed(shed)
        jobs = len(batch)
        if not jobs:
            return
        first = float(batch.due[0])
        commands = next(parcels(self._encode(batch, [jobs], [self._clock.wall()])))
        now = self._now()
        timed = now >= self._pace.timed_from
        if timed:
            self._pace.timed_from = now + self._pacing.timing
        in_lull = self._schedule.head - now > self._pacing.lull
        self._transport.send(commands, now, timed=timed or in_lull)
        self._clock.give_way()  # to the server, which may have been woken on this processor
        self._limiter.leave(jobs)
        self._account.count_sent(batch.due, [now], [jobs])
        self.lateness.sent(batch.due, now)
        self._pace.last_send = now
        if now - first > self._meter.lag:
            self._meter.lag = now - first

    # -- arrivals that cannot be sent as planned ----------------------------------------------------------------------

    def _slept_past(self, now: float) -> bool:
        """Whether a plan that fits into max_duration is not over by then through plg alone: what is left is late."""
        own = self._fits and bool(self.lateness.is_own(np.array([self._schedule.head]), now)[0])
        if own:
            self._drop_before(math.inf, now)
        return own

    def _drop_overdue(self, now: float) -> None:
        self._drop_before(now - self._max_lag, now)

    def _drop_before(self, horizon: float, now: float) -> None:
        while self._schedule.head < horizon:
            batch = self._schedule.take(math.nextafter(horizon, -math.inf), 1 << 16)
            if batch is None:
                return
            shed, kept = batch.split()
            self._account.count_shed(shed)
            self._account.count_late(kept.due)
            self.lateness.dropped(kept.due, now)

    def _deadline(self, now: float) -> float:
        """When to wake next if no answer comes before."""
        due = self._schedule.head
        soonest = min(self.next_poll, self._cutoff)
        overdue = due + self._max_lag + self._pacing.tick
        if self._transport.down:
            return min(soonest, self._transport.retry_at, overdue)
        if self._transport.backlog:
            return min(soonest, overdue)
        if due <= now and self._limiter.allowance(now) <= 0:
            release = self._limiter.next_release()
            return min(soonest, overdue if release is None else max(release, self._pace.earliest))
        departure = max(due, self._pace.earliest)
        if departure < self.next_poll + self._pacing.tick:
            return min(departure, self._cutoff)  # the house is kept at the same wake-up
        return min(soonest, departure)

    # -- limits -------------------------------------------------------------------------------------------------

    def poll(self, now: float, stage: str = "sending") -> None:
        """Look at samples, limits and signals, if it is time."""
        if now < self.next_poll:
            return
        self.next_poll = now + POLL_INTERVAL
        if self._interrupted():
            return
        if self._budget.trouble is not None:
            self._abort.halt("target", self._budget.trouble)
        self.lateness.on_suspension(now, self._clock.suspended())
        self._abort.on_samples(self._take_samples(now), now)
        until = min(now, self.counted_until)
        self._abort.on_progress(until)
        self._look_for_breach(now, until)
        self._meter.show(now, stage, until)

    def _look_for_breach(self, now: float, until: float) -> None:
        """Judge the expectations that may stop the run by all that is counted ``until`` then, if it is time."""
        if self._hooks.watch is None or now < self._next_watch or self._abort.stop is not None:
            return
        breach = self._hooks.watch(self._recording(until, Stop("live", "")))
        # A look at a long recording costs time that belongs to the schedule: never more than a fiftieth of it.
        looked = self._now()
        self._next_watch = looked + max(WATCH, 50 * (looked - now))
        if breach:
            self._abort.halt("expectation", breach)

    def _take_samples(self, now: float) -> list[Sample]:
        samples = self._sampler.poll(now)
        for sample in samples:
            self._account.add_sample(sample)
        self._remains.heed(samples)
        return samples

    def _reach(self, guardrail: str, now: float, asked: float, limit: float) -> None:
        """A counted limit: what is left of the plan is over it, whether or not emergency_stop is on."""
        self._abort.reach(guardrail, now, asked, limit, self._plan.duration)
        if self._abort.stop is None:
            self._rest_shed = True
            while (batch := self._schedule.take(math.inf, 1 << 16)) is not None:
                self._account.count_shed(batch.due)

    @property
    def stopped(self) -> bool:
        """Whether the run is to end before its plan does."""
        return self._abort.stop is not None

    def _interrupted(self) -> bool:
        asked = self._hooks.interrupted()
        if asked is not None:
            self._abort.halt(asked.name, asked.detail, asked.by)
        return asked is not None

    def _recording(self, ended: float, stop: Stop | None) -> Recording:
        return self._account.recording(
            ended, self._schedule.taken, stop, self._remains, self._abort.excursions(), self.lateness.stalls
        )
