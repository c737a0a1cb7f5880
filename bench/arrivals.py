"""From what the server saw to how far it was from the schedule that was asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_GRACE = 0.02
"""Seconds after the end of a schedule in which its last jobs may still come."""
_ON_TIME = 0.0015
"""A job that is no further from its moment than this (s) counts for the window it was meant for."""
_PUSH = re.compile(rb'^\+?(\d+\.\d+) \[[^\]]*\] "[LR]PUSH" (.*)$', re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Shape:
    """A schedule: ``due(k)`` is when the k-th of ``jobs`` arrivals should happen, ``count(t)`` how many by then."""

    jobs: int
    duration: float
    due: Callable[[Floats], Floats]
    count: Callable[[Floats], Floats]


def steady(rate: float, duration: float) -> Shape:
    """``rate`` jobs/s for ``duration`` s: k-th arrival at (k + ½) / rate."""
    return Shape(round(rate * duration), duration, lambda k: (k + 0.5) / rate, lambda t: np.clip(t, 0, duration) * rate)


def ramp(peak: float, duration: float) -> Shape:
    """From 0 to ``peak`` jobs/s in ``duration`` s: the count by t is peak·t² / (2·duration)."""
    return Shape(
        round(peak * duration / 2),
        duration,
        lambda k: np.sqrt(2 * duration * (k + 0.5) / peak),
        lambda t: peak * np.clip(t, 0, duration) ** 2 / (2 * duration),
    )


def arrival_times(monitored: bytes) -> Floats:
    """When each job was executed (s since the epoch), from the text of MONITOR: one entry a value pushed."""
    moments: list[float] = []
    values: list[int] = []
    for match in _PUSH.finditer(monitored):
        moments.append(float(match[1]))
        # Quotes inside a value are escaped, so this stands only between two arguments.
        values.append(match[2].count(b'" "'))
    return np.repeat(np.array(moments, dtype=np.float64), values)


@dataclass(frozen=True)
class Fit:
    """Distance from the schedule. Times in ms, ``deviation`` a signed fraction of all jobs asked for,
    ``window_deviation`` the largest of any 100 ms window, ``windows_off`` the share of windows off by more than 1%."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    deviation: float
    window_deviation: float
    windows_off: float

    def figures(self) -> dict[str, float]:
        return {
            "error_p50_ms": self.p50_ms,
            "error_p99_ms": self.p99_ms,
            "error_max_ms": self.max_ms,
            "deviation": self.deviation,
            "window_deviation": self.window_deviation,
            "windows_off": self.windows_off,
        }


def fit(times: Floats, shape: Shape, begun: float | None = None, window: float = 0.1) -> Fit:
    """How far ``times`` (s since the epoch, ascending) are from ``shape``.

    A tool that says when its schedule ``begun`` is held to it. For one that does not, the schedule is laid where it
    suits the tool best: half of its arrivals early, half late; windows are then judged between the first arrival and
    the last. ``deviation`` counts what arrived within the length of the schedule, from its beginning or else from the
    first arrival.
    """
    if len(times) == 0:
        raise ValueError("nothing arrived")
    known = min(len(times), shape.jobs)
    due = shape.due(np.arange(known, dtype=np.float64))
    raw = times[:known] - due
    origin = float(np.median(raw)) if begun is None else begun
    error = np.abs(raw - origin) * 1000
    first = float(raw[0]) if begun is None else begun
    grace = 0.0 if begun is None else _GRACE
    within = int(np.searchsorted(times - first, shape.duration + grace, side="right"))
    edges = np.arange(round(shape.duration / window) + 1) * window
    if begun is None and times[-1] - times[0] > 2 * window:
        edges = edges[(edges >= times[0] - origin - _GRACE) & (edges <= times[-1] - origin + _GRACE)]
    moments = times - origin
    on_time = np.abs(raw - origin) <= _ON_TIME
    moments[:known][on_time] = due[on_time]
    seen = np.diff(np.searchsorted(np.sort(moments), edges, side="right"))
    asked = np.diff(shape.count(edges))
    off = window_errors(np.asarray(seen, dtype=np.float64), np.asarray(asked, dtype=np.float64))
    p50, p99 = np.percentile(error, [50, 99])
    return Fit(
        float(p50), float(p99), float(error.max()), (within - shape.jobs) / shape.jobs,
        float(off.max()), float(np.mean(off > 0.01)),
    )  # fmt: skip


def window_errors(seen: Floats, asked: Floats) -> Floats:
    """Deviation of each window as a fraction of its jobs; of a window of fewer than 100 jobs one job is forgiven."""
    slack = np.where(asked < 100, 1.0, 0.0)
    return np.asarray(np.maximum(np.abs(seen - asked) - slack, 0.0) / np.maximum(asked, 1.0))


def hold(moments: Sequence[tuple[float, float]], rate: float, begin: float, end: float) -> dict[str, float]:
    """Deviation of a held rate from (time, count) pairs taken about 100 ms apart, between ``begin`` and ``end``
    (fractions of the stretch in which the count rose)."""
    table = np.array(moments, dtype=np.float64).reshape(-1, 2)
    rising = np.flatnonzero(np.diff(table[:, 1]) > 0)
    if len(rising) < 4:
        raise ValueError("too few looks at the queue")
    first, last = int(rising[0]) + 1, int(rising[-1])
    first, last = first + int((last - first) * begin), first + int((last - first) * end)
    part = table[first : last + 1]
    spans, counts = np.diff(part[:, 0]), np.diff(part[:, 1])
    off = np.abs(counts / (spans * rate) - 1)
    whole = (part[-1, 1] - part[0, 1]) / ((part[-1, 0] - part[0, 0]) * rate) - 1
    return {
        "deviation": float(whole),
        "window_deviation": float(off.max()),
        "windows_off": float(np.mean(off > 0.01)),
    }
