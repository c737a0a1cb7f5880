"""The limits of a scenario against what is observed: hits, warnings, and the word to stop."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from plg.answers import Answers
from plg.dataclass import dataclass
from plg.scenario import Guardrails


@dataclass(frozen=True, slots=True)
class Hit:
    """A guardrail at work, from ``start_s`` to ``end_s``: a time over a limit, or over its warn threshold.

    ``action`` is ``warn``, ``clip``, ``stop`` or ``observe`` (a limit passed with emergency_stop off). ``requested`` is
    the worst value seen; it and ``allowed`` are in the guardrail's own unit (jobs/s, jobs, s, bytes, fraction). A
    ``warn`` and an ``observe`` are remarks and not counted by the measure guardrail_hits.
    """

    guardrail: str
    start_s: float
    end_s: float
    requested: float
    allowed: float
    action: str
    reaction_s: float | None = None
    """How soon a ``stop`` came (s): from the last moment at which the value was known to be within its limit to the
    moment from which on no job was handed to a connection any more. The limit was passed somewhere between, so this
    is the most that can have gone by since. 0 for a ``clip``; None for a hit that changed nothing, and
    in outcomes that were saved before it was recorded.

    What is sampled (depth, age, processor, memory) was known to be within at the last reading that said so (of the
    queues: when it was asked for), or where there was none at the start of the run; a reading that failed says
    nothing. The error rate is known up to the answers that carry it past the limit, which makes it 0; where older
    answers left its window instead, it was known when it was last looked at. Of a counted limit, and of a rate, it is
    exactly 0: the job over it is never sent.
    """


class Guard:
    """Turns readings into hits: one per crossing, however many readings it lasts.

    The limits come in the units of `plg.scenario.Guardrails`. With ``emergency_stop`` off a breach is recorded
    (action ``observe``) and the run goes on. ``opened`` is called with each hit as it begins.
    """

    def __init__(self, limits: Guardrails, opened: Callable[[Hit], None] = lambda hit: None) -> None:
        self._limits, self._opened = limits, opened
        self._open: dict[tuple[str, bool], Hit] = {}
        self._closed: list[Hit] = []
        self._within: dict[str, float] = {}
        self._limit: dict[str, float] = {
            name: value
            for name, value in (
                ("max_rate", limits.max_rate),
                ("max_total_jobs", limits.max_total_jobs),
                ("max_duration", limits.max_duration),
                ("max_memory", limits.max_memory),
                ("max_cpu", limits.max_cpu),
                ("max_queue_depth", limits.max_queue_depth),
                ("max_queue_age", limits.max_queue_age),
                ("max_error_rate", limits.max_error_rate.fraction if limits.max_error_rate else None),
            )
            if value is not None
        }

    def over(self, guardrail: str, value: float) -> bool:
        """Whether a value is past the limit; nothing is where there is none."""
        limit = self._limit.get(guardrail, math.inf)
        # An error rate of exactly the limit is still allowed: 0% must mean "none", not "stop at once".
        return value > limit if guardrail == "max_error_rate" else value >= limit

    def know_within(self, guardrail: str, moment: float) -> None:
        """The value was within its limit at this moment (s of the run)."""
        self._within[guardrail] = max(moment, self._within.get(guardrail, 0.0))

    def observe(
        self, guardrail: str, now: float, value: float | None, *, read_at: float | None = None, can_stop: bool = True
    ) -> Hit | None:
        """Take in at ``now`` (s) what was read at ``read_at``. Returns the hit when it must stop the run.

        ``can_stop`` is off for readings that only warn (what enforces the limit stands elsewhere).
        """
        limit = self._limit.get(guardrail)
        if limit is None or value is None or value != value:
            return None
        over, threshold = self.over(guardrail, value), limit * self._limits.warn_at
        near = value >= threshold > 0
        if not over and not near and not self._open:
            # As nearly always, and it is asked often.
            self.know_within(guardrail, now if read_at is None else read_at)
            return None
        stop: Hit | None = None
        if can_stop:
            found = self._track(True, over, self._breach(guardrail, now, value, limit))
            stop = found if found is not None and found.action == "stop" else None
        if not over:
            self.know_within(guardrail, now if read_at is None else read_at)
        self._track(False, near, Hit(guardrail, now, now, value, limit, "warn"))
        return stop

    def record(self, hit: Hit) -> None:
        """Add one that was established elsewhere (a clip of the plan, a counted limit)."""
        self._closed.append(hit)
        self._opened(hit)

    def _breach(self, guardrail: str, now: float, value: float, limit: float) -> Hit:
        if not self._limits.emergency_stop:
            return Hit(guardrail, now, now, value, limit, "observe")
        # A reading may be a moment younger than the wake-up that looks at it.
        reaction = max(0.0, now - self._within.get(guardrail, 0.0))
        return Hit(guardrail, now, now, value, limit, "stop", reaction)

    def _track(self, breach: bool, over: bool, seen: Hit) -> Hit | None:
        """Open, prolong or close the hit that what was just ``seen`` belongs to."""
        key = (seen.guardrail, breach)
        current = self._open.get(key)
        if not over:
            if current is not None:
                self._closed.append(replace(current, end_s=seen.end_s))
                del self._open[key]
            return None
        first = seen if current is None else current
        self._open[key] = replace(first, end_s=seen.end_s, requested=max(first.requested, seen.requested))
        if current is None:
            self._opened(first)
        return self._open[key]

    def hits(self) -> tuple[Hit, ...]:
        """All so far, by start."""
        return tuple(sorted((*self._closed, *self._open.values()), key=lambda e: (e.start_s, e.guardrail)))


class ErrorRate:
    """Errors over answers of the last ``over`` seconds, counted in slices of a fiftieth of it."""

    def __init__(self, over: float) -> None:
        self._over = over
        self._slice = over / 50
        self._slices: deque[tuple[float, int, int]] = deque()
        self._answers = 0
        self._errors = 0

    def add(self, now: float, answers: int, errors: int) -> None:
        """``answers`` more were answered or lost, ``errors`` of them badly."""
        if self._slices and now - self._slices[-1][0] < self._slice:
            start, before, bad = self._slices.pop()
            self._slices.append((start, before + answers, bad + errors))
        else:
            self._slices.append((now, answers, errors))
        self._answers += answers
        self._errors += errors

    def take(self, answers: Answers) -> None:
        """Count answers that have not been counted yet."""
        last, failed, unknown = answers.moments[-1], answers.failed, answers.unknown
        if not failed and not unknown and self._slices and last - self._slices[-1][0] < self._slice:
            self.add(last, sum(answers.sizes), 0)
            return
        for row, (moment, jobs) in enumerate(zip(answers.moments, answers.sizes, strict=True)):
            self.add(moment, jobs, jobs if row in failed or row in unknown else 0)

    def value(self, now: float) -> float | None:
        """The rate as a fraction; None before anything was answered in the window."""
        while self._slices and self._slices[0][0] < now - self._over:
            _, answers, errors = self._slices.popleft()
            self._answers -= answers
            self._errors -= errors
        return self._errors / self._answers if self._answers else None
