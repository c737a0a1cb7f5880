"""The limits of a scenario against what is observed: excursions, warnings, and the word to stop."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Literal

from plg.scenario import Guardrails

Action = Literal["warn", "clip", "stop", "observe"]


@dataclass(frozen=True, slots=True)
class Excursion:
    """One stretch over a limit (or over its warn threshold). ``requested`` is the worst value seen."""

    guardrail: str
    start_s: float
    end_s: float
    requested: float
    allowed: float
    action: Action


class Guard:
    """Turns readings into excursions: one per crossing, however many readings it lasts.

    The limits come in the units of `plg.scenario.Guardrails`. With ``emergency_stop`` off a breach is recorded
    (action ``observe``) and the run goes on.
    """

    def __init__(self, limits: Guardrails) -> None:
        self._limits = limits
        self._open: dict[tuple[str, bool], Excursion] = {}
        self._closed: list[Excursion] = []
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

    def watches(self, guardrail: str) -> bool:
        return guardrail in self._limit

    def observe(self, guardrail: str, now: float, value: float | None, *, can_stop: bool = True) -> Excursion | None:
        """Take a reading at ``now`` (s). Returns the excursion when it is one that must stop the run.

        ``can_stop`` is off for readings that only warn (what enforces the limit stands elsewhere).
        """
        limit = self._limit.get(guardrail)
        if limit is None or value is None or value != value:
            return None
        # An error rate of exactly the limit is still allowed: 0% must mean "none", not "stop at once".
        over = value > limit if guardrail == "max_error_rate" else value >= limit
        stop: Excursion | None = None
        if can_stop:
            action: Action = "stop" if self._limits.emergency_stop else "observe"
            found = self._track(guardrail, True, over, now, value, limit, action)
            stop = found if found is not None and action == "stop" else None
        threshold = limit * self._limits.warn_at
        self._track(guardrail, False, value >= threshold > 0, now, value, limit, "warn")
        return stop

    def record(self, excursion: Excursion) -> None:
        """Add one that was established elsewhere (a clip of the plan, a counted limit)."""
        self._closed.append(excursion)

    def _track(
        self, guardrail: str, breach: bool, over: bool, now: float, value: float, limit: float, action: Action
    ) -> Excursion | None:
        key = (guardrail, breach)
        current = self._open.get(key)
        if not over:
            if current is not None:
                self._closed.append(replace(current, end_s=now))
                del self._open[key]
            return None
        if current is None:
            current = Excursion(guardrail, now, now, value, limit, action)
        self._open[key] = replace(current, end_s=now, requested=max(current.requested, value))
        return self._open[key]

    def excursions(self) -> tuple[Excursion, ...]:
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

    def value(self, now: float) -> float | None:
        """The rate as a fraction; None before anything was answered in the window."""
        while self._slices and self._slices[0][0] < now - self._over:
            _, answers, errors = self._slices.popleft()
            self._answers -= answers
            self._errors -= errors
        return self._errors / self._answers if self._answers else None
