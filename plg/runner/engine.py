"""The loop that holds the schedule: an open-loop sender that wakes at absolute deadlines.

At each wake-up it reads what was answered, heeds the guardrails, sends everything that is due in one write, and sleeps
until the next arrival is due, but never less than a tick after the deadline before. Deadlines are computed from due
times and never from the moment of waking, so nothing drifts; and since the number sent is "all that is due", no
fraction of a job is ever rounded away.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from plg.clock import Clock
from plg.guardrails.guard import ErrorRate, Excursion, Guard
from plg.guardrails.limiter import RateLimiter
from plg.plan import Clip, Plan
from plg.runner.lane import Answer, Line
from plg.runner.recorder import Recorder, Sample, SampleLog
from plg.runner.recording import Floats, Hit, Ints, Recording
from plg.runner.sampler import Sampler
from plg.runner.schedule import Batch, Schedule
from plg.scenario import Guardrails
from plg.targets.encoding import Command

HELD_LAG = 0.05
"""An arrival that plg itself kept waiting longer than this (s) counts as held."""
HOUSEKEEPING = 0.05
"""Seconds between looks at samples and limits when nothing else wakes the loop."""
WATCH = 0.25
"""Least seconds between judgements of the expectations that may stop the run."""
ANSWERS_GRACE = 5.0
"""Seconds without any answer after the last send before what is in flight becomes unknown."""
INTERRUPTED_GRACE = 0.5
"""The same after a signal: somebody is waiting for the prompt."""
REFUSAL_PATIENCE = 1.0
"""Seconds during which every answer was an error before the target counts as refusing."""
BATCH = 1024
"""Most arrivals encoded between two looks at the answers."""

_PERMANENT = ("NOAUTH", "WRONGPASS", "NOPERM", "READONLY", "WRONGTYPE")


@dataclass(frozen=True, slots=True)
class Pacing:
    """The trade between lag and processor time.

    ``tick`` is the least time between two sends (s). ``timing`` is the least time between two sends whose answers are
    waited for: of those, service_time is exact; all other answers are read at the next wake-up, so their latency is
    rounded up by at most a tick and their service_time is left out. The choice is made at the sending, so a slow answer
    is as likely to be among the timed ones as a quick one.
    """

    tick: float
    timing: float


PACINGS = {"economical": Pacing(0.001, 0.004), "precise": Pacing(0.00025, 0.0)}


class Encoder(Protocol):
    def __call__(self, batch: Batch, wall: float) -> list[Command]:
        """The commands for a batch that leaves at ``wall`` (s since the epoch)."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A glance at a live run. Rates in jobs/s over the last interval, lag as its largest value (s)."""

    t: float
    duration: float
    target_rate: float
    actual_rate: float
    lag: float
    queue_depth: float
    sent: int
    acked: int
    errors: int
    late: int
    shed: int
    stage: str


@dataclass(frozen=True, slots=True)
class Drain:
    """Whether to wait for the queue to return to ``start_depth`` after the last send, and for how long (s)."""

    start_depth: int | None
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a run ends early: ``guardrail``, ``expectation``, ``target`` or ``signal``, and the words for people."""

    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the engine asks or tells the outside. ``watch`` returns why to stop, or None."""

    interrupted: Callable[[], str | None] = lambda: None
    watch: Callable[[Recording], str | None] | None = None
    progress: Callable[[Progress], None] | None = None
    progress_every: float = 1.0


