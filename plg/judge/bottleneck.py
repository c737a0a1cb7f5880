"""Whether the workers kept up with the load, and if not, what grew: the wait for a worker, or the work itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from plg.dataclass import dataclass
from plg.judge.wording import figure
from plg.runner.recording import Recording

_FEWEST = 20
"""Jobs of a part of the run that its median is told from."""
_MOST_PARTS = 50
_WAIT_GROWS, _RUN_GROWS = 2.0, 1.5
"""How many times the first part's median is growth: a wait near 0 doubles soon, so it also has to be felt."""
_FELT = 0.02
"""Seconds by which a median has to grow to be growth."""


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    wait: float
    run: float


def sentence(recording: Recording) -> str:
    """``queue-bound: queue_wait p50 4ms in calm and 1.2s in stampede, run_time p50 10ms and 11ms``. Empty where the
    workers left no record of when they started and finished jobs, or of too few of them."""
    if not {"queue_wait_least", "run_time"} <= recording.histograms.keys():
        return ""
    parts = list(_parts(recording))
    if len(parts) < 2:
        return ""
    first = parts[0]
    waits = max(parts[1:], key=lambda part: part.wait)
    runs = max(parts[1:], key=lambda part: part.run)
    if runs.run > first.run * _RUN_GROWS and runs.run - first.run > _FELT:
        return f"service-bound: the work itself took longer: {_compared(first, runs)}"
    if waits.wait > first.wait * _WAIT_GROWS and waits.wait - first.wait > _FELT:
        return f"queue-bound: jobs waited longer for a worker, and the work took no longer: {_compared(first, waits)}"
    return f"keeping up: {_compared(first, waits)}"


def _compared(first: _Part, other: _Part) -> str:
    def pair(a: float, b: float) -> str:
        return f"{figure(_rounded(a), 's')} in {first.name} and {figure(_rounded(b), 's')} in {other.name}"

    return f"queue_wait p50 {pair(first.wait, other.wait)}, run_time p50 {pair(first.run, other.run)}"


def _parts(recording: Recording) -> Iterator[_Part]:
    """The phases, or the thirds of a run that has one, in order of time; those of too few jobs are left out."""
    spans = {name: pieces for name, pieces in recording.spans.items() if pieces}
    if not 1 < len(spans) <= _MOST_PARTS:
        third = recording.duration / 3
        spans = {
            f"the {name} third": ((n * third, (n + 1) * third),) for n, name in enumerate(("first", "second", "last"))
        }
    for name, pieces in sorted(spans.items(), key=lambda span: span[1][0]):
        cells = recording.within(pieces)
        # Jobs that wait still have waited so long at least: what is known of those done tells of a calmer run.
        wait, run = (recording.histograms[measure].over(cells) for measure in ("queue_wait_least", "run_time"))
        if min(wait.total, run.total) >= _FEWEST:
            yield _Part(name, wait.quantile(0.5) or 0.0, run.quantile(0.5) or 0.0)


def _rounded(seconds: float) -> float:
    """Three figures of it."""
    return float(np.format_float_positional(seconds, precision=3, fractional=False)) if seconds else 0.0
