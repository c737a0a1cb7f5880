"""What ends a run before its plan does: limits, refusals, queues that are out of sight."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from plg.answers import Answers
from plg.guardrails.guard import ErrorRate, Guard, Hit
from plg.plan import Clip, Plan
from plg.runner.recorder import Recorder
from plg.runner.run_clock import RunClock
from plg.runner.sampler import Sample
from plg.scenario import Guardrails
from plg.stop import Stop
from plg.units import format_duration

REFUSAL_PATIENCE = 1.0
"""Seconds during which every answer was an error before the target counts as refusing."""

BLIND_PATIENCE = 1.0
"""Seconds for which the queues may be out of sight while jobs leave and a limit hangs on them."""

_PERMANENT = ("NOAUTH", "WRONGPASS", "NOPERM", "READONLY", "WRONGTYPE")
"""Errors that waiting does not mend."""


class AbortConditions:
    """The reasons that one run itself gives to end it. Times are seconds of the run."""

    def __init__(
        self, plan: Plan, limits: Guardrails, recorder: Recorder, clock: RunClock, hit: Callable[[Hit], None]
    ) -> None:
        self._plan, self._limits, self._recorder, self._clock = plan, limits, recorder, clock
        self._guard = Guard(limits, hit)
        self._errors = ErrorRate(limits.max_error_rate.over if limits.max_error_rate else 1.0)
        self._refusing_since: float | None = None
        self._blind_since: float | None = None
        self._sent_then = 0
        self._peaks: dict[float, float] = {}
        self._hit = hit
        self._clips = [clip for clip in plan.clips if clip.guardrail == "max_rate"]
        self._told_clips = 0

    def on_answers(self, answers: Answers) -> Stop | None:
        """Look at answers that were just counted."""
        now, failed, unknown = answers.moments[-1], answers.failed, answers.unknown
        if self._limits.max_error_rate is not None:
            within = self._errors_within(now)
            self._errors.take(answers)
            if within or self._errors_within(now):
                self._guard.know_within("max_error_rate", now)
        if not failed and not unknown:
            self._refusing_since = None
            return None
        over = self._check("max_error_rate", now, self._errors.value(now))
        return self._refusal(answers, now) or over

    def _refusal(self, answers: Answers, now: float) -> Stop | None:
        """Whether the target refuses jobs for good, or all of them for too long."""
        awake, some_fine = self._awake(now), len(answers) > len(answers.failed) + len(answers.unknown)
        if some_fine or not answers.failed:
            self._refusing_since = None
        elif self._refusing_since is None:
            self._refusing_since = awake
        for words in answers.failed.values():
            if words.split(" ", 1)[0] in _PERMANENT:
                return Stop("target", words)
        if self._refusing_since is not None and awake - self._refusing_since > REFUSAL_PATIENCE:
            return Stop("target", self._recorder.last_error)
        return None

    def _errors_within(self, now: float) -> bool:
        return not self._guard.over("max_error_rate", self._errors.value(now) or 0.0)

    def on_sample(self, sample: Sample, now: float) -> Stop | None:
        """Look at gauges. Nothing is sent after ``now`` if they stop the run, however old the sample is."""
        asked = sample.t if sample.asked is None else sample.asked
        age = sample.age_at_least if math.isnan(sample["queue_age"]) else sample["queue_age"]
        stops = (
            self._check("max_queue_depth", now, sample["queue_depth"], asked),
            self._check("max_queue_age", now, age, asked),
            self._check("max_cpu", now, sample["cpu"], sample.t),
            self._check("max_memory", now, sample["memory"], sample.t),
            self._check_sight(sample, asked, now),
        )
        return next((stop for stop in stops if stop is not None), None)

    def _check_sight(self, sample: Sample, asked: float, now: float) -> Stop | None:
        """Stop a run that goes on sending while a limit hangs on queues that cannot be seen."""
        if not math.isnan(sample["queue_depth"]) or not self._limits.queue_limits:
            self._blind_since = None
        elif self._blind_since is None or self._recorder.sent == self._sent_then:
            self._blind_since, self._sent_then = self._awake(asked), self._recorder.sent
        elif (blind := self._awake(now) - self._blind_since) > BLIND_PATIENCE and self._limits.emergency_stop:
            why = f"the queues could not be seen for {format_duration(round(blind, 1))}: {sample.fault}"
            return Stop("guardrail", f"{self._limits.queue_limits[0]}: {why}")
        return None

    def on_progress(self, now: float) -> Stop | None:
        """Look at what grows with the run: warnings for the counted limits, the error rate, what the plan clips."""
        while self._told_clips < len(self._clips) and self._clips[self._told_clips].start_s <= now:
            self._hit(self._clipped(self._clips[self._told_clips], now))
            self._told_clips += 1
        self._guard.observe("max_total_jobs", now, self._recorder.sent, can_stop=False)
        self._guard.observe("max_duration", now, now, can_stop=False)
        return self._check("max_error_rate", now, self._errors.value(now))

    def reach(self, guardrail: str, now: float) -> Stop | None:
        """A counted limit is reached with work left.

        Without emergency_stop that rest is shed: the hit lasts as long as it would have gone on, and sent it never is.
        """
        plan, limits = self._plan, self._limits
        asked, limit = {
            "max_total_jobs": (plan.planned, limits.max_total_jobs),
            "max_duration": (plan.duration, limits.max_duration),
        }[guardrail]
        if limits.emergency_stop:
            self._guard.record(Hit(guardrail, now, now, asked, limit, "stop", reaction_s=0.0))
            return Stop("guardrail", guardrail)
        self._guard.record(Hit(guardrail, now, max(now, plan.duration), asked, limit, "clip", reaction_s=0.0))
        return None

    def hits(self, ended: float) -> tuple[Hit, ...]:
        """The guardrails at work until the run ``ended``: what the plan clips, and what was seen."""
        clips = [self._clipped(clip, ended) for clip in self._clips if clip.start_s < ended]
        return tuple(sorted((*clips, *self._guard.hits()), key=lambda hit: (hit.start_s, hit.guardrail)))

    def _clipped(self, clip: Clip, until: float) -> Hit:
        peak = self._peak(clip)
        return Hit("max_rate", clip.start_s, min(clip.end_s, until), peak, self._limits.max_rate, "clip", 0.0)

    def _peak(self, clip: Clip) -> float:
        if clip.start_s not in self._peaks:
            moments = np.linspace(clip.start_s, clip.end_s, 201)[:-1]
            self._peaks[clip.start_s] = float(self._plan.target_rate(moments).max())
        return self._peaks[clip.start_s]

    def _awake(self, moment: float) -> float:
        """Seconds of the run without those in which plg stood still, for which the target is not judged."""
        return moment - self._clock.lost_s

    def _check(self, guardrail: str, now: float, value: float | None, read_at: float | None = None) -> Stop | None:
        over = self._guard.observe(guardrail, now, value, read_at=read_at)
        return None if over is None else Stop("guardrail", guardrail)