class Engine:
    """One run of one plan over one lane. `run` returns its recording whatever happened."""

    def __init__(
        self,
        plan: Plan,
        limits: Guardrails,
        lane: Line,
        encode: Encoder,
        clock: Clock,
        sampler: Sampler,
        *,
        start: float,
        edges: Floats,
        window: float,
        max_lag: float = 1.0,
        drain: Drain | None = None,
        hooks: Hooks | None = None,
        pacing: Pacing = PACINGS["economical"],
    ) -> None:
        self._plan, self._limits, self._lane, self._encode = plan, limits, lane, encode
        self._clock, self._sampler, self._start = clock, sampler, start
        self._max_lag, self._drain, self._hooks = max_lag, drain or Drain(None), hooks or Hooks()
        self._edges, self._window, self._pacing = edges, window, pacing
        self._planned: Ints = plan.planned_in(edges)
        self._schedule = Schedule(plan.chunks())
        self._limiter = RateLimiter(limits.max_rate, limits.rate_limit_window)
        self._guard = Guard(limits)
        self._errors = ErrorRate(limits.max_error_rate.over if limits.max_error_rate else 1.0)
        self._recorder = Recorder(edges)
        self._log = SampleLog()
        self._error_texts: dict[str, int] = {}
        self._stop: Stop | None = None
        self._sent = self._acked = self._bad = self._late = self._shed = 0
        self._earliest = self._next_timed = 0.0
        self._blocked_until = 0.0
        self._blocked = False
        self._astray = 0
        self._next_housekeeping = self._next_watch = 0.0
        self._refusing_since: float | None = None
        self._last_send = 0.0
        self._depth = math.nan
        self._drained: float | None = None
        self._drain_waited: float | None = None
        self._rest_shed = False
        self._meter = _Meter(plan, self._hooks)

    # -- the run, in its three stages ---------------------------------------------------------------------------

    def run(self) -> Recording:
        """Send the plan, await the answers, watch the queue drain. The recording counts seconds from ``start``."""
        self._send_plan()
        ended = self._now()
        self._await_answers()
        if self._stop is None and self._drain.wait_s > 0 and self._drain.start_depth is not None:
            self._await_drain()
        self._lane.close()
        return self._recording(min(ended, self._plan.duration) if self._stop is None else ended, self._stop)

    def _send_plan(self) -> None:
        while self._stop is None and self._schedule.head < math.inf:
            now = self._now()
            self._collect(now)
            if now >= self._next_housekeeping:
                self._keep_house(now, "sending")
            if self._stop is None:
                self._dispatch(now)
                self._wait(self._deadline(now))
        # A plan may end on a stretch without arrivals: the run lasts until its end all the same.
        while (
            self._stop is None
            and not self._rest_shed
            and self._now() < min(self._plan.duration, self._limits.max_duration)
        ):
            self._wait(min(self._now() + HOUSEKEEPING, self._plan.duration))
            self._collect(self._now())
            self._keep_house(self._now(), "sending")

    def _await_answers(self) -> None:
        heard, grace = self._now(), ANSWERS_GRACE
        while self._lane.in_flight and self._now() - heard < grace:
            if self._interrupted():
                grace = INTERRUPTED_GRACE
            before = self._lane.in_flight
            self._wait(self._now() + HOUSEKEEPING)
            self._collect(self._now())
            if self._lane.in_flight < before:
                heard = self._now()
        now = self._now()
        if self._lane.in_flight:
            self._settle(self._lane.abandon(now, f"no answer within {grace:g} s of the end"), now)
        if self._stop is None and self._acked == 0 and self._bad > 0:
            self._stop = Stop("target", next(iter(self._error_texts)))
        if self._stop is None and self._lane.down:
            self._stop = Stop("target", self._lane.last_words)

    def _await_drain(self) -> None:
        begin = self._last_send
        while self._drained is None and self._now() - begin < self._drain.wait_s and not self._interrupted():
            self._wait(self._now() + HOUSEKEEPING / 2)
            now = self._now()
            for sample in self._take_samples(now):
                if sample.t >= begin and sample.queue_depth <= (self._drain.start_depth or 0):
                    self._drained = max(0.0, sample.t - begin)
                    break
            self._meter.show(now, self, "draining")
        self._drain_waited = self._now() - begin

    # -- one wake-up --------------------------------------------------------------------------------------------

    def _now(self) -> float:
        return self._clock.now() - self._start

    def _wait(self, until: float) -> None:
        # A wake-up for an answer costs as much as one for a send, so between close sends only some are awaited.
        answers = self._lane.awaited > 0 or until - self._now() > 4 * self._pacing.tick
        self._lane.wait(self._clock, self._start + until, answers=answers)

    def _collect(self, now: float) -> None:
        answers = self._lane.collect(now)
        if answers:
            self._settle(answers, now)

    def _settle(self, answers: list[Answer], now: float) -> None:
        fine = bad = unknown = 0
        for answer in answers:
            jobs = len(answer.due)
            if answer.error is None:
                self._recorder.acked(answer.due, answer.sent_at, now, timed=answer.timed)
                fine += jobs
            else:
                self._recorder.count_now("unknown" if answer.unknown else "failed", now, jobs)
                self._note_error(answer, jobs)
                bad += jobs
                unknown += jobs if answer.unknown else 0
        # What was in flight on a lost connection may still be executed: it keeps its place until the server is heard.
        self._astray += unknown
        if fine + bad > unknown:
            self._limiter.answered(fine + bad - unknown, now)
        self._acked += fine
        self._bad += bad
        self._errors.add(now, fine + bad, bad)
        self._meter.acked += fine
        if fine:
            self._refusing_since = None
        elif bad > unknown:
            self._refusing_since = now if self._refusing_since is None else self._refusing_since
            if now - self._refusing_since > REFUSAL_PATIENCE:
                self._halt("target", list(self._error_texts)[-1])
        elif unknown:
            self._refusing_since = None
        if bad:
            self._heed("max_error_rate", now, self._errors.value(now))

    def _note_error(self, answer: Answer, jobs: int) -> None:
        words = answer.error or ""
        if words in self._error_texts or len(self._error_texts) < 20:
            self._error_texts[words] = self._error_texts.get(words, 0) + jobs
        if not answer.unknown and words.split(" ", 1)[0] in _PERMANENT:
            self._halt("target", words)

    def _dispatch(self, now: float) -> None:
        if now >= self._limits.max_duration:
            self._reach("max_duration", now, self._limits.max_duration)
            return
        ready = self._lane.ready(now)
        if self._blocked and not ready:
            self._blocked_until = now
        self._drop_overdue(now)
        self._blocked = not ready
        if not ready:
            self._blocked_until = now
            if self._lane.given_up(now):
                self._halt("target", self._lane.last_words)
            return
        if self._astray:
            self._limiter.answered(self._astray, now)
            self._astray = 0
        if now < self._earliest or self._schedule.head > now:
            return
        # The next send is a tick after this one was meant to be, so a late wake-up does not delay those after it.
        self._earliest = max(self._earliest, self._schedule.head) + self._pacing.tick
        while self._stop is None and self._schedule.head <= now:
            room = min(BATCH, self._limiter.allowance(now), self._limits.max_total_jobs - self._sent)
            if room <= 0:
                if self._sent >= self._limits.max_total_jobs:
                    self._reach("max_total_jobs", now, self._limits.max_total_jobs)
                else:
                    self._blocked_until = now
                return
            batch = self._schedule.take(now, room)
            if batch is not None:
                self._send(batch, self._now())
            if self._lane.down or self._lane.backlog:
                self._blocked_until = now
                return

    def _send(self, batch: Batch, now: float) -> None:
        if batch.kept is not None:
            shed, batch = batch.split()
            self._shed += self._count_due("shed", shed)
        jobs = len(batch)
        if not jobs:
            return
        first = float(batch.due[0])
        if now - first > HELD_LAG:
            self._count_held(batch.due, now)
        commands = self._encode(batch, self._clock.wall())
        now = self._now()
        timed = now >= self._next_timed
        if timed:
            self._next_timed = now + self._pacing.timing
        self._lane.send(commands, now, timed=timed)
        self._limiter.leave(jobs)
        self._recorder.sent(batch.due, now)
        self._sent += jobs
        self._last_send = now
        if now - first > self._meter.lag:
            self._meter.lag = now - first

    def _drop_overdue(self, now: float) -> None:
        horizon = now - self._max_lag
        while self._schedule.head < horizon:
            batch = self._schedule.take(math.nextafter(horizon, -math.inf), 1 << 16)
            if batch is None:
                return
            shed, kept = batch.split()
            self._shed += self._count_due("shed", shed)
            self._late += self._count_due("late", kept.due)
            self._count_held(kept.due, now)

    def _count_due(self, counter: str, due: Floats) -> int:
        self._recorder.count_due(counter, due)
        return len(due)

    def _count_held(self, due: Floats, now: float) -> None:
        # Only what plg itself caused: time spent blocked by the target or by the rate limit is not ours.
        if len(due) and now - max(float(due[0]), self._blocked_until) > HELD_LAG:
            self._count_due("held", due[now - np.maximum(due, self._blocked_until) > HELD_LAG])

    def _deadline(self, now: float) -> float:
        """When to wake next if no answer comes before."""
        due = self._schedule.head
        soonest = min(self._next_housekeeping, self._limits.max_duration)
        overdue = due + self._max_lag + self._pacing.tick
        if self._lane.down:
            return min(soonest, self._lane.retry_at, overdue)
        if self._lane.backlog:
            return min(soonest, overdue)
        if due <= now and self._limiter.allowance(now) <= 0:
            release = self._limiter.next_release()
            return min(soonest, overdue if release is None else max(release, self._earliest))
        return min(soonest, max(due, self._earliest))

    # -- limits -------------------------------------------------------------------------------------------------

    def _keep_house(self, now: float, stage: str) -> None:
        if now < self._next_housekeeping:
            return
        self._next_housekeeping = now + HOUSEKEEPING
        if self._interrupted():
            return
        for sample in self._take_samples(now):
            self._heed("max_queue_depth", now, sample.queue_depth)
            self._heed("max_queue_age", now, sample.queue_age)
            self._heed("max_cpu", now, sample.cpu)
            self._heed("max_memory", now, sample.memory)
        self._heed("max_error_rate", now, self._errors.value(now))
        self._guard.observe("max_total_jobs", now, self._sent, can_stop=False)
        self._guard.observe("max_duration", now, now, can_stop=False)
        if self._hooks.watch is not None and now >= self._next_watch and self._stop is None:
            breach = self._hooks.watch(self._recording(now, Stop("live", "")))
            # A look at a long recording costs time that belongs to the schedule: never more than a fiftieth of it.
            looked = self._now()
            self._next_watch = looked + max(WATCH, 50 * (looked - now))
            if breach:
                self._halt("expectation", breach)
        self._meter.show(now, self, stage)

    def _take_samples(self, now: float) -> list[Sample]:
        samples = self._sampler.poll(now)
        for sample in samples:
            self._log.add(sample)
            self._depth = sample.queue_depth
        return samples

    def _heed(self, guardrail: str, now: float, value: float | None) -> None:
        excursion = self._guard.observe(guardrail, now, value)
        if excursion is not None:
            self._halt("guardrail", guardrail)

    def _reach(self, guardrail: str, now: float, limit: float) -> None:
        """A counted limit: what is left of the plan is over it. It holds whether or not emergency_stop is on."""
        asked = self._plan.planned if guardrail == "max_total_jobs" else self._plan.duration
        stops = self._limits.emergency_stop
        self._guard.record(Excursion(guardrail, now, now, asked, limit, "stop" if stops else "clip"))
        if stops:
            self._halt("guardrail", guardrail)
            return
        self._rest_shed = True
        while (batch := self._schedule.take(math.inf, 1 << 16)) is not None:
            self._shed += self._count_due("shed", batch.due)

    def _halt(self, kind: str, detail: str) -> None:
        if self._stop is None:
            self._stop = Stop(kind, detail)

    def _interrupted(self) -> bool:
        name = self._hooks.interrupted()
        if name:
            self._halt("signal", name)
        return bool(name)

    # -- the result ---------------------------------------------------------------------------------------------

    def _recording(self, ended: float, stop: Stop | None) -> Recording:
        counters = {name: column.copy() for name, column in self._recorder.counters.items()}
        counters["planned"] = self._planned
        # What was taken is a prefix of the plan, so what is left of each cell follows from its running total.
        left = np.maximum(np.cumsum(self._planned) - self._schedule.taken, 0)
        counters["cancelled"] = np.diff(left, prepend=0)
        times, samples = self._log.columns()
        edges = np.minimum(self._edges, self._plan.duration)
        width = np.maximum(np.diff(edges), 1e-12)
        return Recording(
            edges=self._edges,
            window=self._window,
            duration=self._plan.duration,
            spans={phase.name: tuple(phase.spans) for phase in self._plan.phases},
            counters=counters,
            histograms=self._recorder.histograms(),
            sample_times=times,
            samples=samples,
            target_rate=np.diff(self._plan.target_count(edges)) / width,
            allowed_rate=np.diff(self._plan.allowed_count(edges)) / width,
            hits=self._hits(ended),
            ended_s=ended,
            start_depth=self._drain.start_depth,
            end_depth=None if math.isnan(self._depth) else int(self._depth),
            drain_s=self._drained,
            drain_waited_s=self._drain_waited,
            stop=stop.kind if stop else None,
            stop_detail=stop.detail if stop else "",
            errors=tuple(self._error_texts.items()),
        )

    def _hits(self, ended: float) -> tuple[Hit, ...]:
        clips = [
            Hit("max_rate", clip.start_s, min(clip.end_s, ended), self._peak(clip), self._limits.max_rate, "clip")
            for clip in self._plan.clips
            if clip.guardrail == "max_rate" and clip.start_s < ended
        ]
        seen = [
            Hit(e.guardrail, e.start_s, e.end_s, e.requested, e.allowed, e.action) for e in self._guard.excursions()
        ]
        return tuple(sorted(clips + seen, key=lambda hit: (hit.start_s, hit.guardrail)))

    def _peak(self, clip: Clip) -> float:
        return float(self._plan.target_rate(np.linspace(clip.start_s, clip.end_s, 201)[:-1]).max())


class _Meter:
    """Feeds the progress hook, at most once an interval."""

    def __init__(self, plan: Plan, hooks: Hooks) -> None:
        self._plan, self._hooks = plan, hooks
        self._shown_at = 0.0
        self.acked = 0
        self.lag = 0.0

    def show(self, now: float, engine: Engine, stage: str) -> None:
        if self._hooks.progress is None or now - self._shown_at < self._hooks.progress_every:
            return
        span = now - self._shown_at
        ends = np.minimum(np.array([self._shown_at, now]), self._plan.duration)
        planned = float(np.diff(self._plan.target_count(ends))[0])
        self._hooks.progress(
            Progress(
                t=now,
                duration=self._plan.duration,
                target_rate=planned / span,
                actual_rate=self.acked / span,
                lag=self.lag,
                queue_depth=engine._depth,
                sent=engine._sent,
                acked=engine._acked,
                errors=engine._bad,
                late=engine._late,
                shed=engine._shed,
                stage=stage,
            )
        )
        self._shown_at, self.acked, self.lag = now, 0, 0.0
