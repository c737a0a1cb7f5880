"""Whether the workers kept up with the load, and if not, what grew: the wait for a worker, or the work itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np

from plg.dataclass import dataclass
from plg.judge.wording import figure
from plg.runner.recording import Intervals, Recording

_FEWEST = 20
"""Jobs of a part of the run that its median is told from."""
_MOST_PARTS = 50
_GROWS = 1.5
"""How many times the lowest median of a part is growth."""
_WAIT_FELT, _RUN_FELT = 0.05, 0.005
"""Seconds by which a median has to grow to be growth."""


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    wait: float
    run: float


def sentence(recording: Recording) -> str:
    """``queue-bound: … queue_wait p50 4ms in calm, 1.2s in stampede, run_time p50 10ms in calm, 11ms in stampede``.

    Empty where the workers left no record of when they started and finished jobs, or of too few of them.
    """
    if not {"queue_wait_least", "run_time"} <= recording.histograms.keys():
        return ""
    parts = _parts(recording)
    if len(parts) < 2:
        return ""
    calm, brisk = min(parts, key=lambda part: part.wait), min(parts, key=lambda part: part.run)
    waits, runs = max(parts, key=lambda part: part.wait), max(parts, key=lambda part: part.run)
    if runs.run > brisk.run * _GROWS and runs.run - brisk.run > _RUN_FELT:
        return f"service-bound: the work itself took longer: {_compared(brisk, runs)}"
    if waits.wait > calm.wait * _GROWS and waits.wait - calm.wait > _WAIT_FELT:
        return f"queue-bound: jobs waited longer for a worker, and the work took no longer: {_compared(calm, waits)}"
    return f"keeping up: {_compared(calm, waits)}"


def _compared(first: _Part, other: _Part) -> str:
    def pair(a: float, b: float) -> str:
        return f"{figure(_rounded(a), 's')} in {first.name}, {figure(_rounded(b), 's')} in {other.name}"

    return f"queue_wait p50 {pair(first.wait, other.wait)}, run_time p50 {pair(first.run, other.run)}"


def _parts(recording: Recording) -> list[_Part]:
    """The phases in order of time, or the sixths of a run that has not two of them with enough jobs."""
    spans = {name: pieces for name, pieces in recording.spans.items() if pieces}
    phases = list(_read(recording, spans)) if 1 < len(spans) <= _MOST_PARTS else []
    if len(phases) > 1:
        return phases
    edges = [recording.duration * n / 6 for n in range(7)]
    sixths = {
        f"{figure(_rounded(start), 's')}-{figure(_rounded(end), 's')}": ((start, end),)
        for start, end in pairwise(edges)
    }
    return list(_read(recording, sixths))


def _read(recording: Recording, spans: Mapping[str, Intervals]) -> Iterator[_Part]:
    """Those of the parts in which enough jobs were due."""
    for name, pieces in sorted(spans.items(), key=lambda span: span[1][0]):
        cells = recording.within(pieces)
        # Jobs that wait still have waited so long at least: what is known of those done tells of a calmer run.
        wait, run = (recording.histograms[measure].over(cells) for measure in ("queue_wait_least", "run_time"))
        if min(wait.total, run.total) >= _FEWEST:
            yield _Part(name, wait.quantile(0.5) or 0.0, run.quantile(0.5) or 0.0)


def _rounded(seconds: float) -> float:
    """Three figures of it."""
    return float(np.format_float_positional(seconds, precision=3, fractional=False)) if seconds else 0.0
