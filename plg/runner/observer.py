"""What a run tells the outside, and what it hears from there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from plg.dataclass import dataclass
from plg.guardrails.guard import Hit
from plg.histogram import BUCKETS, Distribution
from plg.plan import Plan
from plg.runner.live import Live
from plg.runner.recorder import Recorder
from plg.runner.recording import Histograms
from plg.stop import Stop


@dataclass(frozen=True, slots=True)
class Progress:
    """A glance at a live run. Rates in jobs/s over the last interval, lag as its largest value (s).

    What follows ``stage`` is NaN where it is not known. ``due`` counts what was planned until now; ``lag_p99`` and the
    percentiles of the latency (s) are those of the newest windows that are whole, ``memory`` is in bytes.
    """

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
    allowed_rate: float = math.nan
    due: int = 0
    failed: int = 0
    unknown: int = 0
    queue_age: float = math.nan
    cpu: float = math.nan
    memory: float = math.nan
    lag_p99: float = math.nan
    latency_p50: float = math.nan
    latency_p95: float = math.nan
    latency_p99: float = math.nan


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


class NewestTimes:
    """Percentiles of lag and latency in the newest windows that are whole; asked anew at most once a second."""

    _EVERY = 1.0

    def __init__(self) -> None:
        self._since, self._next = 0, 0.0
        self._known: dict[str, float] = {}

    def of(self, live: Live) -> dict[str, float]:
        """By the fields of `Progress`; those of before where nothing is new."""
        if live.now >= self._next:
            self._next = live.now + self._EVERY
            cells = live.closed(self._since)
            self._since = cells.end
            self._known |= _percentiles(cells.histograms)
        return self._known


_ASKED = {"lag_p99": ("lag", 0.99), **{f"latency_p{p}": ("latency", p / 100) for p in (50, 95, 99)}}


def _percentiles(histograms: Mapping[str, Histograms]) -> dict[str, float]:
    """By the fields of `Progress`; those are left out that no job tells of."""
    summed = {time: _summed(histograms[time]) for time in ("lag", "latency")}
    found = {name: summed[time].quantile(share) for name, (time, share) in _ASKED.items()}
    return {name: value for name, value in found.items() if value is not None}


def _summed(of: Histograms) -> Distribution:
    if not len(of.counts):
        return Distribution.empty()
    counts = np.bincount(of.buckets, of.counts, BUCKETS).astype(np.int64)
    return Distribution(counts, int(counts.sum()), float(of.sums.sum()), float(of.minima.min()), float(of.maxima.max()))


class ProgressMeter:
    """Feeds the progress hook, at most once an interval.

    Jobs are whole: at 25/s a second has 24, 25 or 26 of them. While what was confirmed is less than one job from the
    plan's own curve, the actual rate is read off that curve, so that it does not jump around the target.
    """

    def __init__(self, plan: Plan, recorder: Recorder, hooks: Hooks) -> None:
        self._plan, self._recorder, self._hooks = plan, recorder, hooks
        self._shown_at = self._counted_until = self._confirmed = 0.0
        self._times = NewestTimes()

    def show(self, now: float, stage: str, live: Live) -> None:
        """Tell how the run stands at ``now``, if it is time; what is counted so far may end before ``now``."""
        if self._hooks.progress is None or now - self._shown_at < self._hooks.progress_every:
            return
        recorder, until = self._recorder, live.now
        before, due, counted = self._due([self._shown_at, now, until])
        allowed = np.diff(self._plan.allowed_count(np.minimum([self._shown_at, now], self._plan.duration)))
        gauges, times = recorder.gauges, self._times.of(live)
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
                allowed_rate=float(allowed[0]) / (now - self._shown_at),
                due=round(due),
                failed=recorder.failed,
                unknown=recorder.errors - recorder.failed,
                queue_age=gauges.get("queue_age", math.nan),
                cpu=gauges.get("cpu", math.nan),
                memory=gauges.get("memory", math.nan),
                **times,
            )
        )
        self._shown_at, self._counted_until, self._confirmed, recorder.worst_lag = now, until, confirmed, 0.0

    def _due(self, moments: list[float]) -> list[float]:
        """How many jobs the plan's curve has until each of the moments."""
        counts: list[float] = self._plan.target_count(np.minimum(moments, self._plan.duration)).tolist()
        return counts
