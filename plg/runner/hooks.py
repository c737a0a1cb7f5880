"""What a run tells the outside, and what it hears from there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from plg.plan import Plan
from plg.runner.account import Account
from plg.runner.recording import Recording


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
    """What the engine asks or tells the outside. ``watch`` returns why to stop, or None."""

    interrupted: Callable[[], str | None] = lambda: None
    watch: Callable[[Recording], str | None] | None = None
    progress: Callable[[Progress], None] | None = None
    progress_every: float = 1.0


class Meter:
    """Feeds the progress hook, at most once an interval."""

    def __init__(self, plan: Plan, account: Account, hooks: Hooks) -> None:
        self._plan, self._account, self._hooks = plan, account, hooks
        self._shown_at = 0.0
        self._acked = 0
        self.lag = 0.0
        """The largest lag (s) since the last showing; the sender keeps it."""

    def show(self, now: float, stage: str) -> None:
        """Tell how the run stands at ``now``, if it is time."""
        if self._hooks.progress is None or now - self._shown_at < self._hooks.progress_every:
            return
        account, span = self._account, now - self._shown_at
        ends = np.minimum(np.array([self._shown_at, now]), self._plan.duration)
        planned = float(np.diff(self._plan.target_count(ends))[0])
        self._hooks.progress(
            Progress(
                t=now,
                duration=self._plan.duration,
                target_rate=planned / span,
                actual_rate=(account.acked - self._acked) / span,
                lag=self.lag,
                queue_depth=math.nan if account.depth is None else account.depth,
                sent=account.sent,
                acked=account.acked,
                errors=account.errors,
                late=account.late,
                shed=account.shed,
                stage=stage,
            )
        )
        self._shown_at, self._acked, self.lag = now, account.acked, 0.0
