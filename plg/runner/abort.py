"""What ends a run before its plan does: limits, refusals, expectations, signals. The first reason stands."""

from __future__ import annotations

import math
from collections.abc import Sequence

from plg.guardrails.guard import ErrorRate, Excursion, Guard
from plg.runner.account import Account
from plg.runner.connection import Answer
from plg.runner.observer import Hooks
from plg.runner.recorder import Sample
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
    """Watches one run. ``stop`` is None as long as it may go on. Times are seconds of the run."""

    def __init__(self, limits: Guardrails, account: Account, hooks: Hooks) -> None:
        self._limits, self._account, self._stopped = limits, account, hooks.stopped
        self._guard = Guard(limits, hooks.hit)
        self._errors = ErrorRate(limits.max_error_rate.over if limits.max_error_rate else 1.0)
        self._refusing_since: float | None = None
        self._blind_since: float | None = None
        self._sent_then = 0
        self.stop: Stop | None = None

    def halt(self, name: str, detail: str, by: str = "") -> None:
        """End the run for this reason, unless there is an earlier one."""
        if self.stop is None:
            self.stop = Stop(name, detail, by)
            self._stopped(self.stop)

    def pardon(self, seconds: float) -> None:
        """plg itself stood still for so long: nobody else is to be judged by that time."""
        if self._refusing_since is not None:
            self._refusing_since += seconds
        if self._blind_since is not None:
            self._blind_since += seconds

    def on_answers(self, answers: Sequence[Answer], now: float, fine: int, failed: int, unknown: int) -> None:
        """Look at answers that were just counted: so many jobs fine, refused, and lost."""
        if self._limits.max_error_rate is not None:
            if not self._guard.over("max_error_rate", self._errors.value(now) or 0.0):
                self._guard.know_within("max_error_rate", now)
            self._errors.add(now, fine + failed + unknown, failed + unknown)
        if fine or (unknown and not failed):
            self._refusing_since = None
        if not failed and not unknown:
            return
        for answer in answers:
            if answer.error is not None and not answer.unknown and answer.error.split(" ", 1)[0] in _PERMANENT:
                self.halt("target", answer.error)
        if failed and not fine:
            self._refusing_since = now if self._refusing_since is None else self._refusing_since
            if now - self._refusing_since > REFUSAL_PATIENCE:
                self.halt("target", self._account.last_error)
        self._check("max_error_rate", now, self._errors.value(now))

    def on_confirmed(self, moments: Sequence[float], jobs: Sequence[int]) -> None:
        """The same for answers that were all fine: so many ``jobs`` at each of some ascending ``moments``."""
        if self._limits.max_error_rate is not None:
            self._errors.add_good(moments, jobs)
            if not self._guard.over("max_error_rate", self._errors.value(moments[-1]) or 0.0):
                self._guard.know_within("max_error_rate", moments[-1])
        self._refusing_since = None

    def on_samples(self, samples: Sequence[Sample], now: float) -> None:
        """Look at gauges. Nothing is sent after ``now`` if they stop the run, however old the samples are."""
        for sample in samples:
            asked = sample.t if sample.asked is None else sample.asked
            self._check("max_queue_depth", now, sample["queue_depth"], asked)
            age = sample.age_at_least if math.isnan(sample["queue_age"]) else sample["queue_age"]
            self._check("max_queue_age", now, age, asked)
            self._check("max_cpu", now, sample["cpu"], sample.t)
            self._check("max_memory", now, sample["memory"], sample.t)
            self._check_sight(sample, asked, now)

    def _check_sight(self, sample: Sample, asked: float, now: float) -> None:
        """A limit on what nobody sees is none: jobs do not go on leaving into queues that are out of sight."""
        if not math.isnan(sample["queue_depth"]):
            self._blind_since = None
        elif self._blind_since is None or self._account.sent == self._sent_then:
            self._blind_since, self._sent_then = asked, self._account.sent
        elif now - self._blind_since > BLIND_PATIENCE and self._limits.emergency_stop and self._limits.queue_limits:
            blind = format_duration(round(now - self._blind_since, 1))
            why = f"the queues could not be seen for {blind}: {sample.fault}"
            self.halt("guardrail", f"{self._limits.queue_limits[0]}: {why}")

    def on_progress(self, now: float) -> None:
        """Look at what grows with the run: warnings for the counted limits, the error rate."""
        self._check("max_error_rate", now, self._errors.value(now))
        self._guard.observe("max_total_jobs", now, self._account.sent, can_stop=False)
        self._guard.observe("max_duration", now, now, can_stop=False)

    def reach(self, guardrail: str, now: float, asked: float, limit: float, until: float) -> None:
        """A counted limit is reached with work left, that would have gone on ``until`` then.

        Without emergency_stop that rest is shed: the hit lasts as long as it, and sent it never is.
        """
        stops = self._limits.emergency_stop
        if stops:
            self._guard.record(Excursion(guardrail, now, now, asked, limit, "stop", reaction_s=0.0))
            self.halt("guardrail", guardrail)
        else:
            self._guard.record(Excursion(guardrail, now, max(now, until), asked, limit, "clip", reaction_s=0.0))

    def excursions(self) -> tuple[Excursion, ...]:
        """All excursions over limits and warn thresholds so far."""
        return self._guard.excursions()

    def _check(self, guardrail: str, now: float, value: float | None, read_at: float | None = None) -> None:
        if self._guard.observe(guardrail, now, value, read_at=read_at) is not None:
            self.halt("guardrail", guardrail)
