"""What a run tells the outside, and what it hears from there."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from plg.dataclass import dataclass
from plg.guardrails.guard import Hit
from plg.plan import Plan
from plg.runner.live import Live
from plg.runner.recorder import Recorder
from plg.stop import Stop


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
class Hooks:
    """What a run asks or tells the outside, from the thread that sends: none of them may wait for anything.

    ``interrupted`` returns the stop that is asked for from outside, ``watch`` the expectation that is broken for good,
    ``recovering`` whether the queue has to be watched on for a line that is not decided yet.
    ``stopped`` is told of the stop at once, ``hit`` of each guardrail at work as it begins.
    """

    interrupted: Callable[[], Stop | None] = lambda: None
    watch: Callable[[Live], str | None] | None = None
    recovering: Callable[[Live], bool] | None = None
    progress: Callable[[Progress], None] | None = None
    progress_every: float = 1.0
    stopped: Callable[[Stop], None] = lambda stop: None
    hit: Callable[[Hit], None] = lambda hit: None


class ProgressMeter:
    """Feeds the progress hook, at most once an interval.

    Jobs are whole: at 25/s a second has 24, 25 or 26 of them. While what was confirmed is less than one job from the
    plan's own curve, the actual rate is read off that curve, so that it does not jump around the target.
    """

    def __init__(self, plan: Plan, recorder: Recorder, hooks: Hooks) -> None:
        self._plan, self._recorder, self._hooks = plan, recorder, hooks
        self._shown_at = self._counted_until = self._confirmed = 0.0

    def show(self, now: float, stage: str, counted_until: float | None = None) -> None:
        """Tell how the run stands at ``now``, if it is time; what is counted so far may end before ``now``."""
        if self._hooks.progress is None or now - self._shown_at < self._hooks.progress_every:
            return
        recorder, until = self._recorder, now if counted_until is None else counted_until
        before, due, counted = self._due([self._shown_at, now, until])
        expected = counted - recorder.shed - recorder.late - recorder.errors
        confirmed = expected if abs(expected - recorder.acked) < 1 else recorder.acked
        span = until - self._counted_until or now - self._shown_at
        self._hooks.progress(
            Progress(
                t=now,
                duration=self._plan.duration,
                target_rate=(due - before) / (now - self._shown_at),
                actual_rate=max(0.0, confirmed - self._confirmed) / span,
                lag=recorder.worst_lag,
                queue_depth=math.nan if recorder.depth is None else recorder.depth,
                sent=recorder.sent,
                acked=recorder.acked,
                errors=recorder.errors,
                late=recorder.late,
                shed=recorder.shed,
                stage=stage,
            )
        )
        self._shown_at, self._counted_until, self._confirmed, recorder.worst_lag = now, until, confirmed, 0.0

    def _due(self, moments: list[float]) -> list[float]:
        """How many jobs the plan's curve has until each of the moments."""
        counts: list[float] = self._plan.target_count(np.minimum(moments, self._plan.duration)).tolist()
        return counts
